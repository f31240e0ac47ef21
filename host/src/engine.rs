//! The whole pipeline on one screen: decode → recover → plan → lower → execute → validate → fallback → commit → receipts.

use crate::{
    backend::{Backend, BackendError, BackendKind},
    block::{Block, BlockEnv},
    commit::Committed,
    error::{ExecuteError, Invalid},
    evm::{self, BlockGas, BundleState, Revm},
    fork::Fork,
    intrinsic::check_intrinsic,
    keccak,
    outcome::TxOutcome,
    plan::is_call,
    receipt::{self, Receipt},
    recover::{self, RecoverError, RecoverRequest, sender_request},
    report::{ExecutionReport, lap},
    state::{StateError, StateRef},
    tx::Transaction,
    waves,
};
use alloy_primitives::{Address, B256, Bloom};
use rayon::{ThreadPool, ThreadPoolBuilder, prelude::*};
use std::{sync::Arc, time::Instant};

/// Below this many transactions or messages threads cost more than they give.
const PARALLEL_FROM: usize = 64;

/// Messages that a thread hashes at once: full lanes of every engine.
const KECCAK_CHUNK: usize = 64;

/// What to build an [`Engine`] from.
#[derive(Clone, Debug, Default)]
pub struct EngineBuilder {
    backend: BackendKind,
    opened: Option<Arc<dyn Backend>>,
    device: Option<String>,
    threads: Option<usize>,
    cross_check: bool,
}

impl EngineBuilder {
    /// Which backend; `auto` if not called.
    #[must_use]
    pub const fn backend(mut self, kind: BackendKind) -> Self {
        self.backend = kind;
        self
    }

    /// A device that is open already, instead of a kind: to share one, or to bring one of your own.
    #[must_use]
    pub fn with_device(mut self, device: Arc<dyn Backend>) -> Self {
        self.opened = Some(device);
        self
    }

    /// Part of an adapter's name, or its index in `lockstep devices`.
    #[must_use]
    pub fn device(mut self, device: Option<String>) -> Self {
        self.device = device;
        self
    }

    /// CPU threads; zero, or not calling it, means all cores.
    #[must_use]
    pub const fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Runs every accepted lane's transaction on revm too, takes revm's result where they differ, and reports the difference.
    #[must_use]
    pub const fn cross_check(mut self, on: bool) -> Self {
        self.cross_check = on;
        self
    }

    /// Starts the backend.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`] where a named backend is not built in or finds no device: never a quiet CPU run.
    pub fn build(self) -> Result<Engine, BackendError> {
        let device: Option<Arc<dyn Backend>> = match self.backend {
            _ if self.opened.is_some() => self.opened,
            // The router that lets a device win comes with its measured rates; until then only a name chooses one.
            BackendKind::Auto | BackendKind::Cpu => None,
            #[cfg(feature = "wgpu")]
            BackendKind::Wgpu => Some(Arc::new(crate::backend::wgpu::WgpuBackend::open(self.device.as_deref())?)),
            kind => return Err(BackendError::Unavailable(format!("{kind} is not part of this build"))),
        };
        if let (None, Some(asked)) = (&device, &self.device) {
            if self.backend == BackendKind::Cpu {
                return Err(BackendError::Unavailable(format!("the cpu backend has no device {asked:?}")));
            }
            tracing::warn!(device = asked, "not used: auto is the CPU, name a backend");
        }
        let pool = ThreadPoolBuilder::new()
            .num_threads(self.threads.unwrap_or(0))
            .build()
            .map_err(|cause| BackendError::Unavailable(format!("CPU threads: {cause}")))?;
        Ok(Engine { pool, device, cross_check: self.cross_check })
    }
}

/// Runs batches of EVM work and gives exactly what sequential revm gives.
#[derive(Debug)]
pub struct Engine {
    pool: ThreadPool,
    device: Option<Arc<dyn Backend>>,
    cross_check: bool,
}

