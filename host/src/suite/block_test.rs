//! Blockchain tests: a genesis, blocks as a client receives them, and the chain that must come of them.

use super::{
    CaseResult, Malformed, Mismatch, Named, Verdict,
    header::{Header, equal, undecodable},
    json::Node,
    judge::{self, Agreed},
    network::{BlobSchedule, Network, Rules, chain_id, is_on_device},
    requests::{self, Withdrawal},
    world::World,
};
use crate::{
    engine::Engine,
    error::Invalid,
    fork::Fork,
    outcome::Log,
    receipt::{Receipt, receipts_root, transactions_root},
    recover::sender_request,
    report::ExecutionReport,
    tx::Transaction,
};
use alloy_primitives::{B256, Bloom, Bytes};
use alloy_rlp::Header as RlpHeader;
use alloy_trie::root::ordered_trie_root_with_encoder;

/// Largest block from Osaka on, in bytes of RLP (EIP-7934).
const MAX_BLOCK_SIZE_OSAKA: usize = 8 << 20;

/// A chain and what must come of it.
#[derive(Debug)]
pub(super) struct BlockCase {
    network: Network,
    chain_id: u64,
    genesis: Header,
    pre: World,
    blocks: Vec<TestBlock>,
    last_hash: B256,
    /// The state at the end, whole where the file has it.
    post: Option<World>,
    post_root: Option<B256>,
}

/// A block as it came, and whether it must be rejected.
#[derive(Debug)]
struct TestBlock {
    rlp: Bytes,
    rejected: bool,
}

/// Reads the one case of a test.
pub(super) fn read(name: &str, test: &Node<'_>) -> Result<Vec<Named<BlockCase>>, Malformed> {
    let network_name = test.get("network")?.text()?;
    let network = Network::of(network_name, &BlobSchedule::read(test)?);
    let named = |case| vec![Named { case, name: name.into(), fork: network_name.into() }];
    let Some(network) = network else { return Ok(named(Err(format!("network {network_name:?}")))) };
    if network.rules().any(|rules| rules.fork < Fork::Merge) {
        return Ok(named(Err("proof of work: rewards, ommers and difficulty are not ours".into())));
    }
    let pre = World::read(&test.get("pre")?)?;
    let genesis = read_genesis(test, &pre)?;
    let block = |node: Node<'_>| {
        Ok(TestBlock { rlp: node.get("rlp")?.bytes()?, rejected: node.optional("expectException")?.is_some() })
    };
    let case = BlockCase {
        network,
        chain_id: chain_id(test)?,
        genesis,
        pre,
        blocks: test.get("blocks")?.elements()?.map(block).collect::<Result<_, _>>()?,
        last_hash: test.get("lastblockhash")?.fixed()?,
        post: test.optional("postState")?.map(|state| World::read(&state)).transpose()?,
        post_root: test.optional("postStateHash")?.map(|root| root.fixed()).transpose()?,
    };
    if case.post.is_none() && case.post_root.is_none() {
        return Err(test.error("neither postState nor postStateHash"));
    }
    Ok(named(Ok(case)))
}

/// The genesis header, which must be that of the state.
fn read_genesis(test: &Node<'_>, pre: &World) -> Result<Header, Malformed> {
    let node = test.get("genesisRLP")?;
    let bytes = node.bytes()?;
    let mut rest = bytes.as_ref();
    let mut block = RlpHeader::decode_bytes(&mut rest, true).map_err(|cause| node.error(cause))?;
    let genesis = Header::decode(&mut block).map_err(|invalid| node.error(invalid))?;
    let header = test.get("genesisBlockHeader")?;
    let hash = header.get("hash")?;
    if hash.fixed::<B256>()? != genesis.hash {
        return Err(hash.error(format!("genesisRLP has the hash {}", genesis.hash)));
    }
    let root = pre.root();
    if root != genesis.state_root {
        return Err(test.get("pre")?.error(format!("its root is {root}, that of genesis {}", genesis.state_root)));
    }
    Ok(genesis)
}

/// A block taken apart; its transactions are EIP-2718 bytes.
#[derive(Debug)]
struct Block {
    header: Header,
    transactions: Vec<Bytes>,
    ommers: usize,
    withdrawals: Option<Vec<Bytes>>,
}

