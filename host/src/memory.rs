//! A state held in memory: what a block file becomes.

use crate::state::{AccountInfo, StateError, StateKey, StateRef};
use alloy_primitives::{
    Address, B256, Bytes, U256,
    map::{AddressMap, B256Map, HashMap},
};
use std::hash::{Hash, Hasher};

/// Where a slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SlotKey(Address, U256);

impl Hash for SlotKey {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        StateKey::Slot(self.0, self.1).hash(hasher);
    }
}

/// Accounts, slots, codes and block hashes in hash maps. What is absent does not exist or is zero; an absent code is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryState {
    accounts: AddressMap<AccountInfo>,
    slots: HashMap<SlotKey, U256>,
    codes: B256Map<Bytes>,
    block_hashes: HashMap<u64, B256>,
}

impl MemoryState {
    /// Adds or replaces an account.
    pub fn insert_account(&mut self, address: Address, info: AccountInfo) {
        self.accounts.insert(address, info);
    }

    /// Sets one slot.
    pub fn insert_slot(&mut self, address: Address, slot: U256, value: U256) {
        self.slots.insert(SlotKey(address, slot), value);
    }

    /// Adds a code; the caller vouches for the hash.
    pub fn insert_code(&mut self, code_hash: B256, code: Bytes) {
        self.codes.insert(code_hash, code);
    }

    /// Sets the hash of a block.
    pub fn insert_block_hash(&mut self, number: u64, hash: B256) {
        self.block_hashes.insert(number, hash);
    }

    /// Every account, in no order.
    pub fn accounts(&self) -> impl Iterator<Item = (&Address, &AccountInfo)> {
        self.accounts.iter()
    }

    /// Every slot that was set, in no order.
    pub fn slots(&self) -> impl Iterator<Item = (&Address, &U256, &U256)> {
        self.slots.iter().map(|(SlotKey(address, slot), value)| (address, slot, value))
    }

    /// Every code, in no order.
    pub fn codes(&self) -> impl Iterator<Item = (&B256, &Bytes)> {
        self.codes.iter()
    }

    /// Every block hash, in no order.
    pub fn block_hashes(&self) -> impl Iterator<Item = (u64, &B256)> {
        self.block_hashes.iter().map(|(number, hash)| (*number, hash))
    }
}

impl StateRef for MemoryState {
    fn account(&self, address: &Address) -> Result<Option<AccountInfo>, StateError> {
        Ok(self.accounts.get(address).copied())
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        Ok(self.slots.get(&SlotKey(*address, *slot)).copied().unwrap_or_default())
    }

    fn code(&self, code_hash: &B256) -> Result<Bytes, StateError> {
        self.codes.get(code_hash).cloned().ok_or_else(|| StateError(format!("no code of hash {code_hash}")))
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.block_hashes.get(&number).copied().ok_or_else(|| StateError(format!("no hash of block {number}")))
    }

    fn hints(&self) -> Vec<StateKey> {
        // Sorted, so that what a device is given does not depend on the order of a hash map.
        let mut accounts: Vec<_> = self.accounts.keys().copied().collect();
        accounts.sort_unstable();
        let mut slots: Vec<_> = self.slots.keys().copied().collect();
        slots.sort_unstable();
        let mut numbers: Vec<_> = self.block_hashes.keys().copied().collect();
        numbers.sort_unstable();
        accounts
            .into_iter()
            .map(StateKey::Account)
            .chain(slots.into_iter().map(|SlotKey(address, slot)| StateKey::Slot(address, slot)))
            .chain(numbers.into_iter().map(StateKey::BlockHash))
            .collect()
    }
}
