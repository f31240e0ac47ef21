//! Blocks of rivals on several threads against sequential revm, until so many are equal or one differs.

use lockstep::{backend::BackendKind, report::ExecutionReport};
use lockstep_tests::{
    fuzz::{corpus::to_json, shrink::shrink},
    ordered::check,
    programs::Calls,
    rivals::{Block, block},
};
use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

const USAGE: &str =
    "usage: blocks_vs_revm [--seed FIRST] [--runs N] [--threads N,..] [--backend cpu|wgpu] [--shrink TRIES]";

/// What a block may take before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// Blocks that have been compared; whoever watches sees by it that the run goes on.
static TURNS: AtomicU64 = AtomicU64::new(0);

#[expect(clippy::print_stderr, reason = "a run that hangs can say it in no other way")]
fn watch(seed: u64) {
    thread::spawn(move || {
        loop {
            let before = TURNS.load(Ordering::Relaxed);
            thread::sleep(PATIENCE);
            if TURNS.load(Ordering::Relaxed) == before {
                eprintln!("hung: seed {}", seed + before);
                std::process::abort();
            }
        }
    });
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let (mut seed, mut runs, mut threads, mut tries) = (1_u64, 1_000_u64, vec![1, 2, 3, 8], 20);
    let mut backend = BackendKind::Cpu;
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
        match name.as_str() {
            "--seed" => seed = value.parse()?,
            "--runs" => runs = value.parse()?,
            "--threads" => threads = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
            "--backend" => backend = value.parse()?,
            "--shrink" => tries = value.parse()?,
            _ => return Err(format!("unknown {name}\n{USAGE}").into()),
        }
    }
    let mut out = io::stdout();
    let start = Instant::now();
    watch(seed);
    let (mut all, mut failed) = (ExecutionReport::default(), 0);
    for number in seed..seed + runs {
        let block = block(number);
        match check(&block, backend, &threads, number) {
            Ok(report) => {
                failed += u64::from(report.total().txs == 0);
                all.add(report);
            }
            Err(difference) => {
                let Block { calls, unreadable } = &block;
                writeln!(out, "seed {number}, {} of {}, {unreadable:?} unreadable", calls.env.fork, calls.txs.len())?;
                writeln!(out, "{difference}")?;
                if tries > 0 {
                    writeln!(out, "shrinking")?;
                    let small = small(&block, &|block, time| check(block, backend, &threads, number ^ time), tries);
                    let path = format!("found-{number}.json");
                    std::fs::write(&path, serde_json::to_string_pretty(&to_json(&small, &format!("seed {number}")))?)?;
                    writeln!(out, "wrote {path}")?;
                }
                return Ok(ExitCode::FAILURE);
            }
        }
        TURNS.fetch_add(1, Ordering::Relaxed);
    }
    writeln!(
        out,
        "{runs} blocks equal in {:.0} s on {threads:?} threads, {} transactions, {} units stale, {failed} blocks with an error",
        start.elapsed().as_secs_f64(),
        all.total().txs,
        all.conflicts,
    )?;
    Ok(ExitCode::SUCCESS)
}

/// The smallest block that fails in one of `tries` runs: threads do not meet in the same way twice.
fn small(block: &Block, run: &dyn Fn(&Block, u64) -> Result<ExecutionReport, String>, tries: u64) -> Calls {
    let mut fails = |calls: &Calls| {
        TURNS.fetch_add(1, Ordering::Relaxed);
        let block = Block { calls: calls.clone(), unreadable: block.unreadable };
        (0..tries).any(|time| run(&block, time).is_err())
    };
    shrink(&block.calls, &mut fails)
}
