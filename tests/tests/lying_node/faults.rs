//! What a node says of itself: that it is busy, that something is too much, that it has no such thing. What helps against one does not
//! against another, and nothing of it may last longer than it is true.

use super::{
    NUMBER,
    chain::Chain,
    fault, node, options, read,
    server::{Node, Reply, Server, Way},
};
use libtest_mimic::Failed;
use lockstep::rpc::{Cause, Options, Proofs, RpcError, Source};
use lockstep_tests::{
    binary::{Outcome, ensure, equal},
    harness::Suite,
};
use serde_json::{Value, json};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

pub fn add(suite: &mut Suite) {
    suite.test("proofs::a_fault_that_passes_is_waited_out", busy_proofs);
    suite.test("proofs::a_fault_that_lasts_is_no_refusal", failing_proofs);
    suite.test("proofs::pruned_for_one_block_are_asked_for_the_next", pruned_once);
    suite.test("proofs::too_large_answers_are_asked_for_in_parts", large_proofs);
    suite.test("batch::a_busy_node_still_takes_batches", busy_batches);
    suite.test("batch::too_many_calls_are_sent_in_parts", large_batches);
    suite.test("http::json_rpc_in_an_error_status_is_heard", errors_in_statuses);
    suite.test("http::retry_after_is_heard", retry_after);
    suite.test("http::redirects_are_named_and_not_followed", redirects);
    suite.test("http::an_oversize_answer_is_not_asked_for_again", oversize);
    suite.test("http::an_answer_to_another_call", other_id);
    suite.test("trace::one_that_fails_is_done_without", no_trace);
    suite.test("trace::a_slow_one_is_asked_for_once", slow_trace);
}

/// An honest node with other replies to some HTTP requests.
pub fn instead(instead: impl Fn(&Value) -> Option<Reply> + Send + Sync + 'static) -> Result<Node, Failed> {
    Ok(Node { instead: Box::new(instead), ..node(|_, _, _| {})? })
}

/// A node that gives an error to each of the first calls of a method.
pub fn erring(method: &'static str, times: usize, code: i64, message: &'static str) -> Result<Node, Failed> {
    let count = AtomicUsize::new(0);
    node(move |called, _, answer| {
        if called == method && count.fetch_add(1, Ordering::Relaxed) < times {
            *answer = json!({"error": {"code": code, "message": message}});
        }
    })
}

pub fn error(id: &Value, code: i64, message: &str) -> String {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}).to_string()
}

/// All calls of a block in one HTTP request.
pub fn at_once() -> Options {
    let mut options = options();
    options.client.batch = 1_000;
    options
}

fn busy_proofs() -> Outcome {
    for (code, message) in
        [(-32005, "limit exceeded"), (429, "slow down"), (-32603, "internal error"), (-32000, "oops")]
    {
        let fetched = read(erring("eth_getProof", 1, code, message)?, at_once()).map_err(|error| error.to_string())?;
        ensure(fetched.proven, || format!("{message}: not proven"))?;
    }
    Ok(())
}

fn failing_proofs() -> Outcome {
    for (code, message) in [(-32005, "rate limit exceeded"), (-32003, "response too large"), (-32000, "oops")] {
        for proofs in [Proofs::Auto, Proofs::Always] {
            let node = erring("eth_getProof", usize::MAX, code, message)?;
            let cause = fault(node, Options { proofs, ..options() }, "account 0x", "eth_getProof")?;
            let message = message.to_owned();
            let is_busy = code == -32005;
            let said = if is_busy { Cause::Busy { code, message } } else { Cause::Node { code, message } };
            equal("cause", cause, said)?;
        }
    }
    Ok(())
}

fn pruned_once() -> Outcome {
    let server =
        Server::start(erring("eth_getProof", 1, -32000, "distance to target block exceeds maximum proof window")?)?;
    let source = Source::connect(&server.url(), at_once())?;
    let proven = || source.block(NUMBER, |_| {}).map(|fetched| fetched.proven);
    equal("proven", (proven()?, proven()?), (false, true))?;
    // No such method is another thing.
    let server = Server::start(erring("eth_getProof", 1, -32601, "Method not found")?)?;
    let source = Source::connect(&server.url(), at_once())?;
    let proven = || source.block(NUMBER, |_| {}).map(|fetched| fetched.proven);
    equal("proven", (proven()?, proven()?), (false, false))
}

fn large_proofs() -> Outcome {
    // As geth does: what is beyond its limit gets an error each.
    let node = instead(|body| {
        let calls = body.as_array().filter(|calls| calls.len() > 2 && calls[0]["method"] == "eth_getProof")?;
        let answers: Vec<_> = calls.iter().map(|call| error(&call["id"], -32003, "response too large")).collect();
        Some(Reply::Http(200, String::new(), format!("[{}]", answers.join(","))))
    })?;
    ensure(read(node, at_once())?.proven, || "not proven".into())
}

