//! The snapshot table: every key that lanes may read, with its value when it was read or refreshed.

use super::{CodeArena, address_from_limbs, address_limbs, from_limbs, limbs_of};
use crate::{
    abi::{self, SnapshotEntry},
    commit::Committed,
    outcome::{AccountChangeKind, TxOutcome},
    state::{StateError, StateKey, StateRef},
};
use alloy_primitives::{
    Address, U256,
    map::{Entry, HashMap, HashSet},
};
use bytemuck::Zeroable;

/// Entries, which keep their number, and apart from them an index by the kernel's hash: open addressing with linear
/// probing, at most half full.
#[derive(Clone, Debug)]
pub struct SnapshotTable {
    /// The number of an entry plus one, or zero.
    index: Vec<u32>,
    entries: Vec<SnapshotEntry>,
    /// Numbers by the state's number and key.
    numbers: HashMap<(u32, StateKey), usize>,
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
        Self { index: vec![0; 1024], entries: Vec::new(), numbers: HashMap::default() }
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
        self.numbers.get(&(of.holder(&key).number, key)).copied()
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
        if let Entry::Vacant(number) = self.numbers.entry((of.number, key)) {
            let entry = read(key, of, codes)?;
            number.insert(self.entries.len());
            self.push(entry);
        }
        Ok(())
    }

    /// Makes room on the host for so many more keys.
    pub(crate) fn reserve(&mut self, keys: usize) {
        self.numbers.reserve(keys);
        self.entries.reserve(keys);
    }

    /// Forgets every state but that of this number. Entries get other numbers.
    pub fn keep(&mut self, state_number: u32) {
        if self.numbers.keys().all(|(number, _)| *number == state_number) {
            return;
        }
        let entries = std::mem::take(&mut self.entries);
        *self = Self::default();
        for entry in entries {
            if entry.kind / abi::KEY_STATE == state_number {
                self.numbers.insert((state_number, key_of(&entry)), self.entries.len());
                self.push(entry);
            }
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
        let in_wiped = |(number, key): &(u32, StateKey)| match key {
            StateKey::Slot(address, _) if *number == of.number && wiped.contains(address) => Some(*key),
            _ => None,
        };
        let slots = if wiped.is_empty() { Vec::new() } else { self.numbers.keys().filter_map(in_wiped).collect() };
        let named = changes().flat_map(|change| {
            let slots = change.storage.iter().map(|slot| StateKey::Slot(change.address, slot.slot));
            std::iter::once(StateKey::Account(change.address)).chain(slots)
        });
        for key in slots.into_iter().chain(named) {
            if let Some(held) = self.numbers.get(&(of.number, key)) {
                self.entries[*held] = read(key, of, codes)?;
            }
        }
        Ok(())
    }

    /// Appends an entry, whose number is known already.
    fn push(&mut self, entry: SnapshotEntry) {
        self.entries.push(entry);
        if 2 * self.entries.len() > self.index.len() {
            self.index = vec![0; self.index.len() * 2];
            for (number, entry) in self.entries.iter().enumerate() {
                place(&mut self.index, entry, number);
            }
        } else {
            place(&mut self.index, &entry, self.entries.len() - 1);
        }
    }
}

/// What a state has at a key.
fn read(key: StateKey, of: Numbered<'_>, codes: &mut CodeArena) -> Result<SnapshotEntry, StateError> {
    let Numbered { state, number, .. } = of;
    let mut entry = keyed(number, key);
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
    Ok(entry)
}

/// Puts the number of an entry into the first free place.
fn place(index: &mut [u32], entry: &SnapshotEntry, number: usize) {
    let mask = index.len() - 1;
    let mut place = hash(entry) as usize & mask;
    while index[place] != 0 {
        place = (place + 1) & mask;
    }
    index[place] = number as u32 + 1;
}
