//! The pipeline of a simulation: calls in, answers in order out. With a device in chunks, one of which runs while the answers
//! to the one before are given out.

use super::{
    Answer, Call, CallResult, IntoCall, Options, Sequence, StateOverrides, Summary, Wants,
    balance::Balance,
    cpu::{self, Cpu},
    place::Place,
    stream::{BLOCK, BLOCK_BYTES},
};
use crate::{
    context::Context,
    coverage::{Coverage, CoverageMode},
    error::TxError,
    lanes::{Lanes, Runner},
    metrics::{self, Simulated},
    report::ExecutionReport,
    router::Route,
};
use alloy_primitives::map::{HashMap, HashSet};
use rayon::{ThreadPool, prelude::*};
use std::{
    ops::ControlFlow,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::sync_channel,
    },
    time::Instant,
};

/// Calls of the first chunk and of the largest; between them they double, so that the first answers come soon.
const FIRST_CHUNK: usize = 256;
const CHUNK: usize = 16_384;

/// Bytes of calldata and overrides beyond which a chunk takes no more calls, and of answers that it is to stay below.
const CHUNK_BYTES: usize = 32 << 20;

/// Calls up to which the calling thread does them itself.
const INLINE: usize = 16;

/// Everything that a simulation needs, for as long as it runs.
#[derive(Debug)]
pub(crate) struct Simulator<'a> {
    pub(super) pool: &'a ThreadPool,
    pub(super) base: Place<'a>,
    pub(super) options: &'a Options,
    pub(super) totals: Mutex<Totals>,
    device: Option<Device<'a>>,
    /// The reader has had enough.
    stopped: Arc<AtomicBool>,
}

/// A device to simulate on.
#[derive(Debug)]
pub(super) struct Device<'a> {
    /// What is kept on it from chunk to chunk.
    pub(super) runner: Mutex<Runner<'a>>,
    /// Where the CPU has a part of each chunk; else the device has all.
    pub(super) shared: Option<Shared<'a>>,
}

/// How chunks are divided between the CPU and a device.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    pub(super) balance: Mutex<Balance>,
    /// What drives the device while the CPU's threads are busy.
    pub(super) beside: &'a ThreadPool,
}

/// What is summed up while chunks run.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) report: ExecutionReport,
    /// Calls whose lane and revm differed, where both ran.
    pub(super) differences: u64,
    pub(super) coverage: Coverage,
    counted: Simulated,
}

/// Calls, and where each runs.
#[derive(Debug)]
pub(super) struct Chunk<'a, 'c> {
    pub(super) calls: &'c [Result<Call, TxError>],
    /// The place of each; the base is the first.
    pub(super) at: Vec<usize>,
    pub(super) places: Vec<Result<Place<'a>, TxError>>,
}

/// Counts an answer that is given out.
fn count(answer: &Answer, wants: Wants, summary: &mut Summary) {
    summary.calls += 1;
    summary.errors += u64::from(answer.is_err());
    if wants.merged_coverage
        && let Some(edges) = answer.as_ref().ok().and_then(|result| result.coverage.as_ref())
    {
        summary.coverage.get_or_insert_default().merge(edges);
    }
}

/// Takes items until they are so many calls, or of more bytes than a chunk may have. An item weighs calls and bytes.
fn take<T>(
    items: &mut impl Iterator<Item = T>,
    calls: usize,
    most: usize,
    mut weight: impl FnMut(&T) -> (usize, usize),
) -> Vec<T> {
    let (mut taken, mut left, mut bytes) = (Vec::new(), calls, 0);
    while left > 0 && bytes < most {
        let Some(item) = items.next() else { break };
        let (item_calls, item_bytes) = weight(&item);
        left = left.saturating_sub(item_calls.max(1));
        bytes += item_bytes;
        taken.push(item);
    }
    taken
}

/// Overrides that a chunk holds already.
type Known = HashSet<*const StateOverrides>;

