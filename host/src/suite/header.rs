//! Block headers: decoding, and the rules that a header must follow after its parent's (from Paris on).

use super::network::Rules;
use crate::{
    block::{BlobParams, BlockEnv},
    error::Invalid,
    fork::Fork,
};
use alloy_eips::{
    eip1559::{BaseFeeParams, calc_next_block_base_fee},
    eip7840,
};
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256, b256, keccak256};
use alloy_rlp::{Decodable, Header as RlpHeader};
use std::fmt;

/// keccak256(rlp([])): no ommers, as from Paris on.
const NO_OMMERS: B256 = b256!("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347");

/// Gas of one blob (EIP-4844).
const GAS_PER_BLOB: u64 = 1 << 17;

/// Least gas limit of a block.
const MIN_GAS_LIMIT: u64 = 5_000;

/// Most that a header may hold in its extra data, in bytes.
const MAX_EXTRA_DATA: usize = 32;

/// A block's header, with the fields of every fork up to Prague.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// keccak256 of the header's RLP.
    pub(super) hash: B256,
    pub(super) parent_hash: B256,
    pub(super) ommers_hash: B256,
    pub(super) beneficiary: Address,
    pub(super) state_root: B256,
    pub(super) transactions_root: B256,
    pub(super) receipts_root: B256,
    pub(super) logs_bloom: Bloom,
    pub(super) difficulty: U256,
    pub(super) number: u64,
    pub(super) gas_limit: u64,
    pub(super) gas_used: u64,
    pub(super) timestamp: u64,
    pub(super) extra_data: Bytes,
    pub(super) mix_hash: B256,
    pub(super) nonce: B64,
    pub(super) base_fee: Option<u64>,
    pub(super) withdrawals_root: Option<B256>,
    pub(super) blob_gas_used: Option<u64>,
    pub(super) excess_blob_gas: Option<u64>,
    pub(super) parent_beacon_root: Option<B256>,
    pub(super) requests_hash: Option<B256>,
}

/// An RLP item that does not decode.
pub(super) fn undecodable(field: &'static str) -> impl Fn(alloy_rlp::Error) -> Invalid {
    move |cause| Invalid::new(field, cause.to_string())
}

impl Header {
    /// Decodes the header at the start of `bytes` and moves `bytes` past it.
    ///
    /// # Errors
    /// Names the field at which the bytes stop being a header.
    pub(super) fn decode(bytes: &mut &[u8]) -> Result<Self, Invalid> {
        let start = *bytes;
        let mut fields = RlpHeader::decode_bytes(bytes, true).map_err(undecodable("header"))?;
        let hash = keccak256(&start[..start.len() - bytes.len()]);
        let rest = &mut fields;
        let header = Self {
            hash,
            parent_hash: item(rest, "parentHash")?,
            ommers_hash: item(rest, "uncleHash")?,
            beneficiary: item(rest, "coinbase")?,
            state_root: item(rest, "stateRoot")?,
            transactions_root: item(rest, "transactionsTrie")?,
            receipts_root: item(rest, "receiptTrie")?,
            logs_bloom: item(rest, "bloom")?,
            difficulty: item(rest, "difficulty")?,
            number: item(rest, "number")?,
            gas_limit: item(rest, "gasLimit")?,
            gas_used: item(rest, "gasUsed")?,
            timestamp: item(rest, "timestamp")?,
            extra_data: item(rest, "extraData")?,
            mix_hash: item(rest, "mixHash")?,
            nonce: item(rest, "nonce")?,
            base_fee: optional(rest, "baseFeePerGas")?,
            withdrawals_root: optional(rest, "withdrawalsRoot")?,
            blob_gas_used: optional(rest, "blobGasUsed")?,
            excess_blob_gas: optional(rest, "excessBlobGas")?,
            parent_beacon_root: optional(rest, "parentBeaconBlockRoot")?,
            requests_hash: optional(rest, "requestsHash")?,
        };
        if rest.is_empty() { Ok(header) } else { Err(Invalid::new("header", "more fields than Prague has")) }
    }

    /// What the block's transactions see.
    pub(super) fn env(&self, rules: &Rules, chain_id: u64) -> BlockEnv {
        BlockEnv {
            chain_id,
            fork: rules.fork,
            number: self.number,
            timestamp: self.timestamp,
            beneficiary: self.beneficiary,
            gas_limit: self.gas_limit,
            base_fee: self.base_fee.unwrap_or_default(),
            difficulty: self.difficulty,
            prevrandao: self.mix_hash,
            excess_blob_gas: self.excess_blob_gas.unwrap_or_default(),
            blob_params: rules.blobs,
            blob_price: None,
        }
    }

