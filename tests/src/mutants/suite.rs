//! The suites that must find a fault, quick ones first.

use super::Seeded;
use crate::{
    calls,
    covered::{self, Expected},
    creates,
    fuzz::{
        edges::edges,
        run::{Judged, Totals, compare, judge},
        scene::{FORKS, batch},
        sweep::sweep,
    },
    jumps::jumps,
    precompiles, programs,
    programs::Calls,
    set_code,
};
use lockstep::{backend::Backend, engine::Engine, fork::Fork, plan::LaneClass};
use std::sync::{Arc, OnceLock};

/// Batches of random programs, of a seed of their own.
const RANDOM: u64 = 28;
const SEED: u64 = 77;

/// How a fault was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Killed {
    /// An outcome, or the edges of a lane, differ from revm's.
    Differs(String),
    /// The device left what it had run before to the CPU.
    Declines(String),
}

/// What a suite is once it was run without a fault.
enum Baseline {
    /// Outcomes of transactions in a block, and how many of them the device ran.
    Outcomes(Box<Judged>, u64),
    /// Edges of lanes alone, and how many of them stand.
    Edges(Box<Expected>, u64),
}

struct Suite {
    name: String,
    calls: Box<dyn Fn() -> Calls + Send + Sync>,
    /// Whether it is edges that are compared.
    covers: bool,
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
    let suite = |name: String, calls: Box<dyn Fn() -> Calls + Send + Sync>| Suite {
        name,
        calls,
        covers: false,
        baseline: OnceLock::new(),
    };
    let mut suites = Vec::new();
    for (name, generate, forks) in programs {
        for fork in forks.iter().copied() {
            suites.push(suite(format!("{name}::{fork}"), Box::new(move || generate(fork))));
        }
    }
    suites.push(Suite { covers: true, ..suite("jumps::PRAGUE".into(), Box::new(|| jumps(Fork::Prague))) });
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
        let calls = (suite.calls)();
        let mut baseline = if suite.covers {
            Baseline::Edges(Box::new(covered::expect(calls)?), 0)
        } else {
            Baseline::Outcomes(Box::new(judge(calls)?), 0)
        };
        let found = self.run(&baseline).map_err(|text| format!("{}: {text}", suite.name))?;
        let (Baseline::Outcomes(_, accepted) | Baseline::Edges(_, accepted)) = &mut baseline;
        *accepted = found;
        Ok(baseline)
    }

    /// How many results of the device stand, or how they differ from revm's.
    fn run(&self, baseline: &Baseline) -> Result<u64, String> {
        match baseline {
            Baseline::Outcomes(judged, _) => {
                let mut totals = Totals::default();
                let same = compare(&self.engine, judged, &mut totals);
                same.map_err(|difference| format!("transaction {}: {}", difference.tx, difference.text))?;
                Ok(totals.accepted)
            }
            Baseline::Edges(expected, _) => {
                Ok(covered::compare(&*self.device, LaneClass::Large, expected)?.same as u64)
            }
        }
    }

    /// The first suite that finds the fault; `None` if it survives them all.
    ///
    /// # Errors
    /// A suite fails without any fault.
    pub fn kill(&self, number: u32) -> Result<Option<Killed>, String> {
        for suite in &self.suites {
            let baseline = suite.baseline.get_or_init(|| self.baseline(suite)).as_ref().map_err(Clone::clone)?;
            self.device.choose(number);
            let (Baseline::Outcomes(_, before) | Baseline::Edges(_, before)) = baseline;
            match self.run(baseline) {
                Err(_) => return Ok(Some(Killed::Differs(suite.name.clone()))),
                Ok(accepted) if accepted * 100 < before * 98 => {
                    return Ok(Some(Killed::Declines(suite.name.clone())));
                }
                Ok(_) => {}
            }
        }
        Ok(None)
    }
}
