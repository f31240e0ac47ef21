//! The CPU reference, one signature at a time.

use super::{FIELD_MINUS_ORDER, RecoverError, RecoverRequest};
use alloy_primitives::{Address, keccak256};
use secp256k1::{
    Message,
    ecdsa::{RecoverableSignature, RecoveryId},
};

/// The CPU reference: libsecp256k1.
///
/// # Errors
/// See [`RecoverError`]; every one is a fact about the signature.
pub fn recover_one(request: &RecoverRequest) -> Result<Address, RecoverError> {
    request.check_range()?;
    if request.recovery_id >= 2 && request.r >= FIELD_MINUS_ORDER {
        return Err(RecoverError::NoPoint);
    }
    let mut compact = [0; 64];
    compact[..32].copy_from_slice(&request.r.to_be_bytes::<32>());
    compact[32..].copy_from_slice(&request.s.to_be_bytes::<32>());
    let id = RecoveryId::from_u8_masked(request.recovery_id);
    let signature = RecoverableSignature::from_compact(&compact, id).map_err(|_| RecoverError::Range)?;
    let key = signature.recover_ecdsa(Message::from_digest(request.hash.0)).map_err(|_| no_key(request))?;
    let hash = keccak256(&key.serialize_uncompressed()[1..]);
    Ok(Address::from_slice(&hash[12..]))
}

/// libsecp256k1 does not say why there is no key: either no point has this x, or the sum is infinity. A point exists iff another hash recovers,
/// since for a given R and s at most one hash leads to infinity.
fn no_key(request: &RecoverRequest) -> RecoverError {
    let mut compact = [0; 64];
    compact[..32].copy_from_slice(&request.r.to_be_bytes::<32>());
    compact[32..].copy_from_slice(&request.s.to_be_bytes::<32>());
    let id = RecoveryId::from_u8_masked(request.recovery_id);
    let mut other = request.hash.0;
    other[31] ^= 1;
    match RecoverableSignature::from_compact(&compact, id)
        .and_then(|signature| signature.recover_ecdsa(Message::from_digest(other)))
    {
        Ok(_) => RecoverError::Infinity,
        Err(_) => RecoverError::NoPoint,
    }
}
