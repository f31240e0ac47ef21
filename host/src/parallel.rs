//! Executes an ordered block on CPU threads: each runs units of transactions ahead of their turn, on a state of its own that is
//! kept up with what the others commit, and commits them in order. What is stale by then runs again in its place.

use crate::{
    block::BlockEnv,
    error::{ExecuteError, TxError},
    evm::{BlockGas, Executed, Replica, RevmCache, check_env},
    forecast::{Forecast, Names},
    fork::Fork,
    outcome::TxOutcome,
    random::splitmix,
    report::{ExecutionReport, lap},
    state::StateRef,
    tx::Transaction,
};
use alloy_primitives::{Address, map::HashMap};
use rayon::ThreadPool;
use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// How an ordered block is divided among CPU threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Transactions from which on a block runs so. By default none does: blocks of conflicts, and machines whose cores are
    /// busy elsewhere, still lose by it.
    pub from: usize,
    /// What a block must be expected to take for that.
    pub least: Duration,
    /// What a unit is meant to take: long against handing over, short against waiting for it.
    pub unit: Duration,
    /// Transactions of a unit at most.
    pub largest_unit: usize,
    /// Transactions of a thread that may wait for their turn.
    pub ahead: usize,
    /// For tests: lets every thread wait at random where it could meet others, by this seed.
    pub delays: Option<u64>,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            from: usize::MAX,
            least: Duration::from_micros(400),
            unit: Duration::from_micros(40),
            largest_unit: 32,
            ahead: 512,
            delays: None,
        }
    }
}

impl Schedule {
    /// Every block that more than one thread may pay for runs so.
    pub fn on_threads() -> Self {
        Self { from: 8, ..Self::default() }
    }
}

/// Whether blocks of a fork can run so. Before Spurious Dragon an account may be empty or not exist, which a journal over several
/// transactions mixes up; Amsterdam's rules are not in it.
pub(crate) fn supports(fork: Fork) -> bool {
    (Fork::SpuriousDragon..Fork::Amsterdam).contains(&fork)
}

/// What the calls of a block will take, more or less, on one thread: it needs to be right for blocks that are hardly worth another.
/// Transfers take no longer than handing over what they did.
fn expected(txs: &[Transaction]) -> Duration {
    CALL * txs.iter().filter(|tx| !tx.input.is_empty()).count() as u32
}

/// Conflicts from which on a block may be one for one thread, and of how many units committed one must have been in conflict.
const MANY: u64 = 12;
const MOST: u64 = 3;

/// What a call takes that is like most.
const CALL: Duration = Duration::from_micros(20);

/// Transactions that are kept for a thread.
const GIVEN: usize = 16;

/// Transactions that tell how common a name is.
const COMMON: usize = 64;

/// Looks at what is committed before a thread sleeps.
const SPINS: usize = 4_000;

/// On what a block runs.
pub(crate) struct Threads<'a> {
    pub(crate) pool: &'a ThreadPool,
    pub(crate) codes: &'a RevmCache,
    /// What is known, and what will be.
    pub(crate) forecast: &'a Mutex<Forecast>,
    pub(crate) schedule: Schedule,
}

/// What one thread committed at once.
struct Entry {
    by: usize,
    /// The first of its transactions.
    first: usize,
    executed: Vec<Executed>,
}

/// What the threads share.
struct Queue {
    /// The next transaction that nobody has taken.
    next: usize,
    log: Vec<Arc<Entry>>,
    gas: BlockGas,
    error: Option<ExecuteError>,
    /// Units that had to run again.
    conflicts: u64,
    sleeping: usize,
    /// Conflicts are so many that the first thread does the rest alone.
    alone: bool,
    forecast: Forecast,
    /// Who took the last transaction with a name that something is known of.
    takers: HashMap<u64, (usize, usize)>,
    /// Units that stood on one that was stale, in order: whoever comes next runs them again.
    returned: BTreeMap<usize, usize>,
    /// What each thread has been given, and the end of the last of it.
    given: Vec<VecDeque<Range<usize>>>,
    ends: Vec<usize>,
}

