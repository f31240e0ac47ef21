//! The fuzzer's bounded run, what it found before, and what it and the sweep reach on a device.

use libtest_mimic::Failed;
use lockstep::{backend::BackendKind, engine::Engine};
use lockstep_tests::{
    fuzz::{
        corpus::from_json,
        edges::edges,
        run::{Totals, compare, judge},
        scene::{FORKS, batch},
        sweep::sweep,
    },
    harness::{Suite, Target, workspace},
    mutants::{Seeded, Suites, mutants},
};
use std::{fs, process::ExitCode, sync::Arc};

/// One fault in so many is tried here; `mutants` tries them all.
const SAMPLE: usize = 29;

/// Batches of the bounded run; the seed is not that of any longer run.
const BATCHES: u64 = 14;
const SEED: u64 = 2026;

fn main() -> ExitCode {
    let mut suite = Suite::default();
    suite.each("vs_revm", fuzz);
    suite.each("corpus", replay);
    suite.each("edges", edge_cases);
    suite.each("sweep::reaches_every_opcode_with_every_outcome", coverage);
    suite.on(Target::Wgpu, "mutants::a_sample_is_found", |_| sample());
    suite.run()
}

fn fuzz(engine: &Engine) -> Result<(), Failed> {
    let mut totals = Totals::default();
    for number in 0..BATCHES {
        let judged = judge(batch(SEED, number, &FORKS))?;
        compare(engine, &judged, &mut totals).map_err(|difference| {
            format!("seed {SEED}, batch {number}, transaction {}: {}", difference.tx, difference.text)
        })?;
    }
    // The random programs must be worth the name.
    let mean = totals.steps / totals.txs;
    if mean < 200 {
        return Err(format!("{mean} steps in the mean").into());
    }
    on_device(engine, &totals, 90)
}

fn on_device(engine: &Engine, totals: &Totals, percent: u64) -> Result<(), Failed> {
    if engine.backend_kind() != BackendKind::Cpu && totals.accepted * 100 < totals.txs * percent {
        return Err(format!("{} of {} from the device: {:?}", totals.accepted, totals.txs, totals.fallbacks).into());
    }
    Ok(())
}

fn replay(engine: &Engine) -> Result<(), Failed> {
    let folder = workspace().join("tests/corpus");
    let mut files: Vec<_> =
        fs::read_dir(&folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    for path in files {
        let file = serde_json::from_slice(&fs::read(&path)?)?;
        let calls = from_json(&file).map_err(|error| format!("{}: {error}", path.display()))?;
        let txs = calls.txs.len();
        let judged = judge(calls)?;
        if judged.calls.txs.len() != txs {
            return Err(format!("{}: a transaction is invalid", path.display()).into());
        }
        compare(engine, &judged, &mut Totals::default())
            .map_err(|difference| format!("{}, transaction {}: {}", path.display(), difference.tx, difference.text))?;
    }
    Ok(())
}

/// What random programs are not likely to reach.
fn edge_cases(engine: &Engine) -> Result<(), Failed> {
    let mut totals = Totals::default();
    for fork in FORKS {
        let judged = judge(edges(fork))?;
        compare(engine, &judged, &mut totals)
            .map_err(|difference| format!("{fork}, transaction {}: {}", difference.tx, difference.text))?;
    }
    on_device(engine, &totals, 50)
}

fn coverage(engine: &Engine) -> Result<(), Failed> {
    let mut totals = Totals::default();
    for fork in FORKS {
        let judged = judge(sweep(fork))?;
        compare(engine, &judged, &mut totals)
            .map_err(|difference| format!("{fork}, transaction {}: {}", difference.tx, difference.text))?;
    }
    if engine.backend_kind() == BackendKind::Cpu {
        return Ok(());
    }
    let missing: Vec<_> = totals
        .coverage
        .missing(&FORKS)
        .into_iter()
        .map(|(fork, op, outcome)| format!("{fork} {op} {}", outcome.name()))
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("not reached: {}", missing.join(", ")).into()) }
}

/// All places of faults are in the kernel, and those tried are found.
fn sample() -> Result<(), Failed> {
    let device = std::env::var("LOCKSTEP_DEVICE").ok();
    let suites = Suites::new(Arc::new(Seeded::open(device.as_deref())?))?;
    let mut survivors = Vec::new();
    for mutant in mutants().iter().step_by(SAMPLE) {
        if suites.kill(mutant.number)?.is_none() {
            survivors.push(mutant.name.clone());
        }
    }
    if survivors.is_empty() { Ok(()) } else { Err(format!("not found: {}", survivors.join(", ")).into()) }
}
