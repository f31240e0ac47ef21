//! The only module that names revm: the oracle, the fallback, and the conversions in both directions.

mod beside;
mod bundle;
mod call;
mod edges;
mod hashes;
mod kept;
#[cfg(feature = "alloy-evm")]
mod node;
mod replica;
mod system;
mod trace;
mod watch;
mod watchful;

use crate::{
    block::{BlobParams, BlockEnv, MAX_BLOBS_PER_TX_OSAKA},
    delegation::authority_of,
    error::{Invalid, TxError},
    fork::Fork,
    outcome::{AccountChange, AccountChangeKind, Log, SlotChange, TxOutcome, TxStatus},
    state::{AccountInfo, StateError, StateRef},
    tx::{Transaction, TxType},
};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization as RawAuthorization, RecoveredAuthority, RecoveredAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, TxKind, U256, map::B256Map};
use revm::{
    Context, Database, DatabaseCommit, DatabaseRef, ExecuteEvm, MainBuilder, MainnetEvm,
    bytecode::Bytecode,
    context::{BlockEnv as RevmBlock, CfgEnv, Evm, Journal, TxEnv, either::Either},
    context_interface::{
        block::BlobExcessGasAndPrice,
        cfg::{GasParams, gas_params::Eip2780TxInfo},
        result::{EVMError, ExecResultAndState, ExecutionResult, InvalidTransaction},
    },
    database::State,
    database::states::bundle_state::BundleRetention,
    database_interface::{DBErrorMarker, bal::EvmDatabaseError},
    handler::{EthFrame, PrecompileProvider, instructions::EthInstructions},
    interpreter::{InterpreterResult, interpreter::EthInterpreter},
    primitives::hardfork::SpecId,
    state::{Account, AccountInfo as RevmAccountInfo, EvmState},
};

use hashes::Hashes;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, RwLock};

pub(crate) use beside::Beside;
pub use bundle::bundle_state;
pub(crate) use bundle::bundle_state_on;
pub use call::reference_call;
pub(crate) use call::{CallRevm, Called, trace};
pub use edges::edges_of;
pub use kept::sequential_kept;
#[cfg(feature = "alloy-evm")]
pub(crate) use node::{account_and_code, env_of, result_of, transaction_of};
pub(crate) use replica::{Executed, Left, Replica, watch};
pub use revm::database::BundleState;
pub use system::{sha256, system_call};
pub use trace::{Ending, Observer, Traced};
pub use watch::sequential_watched;

impl DBErrorMarker for StateError {}

const fn spec(fork: Fork) -> SpecId {
    match fork {
        Fork::Frontier => SpecId::FRONTIER,
        Fork::Homestead => SpecId::HOMESTEAD,
        Fork::Tangerine => SpecId::TANGERINE,
        Fork::SpuriousDragon => SpecId::SPURIOUS_DRAGON,
        Fork::Byzantium => SpecId::BYZANTIUM,
        Fork::Petersburg => SpecId::PETERSBURG,
        Fork::Istanbul => SpecId::ISTANBUL,
        Fork::Berlin => SpecId::BERLIN,
        Fork::London => SpecId::LONDON,
        Fork::Merge => SpecId::MERGE,
        Fork::Shanghai => SpecId::SHANGHAI,
        Fork::Cancun => SpecId::CANCUN,
        Fork::Prague => SpecId::PRAGUE,
        Fork::Osaka => SpecId::OSAKA,
        Fork::Amsterdam => SpecId::AMSTERDAM,
    }
}

/// See [`crate::intrinsic::intrinsic_gas`].
pub(crate) fn initial_gas(tx: &Transaction, fork: Fork) -> (u64, u64) {
    let keys: usize = tx.access_list.iter().map(|(_, keys)| keys.len()).sum();
    let eip2780 = (fork >= Fork::Amsterdam).then_some(Eip2780TxInfo { value: tx.value, is_self_transfer: false });
    let gas = GasParams::new_spec(spec(fork)).initial_tx_gas(
        &tx.input,
        tx.to.is_none(),
        tx.access_list.len() as u64,
        keys as u64,
        tx.authorizations.len() as u64,
        eip2780,
    );
    (gas.initial_regular_gas, if fork >= Fork::Prague { gas.floor_gas } else { 0 })
}

