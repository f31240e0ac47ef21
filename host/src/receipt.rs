//! Receipts, bloom filters and the roots that a header promises.

use crate::{
    keccak::{Engine, keccak256_batch},
    ordered_trie,
    outcome::{Log, TxOutcome, TxStatus},
    tx::{Transaction, TxType},
};
use alloy_primitives::{Address, B256, Bloom, BloomInput, Bytes, keccak256};
use alloy_rlp::{BufMut, Encodable, Header};

/// Of the number of places for distinct items: 16 KiB.
const PLACE_BITS: u32 = 12;

/// What a block says about one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// EIP-2718 type.
    pub tx_type: TxType,
    /// EIP-658; also meaningful before Byzantium, where the receipt does not hold it.
    pub success: bool,
    /// Gas used by this transaction and those before it.
    pub cumulative_gas_used: u64,
    /// Gas used by this transaction.
    pub gas_used: u64,
    /// In order of emission.
    pub logs: Vec<Log>,
    /// Of the logs.
    pub bloom: Bloom,
    /// The address of a creation that succeeded.
    pub contract_address: Option<Address>,
}

impl Receipt {
    /// The receipt of a transaction after which the block has used `cumulative_gas_used`.
    pub fn new(tx: &Transaction, outcome: &TxOutcome, cumulative_gas_used: u64) -> Self {
        Self::with_bloom(tx, outcome, cumulative_gas_used, logs_bloom(&outcome.logs))
    }

    /// The receipts of a block of these transactions, with what their blooms need hashed in one batch, on the calling thread. Of
    /// transactions and outcomes there are as many; what only one of them has is left out.
    pub fn of_block(txs: &[Transaction], outcomes: &[TxOutcome]) -> Vec<Self> {
        debug_assert_eq!(txs.len(), outcomes.len(), "one outcome a transaction");
        let mut hashes = BloomHashes::of(outcomes);
        let mut gas_used = 0;
        let receipt = |(tx, outcome): (&Transaction, &TxOutcome)| {
            gas_used += outcome.gas_used;
            Self::with_bloom(tx, outcome, gas_used, hashes.next_bloom(outcome))
        };
        txs.iter().zip(outcomes).map(receipt).collect()
    }

    fn with_bloom(tx: &Transaction, outcome: &TxOutcome, cumulative_gas_used: u64, bloom: Bloom) -> Self {
        Self {
            tx_type: tx.tx_type,
            success: outcome.status == TxStatus::Success,
            cumulative_gas_used,
            gas_used: outcome.gas_used,
            bloom,
            logs: outcome.logs.clone(),
            contract_address: outcome.contract_address,
        }
    }

    /// EIP-2718 bytes from Byzantium on: type byte unless legacy, then rlp([status, cumulative gas used, bloom, logs]).
    pub fn encode_2718(&self, out: &mut dyn BufMut) {
        if self.tx_type != TxType::Legacy {
            out.put_u8(self.tx_type as u8);
        }
        let payload_length =
            self.success.length() + self.cumulative_gas_used.length() + self.bloom.length() + self.logs.length();
        Header { list: true, payload_length }.encode(out);
        self.success.encode(out);
        self.cumulative_gas_used.encode(out);
        self.bloom.encode(out);
        self.logs.encode(out);
    }
}

impl Log {
    fn payload_length(&self) -> usize {
        self.address.length() + self.topics.length() + self.data.length()
    }

    /// What blooms are over: address and topics.
    fn bloom_items(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(self.address.as_slice()).chain(self.topics.iter().map(B256::as_slice))
    }
}

impl Encodable for Log {
    fn encode(&self, out: &mut dyn BufMut) {
        Header { list: true, payload_length: self.payload_length() }.encode(out);
        self.address.encode(out);
        self.topics.encode(out);
        self.data.encode(out);
    }

    fn length(&self) -> usize {
        let payload_length = self.payload_length();
        Header { list: true, payload_length }.length() + payload_length
    }
}

/// 2048-bit filter over the addresses and topics of `logs`, one after the other.
pub fn logs_bloom(logs: &[Log]) -> Bloom {
    let mut bloom = Bloom::ZERO;
    for item in logs.iter().flat_map(Log::bloom_items) {
        bloom.accrue(BloomInput::Raw(item));
    }
    bloom
}

/// Hashes of the addresses and topics of a block's logs.
struct BloomHashes {
    distinct: Vec<B256>,
    /// Of each item, in order.
    indices: std::vec::IntoIter<u32>,
}

impl BloomHashes {
    fn of(outcomes: &[TxOutcome]) -> Self {
        let mut items = Distinct::default();
        let logs = outcomes.iter().flat_map(|outcome| &outcome.logs);
        let indices: Vec<_> = logs.flat_map(Log::bloom_items).map(|item| items.index_of(item)).collect();
        let mut distinct = vec![B256::ZERO; items.list.len()];
        keccak256_batch(Engine::best(), &items.list, &mut distinct);
        Self { distinct, indices: indices.into_iter() }
    }

