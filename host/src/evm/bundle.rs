//! revm's `BundleState` from our outcomes: what its `State` would make of them, committed one by one and merged, without its cache between.

use super::{bytecode, revm_info};
use crate::{
    linger::Linger,
    outcome::{AccountChange, AccountChangeKind, SlotChange, TxOutcome},
    state::AccountInfo,
};
use alloy_primitives::{
    Address, B256,
    map::{AddressMap, Entry, U256Map},
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
use std::sync::atomic::{AtomicUsize, Ordering};

/// An account as revm's cache has it, and its transition over the block.
struct Tracked {
    info: Option<AccountInfo>,
    /// Its code, if the changes tell of it.
    code: Option<Bytecode>,
    status: AccountStatus,
    /// What it was before its transition began.
    before: Option<(Option<AccountInfo>, AccountStatus)>,
    storage: StorageWithOriginalValues,
    destroyed: bool,
}

impl Tracked {
    /// As it is loaded, with room for so many slots.
    fn new(change: &AccountChange, slots: usize) -> Self {
        let status = match &change.before {
            None => AccountStatus::LoadedNotExisting,
            Some(info) if info.is_empty() => AccountStatus::LoadedEmptyEIP161,
            Some(_) => AccountStatus::Loaded,
        };
        let mut storage = StorageWithOriginalValues::default();
        storage.reserve(slots);
        Self { info: change.before, code: None, status, before: None, storage, destroyed: false }
    }

    fn add(&mut self, change: &AccountChange) {
        let (before, code) = ((self.info.take(), self.status), self.code.take());
        let removed = match change.kind {
            AccountChangeKind::Destroyed => {
                self.status = self.status.on_selfdestructed();
                Some(before.1 != AccountStatus::LoadedNotExisting)
            }
            AccountChangeKind::Touched if change.after.is_empty() => {
                use AccountStatus::{Destroyed, DestroyedAgain, LoadedNotExisting};
                self.status = self.status.on_touched_empty_post_eip161();
                Some(!matches!(before.1, LoadedNotExisting | Destroyed | DestroyedAgain))
            }
            AccountChangeKind::Created => {
                self.status = self.status.on_created();
                None
            }
            AccountChangeKind::Touched => {
                self.status = self.status.on_changed(before.0.as_ref().is_some_and(is_bare));
                None
            }
        };
        if removed.is_none() {
            self.info = Some(change.after);
            self.code = code_after(change, before.0.map(|info| info.code_hash), code);
        }
        if removed == Some(false) {
            return;
        }
        self.before.get_or_insert(before);
        if removed.is_some() {
            self.storage.clear();
            self.destroyed = true;
        }
        change.storage.iter().for_each(|slot| add_slot(&mut self.storage, slot));
    }

    fn transition(mut self) -> Option<TransitionAccount> {
        let (previous_info, previous_status) = self.before?;
        fit(&mut self.storage);
        Some(TransitionAccount {
            info: self.info.map(|info| told(&info, self.code)),
            status: self.status,
            previous_info: previous_info.as_ref().map(revm_info),
            previous_status,
            storage: self.storage,
            storage_was_destroyed: self.destroyed,
        })
    }
}

/// Whether an account has a balance at most.
fn is_bare(info: &AccountInfo) -> bool {
    !info.has_code() && info.nonce == 0
}

/// Room was made for slots as often as they are named.
fn fit(storage: &mut StorageWithOriginalValues) {
    if storage.capacity() / 4 > storage.len() {
        storage.shrink_to_fit();
    }
}

/// What takes slots back.
fn to_originals(storage: &StorageWithOriginalValues) -> U256Map<RevertToSlot> {
    storage.iter().map(|(key, slot)| (*key, RevertToSlot::Some(slot.original_value()))).collect()
}

fn add_slot(storage: &mut StorageWithOriginalValues, slot: &SlotChange) {
    match storage.entry(slot.slot) {
        Entry::Vacant(entry) => drop(entry.insert(StorageSlot::new_changed(slot.original, slot.value))),
        Entry::Occupied(entry) if entry.get().original_value() == slot.value => drop(entry.remove()),
        Entry::Occupied(mut entry) => entry.get_mut().present_value = slot.value,
    }
}

/// revm lists a code as new if the account's last transition carries it, so a change after the one that set the code carries it on.
fn code_after(change: &AccountChange, hash: Option<B256>, code: Option<Bytecode>) -> Option<Bytecode> {
    match &change.code {
        Some(code) => Some(bytecode(code.clone())),
        None => code.filter(|_| hash == Some(change.after.code_hash)),
    }
}

/// An account whose changes tell of so much of its code. Of what has none they tell of that.
fn told(info: &AccountInfo, code: Option<Bytecode>) -> RevmAccountInfo {
    let code = code.or_else(|| (!info.has_code()).then(Bytecode::default));
    RevmAccountInfo { code, ..revm_info(info) }
}

/// What revm's cache has after a change.
#[cfg(feature = "alloy-evm")]
pub(super) fn info(change: &AccountChange, previous: Option<&RevmAccountInfo>) -> RevmAccountInfo {
    let code = previous.and_then(|info| info.code.clone());
    told(&change.after, code_after(change, previous.map(|info| info.code_hash), code))
}

/// Rebuilds revm's `BundleState`, reverts included, from outcomes in block order: what [`super::sequential`] gives. One entry may be
/// too many: the empty code, by its hash among the contracts. revm lists it where an account comes into being, but not where that
/// one's code has never been asked for, which an outcome does not tell.
pub fn bundle_state(outcomes: &[TxOutcome]) -> BundleState {
    let changes = Changes::new(outcomes);
    let mut bundle = with_room(changes.accounts.len());
    for account in &changes.accounts {
        changes.add(&mut bundle, account);
    }
    bundle
}

/// [`bundle_state`] on the threads of a pool, some of which may have lingered.
pub(crate) fn bundle_state_on(pool: &ThreadPool, linger: &Linger, outcomes: &[TxOutcome]) -> BundleState {
    let changes = outcomes.iter().map(|outcome| outcome.changes.len()).sum::<usize>();
    let (wanted, awake) = if changes < SMALL { (None, 0) } else { linger.call() };
    let others = if changes < LARGE { awake } else { pool.current_num_threads() - 1 };
    if others == 0 {
        drop(wanted);
        return bundle_state(outcomes);
    }
    let mut changes = Changes::new(outcomes);
    // Those without slots are sooner told than handed over. Those with many take longest, so they are begun first.
    let (bare, rest) =
        std::mem::take(&mut changes.accounts).into_iter().partition::<Vec<_>, _>(|account| account.slots == 0);
    let (mut large, small) = rest.into_iter().partition::<Vec<_>, _>(|account| account.slots > MANY);
    large.sort_unstable_by_key(|account| std::cmp::Reverse(account.slots));
    let mut bundle = with_room(bare.len() + large.len() + small.len());
    let (next_large, next) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let take = || {
        let chunk = || small.chunks(CHUNK).nth(next.fetch_add(1, Ordering::Relaxed));
        large.get(next_large.fetch_add(1, Ordering::Relaxed)).map(std::slice::from_ref).or_else(chunk)
    };
    let mut others: Vec<Vec<(Address, Merged)>> = vec![Vec::new(); others];
    pool.in_place_scope(|scope| {
        for other in &mut others {
            let (take, changes) = (&take, &changes);
            scope.spawn(move |_| {
                while let Some(accounts) = take() {
                    other.extend(
                        accounts.iter().filter_map(|account| Some((account.address, changes.merged(account)?))),
                    );
                }
            });
        }
        bare.iter().for_each(|account| changes.add(&mut bundle, account));
        while let Some(accounts) = take() {
            accounts.iter().for_each(|account| changes.add(&mut bundle, account));
        }
    });
    others.into_iter().flatten().for_each(|(address, merged)| add(&mut bundle, address, merged));
    drop(wanted);
    bundle
}

/// Changes from which on another thread is sooner ready than one alone.
const LARGE: usize = 4_000;

/// And if it need not be woken.
const SMALL: usize = 400;

/// Accounts that a thread takes at once, and slots of an account that it takes alone.
const CHUNK: usize = 16;
const MANY: usize = 128;

/// All changes of a block, by account.
struct Changes<'o> {
    accounts: Vec<Account>,
    /// Each, and where the next one of its account is.
    changes: Vec<(&'o AccountChange, usize)>,
}

/// An account that a block changes.
struct Account {
    address: Address,
    first: usize,
    last: usize,
    /// Slots that its changes name.
    slots: usize,
}

/// What a block made of an account, before it is written into a bundle: that is where its size is.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "nearly all are plain")]
enum Merged {
    /// By changes that are all plain.
    Plain {
        before: AccountInfo,
        after: AccountInfo,
        storage: StorageWithOriginalValues,
        revert: U256Map<RevertToSlot>,
    },
    Other(Box<Other>),
}

#[derive(Clone)]
struct Other {
    account: BundleAccount,
    revert: AccountRevert,
    /// Its code, if that is new.
    contract: Option<(B256, Bytecode)>,
}

impl<'o> Changes<'o> {
    fn new(outcomes: &'o [TxOutcome]) -> Self {
        let count = outcomes.iter().map(|outcome| outcome.changes.len()).sum();
        let mut places: AddressMap<usize> = AddressMap::default();
        places.reserve(count);
        let mut all = Self { accounts: Vec::with_capacity(count), changes: Vec::with_capacity(count) };
        for change in outcomes.iter().flat_map(|outcome| &outcome.changes) {
            let at = all.changes.len();
            all.changes.push((change, at));
            let (address, slots) = (change.address, change.storage.len());
            match places.entry(address) {
                Entry::Vacant(place) => {
                    place.insert(all.accounts.len());
                    all.accounts.push(Account { address, first: at, last: at, slots });
                }
                Entry::Occupied(place) => {
                    let account = &mut all.accounts[*place.get()];
                    all.changes[account.last].1 = at;
                    account.last = at;
                    account.slots += slots;
                }
            }
        }
        all
    }

    /// The changes of an account, in order.
    fn of(&self, account: &Account) -> impl Iterator<Item = &'o AccountChange> {
        let mut next = Some(account.first);
        std::iter::from_fn(move || {
            let at = next?;
            let (change, then) = self.changes[at];
            next = (then != at).then_some(then);
            Some(change)
        })
    }

    /// An account whose changes are all plain, without the states between.
    fn plain(&self, account: &Account) -> Option<Merged> {
        let (first, last) = (self.changes[account.first].0, self.changes[account.last].0);
        let (before, after) = (first.before?, last.after);
        let mut storage = StorageWithOriginalValues::default();
        if account.slots > 0 {
            storage.reserve(account.slots);
            self.of(account).flat_map(|change| &change.storage).for_each(|slot| add_slot(&mut storage, slot));
            fit(&mut storage);
        }
        let is_changed = before != after || !storage.is_empty();
        is_changed.then(|| Merged::Plain { before, after, revert: to_originals(&storage), storage })
    }

    /// Adds an account to a bundle, if anything of it has changed.
    fn add(&self, bundle: &mut BundleState, account: &Account) {
        if let Some(merged) = self.merged(account) {
            add(bundle, account.address, merged);
        }
    }

    /// An account over the block; `None` where nothing has changed.
    fn merged(&self, account: &Account) -> Option<Merged> {
        if self.of(account).all(AccountChange::is_plain) {
            return self.plain(account);
        }
        let mut tracked = Tracked::new(self.changes[account.first].0, account.slots);
        self.of(account).for_each(|change| tracked.add(change));
        let transition = tracked.transition()?;
        let contract = transition.has_new_contract().map(|(hash, code)| (hash, code.clone()));
        merged(transition).map(|(account, revert)| Merged::Other(Box::new(Other { account, revert, contract })))
    }
}

