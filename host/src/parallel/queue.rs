//! Who runs what next, and what has been committed.

use super::{
    pace::Pace,
    shared::Shared,
    track::{RUN_AHEAD, Room, TRACKS, Track},
};
use crate::{
    error::ExecuteError,
    evm::{BlockGas, Executed},
    forecast::{Forecast, Names},
};
use alloy_primitives::map::{HashMap, HashSet};
use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

/// Transactions that are kept for a thread.
const GIVEN: usize = 16;

/// What a block may lose by threads before one does the rest alone: so much, and one part in so many of what it takes.
const LOSS: Duration = Duration::from_micros(200);
const LOSS_SHARE: u32 = 32;

/// A longer loss at once, for which no unit is to blame, counts as so much: a thread may have had to wait for its core.
const HICCUP: Duration = Duration::from_micros(100);

/// What one thread committed at once.
pub(super) struct Entry {
    /// Whose track has it already.
    pub(super) by: usize,
    /// The first of its transactions.
    pub(super) first: usize,
    pub(super) executed: Vec<Executed>,
}

/// What the threads share.
#[derive(Default)]
pub(super) struct Queue {
    /// The next transaction that nobody has taken.
    next: usize,
    pub(super) log: Vec<Arc<Entry>>,
    pub(super) gas: BlockGas,
    pub(super) error: Option<ExecuteError>,
    /// Units that had to run again.
    pub(super) conflicts: u64,
    pub(super) sleeping: usize,
    /// When something was committed last, and what the block has taken by then.
    last: Option<Instant>,
    spent: Duration,
    /// What one thread would have taken for what was done by then.
    done: Duration,
    /// What units took since then that must run again.
    pub(super) wasted: Duration,
    /// Who does the rest alone, for the block is behind, or threads do not pay.
    pub(super) alone: Option<usize>,
    /// One thread is to do all.
    pub(super) abandoned: bool,
    pub(super) forecast: Forecast,
    pub(super) pace: Pace,
    threads: usize,
    /// On which track the last transaction is with a name, or the last call, that something is known of.
    takers: HashMap<u64, (usize, usize)>,
    /// Units that were stale, or stood on one, by where they begin: whoever comes next runs them again.
    returned: BTreeMap<usize, Returned>,
    /// Where units began that were stale.
    pub(super) stale: HashSet<usize>,
    /// Units that are run or wait, by where they begin: their end, and on which track.
    held: BTreeMap<usize, (usize, usize)>,
    /// Where the unit begins whose turn it is and which another thread is running, too.
    raced: Option<usize>,
    /// Whether somebody has a transaction, or was given it.
    taken: Vec<bool>,
    /// What each track has been given, and the end of the last of it.
    given: Vec<VecDeque<Range<usize>>>,
    ends: Vec<usize>,
}

/// Whether anything more may wait on a track.
fn has_room(room: Room, shared: &Shared<'_>) -> bool {
    room.ahead.is_some_and(|ahead| ahead < shared.schedule.ahead)
}

/// A unit to run again.
struct Returned {
    end: usize,
    /// Not before its turn.
    at_turn: bool,
}

/// What a thread is to do next.
pub(super) enum Next {
    AtTurn(Range<usize>),
    /// On one of the thread's tracks.
    Ahead(usize, Range<usize>),
    Nothing,
}

impl Queue {
    pub(super) fn new(txs: usize, threads: usize, forecast: Forecast, pace: Pace) -> Self {
        Self {
            forecast,
            pace,
            last: Some(Instant::now()),
            taken: vec![false; txs],
            threads,
            given: vec![VecDeque::new(); TRACKS * threads],
            ends: vec![0; TRACKS * threads],
            ..Self::default()
        }
    }

    /// A track of a thread among those of all.
    const fn id(&self, thread: usize, track: usize) -> usize {
        Track::id(thread, track, self.threads)
    }

    const fn thread_of(&self, id: usize) -> usize {
        id % self.threads
    }

    const fn is_first(&self, id: usize) -> bool {
        id < self.threads
    }

