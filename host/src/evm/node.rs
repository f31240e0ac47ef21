//! The way in and out for an EVM that a node has set up: its environment and transactions as ours, our outcomes as its results.

use super::{account_info, bundle, revm_info, settings, spec};
use crate::{
    block::{BlobParams, BlockEnv, MAX_BLOBS_PER_TX_OSAKA},
    fork::Fork,
    outcome::{AccountChange, AccountChangeKind, Log, TxOutcome, TxStatus},
    state::AccountInfo,
    tx::{Authorization, Signature, Transaction, TxType},
};
use alloy_primitives::{Address, B256, Bytes, Log as AlloyLog, TxKind, U256};
use revm::{
    context::{BlockEnv as RevmBlock, CfgEnv, TxEnv, either::Either},
    context_interface::{
        Cfg,
        result::{ExecResultAndState, ExecutionResult, HaltReason, OutOfGasError, Output, ResultGas, SuccessReason},
    },
    state::{Account, AccountInfo as RevmAccountInfo, EvmState, EvmStorageSlot, TransactionId},
};

/// The environment that makes revm what `cfg` and `block` make it; `None` where a setting is not what a fork alone says, such
/// as a check that is off or another limit of code size.
pub(crate) fn env_of(cfg: &CfgEnv, block: &RevmBlock) -> Option<BlockEnv> {
    let fork = Fork::ALL.iter().copied().find(|fork| spec(*fork) == cfg.spec)?;
    let blob = block.blob_excess_gas_and_price;
    let params = |most: u64| BlobParams {
        target: 0,
        // Of a block's own limit, which is higher from Osaka on, an EVM knows nothing: the header's rules are that limit.
        max: if fork >= Fork::Osaka && most == MAX_BLOBS_PER_TX_OSAKA { u64::MAX } else { most },
        update_fraction: cfg.blob_base_fee_update_fraction.unwrap_or(1),
    };
    let env = BlockEnv {
        chain_id: cfg.chain_id,
        fork,
        number: block.number.try_into().ok()?,
        timestamp: block.timestamp.try_into().ok()?,
        beneficiary: block.beneficiary,
        gas_limit: block.gas_limit,
        base_fee: block.basefee,
        difficulty: block.difficulty,
        prevrandao: block.prevrandao.unwrap_or_default(),
        excess_blob_gas: blob.map_or(0, |blob| blob.excess_blob_gas),
        blob_params: cfg.max_blobs_per_tx.filter(|_| fork >= Fork::Cancun).map(params),
        blob_price: blob.map(|blob| blob.blob_gasprice),
    };
    let (mut our_cfg, mut our_block) = settings(&env).ok()?;
    if our_cfg.tx_gas_limit_cap() != cfg.tx_gas_limit_cap() {
        return None;
    }
    our_cfg.tx_gas_limit_cap = cfg.tx_gas_limit_cap;
    // The price is given, so nobody asks how it moves; before Cancun nobody asks for blobs, before Amsterdam for the slot.
    our_cfg.blob_base_fee_update_fraction = cfg.blob_base_fee_update_fraction;
    if fork < Fork::Cancun {
        our_cfg.max_blobs_per_tx = cfg.max_blobs_per_tx;
        our_block.blob_excess_gas_and_price = blob;
    }
    our_block.slot_num = block.slot_num;
    (our_cfg == *cfg && our_block == *block).then_some(env)
}

