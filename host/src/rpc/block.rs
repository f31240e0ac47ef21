//! A block with its transactions and receipts as nodes give them: back to bytes, and each against the root or hash that binds it.

use super::{
    client::{Client, Request},
    error::{Cause, RpcError},
    header::Header,
    partial::Asker,
    rules::Rules,
};
use crate::{
    block::{Block, BlockEnv},
    block_file::{BlockFileError, Expected, ExpectedResult, FORMAT, Node, read_env},
    encode::{encode, signing_hash},
    fork::Fork,
    outcome::{Log, TxOutcome, TxStatus},
    receipt::{Receipt, logs_bloom, logs_hash, receipts_root, transactions_root},
    recover::{recover_one, sender_request},
    tx::{Authorization, Signature, Transaction, TxType},
};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::Encodable;
use alloy_trie::root::ordered_trie_root_with_encoder;
use serde_json::{Map, Value, json};

const BLOCK: &str = "eth_getBlockByNumber";
const RECEIPTS: &str = "eth_getBlockReceipts";
const RECEIPT: &str = "eth_getTransactionReceipt";

/// Members of an RPC block that are not its header's.
const NO_HEADER: [&str; 5] = ["transactions", "withdrawals", "uncles", "size", "totalDifficulty"];

/// A block, its parent's header, and nothing of the state.
#[derive(Debug)]
pub(crate) struct RemoteBlock {
    pub(crate) header: Header,
    pub(crate) parent: Header,
    /// The header's members as the node gave them.
    pub(crate) fields: Map<String, Value>,
    pub(crate) withdrawals: Value,
    pub(crate) transactions: Vec<Transaction>,
    pub(crate) raw: Vec<Bytes>,
}

/// The request for a block; with whole transactions or their hashes alone.
pub(crate) fn block_request(number: u64, whole: bool) -> Request {
    Request::new(BLOCK, json!([format!("{number:#x}"), whole]), "header")
}

/// The checked header of a block.
pub(crate) fn read_header(block: &Value, number: u64) -> Result<Header, RpcError> {
    Header::read(block, number, BLOCK)
}

/// Whether the withdrawals are those of the header.
fn check_withdrawals(block: &Node<'_>, number: u64) -> Result<(), RpcError> {
    let malformed = RpcError::malformed(number, "withdrawals", BLOCK);
    let said: Option<B256> = block
        .optional("withdrawalsRoot")
        .and_then(|root| root.map(|root| root.fixed()).transpose())
        .map_err(&malformed)?;
    let read = |node: Node<'_>| {
        Ok(Withdrawal {
            index: node.get("index")?.u64()?,
            validator_index: node.get("validatorIndex")?.u64()?,
            address: node.get("address")?.fixed()?,
            amount: node.get("amount")?.u64()?,
        })
    };
    let list = block.optional("withdrawals").map_err(&malformed)?;
    let list: Option<Vec<Withdrawal>> =
        list.map(|list| list.elements().and_then(|nodes| nodes.map(read).collect())).transpose().map_err(malformed)?;
    let actual = list.map(|list| ordered_trie_root_with_encoder(&list, |withdrawal, out| withdrawal.encode(out)));
    if actual == said {
        return Ok(());
    }
    let text = |root: Option<B256>| root.map_or("none".into(), |root| root.to_string());
    let reason = format!("their root is {}, the header's {}", text(actual), text(said));
    Err(RpcError::new(number, "withdrawals", BLOCK, Cause::Wrong(reason)))
}

