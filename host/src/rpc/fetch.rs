//! A node's blocks as block files: execution itself tells what it reads, round by round, until nothing is missing.

use super::{
    block::{Receipts, RemoteBlock, block_request, read_header},
    cache::Cache,
    client::{Client, ClientOptions, Request},
    error::{Cause, RpcError},
    partial::Asker,
    rules::Schedule,
    state::{Known, Proofs, Reader, View},
};
use crate::{
    block::BlockEnv,
    block_file::{BlockFile, Node, TxClaim},
    commit::Committed,
    delegation::authority_of,
    evm::{Revm, system_call},
    fork::Fork,
    memory::MemoryState,
    outcome::TxOutcome,
    record::Recorder,
    state::{StateKey, StateRef},
};
use alloy_eips::{eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS};
use alloy_primitives::{Address, Bytes, U256};
use serde_json::{Map, Value, json};
use std::{
    cell::Cell,
    collections::{BTreeMap, HashSet},
    sync::atomic::{AtomicBool, Ordering},
};

const TRACE: &str = "debug_traceBlockByNumber";

/// Attempts to read a block without what was kept and does not hold, before all that was kept is thrown away.
const MOST_DOUBTS: u32 = 100;

/// How to read from a node.
#[derive(Clone, Debug)]
pub struct Options {
    /// Patience and batches.
    pub client: ClientOptions,
    /// Whether values are proven.
    pub proofs: Proofs,
    /// The rules of every block, where the chain's are not known or not meant.
    pub fork: Option<Fork>,
    /// Where to keep what was read.
    pub cache: Option<Cache>,
    /// Most rounds for one block. Each finds at least one key, and in practice all that the answers of the last one lead to.
    pub rounds: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { client: ClientOptions::default(), proofs: Proofs::Auto, fork: None, cache: None, rounds: 10_000 }
    }
}

/// A node that blocks are read from.
#[derive(Debug)]
pub struct Source {
    client: Client,
    options: Options,
    chain_id: u64,
    schedule: Schedule,
    no_proofs: AtomicBool,
    no_trace: AtomicBool,
}

/// A block read from a node, or from the cache.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The block with the state that it needs.
    pub file: BlockFile,
    /// Whether the cache had it.
    pub cached: bool,
    /// Times that the state was asked for more.
    pub rounds: u32,
    /// Accounts and slots read.
    pub keys: usize,
    /// Calls that the node has answered for it.
    pub calls: u64,
    /// Whether every value of the state is proven by the parent's state root, now or when it went into the cache.
    pub proven: bool,
}

/// How far reading a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The block.
    pub number: u64,
    /// Rounds done.
    pub rounds: u32,
    /// Accounts and slots read.
    pub keys: usize,
}

impl Source {
    /// Asks the node which chain it has and by which rules.
    ///
    /// # Errors
    /// The URL is none, nobody answers, or the answer is none.
    pub fn connect(url: &str, options: Options) -> Result<Self, RpcError> {
        const CHAIN_ID: &str = "eth_chainId";
        let error = |cause| RpcError { block: None, key: "chain id".into(), method: CHAIN_ID, cause };
        let client = Client::new(url, options.client).map_err(|reason| error(Cause::Connection(reason)))?;
        let answer = client.call(None, Request::new(CHAIN_ID, json!([]), "chain id"))?;
        let chain_id = Node::root(&answer).u64().map_err(|cause| error(Cause::Malformed(cause.to_string())))?;
        let schedule = Schedule::ask(&client, chain_id, options.fork)?;
        Ok(Self {
            client,
            options,
            chain_id,
            schedule,
            no_proofs: AtomicBool::new(false),
            no_trace: AtomicBool::new(false),
        })
    }

