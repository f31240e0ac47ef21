//! The codes of a batch: bytes and jump destinations, analysed once per code hash.

use super::push_bytes;
use crate::{abi::CodeEntry, state::StateError};
use alloy_primitives::{B256, Bytes, map::B256Map};
use bytemuck::Zeroable;

const JUMPDEST: u8 = 0x5b;
const PUSH1: u8 = 0x60;
const PUSH32: u8 = 0x7f;

/// Every code that lanes run or look at, in one arena: a table of contents, then bytes and bits. Grows only.
#[derive(Clone, Debug, Default)]
pub struct CodeArena {
    index: B256Map<usize>,
    /// Offsets count from the start of `body`.
    entries: Vec<CodeEntry>,
    body: Vec<u32>,
    /// The arena as the device gets it.
    words: Vec<u32>,
    sealed: usize,
}

/// One bit a byte: JUMPDEST that is not push data.
pub(super) fn jump_destinations(code: &[u8]) -> Vec<u32> {
    let mut bits = vec![0; code.len() / 32 + 1];
    let mut pc = 0;
    while pc < code.len() {
        match code[pc] {
            JUMPDEST => bits[pc / 32] |= 1 << (pc % 32),
            op @ PUSH1..=PUSH32 => pc += usize::from(op - PUSH1) + 1,
            _ => {}
        }
        pc += 1;
    }
    bits
}

impl CodeArena {
    /// The position of a code in the table of contents; it is read and analysed when it is new.
    ///
    /// # Errors
    /// Whatever `bytes` gives.
    pub fn insert(
        &mut self,
        hash: B256,
        bytes: impl FnOnce() -> Result<Bytes, StateError>,
    ) -> Result<usize, StateError> {
        if let Some(index) = self.index.get(&hash) {
            return Ok(*index);
        }
        let bytes = bytes()?;
        let mut entry = CodeEntry::zeroed();
        entry.len = bytes.len() as u32;
        entry.offset = push_bytes(&mut self.body, &bytes, 36);
        entry.jumps_offset = self.body.len() as u32;
        self.body.extend(jump_destinations(&bytes));
        let index = self.entries.len();
        self.entries.push(entry);
        self.index.insert(hash, index);
        Ok(index)
    }

    /// Bytes of codes and their jump destinations.
    pub fn len_bytes(&self) -> usize {
        self.body.len() * 4
    }

    /// Lays the arena out, if a code is new. Offsets change only here.
    pub(super) fn seal(&mut self) {
        if self.sealed == self.entries.len() && !self.words.is_empty() {
            return;
        }
        self.sealed = self.entries.len();
        self.words = (0..self.sealed).flat_map(|index| bytemuck::cast::<_, [u32; 4]>(self.entry(index))).collect();
        self.words.extend_from_slice(&self.body);
        self.words.push(0);
    }

    /// A code's entry, offsets counted from the start of [`CodeArena::words`].
    fn entry(&self, index: usize) -> CodeEntry {
        let base = (self.sealed * size_of::<CodeEntry>() / 4) as u32;
        let entry = self.entries[index];
        CodeEntry { offset: entry.offset + base, jumps_offset: entry.jumps_offset + base, ..entry }
    }

    /// The entry of a code that is laid out.
    pub(super) fn entry_of(&self, hash: &B256) -> Option<CodeEntry> {
        self.index.get(hash).filter(|index| **index < self.sealed).map(|index| self.entry(*index))
    }

    /// The arena as the device gets it; never empty once lowered.
    pub fn words(&self) -> &[u32] {
        &self.words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn push_data_hide_jump_destinations() {
        let code = [PUSH1, JUMPDEST, JUMPDEST, PUSH32, JUMPDEST];
        assert_eq!(jump_destinations(&code), [0b100]);
        let long: Vec<u8> = [PUSH32].into_iter().chain([JUMPDEST; 33]).collect();
        assert_eq!(jump_destinations(&long), [0, 0b10]);
    }
}
