//! How far a block is, for those that must not ask the queue.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

/// How far a block is.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Transactions that are committed; more than there are where the block has ended early.
    committed: AtomicUsize,
    begun: Instant,
    /// Nanoseconds from then to the last commit.
    last: AtomicU64,
    /// What was committed, and one more, when a thread was last asked to run what comes first.
    rescued: AtomicUsize,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            committed: AtomicUsize::new(0),
            begun: Instant::now(),
            last: AtomicU64::new(0),
            rescued: AtomicUsize::new(0),
        }
    }
}

impl Progress {
    pub(crate) fn committed(&self) -> usize {
        self.committed.load(Ordering::Acquire)
    }

    pub(super) fn advance(&self, committed: usize) {
        self.last.store(self.nanos(), Ordering::Relaxed);
        self.committed.store(committed, Ordering::Release);
    }

    fn nanos(&self) -> u64 {
        self.begun.elapsed().as_nanos().try_into().unwrap_or(u64::MAX)
    }

    /// How long nothing was committed.
    pub(crate) fn stands_still(&self) -> Duration {
        Duration::from_nanos(self.nanos().saturating_sub(self.last.load(Ordering::Relaxed)))
    }

    /// Whether no other thread has been asked since then to run what comes first.
    pub(crate) fn is_first_to_ask(&self, committed: usize) -> bool {
        let seen = self.rescued.load(Ordering::Relaxed);
        seen != committed + 1
            && self.rescued.compare_exchange(seen, committed + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}
