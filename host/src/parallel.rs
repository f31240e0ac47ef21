//! Executes an ordered block on CPU threads: each runs units of transactions ahead of their turn, on a state of its own that is
//! kept up with what the others commit, and commits them in order. What is stale by then runs again in its place.

use crate::{
    block::BlockEnv,
    error::{ExecuteError, TxError},
    evm::{BlockGas, Executed, Left, Replica, RevmCache, check_env},
    forecast::{Forecast, Names, Plan, TRANSFER},
    fork::Fork,
    outcome::TxOutcome,
    random::splitmix,
    report::{ExecutionReport, lap},
    state::StateRef,
    tx::Transaction,
};
use alloy_primitives::{
    Address,
    map::{HashMap, HashSet},
};
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

/// Conflicts from which on a block may be one for one thread, and of how many units committed one must have been in conflict.
const MANY: u64 = 32;
const MOST: u64 = 2;

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
    /// Whose replica has it already.
    by: Option<usize>,
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
    /// Units that were stale, or stood on one, by where they begin: whoever comes next runs them again.
    returned: BTreeMap<usize, Returned>,
    /// Where units began that were stale.
    stale: HashSet<usize>,
    /// Whether somebody has a transaction, or was given it.
    taken: Vec<bool>,
    /// What each thread has been given, and the end of the last of it.
    given: Vec<VecDeque<Range<usize>>>,
    ends: Vec<usize>,
}

/// A unit to run again.
struct Returned {
    end: usize,
    /// Not before its turn.
    at_turn: bool,
}

/// What a thread is to do next.
enum Next {
    AtTurn(Range<usize>),
    Ahead(Range<usize>),
    Nothing,
}

impl Queue {
    /// The next unit for a thread, behind its own that wait and end at `behind`, or at its turn. A transaction that will conflict
    /// with one that another thread has under way is given to that thread, which runs it on top of the other.
    fn take(&mut self, worker: &Worker<'_, '_, '_>, committed: usize) -> Next {
        let (Shared { txs, names, schedule, .. }, thread) = (worker.shared, worker.number);
        if self.alone {
            return Next::Nothing;
        }
        if let Some(range) = self.at_turn(committed) {
            return Next::AtTurn(range);
        }
        if self.next == committed && committed < txs.len() {
            return Next::AtTurn(self.unit(committed, worker, committed));
        }
        // Behind its own that wait.
        let behind = worker.replica.end();
        if worker.replica.ahead().is_none_or(|ahead| ahead >= schedule.ahead) {
            return Next::Nothing;
        }
        let given = self.given[thread].front().map_or(usize::MAX, |range| range.start);
        let again = self.returned.range(behind..given.max(behind)).find(|(_, returned)| !returned.at_turn);
        if let Some(start) = again.map(|(start, _)| *start)
            && let Some(returned) = self.returned.remove(&start)
        {
            return Next::Ahead(start..returned.end);
        }
        if let Some(range) = self.given[thread].pop_front_if(|range| range.start >= behind) {
            return Next::Ahead(range);
        }
        let mut index = self.next.max(behind);
        while index < txs.len() {
            if self.taken[index] {
                index += 1;
                continue;
            }
            match self.rival(index, thread, names, committed) {
                Some(rival) if self.given[rival].len() < GIVEN && self.ends[rival] <= index => {
                    self.give(index..index + 1, rival, names);
                    self.given[rival].push_back(index..index + 1);
                }
                _ => return Next::Ahead(self.unit(index, worker, committed)),
            }
        }
        // Better a conflict, perhaps, than nothing.
        let other = self.given.iter_mut().max_by_key(|given| given.len());
        let Some(range) = other.and_then(|other| other.pop_back_if(|range| range.start >= behind)) else {
            return Next::Nothing;
        };
        self.ends[thread] = self.ends[thread].max(range.end);
        Next::Ahead(range)
    }

