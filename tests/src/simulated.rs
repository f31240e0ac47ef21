//! Calls and sequences on revm, and whether a simulation's answers are the same.

use crate::programs::Calls;
use alloy_primitives::Address;
use lockstep::{
    block::BlockEnv,
    commit::Committed,
    error::TxError,
    evm::reference_call,
    outcome::{TxOutcome, TxStatus},
    simulate::{Answer, Call, Sequence, Wants},
    state::StateRef,
    tx::Transaction,
};

/// All that a call can be asked for but coverage.
pub const EVERYTHING: Wants =
    Wants { logs: true, state_diff: true, access_list: true, coverage: false, merged_coverage: false };

/// A transaction as a call.
pub fn as_call(tx: &Transaction, sender: &Address) -> Call {
    Call {
        from: *sender,
        to: tx.to,
        value: tx.value,
        input: tx.input.clone(),
        gas: Some(tx.gas_limit),
        access_list: tx.access_list.clone(),
        ..Call::default()
    }
}

/// The transactions of a batch as calls.
pub fn as_calls(batch: &Calls) -> Vec<Call> {
    batch.txs.iter().zip(&batch.senders).map(|(tx, sender)| as_call(tx, sender)).collect()
}

/// Sequences of four: two calls, and the same two again in the other order, so that they meet what they have done.
pub fn as_sequences(calls: &[Call]) -> Vec<Sequence> {
    let sequence = |pair: &[Call]| Sequence { calls: pair.iter().chain(pair.iter().rev()).cloned().collect() };
    calls.chunks_exact(2).map(sequence).collect()
}

/// Whether an answer is revm's, in all that was wanted but the access list.
pub fn is_same(answer: &Answer, expected: &Result<TxOutcome, TxError>, wants: Wants) -> bool {
    match (answer, expected) {
        (Ok(result), Ok(outcome)) => {
            (result.status, result.gas_used, &result.output) == (outcome.status, outcome.gas_used, &outcome.output)
                && result.contract_address == outcome.contract_address
                && result.logs.as_ref() == wants.logs.then_some(&outcome.logs)
                && result.state_diff.as_ref() == wants.state_diff.then_some(&outcome.changes)
                && result.access_list.is_some() == wants.access_list
        }
        (Err(error), Err(expected)) => error == expected,
        _ => false,
    }
}

/// revm, call by call, on what the calls before have left.
pub fn reference_sequence(
    env: &BlockEnv,
    state: &dyn StateRef,
    sequence: &Sequence,
    stop_on_revert: bool,
) -> Vec<Result<TxOutcome, TxError>> {
    let mut prefix = Committed::new(state);
    let mut results = Vec::new();
    for call in &sequence.calls {
        let result = reference_call(env, &prefix, call);
        if let Ok(outcome) = &result {
            prefix.commit(outcome);
        }
        let stops = stop_on_revert && result.as_ref().map(|outcome| outcome.status) != Ok(TxStatus::Success);
        results.push(result);
        if stops {
            break;
        }
    }
    results
}