/// Turns anything that implements revm's `DatabaseRef` into a state.
#[derive(Clone, Copy, Debug)]
pub struct RevmState<D>(pub D);

impl<D: DatabaseRef + Sync> StateRef for RevmState<D> {
    fn account(&self, address: &Address) -> Result<Option<AccountInfo>, StateError> {
        let info = self.0.basic_ref(*address).map_err(|cause| StateError(format!("account {address}: {cause}")))?;
        Ok(info.as_ref().map(account_info))
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        self.0.storage_ref(*address, *slot).map_err(|cause| StateError(format!("slot {slot:#x} of {address}: {cause}")))
    }

    fn code(&self, code_hash: &B256) -> Result<Bytes, StateError> {
        let code =
            self.0.code_by_hash_ref(*code_hash).map_err(|cause| StateError(format!("code {code_hash}: {cause}")))?;
        Ok(code.original_bytes())
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.0.block_hash_ref(number).map_err(|cause| StateError(format!("hash of block {number}: {cause}")))
    }
}

/// Bytes of analysed code beyond which what is kept is dropped, and beyond which what a thread keeps for itself is.
const MAX_CODE_BYTES: usize = 256 << 20;
const MAX_OWN_CODE_BYTES: usize = 32 << 20;

/// What is kept for so many threads, of which each may have two of these at once.
const MOST_OWN: usize = 128;

/// What an engine keeps for revm from block to block: code as revm wants it, by hash, since analysing costs more than running most
/// calls; and what each thread at work has for itself.
#[derive(Clone, Debug, Default)]
pub struct RevmCache(Arc<Kept>);

#[derive(Debug, Default)]
struct Kept {
    codes: RwLock<Codes>,
    own: Mutex<Vec<Own>>,
}

/// What a thread has for itself: hashes; and code, since threads that count references to the same one wait for each other.
#[derive(Debug, Default)]
struct Own {
    hashes: Hashes,
    codes: Codes,
}

#[derive(Debug, Default)]
struct Codes {
    codes: B256Map<Bytecode>,
    bytes: usize,
}

impl RevmCache {
    /// For as long as a thread is at work.
    fn take_own(&self) -> Own {
        self.0.own.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn put_own(&self, own: Own) {
        let mut kept = self.0.own.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < MOST_OWN {
            kept.push(own);
        }
    }

    fn get(&self, code_hash: &B256) -> Option<Bytecode> {
        self.0.codes.read().unwrap_or_else(PoisonError::into_inner).codes.get(code_hash).cloned()
    }

    fn keep(&self, code_hash: B256, code: &Bytecode) {
        self.0.codes.write().unwrap_or_else(PoisonError::into_inner).keep(code_hash, code, MAX_CODE_BYTES);
    }
}

impl Codes {
    fn keep(&mut self, code_hash: B256, code: &Bytecode, most: usize) {
        if self.bytes > most {
            *self = Self::default();
        }
        // Its jump table takes a bit a byte.
        self.bytes += code.len() + code.len() / 8;
        self.codes.insert(code_hash, code.clone());
    }
}

/// The way back: a state as revm's database. Analysed code is kept.
#[derive(Debug)]
struct Source<S> {
    state: S,
    codes: Codes,
    /// What others find analysed; none where threads have code of their own.
    shared: Option<RevmCache>,
    /// Whether an account was read whose balance is such that one may overflow. revm's journal does not take back what a payment that
    /// would overflow its receiver has taken from its payer, so nothing that it holds may be kept for the next transaction then.
    high: bool,
}

/// Bits of a balance from which on sums may overflow: of smaller ones it takes more accounts than there are.
const HIGH_BITS: usize = 192;

impl<S> Source<S> {
    fn new(state: S) -> Self {
        Self::sharing(state, &RevmCache::default())
    }

    fn sharing(state: S, shared: &RevmCache) -> Self {
        Self { state, codes: Codes::default(), shared: Some(shared.clone()), high: false }
    }

    fn alone(state: S, codes: Codes) -> Self {
        Self { state, codes, shared: None, high: false }
    }
}

impl<S: StateRef> Database for Source<S> {
    type Error = StateError;

