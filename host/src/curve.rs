//! secp256k1 for devices: constants and addition chains as the text of `shaders/curve.wgsl`, and the fixed table of G.
//!
//! Numbers are derived here from the curve's parameters; points come from libsecp256k1.

use crate::{
    lower::limbs_of,
    recover::{FIELD_MINUS_ORDER, ORDER},
};
use alloy_primitives::{U256, Uint, uint};
use secp256k1::{PublicKey, Scalar, SecretKey, constants};
use std::{fmt::Write, sync::OnceLock};

type U640 = Uint<640, 10>;

/// Windows of the table of G, and entries (odd multiples 1, 3, .. 255) in each.
const G_WINDOWS: usize = 32;
const G_ENTRIES: usize = 128;

/// The shaders' numbers are 20 limbs of 13 bits.
const LIMB_BITS: usize = 13;
const LIMBS: usize = 20;
const LIMB_MASK: u32 = (1 << LIMB_BITS) - 1;

/// The eigenvalue of the endomorphism: lambda (x, y) = (beta x, y) (GLV, as in libsecp256k1).
const LAMBDA: U256 = uint!(0x5363AD4C_C05C30E0_A5261C02_8812645A_122E22EA_20816678_DF02967C_1B23BD72_U256);
const BETA: U256 = uint!(0x7AE96A2B_657C0710_6E64479E_AC3434E9_9CF04975_12F58995_C1396C28_719501EE_U256);

/// libsecp256k1's lattice basis (a1, b1), (a2, b2) with a + b lambda = 0 mod n, as a1, -b1, a2, b2.
const LATTICE: [U256; 4] = [
    uint!(0x3086D221_A7D46BCD_E86C90E4_9284EB15_U256),
    uint!(0xE4437ED6_010E8828_6F547FA9_0ABFE4C3_U256),
    uint!(0x1_14CA50F7_A8E2F3F6_57C1108D_9D44CFD8_U256),
    uint!(0x3086D221_A7D46BCD_E86C90E4_9284EB15_U256),
];

/// One step of an addition chain: `square` squarings, one factor, one save. Encoded as the shaders read it.
#[derive(Clone, Copy)]
struct Step {
    square: u32,
    /// 0 none, 1 the value before the squarings, 2 the base, 3.. a saved value.
    factor: u32,
    /// 0 none, 3.. the slot to save to.
    save: u32,
}

impl Step {
    const fn new(square: u32, factor: u32, save: u32) -> Self {
        Self { square, factor, save }
    }

    fn encode(self) -> u32 {
        self.square | self.factor << 8 | self.save << 12
    }
}

const PREVIOUS: u32 = 1;
const BASE: u32 = 2;
/// Slots: base^(2^k - 1) for k = 2, 3, 22, 44.
const ONES_2: u32 = 3;
const ONES_3: u32 = 4;
const ONES_22: u32 = 5;
const ONES_44: u32 = 6;

/// To base^(2^223 - 1); both exponents of the field start with 223 ones.
fn ones_223() -> Vec<Step> {
    vec![
        Step::new(1, BASE, ONES_2),
        Step::new(1, BASE, ONES_3),
        Step::new(3, PREVIOUS, 0),
        Step::new(3, ONES_3, 0),
        Step::new(2, ONES_2, 0),
        Step::new(11, PREVIOUS, ONES_22),
        Step::new(22, PREVIOUS, ONES_44),
        Step::new(44, PREVIOUS, 0),
        Step::new(88, PREVIOUS, 0),
        Step::new(44, ONES_44, 0),
        Step::new(3, ONES_3, 0),
    ]
}

/// (p + 1) / 4.
fn fe_sqrt_chain() -> Vec<Step> {
    let mut steps = ones_223();
    steps.extend([Step::new(23, ONES_22, 0), Step::new(6, ONES_2, 0), Step::new(2, 0, 0)]);
    steps
}

