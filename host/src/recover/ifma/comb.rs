//! The fixed table of G: odd multiples of 2^(w j) G for each window j of w bits, computed once a process by libsecp256k1.
#![expect(unsafe_code, reason = "gathers from the table")]

use super::{
    fe::{self, Fe},
    gej::Ge,
};
use crate::recover::{FIELD_MINUS_ORDER, ORDER};
use alloy_primitives::U256;
use core::arch::x86_64::{
    __m512i, _MM_HINT_T0, _mm_cvtsi64_si128, _mm_prefetch, _mm512_add_epi64, _mm512_and_si512, _mm512_cmplt_epi64_mask,
    _mm512_i64gather_epi64, _mm512_mask_blend_epi64, _mm512_or_si512, _mm512_set1_epi64, _mm512_sll_epi64,
    _mm512_slli_epi64, _mm512_srl_epi64, _mm512_sub_epi64,
};
use secp256k1::{PublicKey, SecretKey};
use std::sync::OnceLock;

/// Bits of a window, their number, and the bits that they cover.
pub(crate) const WINDOW: usize = 8;
pub(crate) const WINDOWS: usize = 256_usize.div_ceil(WINDOW);
pub(crate) const BITS: usize = WINDOW * WINDOWS;
const ENTRIES: usize = 1 << (WINDOW - 1);

/// Limbs of x, of y, of -y: two cache lines, of which a lane reads what its sign asks for.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(crate) struct Entry(#[expect(dead_code, reason = "read by gathers alone")] [u64; 16]);

const ENTRY_Y: usize = 5;
const ENTRY_MINUS_Y: usize = 10;

/// Entry (window j, e) at 2^(w - 1) j + e: (2 e + 1) 2^(w j) G.
pub(crate) fn table() -> &'static [Entry] {
    static TABLE: OnceLock<Vec<Entry>> = OnceLock::new();
    TABLE.get_or_init(compute)
}

fn entry(point: &PublicKey) -> Entry {
    let bytes = point.serialize_uncompressed();
    let x = U256::from_be_slice(&bytes[1..33]);
    let y = U256::from_be_slice(&bytes[33..]);
    let minus_y = FIELD_MINUS_ORDER + ORDER - y;
    let mut words = [0; 16];
    words[..5].copy_from_slice(&fe::limbs(x.as_limbs()));
    words[ENTRY_Y..ENTRY_Y + 5].copy_from_slice(&fe::limbs(y.as_limbs()));
    words[ENTRY_MINUS_Y..ENTRY_MINUS_Y + 5].copy_from_slice(&fe::limbs(minus_y.as_limbs()));
    Entry(words)
}

/// No multiple of G below is infinite and no two neighbours add up to infinity, so libsecp256k1 refuses nothing.
fn compute() -> Vec<Entry> {
    let mut table = Vec::with_capacity(WINDOWS * ENTRIES);
    for window in 0..WINDOWS {
        let unit: U256 = U256::ONE << (WINDOW * window);
        let key = |scalar: U256| {
            let secret = SecretKey::from_secret_bytes(scalar.to_be_bytes()).expect("a power of two below n");
            PublicKey::from_secret_key(&secret)
        };
        let mut point = key(unit);
        let twice = key((unit + unit).reduce_mod(ORDER));
        for _ in 0..ENTRIES {
            table.push(entry(&point));
            point = point.combine(&twice).expect("odd multiples of G are finite");
        }
    }
    table
}

/// The bits of window `window`. In: `words` of 64 bits a lane, the last of them zero where windows cross words.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn digit(words: &[[u64; 8]; 5], window: usize) -> __m512i {
    let (word, shift) = (WINDOW * window / 64, (WINDOW * window % 64) as i64);
    let mut bits = _mm512_srl_epi64(fe::load(&words[word]), _mm_cvtsi64_si128(shift));
    if 64 % WINDOW != 0 && shift as usize + WINDOW > 64 {
        bits = _mm512_or_si512(bits, _mm512_sll_epi64(fe::load(&words[word + 1]), _mm_cvtsi64_si128(64 - shift)));
    }
    _mm512_and_si512(bits, _mm512_set1_epi64((1 << WINDOW) - 1))
}

/// Where x and the y of the right sign are in the table, in words, for the digits in window `window`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn positions(words: &[[u64; 8]; 5], window: usize) -> (__m512i, __m512i) {
    let digit = digit(words, window);
    let half = _mm512_set1_epi64(ENTRIES as i64);
    let negative = _mm512_cmplt_epi64_mask(digit, half);
    let up = _mm512_sub_epi64(digit, half);
    let down = _mm512_sub_epi64(_mm512_set1_epi64(ENTRIES as i64 - 1), digit);
    let entry =
        _mm512_add_epi64(_mm512_mask_blend_epi64(negative, up, down), _mm512_set1_epi64((ENTRIES * window) as i64));
    // 16 words an entry.
    let x_at = _mm512_slli_epi64::<4>(entry);
    let sign =
        _mm512_mask_blend_epi64(negative, _mm512_set1_epi64(ENTRY_Y as i64), _mm512_set1_epi64(ENTRY_MINUS_Y as i64));
    (x_at, _mm512_add_epi64(x_at, sign))
}

/// Brings closer what [`lookup`] will read: an addition is as long as a miss of the first cache.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(crate) fn prefetch<const G: usize>(table: &[Entry], words: &[[[u64; 8]; 5]; G], window: usize) {
    for words in words {
        let mut at = [0; 8];
        fe::store(&mut at, positions(words, window).0);
        for at in at {
            let entry = table.as_ptr().wrapping_byte_add(8 * at as usize).cast::<i8>();
            _mm_prefetch::<_MM_HINT_T0>(entry);
            _mm_prefetch::<_MM_HINT_T0>(entry.wrapping_add(64));
        }
    }
}

/// For each lane the point that its digit in window `window` stands for.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(crate) fn lookup<const G: usize>(table: &[Entry], words: &[[[u64; 8]; 5]; G], window: usize) -> Ge<G> {
    assert!(window < WINDOWS && table.len() == WINDOWS * ENTRIES, "the table of G");
    let mut out = Ge { x: Fe::zero(), y: Fe::zero() };
    for g in 0..G {
        let (x_at, y_at) = positions(&words[g], window);
        for i in 0..5 {
            // SAFETY: a digit is below 2 ENTRIES, so the entry is below ENTRIES in a window of the table, and word `i` past x, y or -y is within it.
            unsafe {
                let base = table.as_ptr().cast::<i64>().add(i);
                out.x.0[g][i] = _mm512_i64gather_epi64::<8>(x_at, base);
                out.y.0[g][i] = _mm512_i64gather_epi64::<8>(y_at, base);
            }
        }
    }
    out
}
