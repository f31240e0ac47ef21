//! Executes an ordered block on CPU threads: each runs units of transactions ahead of their turn, on a state of its own that is
//! kept up with what the others commit, and commits them in order. What is stale by then runs again in its place.

mod ahead;
mod division;
mod in_order;
mod interrupt;
#[cfg(test)]
mod model;
mod opening;
mod pace;
mod progress;
mod queue;
mod shared;
mod track;
mod worker;

use crate::{
    block::BlockEnv,
    error::ExecuteError,
    evm::{Replica, RevmCache, check_env},
    forecast::{Call, Forecast, TRANSFER},
    fork::Fork,
    linger::{Leavings, Linger},
    outcome::TxOutcome,
    report::{ExecutionReport, lap},
    state::StateRef,
    tx::Transaction,
};
use alloy_primitives::Address;
use in_order::InOrder;
use interrupt::Delays;
pub(crate) use interrupt::Interrupts;
use opening::Opening;
pub(crate) use progress::Progress;
use rayon::ThreadPool;
use shared::{Presence, Shared};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use worker::Worker;

/// How an ordered block is divided among CPU threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Transactions from which on a block runs so. By default none does, for machines whose cores are busy elsewhere lose by it.
    pub from: usize,
    /// What must be expected to be gained by that.
    pub least: Duration,
    /// What handing over a transaction takes, as far as that is expected.
    pub handover: Duration,
    /// What a unit is meant to take: long against handing over, short against waiting for it.
    pub unit: Duration,
    /// Transactions of a unit at most.
    pub largest_unit: usize,
    /// Transactions that may wait for their turn on each of the journals of a thread, which are two.
    pub ahead: usize,
    /// For tests: lets every thread wait at random where it could meet others, by this seed.
    pub delays: Option<u64>,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            from: usize::MAX,
            least: Duration::from_micros(200),
            handover: Duration::from_micros(1),
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

    /// Whether so many threads pay for so many transactions, whose calls will take so long on one. A transfer takes no longer than handing
    /// over what it did.
    fn pays(&self, threads: usize, txs: usize, in_calls: Duration) -> bool {
        let handover = self.handover.saturating_mul(txs.try_into().unwrap_or(u32::MAX));
        let divided = (in_calls / threads.max(1) as u32).saturating_add(handover);
        threads >= 2 && txs >= self.from && in_calls >= divided.saturating_add(self.least)
    }
}

/// Whether blocks of a fork can run so. Before Spurious Dragon an account may be empty or not exist, which a journal over several
/// transactions mixes up; Amsterdam's rules are not in it.
pub(crate) fn supports(fork: Fork) -> bool {
    (Fork::SpuriousDragon..Fork::Amsterdam).contains(&fork)
}

/// On what a block runs.
pub(crate) struct Threads<'a> {
    pub(crate) pool: &'a ThreadPool,
    pub(crate) linger: &'a Linger,
    pub(crate) codes: &'a RevmCache,
    /// What is known, and what will be.
    pub(crate) forecast: &'a Mutex<Forecast>,
    pub(crate) schedule: Schedule,
    /// For tests.
    pub(crate) interrupts: Option<&'a dyn Interrupts>,
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
    let Threads { pool, forecast, schedule, interrupts, .. } = *threads;
    let mut clock = Instant::now();
    let count = pool.current_num_threads().min(txs.len());
    // Whether the environment can be had at all is found out once.
    check_env(env).map_err(ExecuteError::Block)?;
    let mut known = std::mem::take(&mut *forecast.lock().unwrap_or_else(PoisonError::into_inner));
    let calls: Vec<_> = txs.iter().map(|tx| known.call(tx)).collect();
    let costs: Vec<_> = txs.iter().zip(&calls).map(|(tx, call)| Forecast::cost(tx, call.as_ref())).collect();
    let in_calls: Duration = costs.iter().map(|cost| *cost - TRANSFER).sum();
    let block = Block { env, txs, senders, state, calls: &calls, costs: &costs, begun: clock };
    let pays = |in_calls: Duration| schedule.pays(count, txs.len(), in_calls);
    let mut worth = pays(in_calls);
    let mut begun = None;
    if worth
        && interrupts.is_none()
        && let Some(doubtful) = InOrder::doubtful(&block, in_calls)
        && let Ok(mut first) = InOrder::new(&block, threads)
    {
        let takes = first.try_out(&block, doubtful);
        worth = pays(in_calls - doubtful + takes) && first.len() < txs.len();
        begun = Some(first);
    }
    let done = if worth { on_threads(&block, count, threads, &mut begun, &mut known, report) } else { None };
    let in_order = || begun.map_or_else(|| InOrder::new(&block, threads), Ok);
    let outcomes = done.unwrap_or_else(|| in_order()?.finish(&block, threads, &mut known, report));
    lap(&mut report.time.fallback, &mut clock);
    known.fade();
    put(forecast, known);
    outcomes
}

