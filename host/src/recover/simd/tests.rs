//! Every vector engine by one set of tests: the field on edge limbs against 256-bit integers, the tables and digits against libsecp256k1, and proof
//! that honest lanes are never left to it.

use super::{
    Simd, avx2, comb,
    field::{Field, Lanes, Limbs},
    gej::Ge,
    ifma,
    ladder::{self, Group, Table},
    prepare, push, recover_batch, sc,
};
use crate::recover::{Engine, FIELD_MINUS_ORDER, HALF_ORDER, ORDER, RecoverError, RecoverRequest, recover_one};
use alloy_primitives::{B256, U256, keccak256, uint};
use secp256k1::{Message, PublicKey, Scalar, SecretKey, ecdsa::RecoverableSignature};

const P: U256 = FIELD_MINUS_ORDER.wrapping_add(ORDER);
const LAMBDA: U256 = uint!(0x5363AD4C_C05C30E0_A5261C02_8812645A_122E22EA_20816678_DF02967C_1B23BD72_U256);

/// What a test has to know of an engine's weak elements.
trait Edges<const L: usize>: Simd<L> {
    /// A weak limb: one of the extremes, or a random one.
    fn limb(index: usize, choice: u8, random: u64) -> u64;
    fn is_weak(index: usize, limb: u64) -> bool;
    /// The limb as a number mod p.
    fn number(limb: u64) -> U256;
}

impl Edges<8> for ifma::Ifma {
    fn limb(index: usize, choice: u8, random: u64) -> u64 {
        let max = if index == 4 { (1 << 48) + (1 << 12) } else { (1 << 52) - 1 };
        match choice % 4 {
            0 => 0,
            1 => 1,
            2 => max,
            _ => random % max,
        }
    }

    fn is_weak(index: usize, limb: u64) -> bool {
        limb < if index == 4 { 1 << 49 } else { 1 << 52 }
    }

    fn number(limb: u64) -> U256 {
        U256::from(limb)
    }
}

impl Edges<4> for avx2::Avx2 {
    fn limb(index: usize, choice: u8, random: u64) -> u64 {
        let max: i64 = if index == 4 { (1 << 47) + (1 << 6) } else { 1 << 51 };
        let limb = match choice % 6 {
            0 => 0,
            1 => 1,
            2 => max,
            3 => -max,
            4 => max - 1,
            _ => random.cast_signed() % max,
        };
        (limb as f64).to_bits()
    }

    fn is_weak(index: usize, limb: u64) -> bool {
        let max: u64 = if index == 4 { (1 << 47) + (1 << 6) } else { 1 << 51 };
        let limb = f64::from_bits(limb);
        limb.abs() <= max as f64 && limb.fract() == 0.0
    }

    fn number(limb: u64) -> U256 {
        let limb = f64::from_bits(limb) as i64;
        let magnitude = U256::from(limb.unsigned_abs());
        if limb < 0 { P - magnitude } else { magnitude }
    }
}

/// Whether this CPU has an engine. What it lacks the suite `recover` shows as ignored, by name; `LOCKSTEP_REQUIRE` makes it a failure here too.
fn has(engine: Engine) -> bool {
    let required =
        std::env::var("LOCKSTEP_REQUIRE").is_ok_and(|list| list.split(',').any(|name| name == engine.name()));
    assert!(engine.is_available() || !required, "this CPU has no {engine}");
    engine.is_available()
}

/// Each test in each engine that this CPU has.
macro_rules! on_every_engine {
    ($($test:ident)*) => {
        mod ifma_engine {
            $(#[test] fn $test() {
                if super::has(super::Engine::Avx512Ifma) {
                    super::$test::<8, super::ifma::Ifma>();
                }
            })*
        }
        mod avx2_engine {
            $(#[test] fn $test() {
                if super::has(super::Engine::Avx2) {
                    super::$test::<4, super::avx2::Avx2>();
                }
            })*
        }
    };
}

on_every_engine! {
    the_field_equals_integers
    inverses_and_roots
    canonical_numbers_go_through
    every_entry_of_the_table_of_g
    every_digit_of_the_table_of_r
    scalars_are_the_sums_of_their_digits
    honest_lanes_are_never_left_to_the_reference
    bad_lanes_in_every_place
}

fn random(seed: u64) -> U256 {
    U256::from_be_bytes(keccak256(seed.to_le_bytes()).0)
}

