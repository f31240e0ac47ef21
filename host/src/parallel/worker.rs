//! What one thread does, and what all share.

use super::{
    Block, Interrupts, Progress, Schedule,
    queue::{Entry, Next, Queue},
};
use crate::{
    block::BlockEnv,
    error::{ExecuteError, TxError},
    evm::{BlockGas, Executed, Left, Replica},
    forecast::{Call, Forecast, Names, Plan},
    outcome::TxOutcome,
    report::{Runner, Span},
    tx::Transaction,
};
use alloy_primitives::Address;
use std::{
    ops::Range,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Transactions that tell how common a name is.
const COMMON: usize = 64;

/// How long a thread that has nothing to do looks for news before it runs what another one holds, or sleeps: about what it takes to be
/// woken.
const PATIENCE: Duration = Duration::from_micros(100);
/// How long nothing may be committed while all run what they do not know ahead of its turn.
const STALL: Duration = Duration::from_micros(500);

/// Looks between two at the clock.
const SPINS: usize = 64;

/// What the threads share.
pub(super) struct Shared<'b> {
    pub(super) env: &'b BlockEnv,
    pub(super) txs: &'b [Transaction],
    pub(super) senders: &'b [Address],
    pub(super) names: Vec<Names>,
    /// What is known of the call of each transaction.
    pub(super) calls: &'b [Option<Call>],
    /// What each transaction will take.
    pub(super) costs: &'b [Duration],
    pub(super) schedule: Schedule,
    pub(super) interrupts: Option<&'b dyn Interrupts>,
    pub(super) queue: Mutex<Queue>,
    pub(super) news: Condvar,
    pub(super) progress: Arc<Progress>,
    /// How long others may wait for each transaction when it runs ahead of its turn.
    pub(super) patience: Vec<Duration>,
    /// Transactions that are watched, if they run ahead of their turn.
    pub(super) watches: Arc<[usize]>,
    /// How often each thread has looked for something to do.
    pub(super) turns: Vec<AtomicUsize>,
    /// Threads that may hold what was committed.
    pub(super) present: AtomicUsize,
    /// When the execution began, and what ran since then, of threads that are done.
    pub(super) begun: Instant,
    pub(super) timeline: Mutex<Vec<Span>>,
}

impl<'b> Shared<'b> {
    /// What so many threads share of a block; `None` where one had better do it. What is `known` goes into it.
    pub(super) fn plan(
        block: &Block<'_, 'b>,
        count: usize,
        schedule: Schedule,
        interrupts: Option<&'b dyn Interrupts>,
        known: &mut Forecast,
    ) -> Option<Self> {
        let Block { env, txs, senders, calls, costs, .. } = *block;
        let mut names: Vec<_> = txs.iter().zip(senders).map(|(tx, sender)| Names::of(tx, sender)).collect();
        known.expect(&mut names, txs, senders, calls);
        let plan = Plan::of(&names, costs, known, count)?;
        let patience = calls.iter().map(|call| Forecast::patience(call.as_ref())).collect();
        let watches = known.watches(txs, calls).into();
        let mut queue = Queue::new(txs.len(), count, std::mem::take(known));
        for (chain, thread) in plan.chains.iter().zip((0..count).rev()) {
            queue.plan(chain, thread, &names);
        }
        Some(Self {
            env,
            txs,
            senders,
            names,
            calls,
            costs,
            schedule,
            interrupts,
            queue: Mutex::new(queue),
            news: Condvar::new(),
            progress: Arc::new(Progress::new(count)),
            patience,
            watches,
            turns: (0..count).map(|_| AtomicUsize::new(0)).collect(),
            present: AtomicUsize::new(0),
            begun: block.begun,
            timeline: Mutex::default(),
        })
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn committed(&self) -> usize {
        self.progress.committed()
    }

    /// Nothing more is committed.
    fn end(&self, error: Option<ExecuteError>) {
        let mut queue = self.queue();
        queue.error = queue.error.take().or(error);
        self.progress.advance(usize::MAX);
        drop(queue);
        self.news.notify_all();
    }

    /// Appends what a thread has committed: the transactions from the first that is not yet.
    fn publish(&self, thread: usize, by: Option<usize>, executed: Vec<Executed>, gas: BlockGas) {
        let mut queue = self.queue();
        queue.gas = gas;
        let first = self.committed();
        if first == usize::MAX {
            return;
        }
        let committed = first + executed.len();
        if queue.is_behind(self.progress.done()) && self.interrupts.is_none() {
            queue.alone.get_or_insert(thread);
        }
        queue.log.push(Arc::new(Entry { by, first, executed }));
        self.progress.advance(committed);
        let wakes = queue.sleeping > 0 || committed == self.txs.len();
        drop(queue);
        if wakes {
            self.news.notify_all();
        }
    }

    /// Looks for a while whether more is committed than `known`, and says whether it is.
    fn look(&self, known: usize, thread: usize) -> bool {
        if self.interrupts.is_some_and(|interrupts| !interrupts.is_patient(thread)) {
            return self.committed() != known;
        }
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            for _ in 0..SPINS {
                if self.committed() != known {
                    return true;
                }
                std::hint::spin_loop();
            }
        }
        false
    }