/// p - 2.
fn fe_inv_chain() -> Vec<Step> {
    let mut steps = ones_223();
    steps.extend([Step::new(23, ONES_22, 0), Step::new(5, BASE, 0), Step::new(3, ONES_2, 0), Step::new(2, BASE, 0)]);
    steps
}

/// n - 2: 127 ones, then runs of at most three ones, greedily.
fn sc_inv_chain() -> Vec<Step> {
    let mut steps = vec![
        Step::new(1, BASE, ONES_2),
        Step::new(1, BASE, ONES_3),
        Step::new(3, PREVIOUS, 0),
        Step::new(1, BASE, 0),
        Step::new(7, PREVIOUS, 0),
        Step::new(14, PREVIOUS, 0),
        Step::new(3, ONES_3, 0),
        Step::new(31, PREVIOUS, 0),
        Step::new(62, PREVIOUS, 0),
        Step::new(3, ONES_3, 0),
    ];
    let exponent = ORDER - U256::from(2);
    let mut bit = 129;
    let mut zeros = 0;
    while bit > 0 {
        if !exponent.bit(bit - 1) {
            zeros += 1;
            bit -= 1;
            continue;
        }
        let run = (1..=3).take_while(|k| *k <= bit && exponent.bit(bit - k)).count();
        steps.push(Step::new(zeros + run as u32, [BASE, ONES_2, ONES_3][run - 1], 0));
        zeros = 0;
        bit -= run;
    }
    steps
}

fn limb(value: U640, i: usize) -> u32 {
    let shifted: U640 = value >> (i * LIMB_BITS);
    shifted.as_limbs()[0] as u32 & LIMB_MASK
}

fn wide(value: U256) -> U640 {
    U640::from(value)
}

fn list(values: impl IntoIterator<Item = u32>) -> String {
    values.into_iter().map(|v| format!("{v}u")).collect::<Vec<_>>().join(", ")
}

/// `count` limbs; what is above goes into the last one.
fn limbs(value: U640, count: usize) -> Vec<u32> {
    let mut out: Vec<u32> = (0..count).map(|i| limb(value, i)).collect();
    let above: U640 = value >> (count * LIMB_BITS);
    out[count - 1] += (above.as_limbs()[0] as u32) << LIMB_BITS;
    out
}

fn put_limbs(text: &mut String, name: &str, value: U640) {
    let _ = writeln!(text, "const {name} = array<u32, 20>(\n    {});", list(limbs(value, LIMBS)));
}

/// 2^143 - value: the factor that subtracts in sc_half.
fn put_minus_limbs(text: &mut String, name: &str, value: U256) {
    let negated = (U640::from(1) << (11 * LIMB_BITS)) - wide(value);
    let _ = writeln!(text, "const {name} = array<u32, 11>(\n    {});", list(limbs(negated, 11)));
}

fn put_words(text: &mut String, name: &str, value: U256) {
    let words = limbs_of(value).map(|w| format!("0x{w:08x}u")).join(", ");
    let _ = writeln!(text, "const {name} = array<u32, 8>(\n    {words});");
}

fn put_chain(text: &mut String, name: &str, chain: &[Step]) {
    let steps = chain.iter().map(|s| format!("0x{:x}u", s.encode())).collect::<Vec<_>>().join(", ");
    let _ = writeln!(text, "const {name}_STEPS: u32 = {}u;", chain.len());
    let _ = writeln!(text, "const {name}_CHAIN = array<u32, {}>(\n    {steps});", chain.len());
}

