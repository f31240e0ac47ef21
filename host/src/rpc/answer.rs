//! What a node's answer says: the results by their ids, or what an error means and what may help against it.

use super::error::{Cause, shown};
use serde_json::Value;
use std::time::Duration;

/// What may help against a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Nothing: the same request has the same end.
    None,
    /// To ask again later.
    Again,
    /// Maybe to ask again: an error of the node's that nobody here knows.
    Perhaps,
    /// To ask for less at once.
    Fewer,
    /// To ask for one thing at a time: this once, or from now on.
    Single { always: bool },
}

/// Why an attempt gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) cause: Cause,
    pub(super) remedy: Remedy,
    /// HTTP status that it came with; 0 where there was none.
    pub(super) status: u16,
    /// How long the node wants to be left alone, where it says so.
    pub(super) wait: Option<Duration>,
}

impl Fault {
    pub(super) const fn new(cause: Cause, remedy: Remedy) -> Self {
        Self { cause, remedy, status: 0, wait: None }
    }

    /// The same, where something other than the node's words says that it passes.
    pub(super) fn passing(self) -> Self {
        let cause = match self.cause {
            Cause::Node { code, message } => Cause::Busy { code, message },
            cause => cause,
        };
        Self { cause, remedy: Remedy::Again, ..self }
    }

    fn malformed(reason: impl Into<String>) -> Self {
        Self::new(Cause::Malformed(reason.into()), Remedy::Again)
    }
}

/// JSON-RPC: no JSON, no request, no such method.
const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
pub(super) const INVALID_PARAMS: i64 = -32602;
/// EIP-1474: method not supported, limit exceeded.
const METHOD_NOT_SUPPORTED: i64 = -32004;
const LIMIT_EXCEEDED: i64 = -32005;
/// Some nodes say in JSON-RPC what HTTP has a status for.
const TOO_MANY_REQUESTS: i64 = 429;

/// Codes for these differ from node to node; the words less so. Each list is tried before the next.
const UNSUPPORTED: [&str; 8] = [
    "method not found",
    "does not exist/is not available",
    "method not supported",
    "method is not supported",
    "method is not available",
    "unsupported method",
    "unknown method",
    "not whitelisted",
];
const TOO_LARGE: [&str; 6] = ["too large", "too big", "response size", "size limit", "batch size", "batch limit"];
const BUSY: [&str; 7] =
    ["rate limit", "too many requests", "limit exceeded", "capacity", "try again", "temporarily", "throttle"];
/// It may have been this request that was too much, or not.
const SLOW: [&str; 2] = ["timeout", "timed out"];
const PRUNED: [&str; 10] = [
    "missing trie node",
    "pruned",
    "historical state",
    "no state available",
    "state not available",
    "state is not available",
    "state unavailable",
    "proof window",
    "block is too old",
    "block too old",
];

/// The member `error` of an answer, unless it is null.
fn error_of(answer: &Value) -> Option<&Value> {
    answer.get("error").filter(|error| !error.is_null())
}

/// Whether this is JSON-RPC, and not what some HTTP server in between has to say.
pub(super) fn is_json_rpc(answer: &Value) -> bool {
    let is_one = |item: &Value| item.get("result").is_some() || error_of(item).is_some_and(Value::is_object);
    match answer {
        Value::Array(items) => !items.is_empty() && items.iter().all(is_one),
        item => is_one(item),
    }
}

/// The results of `count` requests whose ids begin at `first`, in their order; or the index of the request at fault, 0 where it is all of them.
pub(super) fn results(answer: Value, first: u64, count: usize) -> Result<Vec<Value>, (usize, Fault)> {
    let all = |fault: Fault| (0, fault);
    let mut answers: Vec<Option<Value>> = vec![None; count];
    let items = match answer {
        Value::Array(items) if count > 1 => items,
        item @ Value::Object(_) if count == 1 => vec![item],
        item @ Value::Object(_) if error_of(&item).is_some() => return Err(all(refused_batch(item))),
        _ => return Err(all(Fault::malformed("neither an object nor an array of answers"))),
    };
    for item in items {
        if item["id"].is_null() && error_of(&item).is_some() {
            // The node could not even tell what was asked.
            return Err(all(result(item).err().unwrap_or_else(|| Fault::malformed("no answer"))));
        }
        let at = item["id"].as_u64().and_then(|id| usize::try_from(id.checked_sub(first)?).ok());
        match at.and_then(|at| answers.get_mut(at)) {
            Some(slot @ None) => *slot = Some(item),
            Some(_) => return Err(all(Fault::malformed("two answers of the same id"))),
            None => return Err(all(Fault::malformed("an answer to something that was not asked"))),
        }
    }
    let result = |(at, answer): (usize, Option<Value>)| {
        let answer = answer.ok_or_else(|| (at, Fault::malformed("no answer in the batch")))?;
        result(answer).map_err(|fault| (at, fault))
    };
    answers.into_iter().enumerate().map(result).collect()
}

/// What one error instead of a batch of answers means. Where it is not for now and not for the size, it may be that the node takes no batches.
fn refused_batch(answer: Value) -> Fault {
    let code = answer["error"]["code"].as_i64();
    let Err(fault) = result(answer) else { return Fault::malformed("one answer to a batch") };
    if matches!(fault.remedy, Remedy::Again | Remedy::Fewer) {
        return fault;
    }
    let about_batches = matches!(&fault.cause, Cause::Node { message, .. } if message.to_lowercase().contains("batch"));
    let always =
        about_batches || code.is_some_and(|code| [PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND].contains(&code));
    Fault { remedy: Remedy::Single { always }, ..fault }
}