/// An empty one, with room for so many accounts.
fn with_room(accounts: usize) -> BundleState {
    let mut bundle = BundleState::default();
    bundle.state.reserve(accounts);
    bundle.reverts = Reverts::new(vec![Vec::with_capacity(accounts)]);
    bundle
}

/// Adds an account, of which nothing is in the bundle.
fn add(bundle: &mut BundleState, address: Address, merged: Merged) {
    let Some(reverts) = bundle.reverts.last_mut() else { return };
    match merged {
        Merged::Plain { before, after, storage, revert } => {
            bundle.state_size += 1 + storage.len();
            bundle.reverts_size += 1 + revert.len();
            let to_before = || AccountInfoRevert::RevertTo(revm_info(&before));
            let revert = AccountRevert {
                account: if before == after { AccountInfoRevert::DoNothing } else { to_before() },
                storage: revert,
                previous_status: AccountStatus::Loaded,
                wipe_storage: false,
            };
            reverts.push((address, revert));
            let status = AccountStatus::Loaded.on_changed(is_bare(&before));
            let account = || BundleAccount::new(Some(revm_info(&before)), Some(told(&after, None)), storage, status);
            bundle.state.entry(address).or_insert_with(account);
        }
        Merged::Other(other) => {
            let Other { account, revert, contract } = *other;
            bundle.state_size += account.size_hint();
            bundle.reverts_size += revert.size_hint();
            bundle.state.insert(address, account);
            bundle.contracts.extend(contract);
            reverts.push((address, revert));
        }
    }
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
        storage: to_originals(&storage),
        previous_status,
        wipe_storage: false,
    };
    let is_something = !revert.is_empty();
    is_something.then(|| (BundleAccount::new(previous_info, info, storage, status), revert))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{outcome::TxStatus, random::splitmix};
    use alloy_primitives::{Bytes, U256, keccak256};
    use std::sync::{Arc, atomic::AtomicBool};

    /// Accounts that come, go, and change; some with slots, one with very many.
    fn outcomes(seed: u64) -> Vec<TxOutcome> {
        let mut random = seed;
        let mut held: AddressMap<AccountInfo> = AddressMap::default();
        let mut next = |below: u64| splitmix(&mut random) % below;
        let mut one = |index: u64| {
            let kind = next(20);
            let number = if next(4) == 0 { 0 } else { 1 + next(400) };
            let address = Address::from_word(U256::from(1_000 + number).into());
            let before = held.get(&address).copied().filter(|info| !info.is_empty());
            let kind = match (kind, before) {
                // The first one stays, with all its slots.
                (0, Some(_)) if number > 0 => AccountChangeKind::Destroyed,
                (1, None) => AccountChangeKind::Created,
                _ => AccountChangeKind::Touched,
            };
            let code = (kind == AccountChangeKind::Created).then(|| Bytes::from(vec![0, number as u8]));
            let mut after = before.unwrap_or_default();
            (after.balance, after.nonce) = (U256::from(next(3)), after.nonce + next(2).max(u64::from(number == 0)));
            if let Some(code) = &code {
                after.code_hash = keccak256(code);
            }
            if kind == AccountChangeKind::Destroyed {
                after = AccountInfo::default();
            }
            held.insert(address, after);
            let slots = if kind == AccountChangeKind::Destroyed || after.is_empty() { 0 } else { next(4) };
            let slot = |at: u64| SlotChange {
                slot: U256::from(index * 4 + at),
                original: U256::from(at),
                value: U256::from(at + 1),
            };
            let storage = (0..slots).map(slot).collect();
            AccountChange { address, kind, before, after, code, storage }
        };
        let each = |index| TxOutcome {
            status: TxStatus::Success,
            gas_used: 21_000,
            output: Bytes::new(),
            logs: Vec::new(),
            contract_address: None,
            changes: vec![one(index)],
        };
        (0..LARGE as u64 + 1_000).map(each).collect()
    }

    #[test]
    fn threads_make_the_same_bundle() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        for seed in 0..4 {
            let outcomes = outcomes(seed);
            let (one, many) = (bundle_state(&outcomes), bundle_state_on(&pool, &Linger::default(), &outcomes));
            assert!(one.state.values().any(|account| account.storage.len() > MANY) && !one.contracts.is_empty());
            assert_eq!(one, many);
        }
    }

    #[test]
    fn who_lingers_makes_a_part_of_a_small_bundle() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let (linger, ends) = (Linger::default(), Arc::new(AtomicBool::new(false)));
        let until = ends.clone();
        let left = std::iter::from_fn(move || (!until.load(Ordering::Acquire)).then_some(()));
        linger.leave(&pool, vec![Box::new(left)]);
        let outcomes = &outcomes(0)[..2 * SMALL];
        let one = bundle_state(outcomes);
        // Whether it drops something or helps when it is called.
        for _ in 0..200 {
            assert_eq!(bundle_state_on(&pool, &linger, outcomes), one);
        }
        ends.store(true, Ordering::Release);
    }

    #[test]
    fn a_slot_that_is_named_often_has_room_for_one() {
        let mut outcomes = outcomes(0);
        outcomes.truncate(1);
        let change = AccountChange {
            address: Address::ZERO,
            kind: AccountChangeKind::Touched,
            before: Some(AccountInfo { nonce: 1, ..AccountInfo::default() }),
            after: AccountInfo { nonce: 1, ..AccountInfo::default() },
            code: None,
            storage: vec![SlotChange { slot: U256::ONE, original: U256::ZERO, value: U256::ONE }],
        };
        outcomes[0].changes = vec![change; 1_000];
        let bundle = bundle_state(&outcomes);
        let storage = &bundle.state[&Address::ZERO].storage;
        assert!(storage.len() == 1 && storage.capacity() < 16, "{}", storage.capacity());
    }
}
