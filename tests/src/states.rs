//! States that say less than they could.

use alloy_primitives::{Address, B256, Bytes, U256};
use lockstep::{
    memory::MemoryState,
    state::{AccountInfo, StateError, StateKey, StateRef},
};

/// Gives no hints, so that whatever is not a party of a transaction has to be asked for; one key cannot be read.
#[derive(Clone, Copy, Debug)]
pub struct Silent<'a> {
    state: &'a MemoryState,
    unreadable: Option<StateKey>,
}

impl<'a> Silent<'a> {
    /// All can be read.
    pub const fn new(state: &'a MemoryState) -> Self {
        Self { state, unreadable: None }
    }

    /// All but one slot.
    pub const fn without(state: &'a MemoryState, address: Address, slot: U256) -> Self {
        Self { state, unreadable: Some(StateKey::Slot(address, slot)) }
    }

    /// All but one key, if one is given.
    pub const fn without_key(state: &'a MemoryState, unreadable: Option<StateKey>) -> Self {
        Self { state, unreadable }
    }

    fn reach(&self, key: StateKey) -> Result<(), StateError> {
        if self.unreadable == Some(key) { Err(StateError(format!("{key:?} is out of reach"))) } else { Ok(()) }
    }
}

impl StateRef for Silent<'_> {
    fn account(&self, address: &Address) -> Result<Option<AccountInfo>, StateError> {
        self.reach(StateKey::Account(*address))?;
        self.state.account(address)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        self.reach(StateKey::Slot(*address, *slot))?;
        self.state.storage(address, slot)
    }

    fn code(&self, code_hash: &B256) -> Result<Bytes, StateError> {
        self.state.code(code_hash)
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.reach(StateKey::BlockHash(number))?;
        self.state.block_hash(number)
    }
}
