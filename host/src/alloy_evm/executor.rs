//! alloy-evm's Ethereum executor with the transactions of a block executed by Lockstep.

use super::{
    Snapshot,
    served::{Key, serve},
    tally::{Counter, Tally, Wrapped},
};
use crate::{
    block,
    engine::Engine,
    error::ExecuteError,
    evm::{env_of, result_of, transaction_of},
    outcome::TxOutcome,
    report::ExecutionReport,
    state::StateRef,
    tx::Transaction,
};
use alloy_consensus::{Transaction as _, TransactionEnvelope, TxReceipt};
use alloy_eips::Encodable2718;
use alloy_evm::{
    Evm, EvmFactory, FromRecoveredTx, FromTxWithEncoded, RecoveredTx,
    block::{
        BlockExecutionError, BlockExecutionResult, BlockExecutor, BlockExecutorFactory, BlockValidationError,
        ExecutableTx, ExecutableTxParts, GasOutput, InternalBlockExecutionError, StateDB,
    },
    eth::{
        EthBlockExecutionCtx, EthBlockExecutor, EthBlockExecutorFactory, EthEvmFactory, EthTxResult,
        receipt_builder::{AlloyReceiptBuilder, ReceiptBuilder},
        spec::{EthExecutorSpec, EthSpec},
    },
    revm::{
        Database, Inspector,
        context::{Block as _, BlockEnv, Cfg, TxEnv, result::HaltReason},
        inspector::NoOpInspector,
        primitives::hardfork::SpecId,
    },
};
use alloy_primitives::{Address, Log, U256};
use std::{any::type_name, fmt};

/// Makes executors as [`EthBlockExecutorFactory`] does, whose `execute_block` runs the transactions through an [`Engine`].
///
/// `R` builds the receipts and `Spec` is the chain's, as there. The EVM is alloy-evm's for Ethereum, since a factory of another one
/// may have other instructions. A precompile that is replaced at run time must give what Ethereum's gives.
#[derive(Clone, Debug)]
pub struct LockstepBlockExecutorFactory<R = AlloyReceiptBuilder, Spec = EthSpec> {
    wrapped: EthBlockExecutorFactory<R, Spec, EthEvmFactory>,
    engine: Engine,
    counter: Counter,
    without_device: bool,
}

impl<R, Spec> LockstepBlockExecutorFactory<R, Spec> {
    /// Wraps a factory.
    pub fn new(engine: Engine, wrapped: EthBlockExecutorFactory<R, Spec, EthEvmFactory>) -> Self {
        Self { wrapped, engine, counter: Counter::default(), without_device: false }
    }

    /// Whether an engine that executes blocks on the CPU does so here too. Off at first: it runs revm as the wrapped executor does,
    /// and only the way there and back would come on top. To compare the two it must be on.
    #[must_use]
    pub const fn without_device(mut self, on: bool) -> Self {
        self.without_device = on;
        self
    }

    /// The engine, for what goes around execution: see [`super::recover_txs`].
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The wrapped factory.
    pub const fn wrapped(&self) -> &EthBlockExecutorFactory<R, Spec, EthEvmFactory> {
        &self.wrapped
    }

    /// What the executors of this factory, and of its clones, have done so far.
    pub fn tally(&self) -> Tally {
        self.counter.tally()
    }
}

