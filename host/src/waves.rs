//! Executes an ordered block in waves on a device: speculate, validate against the committed prefix, redo what is stale, fall back in
//! place.

use crate::{
    access::{Placed, ProgramId},
    block::BlockEnv,
    commit::Committed,
    context::{Context, Contexts, PlacedTx, Terms},
    error::ExecuteError,
    evm::{Beside, BlockGas, Revm, RevmCache, watch},
    fallback::FallbackReason,
    forecast::Forecast,
    lanes::{Lanes, MAX_INPUT, Runner},
    outcome::TxOutcome,
    plan::{self, Lane, Route, is_call},
    report::{self, ExecutionReport, Span, lap},
    state::{StateError, StateKey, StateRef},
    tx::Transaction,
    validate::{End, Speculation, Verdict},
};
use alloy_primitives::{
    Address,
    map::{HashMap, HashSet},
};
use rayon::ThreadPool;
use std::{
    cmp::Reverse,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Place in a wave up to which a transaction that was stale once runs again; halved with each time more.
const STALE_WINDOW: usize = 128;

/// What takes revm so long does not go to a lane, and how many such transactions a thread is given at most.
const LONG: Duration = Duration::from_millis(1);
const MOST_LONG: usize = 4;

/// Transactions of a block that are watched at most, and of one program.
const WATCHED: usize = 8;
const WATCHED_OF_ONE: usize = 2;

/// Transactions before a stale one that are looked at for who has changed what it looked at.
const WRITERS: usize = 256;

/// What uses less gas is never long. More is not watched.
const LONG_GAS: u64 = 500_000;

/// What the CPU has for a block beside the device.
pub(crate) struct Host<'a> {
    pub(crate) pool: &'a ThreadPool,
    /// What is known, and will be.
    pub(crate) forecast: &'a Mutex<Forecast>,
    pub(crate) codes: &'a RevmCache,
}

/// A block on its way: `routes[i]` and `results[i]` belong to transaction i; the prefix is in `revm`.
struct Run<'a> {
    env: &'a BlockEnv,
    txs: &'a [Transaction],
    senders: &'a [Address],
    pool: &'a ThreadPool,
    forecast: &'a Mutex<Forecast>,
    codes: &'a RevmCache,
    cross_check: bool,
    report: &'a mut ExecutionReport,
    routes: Vec<Route<'a>>,
    results: Vec<Option<Speculation>>,
    /// What revm made, on the prefix of a wave, of transactions that the device declined.
    beside: HashMap<usize, Beside>,
    /// Those that take so long that a CPU thread begins with them while the device takes the others.
    long: Vec<usize>,
    /// Those that are watched beside the device, for too little is known of what they run.
    watches: Vec<usize>,
    /// Whether all that lanes look at should be known.
    knows_all: bool,
    /// How often each transaction's result was thrown away.
    stale: Vec<u32>,
    revm: Revm<Committed<'a>>,
    gas: BlockGas,
    outcomes: Vec<TxOutcome>,
    runner: Runner<'a>,
    /// Outcomes that the snapshot has seen.
    seen: usize,
    clock: Instant,
    begun: Instant,
}

/// Executes decoded transactions in order; everything that the device supports runs there, down to waves of one.
///
/// # Errors
/// The first transaction that may not stand at its place, or whose state could not be read.
pub(crate) fn execute(
    env: &BlockEnv,
    txs: &[Transaction],
    senders: &[Address],
    state: &dyn StateRef,
    host: &Host<'_>,
    lanes: Lanes<'_>,
    report: &mut ExecutionReport,
) -> Result<Vec<TxOutcome>, ExecuteError> {
    let Host { pool, forecast, codes } = *host;
    let revm = Revm::new(env, Committed::new(state)).map_err(ExecuteError::Block)?;
    let mut run = Run {
        env,
        txs,
        senders,
        pool,
        forecast,
        codes,
        cross_check: lanes.cross_check,
        report,
        routes: Vec::with_capacity(txs.len()),
        results: vec![None; txs.len()],
        beside: HashMap::default(),
        long: Vec::new(),
        watches: Vec::new(),
        knows_all: false,
        stale: vec![0; txs.len()],
        revm,
        gas: BlockGas::default(),
        outcomes: Vec::with_capacity(txs.len()),
        runner: Runner::new(lanes, env.fork),
        seen: 0,
        clock: Instant::now(),
        begun: Instant::now(),
    };
    run.plan();
    while run.outcomes.len() < txs.len() {
        run.wave();
        run.walk()?;
    }
    run.forecast().programs.fade();
    run.report.timeline.sort_by_key(|span| span.to);
    Ok(run.outcomes)
}

