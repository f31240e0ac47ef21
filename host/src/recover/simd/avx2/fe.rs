//! The field, four lanes a vector, five limbs in radix 2^52, each a double-precision number that is an integer; `G` independent groups.
//!
//! A *weak* element has limbs 0 to 3 within ±2^51 and limb 4 within ±(2^47 + 2^6), and stands for its value mod p. A *wide* one, a difference of two,
//! is within twice that.
//!
//! A product of two limbs is split by two fused multiply-adds (after Emmart, Zheng, Weems: "Faster modular exponentiation using double precision
//! floating point arithmetic on the GPU"): the one rounds it to a multiple of 2^52 by adding 1.5 2^104, the other gives what that left over, offset
//! by 1.5 2^52. With their exponents thus fixed the bits of both, read as integers, are the halves of the product plus constants, so columns are sums
//! of integers, and the constants are taken off in advance. It holds for products within ±2^103: a weak limb times a wide one.
//!
//! Rounding is to nearest, as it is everywhere in Rust.
#![expect(unsafe_code, reason = "vector loads and stores, calls to functions with target features")]
#![expect(clippy::needless_range_loop, reason = "an index runs over the limbs or groups of several arrays at once")]

use crate::recover::simd::{
    field::{FOLD, Field, LaneLimbs, LaneWords, Lanes, Limbs, forward, implement_field},
    sc::Words,
};
use alloy_primitives::U256;
use core::arch::x86_64::{
    __m256d, __m256i, _mm256_add_epi64, _mm256_add_pd, _mm256_and_si256, _mm256_blend_epi16, _mm256_blendv_pd,
    _mm256_castpd_si256, _mm256_castsi256_pd, _mm256_fmadd_pd, _mm256_fmsub_pd, _mm256_fnmadd_pd, _mm256_loadu_pd,
    _mm256_madd_epi16, _mm256_or_si256, _mm256_set_epi64x, _mm256_set1_epi64x, _mm256_set1_pd, _mm256_setr_epi8,
    _mm256_setzero_pd, _mm256_shuffle_epi8, _mm256_srli_epi64, _mm256_storeu_pd, _mm256_sub_epi64, _mm256_sub_pd,
    _mm256_xor_pd,
};

const LANES: usize = super::LANES;

type Vectors = [__m256d; 5];

const TWO_52: f64 = (1_u64 << 52) as f64;
const TWO_48: f64 = (1_u64 << 48) as f64;

/// Rounds a sum to a multiple of 2^52; its bits count them.
const HIGH: f64 = 1.5 * TWO_52 * TWO_52;
/// Offset of what that leaves over; its bits count ones.
const LOW: f64 = 1.5 * TWO_52;
/// The same for the product of the upper limbs, whose high half is a multiple of 2^48, so that its fold starts at limb 4.
const TOP_HIGH: f64 = 1.5 * TWO_52 * TWO_48;

const HIGH_BITS: i64 = HIGH.to_bits().cast_signed();
const LOW_BITS: i64 = LOW.to_bits().cast_signed();
/// Exponent of the numbers from 2^52 on: with it in front, 52 bits are 2^52 plus their value.
const EXPONENT: i64 = TWO_52.to_bits().cast_signed();

/// 2^260 mod p.
const FOLD_260: f64 = (16 * FOLD) as f64;

/// What is added to carries to make them positive: of a limb, and of the last one, there as 16 bits.
const CARRY_BIAS: i64 = 1 << 11;
const TOP_BIAS: i64 = 1 << 14;

/// Low halves of products in each column of a product, of a square; their high halves go to the column above.
const MUL: [i64; 9] = [1, 2, 3, 4, 5, 4, 3, 2, 1];
const SQR: [i64; 9] = [1, 1, 2, 2, 3, 2, 2, 1, 1];

/// Sums of 52-bit halves of products. Column 9 is a number: 2^-416 of what it stands for.
#[derive(Clone, Copy)]
struct Columns {
    low: [__m256i; 9],
    top: __m256d,
}

