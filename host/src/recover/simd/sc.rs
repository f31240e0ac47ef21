//! Scalars: integers mod the group order n in four 64-bit words, one at a time: all of it is a few percent of a recovery.
//!
//! A scalar a is recoded as v with a = 2 v + 1 - 2^L (mod n), so that a window digit d of w bits stands for the odd number 2 d + 1 - 2^w: no digit
//! is zero, no lane ever skips, and the accumulator never starts at infinity.

use crate::recover::{HALF_ORDER, ORDER, RecoverRequest};
use alloy_primitives::{U256, U512, uint};
use std::sync::OnceLock;

pub(super) type Words = [u64; 4];

/// libsecp256k1's lattice basis (a1, b1), (a2, b2) with a + b lambda = 0 mod n, as a1, -b1, a2; b2 = a1.
const A1: U256 = uint!(0x3086D221_A7D46BCD_E86C90E4_9284EB15_U256);
const MINUS_B1: U256 = uint!(0xE4437ED6_010E8828_6F547FA9_0ABFE4C3_U256);
const A2: U256 = uint!(0x1_14CA50F7_A8E2F3F6_57C1108D_9D44CFD8_U256);
/// The eigenvalue of the endomorphism: lambda (x, y) = (beta x, y).
const LAMBDA: U256 = uint!(0x5363AD4C_C05C30E0_A5261C02_8812645A_122E22EA_20816678_DF02967C_1B23BD72_U256);

const N: Words = *ORDER.as_limbs();

/// -1 / n mod 2^64, by Newton's iteration from the three bits that any odd number gets right.
const N_NEG_INV: u64 = {
    let mut x = N[0];
    let mut i = 0;
    while i < 5 {
        x = x.wrapping_mul(2u64.wrapping_sub(N[0].wrapping_mul(x)));
        i += 1;
    }
    x.wrapping_neg()
};

/// 1 / 2 mod n.
const HALF: U256 = HALF_ORDER.wrapping_add(U256::ONE);

/// What a recovery needs of a signature's scalars.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Digits {
    /// The halves of u2, recoded: 33 windows of 4 bits.
    pub(super) halves: [[u64; 3]; 2],
    /// u1, recoded for the comb.
    pub(super) comb: Words,
}

#[derive(Debug)]
struct Constants {
    /// 2 * 2^512 mod n: to Montgomery's form and doubled.
    two_mont2: Words,
    /// 2^512 mod n: to Montgomery's form.
    mont2: Words,
    /// 2^256 mod n: one in Montgomery's form.
    mont: Words,
    /// (-1 - lambda) / 2.
    split_offset: Words,
    /// round(2^384 b2 / n), round(2^384 (-b1) / n).
    shifts: [Words; 2],
}

fn constants() -> &'static Constants {
    static CONSTANTS: OnceLock<Constants> = OnceLock::new();
    CONSTANTS.get_or_init(|| {
        let n = ORDER;
        let power = |e: usize| U256::from(2).pow_mod(U256::from(e), n);
        let shift = |b: U256| {
            let wide = (U512::from(b) << 384) + U512::from(n >> 1);
            let quotient: U512 = wide / U512::from(n);
            U256::from(quotient).into_limbs()
        };
        Constants {
            two_mont2: power(513).into_limbs(),
            mont2: power(512).into_limbs(),
            mont: power(256).into_limbs(),
            split_offset: (n - U256::ONE - LAMBDA).mul_mod(HALF, n).into_limbs(),
            shifts: [shift(A1), shift(MINUS_B1)],
        }
    })
}

fn mac(a: u64, b: u64, c: u64, carry: &mut u64) -> u64 {
    let t = u128::from(a) + u128::from(b) * u128::from(c) + u128::from(*carry);
    *carry = (t >> 64) as u64;
    t as u64
}

fn adc(a: u64, b: u64, carry: &mut u64) -> u64 {
    let t = u128::from(a) + u128::from(b) + u128::from(*carry);
    *carry = (t >> 64) as u64;
    t as u64
}

fn sbb(a: u64, b: u64, borrow: &mut u64) -> u64 {
    let t = u128::from(a).wrapping_sub(u128::from(b) + u128::from(*borrow));
    *borrow = (t >> 64) as u64 & 1;
    t as u64
}

/// The number mod n. In: below 2 n, bit 256 in `over`.
fn sub_n_if(a: Words, over: u64) -> Words {
    let mut borrow = 0;
    let mut out = [0; 4];
    for i in 0..4 {
        out[i] = sbb(a[i], N[i], &mut borrow);
    }
    if over < borrow { a } else { out }
}

/// a b / 2^256 mod n. In: one of them below n.
fn mont_mul(a: &Words, b: &Words) -> Words {
    let mut t = [0u64; 5];
    for &x in a {
        let mut carry = 0;
        for j in 0..4 {
            t[j] = mac(t[j], x, b[j], &mut carry);
        }
        let mut over = 0;
        t[4] = adc(t[4], carry, &mut over);
        let q = t[0].wrapping_mul(N_NEG_INV);
        let mut carry = 0;
        mac(t[0], q, N[0], &mut carry);
        for j in 1..4 {
            t[j - 1] = mac(t[j], q, N[j], &mut carry);
        }
        let mut high = 0;
        t[3] = adc(t[4], carry, &mut high);
        t[4] = over + high;
    }
    sub_n_if([t[0], t[1], t[2], t[3]], t[4])
}

