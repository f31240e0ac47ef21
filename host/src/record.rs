//! What execution reads of a state, and that part of it alone: a block file carries no more.

use crate::{
    memory::MemoryState,
    state::{AccountInfo, StateError, StateKey, StateRef},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

/// A state that notes what it is asked.
pub struct Recorder<'a> {
    state: &'a dyn StateRef,
    read: Mutex<HashSet<StateKey>>,
}

impl std::fmt::Debug for Recorder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl<'a> Recorder<'a> {
    /// Nothing is noted yet.
    pub fn new(state: &'a dyn StateRef) -> Self {
        Self { state, read: Mutex::default() }
    }

    fn note(&self, key: StateKey) {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
    }

    /// The part of the state that was read, slots that are zero included, as files of mainnet blocks have it.
    ///
    /// # Errors
    /// The state is read again.
    pub fn read_part(&self) -> Result<MemoryState, StateError> {
        let mut part = MemoryState::default();
        for key in &*self.read.lock().unwrap_or_else(PoisonError::into_inner) {
            match key {
                StateKey::Account(address) => {
                    let Some(info) = self.state.account(address)? else { continue };
                    part.insert_account(*address, info);
                    if info.has_code() {
                        part.insert_code(info.code_hash, self.state.code(&info.code_hash)?);
                    }
                }
                StateKey::Slot(address, slot) => {
                    // A slot of an account that does not exist yet has no place in a file.
                    if self.state.account(address)?.is_some() {
                        part.insert_slot(*address, *slot, self.state.storage(address, slot)?);
                    }
                }
                StateKey::BlockHash(number) => part.insert_block_hash(*number, self.state.block_hash(*number)?),
            }
        }
        Ok(part)
    }
}

impl StateRef for Recorder<'_> {
    fn account(&self, address: &Address) -> Result<Option<AccountInfo>, StateError> {
        self.note(StateKey::Account(*address));
        self.state.account(address)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        self.note(StateKey::Slot(*address, *slot));
        self.state.storage(address, slot)
    }

    fn code(&self, code_hash: &B256) -> Result<Bytes, StateError> {
        self.state.code(code_hash)
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.note(StateKey::BlockHash(number));
        self.state.block_hash(number)
    }
}
