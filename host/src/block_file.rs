//! The file format `lockstep-block/1`: a block, the state that it needs, and what it must give. JSON, plain or in zstd.
//!
//! Quantities are hex strings; an absent account does not exist, an absent slot is zero; `blockHashes` keys are decimal. Reading is strict:
//! an error names the transaction index, where there is one, and the field.

use crate::{
    block::{BlobParams, Block, BlockEnv},
    fork::Fork,
    memory::MemoryState,
    state::{AccountInfo, StateRef},
};
use alloy_primitives::{Address, B256, Bloom, Bytes, KECCAK256_EMPTY, U256, hex, keccak256};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, fmt, io::Read, path::Path, str::FromStr};

/// The format's name, the value of `format`.
pub const FORMAT: &str = "lockstep-block/1";

/// Largest file taken, unpacked, in bytes: the largest mainnet block with its state needs a tenth of it.
pub const MAX_FILE_SIZE: u64 = 256 << 20;

/// First bytes of a zstd frame.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A block file as read.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockFile {
    /// Where the data comes from; free text.
    pub source: Option<String>,
    /// Environment and raw transactions.
    pub block: Block,
    /// The header with RPC names, as it stood in the file.
    pub header: Map<String, Value>,
    /// As it stood in the file; never applied.
    pub withdrawals: Value,
    /// What the file says about each transaction.
    pub claims: Vec<TxClaim>,
    /// The state under the first transaction, as far as the block reads it.
    pub state: MemoryState,
    /// What executing it must give.
    pub expected: Expected,
}

/// What the file says about one transaction beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxClaim {
    /// Transaction hash.
    pub hash: B256,
    /// Sender.
    pub sender: Address,
}

/// What executing a block file must give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Of the whole block.
    pub gas_used: u64,
    /// From the header.
    pub receipts_root: B256,
    /// Whether `receipts_root` is one that the transactions alone determine (from Byzantium on).
    pub receipts_root_checked: bool,
    /// From the header.
    pub logs_bloom: Bloom,
    /// From the header.
    pub transactions_root: B256,
    /// One a transaction.
    pub results: Vec<ExpectedResult>,
}

/// What one transaction must give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedResult {
    /// Success or not; `None` where unknown.
    pub status: Option<bool>,
    /// Gas used by this transaction.
    pub gas_used: u64,
    /// Number of logs.
    pub logs: u64,
    /// keccak256(rlp(logs)).
    pub logs_hash: B256,
    /// Of a creation that succeeded.
    pub contract_address: Option<Address>,
}

/// The file is no block file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct BlockFileError {
    /// The transaction at fault, where it is one.
    pub tx: Option<usize>,
    /// The field at fault; `file` if it is the file as a whole.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for BlockFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tx) = self.tx {
            write!(f, "transaction {tx}: ")?;
        }
        write!(f, "{}: {}", self.field, self.reason)
    }
}

impl BlockFileError {
    fn new(field: impl Into<String>, reason: impl fmt::Display) -> Self {
        Self { tx: None, field: field.into(), reason: reason.to_string() }
    }
}

impl BlockFile {
    /// Reads `.json` or `.json.zst`; the content decides, not the name.
    ///
    /// # Errors
    /// Unreadable files, and everything [`Self::parse`] rejects.
    pub fn read(path: &Path) -> Result<Self, BlockFileError> {
        let file = |cause| BlockFileError::new("file", cause);
        let mut bytes = Vec::new();
        std::fs::File::open(path).map_err(file)?.take(MAX_FILE_SIZE + 1).read_to_end(&mut bytes).map_err(file)?;
        Self::parse(&bytes)
    }

    /// Parses a file's content, plain or in zstd.
    ///
    /// # Errors
    /// Anything that is not exactly `lockstep-block/1`: unknown fork, wrong hex, a code hash without its code, a missing field.
    pub fn parse(bytes: &[u8]) -> Result<Self, BlockFileError> {
        let unpacked;
        let text = if bytes.starts_with(&ZSTD_MAGIC) {
            unpacked = unpack(bytes)?;
            unpacked.as_slice()
        } else {
            bytes
        };
        if text.len() as u64 > MAX_FILE_SIZE {
            return Err(BlockFileError::new("file", format!("larger than {MAX_FILE_SIZE} bytes unpacked")));
        }
        let value: Value =
            serde_json::from_slice(text).map_err(|cause| BlockFileError::new("file", format!("not JSON: {cause}")))?;
        read_file(Node::root(&value))
    }

