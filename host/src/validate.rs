//! Judges a lane's result against the committed prefix, by value, and turns it into a transaction's outcome.

use crate::{
    abi,
    block::BlockEnv,
    commit::Committed,
    context::Terms,
    coverage::Coverage,
    delegation::{Delegated, Delegations},
    fallback::FallbackReason,
    fork::Fork,
    lower::{CodeArena, LaneResult, SnapshotTable, from_limbs, key_of, moved_before, raised_before},
    outcome::{AccountChange, AccountChangeKind, Log, SlotChange, TxOutcome, TxStatus},
    plan::{Lane, delegate_of, target_code},
    state::{AccountInfo, StateError, StateKey, StateRef},
};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};

/// A value that a lane read, and what it must still be for the lane's result to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// The balance of an account.
    Balance(Address, U256),
    /// That the balance of an account is so much at least: it covers what the account paid.
    Funds(Address, U256),
    /// The nonce of an account.
    Nonce(Address, u64),
    /// Code hash and emptiness of an account.
    Code(Address, B256, bool),
    /// A storage slot.
    Slot(Address, U256, U256),
}

/// How a lane ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With a result.
    Done(TxStatus),
    /// The device declined.
    Fallback(FallbackReason),
    /// Never: the state could not answer what the lane asked, or the lane was not run, and revm is to say so.
    Parked,
}

/// A lane's result, detached from the device, waiting for its turn.
#[derive(Clone, Debug)]
pub struct Speculation {
    /// How the lane ended.
    pub end: End,
    /// Everything that the result depends on, beyond nonce, funds and code of the parties.
    pub reads: Vec<Read>,
    /// Accounts and slots that are warm at the end of the outermost frame, where that is asked for.
    pub warm: Vec<StateKey>,
    gas_left: u64,
    refund: u64,
    touched: Vec<Touched>,
    writes: Vec<(Address, SlotChange)>,
    logs: Vec<Log>,
    output: Bytes,
    /// The edges that the lane took, where they were asked for lane by lane. They stand if the result does.
    pub coverage: Option<Box<Coverage>>,
}

/// An account that the code touched, and what it did to it.
#[derive(Clone, Debug)]
struct Touched {
    address: Address,
    /// What it moved to the balance, modulo 2^256. Less than 2^128 either way unless the balance was read.
    amount: U256,
    read: bool,
    /// How far it raised the nonce.
    raised: u32,
    kind: AccountChangeKind,
    /// Code that it set.
    code: Option<Bytes>,
}

/// What the prefix says about a result.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It is what sequential execution gives.
    Accept(TxOutcome),
    /// A value that it depends on has changed.
    Stale,
    /// revm is to judge: the transaction may not stand here, or ends before any code.
    Revm,
}

fn ended(result: &LaneResult) -> End {
    match result.state.status {
        abi::STATUS_STOP | abi::STATUS_RETURN => End::Done(TxStatus::Success),
        abi::STATUS_REVERT => End::Done(TxStatus::Revert),
        abi::STATUS_OUT_OF_GAS..=abi::STATUS_CREATE => End::Done(TxStatus::Halt),
        abi::STATUS_PARKED => End::Parked,
        status => {
            let reason = status.checked_sub(abi::STATUS_FALLBACK).and_then(FallbackReason::from_u32);
            End::Fallback(reason.unwrap_or(FallbackReason::DeviceError))
        }
    }
}

/// Accounts and slots that are warm in a lane.
pub(crate) fn warm_keys(result: &LaneResult, snapshot: &SnapshotTable) -> Vec<StateKey> {
    let warm = |entry: &&abi::OverlayEntry| entry.flags & abi::ENTRY_WARM != 0 && entry.key & abi::KEY_TRANSIENT == 0;
    result.entries.iter().filter(warm).filter_map(|entry| snapshot.entry(entry.key).map(key_of)).collect()
}

/// What a debit that left `slack` (see [`abi::ENTRY_SLACK_SHIFT`]) says of the balance that was `original`.
fn funds(original: U256, slack: u32) -> U256 {
    let left = if slack > 1 { U256::ONE << (slack - 2) } else { U256::ZERO };
    original.saturating_sub(left)
}

