//! Executes transactions that have nothing to do with each other: each alone, in a context of its own or a shared one, on
//! a device or by revm on CPU threads. One that is invalid, or whose state cannot be read, is nobody else's trouble.

use crate::{
    block::BlockEnv,
    context::{Context, Contexts, PlacedTx},
    error::{Invalid, TxError},
    evm::{BlockGas, Revm, check_env},
    fallback::FallbackReason,
    fork::Fork,
    lanes::{Lanes, MAX_INPUT, Runner},
    outcome::TxOutcome,
    plan::{self, Lane, Route, is_call},
    report::{ExecutionReport, lap},
    state::StateRef,
    validate::{End, Speculation},
};
use alloy_primitives::map::HashMap;
use rayon::{ThreadPool, prelude::*};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// What became of a transaction: its outcome, and whether its target has code.
type Done = Result<(TxOutcome, bool), TxError>;

/// Only a figure: what cannot be read spoils no outcome.
fn counts_as_call(placed: &PlacedTx<'_>, contexts: &Contexts<'_>) -> bool {
    is_call(placed.tx, contexts.get(placed.context).state).unwrap_or(false)
}

/// revm for one transaction after the other; kept while the fork stays the same.
struct Alone<'a> {
    contexts: &'a Contexts<'a>,
    held: Option<(usize, Revm<&'a dyn StateRef>)>,
}

impl<'a> Alone<'a> {
    const fn new(contexts: &'a Contexts<'a>) -> Self {
        Self { contexts, held: None }
    }

    fn transact(&mut self, placed: &PlacedTx<'_>) -> Result<TxOutcome, TxError> {
        let context = self.contexts.get(placed.context);
        // One that has failed is not used again.
        let mut revm = match self.held.take() {
            Some((of, revm)) if of == placed.context => revm,
            Some((of, mut revm)) if self.contexts.get(of).env.fork == context.env.fork => {
                revm.enter(context.env, context.state)?;
                revm
            }
            _ => Revm::new(context.env, context.state)?,
        };
        BlockGas::default().check(context.env, placed.tx)?;
        let outcome = revm.transact(placed.tx, placed.sender)?;
        self.held = Some((placed.context, revm));
        Ok(outcome)
    }

    fn run(&mut self, placed: &PlacedTx<'_>) -> Done {
        self.transact(placed).map(|outcome| (outcome, counts_as_call(placed, self.contexts)))
    }
}

/// A lane's outcome, and whether a cross-check found another, which then stands in its place.
struct Accepted {
    done: Done,
    differs: bool,
}

/// The outcome of a lane, or that it is revm's turn, for a reason that counts or none.
fn lane_outcome(
    route: &Route<'_>,
    result: Option<&Speculation>,
    contexts: &Contexts<'_>,
) -> Result<TxOutcome, Option<FallbackReason>> {
    let (lane, result) = match (route, result) {
        (Route::Fallback(reason), _) => return Err(Some(*reason)),
        (Route::Revm, _) => return Err(None),
        (Route::Device(_), None) => return Err(Some(FallbackReason::DeviceError)),
        (Route::Device(lane), Some(result)) => (lane, result),
    };
    match result.end {
        End::Fallback(reason) => Err(Some(reason)),
        End::Parked => Err(None),
        End::Done(status) => {
            let Context { env, state } = contexts.get(lane.context);
            // What cannot be read is an error only if revm reads it too.
            result.judge(lane, status, env, *state).ok().flatten().ok_or(None)
        }
    }
}

/// The transactions on their way.
struct Run<'a> {
    contexts: &'a Contexts<'a>,
    txs: &'a [PlacedTx<'a>],
    pool: &'a ThreadPool,
    report: &'a mut ExecutionReport,
    results: Vec<Result<TxOutcome, TxError>>,
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
    // No outcome until there is one.
    let results = vec![Err(TxError::Evm(String::new())); txs.len()];
    let mut run = Run { contexts, txs, pool, report, results, clock: Instant::now() };
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
                run.on_device(fork, &indices, lanes);
            }
        }
    }
    run.report.on_device.sort_unstable();
    run.report.differences.sort_unstable();
    run.results
}

impl<'a> Run<'a> {
    /// The transactions of a fork, as many at once as lanes fit one run.
    fn on_device(&mut self, fork: Fork, mut indices: &[usize], lanes: Lanes<'_>) {
        let mut runner = Runner::new(lanes, fork);
        while !indices.is_empty() {
            let mut input = 0;
            let fits = |index: &&usize| {
                input += self.txs[**index].tx.input.len();
                input <= MAX_INPUT
            };
            let count = indices.iter().take(runner.most_lanes()).take_while(fits).count().max(1);
            let (chunk, rest) = indices.split_at(count);
            self.chunk(chunk, &mut runner, lanes.cross_check);
            runner.trim();
            indices = rest;
        }
    }

