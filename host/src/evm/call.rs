//! revm for calls that are no transactions: unsigned, free, each on the same state. The journal is kept from call to call
//! with what it has read, and only the changes are taken back: the fastest way revm has of doing this.

use super::{
    EvmContext, Source, build, changes,
    edges::Edges,
    outcome, outcome_of, settings, tx_error,
    watchful::{CallContext, equip},
};
use crate::{
    block::BlockEnv,
    coverage::Coverage,
    error::{Invalid, TxError},
    fork::Fork,
    outcome::TxOutcome,
    plan::delegate_of,
    simulate::{AccessList, Call, Wants, Warm},
    state::{StateError, StateRef},
};
use alloy_eips::eip2930::{AccessList as RevmAccessList, AccessListItem};
use alloy_primitives::{Address, TxKind, U256};
use revm::{
    Context, Database, ExecuteEvm, Inspector, Journal, MainBuilder, MainnetEvm,
    context::{BlockEnv as RevmBlock, CfgEnv, ContextSetters, JournalEntry, JournalTr, LocalContextTr, TxEnv},
    context_interface::{
        context::take_error,
        result::{EVMError, ExecutionResult, HaltReason, ResultGas},
    },
    handler::{EvmTr, FrameResult, Handler, post_execution},
    inspector::{InspectorHandler, inspectors::TracerEip3155},
    interpreter::interpreter::EthInterpreter,
};
use std::{
    io::{self, BufWriter, Write},
    marker::PhantomData,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Accounts and slots that the journal keeps from call to call; with more it starts anew.
const MAX_KEPT: usize = 1 << 14;
const MAX_KEPT_SLOTS: usize = 1 << 18;

/// Gas of calls after which slots are counted: a slot that is read for the first time costs 2,100 (EIP-2929), and more than a
/// tenth of that before Berlin but for the oldest forks. Calls that revert leave no journal to count by.
const GAS_TO_COUNT: u64 = 1_000 * MAX_KEPT_SLOTS as u64;

/// Bytes of EVM memory beyond which a call halts as out of gas. They cost 137 thousand million gas: nobody can pay for them in a
/// block, but a call may name any gas.
const MEMORY_LIMIT: u64 = 256 << 20;

type CallEvm<S, I> = MainnetEvm<CallContext<Source<S>>, I>;

/// What becomes of a call's changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Changes {
    /// They are taken back at once.
    TakeBack,
    /// They stay for the next call of a sequence, and can be taken back later.
    Keep,
    /// They stay until the journal is taken whole.
    Leave,
}

/// Mainnet's rules but for the end of a transaction.
struct CallHandler<'a, S, I> {
    changes: Changes,
    /// Where what has been done since the start of the sequence is noted.
    done: &'a mut Vec<JournalEntry>,
    /// Whether to say what is warm at the end.
    list: bool,
    warm: Warm,
    evm: PhantomData<(S, I)>,
}

impl<S: StateRef, I> Handler for CallHandler<'_, S, I> {
    type Evm = CallEvm<S, I>;
    type Error = EVMError<StateError>;
    type HaltReason = HaltReason;

    fn execution_result(
        &mut self,
        evm: &mut Self::Evm,
        result: FrameResult,
        gas: ResultGas,
    ) -> Result<ExecutionResult, Self::Error> {
        take_error::<Self::Error, _>(&mut evm.ctx.error)?;
        if self.list && result.interpreter_result().is_ok() {
            self.warm = warm(&evm.ctx.journaled_state);
        }
        let result = post_execution::output(&mut evm.ctx, result, gas);
        let journal = &mut evm.ctx.journaled_state;
        match self.changes {
            Changes::TakeBack => {
                take_back(journal);
            }
            Changes::Keep => {
                self.done.append(&mut journal.inner.journal);
                journal.commit_tx();
            }
            Changes::Leave => journal.commit_tx(),
        }
        evm.ctx.local.clear();
        evm.frame_stack().clear();
        Ok(result)
    }
}

impl<S: StateRef, I: Inspector<CallContext<Source<S>>>> InspectorHandler for CallHandler<'_, S, I> {
    type IT = EthInterpreter;
}