impl<R, Spec> BlockExecutorFactory for LockstepBlockExecutorFactory<R, Spec>
where
    R: ReceiptBuilder<Transaction: alloy_consensus::Transaction + Encodable2718, Receipt: TxReceipt<Log = Log>>
        + 'static,
    Spec: EthExecutorSpec + 'static,
    <R::Transaction as TransactionEnvelope>::TxType: Send + 'static,
    TxEnv: FromRecoveredTx<R::Transaction> + FromTxWithEncoded<R::Transaction>,
{
    type EvmFactory = EthEvmFactory;
    type TxExecutionResult = EthTxResult<HaltReason, <R::Transaction as TransactionEnvelope>::TxType>;
    type ExecutionCtx<'a> = EthBlockExecutionCtx<'a>;
    type Transaction = R::Transaction;
    type Receipt = R::Receipt;
    type Executor<'a, DB: StateDB, I: Inspector<<EthEvmFactory as EvmFactory>::Context<DB>>> =
        LockstepBlockExecutor<'a, <EthEvmFactory as EvmFactory>::Evm<DB, I>, &'a Spec, &'a R>;

    fn evm_factory(&self) -> &Self::EvmFactory {
        self.wrapped.evm_factory()
    }

    fn create_executor<'a, DB, I>(
        &'a self,
        evm: <EthEvmFactory as EvmFactory>::Evm<DB, I>,
        ctx: Self::ExecutionCtx<'a>,
    ) -> Self::Executor<'a, DB, I>
    where
        DB: StateDB,
        I: Inspector<<EthEvmFactory as EvmFactory>::Context<DB>>,
    {
        LockstepBlockExecutor {
            wrapped: self.wrapped.create_executor(evm, ctx),
            engine: &self.engine,
            counter: &self.counter,
            engages: self.without_device || self.engine.executes_on_device(),
            // An `I` that borrows has no `TypeId`. Equal names of different types would need two versions of one crate.
            inspected: type_name::<I>() != type_name::<NoOpInspector>(),
        }
    }
}

/// [`EthBlockExecutor`] with another `execute_block`: what comes before the transactions and after them, system calls, requests,
/// withdrawals, rewards, is the wrapped executor's own work, and so is a transaction that is executed by itself.
///
/// The database is read while the engine works, by the thread that called and by no other: any [`StateDB`] will do. One that can be read
/// by all at once does better in [`LockstepBlockExecutor::execute_block_on_snapshot`].
///
/// What the engine may not or cannot do the wrapped executor does, in place and from the first transaction on; [`Tally`] counts why.
/// That includes blocks that the engine finds invalid: the error is the wrapped executor's.
///
/// A state hook or an inspector of state changes sees what changed, not what was only read.
pub struct LockstepBlockExecutor<'a, E, Spec, R: ReceiptBuilder> {
    wrapped: EthBlockExecutor<'a, E, Spec, R>,
    engine: &'a Engine,
    counter: &'a Counter,
    engages: bool,
    inspected: bool,
}

impl<E, Spec, R: ReceiptBuilder> fmt::Debug for LockstepBlockExecutor<'_, E, Spec, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockstepBlockExecutor").field("engine", self.engine).finish_non_exhaustive()
    }
}

