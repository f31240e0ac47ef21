//! revm's `BundleState` from our outcomes: what its `State` would make of them, committed one by one and merged, without its cache between.

use super::{bytecode, revm_info};
use crate::outcome::{AccountChange, AccountChangeKind, SlotChange, TxOutcome};
use alloy_primitives::{
    Address, B256,
    map::{AddressMap, Entry},
};
use rayon::ThreadPool;
use revm::{
    bytecode::Bytecode,
    database::{
        AccountRevert, AccountStatus, BundleAccount, BundleState, RevertToSlot, StorageWithOriginalValues,
        TransitionAccount,
        states::{
            StorageSlot,
            reverts::{AccountInfoRevert, Reverts},
        },
    },
    state::AccountInfo as RevmAccountInfo,
};

/// An account as revm's cache has it, and its transition over the block.
struct Tracked {
    info: Option<RevmAccountInfo>,
    status: AccountStatus,
    transition: Option<TransitionAccount>,
}

impl Tracked {
    /// As it is loaded.
    fn new(change: &AccountChange) -> Self {
        let status = match &change.before {
            None => AccountStatus::LoadedNotExisting,
            Some(info) if info.is_empty() => AccountStatus::LoadedEmptyEIP161,
            Some(_) => AccountStatus::Loaded,
        };
        Self { info: change.before.as_ref().map(revm_info), status, transition: None }
    }

    fn add(&mut self, change: &AccountChange) {
        let (previous_info, previous_status) = (self.info.take(), self.status);
        let removed = match change.kind {
            AccountChangeKind::Destroyed => {
                self.status = self.status.on_selfdestructed();
                Some(previous_status != AccountStatus::LoadedNotExisting)
            }
            AccountChangeKind::Touched if change.after.is_empty() => {
                use AccountStatus::{Destroyed, DestroyedAgain, LoadedNotExisting};
                self.status = self.status.on_touched_empty_post_eip161();
                Some(!matches!(previous_status, LoadedNotExisting | Destroyed | DestroyedAgain))
            }
            AccountChangeKind::Created => {
                self.status = self.status.on_created();
                None
            }
            AccountChangeKind::Touched => {
                let bare = previous_info.as_ref().is_some_and(RevmAccountInfo::has_no_code_and_nonce);
                self.status = self.status.on_changed(bare);
                None
            }
        };
        if removed.is_none() {
            self.info = Some(info(change, previous_info.as_ref()));
        }
        if removed == Some(false) {
            return;
        }
        let transition = self.transition.get_or_insert_with(|| TransitionAccount {
            previous_info,
            previous_status,
            ..TransitionAccount::default()
        });
        transition.info.clone_from(&self.info);
        transition.status = self.status;
        if removed.is_some() {
            transition.storage.clear();
            transition.storage_was_destroyed = true;
        }
        change.storage.iter().for_each(|slot| add_slot(&mut transition.storage, slot));
    }
}

fn add_slot(storage: &mut StorageWithOriginalValues, slot: &SlotChange) {
    match storage.entry(slot.slot) {
        Entry::Vacant(entry) => drop(entry.insert(StorageSlot::new_changed(slot.original, slot.value))),
        Entry::Occupied(entry) if entry.get().original_value() == slot.value => drop(entry.remove()),
        Entry::Occupied(mut entry) => entry.get_mut().present_value = slot.value,
    }
}

/// revm lists a code as new if the account's last transition carries it, so a change after the one that set the code carries it
/// on, and an account that comes into being carries the empty code.
pub(super) fn info(change: &AccountChange, previous: Option<&RevmAccountInfo>) -> RevmAccountInfo {
    let code = match &change.code {
        Some(code) => Some(bytecode(code.clone())),
        None if !change.after.has_code() => Some(Bytecode::default()),
        None => previous.filter(|info| info.code_hash == change.after.code_hash).and_then(|info| info.code.clone()),
    };
    RevmAccountInfo { code, ..revm_info(&change.after) }
}

/// Rebuilds revm's `BundleState`, reverts included, from outcomes in block order: what [`super::sequential`] gives. One entry may be
/// too many: the empty code, by its hash among the contracts. revm lists it where an account comes into being, but not where that
/// one's code has never been asked for, which an outcome does not tell.
pub fn bundle_state(outcomes: &[TxOutcome]) -> BundleState {
    joined(vec![part(outcomes, 0, 1)])
}

