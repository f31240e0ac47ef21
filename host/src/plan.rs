//! Who runs on the device: a pure function of transaction, fork, limits and what is known of the target's code.

use crate::{
    block::BlockEnv,
    fallback::FallbackReason,
    fork::Fork,
    intrinsic::{IntrinsicGas, check_intrinsic},
    lower::{Fees, LaneLimits, initial_entry_count},
    state::{StateError, StateRef},
    tx::Transaction,
};
use alloy_primitives::{Address, B256, Bytes};

/// The code that a transaction to an account runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetCode {
    /// Code hash of the account itself.
    pub account_hash: B256,
    /// Code hash of what runs: the same, or the delegate's (EIP-7702).
    pub hash: B256,
    /// What runs; not empty.
    pub bytes: Bytes,
    /// The delegate.
    pub delegate: Option<Address>,
}

/// One transaction on its way to the device.
#[derive(Clone, Debug)]
pub struct Lane<'a> {
    /// Index in the block.
    pub index: usize,
    /// The transaction.
    pub tx: &'a Transaction,
    /// Its sender.
    pub sender: Address,
    /// Its target.
    pub to: Address,
    /// What runs there; `None` for a plain transfer.
    pub code: Option<TargetCode>,
    /// Code hash of the target account as the plan saw it, `None` where it does not exist or has no code.
    pub account_hash: Option<B256>,
    /// Base gas and floor.
    pub gas: IntrinsicGas,
    /// Price and advance payment.
    pub fees: Fees,
}

/// Where a transaction goes.
#[derive(Clone, Debug)]
pub enum Route<'a> {
    /// To a lane.
    Device(Box<Lane<'a>>),
    /// To revm, for a reason that counts.
    Fallback(FallbackReason),
    /// To revm, which will say why it is invalid.
    Invalid,
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

/// The code that a call to `to` runs on `state`, delegation followed once.
///
/// # Errors
/// The state could not be read.
pub fn target_code(to: &Address, fork: Fork, state: &dyn StateRef) -> Result<Option<TargetCode>, StateError> {
    let Some(info) = state.account(to)?.filter(|info| info.has_code()) else { return Ok(None) };
    let bytes = state.code(&info.code_hash)?;
    let delegate = if fork >= Fork::Prague { delegate_of(&bytes) } else { None };
    let Some(delegate) = delegate else {
        return Ok(Some(TargetCode { account_hash: info.code_hash, hash: info.code_hash, bytes, delegate: None }));
    };
    let (hash, bytes) = match state.account(&delegate)?.filter(|info| info.has_code()) {
        Some(info) => (info.code_hash, state.code(&info.code_hash)?),
        None => (alloy_primitives::KECCAK256_EMPTY, Bytes::new()),
    };
    Ok(Some(TargetCode { account_hash: info.code_hash, hash, bytes, delegate: Some(delegate) }))
}

/// Routes one transaction as the state stands at planning; validation notices if it has changed since.
///
/// # Errors
/// The state could not be read.
pub fn route<'a>(
    index: usize,
    tx: &'a Transaction,
    sender: Address,
    env: &BlockEnv,
    limits: &LaneLimits,
    state: &dyn StateRef,
) -> Result<Route<'a>, StateError> {
    use FallbackReason as Reason;
    if !(Fork::Berlin..=Fork::Osaka).contains(&env.fork) {
        return Ok(Route::Fallback(Reason::Fork));
    }
    let Ok(gas) = check_intrinsic(tx, env.fork, env.chain_id) else { return Ok(Route::Invalid) };
    let Some(to) = tx.to.filter(|_| tx.authorizations.is_empty()) else {
        return Ok(Route::Fallback(Reason::Create));
    };
    if is_precompile(&to, env.fork) {
        return Ok(Route::Fallback(Reason::Precompile));
    }
    if tx.input.len() > limits.input_len {
        return Ok(Route::Fallback(Reason::Calldata));
    }
    let code = target_code(&to, env.fork, state)?;
    let account_hash = code.as_ref().map(|code| code.account_hash);
    if let Some(code) = &code {
        if code.delegate.is_some_and(|delegate| is_precompile(&delegate, env.fork)) {
            return Ok(Route::Fallback(Reason::Precompile));
        }
        if code.bytes.len() > limits.code_len {
            return Ok(Route::Fallback(Reason::CodeSize));
        }
        if initial_entry_count(tx) > limits.slots as usize {
            return Ok(Route::Fallback(Reason::Slots));
        }
    }
    // A delegation to nothing runs nothing.
    let code = code.filter(|code| !code.bytes.is_empty());
    let fees = Fees::of(tx, env);
    Ok(Route::Device(Box::new(Lane { index, tx, sender, to, code, account_hash, gas, fees })))
}
