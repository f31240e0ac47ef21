//! The field: integers mod p = 2^256 - 2^32 - 977, eight lanes a vector, five limbs of 52 bits, `G` independent groups side by side.
//!
//! Groups are there for latency alone: a chain of multiplications in one of them leaves half of the ports idle.
//!
//! A *weak* element has limbs 0 to 3 below 2^52 and limb 4 below 2^49, and stands for its value mod p. Every function takes and gives weak
//! elements unless it says otherwise. *Raw* limbs are sums that were not carried yet: unsigned, below 2^61, good for nothing but `*_plus`.
//! Comparison, parity and storage need [`Fe::canonical`]. Products fold by 2^260 = 16 (2^32 + 977) mod p.
#![expect(unsafe_code, reason = "vector loads and stores, calls to functions with target features")]
#![expect(clippy::needless_range_loop, reason = "an index runs over the limbs or groups of several arrays at once")]

use crate::recover::simd::{
    field::{FOLD, Field, LaneLimbs, LaneWords, Lanes, Limbs, forward, implement_field},
    sc::Words,
};
use core::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_cmpneq_epi64_mask, _mm512_loadu_si512, _mm512_madd52hi_epu64,
    _mm512_madd52lo_epu64, _mm512_mask_blend_epi64, _mm512_mask_sub_epi64, _mm512_or_si512, _mm512_set1_epi64,
    _mm512_setzero_si512, _mm512_slli_epi64, _mm512_srli_epi64, _mm512_storeu_si512, _mm512_sub_epi64,
};

/// Limbs of one number in each of eight lanes.
type Vectors = [__m512i; 5];
type Columns = [__m512i; 10];

/// Bits of a limb, and those of the last one.
const LIMB: u32 = 52;
const TOP: u32 = 48;
const MASK: u64 = (1 << LIMB) - 1;
const TOP_MASK: u64 = (1 << TOP) - 1;

/// 32 p with every limb above 2^52, so that no limb of 32 p minus a weak element is negative.
const BIAS: [u64; 5] = [(1 << 53) - 32 * FOLD, (1 << 53) - 2, (1 << 53) - 2, (1 << 53) - 2, (1 << 53) - 2];

#[derive(Clone, Copy, Debug)]
pub(in crate::recover::simd) struct Fe<const G: usize>(pub(super) [Vectors; G]);

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn splat(value: u64) -> __m512i {
    _mm512_set1_epi64(value.cast_signed())
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn load(words: &[u64; 8]) -> __m512i {
    // SAFETY: 64 readable bytes; the instruction needs no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn store(words: &mut [u64; 8], value: __m512i) {
    // SAFETY: 64 writable bytes; the instruction needs no alignment.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), value) }
}

implement_field!(8, "avx512f,avx512ifma,avx512dq");

// The kernels go through the groups innermost, so that neighbouring instructions are independent: the scheduler of a core looks ahead about one
// multiplication, not two.

/// columns + a b.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn add_product<const G: usize>(c: &mut [Columns; G], a: &[Vectors; G], b: &[Vectors; G]) {
    for i in 0..5 {
        for j in 0..5 {
            for g in 0..G {
                c[g][i + j] = _mm512_madd52lo_epu64(c[g][i + j], a[g][i], b[g][j]);
            }
        }
        for j in 0..5 {
            for g in 0..G {
                c[g][i + j + 1] = _mm512_madd52hi_epu64(c[g][i + j + 1], a[g][i], b[g][j]);
            }
        }
    }
}

/// a^2 + raw.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn square<const G: usize>(a: &[Vectors; G], raw: Option<&[Vectors; G]>) -> [Columns; G] {
    let mut c = [[_mm512_setzero_si512(); 10]; G];
    for i in 0..4 {
        for j in i + 1..5 {
            for g in 0..G {
                c[g][i + j] = _mm512_madd52lo_epu64(c[g][i + j], a[g][i], a[g][j]);
            }
        }
        for j in i + 1..5 {
            for g in 0..G {
                c[g][i + j + 1] = _mm512_madd52hi_epu64(c[g][i + j + 1], a[g][i], a[g][j]);
            }
        }
    }
    for i in 1..9 {
        for g in 0..G {
            c[g][i] = _mm512_add_epi64(c[g][i], c[g][i]);
        }
    }
    if let Some(raw) = raw {
        for i in 0..5 {
            for g in 0..G {
                c[g][i] = _mm512_add_epi64(c[g][i], raw[g][i]);
            }
        }
    }
    for i in 0..5 {
        for g in 0..G {
            c[g][2 * i] = _mm512_madd52lo_epu64(c[g][2 * i], a[g][i], a[g][i]);
            c[g][2 * i + 1] = _mm512_madd52hi_epu64(c[g][2 * i + 1], a[g][i], a[g][i]);
        }
    }
    c
}

