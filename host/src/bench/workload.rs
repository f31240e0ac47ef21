//! Inputs with their right answers, which come from elsewhere than the code under test: signers from the keys, by
//! libsecp256k1, hashes from tiny-keccak.

use super::order;
use crate::recover::{ORDER, RecoverError, RecoverRequest};
use alloy_primitives::{Address, B256, U256};
use rayon::prelude::*;
use secp256k1::{Message, PublicKey, SecretKey, ecdsa::RecoverableSignature};
use std::fmt::Debug;
use tiny_keccak::{Hasher, Keccak};

/// One in so many of the mixed signatures has no signer.
const INVALID: usize = 100;

/// One in so many of them is exceptional.
const EXCEPTIONAL: usize = 1000;

/// Keccak-256 by tiny-keccak.
pub fn keccak(message: &[u8]) -> B256 {
    let mut hasher = Keccak::v256();
    hasher.update(message);
    let mut hash = B256::ZERO;
    hasher.finalize(&mut hash.0);
    hash
}

/// Signatures and what they recover to.
#[derive(Clone, Debug)]
pub struct Signatures {
    /// As transactions carry them: low s is asked for.
    pub requests: Vec<RecoverRequest>,
    /// The signer of each, or why there is none.
    pub expected: Vec<Result<Address, RecoverError>>,
}

impl Signatures {
    /// `n` distinct messages, each by a key of its own.
    pub fn clean(n: usize) -> Self {
        let (requests, expected) = (0..n).into_par_iter().with_min_len(16).map(honest).unzip();
        Self { requests, expected }
    }

    /// Every signature of `clean` but that one in a hundred is invalid and one in a thousand exceptional, in random places
    /// that are always the same. Both are rounded down.
    #[must_use]
    pub fn mixed(clean: &Self) -> Self {
        let mut mixed = clean.clone();
        let n = clean.requests.len();
        let (invalid, exceptional) = (n / INVALID, n / EXCEPTIONAL);
        for (index, place) in order::shuffled(n, 0).into_iter().take(invalid + exceptional).enumerate() {
            let (request, expected) = match index.checked_sub(invalid) {
                None => spoiled(index, &clean.requests[place]),
                Some(index) => crafted(index),
            };
            mixed.requests[place] = request;
            mixed.expected[place] = expected;
        }
        mixed
    }

    /// The first `n`.
    #[must_use]
    pub fn first(&self, n: usize) -> Self {
        Self { requests: self.requests[..n].to_vec(), expected: self.expected[..n].to_vec() }
    }
}

fn word(index: usize, label: u8) -> U256 {
    keccak(&[&index.to_le_bytes()[..], &[label]].concat()).into()
}

fn address(key: &PublicKey) -> Address {
    Address::from_slice(&keccak(&key.serialize_uncompressed()[1..])[12..])
}

/// The key of a scalar that is no multiple of the order; a random one never is.
fn secret(scalar: U256) -> SecretKey {
    let bytes = scalar.reduce_mod(ORDER).to_be_bytes();
    SecretKey::from_secret_bytes(bytes).unwrap_or_else(|error| panic!("{scalar:#x}: {error}"))
}

fn honest(index: usize) -> (RecoverRequest, Result<Address, RecoverError>) {
    let key = secret(word(index, 0));
    let hash = B256::from(word(index, 1));
    let signature = RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(hash.0), &key);
    let (id, compact) = signature.serialize_compact();
    let [r, s] = [&compact[..32], &compact[32..]].map(U256::from_be_slice);
    let request = RecoverRequest { hash, r, s, recovery_id: id.to_u8(), low_s: true };
    (request, Ok(address(&PublicKey::from_secret_key(&key))))
}

/// A signature made invalid, each kind in turn.
fn spoiled(index: usize, good: &RecoverRequest) -> (RecoverRequest, Result<Address, RecoverError>) {
    let (request, error) = match index % 4 {
        0 => (RecoverRequest { r: U256::ZERO, ..*good }, RecoverError::Range),
        1 => (RecoverRequest { s: ORDER, ..*good }, RecoverError::Range),
        2 => (RecoverRequest { r: off_curve(good.r), ..*good }, RecoverError::NoPoint),
        // By the same key, which is what EIP-2 is about.
        _ => (RecoverRequest { s: ORDER - good.s, recovery_id: good.recovery_id ^ 1, ..*good }, RecoverError::HighS),
    };
    (request, Err(error))
}

/// The next x that no point of the curve has: half of all.
fn off_curve(mut x: U256) -> U256 {
    let is_on_curve = |x: U256| PublicKey::from_slice(&[&[2][..], &x.to_be_bytes::<32>()].concat()).is_ok();
    while is_on_curve(x) {
        x += U256::ONE;
    }
    x
}

