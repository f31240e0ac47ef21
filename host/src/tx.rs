//! Signed transactions: strict decoding of EIP-2718 bytes into one flat type.
//!
//! A decoder of our own rather than alloy's, for three reasons: an error names the field at which the bytes stop making sense, fees
//! may be as wide as consensus allows (256 bits), and since RLP is canonical the signing payload is cut from the raw bytes as they stand.

use crate::keccak;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::Header;

/// EIP-2718 transaction types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TxType {
    /// No envelope; with or without EIP-155.
    Legacy = 0,
    /// EIP-2930.
    AccessList = 1,
    /// EIP-1559.
    DynamicFee = 2,
    /// EIP-4844, without sidecar.
    Blob = 3,
    /// EIP-7702.
    SetCode = 4,
}

/// An ECDSA signature over secp256k1 as it stands in the transaction: not yet checked for ranges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// x coordinate of R, modulo the group order.
    pub r: U256,
    /// Proof scalar.
    pub s: U256,
    /// Parity of R's y coordinate.
    pub y_parity: bool,
}

/// One EIP-7702 authorisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// Zero means any chain.
    pub chain_id: U256,
    /// The code to delegate to; zero clears.
    pub address: Address,
    /// The authority's nonce.
    pub nonce: u64,
    /// keccak256(0x05 ‖ rlp([chain_id, address, nonce])).
    pub signing_hash: B256,
    /// The authority's signature. Its parity byte may be out of range, which makes the tuple invalid, not the transaction.
    pub signature: Signature,
    /// The parity as it stood in the bytes.
    pub raw_parity: u8,
    /// Who signed it, once a batch has recovered that: `Some(None)` where nobody did, which makes the tuple invalid.
    pub authority: Option<Option<Address>>,
}

/// A decoded transaction of any type; fields that a type lacks are empty or zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// keccak256 of the raw bytes.
    pub hash: B256,
    /// What the sender signed.
    pub signing_hash: B256,
    /// EIP-2718 type.
    pub tx_type: TxType,
    /// `None` only for a legacy transaction without EIP-155.
    pub chain_id: Option<u64>,
    /// The sender's nonce.
    pub nonce: u64,
    /// Gas limit.
    pub gas_limit: u64,
    /// Gas price of types 0 and 1, fee cap of the others, in wei.
    pub max_fee_per_gas: U256,
    /// EIP-1559 tip cap; `None` for types 0 and 1.
    pub max_priority_fee_per_gas: Option<U256>,
    /// `None` creates a contract.
    pub to: Option<Address>,
    /// In wei.
    pub value: U256,
    /// Calldata or init code.
    pub input: Bytes,
    /// EIP-2930 access list.
    pub access_list: Vec<(Address, Vec<B256>)>,
    /// EIP-4844 blob fee cap.
    pub max_fee_per_blob_gas: U256,
    /// EIP-4844 versioned hashes.
    pub blob_hashes: Vec<B256>,
    /// EIP-7702 authorisations.
    pub authorizations: Vec<Authorization>,
    /// The sender's signature.
    pub signature: Signature,
}

