//! What one thread does.

use super::{
    queue::{Entry, Next},
    shared::Shared,
    track::{RUN_AHEAD, TRACKS, Track},
};
use crate::{
    error::{ExecuteError, TxError},
    evm::{BlockGas, Executed, Left, Replica},
    linger::Leavings,
    outcome::TxOutcome,
    report::{Runner, Span},
};
use std::{
    ops::Range,
    sync::{PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

/// Transactions that tell how common a name is.
const COMMON: usize = 64;

/// How long nothing may be committed while all run what they do not know ahead of its turn.
const STALL: Duration = Duration::from_micros(500);

/// One thread's part.
pub(super) struct Worker<'s, 'b, 'a> {
    shared: &'s Shared<'b>,
    number: usize,
    /// At least one.
    tracks: Vec<Track<'a>>,
    /// Makes what others need.
    make: &'s dyn Fn() -> Option<Replica<'a>>,
    /// Who was waited for in vain, and how often he had looked for something to do by then.
    busy: Option<(usize, usize)>,
    /// What it ran.
    spans: Vec<Span>,
}

impl<'s, 'b, 'a> Worker<'s, 'b, 'a> {
    pub(super) fn new(
        shared: &'s Shared<'b>,
        number: usize,
        mut replica: Replica<'a>,
        make: &'s dyn Fn() -> Option<Replica<'a>>,
    ) -> Self {
        replica.watch_all_of(&shared.watches);
        Self { shared, number, tracks: vec![Track::new(number, replica)], make, busy: None, spans: Vec::new() }
    }

    /// So many ran since then.
    fn ran(&mut self, first: usize, txs: usize, since: Instant) {
        if txs == 0 {
            return;
        }
        let (begun, to) = (self.shared.begun, Instant::now());
        let (from, to) = (since - begun, to - begun);
        self.spans.push(Span { runner: Runner::Cpu, thread: self.number, first, txs, from, to });
    }

    /// Tells what it ran.
    pub(super) fn tell(&mut self) {
        self.shared.timeline.lock().unwrap_or_else(PoisonError::into_inner).append(&mut self.spans);
    }

    /// What its replicas have read and written, for others to drop.
    pub(super) fn end(self) -> impl Iterator<Item = Leavings> {
        self.tracks.into_iter().map(|track| track.replica.leave())
    }

    /// Until the block is done.
    pub(super) fn work(&mut self) {
        let shared = self.shared;
        loop {
            shared.turns[self.number].fetch_add(1, Ordering::Relaxed);
            self.pause();
            let committed = self.catch_up();
            self.pause();
            if committed >= shared.txs.len() {
                return;
            }
            let has_turn = |track: &Track<'_>| track.replica.first().is_some_and(|first| first.start == committed);
            if let Some(at) = self.tracks.iter().position(has_turn) {
                let track = &mut self.tracks[at];
                match track.replica.first_stands(shared.txs, shared.senders) {
                    Ok(true) if shared.queue().claim(track.id, committed) => {
                        if !self.commit_first(at, committed) {
                            return;
                        }
                        continue;
                    }
                    // Another thread has run it, and will commit it.
                    Ok(true) => {}
                    // What cannot be read is told of by the transaction that needs it.
                    Ok(false) | Err(_) => {
                        let stale = track.replica.take_back_first();
                        self.put_back(at, stale);
                        continue;
                    }
                }
            }
            if shared.progress.stands_still() > shared.patience[committed] + STALL
                && shared.interrupts.is_none()
                && let Some(goes_on) = self.try_to_race(committed)
            {
                if !goes_on {
                    return;
                }
                continue;
            }
            let mut queue = shared.queue();
            if let Some(owner) = queue.alone {
                drop(queue);
                return self.alone(owner);
            }
            let rooms: [_; RUN_AHEAD] =
                std::array::from_fn(|at| self.tracks.get(at).map(Track::room).unwrap_or_default());
            let next = queue.take(shared, self.number, rooms, shared.committed());
            drop(queue);
            self.pause();
            match next {
                Next::AtTurn(range) => {
                    if !self.run_in_turn(range) {
                        return;
                    }
                }
                Next::Ahead(at, range) => {
                    if self.speculate(at, range) && !self.run_first() {
                        return;
                    }
                }
                Next::Nothing => {
                    if !self.wait(committed) {
                        return;
                    }
                }
            }
        }
    }

    /// Has nothing to do until more than this is committed: looks for a while, then runs what another thread holds, in case that is
    /// held up. `false` where the block ends with it.
    fn wait(&mut self, committed: usize) -> bool {
        let shared = self.shared;
        let turns = |holder: usize| shared.turns[holder].load(Ordering::Relaxed);
        let is_busy = |(holder, seen): (usize, usize)| turns(holder) == seen;
        let known = shared.queue().rival_at(committed, self.number).filter(|_| self.busy.is_some_and(is_busy));
        let at_once = known.is_some() && known == self.busy.map(|(holder, _)| holder);
        if !at_once && shared.look(committed, self.number) {
            return true;
        }
        let raced = self.try_to_race(committed);
        raced.unwrap_or_else(|| {
            shared.sleep(committed, self.number);
            true
        })
    }

    /// Runs what comes first, if another thread holds it; `false` where the block ends with it.
    fn run_first(&mut self) -> bool {
        self.try_to_race(self.shared.committed()).unwrap_or(true)
    }

    /// As [`Self::race`], if this is held by another thread, and no third one runs it.
    fn try_to_race(&mut self, committed: usize) -> Option<bool> {
        let shared = self.shared;
        let mut queue = shared.queue();
        let holder = queue.rival_at(committed, self.number)?;
        queue.race(committed);
        drop(queue);
        self.busy = Some((holder, shared.turns[holder].load(Ordering::Relaxed)));
        Some(self.race(committed))
    }

    /// Runs the unit whose turn it is, which another thread holds: who is done first commits it. `false` where the block ends with it.
    fn race(&mut self, start: usize) -> bool {
        let shared = self.shared;
        let Some(at) = self.stand(Some(start)) else { return true };
        let begun = Instant::now();
        let replica = &mut self.tracks[at].replica;
        let left = replica.speculate(start..start + 1, shared.txs, shared.senders, &shared.progress, Duration::ZERO);
        // Its holder tells what it looked at.
        drop(replica.take_accesses());
        self.ran(start, 1, begun);
        self.pause();
        let mut queue = shared.queue();
        let range = if shared.committed() == start { queue.take_held(start) } else { None };
        let mut gas = queue.gas;
        drop(queue);
        let replica = &mut self.tracks[at].replica;
        let Some(range) = range else {
            replica.take_back_all();
            replica.take_wasted();
            return true;
        };
        let tx = &shared.txs[start];
        let stands = matches!(left, Left::Nothing)
            && gas.check(shared.env, tx).is_ok()
            && matches!(replica.first_stands(shared.txs, shared.senders), Ok(true));
        if !stands {
            // At its turn it tells why.
            replica.take_back_all();
            replica.take_wasted();
            return self.finish(range, at, Vec::new(), gas);
        }
        match replica.commit_first() {
            Ok((done, _)) => {
                done.iter().for_each(|executed| gas.add(tx, executed.outcome.gas_used));
                self.finish(range, at, done, gas)
            }
            Err(error) => self.fail(start, error),
        }
    }

    fn pause(&self) {
        self.shared.pause(self.number);
    }

    /// The rest of the block by one thread, each transaction at its turn; the others let it have what they hold.
    fn alone(&mut self, owner: usize) {
        let shared = self.shared;
        let waiting: Vec<_> = self.tracks.iter_mut().map(|track| (track.id, track.replica.take_back_all())).collect();
        let mut queue = shared.queue();
        for (id, ranges) in waiting {
            for range in ranges {
                queue.put_back(id, range, true);
            }
        }
        drop(queue);
        if self.number != owner {
            return shared.wait_for_all(self.number);
        }
        loop {
            let committed = self.catch_up();
            if committed >= shared.txs.len() {
                return;
            }
            let range = shared.queue().take_alone(committed, shared.schedule.largest_unit.max(1));
            if !range.is_empty() {
                if !self.run_in_turn(range) {
                    return;
                }
                continue;
            }
            // Another thread is about to commit it.
            match shared.interrupts {
                Some(interrupts) => interrupts.at(self.number, true),
                None => std::thread::yield_now(),
            }
        }
    }

    /// Brings in what others have committed, and says how much that is. A track in which nothing waits is brought up to that when it is
    /// needed, but for the first.
    fn catch_up(&mut self) -> usize {
        let shared = self.shared;
        if shared.committed() == usize::MAX {
            return usize::MAX;
        }
        let queue = shared.queue();
        let news: [_; TRACKS] = std::array::from_fn(|at| match self.tracks.get(at) {
            Some(track) if at == 0 || track.replica.first().is_some() => queue.news(track.seen),
            _ => Vec::new(),
        });
        let committed = shared.committed();
        drop(queue);
        for (at, news) in news.into_iter().enumerate() {
            for entry in news {
                if !self.bring(at, &entry) {
                    return usize::MAX;
                }
            }
        }
        committed
    }

    /// Brings in what was committed next; `false` where the block ends with it.
    fn bring(&mut self, at: usize, entry: &Entry) -> bool {
        let track = &mut self.tracks[at];
        track.seen += 1;
        if entry.by == track.id {
            return true;
        }
        match self.has_run(at, entry) {
            Ok(true) => return true,
            Ok(false) => {}
            Err(error) => return self.fail(entry.first, error),
        }
        for (index, executed) in entry.executed.iter().enumerate() {
            let stale = self.tracks[at].replica.bring(&executed.outcome);
            if !stale.is_empty() {
                self.learn(at, entry.first + index, &executed.outcome);
            }
            self.put_back(at, stale);
        }
        true
    }

    /// Whether somebody else was faster with the first unit, which is committed here, too. If it does not stand, it is taken back.
    fn has_run(&mut self, at: usize, entry: &Entry) -> Result<bool, TxError> {
        let shared = self.shared;
        let end = entry.first + entry.executed.len();
        while let Some(first) = self.tracks[at].replica.first().filter(|first| first.start < end) {
            let replica = &mut self.tracks[at].replica;
            let stands =
                first == (entry.first..end) && matches!(replica.first_stands(shared.txs, shared.senders), Ok(true));
            if stands {
                let (executed, stale) = replica.commit_first()?;
                shared.progress.take(executed.iter().map(Executed::took).sum());
                let outcomes = executed.iter().map(|executed| &executed.outcome);
                debug_assert!(
                    outcomes.eq(entry.executed.iter().map(|executed| &executed.outcome)),
                    "{first:?} differs"
                );
                self.put_back(at, stale);
                return Ok(true);
            }
            let stale = replica.take_back_first();
            self.put_back(at, stale);
        }
        Ok(false)
    }

    /// Some of what waits was stale by a transaction.
    fn learn(&mut self, at: usize, by: usize, outcome: &TxOutcome) {
        let Shared { txs, senders, names, .. } = self.shared;
        let others = &names[by..(by + COMMON).min(names.len())];
        let changed = outcome.slots().collect();
        let mut queue = self.shared.queue();
        let placed = |index: usize| (&txs[index], senders[index]);
        let mut misled = self.tracks[at].replica.take_misled();
        misled.sort_unstable();
        misled.dedup();
        for index in misled {
            if queue.forecast.conflict_at(placed(by), placed(index), &changed).is_none() {
                queue.forecast.conflict((&txs[by], &names[by]), (&txs[index], &names[index]), others);
            }
        }
    }

    /// These were stale, or stood on one that was.
    fn put_back(&mut self, at: usize, stale: Vec<Range<usize>>) {
        if stale.is_empty() {
            return;
        }
        self.pause();
        let mut queue = self.shared.queue();
        let Track { id, replica, .. } = &mut self.tracks[at];
        let wasted = replica.take_wasted();
        queue.wasted += wasted;
        self.shared.progress.take(wasted);
        for range in stale {
            // What was stale twice waits for its turn.
            let at_turn = !queue.stale.insert(range.start);
            queue.conflicts += u64::from(queue.put_back(*id, range, at_turn));
        }
        if self.shared.interrupts.is_some_and(|interrupts| interrupts.gives_up(queue.conflicts)) {
            queue.alone.get_or_insert(self.number);
        }
        let wakes = queue.alone.is_some();
        drop(queue);
        if wakes {
            self.shared.news.notify_all();
        }
    }

    /// Commits the unit whose turn it is; `false` where the block ends with it.
    fn commit_first(&mut self, at: usize, start: usize) -> bool {
        let mut gas = self.shared.queue().gas;
        let (executed, stale) = match self.tracks[at].replica.commit_first() {
            Ok(done) => done,
            Err(error) => return self.fail(start, error),
        };
        self.put_back(at, stale);
        for (index, executed) in (start..).zip(&executed) {
            let tx = &self.shared.txs[index];
            if let Err(error) = gas.check(self.shared.env, tx) {
                return self.fail(index, error.into());
            }
            gas.add(tx, executed.outcome.gas_used);
        }
        self.publish(at, executed, gas);
        true
    }

    /// Adds a track, if another replica can be made.
    fn add_track(&mut self) -> bool {
        let Some(mut replica) = (self.tracks.len() < TRACKS).then(self.make).flatten() else { return false };
        replica.watch_all_of(&self.shared.watches);
        let id = Track::id(self.number, self.tracks.len(), self.shared.turns.len());
        self.tracks.push(Track::new(id, replica));
        true
    }

    /// Brings a track in which nothing waits up to what is committed, and says which; `None` where it is not needed any more, for that is
    /// no longer just `only` so much.
    fn stand(&mut self, only: Option<usize>) -> Option<usize> {
        let mut free = self.tracks.iter().position(|track| track.replica.first().is_none());
        if free.is_none() && self.add_track() {
            free = Some(self.tracks.len() - 1);
        }
        let at = free.unwrap_or_default();
        let waiting = self.tracks[at].replica.take_back_all();
        self.put_back(at, waiting);
        self.follow(at, only).then_some(at)
    }

    /// Brings a track up to what is committed, in which nothing waits. `false` where that is no longer just `only` so much, or the block
    /// ends with it.
    fn follow(&mut self, at: usize, only: Option<usize>) -> bool {
        let shared = self.shared;
        let goes_on = || only.is_none_or(|only| shared.committed() == only);
        let news = shared.queue().news(self.tracks[at].seen);
        news.iter().all(|entry| goes_on() && self.bring(at, entry)) && goes_on()
    }

    /// Runs and commits the unit whose turn it is; `false` where the block ends with it.
    fn run_in_turn(&mut self, range: Range<usize>) -> bool {
        let gas = self.shared.queue().gas;
        match self.stand(None) {
            Some(at) => self.finish(range, at, Vec::new(), gas),
            None => false,
        }
    }

    /// The rest of the unit whose turn it is, of which so much is done, on a track in which nothing waits; `false` where the block ends
    /// with it.
    fn finish(&mut self, range: Range<usize>, at: usize, mut done: Vec<Executed>, mut gas: BlockGas) -> bool {
        let shared = self.shared;
        shared.progress.runs(self.number, true);
        let (from, begun) = (done.len(), Instant::now());
        for index in range.start + done.len()..range.end {
            let tx = &shared.txs[index];
            let ran = gas.check(shared.env, tx).map_err(TxError::from);
            match ran.and_then(|()| self.tracks[at].replica.run_in_turn(tx, shared.senders[index])) {
                Ok(executed) => {
                    gas.add(tx, executed.outcome.gas_used);
                    done.push(executed);
                }
                Err(error) => return self.fail(index, error),
            }
        }
        self.ran(range.start + from, range.end - range.start - from, begun);
        shared.progress.runs(self.number, false);
        shared.progress.add(done.iter().map(Executed::took).sum());
        self.publish(at, done, gas);
        true
    }

    fn publish(&mut self, at: usize, executed: Vec<Executed>, gas: BlockGas) {
        self.pause();
        self.shared.publish(self.number, self.tracks[at].id, executed, gas);
    }

    fn fail(&self, index: usize, error: TxError) -> bool {
        self.shared.end(Some(ExecuteError::at(index, error)));
        false
    }

    /// Runs a unit ahead of its turn, on top of what waits in a track. Whether it broke off so that this thread runs what comes first.
    fn speculate(&mut self, at: usize, range: Range<usize>) -> bool {
        let shared = self.shared;
        if at == self.tracks.len() && !self.add_track() {
            let id = Track::id(self.number, at, shared.turns.len());
            shared.queue().cut(id, range.start..range.start, range.end, true);
            return false;
        }
        if self.tracks[at].replica.first().is_none() && !self.follow(at, None) {
            return false;
        }
        let begun = Instant::now();
        let patience = shared.patience[range.clone()].iter().sum::<Duration>() + STALL;
        shared.progress.runs(self.number, true);
        let Track { id, replica, .. } = &mut self.tracks[at];
        let id = *id;
        let left = replica.speculate(range.clone(), shared.txs, shared.senders, &shared.progress, patience);
        shared.progress.runs(self.number, false);
        shared.progress.add(replica.took_from(range.start));
        let (gives_way, accesses) = (replica.gives_way(), replica.take_accesses());
        let done = match &left {
            Left::Nothing => range.len(),
            Left::AtTurn(left) | Left::Other(left) | Left::All(_, left) => left.start - range.start,
        };
        self.ran(range.start, done, begun);
        for (index, access) in accesses {
            let watched = access.learned(&shared.txs[index], shared.senders[index]);
            shared.queue().forecast.learn_access(&shared.txs[index], watched);
        }
        match left {
            Left::Nothing => {}
            Left::AtTurn(left) => {
                let mut queue = shared.queue();
                queue.wasted += begun.elapsed();
                queue.cut(id, range.start..left.start, left.end, true);
            }
            Left::Other(left) => shared.queue().cut(id, range.start..left.start, left.end, false),
            Left::All(waited, left) => {
                let mut queue = shared.queue();
                queue.cut(id, range.start..left.start, left.end, true);
                for range in waited {
                    queue.put_back(id, range, true);
                }
            }
        }
        gives_way
    }
}
