//! What `lockstep bench` and the criterion benches share: workloads whose answers come from elsewhere, the engines by
//! their fixed names, and a runner that takes them in turn and checks every result.

pub mod blocks;
mod choice;
pub mod keccak;
mod machine;
mod order;
pub mod recover;
mod report;
pub mod runner;
pub mod simulate;
mod summary;
pub mod workload;
mod world;

pub use choice::{Choice, Lineup, Subject};
pub use machine::Machine;
pub use report::{LeftOut, Report, Row};
pub use summary::Summary;

use crate::backend::BackendError;
use runner::{Plan, WrongResult};

/// The sizes of a batch that are measured where none are named.
pub const SIZES: [usize; 6] = [1, 200, 2000, 16_000, 64_000, 1_000_000];

/// The longest batch that is taken: its messages and answers are held at once.
pub const MAX_SIZE: usize = 1 << 24;

/// All threads are a row of their own from this many items on; below, they cost more than they give.
pub const PARALLEL_FROM: usize = 200;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which engines.
    pub choice: Choice,
    /// Batch sizes, each from 1 to [`MAX_SIZE`], in any order.
    pub sizes: Vec<usize>,
    /// How long and how often.
    pub plan: Plan,
}

impl Options {
    /// The sizes once each, smallest first.
    fn ascending(&self) -> Vec<usize> {
        let mut sizes = self.sizes.clone();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// What was asked for contradicts itself.
    #[error("{0}")]
    Usage(String),
    /// A backend or an engine that was named is not there.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// An engine gave a wrong result: no figure of such a run means anything.
    #[error(transparent)]
    Wrong(#[from] WrongResult),
}
