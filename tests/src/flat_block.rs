//! A block in flat sections: what `tests/capi/execute.c` reads and writes, and the comparison of that with the engine's own results.

use crate::binary::{Outcome, equal};
use alloy_primitives::{Address, B256, U256, keccak256};
use lockstep::{
    block_file::BlockFile,
    commit::Committed,
    engine::BlockOutput,
    outcome::TxStatus,
    state::{AccountInfo, StateKey, StateRef},
};
use std::{collections::HashMap, ops::Range};

/// Byte strings one behind the other, and the offsets of their ends, little-endian.
pub fn strings<T: AsRef<[u8]>>(all: impl Iterator<Item = T>) -> (Vec<u8>, Vec<u8>) {
    let (mut bytes, mut offsets) = (Vec::new(), 0_u64.to_le_bytes().to_vec());
    for string in all {
        bytes.extend_from_slice(string.as_ref());
        offsets.extend((bytes.len() as u64).to_le_bytes());
    }
    (bytes, offsets)
}

/// What `execute.c` reads.
pub fn sections_of(file: &BlockFile) -> Vec<u8> {
    let env = &file.block.env;
    let params = env.blob_params;
    let numbers = [
        env.chain_id,
        env.number,
        env.timestamp,
        env.gas_limit,
        env.base_fee,
        env.excess_blob_gas,
        params.map_or(0, |params| params.target),
        params.map_or(0, |params| params.max),
        params.map_or(0, |params| params.update_fraction),
    ];
    let mut head: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    head.extend((env.fork as u32 + 1).to_le_bytes());
    head.extend(u32::from(params.is_some()).to_le_bytes());
    head.extend([0; 16]);
    head.extend(env.difficulty.to_be_bytes::<32>());
    head.extend(env.prevrandao);
    head.extend(env.beneficiary);
    head.extend([0; 4]);

    let mut out = Vec::new();
    put(&mut out, &head);
    let (raw, ends) = strings(file.block.transactions.iter().map(AsRef::as_ref));
    put(&mut out, &raw);
    put(&mut out, &ends);
    let accounts: Vec<_> = file.state.accounts().collect();
    put(&mut out, &accounts.iter().flat_map(|(address, _)| address.0).collect::<Vec<_>>());
    put(&mut out, &accounts.iter().flat_map(|(_, info)| info.balance.to_be_bytes::<32>()).collect::<Vec<_>>());
    put(&mut out, &accounts.iter().flat_map(|(_, info)| info.nonce.to_le_bytes()).collect::<Vec<_>>());
    put(&mut out, &accounts.iter().flat_map(|(_, info)| info.code_hash).collect::<Vec<_>>());
    let slots: Vec<_> = file.state.slots().collect();
    put(&mut out, &slots.iter().flat_map(|(address, _, _)| address.0).collect::<Vec<_>>());
    put(&mut out, &slots.iter().flat_map(|(_, slot, _)| slot.to_be_bytes::<32>()).collect::<Vec<_>>());
    put(&mut out, &slots.iter().flat_map(|(_, _, value)| value.to_be_bytes::<32>()).collect::<Vec<_>>());
    let (codes, ends) = strings(file.state.codes().map(|(_, code)| code.as_ref()));
    put(&mut out, &codes);
    put(&mut out, &ends);
    let hashes: Vec<_> = file.state.block_hashes().collect();
    put(&mut out, &hashes.iter().flat_map(|(number, _)| number.to_le_bytes()).collect::<Vec<_>>());
    put(&mut out, &hashes.iter().flat_map(|(_, hash)| **hash).collect::<Vec<_>>());
    out
}

fn put(out: &mut Vec<u8>, section: &[u8]) {
    out.extend((section.len() as u64).to_le_bytes());
    out.extend(section);
    out.resize(out.len().next_multiple_of(8), 0);
}

/// What `execute.c` writes, by the names of `lockstep_results`.
#[derive(Clone, Debug)]
pub struct Results {
    bytes: HashMap<&'static str, Vec<u8>>,
    numbers: HashMap<&'static str, Vec<u64>>,
}