impl<E, Spec, R> BlockExecutor for LockstepBlockExecutor<'_, E, Spec, R>
where
    E: Evm<DB: StateDB, Tx = TxEnv, HaltReason = HaltReason, Spec = SpecId, BlockEnv = BlockEnv>,
    Spec: EthExecutorSpec,
    R: ReceiptBuilder<Transaction: alloy_consensus::Transaction + Encodable2718, Receipt: TxReceipt<Log = Log>>,
    <R::Transaction as TransactionEnvelope>::TxType: Send + 'static,
    TxEnv: FromRecoveredTx<R::Transaction> + FromTxWithEncoded<R::Transaction>,
{
    type Transaction = R::Transaction;
    type Receipt = R::Receipt;
    type Evm = E;
    type Result = EthTxResult<HaltReason, <R::Transaction as TransactionEnvelope>::TxType>;

    fn apply_pre_execution_changes(&mut self) -> Result<(), BlockExecutionError> {
        self.wrapped.apply_pre_execution_changes()
    }

    fn execute_transaction_without_commit(
        &mut self,
        tx: impl ExecutableTx<Self>,
    ) -> Result<Self::Result, BlockExecutionError> {
        self.wrapped.execute_transaction_without_commit(tx.into_parts())
    }

    fn commit_transaction(&mut self, output: Self::Result) -> GasOutput {
        self.wrapped.commit_transaction(output)
    }

    fn finish(self) -> Result<(Self::Evm, BlockExecutionResult<Self::Receipt>), BlockExecutionError> {
        self.wrapped.finish()
    }

    fn evm_mut(&mut self) -> &mut Self::Evm {
        self.wrapped.evm_mut()
    }

    fn evm(&self) -> &Self::Evm {
        self.wrapped.evm()
    }

    fn receipts(&self) -> &[Self::Receipt] {
        self.wrapped.receipts()
    }

    fn execute_block(
        mut self,
        transactions: impl IntoIterator<Item = impl ExecutableTx<Self>>,
    ) -> Result<BlockExecutionResult<Self::Receipt>, BlockExecutionError> {
        self.apply_pre_execution_changes()?;
        let txs: Vec<_> = transactions.into_iter().map(ExecutableTxParts::into_parts).collect();
        let outcomes = self.block(&txs).and_then(|block| {
            let engine = self.engine;
            let ran = serve(self.wrapped.evm.db_mut(), block.ahead(), |state| block.execute(engine, state));
            self.counted(ran)
        });
        self.take(txs, outcomes)?;
        self.apply_post_execution_changes()
    }
}

impl<E, Spec, R> LockstepBlockExecutor<'_, E, Spec, R>
where
    E: Evm<DB: StateDB, Tx = TxEnv, HaltReason = HaltReason, Spec = SpecId, BlockEnv = BlockEnv>,
    Spec: EthExecutorSpec,
    R: ReceiptBuilder<Transaction: alloy_consensus::Transaction + Encodable2718, Receipt: TxReceipt<Log = Log>>,
    <R::Transaction as TransactionEnvelope>::TxType: Send + 'static,
    TxEnv: FromRecoveredTx<R::Transaction> + FromTxWithEncoded<R::Transaction>,
{
    /// [`BlockExecutor::execute_block`] for a database that all threads may read at once: nobody waits for the one that called.
    /// What was only read is not in revm's `State` cache afterwards, as it is after [`BlockExecutor::execute_block`]; bundle and reverts are the same.
    ///
    /// # Errors
    /// As there.
    pub fn execute_block_on_snapshot(
        mut self,
        transactions: impl IntoIterator<Item = impl ExecutableTx<Self>>,
    ) -> Result<BlockExecutionResult<R::Receipt>, BlockExecutionError>
    where
        E::DB: Snapshot,
    {
        self.apply_pre_execution_changes()?;
        let txs: Vec<_> = transactions.into_iter().map(ExecutableTxParts::into_parts).collect();
        let outcomes = self.block(&txs).and_then(|block| {
            let ran = block.execute(self.engine, &self.wrapped.evm.db().snapshot());
            self.counted(ran)
        });
        self.take(txs, outcomes)?;
        self.apply_post_execution_changes()
    }

    /// A block as the engine takes it, if it may.
    fn block<T>(&self, txs: &[(TxEnv, T)]) -> Result<Block, Wrapped> {
        if !self.engages {
            return Err(Wrapped::NoDevice);
        }
        if self.inspected {
            return Err(Wrapped::Inspector);
        }
        let evm = &self.wrapped.evm;
        if evm.cfg_env().spec > SpecId::OSAKA {
            return Err(Wrapped::Fork);
        }
        Ok(Block {
            env: env_of(evm.cfg_env(), evm.block()).ok_or(Wrapped::Settings)?,
            transactions: txs.iter().map(|(tx, _)| transaction_of(tx)).collect::<Option<_>>().ok_or(Wrapped::TxType)?,
            senders: txs.iter().map(|(tx, _)| tx.caller).collect(),
        })
    }

    /// What the engine said, with its report added to the tally.
    fn counted(&self, (outcomes, report): Ran) -> Result<Vec<TxOutcome>, Wrapped> {
        match outcomes {
            Ok(outcomes) => {
                self.counter.executed(report);
                Ok(outcomes)
            }
            Err(error) => {
                tracing::warn!(block = %self.evm().block().number(), %error, "not executed by the engine");
                Err(match error {
                    ExecuteError::State { .. } => Wrapped::State,
                    ExecuteError::Evm { .. } => Wrapped::Evm,
                    _ => Wrapped::Invalid,
                })
            }
        }
    }

    /// Commits the engine's outcomes, or has the wrapped executor do all.
    fn take<T: RecoveredTx<R::Transaction>>(
        &mut self,
        txs: Vec<(TxEnv, T)>,
        outcomes: Result<Vec<TxOutcome>, Wrapped>,
    ) -> Result<(), BlockExecutionError> {
        match outcomes {
            Ok(outcomes) => txs.iter().zip(outcomes).try_for_each(|(tx, outcome)| self.inject(tx, outcome)),
            Err(why) => {
                tracing::debug!(block = %self.evm().block().number(), %why, "the wrapped executor takes the block");
                self.counter.wrapped(why, txs.len());
                txs.into_iter().try_for_each(|tx| self.wrapped.execute_transaction(tx).map(drop))
            }
        }
    }

    /// Commits an outcome as the wrapped executor would have done after executing the transaction, its check of block gas included.
    fn inject<T: RecoveredTx<R::Transaction>>(
        &mut self,
        (env, tx): &(TxEnv, T),
        outcome: TxOutcome,
    ) -> Result<(), BlockExecutionError> {
        let evm = &self.wrapped.evm;
        let block_available_gas = evm.block().gas_limit().saturating_sub(self.wrapped.cumulative_tx_gas_used);
        if env.gas_limit.min(evm.cfg_env().tx_gas_limit_cap()) > block_available_gas {
            let transaction_gas_limit = env.gas_limit;
            return Err(BlockValidationError::TransactionGasLimitMoreThanAvailableBlockGas {
                transaction_gas_limit,
                block_available_gas,
            }
            .into());
        }
        let db = self.wrapped.evm.db_mut();
        let result = result_of(outcome, |address| db.basic(address)).map_err(InternalBlockExecutionError::other)?;
        let tx = tx.tx();
        self.wrapped.commit_transaction(EthTxResult {
            result,
            blob_gas_used: tx.blob_gas_used().unwrap_or_default(),
            tx_type: tx.tx_type(),
        });
        Ok(())
    }
}

