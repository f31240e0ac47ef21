//! Who runs on the device: a pure function of transaction, fork, limits and what is known of the target's code.

use crate::{
    abi,
    block::BlockEnv,
    context::{Context, PlacedTx, Terms},
    coverage::{Coverage, CoverageMode},
    delegation::{Delegated, Delegations},
    fallback::FallbackReason,
    fork::Fork,
    intrinsic::{IntrinsicGas, check_call, check_intrinsic},
    state::{StateError, StateRef},
    tx::{Transaction, TxType},
};
use alloy_primitives::{Address, B256, Bytes, U256};

/// Sizes of lanes. One that meets a cap of the small size runs again in the large one before it falls back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LaneClass {
    /// Many of them: 16,384 fit 256 MiB.
    Small,
    /// Few of them, for long calls.
    Large,
}

impl LaneClass {
    /// The name in reports and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
        }
    }
}

/// What a lane may use before it falls back. Values: size classes are only other values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneLimits {
    /// Lanes a batch.
    pub lanes: usize,
    /// EVM words on the stack.
    pub stack_words: u32,
    /// EVM memory in 32-bit limbs, a multiple of 8.
    pub memory_limbs: u32,
    /// Log data in 32-bit limbs.
    pub log_limbs: u32,
    /// Return data in 32-bit limbs.
    pub return_limbs: u32,
    /// Live frames.
    pub depth: u32,
    /// Overlay entries: slots, transient slots, accounts and block hashes together.
    pub slots: u32,
    /// Log entries.
    pub logs: u32,
    /// Journal records: changes that a failed call would undo.
    pub journal: u32,
    /// Steps in all.
    pub max_steps: u32,
    /// Calldata in bytes.
    pub input_len: usize,
    /// Code in bytes.
    pub code_len: usize,
}

/// Bytes of the maps of a batch.
const MAX_MAPS_BYTES: u64 = 32 << 20;

/// Rows of four limbs that a struct takes.
const fn rows<T>() -> u32 {
    (size_of::<T>() / 16) as u32
}

impl Default for LaneLimits {
    fn default() -> Self {
        Self::LARGE
    }
}

impl LaneLimits {
    /// Rows of the registers, before the frames.
    pub const REGISTER_ROWS: u32 = rows::<abi::LaneState>();

    /// Rows of an overlay entry.
    pub const ENTRY_ROWS: u32 = rows::<abi::OverlayEntry>();

    /// 32 slots and 8 accounts, in one overlay of 40 entries; 14.4 KiB a lane, no binding beyond 108 MiB.
    pub const SMALL: Self = Self {
        lanes: 16_384,
        stack_words: 64,
        memory_limbs: 1024,
        log_limbs: 96,
        return_limbs: 128,
        depth: 4,
        slots: 40,
        logs: 4,
        journal: 24,
        max_steps: 1 << 20,
        input_len: 128 * 1024,
        code_len: 128 * 1024,
    };

    /// No binding beyond 128 MiB: 46 + 126 + 78 MiB of stack, memory and overlay.
    pub const LARGE: Self = Self {
        lanes: 2944,
        stack_words: 512,
        memory_limbs: 8192,
        log_limbs: 1024,
        return_limbs: 2048,
        depth: 12,
        slots: 128,
        logs: 32,
        journal: 128,
        max_steps: 1 << 20,
        input_len: 128 * 1024,
        code_len: 128 * 1024,
    };

    /// Those of a class.
    pub const fn of(class: LaneClass) -> Self {
        match class {
            LaneClass::Small => Self::SMALL,
            LaneClass::Large => Self::LARGE,
        }
    }

    /// The same where edges are noted. With a map a lane there are fewer lanes: together they take no more memory than without
    /// maps, and the maps not more than 32 MiB, on the host as well.
    #[must_use]
    pub fn covering(self, mode: CoverageMode) -> Self {
        if mode != CoverageMode::Each {
            return self;
        }
        let plain: u64 = self.lane_bytes().iter().sum();
        let fit = self.lanes as u64 * plain / (plain + Coverage::BYTES);
        let lanes = fit.min(MAX_MAPS_BYTES / Coverage::BYTES) as usize;
        Self { lanes: lanes.max(1).min(self.lanes), ..self }
    }

