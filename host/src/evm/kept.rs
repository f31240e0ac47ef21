//! Sequential revm in its fastest arrangement: what parallel execution is measured by.

use super::{BlockGas, RevmCache, Sequential, build, bundling, outcome, state_error, tx_env, tx_error};
use crate::{block::BlockEnv, error::TxError, state::StateRef, tx::Transaction};
use alloy_primitives::{Address, U256};
use revm::{
    DatabaseCommit, ExecuteEvm,
    database::{State, states::bundle_state::BundleRetention},
    state::EvmState,
};

/// As [`super::sequential`], but with the journal kept over the block and one commit at its end. A contract that is destroyed and made
/// again within the block is told of in the bundle as if only its end counted; everything else is the same. `codes` are kept.
///
/// # Errors
/// As there.
pub fn sequential_kept(
    env: &BlockEnv,
    txs: &[Transaction],
    senders: &[Address],
    state: &dyn StateRef,
    codes: &RevmCache,
) -> Result<Sequential, (usize, TxError)> {
    let mut evm = build(env, bundling(state, codes)).map_err(|error| (0, error.into()))?;
    let mut gas = BlockGas::default();
    let mut outcomes = Vec::with_capacity(txs.len());
    for (index, (tx, sender)) in txs.iter().zip(senders).enumerate() {
        gas.check(env, tx).map_err(|error| (index, error.into()))?;
        let tx_env = tx_env(tx, *sender).map_err(|error| (index, error.into()))?;
        let result = evm.transact_one(tx_env).map_err(|error| (index, tx_error(error, state_error)))?;
        let outcome = outcome(result);
        gas.add(tx, outcome.gas_used);
        outcomes.push(outcome);
    }
    let mut changes = evm.finalize();
    let database = &mut evm.ctx.journaled_state.database;
    set_originals(&mut changes, database);
    database.commit(changes);
    database.merge_transitions(BundleRetention::Reverts);
    Ok(Sequential { outcomes, bundle: database.take_bundle() })
}

/// Slots tell what they were before the last transaction that saw them; a bundle needs what they were before the first.
fn set_originals<DB>(changes: &mut EvmState, database: &State<DB>) {
    for (address, account) in changes.iter_mut().filter(|(_, account)| account.is_touched()) {
        let loaded = database.cache.accounts.get(address).and_then(|cached| cached.account.as_ref());
        for (key, slot) in &mut account.storage {
            slot.original_value = loaded.and_then(|loaded| loaded.storage.get(key)).copied().unwrap_or(U256::ZERO);
        }
    }
}
