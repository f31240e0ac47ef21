//! revm for a thread that runs a part of a block ahead of its turn. Its journal is kept from transaction to transaction, and stands
//! for one prefix of the block and, on top of that, the thread's own units that wait for their turn. What others commit is
//! brought in; a unit that looked at something which that changes is stale, and is taken back with those that looked at what it wrote.
//!
//! revm marks every account and slot with the transaction that saw it last, and the mark stays when a frame reverts: whether a
//! unit looked at something is a lookup; which one did, a list tells. A balance that a unit only added to, or took from with
//! enough left, is not one that it looked at.

mod changed;
mod notes;
mod stale;
mod transfer;
mod watch;

use super::{HIGH_BITS, Own, RevmCache, Source, account_info, call::take_back, outcome, settings, tx_env, tx_error};
use crate::{
    access::Access,
    block::BlockEnv,
    commit::{Committed, Known},
    delegation::authority_of,
    error::{Invalid, TxError},
    forecast::TRANSFER,
    linger::Leavings,
    outcome::{AccountChange, AccountChangeKind, TxOutcome},
    parallel::Progress,
    state::{AccountInfo, StateError, StateRef},
    tx::Transaction,
};
use alloy_primitives::{Address, U256};
use changed::{Changed, changed, is_high, is_nothing, is_remade, rebase};
use notes::{Need, ReplicaContext, Stop, equip};
use revm::{
    Context, Journal, MainBuilder, MainnetEvm,
    context::{ContextSetters, JournalEntry, JournalTr, LocalContextTr},
    context_interface::{
        Transaction as _,
        context::take_error,
        journaled_state::account::JournaledAccountTr,
        result::{EVMError, ExecutionResult, HaltReason, ResultGas},
    },
    handler::{EvmTr, FrameResult, Handler, post_execution},
    primitives::{PRECOMPILE3, hardfork::SpecId},
    state::{AccountStatus, EvmState},
};
use stale::Stale;
use std::{
    collections::VecDeque,
    marker::PhantomData,
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};
pub(crate) use watch::watch;

/// Mainnet's rules, but that the journal is kept, the changes are told, and the beneficiary is paid later.
struct Keeping<'r, 'a> {
    done: &'r mut Vec<JournalEntry>,
    changed: Changed,
    reward: U256,
    evm: PhantomData<ReplicaContext<'a>>,
}

impl<'a> Handler for Keeping<'_, 'a> {
    type Evm = MainnetEvm<ReplicaContext<'a>>;
    type Error = EVMError<StateError>;
    type HaltReason = HaltReason;

    fn reward_beneficiary(&self, _: &mut Self::Evm, _: &mut FrameResult) -> Result<(), Self::Error> {
        Ok(())
    }

    fn execution_result(
        &mut self,
        evm: &mut Self::Evm,
        result: FrameResult,
        gas: ResultGas,
    ) -> Result<ExecutionResult, Self::Error> {
        take_error::<Self::Error, _>(&mut evm.ctx.error)?;
        self.reward = reward(&evm.ctx, &result);
        let result = post_execution::output(&mut evm.ctx, result, gas);
        let journal = &mut evm.ctx.journaled_state;
        self.changed = changed(&mut journal.inner.state, &journal.inner.journal);
        self.done.append(&mut journal.inner.journal);
        journal.commit_tx();
        evm.ctx.local.clear();
        evm.frame_stack().clear();
        Ok(result)
    }

    fn catch_error(&self, evm: &mut Self::Evm, error: Self::Error) -> Result<ExecutionResult, Self::Error> {
        evm.ctx.local.clear();
        let removes = take_back(&mut evm.ctx.journaled_state);
        evm.ctx.chain.removed |= removes;
        evm.frame_stack().clear();
        Err(error)
    }
}