    /// Rows of a lane in the overlay buffer.
    pub const fn overlay_rows(&self) -> u32 {
        self.slots * Self::ENTRY_ROWS
            + self.logs * rows::<abi::LogEntry>()
            + self.journal * rows::<abi::JournalRecord>()
    }

    /// Rows of a lane in the lane buffer.
    pub const fn lane_rows(&self) -> u32 {
        Self::REGISTER_ROWS + self.depth * rows::<abi::FrameState>()
    }

    /// 32-bit limbs of a lane in the memory buffer; a copy may look at one behind the last.
    pub const fn memory_rows(&self) -> u32 {
        self.memory_limbs + self.log_limbs + self.return_limbs + 1
    }

    /// Bytes of a lane in the lane, stack, memory and overlay buffers.
    pub fn lane_bytes(&self) -> [u64; 4] {
        let rows = [4 * self.lane_rows(), 8 * self.stack_words, self.memory_rows(), 4 * self.overlay_rows()];
        rows.map(|limbs| u64::from(limbs) * 4)
    }
}

/// The gas price and what a sender must hold for gas before execution: gas at the effective price, and blob gas.
#[derive(Clone, Copy, Debug)]
pub struct Fees {
    /// Effective gas price in wei.
    pub gas_price: U256,
    /// Gas limit times price, plus the blob fee.
    pub upfront: U256,
    /// The blob fee alone: burnt whatever happens.
    pub blob: U256,
}

impl Fees {
    /// Wraps where a transaction is invalid for its fees; validation refuses it before anything of this is used.
    pub fn of(tx: &Transaction, env: &BlockEnv) -> Self {
        let gas_price = tx.effective_gas_price(env.base_fee);
        let blob_price = env.blob_base_fee().filter(|_| !tx.blob_hashes.is_empty()).unwrap_or_default();
        let blob = U256::from(blob_price).wrapping_mul(U256::from(tx.blob_gas()));
        Self { gas_price, upfront: gas_price.wrapping_mul(U256::from(tx.gas_limit)).wrapping_add(blob), blob }
    }
}

/// The code that a transaction runs: its target's, or its init code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetCode {
    /// Code hash of the account itself; of the init code where there is none yet.
    pub account_hash: B256,
    /// Code hash of what runs: the same, or the delegate's (EIP-7702).
    pub hash: B256,
    /// What runs; empty where the delegate has no code.
    pub bytes: Bytes,
    /// The delegate.
    pub delegate: Option<Address>,
}

/// One transaction on its way to the device.
#[derive(Clone, Debug)]
pub struct Lane<'a> {
    /// Index in the block, or in the run.
    pub index: usize,
    /// Index of its context.
    pub context: usize,
    /// Whether it is a transaction or a call.
    pub terms: Terms,
    /// The transaction.
    pub tx: &'a Transaction,
    /// Its sender.
    pub sender: Address,
    /// Its target, or the account that it creates.
    pub to: Address,
    /// The target's code or the init code; `None` where there is none.
    pub code: Option<TargetCode>,
    /// Code hash of the target account as the plan saw it, `None` where it does not exist or has no code.
    pub account_hash: Option<B256>,
    /// What the authorization list does before (EIP-7702); the target's code is as it is after that.
    pub delegations: Delegations,
    /// Base gas and floor.
    pub gas: IntrinsicGas,
    /// Price and advance payment.
    pub fees: Fees,
}

