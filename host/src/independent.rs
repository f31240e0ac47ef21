//! Executes transactions and calls that have nothing to do with each other: each alone, in a context of its own or a shared
//! one, on a device or by revm on CPU threads. One that is invalid, or whose state cannot be read, is nobody else's trouble.

use crate::{
    block::BlockEnv,
    context::{Context, Contexts, PlacedTx, Terms},
    error::{Invalid, TxError},
    evm::{BlockGas, Revm, check_env},
    fallback::FallbackReason,
    fork::Fork,
    lanes::{Lanes, MAX_INPUT, Runner},
    outcome::{TxOutcome, TxStatus},
    plan::{self, Lane, Route, is_call},
    report::{ExecutionReport, lap},
    state::{StateError, StateRef},
    validate::{End, Speculation},
};
use alloy_primitives::map::HashMap;
use rayon::{ThreadPool, prelude::*};
use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

/// What is to be executed, by index, and what is made of it: on a device, or by revm.
pub(crate) trait Work: Sync {
    /// What it yields.
    type Output: PartialEq + Debug + Send;

    /// revm as a thread keeps it.
    type Revm;

    /// For a thread.
    fn revm(&self) -> Self::Revm;

    /// By revm.
    ///
    /// # Errors
    /// It is invalid, or the state could not be read.
    fn run(&self, revm: &mut Self::Revm, index: usize) -> Result<Self::Output, TxError>;

    /// From a lane that has ended; `None` where revm is to judge.
    ///
    /// # Errors
    /// The state could not be read.
    fn accept(
        &self,
        lane: &Lane<'_>,
        index: usize,
        status: TxStatus,
        result: &Speculation,
    ) -> Result<Option<Self::Output>, StateError>;

    /// Gas that it paid for.
    fn gas_used(output: &Self::Output) -> u64;

    /// Whether nobody waits for it any more.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// What became of it, and whether its target has code.
type Done<T> = Result<(T, bool), TxError>;

/// Only a figure: what cannot be read spoils no outcome.
fn counts_as_call(placed: &PlacedTx<'_>, contexts: &Contexts<'_>) -> bool {
    is_call(placed.tx, contexts.get(placed.context).state).unwrap_or(false)
}

/// Transactions, and the contexts that they stand in.
#[derive(Debug)]
struct Transactions<'a> {
    contexts: &'a Contexts<'a>,
    txs: &'a [PlacedTx<'a>],
}

/// revm for one transaction after the other; kept while the fork stays the same.
type Held<'a> = Option<(usize, Revm<&'a dyn StateRef>)>;

impl<'a> Work for Transactions<'a> {
    type Output = TxOutcome;
    type Revm = Held<'a>;

    fn revm(&self) -> Held<'a> {
        None
    }

    fn run(&self, held: &mut Held<'a>, index: usize) -> Result<TxOutcome, TxError> {
        let placed = &self.txs[index];
        let context = self.contexts.get(placed.context);
        // One that has failed is not used again.
        let mut revm = match held.take() {
            Some((of, revm)) if of == placed.context => revm,
            Some((of, mut revm)) if self.contexts.get(of).env.fork == context.env.fork => {
                revm.enter(context.env, context.state)?;
                revm
            }
            _ => Revm::new(context.env, context.state)?,
        };
        BlockGas::default().check(context.env, placed.tx)?;
        let outcome = revm.transact(placed.tx, placed.sender)?;
        *held = Some((placed.context, revm));
        Ok(outcome)
    }

    fn accept(
        &self,
        lane: &Lane<'_>,
        _: usize,
        status: TxStatus,
        result: &Speculation,
    ) -> Result<Option<TxOutcome>, StateError> {
        let Context { env, state } = self.contexts.get(lane.context);
        result.judge(lane, status, env, *state, true)
    }

    fn gas_used(outcome: &TxOutcome) -> u64 {
        outcome.gas_used
    }
}