/// What revm would pay to the beneficiary.
fn reward(context: &ReplicaContext<'_>, result: &FrameResult) -> U256 {
    let base_fee = u128::from(context.block.basefee);
    let price = context.tx.effective_gas_price(base_fee);
    let price = if context.cfg.spec.is_enabled_in(SpecId::LONDON) { price.saturating_sub(base_fee) } else { price };
    let used = result.gas().used().saturating_sub(result.gas().reservoir());
    U256::from(price * u128::from(used))
}

/// Notes from which on those of units that are gone are dropped.
const LEAST_SPENT: usize = 1 << 12;

/// Accounts that room is made for before they are needed.
const MOST_RESERVED: usize = 1 << 14;

/// A transaction that ran.
#[derive(Debug)]
pub(crate) struct Executed {
    pub(crate) outcome: TxOutcome,
    /// What the beneficiary gets, which is not among the changes yet.
    reward: U256,
    /// Whether its target had code.
    pub(crate) is_call: bool,
    /// What it took on an interpreter; zero for a transfer.
    pub(crate) took: Duration,
    /// Needs and slots that were noted of it.
    noted: (usize, usize),
}

impl Executed {
    /// One whose changes are all there.
    pub(crate) const fn committed(outcome: TxOutcome, is_call: bool, took: Duration) -> Self {
        Self { outcome, reward: U256::ZERO, is_call, took, noted: (0, 0) }
    }

    /// What it took, if only by a guess.
    pub(crate) fn took(&self) -> Duration {
        self.took.max(TRANSFER)
    }
}

/// Transactions in a row that ran on top of what was there before.
#[derive(Debug)]
struct Unit {
    range: Range<usize>,
    executed: Vec<Executed>,
    flipped: Vec<Address>,
    /// The first of its transactions' marks, and where what was noted of it begins. What comes before the first one's is spent.
    mark: usize,
    entries: usize,
    needs: usize,
    slots: usize,
    /// Balances or nonces that its changes tell of have moved since, or were foreseen.
    moved: bool,
    /// It must run at its turn.
    failed: bool,
    /// Nothing may stand on it before it is committed.
    last: bool,
}

/// What of a unit did not run ahead of its turn.
#[derive(Debug)]
pub(crate) enum Left {
    Nothing,
    /// This, which must run at its turn.
    AtTurn(Range<usize>),
    /// This, by another unit: what ran is one that nothing may stand on.
    Other(Range<usize>),
    /// This, and all that waited, which was taken back, with what of it had run.
    All(Vec<Range<usize>>, Range<usize>),
}

impl Unit {
    fn took(&self) -> Duration {
        self.executed.iter().map(Executed::took).sum()
    }

    /// Which of its transactions noted what comes after so much else that it noted.
    fn looked(&self, before: usize, noted: impl Fn((usize, usize)) -> usize) -> usize {
        let mut end = 0;
        let ended = |executed: &&Executed| {
            end += noted(executed.noted);
            end <= before
        };
        self.range.start + self.executed.iter().take_while(ended).count()
    }

    fn changes(&self) -> impl Iterator<Item = &AccountChange> {
        self.executed.iter().flat_map(|executed| &executed.outcome.changes)
    }
}

/// See the module.
pub(crate) struct Replica<'a> {
    evm: MainnetEvm<ReplicaContext<'a>>,
    cache: RevmCache,
    beneficiary: Address,
    units: VecDeque<Unit>,
    done: Vec<JournalEntry>,
    /// Accounts that a commit has made or removed, to be dropped when nothing stands on them.
    gone: Vec<Address>,
    /// What units took that were taken back.
    wasted: Duration,
    /// Transactions that looked at what others changed.
    misled: Vec<usize>,
    gives_way: bool,
    /// Transactions that are to be watched, and what they looked at.
    watches: Arc<[usize]>,
    accesses: Vec<(usize, Access)>,
    /// It runs all of a block: its journal has whatever plain changes came to, so that its prefix need not. But the beneficiary is paid
    /// there, whether or not it is in the journal.
    alone: bool,
}

