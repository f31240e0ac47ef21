//! What executing a transaction yields, whoever executed it.

use crate::state::{AccountInfo, StateKey};
use alloy_primitives::{Address, B256, Bytes, U256};

/// How a valid transaction ended: a fact for its receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxStatus {
    /// Stop, return or self-destruct.
    Success,
    /// REVERT: unused gas returned.
    Revert,
    /// Exceptional halt: all gas consumed.
    Halt,
}

/// One log entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The emitting contract.
    pub address: Address,
    /// Zero to four topics.
    pub topics: Vec<B256>,
    /// Unindexed data.
    pub data: Bytes,
}

/// What happened to an account as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountChangeKind {
    /// Touched; the fields may or may not differ. An account that ends empty is removed (EIP-161).
    Touched,
    /// Created in this transaction: earlier storage is gone.
    Created,
    /// Self-destructed: the account and its storage are gone.
    Destroyed,
}

/// One slot's value before and after a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotChange {
    /// The storage key.
    pub slot: U256,
    /// At the start of the transaction.
    pub original: U256,
    /// At its end; differs from `original`.
    pub value: U256,
}

/// The effect of one transaction on one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountChange {
    /// Whose.
    pub address: Address,
    /// What happened.
    pub kind: AccountChangeKind,
    /// Before the transaction; `None` if the account did not exist.
    pub before: Option<AccountInfo>,
    /// After it.
    pub after: AccountInfo,
    /// Code that this transaction set.
    pub code: Option<Bytes>,
    /// Slots whose value changed.
    pub storage: Vec<SlotChange>,
}

impl AccountChange {
    /// Whether it is one of balance, nonce and slots only, to an account that was there and stays.
    pub(crate) fn is_plain(&self) -> bool {
        self.kind == AccountChangeKind::Touched
            && !self.after.is_empty()
            && self.before.is_some_and(|before| !before.is_empty() && before.code_hash == self.after.code_hash)
    }
}

/// The whole result of one valid transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxOutcome {
    /// Success, revert or halt.
    pub status: TxStatus,
    /// Gas paid for, after refunds and the EIP-7623 floor.
    pub gas_used: u64,
    /// Return or revert data.
    pub output: Bytes,
    /// In order of emission; empty unless successful.
    pub logs: Vec<Log>,
    /// The address of a creation transaction that succeeded.
    pub contract_address: Option<Address>,
    /// Every touched account, each once, by address.
    pub changes: Vec<AccountChange>,
}

impl TxOutcome {
    /// Every slot that it changes.
    pub(crate) fn slots(&self) -> impl Iterator<Item = StateKey> {
        let slots = |change: &AccountChange| {
            let address = change.address;
            change.storage.iter().map(move |slot| StateKey::Slot(address, slot.slot)).collect::<Vec<_>>()
        };
        self.changes.iter().flat_map(slots)
    }
}
