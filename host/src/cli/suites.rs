//! `lockstep statetest` and `lockstep blocktest`: Ethereum's tests on a backend, figures out.

use super::{Common, Exit, Failure, backend_json, complain, print};
use indicatif::{ProgressBar, ProgressStyle};
use lockstep::{
    engine::Engine,
    suite::{self, Figures, Kind, Mismatch, Remark, Report, Sample, Verdict},
};
use serde_json::{Map, Value, json};
use std::{io::IsTerminal, path::PathBuf};

/// Cases of one kind, failed or skipped, that are told one by one in text; JSON has them all.
const TOLD: usize = 100;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Test files (.json), folders of them, or archives (.tar.zst)
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Run about one case in N, chosen by name
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    one_in: u64,
    /// Choose other cases for --one-in
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

pub(super) fn run(common: &Common, args: &Args, kind: Kind) -> Result<Exit, Failure> {
    let engine = common.engine()?;
    let bar = progress(common);
    let sample = Sample { one_in: args.one_in, seed: args.seed };
    let report = suite::run(kind, &engine, &args.paths, sample, |cases| bar.inc(cases));
    bar.finish_and_clear();
    for bad in &report.bad {
        complain(bad);
    }
    if common.json {
        print(object(kind, &engine, &report))?;
    } else {
        text(&engine, &report)?;
    }
    // Nothing run is no success: a wrong path or share is a mistake made earlier.
    let nothing = report.total.cases == 0 && report.bad.is_empty();
    if nothing {
        complain("no test case was chosen");
    }
    Ok(if nothing || !report.bad.is_empty() {
        Exit::Bad
    } else if report.total.failed > 0 {
        Exit::Differs
    } else {
        Exit::Ok
    })
}

fn object(kind: Kind, engine: &Engine, report: &Report) -> Value {
    let schema = match kind {
        Kind::State => "lockstep-statetest/1",
        Kind::Block => "lockstep-blocktest/1",
    };
    let mut failures = Vec::new();
    let mut oracle = Vec::new();
    let mut skips = Vec::new();
    for Remark { file, case, fork, verdict } in &report.remarks {
        let of = |mismatch: &Mismatch| {
            let Mismatch { field, expected, actual } = mismatch;
            json!({"file": file, "case": case, "fork": fork, "field": field, "expected": expected, "actual": actual})
        };
        match verdict {
            Verdict::Passed => {}
            Verdict::Failed(mismatch) => failures.push(of(mismatch)),
            Verdict::OracleDiffers(mismatch) => oracle.push(of(mismatch)),
            Verdict::Skipped(reason) => {
                skips.push(json!({"file": file, "case": case, "fork": fork, "reason": reason}));
            }
        }
    }
    let errors: Vec<_> = report
        .bad
        .iter()
        .map(|bad| json!({"file": bad.file, "case": bad.case, "field": bad.field, "reason": bad.reason}))
        .collect();
    let by_fork: Map<_, _> =
        report.by_fork.iter().map(|(fork, figures)| (fork.clone(), Value::Object(counts(figures)))).collect();
    let fallbacks: Map<_, _> =
        report.fallbacks.iter().map(|(reason, txs)| (reason.name().to_owned(), json!(txs))).collect();
    let mut object = counts(&report.total);
    object.extend([
        ("schema".into(), json!(schema)),
        ("backend".into(), backend_json(engine)),
        ("threads".into(), json!(engine.threads())),
        ("fallbacks".into(), Value::Object(fallbacks)),
        ("by_fork".into(), Value::Object(by_fork)),
        ("failures".into(), json!(failures)),
        ("oracle_differences".into(), json!(oracle)),
        ("skips".into(), json!(skips)),
        ("errors".into(), json!(errors)),
    ]);
    if kind == Kind::State {
        object.extend([("batches".into(), json!(report.batches)), ("lanes".into(), json!(report.lanes))]);
    }
    Value::Object(object)
}

fn counts(figures: &Figures) -> Map<String, Value> {
    columns(figures).map(|(name, count)| (name.to_owned(), json!(count))).into_iter().collect()
}

fn columns(figures: &Figures) -> [(&'static str, u64); 7] {
    let Figures { cases, passed, failed, oracle_differs, eligible, device, skipped } = *figures;
    [
        ("cases", cases),
        ("passed", passed),
        ("failed", failed),
        ("oracle_differs", oracle_differs),
        ("eligible", eligible),
        ("device", device),
        ("skipped", skipped),
    ]
}

fn text(engine: &Engine, report: &Report) -> Result<(), Failure> {
    let mut told = [0; 2];
    for Remark { file, case, fork, verdict } in &report.remarks {
        let (what, kind) = match verdict {
            Verdict::Failed(mismatch) => (format!("FAILED {mismatch}"), 0),
            Verdict::Skipped(reason) => (format!("skipped: {reason}"), 1),
            Verdict::Passed | Verdict::OracleDiffers(_) => continue,
        };
        told[kind] += 1;
        if told[kind] <= TOLD {
            print(format_args!("{file}: {case} ({fork}): {what}"))?;
        }
    }
    for (told, what) in told.into_iter().zip(["failed", "skipped"]) {
        if told > TOLD {
            print(format_args!("{} more cases {what}: --json has them all", told - TOLD))?;
        }
    }
    let row = |name: &str, figures: &Figures| {
        let cells: String =
            columns(figures).iter().map(|(name, count)| format!(" {count:>0$}", name.len().max(7))).collect();
        print(format_args!("{name:<24}{cells}"))
    };
    let heads: String =
        columns(&Figures::default()).iter().map(|(name, _)| format!(" {name:>0$}", name.len().max(7))).collect();
    print(format_args!("{:<24}{heads}", format!("{} on {}", engine.backend_kind(), engine.threads())))?;
    for (fork, figures) in &report.by_fork {
        row(fork, figures)?;
    }
    row("all", &report.total)?;
    if !report.fallbacks.is_empty() {
        let reasons: Vec<_> = report.fallbacks.iter().map(|(reason, txs)| format!("{reason} {txs}")).collect();
        print(format_args!("fallbacks: {}", reasons.join(", ")))?;
    }
    Ok(())
}

/// Counts cases, on a terminal: how many there are is known at the end.
fn progress(common: &Common) -> ProgressBar {
    if common.json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {pos} cases, {elapsed}");
    ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}