impl Drop for Replica<'_> {
    fn drop(&mut self) {
        let hashes = std::mem::take(&mut self.evm.ctx.chain.hashes);
        let codes = std::mem::take(&mut self.evm.ctx.journaled_state.database.codes);
        self.cache.put_own(Own { hashes, codes });
    }
}

impl std::fmt::Debug for Replica<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replica").field("units", &self.units).finish_non_exhaustive()
    }
}

impl<'a> Replica<'a> {
    /// # Errors
    /// As [`super::Revm::new`].
    pub(crate) fn new(env: &BlockEnv, state: &'a dyn StateRef, cache: &RevmCache) -> Result<Self, Invalid> {
        let (cfg, block) = settings(env)?;
        let Own { hashes, codes } = cache.take_own();
        let context: ReplicaContext<'a> = Context::new(Source::alone(Committed::new(state), codes), cfg.spec);
        let mut evm = context.with_cfg(cfg).with_block(block).build_mainnet();
        evm.ctx.chain.hashes = hashes;
        equip(&mut evm.instruction);
        Ok(Self {
            evm,
            cache: cache.clone(),
            beneficiary: env.beneficiary,
            units: VecDeque::new(),
            done: Vec::new(),
            gone: Vec::new(),
            wasted: Duration::ZERO,
            misled: Vec::new(),
            gives_way: false,
            watches: Arc::default(),
            accesses: Vec::new(),
            alone: false,
        })
    }

    /// Nobody else runs anything of the block, and this all of it by [`Self::run_in_turn`].
    pub(crate) fn run_alone(&mut self) {
        debug_assert!(self.prefix().is_empty() && self.units.is_empty(), "somebody ran already");
        self.alone = true;
    }

    /// Whether it can no longer run alone: it is to be told all that it has done by [`Self::run_with_prefix`].
    pub(crate) fn needs_prefix(&self) -> bool {
        self.alone && self.evm.ctx.journaled_state.database.high
    }

    /// [`Self::run_in_turn`] of what is short. What takes longer than that, more or less, or fails, leaves nothing of what is not in the
    /// prefix: [`Self::run_with_prefix`] is to follow.
    pub(crate) fn run_if_short(&mut self, tx: &Transaction, sender: Address, patience: Duration) -> Option<Executed> {
        // As if others waited for something before it.
        let progress = Arc::new(Progress::default());
        let stop = Stop { progress, start: usize::MAX, patience, begun: Instant::now(), looks: 0, gives_way: false };
        self.evm.ctx.chain.stop = Some(stop);
        let ran = self.run_in_turn(tx, sender);
        self.evm.ctx.chain.stop = None;
        if ran.is_err() {
            // It may have run, and not been committed.
            self.state().clear();
            self.evm.ctx.chain.needs.clear();
            self.evm.ctx.chain.slots.clear();
        }
        ran.ok()
    }

    /// Goes on with a prefix that holds all of these, which are what it has done.
    pub(crate) fn run_with_prefix(&mut self, outcomes: &[TxOutcome]) {
        self.alone = false;
        let prefix = &mut self.evm.ctx.journaled_state.database.state;
        drop(prefix.leave());
        outcomes.iter().for_each(|outcome| prefix.commit(outcome));
        self.forget_high();
    }

    /// Makes room for a block of so many transactions.
    pub(crate) fn reserve(&mut self, txs: usize) {
        let Journal { database, inner, .. } = &mut self.evm.ctx.journaled_state;
        database.state.reserve(txs.min(MOST_RESERVED));
        inner.state.reserve(txs.min(MOST_RESERVED));
    }

    /// Accounts of the state under the block that the next transaction needs.
    pub(crate) fn knows(&mut self, known: [Known; 2]) {
        self.evm.ctx.journaled_state.database.state.knows(known);
    }

    /// What it has read and written, for others to drop: that takes a while.
    pub(crate) fn leave(mut self) -> Leavings {
        let Journal { database, inner, .. } = &mut self.evm.ctx.journaled_state;
        Box::new(std::mem::take(&mut inner.state).into_values().map(drop).chain(database.state.leave()))
    }