impl RemoteBlock {
    /// Reads block `number` and the header of its parent.
    ///
    /// # Errors
    /// The node does not have it, or what it gives does not fit together.
    pub(crate) fn read(client: &Client, number: u64) -> Result<Self, RpcError> {
        let Some(before) = number.checked_sub(1) else {
            let reason = "the genesis block has no parent, and so no state to execute it on".into();
            return Err(RpcError::new(number, "header", BLOCK, Cause::Impossible(reason)));
        };
        let mut answers =
            client.batch(number, &[block_request(number, true), block_request(before, false)], &|_, _| {})?;
        let (before_block, block) = (answers.pop().unwrap_or_default(), answers.pop().unwrap_or_default());
        let header = read_header(&block, number)?;
        let parent = read_header(&before_block, before)?;
        let wrong = |key: &str, reason: String| RpcError::new(number, key, BLOCK, Cause::Wrong(reason));
        if header.parent_hash != parent.hash {
            let reason = format!("the parent is {}, but block {before} is {}", header.parent_hash, parent.hash);
            return Err(wrong("header", reason));
        }
        let malformed = RpcError::malformed(number, "transactions", BLOCK);
        let root = Node::root(&block);
        let mut transactions = Vec::new();
        let mut raw = Vec::new();
        for node in root
            .get("transactions")
            .and_then(|list| list.per_tx().map(Iterator::collect::<Vec<_>>))
            .map_err(malformed)?
        {
            let (tx, bytes) = read_transaction(&node).map_err(malformed)?;
            let said: B256 = node.get("hash").and_then(|hash| hash.fixed()).map_err(malformed)?;
            if tx.hash != said {
                let reason = format!("its fields hash to {}, not {said}", tx.hash);
                return Err(wrong(&format!("transaction {}", transactions.len()), reason));
            }
            transactions.push(tx);
            raw.push(bytes);
        }
        let actual = transactions_root(&raw);
        if actual != header.transactions_root {
            let reason = format!("their root is {actual}, the header's {}", header.transactions_root);
            return Err(wrong("transactions", reason));
        }
        check_withdrawals(&root, header.number)?;
        let fields = block
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, value)| !NO_HEADER.contains(&name.as_str()) && !value.is_null());
        Ok(Self {
            fields: fields.map(|(name, value)| (name.clone(), value.clone())).collect(),
            withdrawals: block.get("withdrawals").cloned().unwrap_or_default(),
            header,
            parent,
            transactions,
            raw,
        })
    }

    /// What the transactions see.
    pub(crate) fn env(&self, rules: &Rules, chain_id: u64) -> Result<BlockEnv, RpcError> {
        let mut root = json!({"format": FORMAT, "chainId": chain_id, "fork": rules.fork.name()});
        if let Some(blobs) = rules.blobs.filter(|_| rules.fork >= Fork::Cancun) {
            root["blobParams"] =
                json!({"target": blobs.target, "max": blobs.max, "updateFraction": blobs.update_fraction});
        }
        let header = Value::Object(self.fields.clone());
        let malformed = RpcError::malformed(self.header.number, "header", BLOCK);
        read_env(&Node::root(&root), &Node::root(&header)).map_err(malformed)
    }

    /// As it is executed.
    pub(crate) fn block(&self, env: &BlockEnv) -> Block {
        Block { env: env.clone(), transactions: self.raw.clone() }
    }

    /// Recovers the senders.
    pub(crate) fn senders(&self, fork: Fork) -> Result<Vec<Address>, RpcError> {
        let wrong = |tx: usize, reason: String| {
            RpcError::new(self.header.number, format!("transaction {tx}"), BLOCK, Cause::Impossible(reason))
        };
        let sender = |(at, tx): (usize, &Transaction)| {
            recover_one(&sender_request(tx, fork)).map_err(|cause| wrong(at, cause.to_string()))
        };
        self.transactions.iter().enumerate().map(sender).collect()
    }

    /// Reads the receipts, whose root must be the header's from Byzantium on.
    pub(crate) fn receipts(&self, asker: &Asker<'_>, fork: Fork) -> Result<Receipts, RpcError> {
        let number = self.header.number;
        let whole = Request::new(RECEIPTS, json!([format!("{number:#x}")]), "receipts").or_otherwise();
        let (requests, answer) = match asker.call(whole.clone()) {
            Ok(answer) => (vec![whole], answer),
            Err(error) if error.is_the_nodes() => {
                let one = |tx: &Transaction| Request::new(RECEIPT, json!([tx.hash]), format!("receipt of {}", tx.hash));
                let requests: Vec<_> = self.transactions.iter().map(one).collect();
                let answers = asker.batch(&requests).map_err(|other| more_telling(error, other))?;
                (requests, Value::Array(answers))
            }
            Err(error) => return Err(error),
        };
        let method = requests.first().map_or(RECEIPT, |request| request.method);
        self.read_receipts(&answer, fork, method)
            .inspect_err(|_| requests.iter().for_each(|request| asker.doubt(request)))
    }

    fn read_receipts(&self, answer: &Value, fork: Fork, method: &'static str) -> Result<Receipts, RpcError> {
        let number = self.header.number;
        let malformed = RpcError::malformed(number, "receipts", method);
        let wrong = |reason: String| RpcError::new(number, "receipts", method, Cause::Wrong(reason));
        let nodes: Vec<_> = Node::root(answer).per_tx().map_err(malformed)?.collect();
        if nodes.len() != self.transactions.len() {
            return Err(wrong(format!("{} for {} transactions", nodes.len(), self.transactions.len())));
        }
        let mut before = 0;
        let mut receipts = Receipts { list: Vec::new(), with_status: fork >= Fork::Byzantium };
        for (node, tx) in nodes.iter().zip(&self.transactions) {
            let receipt = read_receipt(node, tx.tx_type, &mut before, receipts.with_status).map_err(malformed)?;
            receipts.list.push(receipt);
        }
        if receipts.with_status {
            let actual = receipts_root(&receipts.list);
            if actual != self.header.receipts_root {
                return Err(wrong(format!("their root is {actual}, the header's {}", self.header.receipts_root)));
            }
        }
        Ok(receipts)
    }
}

