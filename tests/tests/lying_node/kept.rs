//! What is on disk: a block that broke off goes on where it did, nothing wrong lasts there, and proofs that are a must are not waived.

use super::{
    NUMBER,
    chain::Chain,
    faults::instead,
    files, node, options, poor, read,
    server::{Node, Reply, Server, Way},
    with_cache, without,
};
use alloy_primitives::Address;
use libtest_mimic::Failed;
use lockstep::rpc::{Cause, Options, Proofs, Source};
use lockstep_tests::{
    binary::{Folder, Outcome, ensure, equal},
    harness::Suite,
    small_block::{LOGGER, REVERTER},
};
use serde_json::{Value, json};
use std::{thread, time::Duration};

pub fn add(suite: &mut Suite) {
    suite.test("cache::a_block_goes_on_where_it_broke_off", goes_on);
    suite.test("cache::a_lie_that_was_kept_does_not_last", kept_lie);
    suite.test("cache::a_fresh_lie_leaves_what_was_kept", fresh_lie);
    suite.test("cache::a_lie_among_what_was_kept_leaves_the_rest", lie_among_kept);
    suite.test("cache::damaged_parts_are_asked_for_again", damaged_parts);
    suite.test("cache::unproven_blocks_do_not_do_where_proofs_must", unproven_is_not_proven);
}

/// A node with a trace that never gives this account's proof, or its slots.
fn breaks_off(method: &'static str) -> Result<Node, Failed> {
    let mut node = instead(move |body| {
        let breaks = body["method"] == method && body["params"][0] == json!(REVERTER);
        breaks.then(|| {
            // All else is answered by then.
            thread::sleep(Duration::from_millis(300));
            Reply::Lost(Way::Dropped)
        })
    })?;
    node.answer = traced()?;
    Ok(node)
}

fn traced() -> Result<Box<super::server::Answer>, Failed> {
    let chain = Chain::new()?;
    let trace = json!([{"result": {LOGGER.to_string(): {"storage": {"0x0": "0x1"}}, REVERTER.to_string(): {"storage": {"0x7": "0x1"}}}}]);
    Ok(Box::new(move |method, params| match method {
        "debug_traceBlockByNumber" => Some(json!({"result": trace})),
        _ => chain.answer(method, params),
    }))
}

fn one_at_a_time(folder: &Folder) -> Options {
    let mut options = with_cache(folder);
    options.client.batch = 1;
    options.client.retries = 0;
    options
}

/// Files of blocks that are not whole.
fn parts(folder: &Folder) -> Vec<std::path::PathBuf> {
    files(folder.at("cache/parts").as_ref())
}

fn goes_on() -> Outcome {
    for (proofs, method) in [(Proofs::Auto, "eth_getProof"), (Proofs::Never, "eth_getBalance")] {
        let folder = Folder::new("goes-on")?;
        let options = || Options { proofs, ..one_at_a_time(&folder) };
        let uncached = Server::start(Node { answer: traced()?, ..node(|_, _, _| {})? })?;
        let whole = Source::connect(&uncached.url(), Options { cache: None, ..options() })?.block(NUMBER, |_| {})?;

        let first = Server::start(breaks_off(method)?)?;
        let error = Source::connect(&first.url(), options())?.block(NUMBER, |_| {}).map(drop);
        ensure(matches!(&error, Err(error) if matches!(error.cause, Cause::Connection(_))), || format!("{error:?}"))?;
        equal("files of parts", parts(&folder).len(), 1)?;

        let second = Server::start(Node { answer: traced()?, ..node(|_, _, _| {})? })?;
        let source = Source::connect(&second.url(), options())?;
        let fetched = source.block(NUMBER, |_| {})?;
        equal("file", (&fetched.file, fetched.proven), (&whole.file, whole.proven))?;
        for once in ["eth_getBlockReceipts", "debug_traceBlockByNumber"] {
            equal(once, (first.count(once), second.count(once)), (1, 0))?;
        }
        // What was answered is not asked again; the call that broke off was asked and not answered.
        for method in ["eth_getProof", "eth_getBalance", "eth_getTransactionCount", "eth_getStorageAt", "eth_getCode"] {
            let lost =
                usize::from(first.count(method) > 0 && error.as_ref().is_err_and(|error| error.method == method));
            equal(method, first.count(method) - lost + second.count(method), uncached.count(method))?;
        }
        ensure(first.count(method) > 1, || "nothing was read before".into())?;
        // The whole takes the place of the parts.
        equal("parts", parts(&folder).len(), 0)?;
        equal("cached", source.block(NUMBER, |_| {})?.cached, true)?;
    }
    Ok(())
}

fn kept_lie() -> Outcome {
    let folder = Folder::new("kept-lie")?;
    let options = || Options { proofs: Proofs::Never, ..one_at_a_time(&folder) };
    // The answer about the sender is a lie, and the connection ends before anybody can tell.
    let mut liar = poor()?;
    liar.instead = breaks_off("eth_getBalance")?.instead;
    ensure(read(liar, options()).is_err(), || "whole".into())?;
    equal("files of parts", parts(&folder).len(), 1)?;
    let fetched = read(node(|_, _, _| {})?, options())?;
    equal("file", &fetched.file, &read(node(|_, _, _| {})?, super::options())?.file)?;
    equal("parts", parts(&folder).len(), 0)?;
    equal("cached", read(node(|_, _, _| {})?, options())?.cached, true)
}

