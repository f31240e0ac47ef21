//! Runs lanes on a device: prepared, lowered into batches, small lanes first where there are many, again as large ones
//! where they meet a cap. Of a lane it knows its context; what becomes of a result is for others to say.

use crate::{
    access::{Program, selector},
    backend::{Backend, BackendError},
    context::{Context, Contexts},
    coverage::CoverageMode,
    fallback::FallbackReason,
    fork::Fork,
    lower::{CodeArena, CodeCache, LaneResult, Lowering, Numbered, SnapshotTable},
    outcome::TxOutcome,
    park::{Declined, MAX_CODE, MAX_KEYS, StateService},
    plan::{self, Lane, LaneClass, LaneLimits},
    report::{ExecutionReport, lap},
    state::{StateError, StateKey},
    validate::{self, End, Speculation, warm_keys},
};
use alloy_primitives::{Address, B256};
use std::{collections::HashSet, sync::Arc, time::Instant};

/// Most keys taken from the hints of states: a sixteenth of the largest snapshot table that fits a binding.
const MAX_HINTS: usize = 1 << 16;

/// Bytes of code beyond which hinted accounts are left out; half of a binding.
const MAX_HINTED_CODE: usize = 64 << 20;

/// Calldata of a batch in bytes; half of a binding.
pub(crate) const MAX_INPUT: usize = 64 << 20;

/// What an engine runs lanes with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lanes<'a> {
    pub(crate) device: &'a dyn Backend,
    pub(crate) codes: &'a Arc<CodeCache>,
    pub(crate) cross_check: bool,
}

/// What a lane runs.
fn program(lane: &Lane<'_>) -> Program {
    (lane.running().map_or(B256::ZERO, |code| code.hash), selector(&lane.tx.input))
}

/// The tables that lanes of one fork run on, kept from batch to batch.
#[derive(Debug)]
pub(crate) struct Runner<'a> {
    device: &'a dyn Backend,
    cache: &'a Arc<CodeCache>,
    cross_check: bool,
    warm: bool,
    small: LaneLimits,
    large: LaneLimits,
    /// What met a cap of the small lanes, by code and selector: it starts in a large one.
    grown: HashSet<Program>,
    lowering: Lowering,
    codes: CodeArena,
    snapshot: SnapshotTable,
    /// Numbers of the states that were asked for hints.
    hinted: HashSet<u32>,
    /// Keys that may still be taken from hints.
    hints_left: usize,
    /// Which edges lanes note: lane by lane they are in the result, merged in the report.
    coverage: CoverageMode,
}

impl<'a> Runner<'a> {
    pub(crate) fn new(Lanes { device, codes, cross_check }: Lanes<'a>, fork: Fork) -> Self {
        Self {
            device,
            cache: codes,
            cross_check,
            warm: false,
            small: device.lane_limits(LaneClass::Small),
            large: device.lane_limits(LaneClass::Large),
            grown: HashSet::new(),
            lowering: Lowering::new(fork),
            codes: CodeArena::new(Arc::clone(codes)),
            snapshot: SnapshotTable::default(),
            hinted: HashSet::new(),
            hints_left: MAX_HINTS,
            coverage: CoverageMode::Off,
        }
    }

    /// The same, which says of each lane what it has made warm, if `warm`, and of each or all which edges they took.
    pub(crate) fn keeping(self, warm: bool, coverage: CoverageMode) -> Self {
        Self { warm, coverage, ..self }
    }

    /// Whether revm is to run beside every lane.
    pub(crate) const fn cross_checks(&self) -> bool {
        self.cross_check
    }

    /// Forgets every state but the first context's.
    pub(crate) fn keep_first_state(&mut self) {
        self.snapshot.keep(0);
        self.hinted.retain(|number| *number == 0);
    }

    /// What a lane may use at most.
    pub(crate) const fn limits(&self) -> &LaneLimits {
        &self.large
    }

    /// Limits of a batch.
    fn limits_of(&self, class: LaneClass) -> LaneLimits {
        let limits = if class == LaneClass::Small { self.small } else { self.large };
        limits.covering(self.coverage)
    }

