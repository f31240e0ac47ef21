//! A real node beside us: anvil gets the scenes of the sample and creations of our contracts as signed transactions, mines them into
//! several blocks, and what we read of it must replay on every backend to the node's own receipts and state.

use alloy_primitives::{Address, B256, Bytes, U256, bytes, hex, keccak256, map::AddressMap};
use libtest_mimic::Failed;
use lockstep::{
    block_file::BlockFile,
    compare::compare,
    engine::{BlockOutput, Engine},
    outcome::TxOutcome,
    receipt::Receipt,
    rpc::{Cache, ClientOptions, Fetched, Options, Proofs, Source},
    tx::{Transaction, TxType},
};
use lockstep_tests::{
    anvil::{self, Anvil},
    binary::{Backend, Folder, Outcome, each_backend, ensure, equal, run},
    contracts::{Arg, Contract},
    harness::Suite,
    sample::{
        self,
        scenes::{self, Step},
        world::{CHAIN_ID, TIMESTAMP, World, wad, wallet},
    },
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path, process::ExitCode, sync::OnceLock};

/// Transactions sent between two blocks.
const A_BLOCK: usize = 48;

/// Accounts of a block whose state is compared with the node's.
const SAMPLES: usize = 24;

/// Asks the contract of EIP-2935 for the hash of the block that its calldata names, and logs that:
/// CALLDATACOPY(0, 0, 32), STATICCALL(gas, 0x…2935, 0, 32, 32, 32), LOG0(0, 64).
const HISTORIAN: (Address, Bytes) = (
    Address::repeat_byte(0x29),
    bytes!("60205f5f376020602060205f730000f90827f1c53a10cb7a02335b1753200029355afa60405fa0"),
);

/// Logs BLOCKHASH of its calldata: MSTORE(0, BLOCKHASH(CALLDATALOAD(0))), LOG0(0, 32).
const ANCESTOR: (Address, Bytes) = (Address::repeat_byte(0x40), bytes!("5f35405f5260205fa0"));

/// A fork of the node's, and of ours.
#[derive(Clone, Copy, Debug)]
struct Hardfork {
    name: &'static str,
    fork: lockstep::fork::Fork,
}

const HARDFORKS: [Hardfork; 2] = [
    Hardfork { name: "prague", fork: lockstep::fork::Fork::Prague },
    Hardfork { name: "osaka", fork: lockstep::fork::Fork::Osaka },
];

/// The node and what it has mined.
struct Chain {
    node: Anvil,
    blocks: Vec<Fetched>,
    sent: usize,
    _folder: Folder,
}

fn main() -> ExitCode {
    let mut suite = Suite::default();
    for hardfork in HARDFORKS {
        let name = |test: &str| format!("{}::{test}", hardfork.name);
        match anvil::binary() {
            Err(reason) => suite.skip(name("round_trip"), "anvil", reason),
            Ok(_) => {
                suite.test(name("all_types_are_mined_and_proven"), move || mined(hardfork));
                suite.each(&name("receipts_and_state_are_the_nodes"), move |engine| replays(hardfork, engine));
                suite.test(name("without_proofs_traces_or_batches_it_is_the_same"), move || plain(hardfork));
                suite.test(name("what_is_kept_is_not_asked_again"), move || kept(hardfork));
            }
        }
    }
    if anvil::binary().is_ok() {
        each_backend(&mut suite, "osaka::fetch_and_replay", fetch_and_replay);
    }
    suite.run()
}

/// The chain of a fork, made once.
fn chain(hardfork: Hardfork) -> Result<&'static Chain, Failed> {
    static CHAINS: [OnceLock<Result<Chain, String>>; 2] = [OnceLock::new(), OnceLock::new()];
    let slot = &CHAINS[usize::from(hardfork.name == HARDFORKS[1].name)];
    let made = slot.get_or_init(|| make(hardfork).map_err(|error| error.message().unwrap_or("no reason").to_owned()));
    made.as_ref().map_err(|error| error.as_str().into())
}

