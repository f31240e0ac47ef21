//! The AVX-512 IFMA engine of recovery: eight signatures a vector, two vectors at a time.
//!
//! [`recover_batch`] equals `recover_one` on every input. Lanes out of range or off the curve run on as dummies and exceptional ones come out with
//! Z = 0; libsecp256k1 decides them all.

#![expect(unsafe_code, reason = "a call to a function with target features, behind their detection")]
#![expect(clippy::needless_range_loop, reason = "an index runs over the limbs or groups of several arrays at once")]

mod comb;
mod fe;
mod gej;
mod ladder;
mod sc;
#[cfg(test)]
mod tests;

use crate::recover::{FIELD_MINUS_ORDER, ORDER, RecoverError, RecoverRequest, recover_one};
use alloy_primitives::{Address, U256, keccak256};
use fe::{Fe, LaneWords};
use ladder::Group;

const LANES: usize = 8;
/// Signatures that share the two batched inversions.
const CHUNK: usize = 512;

/// Whether this CPU runs [`recover_batch`].
pub fn is_supported() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512ifma")
        && is_x86_feature_detected!("avx512dq")
}

/// The signer of each request, in order.
///
/// # Panics
/// `out` is not as long as `requests`, or the CPU is not [supported](is_supported).
pub fn recover_batch(requests: &[RecoverRequest], out: &mut [Result<Address, RecoverError>]) {
    assert_eq!(requests.len(), out.len(), "one result a request");
    assert!(is_supported(), "AVX-512 IFMA");
    let table = comb::table();
    // One lane of a vector costs twice what libsecp256k1 does.
    let lone = if requests.len() % LANES == 1 { requests.len() - 1 } else { requests.len() };
    let (requests, last) = requests.split_at(lone);
    let (out, last_out) = out.split_at_mut(lone);
    for (request, out) in last.iter().zip(last_out) {
        *out = recover_one(request);
    }
    for (requests, out) in requests.chunks(CHUNK).zip(out.chunks_mut(CHUNK)) {
        // SAFETY: the features were detected above.
        unsafe { recover_chunk(requests, out, table) }
    }
}

/// A group's Q with 1 in place of Z = 0, and the lanes that have a result.
struct Point {
    x: Fe<1>,
    y: Fe<1>,
    z: Fe<1>,
    /// The product of z over the groups before this one.
    before: Fe<1>,
    good: u8,
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
fn recover_chunk(requests: &[RecoverRequest], out: &mut [Result<Address, RecoverError>], table: &[comb::Entry]) {
    let groups = prepare(requests);
    let mut points = Vec::with_capacity(groups.len());
    let mut product = Fe::small(1);
    let mut rest = groups.as_slice();
    while let [a, b, tail @ ..] = rest {
        push(&mut points, &mut product, &[*a, *b], table);
        rest = tail;
    }
    if let [a] = rest {
        push(&mut points, &mut product, &[*a], table);
    }
    let mut inverse = product.inv();
    for (at, point) in points.iter().enumerate().rev() {
        let z_inv = inverse.mul(&point.before);
        inverse = inverse.mul(&point.z);
        let span = LANES * at..requests.len().min(LANES * (at + 1));
        finish(point, &z_inv, &requests[span.clone()], &mut out[span]);
    }
}

/// Range checks, scalars and x of R. A lane out of range, or past the end, is r = s = z = 1, which has a point and disturbs nobody.
fn prepare(requests: &[RecoverRequest]) -> Vec<Group> {
    let dummy = RecoverRequest { hash: U256::ONE.into(), r: U256::ONE, s: U256::ONE, recovery_id: 0, low_s: false };
    let padded = requests.len().next_multiple_of(LANES);
    let mut valid: Vec<RecoverRequest> = Vec::with_capacity(padded);
    valid.extend(requests.iter().map(|request| if runs(request) { *request } else { dummy }));
    valid.resize(padded, dummy);
    let mut scratch = vec![[0; 4]; padded];
    let mut digits = vec![sc::Digits::default(); padded];
    sc::recode(&valid, &mut scratch, &mut digits);
    valid
        .chunks_exact(LANES)
        .zip(digits.chunks_exact(LANES))
        .map(|(requests, digits)| group(requests, digits))
        .collect()
}

/// Whether the numbers may be a signature at all; by compare, never by reduction.
fn runs(request: &RecoverRequest) -> bool {
    request.check_range().is_ok() && (request.recovery_id < 2 || request.r < FIELD_MINUS_ORDER)
}

fn group(requests: &[RecoverRequest], digits: &[sc::Digits]) -> Group {
    let mut group = Group { x: LaneWords::default(), odd: 0, halves: [[[0; 8]; 3]; 2], comb: [[0; 8]; 5] };
    for (lane, (request, digits)) in requests.iter().zip(digits).enumerate() {
        let x = if request.recovery_id >= 2 { request.r + ORDER } else { request.r };
        for (words, limb) in group.x.iter_mut().zip(fe::limbs(x.as_limbs())) {
            words[lane] = limb;
        }
        group.odd |= (request.recovery_id & 1) << lane;
        for half in 0..2 {
            for word in 0..3 {
                group.halves[half][word][lane] = digits.halves[half][word];
            }
        }
        for word in 0..4 {
            group.comb[word][lane] = digits.comb[word];
        }
    }
    group
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
fn push<const G: usize>(points: &mut Vec<Point>, product: &mut Fe<1>, groups: &[Group; G], table: &[comb::Entry]) {
    let (q, on_curve) = ladder::run(groups, table);
    let zero = q.z.canonical().equal(&Fe::zero());
    let z = q.z.select(&Fe::small(1), &zero);
    for g in 0..G {
        let z = Fe([z.0[g]]);
        points.push(Point { x: Fe([q.x.0[g]]), y: Fe([q.y.0[g]]), z, before: *product, good: on_curve[g] & !zero[g] });
        *product = product.mul(&z);
    }
}

/// Affine coordinates, hash and address of a group's lanes.
#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
fn finish(point: &Point, z_inv: &Fe<1>, requests: &[RecoverRequest], out: &mut [Result<Address, RecoverError>]) {
    let z_inv2 = z_inv.sqr();
    let [x] = point.x.mul(&z_inv2).canonical().to_words();
    let [y] = point.y.mul(&z_inv2.mul(z_inv)).canonical().to_words();
    for (lane, (request, out)) in requests.iter().zip(out).enumerate() {
        *out = if point.good >> lane & 1 == 0 || !runs(request) {
            recover_one(request)
        } else {
            let mut key = [0; 64];
            for word in 0..4 {
                key[24 - 8 * word..][..8].copy_from_slice(&x[word][lane].to_be_bytes());
                key[56 - 8 * word..][..8].copy_from_slice(&y[word][lane].to_be_bytes());
            }
            Ok(Address::from_slice(&keccak256(key)[12..]))
        };
    }
}