/// What executing a block yields.
#[derive(Clone, Debug)]
pub struct BlockOutput {
    /// Decoded transactions.
    pub transactions: Vec<Transaction>,
    /// Recovered senders.
    pub senders: Vec<Address>,
    /// Results and state changes of each transaction, with the values before: all that a revert needs.
    pub outcomes: Vec<TxOutcome>,
    /// One a transaction.
    pub receipts: Vec<Receipt>,
    /// Of the whole block.
    pub gas_used: u64,
    /// Of all logs.
    pub logs_bloom: Bloom,
    /// `None` before Byzantium, where receipts hold intermediate state roots.
    pub receipts_root: Option<B256>,
    /// Over the raw transactions.
    pub transactions_root: B256,
    /// Routes, fallbacks, time.
    pub report: ExecutionReport,
}

impl BlockOutput {
    /// The state changes as revm's `BundleState` with reverts. `state` must be the one that the block was executed on.
    ///
    /// # Errors
    /// Accounts are loaded from `state` again.
    pub fn bundle_state(&self, state: &dyn StateRef) -> Result<BundleState, StateError> {
        evm::bundle_state(state, &self.outcomes)
    }
}

impl Engine {
    /// Starts from `auto` on all cores.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// The backend in use, after `auto` has chosen.
    pub fn backend_kind(&self) -> BackendKind {
        self.device.as_ref().map_or(BackendKind::Cpu, |device| device.kind())
    }

    /// The device's own name; `revm` on the CPU.
    pub fn backend_name(&self) -> &str {
        self.device.as_ref().map_or("revm", |device| device.name())
    }

    /// CPU threads in use.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// The signer of each request, in order. What a failing device leaves is done on the CPU.
    pub fn recover(&self, requests: &[RecoverRequest]) -> Vec<Result<Address, RecoverError>> {
        if let Some(results) = self.on_device("recover", |device| device.recover(requests)) {
            return results;
        }
        self.pool.install(|| recover::recover_parallel(recover::Engine::best(), requests))
    }

    /// Keccak-256 of each message, in order. What a failing device leaves is done on the CPU.
    pub fn keccak256(&self, messages: &[&[u8]]) -> Vec<B256> {
        if let Some(hashes) = self.on_device("keccak256", |device| device.keccak256(messages)) {
            return hashes;
        }
        let engine = keccak::Engine::best();
        let mut hashes = vec![B256::ZERO; messages.len()];
        if messages.len() <= KECCAK_CHUNK {
            keccak::keccak256_batch(engine, messages, &mut hashes);
            return hashes;
        }
        let chunks = messages.par_chunks(KECCAK_CHUNK).zip(hashes.par_chunks_mut(KECCAK_CHUNK));
        self.pool.install(|| chunks.for_each(|(messages, hashes)| keccak::keccak256_batch(engine, messages, hashes)));
        hashes
    }

    fn on_device<T>(&self, what: &str, run: impl FnOnce(&dyn Backend) -> Result<T, BackendError>) -> Option<T> {
        let device = self.device.as_deref()?;
        run(device).inspect_err(|error| tracing::warn!(%error, what, "the device failed, the CPU takes over")).ok()
    }

    /// Executes an ordered block on `state`: its transactions only, without system calls, withdrawals or rewards.
    ///
    /// # Errors
    /// The first transaction in block order, stage by stage, that does not decode, recover or validate, with its field.
    pub fn execute_block(&self, block: &Block, state: &dyn StateRef) -> Result<BlockOutput, ExecuteError> {
        let start = Instant::now();
        let mut clock = start;
        let mut report = ExecutionReport::default();

        let transactions = self.decode(block)?;
        lap(&mut report.time.decode, &mut clock);

        let senders = self.senders(&transactions, block.env.fork)?;
        lap(&mut report.time.recover, &mut clock);

        let outcomes = self.execute_transactions(&block.env, &transactions, &senders, state, &mut report)?;
        clock = Instant::now();

        let mut output = finish(block, transactions, senders, outcomes, report);
        lap(&mut output.report.time.commit, &mut clock);
        output.report.time.total = start.elapsed();
        Ok(output)
    }

