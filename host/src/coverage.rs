//! Which edges of the control flow were taken, in a bitmap of fixed size, the same on every backend.
//!
//! An edge is a jump that arrives (JUMP, and JUMPI where it is taken: the JUMPDEST is paid for) or a JUMPI that is not
//! taken and is paid for, which leads to the byte behind it, whatever is there. It has a place in the bitmap by the code
//! hash of what runs (the init code's, the delegate's), the position of the jump itself and where it leads to; several
//! edges may share a place. Edges of frames that fail count too: they were run.

use crate::abi;
use alloy_primitives::B256;
use std::fmt;

/// Which maps a batch of lanes gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum CoverageMode {
    /// None.
    #[default]
    Off = abi::COVERAGE_OFF,
    /// One of all lanes, out of which no edge can be taken again: for lanes that revm would start too, on the state that they
    /// run on (see [`crate::validate::starts`]). What a lane took before it fell back, or before it ran again as a larger
    /// one, is the beginning of what revm or the larger one takes.
    Merged = abi::COVERAGE_MERGED,
    /// One a lane.
    Each = abi::COVERAGE_EACH,
}

impl CoverageMode {
    /// Maps of a batch of `lanes`.
    pub const fn maps(self, lanes: usize) -> usize {
        match self {
            Self::Off => 0,
            Self::Merged => 1,
            Self::Each => lanes,
        }
    }
}

/// A set of edges.
#[derive(Clone, PartialEq, Eq)]
pub struct Coverage {
    words: [u32; Self::WORDS],
}

impl Default for Coverage {
    fn default() -> Self {
        Self { words: [0; Self::WORDS] }
    }
}

/// The places, which tell more than 2,048 words do.
impl fmt::Debug for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.places()).finish()
    }
}

/// What a code hash contributes to an edge's place: its last four bytes.
pub fn salt(code_hash: &B256) -> u32 {
    u32::from_be_bytes([code_hash[28], code_hash[29], code_hash[30], code_hash[31]])
}

impl Coverage {
    /// Bits of the map.
    pub const BITS: u32 = 1 << 16;

    /// Words of the map, lowest bit first.
    pub const WORDS: usize = Self::BITS as usize / 32;

    /// Bytes of the map.
    pub const BYTES: u64 = Self::BITS as u64 / 8;

    /// The map that a device gives.
    ///
    /// # Panics
    /// `words` are not [`Coverage::WORDS`].
    pub fn from_words(words: &[u32]) -> Self {
        let mut coverage = Self::default();
        coverage.words.copy_from_slice(words);
        coverage
    }

    /// The bit of an edge, as `coverage.wgsl` computes it.
    pub const fn place(salt: u32, from: u32, to: u32) -> u32 {
        let h = salt ^ from.wrapping_mul(0x9e37_79b1) ^ to.wrapping_mul(0x85eb_ca77);
        let h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
        (h ^ (h >> 13)) % Self::BITS
    }

    /// Adds an edge.
    pub const fn add(&mut self, salt: u32, from: u32, to: u32) {
        let place = Self::place(salt, from, to);
        self.words[place as usize / 32] |= 1 << (place % 32);
    }

    /// Whether an edge, or another of its place, is in.
    pub const fn has(&self, salt: u32, from: u32, to: u32) -> bool {
        let place = Self::place(salt, from, to);
        self.words[place as usize / 32] >> (place % 32) & 1 == 1
    }

    /// Adds all edges of another; whether that added any.
    pub fn merge(&mut self, other: &Self) -> bool {
        self.merge_words(&other.words)
    }

    /// The same of words as they come from a device; those missing are zero.
    pub fn merge_words(&mut self, words: &[u32]) -> bool {
        let mut added = false;
        for (own, other) in self.words.iter_mut().zip(words) {
            added |= *other & !*own != 0;
            *own |= *other;
        }
        added
    }

    /// Edges, those of one place counted once.
    pub fn count(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// The map, lowest bit first.
    pub const fn words(&self) -> &[u32; Self::WORDS] {
        &self.words
    }

    /// The places taken, in order.
    pub fn places(&self) -> impl Iterator<Item = u32> {
        (0..Self::BITS).filter(|place| self.words[*place as usize / 32] >> (place % 32) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_told_apart_and_merged() {
        let mut one = Coverage::default();
        one.add(1, 2, 3);
        assert!(one.has(1, 2, 3) && !one.has(2, 2, 3) && !one.has(1, 3, 2) && !one.has(1, 2, 4));
        let mut two = Coverage::default();
        two.add(5, 6, 7);
        assert!(two.merge(&one) && !two.merge(&one));
        assert_eq!((one.count(), two.count()), (1, 2));
        assert_eq!(one.places().collect::<Vec<_>>(), [Coverage::place(1, 2, 3)]);
    }
}