/// The text of `shaders/curve.wgsl`.
pub fn curve_wgsl() -> String {
    let n = ORDER;
    let one = U256::from(1);
    let half = (n + one) >> 1; // 1 / 2 mod n, as n + 1 < 2^256
    let mut text = String::from(
        "// Generated from host/src/curve.rs, do not edit: secp256k1's numbers as limbs and words, least significant first.\n\n",
    );

    text.push_str("// 32 p with every limb in [9696, 16382].\n");
    // 32 p = 2 (2^260 - 1) + 2 - 32 (2^32 + 977): all limbs 2 * 8191, less what the low three owe.
    let owed = limbs((wide(U256::from((1u64 << 32) + 977)) << 5) - U640::from(2), LIMBS);
    for (i, o) in owed.iter().enumerate() {
        let _ = writeln!(text, "const FE_32P_{i}: u32 = {}u;", 16382 - o);
    }
    put_words(&mut text, "FE_P_MINUS_N_WORDS", FIELD_MINUS_ORDER);
    put_limbs(&mut text, "FE_BETA", wide(BETA));
    put_chain(&mut text, "FE_SQRT", &fe_sqrt_chain());
    put_chain(&mut text, "FE_INV", &fe_inv_chain());
    put_words(&mut text, "GE_G_X_WORDS", U256::from_be_bytes(constants::GENERATOR_X));
    put_words(&mut text, "GE_G_Y_WORDS", U256::from_be_bytes(constants::GENERATOR_Y));

    text.push_str("\n// n, and -1 / n mod 2^13.\n");
    for (i, l) in limbs(wide(n), LIMBS).iter().enumerate() {
        let _ = writeln!(text, "const SC_N_{i}: u32 = {l}u;");
    }
    // Newton's iteration for 1 / n, from the one bit that any odd number gets right to sixteen.
    let low = limb(wide(n), 0);
    let inverse = (0..4).fold(1_u32, |x, _| x.wrapping_mul(2_u32.wrapping_sub(low.wrapping_mul(x))));
    let _ = writeln!(text, "const SC_N0INV: u32 = {}u;", inverse.wrapping_neg() & LIMB_MASK);
    put_limbs(&mut text, "SC_N_LIMBS", wide(n));
    put_words(&mut text, "SC_N_WORDS", n);
    put_words(&mut text, "SC_HALF_N_WORDS", n >> 1);
    put_chain(&mut text, "SC_INV", &sc_inv_chain());

    text.push_str("\n// 2 * 2^520 mod n.\n");
    let two_mont2 = (U640::from(1) << 521) % wide(n);
    put_limbs(&mut text, "SC_TWO_MONT2", two_mont2);
    text.push_str("// (-1 - lambda) / 2 mod n.\n");
    put_limbs(&mut text, "SC_SPLIT_OFFSET", wide((n - one - LAMBDA).mul_mod(half, n)));
    text.push_str("// (2^256 - 1) / 2 mod n, plus 2 n.\n");
    let offset = wide(U256::MAX.reduce_mod(n).mul_mod(half, n)) + (wide(n) << 1);
    put_limbs(&mut text, "SC_G_OFFSET_2N", offset);

    text.push_str("// round(2^377 b2 / n), round(2^377 (-b1) / n), and the lattice negated mod 2^143.\n");
    let [a1, minus_b1, a2, b2] = LATTICE;
    let shift = |b: U256| ((wide(b) << 377) + wide(n >> 1)) / wide(n);
    put_limbs(&mut text, "SC_G1", shift(b2));
    put_limbs(&mut text, "SC_G2", shift(minus_b1));
    put_minus_limbs(&mut text, "SC_MINUS_A1", a1);
    put_minus_limbs(&mut text, "SC_MINUS_A2", a2);
    let _ = writeln!(text, "const SC_MINUS_B1 = array<u32, 11>(\n    {});", list(limbs(wide(minus_b1), 11)));
    put_minus_limbs(&mut text, "SC_MINUS_B2", b2);
    text
}

/// Affine coordinates.
fn coordinates(key: &PublicKey) -> (U256, U256) {
    let bytes = key.serialize_uncompressed();
    (U256::from_be_slice(&bytes[1..33]), U256::from_be_slice(&bytes[33..]))
}