/// Takes back all that is in the journal. What was created or destroyed is read again, for its flags are not what they were: whether
/// there was anything.
pub(super) fn take_back<DB: Database>(journal: &mut Journal<DB>) -> bool {
    let remade = |entry: &JournalEntry| match entry {
        JournalEntry::AccountCreated { address, .. } | JournalEntry::AccountDestroyed { address, .. } => Some(*address),
        _ => None,
    };
    let remade: Vec<Address> = journal.inner.journal.iter().filter_map(remade).collect();
    journal.discard_tx();
    for address in &remade {
        journal.inner.state.remove(address);
    }
    !remade.is_empty()
}

/// What is warm in the running transaction.
fn warm<DB: Database>(journal: &Journal<DB>) -> Warm {
    let now = journal.inner.transaction_id;
    let mut warm = Warm::default();
    for (address, account) in &journal.inner.state {
        let slots = account.storage.iter().filter(|(_, slot)| !slot.is_cold_transaction_id(now));
        let slots: Vec<U256> = slots.map(|(slot, _)| *slot).collect();
        if !slots.is_empty() || !account.is_cold_transaction_id(now) {
            warm.entry(*address).or_default().extend(slots);
        }
    }
    warm
}

/// An environment as revm has it, with the rules that calls are free of.
fn call_settings(env: &BlockEnv) -> Result<(CfgEnv, RevmBlock), Invalid> {
    let (mut cfg, block) = settings(env)?;
    cfg.disable_nonce_check = true;
    cfg.disable_eip3607 = true;
    cfg.disable_base_fee = true;
    cfg.disable_block_gas_limit = true;
    cfg.tx_gas_limit_cap = Some(u64::MAX);
    cfg.memory_limit = MEMORY_LIMIT;
    // They name no chain, which one with an access list would have to.
    Ok((cfg, block))
}

fn build_for_calls<S: StateRef>(env: &BlockEnv, state: S) -> Result<CallEvm<S, ()>, Invalid> {
    let (cfg, block) = call_settings(env)?;
    let context: CallContext<Source<S>> = Context::new(Source::new(state), cfg.spec);
    Ok(context.with_cfg(cfg).with_block(block).build_mainnet())
}

fn call_env(call: &Call, block_gas_limit: u64, chain_id: u64) -> TxEnv {
    let access_list = call.access_list.iter();
    let access_list =
        access_list.map(|(address, keys)| AccessListItem { address: *address, storage_keys: keys.clone() });
    TxEnv {
        tx_type: u8::from(!call.access_list.is_empty()),
        caller: call.from,
        gas_limit: call.gas.unwrap_or(block_gas_limit),
        gas_price: 0,
        kind: call.to.map_or(TxKind::Create, TxKind::Call),
        value: call.value,
        data: call.input.clone(),
        chain_id: Some(chain_id),
        access_list: RevmAccessList(access_list.collect()),
        ..TxEnv::default()
    }
}

/// What a call came to, by revm.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Called {
    /// Its changes are empty unless they were asked for.
    pub(crate) outcome: TxOutcome,
    pub(crate) access_list: Option<AccessList>,
    pub(crate) coverage: Option<Box<Coverage>>,
}

/// revm for one call after the other.
pub(crate) struct CallRevm<S: StateRef> {
    fork: Fork,
    evm: CallEvm<S, Edges>,
    done: Vec<JournalEntry>,
    /// Gas used since slots were counted.
    gas: u64,
}

impl<S: StateRef> std::fmt::Debug for CallRevm<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallRevm").field("block", &self.evm.ctx.block).finish_non_exhaustive()
    }
}

impl<S: StateRef> CallRevm<S> {
    /// # Errors
    /// As [`super::Revm::new`].
    pub(crate) fn new(env: &BlockEnv, state: S) -> Result<Self, Invalid> {
        let evm = build_for_calls(env, state)?.with_inspector(Edges::default());
        Ok(Self { fork: env.fork, evm, done: Vec::new(), gas: 0 })
    }

    /// The same for calls that are told to stop by any of the flags, with an error that says so, and with the hashes kept
    /// that find slots of mappings. The plain one is what others are measured by.
    pub(crate) fn equipped(mut self, flags: Vec<Arc<AtomicBool>>) -> Self {
        equip(&mut self.evm.instruction, true);
        self.evm.ctx.chain.flags = flags;
        self
    }