    fn chunk(&mut self, chunk: &[usize], runner: &mut Runner<'_>, cross_check: bool) {
        let mut routes = self.routes(chunk, runner);
        lap(&mut self.report.time.plan, &mut self.clock);
        let ready = self.prepare(&mut routes, runner);
        lap(&mut self.report.time.lower, &mut self.clock);
        let mut results = vec![None; chunk.len()];
        let mut beside = HashMap::default();
        if !ready.is_empty() {
            self.report.waves += 1;
            let lane = |place| if let Route::Device(lane) = &routes[place] { Some(&**lane) } else { None };
            let lanes = ready.into_iter().filter_map(lane).collect();
            beside = self.run_lanes(chunk, lanes, runner, &mut results);
            self.report.beside += beside.len() as u64;
        }
        let judged = self.judge(chunk, &routes, &results, cross_check);
        let mut rest = Vec::new();
        for (place, (index, judged)) in chunk.iter().zip(judged).enumerate() {
            match judged {
                Ok(Accepted { done, differs }) => {
                    if let Ok((outcome, call)) = &done {
                        self.report.device.add(*call, outcome.gas_used);
                        self.report.on_device.push(*index);
                    }
                    if differs {
                        self.report.differences.push(*index);
                    }
                    self.results[*index] = done.map(|(outcome, _)| outcome);
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

    /// Runs lanes on the device. What it declines is run by revm at once, on the threads, and given by place.
    fn run_lanes(
        &mut self,
        chunk: &[usize],
        lanes: Vec<&Lane<'_>>,
        runner: &mut Runner<'_>,
        results: &mut [Option<Speculation>],
    ) -> HashMap<usize, Done> {
        let (contexts, txs) = (self.contexts, self.txs);
        let beside = Mutex::new(HashMap::default());
        let keep = &beside;
        self.pool.in_place_scope(|scope| {
            let mut declined = |place: usize, _| {
                let tx = &txs[chunk[place]];
                scope.spawn(move |_| {
                    let done = Alone::new(contexts).run(tx);
                    keep.lock().unwrap_or_else(PoisonError::into_inner).insert(place, done);
                });
            };
            for (place, result) in runner.run(lanes, contexts, &mut declined, self.report, &mut self.clock) {
                results[place] = result;
            }
        });
        beside.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lanes, by their places in the chunk. What cannot be read now may never be asked for: revm says so, or does not.
    fn routes(&self, chunk: &[usize], runner: &Runner<'_>) -> Vec<Route<'a>> {
        let (contexts, txs, limits) = (self.contexts, self.txs, runner.limits());
        // Whether an environment is sound; kept while it stays the same.
        let route = |held: &mut Option<(&'a BlockEnv, bool)>, (place, index): (usize, &usize)| {
            let placed = txs[*index];
            let context = contexts.get(placed.context);
            let sound = match held {
                Some((env, sound)) if std::ptr::eq(*env, context.env) => *sound,
                _ => held.insert((context.env, check_env(context.env).is_ok())).1,
            };
            if !sound || BlockGas::default().check(context.env, placed.tx).is_err() {
                return Route::Revm;
            }
            plan::route(place, placed, context, limits).unwrap_or(Route::Revm)
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

    /// Outcomes of lanes, on all threads.
    fn judge(
        &self,
        chunk: &[usize],
        routes: &[Route<'_>],
        results: &[Option<Speculation>],
        cross_check: bool,
    ) -> Vec<Result<Accepted, Option<FallbackReason>>> {
        let (contexts, txs) = (self.contexts, self.txs);
        let judge = |revm: &mut Alone<'_>, (index, route, result): (&usize, &Route<'_>, &Option<Speculation>)| {
            let outcome = lane_outcome(route, result.as_ref(), contexts)?;
            let placed = &txs[*index];
            if cross_check {
                let expected = revm.run(placed);
                let differs = !matches!(&expected, Ok((expected, _)) if *expected == outcome);
                if differs {
                    tracing::error!(tx = index, lane = ?outcome, revm = ?expected, "lane and revm differ");
                }
                return Ok(Accepted { done: expected, differs });
            }
            Ok(Accepted { done: Ok((outcome, counts_as_call(placed, contexts))), differs: false })
        };
        let each = (chunk, routes, results).into_par_iter();
        self.pool.install(|| each.map_init(|| Alone::new(contexts), judge).collect())
    }

    /// revm's part, on all threads, with what the device has declined it for.
    fn by_revm(&mut self, rest: Vec<(usize, Option<FallbackReason>)>) {
        let (contexts, txs) = (self.contexts, self.txs);
        let run = |revm: &mut Alone<'_>, (index, _): &(usize, Option<FallbackReason>)| revm.run(&txs[*index]);
        let done: Vec<Done> = self.pool.install(|| rest.par_iter().map_init(|| Alone::new(contexts), run).collect());
        for ((index, reason), done) in rest.into_iter().zip(done) {
            self.by_cpu(index, reason, done);
        }
        lap(&mut self.report.time.fallback, &mut self.clock);
    }

    /// What revm made of a transaction.
    fn by_cpu(&mut self, index: usize, reason: Option<FallbackReason>, done: Done) {
        if let Ok((outcome, call)) = &done {
            self.report.cpu.add(*call, outcome.gas_used);
            reason.into_iter().for_each(|reason| self.report.fall_back(reason));
        }
        self.results[index] = done.map(|(outcome, _)| outcome);
    }
}