    /// The next unit for a thread, behind those that wait on one of its tracks, or at its turn. A transaction that will conflict with
    /// one that another track has under way is given to that track, which runs it on top of the other.
    pub(super) fn take(
        &mut self,
        shared: &Shared<'_>,
        thread: usize,
        rooms: [Room; RUN_AHEAD],
        committed: usize,
    ) -> Next {
        if let Some(range) = self.at_turn(committed) {
            return Next::AtTurn(range);
        }
        if self.next == committed && committed < shared.txs.len() {
            return Next::AtTurn(self.unit(committed, shared, thread, committed));
        }
        let next = self.ahead(shared, thread, rooms, committed);
        if let Next::Ahead(track, range) = &next {
            let id = self.id(thread, *track);
            self.held.insert(range.start, (range.end, id));
        }
        next
    }

    fn ahead(&mut self, shared: &Shared<'_>, thread: usize, rooms: [Room; RUN_AHEAD], committed: usize) -> Next {
        // What it was given for the second is to be begun with, and fills what the first leaves.
        let given = self.given[self.id(thread, 1)].front();
        let planned = usize::from(given.is_some_and(|range| range.start >= rooms[1].behind));
        for track in [planned, 1 - planned] {
            if let Some(range) = self.ahead_on(shared, self.id(thread, track), rooms[track], committed) {
                return Next::Ahead(track, range);
            }
        }
        // Better a conflict, perhaps, than nothing.
        let behind = rooms[0].behind;
        let other = self.given.iter_mut().max_by_key(|given| given.len()).filter(|_| has_room(rooms[0], shared));
        let Some(range) = other.and_then(|other| other.pop_back_if(|range| range.start >= behind)) else {
            return Next::Nothing;
        };
        let id = self.id(thread, 0);
        self.ends[id] = self.ends[id].max(range.end);
        Next::Ahead(0, range)
    }

    /// The next unit for a track.
    fn ahead_on(&mut self, shared: &Shared<'_>, id: usize, room: Room, committed: usize) -> Option<Range<usize>> {
        let Shared { txs, names, .. } = shared;
        let Room { behind, .. } = room;
        if !has_room(room, shared) {
            return None;
        }
        let given = self.given[id].front().map_or(usize::MAX, |range| range.start);
        let again = self.returned.range(behind..given.max(behind)).find(|(_, returned)| !returned.at_turn);
        if let Some(start) = again.map(|(start, _)| *start)
            && let Some(returned) = self.returned.remove(&start)
        {
            return Some(start..returned.end);
        }
        if let Some(range) = self.given[id].pop_front_if(|range| range.start >= behind) {
            return Some(range);
        }
        // What nobody has begun is for the first, which has read the most.
        let mut index = self.next.max(behind);
        while self.is_first(id) && index < txs.len() {
            if self.taken[index] {
                index += 1;
                continue;
            }
            match self.rival(index, id, names, committed) {
                Some(rival) if self.given[rival].len() < GIVEN && self.ends[rival] <= index => {
                    self.give(index..index + 1, rival, names);
                    self.given[rival].push_back(index..index + 1);
                }
                _ => return Some(self.unit(index, shared, id, committed)),
            }
        }
        None
    }

    /// As much from a transaction on as a track should run at once, and nobody else has taken or should.
    fn unit(&mut self, index: usize, shared: &Shared<'_>, id: usize, committed: usize) -> Range<usize> {
        let Shared { txs, names, calls, costs, schedule, .. } = shared;
        let cost = |index: usize| self.pace.cost(calls[index].as_ref(), costs[index]);
        let mut left = schedule.unit.saturating_sub(cost(index));
        let mut end = index + 1;
        while end < (index + schedule.largest_unit).min(txs.len()) && !self.taken[end] {
            let Some(then) = left.checked_sub(cost(end)) else { break };
            if self.rival(end, id, names, committed).is_some() {
                break;
            }
            (left, end) = (then, end + 1);
        }
        self.give(index..end, id, names);
        index..end
    }

    /// What was committed since a replica stood on `seen` entries of the log; nothing where the block is over and the log taken.
    pub(super) fn news(&self, seen: usize) -> Vec<Arc<Entry>> {
        self.log.get(seen..).unwrap_or_default().to_vec()
    }

    /// What comes first, for the thread that does the rest alone: about so many transactions, if they are to be had. Empty where
    /// another one is about to commit it.
    pub(super) fn take_alone(&mut self, committed: usize, most: usize) -> Range<usize> {
        let mut end = committed;
        while end < committed + most {
            if let Some(range) = self.at_turn(end).or_else(|| self.take_held(end)) {
                end = range.end;
            } else if self.taken.get(end) == Some(&false) {
                self.take_from_all(end..end + 1);
                end += 1;
            } else {
                break;
            }
        }
        committed..end
    }