    /// Goes on in another environment, which must be of the same fork, and on another state.
    ///
    /// # Errors
    /// As [`super::Revm::new`]; nothing has changed then.
    pub(crate) fn enter(&mut self, env: &BlockEnv, state: S) -> Result<(), Invalid> {
        (self.evm.ctx.cfg, self.evm.ctx.block) = call_settings(env)?;
        self.evm.ctx.journaled_state.database.state = state;
        self.forget();
        Ok(())
    }

    /// The state that calls run on, to be changed where [`CallRevm::call_on_its_own`] runs them.
    pub(crate) fn state_mut(&mut self) -> &mut S {
        &mut self.evm.ctx.journaled_state.database.state
    }

    /// The edges of all calls that did not ask for their own, since the last time.
    pub(crate) fn merged_edges(&mut self) -> Box<Coverage> {
        self.evm.inspector.take()
    }

    /// Drops all that has been read.
    fn forget(&mut self) {
        self.evm.ctx.journaled_state.database.high = false;
        self.evm.ctx.journaled_state.inner.state.clear();
        self.done.clear();
    }

    /// Runs a call on the state, and leaves the state as it is.
    ///
    /// # Errors
    /// The call is invalid, or the state could not be read.
    pub(crate) fn call(&mut self, call: &Call, wants: Wants) -> Result<Called, TxError> {
        if wants.state_diff { self.call_on_its_own(call, wants) } else { self.run(call, wants, Changes::TakeBack) }
    }

    /// The same with all changes, and with nothing kept that was read.
    ///
    /// # Errors
    /// As [`CallRevm::call`].
    pub(crate) fn call_on_its_own(&mut self, call: &Call, wants: Wants) -> Result<Called, TxError> {
        self.forget();
        let mut called = self.run(call, wants, Changes::Leave)?;
        called.outcome.changes = changes(self.evm.finalize());
        Ok(called)
    }

    /// Runs a call on what the calls since the last [`CallRevm::end_sequence`] have left. Its changes cannot be told. From
    /// Spurious Dragon on, where an empty account and none are one.
    ///
    /// # Errors
    /// As [`CallRevm::call`].
    pub(crate) fn call_in_sequence(&mut self, call: &Call, wants: Wants) -> Result<Called, TxError> {
        debug_assert!(!wants.state_diff, "a sequence's changes are not told apart");
        self.run(call, wants, Changes::Keep)
    }

    /// Whether a balance was read such that one may overflow: what a call leaves in the journal may be wrong then.
    pub(crate) fn is_high(&self) -> bool {
        self.evm.ctx.journaled_state.database.high
    }

    /// Takes back what the calls of a sequence have changed.
    pub(crate) fn end_sequence(&mut self) {
        // What one call destroys the next one clears, and no journal says what it was.
        if self.is_high() || self.done.iter().any(|entry| matches!(entry, JournalEntry::AccountDestroyed { .. })) {
            self.forget();
            return;
        }
        let journal = &mut self.evm.ctx.journaled_state;
        journal.inner.journal = std::mem::take(&mut self.done);
        take_back(journal);
        self.bound();
    }

    /// Forgets what has been read where that is too much. Nothing may be changed.
    fn bound(&mut self) {
        let state = &self.evm.ctx.journaled_state.inner.state;
        let mut slots = 0;
        if self.gas > GAS_TO_COUNT {
            self.gas = 0;
            slots = state.values().map(|account| account.storage.len()).sum();
        }
        if state.len() > MAX_KEPT || slots > MAX_KEPT_SLOTS {
            self.forget();
        }
    }