    /// EIP-155 chain id.
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Reads block `number` with the state that its transactions need: after the parent and the system calls before them.
    ///
    /// # Errors
    /// Names the block, the key and the method. What was read before stays in the cache.
    pub fn block(&self, number: u64, progress: impl Fn(Progress)) -> Result<Fetched, RpcError> {
        let calls = self.client.calls();
        if let Some((file, proven)) = self.cached(number)? {
            let calls = self.client.calls() - calls;
            return Ok(Fetched { file, cached: true, rounds: 0, keys: 0, calls, proven });
        }
        let remote = RemoteBlock::read(&self.client, number)?;
        let rules = self.schedule.at(number, remote.header.timestamp)?;
        let env = remote.env(&rules, self.chain_id)?;
        let senders = remote.senders(env.fork)?;
        let hash = remote.header.hash;
        let parts = self.options.cache.as_ref().map(|cache| cache.parts(self.chain_id, number, &hash));
        let asker = Asker::new(&self.client, number, parts);
        let (receipts, read) = match self.read(&asker, &remote, &env, &senders, &progress) {
            Ok(read) => read,
            Err(error) => {
                if asker.broke_off(&error) || asker.has_doubts() {
                    asker.keep();
                } else {
                    asker.forget();
                }
                return Err(error);
            }
        };
        let is_sound = is_sound(&receipts, &read);
        let claim = |(tx, sender): (&crate::tx::Transaction, &Address)| TxClaim { hash: tx.hash, sender: *sender };
        let file = BlockFile {
            source: Some(format!("lockstep fetch, from a node of chain {}", self.chain_id)),
            claims: remote.transactions.iter().zip(&senders).map(claim).collect(),
            expected: receipts.expected(&remote.header, &read.outcomes),
            block: remote.block(&env),
            header: remote.fields,
            withdrawals: remote.withdrawals,
            state: read.part,
        };
        if let Some(cache) = self.options.cache.as_ref().filter(|_| is_sound) {
            cache.put_block(self.chain_id, &hash, &file, read.proven);
        }
        asker.forget();
        let calls = self.client.calls() - calls;
        Ok(Fetched { file, cached: false, rounds: read.rounds, keys: read.keys, calls, proven: read.proven })
    }

    /// The block from the cache, and whether its state is proven; only such a one where proofs are a must.
    fn cached(&self, number: u64) -> Result<Option<(BlockFile, bool)>, RpcError> {
        let Some(cache) = &self.options.cache else { return Ok(None) };
        let answer = self.client.call(Some(number), block_request(number, false))?;
        let header = read_header(&answer, number)?;
        let rules = self.schedule.at(number, header.timestamp)?;
        let kinds: &[bool] = if self.options.proofs == Proofs::Always { &[true] } else { &[true, false] };
        let mut found = kinds.iter().filter_map(|proven| {
            let file = cache.block(self.chain_id, number, &header.hash, *proven)?;
            let env = &file.block.env;
            ((env.fork, env.blob_params) == (rules.fork, rules.blobs)).then_some((file, *proven))
        });
        Ok(found.next())
    }

    /// Reads receipts and state. What was kept of an earlier attempt is thrown away where it does not hold: all of it where only the whole
    /// can tell.
    fn read(
        &self,
        asker: &Asker<'_>,
        remote: &RemoteBlock,
        env: &BlockEnv,
        senders: &[Address],
        progress: &impl Fn(Progress),
    ) -> Result<(Receipts, StateRead), RpcError> {
        let read = || {
            let receipts = remote.receipts(asker, env.fork)?;
            let state = self.read_state(asker, remote, env, senders, progress)?;
            Ok::<_, RpcError>((receipts, state))
        };
        let mut result = read();
        let mut attempts = 1;
        while result.is_err() && attempts < MOST_DOUBTS && asker.knows_better() {
            tracing::info!(number = env.number, "some of what was kept of this block does not hold: read again");
            result = read();
            attempts += 1;
        }
        let holds = match &result {
            Ok((receipts, state)) => is_sound(receipts, state),
            Err(error) => asker.broke_off(error) || asker.has_doubts(),
        };
        if holds || !asker.took_known() {
            return result;
        }
        tracing::info!(number = env.number, "what was kept of this block does not hold: read again");
        asker.forget();
        read()
    }

