//! What one execution did, where, and for how long.

use crate::{backend::Executed, coverage::Coverage, fallback::FallbackReason, plan::LaneClass};
use std::{collections::BTreeMap, time::Duration};

/// Transactions by the route that produced the accepted result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteCount {
    /// Transactions.
    pub txs: u64,
    /// Transactions whose target had code at its index in the committed prefix.
    pub calls: u64,
    /// Receipt gas.
    pub gas: u64,
}

impl RouteCount {
    /// Counts one transaction.
    pub fn add(&mut self, is_call: bool, gas_used: u64) {
        self.txs += 1;
        self.calls += u64::from(is_call);
        // Calls may name any gas.
        self.gas = self.gas.saturating_add(gas_used);
    }
}

impl std::ops::Add for RouteCount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { txs: self.txs + other.txs, calls: self.calls + other.calls, gas: self.gas.saturating_add(other.gas) }
    }
}

macro_rules! stages {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Wall time by stage of the pipeline.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct StageTimes { $($(#[$doc])* pub $name: Duration,)* }

        impl StageTimes {
            /// Adds the times of another.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }

            /// Name and time of every stage, in the order of the pipeline.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, Duration)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

stages! {
    /// Bytes to transactions.
    decode,
    /// Signatures to senders.
    recover,
    /// Routes, waves and order.
    plan,
    /// Waves to flat batches.
    lower,
    /// The device, transfers included.
    execute,
    /// Read sets against the committed prefix.
    validate,
    /// revm, whether as the chosen route or as a fallback.
    fallback,
    /// Changes into the committed prefix, receipts.
    commit,
    /// Everything, from raw bytes to receipts root.
    total,
}

/// Who ran transactions of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    /// Lanes of a device.
    Device,
    /// revm on a CPU thread.
    Cpu,
}

impl Runner {
    /// As JSON has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Cpu => "cpu",
        }
    }
}

/// What ran from when to when, since the execution began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Who ran it.
    pub runner: Runner,
    /// On which CPU thread, the calling one first; zero for a device.
    pub thread: usize,
    /// The index of the first of its transactions.
    pub first: usize,
    /// How many there were; of lanes not always in a row.
    pub txs: usize,
    /// When it began.
    pub from: Duration,
    /// When it ended.
    pub to: Duration,
}

/// The account of one [`crate::engine::Engine::execute_block`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutionReport {
    /// Accepted results read back from a lane.
    pub device: RouteCount,
    /// Results produced by revm.
    pub cpu: RouteCount,
    /// Transactions that the device was asked to run and that revm ran, by reason.
    pub fallbacks: BTreeMap<FallbackReason, u64>,
    /// Lanes that met a cap, by their class: a small one runs again as a large one, which then falls back.
    pub caps: BTreeMap<(LaneClass, FallbackReason), u64>,
    /// Lanes whose result was stale at their turn.
    pub conflicts: u64,
    /// Times that the device was given all that could run.
    pub waves: u64,
    /// Batches of lanes that it ran.
    pub batches: u64,
    /// Lanes run, stale ones included.
    pub lanes: u64,
    /// Compute dispatches.
    pub dispatches: u64,
    /// Lanes over all dispatches.
    pub invocations: u64,
    /// Requests of parked lanes that were served while their batch ran.
    pub served: u64,
    /// Transactions whose lanes fell back, or that revm takes long for, and whose result is what it made of them while lanes went on.
    pub beside: u64,
    /// Transactions left to revm at their turn, for they are expected to look at what one before them changes.
    pub foreseen: u64,
    /// Blocks that several threads began and one began anew, for threads did not pay.
    pub begun_anew: u64,
    /// What ran when, by its end: on a device and beside it, or on CPU threads, where each unit that ran counts, stale ones included. Empty
    /// for a block that one thread runs.
    pub timeline: Vec<Span>,
    /// The longest compute dispatch.
    pub longest_dispatch: Duration,
    /// EVM steps run on the device.
    pub steps: u64,
    /// Transactions whose accepted result a lane produced, in order.
    pub on_device: Vec<usize>,
    /// Transactions whose lane revm, run beside it by [`crate::engine::EngineBuilder::cross_check`], disagreed with.
    pub differences: Vec<usize>,
    /// The edges that lanes took, where they were asked for merged; what revm ran adds nothing here.
    pub coverage: Option<Box<Coverage>>,
    /// Wall time by stage.
    pub time: StageTimes,
}

impl ExecutionReport {
    /// Both routes together.
    pub fn total(&self) -> RouteCount {
        self.device + self.cpu
    }

    /// Adds what another one counted. Its transactions have other indices, so none is named.
    pub fn add(&mut self, other: Self) {
        self.device = self.device + other.device;
        self.cpu = self.cpu + other.cpu;
        other.fallbacks.into_iter().for_each(|(reason, count)| *self.fallbacks.entry(reason).or_default() += count);
        other.caps.into_iter().for_each(|(cap, count)| *self.caps.entry(cap).or_default() += count);
        self.conflicts += other.conflicts;
        self.waves += other.waves;
        self.batches += other.batches;
        self.lanes += other.lanes;
        self.dispatches += other.dispatches;
        self.invocations += other.invocations;
        self.served += other.served;
        self.beside += other.beside;
        self.foreseen += other.foreseen;
        self.begun_anew += other.begun_anew;
        self.longest_dispatch = self.longest_dispatch.max(other.longest_dispatch);
        self.steps += other.steps;
        self.add_coverage(other.coverage.as_deref());
        self.time.add(&other.time);
    }

    /// Counts what a batch took.
    pub fn add_run(&mut self, run: &Executed) {
        self.dispatches += run.dispatches;
        self.invocations += run.invocations;
        self.served += run.served;
        self.longest_dispatch = self.longest_dispatch.max(run.longest);
        self.steps += run.lanes.iter().map(|lane| u64::from(lane.state.steps)).sum::<u64>();
        self.add_coverage(run.coverage.as_deref());
    }

    fn add_coverage(&mut self, coverage: Option<&Coverage>) {
        if let Some(coverage) = coverage {
            self.coverage.get_or_insert_default().merge(coverage);
        }
    }

    /// Counts one fallback.
    pub fn fall_back(&mut self, reason: FallbackReason) {
        *self.fallbacks.entry(reason).or_default() += 1;
    }
}

/// What a batch that is no execution is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Recover,
    Keccak256,
}

impl Work {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Recover => "recover",
            Self::Keccak256 => "keccak256",
        }
    }
}

/// Adds the time since `start` to a stage and restarts the clock.
pub fn lap(stage: &mut Duration, start: &mut std::time::Instant) {
    let now = std::time::Instant::now();
    *stage += now - *start;
    *start = now;
}
