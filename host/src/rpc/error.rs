//! Why something could not be read from a node: the block, the key and the method, and what went wrong.

use crate::block_file::BlockFileError;
use std::fmt;

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// No answer, however often it was asked for.
    #[error("no answer from the node: {0}")]
    Connection(String),
    /// The node's HTTP server refused.
    #[error("HTTP status {0}")]
    Http(u16),
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
    /// The node has no such method.
    #[error("the node has no such method")]
    Unsupported,
    /// The node has thrown away, or never had, the state or block that is asked for.
    #[error("the node does not have it: {0}; an archive node does, and any full node for recent blocks")]
    Pruned(String),
    /// The answer contradicts what is known for sure.
    #[error("a wrong answer: {0}")]
    Wrong(String),
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
        move |error| Self::new(block, key, method, Cause::Malformed(error.to_string()))
    }

    /// Whether asking for other blocks is of no use now.
    pub const fn is_lasting(&self) -> bool {
        matches!(self.cause, Cause::Connection(_) | Cause::Http(_))
    }

    /// Whether the node cannot answer this method here, so that another one may.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(self.cause, Cause::Unsupported | Cause::Node { .. } | Cause::Pruned(_))
    }
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
