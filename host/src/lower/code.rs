//! The codes that lanes run or look at: bytes and jump destinations, analysed once per code hash.

use super::{limbs_of, push_bytes};
use crate::{abi::CodeHeader, state::StateError};
use alloy_primitives::{B256, Bytes, KECCAK256_EMPTY, U256, map::B256Map};
use bytemuck::Zeroable;
use std::sync::{Arc, Mutex, PoisonError};

const JUMPDEST: u8 = 0x5b;
const PUSH1: u8 = 0x60;
const PUSH32: u8 = 0x7f;

const HEADER_WORDS: usize = size_of::<CodeHeader>() / 4;

/// One bit a byte: JUMPDEST that is not push data.
fn jump_destinations(code: &[u8]) -> Vec<u32> {
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

/// A code as it stands in the arena, offsets counted from its header.
fn analyse(hash: &B256, bytes: &[u8]) -> Vec<u32> {
    let mut words = vec![0; HEADER_WORDS];
    // As far behind the end as a PUSH32 at the end and a look ahead from there go.
    push_bytes(&mut words, bytes, 40);
    let header = CodeHeader {
        len: bytes.len() as u32,
        jumps_offset: words.len() as u32,
        hash: limbs_of(U256::from_be_bytes(hash.0)),
        ..CodeHeader::zeroed()
    };
    words[..HEADER_WORDS].copy_from_slice(&bytemuck::cast::<_, [u32; HEADER_WORDS]>(header));
    words.extend(jump_destinations(bytes));
    words
}

/// Analysed codes by hash, kept from batch to batch: the latest used, 64 MiB at most.
#[derive(Debug, Default)]
pub struct CodeCache(Mutex<Generations>);

/// What was used since the last change of generations, and what was used before that.
#[derive(Debug, Default)]
struct Generations {
    young: B256Map<Arc<[u32]>>,
    old: B256Map<Arc<[u32]>>,
    /// Of the young.
    words: usize,
}

impl Generations {
    /// Words of a generation.
    const BOUND: usize = 8 << 20;

    fn get(&mut self, hash: &B256) -> Option<Arc<[u32]>> {
        if let Some(code) = self.young.get(hash) {
            return Some(Arc::clone(code));
        }
        let code = self.old.remove(hash)?;
        self.keep(*hash, Arc::clone(&code));
        Some(code)
    }

    fn keep(&mut self, hash: B256, code: Arc<[u32]>) {
        if self.words + code.len() > Self::BOUND {
            self.old = std::mem::take(&mut self.young);
            self.words = 0;
        }
        self.words += code.len();
        self.young.insert(hash, code);
    }
}

impl CodeCache {
    fn analysed(
        &self,
        hash: &B256,
        bytes: impl FnOnce() -> Result<Bytes, StateError>,
    ) -> Result<Arc<[u32]>, StateError> {
        let held = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(code) = held().get(hash) {
            return Ok(code);
        }
        let code: Arc<[u32]> = analyse(hash, &bytes()?).into();
        held().keep(*hash, Arc::clone(&code));
        Ok(code)
    }
}

/// Every code that lanes run or look at, in one arena that only grows: a code stays where it is. Offset zero is the
/// empty code.
#[derive(Clone, Debug)]
pub struct CodeArena {
    cache: Arc<CodeCache>,
    offsets: B256Map<u32>,
    words: Vec<u32>,
}

impl Default for CodeArena {
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

impl CodeArena {
    /// An arena that takes what `cache` has and leaves there what it analyses.
    pub fn new(cache: Arc<CodeCache>) -> Self {
        let words = analyse(&KECCAK256_EMPTY, &[]);
        Self { cache, offsets: std::iter::once((KECCAK256_EMPTY, 0)).collect(), words }
    }

    /// The word offset of a code's header; the code is read and analysed when it is new.
    ///
    /// # Errors
    /// Whatever `bytes` gives.
    pub fn insert(&mut self, hash: B256, bytes: impl FnOnce() -> Result<Bytes, StateError>) -> Result<u32, StateError> {
        if let Some(offset) = self.offsets.get(&hash) {
            return Ok(*offset);
        }
        let code = self.cache.analysed(&hash, bytes)?;
        let offset = self.words.len() as u32;
        self.words.extend_from_slice(&code);
        self.words[offset as usize + std::mem::offset_of!(CodeHeader, jumps_offset) / 4] += offset;
        self.offsets.insert(hash, offset);
        Ok(offset)
    }

    /// Bytes of codes and their jump destinations.
    pub fn len_bytes(&self) -> usize {
        self.words.len() * 4
    }

    /// The word offset of a code's header, if the arena has the code.
    pub fn offset(&self, hash: &B256) -> Option<u32> {
        self.offsets.get(hash).copied()
    }

    /// The header at a word offset that [`CodeArena::insert`] gave.
    ///
    /// # Panics
    /// There is no room for a header at `offset`.
    pub fn header(&self, offset: u32) -> CodeHeader {
        bytemuck::pod_read_unaligned(bytemuck::cast_slice(&self.words[offset as usize..][..HEADER_WORDS]))
    }

    /// The code whose header is at `offset`, if a code is there.
    pub fn code(&self, offset: u32) -> Option<Bytes> {
        let words = self.words.get(offset as usize..)?;
        let header = words.get(..HEADER_WORDS)?;
        let len = header[std::mem::offset_of!(CodeHeader, len) / 4] as usize;
        let bytes: &[u8] = bytemuck::cast_slice(&words[HEADER_WORDS..]);
        bytes.get(..len).map(Bytes::copy_from_slice)
    }

    /// The arena as the device gets it.
    pub fn words(&self) -> &[u32] {
        &self.words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    #[test]
    fn push_data_hide_jump_destinations() {
        let code = [PUSH1, JUMPDEST, JUMPDEST, PUSH32, JUMPDEST];
        assert_eq!(jump_destinations(&code), [0b100]);
        let long: Vec<u8> = [PUSH32].into_iter().chain([JUMPDEST; 33]).collect();
        assert_eq!(jump_destinations(&long), [0, 0b10]);
    }

    #[test]
    fn a_code_stays_where_it_is() {
        let mut arena = CodeArena::default();
        assert_eq!(arena.insert(KECCAK256_EMPTY, || unreachable!()), Ok(0));
        let mut insert = |byte: u8| {
            let code = Bytes::from(vec![byte; 40]);
            let offset = arena.insert(keccak256(&code), || Ok(code)).unwrap();
            (offset, arena.header(offset), arena.words().to_vec())
        };
        let (first, second) = (insert(JUMPDEST), insert(1));
        assert_eq!(insert(JUMPDEST).0, first.0);
        assert!(first.0 > 0 && second.0 as usize == first.2.len() && second.2.starts_with(&first.2));
        let header = first.1;
        assert_eq!(header.len, 40);
        assert_eq!(first.2[header.jumps_offset as usize..], [u32::MAX, 0xff]);
        assert_eq!(header.hash, limbs_of(U256::from_be_bytes(keccak256([JUMPDEST; 40]).0)));
    }

    #[test]
    fn the_cache_forgets_what_is_not_used() {
        let cache = CodeCache::default();
        let get = |n: u8| {
            let mut read = false;
            let code = cache.analysed(&B256::repeat_byte(n), || {
                read = true;
                Ok(vec![n; Generations::BOUND].into())
            });
            assert!(code.is_ok());
            read
        };
        // Somewhat more than a quarter of a generation each.
        assert!((0..3).all(get) && !(0..3).any(get));
        assert!((3..6).all(get) && !get(0));
        assert!((6..12).all(get) && (1..3).all(get));
    }
}