impl Queue {
    /// The next unit for a thread, behind its own that wait and end at `behind`, or at its turn. A transaction that will conflict
    /// with one that another thread has under way is given to that thread, which runs it on top of the other.
    fn take(&mut self, worker: &Worker<'_, '_, '_>, behind: usize, committed: usize) -> Option<Range<usize>> {
        let (Shared { txs, names, .. }, thread) = (worker.shared, worker.number);
        if self.alone {
            return None;
        }
        if let Some(range) = self.at_turn(thread, committed) {
            return Some(range);
        }
        let given = self.given[thread].front().map_or(usize::MAX, |range| range.start);
        if let Some(entry) = self.returned.first_entry()
            && (behind..given).contains(entry.key())
        {
            return Some(*entry.key()..entry.remove());
        }
        if let Some(range) = self.given[thread].pop_front_if(|range| range.start >= behind) {
            return Some(range);
        }
        let most = worker.unit();
        while self.next < txs.len() {
            let index = self.next;
            self.next += 1;
            match self.rival(index, thread, names, committed) {
                Some(rival) if self.given[rival].len() < GIVEN && self.ends[rival] <= index => {
                    self.give(index..index + 1, rival, names);
                    self.given[rival].push_back(index..index + 1);
                }
                _ => {
                    let goes_on = |queue: &mut Self| {
                        queue.next < (index + most).min(txs.len())
                            && queue.rival(queue.next, thread, names, committed).is_none()
                    };
                    while goes_on(self) {
                        self.next += 1;
                    }
                    self.give(index..self.next, thread, names);
                    return Some(index..self.next);
                }
            }
        }
        // Better a conflict, perhaps, than nothing.
        let other = self.given.iter_mut().max_by_key(|given| given.len())?;
        let range = other.pop_back_if(|range| range.start >= behind)?;
        self.ends[thread] = self.ends[thread].max(range.end);
        Some(range)
    }

    /// What a thread must run now, whatever waits there: its turn has come.
    fn at_turn(&mut self, thread: usize, committed: usize) -> Option<Range<usize>> {
        if let Some(entry) = self.returned.first_entry()
            && *entry.key() == committed
        {
            return Some(*entry.key()..entry.remove());
        }
        self.given[thread].pop_front_if(|range| range.start == committed)
    }

    /// Another thread that has a transaction under way which this one had better not run beside.
    fn rival(&mut self, index: usize, thread: usize, names: &[Names], committed: usize) -> Option<usize> {
        if self.forecast.is_empty() {
            return None;
        }
        let mut rival = None;
        for name in names[index].iter() {
            let Some((taker, taken)) = self.takers.get(&name) else { continue };
            if *taker == thread || *taken < committed {
                continue;
            }
            if self.forecast.is_hot(name) {
                rival = rival.or(Some(*taker));
            } else {
                self.forecast.tried(name);
            }
        }
        rival
    }

    fn give(&mut self, range: Range<usize>, thread: usize, names: &[Names]) {
        self.ends[thread] = self.ends[thread].max(range.end);
        if self.forecast.is_empty() {
            return;
        }
        for index in range {
            for name in names[index].iter().filter(|name| self.forecast.knows(*name)) {
                self.takers.insert(name, (thread, index));
            }
        }
    }
}

struct Shared<'b> {
    env: &'b BlockEnv,
    txs: &'b [Transaction],
    senders: &'b [Address],
    names: &'b [Names],
    schedule: Schedule,
    queue: Mutex<Queue>,
    news: Condvar,
    /// Transactions that are committed; more than there are where the block has ended early.
    committed: AtomicUsize,
}

