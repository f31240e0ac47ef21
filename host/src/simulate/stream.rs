//! Work on CPU threads alone: taken in blocks by whichever thread is free, the caller's among them while no answers are to be
//! given out, and answers put in order again. Nobody waits for a whole chunk, and a thread keeps its revm, with what that has
//! read, for as long as there is work.

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

/// Blocks after which what is done is counted for those who look on.
const COUNTED: usize = 64;

/// Bytes of answers that wait to be given out, beyond which no block is begun; and of a block's calls, and of its answers as far as
/// those before it tell.
const HELD_BYTES: usize = 64 << 20;
pub(super) const BLOCK_BYTES: usize = 4 << 20;

/// A block that is done.
struct Done<T, R> {
    results: Vec<R>,
    /// Of the results.
    bytes: usize,
    /// The work, for the caller to drop, who has made it: an allocator is fastest, and waits for no other thread, where memory
    /// goes back to the thread that it came from.
    work: Vec<T>,
}

/// Blocks to do and blocks done, by number.
struct Queue<T, R> {
    waiting: VecDeque<(usize, Vec<T>)>,
    done: BTreeMap<usize, Done<T, R>>,
    /// Bytes of those done.
    held: usize,
    /// Threads of the pool at work. One that finds nothing to do ends, and is started anew for the next block: the pool is for others too.
    active: usize,
    /// A thread has panicked: its block will never be done.
    failed: bool,
}

impl<T, R> Queue<T, R> {
    /// Blocks are begun in order, so that the one that is waited for is done or under way.
    fn begin(&mut self) -> Option<(usize, Vec<T>)> {
        if self.held <= HELD_BYTES { self.waiting.pop_front() } else { None }
    }
}

/// What the caller has to do.
enum Turn<T, R> {
    /// To give out results.
    Give(Done<T, R>),
    /// To run a block.
    Run(usize, Vec<T>),
    /// Nothing: a thread has panicked.
    Failed,
}

struct Shared<T, R> {
    queue: Mutex<Queue<T, R>>,
    news: Condvar,
}

impl<T, R> Shared<T, R> {
    fn queue(&self) -> MutexGuard<'_, Queue<T, R>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next block; with none left, or as much done as may wait, the thread is no more at work.
    fn next(&self) -> Option<(usize, Vec<T>)> {
        let mut queue = self.queue();
        let block = queue.begin();
        queue.active -= usize::from(block.is_none());
        block
    }

    /// Whether a thread more is to start.
    fn starts(&self, threads: usize) -> bool {
        let mut queue = self.queue();
        let starts = queue.active < threads && !queue.waiting.is_empty() && queue.held <= HELD_BYTES;
        queue.active += usize::from(starts);
        starts
    }

    fn done(&self, number: usize, done: Done<T, R>) {
        let mut queue = self.queue();
        queue.held += done.bytes;
        queue.done.insert(number, done);
        drop(queue);
        self.news.notify_one();
    }

    /// What the caller, who is to give out this block, does next. It waits only where others do all that there is to do.
    fn turn(&self, number: usize) -> Turn<T, R> {
        let mut queue = self.queue();
        loop {
            if let Some(done) = queue.done.remove(&number) {
                queue.held -= done.bytes;
                return Turn::Give(done);
            }
            if queue.failed {
                return Turn::Failed;
            }
            if let Some((number, block)) = queue.begin() {
                return Turn::Run(number, block);
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
        run: impl Fn(&mut Cpu<'a>, &[T]) -> Vec<R> + Sync,
        give: &mut impl FnMut(R, &mut Summary) -> ControlFlow<()>,
    ) {
        let queue = Queue { waiting: VecDeque::new(), done: BTreeMap::new(), held: 0, active: 0, failed: false };
        let shared = Shared { queue: Mutex::new(queue), news: Condvar::new() };
        let run = |cpu: &mut Cpu<'a>, number, work: Vec<T>| {
            let results = if self.is_stopped() { Vec::new() } else { run(cpu, &work) };
            let bytes = results.iter().map(&bytes).sum();
            shared.done(number, Done { results, bytes, work });
        };
        let work = || {
            let _alarm = Alarm(&shared);
            // revm cannot be sent to another thread, so it lives no longer than this.
            let mut cpu = self.cpu();
            while let Some((number, block)) = shared.next() {
                run(&mut cpu, number, block);
            }
            self.merge_edges(&mut cpu);
        };
        let (shared, work) = (&shared, &work);
        let threads = self.pool.current_num_threads();
        let mut cpu = self.cpu();
        self.pool.in_place_scope(|scope| {
            let (mut next, mut given, mut size) = (0, 0, 8);
            let start = || {
                // The caller is one of the threads.
                while shared.starts(threads - 1) {
                    scope.spawn(move |_| work());
                }
            };
            let mut more = true;
            loop {
                while more && next - given < AHEAD * threads {
                    let block = take(size, BLOCK_BYTES);
                    more = !block.is_empty();
                    if more {
                        shared.queue().waiting.push_back((next, block));
                        next += 1;
                    }
                    start();
                }
                if given == next {
                    return;
                }
                let Done { results, bytes, work } = match shared.turn(given) {
                    Turn::Give(done) => done,
                    Turn::Run(number, block) => {
                        run(&mut cpu, number, block);
                        continue;
                    }
                    // The scope tells.
                    Turn::Failed => return,
                };
                given += 1;
                if given.is_multiple_of(COUNTED) {
                    self.count();
                }
                if self.is_stopped() {
                    summary.cancelled = true;
                    return;
                }
                start();
                drop(work);
                let each = bytes / results.len().max(1);
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
        self.merge_edges(&mut cpu);
    }
}
