//! A whole state: what a test begins with and ends with, its root, and the first difference from another.

use super::{Malformed, Mismatch, json::Node};
use crate::{
    outcome::{AccountChangeKind, TxOutcome},
    state::{AccountInfo, StateError, StateKey, StateRef},
};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, hex, keccak256, map::B256Map};
use alloy_trie::{
    TrieAccount,
    root::{state_root_unhashed, storage_root_unhashed},
};
use std::{collections::BTreeMap, fmt};

/// An account with all of its storage; slots of value zero are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Account {
    info: AccountInfo,
    storage: BTreeMap<U256, U256>,
}

/// What BLOCKHASH gives.
#[derive(Clone, Debug, PartialEq, Eq)]
enum BlockHashes {
    /// In state tests, where there is no chain: keccak256 of the number in decimal.
    OfNumbers,
    /// The blocks of a chain.
    Known(BTreeMap<u64, B256>),
}

/// Every account that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct World {
    accounts: BTreeMap<Address, Account>,
    codes: B256Map<Bytes>,
    block_hashes: BlockHashes,
}

impl World {
    /// Reads `pre`, `postState` or the like: nonce, balance, code and storage by address.
    pub(super) fn read(node: &Node<'_>) -> Result<Self, Malformed> {
        let mut world =
            Self { accounts: BTreeMap::new(), codes: B256Map::default(), block_hashes: BlockHashes::OfNumbers };
        for (address, fields) in node.members()? {
            let code = fields.get("code")?.bytes()?;
            let mut storage = BTreeMap::new();
            for (slot, value) in fields.get("storage")?.members()? {
                let slot: U256 = value.key(slot)?;
                let value = value.u256()?;
                if !value.is_zero() {
                    storage.insert(slot, value);
                }
            }
            let info = AccountInfo {
                balance: fields.get("balance")?.u256()?,
                nonce: fields.get("nonce")?.u64()?,
                code_hash: if code.is_empty() { KECCAK256_EMPTY } else { keccak256(&code) },
            };
            world.codes.insert(info.code_hash, code);
            world.accounts.insert(fields.key(address)?, Account { info, storage });
        }
        Ok(world)
    }

    /// Gives BLOCKHASH the hash of a block; from the first one on, others have none.
    pub(super) fn insert_block_hash(&mut self, number: u64, hash: B256) {
        match &mut self.block_hashes {
            BlockHashes::Known(hashes) => _ = hashes.insert(number, hash),
            BlockHashes::OfNumbers => self.block_hashes = BlockHashes::Known([(number, hash)].into()),
        }
    }

    /// Applies what a transaction or a system call did, with the decisions of [`crate::commit::Committed`].
    pub(super) fn apply(&mut self, outcome: &TxOutcome) {
        for change in &outcome.changes {
            let removed = match change.kind {
                AccountChangeKind::Destroyed => true,
                AccountChangeKind::Touched => change.after.is_empty(),
                AccountChangeKind::Created => false,
            };
            if removed || change.kind == AccountChangeKind::Created {
                self.accounts.remove(&change.address);
            }
            if removed {
                continue;
            }
            let account = self.accounts.entry(change.address).or_default();
            account.info = change.after;
            for slot in &change.storage {
                if slot.value.is_zero() {
                    account.storage.remove(&slot.slot);
                } else {
                    account.storage.insert(slot.slot, slot.value);
                }
            }
            if let Some(code) = &change.code {
                self.codes.insert(change.after.code_hash, code.clone());
            }
        }
    }

    /// Adds to a balance, as a withdrawal does (EIP-4895): an account that is left empty does not come into being.
    pub(super) fn credit(&mut self, address: Address, wei: U256) {
        let account = self.accounts.entry(address).or_default();
        account.info.balance = account.info.balance.wrapping_add(wei);
        if account.info.is_empty() {
            self.accounts.remove(&address);
        }
    }

    /// Whether some account has storage but neither code nor nonce. No chain since EIP-161 makes one; a creation at such an address
    /// collides by EIP-7610, which revm does not implement.
    pub(super) fn has_bare_storage(&self) -> bool {
        let bare =
            |account: &Account| !account.storage.is_empty() && account.info.nonce == 0 && !account.info.has_code();
        self.accounts.values().any(bare)
    }

    /// The root of the state trie.
    pub(super) fn root(&self) -> B256 {
        state_root_unhashed(self.accounts.iter().map(|(address, account)| {
            let slots = account.storage.iter().map(|(slot, value)| (B256::from(*slot), *value));
            let AccountInfo { balance, nonce, code_hash } = account.info;
            (*address, TrieAccount { nonce, balance, storage_root: storage_root_unhashed(slots), code_hash })
        }))
    }