    fn read_state(
        &self,
        asker: &Asker<'_>,
        remote: &RemoteBlock,
        env: &BlockEnv,
        senders: &[Address],
        progress: &impl Fn(Progress),
    ) -> Result<StateRead, RpcError> {
        let reader = Reader {
            asker,
            cache: self.options.cache.as_ref(),
            parent: &remote.parent,
            proofs: self.options.proofs,
            no_proofs: &self.no_proofs,
            unproven: Cell::new(false),
        };
        let mut known = Known::default();
        let mut missing = likely_keys(remote, senders);
        missing.extend(self.traced_keys(asker, env.number)?);
        for rounds in 1..=self.options.rounds {
            reader.read(&missing, &mut known)?;
            let keys = known.accounts.len() + known.slots.len();
            progress(Progress { number: env.number, rounds, keys });
            let view = View::new(&known);
            let (part, outcomes) = run(&view, remote, env, senders)?;
            missing = view.into_missing();
            if missing.is_empty() {
                return Ok(StateRead { part, outcomes, rounds, keys, proven: !reader.unproven.get() });
            }
        }
        let reason = format!("after {} rounds something is still missing", self.options.rounds);
        Err(RpcError::new(env.number, "state", asker.method(), Cause::Impossible(reason)))
    }

    /// The keys that the node's own execution of the block touches, where it can tell: it is asked once, and whatever comes of that but that
    /// nothing more is to be asked, execution finds them too. Only the keys are taken: values are those of transactions in the middle of the block, and unproven.
    fn traced_keys(&self, asker: &Asker<'_>, number: u64) -> Result<HashSet<StateKey>, RpcError> {
        if self.no_trace.load(Ordering::Relaxed) {
            return Ok(HashSet::new());
        }
        let params = json!([format!("{number:#x}"), {"tracer": "prestateTracer"}]);
        let request = Request::new(TRACE, params, "keys").or_not();
        match asker.call_reduced(request, |trace| trace_of_keys(&keys_of_trace(&trace))) {
            Ok(trace) => Ok(keys_of_trace(&trace)),
            Err(error) if matches!(error.cause, Cause::Later { .. }) => Err(error),
            Err(error) => {
                // It would be as slow, or as long, for the next block.
                let lasts = matches!(error.cause, Cause::Unsupported | Cause::Timeout(_) | Cause::Oversize(_));
                tracing::info!(%error, lasts, "no trace: execution alone finds the keys");
                self.no_trace.fetch_or(lasts, Ordering::Relaxed);
                Ok(HashSet::new())
            }
        }
    }
}

/// A state that is neither proven nor borne out by the receipts may be the node's mistake.
fn is_sound(receipts: &Receipts, state: &StateRead) -> bool {
    state.proven || receipts.are_of(&state.outcomes)
}

struct StateRead {
    part: MemoryState,
    outcomes: Vec<Option<TxOutcome>>,
    rounds: u32,
    keys: usize,
    proven: bool,
}

/// What is certain to be read, or likely.
fn likely_keys(remote: &RemoteBlock, senders: &[Address]) -> HashSet<StateKey> {
    let mut keys: HashSet<_> = senders.iter().copied().map(StateKey::Account).collect();
    keys.extend([remote.header.beneficiary, BEACON_ROOTS_ADDRESS, HISTORY_STORAGE_ADDRESS].map(StateKey::Account));
    for tx in &remote.transactions {
        keys.extend(tx.to.map(StateKey::Account));
        for (address, slots) in &tx.access_list {
            keys.insert(StateKey::Account(*address));
            keys.extend(slots.iter().map(|slot| StateKey::Slot(*address, (*slot).into())));
        }
        for authorization in &tx.authorizations {
            keys.insert(StateKey::Account(authorization.address));
            keys.extend(authority_of(authorization).map(StateKey::Account));
        }
    }
    keys
}

