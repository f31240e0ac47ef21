//! Where the threads of a block may be interrupted: wherever they are about to meet others. For tests.

use crate::random::splitmix;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// What happens to threads where they are about to meet others.
pub(crate) trait Interrupts: Sync {
    /// A thread is about to meet others. Where it `waits`, it has nothing to do until another one has done something.
    fn at(&self, thread: usize, waits: bool);

    /// A thread is done.
    fn ends(&self, _thread: usize) {}

    /// Whether this decides which thread goes on. If so, nobody sleeps anywhere else.
    fn decide(&self) -> bool {
        false
    }

    /// Whether a thread that has nothing to do looks for news before it runs what another one holds.
    fn is_patient(&self, _thread: usize) -> bool {
        true
    }

    /// Whether a thread that has committed something finds that one thread had better do all, from the beginning.
    fn abandons(&self, _thread: usize) -> bool {
        false
    }

    /// Whether one thread does the rest after so many conflicts. Where threads are interrupted, the clock does not tell.
    fn gives_up(&self, _conflicts: u64) -> bool {
        false
    }
}

/// Lets each thread wait at random.
pub(super) struct Delays {
    threads: Vec<AtomicU64>,
    /// After so many conflicts one thread does the rest.
    most: u64,
}

impl Delays {
    pub(super) fn new(seed: u64, threads: usize) -> Self {
        let most = splitmix(&mut { seed }) % 64;
        Self { threads: (0..threads as u64).map(|number| splitmix(&mut (seed ^ number)).into()).collect(), most }
    }

    fn next(&self, thread: usize) -> u64 {
        let mut random = self.threads[thread].load(Ordering::Relaxed);
        let next = splitmix(&mut random);
        self.threads[thread].store(random, Ordering::Relaxed);
        next
    }
}

impl Interrupts for Delays {
    fn at(&self, thread: usize, waits: bool) {
        let next = self.next(thread);
        match next % 8 {
            0 => std::thread::sleep(Duration::from_nanos(next >> 48)),
            1..3 => std::thread::yield_now(),
            _ if waits => std::thread::yield_now(),
            _ => {}
        }
    }

    fn is_patient(&self, thread: usize) -> bool {
        self.next(thread).is_multiple_of(4)
    }

    fn abandons(&self, thread: usize) -> bool {
        self.next(thread).is_multiple_of(512)
    }

    fn gives_up(&self, conflicts: u64) -> bool {
        conflicts > self.most
    }
}
