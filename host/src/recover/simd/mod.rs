//! The vector engines of recovery: one algorithm, written once over the fields of vectors that the engines bring.
//!
//! [`recover_batch`] equals `recover_one` on every input. Lanes out of range or off the curve run on as dummies; exceptional ones come out with
//! Z = 0, and libsecp256k1 decides them.

pub(super) mod avx2;
mod comb;
mod field;
mod gej;
pub(super) mod ifma;
mod ladder;
mod sc;
#[cfg(test)]
mod tests;

use crate::{
    keccak::{self, keccak256_batch},
    recover::{FIELD_MINUS_ORDER, ORDER, RecoverError, RecoverRequest, recover_one},
};
use alloy_primitives::{Address, B256, U256};
use comb::Comb;
use field::{Field, Lanes};
use gej::Ge;
use ladder::{Group, Table};

/// Signatures that share the two batched inversions.
const CHUNK: usize = 512;

/// A vector engine of `L` lanes. [`Field::outlined`] is the way into its functions.
trait Simd<const L: usize>: 'static {
    /// `G` groups of field elements, independent and side by side: for latency alone, a chain of multiplications leaves ports idle.
    type Fe<const G: usize>: Lanes<L, G>;
    /// A point of the table of G.
    type Entry: Send + Sync;
    /// Bits of a window of that table.
    const COMB_BITS: usize;
    /// The most lanes of the last vector that libsecp256k1 does faster than it.
    const ALONE: usize;
    /// Its equal for hashes.
    const KECCAK: keccak::Engine;

    /// The table of G, computed once a process.
    fn comb() -> &'static Comb<Self::Entry>;
    fn comb_entry(x: U256, y: U256) -> Self::Entry;

    /// Element `group` of the groups.
    fn one_of<const G: usize>(groups: &Self::Fe<G>, group: usize) -> Self::Fe<1>;
    /// For each lane the point that its digit in window `window` of half `half` of u2 stands for: digit d for the odd number 2 d - 15.
    fn table_lookup<const G: usize>(
        tables: &[Table<L>; G],
        groups: &[Group<L>; G],
        half: usize,
        window: usize,
    ) -> Ge<Self::Fe<G>>;
    /// For each lane the point that its digit in window `window` of u1 stands for.
    fn comb_lookup<const G: usize>(
        entries: &[Self::Entry],
        digits: &[[[u64; L]; 5]; G],
        window: usize,
    ) -> Ge<Self::Fe<G>>;
    /// Brings closer what [`Simd::comb_lookup`] will read: an addition is as long as a miss of the first cache.
    fn comb_prefetch<const G: usize>(entries: &[Self::Entry], digits: &[[[u64; L]; 5]; G], window: usize);
}

/// The signer of each request, in order. The CPU has the features of `S`; `out` is as long as `requests`.
fn recover_batch<const L: usize, S: Simd<L>>(requests: &[RecoverRequest], out: &mut [Result<Address, RecoverError>]) {
    let rest = requests.len() % L;
    let vectors = if rest <= S::ALONE { requests.len() - rest } else { requests.len() };
    let (requests, last) = requests.split_at(vectors);
    let (out, last_out) = out.split_at_mut(vectors);
    for (request, out) in last.iter().zip(last_out) {
        *out = recover_one(request);
    }
    for (requests, out) in requests.chunks(CHUNK).zip(out.chunks_mut(CHUNK)) {
        S::Fe::<1>::outlined(recover_chunk::<L, S>, (requests, out));
    }
}

/// A group's Q with 1 in place of Z = 0.
struct Point<F> {
    x: F,
    y: F,
    z: F,
    /// The product of z over the groups before this one.
    before: F,
    /// The lanes whose R is a point.
    on_curve: u8,
    /// Those whose Q is finite and was computed without an exceptional case.
    finite: u8,
}

