//! A node's loop over a chain of blocks, generic over who executes them, and what it keeps of each. The tests run the same.

use alloy_consensus::{Header, ReceiptEnvelope, TxEnvelope, transaction::SignerRecoverable};
use alloy_eips::{Decodable2718, eip4895::Withdrawal, eip7840::BlobParams};
use alloy_evm::{
    EvmEnv, EvmFactory, FromRecoveredTx,
    block::{BlockExecutionResult, BlockExecutor, BlockExecutorFactory},
    eth::{EthBlockExecutionCtx, EthEvmFactory},
    revm::{
        context::TxEnv,
        database::{BundleState, InMemoryDB, State, states::bundle_state::BundleRetention},
    },
};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{Address, B256, Bytes, U256};
use lockstep::{
    alloy_evm::ReadyTx, block::MAX_BLOBS_PER_TX_OSAKA, block_file::BlockFile, fork::Fork, memory::MemoryState,
    state::StateRef,
};
use revm::{bytecode::Bytecode, state::AccountInfo};
use serde_json::Value;
use std::{borrow::Cow, collections::BTreeSet, error::Error, str::FromStr};

/// A block as a node has it.
#[derive(Clone, Debug)]
pub struct NodeBlock {
    /// The header.
    pub header: Header,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Of the block's time.
    pub blob_params: Option<BlobParams>,
    /// EIP-2718 bytes.
    pub transactions: Vec<Bytes>,
    /// EIP-4895.
    pub withdrawals: Vec<Withdrawal>,
}

impl NodeBlock {
    /// The block of a file.
    ///
    /// # Errors
    /// The header lacks something, or a withdrawal is none.
    pub fn of_file(file: &BlockFile) -> Result<Self, Box<dyn Error>> {
        let env = &file.block.env;
        let fixed = |name: &str| file.header.get(name).map(text::<B256>).transpose();
        let header = Header {
            parent_hash: fixed("parentHash")?.unwrap_or_default(),
            parent_beacon_block_root: fixed("parentBeaconBlockRoot")?
                .or((env.fork >= Fork::Cancun).then_some(B256::ZERO)),
            number: env.number,
            timestamp: env.timestamp,
            beneficiary: env.beneficiary,
            gas_limit: env.gas_limit,
            base_fee_per_gas: (env.fork >= Fork::London).then_some(env.base_fee),
            difficulty: env.difficulty,
            mix_hash: env.prevrandao,
            excess_blob_gas: (env.fork >= Fork::Cancun).then_some(env.excess_blob_gas),
            ..Header::default()
        };
        let withdrawals =
            file.withdrawals.as_array().into_iter().flatten().map(withdrawal).collect::<Result<_, _>>()?;
        Ok(Self {
            header,
            chain_id: env.chain_id,
            blob_params: env.blob_params.map(|params| blob_params(env.fork, params)),
            transactions: file.block.transactions.clone(),
            withdrawals,
        })
    }
}

/// As alloy has them.
pub fn blob_params(fork: Fork, params: lockstep::block::BlobParams) -> BlobParams {
    let most = if fork >= Fork::Osaka { params.max.min(MAX_BLOBS_PER_TX_OSAKA) } else { params.max };
    BlobParams {
        target_blob_count: params.target,
        max_blob_count: params.max,
        update_fraction: params.update_fraction.into(),
        max_blobs_per_tx: most,
        ..BlobParams::cancun()
    }
}

fn withdrawal(item: &Value) -> Result<Withdrawal, Box<dyn Error>> {
    let number = |name: &str| text::<U256>(&item[name]).map(|number| number.to());
    Ok(Withdrawal {
        index: number("index")?,
        validator_index: number("validatorIndex")?,
        address: text::<Address>(&item["address"])?,
        amount: number("amount")?,
    })
}

fn text<T: FromStr<Err: Error + 'static>>(value: &Value) -> Result<T, Box<dyn Error>> {
    Ok(value.as_str().ok_or_else(|| format!("{value} is no string"))?.parse()?)
}

/// The states of block files as a database; what an earlier one says of a key wins, since a later one tells of a later time.
///
/// # Errors
/// A code is missing.
pub fn database(states: &[&MemoryState]) -> Result<InMemoryDB, Box<dyn Error>> {
    let mut db = InMemoryDB::default();
    for state in states {
        for (address, info) in state.accounts() {
            if db.cache.accounts.contains_key(address) {
                continue;
            }
            let code = info.has_code().then(|| state.code(&info.code_hash).map(Bytecode::new_raw)).transpose()?;
            let info =
                AccountInfo { code, ..AccountInfo::new(info.balance, info.nonce, info.code_hash, Bytecode::new()) };
            db.insert_account_info(*address, info);
        }
        for (address, slot, value) in state.slots() {
            db.cache.accounts.entry(*address).or_default().storage.entry(*slot).or_insert(*value);
        }
        for (number, hash) in state.block_hashes() {
            db.cache.block_hashes.entry(U256::from(number)).or_insert(*hash);
        }
    }
    Ok(db)
}