impl Speculation {
    /// Detaches a lane's result. `snapshot` and `codes` must be those that the lane ran on.
    pub fn new(lane: &Lane<'_>, result: LaneResult, snapshot: &SnapshotTable, codes: &CodeArena) -> Self {
        let mut end = ended(&result);
        let mut reads = Vec::new();
        let mut writes = Vec::new();
        let mut touched = Vec::new();
        for entry in result.entries.iter().filter(|entry| entry.flags & abi::ENTRY_LOADED != 0) {
            let Some(held) = snapshot.entry(entry.key) else {
                end = End::Fallback(FallbackReason::DeviceError);
                continue;
            };
            match key_of(held) {
                StateKey::Slot(..) if entry.key & abi::KEY_TRANSIENT != 0 => {}
                StateKey::Slot(address, slot) => {
                    let fresh = entry.flags & abi::ENTRY_FRESH != 0;
                    let original = if fresh { U256::ZERO } else { from_limbs(held.value) };
                    if !fresh {
                        reads.push(Read::Slot(address, slot, original));
                    }
                    let value = from_limbs(entry.current);
                    if entry.flags & abi::ENTRY_WRITTEN != 0 && value != original {
                        writes.push((address, SlotChange { slot, original, value }));
                    }
                }
                StateKey::Account(address) => {
                    let original = from_limbs(held.value);
                    let read = entry.flags & abi::ENTRY_READ != 0;
                    let slack = entry.flags >> abi::ENTRY_SLACK_SHIFT;
                    if read {
                        reads.push(Read::Balance(address, original));
                    } else if slack > 0 {
                        reads.push(Read::Funds(address, funds(original, slack)));
                    }
                    if entry.flags & abi::ENTRY_TOUCHED != 0 {
                        let before = original.wrapping_add(moved_before(lane, &address));
                        let amount = from_limbs(entry.current).wrapping_sub(before);
                        let raised = entry.nonce_delta.wrapping_sub(raised_before(lane, &address));
                        let kind = match entry.flags & (abi::ENTRY_CREATED | abi::ENTRY_DESTROYED) {
                            0 => AccountChangeKind::Touched,
                            abi::ENTRY_CREATED => AccountChangeKind::Created,
                            _ => AccountChangeKind::Destroyed,
                        };
                        let sets_code = entry.flags & abi::ENTRY_CODE != 0;
                        let code = if sets_code { codes.code(entry.code) } else { None };
                        if sets_code && code.is_none() {
                            end = End::Fallback(FallbackReason::DeviceError);
                        }
                        touched.push(Touched { address, amount, read, raised, kind, code });
                    }
                    if entry.flags & abi::ENTRY_READ_NONCE != 0 {
                        let nonce = u64::from(held.nonce_lo) | u64::from(held.nonce_hi) << 32;
                        reads.push(Read::Nonce(address, nonce));
                    }
                    if entry.flags & abi::ENTRY_READ_CODE != 0 {
                        let hash = B256::from(from_limbs(codes.header(held.code).hash));
                        reads.push(Read::Code(address, hash, held.flags & abi::ACCOUNT_ALIVE != 0));
                    }
                }
                StateKey::BlockHash(_) => {}
            }
        }
        let success = end == End::Done(TxStatus::Success);
        let logs = if success {
            result
                .logs
                .into_iter()
                .map(|log| Log { address: log.address, topics: log.topics, data: log.data.into() })
                .collect()
        } else {
            Vec::new()
        };
        let halted = end == End::Done(TxStatus::Halt);
        let gas_left = u64::from(result.state.gas_lo) | u64::from(result.state.gas_hi) << 32;
        Self {
            end,
            reads,
            warm: Vec::new(),
            gas_left: if halted { 0 } else { gas_left },
            refund: if success { u64::from(result.state.refund) } else { 0 },
            touched: if success { touched } else { Vec::new() },
            writes: if success { writes } else { Vec::new() },
            logs,
            output: if halted { Bytes::new() } else { result.output.into() },
            coverage: result.coverage,
        }
    }

    /// Of a lane that was not run, for revm to judge.
    pub fn not_run() -> Self {
        Self {
            end: End::Parked,
            reads: Vec::new(),
            gas_left: 0,
            refund: 0,
            touched: Vec::new(),
            writes: Vec::new(),
            logs: Vec::new(),
            output: Bytes::new(),
            coverage: None,
            warm: Vec::new(),
        }
    }

    /// Whether a value that the result depends on differs in `prefix`.
    ///
    /// # Errors
    /// The state could not be read.
    pub fn is_stale(&self, lane: &Lane<'_>, env: &BlockEnv, prefix: &Committed<'_>) -> Result<bool, StateError> {
        let parties = Parties::of(lane, env, prefix)?;
        self.differs(lane, env, prefix, &parties)
    }

