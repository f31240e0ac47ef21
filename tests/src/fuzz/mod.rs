//! The differential fuzzer: random programs on a device and on revm, whole outcomes compared.

pub mod corpus;
pub mod coverage;
pub mod edges;
pub mod program;
pub mod run;
pub mod scene;
pub mod shrink;
pub mod sweep;