/// The scenes, and more: contracts created, called, and hashes of blocks asked for.
fn steps(world: &World) -> Result<Vec<Step>, Failed> {
    let mut scenes = scenes::all(world)?;
    let deployer = wallet("node deployer");
    let created: Vec<(&str, Vec<Arg>)> = vec![
        ("Token", vec![wad(1_000).into()]),
        ("Counter", vec![]),
        ("Pair", vec![deployer.address().create(0).into(), world.tokens[0].address.into()]),
        ("Lending", vec![wad(2).into(), wad(5).into()]),
        ("Loan", vec![wad(2_000).into()]),
        ("Vote", vec![100_u64.into()]),
        ("Nft", vec![]),
        ("Router", vec![]),
        ("Factory", vec![]),
        ("SupplyChain", vec![]),
    ];
    let mut deployments = Vec::new();
    for (name, args) in &created {
        let contract = Contract::load(name)?;
        deployments.push(Step::new("deployment", &deployer, None, contract.create(args)).gas(4_000_000));
    }
    let (token, counter) = (deployer.address().create(0), deployer.address().create(1));
    for user in &world.users[..6] {
        let input =
            Contract::load("Token")?.call("transfer(address,uint256)", &[user.address().into(), wad(3).into()])?;
        deployments.push(Step::new("call to deployed", &deployer, Some(token), input));
        let input = Contract::load("Counter")?.call("increment()", &[])?;
        deployments.push(Step::new("call to deployed", user, Some(counter), input));
    }
    scenes.push(deployments);
    let ask = |contract: Address, number: u64, user: usize| {
        Step::new("ancestor", &world.users[user], Some(contract), B256::from(U256::from(number)).into())
    };
    scenes.push((0..4).flat_map(|number| [ask(HISTORIAN.0, number, 8), ask(ANCESTOR.0, number, 9)]).collect());
    Ok(sample::interleave(scenes))
}

/// Starts the node, sends everything, and reads what it has mined.
fn make(hardfork: Hardfork) -> Result<Chain, Failed> {
    let world = World::new()?;
    let folder = Folder::new(&format!("anvil-{}", hardfork.name))?;
    let more = [HISTORIAN, ANCESTOR, (wallet("node deployer").address(), Bytes::new())];
    let genesis = anvil::genesis(&world, CHAIN_ID, TIMESTAMP - 1_000, &more);
    let genesis = folder.write("genesis.json", genesis.to_string())?;
    let node = Anvil::start(&anvil::binary()?, hardfork.name, CHAIN_ID, Path::new(&genesis))?;
    node.call("anvil_setCoinbase", &json!([world.beneficiary.address()]))?;
    // Anvil's genesis header does not have the root of its state: the first block that can be proven is the one after an empty one.
    node.mine(TIMESTAMP - 12)?;
    let steps = steps(&world)?;
    let sent = steps.len();
    // Blob transactions then need no blobs. With them anvil's transactions root would be over blobs and all, which no other node's is.
    node.call("anvil_autoImpersonateAccount", &json!([true]))?;
    let mut waiting = sample::sign(steps, &mut AddressMap::default());
    let mut timestamp = TIMESTAMP;
    let mut refused = Vec::new();
    // What is refused for its nonce or funds may be taken after the next block.
    for _ in 0..sent.div_ceil(A_BLOCK) + 6 {
        let now = waiting.split_off(0);
        let (now, later) = now.split_at(now.len().min(A_BLOCK));
        refused.clear();
        for raw in now {
            if let Err(error) = node.call("eth_sendRawTransaction", &json!([raw])) {
                refused.push((raw.clone(), error));
            }
        }
        waiting = refused.iter().map(|(raw, _)| raw.clone()).chain(later.iter().cloned()).collect();
        node.mine(timestamp)?;
        timestamp += 12;
    }
    ensure(waiting.len() <= sent / 20, || {
        format!("{} of {sent} refused: {:?}", waiting.len(), refused.iter().map(|(_, error)| error).collect::<Vec<_>>())
    })?;
    let last = u64::try_from(node.quantity("eth_blockNumber", &json!([]))?)?;
    let source = Source::connect(node.url(), Options::default())?;
    let blocks = (2..=last).map(|number| source.block(number, |_| {})).collect::<Result<Vec<_>, _>>()?;
    Ok(Chain { node, blocks, sent, _folder: folder })
}

fn mined(hardfork: Hardfork) -> Outcome {
    let chain = chain(hardfork)?;
    let mut types: BTreeMap<u8, usize> = BTreeMap::new();
    let (mut failed, mut creations, mut txs) = (0, 0, 0);
    for block in &chain.blocks {
        let file = &block.file;
        equal("fork", file.block.env.fork, hardfork.fork)?;
        ensure(block.proven && !block.cached, || format!("block {}: {}", file.block.env.number, block.proven))?;
        for (raw, result) in file.block.transactions.iter().zip(&file.expected.results) {
            let tx = Transaction::decode(raw)?;
            *types.entry(tx.tx_type as u8).or_default() += 1;
            failed += usize::from(result.status == Some(false));
            creations += usize::from(result.contract_address.is_some());
            txs += 1;
        }
    }
    ensure(txs * 20 >= chain.sent * 19, || format!("{txs} mined of {}", chain.sent))?;
    let full = chain.blocks.iter().filter(|block| block.file.block.transactions.len() > 10).count();
    ensure(full >= 4, || format!("{full} blocks"))?;
    let all = [TxType::Legacy, TxType::AccessList, TxType::DynamicFee, TxType::Blob, TxType::SetCode]
        .map(|tx_type| tx_type as u8);
    equal("types", types.keys().copied().collect::<Vec<_>>(), all.to_vec())?;
    ensure(failed >= 10 && creations >= 10, || format!("{failed} failed, {creations} creations"))
}

