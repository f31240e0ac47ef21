//! Random transactions on a device against revm, until so many are equal or one differs.

use lockstep::{backend::BackendKind, engine::Engine, fork::Fork};
use lockstep_tests::{
    fuzz::{
        corpus::to_json,
        run::{Totals, compare, judge},
        scene::{FORKS, batch},
        shrink::shrink,
    },
    programs::Calls,
};
use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
    sync::mpsc,
    thread,
    time::Instant,
};

const USAGE: &str = "usage: vs_revm [--seed N] [--first BATCH] [--count TXS] [--backend wgpu|cpu] [--device NAME]
               [--forks BERLIN,..] [--table]";

/// What the command line asks for.
struct Options {
    seed: u64,
    first: u64,
    count: u64,
    backend: BackendKind,
    device: Option<String>,
    forks: Vec<Fork>,
    table: bool,
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        seed: 1,
        first: 0,
        count: 10_000,
        backend: BackendKind::Wgpu,
        device: None,
        forks: FORKS.to_vec(),
        table: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        if name == "--table" {
            options.table = true;
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
        match name.as_str() {
            "--seed" => options.seed = value.parse()?,
            "--first" => options.first = value.parse()?,
            "--count" => options.count = value.parse()?,
            "--backend" => options.backend = value.parse()?,
            "--device" => options.device = Some(value),
            "--forks" => options.forks = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
            _ => return Err(format!("unknown {name}\n{USAGE}").into()),
        }
    }
    Ok(options)
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = options()?;
    let engine = Engine::builder().backend(options.backend).device(options.device.clone()).build()?;
    let mut out = io::stdout();
    writeln!(out, "seed {}, from batch {}, on {}", options.seed, options.first, engine.backend_name())?;
    let start = Instant::now();
    let mut totals = Totals::default();
    // One thread writes programs and runs revm while another feeds the device.
    let (sender, receiver) = mpsc::sync_channel(2);
    let (seed, first, forks) = (options.seed, options.first, options.forks.clone());
    thread::spawn(move || {
        for number in first.. {
            if sender.send((number, judge(batch(seed, number, &forks)))).is_err() {
                break;
            }
        }
    });
    let mut last = start;
    while totals.txs < options.count {
        let (number, judged) = receiver.recv()?;
        let judged = judged?;
        if let Err(difference) = compare(&engine, &judged, &mut totals) {
            writeln!(out, "seed {seed}, batch {number}, transaction {}: {}", difference.tx, difference.text)?;
            writeln!(out, "shrinking")?;
            let mut fails = |calls: &Calls| {
                judge(calls.clone()).is_ok_and(|judged| compare(&engine, &judged, &mut Totals::default()).is_err())
            };
            let small = shrink(&judged.calls, &mut fails);
            let path = format!("found-{seed}-{number}.json");
            let about = format!("found by seed {seed}, batch {number}");
            std::fs::write(&path, serde_json::to_string_pretty(&to_json(&small, &about))?)?;
            writeln!(out, "wrote {path}")?;
            if let Err(difference) = judge(small).map(|judged| compare(&engine, &judged, &mut Totals::default()))? {
                writeln!(out, "transaction {}: {}", difference.tx, difference.text)?;
            }
            return Ok(ExitCode::FAILURE);
        }
        if last.elapsed().as_secs() >= 10 {
            last = Instant::now();
            print(&mut out, &totals, start)?;
        }
    }
    print(&mut out, &totals, start)?;
    if options.table {
        write!(out, "{}", totals.coverage.table())?;
    }
    let missing = totals.coverage.missing(&options.forks);
    writeln!(out, "{} of opcode, fork and outcome not reached on the device", missing.len())?;
    for (fork, op, outcome) in missing.iter().filter(|_| options.table) {
        writeln!(out, "  {fork} {op} {}", outcome.name())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(out: &mut impl Write, totals: &Totals, start: Instant) -> io::Result<()> {
    let txs = totals.txs.max(1);
    let fallbacks: Vec<_> = totals.fallbacks.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    writeln!(
        out,
        "{} transactions equal in {:.0} s, {} steps in the mean, {} % success, {} % revert, {} % halt, {:.1} % from the device; \
         fallbacks: {}; stale: {}",
        totals.txs,
        start.elapsed().as_secs_f64(),
        totals.steps / txs,
        totals.ends[0] * 100 / txs,
        totals.ends[1] * 100 / txs,
        totals.ends[2] * 100 / txs,
        totals.accepted as f64 * 100.0 / txs as f64,
        fallbacks.join(", "),
        totals.conflicts,
    )
}
