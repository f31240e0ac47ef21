//! A small Prague block that needs no data: every type of transaction, a log, a creation, a revert, a chain of nonces.

use crate::sign::Wallet;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, address, hex, keccak256};
use lockstep::{
    block::{BlobParams, Block, BlockEnv},
    block_file::{BlockFile, Expected, ExpectedResult, TxClaim},
    engine::{BlockOutput, Engine},
    fork::Fork,
    memory::MemoryState,
    receipt::logs_hash,
    state::AccountInfo,
    tx::{Transaction, TxType},
};
use serde_json::json;

/// Logs its calldata's first word as a topic: PUSH0 CALLDATALOAD PUSH0 PUSH0 LOG1.
pub const LOGGER: Address = address!("1000000000000000000000000000000000000001");
/// Always reverts: PUSH0 PUSH0 REVERT.
pub const REVERTER: Address = address!("1000000000000000000000000000000000000002");

/// Index of the first transaction of each type.
pub const OF_TYPE: [usize; 5] = [0, 1, 2, 4, 5];
/// Index of the creation.
pub const CREATION: usize = 2;
/// Index of the revert.
pub const REVERT: usize = 3;

/// The wallet that signs transaction `index`.
fn wallet(index: usize) -> Wallet {
    Wallet::new(["first", "first", "second", "second", "third", "fourth", "second"][index])
}

fn transactions() -> Vec<Bytes> {
    let call = |tx_type: TxType, nonce: u64, to: Option<Address>, input: &[u8]| {
        let mut tx = Transaction::blank(tx_type, 1);
        (tx.nonce, tx.gas_limit, tx.max_fee_per_gas) = (nonce, 100_000, U256::from(10));
        (tx.to, tx.input) = (to, Bytes::copy_from_slice(input));
        tx.max_priority_fee_per_gas = (!matches!(tx_type, TxType::Legacy | TxType::AccessList)).then_some(U256::ONE);
        tx
    };
    let word = [7; 32];
    let listed = vec![(LOGGER, vec![B256::ZERO]), (REVERTER, vec![])];
    let authority = Wallet::new("fifth");
    let txs = [
        Transaction { value: U256::from(5), ..call(TxType::Legacy, 0, Some(wallet(2).address()), &[]) },
        Transaction { access_list: listed, ..call(TxType::AccessList, 1, Some(LOGGER), &word) },
        // Returns one byte of code: PUSH1 1, PUSH0, RETURN.
        call(TxType::DynamicFee, 0, None, &hex!("60015ff3")),
        Transaction { value: U256::ONE, ..call(TxType::DynamicFee, 1, Some(REVERTER), &[]) },
        Transaction {
            max_fee_per_blob_gas: U256::from(10),
            blob_hashes: vec![B256::right_padding_from(&[1])],
            ..call(TxType::Blob, 0, Some(LOGGER), &word)
        },
        Transaction {
            authorizations: vec![authority.authorize(1, LOGGER, 0)],
            ..call(TxType::SetCode, 0, Some(authority.address()), &word)
        },
        call(TxType::DynamicFee, 2, Some(LOGGER), &[]),
    ];
    txs.iter().enumerate().map(|(index, tx)| wallet(index).sign(tx)).collect()
}

fn state() -> MemoryState {
    let mut state = MemoryState::default();
    let account = |code_hash| AccountInfo { balance: U256::from(1_000_000_000_000_u64), nonce: 0, code_hash };
    for index in [0, 2, 4, 5] {
        state.insert_account(wallet(index).address(), account(KECCAK256_EMPTY));
    }
    for (address, code) in [(LOGGER, hex!("5f355f5fa1").to_vec()), (REVERTER, hex!("5f5ffd").to_vec())] {
        let hash = keccak256(&code);
        state.insert_code(hash, code.into());
        state.insert_account(address, account(hash));
    }
    state.insert_slot(LOGGER, U256::from(3), U256::from(4));
    state.insert_block_hash(99, B256::repeat_byte(9));
    state
}

/// The block, its state, and what sequential revm makes of them.
///
/// # Errors
/// Why the CPU could not execute it.
pub fn build() -> Result<BlockFile, String> {
    let env = BlockEnv {
        chain_id: 1,
        fork: Fork::Prague,
        number: 100,
        timestamp: 1_750_000_000,
        beneficiary: Address::repeat_byte(0xbe),
        gas_limit: 30_000_000,
        base_fee: 7,
        difficulty: U256::ZERO,
        prevrandao: B256::repeat_byte(5),
        excess_blob_gas: 0,
        blob_params: BlobParams::of(Fork::Prague),
        blob_price: None,
    };
    let (block, state) = (Block { env, transactions: transactions() }, state());
    let engine =
        Engine::builder().backend(lockstep::backend::BackendKind::Cpu).build().map_err(|error| error.to_string())?;
    let output = engine.execute_block(&block, &state).map_err(|error| error.to_string())?;
    file(block, state, &output)
}

/// A block file that promises exactly `output`.
fn file(block: Block, state: MemoryState, output: &BlockOutput) -> Result<BlockFile, String> {
    let env = &block.env;
    let header = json!({
        "number": format!("{:#x}", env.number), "timestamp": format!("{:#x}", env.timestamp),
        "miner": hex::encode_prefixed(env.beneficiary), "gasLimit": format!("{:#x}", env.gas_limit),
        "baseFeePerGas": format!("{:#x}", env.base_fee), "mixHash": env.prevrandao.to_string(), "excessBlobGas": "0x0",
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
        receipts_root: output.receipts_root.ok_or("no receipts root")?,
        receipts_root_checked: true,
        logs_bloom: output.logs_bloom,
        transactions_root: output.transactions_root,
        results: results.collect(),
    };
    let pairs = output.transactions.iter().zip(&output.senders);
    let claims = pairs.map(|(tx, sender)| TxClaim { hash: tx.hash, sender: *sender }).collect();
    let header = header.as_object().cloned().unwrap_or_default();
    Ok(BlockFile { source: None, block, header, withdrawals: serde_json::Value::Null, claims, state, expected })
}
