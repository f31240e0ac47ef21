//! What a block came to, as columns.

use crate::{
    caller::{Caller, Columns},
    fault::Outcome,
    net::{Change, Net},
    simulate::status,
    types::{LOCKSTEP_WANT_CHANGES, LOCKSTEP_WANT_LOGS, LOCKSTEP_WANT_OUTPUTS, lockstep_results},
};
use alloy_primitives::{B256, Bloom};
use lockstep::{engine::BlockOutput, outcome::TxOutcome};

/// The scalars and columns of `lockstep_results`, by the same names.
#[derive(Debug, Default)]
pub(crate) struct Executed {
    wants: u32,
    gas_used: u64,
    receipts_root: Option<B256>,
    transactions_root: B256,
    logs_bloom: Bloom,
    statuses: Vec<u8>,
    senders: Vec<u8>,
    tx_hashes: Vec<u8>,
    contract_addresses: Vec<u8>,
    tx_gas_used: Vec<u64>,
    cumulative_gas_used: Vec<u64>,
    log_offsets: Vec<u64>,
    outputs: Vec<u8>,
    output_offsets: Vec<u64>,
    logs: Logs,
    changes: Changes,
}

#[derive(Debug, Default)]
struct Logs {
    addresses: Vec<u8>,
    topics: Vec<u8>,
    topic_offsets: Vec<u64>,
    data: Vec<u8>,
    data_offsets: Vec<u64>,
}

#[derive(Debug, Default)]
struct Changes {
    account_addresses: Vec<u8>,
    account_changes: Vec<u8>,
    account_balances: Vec<u8>,
    account_nonces: Vec<u64>,
    account_code_hashes: Vec<u8>,
    slot_addresses: Vec<u8>,
    slot_keys: Vec<u8>,
    slot_values: Vec<u8>,
    code_hashes: Vec<u8>,
    codes: Vec<u8>,
    code_offsets: Vec<u64>,
}

impl Executed {
    pub(crate) fn new(output: &BlockOutput, wants: u32) -> Self {
        let mut found = Self {
            wants,
            gas_used: output.gas_used,
            receipts_root: output.receipts_root,
            transactions_root: output.transactions_root,
            logs_bloom: output.logs_bloom,
            senders: output.senders.iter().flatten().copied().collect(),
            tx_hashes: output.transactions.iter().flat_map(|tx| tx.hash).collect(),
            log_offsets: vec![0],
            ..Self::default()
        };
        let mut logs = 0;
        for (outcome, receipt) in output.outcomes.iter().zip(&output.receipts) {
            logs += outcome.logs.len() as u64;
            found.log_offsets.push(logs);
            found.statuses.push(status(outcome.status) as u8);
            found.tx_gas_used.push(outcome.gas_used);
            found.cumulative_gas_used.push(receipt.cumulative_gas_used);
            found.contract_addresses.extend_from_slice(outcome.contract_address.unwrap_or_default().as_slice());
        }
        if wants & LOCKSTEP_WANT_OUTPUTS != 0 {
            found.output_offsets.push(0);
            for outcome in &output.outcomes {
                found.outputs.extend_from_slice(&outcome.output);
                found.output_offsets.push(found.outputs.len() as u64);
            }
        }
        if wants & LOCKSTEP_WANT_LOGS != 0 {
            found.logs = Logs::new(&output.outcomes);
        }
        if wants & LOCKSTEP_WANT_CHANGES != 0 {
            found.changes = Changes::new(&Net::new(&output.outcomes));
        }
        found
    }

    /// Nothing yet, of which the columns are those of what is wanted.
    pub(crate) fn empty(wants: u32) -> Self {
        Self { wants, ..Self::default() }
    }

    pub(crate) fn give(&self, caller: Caller, out: &mut lockstep_results) -> Outcome {
        out.gas_used = self.gas_used;
        out.has_receipts_root = u32::from(self.receipts_root.is_some());
        out.receipts_root = self.receipts_root.unwrap_or_default().0;
        out.transactions_root = self.transactions_root.0;
        out.logs_bloom = self.logs_bloom.into();
        caller.fill(&mut self.columns(out))
    }

