//! Inputs with their right answers, which come from elsewhere than the code under test.

use alloy_primitives::{Address, B256, U256};
use lockstep::{block_file::BlockFile, compare::compare, engine::BlockOutput, recover::RecoverRequest};
use rayon::prelude::*;
use secp256k1::{Message, PublicKey, SecretKey, ecdsa::RecoverableSignature};
use std::{
    env,
    path::{Path, PathBuf},
};
use tiny_keccak::{Hasher, Keccak};

/// Keccak-256 by tiny-keccak.
pub fn keccak(message: &[u8]) -> B256 {
    let mut hasher = Keccak::v256();
    hasher.update(message);
    let mut hash = B256::ZERO;
    hasher.finalize(&mut hash.0);
    hash
}

/// Signatures of `n` distinct messages by `n` distinct keys, and the signers.
///
/// # Panics
/// Never: no key here is zero or above the group order.
pub fn signatures(n: usize) -> (Vec<RecoverRequest>, Vec<Address>) {
    (0..n).into_par_iter().with_min_len(16).map(signature).unzip()
}

fn signature(index: usize) -> (RecoverRequest, Address) {
    let key = SecretKey::from_secret_bytes(keccak(&index.to_le_bytes()).0)
        .unwrap_or_else(|error| panic!("key {index}: {error}"));
    let hash = keccak(&(!index).to_le_bytes());
    let (id, compact) =
        RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(hash.0), &key).serialize_compact();
    let public = PublicKey::from_secret_key(&key).serialize_uncompressed();
    let request = RecoverRequest {
        hash,
        r: U256::from_be_slice(&compact[..32]),
        s: U256::from_be_slice(&compact[32..]),
        recovery_id: id.to_u8(),
        low_s: true,
    };
    (request, Address::from_slice(&keccak(&public[1..])[12..]))
}

/// `n` distinct messages of `length` bytes, and their hashes.
pub fn messages(n: usize, length: usize) -> (Vec<Vec<u8>>, Vec<B256>) {
    (0..n)
        .into_par_iter()
        .with_min_len(64)
        .map(|index| {
            let message: Vec<u8> =
                index.to_le_bytes().into_iter().cycle().zip(0_u8..=u8::MAX).map(|(byte, place)| byte ^ place).collect();
            let message: Vec<u8> = message.into_iter().cycle().take(length).collect();
            let hash = keccak(&message);
            (message, hash)
        })
        .unzip()
}

/// The shared block files: under `LOCKSTEP_DATA`, else under `shared` beside the workspace. Empty where there are none.
pub fn block_files() -> Vec<PathBuf> {
    let root = env::var_os("LOCKSTEP_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let entries = root.join("blocks").read_dir().into_iter().flatten().flatten();
    let mut files: Vec<_> =
        entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with(".json.zst")).collect();
    files.sort();
    files
}

/// Whether a block's output is the one that its file promises.
///
/// # Errors
/// The first difference.
pub fn check_block(file: &BlockFile, output: &BlockOutput) -> Result<(), String> {
    compare(file, output).map_or(Ok(()), |mismatch| Err(mismatch.to_string()))
}

/// Whether two lists are equal.
///
/// # Errors
/// The first index where they are not.
pub fn check_equal<T: PartialEq>(expected: &[T], actual: &[T]) -> Result<(), String> {
    if expected.len() != actual.len() {
        return Err(format!("{} results instead of {}", actual.len(), expected.len()));
    }
    let differs = expected.iter().zip(actual).position(|(expected, actual)| expected != actual);
    differs.map_or(Ok(()), |index| Err(format!("result {index} is wrong")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_result_is_noticed() {
        let (_, hashes) = messages(3, 40);
        assert_ne!(hashes[0], hashes[1]);
        let mut wrong = hashes.clone();
        wrong[2].0[31] ^= 1;
        assert_eq!(check_equal(&hashes, &hashes), Ok(()));
        assert_eq!(check_equal(&hashes, &wrong), Err("result 2 is wrong".into()));
        assert!(check_equal(&hashes, &hashes[..2]).is_err());
    }

    #[test]
    fn signers_are_those_that_the_reference_recovers() {
        let (requests, signers) = signatures(20);
        let recovered: Vec<_> =
            requests.iter().map(|request| lockstep::recover::recover_one(request).unwrap()).collect();
        assert_eq!(recovered, signers);
    }
}
