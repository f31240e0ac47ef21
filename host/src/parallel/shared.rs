//! What the threads of a block share.

use super::{
    Block, Interrupts, Progress, Schedule,
    division::Division,
    in_order::Begun,
    pace::Pace,
    queue::{Entry, Queue},
};
use crate::{
    block::BlockEnv,
    error::ExecuteError,
    evm::{BlockGas, Executed},
    forecast::{Call, Forecast, Names},
    report::Span,
    tx::Transaction,
};
use alloy_primitives::Address;
use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// How long a thread that has nothing to do looks for news before it runs what another one holds, or sleeps: about what it takes to be
/// woken.
const PATIENCE: Duration = Duration::from_micros(100);

/// The part of a block that is soon done again by one thread, from the beginning, when it should not have been divided: one in so many.
const EARLY: usize = 16;

/// Looks between two at the clock.
const SPINS: usize = 64;

/// What the threads share.
pub(super) struct Shared<'b> {
    pub(super) env: &'b BlockEnv,
    pub(super) txs: &'b [Transaction],
    pub(super) senders: &'b [Address],
    pub(super) names: Vec<Names>,
    /// What is known of the call of each transaction.
    pub(super) calls: &'b [Option<Call>],
    /// What each transaction will take.
    pub(super) costs: &'b [Duration],
    pub(super) schedule: Schedule,
    pub(super) interrupts: Option<&'b dyn Interrupts>,
    pub(super) queue: Mutex<Queue>,
    pub(super) news: Condvar,
    pub(super) progress: Arc<Progress>,
    /// How long others may wait for each transaction when it runs ahead of its turn.
    pub(super) patience: Vec<Duration>,
    /// Transactions that are watched, if they run ahead of their turn.
    pub(super) watches: Arc<[usize]>,
    /// How often each thread has looked for something to do.
    pub(super) turns: Vec<AtomicUsize>,
    /// Threads that may hold what was committed.
    pub(super) present: AtomicUsize,
    /// When the execution began, and what ran since then, of threads that are done.
    pub(super) begun: Instant,
    pub(super) timeline: Mutex<Vec<Span>>,
}

impl<'b> Shared<'b> {
    /// What so many threads share of a block, of which so much has run; `None` where one had better do it. What is `known` goes into it.
    pub(super) fn plan(
        block: &Block<'_, 'b>,
        from: usize,
        count: usize,
        schedule: Schedule,
        interrupts: Option<&'b dyn Interrupts>,
        known: &mut Forecast,
    ) -> Option<Self> {
        let Block { env, txs, senders, calls, costs, .. } = *block;
        let mut names: Vec<_> = txs.iter().zip(senders).map(|(tx, sender)| Names::of(tx, sender)).collect();
        known.expect(&mut names, txs, senders, calls);
        let division = Division::of(&names, costs, known, count)?;
        let patience = calls.iter().map(|call| Forecast::patience(call.as_ref())).collect();
        let watches = known.watches(txs, calls).into();
        let mut queue = Queue::new(txs.len(), count, std::mem::take(known), Pace::new(calls, costs));
        // The calling one is the first, and has what comes first.
        for (first, thread) in division.first.iter().zip((1..count).rev()) {
            queue.plan(first.iter().copied().filter(|index| *index >= from), thread, &names);
        }
        Some(Self {
            env,
            txs,
            senders,
            names,
            calls,
            costs,
            schedule,
            interrupts,
            queue: Mutex::new(queue),
            news: Condvar::new(),
            progress: Arc::new(Progress::new(count)),
            patience,
            watches,
            turns: (0..count).map(|_| AtomicUsize::new(0)).collect(),
            present: AtomicUsize::new(0),
            begun: block.begun,
            timeline: Mutex::default(),
        })
    }

