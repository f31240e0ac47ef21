//! Work on CPU threads alone: taken in blocks by whichever thread is free, answers put in order again. Nobody waits for a
//! whole chunk, and a thread keeps its revm, with what that has read, for as long as there is work.

use super::{Summary, cpu::Cpu, run::Simulator};
use std::{
    collections::{BTreeMap, VecDeque},
    ops::ControlFlow,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// Calls of a block.
pub(super) const BLOCK: usize = 64;

/// Blocks under way for each thread.
const AHEAD: usize = 16;

/// Bytes that answers under way may come to, as far as those before them tell.
const AHEAD_BYTES: usize = 64 << 20;

/// Blocks to do and blocks done, by number.
struct Queue<T, R> {
    todo: VecDeque<(usize, Vec<T>)>,
    done: BTreeMap<usize, Vec<R>>,
    /// Threads at work. One that finds nothing to do ends, and is started anew for the next block: the pool is for others too.
    active: usize,
    /// A thread has panicked: its block will never be done.
    failed: bool,
}

struct Shared<T, R> {
    queue: Mutex<Queue<T, R>>,
    news: Condvar,
}

impl<T, R> Shared<T, R> {
    fn queue(&self) -> MutexGuard<'_, Queue<T, R>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next block; with none left the thread is no more at work.
    fn next(&self) -> Option<(usize, Vec<T>)> {
        let mut queue = self.queue();
        let block = queue.todo.pop_front();
        queue.active -= usize::from(block.is_none());
        block
    }

    fn done(&self, number: usize, results: Vec<R>) {
        self.queue().done.insert(number, results);
        self.news.notify_one();
    }

    /// The results of a block, once they are there; `None` where a thread has panicked.
    fn wait(&self, number: usize) -> Option<Vec<R>> {
        let mut queue = self.queue();
        loop {
            if let Some(results) = queue.done.remove(&number) {
                return Some(results);
            }
            if queue.failed {
                return None;
            }
            queue = self.news.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Tells whoever waits if its thread panics.
struct Alarm<'s, T, R>(&'s Shared<T, R>);

impl<T, R> Drop for Alarm<'_, T, R> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.queue().failed = true;
            self.0.news.notify_one();
        }
    }
}

impl<'a> Simulator<'a> {
    /// Runs blocks as `take` gives them, until one is empty, and gives out their results in order. A block may come back
    /// shorter than it was only if the simulation is stopped; then nothing more is given out.
    pub(super) fn stream<T: Send, R: Send>(
        &self,
        summary: &mut Summary,
        mut take: impl FnMut(usize) -> Vec<T>,
        bytes: impl Fn(&R) -> usize,
        run: impl Fn(&mut Cpu<'a>, Vec<T>) -> Vec<R> + Sync,
        give: &mut impl FnMut(R, &mut Summary) -> ControlFlow<()>,
    ) {
        let queue = Queue { todo: VecDeque::new(), done: BTreeMap::new(), active: 0, failed: false };
        let shared = Shared { queue: Mutex::new(queue), news: Condvar::new() };
        let work = || {
            let _alarm = Alarm(&shared);
            // revm cannot be sent to another thread, so it lives no longer than this.
            let mut cpu = Cpu::new(self.base.clone());
            while let Some((number, block)) = shared.next() {
                let results = if self.is_stopped() { Vec::new() } else { run(&mut cpu, block) };
                shared.done(number, results);
            }
            self.merge_edges(&mut cpu);
        };
        let (shared, work) = (&shared, &work);
        let threads = self.pool.current_num_threads();
        self.pool.in_place_scope(|scope| {
            let (mut next, mut given, mut ahead) = (0, 0, AHEAD * threads);
            let mut more = true;
            loop {
                while more && next - given < ahead {
                    let block = take(BLOCK);
                    more = !block.is_empty();
                    if more {
                        let mut queue = shared.queue();
                        queue.todo.push_back((next, block));
                        let starts = queue.active < threads;
                        queue.active += usize::from(starts);
                        drop(queue);
                        if starts {
                            scope.spawn(move |_| work());
                        }
                        next += 1;
                    }
                }
                if given == next {
                    return;
                }
                // Where a thread has panicked the scope tells.
                let Some(results) = shared.wait(given) else { return };
                given += 1;
                if self.is_stopped() {
                    summary.cancelled = true;
                    return;
                }
                let size: usize = results.iter().map(&bytes).sum();
                ahead = (AHEAD_BYTES / size.max(1)).clamp(2 * threads, AHEAD * threads);
                for result in results {
                    if give(result, summary).is_break() {
                        summary.cancelled = true;
                        self.stop();
                        return;
                    }
                }
            }
        });
    }
}
