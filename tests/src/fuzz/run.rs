//! A batch on revm and on a device: every outcome in all its fields.

use super::coverage::{Coverage, Seen};
use crate::programs::Calls;
use lockstep::{
    commit::Committed,
    engine::Engine,
    error::TxError,
    evm::{BlockGas, Traced},
    fallback::FallbackReason,
    outcome::{TxOutcome, TxStatus},
    report::ExecutionReport,
};
use std::collections::BTreeMap;

/// A batch with what revm makes of it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Its transactions are all valid.
    pub calls: Calls,
    /// One a transaction.
    pub expected: Vec<TxOutcome>,
    /// One a transaction.
    pub seen: Vec<Seen>,
}

/// Runs a batch on revm, transaction by transaction; those that are invalid at their place are left out.
///
/// # Errors
/// revm cannot run at all.
pub fn judge(mut calls: Calls) -> Result<Judged, String> {
    let state = std::mem::take(&mut calls.state);
    let mut traced =
        Traced::new(&calls.env, Committed::new(&state), Seen::default()).map_err(|error| error.to_string())?;
    let mut gas = BlockGas::default();
    let (mut txs, mut senders) = (Vec::new(), Vec::new());
    let (mut expected, mut seen) = (Vec::new(), Vec::new());
    for (tx, sender) in calls.txs.drain(..).zip(calls.senders.drain(..)) {
        if gas.check(&calls.env, &tx).is_err() {
            continue;
        }
        let result = traced.transact(&tx, sender);
        let reached = traced.observer_mut().take();
        match result {
            Ok(outcome) => {
                gas.add(&tx, outcome.gas_used);
                traced.state_mut().commit(&outcome);
                txs.push(tx);
                senders.push(sender);
                expected.push(outcome);
                seen.push(reached);
            }
            Err(TxError::Invalid(_)) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    drop(traced);
    (calls.state, calls.txs, calls.senders) = (state, txs, senders);
    Ok(Judged { calls, expected, seen })
}

/// What became of batches.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Transactions.
    pub txs: u64,
    /// Those whose result a lane produced.
    pub accepted: u64,
    /// Instructions that revm ran for the same transactions.
    pub steps: u64,
    /// Steps of lanes, lanes run again included.
    pub device_steps: u64,
    /// By reason.
    pub fallbacks: BTreeMap<FallbackReason, u64>,
    /// Success, revert, halt.
    pub ends: [u64; 3],
    /// Lanes whose result was stale.
    pub conflicts: u64,
    /// Of accepted transactions.
    pub coverage: Coverage,
}

/// The first difference of a batch.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The transaction.
    pub tx: usize,
    /// Both outcomes.
    pub text: String,
}

/// Runs a judged batch on an engine and compares; counts in `totals` what was compared.
///
/// # Errors
/// The first difference, or the engine's own error as a difference at transaction zero.
pub fn compare(engine: &Engine, judged: &Judged, totals: &mut Totals) -> Result<(), Difference> {
    let calls = &judged.calls;
    let mut report = ExecutionReport::default();
    let outcomes = engine
        .execute_transactions(&calls.env, &calls.txs, &calls.senders, &calls.state, &mut report)
        .map_err(|error| Difference { tx: 0, text: error.to_string() })?;
    for (tx, (outcome, expected)) in outcomes.iter().zip(&judged.expected).enumerate() {
        if outcome != expected {
            return Err(Difference { tx, text: format!("{outcome:#?}\nrevm:\n{expected:#?}") });
        }
    }
    totals.txs += calls.txs.len() as u64;
    totals.accepted += report.on_device.len() as u64;
    totals.steps += judged.seen.iter().map(|seen| seen.steps).sum::<u64>();
    totals.device_steps += report.steps;
    totals.conflicts += report.conflicts;
    for outcome in &outcomes {
        totals.ends[match outcome.status {
            TxStatus::Success => 0,
            TxStatus::Revert => 1,
            TxStatus::Halt => 2,
        }] += 1;
    }
    for (reason, count) in report.fallbacks {
        *totals.fallbacks.entry(reason).or_default() += count;
    }
    for tx in report.on_device {
        totals.coverage.add(calls.env.fork, &judged.seen[tx]);
    }
    Ok(())
}
