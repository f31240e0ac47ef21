//! Receipts, bloom filters and the roots that a header promises.

use crate::{
    ordered_trie,
    outcome::{Log, TxOutcome, TxStatus},
    tx::{Transaction, TxType},
};
use alloy_primitives::{Address, B256, Bloom, Bytes, keccak256};
use alloy_rlp::{BufMut, Encodable, Header};

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
        Self {
            tx_type: tx.tx_type,
            success: outcome.status == TxStatus::Success,
            cumulative_gas_used,
            gas_used: outcome.gas_used,
            bloom: logs_bloom(&outcome.logs),
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

/// 2048-bit filter over the addresses and topics of `logs`.
pub fn logs_bloom(logs: &[Log]) -> Bloom {
    let mut bloom = Bloom::ZERO;
    for log in logs {
        bloom.accrue(alloy_primitives::BloomInput::Raw(log.address.as_slice()));
        for topic in &log.topics {
            bloom.accrue(alloy_primitives::BloomInput::Raw(topic.as_slice()));
        }
    }
    bloom
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
    use alloy_consensus::{Eip658Value, ReceiptEnvelope, ReceiptWithBloom, TxReceipt};
    use alloy_eips::Encodable2718;
    use alloy_primitives::{LogData, U256};

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
}
