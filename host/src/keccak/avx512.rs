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
    for (round, constant) in rounds.iter().enumerate() {
        beside(round);
        a = chi_iota(rho_pi(theta(a)), *constant);
    }
    if position.last {
        // No other row of the last round reaches the hash, so the compiler drops them.
        let a = chi_iota(rho_pi(theta(a)), last);
        store(state, [a[0], a[1], a[2], a[3]]);
    } else {
        store(state, chi_iota(rho_pi(theta(a)), last));
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn theta(a: [__m512i; STATE]) -> [__m512i; STATE] {
    let parity: [__m512i; 5] = std::array::from_fn(|x| xor3(xor3(a[x], a[x + 5], a[x + 10]), a[x + 15], a[x + 20]));
    let rotated = parity.map(|word| _mm512_rol_epi64::<1>(word));
    std::array::from_fn(|i| xor3(a[i], parity[(i + 4) % 5], rotated[(i + 1) % 5]))
}

#[inline]
#[target_feature(enable = "avx512f")]
#[rustfmt::skip]
fn rho_pi(a: [__m512i; STATE]) -> [__m512i; STATE] {
    [
        a[0], rol::<44>(a[6]), rol::<43>(a[12]), rol::<21>(a[18]), rol::<14>(a[24]),
        rol::<28>(a[3]), rol::<20>(a[9]), rol::<3>(a[10]), rol::<45>(a[16]), rol::<61>(a[22]),
        rol::<1>(a[1]), rol::<6>(a[7]), rol::<25>(a[13]), rol::<8>(a[19]), rol::<18>(a[20]),
        rol::<27>(a[4]), rol::<36>(a[5]), rol::<10>(a[11]), rol::<15>(a[17]), rol::<56>(a[23]),
        rol::<62>(a[2]), rol::<55>(a[8]), rol::<39>(a[14]), rol::<41>(a[15]), rol::<2>(a[21]),
    ]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn chi_iota(b: [__m512i; STATE], constant: u64) -> [__m512i; STATE] {
    let mut a: [__m512i; STATE] = std::array::from_fn(|i| {
        let row = i - i % 5;
        // a ^ (!b & c)
        _mm512_ternarylogic_epi64::<0xD2>(b[i], b[row + (i + 1) % 5], b[row + (i + 2) % 5])
    });
    a[0] = _mm512_xor_si512(a[0], _mm512_set1_epi64(constant.cast_signed()));
    a
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
