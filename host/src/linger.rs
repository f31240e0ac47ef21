//! What a block leaves behind, dropped by a thread of the pool, which lends a hand meanwhile. It is awake as long as that takes; to wake
//! one takes longer than what there often is to help with.

use rayon::ThreadPool;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Things to drop; one goes each time that it is asked.
pub(crate) type Leavings = Box<dyn Iterator<Item = ()> + Send>;

/// Things that are dropped before it is looked whether a hand is wanted.
const CHUNK: usize = 64;

#[derive(Debug, Default)]
struct Inner {
    /// Threads that drop something, and help nobody.
    awake: AtomicUsize,
    /// Who wants a hand.
    wanted: AtomicUsize,
}

/// Threads that drop what blocks have left.
#[derive(Clone, Debug, Default)]
pub(crate) struct Linger(Arc<Inner>);

/// A thread is about to spawn work on the pool, and nothing is dropped until it is done.
pub(crate) struct Wanted<'l>(&'l Inner);

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.0.wanted.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Linger {
    /// Has a thread of the pool drop these.
    pub(crate) fn leave(&self, pool: &ThreadPool, left: Vec<Leavings>) {
        if left.is_empty() {
            return;
        }
        let inner = self.0.clone();
        pool.spawn(move || {
            inner.awake.fetch_add(1, Ordering::AcqRel);
            let mut left = left.into_iter().flatten();
            while left.by_ref().take(CHUNK).count() == CHUNK {
                inner.help();
            }
            inner.awake.fetch_sub(1, Ordering::AcqRel);
        });
    }

    /// Calls for the threads that are awake, which are so many.
    ///
    /// What is spawned may have to wait for what others have spawned on the pool before, as anything on it may.
    pub(crate) fn call(&self) -> (Option<Wanted<'_>>, usize) {
        self.0.wanted.fetch_add(1, Ordering::AcqRel);
        (Some(Wanted(&self.0)), self.0.awake.load(Ordering::Acquire))
    }
}

impl Inner {
    /// Runs what others have spawned, as long as anybody wants a hand.
    fn help(&self) {
        // It may take long, and nobody else is to wait for that.
        self.awake.fetch_sub(1, Ordering::AcqRel);
        while self.wanted.load(Ordering::Acquire) > 0 {
            rayon::yield_now();
            std::hint::spin_loop();
        }
        self.awake.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{atomic::AtomicBool, mpsc};

    #[test]
    fn who_drops_lends_a_hand() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let (linger, helped) = (Linger::default(), Arc::new(AtomicBool::new(false)));
        assert_eq!(linger.call().1, 0);
        // More than there is time for, until it has helped.
        let until = helped.clone();
        let left = std::iter::from_fn(move || (!until.load(Ordering::Acquire)).then_some(()));
        let (all, gone) = mpsc::channel();
        linger.leave(&pool, vec![Box::new(left), Box::new(std::iter::once(()).map(move |()| all.send(()).unwrap()))]);
        let wanted = loop {
            let (wanted, awake) = linger.call();
            if awake == 1 {
                break wanted;
            }
            drop(wanted);
            std::thread::yield_now();
        };
        pool.in_place_scope(|scope| scope.spawn(|_| helped.store(true, Ordering::Release)));
        assert!(gone.try_recv().is_err(), "nothing goes while it helps");
        drop(wanted);
        gone.recv().unwrap();
    }
}