/// What columns start from, so that after `halves[k]` halves of products of either kind and the folds, times `scale`, column k is its true sum plus the
/// bias that its carry wants. `terms` more low halves are taken off in columns 0 to 4.
const fn start(halves: &[i64; 9], terms: i64, scale: u64) -> [i64; 9] {
    const LIMB_BIAS: i64 = (CARRY_BIAS << 52) + (1 << 51);
    let mut out = [0; 9];
    let mut k = 0;
    while k < 9 {
        let bias = match k {
            0 => LIMB_BIAS - TOP_BIAS * FOLD as i64,
            5 => LIMB_BIAS,
            4 => (TOP_BIAS << 48) + (1 << 47),
            8 => LOW_BITS - CARRY_BIAS,
            _ => LIMB_BIAS - CARRY_BIAS,
        };
        // Scaled are columns 0 to 4 alone, after the others were folded into them. Biases are even, and 3 has an inverse mod 2^64.
        let bias = match (k <= 4, scale) {
            (true, 2) => bias / 2,
            (true, 3) => bias.wrapping_mul(0xAAAA_AAAA_AAAA_AAAB_u64.cast_signed()),
            _ => bias,
        };
        let folds_low = if k <= 4 { 1 + terms } else { 0 };
        let folds_high = if k >= 1 && k <= 5 { 1 } else { 0 };
        let high = if k > 0 { halves[k - 1] } else { 0 };
        out[k] = bias
            .wrapping_sub(LOW_BITS.wrapping_mul(halves[k] + folds_low))
            .wrapping_sub(HIGH_BITS.wrapping_mul(high + folds_high));
        k += 1;
    }
    out
}

const fn sum(a: &[i64; 9], times: i64, b: &[i64; 9]) -> [i64; 9] {
    let mut out = *a;
    let mut k = 0;
    while k < 9 {
        out[k] += times * b[k];
        k += 1;
    }
    out
}

const fn half(a: &[i64; 9]) -> [i64; 9] {
    let mut out = *a;
    let mut k = 0;
    while k < 9 {
        assert!(out[k] % 2 == 0);
        out[k] /= 2;
        k += 1;
    }
    out
}

#[derive(Clone, Copy, Debug)]
pub(in crate::recover::simd) struct Fe<const G: usize>(pub(super) [Vectors; G]);

implement_field!(4, "avx2,fma");

#[inline]
#[target_feature(enable = "avx2,fma")]
fn add(a: __m256i, b: __m256i) -> __m256i {
    _mm256_add_epi64(a, b)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn columns(start: &[i64; 9]) -> Columns {
    Columns { low: start.map(|value| _mm256_set1_epi64x(value)), top: _mm256_setzero_pd() }
}

/// a b + c, or c - a b.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn multiply_add<const NEGATE: bool>(a: __m256d, b: __m256d, c: __m256d) -> __m256d {
    if NEGATE { _mm256_fnmadd_pd(a, b, c) } else { _mm256_fmadd_pd(a, b, c) }
}

/// The halves of a b, low and high, with their constants.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn split<const NEGATE: bool>(a: __m256d, b: __m256d) -> (__m256i, __m256i) {
    let high = multiply_add::<NEGATE>(a, b, _mm256_set1_pd(HIGH));
    // HIGH + LOW is no double-precision number, but the product of two.
    let rest = _mm256_fmsub_pd(_mm256_set1_pd(LOW), _mm256_set1_pd(TWO_52 + 1.0), high);
    (_mm256_castpd_si256(multiply_add::<NEGATE>(a, b, rest)), _mm256_castpd_si256(high))
}

