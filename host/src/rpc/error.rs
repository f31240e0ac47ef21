//! Why something could not be read from a node: the block, the key and the method, and what went wrong.

use crate::block_file::BlockFileError;
use std::fmt;

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// No answer, however often it was asked for.
    #[error("no answer from the node: {0}")]
    Connection(String),
    /// No answer in the time that one may take.
    #[error("no answer from the node in time: {0}")]
    Timeout(String),
    /// The node's HTTP server refused.
    #[error("HTTP status {0}")]
    Http(u16),
    /// The node wants to be left alone for longer than anybody waits here.
    #[error("HTTP status {status}: the node wants to be asked again in {seconds} s, not before")]
    Later {
        /// HTTP status.
        status: u16,
        /// Its `Retry-After`.
        seconds: u64,
    },
    /// The node's HTTP server sends to another place.
    #[error(
        "HTTP status {status}: the URL redirects to {location}, and redirects are not followed; name that URL if it is meant"
    )]
    Redirect {
        /// HTTP status.
        status: u16,
        /// Its `Location`.
        location: String,
    },
    /// An answer that is longer than any that is taken, in bytes.
    #[error("an answer of more than {0} bytes")]
    Oversize(u64),
    /// An answer that is none, or one of another shape.
    #[error("a malformed answer: {0}")]
    Malformed(String),
    /// An error of the node's own.
    #[error("the node says: {message} (code {code})")]
    Node {
        /// JSON-RPC error code.
        code: i64,
        /// The node's words.
        message: String,
    },
    /// An error of the node's own that says that it is asked too often, or cannot answer just now; and so it was at each attempt.
    #[error("the node is busy: {message} (code {code})")]
    Busy {
        /// JSON-RPC error code.
        code: i64,
        /// The node's words.
        message: String,
    },
    /// The node has no such method.
    #[error("the node has no such method")]
    Unsupported,
    /// There is no such block, or none here yet.
    #[error("the node has no block {0}")]
    Absent(u64),
    /// It cannot be done, whatever the node answers.
    #[error("{0}")]
    Impossible(String),
    /// The node has thrown away, or never had, the state that is asked for.
    #[error("the node does not have it: {0}; an archive node does, and any full node for recent blocks")]
    Pruned(String),
    /// The answer contradicts what is known for sure.
    #[error("a wrong answer: {0}")]
    Wrong(String),
}

impl Cause {
    pub(super) const fn is_refusal(&self) -> bool {
        matches!(self, Self::Unsupported | Self::Pruned(_))
    }
}

/// Something could not be read from a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcError {
    /// The block that it was needed for; state is read at its parent.
    pub block: Option<u64>,
    /// What was asked for: `header`, `receipts`, `account 0x…`, `slot 0x… of 0x…` and so on.
    pub key: String,
    /// The JSON-RPC method.
    pub method: &'static str,
    /// What went wrong.
    pub cause: Cause,
}

impl RpcError {
    /// The answer to `method` about `key` is wrong or malformed in a way that `cause` tells.
    pub(crate) fn new(block: u64, key: impl Into<String>, method: &'static str, cause: Cause) -> Self {
        Self { block: Some(block), key: key.into(), method, cause }
    }

    /// A member of an answer that is not as it should be.
    pub(crate) fn malformed<'a>(
        block: u64,
        key: &'a str,
        method: &'static str,
    ) -> impl Fn(BlockFileError) -> Self + Copy + 'a {
        move |error| Self::new(block, key, method, Cause::Malformed(shown(&in_answer(error))))
    }

    /// Whether asking for other blocks is of no use now.
    pub const fn is_lasting(&self) -> bool {
        use Cause::{Busy, Connection, Http, Later, Redirect, Timeout};
        matches!(self.cause, Connection(_) | Timeout(_) | Http(_) | Later { .. } | Busy { .. } | Redirect { .. })
    }

    /// Whether the node cannot do this at all, or not for this block: asking again is of no use, asking otherwise may be.
    pub(crate) const fn is_refusal(&self) -> bool {
        self.cause.is_refusal()
    }

    /// Whether it is the node's own word, of whatever reason but that it is busy, that it does not answer.
    pub(crate) const fn is_the_nodes(&self) -> bool {
        self.is_refusal() || matches!(self.cause, Cause::Node { .. } | Cause::Oversize(_))
    }
}

/// An answer is no file, which is what its reader takes it for.
fn in_answer(error: BlockFileError) -> String {
    if error.field == "file" {
        return BlockFileError { field: "result".into(), ..error }.to_string();
    }
    error.to_string()
}

/// Most characters of a text from elsewhere that go into an error.
const LONGEST_TEXT: usize = 400;

/// A text from elsewhere as a terminal may show it: in one line, with nothing in it that steers the terminal or turns the writing round.
pub(crate) fn shown(text: &str) -> String {
    let steers = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut shown = String::new();
    for (at, c) in text.chars().enumerate() {
        if at == LONGEST_TEXT {
            shown.push('…');
            break;
        }
        if steers(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(block) = self.block {
            write!(f, "block {block}: ")?;
        }
        write!(f, "{}: {}: {}", self.key, self.method, self.cause)
    }
}

impl std::error::Error for RpcError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block_file::Node;
    use serde_json::json;

    #[test]
    fn texts_from_elsewhere_are_tame_and_short() {
        assert_eq!(shown("no \u{1b}[31mred\u{9b}1m\r\n \u{202e}é"), "no \\u{1b}[31mred\\u{9b}1m\\r\\n \\u{202e}é");
        assert_eq!(shown(&"x".repeat(10_000)).chars().count(), LONGEST_TEXT + 1);
    }

    #[test]
    fn an_answer_is_not_called_a_file() {
        let malformed = RpcError::malformed(1, "balance", "eth_getBalance");
        let error = |value: serde_json::Value| malformed(Node::root(&value).u64().unwrap_err()).to_string();
        assert_eq!(error(json!(7)), "block 1: balance: eth_getBalance: a malformed answer: result: not a string");
        let steered = error(json!("\u{1b}[2J\u{9b}2J"));
        assert!(!steered.contains(char::is_control), "{steered:?}");
    }
}
