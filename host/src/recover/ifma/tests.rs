//! The field on edge limbs against 256-bit integers, and proof that honest lanes are never left to libsecp256k1.
#![expect(unsafe_code, reason = "calls to functions with target features")]

use super::{
    comb,
    fe::{self, Fe, LaneWords, MASK},
    finish, is_supported, prepare, push,
};
use crate::recover::{FIELD_MINUS_ORDER, ORDER, RecoverRequest};
use alloy_primitives::{U256, U512, keccak256};
use secp256k1::{Message, SecretKey, ecdsa::RecoverableSignature};

const P: U256 = FIELD_MINUS_ORDER.wrapping_add(ORDER);

fn value(words: &LaneWords, lane: usize) -> U256 {
    let wide = (0..5).fold(U512::ZERO, |sum, i| sum + (U512::from(words[i][lane]) << (52 * i)));
    U256::from(wide % U512::from(P))
}

fn of_words(words: &[[u64; 8]; 4], lane: usize) -> U256 {
    U256::from_limbs([0, 1, 2, 3].map(|i| words[i][lane]))
}

/// Weak elements: every limb 0, 1, its maximum or random, by turns.
fn weak(seed: u64) -> LaneWords {
    let mut words = LaneWords::default();
    for lane in 0..8 {
        let hash = keccak256([seed, lane as u64].map(u64::to_le_bytes).concat());
        for limb in 0..5 {
            let max = if limb == 4 { (1 << 48) + (1 << 12) } else { MASK };
            let random = u64::from_le_bytes(hash[6 * limb..6 * limb + 8].try_into().unwrap());
            words[limb][lane] = match hash[31 - limb] % 4 {
                0 => 0,
                1 => 1,
                2 => max,
                _ => random % max,
            };
        }
    }
    words
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
fn check_field(seed: u64) {
    let words = [weak(3 * seed), weak(3 * seed + 1)];
    let other = [weak(3 * seed + 2), weak(3 * seed + 5)];
    let (a, b) = (Fe::load(&words), Fe::load(&other));
    let raw = a.raw_neg().raw_add(&a.raw_neg()).raw_add(&b.raw_neg());
    let outs = [
        a.mul(&b),
        a.mul_scaled::<2>(&b),
        a.mul_scaled::<3>(&b),
        a.sqr(),
        a.sqr_scaled::<2>(),
        a.sqr_scaled::<3>(),
        a.mul_plus(&b, &raw),
        a.sqr_plus(&raw),
        Fe::mul_mul(&a, &b, &b, &b),
        Fe::mul_sqr2(&a, &b, &a),
        a.neg(),
        raw.carry(),
        a,
        a.neg_if(&[0xaa, 0x0f]),
    ];
    let got = outs.map(|out| out.canonical().to_words());
    for (op, out) in outs.iter().enumerate() {
        for g in 0..2 {
            let mut limbs = LaneWords::default();
            for i in 0..5 {
                fe::store(&mut limbs[i], out.0[g][i]);
                let max = if i == 4 { 1 << 49 } else { 1 << 52 };
                assert!(limbs[i].iter().all(|limb| *limb < max), "op {op} is not weak");
            }
        }
    }
    for g in 0..2 {
        for lane in 0..8 {
            let (a, b) = (value(&words[g], lane), value(&other[g], lane));
            let neg = |x: U256| P - x;
            let (add, mul) = (|x: U256, y: U256| x.add_mod(y, P), |x: U256, y: U256| x.mul_mod(y, P));
            let (ab, aa, raw) = (mul(a, b), mul(a, a), add(add(neg(a), neg(a)), neg(b)));
            let twice = |x: U256| add(x, x);
            let negated = [0xaau8, 0x0f][g] >> lane & 1 == 1;
            let want = [
                ab,
                twice(ab),
                add(ab, twice(ab)),
                aa,
                twice(aa),
                add(aa, twice(aa)),
                add(ab, raw),
                add(aa, raw),
                add(ab, mul(b, b)),
                add(ab, twice(aa)),
                neg(a).reduce_mod(P),
                raw,
                a,
                if negated { neg(a).reduce_mod(P) } else { a },
            ];
            for (op, want) in want.iter().enumerate() {
                assert_eq!(of_words(&got[op][g], lane), *want, "seed {seed}, op {op}, group {g}, lane {lane}");
            }
        }
    }
}

#[test]
fn the_field_equals_integers() {
    assert!(is_supported(), "this test needs AVX-512 IFMA");
    for seed in 0..5_000 {
        // SAFETY: detected above.
        unsafe { check_field(seed) }
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
fn check_roots(seed: u64) {
    let a = Fe::load(&[weak(seed)]);
    let [one] = a.mul(&a.inv()).canonical().to_words();
    let square = a.sqr();
    let root = square.sqrt();
    assert_eq!(root.sqr().canonical().equal(&square.canonical()), [0xff]);
    for lane in 0..8 {
        let want = if value(&weak(seed), lane).is_zero() { U256::ZERO } else { U256::ONE };
        assert_eq!(of_words(&one, lane), want);
    }
}

#[test]
fn inverses_and_roots() {
    for seed in 0..200 {
        // SAFETY: as above.
        unsafe { check_roots(seed) }
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
fn all_good<const G: usize>(requests: &[RecoverRequest]) -> bool {
    let groups = prepare(requests);
    let (mut points, mut product) = (Vec::new(), Fe::small(1));
    for groups in groups.chunks_exact(G) {
        push::<G>(&mut points, &mut product, groups.try_into().unwrap(), comb::table());
    }
    let _ = finish;
    points.iter().all(|point| point.good == 0xff)
}

#[test]
fn honest_lanes_are_never_left_to_the_reference() {
    let requests: Vec<_> = (1..=512u64)
        .map(|seed| {
            let hash = keccak256(seed.to_le_bytes());
            let key = SecretKey::from_secret_bytes(keccak256(hash).0).unwrap();
            let (id, rs) =
                RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(hash.0), &key).serialize_compact();
            let (r, s) = (U256::from_be_slice(&rs[..32]), U256::from_be_slice(&rs[32..]));
            RecoverRequest { hash, r, s, recovery_id: id.to_u8(), low_s: true }
        })
        .collect();
    // SAFETY: as above.
    assert!(unsafe { all_good::<1>(&requests) && all_good::<2>(&requests) });
}
