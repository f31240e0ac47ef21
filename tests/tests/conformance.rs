//! Every opcode, cap and fork on the device against revm: whole outcomes, transaction by transaction.

use libtest_mimic::Failed;
use lockstep::{
    backend::{
        Backend, BackendKind,
        wgpu::{Integers, WgpuBackend},
    },
    engine::Engine,
    fork::Fork,
    report::ExecutionReport,
};
use lockstep_tests::{
    calls, creates,
    harness::{Suite, Target},
    precompiles,
    programs::{self, Calls},
    random::random,
    set_code,
};
use std::{process::ExitCode, sync::Arc};

type Generator = fn(Fork) -> Calls;

const GENERATORS: [(&str, Generator); 10] = [
    ("calls", calls::calls),
    ("creates", creates::creates),
    ("destroys", creates::destroys),
    ("precompiles", precompiles::precompiles),
    ("precompiles_with_code", precompiles::precompiles_with_code),
    ("set_code", set_code::set_code),
    ("arithmetic", programs::arithmetic),
    ("memory", programs::memory),
    ("flow", programs::flow),
    ("state", programs::state),
];

const FORKS: [Fork; 7] =
    [Fork::Berlin, Fork::London, Fork::Merge, Fork::Shanghai, Fork::Cancun, Fork::Prague, Fork::Osaka];

/// Random blocks a fork; more of them were run when they were written.
const SEEDS: u64 = 100;

/// A random block gives the same outcomes, or the same error, as on revm.
fn random_block(engine: &Engine, fork: Fork, seed: u64) -> Result<(), Failed> {
    let calls = random(fork, seed);
    let run = |engine: &Engine| {
        let mut report = ExecutionReport::default();
        engine.execute_transactions(&calls.env, &calls.txs, &calls.senders, &calls.state, &mut report)
    };
    let expected = run(&Engine::builder().backend(BackendKind::Cpu).threads(1).build()?);
    let got = run(engine);
    if got == expected { Ok(()) } else { Err(format!("seed {seed}: {got:?} instead of {expected:?}").into()) }
}

/// Runs the calls on an engine and on revm; gives the report and how many outcomes differ.
fn compare(engine: &Engine, calls: &Calls) -> Result<(ExecutionReport, usize), Failed> {
    let run = |engine: &Engine| {
        let mut report = ExecutionReport::default();
        let outcomes =
            engine.execute_transactions(&calls.env, &calls.txs, &calls.senders, &calls.state, &mut report)?;
        Ok::<_, Failed>((report, outcomes))
    };
    let (report, outcomes) = run(engine)?;
    let (_, expected) = run(&Engine::builder().backend(BackendKind::Cpu).build()?)?;
    let differ = outcomes.iter().zip(&expected).filter(|(outcome, expected)| outcome != expected).count();
    Ok((report, differ))
}

fn main() -> ExitCode {
    let mut suite = Suite::default();
    for (name, generate) in GENERATORS {
        for fork in FORKS {
            suite.each(&format!("{name}::{fork}"), move |engine| {
                let calls = generate(fork);
                let (report, differ) = compare(engine, &calls)?;
                if differ > 0 {
                    return Err(format!("{differ} of {} outcomes differ from revm", calls.txs.len()).into());
                }
                // A suite that falls back everywhere proves nothing.
                let on_device = engine.backend_kind() != BackendKind::Cpu;
                if on_device && report.device.txs * 100 < calls.txs.len() as u64 * 98 {
                    return Err(format!(
                        "only {} of {} ran on the device: {:?}",
                        report.device.txs,
                        calls.txs.len(),
                        report.fallbacks
                    )
                    .into());
                }
                Ok(())
            });
        }
    }
    for fork in FORKS {
        suite.each(&format!("random::{fork}"), move |engine| {
            (0..SEEDS).try_for_each(|seed| random_block(engine, fork, seed))
        });
    }
    // Every rule has its faults in `mutants`, all in one kernel; this one is for the comparer and the cross-check.
    suite.on(Target::Wgpu, "broken_kernel::is_seen_and_cross_checked", move |_| {
        caught("if (!warm) { cost += 2000u; }", "if (!warm) { cost += 1999u; }")
    });
    suite.run()
}

/// The comparison above must find a broken kernel.
fn caught(from: &'static str, to: &'static str) -> Result<(), Failed> {
    let device = std::env::var("LOCKSTEP_DEVICE").ok();
    let broken = WgpuBackend::open_edited(device.as_deref(), Integers::Widest, "execute", &|text| {
        let edited = text.replacen(from, to, 1);
        if edited == text { Err(format!("the kernel has no {from:?}")) } else { Ok(edited) }
    })?;
    let device: Arc<dyn Backend> = Arc::new(broken);
    let engine = Engine::builder().with_device(Arc::clone(&device)).build()?;
    for (_, generate) in GENERATORS {
        let calls = generate(Fork::Prague);
        if compare(&engine, &calls)?.1 == 0 {
            continue;
        }
        // A cross-check sees the same and takes revm's outcomes.
        let checked = Engine::builder().with_device(device).cross_check(true).build()?;
        let (report, differ) = compare(&checked, &calls)?;
        if differ > 0 {
            return Err("a cross-check let a wrong outcome through".into());
        }
        return if report.differences.is_empty() { Err("a cross-check found nothing".into()) } else { Ok(()) };
    }
    Err("no outcome differs from revm's".into())
}
