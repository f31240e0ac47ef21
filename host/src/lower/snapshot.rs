//! The snapshot table: every key that lanes may read, with its value when it was read or refreshed.

use super::{CodeArena, address_from_limbs, address_limbs, from_limbs, limbs_of};
use crate::{
    abi::{self, SnapshotEntry},
    commit::Committed,
    outcome::{AccountChangeKind, TxOutcome},
    state::{StateError, StateKey, StateRef},
};
use alloy_primitives::{Address, U256, map::HashSet};
use bytemuck::Zeroable;

/// Entries, which keep their number, and apart from them an index by the kernel's hash: open addressing with linear
/// probing, at most half full.
#[derive(Clone, Debug)]
pub struct SnapshotTable {
    /// The number of an entry plus one, or zero.
    index: Vec<u32>,
    entries: Vec<SnapshotEntry>,
}

/// A state that entries are read from, and its number: part of every key (see [`crate::context::Contexts`]).
#[derive(Clone, Copy)]
pub struct Numbered<'a> {
    /// The state.
    pub state: &'a dyn StateRef,
    /// Its number.
    pub number: u32,
    /// Where it is a layer: what lies under it.
    pub base: Option<Base<'a>>,
}

/// What lies under a layer.
#[derive(Clone, Copy, Debug)]
pub struct Base<'a> {
    /// The layer, which has the state under it.
    pub layer: &'a Committed<'a>,
    /// The number of that.
    pub number: u32,
}

impl<'a> Numbered<'a> {
    /// A state that is no layer.
    pub fn alone(state: &'a dyn StateRef, number: u32) -> Self {
        Self { state, number, base: None }
    }

    /// The state that a key is read from: that under the layer unless the layer owns the key.
    #[must_use]
    pub fn holder(self, key: &StateKey) -> Self {
        match self.base {
            Some(Base { layer, number }) if !layer.owns(key) => Self::alone(layer.base(), number),
            _ => self,
        }
    }

    /// The number of the state under it, or its own.
    pub fn base_number(&self) -> u32 {
        self.base.map_or(self.number, |base| base.number)
    }
}

impl std::fmt::Debug for Numbered<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Numbered").field("number", &self.number).finish_non_exhaustive()
    }
}

/// Places of the index at least.
const LEAST: usize = 1024;

/// Words of an entry that are its key.
const KEY_WORDS: usize = std::mem::offset_of!(SnapshotEntry, code) / 4;

fn key_words(entry: &SnapshotEntry) -> &[u32] {
    let words: &[u32; size_of::<SnapshotEntry>() / 4] = bytemuck::cast_ref(entry);
    &words[..KEY_WORDS]
}

/// Kind, address and slot of a key as they stand in an entry.
fn parts(key: StateKey) -> (u32, Address, U256) {
    match key {
        StateKey::Account(address) => (abi::KIND_ACCOUNT, address, U256::ZERO),
        StateKey::Slot(address, slot) => (abi::KIND_SLOT, address, slot),
        StateKey::BlockHash(number) => (abi::KIND_BLOCK_HASH, Address::ZERO, U256::from(number)),
    }
}

/// The key of an entry.
pub fn key_of(entry: &SnapshotEntry) -> StateKey {
    let [a, b, c, d] = entry.address;
    let address = address_from_limbs([entry.address0, a, b, c, d]);
    match entry.kind % abi::KEY_STATE {
        abi::KIND_ACCOUNT => StateKey::Account(address),
        abi::KIND_BLOCK_HASH => StateKey::BlockHash(from_limbs(entry.slot).saturating_to()),
        _ => StateKey::Slot(address, from_limbs(entry.slot)),
    }
}

/// The hash of an entry's key, as `lane.wgsl` computes it over rows of four limbs.
fn hash(entry: &SnapshotEntry) -> u32 {
    let rows: &[[u32; 4]] = bytemuck::cast_slice(std::slice::from_ref(entry));
    let last = [rows[3][0], rows[3][1], 0, 0];
    let h: [u32; 4] = std::array::from_fn(|i| {
        let h = rows[0][i].wrapping_mul(0x9e37_79b1).wrapping_add(rows[1][i].wrapping_mul(0x85eb_ca77));
        let h = (h ^ (h >> 15))
            .wrapping_add(rows[2][i].wrapping_mul(0xc2b2_ae3d))
            .wrapping_add(last[i].wrapping_mul(0x27d4_eb2f));
        h ^ (h >> 13)
    });
    let left = h[0].wrapping_mul(0x1656_67b1).wrapping_add(h[1].wrapping_mul(0x9e37_79b1));
    let right = h[2].wrapping_mul(0x85eb_ca77).wrapping_add(h[3].wrapping_mul(0xc2b2_ae3d));
    let mixed = left ^ right;
    mixed ^ (mixed >> 16)
}

fn keyed(state_number: u32, key: StateKey) -> SnapshotEntry {
    let (kind, address, slot) = parts(key);
    let limbs = address_limbs(&address);
    SnapshotEntry {
        kind: kind + state_number * abi::KEY_STATE,
        address0: limbs[0],
        slot: limbs_of(slot),
        address: [limbs[1], limbs[2], limbs[3], limbs[4]],
        ..SnapshotEntry::zeroed()
    }
}

impl Default for SnapshotTable {
    fn default() -> Self {
        Self { index: vec![0; LEAST], entries: Vec::new() }
    }
}