    /// Executes decoded transactions whose senders are known, in order: the outcomes alone, counted and timed in `report`.
    ///
    /// # Errors
    /// The first transaction that may not stand at its place, with its field, or whose state could not be read.
    pub fn execute_transactions(
        &self,
        env: &BlockEnv,
        transactions: &[Transaction],
        senders: &[Address],
        state: &dyn StateRef,
        report: &mut ExecutionReport,
    ) -> Result<Vec<TxOutcome>, ExecuteError> {
        if senders.len() != transactions.len() {
            let reason = format!("{} for {} transactions", senders.len(), transactions.len());
            return Err(ExecuteError::Block(Invalid::new("senders", reason)));
        }
        match &self.device {
            Some(device) => waves::execute(env, transactions, senders, state, &**device, self.cross_check, report),
            None => execute_in_order(env, transactions, senders, state, report),
        }
    }

    fn decode(&self, block: &Block) -> Result<Vec<Transaction>, ExecuteError> {
        let decode = |(tx, raw): (usize, &alloy_primitives::Bytes)| {
            let decoded = Transaction::decode(raw).map_err(|source| ExecuteError::Decode { tx, source })?;
            check_intrinsic(&decoded, block.env.fork, block.env.chain_id)
                .map_err(|source| ExecuteError::Invalid { tx, source })?;
            Ok(decoded)
        };
        // Collected in two steps, so that the first error in block order wins whatever the threads do.
        let decoded: Vec<_> = if block.transactions.len() < PARALLEL_FROM {
            block.transactions.iter().enumerate().map(decode).collect()
        } else {
            self.pool.install(|| block.transactions.par_iter().enumerate().with_min_len(16).map(decode).collect())
        };
        decoded.into_iter().collect()
    }

    fn senders(&self, transactions: &[Transaction], fork: Fork) -> Result<Vec<Address>, ExecuteError> {
        let requests: Vec<_> = transactions.iter().map(|tx| sender_request(tx, fork)).collect();
        self.recover(&requests)
            .into_iter()
            .enumerate()
            .map(|(tx, sender)| sender.map_err(|source| ExecuteError::Recover { tx, source }))
            .collect()
    }
}

/// Everything by revm, each transaction on the prefix committed before it.
fn execute_in_order(
    env: &BlockEnv,
    transactions: &[Transaction],
    senders: &[Address],
    state: &dyn StateRef,
    report: &mut ExecutionReport,
) -> Result<Vec<TxOutcome>, ExecuteError> {
    let mut revm = Revm::new(env, Committed::new(state)).map_err(ExecuteError::Block)?;
    let mut gas = BlockGas::default();
    let mut outcomes = Vec::with_capacity(transactions.len());
    let mut clock = Instant::now();
    for (index, (tx, sender)) in transactions.iter().zip(senders).enumerate() {
        let invalid = |source: Invalid| ExecuteError::Invalid { tx: index, source };
        gas.check(env, tx).map_err(invalid)?;
        let is_call = is_call(tx, revm.state()).map_err(|source| ExecuteError::State { tx: index, source })?;
        let outcome = revm.transact(tx, *sender).map_err(|error| ExecuteError::at(index, error))?;
        gas.add(tx, outcome.gas_used);
        report.cpu.add(is_call, outcome.gas_used);
        revm.state_mut().commit(&outcome);
        outcomes.push(outcome);
    }
    lap(&mut report.time.fallback, &mut clock);
    Ok(outcomes)
}

/// Receipts, bloom and roots.
fn finish(
    block: &Block,
    transactions: Vec<Transaction>,
    senders: Vec<Address>,
    outcomes: Vec<TxOutcome>,
    report: ExecutionReport,
) -> BlockOutput {
    let mut gas_used = 0;
    let mut logs_bloom = Bloom::ZERO;
    let mut receipts = Vec::with_capacity(outcomes.len());
    for (tx, outcome) in transactions.iter().zip(&outcomes) {
        gas_used += outcome.gas_used;
        let receipt = Receipt::new(tx, outcome, gas_used);
        logs_bloom |= receipt.bloom;
        receipts.push(receipt);
    }
    let receipts_root = (block.env.fork >= Fork::Byzantium).then(|| receipt::receipts_root(&receipts));
    let transactions_root = receipt::transactions_root(&block.transactions);
    BlockOutput {
        transactions,
        senders,
        outcomes,
        receipts,
        gas_used,
        logs_bloom,
        receipts_root,
        transactions_root,
        report,
    }
}
