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

/// Bytes of answers that wait to be given out, beyond which no block is begun; and of a block's calls, and of its answers as far as
/// those before it tell.
const HELD_BYTES: usize = 64 << 20;
pub(super) const BLOCK_BYTES: usize = 4 << 20;

/// Blocks to do and blocks done, by number.
struct Queue<T, R> {
    todo: VecDeque<(usize, Vec<T>)>,
    done: BTreeMap<usize, (Vec<R>, usize)>,
    /// Bytes of those done.
    held: usize,
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

    /// The next block; with none left, or as much done as may wait, the thread is no more at work. Blocks are begun in order,
    /// so that the one that is waited for is done or under way.
    fn next(&self) -> Option<(usize, Vec<T>)> {
        let mut queue = self.queue();
        let block = if queue.held <= HELD_BYTES { queue.todo.pop_front() } else { None };
        queue.active -= usize::from(block.is_none());
        block
    }

    /// Whether a thread more is to start.
    fn starts(&self, threads: usize) -> bool {
        let mut queue = self.queue();
        let starts = queue.active < threads && !queue.todo.is_empty() && queue.held <= HELD_BYTES;
        queue.active += usize::from(starts);
        starts
    }

    fn done(&self, number: usize, results: Vec<R>, bytes: usize) {
        let mut queue = self.queue();
        queue.held += bytes;
        queue.done.insert(number, (results, bytes));
        drop(queue);
        self.news.notify_one();
    }

    /// The results of a block and their bytes, once they are there; `None` where a thread has panicked.
    fn wait(&self, number: usize) -> Option<(Vec<R>, usize)> {
        let mut queue = self.queue();
        loop {
            if let Some(results) = queue.done.remove(&number) {
                queue.held -= results.1;
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
        mut take: impl FnMut(usize, usize) -> Vec<T>,
        bytes: impl Fn(&R) -> usize + Sync,
        run: impl Fn(&mut Cpu<'a>, Vec<T>) -> Vec<R> + Sync,
        give: &mut impl FnMut(R, &mut Summary) -> ControlFlow<()>,
    ) {
        let queue = Queue { todo: VecDeque::new(), done: BTreeMap::new(), held: 0, active: 0, failed: false };
        let shared = Shared { queue: Mutex::new(queue), news: Condvar::new() };
        let work = || {
            let _alarm = Alarm(&shared);
            // revm cannot be sent to another thread, so it lives no longer than this.
            let mut cpu = self.cpu();
            while let Some((number, block)) = shared.next() {
                let results = if self.is_stopped() { Vec::new() } else { run(&mut cpu, block) };
                let size = results.iter().map(&bytes).sum();
                shared.done(number, results, size);
            }
            self.merge_edges(&mut cpu);
        };
        let (shared, work) = (&shared, &work);
        let threads = self.pool.current_num_threads();
        self.pool.in_place_scope(|scope| {
            let (mut next, mut given, mut size) = (0, 0, 8);
            let mut more = true;
            loop {
                while more && next - given < AHEAD * threads {
                    let block = take(size, BLOCK_BYTES);
                    more = !block.is_empty();
                    if more {
                        shared.queue().todo.push_back((next, block));
                        next += 1;
                    }
                    if shared.starts(threads) {
                        scope.spawn(move |_| work());
                    }
                }
                if given == next {
                    return;
                }
                // Where a thread has panicked the scope tells.
                let Some((results, results_bytes)) = shared.wait(given) else { return };
                given += 1;
                if self.is_stopped() {
                    summary.cancelled = true;
                    return;
                }
                while shared.starts(threads) {
                    scope.spawn(move |_| work());
                }
                let each = results_bytes / results.len().max(1);
                size = (BLOCK_BYTES / each.max(1)).clamp(1, BLOCK);
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
