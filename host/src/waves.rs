//! Executes an ordered block in waves on a device: speculate, validate against the committed prefix, redo what is stale, fall back in place.

use crate::{
    backend::{Backend, BackendError},
    block::BlockEnv,
    commit::Committed,
    error::ExecuteError,
    evm::{BlockGas, Revm},
    fallback::FallbackReason,
    lower::{CodeArena, CodeCache, Lowering, SnapshotTable},
    outcome::TxOutcome,
    park::StateService,
    plan::{self, Lane, LaneClass, LaneLimits, Route, is_call},
    report::{ExecutionReport, lap},
    state::{StateError, StateKey, StateRef},
    tx::Transaction,
    validate::{End, Speculation, Verdict},
};
use alloy_primitives::{Address, B256};
use std::{collections::HashSet, sync::Arc, time::Instant};

/// Most keys taken from a state's hints: a sixteenth of the largest snapshot table that fits a binding.
const MAX_HINTS: usize = 1 << 16;

/// Bytes of code beyond which hinted accounts are left out; half of a binding.
const MAX_HINTED_CODE: usize = 64 << 20;

/// Place in a wave up to which a transaction that was stale once runs again; halved with each time more.
const STALE_WINDOW: usize = 128;

/// Calldata of a batch in bytes; half of a binding.
const MAX_INPUT: usize = 64 << 20;

/// What an engine runs lanes with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lanes<'a> {
    pub(crate) device: &'a dyn Backend,
    pub(crate) codes: &'a Arc<CodeCache>,
    pub(crate) cross_check: bool,
}

/// Code hash and selector of what a lane runs: lanes of one program take the same path, more or less.
type Program = (B256, [u8; 4]);

fn program(lane: &Lane<'_>) -> Program {
    let mut selector = [0; 4];
    selector.iter_mut().zip(&lane.tx.input).for_each(|(to, from)| *to = *from);
    (lane.running().map_or(B256::ZERO, |code| code.hash), selector)
}

/// A block on its way: `routes[i]` and `results[i]` belong to transaction i; the prefix is in `revm`.
struct Run<'a> {
    env: &'a BlockEnv,
    txs: &'a [Transaction],
    senders: &'a [Address],
    device: &'a dyn Backend,
    cross_check: bool,
    report: &'a mut ExecutionReport,
    routes: Vec<Route<'a>>,
    results: Vec<Option<Speculation>>,
    /// How often each transaction's result was thrown away.
    stale: Vec<u32>,
    revm: Revm<Committed<'a>>,
    gas: BlockGas,
    outcomes: Vec<TxOutcome>,
    small: LaneLimits,
    large: LaneLimits,
    /// What met a cap of the small lanes, by code and selector: it starts in a large one.
    grown: HashSet<Program>,
    lowering: Lowering,
    codes: CodeArena,
    snapshot: SnapshotTable,
    /// Outcomes that the snapshot has seen.
    seen: usize,
    clock: Instant,
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
    Lanes { device, codes, cross_check }: Lanes<'_>,
    report: &mut ExecutionReport,
) -> Result<Vec<TxOutcome>, ExecuteError> {
    let revm = Revm::new(env, Committed::new(state)).map_err(ExecuteError::Block)?;
    let mut run = Run {
        env,
        txs,
        senders,
        device,
        cross_check,
        report,
        routes: Vec::with_capacity(txs.len()),
        results: vec![None; txs.len()],
        stale: vec![0; txs.len()],
        revm,
        gas: BlockGas::default(),
        outcomes: Vec::with_capacity(txs.len()),
        small: device.lane_limits(LaneClass::Small),
        large: device.lane_limits(LaneClass::Large),
        grown: HashSet::new(),
        lowering: Lowering::new(env),
        codes: CodeArena::new(Arc::clone(codes)),
        snapshot: SnapshotTable::default(),
        seen: 0,
        clock: Instant::now(),
    };
    run.plan();
    while run.outcomes.len() < txs.len() {
        run.wave();
        run.walk()?;
    }
    Ok(run.outcomes)
}

fn state_error(tx: usize) -> impl Fn(StateError) -> ExecuteError {
    move |source| ExecuteError::State { tx, source }
}

