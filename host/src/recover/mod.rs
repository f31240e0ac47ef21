//! Sender recovery: requests, their errors, and the CPU engines. Every one of them, and every device, equals [`recover_one`].

mod engine;
mod libsecp256k1;
#[cfg(target_arch = "x86_64")]
mod simd;

use crate::{
    fork::Fork,
    tx::{Authorization, Transaction},
};
use alloy_primitives::{B256, U256, uint};

pub use engine::{Engine, recover_batch, recover_parallel};
pub(crate) use engine::{PARALLEL_FROM, recover_until};
pub use libsecp256k1::recover_one;

/// n, the order of the group of secp256k1 (SEC 2).
pub const ORDER: U256 = uint!(0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141_U256);

/// ⌊n / 2⌋: the highest s of a transaction from Homestead on (EIP-2).
pub const HALF_ORDER: U256 = uint!(0x7FFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_5D576E73_57A4501D_DFE92F46_681B20A0_U256);

/// p − n: recovery ids 2 and 3 exist only for r below it.
pub const FIELD_MINUS_ORDER: U256 = uint!(0x1_45512319_50B75FC4_402DA172_2FC9BAEE_U256);

/// One signature whose signer is sought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoverRequest {
    /// The message hash; values at or above the group order reduce.
    pub hash: B256,
    /// x coordinate of R, modulo the group order; any value, checked here.
    pub r: U256,
    /// Proof scalar; any value, checked here.
    pub s: U256,
    /// Parity of R's y coordinate, plus 2 where its x coordinate is r + n; 0 to 3.
    pub recovery_id: u8,
    /// Whether s above n / 2 is an error: transactions from Homestead on, never the precompile.
    pub low_s: bool,
}

/// Why a signature has no signer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RecoverError {
    /// r or s is zero or not below the group order, or the recovery id is above 3.
    #[error("signature: r, s or recovery id out of range")]
    Range,
    /// s above half the order where EIP-2 forbids it.
    #[error("signature: s above half the group order (EIP-2)")]
    HighS,
    /// No curve point has this x coordinate.
    #[error("signature: r is not the x coordinate of a curve point")]
    NoPoint,
    /// The public key would be the point at infinity.
    #[error("signature: recovers to the point at infinity")]
    Infinity,
}

impl RecoverRequest {
    /// The checks that need no curve arithmetic, in the order in which errors are reported.
    ///
    /// # Errors
    /// [`RecoverError::Range`] or [`RecoverError::HighS`].
    pub fn check_range(&self) -> Result<(), RecoverError> {
        let scalar = |value: &U256| !value.is_zero() && *value < ORDER;
        if !scalar(&self.r) || !scalar(&self.s) || self.recovery_id > 3 {
            return Err(RecoverError::Range);
        }
        if self.low_s && self.s > HALF_ORDER {
            return Err(RecoverError::HighS);
        }
        Ok(())
    }
}

/// What recovers a transaction's sender under the rules of `fork`.
pub fn sender_request(tx: &Transaction, fork: Fork) -> RecoverRequest {
    RecoverRequest {
        hash: tx.signing_hash,
        r: tx.signature.r,
        s: tx.signature.s,
        recovery_id: u8::from(tx.signature.y_parity),
        low_s: fork >= Fork::Homestead,
    }
}

/// What recovers the authority of an EIP-7702 tuple; `None` where its parity alone makes the tuple invalid. A tuple without
/// a signer is invalid too, and leaves its transaction valid.
pub fn authority_request(authorization: &Authorization) -> Option<RecoverRequest> {
    (authorization.raw_parity <= 1).then_some(RecoverRequest {
        hash: authorization.signing_hash,
        r: authorization.signature.r,
        s: authorization.signature.s,
        recovery_id: authorization.raw_parity,
        low_s: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, keccak256};
    use secp256k1::{Message, SecretKey, ecdsa::RecoverableSignature};

    fn signed(seed: u8) -> (RecoverRequest, Address) {
        let key = SecretKey::from_secret_bytes([seed; 32]).unwrap();
        let hash = keccak256([seed]);
        let (id, compact) =
            RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(hash.0), &key).serialize_compact();
        let public = secp256k1::PublicKey::from_secret_key(&key).serialize_uncompressed();
        let request = RecoverRequest {
            hash,
            r: U256::from_be_slice(&compact[..32]),
            s: U256::from_be_slice(&compact[32..]),
            recovery_id: id.to_u8(),
            low_s: true,
        };
        (request, Address::from_slice(&keccak256(&public[1..])[12..]))
    }

    #[test]
    fn signatures_recover_to_their_signers() {
        let (requests, addresses): (Vec<_>, Vec<_>) = (1..100).map(signed).unzip();
        let recovered: Vec<_> = recover_parallel(Engine::best(), &requests).into_iter().map(Result::unwrap).collect();
        assert_eq!(recovered, addresses);
    }

    #[test]
    fn ranges_are_compared_never_reduced() {
        let (request, _) = signed(7);
        for bad in [U256::ZERO, ORDER, ORDER + U256::ONE, U256::MAX] {
            assert_eq!(recover_one(&RecoverRequest { r: bad, ..request }), Err(RecoverError::Range));
            assert_eq!(recover_one(&RecoverRequest { s: bad, ..request }), Err(RecoverError::Range));
        }
        assert_eq!(recover_one(&RecoverRequest { recovery_id: 4, ..request }), Err(RecoverError::Range));
    }

    #[test]
    fn high_s_depends_on_the_flag() {
        let (request, address) = signed(9);
        let high = RecoverRequest { s: ORDER - request.s, recovery_id: request.recovery_id ^ 1, ..request };
        assert_eq!(recover_one(&high), Err(RecoverError::HighS));
        assert_eq!(recover_one(&RecoverRequest { low_s: false, ..high }), Ok(address));
    }

    #[test]
    fn infinity_and_missing_points_are_told_apart() {
        // R = G and s = z / 1 with z = s: Q = (s·R − z·G) / r = infinity.
        let gx = uint!(0x79BE667E_F9DCBBAC_55A06295_CE870B07_029BFCDB_2DCE28D9_59F2815B_16F81798_U256);
        let z = U256::from(12_345);
        let request = RecoverRequest { hash: B256::from(z), r: gx, s: z, recovery_id: 0, low_s: true };
        assert_eq!(recover_one(&request), Err(RecoverError::Infinity));
        // 5 is the least x that is on no curve point.
        assert_eq!(recover_one(&RecoverRequest { r: U256::from(5), ..request }), Err(RecoverError::NoPoint));
        assert_eq!(recover_one(&RecoverRequest { recovery_id: 2, ..request }), Err(RecoverError::NoPoint));
    }
}