impl Columns {
    /// self + a b at column k.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn add_limbs<const NEGATE: bool>(&mut self, k: usize, a: __m256d, b: __m256d) {
        if k < 8 {
            let (low, high) = split::<NEGATE>(a, b);
            self.low[k] = add(self.low[k], low);
            self.low[k + 1] = add(self.low[k + 1], high);
        } else {
            let high = multiply_add::<NEGATE>(a, b, _mm256_set1_pd(TOP_HIGH));
            let rest = _mm256_sub_pd(_mm256_set1_pd(TOP_HIGH + LOW), high);
            self.low[8] = add(self.low[8], _mm256_castpd_si256(multiply_add::<NEGATE>(a, b, rest)));
            self.top = _mm256_add_pd(self.top, _mm256_sub_pd(high, _mm256_set1_pd(TOP_HIGH)));
        }
    }

    /// self + a b, or self - a b.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn add_product<const NEGATE: bool>(&mut self, a: &Vectors, b: &Vectors) {
        for (i, a) in a.iter().enumerate() {
            for (j, b) in b.iter().enumerate() {
                self.add_limbs::<NEGATE>(i + j, *a, *b);
            }
        }
    }

    /// self + a^2.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn add_square(&mut self, a: &Vectors) {
        for i in 0..5 {
            self.add_limbs::<false>(2 * i, a[i], a[i]);
            let twice = _mm256_add_pd(a[i], a[i]);
            for j in 0..i {
                self.add_limbs::<false>(i + j, a[j], twice);
            }
        }
    }

    /// self - a.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn sub(&mut self, a: &Vectors) {
        for (low, a) in self.low.iter_mut().zip(a) {
            let bits = _mm256_castpd_si256(_mm256_add_pd(*a, _mm256_set1_pd(LOW)));
            *low = _mm256_sub_epi64(*low, bits);
        }
    }

    /// self - 2 a.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn sub_twice(&mut self, a: &Vectors) {
        self.sub(a);
        self.sub(a);
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn double(&mut self) {
        for low in &mut self.low {
            *low = add(*low, *low);
        }
        self.top = _mm256_add_pd(self.top, self.top);
    }

    /// `SCALE` (1, 2 or 3) times the columns, weak. In: columns that began as [`start`] says, their true sums below 2^58.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn reduce<const SCALE: u32>(self) -> Vectors {
        let Self { low: mut c, top } = self;
        let (low, high) = split::<false>(top, _mm256_set1_pd(FOLD as f64 / TWO_48));
        c[4] = add(c[4], low);
        c[5] = add(c[5], high);
        for k in 5..9 {
            // Column 8 is short: it needs no carry, and began with the exponent in place.
            let limb = if k < 8 {
                c[k + 1] = add(c[k + 1], _mm256_srli_epi64::<52>(c[k]));
                limb(c[k])
            } else {
                _mm256_sub_pd(_mm256_castsi256_pd(c[8]), _mm256_set1_pd(LOW))
            };
            let (low, high) = split::<false>(limb, _mm256_set1_pd(FOLD_260));
            c[k - 5] = add(c[k - 5], low);
            c[k - 4] = add(c[k - 4], high);
        }
        for c in &mut c[..5] {
            let twice = add(*c, *c);
            *c = match SCALE {
                1 => *c,
                2 => twice,
                _ => add(twice, *c),
            };
        }
        // The upper 16 bits of column 4, times 2^32 + 977.
        const NONE: i8 = -1;
        let spread = _mm256_setr_epi8(
            6, 7, NONE, NONE, 6, 7, NONE, NONE, 14, 15, NONE, NONE, 14, 15, NONE, NONE, 6, 7, NONE, NONE, 6, 7, NONE,
            NONE, 14, 15, NONE, NONE, 14, 15, NONE, NONE,
        );
        let over = _mm256_shuffle_epi8(c[4], spread);
        c[0] = add(c[0], _mm256_madd_epi16(over, _mm256_set1_epi64x(FOLD.cast_signed())));
        c[4] = _mm256_blend_epi16::<0b1000_1000>(c[4], _mm256_set1_epi64x(EXPONENT));
        let mut out = [_mm256_setzero_pd(); 5];
        for k in 0..4 {
            c[k + 1] = add(c[k + 1], _mm256_srli_epi64::<52>(c[k]));
            out[k] = limb(c[k]);
        }
        // The bias of the carry into it comes off here.
        let bias = TWO_52 + TWO_48 / 2.0 + CARRY_BIAS as f64;
        out[4] = _mm256_sub_pd(_mm256_castsi256_pd(c[4]), _mm256_set1_pd(bias));
        out
    }
}

/// The low 52 bits of a column less their bias of 2^51.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn limb(column: __m256i) -> __m256d {
    let bits = _mm256_and_si256(column, _mm256_set1_epi64x((1 << 52) - 1));
    let number = _mm256_castsi256_pd(_mm256_or_si256(bits, _mm256_set1_epi64x(EXPONENT)));
    _mm256_sub_pd(number, _mm256_set1_pd(TWO_52 + TWO_52 / 2.0))
}