    /// The calling thread has begun already.
    pub(super) fn begin(&self, begun: Begun) {
        let Begun { executed, gas, span } = begun;
        if executed.is_empty() {
            return;
        }
        let mut queue = self.queue();
        let expected = self.calls.iter().zip(self.costs);
        queue.pace.ran(expected.zip(&executed).map(|((call, cost), executed)| (call, *cost, executed.took)));
        self.progress.advance(executed.len());
        queue.begin(executed, gas);
        drop(queue);
        self.timeline.lock().unwrap_or_else(PoisonError::into_inner).push(span);
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn committed(&self) -> usize {
        self.progress.committed()
    }

    /// Nothing more is committed.
    pub(super) fn end(&self, error: Option<ExecuteError>) {
        let mut queue = self.queue();
        queue.error = queue.error.take().or(error);
        self.progress.advance(usize::MAX);
        drop(queue);
        self.news.notify_all();
    }

    /// Appends what a thread has committed: the transactions from the first that is not yet. Or ends it all, where one thread had
    /// better begin anew.
    pub(super) fn publish(&self, thread: usize, by: usize, executed: Vec<Executed>, gas: BlockGas) {
        let mut queue = self.queue();
        queue.gas = gas;
        let first = self.committed();
        if first == usize::MAX {
            return;
        }
        let committed = first + executed.len();
        let expected = self.calls[first..committed].iter().zip(&self.costs[first..committed]);
        queue.pace.ran(expected.zip(&executed).map(|((call, cost), executed)| (call, *cost, executed.took)));
        let behind = queue.is_behind(self.progress.done());
        // Later too much has run ahead.
        let pays = 2 * committed > self.txs.len() || queue.pace.pays(self.turns.len(), self.schedule.handover);
        let abandons = match self.interrupts {
            Some(interrupts) => interrupts.abandons(thread),
            None => !pays && committed * EARLY < self.txs.len(),
        };
        if abandons {
            queue.abandoned = true;
            self.progress.advance(usize::MAX);
            drop(queue);
            return self.news.notify_all();
        }
        if (behind || !pays) && self.interrupts.is_none() {
            queue.alone.get_or_insert(thread);
        }
        queue.log.push(Arc::new(Entry { by, first, executed }));
        self.progress.advance(committed);
        let wakes = queue.sleeping > 0 || committed == self.txs.len();
        drop(queue);
        if wakes {
            self.news.notify_all();
        }
    }

    /// Looks for a while whether more is committed than `known`, and says whether it is.
    pub(super) fn look(&self, known: usize, thread: usize) -> bool {
        if self.interrupts.is_some_and(|interrupts| !interrupts.is_patient(thread)) {
            return self.committed() != known;
        }
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            for _ in 0..SPINS {
                if self.committed() != known {
                    return true;
                }
                std::hint::spin_loop();
            }
        }
        false
    }

    /// Waits until more is committed than `known`, or one thread does the rest.
    pub(super) fn sleep(&self, known: usize, thread: usize) {
        if let Some(interrupts) = self.interrupts.filter(|interrupts| interrupts.decide()) {
            while self.committed() == known && self.queue().alone.is_none() {
                interrupts.at(thread, true);
            }
            return;
        }
        let mut queue = self.queue();
        queue.sleeping += 1;
        while self.committed() == known && queue.alone.is_none() {
            queue = self.news.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.sleeping -= 1;
    }

    /// Waits until the block is done.
    pub(super) fn wait_for_all(&self, thread: usize) {
        if let Some(interrupts) = self.interrupts.filter(|interrupts| interrupts.decide()) {
            while self.committed() < self.txs.len() {
                interrupts.at(thread, true);
            }
            return;
        }
        let mut queue = self.queue();
        while self.committed() < self.txs.len() {
            queue = self.news.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until no other thread holds what was committed. One that begins later finds nothing.
    pub(super) fn wait_for_others(&self, thread: usize) {
        while self.present.load(Ordering::Acquire) > 0 {
            match self.interrupts {
                Some(interrupts) => interrupts.at(thread, true),
                None => std::thread::yield_now(),
            }
        }
    }

    /// A thread is about to meet others.
    pub(super) fn pause(&self, thread: usize) {
        if let Some(interrupts) = self.interrupts {
            interrupts.at(thread, false);
        }
    }
}

/// That a thread has a part in the block. Ends the block if it panics.
pub(super) struct Presence<'s, 'b> {
    shared: &'s Shared<'b>,
    number: usize,
    left: bool,
}

impl<'s, 'b> Presence<'s, 'b> {
    pub(super) fn new(shared: &'s Shared<'b>, number: usize) -> Self {
        shared.present.fetch_add(1, Ordering::AcqRel);
        Self { shared, number, left: false }
    }

    /// It holds nothing any more of what was committed.
    pub(super) fn leave(&mut self) {
        if !std::mem::replace(&mut self.left, true) {
            self.shared.present.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Presence<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.end(None);
        }
        self.leave();
        if let Some(interrupts) = self.shared.interrupts {
            interrupts.ends(self.number);
        }
    }
}