impl Lane<'_> {
    /// What runs; `None` for a plain transfer, to which a delegation to nothing comes down.
    pub fn running(&self) -> Option<&TargetCode> {
        self.code.as_ref().filter(|code| !code.bytes.is_empty())
    }

    /// The step that a transaction to a precompile comes down to: `OP_*`, zero for other targets.
    pub fn precompile_op(&self) -> u32 {
        if self.creates() { 0 } else { precompile_op(&self.to) }
    }

    /// Whether the transaction creates its target.
    pub const fn creates(&self) -> bool {
        self.tx.to.is_none()
    }
}

/// Where a transaction goes.
#[derive(Clone, Debug)]
pub enum Route<'a> {
    /// To a lane.
    Device(Box<Lane<'a>>),
    /// To revm, for a reason that counts.
    Fallback(FallbackReason),
    /// To revm, which is to judge: the transaction is invalid, or its fees are beyond what arithmetic is agreed on.
    Revm,
}

/// EIP-7702 designator: 0xef0100 and an address.
pub fn delegate_of(code: &[u8]) -> Option<Address> {
    code.strip_prefix(&[0xef, 0x01, 0x00]).filter(|rest| rest.len() == 20).map(Address::from_slice)
}

/// Whether `address` is a precompile at `fork` (EIP-2, 196–198, 152, 4844, 2537, 7951).
pub fn is_precompile(address: &Address, fork: Fork) -> bool {
    if address[..18].iter().any(|byte| *byte != 0) {
        return false;
    }
    let number = u16::from_be_bytes([address[18], address[19]]);
    let last = match fork {
        _ if fork >= Fork::Prague => 0x11,
        Fork::Cancun => 0x0a,
        _ if fork >= Fork::Istanbul => 9,
        _ if fork >= Fork::Byzantium => 8,
        _ => 4,
    };
    (1..=last).contains(&number) || (number == 0x100 && fork >= Fork::Osaka)
}

/// The step that runs a precompile in a lane, `OP_*`; zero where the kernel has none.
fn precompile_op(address: &Address) -> u32 {
    let (rest, number) = address.split_at(19);
    match number[0] {
        _ if rest.iter().any(|byte| *byte != 0) => 0,
        1 => abi::OP_RECOVER,
        2 => abi::OP_SHA256,
        4 => abi::OP_IDENTITY,
        _ => 0,
    }
}

/// The code that a call to `to` runs on `state`, delegation followed once: at every fork, since revm does.
///
/// # Errors
/// The state could not be read.
pub fn target_code(to: &Address, state: &dyn StateRef) -> Result<Option<TargetCode>, StateError> {
    let Some(info) = state.account(to)?.filter(|info| info.has_code()) else { return Ok(None) };
    let bytes = state.code(&info.code_hash)?;
    let Some(delegate) = delegate_of(&bytes) else {
        return Ok(Some(TargetCode { account_hash: info.code_hash, hash: info.code_hash, bytes, delegate: None }));
    };
    let (hash, bytes) = match state.account(&delegate)?.filter(|info| info.has_code()) {
        Some(info) => (info.code_hash, state.code(&info.code_hash)?),
        None => (alloy_primitives::KECCAK256_EMPTY, Bytes::new()),
    };
    Ok(Some(TargetCode { account_hash: info.code_hash, hash, bytes, delegate: Some(delegate) }))
}

/// How many overlay entries a lane starts with at most.
fn initial_entry_count(tx: &Transaction) -> usize {
    4 + tx.authorizations.len() + tx.access_list.iter().map(|(_, slots)| slots.len() + 1).sum::<usize>()
}

/// Whether nothing known beforehand is beyond the caps of `limits`: the access list, and calldata that may be copied.
pub fn may_fit(lane: &Lane<'_>, limits: &LaneLimits) -> bool {
    initial_entry_count(lane.tx) <= limits.slots as usize && lane.tx.input.len() <= 4 * limits.memory_limbs as usize
}

/// Whether the target has code in `prefix`: an EIP-7702 delegation counts, precompiles and creations do not.
pub fn is_call(tx: &Transaction, prefix: &dyn StateRef) -> Result<bool, StateError> {
    let Some(to) = tx.to else { return Ok(false) };
    Ok(prefix.account(&to)?.is_some_and(|info| info.has_code()))
}

