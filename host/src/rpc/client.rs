//! JSON-RPC over HTTP: batches on a few connections at once, asked again with growing pauses while the fault may pass.

use super::error::{Cause, RpcError};
use crate::metrics;
use serde_json::{Value, json};
use std::{
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

/// Largest answer taken, in bytes: a trace of the largest mainnet block takes a quarter of it.
const MAX_ANSWER: u64 = 256 << 20;

/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Requests on the way at once.
const CONNECTIONS: usize = 4;

/// JSON-RPC: no such method.
const METHOD_NOT_FOUND: i64 = -32601;

/// How patient a client is, and how much it asks for at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// For one HTTP exchange.
    pub timeout: Duration,
    /// Attempts after the first, where the fault may pass: no connection, a time-out, a cut answer, HTTP 429 or 5xx.
    pub retries: u32,
    /// Before the second attempt; doubled before each further one, up to ten seconds.
    pub pause: Duration,
    /// Calls in one HTTP request.
    pub batch: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(30), retries: 5, pause: Duration::from_millis(200), batch: 100 }
    }
}

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) params: Value,
    /// What it asks for, in the words of errors.
    pub(crate) key: String,
}

impl Request {
    pub(crate) fn new(method: &'static str, params: Value, key: impl Into<String>) -> Self {
        Self { method, params, key: key.into() }
    }
}

/// A node's JSON-RPC endpoint.
#[derive(Debug)]
pub(crate) struct Client {
    agent: ureq::Agent,
    url: String,
    options: ClientOptions,
    /// The node takes no batches.
    one_by_one: AtomicBool,
    next_id: AtomicU64,
    calls: AtomicU64,
}

/// Why an attempt gave nothing.
struct Fault {
    cause: Cause,
    /// Whether another attempt may do better.
    may_pass: bool,
}

impl Fault {
    const fn passing(cause: Cause) -> Self {
        Self { cause, may_pass: true }
    }
}