/// The carries of limbs below 2^63 whose limb 4 was cut to 48 bits.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn ripple<const G: usize>(t: &mut [Vectors; G]) {
    let mask = splat(MASK);
    for i in 0..4 {
        for limbs in t.iter_mut() {
            limbs[i + 1] = _mm512_add_epi64(limbs[i + 1], _mm512_srli_epi64::<LIMB>(limbs[i]));
            limbs[i] = _mm512_and_si512(limbs[i], mask);
        }
    }
}

/// `SCALE` (1, 2 or 3) times the columns, weak. In: columns below 2^61, the upper five (carried) a number below 2^260.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn reduce<const SCALE: u32, const G: usize>(mut c: [Columns; G]) -> Fe<G> {
    // The multiplier reads 52 bits only, so the upper limbs need their carries but no masks.
    for i in 5..9 {
        for g in 0..G {
            c[g][i + 1] = _mm512_add_epi64(c[g][i + 1], _mm512_srli_epi64::<LIMB>(c[g][i]));
        }
    }
    let fold = splat(16 * FOLD);
    let mut high = [_mm512_setzero_si512(); G];
    for i in 0..5 {
        for g in 0..G {
            c[g][i] = _mm512_madd52lo_epu64(c[g][i], c[g][i + 5], fold);
            let above = if i < 4 { c[g][i + 1] } else { high[g] };
            let above = _mm512_madd52hi_epu64(above, c[g][i + 5], fold);
            *(if i < 4 { &mut c[g][i + 1] } else { &mut high[g] }) = above;
        }
    }
    if SCALE > 1 {
        for g in 0..G {
            for limb in c[g][..5].iter_mut().chain([&mut high[g]]) {
                let twice = _mm512_add_epi64(*limb, *limb);
                *limb = if SCALE == 3 { _mm512_add_epi64(twice, *limb) } else { twice };
            }
        }
    }
    let fold = splat(FOLD);
    let mut out = Fe::zero();
    for g in 0..G {
        let over = _mm512_add_epi64(_mm512_srli_epi64::<TOP>(c[g][4]), _mm512_slli_epi64::<4>(high[g]));
        out.0[g] = [
            _mm512_madd52lo_epu64(c[g][0], over, fold),
            _mm512_madd52hi_epu64(c[g][1], over, fold),
            c[g][2],
            c[g][3],
            _mm512_and_si512(c[g][4], splat(TOP_MASK)),
        ];
    }
    ripple(&mut out.0);
    out
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn columns_from<const G: usize>(raw: &[Vectors; G]) -> [Columns; G] {
    let mut c = [[_mm512_setzero_si512(); 10]; G];
    for g in 0..G {
        c[g][..5].copy_from_slice(&raw[g]);
    }
    c
}

impl<const G: usize> Fe<G> {
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn zero() -> Self {
        Self([[_mm512_setzero_si512(); 5]; G])
    }

