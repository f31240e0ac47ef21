//! What a client does around a block's transactions with revm's help: system calls, and the hash of EIP-7685.

use super::{EvmContext, Source, build, changes, outcome, tx_error};
use crate::{
    block::BlockEnv,
    error::TxError,
    fork::Fork,
    outcome::TxOutcome,
    state::{StateError, StateRef},
};
use alloy_primitives::{Address, B256, Bytes};
use revm::{
    ExecuteEvm,
    context::{ContextSetters, TxEnv},
    context_interface::result::{EVMError, ExecutionResult},
    handler::{EthFrame, Handler, MainnetEvm, MainnetHandler, SystemCallTx},
    precompile::crypto,
};

/// Gas of a system call (EIP-4788, 2935, 7002, 7251).
const SYSTEM_CALL_GAS: u64 = 30_000_000;

/// Calls a system contract from the system address: 30 million gas that nobody pays and the block does not count. The state is left as it
/// is; a contract that is not there succeeds with nothing done.
///
/// # Errors
/// See [`TxError`]; a contract that reverts or halts is an outcome.
pub fn system_call(
    env: &BlockEnv,
    state: &dyn StateRef,
    contract: Address,
    input: Bytes,
) -> Result<TxOutcome, TxError> {
    type Evm<S> = MainnetEvm<EvmContext<Source<S>>>;
    let mut evm: Evm<&dyn StateRef> = build(env, Source::new(state))?;
    let mut tx = TxEnv::new_system_tx(contract, input);
    if env.fork < Fork::Amsterdam {
        // revm adds what Amsterdam's calls need for state (EIP-8037) at every fork.
        tx.gas_limit = SYSTEM_CALL_GAS;
    }
    evm.ctx.set_tx(tx);
    let result: Result<ExecutionResult, EVMError<StateError>> =
        MainnetHandler::<_, _, EthFrame>::default().run_system_call(&mut evm);
    let mut outcome = outcome(result.map_err(|error| tx_error(error, TxError::State))?);
    outcome.changes = changes(evm.finalize());
    Ok(outcome)
}

/// SHA-256, by the implementation that revm's precompile uses.
pub fn sha256(bytes: &[u8]) -> B256 {
    B256::from(crypto().sha256(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{memory::MemoryState, outcome::TxStatus, state::AccountInfo};
    use alloy_primitives::{U256, b256, bytes, keccak256};

    /// GAS PUSH0 MSTORE MSIZE PUSH0 RETURN, and what it returns.
    #[test]
    fn thirty_million_gas_and_no_fee() {
        let (contract, code) = (Address::repeat_byte(5), bytes!("5a5f52595ff3"));
        let mut state = MemoryState::default();
        let info = AccountInfo { nonce: 1, code_hash: keccak256(&code), ..Default::default() };
        state.insert_account(contract, info);
        state.insert_code(info.code_hash, code);
        let env = crate::fixture::block().0.env;
        let outcome = system_call(&env, &state, contract, Bytes::new()).unwrap();
        assert_eq!(outcome.status, TxStatus::Success);
        assert_eq!(U256::from_be_slice(&outcome.output), U256::from(SYSTEM_CALL_GAS - 2));
        assert!(outcome.changes.iter().all(|change| change.before.unwrap_or_default() == change.after));
        let absent = system_call(&env, &state, Address::repeat_byte(6), Bytes::new()).unwrap();
        assert_eq!((absent.status, absent.output), (TxStatus::Success, Bytes::new()));
    }

    #[test]
    fn the_empty_requests_hash() {
        assert_eq!(sha256(b""), alloy_eips::eip7685::EMPTY_REQUESTS_HASH);
        assert_eq!(sha256(b"abc"), b256!("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    }
}
