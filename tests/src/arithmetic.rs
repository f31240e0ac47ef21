//! The field and scalar functions of the recovery kernel, one call a lane, against ruint: the kernel's text edited so that
//! its last stage does what an item names.
//!
//! An item carries its operands in place of the hash, r and s, the function in place of the recovery id, and in place of
//! the flag for low s whether operands are patterns: bit i of the number says whether limb i is as large as it may get.

use crate::vectors::{FIELD_PRIME, LAMBDA, Numbers};
use alloy_primitives::{U256, Uint};
use lockstep::{
    abi::RecoverResult,
    recover::{ORDER, RecoverRequest},
};

type U640 = Uint<640, 10>;

/// How a variant writes numbers, as its files say.
#[derive(Clone, Copy, Debug)]
pub struct Limbs {
    bits: usize,
    count: usize,
    /// The largest limb of a weak element.
    weak: u32,
}

impl Limbs {
    /// Of the kernel with or without 64-bit integers.
    pub const fn of(int64: bool) -> Self {
        match int64 {
            true => Self { bits: 29, count: 9, weak: (1 << 29) + (1 << 21) - 1 },
            false => Self { bits: 13, count: 20, weak: 8287 },
        }
    }

    const fn mask(self) -> u32 {
        (1 << self.bits) - 1
    }

    /// The last limb of a scalar below 2^257.
    const fn top(self) -> u32 {
        (1 << (257 - self.bits * (self.count - 1))) - 1
    }

    /// The number that a pattern stands for.
    fn pattern(self, bits: U256, limb: u32, top: u32) -> U640 {
        let limbs = (0..self.count).filter(|i| bits.bit(*i)).map(|i| {
            let limb = if i + 1 == self.count { top } else { limb };
            U640::from(limb) << (i * self.bits)
        });
        limbs.fold(U640::ZERO, |sum, limb| sum + limb)
    }
}

/// What the last stage becomes.
const CALL: &str = "
fn test_limbs(w: Words, limb: u32, top: u32) -> Limbs {
    var a = Limbs();
    for (var i = 0u; i < COUNTu; i++) {
        a[i] = select(0u, select(limb, top, i == COUNTu - 1u), ((w[0] >> i) & 1u) != 0u);
    }
    return a;
}

fn test_fe(lane: u32, field: u32) -> Fe {
    let w = item_words(lane, field);
    if (items[lane * ITEM_WORDS + ITEM_FLAGS] != 0u) {
        return test_limbs(w, WEAKu, WEAKu);
    }
    return fe_from_words(w);
}

fn test_sc(lane: u32, field: u32) -> Sc {
    let w = item_words(lane, field);
    if (items[lane * ITEM_WORDS + ITEM_FLAGS] != 0u) {
        return test_limbs(w, LIMB_MASK, TOPu);
    }
    return limb_from_words(w);
}

fn test_call(lane: u32) -> Words {
    let a = test_fe(lane, ITEM_Z);
    let b = test_fe(lane, ITEM_R);
    let c = test_fe(lane, ITEM_S);
    let k = test_sc(lane, ITEM_Z);
    let l = test_sc(lane, ITEM_R);
    switch items[lane * ITEM_WORDS + ITEM_RECOVERY_ID] {
        case 0u: { return fe_to_words(a); }
        case 1u: { return fe_to_words(fe_mul(a, b)); }
        case 2u: { return fe_to_words(fe_sqr(a)); }
        case 3u: { return fe_to_words(fe_add(a, b)); }
        case 4u: { return fe_to_words(fe_sub(a, b)); }
        case 5u: { return fe_to_words(fe_lin(a, 1u, b, 2u, c)); }
        case 6u: { return fe_to_words(fe_neg_if(true, a)); }
        case 7u: { return fe_to_words(fe_mul_sub(a, b, c, a)); }
        case 8u: { return fe_to_words(fe_mul_sub_sqr(fe_three_halves(a), b, c)); }
        case 9u: { return fe_to_words(fe_sqr(fe_three_halves(a))); }
        case 10u: { return fe_to_words(fe_chain(a, true)); }
        case 11u: { return fe_to_words(fe_chain(a, false)); }
        case 12u: { return limb_to_words(sc_reduce(sc_mul(k, l))); }
        case 13u: { return limb_to_words(sc_reduce(sc_inv(k))); }
        case 14u: { return limb_to_words(sc_add(k, l)); }
        case 15u: { return limb_to_words(sc_sub_from_offset(k)); }
        case 16u: { return limb_to_words(sc_split(k).v1); }
        case 17u: { return limb_to_words(sc_split(k).v2); }
        default: { return Words(); }
    }
}
";