    /// The first account, in order of addresses, in which `actual` is not as `self` expects.
    pub(super) fn difference(&self, actual: &Self) -> Option<Mismatch> {
        let addresses = self.accounts.keys().chain(actual.accounts.keys());
        let differs = addresses.filter(|address| self.accounts.get(*address) != actual.accounts.get(*address)).min()?;
        let place = hex::encode_prefixed(differs);
        let exists = |account: Option<&Account>| if account.is_some() { "exists" } else { "does not exist" };
        let (expected, actual) = (self.accounts.get(differs), actual.accounts.get(differs));
        let (Some(expected), Some(actual)) = (expected, actual) else {
            return Some(Mismatch::new(format!("account {place}"), exists(expected), exists(actual)));
        };
        let field = |name: &str, expected: &dyn fmt::Display, actual: &dyn fmt::Display| {
            Some(Mismatch::new(format!("{name} of {place}"), expected, actual))
        };
        let (info, other) = (&expected.info, &actual.info);
        if info.nonce != other.nonce {
            return field("nonce", &info.nonce, &other.nonce);
        }
        if info.balance != other.balance {
            return field("balance", &info.balance, &other.balance);
        }
        if info.code_hash != other.code_hash {
            return field("code hash", &info.code_hash, &other.code_hash);
        }
        let slots = expected.storage.keys().chain(actual.storage.keys());
        let slot = slots.filter(|slot| expected.storage.get(*slot) != actual.storage.get(*slot)).min()?;
        let value = |account: &Account| format!("{:#x}", account.storage.get(slot).copied().unwrap_or_default());
        field(&format!("slot {slot:#x}"), &value(expected), &value(actual))
    }
}

impl StateRef for World {
    fn account(&self, address: &Address) -> Result<Option<AccountInfo>, StateError> {
        Ok(self.accounts.get(address).map(|account| account.info))
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        Ok(self.accounts.get(address).and_then(|account| account.storage.get(slot)).copied().unwrap_or_default())
    }

    fn code(&self, code_hash: &B256) -> Result<Bytes, StateError> {
        self.codes.get(code_hash).cloned().ok_or_else(|| StateError(format!("no code of hash {code_hash}")))
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        match &self.block_hashes {
            BlockHashes::OfNumbers => Ok(keccak256(number.to_string())),
            BlockHashes::Known(hashes) => {
                hashes.get(&number).copied().ok_or_else(|| StateError(format!("no hash of block {number}")))
            }
        }
    }

    fn hints(&self) -> Vec<StateKey> {
        let slots = |(address, account): (&Address, &Account)| -> Vec<StateKey> {
            account.storage.keys().map(|slot| StateKey::Slot(*address, *slot)).collect()
        };
        self.accounts.keys().copied().map(StateKey::Account).chain(self.accounts.iter().flat_map(slots)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::b256;
    use serde_json::{Value, json};

    fn world(value: &Value) -> World {
        World::read(&Node::root(value)).unwrap()
    }

    fn sample() -> Value {
        json!({"0x00000000000000000000000000000000000000aa":
            {"nonce": "0x01", "balance": "0x02", "code": "0x00", "storage": {"0x01": "0x05", "0x02": "0x00"}}})
    }

    #[test]
    fn the_empty_root() {
        let root = b256!("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421");
        assert_eq!(world(&json!({})).root(), root);
    }

    #[test]
    fn every_difference_is_named() {
        let good = world(&sample());
        assert_eq!(good.difference(&good), None);
        let account = "0x00000000000000000000000000000000000000aa";
        for (field, value, name) in [
            ("nonce", json!("0x02"), "nonce of"),
            ("balance", json!("0x03"), "balance of"),
            ("code", json!("0x01"), "code hash of"),
            ("storage", json!({"0x01": "0x06"}), "slot 0x1 of"),
            ("storage", json!({"0x01": "0x05", "0x02": "0x01"}), "slot 0x2 of"),
        ] {
            let mut changed = sample();
            changed[account][field] = value;
            let other = world(&changed);
            let difference = good.difference(&other).unwrap();
            assert!(difference.field.starts_with(name), "{difference:?}");
            assert_ne!(difference.expected, difference.actual);
            assert_ne!(good.root(), other.root(), "{name}");
        }
        let difference = world(&json!({})).difference(&good).unwrap();
        assert_eq!((&*difference.expected, &*difference.actual), ("does not exist", "exists"));
    }
}
