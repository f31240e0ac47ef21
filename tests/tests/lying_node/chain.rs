//! A chain of two blocks as an honest node tells of it: the small block, and a parent whose state root is that of its state.

use alloy_consensus::constants::EMPTY_OMMER_ROOT_HASH;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, hex, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, Nibbles, TrieAccount, proof::ProofRetainer};
use lockstep::{
    block_file::BlockFile,
    engine::{BlockOutput, Engine},
    state::StateRef,
    tx::{Transaction, TxType},
};
use lockstep_tests::small_block;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What is asked of the chain, answered.
pub struct Chain {
    pub file: BlockFile,
    block: Value,
    parent: Value,
    receipts: Value,
    accounts: BTreeMap<B256, TrieAccount>,
}

impl Chain {
    pub fn new() -> Result<Self, String> {
        let file = small_block::build()?;
        let engine = Engine::builder().backend(lockstep::backend::BackendKind::Cpu).build();
        let engine = engine.map_err(|error| error.to_string())?;
        let output = engine.execute_block(&file.block, &file.state).map_err(|error| error.to_string())?;
        let account = |address: &Address, info: &lockstep::state::AccountInfo| TrieAccount {
            nonce: info.nonce,
            balance: info.balance,
            storage_root: prove(&storage(&file, address), B256::ZERO).0,
            code_hash: info.code_hash,
        };
        let accounts: BTreeMap<_, _> =
            file.state.accounts().map(|(address, info)| (keccak256(address), account(address, info))).collect();
        let env = &file.block.env;
        let blank = alloy_consensus::Header {
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            transactions_root: EMPTY_ROOT_HASH,
            receipts_root: EMPTY_ROOT_HASH,
            gas_limit: env.gas_limit,
            base_fee_per_gas: Some(env.base_fee),
            withdrawals_root: Some(EMPTY_ROOT_HASH),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(env.excess_blob_gas),
            parent_beacon_block_root: Some(B256::ZERO),
            requests_hash: Some(alloy_eips::eip7685::EMPTY_REQUESTS_HASH),
            ..Default::default()
        };
        let parent = alloy_consensus::Header {
            number: env.number - 1,
            timestamp: env.timestamp - 12,
            state_root: prove(&encoded(&accounts), B256::ZERO).0,
            ..blank.clone()
        };
        let header = alloy_consensus::Header {
            number: env.number,
            timestamp: env.timestamp,
            parent_hash: parent.hash_slow(),
            beneficiary: env.beneficiary,
            mix_hash: env.prevrandao,
            transactions_root: output.transactions_root,
            receipts_root: output.receipts_root.ok_or("no receipts root")?,
            logs_bloom: output.logs_bloom,
            gas_used: output.gas_used,
            ..blank
        };
        let mut block = header_json(&header);
        let txs = output.transactions.iter().zip(&output.senders);
        block["transactions"] = txs.map(|(tx, sender)| tx_json(tx, sender)).collect();
        block["withdrawals"] = json!([]);
        Ok(Self { block, parent: header_json(&parent), receipts: receipts_json(&output), accounts, file })
    }

    /// The answer to a call; `None` where this node lacks the method.
    pub fn answer(&self, method: &str, params: &Value) -> Option<Value> {
        let address = || params[0].as_str().and_then(|text| text.parse::<Address>().ok()).unwrap_or_default();
        let info = || self.file.state.account(&address()).ok().flatten().unwrap_or_default();
        let code = |hash: &B256| self.file.state.code(hash).unwrap_or_default();
        let result = match method {
            "eth_chainId" => json!("0x1"),
            "eth_getBlockByNumber" if params[0] == self.block["number"] => self.block.clone(),
            "eth_getBlockByNumber" if params[0] == self.parent["number"] => self.parent.clone(),
            "eth_getBlockByNumber" => Value::Null,
            "eth_getBlockReceipts" => self.receipts.clone(),
            "eth_getBalance" => json!(info().balance),
            "eth_getTransactionCount" => json!(format!("{:#x}", info().nonce)),
            "eth_getCode" if info().code_hash == KECCAK256_EMPTY => json!("0x"),
            "eth_getCode" => json!(code(&info().code_hash)),
            "eth_getStorageAt" => {
                let slot = params[1].as_str().and_then(|text| text.parse::<U256>().ok()).unwrap_or_default();
                json!(B256::from(self.file.state.storage(&address(), &slot).unwrap_or_default()))
            }
            "eth_getProof" => self.proof(&address(), &params[1]),
            _ => return None,
        };
        Some(json!({"result": result}))
    }

    fn proof(&self, address: &Address, slots: &Value) -> Value {
        let account = self.accounts.get(&keccak256(address)).copied().unwrap_or_default();
        let storage = storage(&self.file, address);
        let slot = |text: &Value| {
            let slot: U256 = text.as_str().and_then(|text| text.parse().ok()).unwrap_or_default();
            let value = self.file.state.storage(address, &slot).unwrap_or_default();
            json!({"key": text, "value": value, "proof": prove(&storage, keccak256(B256::from(slot))).1})
        };
        json!({
            "address": address, "balance": account.balance, "nonce": format!("{:#x}", account.nonce), "codeHash": account.code_hash,
            "storageHash": account.storage_root, "accountProof": prove(&encoded(&self.accounts), keccak256(address)).1,
            "storageProof": slots.as_array().into_iter().flatten().map(slot).collect::<Vec<_>>(),
        })
    }
}