impl Client {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// The URL is none of `http://`, or of `https://` where that is part of the build.
    pub(crate) fn new(url: &str, options: ClientOptions) -> Result<Self, String> {
        let secure = url.starts_with("https://");
        if !secure && !url.starts_with("http://") {
            return Err("the node's URL must start with http:// or https://".into());
        }
        if secure && !cfg!(feature = "rpc-tls") {
            return Err("https:// needs a build with the feature rpc-tls".into());
        }
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(options.timeout))
            .http_status_as_error(false)
            // A library does not ask the environment, and a node is near.
            .proxy(None)
            .max_idle_connections_per_host(CONNECTIONS)
            .build();
        Ok(Self {
            agent: config.into(),
            url: url.into(),
            options,
            one_by_one: AtomicBool::new(false),
            next_id: AtomicU64::new(1),
            calls: AtomicU64::new(0),
        })
    }

    /// Calls answered so far.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// The result of one call.
    pub(crate) fn call(&self, block: Option<u64>, request: Request) -> Result<Value, RpcError> {
        let mut results = self.exchange(block, &[request])?;
        Ok(results.pop().unwrap_or_default())
    }

    /// The result of each, in order, or the first error in that order.
    pub(crate) fn batch(&self, block: u64, requests: &[Request]) -> Result<Vec<Value>, RpcError> {
        let chunks: Vec<_> = requests.chunks(self.options.batch.max(1)).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            while let Some((at, chunk)) = next_of(&chunks, &next) {
                let answer = self.exchange(Some(block), chunk);
                let failed = answer.is_err();
                done.push((at, answer));
                if failed {
                    // Nobody starts what will be thrown away.
                    next.store(chunks.len(), Ordering::Relaxed);
                }
            }
            done
        };
        let mut done = thread::scope(|scope| {
            let others: Vec<_> = (1..CONNECTIONS.min(chunks.len())).map(|_| scope.spawn(work)).collect();
            let mut done = work();
            done.extend(others.into_iter().filter_map(|thread| thread.join().ok()).flatten());
            done
        });
        done.sort_unstable_by_key(|(at, _)| *at);
        let mut results = Vec::with_capacity(requests.len());
        for (_, answer) in done {
            results.append(&mut answer?);
        }
        Ok(results)
    }

    /// One HTTP request, again and again while that may help.
    fn exchange(&self, block: Option<u64>, requests: &[Request]) -> Result<Vec<Value>, RpcError> {
        if requests.len() > 1 && self.one_by_one.load(Ordering::Relaxed) {
            return requests.iter().map(|request| self.call(block, request.clone())).collect();
        }
        let mut pause = self.options.pause;
        let mut attempt = 0;
        loop {
            let (at, fault) = match self.attempt(requests) {
                Ok(results) => {
                    self.calls.fetch_add(requests.len() as u64, Ordering::Relaxed);
                    metrics::answered(requests.len());
                    return Ok(results);
                }
                Err(failed) => failed,
            };
            if requests.len() > 1 && self.one_by_one.load(Ordering::Relaxed) {
                return self.exchange(block, requests);
            }
            let request = &requests[at];
            if !fault.may_pass || attempt == self.options.retries {
                let cause = match fault.cause {
                    Cause::Connection(reason) => Cause::Connection(format!("{reason} ({} attempts)", attempt + 1)),
                    cause => cause,
                };
                return Err(RpcError { block, key: request.key.clone(), method: request.method, cause });
            }
            tracing::debug!(method = request.method, key = request.key, cause = %fault.cause, ?pause, "asking again");
            metrics::asked_again();
            thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
            attempt += 1;
        }
    }

    /// The results, or the index of the request at fault (0 where it is all of them).
    fn attempt(&self, requests: &[Request]) -> Result<Vec<Value>, (usize, Fault)> {
        let first = self.next_id.fetch_add(requests.len() as u64, Ordering::Relaxed);
        let body = |(id, request): (u64, &Request)| json!({"jsonrpc": "2.0", "id": id, "method": request.method, "params": request.params});
        let mut calls: Vec<_> = (first..).zip(requests).map(body).collect();
        let body = if requests.len() == 1 { calls.pop().unwrap_or_default() } else { Value::Array(calls) };
        let answer = self.post(&body.to_string()).map_err(|fault| (0, fault))?;
        let mut answers: Vec<Option<Value>> = vec![None; requests.len()];
        let malformed = |reason: &str| (0, Fault::passing(Cause::Malformed(reason.into())));
        match answer {
            Value::Array(items) if requests.len() > 1 => {
                for item in items {
                    let at = item["id"].as_u64().and_then(|id| usize::try_from(id.checked_sub(first)?).ok());
                    let slot = at.and_then(|at| answers.get_mut(at));
                    *slot.ok_or_else(|| malformed("an answer to something that was not asked"))? = Some(item);
                }
            }
            item @ Value::Object(_) if requests.len() == 1 => answers[0] = Some(item),
            item @ Value::Object(_) if item.get("error").is_some() => {
                tracing::info!(answer = %item, "the node takes no batches: one call at a time");
                self.one_by_one.store(true, Ordering::Relaxed);
                return Err(malformed("the node takes no batches"));
            }
            _ => return Err(malformed("neither an object nor an array of answers")),
        }
        let result = |(at, answer): (usize, Option<Value>)| {
            let answer =
                answer.ok_or_else(|| (at, Fault::passing(Cause::Malformed("no answer in the batch".into()))))?;
            result(answer).map_err(|fault| (at, fault))
        };
        answers.into_iter().enumerate().map(result).collect()
    }

    fn post(&self, body: &str) -> Result<Value, Fault> {
        let connection = |error: ureq::Error| Fault::passing(Cause::Connection(error.to_string()));
        let request = self.agent.post(&self.url).header("content-type", "application/json");
        let mut response = request.send(body).map_err(connection)?;
        match response.status().as_u16() {
            200..300 => {}
            status @ (429 | 500..600) => return Err(Fault::passing(Cause::Http(status))),
            status => return Err(Fault { cause: Cause::Http(status), may_pass: false }),
        }
        let bytes = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec().map_err(connection)?;
        serde_json::from_slice(&bytes).map_err(|cause| Fault::passing(Cause::Malformed(format!("not JSON: {cause}"))))
    }
}

fn next_of<'a, T>(items: &'a [T], next: &AtomicUsize) -> Option<(usize, &'a T)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    items.get(at).map(|item| (at, item))
}

/// What an answer holds.
fn result(mut answer: Value) -> Result<Value, Fault> {
    let Some(error) = answer.get("error").filter(|error| !error.is_null()) else {
        return match answer.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => Err(Fault::passing(Cause::Malformed("neither result nor error".into()))),
        };
    };
    let code = error["code"].as_i64().unwrap_or_default();
    let message = error["message"].as_str().unwrap_or("no message").to_owned();
    let says = |words: &[&str]| {
        let message = message.to_lowercase();
        words.iter().any(|word| message.contains(word))
    };
    // Codes for these differ from node to node; the words less so.
    let missing = [
        "missing trie node",
        "pruned",
        "historical state",
        "no state",
        "state not available",
        "is not available",
        "header not found",
    ];
    let limited = ["rate limit", "too many requests", "limit exceeded", "capacity", "timeout", "timed out"];
    Err(
        if code == METHOD_NOT_FOUND
            || says(&["method not found", "does not exist/is not available", "method not supported"])
        {
            Fault { cause: Cause::Unsupported, may_pass: false }
        } else if says(&missing) {
            Fault { cause: Cause::Pruned(message), may_pass: false }
        } else {
            let may_pass = code == 429 || says(&limited);
            Fault { cause: Cause::Node { code, message }, may_pass }
        },
    )
}
