//! A batch as a JSON file: what the fuzzer found, for ever after. Numbers are hexadecimal; what is zero or empty may be absent.
//!
//! `about` says what was wrong. `env` is the block; its other fields are [`programs::env`]'s. `accounts` by address: `balance`,
//! `nonce`, `code`, `storage`. `blockHashes` by number. `txs` in order: `type` (0 to 4), `from`, `to` (absent: a creation),
//! `nonce`, `gas`, `maxFee`, `tip`, `value`, `input`, `accessList` (pairs of an address and its slots), `maxBlobFee`, `blobs`,
//! `authorizations` (`chainId`, `address`, `nonce`, `authority`; without one nobody signed).

use crate::programs::{self, Calls};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use lockstep::{
    block::BlobParams,
    memory::MemoryState,
    state::{AccountInfo, StateRef},
    tx::{Authorization, Signature, Transaction, TxType},
};
use serde_json::{Map, Value, json};
use std::str::FromStr;

const TYPES: [TxType; 5] = [TxType::Legacy, TxType::AccessList, TxType::DynamicFee, TxType::Blob, TxType::SetCode];

fn hex(value: impl Into<U256>) -> Value {
    json!(format!("{:#x}", value.into()))
}

/// Without the members that say nothing.
fn compact(value: Value) -> Value {
    let Value::Object(object) = value else { return value };
    let says = |value: &Value| match value {
        Value::Null => false,
        Value::String(text) => text != "0x0" && text != "0x",
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        _ => true,
    };
    object.into_iter().filter(|(_, value)| says(value)).collect::<Map<_, _>>().into()
}

/// The file of a batch.
pub fn to_json(calls: &Calls, about: &str) -> Value {
    let env = &calls.env;
    let mut accounts = Map::new();
    let mut sorted: Vec<_> = calls.state.accounts().collect();
    sorted.sort_unstable_by_key(|(address, _)| **address);
    for (address, info) in sorted {
        let code = calls.state.code(&info.code_hash).unwrap_or_default();
        let mut storage: Vec<_> = calls.state.slots().filter(|(owner, ..)| *owner == address).collect();
        storage.sort_unstable();
        let storage: Map<_, _> =
            storage.into_iter().map(|(_, slot, value)| (format!("{slot:#x}"), hex(*value))).collect();
        let account = json!({
            "balance": hex(info.balance), "nonce": hex(U256::from(info.nonce)), "code": code.to_string(),
            "storage": storage,
        });
        accounts.insert(address.to_string(), compact(account));
    }
    let mut hashes: Vec<_> = calls.state.block_hashes().collect();
    hashes.sort_unstable();
    let hashes: Map<_, _> =
        hashes.into_iter().map(|(number, hash)| (number.to_string(), json!(hash.to_string()))).collect();
    let txs: Vec<_> = calls.txs.iter().zip(&calls.senders).map(|(tx, sender)| tx_to_json(tx, sender)).collect();
    json!({
        "about": about,
        "env": {
            "fork": env.fork.name(), "number": hex(U256::from(env.number)), "beneficiary": env.beneficiary.to_string(),
            "baseFee": hex(U256::from(env.base_fee)),
        },
        "accounts": accounts, "blockHashes": hashes, "txs": txs,
    })
}

fn strings(hashes: &[B256]) -> Vec<String> {
    hashes.iter().map(B256::to_string).collect()
}

fn tx_to_json(tx: &Transaction, sender: &Address) -> Value {
    let authorizations: Vec<_> = tx
        .authorizations
        .iter()
        .map(|authorization| {
            compact(json!({
                "chainId": hex(authorization.chain_id), "address": authorization.address.to_string(),
                "nonce": hex(U256::from(authorization.nonce)), "authority": authorization.authority.flatten().map(|authority| authority.to_string()),
            }))
        })
        .collect();
    let access_list: Vec<_> =
        tx.access_list.iter().map(|(address, slots)| json!([address.to_string(), strings(slots)])).collect();
    compact(json!({
        "type": tx.tx_type as u8, "from": sender.to_string(), "to": tx.to.map(|to| to.to_string()), "nonce": hex(U256::from(tx.nonce)),
        "gas": hex(U256::from(tx.gas_limit)), "maxFee": hex(tx.max_fee_per_gas),
        "tip": tx.max_priority_fee_per_gas.map(hex), "value": hex(tx.value), "input": tx.input.to_string(),
        "accessList": access_list, "maxBlobFee": hex(tx.max_fee_per_blob_gas), "blobs": strings(&tx.blob_hashes),
        "authorizations": authorizations,
    }))
}

/// A member, or what stands for an absent one.
fn get<T: FromStr<Err: std::fmt::Display>>(object: &Value, key: &str, absent: T) -> Result<T, String> {
    match object.get(key) {
        None => Ok(absent),
        Some(value) => text(value).map_err(|error| format!("{key}: {error}")),
    }
}