    fn differs(
        &self,
        lane: &Lane<'_>,
        env: &BlockEnv,
        committed: &Committed<'_>,
        prefix: &Parties<'_>,
    ) -> Result<bool, StateError> {
        for read in &self.reads {
            let same = match read {
                Read::Balance(address, balance) => prefix.account(address)?.unwrap_or_default().balance == *balance,
                Read::Funds(address, least) => prefix.account(address)?.unwrap_or_default().balance >= *least,
                Read::Nonce(address, nonce) => prefix.account(address)?.unwrap_or_default().nonce == *nonce,
                Read::Code(address, hash, alive) => {
                    let info = prefix.account(address)?.unwrap_or_default();
                    info.code_hash == *hash && info.is_empty() != *alive
                }
                // What nobody has changed is what it was when the lane read it.
                Read::Slot(address, slot, value) => committed.changed(address, slot).is_none_or(|now| now == *value),
            };
            if !same {
                return Ok(true);
            }
        }
        if Delegations::of(lane.tx, &lane.sender, env.chain_id, prefix)? != lane.delegations {
            return Ok(true);
        }
        // The call comes after the list.
        let prefix = &Delegated::new(prefix, &lane.delegations);
        let account = prefix.account(&lane.to)?;
        if lane.creates() {
            return Ok(account.is_some_and(|info| info.collides()));
        }
        if account.filter(AccountInfo::has_code).map(|info| info.code_hash) != lane.account_hash {
            return Ok(true);
        }
        // The delegate's code may change while the designator stays.
        if let Some(code) = lane.code.as_ref().filter(|code| code.delegate.is_some()) {
            return Ok(target_code(&lane.to, prefix)?.is_none_or(|now| now.hash != code.hash));
        }
        Ok(false)
    }

    /// Slots that the result depends on and that differ in `prefix`, as far as that can be read.
    pub(crate) fn stale_slots(&self, prefix: &dyn StateRef) -> impl Iterator<Item = StateKey> {
        self.reads.iter().filter_map(|read| match read {
            Read::Slot(address, slot, value) if prefix.storage(address, slot).is_ok_and(|now| now != *value) => {
                Some(StateKey::Slot(*address, *slot))
            }
            _ => None,
        })
    }

    /// Judges a finished result at its turn in a block. What is accepted takes output and logs along.
    ///
    /// # Errors
    /// The state could not be read.
    pub fn validate(
        &mut self,
        lane: &Lane<'_>,
        status: TxStatus,
        env: &BlockEnv,
        committed: &Committed<'_>,
    ) -> Result<Verdict, StateError> {
        let prefix = &Parties::of(lane, env, committed)?;
        let sender = prefix.account(&lane.sender)?.unwrap_or_default();
        if !may_stand(lane, &sender, env, prefix)? {
            return Ok(Verdict::Revm);
        }
        if self.differs(lane, env, committed, prefix)? {
            return Ok(Verdict::Stale);
        }
        if !self.adds_up(lane, &sender, env, prefix)? {
            return Ok(Verdict::Revm);
        }
        let (changes, gas_used) = self.changes(lane, status, env, prefix)?;
        let told = (std::mem::take(&mut self.output), std::mem::take(&mut self.logs));
        Ok(Verdict::Accept(result(lane, status, gas_used, told, changes)))
    }

    /// Judges a finished result on the very state that its lane ran on, where nothing can be stale; `None` where revm is
    /// to judge. The changes are left out unless they are asked for.
    ///
    /// # Errors
    /// The state could not be read.
    pub fn judge(
        &self,
        lane: &Lane<'_>,
        status: TxStatus,
        env: &BlockEnv,
        state: &dyn StateRef,
        changes: bool,
    ) -> Result<Option<TxOutcome>, StateError> {
        let state = &Parties::of(lane, env, state)?;
        let sender = state.account(&lane.sender)?.unwrap_or_default();
        if !may_stand(lane, &sender, env, state)? || !self.adds_up(lane, &sender, env, state)? {
            return Ok(None);
        }
        let (changes, gas_used) =
            if changes { self.changes(lane, status, env, state)? } else { (Vec::new(), self.gas_used(lane, env.fork)) };
        Ok(Some(result(lane, status, gas_used, (self.output.clone(), self.logs.clone()), changes)))
    }

