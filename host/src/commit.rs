//! The committed prefix as a type: a base state and everything that the transactions before the current one did to it.

use crate::{
    outcome::{AccountChange, AccountChangeKind, TxOutcome},
    overrides::{AccountOverride, StateOverrides, StorageOverride},
    state::{AccountInfo, StateError, StateKey, StateRef},
};
use alloy_primitives::{
    Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256,
    map::{AddressMap, B256Map, U256Map},
};

/// What is known about one account beyond the base.
#[derive(Clone, Debug, Default)]
struct Overlay {
    /// `None` where the account does not exist any more.
    info: Option<AccountInfo>,
    /// Whether the base's storage is gone, so that an absent slot is zero.
    wiped: bool,
    slots: U256Map<U256>,
}

/// Slots of an account from which on it has as many as are named in a block, more or less.
const MANY: usize = 64;

impl Overlay {
    /// Moving them to a larger place takes as long as writing them.
    fn make_room(&mut self, slots: usize) {
        let len = self.slots.len();
        if slots > 0 && len >= MANY && len + slots > self.slots.capacity() {
            self.slots.reserve(3 * len);
        }
    }
}

/// An account of the base that was read ahead.
pub(crate) type Known = Option<(Address, Option<AccountInfo>)>;

/// State after the first `len` transactions. Every read of a validation or a fallback goes through it.
#[derive(Clone)]
pub struct Committed<'a> {
    base: &'a dyn StateRef,
    accounts: AddressMap<Overlay>,
    codes: B256Map<Bytes>,
    len: usize,
    known: [Known; 2],
}

