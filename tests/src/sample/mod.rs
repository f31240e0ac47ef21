//! The sample block that the `lockstep` binary carries: signed by keys of our own, executed by the reference path, written as a block file.
//!
//! Its fork is Prague, the oldest one with all transaction types: type 4 came with it, and so did the calldata floor of EIP-7623.

pub mod chain;
pub mod scenes;
pub mod world;

use crate::contracts::ContractError;
use alloy_primitives::{Address, Bloom, Bytes, U256, hex, map::AddressMap};
use lockstep::{
    block::{BlobParams, Block, BlockEnv},
    block_file::{BlockFile, Expected, ExpectedResult, TxClaim},
    error::TxError,
    evm,
    fork::Fork,
    outcome::{TxOutcome, TxStatus},
    receipt::{self, Receipt},
    record::Recorder,
    state::StateError,
    tx::{DecodeError, Transaction},
};
use scenes::Step;
use serde_json::{Map, Value, json};
use world::{CHAIN_ID, TIMESTAMP, World};

/// Best compression that unpacks in 8 MiB of window. Part of the file's bytes, as is zstd's version, which `Cargo.lock` holds.
const ZSTD_LEVEL: i32 = 19;

/// The sample could not be built.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// An artefact lacks what a scene uses.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// What was signed does not decode.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A transaction may not stand where the scenes put it.
    #[error("transaction {tx} ({kind}): {source}")]
    Execute {
        /// Its index.
        tx: usize,
        /// What it was meant to be.
        kind: &'static str,
        /// What is wrong with it.
        source: TxError,
    },
    /// The world could not be read back.
    #[error(transparent)]
    State(#[from] StateError),
    /// The packer failed.
    #[error("zstd: {0}")]
    Pack(#[from] std::io::Error),
}

/// The sample block and what its transactions are.
#[derive(Clone, Debug)]
pub struct Sample {
    /// As it is written.
    pub file: BlockFile,
    /// A word for each transaction.
    pub kinds: Vec<&'static str>,
    /// How each ended: the block file does not tell a revert from a halt.
    pub statuses: Vec<TxStatus>,
}

/// The bytes of `host/sample/block.json.zst`.
///
/// # Errors
/// See [`SampleError`].
pub fn packed() -> Result<Vec<u8>, SampleError> {
    let json = build()?.file.to_json().to_string();
    Ok(zstd::bulk::compress(json.as_bytes(), ZSTD_LEVEL)?)
}

/// Builds the sample: the same on every call.
///
/// # Errors
/// See [`SampleError`].
pub fn build() -> Result<Sample, SampleError> {
    let world = World::new()?;
    let env = env(&world);
    let steps = interleave(scenes::all(&world)?);
    let kinds: Vec<_> = steps.iter().map(|step| step.kind).collect();
    let senders: Vec<_> = steps.iter().map(|step| step.from.address()).collect();
    let raw = sign(steps, &mut AddressMap::default());
    let txs: Vec<_> = raw.iter().map(|raw| Transaction::decode(raw)).collect::<Result<_, _>>()?;

    let recorder = Recorder::new(&world.state);
    let execute = |(tx, source): (usize, TxError)| SampleError::Execute {
        tx,
        kind: kinds.get(tx).copied().unwrap_or_default(),
        source,
    };
    let outcomes = evm::sequential(&env, &txs, &senders, &recorder).map_err(execute)?.outcomes;

    let mut gas_used = 0;
    let receipt = |(tx, outcome): (&Transaction, &TxOutcome)| {
        gas_used += outcome.gas_used;
        Receipt::new(tx, outcome, gas_used)
    };
    let receipts: Vec<_> = txs.iter().zip(&outcomes).map(receipt).collect();
    let expected = expected(&receipts, &raw);
    let blob_gas = txs.iter().map(Transaction::blob_gas).sum();
    let file = BlockFile {
        source: Some("built and signed by lockstep-tests: cargo run -p lockstep-tests --bin generate".to_owned()),
        header: header(&env, &expected, blob_gas),
        withdrawals: json!([]),
        claims: txs.iter().zip(&senders).map(|(tx, sender)| TxClaim { hash: tx.hash, sender: *sender }).collect(),
        state: recorder.read_part()?,
        expected,
        block: Block { env, transactions: raw },
    };
    Ok(Sample { file, kinds, statuses: outcomes.iter().map(|outcome| outcome.status).collect() })
}

fn env(world: &World) -> BlockEnv {
    BlockEnv {
        chain_id: CHAIN_ID,
        fork: Fork::Prague,
        number: 1_000_000,
        timestamp: TIMESTAMP,
        beneficiary: world.beneficiary.address(),
        gas_limit: 60_000_000,
        base_fee: scenes::GWEI,
        difficulty: U256::ZERO,
        prevrandao: alloy_primitives::keccak256("lockstep sample prevrandao"),
        excess_blob_gas: 20 << 20,
        blob_params: BlobParams::of(Fork::Prague),
        blob_price: None,
    }
}

/// All scenes at once, each in its own order and spread over the whole block.
fn interleave(scenes: Vec<Vec<Step>>) -> Vec<Step> {
    let mut placed = Vec::new();
    for scene in scenes {
        let len = scene.len() as u64;
        placed.extend(scene.into_iter().zip(0_u64..).map(|(step, i)| (((2 * i + 1) << 32) / len, step)));
    }
    // Stable, so that steps at the same place keep the order of the scenes.
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, step)| step).collect()
}

