//! What the vector engines share: which messages go together, padding, and the way between bytes and words
//! `[word][lane]`. Safe code.
//!
//! Words are moved by scalar loads and stores, not by vector transposes: those wait for the ports of the permutation,
//! these use ports that are idle beside it. So while a block is permuted the next is staged, a lane a round: a vector
//! load could not take its bytes from word stores just before it.

use super::scalar;
use alloy_primitives::B256;

/// Words in the state.
pub(super) const STATE: usize = 25;

/// Words in a block: the rate of Keccak-256.
pub(super) const RATE: usize = 17;

const RATE_BYTES: usize = RATE * 8;

/// The constants of ι (FIPS 202, 3.2.5), one a round.
pub(super) const ROUND_CONSTANTS: [u64; 24] = round_constants();

/// Word `w` of lane `l` at `[w][l]`: one vector a word.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Words<const WORDS: usize, const LANES: usize>(pub(super) [[u64; LANES]; WORDS]);

/// Where a block stands in its group.
#[derive(Clone, Copy)]
pub(super) struct Position {
    /// The state before it is zero, whatever stands there.
    pub(super) first: bool,
    /// Only the first four words of the state after it are read.
    pub(super) last: bool,
}

/// Block count of a message and its place in the batch.
type Entry = (usize, usize);

/// A permutation of `LANES` states at once.
pub(super) trait Kernel<const LANES: usize> {
    /// Time of [`Kernel::absorb`] in hundredths of one scalar permutation.
    const STEP_COST: usize;

    /// XORs a block into the state and permutes it, in every lane. Calls `beside` with each round but the last: `LANES` is at most 23.
    fn absorb(
        &self,
        state: &mut Words<STATE, LANES>,
        block: &Words<RATE, LANES>,
        position: Position,
        beside: impl FnMut(usize),
    );
}

/// Hashes each message into the place of the same index; both slices have the same length.
pub(super) fn keccak256_batch<const LANES: usize, K: Kernel<LANES>>(kernel: &K, messages: &[&[u8]], out: &mut [B256]) {
    debug_assert_eq!(messages.len(), out.len());
    if messages.len() < 2 {
        return scalar::keccak256_batch(messages, out);
    }
    let entry = |(place, message): (usize, &&[u8])| (message.len() / RATE_BYTES + 1, place);
    let mut order: Vec<Entry> = messages.iter().enumerate().map(entry).collect();
    if !order.is_sorted_by_key(|&(blocks, _)| blocks) {
        order.sort_unstable();
    }
    let groups = Groups::<LANES> { rest: &order, step_cost: K::STEP_COST };

    for &(_, place) in groups.clone().filter(|group| group.len() == 1).flatten() {
        scalar::keccak256_batch(&messages[place..=place], &mut out[place..=place]);
    }

    let mut steps =
        groups.filter(|group| group.len() > 1).flat_map(|group| (1..=longest(group)).map(move |block| (group, block)));
    let mut state = Words([[0; LANES]; STATE]);
    let [mut staged, mut ahead] = [&mut Staged::<LANES>::default(), &mut Staged::default()];
    let mut next = steps.next();
    for lane in 0..LANES {
        staged.fill(lane, next, messages);
    }
    while let Some((group, block)) = next {
        next = steps.next();
        let position = Position { first: block == 1, last: block == longest(group) };
        kernel.absorb(&mut state, &staged.words, position, |round| ahead.fill(round, next, messages));
        for (lane, &(blocks, place)) in group.iter().enumerate() {
            if blocks == block {
                out[place] = digest(&state, lane);
            }
        }
        std::mem::swap(&mut staged, &mut ahead);
    }
}

/// Cuts entries that rise by block count into groups of at most `LANES`, longest first. A group of one is for the
/// scalar engine.
#[derive(Clone)]
struct Groups<'a, const LANES: usize> {
    rest: &'a [Entry],
    step_cost: usize,
}

impl<'a, const LANES: usize> Iterator for Groups<'a, LANES> {
    type Item = &'a [Entry];

    fn next(&mut self) -> Option<Self::Item> {
        let group = &self.rest[self.rest.len().saturating_sub(LANES)..];
        let (&(longest, _), others) = group.split_last()?;
        // The lanes of the others would run empty while the longest goes on: alone, or together with them?
        let second = others.last().map_or(0, |&(blocks, _)| blocks);
        let sum: usize = others.iter().map(|&(blocks, _)| blocks).sum();
        let apart = 100 * longest + (self.step_cost * second).min(100 * sum);
        let size = if apart < self.step_cost * longest { 1 } else { group.len() };
        let (rest, group) = self.rest.split_at(self.rest.len() - size);
        self.rest = rest;
        Some(group)
    }
}