fn text<T: FromStr<Err: std::fmt::Display>>(value: &Value) -> Result<T, String> {
    let text = value.as_str().ok_or_else(|| format!("{value} is no string"))?;
    text.parse().map_err(|error| format!("{text:?}: {error}"))
}

fn number(object: &Value, key: &str) -> Result<u64, String> {
    get(object, key, U256::ZERO)?.try_into().map_err(|_| format!("{key}: more than 64 bits"))
}

fn members<'a>(object: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
    object.get(key).and_then(Value::as_object).into_iter().flatten()
}

fn items<'a>(object: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    object.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// The batch of a file.
///
/// # Errors
/// The member that makes no sense.
pub fn from_json(file: &Value) -> Result<Calls, String> {
    let given = &file["env"];
    let mut env = programs::env(text(&given["fork"])?);
    env.number = number(given, "number")?;
    env.base_fee = number(given, "baseFee")?;
    env.beneficiary = get(given, "beneficiary", Address::ZERO)?;
    if let Some(params) = &mut env.blob_params {
        *params = BlobParams { max: 1 << 20, ..*params };
    }
    let mut state = MemoryState::default();
    for (key, account) in members(file, "accounts") {
        let address: Address = key.parse().map_err(|error| format!("accounts: {key}: {error}"))?;
        let code = get(account, "code", Bytes::new())?;
        let code_hash = if code.is_empty() { KECCAK256_EMPTY } else { keccak256(&code) };
        let info =
            AccountInfo { balance: get(account, "balance", U256::ZERO)?, nonce: number(account, "nonce")?, code_hash };
        state.insert_account(address, info);
        if !code.is_empty() {
            state.insert_code(code_hash, code);
        }
        for (slot, value) in members(account, "storage") {
            state.insert_slot(address, slot.parse().map_err(|error| format!("{slot}: {error}"))?, text(value)?);
        }
    }
    for (number, hash) in members(file, "blockHashes") {
        state.insert_block_hash(number.parse().map_err(|error| format!("{number}: {error}"))?, text(hash)?);
    }
    let mut calls = Calls { env, state, txs: Vec::new(), senders: Vec::new() };
    for tx in items(file, "txs") {
        calls.senders.push(get(tx, "from", Address::ZERO)?);
        calls.txs.push(tx_from_json(tx, calls.txs.len())?);
    }
    Ok(calls)
}

fn tx_from_json(tx: &Value, index: usize) -> Result<Transaction, String> {
    let tx_type = tx["type"].as_u64().and_then(|index| TYPES.get(index as usize)).ok_or("type: none of 0 to 4")?;
    let access_list = items(tx, "accessList")
        .map(|item| {
            let slots = item[1].as_array().into_iter().flatten().map(text).collect::<Result<_, _>>()?;
            Ok((text(&item[0])?, slots))
        })
        .collect::<Result<_, String>>()?;
    let authorizations = items(tx, "authorizations")
        .map(|item| {
            let (chain_id, nonce) = (get(item, "chainId", U256::ZERO)?, number(item, "nonce")?);
            let address = get(item, "address", Address::ZERO)?;
            let authority = item.get("authority").map(text).transpose()?;
            Ok(Authorization {
                chain_id,
                address,
                nonce,
                signing_hash: Authorization::hash_for_signing(chain_id, address, nonce),
                signature: Signature::default(),
                raw_parity: 0,
                authority: Some(authority),
            })
        })
        .collect::<Result<_, String>>()?;
    Ok(Transaction {
        hash: keccak256(index.to_be_bytes()),
        nonce: number(tx, "nonce")?,
        gas_limit: number(tx, "gas")?,
        max_fee_per_gas: get(tx, "maxFee", U256::ZERO)?,
        max_priority_fee_per_gas: match tx_type {
            TxType::Legacy | TxType::AccessList => None,
            _ => Some(get(tx, "tip", U256::ZERO)?),
        },
        to: tx.get("to").map(text).transpose()?,
        value: get(tx, "value", U256::ZERO)?,
        input: get(tx, "input", Bytes::new())?,
        access_list,
        max_fee_per_blob_gas: get(tx, "maxBlobFee", U256::ZERO)?,
        blob_hashes: items(tx, "blobs").map(text).collect::<Result<_, _>>()?,
        authorizations,
        ..Transaction::blank(*tx_type, 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::scene::{FORKS, batch};

    #[test]
    fn a_batch_comes_back_from_its_file() {
        for number in 0..FORKS.len() as u64 {
            let calls = batch(3, number, &FORKS);
            let back = from_json(&to_json(&calls, "")).unwrap();
            assert_eq!(back.env, calls.env);
            assert_eq!(back.state.accounts().count(), calls.state.accounts().count());
            assert_eq!(to_json(&back, ""), to_json(&calls, ""));
            assert_eq!((back.senders, back.txs), (calls.senders, calls.txs));
        }
    }
}