/// The factories that the loop takes: for Ethereum's transactions, receipts and blocks.
pub trait NodeFactory:
    for<'a> BlockExecutorFactory<
        EvmFactory = EthEvmFactory,
        ExecutionCtx<'a> = EthBlockExecutionCtx<'a>,
        Transaction = TxEnvelope,
        Receipt = ReceiptEnvelope,
    >
{
}

impl<F> NodeFactory for F where
    F: for<'a> BlockExecutorFactory<
            EvmFactory = EthEvmFactory,
            ExecutionCtx<'a> = EthBlockExecutionCtx<'a>,
            Transaction = TxEnvelope,
            Receipt = ReceiptEnvelope,
        >
{
}

/// What system calls and payments need of a block.
pub fn ctx(block: &NodeBlock) -> EthBlockExecutionCtx<'_> {
    EthBlockExecutionCtx {
        parent_hash: block.header.parent_hash,
        parent_beacon_block_root: block.header.parent_beacon_block_root,
        ommers: &[],
        withdrawals: Some(Cow::Borrowed(&block.withdrawals)),
        extra_data: block.header.extra_data.clone(),
        tx_count_hint: Some(block.transactions.len()),
        slot_number: None,
    }
}

/// What a node keeps of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Receipts, requests and gas of each block.
    pub results: Vec<BlockExecutionResult<ReceiptEnvelope>>,
    /// Changes of state, with reverts block by block.
    pub bundle: BundleState,
}

/// Executes blocks one after the other. `ready` recovers a block's transactions.
///
/// # Errors
/// A block is invalid.
pub fn run<F: NodeFactory>(
    factory: &F,
    spec: impl EthereumHardforks,
    db: &InMemoryDB,
    blocks: &[NodeBlock],
    ready: impl Fn(Vec<TxEnvelope>) -> Result<Vec<ReadyTx>, Box<dyn Error>>,
) -> Result<Kept, Box<dyn Error>> {
    let mut state = State::builder().with_database_ref(db).with_bundle_update().build();
    let mut results = Vec::new();
    for block in blocks {
        let NodeBlock { header, chain_id, blob_params, transactions, .. } = block;
        let txs = transactions.iter().map(|raw| TxEnvelope::decode_2718_exact(raw)).collect::<Result<_, _>>()?;
        let env = EvmEnv::for_eth_block(header, &spec, *chain_id, *blob_params);
        let evm = factory.evm_factory().create_evm(&mut state, env);
        let result = factory.create_executor(evm, ctx(block)).execute_block(ready(txs)?);
        results.push(result.map_err(|error| format!("block {}: {error}", header.number))?);
        state.merge_transitions(BundleRetention::Reverts);
    }
    Ok(Kept { results, bundle: state.take_bundle() })
}

/// Recovery as alloy does it: each sender by itself, and each EIP-7702 authority when its transaction's turn comes.
///
/// # Errors
/// A transaction has no sender.
pub fn one_by_one(txs: Vec<TxEnvelope>) -> Result<Vec<ReadyTx>, Box<dyn Error>> {
    let ready = |tx: TxEnvelope| {
        let recovered = tx.try_into_recovered_unchecked()?;
        Ok((TxEnv::from_recovered_tx(recovered.inner(), recovered.signer()), recovered))
    };
    txs.into_iter().map(ready).collect()
}

/// The first thing in which two runs differ.
pub fn difference(one: &Kept, other: &Kept) -> Option<String> {
    if one.results.len() != other.results.len() {
        return Some(format!("{} blocks and {}", one.results.len(), other.results.len()));
    }
    for (block, (one, other)) in one.results.iter().zip(&other.results).enumerate() {
        for (tx, (one, other)) in one.receipts.iter().zip(&other.receipts).enumerate() {
            if one != other {
                return Some(format!("block {block}, receipt {tx}: {one:?} and {other:?}"));
            }
        }
        let [one_summary, other_summary] =
            [one, other].map(|kept| (kept.receipts.len(), kept.gas_used, kept.blob_gas_used, &kept.requests));
        if one_summary != other_summary {
            return Some(format!(
                "block {block}, receipts, gas, blob gas, requests: {one_summary:?} and {other_summary:?}"
            ));
        }
    }
    let addresses: BTreeSet<_> = one.bundle.state.keys().chain(other.bundle.state.keys()).collect();
    for address in addresses {
        let [one, other] = [one, other].map(|kept| kept.bundle.state.get(address));
        if one != other {
            return Some(format!("account {address}: {one:?} and {other:?}"));
        }
    }
    if one.bundle.reverts != other.bundle.reverts {
        return Some("the reverts".into());
    }
    (one.bundle != other.bundle).then(|| "the bundles".into())
}
