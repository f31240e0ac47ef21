//! Lockstep runs batches of EVM work on a GPU and gives exactly the answers that revm gives.
#![warn(missing_docs)]

pub mod abi;
pub mod abi_text;
mod access;
#[cfg(feature = "alloy-evm")]
pub mod alloy_evm;
pub mod backend;
#[cfg(feature = "bench")]
pub mod bench;
pub mod block;
pub mod block_file;
pub mod commit;
pub mod compare;
pub mod context;
pub mod coverage;
pub mod curve;
pub mod delegation;
pub mod encode;
pub mod engine;
pub mod error;
pub mod evm;
pub mod fallback;
#[cfg(test)]
mod fixture;
mod forecast;
pub mod fork;
mod independent;
pub mod intrinsic;
pub mod keccak;
mod lanes;
mod linger;
pub mod lower;
pub mod memory;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(not(feature = "metrics"))]
#[path = "no_metrics.rs"]
mod metrics;
mod offload;
pub mod opcode;
mod ordered_trie;
pub mod outcome;
pub mod overrides;
pub mod parallel;
pub mod park;
pub mod plan;
pub mod profile;
mod random;
pub mod receipt;
pub mod record;
pub mod recover;
pub mod report;
pub mod router;
#[cfg(feature = "rpc")]
pub mod rpc;
pub mod sample;
pub mod senders;
pub mod signers;
pub mod simulate;
pub mod state;
pub mod submit;
#[cfg(feature = "suites")]
pub mod suite;
pub mod tx;
pub mod validate;
mod waves;

/// Compiles and runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// Compiles and runs the examples of `docs/rust.md`.
#[cfg(all(doctest, feature = "alloy-evm"))]
#[doc = include_str!("../../docs/rust.md")]
struct PlainRust;

/// The same for the page on nodes.
#[cfg(all(doctest, feature = "rpc"))]
#[doc = include_str!("../../docs/rpc.md")]
struct RpcPage;
