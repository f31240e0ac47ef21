//! Vectors for recovery as data, for any backend. What is right is asked of libsecp256k1 and tiny-keccak, past Lockstep's own code.

use alloy_primitives::{Address, B256, U256, uint};
use lockstep::{
    abi::{RecoverResult, STATUS_EXCEPTIONAL, STATUS_INVALID, STATUS_RECOVERED},
    lower::address_from_limbs,
    recover::{FIELD_MINUS_ORDER, ORDER, RecoverRequest},
};
use secp256k1::{
    Message, PublicKey, SecretKey,
    ecdsa::{RecoverableSignature, RecoveryId},
};
use std::{ops::Range, thread};
use tiny_keccak::{Hasher, Keccak};

const ONE: U256 = U256::ONE;

/// p, the prime of the field.
pub const FIELD_PRIME: U256 = uint!(0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_FFFFFC2F_U256);

/// lambda (x, y) = (beta x, y): as in libsecp256k1.
pub const LAMBDA: U256 = uint!(0x5363AD4C_C05C30E0_A5261C02_8812645A_122E22EA_20816678_DF02967C_1B23BD72_U256);
/// The lattice that splits a scalar into two short ones along lambda.
const LATTICE: [U256; 3] = [
    uint!(0x3086D221_A7D46BCD_E86C90E4_9284EB15_U256),
    uint!(0xE4437ED6_010E8828_6F547FA9_0ABFE4C3_U256),
    uint!(0x1_14CA50F7_A8E2F3F6_57C1108D_9D44CFD8_U256),
];

/// A signature and what libsecp256k1 makes of it.
#[derive(Clone, Debug)]
pub struct Vector {
    /// Says what is special about it.
    pub name: String,
    /// The signature.
    pub request: RecoverRequest,
    /// The signer, if there is one.
    pub signer: Option<Address>,
    /// Made by somebody who knows k, so that a kernel may leave it to the CPU. Never allowed otherwise.
    pub crafted: bool,
}

impl Vector {
    /// Asks libsecp256k1.
    pub fn new(name: impl Into<String>, request: RecoverRequest) -> Self {
        Self { name: name.into(), request, signer: oracle(&request), crafted: false }
    }

    /// The same by somebody who knows k.
    pub fn crafted(name: impl Into<String>, request: RecoverRequest) -> Self {
        Self { crafted: true, ..Self::new(name, request) }
    }
}

/// The requests alone.
pub fn requests(vectors: &[Vector]) -> Vec<RecoverRequest> {
    vectors.iter().map(|vector| vector.request).collect()
}

/// tiny-keccak's Keccak-256.
pub fn keccak256(bytes: &[u8]) -> B256 {
    let mut out = B256::ZERO;
    let mut hasher = Keccak::v256();
    hasher.update(bytes);
    hasher.finalize(&mut out.0);
    out
}

/// The address of a key.
pub fn address(key: &PublicKey) -> Address {
    Address::from_slice(&keccak256(&key.serialize_uncompressed()[1..])[12..])
}

/// libsecp256k1's answer, with its own normalisation as the judge of high s.
fn oracle(request: &RecoverRequest) -> Option<Address> {
    let id = RecoveryId::try_from(i32::from(request.recovery_id)).ok()?;
    let compact = [request.r.to_be_bytes::<32>(), request.s.to_be_bytes()].concat();
    let signature = RecoverableSignature::from_compact(&compact, id).ok()?;
    let standard = signature.to_standard();
    let mut low = standard;
    low.normalize_s();
    if request.low_s && low != standard {
        return None;
    }
    signature.recover_ecdsa(Message::from_digest(request.hash.0)).ok().map(|key| address(&key))
}

/// Compares a backend's results with the vectors.
///
/// # Errors
/// The first that differs, or that their numbers do.
pub fn compare<E: std::fmt::Debug + Copy>(vectors: &[Vector], results: &[Result<Address, E>]) -> Result<(), String> {
    if vectors.len() != results.len() {
        return Err(format!("{} results for {} vectors", results.len(), vectors.len()));
    }
    match vectors.iter().zip(results).position(|(vector, result)| vector.signer != result.ok()) {
        Some(at) => Err(format!("{at} {}: got {:?}, want {:?}", vectors[at].name, results[at], vectors[at].signer)),
        None => Ok(()),
    }
}