fn add(a: &Words, b: &Words) -> Words {
    let mut carry = 0;
    let mut out = [0; 4];
    for i in 0..4 {
        out[i] = adc(a[i], b[i], &mut carry);
    }
    sub_n_if(out, carry)
}

/// a - b mod n.
fn sub(a: &Words, b: &Words) -> Words {
    let mut borrow = 0;
    let mut out = [0; 4];
    for i in 0..4 {
        out[i] = sbb(a[i], b[i], &mut borrow);
    }
    if borrow == 0 {
        return out;
    }
    let mut carry = 0;
    for i in 0..4 {
        out[i] = adc(out[i], N[i], &mut carry);
    }
    out
}

/// round(k g / 2^384), below 2^128.
fn mul_shift(k: &Words, g: &Words) -> [u64; 2] {
    let mut t = [0u64; 8];
    for i in 0..4 {
        let mut carry = 0;
        for j in 0..4 {
            t[i + j] = mac(t[i + j], k[i], g[j], &mut carry);
        }
        t[i + 4] = carry;
    }
    let mut carry = t[5] >> 63;
    let low = adc(t[6], 0, &mut carry);
    [low, t[7] + carry]
}

/// a + c m mod 2^192.
fn add_mul_192(mut a: [u64; 3], c: [u64; 2], m: [u64; 3]) -> [u64; 3] {
    for i in 0..2 {
        let mut carry = 0;
        for j in 0..3 - i {
            a[i + j] = mac(a[i + j], c[i], m[j], &mut carry);
        }
    }
    a
}

const fn low_192(value: U256) -> [u64; 3] {
    let [a, b, c, _] = *value.as_limbs();
    [a, b, c]
}

/// 2^192 - value.
const fn minus_192(value: U256) -> [u64; 3] {
    low_192(U256::ZERO.wrapping_sub(value))
}

/// k = k1 + k2 lambda mod n with |k1|, |k2| < 2^130; gives k + 2^131 for both, in (0, 2^132). Exact for every k, extreme halves included,
/// because there are two spare bits and the split only has to be short, not shortest.
fn split(k: &Words, shifts: &[Words; 2]) -> [[u64; 3]; 2] {
    const MIDDLE: [u64; 3] = [0, 0, 1 << 3];
    let [c1, c2] = [mul_shift(k, &shifts[0]), mul_shift(k, &shifts[1])];
    let k1 = [k[0], k[1], k[2].wrapping_add(MIDDLE[2])];
    let mut halves = [
        add_mul_192(add_mul_192(k1, c1, const { minus_192(A1) }), c2, const { minus_192(A2) }),
        add_mul_192(add_mul_192(MIDDLE, c1, const { low_192(MINUS_B1) }), c2, const { minus_192(A1) }),
    ];
    for half in &mut halves {
        half[2] &= 15;
    }
    halves
}

/// (2^bits - 1) / 2: what [`recode`] needs for a comb of so many bits.
pub(super) fn comb_offset(bits: usize) -> Words {
    let power = U256::from(2).pow_mod(U256::from(bits), ORDER);
    power.add_mod(ORDER - U256::ONE, ORDER).mul_mod(HALF, ORDER).into_limbs()
}

/// u1 = -z / r and u2 = s / r of each signature, recoded, with one inversion. In: r and s in range; `scratch` and `out` as long as `requests`.
pub(super) fn recode(comb_offset: &Words, requests: &[RecoverRequest], scratch: &mut [Words], out: &mut [Digits]) {
    let constants = constants();
    // scratch[i]: the product of 2 r over the requests before i, in Montgomery's form.
    let mut product = constants.mont;
    for (request, before) in requests.iter().zip(scratch.iter_mut()) {
        *before = product;
        product = mont_mul(&product, &mont_mul(request.r.as_limbs(), &constants.two_mont2));
    }
    // The product carries 2^256 and its inverse should too: two multiplications by 2^512, each of which leaves 2^256.
    let inverse = U256::from_limbs(product).inv_mod(ORDER).unwrap_or_default();
    let mut inverse = mont_mul(&mont_mul(inverse.as_limbs(), &constants.mont2), &constants.mont2);
    for i in (0..requests.len()).rev() {
        let request = &requests[i];
        let half_r_inverse = mont_mul(&inverse, &scratch[i]);
        inverse = mont_mul(&inverse, &mont_mul(request.r.as_limbs(), &constants.two_mont2));
        let z = U256::from_be_bytes(request.hash.0);
        let half_u1 = mont_mul(z.as_limbs(), &half_r_inverse);
        let half_u2 = mont_mul(request.s.as_limbs(), &half_r_inverse);
        out[i] = Digits {
            halves: split(&add(&half_u2, &constants.split_offset), &constants.shifts),
            comb: sub(comb_offset, &half_u1),
        };
    }
}