    /// Checks everything that the header alone and its parent decide.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub(super) fn check(&self, parent: &Self, rules: &Rules) -> Result<(), Invalid> {
        self.check_fields(rules.fork)?;
        equal("parentHash", &parent.hash, &self.parent_hash)?;
        equal("number", &parent.number.wrapping_add(1), &self.number)?;
        if self.timestamp <= parent.timestamp {
            return Err(Invalid::new("timestamp", format!("{} not after {}", self.timestamp, parent.timestamp)));
        }
        if self.extra_data.len() > MAX_EXTRA_DATA {
            return Err(Invalid::new("extraData", format!("{} bytes", self.extra_data.len())));
        }
        // Proof of stake (EIP-3675).
        equal("difficulty", &U256::ZERO, &self.difficulty)?;
        equal("nonce", &B64::ZERO, &self.nonce)?;
        equal("uncleHash", &NO_OMMERS, &self.ommers_hash)?;
        self.check_gas(parent)?;
        rules.blobs.map_or(Ok(()), |blobs| self.check_blobs(parent, rules.fork, &blobs))
    }

    /// The fields that came with a fork are there from it on, and not before.
    fn check_fields(&self, fork: Fork) -> Result<(), Invalid> {
        for (field, there, since) in [
            ("baseFeePerGas", self.base_fee.is_some(), Fork::London),
            ("withdrawalsRoot", self.withdrawals_root.is_some(), Fork::Shanghai),
            ("blobGasUsed", self.blob_gas_used.is_some(), Fork::Cancun),
            ("excessBlobGas", self.excess_blob_gas.is_some(), Fork::Cancun),
            ("parentBeaconBlockRoot", self.parent_beacon_root.is_some(), Fork::Cancun),
            ("requestsHash", self.requests_hash.is_some(), Fork::Prague),
        ] {
            if there != (fork >= since) {
                return Err(Invalid::new(field, format!("comes with {since}, the block is {fork}")));
            }
        }
        Ok(())
    }

    /// Gas limit within a 1024th of the parent's, and the base fee of EIP-1559.
    fn check_gas(&self, parent: &Self) -> Result<(), Invalid> {
        let step = parent.gas_limit / 1024;
        if self.gas_limit.abs_diff(parent.gas_limit) >= step || self.gas_limit < MIN_GAS_LIMIT {
            return Err(Invalid::new("gasLimit", format!("{} after {}", self.gas_limit, parent.gas_limit)));
        }
        if self.gas_used > self.gas_limit {
            return Err(Invalid::new("gasUsed", format!("{} above the limit {}", self.gas_used, self.gas_limit)));
        }
        let fee = calc_next_block_base_fee(
            parent.gas_used,
            parent.gas_limit,
            parent.base_fee.unwrap_or_default(),
            BaseFeeParams::ethereum(),
        );
        equal("baseFeePerGas", &fee, &self.base_fee.unwrap_or_default())
    }

    /// Blob gas used within the limit, and the excess of EIP-4844, from Osaka on with EIP-7918.
    fn check_blobs(&self, parent: &Self, fork: Fork, blobs: &BlobParams) -> Result<(), Invalid> {
        let used = self.blob_gas_used.unwrap_or_default();
        if used > blobs.max.saturating_mul(GAS_PER_BLOB) || !used.is_multiple_of(GAS_PER_BLOB) {
            return Err(Invalid::new("blobGasUsed", format!("{used} with at most {} blobs", blobs.max)));
        }
        let parameters = eip7840::BlobParams {
            target_blob_count: blobs.target,
            max_blob_count: blobs.max,
            update_fraction: blobs.update_fraction.into(),
            ..if fork >= Fork::Osaka { eip7840::BlobParams::osaka() } else { eip7840::BlobParams::prague() }
        };
        let excess = parameters.next_block_excess_blob_gas_osaka(
            parent.excess_blob_gas.unwrap_or_default(),
            parent.blob_gas_used.unwrap_or_default(),
            parent.base_fee.unwrap_or_default(),
        );
        equal("excessBlobGas", &excess, &self.excess_blob_gas.unwrap_or_default())
    }
}