/// Functions above that take field elements; the rest take scalars.
const FIELD_CALLS: u8 = 12;
const CALLS: u8 = 18;
const SC_MUL: u8 = 12;
const SC_INV: u8 = 13;
const SC_ADD: u8 = 14;
const SPLIT: [u8; 2] = [16, 17];

/// The kernel with its last stage edited, and the others skipped.
///
/// # Errors
/// The text has no such stages.
pub fn edit(text: &str) -> Result<String, String> {
    let limbs = Limbs::of(text.contains("array<u64,"));
    let open = "(@builtin(global_invocation_id) id: vec3<u32>) {\n";
    let store = "if (id.x < params.count) {
        let words = test_call(id.x);
        for (var i = 0u; i < 8u; i++) {
            results[id.x * 8u + i] = words[i];
        }
    }";
    let call = CALL
        .replace("COUNT", &limbs.count.to_string())
        .replace("WEAK", &limbs.weak.to_string())
        .replace("TOP", &limbs.top().to_string());
    // What follows stays, unreachable, so that the rest of the text need not be understood.
    let [skip, finish] =
        ["", store].map(|first| format!("{open}    {first}\n    if (true) {{\n        return;\n    }}\n"));
    let (stages, last) = text.split_once("fn recover_finish").ok_or("no recover_finish")?;
    Ok(stages.replace(open, &skip) + "fn recover_finish" + &last.replace(open, &finish) + &call)
}

/// One call and what is right.
#[derive(Clone, Debug)]
pub struct Call {
    request: RecoverRequest,
    /// The result, or for a half of [`SPLIT`] the scalar that was split.
    expected: U256,
}

fn edges() -> Vec<U256> {
    let (p, n, one) = (FIELD_PRIME, ORDER, U256::ONE);
    let mut edges: Vec<U256> = (0..4).map(U256::from).collect();
    edges.extend([p - one, p, p + one, n - one, n, n + one, n >> 1, (n >> 1) + one, LAMBDA, n - LAMBDA]);
    edges.extend([U256::MAX, U256::MAX - one, U256::MAX << 32, U256::MAX >> 32, one << 255, (p + one) >> 2]);
    for bits in [13, 26, 29, 58, 128, 130, 131, 232, 247] {
        edges.extend([(one << bits) - one, one << bits, U256::MAX << bits, (U256::MAX << bits) - one]);
    }
    edges
}

/// Calls of every function: edge operands in every pair, random ones, and patterns.
///
/// # Panics
/// Never: every modulus is odd and above two.
pub fn calls(int64: bool) -> Vec<Call> {
    let limbs = Limbs::of(int64);
    let mut numbers = Numbers::new(9);
    let mut operands: Vec<[U256; 3]> = Vec::new();
    for a in edges() {
        operands.extend(edges().into_iter().enumerate().map(|(i, b)| [a, b, edges()[(i * 7 + 3) % edges().len()]]));
    }
    operands.extend((0..400).map(|_| [numbers.draw(), numbers.draw(), numbers.draw()]));
    let mut patterns = vec![[U256::MAX; 3], [U256::ZERO; 3], [U256::MAX, U256::ZERO, U256::MAX]];
    patterns.extend([[U256::ZERO, U256::ZERO, U256::MAX], [U256::MAX, U256::MAX, U256::ZERO]]);
    patterns.extend((0..20).map(|i| [U256::MAX, U256::MAX, U256::ONE << i]));
    patterns.extend((0..20).map(|i| [U256::ONE << i, U256::MAX, U256::MAX]));
    patterns.extend((0..400).map(|_| [numbers.draw(), numbers.draw(), numbers.draw()]));
    let mut calls = Vec::new();
    for function in 0..CALLS {
        for (are_patterns, operands) in [(false, &operands), (true, &patterns)] {
            // A scalar that may be loose is one that sc_mul gives or takes.
            if are_patterns && function >= FIELD_CALLS && ![SC_MUL, SC_INV].contains(&function) {
                continue;
            }
            for [a, b, c] in operands.iter().copied() {
                let [a, b, c] = match function {
                    SC_ADD => [a, b.reduce_mod(ORDER), c],
                    16.. => [a.reduce_mod(ORDER), b, c],
                    _ => [a, b, c],
                };
                let value = |x: U256| match (are_patterns, function < FIELD_CALLS) {
                    (false, _) => U640::from(x),
                    (true, true) => limbs.pattern(x, limbs.weak, limbs.weak),
                    (true, false) => limbs.pattern(x, limbs.mask(), limbs.top()),
                };
                let request = RecoverRequest { hash: a.into(), r: b, s: c, recovery_id: function, low_s: are_patterns };
                calls.push(Call { request, expected: expected(function, limbs, [value(a), value(b), value(c)]) });
            }
        }
    }
    calls
}