    fn basic(&mut self, address: Address) -> Result<Option<RevmAccountInfo>, StateError> {
        let info = self.state.account(&address)?;
        self.high |= info.is_some_and(|info| info.balance.bit_len() > HIGH_BITS);
        Ok(info.map(|info| revm_info(&info)))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, StateError> {
        if code_hash == KECCAK256_EMPTY {
            return Ok(Bytecode::default());
        }
        if let Some(code) = self.codes.codes.get(&code_hash) {
            return Ok(code.clone());
        }
        let code = match self.shared.as_ref().and_then(|shared| shared.get(&code_hash)) {
            Some(code) => code,
            None => {
                let code = bytecode(self.state.code(&code_hash)?);
                if let Some(shared) = &self.shared {
                    shared.keep(code_hash, &code);
                }
                code
            }
        };
        self.codes.keep(code_hash, &code, MAX_OWN_CODE_BYTES);
        Ok(code)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, StateError> {
        self.state.storage(&address, &slot)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StateError> {
        self.state.block_hash(number)
    }
}

/// Bytes that only look like an EIP-7702 designator are plain code, as deployed before EIP-3541.
fn bytecode(code: Bytes) -> Bytecode {
    Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code))
}

fn account_info(info: &RevmAccountInfo) -> AccountInfo {
    AccountInfo { balance: info.balance, nonce: info.nonce, code_hash: info.code_hash }
}

fn revm_info(info: &AccountInfo) -> RevmAccountInfo {
    RevmAccountInfo {
        balance: info.balance,
        nonce: info.nonce,
        code_hash: info.code_hash,
        // The default has code, whose count of references all threads share.
        ..NO_CODE.copy_without_code()
    }
}

/// An account without code or anything else.
static NO_CODE: LazyLock<RevmAccountInfo> = LazyLock::new(|| RevmAccountInfo::default().without_code());

type EvmContext<DB> = Context<RevmBlock, TxEnv, CfgEnv, DB, Journal<DB>, ()>;

/// The context of the reference path.
type ReferenceContext<'a> = EvmContext<State<Source<&'a dyn StateRef>>>;

/// The reference path's EVM with precompiles `P`.
type Reference<'a, P> =
    Evm<ReferenceContext<'a>, (), EthInstructions<EthInterpreter, ReferenceContext<'a>>, P, EthFrame<EthInterpreter>>;

/// The blob parameters and the price of blob gas, from Cancun on.
fn blobs(env: &BlockEnv) -> Result<Option<(BlobParams, u128)>, Invalid> {
    if env.fork < Fork::Cancun {
        return Ok(None);
    }
    let Some(params) = env.blob_params else {
        return Err(Invalid::new("blob_params", format!("missing at {}", env.fork)));
    };
    let Some(price) = env.blob_base_fee() else {
        return Err(Invalid::new(
            "excess_blob_gas",
            "the price of blob gas exceeds 128 bits or the update fraction is zero",
        ));
    };
    Ok(Some((params, price)))
}

/// Whether [`Revm::new`] takes an environment.
///
/// # Errors
/// As there.
pub(crate) fn check_env(env: &BlockEnv) -> Result<(), Invalid> {
    blobs(env).map(drop)
}

/// An environment as revm has it.
fn settings(env: &BlockEnv) -> Result<(CfgEnv, RevmBlock), Invalid> {
    let mut cfg = CfgEnv::new_with_spec(spec(env.fork)).with_chain_id(env.chain_id);
    let mut block = RevmBlock {
        number: U256::from(env.number),
        beneficiary: env.beneficiary,
        timestamp: U256::from(env.timestamp),
        gas_limit: env.gas_limit,
        basefee: env.base_fee,
        difficulty: env.difficulty,
        prevrandao: (env.fork >= Fork::Merge).then_some(env.prevrandao),
        blob_excess_gas_and_price: None,
        slot_num: 0,
    };
    if let Some((params, blob_gasprice)) = blobs(env)? {
        block.blob_excess_gas_and_price =
            Some(BlobExcessGasAndPrice { excess_blob_gas: env.excess_blob_gas, blob_gasprice });
        cfg.max_blobs_per_tx =
            Some(if env.fork >= Fork::Osaka { params.max.min(MAX_BLOBS_PER_TX_OSAKA) } else { params.max });
        cfg.blob_base_fee_update_fraction = Some(params.update_fraction);
    }
    Ok((cfg, block))
}

fn build<DB: Database>(env: &BlockEnv, db: DB) -> Result<MainnetEvm<EvmContext<DB>>, Invalid> {
    let (cfg, block) = settings(env)?;
    let context: EvmContext<DB> = Context::new(db, spec(env.fork));
    Ok(context.with_cfg(cfg).with_block(block).build_mainnet())
}

fn tx_env(tx: &Transaction, sender: Address) -> Result<TxEnv, Invalid> {
    // revm's fees are 128 bits wide. A wider one is legal in a transaction, but no account on any chain can pay for it.
    let narrow = |value: U256, field| {
        u128::try_from(value).map_err(|_| Invalid::new(field, format!("{value} exceeds what any account can pay")))
    };
    Ok(TxEnv {
        tx_type: tx.tx_type as u8,
        caller: sender,
        gas_limit: tx.gas_limit,
        gas_price: narrow(tx.max_fee_per_gas, "max_fee_per_gas")?,
        kind: tx.to.map_or(TxKind::Create, TxKind::Call),
        value: tx.value,
        data: tx.input.clone(),
        nonce: tx.nonce,
        chain_id: tx.chain_id,
        access_list: AccessList(
            tx.access_list
                .iter()
                .map(|(address, keys)| AccessListItem { address: *address, storage_keys: keys.clone() })
                .collect(),
        ),
        gas_priority_fee: tx.max_priority_fee_per_gas.map(|tip| narrow(tip, "max_priority_fee_per_gas")).transpose()?,
        blob_hashes: tx.blob_hashes.clone(),
        max_fee_per_blob_gas: narrow(tx.max_fee_per_blob_gas, "max_fee_per_blob_gas")?,
        authorization_list: tx
            .authorizations
            .iter()
            .map(|authorization| {
                let inner = RawAuthorization {
                    chain_id: authorization.chain_id,
                    address: authorization.address,
                    nonce: authorization.nonce,
                };
                let authority =
                    authority_of(authorization).map_or(RecoveredAuthority::Invalid, RecoveredAuthority::Valid);
                Either::Right(RecoveredAuthorization::new_unchecked(inner, authority))
            })
            .collect(),
    })
}

/// The field at fault for each of revm's reasons; the reason itself is revm's text.
fn invalid(error: &InvalidTransaction) -> Invalid {
    use InvalidTransaction as E;
    let field = match error {
        E::PriorityFeeGreaterThanMaxFee => "max_priority_fee_per_gas",
        E::GasPriceLessThanBasefee => "max_fee_per_gas",
        E::CallerGasLimitMoreThanBlock
        | E::CallGasCostMoreThanGasLimit { .. }
        | E::GasFloorMoreThanGasLimit { .. }
        | E::TxGasLimitGreaterThanCap { .. } => "gas_limit",
        E::RejectCallerWithCode => "sender",
        E::LackOfFundForMaxFee { .. } => "balance",
        E::OverflowPaymentInTransaction => "value",
        E::NonceOverflowInTransaction | E::NonceTooHigh { .. } | E::NonceTooLow { .. } => "nonce",
        E::CreateInitCodeSizeLimit => "input",
        E::InvalidChainId | E::MissingChainId => "chain_id",
        E::BlobGasPriceGreaterThanMax { .. } | E::MaxFeePerBlobGasNotSupported => "max_fee_per_blob_gas",
        E::EmptyBlobs | E::TooManyBlobs { .. } | E::BlobVersionNotSupported | E::BlobVersionedHashesNotSupported => {
            "blob_hashes"
        }
        E::BlobCreateTransaction => "to",
        E::AuthorizationListNotSupported | E::AuthorizationListInvalidFields | E::EmptyAuthorizationList => {
            "authorization_list"
        }
        E::AccessListNotSupported => "access_list",
        _ => "type",
    };
    Invalid::new(field, error.to_string())
}

/// `database` turns the database's own error into ours.
fn tx_error<E>(error: EVMError<E>, database: impl FnOnce(E) -> TxError) -> TxError {
    match error {
        EVMError::Transaction(error) => TxError::Invalid(invalid(&error)),
        EVMError::Header(error) => TxError::Invalid(Invalid::new("header", error.to_string())),
        EVMError::Database(error) => database(error),
        EVMError::Custom(reason) => TxError::Evm(reason),
        EVMError::CustomAny(error) => TxError::Evm(error.to_string()),
    }
}

/// revm's `State` wraps the error of the database under it.
fn state_error(error: EvmDatabaseError<StateError>) -> TxError {
    match error {
        EvmDatabaseError::Database(error) => TxError::State(error),
        EvmDatabaseError::Bal(error) => TxError::Evm(error.to_string()),
    }
}

/// revm on a state view, one transaction at a time.
pub struct Revm<S: StateRef> {
    evm: MainnetEvm<EvmContext<Source<S>>>,
}

impl<S: StateRef> std::fmt::Debug for Revm<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Revm").field("block", &self.evm.ctx.block).finish_non_exhaustive()
    }
}

