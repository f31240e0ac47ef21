//! The whole pipeline on one screen: decode → recover → plan → lower → execute → validate → fallback → commit → receipts.

use crate::{
    backend::{Backend, BackendError, BackendKind},
    block::{Block, BlockEnv},
    commit::Committed,
    context::{Context, PlacedTx},
    error::{ExecuteError, Invalid, TxError},
    evm::{self, BlockGas, BundleState, Revm, RevmCache},
    forecast::Forecast,
    fork::Fork,
    independent,
    intrinsic::check_intrinsic,
    lanes::Lanes,
    lower::CodeCache,
    metrics,
    offload::Offload,
    outcome::TxOutcome,
    parallel::{self, Schedule, Threads},
    plan::is_call,
    profile::Profile,
    receipt::{self, Receipt},
    recover::{RecoverError, RecoverRequest},
    report::{ExecutionReport, lap},
    router::{Cost, Router, cpu_recover_cost},
    signers::{Decoded, SignerError, SignerRequest, SignerResults, Signers},
    simulate::{
        self, Answer, Call, Columns, IntoCall, Options, Sequence, Simulator, Summary, Template, TemplateResults, Wants,
    },
    state::StateRef,
    submit::{Pending, Progress},
    tx::{DecodeError, Transaction},
    waves::{self, Host},
};
use alloy_primitives::{Address, B256, Bloom};
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder, prelude::*};
use std::{
    io::{self, Write},
    ops::ControlFlow,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// Transactions that a thread decodes at once.
const DECODE_CHUNK: usize = 64;

/// Bytes of raw transactions whose root another thread finds: 0.15 ms of hashing, and waking it takes nearly as long.
const BESIDE_FROM: usize = 1 << 17;

/// What to build an [`Engine`] from.
#[derive(Clone, Debug, Default)]
pub struct EngineBuilder {
    backend: BackendKind,
    opened: Option<Arc<dyn Backend>>,
    offered: Option<Arc<dyn Backend>>,
    router: Option<Router>,
    device: Option<String>,
    threads: Option<usize>,
    schedule: Schedule,
    profile: Profile,
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

    /// A device that is open already, for `auto` to use where it wins, instead of the GPU that it would look for.
    #[must_use]
    pub fn offer_device(mut self, device: Arc<dyn Backend>) -> Self {
        self.offered = Some(device);
        self
    }

    /// Costs that `auto` is to go by instead of measuring its device.
    #[must_use]
    pub const fn router(mut self, router: Router) -> Self {
        self.router = Some(router);
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

    /// How an ordered block is divided among CPU threads; without it one thread runs it.
    #[must_use]
    pub const fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// What is known of blocks to begin with.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Runs every accepted lane's transaction on revm too, takes revm's result where they differ, and reports the difference.
    #[must_use]
    pub const fn cross_check(mut self, on: bool) -> Self {
        self.cross_check = on;
        self
    }

    /// Starts the backend. `auto` looks for a real GPU, measures it against the CPU, and keeps it only where it wins somewhere.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`] where a named backend is not built in or finds no device: never a quiet CPU run.
    pub fn build(self) -> Result<Engine, BackendError> {
        let pool = ThreadPoolBuilder::new().num_threads(self.threads.unwrap_or(0)).build().map_err(no_threads)?;
        let asked = self.device.as_deref();
        let (device, router): (Option<Arc<dyn Backend>>, Option<Router>) = match self.backend {
            _ if self.opened.is_some() => (self.opened, None),
            BackendKind::Auto => {
                let device = self.offered.or_else(|| real_gpu(asked));
                device.and_then(|device| routed(&pool, device, self.router)).unzip()
            }
            BackendKind::Cpu if asked.is_none() => (None, None),
            BackendKind::Cpu => {
                return Err(BackendError::Unavailable(format!(
                    "the cpu backend has no device {:?}",
                    asked.unwrap_or_default()
                )));
            }
            #[cfg(feature = "wgpu")]
            BackendKind::Wgpu => (Some(Arc::new(crate::backend::wgpu::WgpuBackend::open(asked)?)), None),
            kind => return Err(BackendError::Unavailable(format!("{kind} is not part of this build"))),
        };
        if self.backend == BackendKind::Auto && device.is_none() && asked.is_some() {
            tracing::warn!(device = asked, "not used: auto found no GPU of this name that wins, name a backend");
        }
        let offload = Offload::new(pool, device, router).map_err(no_threads)?;
        Ok(Engine {
            offload: Arc::new(offload),
            codes: Arc::default(),
            bytecodes: RevmCache::default(),
            forecast: Arc::new(Mutex::new(self.profile.0)),
            schedule: self.schedule,
            cross_check: self.cross_check,
        })
    }
}

fn no_threads(cause: ThreadPoolBuildError) -> BackendError {
    BackendError::Unavailable(format!("CPU threads: {cause}"))
}

/// The GPU that `auto` considers: never a software adapter, and none that fails its self-test.
fn real_gpu(asked: Option<&str>) -> Option<Arc<dyn Backend>> {
    #[cfg(feature = "wgpu")]
    match crate::backend::wgpu::WgpuBackend::open_gpu(asked) {
        Ok(device) => return Some(Arc::new(device)),
        Err(error) => tracing::info!(%error, "auto is the CPU"),
    }
    #[cfg(not(feature = "wgpu"))]
    let _ = asked;
    None
}

/// A device with its measured rates, if it wins anywhere.
fn routed(pool: &ThreadPool, device: Arc<dyn Backend>, known: Option<Router>) -> Option<(Arc<dyn Backend>, Router)> {
    match known.map_or_else(|| Router::calibrate(pool, &*device), Ok) {
        Ok(router) if router.wins() => Some((device, router)),
        Ok(router) => {
            tracing::info!(?router, device = device.name(), "auto is the CPU: the device is slower");
            None
        }
        Err(error) => {
            tracing::warn!(%error, device = device.name(), "auto is the CPU: the device failed its calibration");
            None
        }
    }
}

/// Runs batches of EVM work and gives exactly what sequential revm gives.
#[derive(Clone, Debug)]
pub struct Engine {
    offload: Arc<Offload>,
    codes: Arc<CodeCache>,
    bytecodes: RevmCache,
    forecast: Arc<Mutex<Forecast>>,
    schedule: Schedule,
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
    /// The state changes as revm's `BundleState` with reverts, on this thread; [`Engine::bundle_state`] uses the engine's.
    pub fn bundle_state(&self) -> BundleState {
        evm::bundle_state(&self.outcomes)
    }
}

impl Engine {
    /// Starts from `auto` on all cores.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// The backend in use, after `auto` has chosen: the CPU, one device, or `auto` where a device helps the CPU.
    pub fn backend_kind(&self) -> BackendKind {
        self.offload.kind()
    }

    /// The device's own name; `revm` on the CPU.
    pub fn backend_name(&self) -> &str {
        self.offload.device.as_ref().map_or("revm", |device| device.name())
    }

    /// Whether blocks are given to a device. If not, revm executes them, one transaction after the other.
    pub fn executes_on_device(&self) -> bool {
        self.offload.named_device().is_some()
    }

    /// CPU threads in use.
    pub fn threads(&self) -> usize {
        self.offload.pool.current_num_threads()
    }

    /// The measured costs by which `auto` divides work between the CPU and a device; `None` where one of them does it all.
    pub fn router(&self) -> Option<&Router> {
        self.offload.router.as_ref()
    }

    /// Measures what work costs on this engine's CPU threads and on `device`, in some tenths of a second; known by heart from then on.
    ///
    /// # Errors
    /// The device fails, or gives other results than the CPU.
    pub fn calibrate(&self, device: &dyn Backend) -> Result<Router, BackendError> {
        Router::calibrate(&self.offload.pool, device)
    }

    /// Measures what a recovery costs on this engine's CPU threads.
    ///
    /// # Errors
    /// [`BackendError::Abi`] where this CPU's fastest engine differs from libsecp256k1.
    pub fn calibrate_cpu(&self) -> Result<Cost, BackendError> {
        cpu_recover_cost(&self.offload.pool)
    }

    /// The signer of each request, in order. What a failing device leaves is done on the CPU. Batches of a few are done on the
    /// calling thread.
    pub fn recover(&self, requests: &[RecoverRequest]) -> Vec<Result<Address, RecoverError>> {
        self.offload.recover(requests)
    }

    /// The sender of each item, in order, and the authorities of its EIP-7702 tuples, all in one batch.
    pub fn recover_signers(&self, items: &[SignerRequest]) -> SignerResults {
        self.offload.recover_items(items, &Progress::default()).unwrap_or_default()
    }

    /// [`Engine::recover_signers`] in the background. Wait for the handle, with a deadline or without, or cancel; dropping it cancels. A batch of a
    /// few is done before this returns.
    pub fn submit(&self, items: Vec<SignerRequest>) -> Pending<SignerResults> {
        self.offload.submit(items)
    }

    /// Keccak-256 of each message, in order. What a failing device leaves is done on the CPU.
    pub fn keccak256(&self, messages: &[&[u8]]) -> Vec<B256> {
        self.offload.keccak256(messages)
    }

    /// Executes an ordered block on `state`: its transactions only, without system calls, withdrawals or rewards.
    ///
    /// # Errors
    /// The first transaction in block order, stage by stage, that does not decode, recover or validate, with its field.
    pub fn execute_block(&self, block: &Block, state: &dyn StateRef) -> Result<BlockOutput, ExecuteError> {
        let start = Instant::now();
        let mut clock = start;
        let mut report = ExecutionReport::default();

        let mut transactions = self.decode(block)?;
        lap(&mut report.time.decode, &mut clock);

        let senders = self.recover_senders(&mut transactions, block.env.fork)?;
        lap(&mut report.time.recover, &mut clock);

        let outcomes = self.execute_transactions(&block.env, &transactions, &senders, state, &mut report)?;
        clock = Instant::now();

        let mut output = finish(block, transactions, senders, outcomes, report, &self.offload.pool);
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
        let before = metrics::before(report);
        let outcomes = match self.lanes() {
            Some(lanes) => {
                let host = Host { pool: &self.offload.pool, forecast: &self.forecast, codes: &self.bytecodes };
                waves::execute(env, transactions, senders, state, &host, lanes, report)
            }
            None if transactions.len() >= self.schedule.from && parallel::supports(env.fork) => {
                let threads = Threads {
                    pool: &self.offload.pool,
                    linger: &self.offload.linger,
                    codes: &self.bytecodes,
                    forecast: &self.forecast,
                    schedule: self.schedule,
                    interrupts: None,
                };
                parallel::execute(env, transactions, senders, state, &threads, report)
            }
            None => execute_in_order(env, transactions, senders, state, &self.bytecodes, report),
        }?;
        metrics::executed(before, report);
        Ok(outcomes)
    }

    /// Executes transactions that have nothing to do with each other, each alone on the state of its context: calls on one
    /// state, or each on its own. In order, exactly what revm gives for each: its outcome, or why it has none. What was
    /// done where is counted in `report`.
    ///
    /// Environments may be of different forks. Transactions of one fork share the device's batches, and contexts of one
    /// state (the same reference) what is read of it.
    ///
    /// # Panics
    /// There are more than [`crate::context::Contexts::MOST`] contexts.
    pub fn execute_each(
        &self,
        contexts: &[Context<'_>],
        txs: &[PlacedTx<'_>],
        report: &mut ExecutionReport,
    ) -> Vec<Result<TxOutcome, TxError>> {
        let before = metrics::before(report);
        let results = independent::execute(contexts, txs, &self.offload.pool, self.lanes(), report);
        metrics::executed(before, report);
        results
    }

    /// Answers calls against one snapshot, each alone, exactly as revm does call by call. Calls are taken as they are needed
    /// and answers given to `sink` in order, with their index, until it breaks off or [`Options::progress`] is cancelled.
    ///
    /// A call that is none, is invalid or cannot be read for has an error as its answer; the others do not notice.
    pub fn simulate<I: IntoIterator<Item: IntoCall>>(
        &self,
        base: &Context<'_>,
        calls: I,
        options: &Options,
        sink: impl FnMut(usize, Answer) -> ControlFlow<()>,
    ) -> Summary {
        self.simulator(base, options).calls(calls, sink)
    }

    /// The same with all answers at once.
    pub fn simulate_all<I: IntoIterator<Item: IntoCall>>(
        &self,
        base: &Context<'_>,
        calls: I,
        options: &Options,
    ) -> (Vec<Answer>, Summary) {
        let mut answers = Vec::new();
        let summary = self.simulate(base, calls, options, |_, answer| {
            answers.push(answer);
            ControlFlow::Continue(())
        });
        (answers, summary)
    }

    /// Answers the calls that a template makes of the rows of columns, as columns. Of [`Options::wants`] only the merged
    /// coverage is heeded.
    ///
    /// # Errors
    /// The columns are not those that the template takes; nothing has run then. A row whose values do not fit has an error
    /// of its own.
    pub fn simulate_template(
        &self,
        base: &Context<'_>,
        template: &Template,
        columns: &Columns,
        options: &Options,
    ) -> Result<TemplateResults, Invalid> {
        let wants = Wants { merged_coverage: options.wants.merged_coverage, ..Wants::default() };
        let options = Options { wants, ..options.clone() };
        let mut results = TemplateResults::with_capacity(columns.rows());
        let summary = self.simulate(base, template.calls(columns)?, &options, |_, answer| {
            results.push(answer);
            ControlFlow::Continue(())
        });
        results.summary = summary;
        Ok(results)
    }

    /// Answers sequences of calls: within a sequence each call sees what those before it did, and nothing of that reaches
    /// another one. One list of answers a sequence, in order; otherwise as [`Engine::simulate`].
    pub fn simulate_sequences<I: IntoIterator<Item = Sequence>>(
        &self,
        base: &Context<'_>,
        sequences: I,
        options: &Options,
        sink: impl FnMut(usize, Vec<Answer>) -> ControlFlow<()>,
    ) -> Summary {
        self.simulator(base, options).sequences(sequences, sink)
    }

    /// Runs the last call of a sequence on revm, after those before it, and writes to `out` what each step did, as it runs:
    /// lines of JSON by EIP-3155.
    ///
    /// # Errors
    /// The inner ones: it is invalid or cannot be read for. Of those before it such a one leaves everything as it is. The outer
    /// ones are those of `out`, and end the call.
    pub fn trace(
        &self,
        base: &Context<'_>,
        calls: &[Call],
        out: Box<dyn Write>,
    ) -> io::Result<Result<TxOutcome, TxError>> {
        simulate::trace(base, calls, out)
    }

    fn simulator<'a>(&'a self, base: &Context<'a>, options: &'a Options) -> Simulator<'a> {
        let pool = &self.offload.pool;
        match self.offload.shared_device() {
            Some((device, route, beside)) => {
                Simulator::new(pool, Some(self.lanes_on(device)), Some((route, beside)), base, options)
            }
            None => Simulator::new(pool, self.lanes(), None, base, options),
        }
    }

    /// What is known of blocks by now; while one runs, it has that.
    pub fn profile(&self) -> Profile {
        Profile(self.forecast.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// [`evm::bundle_state`] of a block's outcomes, on the engine's threads.
    pub fn bundle_state(&self, outcomes: &[TxOutcome]) -> BundleState {
        evm::bundle_state_on(&self.offload.pool, &self.offload.linger, outcomes)
    }

    fn lanes(&self) -> Option<Lanes<'_>> {
        self.offload.named_device().map(|device| self.lanes_on(device))
    }

    fn lanes_on<'a>(&'a self, device: &'a dyn Backend) -> Lanes<'a> {
        Lanes { device, codes: &self.codes, cross_check: self.cross_check }
    }

    /// The engine's threads, for work around what it does.
    #[cfg(feature = "suites")]
    pub(crate) fn pool(&self) -> &ThreadPool {
        &self.offload.pool
    }

    fn decode(&self, block: &Block) -> Result<Vec<Transaction>, ExecuteError> {
        let check = |(tx, decoded): (usize, Result<Transaction, DecodeError>)| {
            let decoded = decoded.map_err(|source| ExecuteError::Decode { tx, source })?;
            check_intrinsic(&decoded, block.env.fork, block.env.chain_id)
                .map_err(|source| ExecuteError::Invalid { tx, source })?;
            Ok(decoded)
        };
        // Checked in order, so that the first error in block order wins whatever the threads do.
        let chunks = || block.transactions.par_chunks(DECODE_CHUNK).flat_map_iter(Transaction::decode_batch);
        let decoded: Vec<_> = if block.transactions.len() <= DECODE_CHUNK {
            Transaction::decode_batch(&block.transactions)
        } else {
            self.offload.pool.install(|| chunks().collect())
        };
        decoded.into_iter().enumerate().map(check).collect()
    }

    /// The senders, and into each EIP-7702 tuple its authority.
    fn recover_senders(&self, transactions: &mut [Transaction], fork: Fork) -> Result<Vec<Address>, ExecuteError> {
        let low_s = fork >= Fork::Homestead;
        let items = transactions.iter().map(|tx| Decoded::of_transaction(tx, low_s)).collect();
        let signers = self.offload.signers(items, &Progress::default()).unwrap_or_default();
        let place = |(tx, (transaction, signers)): (usize, (&mut Transaction, Result<Signers, SignerError>))| {
            let Signers { signer, authorities } = signers.map_err(|source| ExecuteError::signer(tx, source))?;
            for (authorization, authority) in transaction.authorizations.iter_mut().zip(authorities) {
                authorization.authority = Some(authority);
            }
            Ok(signer)
        };
        transactions.iter_mut().zip(signers).enumerate().map(place).collect()
    }
}

/// Everything by revm, each transaction on the prefix committed before it.
fn execute_in_order(
    env: &BlockEnv,
    transactions: &[Transaction],
    senders: &[Address],
    state: &dyn StateRef,
    codes: &RevmCache,
    report: &mut ExecutionReport,
) -> Result<Vec<TxOutcome>, ExecuteError> {
    let mut revm = Revm::sharing(env, Committed::new(state), codes).map_err(ExecuteError::Block)?;
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

/// Receipts, bloom and roots, on the calling thread; where there are many transactions and more threads than one, their root on another.
fn finish(
    block: &Block,
    transactions: Vec<Transaction>,
    senders: Vec<Address>,
    outcomes: Vec<TxOutcome>,
    report: ExecutionReport,
    pool: &ThreadPool,
) -> BlockOutput {
    let of_receipts = || {
        let receipts = Receipt::of_block(&transactions, &outcomes);
        let root = (block.env.fork >= Fork::Byzantium).then(|| receipt::receipts_root(&receipts));
        (receipts, root)
    };
    let of_transactions = || receipt::transactions_root(&block.transactions);
    let bytes: usize = block.transactions.iter().map(|raw| raw.len()).sum();
    let ((receipts, receipts_root), transactions_root) = if bytes >= BESIDE_FROM && pool.current_num_threads() > 1 {
        let mut root = B256::ZERO;
        let receipts = pool.in_place_scope(|scope| {
            scope.spawn(|_| root = of_transactions());
            of_receipts()
        });
        (receipts, root)
    } else {
        (of_receipts(), of_transactions())
    };
    BlockOutput {
        gas_used: receipts.last().map_or(0, |receipt| receipt.cumulative_gas_used),
        logs_bloom: receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.bloom),
        transactions,
        senders,
        outcomes,
        receipts,
        receipts_root,
        transactions_root,
        report,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{block_file::BlockFile, sample::SAMPLE};
    use alloy_trie::root::ordered_trie_root_with_encoder;

    fn repeated<T: Clone>(items: &[T], times: usize) -> Vec<T> {
        std::iter::repeat_n(items, times).flatten().cloned().collect()
    }

    /// Blocks on both sides of the size from which on two threads end them, as one after the other would.
    #[test]
    fn blocks_end_alike_on_one_thread_and_on_two() {
        let BlockFile { block: sample, state, .. } = BlockFile::parse(SAMPLE).unwrap();
        let pools = [1, 2].map(|threads| ThreadPoolBuilder::new().num_threads(threads).build().unwrap());
        let engine = Engine::builder().backend(BackendKind::Cpu).threads(1).build().unwrap();
        let done = engine.execute_block(&sample, &state).unwrap();
        let bytes: usize = sample.transactions.iter().map(|raw| raw.len()).sum();
        for times in [0, 1, BESIDE_FROM.div_ceil(bytes)] {
            let block = Block { transactions: repeated(&sample.transactions, times), ..sample.clone() };
            let (txs, outcomes) = (repeated(&done.transactions, times), repeated(&done.outcomes, times));
            let mut gas_used = 0;
            let mut logs_bloom = Bloom::ZERO;
            let mut receipts = Vec::new();
            for (tx, outcome) in txs.iter().zip(&outcomes) {
                gas_used += outcome.gas_used;
                receipts.push(Receipt::new(tx, outcome, gas_used));
                logs_bloom.accrue_bloom(&receipt::logs_bloom(&outcome.logs));
            }
            let receipts_root = ordered_trie_root_with_encoder(&receipts, |receipt, out| receipt.encode_2718(out));
            let transactions_root =
                ordered_trie_root_with_encoder(&block.transactions, |raw, out| out.extend_from_slice(raw));
            for pool in &pools {
                let (txs, outcomes) = (txs.clone(), outcomes.clone());
                let output = finish(&block, txs, Vec::new(), outcomes, ExecutionReport::default(), pool);
                assert_eq!((output.gas_used, output.logs_bloom), (gas_used, logs_bloom));
                assert_eq!(output.receipts, receipts);
                assert_eq!(output.receipts_root, Some(receipts_root));
                assert_eq!(output.transactions_root, transactions_root);
            }
            let mut before_byzantium = block;
            before_byzantium.env.fork = Fork::SpuriousDragon;
            let report = ExecutionReport::default();
            let output = finish(&before_byzantium, txs, Vec::new(), outcomes, report, &pools[1]);
            assert_eq!(output.receipts_root, None);
        }
    }
}
