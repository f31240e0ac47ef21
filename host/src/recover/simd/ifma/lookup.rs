//! Points from the tables: of R by blends, of G by gathers.
#![expect(unsafe_code, reason = "calls to functions with target features, gathers")]
#![expect(clippy::needless_range_loop, reason = "an index runs over the limbs or groups of several arrays at once")]

use super::{
    Ifma, LANES,
    fe::{self, Fe},
};
use crate::{
    keccak,
    recover::{
        FIELD_MINUS_ORDER, ORDER,
        simd::{
            Simd,
            comb::{self, Comb},
            field::Field,
            gej::Ge,
            ladder::{Group, Table},
        },
    },
};
use alloy_primitives::U256;
use core::arch::x86_64::{
    __m512i, _MM_HINT_T0, _mm_cvtsi64_si128, _mm_prefetch, _mm512_add_epi64, _mm512_and_si512, _mm512_cmplt_epi64_mask,
    _mm512_i64gather_epi64, _mm512_mask_blend_epi64, _mm512_or_si512, _mm512_set1_epi64, _mm512_sll_epi64,
    _mm512_slli_epi64, _mm512_srl_epi64, _mm512_sub_epi64, _mm512_test_epi64_mask, _mm512_testn_epi64_mask,
};
use std::sync::OnceLock;

/// Limbs of x, of y, of -y: two cache lines, of which a lane reads what its sign asks for.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(in crate::recover::simd) struct Entry(#[expect(dead_code, reason = "read by gathers alone")] [u64; 16]);

const ENTRY_Y: usize = 5;
const ENTRY_MINUS_Y: usize = 10;
const ENTRIES: usize = comb::entries(Ifma::COMB_BITS);
const WINDOWS: usize = comb::windows(Ifma::COMB_BITS);

impl Simd<LANES> for Ifma {
    type Fe<const G: usize> = Fe<G>;
    type Entry = Entry;
    const COMB_BITS: usize = 8;
    const ALONE: usize = 1;
    const KECCAK: keccak::Engine = keccak::Engine::Avx512;

    fn comb() -> &'static Comb<Entry> {
        static COMB: OnceLock<Comb<Entry>> = OnceLock::new();
        COMB.get_or_init(Comb::compute::<LANES, Self>)
    }

    fn comb_entry(x: U256, y: U256) -> Entry {
        let mut words = [0; 16];
        let minus_y = FIELD_MINUS_ORDER + ORDER - y;
        for (at, coordinate) in [(0, x), (ENTRY_Y, y), (ENTRY_MINUS_Y, minus_y)] {
            words[at..at + 5].copy_from_slice(&Fe::<1>::limbs(coordinate.as_limbs()));
        }
        Entry(words)
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
        // SAFETY: as above.
        unsafe { comb_prefetch(entries, digits, window) }
    }
}

/// For each lane the limb of `field` of the entry whose bits the masks hold.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
fn pick(table: &Table<LANES>, field: usize, limb: usize, bits: [u8; 3]) -> __m512i {
    let pair = |e: usize| {
        let [even, odd] = [0, 1].map(|bit| fe::load(&table.0[e + bit][field][limb]));
        _mm512_mask_blend_epi64(bits[0], even, odd)
    };
    let low = _mm512_mask_blend_epi64(bits[1], pair(0), pair(2));
    let high = _mm512_mask_blend_epi64(bits[1], pair(4), pair(6));
    _mm512_mask_blend_epi64(bits[2], low, high)
}

/// A tree of blends: eight entries are too few for a gather.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
fn table_lookup<const G: usize>(
    tables: &[Table<LANES>; G],
    groups: &[Group<LANES>; G],
    half: usize,
    window: usize,
) -> Ge<Fe<G>> {
    let mut out = Ge { x: Fe::zero(), y: Fe::zero() };
    let (word, shift) = (window / 16, _mm_cvtsi64_si128((4 * window % 64) as i64));
    let mut negative = [0; G];
    for g in 0..G {
        let digit = _mm512_srl_epi64(fe::load(&groups[g].halves[half][word]), shift);
        // A digit d stands for entry d - 8 or, negated, 7 - d: the low bits flipped.
        negative[g] = _mm512_testn_epi64_mask(digit, _mm512_set1_epi64(8));
        let bits = [1, 2, 4].map(|bit| negative[g] ^ _mm512_test_epi64_mask(digit, _mm512_set1_epi64(bit)));
        for i in 0..5 {
            out.x.0[g][i] = pick(&tables[g], half, i, bits);
            out.y.0[g][i] = pick(&tables[g], 2, i, bits);
        }
    }
    out.y = out.y.neg_if(&negative);
    out
}

/// The bits of window `window`. In: `words` of 64 bits a lane, the last of them zero where windows cross words.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn digit(words: &[[u64; 8]; 5], window: usize) -> __m512i {
    const BITS: usize = Ifma::COMB_BITS;
    let (word, shift) = (BITS * window / 64, (BITS * window % 64) as i64);
    let mut bits = _mm512_srl_epi64(fe::load(&words[word]), _mm_cvtsi64_si128(shift));
    if 64 % BITS != 0 && shift as usize + BITS > 64 {
        bits = _mm512_or_si512(bits, _mm512_sll_epi64(fe::load(&words[word + 1]), _mm_cvtsi64_si128(64 - shift)));
    }
    _mm512_and_si512(bits, _mm512_set1_epi64((1 << BITS) - 1))
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

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn comb_prefetch<const G: usize>(entries: &[Entry], digits: &[[[u64; 8]; 5]; G], window: usize) {
    for words in digits {
        let mut at = [0; 8];
        fe::store(&mut at, positions(words, window).0);
        for at in at {
            let entry = entries.as_ptr().wrapping_byte_add(8 * at as usize).cast::<i8>();
            _mm_prefetch::<_MM_HINT_T0>(entry);
            _mm_prefetch::<_MM_HINT_T0>(entry.wrapping_add(64));
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn comb_lookup<const G: usize>(entries: &[Entry], digits: &[[[u64; 8]; 5]; G], window: usize) -> Ge<Fe<G>> {
    assert!(window < WINDOWS && entries.len() == WINDOWS * ENTRIES, "the table of G");
    let mut out = Ge { x: Fe::zero(), y: Fe::zero() };
    for g in 0..G {
        let (x_at, y_at) = positions(&digits[g], window);
        for i in 0..5 {
            // SAFETY: a digit is below 2 ENTRIES, so the entry is below ENTRIES in a window of the table, and word `i` past x, y or -y is within it.
            unsafe {
                let base = entries.as_ptr().cast::<i64>().add(i);
                out.x.0[g][i] = _mm512_i64gather_epi64::<8>(x_at, base);
                out.y.0[g][i] = _mm512_i64gather_epi64::<8>(y_at, base);
            }
        }
    }
    out
}
