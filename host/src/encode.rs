//! Signed transactions back to bytes: the inverse of [`Transaction::decode`], against which and alloy's decoder it is tested.

use crate::tx::{Signature, Transaction, TxType};
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::{Encodable, Header};

/// The EIP-2718 bytes of `tx` with a signature as it stands. No rule is checked: what is invalid is encoded as it stands. A missing chain id
/// gives a legacy transaction without EIP-155.
pub fn encode(tx: &Transaction, signature: &Signature) -> Bytes {
    let mut payload = body(tx);
    let parity = u128::from(signature.y_parity);
    let v = match (tx.tx_type, tx.chain_id) {
        (TxType::Legacy, None) => 27 + parity,
        (TxType::Legacy, Some(id)) => 35 + 2 * u128::from(id) + parity,
        _ => parity,
    };
    v.encode(&mut payload);
    signature.r.encode(&mut payload);
    signature.s.encode(&mut payload);
    envelope(tx.tx_type, &payload).into()
}

/// Everything before the signature, in the order of the type's EIP.
fn body(tx: &Transaction) -> Vec<u8> {
    let typed = tx.tx_type != TxType::Legacy;
    let mut out = Vec::new();
    if typed {
        tx.chain_id.unwrap_or_default().encode(&mut out);
    }
    tx.nonce.encode(&mut out);
    if tx.tx_type as u8 >= TxType::DynamicFee as u8 {
        tx.max_priority_fee_per_gas.unwrap_or_default().encode(&mut out);
    }
    tx.max_fee_per_gas.encode(&mut out);
    tx.gas_limit.encode(&mut out);
    match tx.to {
        Some(to) => to.encode(&mut out),
        None => out.push(alloy_rlp::EMPTY_STRING_CODE),
    }
    tx.value.encode(&mut out);
    tx.input.encode(&mut out);
    if typed {
        put_list(&mut out, &tx.access_list, |out, (address, keys)| {
            let mut entry = Vec::new();
            address.encode(&mut entry);
            keys.encode(&mut entry);
            put(out, &entry);
        });
    }
    if tx.tx_type == TxType::Blob {
        tx.max_fee_per_blob_gas.encode(&mut out);
        tx.blob_hashes.encode(&mut out);
    }
    if tx.tx_type == TxType::SetCode {
        put_list(&mut out, &tx.authorizations, |out, authorization| {
            let mut entry = Vec::new();
            authorization.chain_id.encode(&mut entry);
            authorization.address.encode(&mut entry);
            authorization.nonce.encode(&mut entry);
            authorization.raw_parity.encode(&mut entry);
            authorization.signature.r.encode(&mut entry);
            authorization.signature.s.encode(&mut entry);
            put(out, &entry);
        });
    }
    out
}

/// What the sender of `tx` signs. Its hashes and its signature are not looked at.
pub fn signing_hash(tx: &Transaction) -> B256 {
    let mut payload = body(tx);
    if let (TxType::Legacy, Some(chain_id)) = (tx.tx_type, tx.chain_id) {
        // EIP-155: chain id and two empty items stand where the signature will be.
        chain_id.encode(&mut payload);
        payload.extend([alloy_rlp::EMPTY_STRING_CODE; 2]);
    }
    keccak256(envelope(tx.tx_type, &payload))
}

/// The type byte unless legacy, and the payload as a list.
fn envelope(tx_type: TxType, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 10);
    if tx_type != TxType::Legacy {
        out.push(tx_type as u8);
    }
    put(&mut out, payload);
    out
}

/// A list whose encoded items are `payload`.
fn put(out: &mut Vec<u8>, payload: &[u8]) {
    Header { list: true, payload_length: payload.len() }.encode(out);
    out.extend_from_slice(payload);
}

fn put_list<T>(out: &mut Vec<u8>, items: &[T], encode: impl Fn(&mut Vec<u8>, &T)) {
    let mut payload = Vec::new();
    items.iter().for_each(|item| encode(&mut payload, item));
    put(out, &payload);
}