fn expected(function: u8, limbs: Limbs, operands: [U640; 3]) -> U256 {
    let m = if function < FIELD_CALLS { FIELD_PRIME } else { ORDER };
    let [a, b, c] = operands.map(|x| U256::from(x % U640::from(m)));
    let (mul, add) = (|x: U256, y: U256| x.mul_mod(y, m), |x: U256, y: U256| x.add_mod(y, m));
    let neg = |x: U256| (m - x).reduce_mod(m);
    let inverse = |x: U256| x.inv_mod(m).unwrap_or_default();
    let half = inverse(U256::from(2));
    let three_halves = mul(add(a, add(a, a)), half);
    let montgomery = U256::from(2).pow_mod(U256::from(limbs.bits * limbs.count), m);
    match function {
        0 => a,
        1 => mul(a, b),
        2 => mul(a, a),
        3 => add(a, b),
        4 => add(a, neg(b)),
        5 => add(a, neg(add(b, add(c, c)))),
        6 => neg(a),
        7 => add(mul(a, b), neg(mul(c, a))),
        8 => add(mul(three_halves, b), neg(mul(c, c))),
        9 => mul(three_halves, three_halves),
        10 => inverse(a),
        11 => a.pow_mod((m >> 2) + U256::ONE, m),
        SC_MUL => mul(mul(a, b), inverse(montgomery)),
        SC_INV => mul(mul(montgomery, montgomery), inverse(a)),
        SC_ADD => add(a, b),
        15 => add(mul(U256::MAX.reduce_mod(m), half), neg(a)),
        _ => a,
    }
}

/// What to send to the edited kernel.
pub fn requests(calls: &[Call]) -> Vec<RecoverRequest> {
    calls.iter().map(|call| call.request).collect()
}

/// Compares what came back.
///
/// # Errors
/// The first call that is wrong.
pub fn compare(calls: &[Call], results: &[RecoverResult]) -> Result<(), String> {
    if calls.len() != results.len() {
        return Err(format!("{} results for {} calls", results.len(), calls.len()));
    }
    let word = |result: &RecoverResult| {
        let ([a, b, c, d, e], [f, g]) = (result.address, result.pad0);
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        U256::from_limbs([pair(result.status, a), pair(b, c), pair(d, e), pair(f, g)])
    };
    let halves: Vec<(U256, U256)> = {
        let of = |half: u8| calls.iter().zip(results).filter(move |(call, _)| call.request.recovery_id == half);
        of(SPLIT[0]).zip(of(SPLIT[1])).map(|((_, first), (_, second))| (word(first), word(second))).collect()
    };
    let split = calls.iter().filter(|call| call.request.recovery_id == SPLIT[0]);
    for (call, (first, second)) in split.zip(halves) {
        // k + 2^131 each: below 2^130 in size, and together the scalar.
        let offset = U256::ONE << 131;
        let short = |v: U256| v > offset >> 1 && v < offset + (offset >> 1);
        let number = |v: U256| v.add_mod(ORDER - offset, ORDER);
        if !short(first)
            || !short(second)
            || number(first).add_mod(number(second).mul_mod(LAMBDA, ORDER), ORDER) != call.expected
        {
            return Err(format!("{call:x?}: split into {first:#x} and {second:#x}"));
        }
    }
    let plain = calls.iter().zip(results).filter(|(call, _)| !SPLIT.contains(&call.request.recovery_id));
    match plain.map(|(call, result)| (call, word(result))).find(|(call, got)| call.expected != *got) {
        Some((call, got)) => Err(format!("{call:x?}: got {got:#x}")),
        None => Ok(()),
    }
}