impl Run<'_> {
    fn plan(&mut self) {
        for (index, (tx, sender)) in self.txs.iter().zip(self.senders).enumerate() {
            // What cannot be read now may never be asked for: revm says so at its turn, or does not.
            let route =
                plan::route(index, tx, *sender, self.env, &self.large, self.revm.state()).unwrap_or(Route::Revm);
            self.routes.push(route);
        }
        lap(&mut self.report.time.plan, &mut self.clock);
        if self.routes.iter().any(|route| matches!(route, Route::Device(lane) if lane.running().is_some())) {
            self.load_hints();
        }
        lap(&mut self.report.time.lower, &mut self.clock);
    }

    /// Puts what the state expects to be read into the snapshot, in bounds: what is left out will park the lane that reads it.
    fn load_hints(&mut self) {
        let mut keys = self.revm.state().hints();
        if keys.len() > MAX_HINTS {
            let targets: HashSet<Address> = self.txs.iter().filter_map(|tx| tx.to).collect();
            keys.retain(|key| match key {
                StateKey::Account(address) | StateKey::Slot(address, _) => targets.contains(address),
                StateKey::BlockHash(_) => true,
            });
            keys.truncate(MAX_HINTS);
        }
        for key in keys {
            if self.codes.len_bytes() > MAX_HINTED_CODE && matches!(key, StateKey::Account(_)) {
                continue;
            }
            // A hint that cannot be read is left out too.
            let _ = self.snapshot.ensure(key, self.revm.state(), &mut self.codes);
        }
    }

    /// Runs every lane that has no result, if the next transaction is among them.
    fn wave(&mut self) {
        let next = self.outcomes.len();
        let waits = |index: usize| matches!(self.routes[index], Route::Device(_)) && self.results[index].is_none();
        if !waits(next) {
            return;
        }
        if self.snapshot.refresh(&self.outcomes[self.seen..], self.revm.state(), &mut self.codes).is_err() {
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
        // What fits one batch of large lanes never has to run again.
        let (small, mut large) = if ready.len() <= self.large.lanes {
            (Vec::new(), ready)
        } else {
            ready.into_iter().partition(|index| self.starts_small(*index))
        };
        for indices in small.chunks(self.small.lanes.max(1)) {
            large.extend(self.batch(indices, LaneClass::Small));
        }
        for indices in large.chunks(self.large.lanes.max(1)) {
            self.batch(indices, LaneClass::Large);
        }
    }

    fn starts_small(&self, index: usize) -> bool {
        let Route::Device(lane) = &self.routes[index] else { return false };
        plan::may_fit(lane, &self.small) && !self.grown.contains(&program(lane))
    }

    /// Runs lanes that are prepared; gives those that met a cap of small lanes.
    fn batch(&mut self, indices: &[usize], class: LaneClass) -> Vec<usize> {
        let mut lanes: Vec<&Lane<'_>> = indices
            .iter()
            .filter_map(|index| if let Route::Device(lane) = &self.routes[*index] { Some(&**lane) } else { None })
            .collect();
        lanes.sort_by_cached_key(|lane| (program(lane), lane.tx.input.len()));
        let limits = if class == LaneClass::Small { self.small } else { self.large };
        let batch = self.lowering.wave(self.env, limits, &lanes, &self.codes, &self.snapshot);
        lap(&mut self.report.time.lower, &mut self.clock);
        let mut service =
            StateService::new(self.device, self.revm.state(), &mut self.codes, &mut self.snapshot, lanes.len());
        // A device that leaves lanes out has failed: the block would wait for them for ever.
        let executed = self.device.execute(&batch, &mut service).and_then(|run| {
            if run.lanes.len() == lanes.len() {
                return Ok(run);
            }
            Err(BackendError::DeviceLost(format!("{} results for {} lanes", run.lanes.len(), lanes.len())))
        });
        lap(&mut self.report.time.execute, &mut self.clock);
        self.report.lanes += lanes.len() as u64;
        let mut again = Vec::new();
        match executed {
            Ok(run) => {
                self.report.add_run(&run);
                for (lane, result) in lanes.iter().zip(run.lanes) {
                    let speculation = Speculation::new(lane, result, &self.snapshot, &self.codes);
                    if let End::Fallback(reason) = speculation.end
                        && reason.is_cap()
                    {
                        *self.report.caps.entry((class, reason)).or_default() += 1;
                        if class == LaneClass::Small {
                            self.grown.insert(program(lane));
                            again.push(lane.index);
                            continue;
                        }
                    }
                    self.results[lane.index] = Some(speculation);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the device failed, its lanes go to the CPU");
                for index in indices {
                    self.routes[*index] = Route::Fallback(FallbackReason::DeviceError);
                }
            }
        }
        again
    }

    /// The transactions from `next` on that need a lane and fit one batch, read and ready; an unreadable one is revm's.
    fn prepare(&mut self, next: usize) -> Vec<usize> {
        let mut indices = Vec::new();
        let mut input = 0;
        for index in next..self.txs.len() {
            let (Route::Device(lane), None) = (&self.routes[index], &self.results[index]) else { continue };
            // What was stale before is likely stale again unless it stands near the front.
            if indices.len() >= (STALE_WINDOW >> self.stale[index].min(31)).max(1) && self.stale[index] > 0 {
                continue;
            }
            input += lane.tx.input.len();
            if indices.len() == self.small.lanes.max(self.large.lanes) || (input > MAX_INPUT && !indices.is_empty()) {
                break;
            }
            let state = self.revm.state();
            if Lowering::prepare(self.env, lane, state, &mut self.codes, &mut self.snapshot).is_ok() {
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
                    let Some(result) = &self.results[index] else { return Ok(()) };
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
                                    self.redo(index);
                                    return Ok(());
                                }
                                Verdict::Revm => None,
                            }
                        }
                    }
                }
            };
            let outcome =
                self.revm.transact(tx, self.senders[index]).map_err(|error| ExecuteError::at(index, error))?;
            lap(&mut self.report.time.fallback, &mut self.clock);
            if let Some(reason) = fallback {
                self.report.fall_back(reason);
            }
            self.commit(index, outcome, false)?;
        }
        Ok(())
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
        let call = is_call(&self.txs[index], self.revm.state()).map_err(state_error(index))?;
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

    /// Drops the stale result at `next`, and later ones that are stale already; their target's code is looked up again.
    fn redo(&mut self, next: usize) {
        self.report.conflicts += 1;
        for index in next..self.txs.len() {
            let (Route::Device(lane), Some(result)) = (&self.routes[index], &self.results[index]) else { continue };
            let prefix = self.revm.state();
            if index > next && !result.is_stale(lane, self.env, prefix).unwrap_or(true) {
                continue;
            }
            self.results[index] = None;
            self.stale[index] += 1;
            self.routes[index] =
                plan::route(index, &self.txs[index], self.senders[index], self.env, &self.large, prefix)
                    .unwrap_or(Route::Revm);
        }
        lap(&mut self.report.time.validate, &mut self.clock);
    }
}
