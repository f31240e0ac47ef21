//! How far a block is, for those that must not ask the queue.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

/// When a thread began that runs nothing.
const IDLE: u64 = u64::MAX;

/// How far a block is.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Transactions that are committed; more than there are where the block has ended early.
    committed: AtomicUsize,
    begun: Instant,
    /// Nanoseconds from then to the last commit.
    last: AtomicU64,
    /// Nanoseconds that one thread would have taken for what has run and is not known to be stale.
    done: AtomicU64,
    /// Nanoseconds from the beginning to that of what each thread runs.
    running: Vec<AtomicU64>,
    /// What was committed, and one more, when a thread was last asked to run what comes first.
    rescued: AtomicUsize,
}

impl Default for Progress {
    /// Of nobody.
    fn default() -> Self {
        Self::new(0)
    }
}

impl Progress {
    pub(super) fn new(threads: usize) -> Self {
        Self {
            committed: AtomicUsize::new(0),
            begun: Instant::now(),
            last: AtomicU64::new(0),
            done: AtomicU64::new(0),
            running: (0..threads).map(|_| AtomicU64::new(IDLE)).collect(),
            rescued: AtomicUsize::new(0),
        }
    }

    pub(crate) fn committed(&self) -> usize {
        self.committed.load(Ordering::Acquire)
    }

    pub(super) fn advance(&self, committed: usize) {
        self.last.store(nanos(self.begun.elapsed()), Ordering::Relaxed);
        self.committed.store(committed, Ordering::Release);
    }

    /// What one thread would have taken for what has run, and runs, and is not known to be stale.
    pub(super) fn done(&self) -> Duration {
        let now = nanos(self.begun.elapsed());
        let running = self.running.iter().map(|since| now.saturating_sub(since.load(Ordering::Relaxed)));
        Duration::from_nanos(running.fold(self.done.load(Ordering::Relaxed), u64::saturating_add))
    }

    /// A thread begins to run something, or ends.
    pub(super) fn runs(&self, thread: usize, runs: bool) {
        self.running[thread].store(if runs { nanos(self.begun.elapsed()) } else { IDLE }, Ordering::Relaxed);
    }

    /// Something has run that would have taken one thread so long.
    pub(super) fn add(&self, took: Duration) {
        self.done.fetch_add(nanos(took), Ordering::Relaxed);
    }

    /// It must run again.
    pub(super) fn take(&self, took: Duration) {
        let less = |done: u64| Some(done.saturating_sub(nanos(took)));
        // It never fails.
        let _ = self.done.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// How long nothing was committed.
    pub(crate) fn stands_still(&self) -> Duration {
        self.begun.elapsed().saturating_sub(Duration::from_nanos(self.last.load(Ordering::Relaxed)))
    }

    /// Whether no other thread has been asked since then to run what comes first.
    pub(crate) fn is_first_to_ask(&self, committed: usize) -> bool {
        let seen = self.rescued.load(Ordering::Relaxed);
        seen != committed + 1
            && self.rescued.compare_exchange(seen, committed + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

pub(super) fn nanos(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}