impl<S: StateRef> Revm<S> {
    /// revm with the mainnet rules of `env.fork`.
    ///
    /// # Errors
    /// Names the field of `env` that contradicts the fork.
    pub fn new(env: &BlockEnv, state: S) -> Result<Self, Invalid> {
        Self::sharing(env, state, &RevmCache::default())
    }

    /// The same with code that is analysed already, and that others will find analysed.
    ///
    /// # Errors
    /// As [`Revm::new`].
    pub fn sharing(env: &BlockEnv, state: S, codes: &RevmCache) -> Result<Self, Invalid> {
        Ok(Self { evm: build(env, Source::sharing(state, codes))? })
    }

    /// The state that the next transaction will see.
    pub fn state(&self) -> &S {
        &self.evm.ctx.journaled_state.database.state
    }

    /// The same, to commit to.
    pub fn state_mut(&mut self) -> &mut S {
        &mut self.evm.ctx.journaled_state.database.state
    }

    /// Goes on in another environment, which must be of the same fork, and on another state: cheaper than a new one.
    ///
    /// # Errors
    /// As [`Revm::new`].
    pub(crate) fn enter(&mut self, env: &BlockEnv, state: S) -> Result<(), Invalid> {
        (self.evm.ctx.cfg, self.evm.ctx.block) = settings(env)?;
        *self.state_mut() = state;
        Ok(())
    }