/// A transaction as it stands in an EVM, without hashes and signature; `None` for a type that is not ours.
pub(crate) fn transaction_of(tx: &TxEnv) -> Option<Transaction> {
    let tx_type = match tx.tx_type {
        0 => TxType::Legacy,
        1 => TxType::AccessList,
        2 => TxType::DynamicFee,
        3 => TxType::Blob,
        4 => TxType::SetCode,
        _ => return None,
    };
    Some(Transaction {
        chain_id: tx.chain_id,
        nonce: tx.nonce,
        gas_limit: tx.gas_limit,
        max_fee_per_gas: U256::from(tx.gas_price),
        max_priority_fee_per_gas: tx.gas_priority_fee.map(U256::from),
        to: match tx.kind {
            TxKind::Call(to) => Some(to),
            TxKind::Create => None,
        },
        value: tx.value,
        input: tx.data.clone(),
        access_list: tx.access_list.iter().map(|item| (item.address, item.storage_keys.clone())).collect(),
        max_fee_per_blob_gas: U256::from(tx.max_fee_per_blob_gas),
        blob_hashes: tx.blob_hashes.clone(),
        authorizations: tx
            .authorization_list
            .iter()
            .map(|tuple| {
                let (inner, authority) = match tuple {
                    Either::Left(signed) => (signed.inner(), signed.recover_authority().ok()),
                    Either::Right(recovered) => (&**recovered, recovered.authority()),
                };
                Authorization {
                    chain_id: inner.chain_id,
                    address: inner.address,
                    nonce: inner.nonce,
                    signing_hash: B256::ZERO,
                    signature: Signature::default(),
                    raw_parity: 0,
                    authority: Some(authority),
                }
            })
            .collect(),
        ..Transaction::blank(tx_type, 0)
    })
}

/// What revm's own execution would have given, as far as receipts and state can tell. An outcome holds gas after refunds, one kind of
/// success and one of halt: the refund is none here, a success a return, and a halt out of gas.
///
/// `cached` tells of an account in the database that the result is to be committed to, and so loads it there: revm's `State` takes
/// changes of loaded accounts alone.
pub(crate) fn result_of<E>(
    outcome: TxOutcome,
    mut cached: impl FnMut(Address) -> Result<Option<RevmAccountInfo>, E>,
) -> Result<ExecResultAndState<ExecutionResult>, E> {
    let mut state = EvmState::default();
    for change in &outcome.changes {
        let cached = cached(change.address)?;
        state.insert(change.address, revm_account(change, cached));
    }
    let gas = ResultGas::default().with_total_gas_spent(outcome.gas_used);
    let logs: Vec<_> = outcome.logs.into_iter().map(alloy_log).collect();
    let result = match outcome.status {
        TxStatus::Success => ExecutionResult::Success {
            reason: SuccessReason::Return,
            gas,
            logs,
            output: match outcome.contract_address {
                Some(address) => Output::Create(outcome.output, Some(address)),
                None => Output::Call(outcome.output),
            },
        },
        TxStatus::Revert => ExecutionResult::Revert { gas, logs, output: outcome.output },
        TxStatus::Halt => ExecutionResult::Halt { reason: HaltReason::OutOfGas(OutOfGasError::Basic), gas, logs },
    };
    Ok(ExecResultAndState { result, state })
}

fn alloy_log(log: Log) -> AlloyLog {
    AlloyLog::new_unchecked(log.address, log.topics, log.data)
}

/// An account as ours, and the code that came along.
pub(crate) fn account_and_code(info: RevmAccountInfo) -> (AccountInfo, Option<Bytes>) {
    (account_info(&info), info.code.map(|code| code.original_bytes()))
}

/// A change as revm's journal would tell it; `cached` is what the transactions before left.
fn revm_account(change: &AccountChange, cached: Option<RevmAccountInfo>) -> Account {
    let mut account = match &change.before {
        Some(before) => Account::from(revm_info(before)),
        None => Account::new_not_existing(TransactionId::ZERO),
    };
    account.info = bundle::info(change, cached.as_ref());
    account.mark_touch();
    match change.kind {
        AccountChangeKind::Touched => {}
        AccountChangeKind::Created => account.mark_created(),
        AccountChangeKind::Destroyed => account.mark_selfdestruct(),
    }
    let slots = change.storage.iter();
    account.storage = slots
        .map(|slot| (slot.slot, EvmStorageSlot::new_changed(slot.original, slot.value, TransactionId::ZERO)))
        .collect();
    account
}
