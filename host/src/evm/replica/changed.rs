//! What a transaction changed, by a journal that is kept; and what changes are to those who stand on others.

use crate::{
    evm::change_of,
    outcome::{AccountChange, AccountChangeKind, SlotChange},
    state::AccountInfo,
};
use alloy_primitives::{Address, U256};
use revm::{
    context::JournalEntry,
    primitives::PRECOMPILE3,
    state::{AccountStatus, EvmState},
};

/// What a transaction did to the state.
#[derive(Default)]
pub(super) struct Changed {
    pub(super) changes: Vec<AccountChange>,
    /// Accounts that came into being or went: whether they are there is nothing that the journal could take back.
    pub(super) flipped: Vec<Address>,
    /// Something was destroyed or removed: nothing may stand on that before it is committed.
    pub(super) remade: bool,
}

/// The changes that a journal tells of, as a journal of its own would. The accounts are as if nobody had touched them then.
pub(super) fn changed(state: &mut EvmState, journal: &[JournalEntry]) -> Changed {
    let mut slots = Vec::new();
    let mut touched = Vec::new();
    for entry in journal {
        match entry {
            JournalEntry::AccountTouched { address } => touched.push(*address),
            JournalEntry::StorageChanged { address, key, .. } => slots.push((*address, *key)),
            _ => {}
        }
    }
    // Its touch outlives a revert (EIP-161's one exception).
    if state.get(&PRECOMPILE3).is_some_and(|account| account.is_touched()) {
        touched.push(PRECOMPILE3);
    }
    touched.sort_unstable();
    touched.dedup();
    slots.sort_unstable();
    slots.dedup();
    let mut slots = slots.as_slice();
    let mut changed = Changed { changes: Vec::with_capacity(touched.len() + 1), ..Changed::default() };
    for address in touched {
        // Those of accounts whose touch was taken back are unchanged, too.
        slots = &slots[slots.partition_point(|(of, _)| *of < address)..];
        let (own, rest) = slots.split_at(slots.partition_point(|(of, _)| *of == address));
        slots = rest;
        let Some(account) = state.get_mut(&address) else { continue };
        let kind = if account.is_selfdestructed_locally() {
            AccountChangeKind::Destroyed
        } else if account.is_created_locally() {
            AccountChangeKind::Created
        } else {
            AccountChangeKind::Touched
        };
        let storage = own.iter().filter_map(|(_, key)| {
            let slot = account.storage.get(key)?;
            let change = SlotChange { slot: *key, original: slot.original_value, value: slot.present_value };
            slot.is_changed().then_some(change)
        });
        let change = change_of(address, kind, account, storage.collect());
        account.unmark_touch();
        let is = kind == AccountChangeKind::Created || !change.after.is_empty();
        if change.before.is_some() != is {
            changed.flipped.push(address);
            account.status.set(AccountStatus::LoadedAsNotExisting, !is);
        }
        changed.remade |= kind == AccountChangeKind::Destroyed || (change.before.is_some() && !is);
        changed.changes.push(change);
    }
    changed
}

/// Whether all that an entry tells of is there. What a failed transaction had made is not.
pub(super) fn is_held(state: &EvmState, entry: &JournalEntry) -> bool {
    let held = |address: &Address| state.contains_key(address);
    match entry {
        JournalEntry::AccountWarmed { address }
        | JournalEntry::AccountTouched { address }
        | JournalEntry::BalanceChange { address, .. }
        | JournalEntry::NonceChange { address, .. }
        | JournalEntry::NonceBump { address }
        | JournalEntry::AccountCreated { address, .. }
        | JournalEntry::CodeChange { address, .. } => held(address),
        JournalEntry::StorageWarmed { address, key } | JournalEntry::StorageChanged { address, key, .. } => {
            state.get(address).is_some_and(|account| account.storage.contains_key(key))
        }
        JournalEntry::BalanceTransfer { from, to, .. } => held(from) && held(to),
        JournalEntry::AccountDestroyed { address, target, .. } => held(address) && held(target),
        JournalEntry::TransientStorageChange { .. } => true,
    }
}

/// Makes of a change the same one to an account as it is `now`: so much more or less.
pub(super) fn rebase(change: &mut AccountChange, now: Option<AccountInfo>) {
    let (then, held) = (change.before.unwrap_or_default(), now.unwrap_or_default());
    change.before = now;
    change.after.balance = held.balance.wrapping_add(change.after.balance.wrapping_sub(then.balance));
    change.after.nonce = held.nonce.wrapping_add(change.after.nonce.wrapping_sub(then.nonce));
}

/// Whether a balance is so near to 2^256 that sums are not what they seem.
pub(super) fn is_high(balance: U256) -> bool {
    balance.bit_len() > 255
}

/// Whether an account is to be read anew: made, destroyed, or removed because it ended empty (EIP-161).
pub(super) fn is_remade(change: &AccountChange) -> bool {
    change.kind != AccountChangeKind::Touched || (change.after.is_empty() && change.before.is_some())
}

/// Whether there was no account, and is none.
pub(super) fn is_nothing(change: &AccountChange) -> bool {
    change.kind == AccountChangeKind::Touched && change.after.is_empty() && change.before.is_none()
}