    /// Whether no sum ends where revm has its own way.
    fn adds_up(
        &self,
        lane: &Lane<'_>,
        sender: &AccountInfo,
        env: &BlockEnv,
        prefix: &dyn StateRef,
    ) -> Result<bool, StateError> {
        // revm halts where the target cannot hold the value, before any code; a lane knows nothing of that balance.
        if !can_hold_value(lane, prefix)? {
            return Ok(false);
        }
        // Far from where the sums end, balances that were not read may differ.
        for touched in self.touched.iter().filter(|touched| !touched.read) {
            if prefix.account(&touched.address)?.unwrap_or_default().balance.bit_len() > 255 {
                return Ok(false);
            }
        }
        // revm keeps back a reimbursement that the sender's balance cannot hold.
        if let Some(paid) = self.touched.iter().find(|touched| touched.address == lane.sender) {
            let left = sender.balance.wrapping_add(moved_before(lane, &lane.sender)).wrapping_add(paid.amount);
            let unused = U256::from(lane.tx.gas_limit - self.gas_used(lane, env.fork));
            if left.checked_add(lane.fees.gas_price * unused).is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Gas paid for: refunds capped (EIP-3529), not below the floor (EIP-7623).
    fn gas_used(&self, lane: &Lane<'_>, fork: Fork) -> u64 {
        let spent = lane.tx.gas_limit - self.gas_left.min(lane.tx.gas_limit);
        let quotient = if fork >= Fork::London { 5 } else { 2 };
        let refund = self.refund.saturating_add(lane.delegations.refund);
        (spent - refund.min(spent / quotient)).max(lane.gas.floor)
    }

    /// What the transaction changes, and gas paid for.
    fn changes(
        &self,
        lane: &Lane<'_>,
        status: TxStatus,
        env: &BlockEnv,
        prefix: &Parties<'_>,
    ) -> Result<(Vec<AccountChange>, u64), StateError> {
        let gas_used = self.gas_used(lane, env.fork);
        let gas = U256::from(gas_used);
        let mut changes = Changes { prefix, accounts: Vec::with_capacity(self.touched.len() + 3) };

        let sender = changes.account(lane.sender)?;
        sender.nonce += 1;
        sender.balance = sender.balance.wrapping_sub(lane.fees.gas_price * gas).wrapping_sub(lane.fees.blob);
        for authority in &lane.delegations.authorities {
            if let Some((_, code)) = &authority.code {
                let change = changes.entry(authority.address)?;
                change.after.nonce = authority.nonce;
                change.set_code(code.clone());
            }
        }
        let sender = changes.account(lane.sender)?;
        if status == TxStatus::Success {
            sender.balance = sender.balance.wrapping_sub(lane.tx.value);
            let target = changes.account(lane.to)?;
            target.balance = target.balance.wrapping_add(lane.tx.value);
            if lane.creates() {
                target.nonce = 1;
                let created = changes.entry(lane.to)?;
                created.kind = AccountChangeKind::Created;
                created.set_code(self.output.clone());
            }
        }
        for touched in &self.touched {
            let change = changes.entry(touched.address)?;
            change.after.balance = change.after.balance.wrapping_add(touched.amount);
            change.after.nonce = change.after.nonce.wrapping_add(u64::from(touched.raised));
            if let Some(code) = &touched.code {
                change.set_code(code.clone());
            }
            if touched.kind != AccountChangeKind::Touched {
                change.kind = touched.kind;
            }
        }
        for (address, slot) in &self.writes {
            changes.entry(*address)?.storage.push(*slot);
        }
        let burnt = if env.fork >= Fork::London { U256::from(env.base_fee) } else { U256::ZERO };
        let beneficiary = changes.account(env.beneficiary)?;
        // revm leaves a balance that would overflow as it is.
        // A call has no price.
        let fees = lane.fees.gas_price.saturating_sub(burnt) * gas;
        beneficiary.balance = beneficiary.balance.checked_add(fees).unwrap_or(beneficiary.balance);

        Ok((changes.finish(), gas_used))
    }
}

fn result(
    lane: &Lane<'_>,
    status: TxStatus,
    gas_used: u64,
    (output, logs): (Bytes, Vec<Log>),
    changes: Vec<AccountChange>,
) -> TxOutcome {
    let contract_address = Some(lane.to).filter(|_| lane.creates() && status == TxStatus::Success);
    TxOutcome { status, gas_used, output, logs, contract_address, changes }
}

/// A state whose accounts of sender, target and beneficiary are looked up once.
struct Parties<'a> {
    below: &'a dyn StateRef,
    held: [(Address, Option<AccountInfo>); 3],
}

impl<'a> Parties<'a> {
    fn of(lane: &Lane<'_>, env: &BlockEnv, below: &'a dyn StateRef) -> Result<Self, StateError> {
        let held = |address| Ok((address, below.account(&address)?));
        Ok(Self { below, held: [held(lane.sender)?, held(lane.to)?, held(env.beneficiary)?] })
    }
}

impl StateRef for Parties<'_> {
    fn account(&self, address: &Address) -> Result<Option<AccountInfo>, StateError> {
        match self.held.iter().find(|(held, _)| held == address) {
            Some((_, info)) => Ok(*info),
            None => self.below.account(address),
        }
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        self.below.storage(address, slot)
    }