    /// Waits until more is committed than `known`, or one thread does the rest.
    fn sleep(&self, known: usize, thread: usize) {
        if let Some(interrupts) = self.interrupts.filter(|interrupts| interrupts.decide()) {
            while self.committed() == known && self.queue().alone.is_none() {
                interrupts.at(thread, true);
            }
            return;
        }
        let mut queue = self.queue();
        queue.sleeping += 1;
        while self.committed() == known && queue.alone.is_none() {
            queue = self.news.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.sleeping -= 1;
    }

    /// Waits until the block is done.
    fn wait_for_all(&self, thread: usize) {
        if let Some(interrupts) = self.interrupts.filter(|interrupts| interrupts.decide()) {
            while self.committed() < self.txs.len() {
                interrupts.at(thread, true);
            }
            return;
        }
        let mut queue = self.queue();
        while self.committed() < self.txs.len() {
            queue = self.news.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until no other thread holds what was committed. One that begins later finds nothing.
    pub(super) fn wait_for_others(&self, thread: usize) {
        while self.present.load(Ordering::Acquire) > 0 {
            match self.interrupts {
                Some(interrupts) => interrupts.at(thread, true),
                None => std::thread::yield_now(),
            }
        }
    }

    /// A thread is about to meet others.
    fn pause(&self, thread: usize) {
        if let Some(interrupts) = self.interrupts {
            interrupts.at(thread, false);
        }
    }
}

/// That a thread has a part in the block. Ends the block if it panics.
pub(super) struct Presence<'s, 'b> {
    shared: &'s Shared<'b>,
    number: usize,
    left: bool,
}

impl<'s, 'b> Presence<'s, 'b> {
    pub(super) fn new(shared: &'s Shared<'b>, number: usize) -> Self {
        shared.present.fetch_add(1, Ordering::AcqRel);
        Self { shared, number, left: false }
    }

    /// It holds nothing any more of what was committed.
    pub(super) fn leave(&mut self) {
        if !std::mem::replace(&mut self.left, true) {
            self.shared.present.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Presence<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.end(None);
        }
        self.leave();
        if let Some(interrupts) = self.shared.interrupts {
            interrupts.ends(self.number);
        }
    }
}

/// One thread's part.
pub(super) struct Worker<'s, 'b, 'a> {
    shared: &'s Shared<'b>,
    number: usize,
    replica: Replica<'a>,
    /// Entries of the log that the replica stands on.
    seen: usize,
    /// Another, for what must run at its turn while units wait in the first; and what it stands on.
    beside: Option<Replica<'a>>,
    seen_beside: usize,
    /// Makes it.
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
        replica: Replica<'a>,
        make: &'s dyn Fn() -> Option<Replica<'a>>,
    ) -> Self {
        Self { shared, number, replica, seen: 0, beside: None, seen_beside: 0, make, busy: None, spans: Vec::new() }
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
    pub(super) fn end(self) -> impl Send + 'static + use<> {
        (self.replica.leave(), self.beside.map(Replica::leave))
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
            if let Some(range) = self.replica.first()
                && range.start == committed
            {
                match self.replica.first_stands(shared.txs, shared.senders) {
                    Ok(true) if shared.queue().claim(self.number, committed) => {
                        if !self.commit_first(range) {
                            return;
                        }
                        continue;
                    }
                    // Another thread has run it, and will commit it.
                    Ok(true) => {}
                    // What cannot be read is told of by the transaction that needs it.
                    Ok(false) | Err(_) => {
                        let stale = self.replica.take_back_first();
                        self.put_back(stale);
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
            let next = queue.take(shared, self.number, &self.replica, shared.committed());
            drop(queue);
            self.pause();
            match next {
                Next::AtTurn(range) => {
                    if !self.run_in_turn(range) {
                        return;
                    }
                }
                Next::Ahead(range) => {
                    self.speculate(range);
                    if self.replica.gives_way() && !self.run_first() {
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
        let Some(beside) = self.stand(Some(start)) else { return true };
        let begun = Instant::now();
        let left = self.standing(beside).speculate(
            start..start + 1,
            shared.txs,
            shared.senders,
            &shared.progress,
            Duration::ZERO,
        );
        self.ran(start, 1, begun);
        self.pause();
        let mut queue = shared.queue();
        let range = if shared.committed() == start { queue.take_held(start) } else { None };
        let mut gas = queue.gas;
        drop(queue);
        let replica = self.standing(beside);
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
            return self.finish(range, beside, Vec::new(), gas);
        }
        match replica.commit_first() {
            Ok((done, _)) => {
                done.iter().for_each(|executed| gas.add(tx, executed.outcome.gas_used));
                self.finish(range, beside, done, gas)
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
        let waiting = self.replica.take_back_all();
        let mut queue = shared.queue();
        for range in waiting {
            queue.put_back(self.number, range, true);
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

    /// Brings in what others have committed, and says how much that is.
    fn catch_up(&mut self) -> usize {
        let shared = self.shared;
        if shared.committed() == usize::MAX {
            return usize::MAX;
        }
        let queue = shared.queue();
        let news = queue.news(self.seen);
        let committed = shared.committed();
        drop(queue);
        self.seen += news.len();
        for entry in news {
            if entry.by == Some(self.number) {
                continue;
            }
            match self.has_run(&entry) {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    self.fail(entry.first, error);
                    return usize::MAX;
                }
            }
            for (index, executed) in entry.executed.iter().enumerate() {
                let stale = self.replica.bring(&executed.outcome);
                if !stale.is_empty() {
                    self.learn(entry.first + index, &executed.outcome);
                }
                self.put_back(stale);
            }
        }
        committed
    }

    /// Whether another thread was faster with the first unit, which is committed here, too. If it does not stand, it is taken back.
    fn has_run(&mut self, entry: &Entry) -> Result<bool, TxError> {
        let shared = self.shared;
        let end = entry.first + entry.executed.len();
        while let Some(first) = self.replica.first().filter(|first| first.start < end) {
            let stands = first == (entry.first..end)
                && matches!(self.replica.first_stands(shared.txs, shared.senders), Ok(true));
            if stands {
                let (executed, stale) = self.replica.commit_first()?;
                shared.progress.take(executed.iter().map(Executed::took).sum());
                let outcomes = executed.iter().map(|executed| &executed.outcome);
                debug_assert!(
                    outcomes.eq(entry.executed.iter().map(|executed| &executed.outcome)),
                    "{first:?} differs"
                );
                self.put_back(stale);
                return Ok(true);
            }
            let stale = self.replica.take_back_first();
            self.put_back(stale);
        }
        Ok(false)
    }

    /// Some of what waits was stale by a transaction.
    fn learn(&mut self, by: usize, outcome: &TxOutcome) {
        let Shared { txs, senders, names, .. } = self.shared;
        let others = &names[by..(by + COMMON).min(names.len())];
        let changed = outcome.slots().collect();
        let mut queue = self.shared.queue();
        let placed = |index: usize| (&txs[index], senders[index]);
        let mut misled = self.replica.take_misled();
        misled.sort_unstable();
        misled.dedup();
        for index in misled {
            if queue.forecast.conflict_at(placed(by), placed(index), &changed).is_none() {
                queue.forecast.conflict(&names[by], &names[index], others);
            }
        }
    }

    /// These were stale, or stood on one that was.
    fn put_back(&mut self, stale: Vec<Range<usize>>) {
        if stale.is_empty() {
            return;
        }
        self.pause();
        let mut queue = self.shared.queue();
        let wasted = self.replica.take_wasted();
        queue.wasted += wasted;
        self.shared.progress.take(wasted);
        for range in stale {
            // What was stale twice waits for its turn.
            let at_turn = !queue.stale.insert(range.start);
            queue.conflicts += u64::from(queue.put_back(self.number, range, at_turn));
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
    fn commit_first(&mut self, range: Range<usize>) -> bool {
        let mut gas = self.shared.queue().gas;
        let (executed, stale) = match self.replica.commit_first() {
            Ok(done) => done,
            Err(error) => return self.fail(range.start, error),
        };
        self.put_back(stale);
        for (index, executed) in range.zip(&executed) {
            let tx = &self.shared.txs[index];
            if let Err(error) = gas.check(self.shared.env, tx) {
                return self.fail(index, error.into());
            }
            gas.add(tx, executed.outcome.gas_used);
        }
        self.publish(Some(self.number), executed, gas);
        true
    }

    /// Brings a replica in which nothing waits up to what is committed, and says whether it is the one beside; `None` where it is not
    /// needed any more, for that is no longer just `only` so much.
    fn stand(&mut self, only: Option<usize>) -> Option<bool> {
        let shared = self.shared;
        let is_over = || only.is_some_and(|only| shared.committed() != only);
        let waits = self.replica.first().is_some();
        if waits && self.beside.is_none() {
            self.beside = (self.make)();
        }
        match &mut self.beside {
            Some(replica) if waits => {
                let news = shared.queue().news(self.seen_beside);
                for entry in news {
                    if is_over() {
                        return None;
                    }
                    for executed in &entry.executed {
                        replica.bring(&executed.outcome);
                    }
                    self.seen_beside += 1;
                }
                (!is_over()).then_some(true)
            }
            _ => {
                self.catch_up();
                let waiting = self.replica.take_back_all();
                self.put_back(waiting);
                (!is_over()).then_some(false)
            }
        }
    }

    /// The replica that stands: the one beside, or the first.
    fn standing(&mut self, beside: bool) -> &mut Replica<'a> {
        match &mut self.beside {
            Some(replica) if beside => replica,
            _ => &mut self.replica,
        }
    }

    /// Runs and commits the unit whose turn it is; `false` where the block ends with it.
    fn run_in_turn(&mut self, range: Range<usize>) -> bool {
        let gas = self.shared.queue().gas;
        let beside = self.stand(None) == Some(true);
        self.finish(range, beside, Vec::new(), gas)
    }

    /// The rest of the unit whose turn it is, of which so much is done, on the replica that stands; `false` where the block ends with it.
    fn finish(&mut self, range: Range<usize>, beside: bool, mut done: Vec<Executed>, mut gas: BlockGas) -> bool {
        let shared = self.shared;
        shared.progress.runs(self.number, true);
        let (from, begun) = (done.len(), Instant::now());
        for index in range.start + done.len()..range.end {
            let tx = &shared.txs[index];
            let ran = gas.check(shared.env, tx).map_err(TxError::from);
            match ran.and_then(|()| self.standing(beside).run_in_turn(tx, shared.senders[index])) {
                Ok(executed) => {
                    gas.add(tx, executed.outcome.gas_used);
                    done.push(executed);
                }
                Err(error) => return self.fail(index, error),
            }
        }
        self.ran(range.start + from, range.end - range.start - from, begun);
        if beside {
            self.seen_beside += 1;
        }
        shared.progress.runs(self.number, false);
        shared.progress.add(done.iter().map(Executed::took).sum());
        self.publish((!beside).then_some(self.number), done, gas);
        true
    }

    fn publish(&mut self, by: Option<usize>, executed: Vec<Executed>, gas: BlockGas) {
        self.pause();
        self.shared.publish(self.number, by, executed, gas);
    }

    fn fail(&self, index: usize, error: TxError) -> bool {
        self.shared.end(Some(ExecuteError::at(index, error)));
        false
    }

    /// Runs a unit ahead of its turn, on top of what waits.
    fn speculate(&mut self, range: Range<usize>) {
        let (shared, number) = (self.shared, self.number);
        let begun = Instant::now();
        let patience = shared.patience[range.clone()].iter().sum::<Duration>() + STALL;
        shared.progress.runs(number, true);
        let left = self.replica.speculate(range.clone(), shared.txs, shared.senders, &shared.progress, patience);
        shared.progress.runs(number, false);
        shared.progress.add(self.replica.took_from(range.start));
        let done = match &left {
            Left::Nothing => range.len(),
            Left::AtTurn(left) | Left::Other(left) | Left::All(_, left) => left.start - range.start,
        };
        self.ran(range.start, done, begun);
        for (index, access) in self.replica.take_accesses() {
            let watched = access.learned(&shared.txs[index], shared.senders[index]);
            shared.queue().forecast.learn_access(&shared.txs[index], watched);
        }
        match left {
            Left::Nothing => {}
            Left::AtTurn(left) => {
                let mut queue = shared.queue();
                queue.wasted += begun.elapsed();
                queue.cut(number, range.start..left.start, left.end, true);
            }
            Left::Other(left) => shared.queue().cut(number, range.start..left.start, left.end, false),
            Left::All(waited, left) => {
                let mut queue = shared.queue();
                queue.cut(number, range.start..left.start, left.end, true);
                for range in waited {
                    queue.put_back(number, range, true);
                }
            }
        }
    }
}
