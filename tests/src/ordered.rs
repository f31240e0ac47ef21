//! Ordered blocks on an engine beside sequential revm: every outcome in all fields, the bundle, the counts; or the very same error.

use crate::{programs::Calls, random::Random, rivals::Block, states::Silent};
use alloy_primitives::KECCAK256_EMPTY;
use lockstep::{
    backend::BackendKind,
    commit::Committed,
    engine::Engine,
    error::{ExecuteError, TxError},
    evm::{self, BlockGas, Revm},
    outcome::TxOutcome,
    parallel::Schedule,
    plan::is_call,
    report::{ExecutionReport, RouteCount, Runner},
    state::StateRef,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

/// What sequential revm makes of a block.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The outcomes, or why there are none.
    pub result: Result<Vec<TxOutcome>, ExecuteError>,
    counts: RouteCount,
}

/// A schedule that divides even small blocks, its figures drawn by a seed.
pub fn schedule(seed: u64) -> Schedule {
    let mut random = Random(seed ^ 0x7363_6865_6475_6c65);
    Schedule {
        from: 1,
        least: Duration::ZERO,
        handover: Duration::ZERO,
        unit: random.pick(&[
            Duration::ZERO,
            Duration::from_micros(40),
            Duration::from_millis(1),
            Duration::from_secs(1),
        ]),
        largest_unit: random.pick(&[1, 2, 3, 8, 32]),
        ahead: random.pick(&[1, 2, 8, 64, 512]),
        delays: random.chance(75).then_some(seed),
    }
}

/// An engine whose blocks run by the schedule of a seed.
///
/// # Errors
/// There is no such backend.
pub fn engine(backend: BackendKind, threads: usize, seed: u64) -> Result<Engine, String> {
    let builder = Engine::builder().backend(backend).threads(threads).schedule(schedule(seed));
    builder.build().map_err(|error| error.to_string())
}

/// Runs a block on revm, transaction by transaction.
pub fn judge(calls: &Calls, state: &dyn StateRef) -> Expected {
    let mut counts = RouteCount::default();
    let result = run(calls, state, &mut counts);
    Expected { result, counts }
}

fn run(calls: &Calls, state: &dyn StateRef, counts: &mut RouteCount) -> Result<Vec<TxOutcome>, ExecuteError> {
    let mut revm = Revm::new(&calls.env, Committed::new(state)).map_err(ExecuteError::Block)?;
    let mut gas = BlockGas::default();
    let mut outcomes = Vec::with_capacity(calls.txs.len());
    for (index, (tx, sender)) in calls.txs.iter().zip(&calls.senders).enumerate() {
        let ran = gas.check(&calls.env, tx).map_err(TxError::from).and_then(|()| revm.transact(tx, *sender));
        let outcome = ran.map_err(|error| ExecuteError::at(index, error))?;
        let is_call = is_call(tx, revm.state()).map_err(|source| ExecuteError::State { tx: index, source })?;
        gas.add(tx, outcome.gas_used);
        counts.add(is_call, outcome.gas_used);
        revm.state_mut().commit(&outcome);
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// What differs between an outcome and revm's.
fn difference(outcome: &TxOutcome, expected: &TxOutcome) -> String {
    let without = |outcome: &TxOutcome| TxOutcome { changes: Vec::new(), ..outcome.clone() };
    let (ours, theirs) = (without(outcome), without(expected));
    if ours != theirs {
        return format!("{ours:?}\nrevm: {theirs:?}");
    }
    let ours: Vec<_> = outcome.changes.iter().filter(|change| !expected.changes.contains(change)).collect();
    let theirs: Vec<_> = expected.changes.iter().filter(|change| !outcome.changes.contains(change)).collect();
    format!("{ours:?}\nrevm: {theirs:?}")
}

/// Runs a block on an engine and compares.
///
/// # Errors
/// The first difference; that the engine panicked.
pub fn compare(
    engine: &Engine,
    calls: &Calls,
    state: &dyn StateRef,
    expected: &Expected,
) -> Result<ExecutionReport, String> {
    let mut report = ExecutionReport::default();
    let run = || engine.execute_transactions(&calls.env, &calls.txs, &calls.senders, state, &mut report);
    let got = catch_unwind(AssertUnwindSafe(run)).map_err(|_| "the engine panicked".to_owned())?;
    let (outcomes, expected_outcomes) = match (got, &expected.result) {
        (Ok(outcomes), Ok(expected)) => (outcomes, expected),
        (Err(error), Err(expected)) if error == *expected => return Ok(report),
        (got, expected) => {
            let short = |result: &Result<Vec<TxOutcome>, _>| result.as_ref().map(Vec::len).map_err(Clone::clone);
            return Err(format!("{:?} instead of {:?}", short(&got), short(expected)));
        }
    };
    if outcomes.len() != expected_outcomes.len() {
        return Err(format!("{} outcomes instead of {}", outcomes.len(), expected_outcomes.len()));
    }
    for (tx, (outcome, expected)) in outcomes.iter().zip(expected_outcomes).enumerate() {
        if outcome != expected {
            return Err(format!("transaction {tx}: {}", difference(outcome, expected)));
        }
    }
    let sequential = evm::sequential(&calls.env, &calls.txs, &calls.senders, state)
        .map_err(|(index, error)| format!("revm's own state: transaction {index}: {error}"))?;
    let (mut ours, mut theirs) = (engine.bundle_state(&outcomes), sequential.bundle);
    // The one entry that an outcome cannot tell of, see there.
    ours.contracts.remove(&KECCAK256_EMPTY);
    theirs.contracts.remove(&KECCAK256_EMPTY);
    if ours != theirs {
        return Err("the bundles differ".into());
    }
    let spans = || report.timeline.iter().filter(|span| span.runner == Runner::Cpu);
    let all_on_threads = !report.timeline.is_empty() && spans().count() == report.timeline.len();
    let in_a_span = |tx: usize| spans().any(|span| (span.first..span.first + span.txs).contains(&tx));
    if all_on_threads && !(0..outcomes.len()).all(in_a_span) {
        return Err(format!("not in the timeline: {:?}", report.timeline));
    }
    if report.total() != expected.counts {
        return Err(format!("{:?} instead of {:?}", report.total(), expected.counts));
    }
    Ok(report)
}

/// Runs a block on engines with each number of threads, three times on each: with nothing known, with what was learned of conflicts, and
/// with what was learned of programs, too, whose repeated calls are watched from the second time on.
///
/// # Errors
/// The threads and the first difference.
pub fn check(block: &Block, backend: BackendKind, threads: &[usize], seed: u64) -> Result<ExecutionReport, String> {
    let state = Silent::without_key(&block.calls.state, block.unreadable);
    let expected = judge(&block.calls, &state);
    let mut all = ExecutionReport::default();
    for count in threads {
        let engine = engine(backend, *count, seed)?;
        for time in 0..3 {
            let report = compare(&engine, &block.calls, &state, &expected);
            let place = || format!("{count} threads, time {time}, {:?}", schedule(seed));
            all.add(report.map_err(|difference| format!("{}: {difference}", place()))?);
        }
    }
    Ok(all)
}
