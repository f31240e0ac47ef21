//! Nodes that lie, break off, stay silent, or know little: every fault is named with its block, key and method, those that may pass are waited
//! out, and what was read before stays whole.

mod busy;
mod chain;
mod faults;
mod kept;
mod server;
mod streams;

use alloy_primitives::{Address, keccak256};
use chain::Chain;
use libtest_mimic::Failed;
use lockstep::{
    compare::compare,
    engine::Engine,
    fork::Fork,
    rpc::{Cache, Cause, ClientOptions, Fetched, Options, Proofs, RpcError, Source},
};
use lockstep_tests::{
    binary::{Folder, Outcome, command, ensure, equal, run, scrape, scrape_by},
    harness::Suite,
    small_block::{LOGGER, REVERTER},
};
use serde_json::{Value, json};
use server::{Node, Server, Way};
use std::{
    net::{TcpListener, TcpStream},
    process::ExitCode,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// The block of the chain.
const NUMBER: u64 = 100;

fn main() -> ExitCode {
    let mut suite = Suite::default();
    suite.test("an_honest_node_is_believed", honest);
    suite.test("state::another_code_for_a_hash", wrong_code);
    suite.test("withdrawals_that_the_header_does_not_have", false_withdrawals);
    suite.test("state::a_missing_account", missing_account);
    suite.test("state::another_balance_nonce_or_slot", wrong_values);
    suite.test("state::unproven_lies_show_in_execution", unproven);
    suite.test("state::pruned", pruned);
    suite.test("block::another_hash", wrong_header);
    suite.test("block::another_transactions_root", wrong_transactions);
    suite.test("block::another_receipts_root", wrong_receipts);
    suite.test("block::none_of_this_number", absent);
    suite.test("block::missing_or_malformed_fields", malformed);
    suite.test("way::what_passes_is_waited_out", passing);
    suite.test("way::what_lasts_is_named", lasting);
    suite.test("node::without_proofs", without_proofs);
    suite.test("node::without_batches", without_batches);
    suite.test("node::without_receipts_of_blocks", without_block_receipts);
    suite.test("cache::what_was_read_stays_whole", resumed);
    suite.test("cache::a_damaged_file_is_read_again", damaged);
    suite.test("cache::unproven_state_that_differs_is_not_kept", not_kept);
    suite.test("cli::errors_exit_2", cli);
    busy::add(&mut suite);
    faults::add(&mut suite);
    kept::add(&mut suite);
    streams::add(&mut suite);
    suite.test("cli::metrics_are_served_while_it_runs", metrics);
    suite.run()
}

/// An honest node, but for one answer.
fn node(change: impl Fn(&str, &Value, &mut Value) + Send + Sync + 'static) -> Result<Node, Failed> {
    let chain = Chain::new()?;
    Ok(Node {
        answer: Box::new(move |method, params| {
            let mut answer = chain.answer(method, params)?;
            change(method, params, &mut answer);
            Some(answer)
        }),
        instead: Box::new(|_| None),
        way: Box::new(|_| Way::Whole),
        takes_batches: true,
    })
}

/// An honest node whose answers do not all arrive.
fn on_the_way(way: impl Fn(usize) -> Way + Send + Sync + 'static) -> Result<Node, Failed> {
    Ok(Node { way: Box::new(way), ..node(|_, _, _| {})? })
}

fn options() -> Options {
    let client = ClientOptions {
        timeout: Duration::from_millis(800),
        retries: 2,
        pause: Duration::from_millis(10),
        batch: 7,
        ..ClientOptions::default()
    };
    Options { client, fork: Some(Fork::Prague), ..Options::default() }
}

fn read(node: Node, options: Options) -> Result<Fetched, RpcError> {
    let server = Server::start(node).map_err(|error| RpcError {
        block: None,
        key: "server".into(),
        method: "bind",
        cause: Cause::Connection(error.to_string()),
    })?;
    Source::connect(&server.url(), options)?.block(NUMBER, |_| {})
}

/// The error of a node, if it names the block, a key and a method.
fn fault(node: Node, options: Options, key: &str, method: &str) -> Result<Cause, Failed> {
    match read(node, options) {
        Ok(_) => Err("believed".into()),
        Err(error) => {
            let text = error.to_string();
            equal(&text, (error.block, error.method), (Some(NUMBER), method))?;
            ensure(error.key.contains(key) && text.starts_with(&format!("block {NUMBER}: ")), || text.clone())?;
            ensure(text.contains(method) && text.contains(key), || text.clone())?;
            Ok(error.cause)
        }
    }
}

fn is_wrong(cause: &Cause) -> Outcome {
    ensure(matches!(cause, Cause::Wrong(_)), || format!("{cause:?}"))
}

fn honest() -> Outcome {
    let fetched = read(node(|_, _, _| {})?, options())?;
    ensure(fetched.proven && !fetched.cached, || format!("{fetched:?}"))?;
    let expected = Chain::new()?.file;
    equal("transactions", &fetched.file.block, &expected.block)?;
    equal("expected", &fetched.file.expected, &expected.expected)?;
    let engine = Engine::builder().build()?;
    let output = engine.execute_block(&fetched.file.block, &fetched.file.state)?;
    equal("mismatch", compare(&fetched.file, &output), None)
}

fn wrong_code() -> Outcome {
    let lie = |method: &str, params: &Value, answer: &mut Value| {
        if method == "eth_getCode" && params[0] == json!(LOGGER) {
            answer["result"] = json!("0x5f5ffd");
        }
    };
    is_wrong(&fault(node(lie)?, options(), &format!("{:?}", keccak256([0x5f, 0x35, 0x5f, 0x5f, 0xa1])), "eth_getCode")?)
}

fn false_withdrawals() -> Outcome {
    let all = [
        json!([{"index": "0x1", "validatorIndex": "0x2", "address": LOGGER, "amount": "0x3"}]),
        // None at all is not an empty list.
        Value::Null,
    ];
    for list in all {
        let lie = move |method: &str, params: &Value, answer: &mut Value| {
            if method == "eth_getBlockByNumber" && params[1] == json!(true) {
                answer["result"]["withdrawals"] = list.clone();
            }
        };
        is_wrong(&fault(node(lie)?, options(), "withdrawals", "eth_getBlockByNumber")?)?;
    }
    Ok(())
}

fn missing_account() -> Outcome {
    let lie = |method: &str, params: &Value, answer: &mut Value| {
        if method == "eth_getProof" && params[0] == json!(REVERTER) {
            let result = &mut answer["result"];
            result["balance"] = json!("0x0");
            result["codeHash"] = json!(keccak256([]));
        }
    };
    is_wrong(&fault(node(lie)?, options(), &format!("account {REVERTER:?}"), "eth_getProof")?)?;
    // Not even with the proof of an account that does not exist.
    let lie = |method: &str, params: &Value, answer: &mut Value| {
        if method == "eth_getProof"
            && params[0] == json!(REVERTER)
            && let Some(other) = Chain::new().ok().and_then(|chain| chain.answer(method, &json!([Address::ZERO, []])))
        {
            *answer = other;
        }
    };
    is_wrong(&fault(node(lie)?, options(), &format!("account {REVERTER:?}"), "eth_getProof")?)
}

fn wrong_values() -> Outcome {
    let account = format!("account {LOGGER:?}");
    let slot = format!("slot 0x0 of {LOGGER:?}");
    let lies: [(&str, &str, Value); 5] = [
        ("/result/balance", &account, json!("0x7")),
        ("/result/nonce", &account, json!("0x7")),
        ("/result/storageHash", &account, json!(keccak256([1]))),
        ("/result/accountProof/0", &account, json!("0xc0")),
        ("/result/storageProof/0/value", &slot, json!("0x5")),
    ];
    for (pointer, key, value) in lies {
        let lie = move |method: &str, params: &Value, answer: &mut Value| {
            if method == "eth_getProof"
                && params[0] == json!(LOGGER)
                && let Some(place) = answer.pointer_mut(pointer)
            {
                *place = value.clone();
            }
        };
        is_wrong(&fault(node(lie)?, options(), key, "eth_getProof")?)?;
    }
    Ok(())
}

/// The sender of the first transaction, without money.
fn poor() -> Result<Node, Failed> {
    let sender = Chain::new()?.file.claims[0].sender;
    node(move |method, params, answer| {
        if method == "eth_getBalance" && params[0] == json!(sender) {
            answer["result"] = json!("0x0");
        }
    })
}

fn unproven() -> Outcome {
    let fetched = read(poor()?, Options { proofs: Proofs::Never, ..options() })?;
    let error = Engine::builder().build()?.execute_block(&fetched.file.block, &fetched.file.state);
    let Err(error) = error else { return Err("executed".into()) };
    equal("error", (error.tx(), error.field()), (Some(0), "balance"))
}

fn pruned() -> Outcome {
    let lie = |method: &str, _: &Value, answer: &mut Value| {
        if ["eth_getProof", "eth_getBalance"].contains(&method) {
            *answer = json!({"error": {"code": -32000, "message": "missing trie node 0a (path ) state 0x0b is not available"}});
        }
    };
    for (proofs, method) in [(Proofs::Always, "eth_getProof"), (Proofs::Auto, "eth_getBalance")] {
        let cause = fault(node(lie)?, Options { proofs, ..options() }, "account 0x", method)?;
        ensure(matches!(&cause, Cause::Pruned(_)) && cause.to_string().contains("archive"), || format!("{cause:?}"))?;
    }
    Ok(())
}

/// A lie about block 100, at a place in it.
fn about_block(pointer: &'static str, value: Value) -> Result<Node, Failed> {
    node(move |method, params, answer| {
        if method == "eth_getBlockByNumber"
            && params[0] == "0x64"
            && let Some(place) = answer.pointer_mut(pointer)
        {
            *place = value.clone();
        }
    })
}

fn wrong_header() -> Outcome {
    for (pointer, value) in [
        ("/result/hash", json!(keccak256([2]))),
        ("/result/parentHash", json!(keccak256([2]))),
        ("/result/timestamp", json!("0x1")),
        ("/result/excessBlobGas", Value::Null),
        ("/result/requestsHash", Value::Null),
        ("/result/number", json!("0x65")),
    ] {
        is_wrong(&fault(about_block(pointer, value)?, options(), "header", "eth_getBlockByNumber")?)?;
    }
    Ok(())
}

fn wrong_transactions() -> Outcome {
    let cut = node(|method, params, answer| {
        if method == "eth_getBlockByNumber"
            && params[0] == "0x64"
            && let Some(txs) = answer["result"]["transactions"].as_array_mut()
        {
            txs.pop();
        }
    })?;
    let cause = fault(cut, options(), "transactions", "eth_getBlockByNumber")?;
    ensure(matches!(&cause, Cause::Wrong(reason) if reason.contains("root")), || format!("{cause:?}"))?;
    let changed = about_block("/result/transactions/2/value", json!("0x9"))?;
    is_wrong(&fault(changed, options(), "transaction 2", "eth_getBlockByNumber")?)
}

fn wrong_receipts() -> Outcome {
    for (pointer, value) in [
        ("/result/0/status", json!("0x0")),
        ("/result/1/logs", json!([])),
        ("/result/6/cumulativeGasUsed", json!("0xfffffff")),
    ] {
        let lie = move |method: &str, _: &Value, answer: &mut Value| {
            if method == "eth_getBlockReceipts"
                && let Some(place) = answer.pointer_mut(pointer)
            {
                *place = value.clone();
            }
        };
        is_wrong(&fault(node(lie)?, options(), "receipts", "eth_getBlockReceipts")?)?;
    }
    Ok(())
}

fn absent() -> Outcome {
    let server = Server::start(node(|_, _, _| {})?)?;
    let source = Source::connect(&server.url(), options())?;
    let cause = |number| source.block(number, |_| {}).map(drop).map_err(|error| (error.block, error.cause));
    equal("beyond", cause(101), Err((Some(101), Cause::Absent(101))))?;
    ensure(matches!(cause(0), Err((Some(0), Cause::Impossible(_)))), || "genesis".into())
}

fn malformed() -> Outcome {
    for (pointer, value) in [
        ("/result/stateRoot", json!("0x12")),
        ("/result/gasUsed", json!("many")),
        ("/result/transactions", json!(7)),
        ("/result/transactions/5/authorizationList", Value::Null),
        ("/result/transactions/1/accessList/0/storageKeys", json!(["0x"])),
        ("/result/transactions/0/type", json!("0x9")),
        ("/result", json!([])),
    ] {
        let cause = fault(about_block(pointer, value)?, options(), "", "eth_getBlockByNumber")?;
        ensure(matches!(cause, Cause::Malformed(_)), || format!("{pointer}: {cause:?}"))?;
    }
    Ok(())
}

fn passing() -> Outcome {
    // One request at a time, so that the second attempt follows the first.
    let mut options = options();
    options.client.batch = 1_000;
    for way in [Way::Cut, Way::Status(500), Way::Status(503), Way::Status(429), Way::Dropped, Way::Silent] {
        // Every second answer gets lost, or where that takes long every ninth.
        let period = if way == Way::Silent { 9 } else { 2 };
        let fetched =
            read(on_the_way(move |number| if number % period == 0 { way } else { Way::Whole })?, options.clone());
        let fetched = fetched.map_err(|error| format!("{way:?}: {error}"))?;
        equal("block", &fetched.file.block, &Chain::new()?.file.block)?;
    }
    // A node that is asked too often says so.
    let busy = std::sync::atomic::AtomicUsize::new(0);
    let busy = node(move |method, _, answer| {
        if method == "eth_getProof" && busy.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 {
            *answer = json!({"error": {"code": -32005, "message": "rate limit exceeded"}});
        }
    })?;
    read(busy, options.clone()).map(drop).map_err(Failed::from)
}

fn lasting() -> Outcome {
    // From the third answer on: the chain is known by then, and that the node does not tell its fork.
    for way in [Way::Cut, Way::Status(500), Way::Status(403), Way::Dropped, Way::Silent] {
        let node = on_the_way(move |number| if number < 2 { Way::Whole } else { way })?;
        let cause = fault(node, options(), "header", "eth_getBlockByNumber")?;
        let right = match (&cause, way) {
            (Cause::Malformed(reason), Way::Cut) => reason.contains("JSON"),
            (Cause::Http(status), Way::Status(sent)) => *status == sent,
            (Cause::Connection(reason), Way::Dropped) | (Cause::Timeout(reason), Way::Silent) => {
                reason.contains("3 attempts")
            }
            _ => false,
        };
        ensure(right, || format!("{way:?}: {cause:?}"))?;
    }
    Ok(())
}

fn without(lacking: &'static str) -> Result<Node, Failed> {
    let chain = Arc::new(Chain::new()?);
    let answer = move |method: &str, params: &Value| {
        if method == lacking { None } else { chain.answer(method, params) }
    };
    Ok(Node { answer: Box::new(answer), ..node(|_, _, _| {})? })
}

fn without_proofs() -> Outcome {
    let proven = read(node(|_, _, _| {})?, options())?;
    let plain = read(without("eth_getProof")?, options())?;
    equal("proven", (proven.proven, plain.proven), (true, false))?;
    equal("file", &plain.file, &proven.file)?;
    let cause =
        fault(without("eth_getProof")?, Options { proofs: Proofs::Always, ..options() }, "account 0x", "eth_getProof")?;
    equal("cause", cause, Cause::Unsupported)
}

fn without_batches() -> Outcome {
    let one_by_one = read(Node { takes_batches: false, ..node(|_, _, _| {})? }, options())?;
    equal("file", one_by_one.file, read(node(|_, _, _| {})?, options())?.file)
}

fn without_block_receipts() -> Outcome {
    let chain = Chain::new()?;
    let answer = move |method: &str, params: &Value| match method {
        "eth_getBlockReceipts" => None,
        "eth_getTransactionReceipt" => {
            let at = chain.file.claims.iter().position(|claim| json!(claim.hash) == params[0])?;
            let receipts = chain.answer("eth_getBlockReceipts", &json!(["0x64"]))?;
            Some(json!({"result": receipts["result"][at]}))
        }
        _ => chain.answer(method, params),
    };
    let fetched = read(Node { answer: Box::new(answer), ..node(|_, _, _| {})? }, options())?;
    equal("expected", fetched.file.expected, Chain::new()?.file.expected)
}

fn with_cache(folder: &Folder) -> Options {
    Options { cache: Some(Cache::new(folder.at("cache"))), ..options() }
}

/// Every file under a folder.
fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn resumed() -> Outcome {
    let folder = Folder::new("resumed")?;
    let stored = || files(folder.at("cache").as_ref());
    // The last code never comes; those before it stay.
    let lie = |method: &str, params: &Value, answer: &mut Value| {
        if method == "eth_getCode" && params[0] == json!(REVERTER) {
            *answer = json!({"error": {"code": -32000, "message": "out of order"}});
        }
    };
    let one_at_a_time = || {
        let mut options = with_cache(&folder);
        options.client.batch = 1;
        options
    };
    let cause = fault(node(lie)?, one_at_a_time(), &format!("{REVERTER:?}"), "eth_getCode")?;
    ensure(matches!(cause, Cause::Node { code: -32000, .. }), || format!("{cause:?}"))?;
    ensure(files(folder.at("cache/blocks").as_ref()).is_empty(), || format!("a block: {:?}", stored()))?;

    let server = Server::start(node(|_, _, _| {})?)?;
    let source = Source::connect(&server.url(), with_cache(&folder))?;
    let before = server.calls();
    let whole = source.block(NUMBER, |_| {})?;
    equal(
        "cached",
        (whole.cached, server.calls() - before),
        (false, usize::try_from(whole.calls)? + server.count("debug_traceBlockByNumber")),
    )?;
    ensure(server.count("eth_getCode") <= 2, || "codes".into())?;
    let before = server.calls();
    let again = source.block(NUMBER, |_| {})?;
    equal("cached", (again.cached, server.calls() - before, &again.file), (true, 1, &whole.file))
}

fn damaged() -> Outcome {
    let folder = Folder::new("damaged")?;
    let whole = read(node(|_, _, _| {})?, with_cache(&folder))?.file;
    for path in files(folder.at("cache").as_ref()) {
        let bytes = std::fs::read(&path)?;
        std::fs::write(&path, &bytes[..bytes.len() / 2])?;
    }
    let again = read(node(|_, _, _| {})?, with_cache(&folder))?;
    equal("file", (again.cached, &again.file), (false, &whole))?;
    equal("mended", read(node(|_, _, _| {})?, with_cache(&folder))?.cached, true)
}

fn not_kept() -> Outcome {
    let folder = Folder::new("not-kept")?;
    let unproven = || Options { proofs: Proofs::Never, ..with_cache(&folder) };
    read(poor()?, unproven())?;
    equal("a lie is kept", read(node(|_, _, _| {})?, unproven())?.cached, false)?;
    equal("the truth is not", read(node(|_, _, _| {})?, unproven())?.cached, true)
}

fn cli() -> Outcome {
    let folder = Folder::new("cli")?;
    let out = folder.at("out.json");
    let fetch = |url: &str, more: &[&str]| {
        let args = [
            "fetch",
            "--rpc",
            url,
            "--block",
            "100",
            "--fork",
            "PRAGUE",
            "--no-cache",
            "--retries",
            "1",
            "--out",
            &out,
        ];
        run(&[&args, more].concat())
    };
    let server = Server::start(node(|_, _, _| {})?)?;
    fetch(&server.url(), &[])?.exits(0)?;
    run(&["replay", &out])?.exits(0)?;
    std::fs::remove_file(&out)?;
    let server = Server::start(about_block("/result/hash", json!(keccak256([2])))?)?;
    let ran = fetch(&server.url(), &[])?.exits(2)?;
    ensure(
        ran.errors().len() == 1 && ran.errors()[0].starts_with("error: block 100: header: eth_getBlockByNumber: "),
        || format!("{ran:?}"),
    )?;
    let json = fetch(&server.url(), &["--json"])?.exits(2)?.json()?;
    equal("key", [&json["error"]["block"], &json["error"]["key"]], [&json!(100), &json!("header")])?;
    let server = Server::start(poor()?)?;
    let ran = fetch(&server.url(), &["--proofs", "never"])?.exits(2)?;
    ensure(ran.errors()[0].contains("transaction 0: balance"), || format!("{ran:?}"))?;
    let server = Server::start(node(|_, _, _| {})?)?;
    let ran =
        run(&["replay", "--rpc", &server.url(), "--blocks", "100..101", "--fork", "PRAGUE", "--no-cache"])?.exits(2)?;
    ensure(ran.errors().len() == 1 && ran.errors()[0].contains("block 101"), || format!("{ran:?}"))?;
    let url = server.url();
    drop(server);
    // Nobody is there any more: the first block tells it, and the rest is not tried.
    let ran = run(&["replay", "--rpc", &url, "--blocks", "1..1000", "--retries", "0", "--no-cache"])?.exits(2)?;
    equal("errors", ran.errors().len(), 1)?;
    for args in [
        &["fetch", "--rpc", "ftp://x", "--block", "1"][..],
        &["fetch", "--rpc", "http://127.0.0.1:1", "--block", "1", "--retries", "0"],
        &["fetch", "--rpc", "http://x"],
        &["fetch", "--block", "1"],
        &["fetch", "--rpc", "http://x", "--block", "one"],
        &["fetch", "--rpc", "http://x", "--block", "1", "--fork", "LUNCH"],
        &["replay", "--blocks", "1..2"],
        &["replay", "--rpc", "http://x"],
        &["replay", "--rpc", "http://x", "--blocks", "3..2"],
        &["replay", "--rpc", "http://x", "--blocks", "1..2", "file.json"],
        &["replay", "--proofs", "never"],
    ] {
        let ran = run(args)?.exits(2)?;
        ensure(ran.stdout.is_empty() && !ran.stderr.is_empty(), || format!("{args:?}: {ran:?}"))?;
    }
    Ok(())
}

fn metrics() -> Outcome {
    // The second block is a long time coming.
    let slow = node(|method, params, _| {
        if method == "eth_getBlockByNumber" && params[0] == "0x65" {
            thread::sleep(Duration::from_secs(20));
        }
    })?;
    let server = Server::start(slow)?;
    let url = server.url();
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let address = port.to_string();
    let args = [
        "replay",
        "--rpc",
        &url,
        "--blocks",
        "100..101",
        "--fork",
        "PRAGUE",
        "--no-cache",
        "--backend",
        "cpu",
        "--metrics",
        &address,
    ];
    let mut child = command(&args)?.spawn()?;
    let start = Instant::now();
    let mut text = String::new();
    while !text.contains("lockstep_execute_seconds_count 1") && start.elapsed() < Duration::from_secs(15) {
        thread::sleep(Duration::from_millis(50));
        text = scrape(port, "/metrics").unwrap_or_default();
    }
    // Somebody who asks nothing, and is waited for 5 s.
    let silent = TcpStream::connect(("127.0.0.1", port));
    let asked = Instant::now();
    let other = scrape(port, "/secrets");
    let query = scrape(port, "/metrics?collect=all");
    let head = scrape_by("HEAD", port, "/metrics");
    let post = scrape_by("POST", port, "/metrics");
    let waited = asked.elapsed();
    drop(silent);
    let second = run(&["replay", "--metrics", &address]);
    child.kill()?;
    child.wait()?;
    for line in [
        "# TYPE lockstep_txs_total counter",
        "lockstep_txs_total{route=\"cpu\"} 7",
        "lockstep_txs_total{route=\"device\"} 0",
        // Not counted so far.
        "lockstep_fallbacks_total{reason=\"steps\"} 0",
        "lockstep_simulated_calls_total{route=\"cpu\"} 0",
        // Seven senders and an authority.
        "lockstep_recoveries_total{backend=\"cpu\"} 8",
        "lockstep_batch_seconds_count{work=\"recover\",backend=\"cpu\"} 1",
        "lockstep_batch_seconds_bucket{work=\"recover\",backend=\"cpu\",le=\"+Inf\"} 1",
    ] {
        ensure(text.lines().any(|is| is == line), || format!("no {line} in {text}"))?;
    }
    ensure(text.contains("lockstep_rpc_calls_total "), || text.clone())?;
    ensure(waited < Duration::from_secs(4), || format!("somebody silent kept others waiting for {waited:?}"))?;
    ensure(other?.contains("404"), || "another path is answered".into())?;
    ensure(query?.contains("lockstep_txs_total{"), || "a query is not answered".into())?;
    ensure(post?.contains("405"), || "POST is answered".into())?;
    let head = head?;
    ensure(head.contains("200 OK") && head.ends_with("\r\n\r\n"), || format!("HEAD: {head}"))?;
    ensure(second?.exits(2)?.stderr.contains(&address), || "a port is served twice".into())?;
    for bad in ["0.0.0.0:9100", "many", "127.0.0.1"] {
        run(&["replay", "--metrics", bad])?.exits(2)?;
    }
    Ok(())
}
