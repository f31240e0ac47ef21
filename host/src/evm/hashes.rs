//! KECCAK256 of two words, which finds the slot of a mapping's entry, with the latest results kept: calls of a batch look at
//! the same entries over and over. Gas, memory and results are as ever.

use alloy_primitives::{B256, keccak256};
use revm::interpreter::{
    Host, InstructionContext, InstructionExecResult, instructions::system, interpreter::EthInterpreter,
    interpreter_types::MemoryTr,
};
use std::fmt;

/// Results kept, each in the one place that its input has: 1.5 MiB.
const PLACES: usize = 1 << 14;

/// The latest hashes of 64 bytes; none until it is first asked.
#[derive(Clone, Default)]
pub(super) struct Hashes(Vec<([u8; 64], B256)>);

impl fmt::Debug for Hashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hashes").field(&self.0.len()).finish()
    }
}

impl Hashes {
    pub(super) fn of(&mut self, input: &[u8; 64]) -> B256 {
        if self.0.is_empty() {
            // A true entry in every place, so that none has to be told from a free one.
            self.0 = vec![([0; 64], keccak256([0; 64])); PLACES];
        }
        let (kept, hash) = &mut self.0[place(input)];
        if kept != input {
            *hash = keccak256(input);
            *kept = *input;
        }
        *hash
    }
}

/// Any spread will do: who makes inputs meet in one place gets what revm would have done anyway.
fn place(input: &[u8; 64]) -> usize {
    let words = input.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
    let mixed = words.fold(0_u64, |mixed, word| (mixed.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    (mixed >> 40) as usize % PLACES
}

/// A host that keeps hashes.
pub(super) trait KeepsHashes: Host {
    /// Those that it keeps.
    fn hashes(&mut self) -> &mut Hashes;

    /// A hash of two words, kept from now on.
    fn hash(&mut self, input: &[u8; 64]) -> B256 {
        self.hashes().of(input)
    }
}

/// KECCAK256. What is not two words in memory that stands already, with the gas that they cost, is left to revm's own.
pub(super) fn keccak256_kept<H: KeepsHashes>(
    context: InstructionContext<'_, H, EthInterpreter>,
) -> InstructionExecResult {
    let InstructionContext { interpreter, host } = context;
    let stack = interpreter.stack.data();
    let operands = stack.last_chunk::<2>().map(|[len, offset]| (len.as_limbs(), offset.as_limbs()));
    let Some(([64, 0, 0, 0], [offset, 0, 0, 0])) = operands else {
        return system::keccak256(InstructionContext { interpreter, host });
    };
    let from = *offset as usize;
    let stands = from.checked_add(64).is_some_and(|end| end <= interpreter.memory.size());
    let cost = host.gas_params().keccak256_cost(64);
    if !stands || interpreter.gas.remaining() < cost || !interpreter.gas.record_regular_cost(cost) {
        return system::keccak256(InstructionContext { interpreter, host });
    }
    let mut input = [0; 64];
    input.copy_from_slice(&interpreter.memory.slice_len(from, 64));
    let hash = host.hash(&input);
    let stack = interpreter.stack.data_mut();
    stack.pop();
    if let Some(top) = stack.last_mut() {
        *top = hash.into();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_hashes_are_hashes() {
        let mut hashes = Hashes::default();
        let input = |n: u32| {
            let mut input = [0; 64];
            input[..4].copy_from_slice(&n.to_le_bytes());
            input[60..].copy_from_slice(&(n % 7).to_be_bytes());
            input
        };
        // More than there are places, and all of them again.
        for n in (0..3 * PLACES as u32).chain(0..3 * PLACES as u32) {
            assert_eq!(hashes.of(&input(n)), keccak256(input(n)));
            assert_eq!(hashes.of(&input(n / 2)), keccak256(input(n / 2)));
        }
    }
}