    /// The columns that are wanted, and where they go.
    pub(crate) fn columns<'a>(&'a self, out: &'a mut lockstep_results) -> Columns<'a> {
        let mut columns = Columns {
            bytes: vec![
                ("results.statuses", &mut out.statuses, &self.statuses),
                ("results.senders", &mut out.senders, &self.senders),
                ("results.tx_hashes", &mut out.tx_hashes, &self.tx_hashes),
                ("results.contract_addresses", &mut out.contract_addresses, &self.contract_addresses),
            ],
            numbers: vec![
                ("results.tx_gas_used", &mut out.tx_gas_used, &self.tx_gas_used),
                ("results.cumulative_gas_used", &mut out.cumulative_gas_used, &self.cumulative_gas_used),
                ("results.log_offsets", &mut out.log_offsets, &self.log_offsets),
            ],
        };
        let Columns { bytes, numbers } = &mut columns;
        if self.wants & LOCKSTEP_WANT_OUTPUTS != 0 {
            bytes.push(("results.outputs", &mut out.outputs, &self.outputs));
            numbers.push(("results.output_offsets", &mut out.output_offsets, &self.output_offsets));
        }
        if self.wants & LOCKSTEP_WANT_LOGS != 0 {
            let logs = &self.logs;
            bytes.push(("results.log_addresses", &mut out.log_addresses, &logs.addresses));
            bytes.push(("results.log_topics", &mut out.log_topics, &logs.topics));
            bytes.push(("results.log_data", &mut out.log_data, &logs.data));
            numbers.push(("results.log_topic_offsets", &mut out.log_topic_offsets, &logs.topic_offsets));
            numbers.push(("results.log_data_offsets", &mut out.log_data_offsets, &logs.data_offsets));
        }
        if self.wants & LOCKSTEP_WANT_CHANGES != 0 {
            let changes = &self.changes;
            bytes.push(("results.account_addresses", &mut out.account_addresses, &changes.account_addresses));
            bytes.push(("results.account_changes", &mut out.account_changes, &changes.account_changes));
            bytes.push(("results.account_balances", &mut out.account_balances, &changes.account_balances));
            numbers.push(("results.account_nonces", &mut out.account_nonces, &changes.account_nonces));
            bytes.push(("results.account_code_hashes", &mut out.account_code_hashes, &changes.account_code_hashes));
            bytes.push(("results.slot_addresses", &mut out.slot_addresses, &changes.slot_addresses));
            bytes.push(("results.slot_keys", &mut out.slot_keys, &changes.slot_keys));
            bytes.push(("results.slot_values", &mut out.slot_values, &changes.slot_values));
            bytes.push(("results.code_hashes", &mut out.code_hashes, &changes.code_hashes));
            bytes.push(("results.codes", &mut out.codes, &changes.codes));
            numbers.push(("results.code_offsets", &mut out.code_offsets, &changes.code_offsets));
        }
        columns
    }
}

impl Logs {
    fn new(outcomes: &[TxOutcome]) -> Self {
        let mut logs = Self { topic_offsets: vec![0], data_offsets: vec![0], ..Self::default() };
        for log in outcomes.iter().flat_map(|outcome| &outcome.logs) {
            logs.addresses.extend_from_slice(log.address.as_slice());
            logs.topics.extend(log.topics.iter().flatten());
            logs.topic_offsets.push(logs.topics.len() as u64 / 32);
            logs.data.extend_from_slice(&log.data);
            logs.data_offsets.push(logs.data.len() as u64);
        }
        logs
    }
}

impl Changes {
    fn new(net: &Net<'_>) -> Self {
        let mut changes = Self { code_offsets: vec![0], ..Self::default() };
        for Change { address, kind, after, slots } in net.changes() {
            changes.account_addresses.extend_from_slice(address.as_slice());
            changes.account_changes.push(kind as u8);
            changes.account_balances.extend_from_slice(&after.balance.to_be_bytes::<32>());
            changes.account_nonces.push(after.nonce);
            changes.account_code_hashes.extend_from_slice(after.code_hash.as_slice());
            for (slot, value) in slots {
                changes.slot_addresses.extend_from_slice(address.as_slice());
                changes.slot_keys.extend_from_slice(&slot.to_be_bytes::<32>());
                changes.slot_values.extend_from_slice(&value.to_be_bytes::<32>());
            }
        }
        for (hash, code) in net.codes() {
            changes.code_hashes.extend_from_slice(hash.as_slice());
            changes.codes.extend_from_slice(code);
            changes.code_offsets.push(changes.codes.len() as u64);
        }
        changes
    }
}