fn busy_batches() -> Outcome {
    let quiet = Server::start(node(|_, _, _| {})?)?;
    Source::connect(&quiet.url(), at_once())?.block(NUMBER, |_| {})?;
    let count = AtomicUsize::new(0);
    let busy = instead(move |body| {
        let first = body.is_array() && count.fetch_add(1, Ordering::Relaxed) == 0;
        first.then(|| Reply::Http(200, String::new(), error(&Value::Null, -32005, "rate limit exceeded")))
    })?;
    let busy = Server::start(busy)?;
    Source::connect(&busy.url(), at_once())?.block(NUMBER, |_| {})?;
    equal("HTTP requests", busy.requests(), quiet.requests() + 1)?;
    // An error that nobody knows is about this batch, or about all: the next is sent again.
    let count = AtomicUsize::new(0);
    let odd = instead(move |body| {
        let first = body.is_array() && count.fetch_add(1, Ordering::Relaxed) == 0;
        first.then(|| Reply::Http(200, String::new(), error(&Value::Null, -32603, "internal error")))
    })?;
    let odd = Server::start(odd)?;
    Source::connect(&odd.url(), at_once())?.block(NUMBER, |_| {})?;
    // The first batch has two calls.
    equal("HTTP requests", odd.requests(), quiet.requests() + 2)
}

fn large_batches() -> Outcome {
    for status in [200, 413] {
        let node = instead(move |body| {
            let too_many = body.as_array().is_some_and(|calls| calls.len() > 3);
            let body = if status == 413 { "no".into() } else { error(&Value::Null, -32600, "batch too large") };
            too_many.then(|| Reply::Http(status, String::new(), body))
        })?;
        let server = Server::start(node)?;
        let fetched = Source::connect(&server.url(), at_once())?.block(NUMBER, |_| {})?;
        ensure(fetched.proven && server.requests() < server.calls(), || format!("{status}: one by one"))?;
    }
    Ok(())
}

fn errors_in_statuses() -> Outcome {
    for status in [400, 404, 405, 500, 501] {
        let chain = Chain::new()?;
        let mut node = instead(move |body| {
            let lacks = body["method"] == "eth_getBlockReceipts";
            lacks.then(|| Reply::Http(status, String::new(), error(&body["id"], -32601, "the method is unknown")))
        })?;
        node.answer = Box::new(move |method, params| {
            if method != "eth_getTransactionReceipt" {
                return chain.answer(method, params);
            }
            let at = chain.file.claims.iter().position(|claim| json!(claim.hash) == params[0])?;
            let receipts = chain.answer("eth_getBlockReceipts", &json!(["0x64"]))?;
            Some(json!({"result": receipts["result"][at]}))
        });
        let server = Server::start(node)?;
        let fetched = Source::connect(&server.url(), options())?.block(NUMBER, |_| {});
        ensure(fetched.is_ok_and(|fetched| fetched.proven), || format!("{status}"))?;
        equal("asked", server.count("eth_getBlockReceipts"), 1)?;
    }
    // The node's words are more than its status; those of another server are not the node's.
    let said = |body: fn(&Value) -> String| {
        instead(move |asked| {
            (asked["method"] == "eth_getBlockReceipts").then(|| Reply::Http(403, String::new(), body(asked)))
        })
    };
    let server = Server::start(said(|asked| error(&asked["id"], -32602, "not with this key"))?)?;
    let error = Source::connect(&server.url(), options())?.block(NUMBER, |_| {});
    let cause = Cause::Node { code: -32602, message: "not with this key".into() };
    equal("cause", error.map(drop).map_err(|error| error.cause), Err(cause))?;
    // It was heard: the other way was tried, which this node lacks.
    ensure(server.count("eth_getTransactionReceipt") > 0, || "not heard".into())?;
    let cause =
        fault(said(|_| json!({"error": "Forbidden"}).to_string())?, options(), "receipts", "eth_getBlockReceipts")?;
    equal("cause", cause, Cause::Http(403))
}

/// Connects to a node that replies so to its first request, or to all, and tells how long that took.
fn connect(times: usize, reply: Reply) -> Result<(Result<(), RpcError>, Duration, usize), Failed> {
    let count = AtomicUsize::new(0);
    let node = instead(move |_| (count.fetch_add(1, Ordering::Relaxed) < times).then(|| reply.clone()))?;
    let server = Server::start(node)?;
    let start = Instant::now();
    let result = Source::connect(&server.url(), options()).map(drop);
    Ok((result, start.elapsed(), server.requests()))
}

fn retry_after() -> Outcome {
    for status in [429, 503] {
        let (result, time, _) = connect(1, Reply::Http(status, "retry-after: 1\r\n".into(), "no".into()))?;
        ensure(result.is_ok() && time >= Duration::from_secs(1), || format!("{status}: {result:?} after {time:?}"))?;
    }
    let body = error(&json!(1), -32005, "too many requests");
    let (result, time, _) = connect(1, Reply::Http(429, "retry-after: 1\r\n".into(), body))?;
    ensure(result.is_ok() && time >= Duration::from_secs(1), || format!("JSON-RPC: {result:?} after {time:?}"))?;
    // Nobody waits an hour, and to ask before is not what was asked for.
    let (result, time, requests) = connect(9, Reply::Http(429, "retry-after: 3600\r\n".into(), "no".into()))?;
    equal("cause", result.map_err(|error| error.cause), Err(Cause::Later { status: 429, seconds: 3_600 }))?;
    ensure(time < Duration::from_secs(5) && requests == 1, || format!("{requests} requests in {time:?}"))?;
    // A date is not read, nor is nonsense.
    let (result, ..) =
        connect(1, Reply::Http(429, "retry-after: Wed, 21 Oct 2015 07:28:00 GMT\r\n".into(), "no".into()))?;
    Ok(result?)
}