    fn code(&self, code_hash: &B256) -> Result<Bytes, StateError> {
        self.below.code(code_hash)
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.below.block_hash(number)
    }
}

/// The changes of a transaction.
struct Changes<'a> {
    prefix: &'a Parties<'a>,
    accounts: Vec<AccountChange>,
}

impl Changes<'_> {
    /// The change of an account that is touched.
    fn entry(&mut self, address: Address) -> Result<&mut AccountChange, StateError> {
        let place = match self.accounts.iter().position(|change| change.address == address) {
            Some(place) => place,
            None => {
                let before = self.prefix.account(&address)?;
                self.accounts.push(AccountChange {
                    address,
                    kind: AccountChangeKind::Touched,
                    before,
                    after: before.unwrap_or_default(),
                    code: None,
                    storage: Vec::new(),
                });
                self.accounts.len() - 1
            }
        };
        Ok(&mut self.accounts[place])
    }

    fn account(&mut self, address: Address) -> Result<&mut AccountInfo, StateError> {
        Ok(&mut self.entry(address)?.after)
    }

    /// By address.
    fn finish(mut self) -> Vec<AccountChange> {
        for change in &mut self.accounts {
            if change.kind == AccountChangeKind::Destroyed {
                // Whatever was paid to it since is burnt.
                (change.after, change.code) = (AccountInfo::default(), None);
                change.storage.clear();
            }
            change.storage.sort_unstable_by_key(|slot| slot.slot);
        }
        self.accounts.sort_unstable_by_key(|change| change.address);
        self.accounts
    }
}

impl AccountChange {
    fn set_code(&mut self, code: Bytes) {
        self.after.code_hash = keccak256(&code);
        let held = self.before.unwrap_or_default().code_hash;
        self.code = Some(code).filter(|_| self.after.has_code() && self.after.code_hash != held);
    }
}

/// Whether the target can hold what it is sent.
fn can_hold_value(lane: &Lane<'_>, prefix: &dyn StateRef) -> Result<bool, StateError> {
    let held = prefix.account(&lane.to)?.unwrap_or_default().balance;
    Ok(lane.to == lane.sender || held.checked_add(lane.tx.value).is_some())
}

/// Whether revm, on the state that the lane runs on, comes to run code too: the transaction may stand, and its target can
/// hold the value.
///
/// # Errors
/// The state could not be read.
pub fn starts(lane: &Lane<'_>, env: &BlockEnv, state: &dyn StateRef) -> Result<bool, StateError> {
    let sender = state.account(&lane.sender)?.unwrap_or_default();
    Ok(may_stand(lane, &sender, env, state)? && can_hold_value(lane, state)?)
}

/// Whether the sender's account allows the transaction here: nonce, funds, no code (EIP-3607), fee caps (EIP-1559, 4844).
fn may_stand(lane: &Lane<'_>, sender: &AccountInfo, env: &BlockEnv, prefix: &dyn StateRef) -> Result<bool, StateError> {
    let tx = lane.tx;
    if lane.terms == Terms::Call {
        return Ok(sender.nonce == tx.nonce && sender.balance >= tx.value);
    }
    if sender.nonce != tx.nonce || tx.max_fee_per_gas < U256::from(env.base_fee) {
        return Ok(false);
    }
    if tx.blob_gas() > 0 && env.blob_base_fee().is_none_or(|price| tx.max_fee_per_blob_gas < U256::from(price)) {
        return Ok(false);
    }
    let gas = tx.max_fee_per_gas.checked_mul(U256::from(tx.gas_limit));
    let blobs = tx.max_fee_per_blob_gas.checked_mul(U256::from(tx.blob_gas()));
    let most =
        gas.zip(blobs).and_then(|(gas, blobs)| gas.checked_add(blobs)).and_then(|fees| fees.checked_add(tx.value));
    if most.is_none_or(|most| sender.balance < most) {
        return Ok(false);
    }
    Ok(!sender.has_code() || (env.fork >= Fork::Prague && delegate_of(&prefix.code(&sender.code_hash)?).is_some()))
}