impl Block {
    fn decode(bytes: &[u8]) -> Result<Self, Invalid> {
        let mut rest = bytes;
        let mut fields = RlpHeader::decode_bytes(&mut rest, true).map_err(undecodable("block"))?;
        if !rest.is_empty() {
            return Err(Invalid::new("block", format!("{} bytes after it", rest.len())));
        }
        let header = Header::decode(&mut fields)?;
        let transactions = items(&mut fields, "transactions")?
            .into_iter()
            .map(|item| match item.first() {
                // A legacy transaction is a list; a typed one is in a string.
                Some(0xc0..) => Ok(item),
                _ => RlpHeader::decode_bytes(&mut item.as_ref(), false).map(Bytes::copy_from_slice),
            })
            .collect::<Result<_, _>>()
            .map_err(undecodable("transactions"))?;
        let ommers = items(&mut fields, "uncleHeaders")?.len();
        let withdrawals = if fields.is_empty() { None } else { Some(items(&mut fields, "withdrawals")?) };
        if fields.is_empty() {
            Ok(Self { header, transactions, ommers, withdrawals })
        } else {
            Err(Invalid::new("block", "more fields than four"))
        }
    }
}

/// The items of the list at the start of `bytes`, each as it stands; moves `bytes` past them.
fn items(bytes: &mut &[u8], field: &'static str) -> Result<Vec<Bytes>, Invalid> {
    let error = undecodable(field);
    let mut rest = RlpHeader::decode_bytes(bytes, true).map_err(&error)?;
    let mut items = Vec::new();
    while !rest.is_empty() {
        let start = rest;
        let header = RlpHeader::decode(&mut rest).map_err(&error)?;
        rest = rest.get(header.payload_length..).ok_or_else(|| error(alloy_rlp::Error::InputTooShort))?;
        items.push(Bytes::copy_from_slice(&start[..start.len() - rest.len()]));
    }
    Ok(items)
}

/// Why a block did not become part of the chain.
enum Refusal {
    /// It breaks a rule.
    Invalid(Invalid),
    /// Engine and revm differ.
    Differs(Mismatch),
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

/// What executing blocks counted.
#[derive(Default)]
struct Counts {
    executed: usize,
    rare_precompile: bool,
    report: ExecutionReport,
}

impl BlockCase {
    /// Takes the blocks one after the other and compares the chain.
    pub(super) fn run(&self, engine: &Engine) -> CaseResult {
        let mut counts = Counts::default();
        let verdict = match self.chain(engine, &mut counts) {
            None => Verdict::Passed,
            Some((mismatch, true)) if self.pre.has_bare_storage() => Verdict::OracleDiffers(mismatch),
            Some((mismatch, _)) => Verdict::Failed(mismatch),
        };
        let on_device = self.network.rules().all(|rules| is_on_device(rules.fork));
        let eligible = on_device && counts.executed > 0 && !counts.rare_precompile;
        let device = counts.executed > 0 && counts.report.device.txs == counts.executed as u64;
        CaseResult { fallbacks: counts.report.fallbacks, ..CaseResult::new(verdict, eligible, device) }
    }

    /// The first difference, and whether engine and revm agree all the same.
    fn chain(&self, engine: &Engine, counts: &mut Counts) -> Option<(Mismatch, bool)> {
        let mut world = self.pre.clone();
        let mut parent = self.genesis.clone();
        world.insert_block_hash(parent.number, parent.hash);
        for (index, block) in self.blocks.iter().enumerate() {
            let field = |field: &str| format!("block {index}: {field}");
            match self.import(engine, &block.rlp, &parent, &world, counts) {
                Err(Refusal::Differs(mismatch)) => {
                    return Some((Mismatch { field: field(&mismatch.field), ..mismatch }, false));
                }
                Err(Refusal::Invalid(invalid)) if !block.rejected => {
                    return Some((Mismatch::new(field(invalid.field), "a valid block", invalid.reason), true));
                }
                Err(Refusal::Invalid(invalid)) => tracing::debug!(block = index, %invalid, "rejected, as it must be"),
                Ok(_) if block.rejected => {
                    return Some((Mismatch::new(field("exception"), "a rejected block", "none"), true));
                }
                Ok((header, state)) => {
                    world = state;
                    world.insert_block_hash(header.number, header.hash);
                    parent = header;
                }
            }
        }
        Mismatch::of("lastblockhash", self.last_hash, parent.hash)
            .or_else(|| self.post.as_ref().and_then(|post| post.difference(&world)))
            .or_else(|| self.post_root.and_then(|root| Mismatch::of("postStateHash", root, world.root())))
            .map(|mismatch| (mismatch, true))
    }