    /// The file's JSON with keys in order, so that equal files are equal bytes.
    pub fn to_json(&self) -> Value {
        let env = &self.block.env;
        let mut file = json!({
            "format": FORMAT,
            "chainId": env.chain_id,
            "fork": env.fork.name(),
            "header": self.header,
            "withdrawals": self.withdrawals,
            "transactions": self.claims.iter().zip(&self.block.transactions)
                .map(|(claim, raw)| json!({"hash": hex_bytes(claim.hash), "sender": hex_bytes(claim.sender), "raw": hex_bytes(raw)})).collect::<Vec<_>>(),
            "pre": pre_json(&self.state),
            "codes": self.state.codes().map(|(hash, code)| (hex_bytes(hash), json!(hex_bytes(code)))).collect::<BTreeMap<_, _>>(),
            "blockHashes": self.state.block_hashes().map(|(number, hash)| (number.to_string(), json!(hex_bytes(hash)))).collect::<BTreeMap<_, _>>(),
            "expected": expected_json(&self.expected),
        });
        if let Some(source) = &self.source {
            file["source"] = json!(source);
        }
        if let Some(params) = env.blob_params.filter(|params| BlobParams::of(env.fork) != Some(*params)) {
            file["blobParams"] = json!({"target": hex_u64(params.target), "max": hex_u64(params.max), "updateFraction": hex_u64(params.update_fraction)});
        }
        file
    }
}

fn unpack(bytes: &[u8]) -> Result<Vec<u8>, BlockFileError> {
    let zstd = |cause| BlockFileError::new("file", format!("not zstd: {cause}"));
    let mut decoder = zstd::stream::read::Decoder::new(bytes).map_err(zstd)?;
    decoder.window_log_max(27).map_err(zstd)?;
    let mut out = Vec::new();
    // One byte more than allowed tells "too large" from "just fits" without unpacking a bomb.
    decoder.take(MAX_FILE_SIZE + 1).read_to_end(&mut out).map_err(zstd)?;
    Ok(out)
}

/// Lower case for addresses too, where `Display` would give the EIP-55 checksum.
fn hex_bytes(bytes: impl AsRef<[u8]>) -> String {
    hex::encode_prefixed(bytes)
}

fn hex_u64(value: u64) -> String {
    format!("{value:#x}")
}

fn hex_u256(value: &U256) -> String {
    format!("{value:#x}")
}

fn pre_json(state: &MemoryState) -> BTreeMap<String, Value> {
    let mut storage: BTreeMap<Address, BTreeMap<U256, U256>> = BTreeMap::new();
    for (address, slot, value) in state.slots() {
        storage.entry(*address).or_default().insert(*slot, *value);
    }
    let account = |(address, info): (&Address, &AccountInfo)| {
        let slots = storage.get(address).into_iter().flatten();
        let slots: Map<_, _> = slots.map(|(slot, value)| (hex_u256(slot), json!(hex_u256(value)))).collect();
        let mut account = json!({"balance": hex_u256(&info.balance), "nonce": hex_u64(info.nonce), "storage": slots});
        if info.has_code() {
            account["codeHash"] = json!(hex_bytes(info.code_hash));
        }
        (hex_bytes(address), account)
    };
    state.accounts().map(account).collect()
}

fn expected_json(expected: &Expected) -> Value {
    let result = |result: &ExpectedResult| {
        json!({
            "status": result.status.map(|status| hex_u64(u64::from(status))),
            "gasUsed": hex_u64(result.gas_used),
            "logs": result.logs,
            "logsHash": hex_bytes(result.logs_hash),
            "contractAddress": result.contract_address.map(hex_bytes),
        })
    };
    json!({
        "gasUsed": hex_u64(expected.gas_used),
        "receiptsRoot": hex_bytes(expected.receipts_root),
        "receiptsRootChecked": expected.receipts_root_checked.then_some(true),
        "logsBloom": hex_bytes(expected.logs_bloom),
        "transactionsRoot": hex_bytes(expected.transactions_root),
        "results": expected.results.iter().map(result).collect::<Vec<_>>(),
    })
}

/// A JSON value that knows where it stands.
pub(crate) struct Node<'a> {
    pub(crate) value: &'a Value,
    path: String,
    tx: Option<usize>,
}

impl<'a> Node<'a> {
    /// The top of a document.
    pub(crate) const fn root(value: &'a Value) -> Self {
        Node { value, path: String::new(), tx: None }
    }

    pub(crate) fn error(&self, reason: impl fmt::Display) -> BlockFileError {
        BlockFileError {
            tx: self.tx,
            field: if self.path.is_empty() { "file".into() } else { self.path.clone() },
            reason: reason.to_string(),
        }
    }