#[inline(always)]
fn recover_chunk<const L: usize, S: Simd<L>>(
    (requests, out): (&[RecoverRequest], &mut [Result<Address, RecoverError>]),
) {
    let comb = S::comb();
    let groups = prepare::<L, S>(requests, comb);
    let mut points = Vec::with_capacity(groups.len());
    let mut product = S::Fe::<1>::constant(&S::Fe::<1>::limbs(&[1, 0, 0, 0]));
    let (pairs, last) = groups.as_chunks::<2>();
    for pair in pairs {
        S::Fe::<2>::outlined(push::<L, 2, S>, (&mut points, &mut product, pair, comb));
    }
    for group in last {
        S::Fe::<1>::outlined(push::<L, 1, S>, (&mut points, &mut product, std::array::from_ref(group), comb));
    }
    let mut inverse = product.inv();
    let mut keys = vec![[0; 64]; points.len() * L];
    for (point, keys) in points.iter().zip(keys.chunks_exact_mut(L)).rev() {
        let z_inv = inverse.mul(&point.before);
        inverse = inverse.mul(&point.z);
        write_keys(point, &z_inv, keys);
    }
    let messages: Vec<&[u8]> = keys.iter().map(<[u8; 64]>::as_slice).collect();
    let mut hashes = vec![B256::ZERO; keys.len()];
    keccak256_batch(S::KECCAK, &messages, &mut hashes);
    for (i, (request, out)) in requests.iter().zip(out).enumerate() {
        let point = &points[i / L];
        let has = |lanes: u8| lanes >> (i % L) & 1 == 1;
        *out = match request.check_range() {
            Err(error) => Err(error),
            Ok(()) if !runs(request) || !has(point.on_curve) => Err(RecoverError::NoPoint),
            Ok(()) if !has(point.finite) => recover_one(request),
            Ok(()) => Ok(Address::from_slice(&hashes[i][12..])),
        };
    }
}

/// Range checks, scalars and x of R. A lane out of range, or past the end, is r = s = z = 1, which has a point and disturbs nobody.
fn prepare<const L: usize, S: Simd<L>>(requests: &[RecoverRequest], comb: &Comb<S::Entry>) -> Vec<Group<L>> {
    let dummy = RecoverRequest { hash: U256::ONE.into(), r: U256::ONE, s: U256::ONE, recovery_id: 0, low_s: false };
    let padded = requests.len().next_multiple_of(L);
    let mut valid: Vec<RecoverRequest> = Vec::with_capacity(padded);
    valid.extend(requests.iter().map(|request| if runs(request) { *request } else { dummy }));
    valid.resize(padded, dummy);
    let mut scratch = vec![[0; 4]; padded];
    let mut digits = vec![sc::Digits::default(); padded];
    sc::recode(&comb.offset, &valid, &mut scratch, &mut digits);
    let mut groups = vec![Group::ZERO; padded / L];
    for (i, (request, digits)) in valid.iter().zip(&digits).enumerate() {
        let x = if request.recovery_id >= 2 { request.r + ORDER } else { request.r };
        groups[i / L].set(i % L, &S::Fe::<1>::limbs(x.as_limbs()), request.recovery_id & 1 == 1, digits);
    }
    groups
}

/// Whether the numbers may be a signature at all; by compare, never by reduction.
fn runs(request: &RecoverRequest) -> bool {
    request.check_range().is_ok() && (request.recovery_id < 2 || request.r < FIELD_MINUS_ORDER)
}

type Push<'a, const L: usize, const G: usize, S> = (
    &'a mut Vec<Point<<S as Simd<L>>::Fe<1>>>,
    &'a mut <S as Simd<L>>::Fe<1>,
    &'a [Group<L>; G],
    &'a Comb<<S as Simd<L>>::Entry>,
);

#[inline(always)]
fn push<const L: usize, const G: usize, S: Simd<L>>((points, product, groups, comb): Push<'_, L, G, S>) {
    let (q, on_curve) = ladder::run::<L, G, S>(groups, comb);
    let words = q.z.canonical_words();
    let finite: [u8; G] = std::array::from_fn(|g| {
        (0..L).fold(0, |lanes, lane| lanes | u8::from((0..4).any(|word| words[g][word][lane] != 0)) << lane)
    });
    let z = S::Fe::<G>::constant(&S::Fe::<G>::limbs(&[1, 0, 0, 0])).select(&q.z, &finite);
    for g in 0..G {
        let [x, y, z] = [&q.x, &q.y, &z].map(|coordinate| S::one_of(coordinate, g));
        points.push(Point { x, y, z, before: *product, on_curve: on_curve[g], finite: finite[g] });
        *product = product.mul(&z);
    }
}

/// The affine coordinates of a group's lanes, big-endian.
#[inline(always)]
fn write_keys<const L: usize, F: Lanes<L, 1>>(point: &Point<F>, z_inv: &F, keys: &mut [[u8; 64]]) {
    let z_inv2 = z_inv.sqr();
    let [x] = point.x.mul(&z_inv2).canonical_words();
    let [y] = point.y.mul(&z_inv2.mul(z_inv)).canonical_words();
    for (lane, key) in keys.iter_mut().enumerate() {
        let words = x.iter().rev().chain(y.iter().rev());
        for (bytes, word) in key.as_chunks_mut().0.iter_mut().zip(words) {
            *bytes = word[lane].to_be_bytes();
        }
    }
}
