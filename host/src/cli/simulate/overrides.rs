//! Overrides of state and block from JSON, each read once for all calls that have the same.

use super::calls::{address, data, hash, members, number};
use alloy_primitives::U256;
use lockstep::simulate::{AccountOverride, BlockOverrides, StateOverrides, StorageOverride, WordType};
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Overrides that are remembered, and the bytes of lines that they were read from, at most.
const KEPT: usize = 1 << 10;
const KEPT_BYTES: usize = 32 << 20;

/// What has been read lately.
#[derive(Debug)]
pub(super) struct Cache<T> {
    known: HashMap<Value, Arc<T>>,
    bytes: usize,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self { known: HashMap::new(), bytes: 0 }
    }
}

impl<T> Cache<T> {
    /// What `read` makes of a value that takes at most `bytes`.
    pub(super) fn get(
        &mut self,
        value: &Value,
        bytes: usize,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Result<Arc<T>, String> {
        if let Some(known) = self.known.get(value) {
            return Ok(known.clone());
        }
        let new = Arc::new(read(value)?);
        if self.known.len() == KEPT || self.bytes + bytes > KEPT_BYTES {
            self.known.clear();
            self.bytes = 0;
        }
        self.bytes += bytes;
        self.known.insert(value.clone(), new.clone());
        Ok(new)
    }
}

/// Accounts by address.
pub(super) fn state(value: &Value) -> Result<StateOverrides, String> {
    let mut accounts = BTreeMap::new();
    members(value, |key, value| {
        let address = address(&Value::from(key))?;
        match accounts.insert(address, account(value)?) {
            Some(_) => Err("twice the same account".into()),
            None => Ok(()),
        }
    })?;
    Ok(StateOverrides { accounts })
}

fn account(value: &Value) -> Result<AccountOverride, String> {
    let mut account = AccountOverride::default();
    members(value, |key, value| {
        // What is null is as if it were not there.
        let is = !value.is_null();
        let storage = |own: &AccountOverride, new| match own.storage {
            StorageOverride::Keep => Ok(new),
            _ => Err("there is state or stateDiff, not both".to_owned()),
        };
        match key {
            "balance" if is => account.balance = Some(number(value, 256)?),
            "nonce" if is => account.nonce = Some(number(value, 64)?.to()),
            "code" if is => account.code = Some(data(value)?),
            "state" if is => account.storage = storage(&account, StorageOverride::Replace(slots(value)?))?,
            "stateDiff" if is => account.storage = storage(&account, StorageOverride::Diff(slots(value)?))?,
            "balance" | "nonce" | "code" | "state" | "stateDiff" => {}
            _ => return Err("unknown field".into()),
        }
        Ok(())
    })?;
    Ok(account)
}

fn slots(value: &Value) -> Result<BTreeMap<U256, U256>, String> {
    let mut slots = BTreeMap::new();
    members(value, |key, value| {
        let slot = WordType::Uint(256).parse(key).map_err(|error| error.to_string())?;
        match slots.insert(slot, number(value, 256)?) {
            Some(_) => Err("twice the same slot".into()),
            None => Ok(()),
        }
    })?;
    Ok(slots)
}

/// Fields of the block.
pub(super) fn block(value: &Value) -> Result<BlockOverrides, String> {
    let mut block = BlockOverrides::default();
    members(value, |key, value| {
        let is = !value.is_null();
        let u64 = || Ok::<_, String>(Some(number(value, 64)?.to()));
        match key {
            "number" if is => block.number = u64()?,
            "time" if is => block.timestamp = u64()?,
            "gasLimit" if is => block.gas_limit = u64()?,
            "feeRecipient" if is => block.beneficiary = Some(address(value)?),
            "baseFeePerGas" if is => block.base_fee = u64()?,
            "prevRandao" if is => block.prevrandao = Some(hash(value)?),
            "difficulty" if is => block.difficulty = Some(number(value, 256)?),
            "blobBaseFee" if is => block.blob_base_fee = Some(number(value, 128)?.to()),
            "number" | "time" | "gasLimit" | "feeRecipient" | "baseFeePerGas" | "prevRandao" | "difficulty"
            | "blobBaseFee" => {}
            _ => return Err("unknown field".into()),
        }
        Ok(())
    })?;
    Ok(block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, B256};
    use serde_json::json;

    #[test]
    fn accounts_are_read_field_by_field() {
        let [one, two] = [1, 2].map(Address::repeat_byte);
        let read = state(&json!({
            one.to_string(): {"balance": "0x10", "nonce": 7, "code": "0x60", "state": {"0x1": "2"}},
            two.to_string(): {"stateDiff": {"3": format!("{:#066x}", 4)}, "code": null},
        }));
        let slots = |slot: u64, value: u64| BTreeMap::from([(U256::from(slot), U256::from(value))]);
        let first = AccountOverride {
            balance: Some(U256::from(16)),
            nonce: Some(7),
            code: Some(vec![0x60].into()),
            storage: StorageOverride::Replace(slots(1, 2)),
        };
        let second = AccountOverride { storage: StorageOverride::Diff(slots(3, 4)), ..AccountOverride::default() };
        assert_eq!(read.unwrap().accounts, BTreeMap::from([(one, first), (two, second)]));
    }

    #[test]
    fn errors_name_the_account_and_the_field() {
        let one = Address::repeat_byte(0x1a);
        let text = one.to_string();
        for (value, part) in [
            (json!({&text: {"balanc": 1}}), format!("{text}: balanc: unknown field")),
            (json!({&text: {"nonce": "x"}}), format!("{text}: nonce: \"x\" is no uint64")),
            (json!({&text: {"state": {"0xg": 1}}}), format!("{text}: state: 0xg: \"0xg\" is no uint256")),
            (json!({&text: {"state": {"1": 1, "0x1": 1}}}), "1: twice the same slot".into()),
            (json!({&text: {"state": {}, "stateDiff": {}}}), format!("{text}: stateDiff: there is state or")),
            (json!({&text: {}, text.to_lowercase(): {}}), "twice the same account".into()),
            (json!({"0x1": {}}), "0x1: \"0x1\" is no address".into()),
            (json!([]), "[] is not an object".into()),
        ] {
            let error = state(&value).unwrap_err();
            assert!(error.contains(&part), "{error}, expected {part}");
        }
        assert_eq!(block(&json!({"coinbase": "0x"})).unwrap_err(), "coinbase: unknown field");
    }

    #[test]
    fn every_field_of_the_block_is_read() {
        let read = block(&json!({
            "number": 1, "time": "0x2", "gasLimit": "3", "feeRecipient": Address::repeat_byte(4), "baseFeePerGas": 5,
            "prevRandao": B256::repeat_byte(6), "difficulty": 7, "blobBaseFee": "0x8",
        }));
        let expected = BlockOverrides {
            number: Some(1),
            timestamp: Some(2),
            gas_limit: Some(3),
            beneficiary: Some(Address::repeat_byte(4)),
            base_fee: Some(5),
            prevrandao: Some(B256::repeat_byte(6)),
            difficulty: Some(U256::from(7)),
            blob_base_fee: Some(8),
        };
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn the_cache_is_bounded() {
        let mut cache = Cache::default();
        for number in 0..2 * KEPT as u64 {
            cache.get(&json!(number), 1, |_| Ok(())).unwrap();
        }
        assert!(cache.known.len() <= KEPT);
        for number in 0..8_u64 {
            cache.get(&json!([number]), KEPT_BYTES / 3, |_| Ok(())).unwrap();
        }
        assert!(cache.known.len() <= 3 && cache.bytes <= KEPT_BYTES);
    }
}