/// Status, gas, logs, bloom and roots of every transaction, as the node tells them, and what the state is after each block.
fn replays(hardfork: Hardfork, engine: &Engine) -> Outcome {
    let chain = chain(hardfork)?;
    let mut asked = 0;
    for Fetched { file, .. } in &chain.blocks {
        let number = file.block.env.number;
        let output = engine.execute_block(&file.block, &file.state)?;
        ensure(compare(file, &output).is_none(), || format!("block {number}: {:?}", compare(file, &output)))?;
        let tag = json!(format!("{number:#x}"));
        let receipts = chain.node.call("eth_getBlockReceipts", &json!([tag]))?;
        for (at, receipt) in output.receipts.iter().enumerate() {
            same_receipt(&receipts[at], receipt)
                .map_err(|difference| format!("block {number}, transaction {at}: {difference}"))?;
        }
        let block = chain.node.call("eth_getBlockByNumber", &json!([tag, false]))?;
        equal("gasUsed", number_of(&block["gasUsed"]), Some(output.gas_used))?;
        equal("logsBloom", text(&block["logsBloom"]), hex::encode_prefixed(output.logs_bloom))?;
        equal("receiptsRoot", text(&block["receiptsRoot"]), output.receipts_root.unwrap_or_default().to_string())?;
        asked += same_state(&chain.node, &tag, &output)?;
    }
    ensure(asked > 100, || format!("only {asked} values compared"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("no text").to_lowercase()
}

fn number_of(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

fn same_receipt(theirs: &Value, ours: &Receipt) -> Result<(), String> {
    let check = |name: &str, ours: Value| {
        let theirs = &theirs[name];
        if *theirs == ours { Ok(()) } else { Err(format!("{name}: {theirs}, ours {ours}")) }
    };
    let quantity = |value: u64| json!(format!("{value:#x}"));
    check("status", quantity(u64::from(ours.success)))?;
    check("gasUsed", quantity(ours.gas_used))?;
    check("cumulativeGasUsed", quantity(ours.cumulative_gas_used))?;
    check("logsBloom", json!(hex::encode_prefixed(ours.bloom)))?;
    check("type", quantity(ours.tx_type as u64))?;
    let logs = theirs["logs"].as_array().ok_or("no logs")?;
    if logs.len() != ours.logs.len() {
        return Err(format!("{} logs, ours {}", logs.len(), ours.logs.len()));
    }
    for (theirs, ours) in logs.iter().zip(&ours.logs) {
        let ours = json!([hex::encode_prefixed(ours.address), ours.topics, ours.data]);
        let theirs = json!([text(&theirs["address"]), theirs["topics"], theirs["data"]]);
        if theirs != ours {
            return Err(format!("log {theirs}, ours {ours}"));
        }
    }
    Ok(())
}

/// What the last change of an account left, for some accounts; gives how many values were compared.
fn same_state(node: &Anvil, tag: &Value, output: &BlockOutput) -> Result<usize, Failed> {
    let mut last = BTreeMap::new();
    let mut slots = BTreeMap::new();
    for change in output.outcomes.iter().flat_map(|TxOutcome { changes, .. }| changes) {
        last.insert(change.address, change);
        slots.extend(change.storage.iter().map(|slot| ((change.address, slot.slot), slot.value)));
    }
    let mut asked = 0;
    // The later ones among equals, so that blocks differ in what they sample.
    for (address, change) in last.iter().rev().step_by(last.len().div_ceil(SAMPLES).max(1)) {
        let at = json!([address, tag]);
        let code: Bytes = node.call("eth_getCode", &at)?.as_str().ok_or("no code")?.parse()?;
        let theirs =
            (node.quantity("eth_getBalance", &at)?, node.quantity("eth_getTransactionCount", &at)?, keccak256(code));
        let after = &change.after;
        equal(&format!("{address}"), theirs, (after.balance, U256::from(after.nonce), after.code_hash))?;
        asked += 3;
    }
    for ((address, slot), value) in slots.iter().step_by(slots.len().div_ceil(SAMPLES).max(1)) {
        let theirs = node.quantity("eth_getStorageAt", &json!([address, B256::from(*slot), tag]))?;
        equal(&format!("slot {slot} of {address}"), theirs, *value)?;
        asked += 1;
    }
    Ok(asked)
}

/// Values that are taken as they are, one call after the other, are the same values.
fn plain(hardfork: Hardfork) -> Outcome {
    let chain = chain(hardfork)?;
    let client = ClientOptions { batch: 1, ..ClientOptions::default() };
    let options = Options { client, proofs: Proofs::Never, fork: Some(hardfork.fork), ..Options::default() };
    let source = Source::connect(chain.node.url(), options)?;
    for proven in chain.blocks.iter().take(3) {
        let plain = source.block(proven.file.block.env.number, |_| {})?;
        ensure(!plain.proven, || "proven".into())?;
        // Anvil's trie also has accounts that are empty, which only a proof tells from none.
        let accounts = |file: &BlockFile| {
            let accounts = file.state.accounts().filter(|(_, info)| !info.is_empty());
            accounts.map(|(address, info)| (*address, *info)).collect::<BTreeMap<_, _>>()
        };
        let slots = |file: &BlockFile| {
            file.state.slots().map(|(address, slot, value)| ((*address, *slot), *value)).collect::<BTreeMap<_, _>>()
        };
        let (plain, proven) = (&plain.file, &proven.file);
        equal("accounts", accounts(plain), accounts(proven))?;
        equal("slots", slots(plain), slots(proven))?;
        equal("expected", &plain.expected, &proven.expected)?;
        equal("block", &plain.block, &proven.block)?;
    }
    Ok(())
}

fn kept(hardfork: Hardfork) -> Outcome {
    let chain = chain(hardfork)?;
    let folder = Folder::new("kept")?;
    let connect = || {
        let options = Options { cache: Some(Cache::new(folder.at("cache"))), ..Options::default() };
        Source::connect(chain.node.url(), options)
    };
    for expected in chain.blocks.iter().take(3) {
        let number = expected.file.block.env.number;
        let (first, second) = (connect()?.block(number, |_| {})?, connect()?.block(number, |_| {})?);
        equal("cached", (first.cached, second.cached, second.calls), (false, true, 1))?;
        ensure(first.file == expected.file && second.file == expected.file, || {
            format!("block {number} is another one")
        })?;
    }
    Ok(())
}

fn fetch_and_replay(backend: &Backend) -> Outcome {
    let chain = chain(HARDFORKS[1])?;
    let (url, folder) = (chain.node.url(), Folder::new("fetch")?);
    let (packed, plain, cache) = (folder.at("3.json.zst"), folder.at("3.json"), folder.at("cache"));
    let fetch = |out: &str, more: &[&str]| {
        let args = [&["fetch", "--rpc", url, "--block", "0x3", "--out", out, "--cache", &cache], more].concat();
        backend.run(&args)?.exits(0)
    };
    let line = fetch(&packed, &[])?.stdout;
    ensure(line.starts_with(&packed) && line.contains(" proven, ") && line.trim_end().ends_with("ok"), || {
        line.clone()
    })?;
    let json = fetch(&plain, &["--json"])?.json()?;
    let told = [&json["schema"], &json["number"], &json["fork"], &json["ok"], &json["cached"]];
    equal("fetch --json", told, [&json!("lockstep-fetch/1"), &json!(3), &json!("OSAKA"), &json!(true), &json!(true)])?;
    let stdout: Value = run(&["fetch", "--rpc", url, "--block", "3", "--out", "-", "--no-cache"])?.exits(0)?.json()?;
    equal("--out -", stdout.to_string(), std::fs::read_to_string(&plain)?)?;
    backend.run(&["replay", &packed, &plain])?.exits(0)?;

    let last = chain.blocks.len() as u64 + 1;
    let range = format!("2..{last}");
    let replay =
        || backend.run(&["replay", "--rpc", url, "--blocks", &range, "--cache", &cache, "--json"])?.exits(0)?.json();
    let (first, again) = (replay()?, replay()?);
    for json in [&first, &again] {
        equal("ok", &json["total"]["ok"], &json!(chain.blocks.len()))?;
        equal("file", &json["blocks"][0]["file"], &json!("block 2"))?;
    }
    equal("txs", &first["total"]["txs"], &again["total"]["txs"])?;
    // Beyond the end of the chain: those before it still run, and one block tells of all that are missing.
    let range = format!("{last}..{}", last + 2);
    let ran = backend.run(&["replay", "--rpc", url, "--blocks", &range, "--cache", &cache])?.exits(2)?;
    equal("errors", ran.errors().len(), 1)?;
    ensure(ran.errors()[0].contains(&format!("block {}", last + 1)) && ran.stdout.contains("1/2 blocks ok"), || {
        format!("{ran:?}")
    })
}