fn longest(group: &[Entry]) -> usize {
    group.last().map_or(0, |&(blocks, _)| blocks)
}

/// The next block of each lane.
struct Staged<const LANES: usize> {
    words: Words<RATE, LANES>,
    /// From here on a lane is zero, but for the final bit: a short message after a short one has nothing to clear.
    filled: [usize; LANES],
}

impl<const LANES: usize> Default for Staged<LANES> {
    fn default() -> Self {
        Self { words: Words([[0; LANES]; RATE]), filled: [0; LANES] }
    }
}

impl<const LANES: usize> Staged<LANES> {
    /// Puts the given block, counted from 1, of the group's message into its lane. A lane without one keeps what it
    /// holds.
    // Inlined into the round: a call there would have to save the state's registers.
    #[inline(always)]
    fn fill(&mut self, lane: usize, step: Option<(&[Entry], usize)>, messages: &[&[u8]]) {
        let Some((group, block)) = step else { return };
        let Some(&(blocks, place)) = group.get(lane).filter(|_| lane < LANES) else { return };
        let (chunks, tail) = messages[place].get((block - 1) * RATE_BYTES..).unwrap_or(&[]).as_chunks();
        for (word, chunk) in self.words.0.iter_mut().zip(chunks) {
            word[lane] = u64::from_le_bytes(*chunk);
        }
        if block == blocks {
            let end = chunks.len().min(RATE - 1);
            self.words.0[end][lane] = tail.iter().rev().fold(1, |word, byte| word << 8 | u64::from(*byte));
            for word in self.words.0.iter_mut().take(self.filled[lane]).skip(end + 1) {
                word[lane] = 0;
            }
            self.filled[lane] = end + 1;
            let kept = if end == RATE - 1 { self.words.0[end][lane] } else { 0 };
            self.words.0[RATE - 1][lane] = kept | 1 << 63;
        } else {
            self.filled[lane] = RATE;
        }
    }
}

fn digest<const LANES: usize>(state: &Words<STATE, LANES>, lane: usize) -> B256 {
    let mut hash = B256::ZERO;
    for (bytes, word) in hash.as_chunks_mut().0.iter_mut().zip(&state.0) {
        *bytes = word[lane].to_le_bytes();
    }
    hash
}

/// Bit 2^j − 1 of round i is output 7·i + j of the shift register x⁸ + x⁶ + x⁵ + x⁴ + 1.
const fn round_constants() -> [u64; 24] {
    let mut constants = [0; 24];
    let mut register = 1_u16;
    let mut step = 0;
    while step < 24 * 7 {
        constants[step / 7] |= ((register & 1) as u64) << ((1 << (step % 7)) - 1);
        register = (register << 1) ^ (0x171 * (register >> 7));
        step += 1;
    }
    constants
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes<const LANES: usize>(blocks: &[usize], step_cost: usize) -> Vec<usize> {
        let order: Vec<Entry> = blocks.iter().copied().zip(0..).collect();
        Groups::<LANES> { rest: &order, step_cost }.map(<[Entry]>::len).collect()
    }

    #[test]
    fn round_constants_are_those_of_the_specification() {
        assert_eq!(ROUND_CONSTANTS[..3], [0x0000_0000_0000_0001, 0x0000_0000_0000_8082, 0x8000_0000_0000_808A]);
        assert_eq!(ROUND_CONSTANTS[22..], [0x0000_0000_8000_0001, 0x8000_0000_8000_8008]);
    }

    #[test]
    fn groups_fill_lanes_and_leave_loners_to_the_scalar_engine() {
        assert!(sizes::<8>(&[], 140).is_empty());
        assert_eq!(sizes::<8>(&[1], 140), [1]);
        assert_eq!(sizes::<8>(&[1, 1], 140), [2]);
        assert_eq!(sizes::<8>(&[1; 17], 140), [8, 8, 1]);
        assert_eq!(sizes::<8>(&[1, 1, 1, 1, 2, 2, 2, 2], 140), [8]);
        assert_eq!(sizes::<8>(&[1, 1, 1, 1, 1, 1, 1, 90], 140), [1, 7]);
        assert_eq!(sizes::<4>(&[1, 30, 900], 180), [1, 1, 1]);
    }
}