/// Compares what a kernel says lane by lane with the vectors, and gives how many it leaves to the CPU.
///
/// # Errors
/// The first that is wrong, has an address without a signer, or is left to the CPU without need.
pub fn compare_lanes(vectors: &[Vector], results: &[RecoverResult]) -> Result<usize, String> {
    if vectors.len() != results.len() {
        return Err(format!("{} results for {} vectors", results.len(), vectors.len()));
    }
    let mut exceptional = 0;
    for (at, (vector, result)) in vectors.iter().zip(results).enumerate() {
        let right = match (result.status, vector.signer) {
            (STATUS_RECOVERED, Some(signer)) => address_from_limbs(result.address) == signer,
            (STATUS_INVALID, None) => result.address == [0; 5],
            (STATUS_EXCEPTIONAL, _) => {
                exceptional += 1;
                vector.crafted && result.address == [0; 5]
            }
            _ => false,
        };
        if !right {
            return Err(format!("{at} {}: got {result:x?}, want {:?}", vector.name, vector.signer));
        }
    }
    Ok(exceptional)
}

/// An endless stream of 256-bit numbers that depends on the seed only.
#[derive(Debug)]
pub struct Numbers {
    seed: u64,
    drawn: u64,
}

impl Numbers {
    /// The stream of a seed.
    pub const fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// The next one.
    pub fn draw(&mut self) -> U256 {
        self.drawn += 1;
        keccak256(&[self.seed.to_le_bytes(), self.drawn.to_le_bytes()].concat()).into()
    }

    fn scalar(&mut self) -> U256 {
        self.draw().reduce_mod(ORDER)
    }
}

/// `n` honest signatures by `n` keys; libsecp256k1 finds each signer again.
pub fn random_signatures(n: usize, seed: u64) -> Vec<Vector> {
    let mut numbers = Numbers::new(seed);
    let mut vectors = Vec::with_capacity(n);
    while vectors.len() < n {
        let hash = B256::from(numbers.draw());
        let Ok(key) = SecretKey::from_secret_bytes(numbers.draw().to_be_bytes()) else { continue };
        let signature = RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(hash.0), &key);
        let (id, compact) = signature.serialize_compact();
        let (r, s) = (U256::from_be_slice(&compact[..32]), U256::from_be_slice(&compact[32..]));
        let request = RecoverRequest { hash, r, s, recovery_id: id.to_u8(), low_s: true };
        let signer = Some(address(&PublicKey::from_secret_key(&key)));
        vectors.push(Vector { name: format!("signature {}", vectors.len()), request, signer, crafted: false });
    }
    vectors
}

/// Requests `range` of the stream of a seed, with libsecp256k1's answers, on all cores. Of eight, five have the R of an honest signature under any
/// hash and s, so that nearly all recover to somebody; the others have any r, or numbers next to the limits.
pub fn random_requests(range: Range<u64>, seed: u64) -> Vec<(RecoverRequest, Option<Address>)> {
    let points: Vec<_> = random_signatures(256, seed).iter().map(|vector| vector.request).collect();
    let one = |index: u64| {
        let request = random_request(index, seed, &points);
        (request, oracle(&request))
    };
    let threads = thread::available_parallelism().map_or(1, usize::from) as u64;
    let share = (range.end - range.start).div_ceil(threads).max(1);
    thread::scope(|scope| {
        let parts: Vec<_> = range
            .clone()
            .step_by(share as usize)
            .map(|start| {
                let (end, one) = (range.end.min(start + share), &one);
                scope.spawn(move || (start..end).map(one).collect::<Vec<_>>())
            })
            .collect();
        parts.into_iter().flat_map(|part| part.join().unwrap_or_default()).collect()
    })
}

fn random_request(index: u64, seed: u64, points: &[RecoverRequest]) -> RecoverRequest {
    let mut numbers = Numbers::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ index);
    let (hash, s, choice) = (B256::from(numbers.draw()), numbers.draw(), numbers.draw());
    let [kind, part, id, flag, ..] = choice.to_le_bytes::<32>();
    let any = RecoverRequest { hash, r: numbers.draw(), s, recovery_id: id % 4, low_s: flag % 4 == 0 };
    let near = |limit: U256| limit.wrapping_add(U256::from(part % 8)).wrapping_sub(U256::from(4));
    match kind % 8 {
        0 | 1 => any,
        2 => match part / 8 % 4 {
            0 => RecoverRequest { r: near(ORDER), ..any },
            1 => RecoverRequest { r: near(FIELD_MINUS_ORDER), recovery_id: 2 + id % 2, ..any },
            2 => RecoverRequest { s: near(ORDER), ..points[usize::from(flag)] },
            _ => RecoverRequest { s: near(ORDER >> 1), ..points[usize::from(flag)] },
        },
        _ => RecoverRequest { hash, s: s >> 1, ..points[usize::from(part)] },
    }
}