/// Numbers each sender's transactions and each authority's tuples in block order, from `nonces` on, then signs.
fn sign(steps: Vec<Step>, nonces: &mut AddressMap<u64>) -> Vec<Bytes> {
    let mut next = |address: Address| {
        let nonce = nonces.entry(address).or_default();
        *nonce += 1;
        *nonce - 1
    };
    let sign_step = |mut step: Step| {
        step.tx.nonce = next(step.from.address());
        for delegation in &step.delegations {
            // A tuple for another chain is passed over and uses no nonce.
            let nonce = if delegation.chain_id == CHAIN_ID { next(delegation.authority.address()) } else { 0 };
            step.tx.authorizations.push(delegation.authority.authorize(delegation.chain_id, delegation.to, nonce));
        }
        step.from.sign(&step.tx)
    };
    steps.into_iter().map(sign_step).collect()
}

fn expected(receipts: &[Receipt], raw: &[Bytes]) -> Expected {
    let result = |receipt: &Receipt| ExpectedResult {
        status: Some(receipt.success),
        gas_used: receipt.gas_used,
        logs: receipt.logs.len() as u64,
        logs_hash: receipt::logs_hash(&receipt.logs),
        contract_address: receipt.contract_address,
    };
    Expected {
        gas_used: receipts.last().map_or(0, |receipt| receipt.cumulative_gas_used),
        receipts_root: receipt::receipts_root(receipts),
        receipts_root_checked: true,
        logs_bloom: receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.bloom),
        transactions_root: receipt::transactions_root(raw),
        results: receipts.iter().map(result).collect(),
    }
}

/// RPC names. Without hash and state root, which a block without a chain does not have.
fn header(env: &BlockEnv, expected: &Expected, blob_gas: u64) -> Map<String, Value> {
    let number = |value: u64| json!(format!("{value:#x}"));
    let bytes = |bytes: &[u8]| json!(hex::encode_prefixed(bytes));
    let fields = [
        ("number", number(env.number)),
        ("timestamp", number(env.timestamp)),
        ("miner", bytes(env.beneficiary.as_slice())),
        ("gasLimit", number(env.gas_limit)),
        ("gasUsed", number(expected.gas_used)),
        ("baseFeePerGas", number(env.base_fee)),
        ("difficulty", number(0)),
        ("mixHash", bytes(env.prevrandao.as_slice())),
        ("blobGasUsed", number(blob_gas)),
        ("excessBlobGas", number(env.excess_blob_gas)),
        ("transactionsRoot", bytes(expected.transactions_root.as_slice())),
        ("receiptsRoot", bytes(expected.receipts_root.as_slice())),
        ("logsBloom", bytes(expected.logs_bloom.as_slice())),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep::{state::StateRef, tx::TxType};
    use std::collections::HashSet;

    #[test]
    fn two_builds_are_the_same_bytes_and_read_back_as_built() {
        let bytes = packed().unwrap();
        assert_eq!(bytes, packed().unwrap());
        assert_eq!(BlockFile::parse(&bytes).unwrap(), build().unwrap().file);
        assert!(bytes.len() < 200 << 10, "{} bytes are too many to carry along", bytes.len());
    }

    #[test]
    fn every_transaction_ends_as_its_scene_means_it() {
        let sample = build().unwrap();
        for (tx, (kind, status)) in sample.kinds.iter().zip(&sample.statuses).enumerate() {
            match *kind {
                "creation" => {}
                "revert" => assert_eq!(*status, TxStatus::Revert, "transaction {tx}"),
                "halt" | "out of gas" => assert_eq!(*status, TxStatus::Halt, "transaction {tx}"),
                kind => assert_eq!(*status, TxStatus::Success, "transaction {tx}: {kind}"),
            }
        }
        let creations = sample.kinds.iter().zip(&sample.statuses).filter(|(kind, _)| **kind == "creation");
        let ends: HashSet<_> = creations.map(|(_, status)| format!("{status:?}")).collect();
        assert_eq!(ends.len(), 3, "one way to end is missing among creations: {ends:?}");
    }

    #[test]
    fn the_sample_has_what_it_is_there_to_show() {
        let BlockFile { block, state, claims, .. } = build().unwrap().file;
        let txs: Vec<_> = block.transactions.iter().map(|raw| Transaction::decode(raw).unwrap()).collect();
        for tx_type in [TxType::Legacy, TxType::AccessList, TxType::DynamicFee, TxType::Blob, TxType::SetCode] {
            assert!(txs.iter().any(|tx| tx.tx_type == tx_type), "no {tx_type:?}");
        }
        assert!(txs.iter().any(|tx| tx.chain_id.is_none()), "none without EIP-155");
        let absent = |address: &Address| state.account(address).unwrap().is_none();
        assert!(claims.iter().any(|claim| absent(&claim.sender)), "no sender that the block itself funds");
        assert!(claims.iter().any(|claim| claim.sender == block.env.beneficiary) && absent(&block.env.beneficiary));
    }
}