const BYTES: [&str; 20] = [
    "receipts_root",
    "transactions_root",
    "logs_bloom",
    "statuses",
    "senders",
    "tx_hashes",
    "contract_addresses",
    "outputs",
    "log_addresses",
    "log_topics",
    "log_data",
    "account_addresses",
    "account_changes",
    "account_balances",
    "account_code_hashes",
    "slot_addresses",
    "slot_keys",
    "slot_values",
    "code_hashes",
    "codes",
];

const NUMBERS: [&str; 8] = [
    "tx_gas_used",
    "cumulative_gas_used",
    "log_offsets",
    "output_offsets",
    "log_topic_offsets",
    "log_data_offsets",
    "account_nonces",
    "code_offsets",
];

impl Results {
    /// Takes a file apart.
    ///
    /// # Errors
    /// It is something else.
    pub fn parse(mut file: &[u8]) -> Result<Self, String> {
        let mut section = || {
            let (head, rest) = file.split_first_chunk().ok_or("cut short")?;
            let len = u64::from_le_bytes(*head) as usize;
            let section = rest.get(..len).ok_or("cut short")?.to_vec();
            file = rest.get(len.next_multiple_of(8)..).unwrap_or_default();
            Ok::<_, &str>(section)
        };
        let words = |bytes: Vec<u8>| {
            bytes.chunks_exact(8).map(|word| word.try_into().map_or(0, u64::from_le_bytes)).collect::<Vec<_>>()
        };
        let gas_used = words(section()?);
        let mut results = Self { bytes: HashMap::new(), numbers: HashMap::from([("gas_used", gas_used)]) };
        for name in BYTES {
            results.bytes.insert(name, section()?);
        }
        for name in NUMBERS {
            results.numbers.insert(name, words(section()?));
        }
        if file.is_empty() { Ok(results) } else { Err(format!("{} bytes too many", file.len())) }
    }

    /// The same with one bit wrong, once a column that has any.
    pub fn each_wrong(&self) -> impl Iterator<Item = (&'static str, Self)> {
        let copy = || self.clone();
        let bytes = self.bytes.iter().filter(|(_, column)| !column.is_empty()).map(move |(name, column)| {
            let (mut wrong, mut column) = (copy(), column.clone());
            column[0] ^= 2;
            wrong.bytes.insert(name, column);
            (*name, wrong)
        });
        let numbers = self.numbers.iter().filter(|(_, column)| !column.is_empty()).map(move |(name, column)| {
            let (mut wrong, mut column) = (copy(), column.clone());
            // The first offset is always zero.
            if let Some(last) = column.last_mut() {
                *last ^= 1;
            }
            wrong.numbers.insert(name, column);
            (*name, wrong)
        });
        bytes.chain(numbers)
    }

    /// Item `index` of a column of `each` bytes; empty where there is none.
    fn item(&self, column: &str, each: usize, index: usize) -> &[u8] {
        self.bytes.get(column).and_then(|column| column.get(each * index..each * (index + 1))).unwrap_or_default()
    }

    fn number(&self, column: &str, index: usize) -> u64 {
        self.numbers.get(column).and_then(|column| column.get(index)).copied().unwrap_or(u64::MAX)
    }

    fn range(&self, offsets: &str, index: usize) -> Range<usize> {
        self.number(offsets, index) as usize..self.number(offsets, index + 1) as usize
    }

    fn string(&self, column: &str, offsets: &str, index: usize) -> &[u8] {
        self.bytes
            .get(column)
            .and_then(|column| column.get(self.range(offsets, index)))
            .unwrap_or(b"none of this length")
    }