/// A node with a trace that gives another result for one call about an account.
fn lies(method: &'static str, address: Address, result: &'static str) -> Result<Node, Failed> {
    let honest = traced()?;
    let answer = move |called: &str, params: &Value| {
        let mut answer = honest(called, params)?;
        if called == method && params[0] == json!(address) {
            // A proof of another balance, or no balance at all.
            let place = if method == "eth_getProof" { &mut answer["result"]["balance"] } else { &mut answer["result"] };
            *place = json!(result);
        }
        Some(answer)
    };
    Ok(Node { answer: Box::new(answer), ..node(|_, _, _| {})? })
}

/// Reads the block without a cache, and tells how often each method is called for it.
fn uncached(options: Options) -> Result<Server, Failed> {
    let server = Server::start(Node { answer: traced()?, ..node(|_, _, _| {})? })?;
    Source::connect(&server.url(), Options { cache: None, ..options })?.block(NUMBER, |_| {})?;
    Ok(server)
}

/// All that is asked about a block and kept.
const KEPT: [&str; 7] = [
    "eth_getBlockReceipts",
    "debug_traceBlockByNumber",
    "eth_getProof",
    "eth_getBalance",
    "eth_getTransactionCount",
    "eth_getStorageAt",
    "eth_getCode",
];

fn fresh_lie() -> Outcome {
    for (proofs, method, lie) in [(Proofs::Auto, "eth_getProof", "0x7"), (Proofs::Never, "eth_getBalance", "0xzz")] {
        let folder = Folder::new("fresh-lie")?;
        let options = || Options { proofs, ..one_at_a_time(&folder) };
        let uncached = uncached(options())?;
        let first = Server::start(breaks_off(method)?)?;
        ensure(Source::connect(&first.url(), options())?.block(NUMBER, |_| {}).is_err(), || "whole".into())?;
        let second = Server::start(lies(method, REVERTER, lie)?)?;
        let error = Source::connect(&second.url(), options())?.block(NUMBER, |_| {}).map(drop);
        let error = error.err().ok_or("believed")?;
        ensure(error.method == method && error.key == format!("account {REVERTER:?}"), || error.to_string())?;
        equal("asked of the liar", second.count(method), 1)?;
        let third = Server::start(Node { answer: traced()?, ..node(|_, _, _| {})? })?;
        ensure(Source::connect(&third.url(), options())?.block(NUMBER, |_| {}).is_ok(), || "not whole".into())?;
        for kept in KEPT {
            // One that broke off, and one that was a lie.
            let in_vain = if kept == method { 2 } else { 0 };
            let asked: usize = [&first, &second, &third].map(|server| server.count(kept)).iter().sum();
            equal(kept, asked, uncached.count(kept) + in_vain)?;
        }
        ensure(first.count(method) > 1, || "nothing was read before".into())?;
        equal("parts", parts(&folder).len(), 0)?;
    }
    Ok(())
}

fn lie_among_kept() -> Outcome {
    for (proofs, method, lie) in [(Proofs::Auto, "eth_getProof", "0x7"), (Proofs::Never, "eth_getBalance", "0xzz")] {
        let folder = Folder::new("lie-among-kept")?;
        let options = || Options { proofs, ..one_at_a_time(&folder) };
        let uncached = uncached(options())?;
        // It lies about one account, and the connection ends before anybody can tell.
        let liar = Node { instead: breaks_off(method)?.instead, ..lies(method, LOGGER, lie)? };
        let first = Server::start(liar)?;
        let error = Source::connect(&first.url(), options())?.block(NUMBER, |_| {}).map(drop);
        ensure(matches!(&error, Err(error) if matches!(error.cause, Cause::Connection(_))), || format!("{error:?}"))?;
        let second = Server::start(Node { answer: traced()?, ..node(|_, _, _| {})? })?;
        ensure(Source::connect(&second.url(), options())?.block(NUMBER, |_| {}).is_ok(), || "not whole".into())?;
        for kept in KEPT {
            let in_vain = if kept == method { 2 } else { 0 };
            equal(kept, first.count(kept) + second.count(kept), uncached.count(kept) + in_vain)?;
        }
    }
    Ok(())
}

fn damaged_parts() -> Outcome {
    let folder = Folder::new("damaged-parts")?;
    ensure(read(breaks_off("eth_getProof")?, one_at_a_time(&folder)).is_err(), || "whole".into())?;
    for path in parts(&folder) {
        let bytes = std::fs::read(&path)?;
        std::fs::write(&path, &bytes[..bytes.len() / 2])?;
    }
    let fetched = read(node(|_, _, _| {})?, one_at_a_time(&folder))?;
    equal("file", &fetched.file, &read(node(|_, _, _| {})?, options())?.file)
}

fn unproven_is_not_proven() -> Outcome {
    let folder = Folder::new("unproven")?;
    let with = |proofs| Options { proofs, ..with_cache(&folder) };
    let told = |node: Result<Node, Failed>, proofs| -> Result<(bool, bool), Failed> {
        let fetched = read(node?, with(proofs))?;
        Ok((fetched.cached, fetched.proven))
    };
    let honest = || node(|_, _, _: &mut Value| {});
    equal("never", told(honest(), Proofs::Never)?, (false, false))?;
    equal("auto takes it", told(honest(), Proofs::Auto)?, (true, false))?;
    let error = read(without("eth_getProof")?, with(Proofs::Always)).map(drop);
    equal("always does not", error.map_err(|error| error.cause), Err(Cause::Unsupported))?;
    equal("always reads it again", told(honest(), Proofs::Always)?, (false, true))?;
    for proofs in [Proofs::Always, Proofs::Auto, Proofs::Never] {
        equal("from then on", told(honest(), proofs)?, (true, true))?;
    }
    Ok(())
}