/// Bytes that a call adds to a chunk, more or less.
fn added_bytes(call: &Call, known: &mut Known) -> usize {
    let state = call.state.as_ref().filter(|overrides| known.insert(Arc::as_ptr(overrides)));
    call.bytes() + state.map_or(0, |overrides| overrides.bytes())
}

impl<'a> Simulator<'a> {
    pub(crate) fn new(
        pool: &'a ThreadPool,
        lanes: Option<Lanes<'a>>,
        shared: Option<(Route, &'a ThreadPool)>,
        base: &Context<'a>,
        options: &'a Options,
    ) -> Self {
        let shared = shared.map(|(route, beside)| Shared { balance: Mutex::new(Balance::new(route)), beside });
        let coverage = match options.wants {
            Wants { coverage: true, .. } => CoverageMode::Each,
            Wants { merged_coverage: true, .. } => CoverageMode::Merged,
            _ => CoverageMode::Off,
        };
        let device = lanes.map(|lanes| Device {
            runner: Mutex::new(Runner::new(lanes, base.env.fork).keeping(options.wants.access_list, coverage)),
            shared,
        });
        Self { pool, base: Place::base(base), options, totals: Mutex::default(), device, stopped: Arc::default() }
    }

    /// For a thread.
    pub(super) fn cpu(&self) -> Cpu<'a> {
        Cpu::new(self.base.clone(), vec![Arc::clone(&self.stopped), self.options.progress.flag()])
    }

