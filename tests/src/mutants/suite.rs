//! The suites that must find a fault, quick ones first.

use super::Seeded;
use crate::{
    calls, creates,
    fuzz::{
        edges::edges,
        run::{Judged, Totals, compare, judge},
        scene::{FORKS, batch},
        sweep::sweep,
    },
    precompiles, programs,
    programs::Calls,
    set_code,
};
use lockstep::{backend::Backend, engine::Engine, fork::Fork};
use std::sync::{Arc, OnceLock};

/// Batches of random programs, of a seed of their own.
const RANDOM: u64 = 28;
const SEED: u64 = 77;

/// How a fault was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Killed {
    /// An outcome differs from revm's.
    Differs(String),
    /// The device left what it had run before to the CPU.
    Declines(String),
}

/// What a suite is once it was run without a fault.
struct Baseline {
    judged: Judged,
    /// Transactions that the device ran.
    accepted: u64,
}

struct Suite {
    name: String,
    calls: Box<dyn Fn() -> Calls + Send + Sync>,
    baseline: OnceLock<Result<Baseline, String>>,
}

/// Programs with what revm makes of them, which is found out when it is needed.
pub struct Suites {
    suites: Vec<Suite>,
    engine: Engine,
    device: Arc<Seeded>,
}

impl std::fmt::Debug for Suites {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Suites").field("suites", &self.suites.len()).finish_non_exhaustive()
    }
}

fn all() -> Vec<Suite> {
    type Generator = fn(Fork) -> Calls;
    let programs: [(&str, Generator, &[Fork]); 11] = [
        ("sweep", sweep, &[Fork::Cancun, Fork::Berlin, Fork::Osaka]),
        ("calls", calls::calls, &[Fork::Cancun]),
        ("edges", edges, &[Fork::Cancun]),
        ("creates", creates::creates, &[Fork::Cancun, Fork::Berlin]),
        ("destroys", creates::destroys, &[Fork::Berlin, Fork::Osaka]),
        ("precompiles", precompiles::precompiles, &[Fork::Shanghai]),
        ("state", programs::state, &[Fork::Prague]),
        ("memory", programs::memory, &[Fork::Cancun]),
        ("flow", programs::flow, &[Fork::Berlin, Fork::Cancun]),
        ("arithmetic", programs::arithmetic, &[Fork::Osaka]),
        ("precompiles_with_code", precompiles::precompiles_with_code, &[Fork::Prague]),
    ];
    let suite =
        |name: String, calls: Box<dyn Fn() -> Calls + Send + Sync>| Suite { name, calls, baseline: OnceLock::new() };
    let mut suites = Vec::new();
    for (name, generate, forks) in programs {
        for fork in forks.iter().copied() {
            suites.push(suite(format!("{name}::{fork}"), Box::new(move || generate(fork))));
        }
    }
    suites.push(suite("set_code::PRAGUE".into(), Box::new(|| set_code::set_code(Fork::Prague))));
    for number in 0..RANDOM {
        suites.push(suite(format!("vs_revm::{number}"), Box::new(move || batch(SEED, number, &FORKS))));
    }
    for fork in [Fork::London, Fork::Merge, Fork::Shanghai, Fork::Prague] {
        suites.push(suite(format!("sweep::{fork}"), Box::new(move || sweep(fork))));
    }
    suites
}

impl Suites {
    /// All of them, on a device.
    ///
    /// # Errors
    /// There is no engine.
    pub fn new(device: Arc<Seeded>) -> Result<Self, String> {
        let engine = Engine::builder()
            .with_device(Arc::clone(&device) as Arc<dyn Backend>)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { suites: all(), engine, device })
    }

    /// Without a fault: then nothing may differ.
    fn baseline(&self, suite: &Suite) -> Result<Baseline, String> {
        self.device.choose(0);
        let judged = judge((suite.calls)())?;
        let mut totals = Totals::default();
        compare(&self.engine, &judged, &mut totals)
            .map_err(|difference| format!("{}, transaction {}: {}", suite.name, difference.tx, difference.text))?;
        Ok(Baseline { judged, accepted: totals.accepted })
    }

    /// The first suite that finds the fault; `None` if it survives them all.
    ///
    /// # Errors
    /// A suite fails without any fault.
    pub fn kill(&self, number: u32) -> Result<Option<Killed>, String> {
        for suite in &self.suites {
            let baseline = suite.baseline.get_or_init(|| self.baseline(suite)).as_ref().map_err(Clone::clone)?;
            self.device.choose(number);
            let mut totals = Totals::default();
            if compare(&self.engine, &baseline.judged, &mut totals).is_err() {
                return Ok(Some(Killed::Differs(suite.name.clone())));
            }
            if totals.accepted * 100 < baseline.accepted * 98 {
                return Ok(Some(Killed::Declines(suite.name.clone())));
            }
        }
        Ok(None)
    }
}