/// A block as the engine takes it.
struct Block {
    env: block::BlockEnv,
    transactions: Vec<Transaction>,
    senders: Vec<Address>,
}

/// What the engine made of it, and how.
type Ran = (Result<Vec<TxOutcome>, ExecuteError>, ExecutionReport);

impl Block {
    fn execute(&self, engine: &Engine, state: &dyn StateRef) -> Ran {
        let mut report = ExecutionReport::default();
        let ran = engine.execute_transactions(&self.env, &self.transactions, &self.senders, state, &mut report);
        (ran, report)
    }

    /// What the transactions name, and so are likely to read.
    fn ahead(&self) -> impl Iterator<Item = Key> {
        let named = |tx: &Transaction| {
            let mut keys: Vec<_> = tx.to.map(Key::Account).into_iter().collect();
            keys.extend(tx.authorizations.iter().filter_map(|tuple| tuple.authority.flatten()).map(Key::Account));
            for (address, slots) in &tx.access_list {
                keys.push(Key::Account(*address));
                keys.extend(slots.iter().map(|slot| Key::Slot(*address, U256::from_be_bytes(slot.0))));
            }
            keys
        };
        let senders = self.senders.iter().copied().chain([self.env.beneficiary]).map(Key::Account);
        senders.chain(self.transactions.iter().flat_map(named))
    }
}