impl std::fmt::Debug for Committed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Committed")
            .field("len", &self.len)
            .field("accounts", &self.accounts.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Committed<'a> {
    /// The empty prefix: exactly `base`.
    pub fn new(base: &'a dyn StateRef) -> Self {
        Self { base, accounts: AddressMap::default(), codes: B256Map::default(), len: 0, known: [None; 2] }
    }

    /// How many transactions are committed, and so the index of the next one.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is committed.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The state under the first transaction.
    pub fn base(&self) -> &'a dyn StateRef {
        self.base
    }

    /// Whether the value of a key is not the base's. Of a layer (see [`StateRef::layer`]) these are few.
    pub fn owns(&self, key: &StateKey) -> bool {
        match key {
            StateKey::Account(address) => self.accounts.contains_key(address),
            StateKey::Slot(address, slot) => {
                self.accounts.get(address).is_some_and(|overlay| overlay.wiped || overlay.slots.contains_key(slot))
            }
            StateKey::BlockHash(_) => false,
        }
    }

    /// What the transactions have made of a slot; `None` where it is the base's.
    pub(crate) fn changed(&self, address: &Address, slot: &U256) -> Option<U256> {
        let overlay = self.accounts.get(address)?;
        let wiped = || overlay.wiped.then_some(U256::ZERO);
        overlay.slots.get(slot).copied().or_else(wiped)
    }

    /// All keys that a layer owns, in no order.
    pub fn own_keys(&self) -> impl Iterator<Item = StateKey> {
        self.accounts.iter().flat_map(|(address, overlay)| {
            let slots = overlay.slots.keys().map(|slot| StateKey::Slot(*address, *slot));
            std::iter::once(StateKey::Account(*address)).chain(slots)
        })
    }

    /// Appends the next transaction. Its outcome must have been computed on, or validated against, exactly this prefix.
    pub fn commit(&mut self, outcome: &TxOutcome) {
        self.commit_where(outcome, |_| true);
    }

    /// The same with some of its changes only, for one who never asks for the others.
    pub(crate) fn commit_where(&mut self, outcome: &TxOutcome, asks: impl Fn(&AccountChange) -> bool) {
        for change in outcome.changes.iter().filter(|change| asks(change)) {
            let overlay = self.accounts.entry(change.address).or_default();
            // The same decision as revm's cache: a touched account that ends empty is removed, a created one stays.
            let removed = match change.kind {
                AccountChangeKind::Destroyed => true,
                AccountChangeKind::Touched => change.after.is_empty(),
                AccountChangeKind::Created => false,
            };
            if removed || change.kind == AccountChangeKind::Created {
                overlay.wiped = true;
                overlay.slots.clear();
            }
            overlay.info = (!removed).then_some(change.after);
            if removed {
                continue;
            }
            overlay.make_room(change.storage.len());
            overlay.slots.extend(change.storage.iter().map(|slot| (slot.slot, slot.value)));
            if let Some(code) = &change.code
                && change.after.code_hash != KECCAK256_EMPTY
            {
                self.codes.insert(change.after.code_hash, code.clone());
            }
        }
        self.len += 1;
    }

    /// Makes room for changes of so many accounts.
    pub(crate) fn reserve(&mut self, accounts: usize) {
        self.accounts.reserve(accounts);
    }

    /// All that was committed, for others to drop; what is left is the base.
    pub(crate) fn leave(&mut self) -> impl Iterator<Item = ()> + Send + 'static + use<> {
        self.len = 0;
        self.codes.clear();
        std::mem::take(&mut self.accounts).into_values().map(drop)
    }

    /// Some of the base that is about to be asked for.
    pub(crate) const fn knows(&mut self, known: [Known; 2]) {
        self.known = known;
    }

    /// Makes accounts what `overrides` say they are.
    ///
    /// # Errors
    /// What is left as it is could not be read; nothing of that account is changed then.
    pub fn apply(&mut self, overrides: &StateOverrides) -> Result<(), StateError> {
        for (address, account) in &overrides.accounts {
            let mut info = match account {
                // Nothing of it is left, so nobody need know it.
                AccountOverride { balance: Some(_), nonce: Some(_), code: Some(_), .. } => AccountInfo::default(),
                _ => self.account(address)?.unwrap_or_default(),
            };
            info.balance = account.balance.unwrap_or(info.balance);
            info.nonce = account.nonce.unwrap_or(info.nonce);
            if let Some(code) = &account.code {
                info.code_hash = keccak256(code);
                if info.has_code() {
                    self.codes.insert(info.code_hash, code.clone());
                }
            }
            let overlay = self.accounts.entry(*address).or_default();
            overlay.info = Some(info);
            match &account.storage {
                StorageOverride::Keep => {}
                StorageOverride::Diff(slots) => overlay.slots.extend(slots),
                StorageOverride::Replace(slots) => {
                    overlay.wiped = true;
                    overlay.slots = slots.iter().map(|(slot, value)| (*slot, *value)).collect();
                }
            }
        }
        Ok(())
    }
}

