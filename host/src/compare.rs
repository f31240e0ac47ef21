//! Is a block's output what its file promises? The first difference, with both values.

use crate::{
    block_file::{BlockFile, ExpectedResult, TxClaim},
    engine::BlockOutput,
    receipt::{Receipt, logs_hash},
};
use alloy_primitives::{Address, B256, hex};
use std::fmt;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The transaction; `None` if the block as a whole differs.
    pub tx: Option<usize>,
    /// The field, by its name in the block file.
    pub field: &'static str,
    /// What the file promises.
    pub expected: String,
    /// What execution gave.
    pub actual: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tx) = self.tx {
            write!(f, "transaction {tx}: ")?;
        }
        write!(f, "{}: expected {}, got {}", self.field, self.expected, self.actual)
    }
}

/// The first difference: transactions in order, then the block. `None` means equal in every field that the file has.
pub fn compare(file: &BlockFile, output: &BlockOutput) -> Option<Mismatch> {
    let txs = file.expected.results.len();
    let count = differ("transactions", &txs, &output.receipts.len());
    count.or_else(|| (0..txs).find_map(|tx| compare_tx(file, output, tx))).or_else(|| compare_block(file, output))
}

fn compare_tx(file: &BlockFile, output: &BlockOutput, tx: usize) -> Option<Mismatch> {
    let (claim, expected) = (file.claims.get(tx)?, file.expected.results.get(tx)?);
    let mismatch = compare_claim(claim, &output.transactions[tx].hash, &output.senders[tx])
        .or_else(|| compare_receipt(expected, &output.receipts[tx]))?;
    Some(Mismatch { tx: Some(tx), ..mismatch })
}

fn compare_claim(claim: &TxClaim, hash: &B256, sender: &Address) -> Option<Mismatch> {
    differ("hash", &claim.hash, hash)
        .or_else(|| differ("sender", &hex::encode_prefixed(claim.sender), &hex::encode_prefixed(sender)))
}

fn compare_receipt(expected: &ExpectedResult, receipt: &Receipt) -> Option<Mismatch> {
    let status = expected.status.and_then(|status| differ("status", &u8::from(status), &u8::from(receipt.success)));
    let address = |address: Option<Address>| address.map_or("none".to_owned(), hex::encode_prefixed);
    status
        .or_else(|| differ("gasUsed", &expected.gas_used, &receipt.gas_used))
        .or_else(|| differ("logs", &expected.logs, &(receipt.logs.len() as u64)))
        .or_else(|| differ("logsHash", &expected.logs_hash, &logs_hash(&receipt.logs)))
        .or_else(|| differ("contractAddress", &address(expected.contract_address), &address(receipt.contract_address)))
}

fn compare_block(file: &BlockFile, output: &BlockOutput) -> Option<Mismatch> {
    let expected = &file.expected;
    let root = || {
        let actual = output.receipts_root.map_or("none before BYZANTIUM".to_owned(), |root| root.to_string());
        expected
            .receipts_root_checked
            .then(|| differ("receiptsRoot", &expected.receipts_root.to_string(), &actual))
            .flatten()
    };
    differ("transactionsRoot", &expected.transactions_root, &output.transactions_root)
        .or_else(|| differ("gasUsed", &expected.gas_used, &output.gas_used))
        .or_else(|| differ("logsBloom", &expected.logs_bloom, &output.logs_bloom))
        .or_else(root)
}

fn differ<T: PartialEq + fmt::Display>(field: &'static str, expected: &T, actual: &T) -> Option<Mismatch> {
    (expected != actual).then(|| Mismatch {
        tx: None,
        field,
        expected: expected.to_string(),
        actual: actual.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{engine::Engine, fixture};

    #[test]
    fn every_wrong_field_is_found() {
        let (block, state) = fixture::block();
        let output = Engine::builder().threads(1).build().unwrap().execute_block(&block, &state).unwrap();
        let good = fixture::file(block, state, &output);
        assert_eq!(compare(&good, &output), None);
        let check = |change: &dyn Fn(&mut BlockFile), tx: Option<usize>, field: &str| {
            let mut file = good.clone();
            change(&mut file);
            let mismatch = compare(&file, &output).unwrap_or_else(|| panic!("a wrong {field} went unseen"));
            assert_eq!((mismatch.tx, mismatch.field), (tx, field));
            assert_ne!(mismatch.expected, mismatch.actual);
        };
        check(&|file| file.claims[1].hash = B256::ZERO, Some(1), "hash");
        check(&|file| file.claims[0].sender = Address::ZERO, Some(0), "sender");
        check(&|file| file.expected.results[3].status = Some(true), Some(3), "status");
        check(&|file| file.expected.results[0].gas_used += 1, Some(0), "gasUsed");
        check(&|file| file.expected.results[1].logs = 0, Some(1), "logs");
        check(&|file| file.expected.results[1].logs_hash = B256::ZERO, Some(1), "logsHash");
        check(&|file| file.expected.results[2].contract_address = None, Some(2), "contractAddress");
        check(&|file| file.expected.transactions_root = B256::ZERO, None, "transactionsRoot");
        check(&|file| file.expected.gas_used = 0, None, "gasUsed");
        check(&|file| file.expected.logs_bloom.0[0] ^= 1, None, "logsBloom");
        check(&|file| file.expected.receipts_root = B256::ZERO, None, "receiptsRoot");
        check(&|file| file.expected.results.truncate(3), None, "transactions");
    }
}
