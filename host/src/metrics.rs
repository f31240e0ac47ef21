//! What is counted while work goes on, for the recorder of the crate `metrics` that the program has installed. Names, labels and units:
//! `docs/metrics.md`. Without [`enable`] nothing is counted, and nothing costs anything.

use crate::{
    backend::BackendKind,
    fallback::FallbackReason,
    report::{ExecutionReport, RouteCount, Work},
};
use ::metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

static ENABLED: AtomicBool = AtomicBool::new(false);

const RECOVERIES: &str = "lockstep_recoveries_total";
const HASHES: &str = "lockstep_hashes_total";
const BATCH_SECONDS: &str = "lockstep_batch_seconds";
const DEVICE_ERRORS: &str = "lockstep_device_errors_total";
const TXS: &str = "lockstep_txs_total";
const CALLS: &str = "lockstep_calls_total";
const GAS: &str = "lockstep_gas_total";
const FALLBACKS: &str = "lockstep_fallbacks_total";
const CONFLICTS: &str = "lockstep_conflicts_total";
const EXECUTE_SECONDS: &str = "lockstep_execute_seconds";
const SIMULATED_CALLS: &str = "lockstep_simulated_calls_total";
const SIMULATED_GAS: &str = "lockstep_simulated_gas_total";
const SIMULATE_FALLBACKS: &str = "lockstep_simulate_fallbacks_total";
const SIMULATE_SECONDS: &str = "lockstep_simulate_seconds";
const RPC_CALLS: &str = "lockstep_rpc_calls_total";
const RPC_RETRIES: &str = "lockstep_rpc_retries_total";

/// Counts from now on. Install the recorder first.
pub fn enable() {
    describe_counter!(RECOVERIES, "Signatures whose signer was looked for, by backend.");
    describe_counter!(HASHES, "Messages hashed with Keccak-256 in batches, by backend.");
    describe_histogram!(BATCH_SECONDS, Unit::Seconds, "One batch of recoveries or hashes on one backend.");
    describe_counter!(DEVICE_ERRORS, "Batches that a device failed and the CPU did instead.");
    describe_counter!(TXS, "Transactions executed, by the route of the accepted result.");
    describe_counter!(CALLS, "Those whose target had code.");
    describe_counter!(GAS, "Receipt gas of executed transactions, by route.");
    describe_counter!(FALLBACKS, "Transactions that a device was asked to run and that revm ran, by reason.");
    describe_counter!(CONFLICTS, "Lanes whose result was stale at their turn.");
    describe_histogram!(
        EXECUTE_SECONDS,
        Unit::Seconds,
        "Executing one block, or one batch of independent transactions."
    );
    describe_counter!(SIMULATED_CALLS, "Simulated calls, by the route of the accepted result.");
    describe_counter!(SIMULATED_GAS, "Gas of simulated calls, by route.");
    describe_counter!(SIMULATE_FALLBACKS, "Calls that a device was asked to run and that revm ran, by reason.");
    describe_histogram!(SIMULATE_SECONDS, Unit::Seconds, "One simulation, from its first call to its last answer.");
    describe_counter!(RPC_CALLS, "JSON-RPC calls that a node has answered.");
    describe_counter!(RPC_RETRIES, "HTTP requests to a node that were sent again.");
    from_zero();
    ENABLED.store(true, Ordering::Relaxed);
}

/// Names every counter, so that a rate over it has its first step too; of the backends those that there are.
fn from_zero() {
    for name in [CONFLICTS, RPC_CALLS, RPC_RETRIES] {
        counter!(name).increment(0);
    }
    for kind in [BackendKind::Cpu, BackendKind::Wgpu] {
        for name in [RECOVERIES, HASHES] {
            counter!(name, "backend" => kind.name()).increment(0);
        }
    }
    for route in ["device", "cpu"] {
        for name in [TXS, CALLS, GAS, SIMULATED_CALLS, SIMULATED_GAS] {
            counter!(name, "route" => route).increment(0);
        }
    }
    for reason in FallbackReason::ALL {
        for name in [FALLBACKS, SIMULATE_FALLBACKS] {
            counter!(name, "reason" => reason.name()).increment(0);
        }
    }
    for work in [Work::Recover.name(), Work::Keccak256.name(), EXECUTE.work, SIMULATE.work] {
        counter!(DEVICE_ERRORS, "work" => work).increment(0);
    }
}

fn is_enabled() -> bool {
    ENABLED.load(Ordering::Relaxed)
}