fn weak<const L: usize, S: Edges<L>>(seed: u64) -> [[u64; L]; 5] {
    let mut limbs = [[0; L]; 5];
    for lane in 0..L {
        let hash = keccak256([seed, lane as u64].map(u64::to_le_bytes).concat());
        for (index, limb) in limbs.iter_mut().enumerate() {
            let random = u64::from_le_bytes(hash[6 * index..6 * index + 8].try_into().unwrap());
            limb[lane] = S::limb(index, hash[31 - index], random >> 1);
        }
    }
    limbs
}

fn value<const L: usize, S: Edges<L>>(limbs: &[[u64; L]; 5], lane: usize) -> U256 {
    let radix = U256::ONE << 52;
    limbs.iter().rev().fold(U256::ZERO, |sum, limb| sum.mul_mod(radix, P).add_mod(S::number(limb[lane]), P))
}

fn word<const L: usize>(words: &[[u64; L]; 4], lane: usize) -> U256 {
    U256::from_limbs(words.map(|word| word[lane]))
}

/// Sums of products and of differences, each by the field and by integers.
#[inline(always)]
fn field_results<const L: usize, S: Edges<L>>(inputs: &[[[[u64; L]; 5]; 2]; 4]) -> [S::Fe<2>; 15] {
    let [a, b, c, d] = inputs.map(|limbs| S::Fe::<2>::load(&limbs));
    let wide = c.diff(&d);
    [
        a.mul(&b),
        a.sqr(),
        a.mul_twice(&b),
        a.mul_twice(&wide),
        a.sqr_twice(),
        a.sqr_thrice(),
        a.mul_sub(&b, &c),
        a.sqr_sub_twice(&b),
        a.sqr_sub_twice_sub(&b, &c),
        S::Fe::mul_sub_mul(&a, &wide, &b, &c),
        S::Fe::mul_sub_mul(&a, &b, &c, &d),
        S::Fe::mul_add_sqr_twice(&a, &wide, &b),
        S::Fe::mul_add_sqr_twice(&a, &b, &c),
        a.neg(),
        a.select(&b, &[0b0101_1010, 0b0000_1111]),
    ]
}

fn integer_results(a: U256, b: U256, c: U256, d: U256, select: bool) -> [U256; 15] {
    let (add, mul) = (|x: U256, y: U256| x.add_mod(y, P), |x: U256, y: U256| x.mul_mod(y, P));
    let sub = |x: U256, y: U256| x.add_mod(P - y, P);
    let twice = |x: U256| add(x, x);
    let wide = sub(c, d);
    [
        mul(a, b),
        mul(a, a),
        twice(mul(a, b)),
        twice(mul(a, wide)),
        twice(mul(a, a)),
        add(mul(a, a), twice(mul(a, a))),
        sub(mul(a, b), c),
        sub(mul(a, a), twice(b)),
        sub(sub(mul(a, a), twice(b)), c),
        sub(mul(a, wide), mul(b, c)),
        sub(mul(a, b), mul(c, d)),
        add(mul(a, wide), twice(mul(b, b))),
        add(mul(a, b), twice(mul(c, c))),
        sub(U256::ZERO, a),
        if select { b } else { a },
    ]
}

fn the_field_equals_integers<const L: usize, S: Edges<L>>() {
    for seed in 0..5_000 {
        let inputs = [0, 1, 2, 3].map(|i| [0, 1].map(|g| weak::<L, S>(8 * seed + 2 * i + g)));
        let results = S::Fe::<2>::outlined(field_results::<L, S>, &inputs);
        for (op, result) in results.iter().enumerate() {
            let words = S::Fe::<2>::outlined(Lanes::<L, 2>::canonical_words, result);
            for g in 0..2 {
                let mut limbs = [[0; L]; 5];
                S::Fe::<2>::outlined(|(result, limbs): (&S::Fe<2>, _)| result.store(g, limbs), (result, &mut limbs));
                for lane in 0..L {
                    for (index, limb) in limbs.iter().enumerate() {
                        assert!(S::is_weak(index, limb[lane]), "seed {seed}, op {op}, limb {index}: {:#x}", limb[lane]);
                    }
                    let [a, b, c, d] = inputs.map(|limbs| value::<L, S>(&limbs[g], lane));
                    let select = [0b0101_1010, 0b0000_1111][g] >> lane & 1 == 1;
                    let wanted = integer_results(a, b, c, d, select)[op];
                    assert_eq!(word(&words[g], lane), wanted, "seed {seed}, op {op}, group {g}, lane {lane}");
                    assert_eq!(value::<L, S>(&limbs, lane), wanted);
                }
            }
        }
    }
}