impl Shared<'_> {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn committed(&self) -> usize {
        self.committed.load(Ordering::Acquire)
    }

    /// Nothing more is committed.
    fn end(&self, error: Option<ExecuteError>) {
        let mut queue = self.queue();
        queue.error = queue.error.take().or(error);
        self.committed.store(usize::MAX, Ordering::Release);
        drop(queue);
        self.news.notify_all();
    }

    /// Appends what a thread has committed: the transactions from the first that is not yet.
    fn publish(&self, by: usize, executed: Vec<Executed>, gas: BlockGas) {
        let mut queue = self.queue();
        queue.gas = gas;
        let first = self.committed();
        if first == usize::MAX {
            return;
        }
        let committed = first + executed.len();
        queue.log.push(Arc::new(Entry { by, first, executed }));
        self.committed.store(committed, Ordering::Release);
        let wakes = queue.sleeping > 0 || committed == self.txs.len();
        drop(queue);
        if wakes {
            self.news.notify_all();
        }
    }

    /// Waits until more is committed than `known`, or one thread does the rest.
    fn wait(&self, known: usize) {
        for _ in 0..SPINS {
            if self.committed() != known {
                return;
            }
            std::hint::spin_loop();
        }
        let mut queue = self.queue();
        queue.sleeping += 1;
        while self.committed() == known && !queue.alone {
            queue = self.news.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.sleeping -= 1;
    }
}

/// Ends the block if its thread panics.
struct Alarm<'s, 'b>(&'s Shared<'b>);

impl Drop for Alarm<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.end(None);
        }
    }
}

/// A unit that was stale, and how often.
struct Again {
    range: Range<usize>,
    times: u32,
}

/// One thread's part.
struct Worker<'s, 'b, 'a> {
    shared: &'s Shared<'b>,
    number: usize,
    replica: Replica<'a>,
    /// Entries of the log that the replica stands on.
    seen: usize,
    /// Taken, and to run again, in order; all of them behind what waits in the replica.
    again: VecDeque<Again>,
    /// Of a transaction, in the mean.
    nanos: f64,
    random: Option<u64>,
}

