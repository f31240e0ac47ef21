//! What can be said about a transaction from its bytes and the fork alone, before any state is read.

use crate::{
    block::MAX_BLOBS_PER_TX_OSAKA,
    error::Invalid,
    fork::Fork,
    tx::{Transaction, TxType},
};
use alloy_primitives::U256;

/// Longest init code from Shanghai on (EIP-3860), in bytes.
pub const MAX_INITCODE_SIZE: usize = 49_152;

/// Longest init code from Amsterdam on (EIP-7954), in bytes.
pub const MAX_INITCODE_SIZE_AMSTERDAM: usize = 131_072;

/// Highest gas limit of a transaction in Osaka (EIP-7825).
pub const MAX_TX_GAS_OSAKA: u64 = 1 << 24;

/// Version byte of KZG blob hashes (EIP-4844).
const BLOB_HASH_VERSION: u8 = 1;

/// Gas that a transaction pays whatever it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IntrinsicGas {
    /// Charged before the first opcode.
    pub initial: u64,
    /// Least gas used (EIP-7623); zero before Prague.
    pub floor: u64,
}

/// Base, calldata, creation, access list and authorisations at `fork`, by revm's tables. In Amsterdam (EIP-2780), where the base depends on
/// the sender, that of a transaction to somebody else.
pub fn intrinsic_gas(tx: &Transaction, fork: Fork) -> IntrinsicGas {
    let (initial, floor) = crate::evm::initial_gas(tx, fork);
    IntrinsicGas { initial, floor }
}

/// Checks every rule of `fork` that needs no state, and gives the intrinsic gas.
///
/// Ranges of the signature are recovery's part; balance, nonce of the account, base fee and block limits are execution's.
///
/// # Errors
/// Names the field and the rule.
pub fn check_intrinsic(tx: &Transaction, fork: Fork, chain_id: u64) -> Result<IntrinsicGas, Invalid> {
    if fork == Fork::Osaka && tx.gas_limit > MAX_TX_GAS_OSAKA {
        let reason = format!("{} above the cap of {MAX_TX_GAS_OSAKA} (EIP-7825)", tx.gas_limit);
        return Err(Invalid::new("gas_limit", reason));
    }
    check_call(tx, fork, chain_id)
}

/// The same for a call, which has no cap on gas.
///
/// # Errors
/// Names the field and the rule.
pub fn check_call(tx: &Transaction, fork: Fork, chain_id: u64) -> Result<IntrinsicGas, Invalid> {
    check_type(tx, fork)?;
    check_chain_id(tx, fork, chain_id)?;
    check_fees(tx)?;
    check_shape(tx, fork)?;
    if tx.nonce == u64::MAX {
        return Err(Invalid::new("nonce", "2^64 - 1 or above (EIP-2681)"));
    }
    let gas = intrinsic_gas(tx, fork);
    if gas.initial > tx.gas_limit {
        return Err(Invalid::new("gas_limit", format!("{} below the intrinsic gas {}", tx.gas_limit, gas.initial)));
    }
    if gas.floor > tx.gas_limit {
        return Err(Invalid::new(
            "gas_limit",
            format!("{} below the calldata floor {} (EIP-7623)", tx.gas_limit, gas.floor),
        ));
    }
    Ok(gas)
}

fn check_type(tx: &Transaction, fork: Fork) -> Result<(), Invalid> {
    let since = match tx.tx_type {
        TxType::Legacy => Fork::Frontier,
        TxType::AccessList => Fork::Berlin,
        TxType::DynamicFee => Fork::London,
        TxType::Blob => Fork::Cancun,
        TxType::SetCode => Fork::Prague,
    };
    if fork < since {
        return Err(Invalid::new("type", format!("type {} comes with {since}, the block is {fork}", tx.tx_type as u8)));
    }
    Ok(())
}

fn check_chain_id(tx: &Transaction, fork: Fork, expected: u64) -> Result<(), Invalid> {
    match tx.chain_id {
        Some(_) if fork < Fork::SpuriousDragon => {
            Err(Invalid::new("v", format!("EIP-155 comes with SPURIOUS_DRAGON, the block is {fork}")))
        }
        Some(chain_id) if chain_id != expected => {
            Err(Invalid::new("chain_id", format!("{chain_id}, expected {expected}")))
        }
        _ => Ok(()),
    }
}

fn check_fees(tx: &Transaction) -> Result<(), Invalid> {
    if let Some(tip) = tx.max_priority_fee_per_gas
        && tip > tx.max_fee_per_gas
    {
        return Err(Invalid::new(
            "max_priority_fee_per_gas",
            format!("{tip} above max_fee_per_gas {}", tx.max_fee_per_gas),
        ));
    }
    if tx.max_fee_per_gas.checked_mul(U256::from(tx.gas_limit)).is_none() {
        return Err(Invalid::new("max_fee_per_gas", "times the gas limit exceeds 256 bits"));
    }
    Ok(())
}