#[inline(always)]
fn inverse_and_root<const L: usize, S: Edges<L>>(limbs: &[[u64; L]; 5]) -> [[[u64; L]; 4]; 4] {
    let a = S::Fe::<1>::load(std::array::from_ref(limbs));
    let square = a.sqr();
    [
        a.canonical_words()[0],
        a.inv().canonical_words()[0],
        square.canonical_words()[0],
        square.sqrt().sqr().canonical_words()[0],
    ]
}

fn inverses_and_roots<const L: usize, S: Edges<L>>() {
    for seed in 0..200 {
        let [a, inverse, square, again] = S::Fe::<1>::outlined(inverse_and_root::<L, S>, &weak::<L, S>(seed));
        for lane in 0..L {
            assert_eq!(word(&inverse, lane), word(&a, lane).inv_mod(P).unwrap_or_default());
            assert_eq!(word(&square, lane), word(&again, lane));
        }
    }
}

/// From words to limbs and back, around every place where a limb or the number may carry.
fn canonical_numbers_go_through<const L: usize, S: Edges<L>>() {
    let edges = [0, 51, 52, 103, 104, 155, 156, 207, 208, 254, 255].map(|bit| U256::ONE << bit);
    let around = edges.iter().flat_map(|edge| [*edge - U256::ONE, *edge, *edge + U256::ONE]);
    for number in around.chain([P - U256::ONE, P - U256::from(2)]).chain((0..1_000).map(random)) {
        let limbs = S::Fe::<1>::limbs(number.as_limbs());
        let through = |limbs: &Limbs| S::Fe::<1>::constant(limbs).canonical_words();
        let [words] = S::Fe::<1>::outlined(through, &limbs);
        for lane in 0..L {
            assert_eq!(word(&words, lane), number.reduce_mod(P));
        }
    }
}

fn coordinates(key: &PublicKey) -> [U256; 2] {
    let bytes = key.serialize_uncompressed();
    [1, 33].map(|at| U256::from_be_slice(&bytes[at..at + 32]))
}

/// (2 digit + 1 - 2^bits) 2^(bits window) mod n.
fn digit_value(digit: usize, bits: usize, window: usize) -> U256 {
    let (odd, half) = (U256::from(2 * digit + 1), U256::ONE << bits);
    odd.add_mod(ORDER - half, ORDER).mul_mod(U256::from(2).pow_mod(U256::from(bits * window), ORDER), ORDER)
}

fn times_g(scalar: U256) -> PublicKey {
    PublicKey::from_secret_key(&SecretKey::from_secret_bytes(scalar.to_be_bytes()).unwrap())
}

#[inline(always)]
fn comb_point<const L: usize, S: Edges<L>>((digits, window): (&[[[u64; L]; 5]; 1], usize)) -> [[[u64; L]; 4]; 2] {
    let point = S::comb_lookup(&S::comb().entries, digits, window);
    [point.x.canonical_words()[0], point.y.canonical_words()[0]]
}

fn every_entry_of_the_table_of_g<const L: usize, S: Edges<L>>() {
    let bits = S::COMB_BITS;
    for window in 0..comb::windows(bits) {
        for first in (0..1 << bits).step_by(L) {
            // The other digits are ones: none may leak in.
            let mut digits = [[[u64::MAX; L]; 5]];
            let (at, shift) = (bits * window / 64, bits * window % 64);
            for lane in 0..L {
                let clear = ((1_u128 << bits) - 1) << shift;
                let set = ((first + lane) as u128) << shift;
                for (word, part) in digits[0][at..].iter_mut().zip([0, 64]) {
                    word[lane] = word[lane] & !(clear >> part) as u64 | (set >> part) as u64;
                }
            }
            let [x, y] = S::Fe::<1>::outlined(comb_point::<L, S>, (&digits, window));
            for lane in 0..L {
                let wanted = coordinates(&times_g(digit_value(first + lane, bits, window)));
                assert_eq!([word(&x, lane), word(&y, lane)], wanted, "window {window}, digit {}", first + lane);
            }
        }
    }
}

#[inline(always)]
fn table_points<const L: usize, S: Edges<L>>((r, groups): (&[U256; 2], &[Group<L>; 1])) -> Vec<[[[u64; L]; 4]; 2]> {
    let [x, y] = r.map(|coordinate| S::Fe::<1>::constant(&S::Fe::<1>::limbs(coordinate.as_limbs())));
    let mut tables = [Table::ZERO];
    let z = ladder::fill((&mut tables, &Ge { x, y }));
    let z_inv = z.inv();
    let z_inv2 = z_inv.sqr();
    let z_inv3 = z_inv2.mul(&z_inv);
    (0..2 * ladder::WINDOWS)
        .map(|i| {
            let point = S::table_lookup(&tables, groups, i / ladder::WINDOWS, i % ladder::WINDOWS);
            [point.x.mul(&z_inv2).canonical_words()[0], point.y.mul(&z_inv3).canonical_words()[0]]
        })
        .collect()
}