/// The first of [`random_signatures`] as requests that take high s.
fn honest(n: usize, seed: u64) -> Vec<RecoverRequest> {
    random_signatures(n, seed).iter().map(|vector| RecoverRequest { low_s: false, ..vector.request }).collect()
}

fn request(z: U256, r: U256, s: U256, recovery_id: u8) -> RecoverRequest {
    RecoverRequest { hash: z.into(), r, s, recovery_id, low_s: false }
}

/// The signature for which Q = u1 G + u2 R with R = k G: what somebody who knows k can make any engine compute.
///
/// # Panics
/// k is a multiple of the group order.
fn from_scalars(k: U256, u1: U256, u2: U256) -> RecoverRequest {
    let n = ORDER;
    let secret = SecretKey::from_secret_bytes(k.reduce_mod(n).to_be_bytes()).expect("k in [1, n)");
    let point = PublicKey::from_secret_key(&secret).serialize_uncompressed();
    let r = U256::from_be_slice(&point[1..33]).reduce_mod(n);
    let minus_u1 = n - u1.reduce_mod(n);
    request(minus_u1.mul_mod(r, n), r, u2.mul_mod(r, n), point[64] & 1)
}

/// Every trap of RECOVERY.md.
pub fn traps() -> Vec<Vector> {
    let mut vectors = Vec::new();
    ranges(&mut vectors);
    high_s(&mut vectors);
    overflowing_x(&mut vectors);
    off_curve(&mut vectors);
    hashes(&mut vectors);
    known_nonce(&mut vectors);
    extreme_scalars(&mut vectors);
    colliding_digits(&mut vectors);
    every_digit(&mut vectors);
    vectors
}

/// Trap 1: r and s outside [1, n), by compare. Trap 3: ids above 3.
fn ranges(vectors: &mut Vec<Vector>) {
    let n = ORDER;
    let mut numbers = Numbers::new(1);
    let base = honest(1, 1)[0];
    let edges = [
        ("0", U256::ZERO),
        ("1", ONE),
        ("n - 1", n - ONE),
        ("n", n),
        ("n + 1", n + ONE),
        ("p", FIELD_PRIME),
        ("2^256 - 1", U256::MAX),
    ];
    for (name, edge) in edges {
        for id in 0..4 {
            let r_edge = RecoverRequest { r: edge, recovery_id: id, ..base };
            let s_edge = RecoverRequest { s: edge, recovery_id: id, ..base };
            vectors.push(Vector::new(format!("r = {name}, id {id}"), r_edge));
            vectors.push(Vector::new(format!("s = {name}, id {id}"), s_edge));
            let both = request(numbers.draw(), edge, edge, id);
            vectors.push(Vector::new(format!("r = s = {name}, id {id}"), both));
        }
    }
    for id in [4, 27, 28, u8::MAX] {
        vectors.push(Vector::new(format!("recovery id {id}"), RecoverRequest { recovery_id: id, ..base }));
    }
}

/// Trap 2: s around n / 2 and high s, with and without the flag. Trap 9: both parities of R, which flip with s.
fn high_s(vectors: &mut Vec<Vector>) {
    let n = ORDER;
    for (i, base) in honest(16, 2).into_iter().enumerate() {
        for low_s in [false, true] {
            for recovery_id in 0..2 {
                let low = RecoverRequest { recovery_id, low_s, ..base };
                let high = RecoverRequest { s: n - base.s, ..low };
                vectors.push(Vector::new(format!("low s {i}, id {recovery_id}, low_s {low_s}"), low));
                vectors.push(Vector::new(format!("high s {i}, id {recovery_id}, low_s {low_s}"), high));
            }
            for (name, s) in [("(n - 1) / 2", n >> 1), ("(n + 1) / 2", (n >> 1) + ONE)] {
                let edge = RecoverRequest { s, low_s, ..base };
                vectors.push(Vector::new(format!("s = {name} {i}, low_s {low_s}"), edge));
            }
        }
    }
}