    /// Runs one transaction on the state as it is now, and leaves the state as it is: committing is the caller's.
    ///
    /// # Errors
    /// See [`TxError`]. Limits of the block as a whole are [`BlockGas`]'s part.
    pub fn transact(&mut self, tx: &Transaction, sender: Address) -> Result<TxOutcome, TxError> {
        let result = self.evm.transact(tx_env(tx, sender)?).map_err(|error| tx_error(error, TxError::State))?;
        Ok(outcome_of(result))
    }
}

/// The whole outcome.
fn outcome_of(result: ExecResultAndState<ExecutionResult>) -> TxOutcome {
    TxOutcome { changes: changes(result.state), ..outcome(result.result) }
}

/// Everything but the changes.
fn outcome(result: ExecutionResult) -> TxOutcome {
    let contract_address = result.created_address();
    let (gas_used, status) = match &result {
        ExecutionResult::Success { gas, .. } => (gas.tx_gas_used(), TxStatus::Success),
        ExecutionResult::Revert { gas, .. } => (gas.tx_gas_used(), TxStatus::Revert),
        ExecutionResult::Halt { gas, .. } => (gas.tx_gas_used(), TxStatus::Halt),
    };
    let output = result.output().cloned().unwrap_or_default();
    let logs = result
        .into_logs()
        .into_iter()
        .map(|log| {
            let (topics, data) = log.data.split();
            Log { address: log.address, topics, data }
        })
        .collect();
    TxOutcome { status, gas_used, output, logs, contract_address, changes: Vec::new() }
}

/// What revm's cache will see after the journal's `finalize`, which has already turned pre-EIP-161 cases into "created" or "not touched".
fn changes(state: EvmState) -> Vec<AccountChange> {
    let mut changes: Vec<_> = state
        .into_iter()
        .filter(|(_, account)| account.is_touched())
        .map(|(address, account)| change(address, &account))
        .collect();
    changes.sort_unstable_by_key(|change| change.address);
    changes
}

