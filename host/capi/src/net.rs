//! What a block did to the state in all: the changes of its transactions, one over the other, without those that cancel out.

use crate::types::lockstep_account_change;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use lockstep::{
    outcome::{AccountChange, AccountChangeKind, TxOutcome},
    state::AccountInfo,
};
use std::collections::BTreeMap;

/// Accounts and codes that a block has touched.
#[derive(Debug, Default)]
pub(crate) struct Net<'a> {
    accounts: BTreeMap<Address, Account>,
    codes: BTreeMap<B256, &'a Bytes>,
}

#[derive(Debug)]
struct Account {
    before: Option<AccountInfo>,
    after: Option<AccountInfo>,
    /// Whether all storage from before the block is gone.
    wiped: bool,
    /// Each slot before the block and after it.
    slots: BTreeMap<U256, (U256, U256)>,
}

/// An account that is not as it was.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) address: Address,
    pub(crate) kind: lockstep_account_change,
    pub(crate) after: AccountInfo,
    pub(crate) slots: Vec<(U256, U256)>,
}

impl<'a> Net<'a> {
    pub(crate) fn new(outcomes: &'a [TxOutcome]) -> Self {
        let mut net = Self::default();
        for change in outcomes.iter().flat_map(|outcome| &outcome.changes) {
            net.add(change);
        }
        net
    }

    fn add(&mut self, change: &'a AccountChange) {
        let new = Account { before: change.before, after: None, wiped: false, slots: BTreeMap::new() };
        let account = self.accounts.entry(change.address).or_insert(new);
        // As in `Committed`: a touched account that ends empty is removed, a created one stays.
        let removed = match change.kind {
            AccountChangeKind::Destroyed => true,
            AccountChangeKind::Touched => change.after.is_empty(),
            AccountChangeKind::Created => false,
        };
        if removed || change.kind == AccountChangeKind::Created {
            account.wiped = true;
            account.slots.clear();
        }
        account.after = (!removed).then_some(change.after);
        if removed {
            return;
        }
        for slot in &change.storage {
            // After a wipe the first value is this transaction's, and does not matter.
            account.slots.entry(slot.slot).or_insert((slot.original, U256::ZERO)).1 = slot.value;
        }
        if let Some(code) = &change.code
            && change.after.code_hash != KECCAK256_EMPTY
        {
            self.codes.insert(change.after.code_hash, code);
        }
    }

    /// In the order of addresses.
    pub(crate) fn changes(&self) -> impl Iterator<Item = Change> {
        self.accounts.iter().filter_map(|(address, account)| account.change(*address))
    }

    /// Codes that were set, in the order of hashes.
    pub(crate) fn codes(&self) -> impl Iterator<Item = (&B256, &'a Bytes)> {
        self.codes.iter().map(|(hash, code)| (hash, *code))
    }
}

impl Account {
    fn change(&self, address: Address) -> Option<Change> {
        let Some(after) = self.after else {
            let kind = lockstep_account_change::Removed;
            let removed = Change { address, kind, after: AccountInfo::default(), slots: Vec::new() };
            return self.before.map(|_| removed);
        };
        let differs = |(before, after): &(U256, U256)| if self.wiped { !after.is_zero() } else { before != after };
        let slots = self.slots.iter().filter(|(_, values)| differs(values));
        let slots: Vec<_> = slots.map(|(slot, (_, value))| (*slot, *value)).collect();
        let kind = if self.wiped { lockstep_account_change::Replaced } else { lockstep_account_change::Changed };
        let same = !self.wiped && self.before == Some(after) && slots.is_empty();
        (!same).then_some(Change { address, kind, after, slots })
    }
}
