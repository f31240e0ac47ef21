//! What executors have done through the engine, and what they left to the executor they wrap.

use crate::report::ExecutionReport;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// Why the wrapped executor ran a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Wrapped {
    /// The engine has no device for blocks: both would run revm.
    NoDevice,
    /// Later than Osaka: its blocks count state gas and list what they read, of which outcomes know nothing.
    Fork,
    /// The EVM has a setting that is not what its fork alone says.
    Settings,
    /// An inspector is to see every step.
    Inspector,
    /// A transaction of a type that is not Ethereum's.
    TxType,
    /// The database could not be read.
    State,
    /// A transaction may not stand at its place.
    Invalid,
}

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoDevice => "no device",
            Self::Fork => "fork",
            Self::Settings => "settings",
            Self::Inspector => "inspector",
            Self::TxType => "tx type",
            Self::State => "state",
            Self::Invalid => "invalid",
        })
    }
}

/// The account of a factory's executors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Blocks whose transactions the engine executed.
    pub blocks: u64,
    /// How it executed them: on a device or on revm, and why.
    pub report: ExecutionReport,
    /// Blocks that the wrapped executor ran itself, by reason.
    pub wrapped: BTreeMap<Wrapped, u64>,
    /// Transactions of those.
    pub wrapped_txs: u64,
}

/// A tally that executors share.
#[derive(Clone, Debug, Default)]
pub(super) struct Counter(Arc<Mutex<Tally>>);

impl Counter {
    fn update(&self, change: impl FnOnce(&mut Tally)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn executed(&self, report: ExecutionReport) {
        self.update(|tally| {
            tally.blocks += 1;
            tally.report.add(report);
        });
    }

    pub(super) fn wrapped(&self, why: Wrapped, txs: usize) {
        self.update(|tally| {
            *tally.wrapped.entry(why).or_default() += 1;
            tally.wrapped_txs += txs as u64;
        });
    }

    pub(super) fn tally(&self) -> Tally {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
