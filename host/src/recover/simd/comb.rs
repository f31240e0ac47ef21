//! The fixed table of G: odd multiples of 2^(w j) G for each window j of w bits, computed once a process by libsecp256k1.

use super::{Simd, sc};
use crate::recover::ORDER;
use alloy_primitives::U256;
use secp256k1::{PublicKey, SecretKey};

/// The table of one engine, whose entry of a point is an `E`.
#[derive(Debug)]
pub(super) struct Comb<E> {
    /// Entry (window j, e) at 2^(w - 1) j + e: (2 e + 1) 2^(w j) G.
    pub(super) entries: Vec<E>,
    /// What turns -u1 / 2 into the digits of u1.
    pub(super) offset: sc::Words,
}

/// Windows of `bits` bits that it takes to hold a scalar.
pub(super) const fn windows(bits: usize) -> usize {
    256_usize.div_ceil(bits)
}

/// Entries of a window of `bits` bits.
pub(super) const fn entries(bits: usize) -> usize {
    1 << (bits - 1)
}

impl<E> Comb<E> {
    /// No multiple of G below is infinite and no two neighbours add up to infinity, so libsecp256k1 refuses nothing.
    pub(super) fn compute<const L: usize, S: Simd<L, Entry = E>>() -> Self {
        let (windows, count) = (windows(S::COMB_BITS), entries(S::COMB_BITS));
        let mut entries = Vec::with_capacity(windows * count);
        for window in 0..windows {
            let unit: U256 = U256::ONE << (S::COMB_BITS * window);
            let key = |scalar: U256| {
                let secret = SecretKey::from_secret_bytes(scalar.to_be_bytes()).expect("a power of two below n");
                PublicKey::from_secret_key(&secret)
            };
            let mut point = key(unit);
            let twice = key(unit.add_mod(unit, ORDER));
            for _ in 0..count {
                let bytes = point.serialize_uncompressed();
                let [x, y] = [1, 33].map(|at| U256::from_be_slice(&bytes[at..at + 32]));
                entries.push(S::comb_entry(x, y));
                point = point.combine(&twice).expect("odd multiples of G are finite");
            }
        }
        Self { entries, offset: sc::comb_offset(S::COMB_BITS * windows) }
    }
}
