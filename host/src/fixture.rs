//! A small block that tests build and sign themselves: a transfer, a call that logs, a creation, a revert.

use crate::{
    block::{Block, BlockEnv},
    block_file::{BlockFile, Expected, ExpectedResult, TxClaim},
    engine::BlockOutput,
    fork::Fork,
    memory::MemoryState,
    receipt::logs_hash,
    state::AccountInfo,
};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope, TxLegacy};
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, Signature, TxKind, U256, address, hex, keccak256};
use secp256k1::{Message, SecretKey, ecdsa::RecoverableSignature};
use serde_json::json;

/// Logs its calldata's first word as a topic: PUSH0 CALLDATALOAD PUSH0 PUSH0 LOG1.
pub(crate) const LOGGER: Address = address!("1000000000000000000000000000000000000001");
/// Always reverts.
pub(crate) const REVERTER: Address = address!("1000000000000000000000000000000000000002");

fn key(seed: u8) -> SecretKey {
    SecretKey::from_secret_bytes([seed; 32]).unwrap()
}

/// The address of the key that consists of `seed` 32 times.
pub(crate) fn sender(seed: u8) -> Address {
    let public = secp256k1::PublicKey::from_secret_key(&key(seed)).serialize_uncompressed();
    Address::from_slice(&keccak256(&public[1..])[12..])
}

fn sign(seed: u8, hash: B256) -> Signature {
    let (id, bytes) =
        RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(hash.0), &key(seed)).serialize_compact();
    Signature::new(U256::from_be_slice(&bytes[..32]), U256::from_be_slice(&bytes[32..]), id.to_u8() == 1)
}

/// A signed type-2 transaction on chain 1.
pub(crate) fn dynamic_fee(seed: u8, nonce: u64, to: TxKind, value: u64, input: &[u8]) -> Bytes {
    let tx = TxEip1559 {
        chain_id: 1,
        nonce,
        gas_limit: 100_000,
        max_fee_per_gas: 10,
        max_priority_fee_per_gas: 1,
        to,
        value: U256::from(value),
        access_list: Default::default(),
        input: Bytes::copy_from_slice(input),
    };
    let signature = sign(seed, tx.signature_hash());
    TxEnvelope::from(tx.into_signed(signature)).encoded_2718().into()
}

/// A signed legacy transaction; EIP-155 where there is a chain id.
pub(crate) fn legacy(seed: u8, nonce: u64, chain_id: Option<u64>, to: Address, value: u64) -> Bytes {
    let tx = TxLegacy {
        chain_id,
        nonce,
        gas_price: 10,
        gas_limit: 21_000,
        to: to.into(),
        value: U256::from(value),
        input: Bytes::new(),
    };
    let signature = sign(seed, tx.signature_hash());
    TxEnvelope::from(tx.into_signed(signature)).encoded_2718().into()
}

/// The block and its state.
pub(crate) fn block() -> (Block, MemoryState) {
    let mut state = MemoryState::default();
    let funded = |code_hash| AccountInfo { balance: U256::from(1_000_000_000_u64), nonce: 0, code_hash };
    for seed in 1..=2 {
        state.insert_account(sender(seed), funded(KECCAK256_EMPTY));
    }
    for (address, code) in [(LOGGER, hex!("5f355f5fa1").to_vec()), (REVERTER, hex!("5f5ffd").to_vec())] {
        let hash = keccak256(&code);
        state.insert_code(hash, code.into());
        state.insert_account(address, funded(hash));
    }
    state.insert_slot(LOGGER, U256::from(3), U256::from(4));
    state.insert_block_hash(99, B256::repeat_byte(9));
    let env = BlockEnv {
        chain_id: 1,
        fork: Fork::Shanghai,
        number: 100,
        timestamp: 1_700_000_000,
        beneficiary: Address::repeat_byte(0xbe),
        gas_limit: 30_000_000,
        base_fee: 7,
        difficulty: U256::ZERO,
        prevrandao: B256::repeat_byte(5),
        excess_blob_gas: 0,
        blob_params: None,
        blob_price: None,
    };
    // Init code that returns one byte of code: PUSH1 1, PUSH0, RETURN.
    let transactions = vec![
        legacy(1, 0, Some(1), sender(2), 5),
        dynamic_fee(1, 1, LOGGER.into(), 0, B256::repeat_byte(7).as_slice()),
        dynamic_fee(2, 0, TxKind::Create, 0, &hex!("60015ff3")),
        dynamic_fee(2, 1, REVERTER.into(), 1, &[]),
    ];
    (Block { env, transactions }, state)
}

/// A block file that promises exactly `output`.
pub(crate) fn file(block: Block, state: MemoryState, output: &BlockOutput) -> BlockFile {
    let env = &block.env;
    let header = json!({
        "number": format!("{:#x}", env.number), "timestamp": format!("{:#x}", env.timestamp), "miner": format!("{:?}", env.beneficiary),
        "gasLimit": format!("{:#x}", env.gas_limit), "baseFeePerGas": format!("{:#x}", env.base_fee), "mixHash": env.prevrandao.to_string(),
    });
    let results = output.receipts.iter().map(|receipt| ExpectedResult {
        status: Some(receipt.success),
        gas_used: receipt.gas_used,
        logs: receipt.logs.len() as u64,
        logs_hash: logs_hash(&receipt.logs),
        contract_address: receipt.contract_address,
    });
    let expected = Expected {
        gas_used: output.gas_used,
        receipts_root: output.receipts_root.unwrap(),
        receipts_root_checked: true,
        logs_bloom: output.logs_bloom,
        transactions_root: output.transactions_root,
        results: results.collect(),
    };
    let claims = output
        .transactions
        .iter()
        .zip(&output.senders)
        .map(|(tx, sender)| TxClaim { hash: tx.hash, sender: *sender })
        .collect();
    let header = header.as_object().unwrap().clone();
    BlockFile { source: None, block, header, withdrawals: serde_json::Value::Null, claims, state, expected }
}
