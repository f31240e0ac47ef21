//! Nodes that are asked too often, or for what they do not have: how much they are asked then, and whom the error blames.

use super::{
    NUMBER,
    chain::Chain,
    fault,
    faults::{at_once, erring, error, instead},
    node, options, read,
    server::{Node, Reply, Server},
};
use libtest_mimic::Failed;
use lockstep::rpc::{Cause, Options, Source};
use lockstep_tests::{
    binary::{Outcome, Ran, ensure, equal, run},
    harness::Suite,
};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

pub fn add(suite: &mut Suite) {
    suite.test("busy::a_node_that_wants_to_be_left_alone_is", left_alone);
    suite.test("busy::a_trace_says_so_too", left_alone_by_trace);
    suite.test("busy::a_limit_that_lasts_ends_the_range", limited);
    suite.test("busy::receipts_are_not_asked_for_one_by_one", busy_receipts);
    suite.test("receipts::a_refused_way_round_is_not_what_is_blamed", no_way_round);
    suite.test("rules::a_fault_that_passes_does_not_change_them", passing_rules);
    suite.test("rules::a_fault_that_lasts_is_an_error", failing_rules);
    suite.test("range::ends_at_the_first_absent_block", beyond_the_head);
    suite.test("rounds::too_many_name_what_was_read_last", too_many_rounds);
}

fn replay(server: &Server, blocks: &str) -> Result<Ran, String> {
    let url = server.url();
    run(&["replay", "--rpc", &url, "--blocks", blocks, "--fork", "PRAGUE", "--retries", "1", "--no-cache"])
}

/// From its n-th HTTP request on, the node replies so to a single call or a batch.
fn from(number: usize, reply: impl Fn(&Value) -> Reply + Send + Sync + 'static) -> Result<Node, Failed> {
    let count = AtomicUsize::new(0);
    instead(move |body| (count.fetch_add(1, Ordering::Relaxed) >= number).then(|| reply(body)))
}

/// An answer to this body that is this error: one, to a batch too.
fn one_error(body: &Value, code: i64, message: &str) -> String {
    error(if body.is_array() { &Value::Null } else { &body["id"] }, code, message)
}

/// The same, once for each call.
fn all_errors(body: &Value, code: i64, message: &str) -> String {
    match body.as_array() {
        Some(calls) => {
            let all: Vec<_> = calls.iter().map(|call| error(&call["id"], code, message)).collect();
            format!("[{}]", all.join(","))
        }
        None => one_error(body, code, message),
    }
}

fn left_alone() -> Outcome {
    type Body = fn(&Value) -> String;
    let bodies: [(u16, Body); 6] = [
        (429, |_| "no".into()),
        (429, |body| one_error(body, -32005, "rate limit exceeded")),
        (429, |body| all_errors(body, -32005, "rate limit exceeded")),
        (429, |body| all_errors(body, -32003, "response too large")),
        (429, |body| one_error(body, -32602, "who are you?")),
        (503, |body| one_error(body, -32603, "out of order")),
    ];
    for (status, body) in bodies {
        let reply = move |asked: &Value| Reply::Http(status, "retry-after: 3600\r\n".into(), body(asked));
        // The chain and the rules are known by then, and not more; or the block is, too.
        for known in [2, 3] {
            let server = Server::start(from(known, reply)?)?;
            let ran = replay(&server, "100..120")?.exits(2)?;
            let errors = ran.errors();
            let is_named = errors.len() == 1 && errors[0].contains("3600 s") && errors[0].contains("from 100 on");
            ensure(is_named, || format!("{status}: {ran:?}"))?;
            equal("requests", server.requests(), known + 1)?;
        }
    }
    // A method that it does not have it will not have in an hour either.
    let lacking = instead(|body| {
        let body = (body["method"] == "eth_config").then(|| error(&body["id"], -32601, "no"))?;
        Some(Reply::Http(404, "retry-after: 3600\r\n".into(), body))
    })?;
    Ok(read(lacking, options()).map(drop)?)
}

fn left_alone_by_trace() -> Outcome {
    for json in [false, true] {
        let busy = instead(move |body| {
            let said = if json { error(&body["id"], -32005, "rate limit exceeded") } else { "no".into() };
            let is_trace = body["method"] == "debug_traceBlockByNumber";
            is_trace.then(|| Reply::Http(429, "retry-after: 3600\r\n".into(), said))
        })?;
        let cause = fault(busy, options(), "keys", "debug_traceBlockByNumber")?;
        equal("cause", cause, Cause::Later { status: 429, seconds: 3_600 })?;
    }
    Ok(())
}

fn limited() -> Outcome {
    let server = Server::start(from(2, |body| {
        Reply::Http(200, String::new(), all_errors(body, -32005, "daily limit exceeded"))
    })?)?;
    let ran = replay(&server, "100..110")?.exits(2)?;
    let errors = ran.errors();
    ensure(errors.len() == 1 && errors[0].contains("the node is busy: daily limit exceeded"), || format!("{ran:?}"))?;
    // What was asked first, twice.
    equal("requests", server.requests(), 4)
}