/// What a lane runs, if that is an account's code.
fn program(lane: &Lane<'_>) -> Option<ProgramId> {
    let code = lane.running().filter(|_| !lane.creates())?;
    Some(ProgramId::new(&code.account_hash, &lane.tx.input))
}

/// The same with the transaction.
fn placed<'t>(lane: &Lane<'t>) -> Option<Placed<'t>> {
    Some((program(lane)?, lane.tx, lane.sender))
}

fn state_error(tx: usize) -> impl Fn(StateError) -> ExecuteError {
    move |source| ExecuteError::State { tx, source }
}

impl<'a> Run<'a> {
    /// What cannot be read now may never be asked for: revm says so at its turn, or does not.
    fn route(&self, index: usize) -> Route<'a> {
        let placed = PlacedTx { tx: &self.txs[index], sender: self.senders[index], context: 0 };
        let context = Context { env: self.env, state: self.revm.state() };
        plan::route(index, placed, &context, Terms::Transaction, self.runner.limits()).unwrap_or(Route::Revm)
    }

    fn plan(&mut self) {
        for index in 0..self.txs.len() {
            let route = self.route(index);
            self.routes.push(route);
        }
        self.choose_long();
        let (known, unknown) = self.foresee();
        lap(&mut self.report.time.plan, &mut self.clock);
        let contexts = Contexts::one(self.env, self.revm.state());
        self.runner.expect(known, contexts.state(0));
        if unknown {
            let targets = self.txs.iter().filter_map(|tx| tx.to).collect();
            self.runner.hint(contexts.state(0), &targets);
        }
        lap(&mut self.report.time.lower, &mut self.clock);
    }

    fn forecast(&self) -> MutexGuard<'_, Forecast> {
        self.forecast.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What lanes will look at, and whether any runs something of which that is not known. Leaves to revm what looks at a slot that one
    /// before it will have changed: a wave would be run for it alone.
    fn foresee(&mut self) -> (Vec<StateKey>, bool) {
        let forecast = self.forecast.lock().unwrap_or_else(PoisonError::into_inner);
        let programs = &forecast.programs;
        let (mut indices, mut placed, mut unknown) = (Vec::new(), Vec::new(), false);
        // Nobody is to wait for them.
        let most = if self.pool.current_num_threads() < 2 { 0 } else { WATCHED };
        let mut watched: HashMap<ProgramId, usize> = HashMap::default();
        for (index, route) in self.routes.iter().enumerate() {
            let Route::Device(lane) = route else { continue };
            let Some(program) = program(lane) else {
                unknown |= lane.creates();
                continue;
            };
            unknown |= !programs.knows(program);
            let is_short =
                lane.tx.gas_limit <= LONG_GAS && programs.get(program).is_none_or(|known| known.gas <= LONG_GAS);
            if self.watches.len() < most && is_short && programs.wants(program) {
                let runs = watched.entry(program).or_default();
                if *runs < WATCHED_OF_ONE {
                    self.watches.push(index);
                }
                *runs += 1;
            }
            indices.push(index);
            placed.push((program, lane.tx, lane.sender));
        }
        let mut written: HashSet<StateKey> = HashSet::default();
        let contested = programs.contested(&placed);
        for keys in contested.chunk_by(|one, other| one.owner == other.owner) {
            if keys.iter().any(|expected| written.contains(&expected.key)) {
                self.report.foreseen += 1;
                self.routes[indices[keys[0].owner]] = Route::Revm;
            }
            written.extend(keys.iter().filter(|expected| expected.writes).map(|expected| expected.key));
        }
        let expected = programs.expected(&placed);
        drop(forecast);
        self.knows_all = !unknown;
        (expected, unknown)
    }

    /// Leaves to CPU threads what is known to take them long: a lane would take many times that, and all would wait for it.
    fn choose_long(&mut self) {
        if self.pool.current_num_threads() < 2 {
            return;
        }
        let forecast = self.forecast();
        let long = self.routes.iter().enumerate().filter_map(|(index, route)| {
            let Route::Device(lane) = route else { return None };
            let by_program = || Some(forecast.programs.get(program(lane)?)?.took);
            let cost = forecast.call(&self.txs[index]).map(|call| call.took).or_else(by_program)?;
            (cost >= LONG).then_some((cost, index))
        });
        let mut long: Vec<_> = long.collect();
        drop(forecast);
        long.sort_unstable_by_key(|(cost, index)| (Reverse(*cost), *index));
        long.truncate(MOST_LONG * self.pool.current_num_threads());
        self.long = long.into_iter().map(|(_, index)| index).collect();
        for index in &self.long {
            self.routes[*index] = Route::Revm;
        }
    }

    /// Runs every lane that has no result, if the next transaction is among them, or a CPU thread is to begin with it.
    fn wave(&mut self) {
        let next = self.outcomes.len();
        let waits = |index: usize| matches!(self.routes[index], Route::Device(_)) && self.results[index].is_none();
        if !waits(next) && !self.long.contains(&next) {
            return;
        }
        let contexts = Contexts::one(self.env, self.revm.state());
        if self.runner.refresh(&self.outcomes[self.seen..], contexts.state(0)).is_err() {
            // A snapshot that cannot be brought up to date serves nobody; revm asks for what it needs, no more.
            self.routes[next..].fill_with(|| Route::Revm);
            return;
        }
        self.seen = next;
        let ready = self.prepare(next);
        if ready.is_empty() {
            return;
        }
        self.report.waves += 1;
        for (index, result) in self.run_lanes(&ready) {
            match result {
                Some(_) => self.results[index] = result,
                None => self.routes[index] = Route::Fallback(FallbackReason::DeviceError),
            }
        }
    }

    /// Runs lanes on the prefix. What the device declines is run by revm at once, on the threads, and kept for its turn.
    fn run_lanes(&mut self, ready: &[usize]) -> Vec<(usize, Option<Speculation>)> {
        let lane = |index: &usize| if let Route::Device(lane) = &self.routes[*index] { Some(&**lane) } else { None };
        let lanes = ready.iter().filter_map(lane).collect();
        let (env, txs, senders, prefix) = (self.env, self.txs, self.senders, self.revm.state());
        let contexts = Contexts::one(env, prefix);
        let beside = Mutex::new(Vec::new());
        let (keep, begun) = (&beside, self.begun);
        let run_beside = |index: usize| {
            let from = begun.elapsed();
            let made = Beside::run(env, &txs[index], senders[index], prefix);
            let thread = rayon::current_thread_index().map_or(0, |index| index + 1);
            let span = Span { runner: report::Runner::Cpu, thread, first: index, txs: 1, from, to: begun.elapsed() };
            keep.lock().unwrap_or_else(PoisonError::into_inner).push((span, made));
        };
        let from = begun.elapsed();
        let (watched, codes) = (Mutex::new(Vec::new()), self.codes);
        let (served, long) = (self.report.served, self.long.clone());
        let results = self.pool.in_place_scope(|scope| {
            for index in self.watches.drain(..) {
                let keep = &watched;
                scope.spawn(move |_| {
                    let access = watch(env, &txs[index], senders[index], prefix, codes);
                    let learned = access.map(|access| (index, access.learned(&txs[index], senders[index])));
                    keep.lock().unwrap_or_else(PoisonError::into_inner).extend(learned);
                });
            }
            let run_beside = &run_beside;
            for index in self.long.drain(..).filter(|index| *index >= self.outcomes.len()) {
                scope.spawn(move |_| run_beside(index));
            }
            let mut declined = |index: usize, _| scope.spawn(move |_| run_beside(index));
            let results = self.runner.run(lanes, &contexts, &mut declined, self.report, &mut self.clock);
            let first = ready.first().copied().unwrap_or_default();
            let (runner, to) = (report::Runner::Device, begun.elapsed());
            let span = Span { runner, thread: 0, first, txs: ready.len(), from, to };
            self.report.timeline.push(span);
            results
        });
        for (index, watched) in watched.into_inner().unwrap_or_else(PoisonError::into_inner) {
            self.forecast().learn_access(&txs[index], watched);
        }
        if self.knows_all && self.report.served > served {
            self.forecast().programs.doubt(ready.iter().filter_map(lane).filter_map(program));
        }
        for (span, made) in beside.into_inner().unwrap_or_else(PoisonError::into_inner) {
            self.report.timeline.push(span);
            if let Some(made) = made {
                if long.contains(&span.first) {
                    self.forecast().learn_cost(&self.txs[span.first], None, span.to - span.from);
                } else {
                    self.learn(span.first, made.outcome(), span.to - span.from);
                }
                self.beside.insert(span.first, made);
            }
        }
        results
    }

    /// Remembers what revm took, if that can be long and not only the wait for a core.
    fn learn(&self, index: usize, outcome: &TxOutcome, took: Duration) {
        if outcome.gas_used >= LONG_GAS {
            self.forecast().learn_cost(&self.txs[index], None, took);
        }
    }

    /// The transactions from `next` on that need a lane and fit one batch, read and ready; an unreadable one is revm's.
    fn prepare(&mut self, next: usize) -> Vec<usize> {
        let contexts = Contexts::one(self.env, self.revm.state());
        let mut indices = Vec::new();
        let mut input = 0;
        for index in next..self.txs.len() {
            let (Route::Device(lane), None) = (&self.routes[index], &self.results[index]) else { continue };
            // What was stale before is likely stale again unless it stands near the front.
            if indices.len() >= (STALE_WINDOW >> self.stale[index].min(31)).max(1) && self.stale[index] > 0 {
                continue;
            }
            input += lane.tx.input.len();
            if indices.len() == self.runner.most_lanes() || (input > MAX_INPUT && !indices.is_empty()) {
                break;
            }
            if self.runner.prepare(lane, &contexts).is_ok() {
                indices.push(index);
            } else {
                self.routes[index] = Route::Revm;
            }
        }
        indices
    }

    /// Commits in order up to the first transaction that needs another wave.
    fn walk(&mut self) -> Result<(), ExecuteError> {
        while let Some(tx) = self.txs.get(self.outcomes.len()) {
            let index = self.outcomes.len();
            self.gas.check(self.env, tx).map_err(|source| ExecuteError::Invalid { tx: index, source })?;
            let fallback = match &self.routes[index] {
                Route::Fallback(reason) => Some(*reason),
                Route::Revm => None,
                Route::Device(lane) => {
                    let Some(result) = &mut self.results[index] else { return Ok(()) };
                    match result.end {
                        End::Fallback(reason) => Some(reason),
                        End::Parked => None,
                        End::Done(status) => {
                            // Where the prefix cannot be read, revm says so, or does not need to.
                            let verdict =
                                result.validate(lane, status, self.env, self.revm.state()).unwrap_or(Verdict::Revm);
                            lap(&mut self.report.time.validate, &mut self.clock);
                            match verdict {
                                Verdict::Accept(outcome) => {
                                    let outcome = self.checked(index, outcome)?;
                                    self.commit(index, outcome, true)?;
                                    continue;
                                }
                                // It ran on this very prefix: a state that answers twice differently.
                                Verdict::Stale if self.seen == index && self.stale[index] > 1 => {
                                    Some(FallbackReason::Stale)
                                }
                                Verdict::Stale => {
                                    self.learn_conflict(index);
                                    self.redo(index);
                                    return Ok(());
                                }
                                Verdict::Revm => None,
                            }
                        }
                    }
                }
            };
            let outcome = self.by_revm(index)?;
            lap(&mut self.report.time.fallback, &mut self.clock);
            if let Some(reason) = fallback {
                self.report.fall_back(reason);
            }
            self.commit(index, outcome, false)?;
        }
        Ok(())
    }

    /// revm's outcome: the one that it found beside the device, if the prefix still says what that rests on.
    fn by_revm(&mut self, index: usize) -> Result<TxOutcome, ExecuteError> {
        // Where the prefix cannot be read, revm says so, or does not need to.
        let made = self.beside.remove(&index).and_then(|made| made.on(self.env, self.revm.state()).ok().flatten());
        if let Some(outcome) = made {
            self.report.beside += 1;
            return Ok(outcome);
        }
        let (tx, from) = (&self.txs[index], self.begun.elapsed());
        let outcome = self.revm.transact(tx, self.senders[index]).map_err(|error| ExecuteError::at(index, error))?;
        let to = self.begun.elapsed();
        self.learn(index, &outcome, to - from);
        let runner = report::Runner::Cpu;
        let follows = |span: &&mut Span| (span.runner, span.thread, span.first + span.txs) == (runner, 0, index);
        match self.report.timeline.last_mut().filter(follows) {
            Some(span) => (span.txs, span.to) = (span.txs + 1, to),
            None => self.report.timeline.push(Span { runner, thread: 0, first: index, txs: 1, from, to }),
        }
        Ok(outcome)
    }

    /// The lane's outcome, or revm's where a cross-check finds another.
    fn checked(&mut self, index: usize, outcome: TxOutcome) -> Result<TxOutcome, ExecuteError> {
        if !self.cross_check {
            return Ok(outcome);
        }
        let expected = self
            .revm
            .transact(&self.txs[index], self.senders[index])
            .map_err(|error| ExecuteError::at(index, error))?;
        if outcome != expected {
            self.report.differences.push(index);
            tracing::error!(tx = index, lane = ?outcome, revm = ?expected, "lane and revm differ");
        }
        Ok(expected)
    }

    fn commit(&mut self, index: usize, outcome: TxOutcome, on_device: bool) -> Result<(), ExecuteError> {
        let call = match &self.routes[index] {
            // It was validated by what the prefix says of its target; a list is applied before that.
            Route::Device(lane) if on_device && lane.delegations.authorities.is_empty() => lane.account_hash.is_some(),
            _ => is_call(&self.txs[index], self.revm.state()).map_err(state_error(index))?,
        };
        let route = if on_device { &mut self.report.device } else { &mut self.report.cpu };
        route.add(call, outcome.gas_used);
        if on_device {
            self.report.on_device.push(index);
        }
        self.gas.add(&self.txs[index], outcome.gas_used);
        self.revm.state_mut().commit(&outcome);
        self.outcomes.push(outcome);
        lap(&mut self.report.time.commit, &mut self.clock);
        Ok(())
    }

    /// Remembers where a lane looked that one before it has changed, and who that was.
    fn learn_conflict(&self, index: usize) {
        let (Route::Device(lane), Some(result)) = (&self.routes[index], &self.results[index]) else { return };
        let Some(placed) = placed(lane) else { return };
        let stale: HashSet<_> = result.stale_slots(self.revm.state()).collect();
        let mut forecast = self.forecast();
        let looked = forecast.programs.conflict(placed, |key| stale.contains(key));
        let changes = |outcome: &TxOutcome| outcome.slots().any(|slot| looked.contains(&slot));
        let latest = self.outcomes.iter().enumerate().rev().take(WRITERS).find(|(_, outcome)| changes(outcome));
        if let Some((writer, _)) = latest.filter(|_| !looked.is_empty())
            && let Route::Device(lane) = &self.routes[writer]
            && let Some(placed) = self::placed(lane)
        {
            forecast.programs.conflict(placed, |key| looked.contains(key));
        }
    }

    /// Drops the stale result at `next`, and later ones that are stale already; their target's code is looked up again.
    fn redo(&mut self, next: usize) {
        self.report.conflicts += 1;
        for index in next..self.txs.len() {
            let (Route::Device(lane), Some(result)) = (&self.routes[index], &self.results[index]) else { continue };
            let prefix = self.revm.state();
            let stands = || self.beside.get(&index).is_some_and(|made| made.holds(prefix).unwrap_or(false));
            if index > next && (!result.is_stale(lane, self.env, prefix).unwrap_or(true) || stands()) {
                continue;
            }
            self.results[index] = None;
            self.beside.remove(&index);
            self.stale[index] += 1;
            self.routes[index] = self.route(index);
        }
        lap(&mut self.report.time.validate, &mut self.clock);
    }
}