impl StateRef for Committed<'_> {
    fn account(&self, address: &Address) -> Result<Option<AccountInfo>, StateError> {
        match self.accounts.get(address) {
            Some(overlay) => Ok(overlay.info),
            None => match self.known.iter().flatten().find(|(known, _)| known == address) {
                Some((_, info)) => Ok(*info),
                None => self.base.account(address),
            },
        }
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        match self.changed(address, slot) {
            Some(value) => Ok(value),
            None => self.base.storage(address, slot),
        }
    }

    fn code(&self, code_hash: &B256) -> Result<Bytes, StateError> {
        match self.codes.get(code_hash) {
            Some(code) => Ok(code.clone()),
            None => self.base.code(code_hash),
        }
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.base.block_hash(number)
    }

    fn hints(&self) -> Vec<StateKey> {
        self.base.hints()
    }

    fn layer(&self) -> Option<&Committed<'_>> {
        // Wiped storage cannot be told by keys.
        self.accounts.values().all(|overlay| !overlay.wiped).then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        memory::MemoryState,
        outcome::{SlotChange, TxStatus},
    };

    fn outcome(change: AccountChange) -> TxOutcome {
        TxOutcome {
            status: TxStatus::Success,
            gas_used: 0,
            output: Bytes::new(),
            logs: vec![],
            contract_address: None,
            changes: vec![change],
        }
    }

    /// A base of which nothing is known.
    struct Unknown;

    impl StateRef for Unknown {
        fn account(&self, address: &Address) -> Result<Option<AccountInfo>, StateError> {
            Err(StateError(format!("account {address}")))
        }

        fn storage(&self, address: &Address, _slot: &U256) -> Result<U256, StateError> {
            Err(StateError(format!("slot of {address}")))
        }

        fn code(&self, code_hash: &B256) -> Result<Bytes, StateError> {
            Err(StateError(format!("code {code_hash}")))
        }

        fn block_hash(&self, number: u64) -> Result<B256, StateError> {
            Err(StateError(format!("block {number}")))
        }
    }

    #[test]
    fn an_account_overridden_in_full_is_never_read() {
        let address = Address::with_last_byte(1);
        let code = Bytes::from_static(&[0x5f, 0x54]);
        let full = AccountOverride {
            balance: Some(U256::from(7)),
            nonce: Some(3),
            code: Some(code.clone()),
            storage: StorageOverride::Replace([(U256::ONE, U256::from(9))].into()),
        };
        let mut prefix = Committed::new(&Unknown);
        prefix.apply(&StateOverrides { accounts: [(address, full.clone())].into() }).unwrap();
        let code_hash = keccak256(&code);
        assert_eq!(prefix.account(&address), Ok(Some(AccountInfo { balance: U256::from(7), nonce: 3, code_hash })));
        assert_eq!(prefix.code(&code_hash), Ok(code));
        assert_eq!(prefix.storage(&address, &U256::ONE), Ok(U256::from(9)));
        assert_eq!(prefix.storage(&address, &U256::from(2)), Ok(U256::ZERO));
        for part in [
            AccountOverride { balance: None, ..full.clone() },
            AccountOverride { nonce: None, ..full.clone() },
            AccountOverride { code: None, ..full },
        ] {
            let overrides = StateOverrides { accounts: [(address, part)].into() };
            assert!(Committed::new(&Unknown).apply(&overrides).is_err());
        }
    }

    #[test]
    fn storage_is_wiped_by_destruction_and_creation() {
        let address = Address::with_last_byte(1);
        let info = AccountInfo { balance: U256::ONE, ..Default::default() };
        let mut base = MemoryState::default();
        base.insert_account(address, info);
        base.insert_slot(address, U256::ONE, U256::from(7));
        let mut prefix = Committed::new(&base);
        let touched = AccountChange {
            address,
            kind: AccountChangeKind::Touched,
            before: Some(info),
            after: info,
            code: None,
            storage: vec![SlotChange { slot: U256::from(2), original: U256::ZERO, value: U256::from(9) }],
        };
        prefix.commit(&outcome(touched.clone()));
        assert_eq!(prefix.storage(&address, &U256::ONE), Ok(U256::from(7)));
        assert_eq!(prefix.storage(&address, &U256::from(2)), Ok(U256::from(9)));
        prefix.commit(&outcome(AccountChange {
            kind: AccountChangeKind::Destroyed,
            after: AccountInfo::default(),
            storage: vec![],
            ..touched.clone()
        }));
        assert_eq!(prefix.account(&address), Ok(None));
        assert_eq!(prefix.storage(&address, &U256::ONE), Ok(U256::ZERO));
        prefix.commit(&outcome(AccountChange { kind: AccountChangeKind::Created, ..touched }));
        assert_eq!(prefix.storage(&address, &U256::ONE), Ok(U256::ZERO));
        assert_eq!(prefix.storage(&address, &U256::from(2)), Ok(U256::from(9)));
        assert_eq!(prefix.len(), 3);
    }
}
