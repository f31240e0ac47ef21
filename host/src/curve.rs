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

/// How a variant of the shaders writes numbers.
#[derive(Clone, Copy)]
struct Limbs {
    bits: usize,
    /// Limbs of any number: at least 256 bits and a few to spare.
    count: usize,
    /// Limbs of a short scalar, and of the lattice it is computed with: at least 132 bits.
    short: usize,
    /// WGSL's suffix of the integers that products are summed up in.
    column: &'static str,
}

const PORTABLE: Limbs = Limbs { bits: 13, count: 20, short: 11, column: "u" };
const WIDEST: Limbs = Limbs { bits: 29, count: 9, short: 5, column: "lu" };

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

fn wide(value: U256) -> U640 {
    U640::from(value)
}

fn list(values: impl IntoIterator<Item = u32>) -> String {
    values.into_iter().map(|v| format!("{v}u")).collect::<Vec<_>>().join(", ")
}

impl Limbs {
    fn mask(self) -> u32 {
        (1 << self.bits) - 1
    }

    /// `count` limbs; what is above goes into the last one.
    fn split(self, value: U640, count: usize) -> Vec<u32> {
        let limb = |i: usize| {
            let shifted: U640 = value >> (i * self.bits);
            shifted.as_limbs()[0] as u32
        };
        (0..count).map(|i| if i + 1 < count { limb(i) & self.mask() } else { limb(i) }).collect()
    }

    fn put(self, text: &mut String, name: &str, value: U640, count: usize) {
        let limbs = list(self.split(value, count));
        let _ = writeln!(text, "const {name} = array<u32, {count}>(\n    {limbs});");
    }

    /// One constant a limb: operands that are immediates in every language.
    fn put_each(self, text: &mut String, name: &str, limbs: &[u32], suffix: &str) {
        for (i, limb) in limbs.iter().enumerate() {
            let _ = writeln!(text, "const {name}_{i} = {limb}{suffix};");
        }
    }

    fn put_field(self, text: &mut String) {
        // A multiple of p that is 2 (2^(bits count) - 1), all limbs 2 mask, plus 2 less what the lowest limbs owe.
        let folds = self.bits * self.count + 1 - 256;
        let owed = self.split((wide(U256::from((1_u64 << 32) + 977)) << folds) - U640::from(2), self.count);
        let multiple: Vec<u32> = owed.iter().map(|o| 2 * self.mask() - o).collect();
        let _ = writeln!(text, "// {} p with every limb in [{}, {}].", 1 << folds, multiple[0], 2 * self.mask());
        self.put_each(text, "FE_MULTIPLE", &multiple, "u");
        let prime = U256::from_be_bytes(constants::FIELD_SIZE);
        self.put_each(text, "FE_P", &self.split(wide(prime), self.count), "u");
        self.put(text, "FE_BETA", wide(BETA), self.count);
    }

    fn put_scalars(self, text: &mut String) {
        let n = ORDER;
        let one = U256::from(1);
        let half = (n + one) >> 1; // 1 / 2 mod n, as n + 1 < 2^256
        let limbs = self.split(wide(n), self.count);
        let _ = writeln!(text, "\n// n, and -1 / n mod 2^{}.", self.bits);
        self.put_each(text, "SC_N", &limbs, self.column);
        // Newton's iteration for 1 / n, from the one bit that any odd number gets right to thirty-two.
        let inverse = (0..5).fold(1_u32, |x, _| x.wrapping_mul(2_u32.wrapping_sub(limbs[0].wrapping_mul(x))));
        let _ = writeln!(text, "const SC_N0INV: u32 = {}u;", inverse.wrapping_neg() & self.mask());
        self.put(text, "SC_N_LIMBS", wide(n), self.count);

        text.push_str("\n// 1 / 2 mod n.\n");
        self.put(text, "SC_HALF", wide(half), self.count);
        text.push_str("// (-1 - lambda) / 2 mod n.\n");
        self.put(text, "SC_SPLIT_OFFSET", wide((n - one - LAMBDA).mul_mod(half, n)), self.count);
        text.push_str("// (2^256 - 1) / 2 mod n, plus 2 n.\n");
        let offset = wide(U256::MAX.reduce_mod(n).mul_mod(half, n)) + (wide(n) << 1);
        self.put(text, "SC_G_OFFSET_2N", offset, self.count);

        let modulus = self.bits * self.short;
        text.push_str("// round(2^377 b2 / n), round(2^377 (-b1) / n), and the lattice, ");
        let _ = writeln!(text, "negated mod 2^{modulus} where sc_half subtracts.");
        let [a1, minus_b1, a2, b2] = LATTICE;
        let shift = |b: U256| ((wide(b) << 377) + wide(n >> 1)) / wide(n);
        let minus = |value: U256| (U640::from(1) << modulus) - wide(value);
        self.put(text, "SC_G1", shift(b2), self.count);
        self.put(text, "SC_G2", shift(minus_b1), self.count);
        self.put(text, "SC_MINUS_A1", minus(a1), self.short);
        self.put(text, "SC_MINUS_A2", minus(a2), self.short);
        self.put(text, "SC_MINUS_B1", wide(minus_b1), self.short);
        self.put(text, "SC_MINUS_B2", minus(b2), self.short);
    }
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
    let mut text = String::from(
        "// Generated from host/src/curve.rs, do not edit: secp256k1's numbers as words and limbs, least significant first.\n\n",
    );
    put_words(&mut text, "FE_P_MINUS_N_WORDS", FIELD_MINUS_ORDER);
    put_chain(&mut text, "FE_SQRT", &fe_sqrt_chain());
    put_chain(&mut text, "FE_INV", &fe_inv_chain());
    put_words(&mut text, "GE_G_X_WORDS", U256::from_be_bytes(constants::GENERATOR_X));
    put_words(&mut text, "GE_G_Y_WORDS", U256::from_be_bytes(constants::GENERATOR_Y));
    put_words(&mut text, "SC_N_WORDS", ORDER);
    put_words(&mut text, "SC_HALF_N_WORDS", ORDER >> 1);
    put_chain(&mut text, "SC_INV", &sc_inv_chain());
    for (switch, limbs) in [("\n//#if U64\n", WIDEST), ("\n//#else\n", PORTABLE)] {
        text.push_str(switch);
        limbs.put_field(&mut text);
        limbs.put_scalars(&mut text);
    }
    text.push_str("//#endif\n");
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