fn every_digit_of_the_table_of_r<const L: usize, S: Edges<L>>() {
    for seed in 0..3 {
        let r = times_g(random(seed));
        // Digit d in window w of lane l: (w + l + turn) mod 16.
        for turn in 0..16 {
            let mut groups = [Group::ZERO];
            for (half, window, lane) in
                (0..2 * ladder::WINDOWS * L).map(|i| (i / L / ladder::WINDOWS, i / L % ladder::WINDOWS, i % L))
            {
                let digit = (window + lane + turn) % 16;
                groups[0].halves[half][window / 16][lane] |= (digit as u64) << (4 * window % 64);
            }
            let points = S::Fe::<1>::outlined(table_points::<L, S>, (&coordinates(&r), &groups));
            for (i, [x, y]) in points.iter().enumerate() {
                for lane in 0..L {
                    let digit = (i % ladder::WINDOWS + lane + turn) % 16;
                    let half = if i < ladder::WINDOWS { U256::ONE } else { LAMBDA };
                    let scalar = digit_value(digit, 4, 0).mul_mod(half, ORDER);
                    let wanted = r.mul_tweak(&Scalar::from_be_bytes(scalar.to_be_bytes()).unwrap()).unwrap();
                    assert_eq!([word(x, lane), word(y, lane)], coordinates(&wanted), "window {i}, digit {digit}");
                }
            }
        }
    }
}

/// Zero, one, the greatest, halves, powers of two, and what the endomorphism and its lattice single out.
fn edge_scalars() -> Vec<U256> {
    let one = U256::ONE;
    let mut scalars = vec![U256::ZERO, one, ORDER - one, HALF_ORDER, HALF_ORDER + one, LAMBDA, ORDER - LAMBDA];
    scalars.push(LAMBDA.mul_mod(LAMBDA, ORDER));
    let half = HALF_ORDER + one;
    for lattice in [
        uint!(0x3086D221_A7D46BCD_E86C90E4_9284EB15_U256),
        uint!(0xE4437ED6_010E8828_6F547FA9_0ABFE4C3_U256),
        uint!(0x1_14CA50F7_A8E2F3F6_57C1108D_9D44CFD8_U256),
    ] {
        for scalar in [lattice, lattice.mul_mod(LAMBDA, ORDER), lattice.mul_mod(half, ORDER)] {
            scalars.extend([scalar, ORDER - scalar]);
        }
    }
    scalars.extend((0..256_usize).map(|bit| (one << bit).reduce_mod(ORDER)));
    let around =
        scalars.iter().flat_map(|scalar| [*scalar, scalar.add_mod(one, ORDER), scalar.add_mod(ORDER - one, ORDER)]);
    let mut scalars: Vec<_> = around.collect();
    scalars.extend((0..500).map(|seed| random(seed).reduce_mod(ORDER)));
    scalars
}

fn digit_sum(words: &[u64], bits: usize, windows: usize) -> U256 {
    (0..windows).fold(U256::ZERO, |sum, window| {
        let bit = |i: usize| words.get(i / 64).map_or(0, |word| word >> (i % 64) & 1) as usize;
        let digit = (0..bits).fold(0, |digit, i| digit | bit(bits * window + i) << i);
        sum.add_mod(digit_value(digit, bits, window), ORDER)
    })
}

fn scalars_are_the_sums_of_their_digits<const L: usize, S: Edges<L>>() {
    let scalars = edge_scalars();
    for r in [U256::ONE, ORDER - U256::ONE, random(1).reduce_mod(ORDER)] {
        // u1 = -z / r and u2 = s / r are to be the edges.
        let request = |scalar: &U256| {
            let z = r.mul_mod(ORDER - scalar, ORDER);
            let s = r.mul_mod(*scalar, ORDER);
            RecoverRequest { hash: z.into(), r, s, recovery_id: 0, low_s: false }
        };
        let requests: Vec<_> = scalars.iter().map(request).collect();
        let mut digits = vec![sc::Digits::default(); requests.len()];
        sc::recode(&S::comb().offset, &requests, &mut vec![[0; 4]; requests.len()], &mut digits);
        for (scalar, digits) in scalars.iter().zip(&digits) {
            let [k1, k2] = digits.halves.map(|half| digit_sum(&half, 4, ladder::WINDOWS));
            assert_eq!(k1.add_mod(k2.mul_mod(LAMBDA, ORDER), ORDER), *scalar);
            assert!(digits.halves.iter().all(|half| half[2] < 16), "more than {} windows", ladder::WINDOWS);
            assert_eq!(digit_sum(&digits.comb, S::COMB_BITS, comb::windows(S::COMB_BITS)), *scalar);
        }
    }
}

