//! Wallets whose keys follow from labels, and transactions of every type signed by them: the same bytes on every run and machine.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use lockstep::{
    encode::{encode, signing_hash},
    tx::{Authorization, Signature, Transaction},
};
use secp256k1::{Message, PublicKey, SecretKey, ecdsa::RecoverableSignature};

/// A key and its address. Signing is deterministic (RFC 6979), with the low s of EIP-2.
#[derive(Clone, Debug)]
pub struct Wallet {
    secret: SecretKey,
    address: Address,
}

impl Wallet {
    /// The wallet of a label: its secret is keccak256(label), hashed again in the case, never seen, that it is zero or above the group order.
    pub fn new(label: &str) -> Self {
        let mut seed = keccak256(label);
        let secret = loop {
            match SecretKey::from_secret_bytes(seed.0) {
                Ok(secret) => break secret,
                Err(_) => seed = keccak256(seed),
            }
        };
        let public = PublicKey::from_secret_key(&secret).serialize_uncompressed();
        Self { secret, address: Address::from_slice(&keccak256(&public[1..])[12..]) }
    }

    /// The account that this key controls.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Signs a hash as it stands.
    pub fn sign_hash(&self, hash: B256) -> Signature {
        let message = Message::from_digest(hash.0);
        let (id, bytes) = RecoverableSignature::sign_ecdsa_recoverable(message, &self.secret).serialize_compact();
        let word = |bytes: &[u8]| U256::from_be_slice(bytes);
        Signature { r: word(&bytes[..32]), s: word(&bytes[32..]), y_parity: id.to_u8() & 1 == 1 }
    }

    /// The EIP-2718 bytes of `tx`, signed. Its hashes and its signature are not looked at, and no rule is checked: what is invalid is
    /// encoded and signed as it stands. A missing chain id gives a legacy transaction without EIP-155.
    pub fn sign(&self, tx: &Transaction) -> Bytes {
        encode(tx, &self.sign_hash(signing_hash(tx)))
    }

    /// An EIP-7702 authorisation: this account is to run the code of `address`; the zero address clears. `nonce` must be the account's own
    /// when the tuple is reached.
    pub fn authorize(&self, chain_id: u64, address: Address, nonce: u64) -> Authorization {
        let chain_id = U256::from(chain_id);
        let signing_hash = Authorization::hash_for_signing(chain_id, address, nonce);
        let signature = self.sign_hash(signing_hash);
        Authorization {
            chain_id,
            address,
            nonce,
            signing_hash,
            signature,
            raw_parity: u8::from(signature.y_parity),
            authority: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{Transaction as _, TxEnvelope};
    use alloy_eips::{Decodable2718, Encodable2718};
    use lockstep::{
        fork::Fork,
        recover::{authority_request, recover_one, sender_request},
        tx::TxType,
    };

    /// One transaction of each type, and a legacy one without EIP-155, with something in every field that the type has.
    fn transactions(wallet: &Wallet) -> Vec<Transaction> {
        use TxType::{AccessList, Blob, DynamicFee, Legacy, SetCode};
        let full = |tx_type: TxType, chain_id: Option<u64>| {
            let mut tx = Transaction::blank(tx_type, 0);
            tx.chain_id = chain_id;
            (tx.nonce, tx.gas_limit, tx.max_fee_per_gas) = (300, 1 << 20, U256::from(u64::MAX));
            (tx.to, tx.value, tx.input) = (Some(Address::repeat_byte(3)), U256::from(1) << 200, vec![7; 100].into());
            if tx_type != Legacy {
                let address = Address::repeat_byte(9);
                tx.access_list = vec![(address, vec![B256::ZERO, B256::repeat_byte(1)]), (Address::ZERO, Vec::new())];
            }
            tx.max_priority_fee_per_gas = (!matches!(tx_type, Legacy | AccessList)).then_some(U256::from(5));
            if tx_type == Blob {
                (tx.max_fee_per_blob_gas, tx.blob_hashes) = (U256::from(77), vec![B256::with_last_byte(1); 2]);
            }
            if tx_type == SetCode {
                tx.authorizations =
                    vec![wallet.authorize(0, Address::ZERO, 0), wallet.authorize(1 << 40, Address::repeat_byte(4), 9)];
            }
            tx
        };
        let types = [Legacy, AccessList, DynamicFee, Blob, SetCode];
        types.map(|tx_type| full(tx_type, Some(u64::MAX >> 1))).into_iter().chain([full(Legacy, None)]).collect()
    }

    #[test]
    fn alloy_reads_the_same_transaction_and_signer() {
        let wallet = Wallet::new("someone");
        for tx in transactions(&wallet) {
            let raw = wallet.sign(&tx);
            let theirs = TxEnvelope::decode_2718_exact(&raw).unwrap();
            assert_eq!(theirs.encoded_2718(), raw);
            assert_eq!((theirs.chain_id(), theirs.nonce(), theirs.input()), (tx.chain_id, tx.nonce, &tx.input));
            let ours = Transaction::decode(&raw).unwrap();
            assert_eq!((*theirs.tx_hash(), theirs.signature_hash()), (ours.hash, ours.signing_hash));
            assert_eq!(recover_one(&sender_request(&ours, Fork::Prague)), Ok(wallet.address()));
            assert_eq!(
                ours,
                Transaction { hash: ours.hash, signing_hash: ours.signing_hash, signature: ours.signature, ..tx }
            );
            let authority = |tuple| authority_request(tuple).map(|request| recover_one(&request));
            assert!(ours.authorizations.iter().all(|tuple| authority(tuple) == Some(Ok(wallet.address()))));
        }
    }

    #[test]
    fn a_label_gives_the_same_bytes_every_time_and_another_label_others() {
        let [one, again, other] = ["one", "one", "other"].map(Wallet::new);
        let tx = Transaction::blank(TxType::DynamicFee, 1);
        assert_eq!(one.sign(&tx), again.sign(&tx));
        assert_ne!(one.sign(&tx), other.sign(&tx));
        assert_ne!(one.address(), other.address());
    }
}