    fn child(&self, key: &str, value: &'a Value) -> Self {
        let path = if self.path.is_empty() { key.into() } else { format!("{}.{key}", self.path) };
        Node { value, path, tx: self.tx }
    }

    pub(crate) fn object(&self) -> Result<&'a Map<String, Value>, BlockFileError> {
        self.value.as_object().ok_or_else(|| self.error("not an object"))
    }

    /// A required member.
    pub(crate) fn get(&self, key: &str) -> Result<Self, BlockFileError> {
        let value = self.object()?.get(key).unwrap_or(&Value::Null);
        let child = self.child(key, value);
        if value.is_null() { Err(child.error("missing")) } else { Ok(child) }
    }

    /// A member that may be absent or null.
    pub(crate) fn optional(&self, key: &str) -> Result<Option<Self>, BlockFileError> {
        Ok(self.object()?.get(key).filter(|value| !value.is_null()).map(|value| self.child(key, value)))
    }

    fn members(&self) -> Result<impl Iterator<Item = (&'a str, Self)>, BlockFileError> {
        Ok(self.object()?.iter().map(|(key, value)| (key.as_str(), self.child(key, value))))
    }

    /// The elements of an array that has one element a transaction.
    pub(crate) fn per_tx(&self) -> Result<impl ExactSizeIterator<Item = Self>, BlockFileError> {
        let values = self.value.as_array().ok_or_else(|| self.error("not an array"))?;
        Ok(values.iter().enumerate().map(|(index, value)| Node { value, path: self.path.clone(), tx: Some(index) }))
    }

    /// The elements of any other array.
    #[cfg(feature = "rpc")]
    pub(crate) fn elements(&self) -> Result<impl ExactSizeIterator<Item = Self>, BlockFileError> {
        let values = self.value.as_array().ok_or_else(|| self.error("not an array"))?;
        Ok(values.iter().enumerate().map(|(index, value)| self.child(&index.to_string(), value)))
    }

    pub(crate) fn text(&self) -> Result<&'a str, BlockFileError> {
        self.value.as_str().ok_or_else(|| self.error("not a string"))
    }

    pub(crate) fn u256(&self) -> Result<U256, BlockFileError> {
        quantity(self.text()?)
            .ok_or_else(|| self.error(format!("{} is not a hex quantity of at most 256 bits", self.value)))
    }

    pub(crate) fn u64(&self) -> Result<u64, BlockFileError> {
        let value = self.u256()?;
        u64::try_from(value).map_err(|_| self.error(format!("{value} exceeds 64 bits")))
    }

    /// A JSON number, or a hex string.
    pub(crate) fn count(&self) -> Result<u64, BlockFileError> {
        self.value.as_u64().map_or_else(|| self.u64(), Ok)
    }

    pub(crate) fn bytes(&self) -> Result<Bytes, BlockFileError> {
        let digits = self.text()?.strip_prefix("0x").ok_or_else(|| self.error("hex without 0x"))?;
        hex::decode(digits).map(Bytes::from).map_err(|cause| self.error(cause))
    }

    /// Exactly as many bytes as the type has.
    pub(crate) fn fixed<T: for<'b> TryFrom<&'b [u8]>>(&self) -> Result<T, BlockFileError> {
        let bytes = self.bytes()?;
        T::try_from(&bytes).map_err(|_| self.error(format!("{} bytes where {} are due", bytes.len(), size_of::<T>())))
    }
}

fn quantity(text: &str) -> Option<U256> {
    let digits = text.strip_prefix("0x").filter(|digits| (1..=64).contains(&digits.len()))?;
    let hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    hex.then(|| U256::from_str_radix(digits, 16).ok()).flatten()
}

fn key<T: FromStr>(node: &Node<'_>, text: &str) -> Result<T, BlockFileError> {
    // alloy's parsers also take hex without a prefix.
    text.starts_with("0x")
        .then(|| text.parse().ok())
        .flatten()
        .ok_or_else(|| node.error("the key is not hex of the right length"))
}

fn read_file(root: Node<'_>) -> Result<BlockFile, BlockFileError> {
    let format = root.get("format")?;
    if format.text()? != FORMAT {
        return Err(format.error(format!("{}, expected {FORMAT:?}", format.value)));
    }
    let header = root.get("header")?;
    let env = read_env(&root, &header)?;
    let mut claims = Vec::new();
    let mut transactions = Vec::new();
    for tx in root.get("transactions")?.per_tx()? {
        claims.push(TxClaim { hash: tx.get("hash")?.fixed()?, sender: tx.get("sender")?.fixed()? });
        transactions.push(tx.get("raw")?.bytes()?);
    }
    let expected = read_expected(&root.get("expected")?, transactions.len())?;
    Ok(BlockFile {
        source: root.optional("source")?.map(|source| source.text().map(str::to_owned)).transpose()?,
        block: Block { env, transactions },
        header: header.object()?.clone(),
        withdrawals: root.object()?.get("withdrawals").cloned().unwrap_or_default(),
        claims,
        state: read_state(&root)?,
        expected,
    })
}