fn signed(seed: u64) -> RecoverRequest {
    let hash = keccak256(seed.to_le_bytes());
    let key = SecretKey::from_secret_bytes(keccak256(hash).0).unwrap();
    let (id, rs) = RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(hash.0), &key).serialize_compact();
    let (r, s) = (U256::from_be_slice(&rs[..32]), U256::from_be_slice(&rs[32..]));
    RecoverRequest { hash, r, s, recovery_id: id.to_u8(), low_s: true }
}

#[inline(always)]
fn all_finite<const L: usize, const G: usize, S: Edges<L>>(requests: &[RecoverRequest]) -> bool {
    let one = S::Fe::<1>::constant(&S::Fe::<1>::limbs(&[1, 0, 0, 0]));
    let (mut points, mut product) = (Vec::new(), one);
    let groups = prepare::<L, S>(requests, S::comb());
    for groups in groups.as_chunks::<G>().0 {
        push::<L, G, S>((&mut points, &mut product, groups, S::comb()));
    }
    let full = u8::MAX >> (8 - L);
    points.len() == requests.len() / L && points.iter().all(|point| point.finite & point.on_curve == full)
}

fn honest_lanes_are_never_left_to_the_reference<const L: usize, S: Edges<L>>() {
    let requests: Vec<_> = (0..512).map(signed).collect();
    assert!(S::Fe::<1>::outlined(all_finite::<L, 1, S>, &requests));
    assert!(S::Fe::<2>::outlined(all_finite::<L, 2, S>, &requests));
    // One that is exceptional is seen.
    let mut requests = requests;
    requests[77] = exceptional(1);
    assert!(!S::Fe::<1>::outlined(all_finite::<L, 1, S>, &requests));
}

/// R = G, so that the signer of the hash knows every relation: u2 R = s G - z G.
fn exceptional(z: u64) -> RecoverRequest {
    let [g_x, _] = coordinates(&times_g(U256::ONE));
    let z = U256::from(z);
    RecoverRequest { hash: B256::from(z), r: g_x, s: z, recovery_id: 0, low_s: false }
}

/// Every kind of bad lane, and of R = kG, in every place of two vectors; neighbours are unharmed.
fn bad_lanes_in_every_place<const L: usize, S: Edges<L>>() {
    let honest: Vec<_> = (0..2 * L as u64).map(signed).collect();
    let base = honest[0];
    let mut bad = vec![
        RecoverRequest { r: U256::ZERO, ..base },
        RecoverRequest { s: ORDER, ..base },
        RecoverRequest { r: U256::MAX, ..base },
        RecoverRequest { s: ORDER - base.s, ..base },
        RecoverRequest { r: U256::from(5), ..base },
        RecoverRequest { recovery_id: 2, ..base },
        RecoverRequest { recovery_id: 255, ..base },
        RecoverRequest { r: U256::from(2), recovery_id: 3, ..base },
        RecoverRequest { hash: B256::ZERO, ..base },
        RecoverRequest { hash: B256::repeat_byte(0xff), ..base },
        exceptional(12_345),
    ];
    let [g_x, _] = coordinates(&times_g(U256::ONE));
    // Recovers with R = G and u1 G = ±u2 R, or either of them extreme.
    for scalar in edge_scalars().into_iter().take(60).filter(|scalar| !scalar.is_zero()) {
        for hash in [scalar, ORDER - scalar, U256::ONE] {
            bad.push(RecoverRequest { hash: hash.into(), r: g_x, s: scalar, recovery_id: 1, low_s: false });
        }
    }
    for (kind, bad) in bad.iter().enumerate() {
        let expected = recover_one(bad);
        // The kinds go round the places; the first ones are in all of them.
        for place in (0..2 * L).filter(|place| kind < 11 || kind % (2 * L) == *place) {
            let mut requests = honest.clone();
            requests[place] = *bad;
            let mut results = vec![Err(RecoverError::Range); requests.len()];
            recover_batch::<L, S>(&requests, &mut results);
            for (i, (request, result)) in requests.iter().zip(&results).enumerate() {
                let expected = if i == place { expected } else { recover_one(request) };
                assert_eq!(*result, expected, "kind {kind} at {place}, lane {i}");
            }
        }
    }
}
