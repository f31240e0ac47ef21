//! A block's header as nodes give it, checked against its hash.

use super::error::{Cause, RpcError};
use crate::block_file::{BlockFileError, Node};
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256, keccak256};
use alloy_rlp::{Encodable, Header as RlpHeader};
use serde_json::Value;

/// What a header binds, besides what the block's environment is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) hash: B256,
    pub(crate) number: u64,
    pub(crate) parent_hash: B256,
    pub(crate) state_root: B256,
    pub(crate) transactions_root: B256,
    pub(crate) receipts_root: B256,
    pub(crate) logs_bloom: Bloom,
    pub(crate) gas_used: u64,
    pub(crate) timestamp: u64,
    pub(crate) beneficiary: Address,
    pub(crate) parent_beacon_root: Option<B256>,
}

impl Header {
    /// Reads the header of block `number` from an RPC block.
    ///
    /// # Errors
    /// It is null, lacks a field, is of another number, or does not have the hash that it says.
    pub(crate) fn read(block: &Value, number: u64, method: &'static str) -> Result<Self, RpcError> {
        let wrong = |cause| RpcError::new(number, "header", method, cause);
        if block.is_null() {
            return Err(wrong(Cause::Pruned("no block of this number".into())));
        }
        let malformed = RpcError::malformed(number, "header", method);
        let (header, actual) = decode(&Node::root(block)).map_err(malformed)?;
        if header.number != number {
            return Err(wrong(Cause::Wrong(format!("a block of the number {}", header.number))));
        }
        if header.hash != actual {
            return Err(wrong(Cause::Wrong(format!("its fields hash to {actual}, not {}", header.hash))));
        }
        Ok(header)
    }
}

/// The header, and keccak256 of its RLP. Fields that a fork added end it, one after the other.
fn decode(node: &Node<'_>) -> Result<(Header, B256), BlockFileError> {
    let header = Header {
        hash: node.get("hash")?.fixed()?,
        number: node.get("number")?.u64()?,
        parent_hash: node.get("parentHash")?.fixed()?,
        state_root: node.get("stateRoot")?.fixed()?,
        transactions_root: node.get("transactionsRoot")?.fixed()?,
        receipts_root: node.get("receiptsRoot")?.fixed()?,
        logs_bloom: node.get("logsBloom")?.fixed()?,
        gas_used: node.get("gasUsed")?.u64()?,
        timestamp: node.get("timestamp")?.u64()?,
        beneficiary: node.get("miner")?.fixed()?,
        parent_beacon_root: node.optional("parentBeaconBlockRoot")?.map(|root| root.fixed()).transpose()?,
    };
    let mut fields = Vec::new();
    header.parent_hash.encode(&mut fields);
    node.get("sha3Uncles")?.fixed::<B256>()?.encode(&mut fields);
    header.beneficiary.encode(&mut fields);
    header.state_root.encode(&mut fields);
    header.transactions_root.encode(&mut fields);
    header.receipts_root.encode(&mut fields);
    header.logs_bloom.encode(&mut fields);
    node.get("difficulty")?.u256()?.encode(&mut fields);
    header.number.encode(&mut fields);
    node.get("gasLimit")?.u64()?.encode(&mut fields);
    header.gas_used.encode(&mut fields);
    header.timestamp.encode(&mut fields);
    Bytes::encode(&node.get("extraData")?.bytes()?, &mut fields);
    node.get("mixHash")?.fixed::<B256>()?.encode(&mut fields);
    node.get("nonce")?.fixed::<B64>()?.encode(&mut fields);
    type Field = (&'static str, fn(&Node<'_>, &mut Vec<u8>) -> Result<(), BlockFileError>);
    let added: [Field; 6] = [
        ("baseFeePerGas", number),
        ("withdrawalsRoot", hash),
        ("blobGasUsed", number),
        ("excessBlobGas", number),
        ("parentBeaconBlockRoot", hash),
        ("requestsHash", hash),
    ];
    for (name, encode) in added {
        if let Some(field) = node.optional(name)? {
            encode(&field, &mut fields)?;
        }
    }
    let mut out = Vec::with_capacity(fields.len() + 4);
    RlpHeader { list: true, payload_length: fields.len() }.encode(&mut out);
    out.extend_from_slice(&fields);
    Ok((header, keccak256(out)))
}

fn number(node: &Node<'_>, out: &mut Vec<u8>) -> Result<(), BlockFileError> {
    U256::encode(&node.u256()?, out);
    Ok(())
}

fn hash(node: &Node<'_>, out: &mut Vec<u8>) -> Result<(), BlockFileError> {
    node.fixed::<B256>()?.encode(out);
    Ok(())
}