/// The environment from `chainId`, `fork`, `blobParams` of `root` and the header.
pub(crate) fn read_env(root: &Node<'_>, header: &Node<'_>) -> Result<BlockEnv, BlockFileError> {
    let fork_node = root.get("fork")?;
    let fork: Fork = fork_node.text()?.parse().map_err(|cause| fork_node.error(cause))?;
    let blob_params = match root.optional("blobParams")? {
        Some(params) if fork >= Fork::Cancun => Some(BlobParams {
            target: params.get("target")?.count()?,
            max: params.get("max")?.count()?,
            update_fraction: params.get("updateFraction")?.count()?,
        }),
        Some(params) => return Err(params.error(format!("no blobs at {fork}"))),
        None => BlobParams::of(fork),
    };
    let env = BlockEnv {
        chain_id: root.get("chainId")?.count()?,
        fork,
        number: header.get("number")?.u64()?,
        timestamp: header.get("timestamp")?.u64()?,
        beneficiary: header.get("miner")?.fixed()?,
        gas_limit: header.get("gasLimit")?.u64()?,
        base_fee: if fork >= Fork::London { header.get("baseFeePerGas")?.u64()? } else { 0 },
        difficulty: if fork < Fork::Merge { header.get("difficulty")?.u256()? } else { U256::ZERO },
        prevrandao: if fork >= Fork::Merge { header.get("mixHash")?.fixed()? } else { B256::ZERO },
        excess_blob_gas: if fork >= Fork::Cancun { header.get("excessBlobGas")?.u64()? } else { 0 },
        blob_params,
        blob_price: None,
    };
    if env.blob_base_fee().is_none() {
        return Err(header
            .get("excessBlobGas")?
            .error("the price of blob gas exceeds 128 bits, or the update fraction is zero"));
    }
    Ok(env)
}

fn read_state(root: &Node<'_>) -> Result<MemoryState, BlockFileError> {
    let mut state = MemoryState::default();
    for (hash_text, node) in root.get("codes")?.members()? {
        let hash: B256 = key(&node, hash_text)?;
        let code = node.bytes()?;
        let actual = keccak256(&code);
        if actual != hash {
            return Err(node.error(format!("the code's hash is {actual}")));
        }
        state.insert_code(hash, code);
    }
    for (address_text, node) in root.get("pre")?.members()? {
        let address: Address = key(&node, address_text)?;
        let code_hash = match node.optional("codeHash")? {
            None => KECCAK256_EMPTY,
            Some(hash) => {
                let code_hash: B256 = hash.fixed()?;
                if code_hash != KECCAK256_EMPTY && state.code(&code_hash).is_err() {
                    return Err(hash.error(format!("{code_hash} is missing from `codes`")));
                }
                code_hash
            }
        };
        let info = AccountInfo { balance: node.get("balance")?.u256()?, nonce: node.get("nonce")?.u64()?, code_hash };
        state.insert_account(address, info);
        let Some(storage) = node.optional("storage")? else { continue };
        for (slot_text, value) in storage.members()? {
            let slot = quantity(slot_text).ok_or_else(|| value.error("the key is not a hex quantity"))?;
            state.insert_slot(address, slot, value.u256()?);
        }
    }
    for (number_text, node) in root.get("blockHashes")?.members()? {
        let number = number_text.parse().map_err(|_| node.error("the key is not a decimal block number"))?;
        state.insert_block_hash(number, node.fixed()?);
    }
    Ok(state)
}

fn read_expected(node: &Node<'_>, txs: usize) -> Result<Expected, BlockFileError> {
    let list = node.get("results")?;
    let results: Vec<_> = list.per_tx()?.map(|result| read_result(&result)).collect::<Result<_, _>>()?;
    if results.len() != txs {
        return Err(list.error(format!("{} results for {txs} transactions", results.len())));
    }
    let checked = match node.optional("receiptsRootChecked")? {
        None => false,
        Some(flag) => flag.value.as_bool().ok_or_else(|| flag.error("neither true nor null"))?,
    };
    Ok(Expected {
        gas_used: node.get("gasUsed")?.u64()?,
        receipts_root: node.get("receiptsRoot")?.fixed()?,
        receipts_root_checked: checked,
        logs_bloom: node.get("logsBloom")?.fixed()?,
        transactions_root: node.get("transactionsRoot")?.fixed()?,
        results,
    })
}