impl Worker<'_, '_, '_> {
    /// Until the block is done.
    fn work(&mut self) {
        let shared = self.shared;
        loop {
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
                    Ok(true) if self.commit_first(range) => {}
                    Ok(true) => return,
                    // What cannot be read is told of by the transaction that needs it.
                    Ok(false) | Err(_) => {
                        let stale = self.replica.take_back_from(0);
                        self.put_back(stale);
                    }
                }
                continue;
            }
            if shared.queue().alone {
                return self.alone();
            }
            if self.again.front().is_some_and(|again| again.range.start == committed) {
                let Some(Again { range, .. }) = self.again.pop_front() else { continue };
                if !self.run_in_turn(range) {
                    return;
                }
                continue;
            }
            if !self.speculate() {
                shared.wait(committed);
            }
        }
    }

    /// Waits at random, if the schedule says so.
    fn pause(&mut self) {
        let Some(random) = &mut self.random else { return };
        let next = splitmix(random);
        match next % 8 {
            0 => std::thread::sleep(Duration::from_nanos(next >> 48)),
            1..3 => std::thread::yield_now(),
            _ => {}
        }
    }

    /// The rest of the block by the first thread, each transaction at its turn; the others let it have what they hold.
    fn alone(&mut self) {
        let shared = self.shared;
        self.give_back();
        let mut queue = shared.queue();
        let given = std::mem::take(&mut queue.given[self.number]);
        let held = self.again.drain(..).map(|again| again.range).chain(given);
        queue.returned.extend(held.map(|range| (range.start, range.end)));
        if self.number > 0 {
            while shared.committed() < shared.txs.len() {
                queue = shared.news.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            return;
        }
        drop(queue);
        loop {
            let committed = self.catch_up();
            if committed >= shared.txs.len() {
                return;
            }
            let mut queue = shared.queue();
            let mut next = queue.at_turn(self.number, committed);
            if next.is_none() && queue.next == committed {
                queue.next = (committed + shared.schedule.largest_unit.max(1)).min(shared.txs.len());
                next = Some(committed..queue.next);
            }
            drop(queue);
            match next {
                Some(range) => {
                    if !self.run_in_turn(range) {
                        return;
                    }
                }
                // Another thread still has it.
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
        let news = queue.log[self.seen..].to_vec();
        let committed = shared.committed();
        drop(queue);
        self.seen += news.len();
        for entry in news {
            if entry.by == self.number {
                continue;
            }
            for (index, executed) in entry.executed.iter().enumerate() {
                let stale = self.replica.bring(&executed.outcome);
                if let Some(first) = stale.first() {
                    self.learn(entry.first + index, first.clone());
                }
                self.put_back(stale);
            }
        }
        committed
    }

    /// A unit was stale by a transaction.
    fn learn(&self, by: usize, unit: Range<usize>) {
        let names = self.shared.names;
        let others = &names[by..(by + COMMON).min(names.len())];
        let mut queue = self.shared.queue();
        unit.for_each(|index| queue.forecast.conflict(&names[by], &names[index], others));
    }

    /// The first of these was stale, or must run at its turn; the others stood on it.
    fn put_back(&mut self, stale: Vec<Range<usize>>) {
        let mut stale = stale.into_iter();
        let Some(first) = stale.next() else { return };
        let mut queue = self.shared.queue();
        queue.conflicts += 1;
        queue.alone |= queue.conflicts >= MANY && MOST * queue.conflicts > queue.log.len() as u64;
        queue.returned.extend(stale.map(|range| (range.start, range.end)));
        let wakes = queue.alone;
        drop(queue);
        if wakes {
            self.shared.news.notify_all();
        }
        self.again.push_front(Again { range: first, times: 1 });
    }

    /// Lets others have what waits here.
    fn give_back(&mut self) {
        let waiting = self.replica.take_back_from(0);
        self.shared.queue().returned.extend(waiting.into_iter().map(|range| (range.start, range.end)));
    }

    /// What a unit may hold to take as long as it should.
    fn unit(&self) -> usize {
        let Schedule { unit, largest_unit, .. } = self.shared.schedule;
        ((unit.as_nanos() as f64 / self.nanos) as usize).clamp(1, largest_unit.max(1))
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
        self.publish(executed, gas);
        true
    }

    /// Runs and commits the unit whose turn it is; `false` where the block ends with it.
    fn run_in_turn(&mut self, range: Range<usize>) -> bool {
        self.give_back();
        let Shared { env, txs, senders, .. } = self.shared;
        let mut gas = self.shared.queue().gas;
        let mut done = Vec::with_capacity(range.len());
        for index in range {
            let ran = gas.check(env, &txs[index]).map_err(TxError::from);
            let ran = ran.and_then(|()| self.replica.run_in_turn(&txs[index], senders[index]));
            match ran {
                Ok(executed) => {
                    gas.add(&txs[index], executed.outcome.gas_used);
                    done.push(executed);
                }
                Err(error) => return self.fail(index, error),
            }
        }
        self.publish(done, gas);
        true
    }

    fn publish(&mut self, executed: Vec<Executed>, gas: BlockGas) {
        self.pause();
        self.shared.publish(self.number, executed, gas);
    }

    fn fail(&self, index: usize, error: TxError) -> bool {
        self.shared.end(Some(ExecuteError::at(index, error)));
        false
    }

    /// Runs a unit ahead of its turn, if there is one and it may stand on what waits.
    fn speculate(&mut self) -> bool {
        let shared = self.shared;
        let full = self.replica.ahead().is_none_or(|ahead| ahead >= shared.schedule.ahead);
        let range = match self.again.front() {
            _ if full => shared.queue().at_turn(self.number, shared.committed()),
            // What was stale twice waits for its turn.
            Some(again) if again.times > 1 => return false,
            Some(_) => self.again.pop_front().map(|again| again.range),
            None => shared.queue().take(self, self.replica.end(), shared.committed()),
        };
        let Some(range) = range else { return false };
        if range.start < self.replica.end() {
            // It is its turn, and what waits here comes after it.
            self.give_back();
        }
        let (start, count) = (Instant::now(), range.len());
        self.replica.speculate(range, shared.txs, shared.senders);
        let nanos = start.elapsed().as_nanos() as f64 / count as f64;
        self.nanos += 0.25 * (nanos - self.nanos);
        true
    }
}

/// Executes decoded transactions in order on the calling thread.
///
/// # Errors
/// As [`execute`].
fn in_order(
    env: &BlockEnv,
    txs: &[Transaction],
    senders: &[Address],
    state: &dyn StateRef,
    cache: &RevmCache,
    report: &mut ExecutionReport,
) -> Result<Vec<TxOutcome>, ExecuteError> {
    let mut replica = Replica::new(env, state, cache).map_err(ExecuteError::Block)?;
    let mut gas = BlockGas::default();
    let mut outcomes = Vec::with_capacity(txs.len());
    for (index, (tx, sender)) in txs.iter().zip(senders).enumerate() {
        let ran = gas.check(env, tx).map_err(TxError::from).and_then(|()| replica.run_in_turn(tx, *sender));
        let Executed { outcome, is_call, .. } = ran.map_err(|error| ExecuteError::at(index, error))?;
        gas.add(tx, outcome.gas_used);
        report.cpu.add(is_call, outcome.gas_used);
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// Executes decoded transactions in order on all threads of a pool.
///
/// # Errors
/// The first transaction that may not stand at its place, or whose state could not be read.
pub(crate) fn execute(
    env: &BlockEnv,
    txs: &[Transaction],
    senders: &[Address],
    state: &dyn StateRef,
    threads: &Threads<'_>,
    report: &mut ExecutionReport,
) -> Result<Vec<TxOutcome>, ExecuteError> {
    let Threads { pool, codes, forecast, schedule } = *threads;
    let mut clock = Instant::now();
    let count = pool.current_num_threads().min(txs.len());
    if count < 2 || txs.len() < schedule.from || expected(txs) < schedule.least {
        let outcomes = in_order(env, txs, senders, state, codes, report);
        lap(&mut report.time.fallback, &mut clock);
        return outcomes;
    }
    let names: Vec<_> = txs.iter().zip(senders).map(|(tx, sender)| Names::of(tx, sender)).collect();
    let queue = Queue {
        next: 0,
        log: Vec::new(),
        gas: BlockGas::default(),
        error: None,
        conflicts: 0,
        sleeping: 0,
        alone: false,
        forecast: std::mem::take(&mut *forecast.lock().unwrap_or_else(PoisonError::into_inner)),
        takers: HashMap::default(),
        returned: BTreeMap::new(),
        given: vec![VecDeque::new(); count],
        ends: vec![0; count],
    };
    let shared = Shared {
        env,
        txs,
        senders,
        names: &names,
        schedule,
        queue: Mutex::new(queue),
        news: Condvar::new(),
        committed: AtomicUsize::new(0),
    };
    // Whether the environment can be had at all is found out once.
    check_env(env).map_err(ExecuteError::Block)?;
    let work = |number: usize| {
        let _alarm = Alarm(&shared);
        // revm cannot be sent to another thread, so it is made here.
        if let Ok(replica) = Replica::new(env, state, codes) {
            let random = schedule.delays.map(|seed| splitmix(&mut (seed ^ number as u64)));
            let again = VecDeque::new();
            let mut worker = Worker { shared: &shared, number, replica, seen: 0, again, nanos: 40_000.0, random };
            worker.work();
        }
    };
    pool.in_place_scope(|scope| {
        for number in 1..count {
            let work = &work;
            scope.spawn(move |_| work(number));
        }
        work(0);
    });
    let queue = shared.queue.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.conflicts += queue.conflicts;
    let mut known = queue.forecast;
    known.fade();
    *forecast.lock().unwrap_or_else(PoisonError::into_inner) = known;
    let mut outcomes = Vec::with_capacity(txs.len());
    let entries = queue.log.into_iter().filter_map(Arc::into_inner);
    for executed in entries.flat_map(|entry| entry.executed) {
        report.cpu.add(executed.is_call, executed.outcome.gas_used);
        outcomes.push(executed.outcome);
    }
    lap(&mut report.time.fallback, &mut clock);
    match queue.error {
        Some(error) => Err(error),
        None => Ok(outcomes),
    }
}