fn redirects() -> Outcome {
    for status in [301, 302, 303, 307, 308] {
        let other = Server::start(node(|_, _, _| {})?)?;
        let (result, _, requests) =
            connect(9, Reply::Http(status, format!("location: {}\r\n", other.url()), String::new()))?;
        let error = result.err().ok_or("followed")?;
        ensure(error.to_string().contains(&other.url()) && error.is_lasting(), || error.to_string())?;
        equal("cause", error.cause, Cause::Redirect { status, location: other.url() })?;
        equal("requests", (requests, other.requests()), (1, 0))?;
    }
    Ok(())
}

fn oversize() -> Outcome {
    let mut options = options();
    options.client.max_answer = 1_000;
    let (result, _, requests) = {
        let server = Server::start(node(|method, _, answer| {
            if method == "eth_chainId" {
                answer["more"] = json!("x".repeat(2_000));
            }
        })?)?;
        let result = Source::connect(&server.url(), options.clone()).map(drop);
        (result, (), server.requests())
    };
    equal("cause", result.map_err(|error| error.cause), Err(Cause::Oversize(1_000)))?;
    equal("requests", requests, 1)?;
    // A batch is asked for in parts, down to the answer that is too long by itself.
    let long = || {
        node(|method, params, answer| {
            if method == "eth_getBlockByNumber" && params[0] == "0x64" {
                answer["more"] = json!("x".repeat(100_000));
            }
        })
    };
    options.client.max_answer = 50_000;
    let server = Server::start(long()?)?;
    let error = Source::connect(&server.url(), options)?.block(NUMBER, |_| {}).map(drop);
    equal("cause", error.map_err(|error| error.cause), Err(Cause::Oversize(50_000)))?;
    equal("asked", server.count("eth_getBlockByNumber"), 3)
}

fn other_id() -> Outcome {
    let other = |id: fn(&Value) -> Value| {
        instead(move |body| {
            let receipts = body["method"] == "eth_getBlockReceipts";
            receipts.then(|| Reply::Http(200, String::new(), json!({"id": id(&body["id"]), "result": []}).to_string()))
        })
    };
    for id in [
        |_: &Value| Value::Null,
        |id: &Value| json!(id.as_u64().unwrap_or_default() + 1),
        |id: &Value| json!(id.to_string()),
    ] {
        let cause = fault(other(id)?, options(), "receipts", "eth_getBlockReceipts")?;
        ensure(matches!(&cause, Cause::Malformed(reason) if reason.contains("not asked")), || format!("{cause:?}"))?;
    }
    // An answer is no file.
    let odd = node(|method, _, answer| {
        if method == "eth_getBalance" {
            answer["result"] = json!(7);
        }
    })?;
    let cause = fault(odd, Options { proofs: Proofs::Never, ..options() }, "account 0x", "eth_getBalance")?;
    equal("cause", cause, Cause::Malformed("result: not a string".into()))
}

const TRACE: &str = "debug_traceBlockByNumber";

fn no_trace() -> Outcome {
    for reply in [
        Reply::Http(200, String::new(), error(&Value::Null, -32000, "rate limit exceeded")),
        Reply::Http(200, String::new(), error(&Value::Null, -32000, "missing trie node")),
        Reply::Http(429, "retry-after: 5\r\n".into(), "no".into()),
        Reply::Http(500, String::new(), "no".into()),
        Reply::Lost(Way::Dropped),
    ] {
        let text = format!("{reply:?}");
        let server = Server::start(instead(move |body| (body["method"] == TRACE).then(|| reply.clone()))?)?;
        let source = Source::connect(&server.url(), options())?;
        for asked in 1..=2 {
            let fetched = source.block(NUMBER, |_| {}).map_err(|error| format!("{text}: {error}"))?;
            // It may be there for the next block, and is not asked for again for this one.
            equal(&text, (fetched.proven, server.count(TRACE)), (true, asked))?;
        }
    }
    Ok(())
}

fn slow_trace() -> Outcome {
    let slow = instead(|body| {
        if body["method"] == TRACE {
            thread::sleep(Duration::from_secs(2));
        }
        None
    })?;
    let server = Server::start(slow)?;
    let source = Source::connect(&server.url(), options())?;
    for _ in 0..2 {
        ensure(source.block(NUMBER, |_| {})?.proven, || "not proven".into())?;
    }
    equal("traces", server.count(TRACE), 1)
}