    /// The same number in every lane.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn constant(limbs: &Limbs) -> Self {
        let mut out = Self::zero();
        for group in &mut out.0 {
            for (limb, value) in group.iter_mut().zip(limbs) {
                *limb = splat(*value);
            }
        }
        out
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn load(limbs: &[LaneLimbs<8>; G]) -> Self {
        let mut out = Self::zero();
        for g in 0..G {
            for i in 0..5 {
                out.0[g][i] = load(&limbs[g][i]);
            }
        }
        out
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn store(&self, group: usize, limbs: &mut LaneLimbs<8>) {
        for (limb, value) in limbs.iter_mut().zip(self.0[group]) {
            store(limb, value);
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn mul(&self, b: &Self) -> Self {
        self.mul_scaled::<1>(b)
    }

    /// `SCALE` times the product.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn mul_scaled<const SCALE: u32>(&self, b: &Self) -> Self {
        let mut c = [[_mm512_setzero_si512(); 10]; G];
        add_product(&mut c, &self.0, &b.0);
        reduce::<SCALE, G>(c)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn mul_twice(&self, b: &Self) -> Self {
        self.mul_scaled::<2>(b)
    }

    /// self * b + raw.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn mul_plus(&self, b: &Self, raw: &Self) -> Self {
        let mut c = columns_from(&raw.0);
        add_product(&mut c, &self.0, &b.0);
        reduce::<1, G>(c)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn mul_sub(&self, b: &Self, c: &Self) -> Self {
        self.mul_plus(b, &c.raw_neg())
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn mul_sub_mul(a: &Self, b: &Self, c: &Self, d: &Self) -> Self {
        let mut columns = [[_mm512_setzero_si512(); 10]; G];
        add_product(&mut columns, &a.0, &b.0);
        add_product(&mut columns, &c.0, &d.neg().0);
        reduce::<1, G>(columns)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn mul_add_sqr_twice(a: &Self, b: &Self, c: &Self) -> Self {
        let mut columns = square(&c.0, None);
        for i in 0..10 {
            for g in 0..G {
                columns[g][i] = _mm512_add_epi64(columns[g][i], columns[g][i]);
            }
        }
        add_product(&mut columns, &a.0, &b.0);
        reduce::<1, G>(columns)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn sqr(&self) -> Self {
        self.sqr_scaled::<1>()
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn sqr_scaled<const SCALE: u32>(&self) -> Self {
        reduce::<SCALE, G>(square(&self.0, None))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn sqr_twice(&self) -> Self {
        self.sqr_scaled::<2>()
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn sqr_thrice(&self) -> Self {
        self.sqr_scaled::<3>()
    }

    /// self^2 + raw.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn sqr_plus(&self, raw: &Self) -> Self {
        reduce::<1, G>(square(&self.0, Some(&raw.0)))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn sqr_sub_twice(&self, b: &Self) -> Self {
        let minus_b = b.raw_neg();
        self.sqr_plus(&minus_b.raw_add(&minus_b))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn sqr_sub_twice_sub(&self, b: &Self, c: &Self) -> Self {
        let minus_b = b.raw_neg();
        self.sqr_plus(&minus_b.raw_add(&minus_b).raw_add(&c.raw_neg()))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn diff(&self, b: &Self) -> Self {
        self.raw_add(&b.raw_neg()).carry()
    }

    /// -self, raw.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn raw_neg(&self) -> Self {
        let mut out = Self::zero();
        for g in 0..G {
            for i in 0..5 {
                out.0[g][i] = _mm512_sub_epi64(splat(BIAS[i]), self.0[g][i]);
            }
        }
        out
    }

    /// self + b, raw; either may be.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn raw_add(&self, b: &Self) -> Self {
        let mut out = Self::zero();
        for g in 0..G {
            for i in 0..5 {
                out.0[g][i] = _mm512_add_epi64(self.0[g][i], b.0[g][i]);
            }
        }
        out
    }

    /// Raw limbs made weak.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn carry(&self) -> Self {
        let mut out = *self;
        for t in &mut out.0 {
            let over = _mm512_srli_epi64::<TOP>(t[4]);
            t[4] = _mm512_and_si512(t[4], splat(TOP_MASK));
            t[0] = _mm512_madd52lo_epu64(t[0], over, splat(FOLD));
        }
        ripple(&mut out.0);
        out
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn neg(&self) -> Self {
        self.raw_neg().carry()
    }

    /// -self in the lanes whose bit is set.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn neg_if(&self, negate: &[u8; G]) -> Self {
        let mut out = *self;
        for g in 0..G {
            for i in 0..5 {
                out.0[g][i] = _mm512_mask_sub_epi64(self.0[g][i], negate[g], splat(BIAS[i]), self.0[g][i]);
            }
        }
        out.carry()
    }

    /// `b` in the lanes whose bit is set.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn select(&self, b: &Self, take_b: &[u8; G]) -> Self {
        let mut out = Self::zero();
        for g in 0..G {
            for i in 0..5 {
                out.0[g][i] = _mm512_mask_blend_epi64(take_b[g], self.0[g][i], b.0[g][i]);
            }
        }
        out
    }

    /// The one form below p. A weak value is below 2 p, so one conditional subtraction does.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn canonical(&self) -> Self {
        let mut less = *self;
        for group in &mut less.0 {
            group[0] = _mm512_add_epi64(group[0], splat(FOLD));
        }
        ripple(&mut less.0);
        let mut out = *self;
        for (out, less) in out.0.iter_mut().zip(&mut less.0) {
            let reached = _mm512_cmpneq_epi64_mask(_mm512_srli_epi64::<TOP>(less[4]), _mm512_setzero_si512());
            less[4] = _mm512_and_si512(less[4], splat(TOP_MASK));
            for i in 0..5 {
                out[i] = _mm512_mask_blend_epi64(reached, out[i], less[i]);
            }
        }
        out
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn canonical_words(&self) -> [LaneWords<8>; G] {
        let mut out = [[[0; 8]; 4]; G];
        let canonical = self.canonical();
        for g in 0..G {
            let a = &canonical.0[g];
            store(&mut out[g][0], _mm512_or_si512(a[0], _mm512_slli_epi64::<52>(a[1])));
            store(&mut out[g][1], _mm512_or_si512(_mm512_srli_epi64::<12>(a[1]), _mm512_slli_epi64::<40>(a[2])));
            store(&mut out[g][2], _mm512_or_si512(_mm512_srli_epi64::<24>(a[2]), _mm512_slli_epi64::<28>(a[3])));
            store(&mut out[g][3], _mm512_or_si512(_mm512_srli_epi64::<36>(a[3]), _mm512_slli_epi64::<16>(a[4])));
        }
        out
    }
}

/// Limbs of 52 bits of a number given in words.
const fn limbs(words: &Words) -> Limbs {
    [
        words[0] & MASK,
        (words[0] >> 52 | words[1] << 12) & MASK,
        (words[1] >> 40 | words[2] << 24) & MASK,
        (words[2] >> 28 | words[3] << 36) & MASK,
        words[3] >> 16,
    ]
}