fn encoded(accounts: &BTreeMap<B256, TrieAccount>) -> BTreeMap<B256, Vec<u8>> {
    accounts.iter().map(|(key, account)| (*key, alloy_rlp::encode(account))).collect()
}

fn storage(file: &BlockFile, address: &Address) -> BTreeMap<B256, Vec<u8>> {
    let slots = file.state.slots().filter(|(of, _, value)| *of == address && !value.is_zero());
    slots.map(|(_, slot, value)| (keccak256(B256::from(*slot)), alloy_rlp::encode(value))).collect()
}

/// The root of a trie, and the nodes that prove what stands at a key.
fn prove(leaves: &BTreeMap<B256, Vec<u8>>, key: B256) -> (B256, Vec<Bytes>) {
    let target = Nibbles::unpack(key);
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::from_iter([target]));
    for (key, value) in leaves {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    let root = builder.root();
    let nodes = builder.take_proof_nodes().matching_nodes_sorted(&target);
    (root, nodes.into_iter().map(|(_, node)| node).collect())
}

fn quantity(value: u64) -> Value {
    json!(format!("{value:#x}"))
}

fn header_json(header: &alloy_consensus::Header) -> Value {
    json!({
        "hash": header.hash_slow(), "parentHash": header.parent_hash, "sha3Uncles": header.ommers_hash, "miner": header.beneficiary,
        "stateRoot": header.state_root, "transactionsRoot": header.transactions_root, "receiptsRoot": header.receipts_root,
        "logsBloom": header.logs_bloom, "difficulty": header.difficulty, "number": quantity(header.number),
        "gasLimit": quantity(header.gas_limit), "gasUsed": quantity(header.gas_used), "timestamp": quantity(header.timestamp),
        "extraData": header.extra_data, "mixHash": header.mix_hash, "nonce": header.nonce,
        "baseFeePerGas": header.base_fee_per_gas.map(quantity), "withdrawalsRoot": header.withdrawals_root,
        "blobGasUsed": header.blob_gas_used.map(quantity), "excessBlobGas": header.excess_blob_gas.map(quantity),
        "parentBeaconBlockRoot": header.parent_beacon_block_root, "requestsHash": header.requests_hash,
        "transactions": [], "uncles": [], "size": "0x1",
    })
}

fn tx_json(tx: &Transaction, sender: &Address) -> Value {
    let parity = u64::from(tx.signature.y_parity);
    let v = match (tx.tx_type, tx.chain_id) {
        (TxType::Legacy, Some(id)) => 35 + 2 * id + parity,
        (TxType::Legacy, None) => 27 + parity,
        _ => parity,
    };
    let mut json = json!({
        "hash": tx.hash, "type": quantity(tx.tx_type as u64), "from": sender, "nonce": quantity(tx.nonce), "gas": quantity(tx.gas_limit),
        "to": tx.to, "value": tx.value, "input": tx.input, "v": quantity(v), "r": tx.signature.r, "s": tx.signature.s,
        "gasPrice": tx.max_fee_per_gas,
    });
    if tx.tx_type != TxType::Legacy {
        json["chainId"] = tx.chain_id.map_or(Value::Null, quantity);
        json["yParity"] = quantity(parity);
        let entry = |(address, keys): &(Address, Vec<B256>)| json!({"address": address, "storageKeys": keys});
        json["accessList"] = tx.access_list.iter().map(entry).collect();
    }
    if let Some(tip) = tx.max_priority_fee_per_gas {
        json["maxFeePerGas"] = json!(tx.max_fee_per_gas);
        json["maxPriorityFeePerGas"] = json!(tip);
    }
    if tx.tx_type == TxType::Blob {
        json["maxFeePerBlobGas"] = json!(tx.max_fee_per_blob_gas);
        json["blobVersionedHashes"] = json!(tx.blob_hashes);
    }
    if tx.tx_type == TxType::SetCode {
        let entry = |tuple: &lockstep::tx::Authorization| {
            json!({
                "chainId": tuple.chain_id, "address": tuple.address, "nonce": quantity(tuple.nonce), "yParity": quantity(tuple.raw_parity.into()),
                "r": tuple.signature.r, "s": tuple.signature.s,
            })
        };
        json["authorizationList"] = tx.authorizations.iter().map(entry).collect();
    }
    json
}

fn receipts_json(output: &BlockOutput) -> Value {
    let receipt = |receipt: &lockstep::receipt::Receipt| {
        let log =
            |log: &lockstep::outcome::Log| json!({"address": log.address, "topics": log.topics, "data": log.data});
        json!({
            "type": quantity(receipt.tx_type as u64), "status": quantity(receipt.success.into()), "gasUsed": quantity(receipt.gas_used),
            "cumulativeGasUsed": quantity(receipt.cumulative_gas_used), "logs": receipt.logs.iter().map(log).collect::<Vec<_>>(),
            "logsBloom": hex::encode_prefixed(receipt.bloom), "contractAddress": receipt.contract_address,
        })
    };
    output.receipts.iter().map(receipt).collect()
}