/// Entry (window j, e) at word 16 (128 j + e): x then y of (2 e + 1) 256^j G. 256 KiB; computed once a process.
///
/// # Errors
/// libsecp256k1 refuses a multiple of G, none of which is infinite: a table with a hole would be a wrong one.
pub fn g_table() -> Result<&'static [u32], secp256k1::Error> {
    static TABLE: OnceLock<Result<Vec<u32>, secp256k1::Error>> = OnceLock::new();
    match TABLE.get_or_init(compute_g_table) {
        Ok(table) => Ok(table),
        Err(error) => Err(*error),
    }
}

fn compute_g_table() -> Result<Vec<u32>, secp256k1::Error> {
    let mut words = Vec::with_capacity(G_WINDOWS * G_ENTRIES * 16);
    for window in 0..G_WINDOWS {
        let unit: U256 = U256::ONE << (8 * window);
        let twice = Scalar::from_be_bytes((unit + unit).to_be_bytes()).map_err(|_| secp256k1::Error::InvalidTweak)?;
        let mut point = PublicKey::from_secret_key(&SecretKey::from_secret_bytes(unit.to_be_bytes())?);
        for _ in 0..G_ENTRIES {
            let (x, y) = coordinates(&point);
            words.extend(limbs_of(x));
            words.extend(limbs_of(y));
            point = point.add_exp_tweak(&twice)?;
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// The exponent that a chain computes: squaring doubles, a factor adds.
    fn exponent(chain: &[Step]) -> U256 {
        let mut x = U256::from(1);
        let mut slots = HashMap::from([(BASE, x)]);
        for step in chain {
            let before = x;
            x <<= step.square as usize;
            if step.factor == PREVIOUS {
                x += before;
            } else if step.factor != 0 {
                x += slots[&step.factor];
            }
            if step.save != 0 {
                slots.insert(step.save, x);
            }
        }
        x
    }

    fn field_prime() -> U256 {
        U256::from_be_bytes(constants::FIELD_SIZE)
    }

    fn multiple_of_g(k: U256) -> (U256, U256) {
        let secret = SecretKey::from_secret_bytes(k.to_be_bytes()).expect("in [1, n)");
        coordinates(&PublicKey::from_secret_key(&secret))
    }

    #[test]
    fn chains_compute_their_exponents() {
        let two = U256::from(2);
        assert_eq!(exponent(&fe_inv_chain()), field_prime() - two);
        assert_eq!(exponent(&fe_sqrt_chain()), (field_prime() >> 2) + U256::ONE);
        assert_eq!(exponent(&sc_inv_chain()), ORDER - two);
        assert!(sc_inv_chain().iter().all(|s| s.factor != 0), "sc_inv multiplies in every step");
    }

    #[test]
    fn endomorphism_matches_the_oracle() {
        let (x, y) = multiple_of_g(U256::ONE);
        assert_eq!(multiple_of_g(LAMBDA), (x.mul_mod(BETA, field_prime()), y));
        let [a1, minus_b1, a2, b2] = LATTICE;
        assert_eq!(a1, minus_b1.mul_mod(LAMBDA, ORDER));
        assert_eq!(a2.add_mod(b2.mul_mod(LAMBDA, ORDER), ORDER), U256::ZERO);
    }

    #[test]
    fn the_table_holds_odd_multiples() {
        let table = g_table().expect("no multiple is infinite");
        assert_eq!(table.len(), G_WINDOWS * G_ENTRIES * 16);
        for (window, entry) in [(0, 0), (0, 1), (0, 127), (1, 0), (17, 64), (31, 0), (31, 127)] {
            let (x, y) = multiple_of_g((U256::from(2 * entry + 1) << (8 * window)) % ORDER);
            let at = 16 * (G_ENTRIES * window + entry);
            assert_eq!(table[at..at + 16], [limbs_of(x), limbs_of(y)].concat(), "window {window}, entry {entry}");
        }
    }
}