// Groups one after the other: sixteen registers hold no two, and the scheduler of a core looks ahead about one multiplication.
impl<const G: usize> Fe<G> {
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn zero() -> Self {
        Self([[_mm256_setzero_pd(); 5]; G])
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn constant(limbs: &Limbs) -> Self {
        Self([limbs.map(|limb| _mm256_set1_pd(f64::from_bits(limb))); G])
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn load(limbs: &[LaneLimbs<LANES>; G]) -> Self {
        let mut out = Self::zero();
        for g in 0..G {
            for i in 0..5 {
                // SAFETY: 32 readable bytes; the instruction needs no alignment.
                out.0[g][i] = unsafe { _mm256_loadu_pd(limbs[g][i].as_ptr().cast()) };
            }
        }
        out
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn store(&self, group: usize, limbs: &mut LaneLimbs<LANES>) {
        for (limb, value) in limbs.iter_mut().zip(self.0[group]) {
            // SAFETY: 32 writable bytes; the instruction needs no alignment.
            unsafe { _mm256_storeu_pd(limb.as_mut_ptr().cast(), value) }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn mul(&self, b: &Self) -> Self {
        let mut out = Self::zero();
        for g in 0..G {
            let mut c = columns(const { &start(&MUL, 0, 1) });
            c.add_product::<false>(&self.0[g], &b.0[g]);
            out.0[g] = c.reduce::<1>();
        }
        out
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn sqr(&self) -> Self {
        let mut out = Self::zero();
        for g in 0..G {
            let mut c = columns(const { &start(&SQR, 0, 1) });
            c.add_square(&self.0[g]);
            out.0[g] = c.reduce::<1>();
        }
        out
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn mul_twice(&self, b: &Self) -> Self {
        let mut out = Self::zero();
        for g in 0..G {
            let mut c = columns(const { &start(&MUL, 0, 2) });
            c.add_product::<false>(&self.0[g], &b.0[g]);
            out.0[g] = c.reduce::<2>();
        }
        out
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn sqr_twice(&self) -> Self {
        let mut out = Self::zero();
        for g in 0..G {
            let mut c = columns(const { &start(&SQR, 0, 2) });
            c.add_square(&self.0[g]);
            out.0[g] = c.reduce::<2>();
        }
        out
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn sqr_thrice(&self) -> Self {
        let mut out = Self::zero();
        for g in 0..G {
            let mut c = columns(const { &start(&SQR, 0, 3) });
            c.add_square(&self.0[g]);
            out.0[g] = c.reduce::<3>();
        }
        out
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn mul_sub(&self, b: &Self, c: &Self) -> Self {
        let mut out = Self::zero();
        for g in 0..G {
            let mut columns = columns(const { &start(&MUL, -1, 1) });
            columns.add_product::<false>(&self.0[g], &b.0[g]);
            columns.sub(&c.0[g]);
            out.0[g] = columns.reduce::<1>();
        }
        out
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn sqr_sub_twice(&self, b: &Self) -> Self {
        let mut out = Self::zero();
        for g in 0..G {
            let mut c = columns(const { &start(&SQR, -2, 1) });
            c.add_square(&self.0[g]);
            c.sub_twice(&b.0[g]);
            out.0[g] = c.reduce::<1>();
        }
        out
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn sqr_sub_twice_sub(&self, b: &Self, c: &Self) -> Self {
        let mut out = Self::zero();
        for g in 0..G {
            let mut columns = columns(const { &start(&SQR, -3, 1) });
            columns.add_square(&self.0[g]);
            columns.sub_twice(&b.0[g]);
            columns.sub(&c.0[g]);
            out.0[g] = columns.reduce::<1>();
        }
        out
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn mul_sub_mul(a: &Self, b: &Self, c: &Self, d: &Self) -> Self {
        let mut out = Self::zero();
        for g in 0..G {
            let mut columns = columns(const { &start(&sum(&MUL, 1, &MUL), 0, 1) });
            columns.add_product::<false>(&a.0[g], &b.0[g]);
            columns.add_product::<true>(&c.0[g], &d.0[g]);
            out.0[g] = columns.reduce::<1>();
        }
        out
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn mul_add_sqr_twice(a: &Self, b: &Self, c: &Self) -> Self {
        let mut out = Self::zero();
        for g in 0..G {
            let mut columns = columns(const { &half(&start(&sum(&MUL, 2, &SQR), 0, 1)) });
            columns.add_square(&c.0[g]);
            columns.double();
            columns.add_product::<false>(&a.0[g], &b.0[g]);
            out.0[g] = columns.reduce::<1>();
        }
        out
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn neg(&self) -> Self {
        let mut out = *self;
        for limb in out.0.as_flattened_mut() {
            *limb = _mm256_xor_pd(*limb, signs([true; LANES]));
        }
        out
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn select(&self, b: &Self, take_b: &[u8; G]) -> Self {
        let mut out = *self;
        for g in 0..G {
            let take = |lane: usize| take_b[g] >> lane & 1 == 1;
            let sign = signs([take(0), take(1), take(2), take(3)]);
            for (limb, b) in out.0[g].iter_mut().zip(b.0[g]) {
                *limb = _mm256_blendv_pd(*limb, b, sign);
            }
        }
        out
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn diff(&self, b: &Self) -> Self {
        let mut out = *self;
        for g in 0..G {
            for (limb, b) in out.0[g].iter_mut().zip(b.0[g]) {
                *limb = _mm256_sub_pd(*limb, b);
            }
        }
        out
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn canonical_words(&self) -> [LaneWords<LANES>; G] {
        let mut out = [[[0; LANES]; 4]; G];
        for g in 0..G {
            let mut limbs = [[0; LANES]; 5];
            self.store(g, &mut limbs);
            for lane in 0..LANES {
                let words = words(limbs.map(|limb| f64::from_bits(limb[lane])));
                for word in 0..4 {
                    out[g][word][lane] = words[word];
                }
            }
        }
        out
    }
}

/// A vector of four limbs, the bits of each.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn vector([a, b, c, d]: [u64; LANES]) -> __m256d {
    let [a, b, c, d] = [a.cast_signed(), b.cast_signed(), c.cast_signed(), d.cast_signed()];
    _mm256_castsi256_pd(_mm256_set_epi64x(d, c, b, a))
}

/// The sign bit in the lanes chosen.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn signs([a, b, c, d]: [bool; LANES]) -> __m256d {
    vector([u64::from(a) << 63, u64::from(b) << 63, u64::from(c) << 63, u64::from(d) << 63])
}

/// Weak limbs of a number below 2^256.
const fn limbs(words: &Words) -> Limbs {
    const MASK: u64 = (1 << 52) - 1;
    let mut limbs = [
        (words[0] & MASK) as i64,
        ((words[0] >> 52 | words[1] << 12) & MASK) as i64,
        ((words[1] >> 40 | words[2] << 24) & MASK) as i64,
        ((words[2] >> 28 | words[3] << 36) & MASK) as i64,
        (words[3] >> 16) as i64,
    ];
    // From 2^255 on it stands for the number less p.
    if words[3] >> 63 == 1 {
        limbs[4] -= 1 << 48;
        limbs[0] += FOLD as i64;
    }
    let mut out = [0; 5];
    let mut i = 0;
    while i < 4 {
        let carry = (limbs[i] + (1 << 51)) >> 52;
        limbs[i + 1] += carry;
        out[i] = ((limbs[i] - (carry << 52)) as f64).to_bits();
        i += 1;
    }
    out[4] = (limbs[4] as f64).to_bits();
    out
}

/// The number mod p of weak limbs: they stand for one between -p and p.
fn words(limbs: [f64; 5]) -> Words {
    let mut limbs = limbs.map(|limb| limb as i64);
    for i in 0..4 {
        limbs[i + 1] += limbs[i] >> 52;
    }
    let [a, b, c, d, e] = limbs.map(|limb| limb as u64 & ((1 << 52) - 1));
    let words = [a | b << 52, b >> 12 | c << 40, c >> 24 | d << 28, d >> 36 | e << 16];
    if limbs[4] < 0 { U256::from_limbs(words).wrapping_sub(U256::from(FOLD)).into_limbs() } else { words }
}