/// What one answer holds.
fn result(mut answer: Value) -> Result<Value, Fault> {
    let Some(error) = error_of(&answer) else {
        return match answer.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => Err(Fault::malformed("neither result nor error")),
        };
    };
    let code = error["code"].as_i64().unwrap_or_default();
    let message = error["message"].as_str().unwrap_or("no message");
    let lower = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let message = shown(message);
    Err(if code == METHOD_NOT_FOUND || code == METHOD_NOT_SUPPORTED || says(&UNSUPPORTED) {
        Fault::new(Cause::Unsupported, Remedy::None)
    } else if says(&PRUNED) {
        Fault::new(Cause::Pruned(message), Remedy::None)
    } else {
        let too_large = says(&TOO_LARGE);
        if !too_large && ([TOO_MANY_REQUESTS, LIMIT_EXCEEDED].contains(&code) || says(&BUSY)) {
            return Err(Fault::new(Cause::Busy { code, message }, Remedy::Again));
        }
        let remedy = match code {
            _ if too_large => Remedy::Fewer,
            _ if says(&SLOW) => Remedy::Again,
            PARSE_ERROR | INVALID_REQUEST | INVALID_PARAMS => Remedy::None,
            _ => Remedy::Perhaps,
        };
        Fault::new(Cause::Node { code, message }, remedy)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fault(answer: Value, count: usize) -> Fault {
        results(answer, 5, count).unwrap_err().1
    }

    fn error(code: i64, message: &str) -> Value {
        json!({"id": 5, "error": {"code": code, "message": message}})
    }

    #[test]
    fn results_go_by_their_ids() {
        assert_eq!(results(json!({"id": 5, "result": 1}), 5, 1), Ok(vec![json!(1)]));
        let two = json!([{"id": 6, "result": 2}, {"id": 5, "result": 1}]);
        assert_eq!(results(two, 5, 2), Ok(vec![json!(1), json!(2)]));
        for (answer, count, reason) in [
            (json!({"id": 4, "result": 1}), 1, "not asked"),
            (json!({"id": "5", "result": 1}), 1, "not asked"),
            (json!({"result": 1}), 1, "not asked"),
            (json!({"id": 6, "result": 1}), 1, "not asked"),
            (json!([{"id": 5, "result": 1}, {"id": 5, "result": 2}]), 2, "same id"),
            (json!([{"id": 5, "result": 1}]), 2, "no answer in the batch"),
            (json!({"id": 5, "result": 1}), 2, "neither an object nor"),
            (json!({"id": 5}), 1, "neither result nor error"),
        ] {
            let fault = fault(answer.clone(), count);
            assert!(matches!(&fault.cause, Cause::Malformed(said) if said.contains(reason)), "{answer}: {fault:?}");
        }
        // Who could not read the question cannot tell its id.
        assert!(matches!(
            fault(json!({"id": null, "error": {"code": -32700}}), 1).cause,
            Cause::Node { code: -32700, .. }
        ));
    }

    #[test]
    fn errors_by_code_or_words() {
        for (code, message, remedy) in [
            (-32000, "rate limit exceeded", Remedy::Again),
            (-32005, "daily request count", Remedy::Again),
            (429, "", Remedy::Again),
            (-32000, "service is not available, try again", Remedy::Again),
            (-32000, "execution timeout", Remedy::Again),
            (-32003, "response too large", Remedy::Fewer),
            (-32600, "batch too large", Remedy::Fewer),
            (-32602, "invalid argument 0", Remedy::None),
            (-32000, "header not found", Remedy::Perhaps),
            (-32603, "internal error", Remedy::Perhaps),
        ] {
            let fault = fault(error(code, message), 1);
            assert_eq!(fault.remedy, remedy, "{message}");
            let is_busy = remedy == Remedy::Again && !message.contains("timeout");
            assert_eq!(matches!(fault.cause, Cause::Busy { .. }), is_busy, "{fault:?}");
            assert_eq!(matches!(fault.cause, Cause::Node { .. }), !is_busy, "{fault:?}");
        }
        for (code, message) in
            [(-32601, "no"), (-32004, "no"), (-32000, "the method eth_getProof does not exist/is not available")]
        {
            assert_eq!(fault(error(code, message), 1), Fault::new(Cause::Unsupported, Remedy::None), "{message}");
        }
        for message in [
            "missing trie node 0a (path ) state 0x0b is not available",
            "distance to target block exceeds maximum proof window",
            "requested block is too old, block must be within 100000 blocks of the head",
        ] {
            assert!(matches!(fault(error(-32000, message), 1).cause, Cause::Pruned(_)), "{message}");
        }
    }

    #[test]
    fn one_error_for_a_batch() {
        for (code, message, remedy) in [
            (-32005, "rate limit", Remedy::Again),
            (-32600, "batch too large", Remedy::Fewer),
            (-32600, "no", Remedy::Single { always: true }),
            (-32000, "batches are not for you", Remedy::Single { always: true }),
            (-32603, "internal error", Remedy::Single { always: false }),
        ] {
            assert_eq!(fault(error(code, message), 2).remedy, remedy, "{message}");
        }
    }

    #[test]
    fn what_servers_in_between_say_is_not_json_rpc() {
        for answer in [json!({"error": "Unauthorized"}), json!([]), json!("no"), json!({"message": "no"}), Value::Null]
        {
            assert!(!is_json_rpc(&answer), "{answer}");
        }
        assert!(
            is_json_rpc(&error(-32601, "no")) && is_json_rpc(&json!([error(-32601, "no"), {"id": 1, "result": null}]))
        );
    }
}