/// Of the errors of one way and of the other that was tried for it: a refusal of the other says less of the node than why it was tried.
fn more_telling(first: RpcError, other: RpcError) -> RpcError {
    let says_why = other.cause != Cause::Unsupported && first.cause == Cause::Unsupported;
    if other.is_refusal() && !says_why { first } else { other }
}

/// The receipts of a block as the node has them.
#[derive(Debug)]
pub(crate) struct Receipts {
    list: Vec<Receipt>,
    /// Whether they tell success from failure.
    with_status: bool,
}

impl Receipts {
    /// What execution must give. `outcomes` are revm's, which tell whether a creation succeeded where receipts do not.
    pub(crate) fn expected(&self, header: &Header, outcomes: &[Option<TxOutcome>]) -> Expected {
        let succeeded = |at: usize, receipt: &Receipt| {
            if self.with_status {
                receipt.success
            } else {
                outcomes
                    .get(at)
                    .is_some_and(|outcome| outcome.as_ref().is_some_and(|outcome| outcome.status == TxStatus::Success))
            }
        };
        let result = |(at, receipt): (usize, &Receipt)| ExpectedResult {
            status: self.with_status.then_some(receipt.success),
            gas_used: receipt.gas_used,
            logs: receipt.logs.len() as u64,
            logs_hash: logs_hash(&receipt.logs),
            contract_address: receipt.contract_address.filter(|_| succeeded(at, receipt)),
        };
        Expected {
            gas_used: header.gas_used,
            receipts_root: header.receipts_root,
            receipts_root_checked: self.with_status,
            logs_bloom: header.logs_bloom,
            transactions_root: header.transactions_root,
            results: self.list.iter().enumerate().map(result).collect(),
        }
    }

    /// Whether these outcomes give these receipts.
    pub(crate) fn are_of(&self, outcomes: &[Option<TxOutcome>]) -> bool {
        self.list.len() == outcomes.len()
            && self.list.iter().zip(outcomes).all(|(receipt, outcome)| {
                outcome.as_ref().is_some_and(|outcome| {
                    (outcome.gas_used, &outcome.logs) == (receipt.gas_used, &receipt.logs)
                        && (!self.with_status || receipt.success == (outcome.status == TxStatus::Success))
                })
            })
    }
}

