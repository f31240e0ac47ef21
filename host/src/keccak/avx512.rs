//! Keccak-256 of eight messages at once in AVX-512: the state is 25 of the 32 registers, one word of eight lanes each.
//!
//! A round is 90 instructions on two ports: θ 10 + 5 + 25, ρ 24, χ 25, ι 1. Three-operand logic does each XOR of three
//! and each χ in one, rotation is an instruction, and π is only a choice of names.

#![expect(unsafe_code, reason = "calls to functions with target features, vector loads and stores")]

use super::lanes::{Kernel, Position, RATE, ROUND_CONSTANTS, STATE, Words};
use std::arch::x86_64::{
    __m512i, _mm512_load_si512, _mm512_rol_epi64, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_store_si512,
    _mm512_ternarylogic_epi64, _mm512_xor_si512,
};

const LANES: usize = 8;

/// Exists only where the CPU has AVX-512F.
pub(super) struct Avx512(());

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx512f").then_some(Self(()))
    }
}

impl Kernel<LANES> for Avx512 {
    const STEP_COST: usize = 140;

    fn absorb(
        &self,
        state: &mut Words<STATE, LANES>,
        block: &Words<RATE, LANES>,
        position: Position,
        beside: impl FnMut(usize),
    ) {
        // SAFETY: `self` exists, so the CPU has AVX-512F.
        unsafe { absorb(state, block, position, beside) }
    }
}

/// XORs a block into the state and permutes it.
#[target_feature(enable = "avx512f")]
fn absorb(
    state: &mut Words<STATE, LANES>,
    block: &Words<RATE, LANES>,
    position: Position,
    mut beside: impl FnMut(usize),
) {
    let mut a = [_mm512_setzero_si512(); STATE];
    if position.first {
        a[..RATE].copy_from_slice(&load(block));
    } else {
        a = load(state);
        for (word, input) in a.iter_mut().zip(load(block)) {
            *word = _mm512_xor_si512(*word, input);
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

/// Every index is written out: the compiler unrolls a loop over 25 registers as it likes, and keeps them in memory where it does not.
#[inline]
#[target_feature(enable = "avx512f")]
#[rustfmt::skip]
fn round(a: [__m512i; STATE], constant: u64) -> [__m512i; STATE] {
    let p = [column(a, 0), column(a, 1), column(a, 2), column(a, 3), column(a, 4)];
    let r = [rol::<1>(p[0]), rol::<1>(p[1]), rol::<1>(p[2]), rol::<1>(p[3]), rol::<1>(p[4])];
    let t = |i: usize| xor3(a[i], p[(i + 4) % 5], r[(i + 1) % 5]);
    let b = chi([t(0), rol::<44>(t(6)), rol::<43>(t(12)), rol::<21>(t(18)), rol::<14>(t(24))]);
    let c = chi([rol::<28>(t(3)), rol::<20>(t(9)), rol::<3>(t(10)), rol::<45>(t(16)), rol::<61>(t(22))]);
    let d = chi([rol::<1>(t(1)), rol::<6>(t(7)), rol::<25>(t(13)), rol::<8>(t(19)), rol::<18>(t(20))]);
    let e = chi([rol::<27>(t(4)), rol::<36>(t(5)), rol::<10>(t(11)), rol::<15>(t(17)), rol::<56>(t(23))]);
    let f = chi([rol::<62>(t(2)), rol::<55>(t(8)), rol::<39>(t(14)), rol::<41>(t(15)), rol::<2>(t(21))]);
    [
        _mm512_xor_si512(b[0], _mm512_set1_epi64(constant.cast_signed())), b[1], b[2], b[3], b[4],
        c[0], c[1], c[2], c[3], c[4],
        d[0], d[1], d[2], d[3], d[4],
        e[0], e[1], e[2], e[3], e[4],
        f[0], f[1], f[2], f[3], f[4],
    ]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn column(a: [__m512i; STATE], x: usize) -> __m512i {
    xor3(xor3(a[x], a[x + 5], a[x + 10]), a[x + 15], a[x + 20])
}

/// a ^ (!b & c) along a row.
#[inline]
#[target_feature(enable = "avx512f")]
fn chi(b: [__m512i; 5]) -> [__m512i; 5] {
    let and_not = |a, b, c| _mm512_ternarylogic_epi64::<0xD2>(a, b, c);
    [
        and_not(b[0], b[1], b[2]),
        and_not(b[1], b[2], b[3]),
        and_not(b[2], b[3], b[4]),
        and_not(b[3], b[4], b[0]),
        and_not(b[4], b[0], b[1]),
    ]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn rol<const N: i32>(a: __m512i) -> __m512i {
    _mm512_rol_epi64::<N>(a)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor3(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi64::<0x96>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load<const WORDS: usize>(words: &Words<WORDS, LANES>) -> [__m512i; WORDS] {
    // SAFETY: each row is the 64 bytes of one register; `Words` aligns the first to 64.
    std::array::from_fn(|w| unsafe { _mm512_load_si512(words.0[w].as_ptr().cast()) })
}

/// Overwrites the first `WORDS` words.
#[inline]
#[target_feature(enable = "avx512f")]
fn store<const WORDS: usize>(words: &mut Words<STATE, LANES>, a: [__m512i; WORDS]) {
    for (row, word) in words.0.iter_mut().zip(a) {
        // SAFETY: as in `load`.
        unsafe { _mm512_store_si512(row.as_mut_ptr().cast(), word) }
    }
}