    /// [`logs_bloom`] of the next outcome.
    fn next_bloom(&mut self, outcome: &TxOutcome) -> Bloom {
        let count = outcome.logs.iter().map(|log| 1 + log.topics.len()).sum();
        let mut bloom = Bloom::ZERO;
        for index in self.indices.by_ref().take(count) {
            bloom.accrue(BloomInput::Hash(self.distinct[index as usize]));
        }
        bloom
    }
}

/// Addresses and topics, of which most come again and again, each once. Some may be twice: that costs a hash.
struct Distinct<'a> {
    list: Vec<&'a [u8]>,
    /// The latest index of the items that have this place.
    places: Vec<u32>,
}

impl Default for Distinct<'_> {
    fn default() -> Self {
        Self { list: Vec::new(), places: vec![0; 1 << PLACE_BITS] }
    }
}

impl<'a> Distinct<'a> {
    fn index_of(&mut self, item: &'a [u8]) -> u32 {
        let place = &mut self.places[place(item)];
        if self.list.get(*place as usize) != Some(&item) {
            *place = self.list.len() as u32;
            self.list.push(item);
        }
        *place
    }
}

/// Any spread will do.
fn place(item: &[u8]) -> usize {
    let end = |end: Option<&[u8; 8]>| end.map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let mixed = (end(item.first_chunk()) ^ end(item.last_chunk())).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (64 - PLACE_BITS)) as usize
}

/// keccak256(rlp(logs)).
pub fn logs_hash(logs: &Vec<Log>) -> B256 {
    keccak256(alloy_rlp::encode(logs))
}

/// Root over the receipts as a header holds it from Byzantium on, hashed in batches on the calling thread.
pub fn receipts_root(receipts: &[Receipt]) -> B256 {
    ordered_trie::root(receipts, |receipt, out| receipt.encode_2718(out))
}

/// Root over raw transactions, hashed in batches on the calling thread.
pub fn transactions_root(transactions: &[Bytes]) -> B256 {
    ordered_trie::root(transactions, |raw, out| out.extend_from_slice(raw))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{block_file::BlockFile, sample::SAMPLE};
    use alloy_consensus::{Eip658Value, ReceiptEnvelope, ReceiptWithBloom, TxReceipt};
    use alloy_eips::Encodable2718;
    use alloy_primitives::{LogData, U256};
    use std::collections::HashSet;

    #[test]
    fn equals_alloy() {
        let logs: Vec<_> = (0..5_u64)
            .map(|n| Log {
                address: Address::from_word(U256::from(n + 1).into()),
                topics: (0..n.min(4)).map(|t| keccak256([t as u8])).collect(),
                data: vec![7; n as usize * 40].into(),
            })
            .collect();
        let receipt = Receipt {
            tx_type: TxType::DynamicFee,
            success: true,
            cumulative_gas_used: 123_456,
            gas_used: 21_000,
            bloom: logs_bloom(&logs),
            logs: logs.clone(),
            contract_address: None,
        };
        let theirs = alloy_consensus::Receipt {
            status: Eip658Value::Eip658(true),
            cumulative_gas_used: 123_456,
            logs: logs
                .iter()
                .map(|log| alloy_primitives::Log {
                    address: log.address,
                    data: LogData::new_unchecked(log.topics.clone(), log.data.clone()),
                })
                .collect(),
        };
        let theirs = ReceiptEnvelope::Eip1559(ReceiptWithBloom { logs_bloom: theirs.bloom(), receipt: theirs });
        let mut ours = Vec::new();
        receipt.encode_2718(&mut ours);
        assert_eq!(ours, theirs.encoded_2718());
    }

    /// Of more distinct items than there are places, which come again at once, later and in other receipts.
    #[test]
    fn blooms_of_a_block_are_those_of_each_receipt() {
        let log = |n: usize| Log {
            address: Address::from_word(U256::from(n % 300).into()),
            topics: (0..n % 5)
                .map(|t| U256::from((n * t).wrapping_mul(0x9e37_79b9_7f4a_7c15) % 20_000).into())
                .collect(),
            data: Bytes::new(),
        };
        let outcome = |n: usize| TxOutcome {
            status: TxStatus::Success,
            gas_used: 21_000 + n as u64,
            output: Bytes::new(),
            logs: (0..n % 83).map(|at| log(n * at)).collect(),
            contract_address: None,
            changes: Vec::new(),
        };
        let file = BlockFile::parse(SAMPLE).unwrap();
        let tx = Transaction::decode(&file.block.transactions[0]).unwrap();
        let outcomes: Vec<_> = (0..500).map(outcome).collect();
        let distinct: HashSet<_> =
            outcomes.iter().flat_map(|outcome| outcome.logs.iter().flat_map(Log::bloom_items)).collect();
        assert!(distinct.len() > 1 << PLACE_BITS, "{}", distinct.len());
        let receipts = Receipt::of_block(&vec![tx.clone(); outcomes.len()], &outcomes);
        assert_eq!(receipts.len(), outcomes.len());
        let mut gas_used = 0;
        for (receipt, outcome) in receipts.iter().zip(&outcomes) {
            gas_used += outcome.gas_used;
            assert_eq!(*receipt, Receipt::new(&tx, outcome, gas_used));
        }
    }
}