    fn run(&mut self, call: &Call, wants: Wants, changes: Changes) -> Result<Called, TxError> {
        let evm = &mut self.evm;
        evm.ctx.set_tx(call_env(call, evm.ctx.block.gas_limit, evm.ctx.cfg.chain_id));
        let coverage = wants.coverage || wants.merged_coverage;
        let done = &mut self.done;
        let mut handler =
            CallHandler { changes, done, list: wants.access_list, warm: Warm::default(), evm: PhantomData };
        let result = if coverage { handler.inspect_run(evm) } else { handler.run(evm) };
        let warm = handler.warm;
        evm.inspector.settle();
        let edges = wants.coverage.then(|| evm.inspector.take());
        let result = match result {
            Ok(result) => result,
            Err(error) => {
                let error = tx_error(error, TxError::State);
                if !matches!(error, TxError::Invalid(_)) && changes != Changes::Keep {
                    // Half-read accounts are no use to anybody.
                    self.forget();
                }
                return Err(error);
            }
        };
        let outcome = outcome(result);
        let access_list = wants.access_list.then(|| self.access_list(call, warm, outcome.contract_address));
        self.gas = self.gas.saturating_add(outcome.gas_used);
        if changes == Changes::TakeBack {
            if self.is_high() {
                self.forget();
            }
            self.bound();
        }
        Ok(Called { outcome, access_list, coverage: edges })
    }

    fn access_list(&self, call: &Call, warm: Warm, created: Option<Address>) -> AccessList {
        let delegate = call.to.and_then(|to| {
            let account = self.evm.ctx.journaled_state.inner.state.get(&to)?;
            delegate_of(account.info.code.as_ref()?.original_byte_slice())
        });
        let beneficiary = self.evm.ctx.block.beneficiary;
        let apart = [Some(call.from), call.to, created, delegate, Some(beneficiary)];
        crate::simulate::access_list(call, warm, apart.as_slice(), self.fork)
    }
}

/// Runs a call on revm as it comes, with nothing kept from one call to the next: what everything else here must be equal
/// to.
///
/// # Errors
/// The block contradicts its fork, the call is invalid, or the state could not be read.
pub fn reference_call(env: &BlockEnv, state: &dyn StateRef, call: &Call) -> Result<TxOutcome, TxError> {
    let mut evm: MainnetEvm<EvmContext<Source<&dyn StateRef>>> = build(env, Source::new(state))?;
    (evm.ctx.cfg, evm.ctx.block) = call_settings(env)?;
    let result =
        evm.transact(call_env(call, env.gas_limit, env.chain_id)).map_err(|error| tx_error(error, TxError::State))?;
    Ok(outcome_of(result))
}

/// Where a tracer writes to, which does not look at errors: the first one stops the call.
struct Sink {
    out: Box<dyn Write>,
    failed: Arc<AtomicBool>,
    error: Arc<Mutex<Option<io::Error>>>,
}

impl Sink {
    fn noted<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            let kind = error.kind();
            self.failed.store(true, Ordering::Relaxed);
            self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            kind.into()
        })
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes);
        self.noted(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.noted(flushed)
    }
}

/// Runs a call and writes what each step did: a line of JSON a step and one at the end, by EIP-3155. Ends early, with the
/// first error of `out`, where that takes no more.
///
/// # Errors
/// As [`CallRevm::new`] and [`CallRevm::call`]; the other those of `out`.
pub(crate) fn trace(
    env: &BlockEnv,
    state: &dyn StateRef,
    call: &Call,
    out: Box<dyn Write>,
) -> io::Result<Result<TxOutcome, TxError>> {
    let (failed, first_error) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let sink =
        Sink { out: Box::new(BufWriter::new(out)), failed: Arc::clone(&failed), error: Arc::clone(&first_error) };
    let traced = traced(env, state, call, sink, failed);
    match first_error.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(error) => Err(error),
        None => Ok(traced),
    }
}

fn traced(
    env: &BlockEnv,
    state: &dyn StateRef,
    call: &Call,
    sink: Sink,
    failed: Arc<AtomicBool>,
) -> Result<TxOutcome, TxError> {
    let mut evm = build_for_calls(env, state)?.with_inspector(TracerEip3155::new(Box::new(sink)));
    equip(&mut evm.instruction, false);
    evm.ctx.chain.flags = vec![failed];
    evm.ctx.set_tx(call_env(call, env.gas_limit, env.chain_id));
    let mut done = Vec::new();
    let mut handler =
        CallHandler { changes: Changes::Leave, done: &mut done, list: false, warm: Warm::default(), evm: PhantomData };
    let result = handler.inspect_run(&mut evm).map_err(|error| tx_error(error, TxError::State))?;
    let outcome = TxOutcome { changes: changes(evm.finalize()), ..outcome(result) };
    // What the writer still holds, too, is written before its errors are asked for.
    evm.inspector.set_writer(Box::new(io::sink()));
    Ok(outcome)
}