    /// Watches these transactions, by their indices, if they run ahead of their turn.
    pub(crate) fn watch_all_of(&mut self, watches: &Arc<[usize]>) {
        self.watches = watches.clone();
    }

    /// What transactions looked at that were watched since this was asked last.
    pub(crate) fn take_accesses(&mut self) -> Vec<(usize, Access)> {
        std::mem::take(&mut self.accesses)
    }

    fn prefix(&self) -> &Committed<'a> {
        &self.evm.ctx.journaled_state.database.state
    }

    fn state(&mut self) -> &mut EvmState {
        &mut self.evm.ctx.journaled_state.inner.state
    }

    /// What the transactions took that wait behind this one.
    pub(crate) fn took_from(&self, start: usize) -> Duration {
        self.units.iter().rev().take_while(|unit| unit.range.start >= start).map(Unit::took).sum()
    }

    /// What units took that were taken back since this was asked last.
    pub(crate) fn take_wasted(&mut self) -> Duration {
        std::mem::take(&mut self.wasted)
    }

    /// Transactions that looked at what others changed since this was asked last, as far as that is told; some more than once.
    pub(crate) fn take_misled(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.misled)
    }

    /// The transactions of the unit whose turn comes first.
    pub(crate) fn first(&self) -> Option<Range<usize>> {
        self.units.front().map(|unit| unit.range.clone())
    }

    /// The end of what waits for its turn; zero where nothing does.
    pub(crate) fn end(&self) -> usize {
        self.units.back().map_or(0, |unit| unit.range.end)
    }

    /// Transactions that wait for their turn, and those between them; `None` where nothing may run on top of them.
    pub(crate) fn ahead(&self) -> Option<usize> {
        let Some((first, last)) = self.units.front().zip(self.units.back()) else { return Some(0) };
        (!last.last).then(|| last.range.end - first.range.start)
    }

    /// Runs a unit on top of those that wait, where it waits too, and says what of it is left. It breaks off when somebody else was
    /// faster (it looks before each transaction, at each call, and now and then in loops), and when it takes longer than `patience` while
    /// nobody commits anything, unless it is its turn.
    pub(crate) fn speculate(
        &mut self,
        range: Range<usize>,
        txs: &[Transaction],
        senders: &[Address],
        progress: &Arc<Progress>,
        patience: Duration,
    ) -> Left {
        let (start, begun) = (range.start, Instant::now());
        let stop = Stop { progress: progress.clone(), start, patience, begun, looks: 0, gives_way: false };
        self.evm.ctx.chain.stop = Some(stop);
        let left = self.speculate_until(range, txs, senders);
        let stop = self.evm.ctx.chain.stop.take();
        self.gives_way = stop.is_some_and(|stop| stop.gives_way);
        left
    }

    /// Whether the latest unit broke off so that this thread runs what comes first.
    pub(crate) fn gives_way(&self) -> bool {
        self.gives_way
    }

    fn speculate_until(&mut self, range: Range<usize>, txs: &[Transaction], senders: &[Address]) -> Left {
        let notes = &self.evm.ctx.chain;
        let mut unit = Unit {
            executed: Vec::with_capacity(range.len()),
            range: range.start..range.start,
            flipped: Vec::new(),
            mark: self.evm.ctx.journaled_state.inner.transaction_id.get(),
            entries: self.done.len(),
            needs: notes.needs.len(),
            slots: notes.slots.len(),
            moved: false,
            failed: false,
            last: false,
        };
        let mut rewards = self.units.iter().any(|unit| unit.executed.iter().any(|ran| !ran.reward.is_zero()));
        let hollow = matches!(self.prefix().account(&self.beneficiary), Ok(Some(info)) if info.is_empty());
        rewards |= hollow && !self.units.is_empty();
        self.evm.ctx.chain.removed = false;
        let mut high = false;
        for index in range.clone() {
            if self.evm.ctx.chain.stop.as_ref().is_some_and(Stop::is_overtaken) {
                break;
            }
            self.evm.ctx.chain.begin();
            let (needs, slots) = (self.evm.ctx.chain.needs.len(), self.evm.ctx.chain.slots.len());
            // What is wrong with it may be right at its turn.
            unit.moved |= self.foresee(senders[index], txs[index].nonce);
            let since = self.watches.contains(&index).then(|| self.watch());
            let ran = self.run(&txs[index], senders[index]);
            high |= self.evm.ctx.journaled_state.database.high;
            let Ok((mut executed, flipped, remade)) = ran else {
                self.evm.ctx.chain.hashed = None;
                self.evm.ctx.chain.needs.truncate(needs);
                self.evm.ctx.chain.slots.truncate(slots);
                break;
            };
            if let Some(since) = since {
                let access = self.watched(&since, &txs[index], &executed);
                self.accesses.extend(access.map(|access| (index, access)));
            }
            let notes = &self.evm.ctx.chain;
            executed.noted = (notes.needs.len() - needs, notes.slots.len() - slots);
            unit.range.end = index + 1;
            unit.flipped.extend(flipped);
            unit.failed = self.evm.ctx.chain.is_full() || (rewards && self.looks_at_beneficiary(needs));
            // Paid nothing, one that is there and empty goes.
            rewards |= hollow || !executed.reward.is_zero();
            unit.executed.push(executed);
            unit.last = remade || unit.failed;
            if unit.last || high {
                break;
            }
        }
        let (last, end) = (unit.last, unit.range.end);
        if !unit.executed.is_empty() {
            self.units.push_back(unit);
        }
        if high {
            let waited = self.take_back_all();
            self.forget_high();
            return Left::All(waited, end..range.end);
        }
        if self.evm.ctx.chain.removed {
            // What the failed transaction had made or destroyed was dropped, with what waiting units did to it.
            return Left::All(self.take_back_all(), end..range.end);
        }
        match end..range.end {
            left if left.is_empty() => Left::Nothing,
            left if last => Left::Other(left),
            left => Left::AtTurn(left),
        }
    }

    /// Gives a sender the nonce that his transaction has, where those before it are on their way. Whether it is right is seen
    /// at the turn.
    fn foresee(&mut self, sender: Address, nonce: u64) -> bool {
        let Journal { database, inner, .. } = &mut self.evm.ctx.journaled_state;
        // What cannot be read now is told of when it runs.
        let Ok(mut loaded) = inner.load_account_mut(database, sender) else { return false };
        let info = &loaded.data.account().info;
        if info.nonce >= nonce || info.is_empty() {
            return false;
        }
        loaded.data.set_nonce(nonce);
        if let Some(account) = inner.state.get_mut(&sender) {
            account.original_info_mut().nonce = nonce;
        }
        true
    }

    /// Whether the transactions of the first unit have the nonces that their senders have at their turn.
    fn nonces_fit(&self, unit: &Unit, txs: &[Transaction], senders: &[Address]) -> Result<bool, StateError> {
        let mut used: Vec<(Address, u64)> = Vec::new();
        for (index, executed) in unit.range.clone().zip(&unit.executed) {
            let sender = senders[index];
            let held = self.prefix().account(&sender)?.unwrap_or_default().nonce;
            let before = used.iter().filter(|(address, _)| *address == sender).map(|(_, by)| by).sum::<u64>();
            if held + before != txs[index].nonce {
                return Ok(false);
            }
            for change in &executed.outcome.changes {
                let by = change.after.nonce.wrapping_sub(change.before.unwrap_or_default().nonce);
                if by != 0 {
                    used.push((change.address, by));
                }
            }
        }
        Ok(true)
    }

    /// Whether the latest transaction depends on what the beneficiary has; its needs begin at `needs`.
    fn looks_at_beneficiary(&mut self, needs: usize) -> bool {
        let beneficiary = self.beneficiary;
        // More than is needed does no harm.
        if self.evm.ctx.chain.needs[needs..].contains(&(beneficiary, Need::Exact)) {
            return true;
        }
        let now = self.evm.ctx.journaled_state.inner.transaction_id.get();
        // Payments from nothing make something of it, what is created has what was there, and what is full takes no more.
        let seen = self.state().get(&beneficiary);
        seen.is_some_and(|account| {
            let nothing = account.info.is_empty() || account.original_info().is_empty();
            let matters = nothing || account.is_created() || is_high(account.info.balance);
            account.transaction_id.get() + 1 == now && matters
        })
    }

    /// Runs a transaction at its turn, on a prefix that is all there, and commits it.
    ///
    /// # Errors
    /// It is invalid, or the state could not be read.
    pub(crate) fn run_in_turn(&mut self, tx: &Transaction, sender: Address) -> Result<Executed, TxError> {
        debug_assert!(self.units.is_empty(), "a unit waits");
        let (executed, _, _) = self.run(tx, sender)?;
        self.done.clear();
        let notes = &mut self.evm.ctx.chain;
        notes.needs.clear();
        notes.slots.clear();
        let executed = self.commit(executed, false)?;
        self.forget();
        if !self.alone {
            self.forget_high();
        }
        Ok(executed)
    }

    fn run(&mut self, tx: &Transaction, sender: Address) -> Result<(Executed, Vec<Address>, bool), TxError> {
        let ran = self.run_or_leave(tx, sender);
        if ran.is_err() {
            // Whatever it had begun, a nonce foreseen among it.
            let removes = take_back(&mut self.evm.ctx.journaled_state);
            self.evm.ctx.chain.removed |= removes;
            // The one touch that cannot be taken back.
            if let Some(account) = self.state().get_mut(&PRECOMPILE3) {
                account.unmark_touch();
            }
        }
        ran
    }

    /// The same, with what an error leaves.
    fn run_or_leave(&mut self, tx: &Transaction, sender: Address) -> Result<(Executed, Vec<Address>, bool), TxError> {
        if let Some((executed, flipped)) = self.transfer(tx, sender).map_err(TxError::State)? {
            return Ok((executed, flipped, false));
        }
        let start = Instant::now();
        let env = tx_env(tx, sender)?;
        let spending = env.max_balance_spending().unwrap_or(U256::MAX);
        self.evm.ctx.set_tx(env);
        // Their nonces are looked at.
        let authorities = tx.authorizations.iter().filter_map(authority_of);
        self.evm.ctx.chain.needs.extend(authorities.map(|authority| (authority, Need::Exact)));
        let mut handler =
            Keeping { done: &mut self.done, changed: Changed::default(), reward: U256::ZERO, evm: PhantomData };
        let result = handler.run(&mut self.evm).map_err(|error| tx_error(error, TxError::State))?;
        let Keeping { changed: Changed { changes, flipped, remade }, reward, .. } = handler;
        let before =
            changes.binary_search_by_key(&sender, |change| change.address).ok().and_then(|at| changes[at].before);
        let spare = before.unwrap_or_default().balance.checked_sub(spending).map_or(Need::Exact, Need::Spare);
        self.evm.ctx.chain.needs.push((sender, spare));
        let is_call = tx.to.is_some_and(|to| {
            let changed = changes.binary_search_by_key(&to, |change| change.address).ok().map(|at| changes[at].before);
            let held = || self.evm.ctx.journaled_state.inner.state.get(&to).map(|account| account_info(&account.info));
            changed.unwrap_or_else(held).is_some_and(|info| info.has_code())
        });
        let outcome = TxOutcome { changes, ..outcome(result) };
        Ok((Executed { outcome, reward, is_call, took: start.elapsed(), noted: (0, 0) }, flipped, remade))
    }

    /// Whether the first unit, whose turn it is, stands.
    ///
    /// # Errors
    /// A sender could not be read.
    pub(crate) fn first_stands(&self, txs: &[Transaction], senders: &[Address]) -> Result<bool, TxError> {
        let Some(unit) = self.units.front() else { return Ok(false) };
        Ok(!unit.failed && (!unit.moved || self.nonces_fit(unit, txs, senders).map_err(TxError::State)?))
    }

    /// Commits the first unit, whose turn it is and which stands: what its transactions came to, and the units that are stale by
    /// that.
    ///
    /// # Errors
    /// The beneficiary could not be read.
    pub(crate) fn commit_first(&mut self) -> Result<(Vec<Executed>, Vec<Range<usize>>), TxError> {
        let Some(unit) = self.units.pop_front() else { return Ok(Default::default()) };
        self.drop_spent();
        let mut stale = Stale::None;
        let mut done = Vec::with_capacity(unit.executed.len());
        for executed in unit.executed {
            let reward = executed.reward;
            let executed = self.commit(executed, unit.moved)?;
            // Those that stand on it have not seen the payment.
            if !reward.is_zero() && !self.units.is_empty() {
                let paid = executed.outcome.changes.iter().find(|change| change.address == self.beneficiary).cloned();
                stale = stale.and(paid.map_or(Stale::None, |paid| self.stale_by_balance(&paid, reward, false)));
            }
            done.push(executed);
        }
        // Accounts become what the prefix has, which must hold all of the unit by then.
        // Nothing may stand on what is dropped: a beneficiary that was paid nothing may go by that.
        let stale = if self.gone.is_empty() { stale } else { Stale::All };
        let stale = self.take_back(stale);
        self.forget();
        Ok((done, stale))
    }

    /// Drops what was noted of units that are gone, when that is much of it.
    fn drop_spent(&mut self) {
        let notes = &mut self.evm.ctx.chain;
        let Some(first) = self.units.front() else {
            self.done.clear();
            notes.needs.clear();
            return notes.slots.clear();
        };
        let (entries, needs, slots) = (first.entries, first.needs, first.slots);
        let noted = self.done.len() + notes.needs.len() + notes.slots.len();
        if 2 * (entries + needs + slots) < noted.max(LEAST_SPENT) {
            return;
        }
        self.done.drain(..entries);
        notes.needs.drain(..needs);
        notes.slots.drain(..slots);
        for unit in &mut self.units {
            unit.entries -= entries;
            unit.needs -= needs;
            unit.slots -= slots;
        }
    }

    /// Drops all that was read, if that has a balance that may overflow. Nothing may wait.
    fn forget_high(&mut self) {
        if std::mem::take(&mut self.evm.ctx.journaled_state.database.high) {
            self.state().clear();
        }
    }

    /// Drops accounts that are to be read anew.
    fn forget(&mut self) {
        for address in std::mem::take(&mut self.gone) {
            self.state().remove(&address);
        }
    }

    /// Into the prefix, with the beneficiary paid. What `moved` is told of from where it is now.
    fn commit(&mut self, executed: Executed, moved: bool) -> Result<Executed, TxError> {
        let Executed { mut outcome, reward, .. } = executed;
        let beneficiary = self.beneficiary;
        for change in &mut outcome.changes {
            if change.kind == AccountChangeKind::Touched && (moved || change.address == beneficiary) {
                let now = self.prefix().account(&change.address).map_err(TxError::State)?;
                rebase(change, now);
            }
        }
        let paid = |info: AccountInfo| AccountInfo {
            balance: info.balance.checked_add(reward).unwrap_or(info.balance),
            ..info
        };
        match outcome.changes.binary_search_by_key(&beneficiary, |change| change.address) {
            Ok(at) => {
                let change = &mut outcome.changes[at];
                if change.kind != AccountChangeKind::Destroyed {
                    change.after = paid(change.after);
                }
            }
            Err(at) => {
                let before = self.prefix().account(&beneficiary).map_err(TxError::State)?;
                let after = paid(before.unwrap_or_default());
                let change = AccountChange {
                    address: beneficiary,
                    kind: AccountChangeKind::Touched,
                    before,
                    after,
                    code: None,
                    storage: Vec::new(),
                };
                outcome.changes.insert(at, change);
            }
        }
        let prefix = &mut self.evm.ctx.journaled_state.database.state;
        let alone = self.alone;
        let is_kept = |change: &AccountChange| !alone || !change.is_plain() || change.address == beneficiary;
        prefix.commit_where(&outcome, is_kept);
        for change in outcome.changes.iter().filter(|change| is_kept(change)) {
            let address = &change.address;
            if change.kind != AccountChangeKind::Created && is_remade(change) {
                self.gone.push(*address);
                continue;
            }
            let Some(account) = self.state().get_mut(address) else { continue };
            if change.kind == AccountChangeKind::Created {
                // What of its storage is not here is asked for from now on.
                account.unmark_created();
            } else {
                // Where a unit before this one was taken out, this one's nonce was counted as if that had never been.
                account.info.nonce = account.info.nonce.max(change.after.nonce);
            }
            if *address == beneficiary && !reward.is_zero() {
                account.info.balance = account.info.balance.checked_add(reward).unwrap_or(account.info.balance);
                account.status -= AccountStatus::LoadedAsNotExisting;
            }
        }
        Ok(Executed { outcome, ..executed })
    }

    /// By how much the waiting units raise the nonce of an account.
    fn nonces_of(&self, address: &Address) -> u64 {
        let own = self.units.iter().flat_map(Unit::changes).filter(|change| change.address == *address);
        let by = own.map(|change| change.after.nonce.saturating_sub(change.before.unwrap_or_default().nonce));
        by.fold(0, u64::saturating_add)
    }

    /// Brings in what another thread committed next: the units that are stale by that, which are taken back.
    pub(crate) fn bring(&mut self, outcome: &TxOutcome) -> Vec<Range<usize>> {
        self.misled.clear();
        let stale = if self.units.is_empty() { Stale::None } else { self.stale_by(outcome) };
        let stale = self.take_back(stale);
        let mark = self.units.front().map_or(usize::MAX, |unit| unit.mark);
        let mut moves = false;
        for change in &outcome.changes {
            let Some(account) = self.evm.ctx.journaled_state.inner.state.get_mut(&change.address) else { continue };
            if is_remade(change) {
                self.state().remove(&change.address);
                continue;
            }
            if is_nothing(change) {
                continue;
            }
            let seen = account.transaction_id.get() >= mark;
            let before = change.before.unwrap_or_default();
            if seen && (before.balance, before.nonce) == (change.after.balance, change.after.nonce) {
                // Only slots.
            } else if seen {
                let raised = if before.nonce == change.after.nonce { 0 } else { self.nonces_of(&change.address) };
                let Some(account) = self.evm.ctx.journaled_state.inner.state.get_mut(&change.address) else { continue };
                let info = &mut account.info;
                info.balance = info.balance.wrapping_add(change.after.balance.wrapping_sub(before.balance));
                // It may have been foreseen.
                info.nonce = info.nonce.max(change.after.nonce.saturating_add(raised));
                moves = true;
            } else {
                let info = &mut account.info;
                if info.code_hash != change.after.code_hash {
                    info.code = None;
                }
                (info.balance, info.nonce, info.code_hash) =
                    (change.after.balance, change.after.nonce, change.after.code_hash);
                account.status -= AccountStatus::LoadedAsNotExisting;
            }
            let state = &mut self.evm.ctx.journaled_state.inner.state;
            if let (Some(account), false) = (state.get_mut(&change.address), change.storage.is_empty()) {
                for slot in &change.storage {
                    if let Some(held) = account.storage.get_mut(&slot.slot) {
                        held.present_value = slot.value;
                    }
                }
            }
        }
        if moves {
            self.units.iter_mut().for_each(|unit| unit.moved = true);
        }
        let database = &mut self.evm.ctx.journaled_state.database;
        database.high |= outcome.changes.iter().any(|change| change.after.balance.bit_len() > HIGH_BITS);
        database.state.commit(outcome);
        stale
    }
}