fn change(address: Address, account: &Account) -> AccountChange {
    let kind = match (account.is_selfdestructed(), account.is_created()) {
        (true, _) => AccountChangeKind::Destroyed,
        (_, true) => AccountChangeKind::Created,
        _ => AccountChangeKind::Touched,
    };
    let mut storage: Vec<_> = account
        .changed_storage_slots()
        .map(|(slot, value)| SlotChange { slot: *slot, original: value.original_value, value: value.present_value })
        .collect();
    storage.sort_unstable_by_key(|change| change.slot);
    change_of(address, kind, account, storage)
}

/// What became of an account whose slots changed so.
fn change_of(address: Address, kind: AccountChangeKind, account: &Account, storage: Vec<SlotChange>) -> AccountChange {
    let before = (!account.is_loaded_as_not_existing()).then(|| account_info(&account.original_info()));
    if kind == AccountChangeKind::Destroyed {
        return AccountChange { address, kind, before, after: AccountInfo::default(), code: None, storage: Vec::new() };
    }
    let after = account_info(&account.info);
    let sets_code = after.has_code() && before.is_none_or(|before| before.code_hash != after.code_hash);
    let code = account.info.code.as_ref().filter(|_| sets_code).map(Bytecode::original_bytes);
    AccountChange { address, kind, before, after, code, storage }
}

/// The limits that a block sets on the sum of its transactions. Both paths, ours and the reference, go through it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockGas {
    /// Cumulative gas used.
    pub used: u64,
    /// Cumulative blob gas.
    pub blob: u64,
}

impl BlockGas {
    /// Whether the next transaction still fits.
    ///
    /// # Errors
    /// `gas_limit` or `blob_hashes`, with the room left.
    pub fn check(&self, env: &BlockEnv, tx: &Transaction) -> Result<(), Invalid> {
        let left = env.gas_limit.saturating_sub(self.used);
        if tx.gas_limit > left {
            return Err(Invalid::new("gas_limit", format!("{} above the {left} gas left in the block", tx.gas_limit)));
        }
        if tx.tx_type == TxType::Blob {
            let max = env.blob_params.map_or(0, |params| params.max).saturating_mul(131_072);
            let left = max.saturating_sub(self.blob);
            if tx.blob_gas() > left {
                return Err(Invalid::new(
                    "blob_hashes",
                    format!("{} blob gas above the {left} left in the block", tx.blob_gas()),
                ));
            }
        }
        Ok(())
    }

    /// Accounts for a transaction that was executed.
    pub const fn add(&mut self, tx: &Transaction, gas_used: u64) {
        self.used = self.used.saturating_add(gas_used);
        self.blob = self.blob.saturating_add(tx.blob_gas());
    }
}

/// What the reference path yields.
#[derive(Clone, Debug)]
pub struct Sequential {
    /// One a transaction; their `changes` are empty, since the bundle holds them all.
    pub outcomes: Vec<TxOutcome>,
    /// State changes with reverts, the block as one transition.
    pub bundle: BundleState,
}

/// The reference path: revm's own `State`, each transaction committed before the next runs.
///
/// # Errors
/// The index of the transaction and what is wrong with it; a contradiction in `env` counts against transaction 0.
pub fn sequential(
    env: &BlockEnv,
    txs: &[Transaction],
    senders: &[Address],
    state: &dyn StateRef,
) -> Result<Sequential, (usize, TxError)> {
    let mut evm = build(env, bundling(state, &RevmCache::default())).map_err(|error| (0, error.into()))?;
    in_order(&mut evm, env, txs, senders)
}

/// revm's own `State`, which gathers a bundle.
fn bundling<'a>(state: &'a dyn StateRef, codes: &RevmCache) -> State<Source<&'a dyn StateRef>> {
    State::builder().with_database(Source::sharing(state, codes)).with_bundle_update().build()
}

