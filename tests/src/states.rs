//! States that say less than they could.

use alloy_primitives::{Address, B256, Bytes, U256};
use lockstep::{
    memory::MemoryState,
    state::{AccountInfo, StateError, StateRef},
};

/// Gives no hints, so that whatever is not a party of a transaction has to be asked for; one slot cannot be read.
#[derive(Clone, Copy, Debug)]
pub struct Silent<'a> {
    state: &'a MemoryState,
    unreadable: Option<(Address, U256)>,
}

impl<'a> Silent<'a> {
    /// All can be read.
    pub const fn new(state: &'a MemoryState) -> Self {
        Self { state, unreadable: None }
    }

    /// All but one slot.
    pub const fn without(state: &'a MemoryState, address: Address, slot: U256) -> Self {
        Self { state, unreadable: Some((address, slot)) }
    }
}

impl StateRef for Silent<'_> {
    fn account(&self, address: &Address) -> Result<Option<AccountInfo>, StateError> {
        self.state.account(address)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        if self.unreadable == Some((*address, *slot)) {
            return Err(StateError(format!("slot {slot} of {address} is out of reach")));
        }
        self.state.storage(address, slot)
    }

    fn code(&self, code_hash: &B256) -> Result<Bytes, StateError> {
        self.state.code(code_hash)
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.state.block_hash(number)
    }
}