fn busy_receipts() -> Outcome {
    for (code, message) in [(-32005, "limit exceeded"), (-32000, "too many requests, try again")] {
        let server = Server::start(erring("eth_getBlockReceipts", usize::MAX, code, message)?)?;
        let error = Source::connect(&server.url(), options())?.block(NUMBER, |_| {}).map(drop);
        let error = error.err().ok_or("believed")?;
        equal("method", error.method, "eth_getBlockReceipts")?;
        ensure(error.is_lasting(), || error.to_string())?;
        equal("one by one", server.count("eth_getTransactionReceipt"), 0)?;
    }
    Ok(())
}

fn no_way_round() -> Outcome {
    // This node lacks the other method.
    let server = Server::start(erring("eth_getBlockReceipts", usize::MAX, -32000, "receipts are broken")?)?;
    let error = Source::connect(&server.url(), options())?.block(NUMBER, |_| {}).map(drop);
    let cause = Cause::Node { code: -32000, message: "receipts are broken".into() };
    equal("error", error.map_err(|error| (error.method, error.cause)), Err(("eth_getBlockReceipts", cause)))?;
    equal("the other way", server.count("eth_getTransactionReceipt") > 0, true)?;
    // Why the other way does not help either is what there is to say where the first is not there at all.
    let chain = Chain::new()?;
    let answer = move |method: &str, params: &Value| match method {
        "eth_getBlockReceipts" => None,
        "eth_getTransactionReceipt" => Some(json!({"error": {"code": 4444, "message": "pruned history unavailable"}})),
        _ => chain.answer(method, params),
    };
    let pruned = Node { answer: Box::new(answer), ..node(|_, _, _| {})? };
    let cause = fault(pruned, options(), "receipt", "eth_getTransactionReceipt")?;
    equal("cause", cause, Cause::Pruned("pruned history unavailable".into()))
}

/// A node with parameters of its own that fails to tell them so often.
fn with_rules(times: usize, code: i64, message: &'static str) -> Result<Node, Failed> {
    let chain = Chain::new()?;
    let count = AtomicUsize::new(0);
    let config = json!({"current": {
        "activationTime": 0, "blobSchedule": {"baseFeeUpdateFraction": 5_007_716, "max": 48, "target": 6},
        "precompiles": {"BLS12_G1ADD": "0x0b"},
    }});
    let answer = move |method: &str, params: &Value| match method {
        "eth_config" if count.fetch_add(1, Ordering::Relaxed) < times => {
            Some(json!({"error": {"code": code, "message": message}}))
        }
        "eth_config" => Some(json!({"result": config})),
        _ => chain.answer(method, params),
    };
    Ok(Node { answer: Box::new(answer), ..node(|_, _, _| {})? })
}

/// The most blobs of a block, which the node alone knows.
fn most_blobs(node: Node) -> Result<u64, Failed> {
    let params = read(node, options())?.file.block.env.blob_params;
    Ok(params.ok_or("no blob parameters")?.max)
}

fn passing_rules() -> Outcome {
    equal("told", most_blobs(with_rules(0, 0, "")?)?, 48)?;
    for (code, message) in [(-32603, "internal error"), (-32000, "backend hiccup"), (-32005, "limit exceeded")] {
        equal(message, most_blobs(with_rules(2, code, message)?)?, 48)?;
    }
    // What it does not have it does not tell.
    for (code, message) in [(-32601, "no"), (-32602, "no parameters are right"), (-32000, "unknown method eth_config")]
    {
        equal(message, most_blobs(with_rules(1, code, message)?)?, 9)?;
    }
    Ok(())
}

fn failing_rules() -> Outcome {
    for (code, message) in [(-32603, "internal error"), (-32000, "backend hiccup"), (-32005, "limit exceeded")] {
        let server = Server::start(with_rules(usize::MAX, code, message)?)?;
        let error = Source::connect(&server.url(), options()).map(drop).err().ok_or("believed")?;
        equal("error", (error.key.as_str(), error.method), ("fork", "eth_config"))?;
        ensure(error.to_string().contains(message), || error.to_string())?;
        equal("asked", server.count("eth_config"), 3)?;
    }
    Ok(())
}

fn beyond_the_head() -> Outcome {
    for (blocks, asked, absent) in [("100..100000", 2, 101), ("101..100000", 1, 101)] {
        let server = Server::start(node(|_, _, _| {})?)?;
        let ran = replay(&server, blocks)?.exits(2)?;
        let errors = ran.errors();
        let is_named = errors.len() == 1
            && errors[0]
                .contains(&format!("the node has no block {absent}; a node that lacks a block lacks those above"))
            && errors[0].contains(&format!("blocks from {absent} on were not read"));
        ensure(is_named, || format!("{blocks}: {ran:?}"))?;
        // Each with its parent.
        equal("blocks asked for", server.count("eth_getBlockByNumber"), 2 * asked)?;
    }
    Ok(())
}

fn too_many_rounds() -> Outcome {
    // Without a trace only execution tells the slots.
    let error = read(node(|_, _, _| {})?, Options { rounds: 1, ..at_once() }).map(drop).err().ok_or("read")?;
    equal("error", (error.key.as_str(), error.method), ("state", "eth_getCode"))?;
    equal("cause", error.cause, Cause::Impossible("after 1 rounds something is still missing".into()))
}
