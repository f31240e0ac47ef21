//! Blocks and their state from a node's JSON-RPC: read in batches, checked against hashes and proofs, kept on disk.
//!
//! A client of our own over ureq rather than alloy's provider: state is read by synchronous execution, every answer is checked before it
//! is used, and alloy-provider brings more than 70 crates that nothing else here needs.

mod answer;
mod block;
mod cache;
mod client;
mod error;
mod fetch;
mod header;
mod partial;
mod rules;
mod state;

pub use cache::{Cache, write_whole};
pub use client::ClientOptions;
pub use error::{Cause, RpcError};
pub use fetch::{Fetched, Options, Progress, Source};
pub use state::Proofs;