/// A signature by somebody who knows the nonce k of R = k G and so chooses u1 and u2 of Q = u1 G + u2 R, such that the
/// incomplete additions of branch-free kernels meet a case that they cannot do, and have to ask libsecp256k1:
/// - u2 R = m G, where m G is also the first point that the kernels' comb of G adds for u1: a doubling. Q is another point.
///   The comb takes u1 as 2 v + 1 - 2^256, so that the lowest byte b of v is the odd digit 2 b + 1 - 2^8.
/// - u2 R = -u1 G: Q is the point at infinity, which ends any kernel with Z = 0.
fn crafted(index: usize) -> (RecoverRequest, Result<Address, RecoverError>) {
    let n = ORDER;
    let k = word(index, 2).reduce_mod(n);
    let v: U256 = word(index, 3) >> 1;
    let u1 = v.add_mod(v, n).add_mod(U256::ONE, n).add_mod(n - (U256::MAX - n + U256::ONE), n);
    let is_infinity = index % 2 == 1;
    let m = if is_infinity { n - u1 } else { digit(v.byte(0)) };
    let u2 = k.inv_mod(n).unwrap_or_default().mul_mod(m, n);
    let point = PublicKey::from_secret_key(&secret(k)).serialize_uncompressed();
    let r = U256::from_be_slice(&point[1..33]).reduce_mod(n);
    let (s, parity) = (u2.mul_mod(r, n), point[64] & 1);
    // -s goes with -R.
    let (s, recovery_id) = if s > n - s { (n - s, parity ^ 1) } else { (s, parity) };
    let hash = B256::from((n - u1).mul_mod(r, n));
    let expected = match is_infinity {
        true => Err(RecoverError::Infinity),
        false => Ok(address(&PublicKey::from_secret_key(&secret(u1.add_mod(m, n))))),
    };
    (RecoverRequest { hash, r, s, recovery_id, low_s: true }, expected)
}

/// 2 b + 1 - 2^8 modulo the order.
fn digit(b: u8) -> U256 {
    (U256::from(b) + U256::from(b) + U256::ONE).add_mod(ORDER - U256::from(256), ORDER)
}

/// `n` distinct messages of `length` bytes, and their hashes.
pub fn messages(n: usize, length: usize) -> (Vec<Vec<u8>>, Vec<B256>) {
    (0..n)
        .into_par_iter()
        .with_min_len(64)
        .map(|index| {
            let bytes = index.to_le_bytes();
            let message: Vec<u8> = (0..length).map(|place| bytes[place % 8] ^ place as u8).collect();
            let hash = keccak(&message);
            (message, hash)
        })
        .unzip()
}

/// Whether two lists are equal.
///
/// # Errors
/// The first index where they are not, and both values.
pub fn check_equal<T: PartialEq + Debug>(expected: &[T], actual: &[T]) -> Result<(), String> {
    if expected.len() != actual.len() {
        return Err(format!("{} results instead of {}", actual.len(), expected.len()));
    }
    match expected.iter().zip(actual).position(|(expected, actual)| expected != actual) {
        Some(index) => Err(format!("result {index} is {:?}, not {:?}", actual[index], expected[index])),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recover::{self, HALF_ORDER, recover_one};

    #[test]
    fn a_wrong_result_is_noticed() {
        let (messages, hashes) = messages(3, 40);
        assert!(hashes[0] != hashes[1] && messages.iter().all(|message| message.len() == 40));
        let mut wrong = hashes.clone();
        wrong[2].0[31] ^= 1;
        assert_eq!(check_equal(&hashes, &hashes), Ok(()));
        assert!(check_equal(&hashes, &wrong).unwrap_err().starts_with("result 2 is 0x"));
        assert_eq!(check_equal(&hashes, &hashes[..2]), Err("2 results instead of 3".into()));
    }

    #[test]
    fn signers_are_those_that_the_reference_recovers() {
        let clean = Signatures::clean(2000);
        let mixed = Signatures::mixed(&clean);
        for signatures in [&clean, &mixed] {
            let recovered: Vec<_> = signatures.requests.iter().map(recover_one).collect();
            assert_eq!(check_equal(&signatures.expected, &recovered), Ok(()));
        }
        assert_eq!(clean.first(20).expected, Signatures::clean(20).expected);
    }

    #[test]
    fn the_mix_has_every_kind_in_its_share() {
        let clean = Signatures::clean(4000);
        let mixed = Signatures::mixed(&clean);
        let count = |error| mixed.expected.iter().filter(|result| **result == Err(error)).count();
        let errors = [RecoverError::Range, RecoverError::NoPoint, RecoverError::HighS, RecoverError::Infinity];
        assert_eq!(errors.map(count), [20, 10, 10, 2]);
        let changed = mixed.requests.iter().zip(&clean.requests).filter(|(mixed, clean)| mixed != clean).count();
        assert_eq!(changed, 44);
        assert!(mixed.requests.iter().all(|request| request.low_s));
        assert_eq!(Signatures::mixed(&clean).requests, mixed.requests);
        // Too few for either kind.
        assert_eq!(Signatures::mixed(&clean.first(99)).requests, clean.requests[..99]);
    }

    #[test]
    fn crafted_signatures_meet_where_they_should() {
        for index in 0..20 {
            let (request, expected) = crafted(index);
            assert!(request.s <= HALF_ORDER && request.recovery_id < 2);
            assert_eq!((recover_one(&request), expected.is_ok()), (expected, index % 2 == 0));
            for engine in recover::Engine::available() {
                let requests = vec![request; 8];
                assert_eq!(recover::recover_parallel(engine, &requests), [expected; 8], "{engine}");
            }
        }
    }
}