/// The bytes are not a transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct DecodeError {
    /// The field at which decoding stopped, or `raw`.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl Transaction {
    /// A transaction with every field zero or empty, to be filled in and signed.
    pub fn blank(tx_type: TxType, chain_id: u64) -> Self {
        Self {
            hash: B256::ZERO,
            signing_hash: B256::ZERO,
            tx_type,
            chain_id: Some(chain_id),
            nonce: 0,
            gas_limit: 0,
            max_fee_per_gas: U256::ZERO,
            max_priority_fee_per_gas: None,
            to: None,
            value: U256::ZERO,
            input: Bytes::new(),
            access_list: Vec::new(),
            max_fee_per_blob_gas: U256::ZERO,
            blob_hashes: Vec::new(),
            authorizations: Vec::new(),
            signature: Signature::default(),
        }
    }

    /// Price per gas that the sender pays (EIP-1559), in wei.
    pub fn effective_gas_price(&self, base_fee: u64) -> U256 {
        match self.max_priority_fee_per_gas {
            Some(tip) => self.max_fee_per_gas.min(U256::from(base_fee).saturating_add(tip)),
            None => self.max_fee_per_gas,
        }
    }

    /// EIP-4844: 2^17 gas a blob.
    pub const fn blob_gas(&self) -> u64 {
        self.blob_hashes.len() as u64 * 131_072
    }

    /// Decodes one signed transaction of type 0 to 4 (type 3 without sidecar).
    ///
    /// Strict: canonical RLP and integers, exact lengths, nothing after the end, v of 27, 28 or 35 and above, parity 0 or 1. Ranges of r
    /// and s are left to recovery, rules of a fork to [`crate::intrinsic::check_intrinsic`].
    ///
    /// # Errors
    /// Names the field at which the bytes stop being a transaction.
    pub fn decode(raw: &[u8]) -> Result<Self, DecodeError> {
        let (mut tx, signed) = Self::decode_unhashed(raw)?;
        tx.hash = keccak256(raw);
        tx.signing_hash = keccak256(signed);
        Ok(tx)
    }

    /// [`Transaction::decode`] of many: one result an item, in order. Hashed side by side, by the fastest engine of this CPU; on the calling thread.
    pub fn decode_batch<B: AsRef<[u8]>>(raw: &[B]) -> Vec<Result<Self, DecodeError>> {
        let mut decoded = Self::decode_for_recovery(raw);
        let good = || decoded.iter().zip(raw).filter(|(tx, _)| tx.is_ok());
        let hashes = hash_all(good().map(|(_, raw)| raw.as_ref()).collect());
        for (tx, hash) in decoded.iter_mut().flatten().zip(hashes) {
            tx.hash = hash;
        }
        decoded
    }

    /// The same with [`Transaction::hash`] left at zero: recovery asks for the signing hash alone.
    pub(crate) fn decode_for_recovery<B: AsRef<[u8]>>(raw: &[B]) -> Vec<Result<Self, DecodeError>> {
        let mut decoded: Vec<_> = raw.iter().map(|raw| Self::decode_unhashed(raw.as_ref())).collect();
        let hashes = hash_all(decoded.iter().flatten().map(|(_, signed)| signed.as_slice()).collect());
        for ((tx, _), hash) in decoded.iter_mut().flatten().zip(hashes) {
            tx.signing_hash = hash;
        }
        decoded.into_iter().map(|result| result.map(|(tx, _)| tx)).collect()
    }

    /// The transaction without its hashes, and what its sender signed.
    fn decode_unhashed(raw: &[u8]) -> Result<(Self, Vec<u8>), DecodeError> {
        let (tx_type, mut rest) = match raw.first() {
            None => return Err(error("raw", "empty")),
            Some(0xc0..) => (TxType::Legacy, raw),
            Some(1) => (TxType::AccessList, &raw[1..]),
            Some(2) => (TxType::DynamicFee, &raw[1..]),
            Some(3) => (TxType::Blob, &raw[1..]),
            Some(4) => (TxType::SetCode, &raw[1..]),
            Some(other) => return Err(error("type", format!("unknown transaction type {other:#04x}"))),
        };
        let mut fields = Reader::list(&mut rest, "raw")?;
        if !rest.is_empty() {
            return Err(error("raw", format!("{} bytes after the transaction", rest.len())));
        }
        let mut tx = Self { chain_id: None, ..Self::blank(tx_type, 0) };
        let payload = fields.rest;
        tx.read_body(&mut fields)?;
        let signed = &payload[..payload.len() - fields.rest.len()];
        tx.read_signature(&mut fields)?;
        fields.end("raw")?;
        let signed = tx.signing_payload(signed);
        Ok((tx, signed))
    }

    /// Everything before the signature, in the order of the type's EIP.
    fn read_body(&mut self, fields: &mut Reader<'_>) -> Result<(), DecodeError> {
        let typed = self.tx_type != TxType::Legacy;
        if typed {
            self.chain_id = Some(fields.u64("chain_id")?);
        }
        self.nonce = fields.u64("nonce")?;
        if self.tx_type as u8 >= TxType::DynamicFee as u8 {
            self.max_priority_fee_per_gas = Some(fields.u256("max_priority_fee_per_gas")?);
            self.max_fee_per_gas = fields.u256("max_fee_per_gas")?;
        } else {
            self.max_fee_per_gas = fields.u256("gas_price")?;
        }
        self.gas_limit = fields.u64("gas_limit")?;
        self.to = match self.tx_type {
            TxType::Blob | TxType::SetCode => Some(fields.address("to")?),
            _ => fields.address_or_empty("to")?,
        };
        self.value = fields.u256("value")?;
        self.input = Bytes::copy_from_slice(fields.bytes("input")?);
        if typed {
            self.access_list = fields.access_list()?;
        }
        if self.tx_type == TxType::Blob {
            self.max_fee_per_blob_gas = fields.u256("max_fee_per_blob_gas")?;
            self.blob_hashes = fields.hashes("blob_hashes")?;
        }
        if self.tx_type == TxType::SetCode {
            self.authorizations = fields.authorizations()?;
        }
        Ok(())
    }

    /// v (or parity), r, s; for a legacy transaction also the chain id.
    fn read_signature(&mut self, fields: &mut Reader<'_>) -> Result<(), DecodeError> {
        if self.tx_type == TxType::Legacy {
            let v = fields.u256("v")?;
            let v = u128::try_from(v).map_err(|_| error("v", format!("chain id of v = {v} exceeds 64 bits")))?;
            self.signature.y_parity = match v {
                27 | 28 => v == 28,
                35.. => {
                    let chain_id = (v - 35) / 2;
                    let chain_id = u64::try_from(chain_id)
                        .map_err(|_| error("v", format!("chain id {chain_id} exceeds 64 bits")))?;
                    self.chain_id = Some(chain_id);
                    (v - 35) % 2 == 1
                }
                _ => return Err(error("v", format!("{v} is none of 27, 28, 35 and above"))),
            };
        } else {
            self.signature.y_parity = match fields.u64("y_parity")? {
                parity @ (0 | 1) => parity == 1,
                parity => return Err(error("y_parity", format!("{parity} is neither 0 nor 1"))),
            };
        }
        self.signature.r = fields.u256("r")?;
        self.signature.s = fields.u256("s")?;
        Ok(())
    }

    /// `signed` is the payload up to the signature, exactly as it stood in the raw bytes.
    fn signing_payload(&self, signed: &[u8]) -> Vec<u8> {
        let mut tail = Vec::new();
        if let (TxType::Legacy, Some(chain_id)) = (self.tx_type, self.chain_id) {
            // EIP-155: chain id and two empty items stand where the signature will be.
            alloy_rlp::Encodable::encode(&chain_id, &mut tail);
            tail.extend([alloy_rlp::EMPTY_STRING_CODE; 2]);
        }
        let mut out = Vec::with_capacity(signed.len() + tail.len() + 10);
        if self.tx_type != TxType::Legacy {
            out.push(self.tx_type as u8);
        }
        Header { list: true, payload_length: signed.len() + tail.len() }.encode(&mut out);
        out.extend_from_slice(signed);
        out.extend_from_slice(&tail);
        out
    }
}