/// Whether the fields are such as decoding gives: none that the type lacks. Others are for revm to judge.
fn is_as_decoded(tx: &Transaction) -> bool {
    let tip = tx.max_priority_fee_per_gas.is_some();
    let no_blobs = tx.blob_hashes.is_empty() && tx.max_fee_per_blob_gas.is_zero();
    if tx.tx_type != TxType::SetCode && !tx.authorizations.is_empty() {
        return false;
    }
    match tx.tx_type {
        TxType::Legacy => !tip && no_blobs && tx.access_list.is_empty(),
        TxType::AccessList => !tip && no_blobs && tx.chain_id.is_some(),
        TxType::DynamicFee => tip && no_blobs && tx.chain_id.is_some(),
        TxType::SetCode => tip && no_blobs && tx.chain_id.is_some() && tx.to.is_some(),
        TxType::Blob => tip && tx.chain_id.is_some() && tx.to.is_some(),
    }
}

/// Routes one transaction as the state of its context, which is given, stands at planning; validation notices if it has
/// changed since.
///
/// # Errors
/// The state could not be read.
pub fn route<'a>(
    index: usize,
    PlacedTx { tx, sender, context }: PlacedTx<'a>,
    Context { env, state }: &Context<'_>,
    terms: Terms,
    limits: &LaneLimits,
) -> Result<Route<'a>, StateError> {
    use FallbackReason as Reason;
    if !(Fork::Berlin..=Fork::Osaka).contains(&env.fork) {
        return Ok(Route::Fallback(Reason::Fork));
    }
    let check = if terms == Terms::Call { check_call } else { check_intrinsic };
    let Ok(gas) = check(tx, env.fork, env.chain_id) else { return Ok(Route::Revm) };
    if !is_as_decoded(tx) {
        return Ok(Route::Revm);
    }
    // revm counts fees in 128 bits and refuses what does not fit.
    let fits = |price: U256, gas: u64| price.checked_mul(U256::from(gas)).is_some_and(|fees| fees.bit_len() < 128);
    if !fits(tx.max_fee_per_gas, tx.gas_limit) || !fits(tx.max_fee_per_blob_gas, tx.blob_gas()) {
        return Ok(Route::Revm);
    }
    let to = tx.to.unwrap_or_else(|| sender.create(tx.nonce));
    let precompile = is_precompile(&to, env.fork);
    if precompile && precompile_op(&to) == 0 {
        return Ok(Route::Fallback(Reason::Precompile));
    }
    if tx.input.len() > limits.input_len {
        return Ok(Route::Fallback(Reason::Calldata));
    }
    let delegations = Delegations::of(tx, &sender, env.chain_id, *state)?;
    let (code, account_hash) = if tx.to.is_some() {
        let code = target_code(&to, &Delegated::new(*state, &delegations))?;
        let account_hash = code.as_ref().map(|code| code.account_hash);
        // A precompile runs whatever code its account has.
        (code.filter(|_| !precompile), account_hash)
    } else if state.account(&to)?.is_some_and(|info| info.collides()) {
        return Ok(Route::Fallback(Reason::Create));
    } else {
        let hash = alloy_primitives::keccak256(&tx.input);
        (Some(TargetCode { account_hash: hash, hash, bytes: tx.input.clone(), delegate: None }), None)
    };
    if let Some(code) = &code {
        if code.bytes.len() > limits.code_len {
            return Ok(Route::Fallback(Reason::CodeSize));
        }
        if initial_entry_count(tx) > limits.slots as usize {
            return Ok(Route::Fallback(Reason::Slots));
        }
    }
    let fees = Fees::of(tx, env);
    Ok(Route::Device(Box::new(Lane {
        index,
        context,
        terms,
        tx,
        sender,
        to,
        code,
        account_hash,
        delegations,
        gas,
        fees,
    })))
}