impl SnapshotTable {
    /// Places in the index minus one; a power of two minus one.
    pub fn mask(&self) -> u32 {
        self.index.len() as u32 - 1
    }

    /// The index as the device gets it: it changes with every new key.
    pub fn index(&self) -> &[u32] {
        &self.index
    }

    /// The entries as the device gets them, behind the index; new ones at the end.
    pub fn entries(&self) -> &[SnapshotEntry] {
        &self.entries
    }

    /// The number of the entry of a key in a state.
    pub fn number(&self, of: Numbered<'_>, key: StateKey) -> Option<usize> {
        self.find(&keyed(of.holder(&key).number, key)).ok()
    }

    /// The entry that an overlay entry's key names, transient or not.
    pub fn entry(&self, key: u32) -> Option<&SnapshotEntry> {
        self.entries.get((key & !abi::KEY_TRANSIENT) as usize)
    }

    /// Keys held.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no key is held.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Reads a key from a state if the table lacks it.
    ///
    /// # Errors
    /// The state could not be read.
    pub fn ensure(&mut self, key: StateKey, of: Numbered<'_>, codes: &mut CodeArena) -> Result<(), StateError> {
        let of = of.holder(&key);
        let mut entry = keyed(of.number, key);
        if let Err(place) = self.find(&entry) {
            read(&mut entry, key, of, codes)?;
            self.push(entry, place);
        }
        Ok(())
    }

    /// The number of the entry of the same key; or else the place in the index for it.
    fn find(&self, key: &SnapshotEntry) -> Result<usize, usize> {
        let mask = self.index.len() - 1;
        let mut place = hash(key) as usize & mask;
        while let Some(number) = self.index[place].checked_sub(1) {
            if key_words(&self.entries[number as usize]) == key_words(key) {
                return Ok(number as usize);
            }
            place = (place + 1) & mask;
        }
        Err(place)
    }

    /// Makes room on the host for so many more keys.
    pub(crate) fn reserve(&mut self, keys: usize) {
        self.entries.reserve(keys);
    }

    /// Forgets every state but that of this number. Entries get other numbers.
    pub fn keep(&mut self, state_number: u32) {
        let held = self.entries.len();
        self.entries.retain(|entry| entry.kind / abi::KEY_STATE == state_number);
        if self.entries.len() < held {
            self.rebuild((2 * self.entries.len()).next_power_of_two().max(LEAST));
        }
    }

    /// Reads again what committed transactions changed, among the keys held of that state.
    ///
    /// # Errors
    /// The state could not be read.
    pub fn refresh(
        &mut self,
        outcomes: &[TxOutcome],
        of: Numbered<'_>,
        codes: &mut CodeArena,
    ) -> Result<(), StateError> {
        let changes = || outcomes.iter().flat_map(|outcome| &outcome.changes);
        let wiped: HashSet<Address> = changes()
            .filter(|change| change.kind != AccountChangeKind::Touched || change.after.is_empty())
            .map(|change| change.address)
            .collect();
        // One walk for all of them: a block may remove thousands.
        let in_wiped = |entry: &SnapshotEntry| match key_of(entry) {
            key @ StateKey::Slot(address, _) => {
                (entry.kind / abi::KEY_STATE == of.number && wiped.contains(&address)).then_some(key)
            }
            _ => None,
        };
        let slots = if wiped.is_empty() { Vec::new() } else { self.entries.iter().filter_map(in_wiped).collect() };
        let named = changes().flat_map(|change| {
            let slots = change.storage.iter().map(|slot| StateKey::Slot(change.address, slot.slot));
            std::iter::once(StateKey::Account(change.address)).chain(slots)
        });
        for key in slots.into_iter().chain(named) {
            let mut entry = keyed(of.number, key);
            if let Ok(held) = self.find(&entry) {
                read(&mut entry, key, of, codes)?;
                self.entries[held] = entry;
            }
        }
        Ok(())
    }

    /// Appends an entry, for which there is a place.
    fn push(&mut self, entry: SnapshotEntry, place: usize) {
        self.entries.push(entry);
        self.index[place] = self.entries.len() as u32;
        if 2 * self.entries.len() > self.index.len() {
            self.rebuild(2 * self.index.len());
        }
    }

    /// Makes an index of so many places.
    fn rebuild(&mut self, places: usize) {
        self.index = vec![0; places];
        for (number, entry) in (1..).zip(&self.entries) {
            let mut place = hash(entry) as usize & (places - 1);
            while self.index[place] != 0 {
                place = (place + 1) & (places - 1);
            }
            self.index[place] = number;
        }
    }
}

/// Reads what a state has at the key of an entry.
fn read(entry: &mut SnapshotEntry, key: StateKey, of: Numbered<'_>, codes: &mut CodeArena) -> Result<(), StateError> {
    let state = of.state;
    match key {
        StateKey::Account(address) => {
            if let Some(info) = state.account(&address)? {
                entry.value = limbs_of(info.balance);
                (entry.nonce_lo, entry.nonce_hi) = (info.nonce as u32, (info.nonce >> 32) as u32);
                entry.flags = if info.is_empty() { 0 } else { abi::ACCOUNT_ALIVE };
                entry.code = codes.insert(info.code_hash, || state.code(&info.code_hash))?;
            }
        }
        StateKey::Slot(address, slot) => entry.value = limbs_of(state.storage(&address, &slot)?),
        StateKey::BlockHash(number) => entry.value = limbs_of(U256::from_be_bytes(state.block_hash(number)?.0)),
    }
    Ok(())
}
