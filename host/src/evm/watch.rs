//! The reference path with an eye on the precompiles that it calls.

use super::{Reference, ReferenceContext, RevmCache, Sequential, build, bundling, in_order};
use crate::{block::BlockEnv, error::TxError, state::StateRef, tx::Transaction};
use alloy_primitives::{Address, map::AddressSet};
use revm::{
    context::{Cfg, ContextTr},
    handler::{EthPrecompiles, PrecompileProvider},
    interpreter::{CallInputs, InterpreterResult},
};
use std::collections::BTreeSet;

/// Mainnet's precompiles, which remember who was called.
#[derive(Debug)]
struct Watched {
    inner: EthPrecompiles,
    called: BTreeSet<Address>,
}

impl<'a> PrecompileProvider<ReferenceContext<'a>> for Watched {
    type Output = InterpreterResult;

    fn set_spec(&mut self, spec: <<ReferenceContext<'a> as ContextTr>::Cfg as Cfg>::Spec) -> bool {
        PrecompileProvider::<ReferenceContext<'a>>::set_spec(&mut self.inner, spec)
    }

    fn run(
        &mut self,
        context: &mut ReferenceContext<'a>,
        inputs: &CallInputs,
    ) -> Result<Option<InterpreterResult>, String> {
        let output = self.inner.run(context, inputs)?;
        if output.is_some() {
            self.called.insert(inputs.bytecode_address);
        }
        Ok(output)
    }

    fn warm_addresses(&self) -> &AddressSet {
        self.inner.warm_addresses()
    }
}

/// [`super::sequential`], and the precompiles that it called.
///
/// # Errors
/// As there.
pub fn sequential_watched(
    env: &BlockEnv,
    txs: &[Transaction],
    senders: &[Address],
    state: &dyn StateRef,
) -> Result<(Sequential, BTreeSet<Address>), (usize, TxError)> {
    let evm = build(env, bundling(state, &RevmCache::default())).map_err(|error| (0, error.into()))?;
    let inner = evm.precompiles.clone();
    let mut evm: Reference<'_, Watched> = evm.with_precompiles(Watched { inner, called: BTreeSet::new() });
    let result = in_order(&mut evm, env, txs, senders)?;
    Ok((result, evm.precompiles.called))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fork::Fork, memory::MemoryState, state::AccountInfo, tx::TxType};
    use alloy_primitives::U256;

    #[test]
    fn a_called_precompile_is_seen() {
        let sender = Address::repeat_byte(7);
        let mut state = MemoryState::default();
        state.insert_account(sender, AccountInfo { balance: U256::from(10_000_000), ..Default::default() });
        let env = BlockEnv { gas_limit: 1_000_000, ..crate::fixture::block().0.env };
        let env = BlockEnv { fork: Fork::London, base_fee: 0, blob_params: None, ..env };
        let mut tx = Transaction { gas_limit: 100_000, ..Transaction::blank(TxType::Legacy, env.chain_id) };
        let called = |tx: &Transaction| {
            let (sequential, called) = sequential_watched(&env, std::slice::from_ref(tx), &[sender], &state).unwrap();
            assert_eq!(sequential.outcomes.len(), 1);
            called.into_iter().collect::<Vec<_>>()
        };
        tx.to = Some(Address::with_last_byte(9));
        assert_eq!(called(&tx), [Address::with_last_byte(9)]);
        tx.to = Some(Address::with_last_byte(10));
        assert!(called(&tx).is_empty(), "comes with Cancun");
    }
}