    /// The block's header and the state after it.
    fn import(
        &self,
        engine: &Engine,
        rlp: &[u8],
        parent: &Header,
        world: &World,
        counts: &mut Counts,
    ) -> Result<(Header, World), Refusal> {
        let block = Block::decode(rlp)?;
        let rules = self.network.at(block.header.timestamp);
        if rules.fork >= Fork::Osaka && rlp.len() > MAX_BLOCK_SIZE_OSAKA {
            return Err(Invalid::new("block", format!("{} bytes (EIP-7934)", rlp.len())).into());
        }
        block.header.check(parent, rules)?;
        let withdrawals = check_body(&block, rules)?;
        let txs = decode(&block)?;
        let mut world = world.clone();
        let env = block.header.env(rules, self.chain_id);
        requests::before(&env, &block.header, &mut world)?;
        let requests: Vec<_> = txs.iter().map(|tx| sender_request(tx, env.fork)).collect();
        let senders: Vec<_> = engine
            .recover(&requests)
            .into_iter()
            .collect::<Result<_, _>>()
            .map_err(|cause| Invalid::new("signature", cause.to_string()))?;
        let mut report = ExecutionReport::default();
        let agreed = judge::execute(engine, &env, &txs, &senders, &world, &mut report).map_err(Refusal::Differs)?;
        let (outcomes, rare_precompile) = match agreed {
            Agreed::Rejected(invalid) => return Err(invalid.into()),
            Agreed::Executed { outcomes, rare_precompile } => (outcomes, rare_precompile),
        };
        outcomes.iter().for_each(|outcome| world.apply(outcome));
        let receipts = Receipt::of_block(&txs, &outcomes);
        let logs: Vec<Log> = outcomes.into_iter().flat_map(|outcome| outcome.logs).collect();
        withdrawals.iter().for_each(|withdrawal| withdrawal.apply(&mut world));
        if env.fork >= Fork::Prague {
            let hash = requests::after(&env, &logs, &mut world)?;
            equal("requestsHash", &hash, &block.header.requests_hash.unwrap_or_default())?;
        }
        check_results(&block.header, &receipts, &world)?;
        counts.executed += txs.len();
        counts.rare_precompile |= rare_precompile;
        counts.report.device = counts.report.device + report.device;
        for (reason, txs) in report.fallbacks {
            *counts.report.fallbacks.entry(reason).or_default() += txs;
        }
        Ok((block.header, world))
    }
}

/// The body against its header; gives the withdrawals.
fn check_body(block: &Block, rules: &Rules) -> Result<Vec<Withdrawal>, Invalid> {
    let header = &block.header;
    equal("transactionsTrie", &transactions_root(&block.transactions), &header.transactions_root)?;
    equal("uncleHeaders", &0, &block.ommers)?;
    let withdrawals = match &block.withdrawals {
        Some(items) if rules.fork >= Fork::Shanghai => items,
        None if rules.fork < Fork::Shanghai => return Ok(Vec::new()),
        _ => return Err(Invalid::new("withdrawals", format!("come with {}", Fork::Shanghai))),
    };
    let root = ordered_trie_root_with_encoder(withdrawals, |item, out| out.extend_from_slice(item));
    equal("withdrawalsRoot", &root, &header.withdrawals_root.unwrap_or_default())?;
    withdrawals.iter().map(|item| Withdrawal::decode(item)).collect()
}

/// The transactions, with as much blob gas as the header says.
fn decode(block: &Block) -> Result<Vec<Transaction>, Invalid> {
    let txs = Transaction::decode_batch(&block.transactions).into_iter().collect::<Result<Vec<_>, _>>();
    let txs = txs.map_err(|error| Invalid::new(error.field, error.reason))?;
    let blob_gas = txs.iter().map(Transaction::blob_gas).sum();
    equal("blobGasUsed", &blob_gas, &block.header.blob_gas_used.unwrap_or_default())?;
    Ok(txs)
}

/// What only execution tells.
fn check_results(header: &Header, receipts: &[Receipt], world: &World) -> Result<(), Invalid> {
    let gas_used = receipts.last().map_or(0, |receipt| receipt.cumulative_gas_used);
    equal("gasUsed", &gas_used, &header.gas_used)?;
    let bloom = receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.bloom);
    equal("bloom", &bloom, &header.logs_bloom)?;
    equal("receiptTrie", &receipts_root(receipts), &header.receipts_root)?;
    equal("stateRoot", &world.root(), &header.state_root)
}