/// A transaction and its EIP-2718 bytes, both hashed.
fn read_transaction(node: &Node<'_>) -> Result<(Transaction, Bytes), BlockFileError> {
    let type_node = node.optional("type")?;
    let tx_type = match type_node.as_ref().map_or(Ok(0), Node::u64)? {
        0 => TxType::Legacy,
        1 => TxType::AccessList,
        2 => TxType::DynamicFee,
        3 => TxType::Blob,
        4 => TxType::SetCode,
        other => return Err(node.error(format!("unknown transaction type {other:#x}"))),
    };
    let mut tx = Transaction::blank(tx_type, 0);
    tx.nonce = node.get("nonce")?.u64()?;
    tx.gas_limit = node.get("gas")?.u64()?;
    tx.to = node.optional("to")?.map(|to| to.fixed()).transpose()?;
    tx.value = node.get("value")?.u256()?;
    tx.input = node.get("input")?.bytes()?;
    tx.signature = Signature { r: node.get("r")?.u256()?, s: node.get("s")?.u256()?, y_parity: false };
    if tx_type == TxType::Legacy {
        let v = node.get("v")?.u64()?;
        tx.chain_id = v.checked_sub(35).map(|v| v / 2);
        tx.signature.y_parity = if v >= 35 { (v - 35) % 2 == 1 } else { v == 28 };
    } else {
        tx.chain_id = Some(node.get("chainId")?.u64()?);
        let parity = node.optional("yParity")?;
        tx.signature.y_parity = parity.map_or_else(|| node.get("v"), Ok)?.u64()? == 1;
        if let Some(list) = node.optional("accessList")? {
            tx.access_list = list.elements()?.map(|entry| read_access(&entry)).collect::<Result<_, _>>()?;
        }
    }
    if tx_type as u8 >= TxType::DynamicFee as u8 {
        tx.max_fee_per_gas = node.get("maxFeePerGas")?.u256()?;
        tx.max_priority_fee_per_gas = Some(node.get("maxPriorityFeePerGas")?.u256()?);
    } else {
        tx.max_fee_per_gas = node.get("gasPrice")?.u256()?;
    }
    if tx_type == TxType::Blob {
        tx.max_fee_per_blob_gas = node.get("maxFeePerBlobGas")?.u256()?;
        tx.blob_hashes = hashes(&node.get("blobVersionedHashes")?)?;
    }
    if tx_type == TxType::SetCode {
        let list = node.get("authorizationList")?;
        tx.authorizations = list.elements()?.map(|entry| read_authorization(&entry)).collect::<Result<_, _>>()?;
    }
    let raw = encode(&tx, &tx.signature);
    tx.hash = keccak256(&raw);
    tx.signing_hash = signing_hash(&tx);
    Ok((tx, raw))
}

fn hashes(node: &Node<'_>) -> Result<Vec<B256>, BlockFileError> {
    node.elements()?.map(|hash| hash.fixed()).collect()
}

fn read_access(node: &Node<'_>) -> Result<(Address, Vec<B256>), BlockFileError> {
    Ok((node.get("address")?.fixed()?, hashes(&node.get("storageKeys")?)?))
}

fn read_authorization(node: &Node<'_>) -> Result<Authorization, BlockFileError> {
    let chain_id: U256 = node.get("chainId")?.u256()?;
    let address = node.get("address")?.fixed()?;
    let nonce = node.get("nonce")?.u64()?;
    let parity = node.get("yParity")?;
    let raw_parity = u8::try_from(parity.u64()?).map_err(|_| parity.error("exceeds 8 bits"))?;
    Ok(Authorization {
        chain_id,
        address,
        nonce,
        signing_hash: Authorization::hash_for_signing(chain_id, address, nonce),
        signature: Signature { r: node.get("r")?.u256()?, s: node.get("s")?.u256()?, y_parity: raw_parity == 1 },
        raw_parity,
        authority: None,
    })
}

/// A receipt after `before` gas, which moves on.
fn read_receipt(
    node: &Node<'_>,
    tx_type: TxType,
    before: &mut u64,
    with_status: bool,
) -> Result<Receipt, BlockFileError> {
    let cumulative = node.get("cumulativeGasUsed")?;
    let cumulative_gas_used = cumulative.u64()?;
    let gas_used = cumulative_gas_used.checked_sub(*before).ok_or_else(|| cumulative.error("less than before"))?;
    *before = cumulative_gas_used;
    let log = |node: Node<'_>| {
        Ok(Log {
            address: node.get("address")?.fixed()?,
            topics: hashes(&node.get("topics")?)?,
            data: node.get("data")?.bytes()?,
        })
    };
    let logs: Vec<_> = node.get("logs")?.elements()?.map(log).collect::<Result<_, BlockFileError>>()?;
    Ok(Receipt {
        tx_type,
        success: with_status && node.get("status")?.u64()? == 1,
        cumulative_gas_used,
        gas_used,
        bloom: logs_bloom(&logs),
        logs,
        contract_address: node.optional("contractAddress")?.map(|address| address.fixed()).transpose()?,
    })
}