/// A lane's output, and whether a cross-check found another, which then stands in its place.
struct Accepted<T> {
    done: Done<T>,
    differs: bool,
}

/// The output of a lane, or that it is revm's turn, for a reason that counts or none.
fn lane_output<W: Work>(
    work: &W,
    index: usize,
    route: &Route<'_>,
    result: Option<&Speculation>,
) -> Result<W::Output, Option<FallbackReason>> {
    let (lane, result) = match (route, result) {
        (Route::Fallback(reason), _) => return Err(Some(*reason)),
        (Route::Revm, _) => return Err(None),
        (Route::Device(_), None) => return Err(Some(FallbackReason::DeviceError)),
        (Route::Device(lane), Some(result)) => (lane, result),
    };
    match result.end {
        End::Fallback(reason) => Err(Some(reason)),
        End::Parked => Err(None),
        // What cannot be read is an error only if revm reads it too.
        End::Done(status) => work.accept(lane, index, status, result).ok().flatten().ok_or(None),
    }
}

/// Work on its way: transaction i is what `work` runs at index i.
pub(crate) struct Run<'a, W: Work> {
    work: &'a W,
    contexts: &'a Contexts<'a>,
    txs: &'a [PlacedTx<'a>],
    pool: &'a ThreadPool,
    report: &'a mut ExecutionReport,
    results: Vec<Result<W::Output, TxError>>,
    clock: Instant,
}