/// A header's field must be what the rules say.
///
/// # Errors
/// It is not; both values are told.
pub(super) fn equal<T: PartialEq + fmt::Display>(field: &'static str, due: &T, actual: &T) -> Result<(), Invalid> {
    if due == actual { Ok(()) } else { Err(Invalid::new(field, format!("{actual} where {due} is due"))) }
}

fn item<T: Decodable>(rest: &mut &[u8], field: &'static str) -> Result<T, Invalid> {
    T::decode(rest).map_err(undecodable(field))
}

fn optional<T: Decodable>(rest: &mut &[u8], field: &'static str) -> Result<Option<T>, Invalid> {
    if rest.is_empty() { Ok(None) } else { item(rest, field).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::Header as Theirs;

    fn rules(fork: Fork) -> Rules {
        Rules { fork, blobs: BlobParams::of(fork) }
    }

    fn parent() -> Theirs {
        Theirs {
            difficulty: U256::ZERO,
            number: 7,
            gas_limit: 30_000_000,
            gas_used: 20_000_000,
            timestamp: 100,
            base_fee_per_gas: Some(1_000_000_000),
            withdrawals_root: Some(B256::ZERO),
            blob_gas_used: Some(7 * GAS_PER_BLOB),
            excess_blob_gas: Some(GAS_PER_BLOB),
            parent_beacon_block_root: Some(B256::ZERO),
            requests_hash: Some(B256::ZERO),
            ..Theirs::default()
        }
    }

    fn child(parent: &Theirs) -> Theirs {
        Theirs {
            parent_hash: parent.hash_slow(),
            number: parent.number + 1,
            timestamp: parent.timestamp + 12,
            base_fee_per_gas: parent.next_block_base_fee(BaseFeeParams::ethereum()),
            excess_blob_gas: parent.next_block_excess_blob_gas(eip7840::BlobParams::prague()),
            blob_gas_used: Some(0),
            gas_used: 0,
            ..parent.clone()
        }
    }

    fn ours(theirs: &Theirs) -> Header {
        let bytes = alloy_rlp::encode(theirs);
        let mut rest = bytes.as_slice();
        let header = Header::decode(&mut rest).unwrap();
        assert!(rest.is_empty());
        assert_eq!(header.hash, theirs.hash_slow());
        header
    }

    #[test]
    fn equals_alloy_and_every_broken_rule_is_named() {
        let parent = parent();
        let good = child(&parent);
        let check = |header: &Theirs, fork| ours(header).check(&ours(&parent), &rules(fork));
        assert_eq!(check(&good, Fork::Prague), Ok(()));
        type Change = fn(&mut Theirs);
        let changes: [(&str, Change); 15] = [
            ("parentHash", |header| header.parent_hash.0[0] ^= 1),
            ("number", |header| header.number += 1),
            ("timestamp", |header| header.timestamp = 100),
            ("extraData", |header| header.extra_data = vec![0; 33].into()),
            ("difficulty", |header| header.difficulty = U256::ONE),
            ("nonce", |header| header.nonce = B64::repeat_byte(1)),
            ("uncleHash", |header| header.ommers_hash = B256::ZERO),
            ("gasLimit", |header| header.gas_limit += 30_000_000 / 1024),
            ("gasLimit", |header| header.gas_limit -= 30_000_000 / 1024),
            ("gasUsed", |header| header.gas_used = header.gas_limit + 1),
            ("baseFeePerGas", |header| header.base_fee_per_gas = Some(1_000_000_000)),
            ("blobGasUsed", |header| header.blob_gas_used = Some(1)),
            ("blobGasUsed", |header| header.blob_gas_used = Some(10 * GAS_PER_BLOB)),
            ("excessBlobGas", |header| header.excess_blob_gas = Some(0)),
            ("requestsHash", |header| header.requests_hash = None),
        ];
        for (field, change) in changes {
            let mut bad = good.clone();
            change(&mut bad);
            assert_eq!(check(&bad, Fork::Prague).unwrap_err().field, field);
        }
        assert_eq!(check(&good, Fork::Cancun).unwrap_err().field, "requestsHash");
    }

    #[test]
    fn every_truncation_fails() {
        let bytes = alloy_rlp::encode(parent());
        for len in 0..bytes.len() {
            assert!(Header::decode(&mut &bytes[..len]).is_err(), "{len}");
        }
    }
}
