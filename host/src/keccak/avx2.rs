//! Keccak-256 of four messages at once in AVX2: one word of four lanes in a register. Sixteen registers do not hold
//! the state, so rows go through memory, whose ports are idle otherwise.

#![expect(unsafe_code, reason = "calls to functions with target features, vector loads and stores")]

use super::lanes::{Kernel, Position, RATE, ROUND_CONSTANTS, STATE, Words};
use std::arch::x86_64::{
    __m256i, _mm256_andnot_si256, _mm256_load_si256, _mm256_or_si256, _mm256_set1_epi64x, _mm256_setzero_si256,
    _mm256_slli_epi64, _mm256_srli_epi64, _mm256_store_si256, _mm256_xor_si256,
};

const LANES: usize = 4;

/// Exists only where the CPU has AVX2.
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }
}

impl Kernel<LANES> for Avx2 {
    const STEP_COST: usize = 180;

    fn absorb(
        &self,
        state: &mut Words<STATE, LANES>,
        block: &Words<RATE, LANES>,
        position: Position,
        beside: impl FnMut(usize),
    ) {
        // SAFETY: `self` exists, so the CPU has AVX2.
        unsafe { absorb(state, block, position, beside) }
    }
}

/// XORs a block into the state and permutes it.
#[target_feature(enable = "avx2")]
fn absorb(
    state: &mut Words<STATE, LANES>,
    block: &Words<RATE, LANES>,
    position: Position,
    mut beside: impl FnMut(usize),
) {
    let mut a = [_mm256_setzero_si256(); STATE];
    if position.first {
        a[..RATE].copy_from_slice(&load(block));
    } else {
        a = load(state);
        for (word, input) in a.iter_mut().zip(load(block)) {
            *word = xor(*word, input);
        }
    }
    let (last, rounds) = (ROUND_CONSTANTS[23], &ROUND_CONSTANTS[..23]);
    for (index, constant) in rounds.iter().enumerate() {
        beside(index);
        a = round(a, *constant);
    }
    if position.last {
        // No other row of the last round reaches the hash, so the compiler drops them.
        let a = round(a, last);
        store(state, [a[0], a[1], a[2], a[3]]);
    } else {
        store(state, round(a, last));
    }
}

#[inline]
#[target_feature(enable = "avx2")]
#[rustfmt::skip]
fn round(a: [__m256i; STATE], constant: u64) -> [__m256i; STATE] {
    let parity: [__m256i; 5] = std::array::from_fn(|x| xor(xor(xor(a[x], a[x + 5]), xor(a[x + 10], a[x + 15])), a[x + 20]));
    let d: [__m256i; 5] = std::array::from_fn(|x| xor(parity[(x + 4) % 5], rol::<1, 63>(parity[(x + 1) % 5])));
    let t = |i: usize| xor(a[i], d[i % 5]);
    let rows = [
        chi([t(0), rol::<44, 20>(t(6)), rol::<43, 21>(t(12)), rol::<21, 43>(t(18)), rol::<14, 50>(t(24))]),
        chi([rol::<28, 36>(t(3)), rol::<20, 44>(t(9)), rol::<3, 61>(t(10)), rol::<45, 19>(t(16)), rol::<61, 3>(t(22))]),
        chi([rol::<1, 63>(t(1)), rol::<6, 58>(t(7)), rol::<25, 39>(t(13)), rol::<8, 56>(t(19)), rol::<18, 46>(t(20))]),
        chi([rol::<27, 37>(t(4)), rol::<36, 28>(t(5)), rol::<10, 54>(t(11)), rol::<15, 49>(t(17)), rol::<56, 8>(t(23))]),
        chi([rol::<62, 2>(t(2)), rol::<55, 9>(t(8)), rol::<39, 25>(t(14)), rol::<41, 23>(t(15)), rol::<2, 62>(t(21))]),
    ];
    let mut a: [__m256i; STATE] = std::array::from_fn(|i| rows[i / 5][i % 5]);
    a[0] = xor(a[0], _mm256_set1_epi64x(constant.cast_signed()));
    a
}

#[inline]
#[target_feature(enable = "avx2")]
fn chi(b: [__m256i; 5]) -> [__m256i; 5] {
    std::array::from_fn(|x| xor(b[x], _mm256_andnot_si256(b[(x + 1) % 5], b[(x + 2) % 5])))
}

/// `LEFT + RIGHT = 64`.
#[inline]
#[target_feature(enable = "avx2")]
fn rol<const LEFT: i32, const RIGHT: i32>(a: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_slli_epi64::<LEFT>(a), _mm256_srli_epi64::<RIGHT>(a))
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor(a: __m256i, b: __m256i) -> __m256i {
    _mm256_xor_si256(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn load<const WORDS: usize>(words: &Words<WORDS, LANES>) -> [__m256i; WORDS] {
    // SAFETY: each row is the 32 bytes of one register; `Words` aligns the first to 64.
    std::array::from_fn(|w| unsafe { _mm256_load_si256(words.0[w].as_ptr().cast()) })
}

/// Overwrites the first `WORDS` words.
#[inline]
#[target_feature(enable = "avx2")]
fn store<const WORDS: usize>(words: &mut Words<STATE, LANES>, a: [__m256i; WORDS]) {
    for (row, word) in words.0.iter_mut().zip(a) {
        // SAFETY: as in `load`.
        unsafe { _mm256_store_si256(row.as_mut_ptr().cast(), word) }
    }
}