/// [`sequential`] on an `evm` that is ready, with whatever precompiles it has.
fn in_order<'a, P>(
    evm: &mut Reference<'a, P>,
    env: &BlockEnv,
    txs: &[Transaction],
    senders: &[Address],
) -> Result<Sequential, (usize, TxError)>
where
    P: PrecompileProvider<ReferenceContext<'a>, Output = InterpreterResult>,
{
    let mut gas = BlockGas::default();
    let mut outcomes = Vec::with_capacity(txs.len());
    for (index, (tx, sender)) in txs.iter().zip(senders).enumerate() {
        gas.check(env, tx).map_err(|error| (index, error.into()))?;
        let tx_env = tx_env(tx, *sender).map_err(|error| (index, error.into()))?;
        let result = evm.transact(tx_env).map_err(|error| (index, tx_error(error, state_error)))?;
        evm.ctx.journaled_state.database.commit(result.state);
        let outcome = outcome(result.result);
        gas.add(tx, outcome.gas_used);
        outcomes.push(outcome);
    }
    let database = &mut evm.ctx.journaled_state.database;
    database.merge_transitions(BundleRetention::Reverts);
    Ok(Sequential { outcomes, bundle: database.take_bundle() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        commit::Committed,
        fixture,
        recover::{recover_one, sender_request},
    };

    fn decoded() -> (BlockEnv, Vec<Transaction>, Vec<Address>, crate::memory::MemoryState) {
        let (block, state) = fixture::block();
        let txs: Vec<_> = block.transactions.iter().map(|raw| Transaction::decode(raw).unwrap()).collect();
        let senders = txs.iter().map(|tx| recover_one(&sender_request(tx, block.env.fork)).unwrap()).collect();
        (block.env, txs, senders, state)
    }

    #[test]
    fn our_changes_rebuild_the_bundle_of_the_reference_path() {
        let (env, txs, senders, state) = decoded();
        let reference = sequential(&env, &txs, &senders, &state).unwrap();
        let mut revm = Revm::new(&env, Committed::new(&state)).unwrap();
        let mut outcomes = Vec::new();
        for (index, (tx, sender)) in txs.iter().zip(&senders).enumerate() {
            let outcome = revm.transact(tx, *sender).unwrap();
            revm.state_mut().commit(&outcome);
            assert_eq!(TxOutcome { changes: Vec::new(), ..outcome.clone() }, reference.outcomes[index]);
            outcomes.push(outcome);
        }
        assert_eq!(bundle_state(&outcomes), reference.bundle);
        outcomes[1].changes.clear();
        assert_ne!(bundle_state(&outcomes), reference.bundle, "a lost change must show");
    }

    #[test]
    fn invalid_transactions_name_their_field() {
        let (env, txs, senders, state) = decoded();
        let field =
            |env: &BlockEnv, tx: &Transaction, sender| match Revm::new(env, &state).unwrap().transact(tx, sender) {
                Err(TxError::Invalid(invalid)) => invalid.field,
                other => panic!("{other:?}"),
            };
        assert_eq!(field(&env, &txs[1], senders[1]), "nonce", "a gap");
        assert_eq!(field(&env, &txs[0], Address::repeat_byte(3)), "balance");
        assert_eq!(field(&env, &txs[0], fixture::LOGGER), "sender", "EIP-3607");
        assert_eq!(field(&BlockEnv { base_fee: 11, ..env.clone() }, &txs[0], senders[0]), "max_fee_per_gas");
        assert_eq!(field(&BlockEnv { gas_limit: 20_000, ..env.clone() }, &txs[0], senders[0]), "gas_limit");
        assert_eq!(field(&BlockEnv { chain_id: 2, ..env.clone() }, &txs[0], senders[0]), "chain_id");
        let wide = Transaction { max_fee_per_gas: U256::from(1) << 130, ..txs[0].clone() };
        assert_eq!(field(&env, &wide, senders[0]), "max_fee_per_gas");
    }

    #[test]
    fn the_block_gas_limit_counts_all_transactions() {
        let (env, txs, _, _) = decoded();
        let mut gas = BlockGas::default();
        gas.add(&txs[0], env.gas_limit - 21_000);
        assert_eq!(gas.check(&env, &txs[0]), Ok(()));
        gas.add(&txs[0], 1);
        assert_eq!(gas.check(&env, &txs[0]).unwrap_err().field, "gas_limit");
    }

    #[test]
    fn cancun_needs_blob_parameters() {
        let (env, _, _, state) = decoded();
        assert_eq!(Revm::new(&BlockEnv { fork: Fork::Cancun, ..env }, &state).unwrap_err().field, "blob_params");
    }
}