    /// Lanes that a run takes at most.
    pub(crate) fn most_lanes(&self) -> usize {
        self.limits_of(LaneClass::Small).lanes.max(self.limits_of(LaneClass::Large).lanes).max(1)
    }

    /// Puts what a state expects to be read into the snapshot, in bounds: what is left out will park the lane that reads
    /// it. Where there is not room for all, accounts of `targets` come first.
    pub(crate) fn hint(&mut self, of: Numbered<'_>, targets: &HashSet<Address>) {
        // A layer has the hints of what lies under it: its own keys are read in any case.
        let of = of.base.map_or(of, |base| Numbered::alone(base.layer.base(), base.number));
        if self.hints_left == 0 || !self.hinted.insert(of.number) {
            return;
        }
        let mut keys = of.state.hints();
        // Those that are left out took their time too.
        let looked_at = keys.len();
        if keys.len() > self.hints_left {
            keys.retain(|key| match key {
                StateKey::Account(address) | StateKey::Slot(address, _) => targets.contains(address),
                StateKey::BlockHash(_) => true,
            });
            keys.truncate(self.hints_left);
        }
        self.hints_left = self.hints_left.saturating_sub(looked_at);
        for key in keys {
            self.ensure_hint(key, of);
        }
    }

    /// Puts what lanes are expected to look at into the snapshot, in bounds.
    pub(crate) fn expect(&mut self, keys: Vec<StateKey>, of: Numbered<'_>) {
        self.snapshot.reserve(keys.len().min(MAX_HINTS));
        for key in keys {
            if self.hints_left == 0 {
                return;
            }
            let before = self.snapshot.len();
            self.ensure_hint(key, of);
            self.hints_left -= self.snapshot.len() - before;
        }
    }

    fn ensure_hint(&mut self, key: StateKey, of: Numbered<'_>) {
        let full = self.codes.len_bytes() > MAX_HINTED_CODE && matches!(key, StateKey::Account(_));
        if !full {
            // A hint that cannot be read is left out too.
            let _ = self.snapshot.ensure(key, of, &mut self.codes);
        }
    }

    /// Reads again what committed transactions changed.
    ///
    /// # Errors
    /// The state could not be read.
    pub(crate) fn refresh(&mut self, outcomes: &[TxOutcome], of: Numbered<'_>) -> Result<(), StateError> {
        self.snapshot.refresh(outcomes, of, &mut self.codes)
    }

    /// Forgets everything where a good part of what may be held is: every batch uploads it.
    pub(crate) fn trim(&mut self) {
        if self.snapshot.len() > MAX_KEYS / 8 || self.codes.len_bytes() > MAX_CODE / 8 {
            self.codes = CodeArena::new(Arc::clone(self.cache));
            self.snapshot = SnapshotTable::default();
            self.hinted.clear();
            self.hints_left = MAX_HINTS;
        }
    }

    /// Reads what a lane starts with.
    ///
    /// # Errors
    /// The state could not be read.
    pub(crate) fn prepare(&mut self, lane: &Lane<'_>, contexts: &Contexts<'_>) -> Result<(), StateError> {
        Lowering::prepare(lane, contexts, &mut self.codes, &mut self.snapshot)
    }

