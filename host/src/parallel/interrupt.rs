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
}

/// Lets each thread wait at random.
pub(super) struct Delays(Vec<AtomicU64>);

impl Delays {
    pub(super) fn new(seed: u64, threads: usize) -> Self {
        Self((0..threads as u64).map(|number| splitmix(&mut (seed ^ number)).into()).collect())
    }
}

impl Interrupts for Delays {
    fn at(&self, thread: usize, waits: bool) {
        let mut random = self.0[thread].load(Ordering::Relaxed);
        let next = splitmix(&mut random);
        self.0[thread].store(random, Ordering::Relaxed);
        match next % 8 {
            0 => std::thread::sleep(Duration::from_nanos(next >> 48)),
            1..3 => std::thread::yield_now(),
            _ if waits => std::thread::yield_now(),
            _ => {}
        }
    }
}
