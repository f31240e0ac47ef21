//! Points from the tables, each lane by loads of its own: a gather is no faster, and slow where it was mended against Downfall.
#![expect(unsafe_code, reason = "calls to functions with target features")]
#![expect(
    clippy::needless_range_loop,
    reason = "an index runs over the limbs, lanes or groups of several arrays at once"
)]

use super::{
    Avx2, LANES,
    fe::{Fe, signs, vector},
};
use crate::{
    keccak,
    recover::simd::{
        Simd,
        comb::{self, Comb},
        field::{Field, Limbs},
        gej::Ge,
        ladder::{ENTRIES, Group, Table},
    },
};
use alloy_primitives::U256;
use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch, _mm256_xor_pd};
use std::sync::OnceLock;

/// x and y.
#[derive(Clone, Copy, Debug)]
#[repr(align(16))]
pub(in crate::recover::simd) struct Entry([Limbs; 2]);

const COMB_ENTRIES: usize = comb::entries(Avx2::COMB_BITS);

impl Simd<LANES> for Avx2 {
    type Fe<const G: usize> = Fe<G>;
    type Entry = Entry;
    const COMB_BITS: usize = 10;
    const ALONE: usize = 2;
    const KECCAK: keccak::Engine = keccak::Engine::Avx2;

    fn comb() -> &'static Comb<Entry> {
        static COMB: OnceLock<Comb<Entry>> = OnceLock::new();
        COMB.get_or_init(Comb::compute::<LANES, Self>)
    }

    fn comb_entry(x: U256, y: U256) -> Entry {
        Entry([x, y].map(|coordinate| Fe::<1>::limbs(coordinate.as_limbs())))
    }

    #[inline(always)]
    fn one_of<const G: usize>(groups: &Fe<G>, group: usize) -> Fe<1> {
        Fe([groups.0[group]])
    }

    #[inline(always)]
    fn table_lookup<const G: usize>(
        tables: &[Table<LANES>; G],
        groups: &[Group<LANES>; G],
        half: usize,
        window: usize,
    ) -> Ge<Fe<G>> {
        // SAFETY: reached only through `outlined`, so the CPU has the features.
        unsafe { table_lookup(tables, groups, half, window) }
    }

    #[inline(always)]
    fn comb_lookup<const G: usize>(entries: &[Entry], digits: &[[[u64; LANES]; 5]; G], window: usize) -> Ge<Fe<G>> {
        // SAFETY: as above.
        unsafe { comb_lookup(entries, digits, window) }
    }

    #[inline(always)]
    fn comb_prefetch<const G: usize>(entries: &[Entry], digits: &[[[u64; LANES]; 5]; G], window: usize) {
        let entries = &entries[COMB_ENTRIES * window..][..COMB_ENTRIES];
        for (words, lane) in digits.iter().flat_map(|words| (0..LANES).map(move |lane| (words, lane))) {
            let digit = comb_digit(words, window, lane);
            let [x, y] = &entries[entry(digit, COMB_ENTRIES)].0;
            // SAFETY: every x86-64 has SSE.
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(x.as_ptr().cast());
                _mm_prefetch::<_MM_HINT_T0>((&raw const y[4]).cast());
            }
        }
    }
}

/// The entry of a digit d of a window with so many entries: d less their number or, negated, their number less 1 + d.
#[inline(always)]
fn entry(digit: u64, entries: usize) -> usize {
    let (digit, last) = (digit as usize, entries - 1);
    (if digit < entries { last - digit } else { digit }) & last
}

/// Digit of a lane in window `window` of u1.
#[inline(always)]
fn comb_digit(words: &[[u64; LANES]; 5], window: usize, lane: usize) -> u64 {
    const BITS: usize = Avx2::COMB_BITS;
    let (word, shift) = (BITS * window / 64, BITS * window % 64);
    let bits = u128::from(words[word][lane]) | u128::from(words[word + 1][lane]) << 64;
    (bits >> shift) as u64 & ((1 << BITS) - 1)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn table_lookup<const G: usize>(
    tables: &[Table<LANES>; G],
    groups: &[Group<LANES>; G],
    half: usize,
    window: usize,
) -> Ge<Fe<G>> {
    let mut out = Ge { x: Fe::zero(), y: Fe::zero() };
    let (word, shift) = (window / 16, 4 * window % 64);
    for g in 0..G {
        let (table, words) = (&tables[g].0, &groups[g].halves[half][word]);
        let (mut negative, mut at) = ([false; LANES], [&table[0]; LANES]);
        for lane in 0..LANES {
            let digit = words[lane] >> shift & 15;
            negative[lane] = digit < ENTRIES as u64;
            at[lane] = &table[entry(digit, ENTRIES)];
        }
        let [a, b, c, d] = at;
        let sign = signs(negative);
        for i in 0..5 {
            out.x.0[g][i] = vector([a[half][i][0], b[half][i][1], c[half][i][2], d[half][i][3]]);
            out.y.0[g][i] = _mm256_xor_pd(sign, vector([a[2][i][0], b[2][i][1], c[2][i][2], d[2][i][3]]));
        }
    }
    out
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn comb_lookup<const G: usize>(entries: &[Entry], digits: &[[[u64; LANES]; 5]; G], window: usize) -> Ge<Fe<G>> {
    let mut out = Ge { x: Fe::zero(), y: Fe::zero() };
    let entries = &entries[COMB_ENTRIES * window..][..COMB_ENTRIES];
    for g in 0..G {
        let (mut negative, mut at) = ([false; LANES], [&entries[0].0; LANES]);
        for lane in 0..LANES {
            let digit = comb_digit(&digits[g], window, lane);
            negative[lane] = digit < COMB_ENTRIES as u64;
            at[lane] = &entries[entry(digit, COMB_ENTRIES)].0;
        }
        let [a, b, c, d] = at;
        let sign = signs(negative);
        for i in 0..5 {
            out.x.0[g][i] = vector([a[0][i], b[0][i], c[0][i], d[0][i]]);
            out.y.0[g][i] = _mm256_xor_pd(sign, vector([a[1][i], b[1][i], c[1][i], d[1][i]]));
        }
    }
    out
}