impl Authorization {
    /// keccak256(0x05 ‖ rlp([chain_id, address, nonce])) (EIP-7702).
    pub fn hash_for_signing(chain_id: U256, address: Address, nonce: u64) -> B256 {
        let mut payload = Vec::with_capacity(64);
        alloy_rlp::Encodable::encode(&chain_id, &mut payload);
        alloy_rlp::Encodable::encode(&address, &mut payload);
        alloy_rlp::Encodable::encode(&nonce, &mut payload);
        let mut out = vec![5];
        Header { list: true, payload_length: payload.len() }.encode(&mut out);
        out.extend_from_slice(&payload);
        keccak256(out)
    }
}

fn hash_all(messages: Vec<&[u8]>) -> Vec<B256> {
    let mut hashes = vec![B256::ZERO; messages.len()];
    keccak::keccak256_batch(keccak::Engine::best(), &messages, &mut hashes);
    hashes
}

fn error(field: &'static str, reason: impl Into<String>) -> DecodeError {
    DecodeError { field, reason: reason.into() }
}

/// Walks the items of one RLP list.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Enters the list at the start of `buf` and moves `buf` past it.
    fn list(buf: &mut &'a [u8], field: &'static str) -> Result<Self, DecodeError> {
        let rest = Header::decode_bytes(buf, true).map_err(|cause| error(field, cause.to_string()))?;
        Ok(Self { rest })
    }

    fn end(&self, field: &'static str) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(error(field, format!("{} bytes too many in the list", self.rest.len())))
        }
    }

    fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        if self.rest.is_empty() {
            return Err(error(field, "missing"));
        }
        Header::decode_bytes(&mut self.rest, false).map_err(|cause| error(field, cause.to_string()))
    }

    fn u256(&mut self, field: &'static str) -> Result<U256, DecodeError> {
        let bytes = self.bytes(field)?;
        if bytes.first() == Some(&0) {
            return Err(error(field, "integer with a leading zero"));
        }
        U256::try_from_be_slice(bytes)
            .ok_or_else(|| error(field, format!("integer of {} bytes exceeds 256 bits", bytes.len())))
    }

    fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        let value = self.u256(field)?;
        u64::try_from(value).map_err(|_| error(field, format!("{value} exceeds 64 bits")))
    }

    fn fixed<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let bytes = self.bytes(field)?;
        bytes.try_into().map_err(|_| error(field, format!("{} bytes where {N} are due", bytes.len())))
    }

    fn address(&mut self, field: &'static str) -> Result<Address, DecodeError> {
        Ok(Address::new(self.fixed(field)?))
    }

    fn address_or_empty(&mut self, field: &'static str) -> Result<Option<Address>, DecodeError> {
        if self.rest.first() == Some(&alloy_rlp::EMPTY_STRING_CODE) {
            self.rest = &self.rest[1..];
            return Ok(None);
        }
        self.address(field).map(Some)
    }

    fn sublist(&mut self, field: &'static str) -> Result<Self, DecodeError> {
        if self.rest.is_empty() {
            return Err(error(field, "missing"));
        }
        Self::list(&mut self.rest, field)
    }

    fn hashes(&mut self, field: &'static str) -> Result<Vec<B256>, DecodeError> {
        let mut list = self.sublist(field)?;
        let mut hashes = Vec::new();
        while !list.rest.is_empty() {
            hashes.push(B256::new(list.fixed(field)?));
        }
        Ok(hashes)
    }

    fn access_list(&mut self) -> Result<Vec<(Address, Vec<B256>)>, DecodeError> {
        let mut list = self.sublist("access_list")?;
        let mut entries = Vec::new();
        while !list.rest.is_empty() {
            let mut entry = list.sublist("access_list")?;
            let address = entry.address("access_list.address")?;
            entries.push((address, entry.hashes("access_list.storage_keys")?));
            entry.end("access_list")?;
        }
        Ok(entries)
    }

    fn authorizations(&mut self) -> Result<Vec<Authorization>, DecodeError> {
        let mut list = self.sublist("authorization_list")?;
        let mut entries = Vec::new();
        while !list.rest.is_empty() {
            let mut entry = list.sublist("authorization_list")?;
            let chain_id = entry.u256("authorization_list.chain_id")?;
            let address = entry.address("authorization_list.address")?;
            let nonce = entry.u64("authorization_list.nonce")?;
            let parity = entry.u64("authorization_list.y_parity")?;
            let raw_parity = u8::try_from(parity)
                .map_err(|_| error("authorization_list.y_parity", format!("{parity} exceeds 8 bits")))?;
            let r = entry.u256("authorization_list.r")?;
            let s = entry.u256("authorization_list.s")?;
            entry.end("authorization_list")?;
            entries.push(Authorization {
                chain_id,
                address,
                nonce,
                signing_hash: Authorization::hash_for_signing(chain_id, address, nonce),
                signature: Signature { r, s, y_parity: raw_parity == 1 },
                raw_parity,
                authority: None,
            });
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;

    // EIP-155's own example.
    const EIP155: &str = "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83";

    #[test]
    fn eip155_example() {
        let tx = Transaction::decode(&hex::decode(EIP155).unwrap()).unwrap();
        assert_eq!(
            tx.signing_hash,
            alloy_primitives::b256!("daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53")
        );
        assert_eq!((tx.chain_id, tx.nonce, tx.gas_limit), (Some(1), 9, 21_000));
    }

    #[test]
    fn every_truncation_and_extension_fails_without_panic() {
        let raw = hex::decode(EIP155).unwrap();
        for end in 0..raw.len() {
            assert!(Transaction::decode(&raw[..end]).is_err(), "accepted {end} bytes");
        }
        let longer = [raw.as_slice(), &[0]].concat();
        assert_eq!(Transaction::decode(&longer).unwrap_err().field, "raw");
    }

    #[test]
    fn a_batch_equals_one_by_one() {
        let good = hex::decode(EIP155).unwrap();
        // Every truncation among good ones: what hashes side by side must not slip.
        let raws: Vec<_> = (0..=good.len()).flat_map(|end| [&good[..end], &good]).collect();
        let one_by_one: Vec<_> = raws.iter().map(|raw| Transaction::decode(raw)).collect();
        assert_eq!(Transaction::decode_batch(&raws), one_by_one);
        let without_hash = |tx: Transaction| Transaction { hash: B256::ZERO, ..tx };
        let expected: Vec<_> = one_by_one.into_iter().map(|result| result.map(without_hash)).collect();
        assert_eq!(Transaction::decode_for_recovery(&raws), expected);
    }

    #[test]
    fn every_single_byte_change_is_handled() {
        let raw = hex::decode(EIP155).unwrap();
        for position in 0..raw.len() {
            for value in 0..=255 {
                let mut changed = raw.clone();
                changed[position] = value;
                let _ = Transaction::decode(&changed);
            }
        }
    }

    #[test]
    fn errors_name_the_field() {
        let fields = |hex: &str| Transaction::decode(&hex::decode(hex).unwrap()).unwrap_err().field;
        assert_eq!(fields("c0"), "nonce");
        assert_eq!(fields("c100"), "nonce", "leading zero");
        assert_eq!(fields("05c0"), "type");
        assert_eq!(fields("02c0"), "chain_id");
        assert_eq!(fields("c4808080c0"), "to");
    }

    #[test]
    fn hashes_and_fields_equal_alloys() {
        use alloy_consensus::{SignableTransaction, TxEip2930, TxEip4844, TxEip7702, TxEnvelope};
        use alloy_eips::{Encodable2718, eip2930::AccessList, eip2930::AccessListItem, eip7702};

        let to = Address::repeat_byte(3);
        let list = AccessList(vec![
            AccessListItem { address: to, storage_keys: vec![B256::ZERO, B256::repeat_byte(9)] },
            Default::default(),
        ]);
        let signature = alloy_primitives::Signature::new(U256::from(5), U256::MAX, true);
        let inner = eip7702::Authorization { chain_id: U256::from(300), address: to, nonce: 128 };
        let hash = inner.signature_hash();
        let authorization = eip7702::SignedAuthorization::new_unchecked(inner, 255, U256::from(1), U256::ZERO);
        let one = TxEip2930 {
            chain_id: 1 << 40,
            nonce: 7,
            gas_price: 1 << 100,
            gas_limit: 9,
            to: to.into(),
            access_list: list.clone(),
            ..Default::default()
        };
        let three = TxEip4844 {
            chain_id: 1,
            to,
            access_list: list.clone(),
            blob_versioned_hashes: vec![B256::ZERO; 3],
            max_fee_per_blob_gas: 77,
            ..Default::default()
        };
        let four = TxEip7702 {
            chain_id: 1,
            to,
            authorization_list: vec![authorization],
            input: vec![0; 100].into(),
            ..Default::default()
        };
        let check = |signing_hash: B256, envelope: TxEnvelope| {
            let tx = Transaction::decode(&envelope.encoded_2718()).unwrap();
            assert_eq!((tx.hash, tx.signing_hash), (*envelope.tx_hash(), signing_hash));
            assert_eq!(tx.signature, Signature { r: U256::from(5), s: U256::MAX, y_parity: true });
            tx
        };
        let tx = check(one.signature_hash(), one.into_signed(signature).into());
        assert_eq!(
            (tx.tx_type, tx.chain_id, tx.nonce, tx.access_list.len()),
            (TxType::AccessList, Some(1 << 40), 7, 2)
        );
        let tx = check(three.signature_hash(), three.into_signed(signature).into());
        assert_eq!((tx.blob_hashes.len(), tx.max_fee_per_blob_gas, tx.to), (3, U256::from(77), Some(to)));
        let tx = check(four.signature_hash(), four.into_signed(signature).into());
        let authorization = &tx.authorizations[0];
        assert_eq!(
            (authorization.signing_hash, authorization.raw_parity, authorization.nonce, tx.input.len()),
            (hash, 255, 128, 100)
        );
    }
}
