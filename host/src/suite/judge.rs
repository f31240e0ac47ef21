//! Transactions through the engine and through sequential revm: the two must agree in everything before a test's expectation is looked at.

use super::Mismatch;
use crate::{
    block::BlockEnv,
    engine::Engine,
    error::{ExecuteError, Invalid, TxError},
    evm::{self, BundleState},
    intrinsic::check_intrinsic,
    outcome::TxOutcome,
    report::ExecutionReport,
    state::StateRef,
    tx::Transaction,
};
use alloy_primitives::{Address, hex};
use std::fmt;

/// What the engine and revm agree on.
#[derive(Clone, Debug)]
pub(super) enum Agreed {
    /// Every transaction was executed.
    Executed {
        /// One a transaction.
        outcomes: Vec<TxOutcome>,
        /// Whether a precompile other than 1, 2 and 4 was called.
        rare_precompile: bool,
    },
    /// A transaction may not stand where it does.
    Rejected(Invalid),
}

/// Executes decoded transactions on both, and counts the engine's work in `report`.
///
/// # Errors
/// As [`agree`].
pub(super) fn execute(
    engine: &Engine,
    env: &BlockEnv,
    txs: &[Transaction],
    senders: &[Address],
    state: &dyn StateRef,
    report: &mut ExecutionReport,
) -> Result<Agreed, Mismatch> {
    let ours = txs
        .iter()
        .try_for_each(|tx| check_intrinsic(tx, env.fork, env.chain_id).map(drop))
        .map_err(|source| ExecuteError::Invalid { tx: 0, source })
        .and_then(|()| engine.execute_transactions(env, txs, senders, state, report));
    agree(ours, env, txs, senders, state)
}

/// Executes decoded transactions on revm and compares with what an engine gave for them.
///
/// # Errors
/// The first difference, with revm's value as the expected one; or what stopped either of them that is no fact about a transaction.
pub(super) fn agree(
    ours: Result<Vec<TxOutcome>, ExecuteError>,
    env: &BlockEnv,
    txs: &[Transaction],
    senders: &[Address],
    state: &dyn StateRef,
) -> Result<Agreed, Mismatch> {
    let theirs = evm::sequential_watched(env, txs, senders, state);
    let (outcomes, sequential, called) = match (ours, theirs) {
        (Ok(outcomes), Ok((sequential, called))) => (outcomes, sequential, called),
        (Err(error), Err((_, TxError::Invalid(theirs)))) => {
            return match error {
                ExecuteError::Invalid { source, .. } | ExecuteError::Block(source) => Ok(Agreed::Rejected(source)),
                error => Err(Mismatch::new("engine", format!("invalid: {theirs}"), error)),
            };
        }
        (Err(error), Ok(_)) => return Err(Mismatch::new("engine", "an outcome", error)),
        (ours, Err((tx, error))) => {
            let ours = ours.map_or_else(|error| error.to_string(), |_| "an outcome".into());
            return Err(Mismatch::new("engine", format!("transaction {tx}: {error}"), ours));
        }
    };
    for (tx, (ours, theirs)) in outcomes.iter().zip(&sequential.outcomes).enumerate() {
        if let Some(difference) = outcome_difference(tx, theirs, ours) {
            return Err(difference);
        }
    }
    let bundle = evm::bundle_state(&outcomes);
    if let Some(difference) = bundle_difference(&sequential.bundle, &bundle) {
        return Err(difference);
    }
    let rare_precompile = called.iter().any(|address| ![1, 2, 4].map(Address::with_last_byte).contains(address));
    Ok(Agreed::Executed { outcomes, rare_precompile })
}

/// The first field in which an outcome is not revm's; the changes are in the bundle.
fn outcome_difference(tx: usize, expected: &TxOutcome, actual: &TxOutcome) -> Option<Mismatch> {
    let differ = |field: &str, expected: &dyn fmt::Debug, actual: &dyn fmt::Debug| {
        Some(Mismatch::new(
            format!("transaction {tx}: {field}, against revm"),
            format!("{expected:?}"),
            format!("{actual:?}"),
        ))
    };
    if expected.status != actual.status {
        return differ("status", &expected.status, &actual.status);
    }
    if expected.gas_used != actual.gas_used {
        return differ("gas used", &expected.gas_used, &actual.gas_used);
    }
    if expected.output != actual.output {
        return differ("output", &expected.output, &actual.output);
    }
    if expected.logs != actual.logs {
        return differ("logs", &expected.logs, &actual.logs);
    }
    if expected.contract_address != actual.contract_address {
        return differ("contract address", &expected.contract_address, &actual.contract_address);
    }
    None
}

/// The first account, in order of addresses, whose changes are not revm's.
fn bundle_difference(expected: &BundleState, actual: &BundleState) -> Option<Mismatch> {
    if expected == actual {
        return None;
    }
    let addresses = expected.state.keys().chain(actual.state.keys());
    let differs = addresses.filter(|address| expected.state.get(*address) != actual.state.get(*address)).min();
    let Some(address) = differs else {
        return Some(Mismatch::new("reverts or contracts, against revm", "revm's", "others"));
    };
    let text = |bundle: &BundleState| format!("{:?}", bundle.state.get(address));
    let field = format!("changes of {}, against revm", hex::encode_prefixed(address));
    Some(Mismatch::new(field, text(expected), text(actual)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixture, recover::recover_one, recover::sender_request};

    #[test]
    fn every_wrong_field_is_seen() {
        let (block, state) = fixture::block();
        let txs: Vec<_> = block.transactions.iter().map(|raw| Transaction::decode(raw).unwrap()).collect();
        let senders: Vec<_> = txs.iter().map(|tx| recover_one(&sender_request(tx, block.env.fork)).unwrap()).collect();
        let engine = Engine::builder().backend(crate::backend::BackendKind::Cpu).threads(1).build().unwrap();
        let mut report = ExecutionReport::default();
        let agreed = execute(&engine, &block.env, &txs, &senders, &state, &mut report).unwrap();
        let Agreed::Executed { outcomes, rare_precompile: false } = agreed else { panic!("{agreed:?}") };
        let good = evm::bundle_state(&outcomes);
        assert_eq!(bundle_difference(&good, &good), None);
        for change in 0..6 {
            let mut bad = outcomes.clone();
            match change {
                0 => bad[1].status = crate::outcome::TxStatus::Halt,
                1 => bad[1].gas_used += 1,
                2 => bad[1].output = vec![1].into(),
                3 => bad[1].logs.clear(),
                4 => bad[1].contract_address = Some(Address::ZERO),
                _ => bad[1].changes.truncate(1),
            }
            let bundle = evm::bundle_state(&bad);
            let differs =
                outcome_difference(1, &outcomes[1], &bad[1]).or_else(|| bundle_difference(&good, &bundle)).unwrap();
            assert_ne!(differs.expected, differs.actual, "{change}");
        }
        let agreed = execute(&engine, &block.env, &txs[..1], &[Address::ZERO], &state, &mut report).unwrap();
        assert!(matches!(agreed, Agreed::Rejected(_)), "{agreed:?}");
    }
}