/// The keys of a prestate trace; what does not look like one is passed over.
fn keys_of_trace(trace: &Value) -> HashSet<StateKey> {
    let mut keys = HashSet::new();
    for (address, account) in trace.as_array().into_iter().flatten().filter_map(|tx| tx["result"].as_object()).flatten()
    {
        let Ok(address) = address.parse::<Address>() else { continue };
        keys.insert(StateKey::Account(address));
        let slots = account["storage"].as_object().into_iter().flatten();
        keys.extend(slots.filter_map(|(slot, _)| slot.parse::<U256>().ok()).map(|slot| StateKey::Slot(address, slot)));
    }
    keys
}

/// As little of a prestate trace as gives these keys.
fn trace_of_keys(keys: &HashSet<StateKey>) -> Value {
    let mut accounts = BTreeMap::<String, Map<String, Value>>::new();
    for key in keys {
        match key {
            StateKey::Account(address) => _ = accounts.entry(address.to_string()).or_default(),
            StateKey::Slot(address, slot) => {
                accounts.entry(address.to_string()).or_default().insert(format!("{slot:#x}"), Value::Null);
            }
            StateKey::BlockHash(_) => {}
        }
    }
    let account = |(address, slots)| (address, json!({"storage": slots}));
    json!([{"result": accounts.into_iter().map(account).collect::<Map<_, _>>()}])
}

/// Executes the block on what is known: the part of the state that its transactions read, and each one's outcome, `None` where it is
/// invalid. Both are right once nothing is missing.
fn run(
    view: &dyn StateRef,
    remote: &RemoteBlock,
    env: &BlockEnv,
    senders: &[Address],
) -> Result<(MemoryState, Vec<Option<TxOutcome>>), RpcError> {
    let wrong =
        |key: String, cause: String| RpcError::new(env.number, key, "eth_getBlockByNumber", Cause::Impossible(cause));
    let mut before = Committed::new(view);
    let mut call = |contract: Address, input: Bytes| {
        let outcome = system_call(env, &before, contract, input)
            .map_err(|error| wrong(format!("system call of {contract}"), error.to_string()))?;
        before.commit(&outcome);
        Ok::<_, RpcError>(())
    };
    if let Some(root) = remote.header.parent_beacon_root.filter(|_| env.fork >= Fork::Cancun) {
        call(BEACON_ROOTS_ADDRESS, root.into())?;
    }
    if env.fork >= Fork::Prague {
        call(HISTORY_STORAGE_ADDRESS, remote.header.parent_hash.into())?;
    }
    let recorder = Recorder::new(&before);
    let mut revm =
        Revm::new(env, Committed::new(&recorder)).map_err(|error| wrong("header".into(), error.to_string()))?;
    let mut outcomes = Vec::with_capacity(senders.len());
    for (tx, sender) in remote.transactions.iter().zip(senders) {
        let outcome = revm.transact(tx, *sender).ok();
        outcome.iter().for_each(|outcome| revm.state_mut().commit(outcome));
        outcomes.push(outcome);
    }
    drop(revm);
    let part = recorder.read_part().map_err(|error| wrong("state".into(), error.to_string()))?;
    Ok((part, outcomes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reduced_trace_gives_the_same_keys() {
        let address = Address::repeat_byte(0x2a);
        let trace = json!([
            {"result": {address.to_string(): {"balance": "0x1", "storage": {"0x0": "0x5", U256::MAX.to_string(): "0x6"}}}},
            {"result": {Address::ZERO.to_string(): {"balance": "0x1"}, "no address": {}}},
            {"error": "no"},
        ]);
        let keys = keys_of_trace(&trace);
        assert_eq!(keys.len(), 4);
        assert_eq!(keys_of_trace(&trace_of_keys(&keys)), keys);
    }
}