    /// Runs lanes that are prepared. Gives the index of each with its result, in no order; `None` where the device failed.
    /// `declined` is told of lanes that are revm's, by index, while others go on.
    pub(crate) fn run(
        &mut self,
        mut lanes: Vec<&Lane<'_>>,
        contexts: &Contexts<'_>,
        declined: Declined<'_>,
        report: &mut ExecutionReport,
        clock: &mut Instant,
    ) -> Vec<(usize, Option<Speculation>)> {
        let mut results = Vec::with_capacity(lanes.len());
        if self.coverage == CoverageMode::Merged {
            // Edges that revm would not come to could not be taken out of the map.
            let starts = |lane: &&Lane<'_>| {
                let Context { env, state } = contexts.get(lane.context);
                validate::starts(lane, env, *state).unwrap_or(false)
            };
            let left_out = lanes.extract_if(.., |lane| !starts(&*lane));
            results.extend(left_out.map(|lane| (lane.index, Some(Speculation::not_run()))));
        }
        let [small_lanes, large_lanes] = [LaneClass::Small, LaneClass::Large].map(|class| self.limits_of(class).lanes);
        // What fits one batch of large lanes never has to run again.
        let (small, mut large) = if lanes.len() <= large_lanes {
            (Vec::new(), lanes)
        } else {
            lanes.into_iter().partition(|lane| self.starts_small(lane))
        };
        for lanes in small.chunks(small_lanes.max(1)) {
            let ran = self.batch(lanes, LaneClass::Small, contexts, declined, report, clock);
            for (lane, result) in ran {
                match &result {
                    Some(Speculation { end: End::Fallback(reason), .. }) if reason.is_cap() => {
                        self.grown.insert(program(lane));
                        large.push(lane);
                    }
                    _ => results.push((lane.index, result)),
                }
            }
        }
        for lanes in large.chunks(large_lanes.max(1)) {
            let ran = self.batch(lanes, LaneClass::Large, contexts, declined, report, clock);
            results.extend(ran.into_iter().map(|(lane, result)| (lane.index, result)));
        }
        results
    }

    fn starts_small(&self, lane: &Lane<'_>) -> bool {
        plan::may_fit(lane, &self.small) && !self.grown.contains(&program(lane))
    }

    /// Runs one batch, neighbours of one program side by side; counts the caps that its lanes met.
    fn batch<'l, 'tx>(
        &mut self,
        lanes: &[&'l Lane<'tx>],
        class: LaneClass,
        contexts: &Contexts<'_>,
        declined: Declined<'_>,
        report: &mut ExecutionReport,
        clock: &mut Instant,
    ) -> Vec<(&'l Lane<'tx>, Option<Speculation>)> {
        let mut lanes = lanes.to_vec();
        lanes.sort_by_cached_key(|lane| (program(lane), lane.tx.input.len()));
        let limits = self.limits_of(class);
        let mut batch = self.lowering.batch(contexts, limits, &lanes, &self.codes, &self.snapshot);
        batch.coverage = self.coverage;
        lap(&mut report.time.lower, clock);
        let places = lanes.iter().map(|lane| lane.context).collect();
        let mut tell = |place: usize, reason: FallbackReason| {
            // A larger lane may hold what a small one could not.
            if class == LaneClass::Large || !reason.is_cap() {
                declined(lanes[place].index, reason);
            }
        };
        let mut service =
            StateService::new(self.device, contexts, places, &mut self.codes, &mut self.snapshot).telling(&mut tell);
        // A device that leaves lanes out has failed: their transactions would wait for them for ever.
        let executed = self.device.execute(&batch, &mut service).and_then(|run| {
            if run.lanes.len() == lanes.len() {
                return Ok(run);
            }
            Err(BackendError::DeviceLost(format!("{} results for {} lanes", run.lanes.len(), lanes.len())))
        });
        lap(&mut report.time.execute, clock);
        report.batches += 1;
        report.lanes += lanes.len() as u64;
        let run = match executed {
            Ok(run) => run,
            Err(error) => {
                tracing::warn!(%error, "the device failed, its lanes go to the CPU");
                return lanes.into_iter().map(|lane| (lane, None)).collect();
            }
        };
        report.add_run(&run);
        let detached = |(lane, result): (&'l Lane<'tx>, LaneResult)| {
            let warm = if self.warm { warm_keys(&result, &self.snapshot) } else { Vec::new() };
            let mut speculation = Speculation::new(lane, result, &self.snapshot, &self.codes);
            speculation.warm = warm;
            if let End::Fallback(reason) = speculation.end
                && reason.is_cap()
            {
                *report.caps.entry((class, reason)).or_default() += 1;
            }
            (lane, Some(speculation))
        };
        lanes.into_iter().zip(run.lanes).map(detached).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        abi::{self, LaneState},
        backend::{BackendKind, Executed},
        commit::Committed,
        context::{Context, PlacedTx, Terms},
        coverage::Coverage,
        fixture,
        lower::Batch,
        park::Service,
        plan::Route,
        recover::{RecoverError, RecoverRequest, recover_one, sender_request},
        state::StateRef,
        tx::Transaction,
    };

    /// Its lanes end at once, and every one has taken the same edge.
    #[derive(Debug)]
    struct OneEdge;

    fn edge() -> Box<Coverage> {
        let mut edge = Box::<Coverage>::default();
        edge.add(1, 2, 3);
        edge
    }

    impl Backend for OneEdge {
        fn kind(&self) -> BackendKind {
            BackendKind::Cpu
        }

        fn name(&self) -> &str {
            "one edge"
        }

        fn keccak256(&self, _: &[&[u8]]) -> Result<Vec<B256>, BackendError> {
            Ok(Vec::new())
        }

        fn recover(&self, _: &[RecoverRequest]) -> Result<Vec<Result<Address, RecoverError>>, BackendError> {
            Ok(Vec::new())
        }

        fn execute(&self, batch: &Batch, _: &mut dyn Service) -> Result<Executed, BackendError> {
            let lane = |state: &LaneState| LaneResult {
                state: LaneState { status: abi::STATUS_STOP, entries: 0, ..*state },
                entries: Vec::new(),
                logs: Vec::new(),
                output: Vec::new(),
                coverage: (batch.coverage == CoverageMode::Each).then(edge),
            };
            let coverage = (batch.coverage == CoverageMode::Merged).then(edge);
            Ok(Executed { lanes: batch.lanes.iter().map(lane).collect(), coverage, ..Executed::default() })
        }
    }

    #[test]
    fn a_layer_is_not_asked_for_hints() {
        let (block, state) = fixture::block();
        let layers = [Committed::new(&state), Committed::new(&state)];
        let context = |layer| Context { env: &block.env, state: layer };
        let contexts = Contexts::new(&[context(&state), context(&layers[0]), context(&layers[1])]);
        let codes = Arc::default();
        let mut runner = Runner::new(Lanes { device: &OneEdge, codes: &codes, cross_check: false }, block.env.fork);
        (0..3).for_each(|place| runner.hint(contexts.state(place), &HashSet::new()));
        assert_eq!(runner.hinted, HashSet::from([0]));
        assert_eq!(MAX_HINTS - runner.hints_left, state.hints().len());
    }

    #[test]
    fn edges_come_as_they_are_asked_for() {
        let (block, state) = fixture::block();
        let txs: Vec<_> = block.transactions.iter().map(|raw| Transaction::decode(raw).unwrap()).collect();
        let context = Context { env: &block.env, state: &state };
        let contexts = Contexts::one(&block.env, &state);
        let codes = Arc::default();
        let run = |coverage| {
            let lanes = Lanes { device: &OneEdge, codes: &codes, cross_check: false };
            let mut runner = Runner { coverage, ..Runner::new(lanes, block.env.fork) };
            let lane = |(index, tx)| {
                let sender = recover_one(&sender_request(tx, block.env.fork)).unwrap();
                let placed = PlacedTx { tx, sender, context: 0 };
                match plan::route(index, placed, &context, Terms::Transaction, runner.limits()) {
                    Ok(Route::Device(lane)) => *lane,
                    route => panic!("{route:?}"),
                }
            };
            let lanes: Vec<_> = txs.iter().enumerate().map(lane).collect();
            lanes.iter().for_each(|lane| runner.prepare(lane, &contexts).unwrap());
            let mut report = ExecutionReport::default();
            let lanes = lanes.iter().collect();
            let mut ran = runner.run(lanes, &contexts, &mut |_, _| {}, &mut report, &mut Instant::now());
            ran.sort_unstable_by_key(|(index, _)| *index);
            let ends = ran.into_iter().map(|(_, result)| result.map(|result| (result.end, result.coverage)));
            (ends.map(Option::unwrap).collect::<Vec<_>>(), report.coverage)
        };
        let done = |coverage| (End::Done(crate::outcome::TxStatus::Success), coverage);
        let all = |coverage: Option<Box<Coverage>>| vec![done(coverage); 4];
        assert_eq!(run(CoverageMode::Off), (all(None), None));
        assert_eq!(run(CoverageMode::Each), (all(Some(edge())), None));
        // Two have a nonce to wait for: alone on this state they are invalid, and run nothing.
        let parked = || (End::Parked, None);
        assert_eq!(run(CoverageMode::Merged), (vec![done(None), parked(), done(None), parked()], Some(edge())));
    }
}