    /// As much from a transaction on as a thread should run at once, and nobody else has taken or should.
    fn unit(&mut self, index: usize, worker: &Worker<'_, '_, '_>, committed: usize) -> Range<usize> {
        let Shared { txs, names, costs, schedule, .. } = worker.shared;
        let mut left = schedule.unit.saturating_sub(costs[index]);
        let mut end = index + 1;
        while end < (index + schedule.largest_unit).min(txs.len())
            && !self.taken[end]
            && costs[end] <= left
            && self.rival(end, worker.number, names, committed).is_none()
        {
            left -= costs[end];
            end += 1;
        }
        self.give(index..end, worker.number, names);
        index..end
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

    /// Gives a thread a chain of transactions before the block begins.
    fn plan(&mut self, chain: &[usize], thread: usize, names: &[Names]) {
        for index in chain.iter().copied() {
            self.given[thread].push_back(index..index + 1);
            self.give(index..index + 1, thread, names);
        }
    }

    fn put_back(&mut self, range: Range<usize>, at_turn: bool) {
        self.returned.insert(range.start, Returned { end: range.end, at_turn });
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
        self.take_from_all(range.clone());
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
    /// What each transaction will take.
    costs: &'b [Duration],
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
    fn publish(&self, by: Option<usize>, executed: Vec<Executed>, gas: BlockGas) {
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

/// One thread's part.
struct Worker<'s, 'b, 'a> {
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
                        let stale = self.replica.take_back_first();
                        self.put_back(stale);
                    }
                }
                continue;
            }
            let mut queue = shared.queue();
            if queue.alone {
                drop(queue);
                return self.alone();
            }
            let next = queue.take(self, shared.committed());
            drop(queue);
            match next {
                Next::AtTurn(range) => {
                    if !self.run_in_turn(range) {
                        return;
                    }
                }
                Next::Ahead(range) => self.speculate(range),
                Next::Nothing => shared.wait(committed),
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
        let waiting = self.replica.take_back_all();
        let mut queue = shared.queue();
        waiting.into_iter().for_each(|range| queue.put_back(range, true));
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
            let mut next = queue.at_turn(committed);
            if next.is_none() && queue.next == committed {
                let most = committed + shared.schedule.largest_unit.max(1);
                let untaken = queue.taken[committed..].iter().take_while(|taken| !**taken).count();
                let range = committed..most.min(committed + untaken);
                queue.take_from_all(range.clone());
                next = Some(range);
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
            if entry.by == Some(self.number) {
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

    /// These were stale, or stood on one that was.
    fn put_back(&mut self, stale: Vec<Range<usize>>) {
        if stale.is_empty() {
            return;
        }
        let mut queue = self.shared.queue();
        queue.conflicts += stale.len() as u64;
        queue.alone |= queue.conflicts >= MANY && MOST * queue.conflicts > queue.log.len() as u64;
        for range in stale {
            // What was stale twice waits for its turn.
            let again = !queue.stale.insert(range.start);
            queue.put_back(range, again);
        }
        let wakes = queue.alone;
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

    /// Runs and commits the unit whose turn it is; `false` where the block ends with it.
    fn run_in_turn(&mut self, range: Range<usize>) -> bool {
        let shared = self.shared;
        let mut gas = shared.queue().gas;
        let waits = self.replica.first().is_some();
        if waits && self.beside.is_none() {
            self.beside = (self.make)();
        }
        let beside = waits && self.beside.is_some();
        let replica = if beside && let Some(replica) = &mut self.beside {
            let news = shared.queue().log[self.seen_beside..].to_vec();
            self.seen_beside += news.len();
            for executed in news.iter().flat_map(|entry| &entry.executed) {
                replica.bring(&executed.outcome);
            }
            replica
        } else {
            self.catch_up();
            let waiting = self.replica.take_back_all();
            self.put_back(waiting);
            &mut self.replica
        };
        let mut done = Vec::with_capacity(range.len());
        for index in range {
            let tx = &shared.txs[index];
            let ran = gas.check(shared.env, tx).map_err(TxError::from);
            match ran.and_then(|()| replica.run_in_turn(tx, shared.senders[index])) {
                Ok(executed) => {
                    gas.add(tx, executed.outcome.gas_used);
                    done.push(executed);
                }
                Err(error) => return self.fail(index, error),
            }
        }
        if beside {
            self.seen_beside += 1;
        }
        self.publish((!beside).then_some(self.number), done, gas);
        true
    }

    fn publish(&mut self, by: Option<usize>, executed: Vec<Executed>, gas: BlockGas) {
        self.pause();
        self.shared.publish(by, executed, gas);
    }

    fn fail(&self, index: usize, error: TxError) -> bool {
        self.shared.end(Some(ExecuteError::at(index, error)));
        false
    }

    /// Runs a unit ahead of its turn, on top of what waits.
    fn speculate(&mut self, range: Range<usize>) {
        let shared = self.shared;
        let left = self.replica.speculate(range, shared.txs, shared.senders);
        match left {
            Left::Nothing => {}
            Left::AtTurn(range) => shared.queue().put_back(range, true),
            Left::Other(range) => shared.queue().put_back(range, false),
        }
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
    known: &mut Forecast,
    report: &mut ExecutionReport,
) -> Result<Vec<TxOutcome>, ExecuteError> {
    let mut replica = Replica::new(env, state, cache).map_err(ExecuteError::Block)?;
    let mut gas = BlockGas::default();
    let mut outcomes = Vec::with_capacity(txs.len());
    for (index, (tx, sender)) in txs.iter().zip(senders).enumerate() {
        let ran = gas.check(env, tx).map_err(TxError::from).and_then(|()| replica.run_in_turn(tx, *sender));
        let Executed { outcome, is_call, took, .. } = ran.map_err(|error| ExecuteError::at(index, error))?;
        if !took.is_zero() {
            known.learn_cost(tx, took);
        }
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
    let mut known = std::mem::take(&mut *forecast.lock().unwrap_or_else(PoisonError::into_inner));
    let costs: Vec<_> = txs.iter().map(|tx| known.cost(tx)).collect();
    // A transfer takes no longer than handing over what it did.
    let calls: Duration = costs.iter().map(|cost| *cost - TRANSFER).sum();
    let worth = count >= 2 && txs.len() >= schedule.from && calls >= schedule.least;
    let names = worth.then(|| txs.iter().zip(senders).map(|(tx, sender)| Names::of(tx, sender)).collect::<Vec<_>>());
    let plan = names.as_ref().and_then(|names| Plan::of(names, &costs, &known, count));
    let (Some(names), Some(plan)) = (names, plan) else {
        let outcomes = in_order(env, txs, senders, state, codes, &mut known, report);
        lap(&mut report.time.fallback, &mut clock);
        *forecast.lock().unwrap_or_else(PoisonError::into_inner) = known;
        return outcomes;
    };
    let mut queue = Queue {
        next: 0,
        log: Vec::new(),
        gas: BlockGas::default(),
        error: None,
        conflicts: 0,
        sleeping: 0,
        alone: false,
        forecast: known,
        takers: HashMap::default(),
        returned: BTreeMap::new(),
        stale: HashSet::default(),
        taken: vec![false; txs.len()],
        given: vec![VecDeque::new(); count],
        ends: vec![0; count],
    };
    for (chain, thread) in plan.chains.iter().zip((0..count).rev()) {
        queue.plan(chain, thread, &names);
    }
    let shared = Shared {
        env,
        txs,
        senders,
        names: &names,
        costs: &costs,
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
        let make = || Replica::new(env, state, codes).ok();
        if let Some(replica) = make() {
            let random = schedule.delays.map(|seed| splitmix(&mut (seed ^ number as u64)));
            let (seen, beside, seen_beside) = (0, None, 0);
            let mut worker =
                Worker { shared: &shared, number, replica, seen, beside, seen_beside, make: &make, random };
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
    let mut outcomes = Vec::with_capacity(txs.len());
    let entries = queue.log.into_iter().filter_map(Arc::into_inner);
    for (tx, executed) in txs.iter().zip(entries.flat_map(|entry| entry.executed)) {
        if !executed.took.is_zero() {
            known.learn_cost(tx, executed.took);
        }
        report.cpu.add(executed.is_call, executed.outcome.gas_used);
        outcomes.push(executed.outcome);
    }
    *forecast.lock().unwrap_or_else(PoisonError::into_inner) = known;
    lap(&mut report.time.fallback, &mut clock);
    match queue.error {
        Some(error) => Err(error),
        None => Ok(outcomes),
    }
}