fn read_result(node: &Node<'_>) -> Result<ExpectedResult, BlockFileError> {
    let status = match node.optional("status")? {
        None => None,
        Some(status) => match status.u64()? {
            flag @ (0 | 1) => Some(flag == 1),
            other => return Err(status.error(format!("{other:#x} is neither 0x0 nor 0x1"))),
        },
    };
    Ok(ExpectedResult {
        status,
        gas_used: node.get("gasUsed")?.u64()?,
        logs: node.get("logs")?.count()?,
        logs_hash: node.get("logsHash")?.fixed()?,
        contract_address: node.optional("contractAddress")?.map(|address| address.fixed()).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{engine::Engine, fixture};

    fn sample() -> BlockFile {
        let (block, state) = fixture::block();
        let output = Engine::builder().threads(1).build().unwrap().execute_block(&block, &state).unwrap();
        fixture::file(block, state, &output)
    }

    #[test]
    fn writing_and_reading_give_the_same_file() {
        let file = sample();
        let json = file.to_json().to_string();
        assert_eq!(BlockFile::parse(json.as_bytes()).unwrap(), file);
        let packed = zstd::encode_all(json.as_bytes(), 3).unwrap();
        assert_eq!(BlockFile::parse(&packed).unwrap(), file);
    }

    #[test]
    fn garbage_is_an_error_of_the_file() {
        let json = sample().to_json().to_string();
        let packed = zstd::encode_all(json.as_bytes(), 3).unwrap();
        for bytes in
            [&b""[..], b"{", b"[]", b"null", &ZSTD_MAGIC, &packed[..packed.len() / 2], b"\xff\xfe", &[b'['; 100_000]]
        {
            assert_eq!(BlockFile::parse(bytes).unwrap_err().tx, None);
        }
        let bomb = zstd::encode_all(std::io::repeat(b' ').take(MAX_FILE_SIZE + 10), 1).unwrap();
        assert!(BlockFile::parse(&bomb).unwrap_err().reason.contains("larger"));
    }

    #[test]
    fn errors_name_transaction_and_field() {
        let good = sample().to_json();
        let code = good["codes"].as_object().unwrap().keys().next().unwrap().clone();
        let check = |change: &dyn Fn(&mut Value), tx: Option<usize>, field: &str| {
            let mut file = good.clone();
            change(&mut file);
            let error = BlockFile::parse(file.to_string().as_bytes()).unwrap_err();
            assert_eq!((error.tx, error.field.as_str()), (tx, field), "{error}");
        };
        check(&|file| file["format"] = json!("lockstep-block/2"), None, "format");
        check(&|file| file["fork"] = json!("LUNCH"), None, "fork");
        check(&|file| file["header"]["number"] = json!("0xzz"), None, "header.number");
        check(&|file| file["header"]["gasLimit"] = json!("0x10000000000000000"), None, "header.gasLimit");
        check(&|file| file["header"]["miner"] = json!("0x00"), None, "header.miner");
        check(&|file| file["transactions"][2]["raw"] = json!("0x0"), Some(2), "transactions.raw");
        check(&|file| file["transactions"][1]["sender"] = Value::Null, Some(1), "transactions.sender");
        check(&|file| file["codes"][&code] = json!("0x00"), None, &format!("codes.{code}"));
        check(&|file| file["codes"] = json!({}), None, &format!("pre.{:?}.codeHash", fixture::LOGGER));
        check(&|file| file["blockHashes"] = json!({"0x5": good["transactions"][0]["hash"]}), None, "blockHashes.0x5");
        check(&|file| file["expected"]["results"][3]["status"] = json!("0x2"), Some(3), "expected.results.status");
        check(&|file| file["expected"]["results"] = json!([]), None, "expected.results");
        check(&|file| file["pre"] = json!({"0x12": {}}), None, "pre.0x12");
        check(&|file| file["blobParams"] = json!({}), None, "blobParams");
    }

    #[test]
    fn a_blob_price_beyond_128_bits_is_refused() {
        let mut file = sample().to_json();
        file["fork"] = json!("CANCUN");
        file["header"]["excessBlobGas"] = json!("0xffffffffffffffff");
        assert_eq!(BlockFile::parse(file.to_string().as_bytes()).unwrap_err().field, "header.excessBlobGas");
    }
}