/// Trap 3: ids 2 and 3 only with r < p - n, and then x = r + n.
fn overflowing_x(vectors: &mut Vec<Vector>) {
    let room = FIELD_MINUS_ORDER;
    let mut numbers = Numbers::new(3);
    let near: Vec<U256> = (1..=40u64).flat_map(|d| [U256::from(d), room - U256::from(d)]).collect();
    let past = [room, room + ONE, room + U256::from(2), room << 1, ORDER - ONE];
    for r in near.into_iter().chain(past) {
        // Ids past 3 too: with such an r they would pass for an id that is there.
        for id in 0..8 {
            let request = request(numbers.draw(), r, numbers.scalar(), id);
            vectors.push(Vector::new(format!("r = {r:#x}, id {id}"), request));
        }
    }
}

/// Trap 4: half of all r are no x of the curve.
fn off_curve(vectors: &mut Vec<Vector>) {
    let mut numbers = Numbers::new(4);
    for i in 0..64 {
        let request = request(numbers.draw(), numbers.scalar(), numbers.scalar(), i % 2);
        vectors.push(Vector::new(format!("random r {i}"), request));
    }
}

/// Trap 5: z at and above n reduces, z = 0 is legal.
fn hashes(vectors: &mut Vec<Vector>) {
    let n = ORDER;
    let honest = honest(4, 5);
    let edges =
        [("0", U256::ZERO), ("1", ONE), ("n - 1", n - ONE), ("n", n), ("n + 1", n + ONE), ("2^256 - 1", U256::MAX)];
    for (name, z) in edges {
        for (i, signature) in honest.iter().enumerate() {
            for id in 0..2 {
                let request = RecoverRequest { hash: z.into(), recovery_id: id, ..*signature };
                vectors.push(Vector::new(format!("z = {name}, signature {i}, id {id}"), request));
            }
        }
    }
}

/// Traps 6 and 7: Q at infinity, u1 G = u2 R, s = r, and small multiples of G.
fn known_nonce(vectors: &mut Vec<Vector>) {
    let n = ORDER;
    let mut numbers = Numbers::new(6);
    let mut nonces: Vec<U256> = (1..=20u64).map(U256::from).collect();
    nonces.extend([n - ONE, n - U256::from(2), LAMBDA, n - LAMBDA, n >> 1]);
    nonces.extend((0..8).map(|_| numbers.scalar()));
    for k in nonces {
        let u2 = numbers.scalar();
        let same = u2.mul_mod(k, n);
        let cases = [
            ("Q at infinity", n - same, u2),
            ("u1 G = u2 R", same, u2),
            ("u2 = 1, s = r", numbers.scalar(), ONE),
            ("u2 = -1", numbers.scalar(), n - ONE),
            ("u2 = 1, Q at infinity", n - k, ONE),
            ("u2 = 1, u1 G = R", k, ONE),
            ("u1 = 0", U256::ZERO, u2),
            ("u1 = 0, u2 = 1", U256::ZERO, ONE),
            ("Q = G", ONE.add_mod(n - same, n), u2),
            ("Q = -G", (n - ONE).add_mod(n - same, n), u2),
            ("u1 = 1", ONE, u2),
        ];
        for (name, u1, u2) in cases {
            vectors.push(Vector::crafted(format!("{name}, k = {k:#x}"), from_scalars(k, u1, u2)));
        }
    }
}

/// Trap 7: scalars whose split or recoding is extreme. For every edge e: u1, u2 = e, and those that a recoding
/// 2 v + 1 - 2^256 or a split around (1 + lambda) / 2 maps to e.
fn extreme_scalars(vectors: &mut Vec<Vector>) {
    let n = ORDER;
    let mut numbers = Numbers::new(7);
    let mut edges = vec![n >> 1, LAMBDA, n - LAMBDA, LAMBDA >> 1, U256::MAX.reduce_mod(n)];
    edges.extend((0..4u64).map(U256::from));
    edges.extend(LATTICE);
    let halves: [U256; 3] = LATTICE.map(|l| l >> 1);
    edges.extend(halves);
    for a in LATTICE {
        edges.extend(LATTICE.map(|b| a.add_mod(b.mul_mod(LAMBDA, n), n)));
        let half: U256 = a >> 1;
        edges.extend(halves.map(|b| half.add_mod(b.mul_mod(LAMBDA, n), n)));
    }
    edges.extend((0..256).map(|bit| ONE << bit));
    for byte in [0x01u8, 0x0f, 0x10, 0x7f, 0x80, 0x81, 0xaa, 0xf0, 0xfe, 0xff] {
        edges.push(U256::from_be_bytes([byte; 32]).reduce_mod(n));
        edges.push(U256::from_be_bytes([byte; 32]) >> 128);
    }
    let negated: Vec<U256> = edges.iter().map(|e| (n - e.reduce_mod(n)).reduce_mod(n)).collect();
    edges.extend(negated);
    for e in edges {
        let e = e.reduce_mod(n);
        let twice = e.add_mod(e, n);
        let recoded = twice.add_mod(ONE, n).add_mod(n - U256::MAX.reduce_mod(n), n).add_mod(n - ONE, n);
        let split = twice.add_mod(ONE, n).add_mod(LAMBDA, n);
        let (k, u) = (numbers.scalar(), numbers.scalar());
        for u1 in [e, recoded] {
            vectors.push(Vector::crafted(format!("u1 = {u1:#x}"), from_scalars(k, u1, u)));
        }
        for u2 in [e, split].into_iter().filter(|u2| *u2 != U256::ZERO) {
            vectors.push(Vector::crafted(format!("u2 = {u2:#x}"), from_scalars(k, u, u2)));
        }
    }
}