    /// What the receipts hold, and outputs.
    ///
    /// # Errors
    /// The first value that is another.
    pub fn compare(&self, expected: &BlockOutput) -> Outcome {
        equal("gas used", self.number("gas_used", 0), expected.gas_used)?;
        equal(
            "receipts root",
            &*self.bytes["receipts_root"],
            expected.receipts_root.as_ref().map_or(&[][..], |root| &root[..]),
        )?;
        equal("transactions root", &*self.bytes["transactions_root"], &expected.transactions_root[..])?;
        equal("bloom", &*self.bytes["logs_bloom"], expected.logs_bloom.as_slice())?;
        equal("transactions", self.bytes["statuses"].len(), expected.outcomes.len())?;
        for (tx, outcome) in expected.outcomes.iter().enumerate() {
            let status = match outcome.status {
                TxStatus::Success => 1,
                TxStatus::Revert => 2,
                TxStatus::Halt => 3,
            };
            equal("status", self.item("statuses", 1, tx), &[status])?;
            equal("sender", self.item("senders", 20, tx), expected.senders[tx].as_slice())?;
            equal("hash", self.item("tx_hashes", 32, tx), &expected.transactions[tx].hash[..])?;
            equal(
                "contract",
                self.item("contract_addresses", 20, tx),
                outcome.contract_address.unwrap_or_default().as_slice(),
            )?;
            equal("gas", self.number("tx_gas_used", tx), outcome.gas_used)?;
            equal("cumulative gas", self.number("cumulative_gas_used", tx), expected.receipts[tx].cumulative_gas_used)?;
            equal("output", self.string("outputs", "output_offsets", tx), &*outcome.output)?;
            let logs = self.range("log_offsets", tx);
            equal("logs", logs.len(), outcome.logs.len())?;
            for (log, expected) in logs.zip(&outcome.logs) {
                equal("log's address", self.item("log_addresses", 20, log), expected.address.as_slice())?;
                equal("log's data", self.string("log_data", "log_data_offsets", log), &*expected.data)?;
                let topics: Vec<_> =
                    self.range("log_topic_offsets", log).map(|topic| self.item("log_topics", 32, topic)).collect();
                equal("topics", topics, expected.topics.iter().map(|topic| &topic[..]).collect())?;
            }
        }
        Ok(())
    }

    /// The changes make of the state before exactly what committing each transaction makes of it.
    ///
    /// # Errors
    /// The first value that is another.
    pub fn compare_state(&self, file: &BlockFile, expected: &BlockOutput) -> Outcome {
        let mut committed = Committed::new(&file.state);
        expected.outcomes.iter().for_each(|outcome| committed.commit(outcome));
        let word = |column: &str, at| U256::from_be_slice(self.item(column, 32, at));
        let mut accounts = HashMap::new();
        for at in 0..self.bytes["account_changes"].len() {
            let code_hash = B256::from(word("account_code_hashes", at));
            let info = AccountInfo {
                balance: word("account_balances", at),
                nonce: self.number("account_nonces", at),
                code_hash,
            };
            accounts.insert(
                Address::from_slice(self.item("account_addresses", 20, at)),
                (self.bytes["account_changes"][at], info),
            );
        }
        let slots = self.bytes["slot_addresses"].len() / 20;
        let slots = (0..slots).map(|at| {
            ((Address::from_slice(self.item("slot_addresses", 20, at)), word("slot_keys", at)), word("slot_values", at))
        });
        let mut slots: HashMap<_, _> = slots.collect();
        let strangers = accounts.keys().filter(|owner| !committed.owns(&StateKey::Account(**owner)));
        equal("accounts that nobody touched", strangers.count(), 0)?;
        for key in committed.own_keys() {
            match key {
                StateKey::Account(owner) => {
                    let (before, after) = (file.state.account(&owner)?, committed.account(&owner)?);
                    let found = accounts.get(&owner).map_or(before, |(kind, info)| (*kind != 3).then_some(*info));
                    equal("account", found, after)?;
                }
                StateKey::Slot(owner, slot) => {
                    let gone = accounts.get(&owner).is_some_and(|(kind, _)| *kind != 1);
                    let before = if gone { U256::ZERO } else { file.state.storage(&owner, &slot)? };
                    equal("slot", slots.remove(&(owner, slot)).unwrap_or(before), committed.storage(&owner, &slot)?)?;
                }
                StateKey::BlockHash(_) => {}
            }
        }
        equal("slots that nobody wrote", slots.len(), 0)?;
        for code in 0..self.numbers["code_offsets"].len() - 1 {
            let hash = keccak256(self.string("codes", "code_offsets", code));
            equal("code hash", self.item("code_hashes", 32, code), &hash[..])?;
            equal("code", self.string("codes", "code_offsets", code), &*committed.code(&hash)?)?;
        }
        Ok(())
    }
}