/// Runs a batch of `items` on a backend, counted if `count` finds that it was done.
pub(crate) fn batch<T>(
    work: Work,
    backend: &'static str,
    items: usize,
    run: impl FnOnce() -> T,
    count: impl FnOnce(&T) -> bool,
) -> T {
    if !is_enabled() || items == 0 {
        return run();
    }
    let start = Instant::now();
    let result = run();
    if count(&result) {
        let name = match work {
            Work::Recover => RECOVERIES,
            Work::Keccak256 => HASHES,
        };
        counter!(name, "backend" => backend).increment(items as u64);
        histogram!(BATCH_SECONDS, "work" => work.name(), "backend" => backend).record(start.elapsed());
    } else {
        counter!(DEVICE_ERRORS, "work" => work.name()).increment(1);
    }
    result
}

/// Under which names a report is counted.
struct Names {
    txs: &'static str,
    gas: &'static str,
    fallbacks: &'static str,
    work: &'static str,
}

const EXECUTE: Names = Names { txs: TXS, gas: GAS, fallbacks: FALLBACKS, work: "execute" };
const SIMULATE: Names =
    Names { txs: SIMULATED_CALLS, gas: SIMULATED_GAS, fallbacks: SIMULATE_FALLBACKS, work: "simulate" };

/// What of a report has been counted.
#[derive(Debug, Default)]
struct Counted {
    device: RouteCount,
    cpu: RouteCount,
    fallbacks: BTreeMap<FallbackReason, u64>,
}

impl Counted {
    fn of(report: &ExecutionReport) -> Self {
        Self { device: report.device, cpu: report.cpu, fallbacks: report.fallbacks.clone() }
    }

    /// Counts what came since.
    fn count(&self, report: &ExecutionReport, names: &Names) {
        for (route, was, is) in [("device", self.device, report.device), ("cpu", self.cpu, report.cpu)] {
            counter!(names.txs, "route" => route).increment(is.txs - was.txs);
            counter!(names.gas, "route" => route).increment(is.gas - was.gas);
        }
        for (reason, count) in &report.fallbacks {
            let new = count - self.fallbacks.get(reason).copied().unwrap_or_default();
            if new > 0 {
                counter!(names.fallbacks, "reason" => reason.name()).increment(new);
                if *reason == FallbackReason::DeviceError {
                    counter!(DEVICE_ERRORS, "work" => names.work).increment(1);
                }
            }
        }
    }
}

/// What a report counted before more is added to it.
#[derive(Debug)]
pub(crate) struct Before {
    counted: Counted,
    conflicts: u64,
    start: Instant,
}

/// Call before executing into `report`; `None` where nothing is counted.
pub(crate) fn before(report: &ExecutionReport) -> Option<Before> {
    is_enabled().then(|| Before { counted: Counted::of(report), conflicts: report.conflicts, start: Instant::now() })
}

/// Counts what came into `report` since.
pub(crate) fn executed(before: Option<Before>, report: &ExecutionReport) {
    let Some(before) = before else { return };
    before.counted.count(report, &EXECUTE);
    for (route, was, is) in [("device", before.counted.device, report.device), ("cpu", before.counted.cpu, report.cpu)]
    {
        counter!(CALLS, "route" => route).increment(is.calls - was.calls);
    }
    counter!(CONFLICTS).increment(report.conflicts - before.conflicts);
    histogram!(EXECUTE_SECONDS).record(before.start.elapsed());
}

/// What has been counted of a simulation that goes on.
#[derive(Debug, Default)]
pub(crate) struct Simulated(Counted);

impl Simulated {
    /// Counts what came into its report since the last time.
    pub(crate) fn count(&mut self, report: &ExecutionReport) {
        if is_enabled() {
            self.0.count(report, &SIMULATE);
            self.0 = Counted::of(report);
        }
    }
}

/// A simulation has ended.
pub(crate) fn simulated(seconds: Duration) {
    if is_enabled() {
        histogram!(SIMULATE_SECONDS).record(seconds);
    }
}

/// A node has answered.
#[cfg(feature = "rpc")]
pub(crate) fn answered(calls: usize) {
    if is_enabled() {
        counter!(RPC_CALLS).increment(calls as u64);
    }
}

/// A node is asked again.
#[cfg(feature = "rpc")]
pub(crate) fn asked_again() {
    if is_enabled() {
        counter!(RPC_RETRIES).increment(1);
    }
}