    /// Whether nobody waits for answers any more.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || self.options.progress.is_cancelled()
    }

    /// Nobody does from now on.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Answers calls.
    pub(crate) fn calls<I: IntoIterator<Item: IntoCall>>(
        self,
        calls: I,
        mut sink: impl FnMut(usize, Answer) -> ControlFlow<()>,
    ) -> Summary {
        let mut calls = calls.into_iter().map(IntoCall::into_call);
        let mut summary = Summary::default();
        let mut next = 0;
        let mut give = |answer: Answer, summary: &mut Summary| {
            count(&answer, self.options.wants, summary);
            next += 1;
            sink(next - 1, answer)
        };
        self.all(
            &mut summary,
            |count, most| {
                let mut known = Known::default();
                take(&mut calls, count, most, |call| (1, call.as_ref().map_or(0, |call| added_bytes(call, &mut known))))
            },
            |answer| answer.as_ref().map_or(0, CallResult::bytes),
            |cpu, calls| self.block(cpu, &self.placed(calls)),
            |calls, device| self.chunk_with_device(&self.placed(&calls), device),
            &mut give,
        );
        self.sum(summary)
    }

    /// Answers sequences.
    pub(crate) fn sequences<I: IntoIterator<Item = Sequence>>(
        self,
        sequences: I,
        mut sink: impl FnMut(usize, Vec<Answer>) -> ControlFlow<()>,
    ) -> Summary {
        let mut sequences = sequences.into_iter();
        let mut summary = Summary::default();
        let mut next = 0;
        let mut give = |answers: Vec<Answer>, summary: &mut Summary| {
            answers.iter().for_each(|answer| count(answer, self.options.wants, summary));
            next += 1;
            sink(next - 1, answers)
        };
        self.all(
            &mut summary,
            |count, most| {
                let mut known = Known::default();
                take(&mut sequences, count, most, |sequence: &Sequence| {
                    (sequence.calls.len(), sequence.calls.iter().map(|call| added_bytes(call, &mut known)).sum())
                })
            },
            |answers| answers.iter().flatten().map(CallResult::bytes).sum(),
            |cpu, sequences| self.sequence_block(cpu, sequences),
            |sequences: Vec<Sequence>, device| self.sequences_with_device(&sequences, device),
            &mut give,
        );
        self.sum(summary)
    }

    fn sum(self, summary: Summary) -> Summary {
        let Totals { mut report, differences, mut coverage, mut counted } =
            self.totals.into_inner().unwrap_or_else(PoisonError::into_inner);
        for edges in [report.coverage.take(), summary.coverage].into_iter().flatten() {
            coverage.merge(&edges);
        }
        counted.count(&report);
        metrics::simulated(report.time.total);
        let coverage = self.options.wants.merged_coverage.then(|| Box::new(coverage));
        Summary { coverage, report, differences, ..summary }
    }

    /// Runs all that `take` gives: a few on the calling thread, many on the CPU's threads or with a device.
    fn all<T: Send, R: Send>(
        &self,
        summary: &mut Summary,
        mut take: impl FnMut(usize, usize) -> Vec<T>,
        bytes: impl Fn(&R) -> usize + Sync,
        on_cpu: impl Fn(&mut Cpu<'a>, &[T]) -> Vec<R> + Sync,
        with_device: impl Fn(Vec<T>, &Device<'a>) -> Vec<R> + Sync,
        give: &mut impl FnMut(R, &mut Summary) -> ControlFlow<()>,
    ) {
        let start = Instant::now();
        match &self.device {
            Some(device) if device.shared.is_none() => {
                self.chunks(summary, Vec::new(), take, bytes, |work| with_device(work, device), give);
            }
            device => {
                let mut first = take(INLINE, BLOCK_BYTES);
                let mut second = take(BLOCK - INLINE, BLOCK_BYTES);
                let all = second.is_empty();
                first.append(&mut second);
                if all {
                    self.few(summary, &first, on_cpu, give);
                } else if let Some(device) = device {
                    self.chunks(summary, first, take, bytes, |work| with_device(work, device), give);
                } else {
                    let mut first = Some(first);
                    self.stream(
                        summary,
                        |count, most| first.take().unwrap_or_else(|| take(count, most)),
                        bytes,
                        on_cpu,
                        give,
                    );
                }
            }
        }
        self.totals().report.time.total = start.elapsed();
    }

    /// Runs what is not worth a thread.
    fn few<T, R>(
        &self,
        summary: &mut Summary,
        work: &[T],
        on_cpu: impl Fn(&mut Cpu<'a>, &[T]) -> Vec<R>,
        give: &mut impl FnMut(R, &mut Summary) -> ControlFlow<()>,
    ) {
        let mut cpu = self.cpu();
        let results = on_cpu(&mut cpu, work);
        self.merge_edges(&mut cpu);
        summary.cancelled = self.is_stopped();
        if !summary.cancelled {
            summary.cancelled = results.into_iter().any(|result| give(result, summary).is_break());
        }
    }

    /// Runs chunk after chunk, and gives out the answers to one while the next runs.
    fn chunks<T: Send, R: Send>(
        &self,
        summary: &mut Summary,
        first: Vec<T>,
        mut take: impl FnMut(usize, usize) -> Vec<T>,
        bytes: impl Fn(&R) -> usize + Sync,
        run: impl Fn(Vec<T>) -> Vec<R> + Sync,
        give: &mut impl FnMut(R, &mut Summary) -> ControlFlow<()>,
    ) {
        let run = &run;
        self.pool.in_place_scope(|scope| {
            let (mut chunk, mut size) = (first, FIRST_CHUNK);
            chunk.append(&mut take(size, CHUNK_BYTES));
            let mut answers = Vec::new();
            loop {
                let running = (!chunk.is_empty()).then(|| {
                    let (sender, receiver) = sync_channel(1);
                    let work = std::mem::take(&mut chunk);
                    // Nobody waits any more if this fails.
                    scope.spawn(move |_| drop(sender.send(run(work))));
                    receiver
                });
                if running.is_some() {
                    // As large as the answers are, or will be by those of the chunk before.
                    let each = answers.iter().map(&bytes).sum::<usize>() / answers.len().max(1);
                    // Before there are any, no larger.
                    let grown = if answers.is_empty() { size } else { 2 * size };
                    size = grown.min(CHUNK).min(CHUNK_BYTES / each.max(1)).max(1);
                    chunk = take(size, CHUNK_BYTES);
                }
                for answer in std::mem::take(&mut answers) {
                    if give(answer, summary).is_break() {
                        self.stop();
                        break;
                    }
                }
                let Some(running) = running else { break };
                // There is no answer where the work panicked: the scope tells.
                let Ok(next) = running.recv() else { break };
                self.count();
                answers = next;
                if self.is_stopped() {
                    break;
                }
            }
        });
        summary.cancelled = self.is_stopped();
    }

    /// Finds each call's place; calls with the same overrides share one.
    fn placed<'c>(&self, calls: &'c [Result<Call, TxError>]) -> Chunk<'a, 'c> {
        let mut known: HashMap<(usize, usize), usize> = HashMap::default();
        let mut first = Vec::new();
        let pointer = |call: &Call| {
            let state = call.state.as_ref().map_or(0, |overrides| Arc::as_ptr(overrides) as usize);
            let block = call.block.as_ref().map_or(0, |overrides| Arc::as_ptr(overrides) as usize);
            (state, block)
        };
        let at = calls
            .iter()
            .map(|call| match call.as_ref().map(pointer) {
                Err(_) | Ok((0, 0)) => 0,
                Ok(pointers) => *known.entry(pointers).or_insert_with(|| {
                    first.extend(call.as_ref().ok());
                    first.len()
                }),
            })
            .collect();
        let place = |call: &&Call| self.base.of(call);
        let over: Vec<_> =
            if first.len() > BLOCK { first.par_iter().map(place).collect() } else { first.iter().map(place).collect() };
        let places = std::iter::once(Ok(self.base.clone())).chain(over).collect();
        Chunk { calls, at, places }
    }

    /// The answers to a block of calls, by one thread.
    fn block(&self, cpu: &mut Cpu<'a>, chunk: &Chunk<'a, '_>) -> Vec<Answer> {
        cpu.leave();
        let calls = (0..chunk.calls.len()).take_while(|_| !self.is_stopped());
        let answers: Vec<Answer> = calls.map(|index| self.by_cpu(cpu, chunk, index)).collect();
        self.options.progress.add(answers.len());
        self.count_cpu(&answers);
        answers
    }

    fn sequence_block(&self, cpu: &mut Cpu<'a>, sequences: &[Sequence]) -> Vec<Vec<Answer>> {
        let Options { wants, stop_on_revert, .. } = self.options;
        let sequences = sequences.iter().take_while(|_| !self.is_stopped());
        let answers: Vec<Vec<Answer>> =
            sequences.map(|sequence| cpu.sequence(sequence, *wants, *stop_on_revert)).collect();
        self.options.progress.add(answers.iter().map(Vec::len).sum());
        self.count_cpu(answers.iter().flatten());
        answers
    }

    /// The answers to some of a chunk's calls.
    pub(super) fn chunk_on_cpu(&self, chunk: &Chunk<'a, '_>, indices: &[usize]) -> Vec<Answer> {
        let count = indices.len();
        let answers = self.spread(count, count, |_| 1, |cpu, index| self.by_cpu(cpu, chunk, indices[index]));
        self.count_cpu(&answers);
        answers
    }

    fn by_cpu(&self, cpu: &mut Cpu<'a>, chunk: &Chunk<'a, '_>, index: usize) -> Answer {
        let call = chunk.calls[index].as_ref().map_err(Clone::clone)?;
        let wants = self.options.wants;
        let called = match chunk.at[index] {
            0 => cpu.called(call, wants),
            at => cpu.called_at(at, chunk.places[at].as_ref().map_err(Clone::clone)?, call, wants),
        };
        Ok(cpu::result(called?, wants))
    }

    pub(super) fn sequences_on_cpu(&self, sequences: &[Sequence]) -> Vec<Vec<Answer>> {
        let Options { wants, stop_on_revert, .. } = self.options;
        let calls = sequences.iter().map(|sequence| sequence.calls.len()).sum();
        let run = |cpu: &mut Cpu<'a>, index: usize| cpu.sequence(&sequences[index], *wants, *stop_on_revert);
        let answers = self.spread(sequences.len(), calls, Vec::len, run);
        self.count_cpu(answers.iter().flatten());
        answers
    }

    /// Counts what has come since the last time, for whoever looks on.
    pub(super) fn count(&self) {
        let mut totals = self.totals();
        let Totals { report, counted, .. } = &mut *totals;
        counted.count(report);
    }

    fn count_cpu<'r, I: IntoIterator<Item = &'r Answer>>(&self, answers: I) {
        let mut totals = self.totals();
        for result in answers.into_iter().flatten() {
            totals.report.cpu.add(true, result.gas_used);
        }
    }

    /// Adds what a thread has noted of calls that did not ask for their own edges.
    pub(super) fn merge_edges(&self, cpu: &mut Cpu<'a>) {
        if self.options.wants.merges_alone()
            && let Some(edges) = cpu.merged_edges()
        {
            self.totals().coverage.merge(&edges);
        }
    }

    pub(super) fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `count` pieces of work, which are so many `calls`, on all threads, each with a revm that its thread keeps; `done_calls`
    /// says how many calls a result stands for. Ends early, with fewer results, where the simulation is cancelled.
    fn spread<T: Send>(
        &self,
        count: usize,
        calls: usize,
        done_calls: impl Fn(&T) -> usize + Sync,
        run: impl Fn(&mut Cpu<'a>, usize) -> T + Sync,
    ) -> Vec<T> {
        let next = AtomicUsize::new(0);
        let threads = self.pool.current_num_threads();
        let done = Mutex::new(Vec::new());
        let work = || {
            // revm cannot be sent to another thread, so it lives no longer than this.
            let mut cpu = self.cpu();
            loop {
                // Smaller towards the end, so that all threads end together.
                let left = count.saturating_sub(next.load(Ordering::Relaxed));
                let size = (left / (4 * threads)).clamp(1, BLOCK);
                let start = next.fetch_add(size, Ordering::Relaxed);
                if start >= count || self.is_stopped() {
                    break;
                }
                let block = start..(start + size).min(count);
                let results: Vec<T> = block.map(|index| run(&mut cpu, index)).collect();
                self.options.progress.add(results.iter().map(&done_calls).sum());
                done.lock().unwrap_or_else(PoisonError::into_inner).push((start, results));
            }
            self.merge_edges(&mut cpu);
        };
        if calls <= INLINE {
            work();
        } else {
            let work = &work;
            self.pool.scope(|scope| (0..threads).for_each(|_| scope.spawn(move |_| work())));
        }
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_unstable_by_key(|(start, _)| *start);
        let mut results = Vec::with_capacity(count);
        for (start, block) in done {
            // A thread that saw the cancellation leaves a gap; what is behind it has no place any more.
            if start != results.len() {
                break;
            }
            results.extend(block);
        }
        results
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::AccountOverride;

    #[test]
    fn overrides_weigh_once_a_chunk() {
        let overrides = || {
            let account = AccountOverride { code: Some(vec![0; 1 << 20].into()), ..AccountOverride::default() };
            Arc::new(StateOverrides { accounts: [(Default::default(), account)].into() })
        };
        let taken = |state: &mut dyn FnMut() -> Arc<StateOverrides>| {
            let mut calls = std::iter::repeat_with(|| Call::default().with_state(state()));
            let mut known = Known::default();
            take(&mut calls, 1000, CHUNK_BYTES, |call| (1, added_bytes(call, &mut known))).len()
        };
        assert_eq!(taken(&mut || overrides()), CHUNK_BYTES >> 20);
        let shared = overrides();
        assert_eq!(taken(&mut || shared.clone()), 1000);
    }
}