/// Executes each transaction alone on the state of its context; on the CPU where there are no `lanes`.
pub(crate) fn execute(
    contexts: &[Context<'_>],
    txs: &[PlacedTx<'_>],
    pool: &ThreadPool,
    lanes: Option<Lanes<'_>>,
    report: &mut ExecutionReport,
) -> Vec<Result<TxOutcome, TxError>> {
    let contexts = &Contexts::new(contexts);
    let work = Transactions { contexts, txs };
    let mut run = Run::new(&work, contexts, txs, pool, report);
    let mut placed = Vec::with_capacity(txs.len());
    for (index, tx) in txs.iter().enumerate() {
        if tx.context < contexts.len() {
            placed.push(index);
        } else {
            let reason = format!("{} of {}", tx.context, contexts.len());
            run.results[index] = Err(Invalid::new("context", reason).into());
        }
    }
    match lanes {
        None => run.by_revm(placed.into_iter().map(|index| (index, None)).collect()),
        Some(lanes) => {
            let mut by_fork: BTreeMap<Fork, Vec<usize>> = BTreeMap::new();
            for index in placed {
                by_fork.entry(contexts.get(txs[index].context).env.fork).or_default().push(index);
            }
            for (fork, indices) in by_fork {
                run.on_device(&indices, &mut Runner::new(lanes, fork));
            }
        }
    }
    run.finish()
}

impl<'a, W: Work> Run<'a, W> {
    pub(crate) fn new(
        work: &'a W,
        contexts: &'a Contexts<'a>,
        txs: &'a [PlacedTx<'a>],
        pool: &'a ThreadPool,
        report: &'a mut ExecutionReport,
    ) -> Self {
        // No output until there is one.
        let results = txs.iter().map(|_| Err(TxError::Evm(String::new()))).collect();
        Self { work, contexts, txs, pool, report, results, clock: Instant::now() }
    }

    pub(crate) fn finish(self) -> Vec<Result<W::Output, TxError>> {
        self.report.on_device.sort_unstable();
        self.report.differences.sort_unstable();
        self.results
    }

    /// The transactions of a fork, as many at once as lanes fit one run.
    pub(crate) fn on_device(&mut self, mut indices: &[usize], runner: &mut Runner<'_>) {
        while !indices.is_empty() && !self.work.is_cancelled() {
            let mut input = 0;
            let fits = |index: &&usize| {
                input += self.txs[**index].tx.input.len();
                input <= MAX_INPUT
            };
            let count = indices.iter().take(runner.most_lanes()).take_while(fits).count().max(1);
            let (chunk, rest) = indices.split_at(count);
            self.chunk(chunk, runner);
            runner.trim();
            indices = rest;
        }
    }

    fn chunk(&mut self, chunk: &[usize], runner: &mut Runner<'_>) {
        let mut routes = self.routes(chunk, runner);
        lap(&mut self.report.time.plan, &mut self.clock);
        let ready = self.prepare(&mut routes, runner);
        lap(&mut self.report.time.lower, &mut self.clock);
        let mut results = vec![None; chunk.len()];
        let mut beside = HashMap::default();
        if !ready.is_empty() {
            self.report.waves += 1;
            let elsewhere: Vec<usize> =
                (0..chunk.len()).filter(|place| !matches!(routes[*place], Route::Device(_))).collect();
            let lane = |place| if let Route::Device(lane) = &routes[place] { Some(&**lane) } else { None };
            let lanes = ready.into_iter().filter_map(lane).collect();
            beside = self.run_lanes(chunk, lanes, &elsewhere, runner, &mut results);
            self.report.beside += beside.len() as u64 - elsewhere.len() as u64;
        }
        let judged = self.judge(chunk, &routes, &results, runner.cross_checks());
        let mut rest = Vec::new();
        for (place, (index, judged)) in chunk.iter().zip(judged).enumerate() {
            match judged {
                Ok(Accepted { done, differs }) => {
                    if let Ok((output, call)) = &done {
                        self.report.device.add(*call, W::gas_used(output));
                        self.report.on_device.push(*index);
                    }
                    if differs {
                        self.report.differences.push(*index);
                    }
                    self.results[*index] = done.map(|(output, _)| output);
                }
                Err(reason) => match beside.remove(&place) {
                    Some(done) => self.by_cpu(*index, reason, done),
                    None => rest.push((*index, reason)),
                },
            }
        }
        lap(&mut self.report.time.validate, &mut self.clock);
        self.by_revm(rest);
    }

    /// Runs lanes on the device. What never gets there, `elsewhere`, and what it declines is run by revm at the same time, on
    /// the threads, and given by place.
    fn run_lanes(
        &mut self,
        chunk: &[usize],
        lanes: Vec<&Lane<'_>>,
        elsewhere: &[usize],
        runner: &mut Runner<'_>,
        results: &mut [Option<Speculation>],
    ) -> HashMap<usize, Done<W::Output>> {
        let (work, contexts, txs) = (self.work, self.contexts, self.txs);
        let beside = Mutex::new(HashMap::default());
        let keep = |place, done| {
            beside.lock().unwrap_or_else(PoisonError::into_inner).insert(place, done);
        };
        let run = |revm: &mut W::Revm, place: usize| {
            let index = chunk[place];
            let done = work.run(revm, index).map(|output| (output, counts_as_call(&txs[index], contexts)));
            keep(place, done);
        };
        let next = AtomicUsize::new(0);
        let (run, next) = (&run, &next);
        self.pool.in_place_scope(|scope| {
            for _ in 0..self.pool.current_num_threads().min(elsewhere.len()) {
                scope.spawn(move |_| {
                    let mut revm = work.revm();
                    while let Some(place) = elsewhere.get(next.fetch_add(1, Ordering::Relaxed)) {
                        run(&mut revm, *place);
                    }
                });
            }
            let mut declined = |place: usize, _| scope.spawn(move |_| run(&mut work.revm(), place));
            for (place, result) in runner.run(lanes, contexts, &mut declined, self.report, &mut self.clock) {
                results[place] = result;
            }
        });
        beside.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lanes, by their places in the chunk. What cannot be read now may never be asked for: revm says so, or does not.
    fn routes(&self, chunk: &[usize], runner: &Runner<'_>) -> Vec<Route<'a>> {
        let (contexts, txs, limits) = (self.contexts, self.txs, runner.limits());
        let terms = contexts.terms();
        // Whether an environment is sound; kept while it stays the same.
        let route = |held: &mut Option<(&'a BlockEnv, bool)>, (place, index): (usize, &usize)| {
            let placed = txs[*index];
            let context = contexts.get(placed.context);
            let sound = match held {
                Some((env, sound)) if std::ptr::eq(*env, context.env) => *sound,
                _ => held.insert((context.env, check_env(context.env).is_ok())).1,
            };
            let fits = terms == Terms::Call || BlockGas::default().check(context.env, placed.tx).is_ok();
            if !sound || !fits {
                return Route::Revm;
            }
            plan::route(place, placed, context, terms, limits).unwrap_or(Route::Revm)
        };
        self.pool.install(|| chunk.par_iter().enumerate().map_init(|| None, route).collect())
    }

    /// The places of lanes that are read and ready; what cannot be read is revm's.
    fn prepare(&self, routes: &mut [Route<'_>], runner: &mut Runner<'_>) -> Vec<usize> {
        let target = |route: &Route<'_>| if let Route::Device(lane) = route { Some(lane.to) } else { None };
        let targets = routes.iter().filter_map(target).collect();
        let mut ready = Vec::with_capacity(routes.len());
        for (place, route) in routes.iter_mut().enumerate() {
            let Route::Device(lane) = route else { continue };
            if lane.running().is_some() {
                runner.hint(self.contexts.state(lane.context), &targets);
            }
            if runner.prepare(lane, self.contexts).is_ok() {
                ready.push(place);
            } else {
                *route = Route::Revm;
            }
        }
        ready
    }

    /// Outputs of lanes, on all threads.
    fn judge(
        &self,
        chunk: &[usize],
        routes: &[Route<'_>],
        results: &[Option<Speculation>],
        cross_check: bool,
    ) -> Vec<Result<Accepted<W::Output>, Option<FallbackReason>>> {
        let (work, contexts, txs) = (self.work, self.contexts, self.txs);
        let judge = |revm: &mut W::Revm, (index, route, result): (&usize, &Route<'_>, &Option<Speculation>)| {
            let output = lane_output(work, *index, route, result.as_ref())?;
            let call = counts_as_call(&txs[*index], contexts);
            if cross_check {
                let expected = work.run(revm, *index);
                let differs = expected.as_ref() != Ok(&output);
                if differs {
                    tracing::error!(tx = index, lane = ?output, revm = ?expected, "lane and revm differ");
                }
                return Ok(Accepted { done: expected.map(|expected| (expected, call)), differs });
            }
            Ok(Accepted { done: Ok((output, call)), differs: false })
        };
        let each = (chunk, routes, results).into_par_iter();
        self.pool.install(|| each.map_init(|| work.revm(), judge).collect())
    }

    /// revm's part, on all threads, with what the device has declined it for.
    pub(crate) fn by_revm(&mut self, rest: Vec<(usize, Option<FallbackReason>)>) {
        let (work, contexts, txs) = (self.work, self.contexts, self.txs);
        let run = |revm: &mut W::Revm, (index, _): &(usize, Option<FallbackReason>)| {
            work.run(revm, *index).map(|output| (output, counts_as_call(&txs[*index], contexts)))
        };
        let done: Vec<Done<W::Output>> = self.pool.install(|| rest.par_iter().map_init(|| work.revm(), run).collect());
        for ((index, reason), done) in rest.into_iter().zip(done) {
            self.by_cpu(index, reason, done);
        }
        lap(&mut self.report.time.fallback, &mut self.clock);
    }

    /// What revm made of a transaction.
    fn by_cpu(&mut self, index: usize, reason: Option<FallbackReason>, done: Done<W::Output>) {
        if let Ok((output, call)) = &done {
            self.report.cpu.add(*call, W::gas_used(output));
            reason.into_iter().for_each(|reason| self.report.fall_back(reason));
        }
        self.results[index] = done.map(|(output, _)| output);
    }
}