/// [`bundle_state`] on the threads of a pool.
pub(crate) fn bundle_state_on(pool: &ThreadPool, outcomes: &[TxOutcome]) -> BundleState {
    let count = pool.current_num_threads().min(MOST_PARTS);
    if count < 2 || outcomes.len() < FEW {
        return bundle_state(outcomes);
    }
    let mut parts: Vec<_> = (0..count).map(|_| None).collect();
    pool.in_place_scope(|scope| {
        let mut places = parts.iter_mut().enumerate();
        let own = places.next();
        for (number, place) in places {
            scope.spawn(move |_| *place = Some(part(outcomes, number, count)));
        }
        if let Some((number, place)) = own {
            *place = Some(part(outcomes, number, count));
        }
    });
    joined(parts.into_iter().flatten().collect())
}

/// Parts of a bundle at most: each looks at all addresses.
const MOST_PARTS: usize = 8;

/// Transactions below which a bundle is built sooner than another thread begins.
const FEW: usize = 2_000;

/// Some of the accounts of a bundle.
struct Part {
    accounts: Vec<(Address, BundleAccount)>,
    reverts: Vec<(Address, AccountRevert)>,
    contracts: Vec<(B256, Bytecode)>,
}

/// The accounts whose address falls to one of `count` parts.
fn part(outcomes: &[TxOutcome], number: usize, count: usize) -> Part {
    let mut tracked: AddressMap<Tracked> = AddressMap::default();
    for change in outcomes.iter().flat_map(|outcome| &outcome.changes) {
        if count == 1 || usize::from(change.address[19]) % count == number {
            tracked.entry(change.address).or_insert_with(|| Tracked::new(change)).add(change);
        }
    }
    let len = tracked.len();
    let mut part = Part { accounts: Vec::with_capacity(len), reverts: Vec::with_capacity(len), contracts: Vec::new() };
    for (address, tracked) in tracked {
        let Some(transition) = tracked.transition else { continue };
        if let Some((hash, code)) = transition.has_new_contract() {
            part.contracts.push((hash, code.clone()));
        }
        if let Some((account, revert)) = merged(transition) {
            part.accounts.push((address, account));
            part.reverts.push((address, revert));
        }
    }
    part
}

fn joined(parts: Vec<Part>) -> BundleState {
    let mut bundle = BundleState::default();
    let len = parts.iter().map(|part| part.accounts.len()).sum();
    bundle.state.reserve(len);
    let mut reverts = Vec::with_capacity(len);
    for part in parts {
        bundle.state_size += part.accounts.iter().map(|(_, account)| account.size_hint()).sum::<usize>();
        bundle.reverts_size += part.reverts.iter().map(|(_, revert)| revert.size_hint()).sum::<usize>();
        bundle.state.extend(part.accounts);
        bundle.contracts.extend(part.contracts);
        reverts.extend(part.reverts);
    }
    bundle.reverts = Reverts::new(vec![reverts]);
    bundle
}

/// The account and what takes it back; `None` where nothing has changed.
fn merged(transition: TransitionAccount) -> Option<(BundleAccount, AccountRevert)> {
    use AccountStatus::{Changed, InMemoryChange, Loaded, LoadedEmptyEIP161, LoadedNotExisting};
    let plain = matches!(
        (transition.previous_status, transition.status),
        (Loaded, Changed | InMemoryChange) | (LoadedEmptyEIP161 | LoadedNotExisting, InMemoryChange)
    );
    if !plain || transition.storage_was_destroyed {
        let account = transition.present_bundle_account();
        return transition.create_revert().map(|revert| (account, revert));
    }
    let TransitionAccount { info, previous_info, previous_status, status, storage, .. } = transition;
    let revert = AccountRevert {
        account: match &previous_info {
            _ if previous_status == LoadedNotExisting => AccountInfoRevert::DeleteIt,
            previous if *previous == info => AccountInfoRevert::DoNothing,
            previous => AccountInfoRevert::RevertTo(previous.clone().unwrap_or_default()),
        },
        storage: storage.iter().map(|(key, slot)| (*key, RevertToSlot::Some(slot.original_value()))).collect(),
        previous_status,
        wipe_storage: false,
    };
    let is_something = !revert.is_empty();
    is_something.then(|| (BundleAccount::new(previous_info, info, storage, status), revert))
}