    /// What must run now, whoever it was for: its turn has come.
    fn at_turn(&mut self, committed: usize) -> Option<Range<usize>> {
        if let Some(returned) = self.returned.remove(&committed) {
            return Some(committed..returned.end);
        }
        self.given.iter_mut().find_map(|given| given.pop_front_if(|range| range.start == committed))
    }

    fn take_from_all(&mut self, range: Range<usize>) {
        self.taken[range].fill(true);
        while self.taken.get(self.next) == Some(&true) {
            self.next += 1;
        }
    }

    /// The first track has done these, which come first.
    pub(super) fn begin(&mut self, executed: Vec<Executed>, gas: BlockGas) {
        self.take_from_all(0..executed.len());
        self.gas = gas;
        self.log.push(Arc::new(Entry { by: 0, first: 0, executed }));
    }

    /// Gives a thread transactions to begin with, in order.
    pub(super) fn plan(&mut self, first: impl Iterator<Item = usize>, thread: usize, names: &[Names]) {
        let id = self.id(thread, 1);
        for index in first {
            self.given[id].push_back(index..index + 1);
            self.give(index..index + 1, id, names);
        }
    }

    /// A track no longer has a unit that it held; if nobody else did it meanwhile, it is to run again, and this says so.
    pub(super) fn put_back(&mut self, id: usize, range: Range<usize>, at_turn: bool) -> bool {
        let again = self.claim(id, range.start);
        if again {
            self.returned.insert(range.start, Returned { end: range.end, at_turn });
        }
        again
    }

    /// On a track no more than this much was run of the unit that it took; the rest, up to its end, is left.
    pub(super) fn cut(&mut self, id: usize, ran: Range<usize>, end: usize, at_turn: bool) {
        match self.held.get_mut(&ran.start) {
            Some(held) if held.1 == id => held.0 = ran.end,
            _ => return,
        }
        if ran.is_empty() {
            self.held.remove(&ran.start);
        }
        if ran.end < end {
            self.returned.insert(ran.end, Returned { end, at_turn });
        }
    }

    /// Whether a track holds a unit, which from then on nobody else can have.
    pub(super) fn claim(&mut self, id: usize, start: usize) -> bool {
        let holds = self.held.get(&start).is_some_and(|(_, holder)| *holder == id);
        if holds {
            self.held.remove(&start);
        }
        holds
    }

    /// Who holds the unit whose turn it is, if a thread may run it, too.
    pub(super) fn rival_at(&self, committed: usize, thread: usize) -> Option<usize> {
        let (_, holder) = self.held.get(&committed).filter(|_| self.raced != Some(committed))?;
        let holder = self.thread_of(*holder);
        (holder != thread).then_some(holder)
    }

    pub(super) fn race(&mut self, committed: usize) {
        self.raced = Some(committed);
    }

    /// The unit whose turn it is, taken from the thread that holds it.
    pub(super) fn take_held(&mut self, committed: usize) -> Option<Range<usize>> {
        self.held.remove(&committed).map(|(end, _)| committed..end)
    }

    /// Whether the block is so far behind what one thread would have `done` by now that it had better do the rest.
    pub(super) fn is_behind(&mut self, done: Duration) -> bool {
        let now = Instant::now();
        let passed = self.last.replace(now).map_or(Duration::ZERO, |last| now - last);
        let since = done.saturating_sub(std::mem::replace(&mut self.done, done));
        self.spent += passed.min(since + HICCUP + std::mem::take(&mut self.wasted));
        self.spent > done + LOSS + done / LOSS_SHARE
    }

    /// Another track that has a transaction under way which this one had better not run beside.
    fn rival(&self, index: usize, id: usize, names: &[Names], committed: usize) -> Option<usize> {
        let hot = names[index].iter().filter(|name| self.forecast.is_hot(*name));
        hot.chain(names[index].follows()).find_map(|name| {
            let (taker, taken) = *self.takers.get(&name)?;
            (taker != id && taken >= committed).then_some(taker)
        })
    }

    fn give(&mut self, range: Range<usize>, id: usize, names: &[Names]) {
        self.ends[id] = self.ends[id].max(range.end);
        self.take_from_all(range.clone());
        if self.forecast.is_empty() {
            return;
        }
        for index in range {
            let hot = names[index].iter().filter(|name| self.forecast.is_hot(*name));
            for name in hot.chain(names[index].leads()) {
                self.takers.insert(name, (id, index));
            }
        }
    }
}