/// A block, what is known of the call of each transaction, and what it will take.
struct Block<'a, 'b> {
    env: &'b BlockEnv,
    txs: &'b [Transaction],
    senders: &'b [Address],
    state: &'a dyn StateRef,
    calls: &'b [Option<Call>],
    costs: &'b [Duration],
    /// When its execution began.
    begun: Instant,
}

/// Executes a block on so many threads, from where it stands if it has `begun`; `None` where one had better do it, all of it if that is
/// taken.
fn on_threads<'a>(
    block: &Block<'a, '_>,
    count: usize,
    threads: &Threads<'_>,
    begun: &mut Option<InOrder<'a>>,
    known: &mut Forecast,
    report: &mut ExecutionReport,
) -> Option<Result<Vec<TxOutcome>, ExecuteError>> {
    let Block { env, txs, state, .. } = *block;
    let Threads { pool, linger, codes, schedule, interrupts, .. } = *threads;
    let delays = schedule.delays.map(|seed| Delays::new(seed, count));
    let interrupts = interrupts.or(delays.as_ref().map(|delays| delays as &dyn Interrupts));
    let make = || Replica::new(env, state, codes).ok();
    let left = Mutex::<Vec<Leavings>>::default();
    let new = || {
        let mut replica = make()?;
        replica.reserve(txs.len());
        Some(replica)
    };
    let work = |shared: &Shared<'_>, number: usize, first: Option<Replica<'a>>, last: &mut dyn FnMut()| {
        // revm cannot be sent to another thread, so it is made there. Without it the others do all.
        let Some(replica) = first.or_else(new) else { return };
        let mut presence = Presence::new(shared, number);
        let mut worker = Worker::new(shared, number, replica, &make);
        worker.work();
        worker.tell();
        presence.leave();
        last();
        // What they have read takes a while to drop, and nobody waits for that.
        left.lock().unwrap_or_else(PoisonError::into_inner).extend(worker.end());
    };
    let opening = Opening::default();
    let mut done = None;
    pool.in_place_scope(|scope| {
        // Waking them takes as long as planning does.
        for number in 1..count {
            let (work, opening) = (&work, &opening);
            scope.spawn(move |_| opening.wait().into_iter().for_each(|shared| work(shared, number, None, &mut || {})));
        }
        let mut first = None;
        let opens = opening.open(|| {
            let from = begun.as_ref().map_or(0, InOrder::len);
            let shared = Shared::plan(block, from, count, schedule, interrupts, known)?;
            first = begun.take().map(|begun| begun.hand_over(block)).map(|(replica, begun)| {
                shared.begin(begun);
                replica
            });
            Some(shared)
        });
        if let Some(shared) = opens {
            work(shared, 0, first, &mut || done = Some(gather(shared, report)));
        }
    });
    linger.leave(pool, left.into_inner().unwrap_or_else(PoisonError::into_inner));
    let queue = opening.into_inner()?.queue.into_inner().unwrap_or_else(PoisonError::into_inner);
    *known = queue.forecast;
    if let Some(error) = queue.error {
        return Some(Err(error));
    }
    report.begun_anew += u64::from(queue.abandoned);
    done.filter(|_| !queue.abandoned).map(Ok)
}

/// Puts back what is known, to what a block that ran beside has taught meanwhile.
fn put(forecast: &Mutex<Forecast>, known: Forecast) {
    let mut held = forecast.lock().unwrap_or_else(PoisonError::into_inner);
    let other = std::mem::replace(&mut *held, known);
    held.merge(other);
}

/// All that was committed, in order, when the calling thread finds nothing more to do; and what is learned of it.
fn gather(shared: &Shared<'_>, report: &mut ExecutionReport) -> Vec<TxOutcome> {
    let mut queue = shared.queue();
    let log = std::mem::take(&mut queue.log);
    if queue.abandoned {
        return Vec::new();
    }
    drop(queue);
    // They hold parts of it.
    shared.wait_for_others(0);
    let mut queue = shared.queue();
    report.conflicts += queue.conflicts;
    report.timeline = std::mem::take(&mut *shared.timeline.lock().unwrap_or_else(PoisonError::into_inner));
    report.timeline.sort_unstable_by_key(|span| span.to);
    let mut outcomes = Vec::with_capacity(shared.txs.len());
    let entries = log.into_iter().filter_map(Arc::into_inner);
    let txs = shared.txs.iter().zip(shared.calls);
    for ((tx, call), executed) in txs.zip(entries.flat_map(|entry| entry.executed)) {
        queue.forecast.learn_cost(tx, call.as_ref(), executed.took);
        report.cpu.add(executed.is_call, executed.outcome.gas_used);
        outcomes.push(executed.outcome);
    }
    outcomes
}