/// Trap 7: scalars that make the accumulator meet the very point that is added next, in the last rounds of the
/// windowed ladder (digits d1 R, d2 lambda R) and at the table of G.
fn colliding_digits(vectors: &mut Vec<Vector>) {
    let n = ORDER;
    let mut numbers = Numbers::new(8);
    let odd = |d: u64| [U256::from(d), n - U256::from(d)];
    let digits: Vec<U256> = (0..8).flat_map(|i| odd(2 * i + 1)).collect();
    for d1 in &digits {
        for d2 in &digits {
            let far = d2.mul_mod(LAMBDA, n);
            let ends =
                [far, far.add_mod(*d1, n).add_mod(*d1, n), far.add_mod(far, n), d1.add_mod(*d1, n), d1.add_mod(far, n)];
            for u2 in ends {
                let request = from_scalars(numbers.scalar(), numbers.scalar(), u2);
                vectors.push(Vector::crafted(format!("ladder ends at {u2:#x}"), request));
            }
        }
    }
    // u2 R = m G, where the comb of G may add m G, -m G or what it has just summed up.
    for window in [0, 1, 15, 30, 31] {
        for d in [1u64, 3, 127, 129, 253, 255] {
            for m in odd(d) {
                let m = m.mul_mod(U256::from(256).pow_mod(U256::from(window), n), n);
                let k = numbers.scalar();
                let u2 = k.inv_mod(n).unwrap_or_default().mul_mod(m, n);
                for u1 in [m, n - m, m.add_mod(m, n), numbers.scalar(), U256::ZERO] {
                    let request = from_scalars(k, u1, u2);
                    vectors.push(Vector::crafted(format!("u2 R = {m:#x} G, u1 = {u1:#x}"), request));
                }
            }
        }
    }
}

/// Every digit in every window of the recodings: all entries of the table of G with both signs, all of the table of R.
fn every_digit(vectors: &mut Vec<Vector>) {
    let n = ORDER;
    let mut numbers = Numbers::new(10);
    let odd = |v: U256| v.add_mod(v, n).add_mod(ONE, n);
    for first in 0..256_usize {
        // u1 = 2 v + 1 - 2^256 for the v whose digits are these; another one each, or the highest could be past n.
        let v = (0..32).fold(U256::ZERO, |v, window| v | (U256::from((first + 37 * window) & 255) << (8 * window)));
        let u1 = odd(v.reduce_mod(n)).add_mod(n - U256::MAX.reduce_mod(n), n).add_mod(n - ONE, n);
        let request = from_scalars(numbers.scalar(), u1, numbers.scalar());
        vectors.push(Vector::new(format!("digits of u1 from {first}"), request));
    }
    for first in 0..16_usize {
        // u2 = 2 k + 1 + lambda (2 l + 1) with k + 2^131 and l + 2^131 of these digits, those above 2^124 as in any short number.
        let half = |step: usize| {
            let digits = |v, window| v | (U256::from((first + step * window) & 15) << (4 * window));
            (0..31).fold(U256::ZERO, digits)
        };
        for (k, l) in
            [(half(5), half(7)), (n - half(3), half(11)), (half(13), n - half(9)), (n - half(1), n - half(15))]
        {
            let u2 = odd(k.reduce_mod(n)).add_mod(odd(l.reduce_mod(n)).mul_mod(LAMBDA, n), n);
            let request = from_scalars(numbers.scalar(), numbers.scalar(), u2);
            vectors.push(Vector::new(format!("digits of u2 from {first}"), request));
        }
    }
}