fn check_shape(tx: &Transaction, fork: Fork) -> Result<(), Invalid> {
    let max_initcode = if fork >= Fork::Amsterdam { MAX_INITCODE_SIZE_AMSTERDAM } else { MAX_INITCODE_SIZE };
    if fork >= Fork::Shanghai && tx.to.is_none() && tx.input.len() > max_initcode {
        return Err(Invalid::new(
            "input",
            format!("init code of {} bytes above {max_initcode} (EIP-3860)", tx.input.len()),
        ));
    }
    if tx.tx_type == TxType::Blob {
        if tx.blob_hashes.is_empty() {
            return Err(Invalid::new("blob_hashes", "no blob (EIP-4844)"));
        }
        if let Some(index) = tx.blob_hashes.iter().position(|hash| hash[0] != BLOB_HASH_VERSION) {
            return Err(Invalid::new("blob_hashes", format!("hash {index} is not of version 1 (EIP-4844)")));
        }
        if fork >= Fork::Osaka && tx.blob_hashes.len() as u64 > MAX_BLOBS_PER_TX_OSAKA {
            return Err(Invalid::new(
                "blob_hashes",
                format!("{} blobs above {MAX_BLOBS_PER_TX_OSAKA} (EIP-7594)", tx.blob_hashes.len()),
            ));
        }
    }
    if tx.tx_type == TxType::SetCode && tx.authorizations.is_empty() {
        return Err(Invalid::new("authorization_list", "empty (EIP-7702)"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use alloy_primitives::{Address, B256, Bytes};

    fn call() -> Transaction {
        Transaction::decode(&fixture::dynamic_fee(1, 0, Address::ZERO.into(), 0, &[])).unwrap()
    }

    fn field(tx: &Transaction, fork: Fork) -> &'static str {
        check_intrinsic(tx, fork, 1).unwrap_err().field
    }

    #[test]
    fn types_come_with_their_forks() {
        for (tx_type, fork) in [
            (TxType::AccessList, Fork::Berlin),
            (TxType::DynamicFee, Fork::London),
            (TxType::Blob, Fork::Cancun),
            (TxType::SetCode, Fork::Prague),
        ] {
            let mut tx = Transaction { tx_type, ..call() };
            tx.blob_hashes = vec![B256::repeat_byte(BLOB_HASH_VERSION)];
            tx.authorizations = vec![crate::tx::Authorization {
                chain_id: U256::ONE,
                address: Address::ZERO,
                nonce: 0,
                signing_hash: B256::ZERO,
                signature: Default::default(),
                raw_parity: 0,
                authority: None,
            }];
            let before = Fork::ALL[fork as usize - 1];
            assert_eq!(field(&tx, before), "type");
            assert!(check_intrinsic(&tx, fork, 1).is_ok(), "{fork}");
        }
    }

    #[test]
    fn floor_and_cap() {
        let mut tx = Transaction { input: Bytes::from(vec![1; 1_000]), ..call() };
        assert_eq!(check_intrinsic(&tx, Fork::Cancun, 1), Ok(IntrinsicGas { initial: 37_000, floor: 0 }));
        assert_eq!(check_intrinsic(&tx, Fork::Prague, 1), Ok(IntrinsicGas { initial: 37_000, floor: 61_000 }));
        tx.gas_limit = 60_999;
        assert_eq!(field(&tx, Fork::Prague), "gas_limit");
        tx.gas_limit = MAX_TX_GAS_OSAKA + 1;
        assert!(check_intrinsic(&tx, Fork::Prague, 1).is_ok());
        assert_eq!(field(&tx, Fork::Osaka), "gas_limit");
    }

    #[test]
    fn shapes() {
        let blob = |hashes| Transaction { tx_type: TxType::Blob, blob_hashes: hashes, ..call() };
        assert_eq!(field(&blob(vec![]), Fork::Cancun), "blob_hashes");
        assert_eq!(field(&blob(vec![B256::ZERO]), Fork::Cancun), "blob_hashes");
        let version_1 = B256::repeat_byte(BLOB_HASH_VERSION);
        assert!(check_intrinsic(&blob(vec![version_1; 7]), Fork::Prague, 1).is_ok());
        assert_eq!(field(&blob(vec![version_1; 7]), Fork::Osaka), "blob_hashes");
        assert_eq!(field(&Transaction { tx_type: TxType::SetCode, ..call() }, Fork::Prague), "authorization_list");
        assert_eq!(field(&Transaction { nonce: u64::MAX, ..call() }, Fork::London), "nonce");
    }
}
