//! `lockstep replay`: block files in, verified receipts out.

#[cfg(feature = "rpc")]
#[path = "replay_rpc.rs"]
mod remote;

use super::{Common, Exit, Failure, backend_json, complain, print, profile};
use indicatif::{ProgressBar, ProgressStyle};
use lockstep::{
    block_file::{BlockFile, BlockFileError},
    compare::{Mismatch, compare},
    engine::{BlockOutput, Engine},
    error::ExecuteError,
    report::{ExecutionReport, RouteCount, Span},
    sample::SAMPLE,
};
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    fmt,
    io::IsTerminal,
    path::{Path, PathBuf},
    time::Duration,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Block files (.json, .json.zst), or folders of them; none: the sample block in this binary
    #[arg(value_name = "FILES|DIRS")]
    paths: Vec<PathBuf>,
    /// Run every accepted lane's transaction on revm too, and call a difference a mismatch
    #[arg(long)]
    cross_check: bool,
    /// Know what earlier runs wrote to this file, and write to it what is known by then; without a device, run blocks on all CPU threads
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    #[cfg(feature = "rpc")]
    #[command(flatten)]
    remote: remote::Args,
}

/// Why a file gave no result: it is bad, or one of its transactions is.
#[derive(Debug)]
pub(super) struct Bad {
    tx: Option<usize>,
    field: String,
    reason: String,
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tx) = self.tx {
            write!(f, "transaction {tx}: ")?;
        }
        write!(f, "{}: {}", self.field, self.reason)
    }
}

impl From<BlockFileError> for Bad {
    fn from(error: BlockFileError) -> Self {
        Self { tx: error.tx, field: error.field, reason: error.reason }
    }
}

impl From<ExecuteError> for Bad {
    fn from(error: ExecuteError) -> Self {
        let reason = match &error {
            ExecuteError::Block(source) | ExecuteError::Invalid { source, .. } => source.reason.clone(),
            ExecuteError::Decode { source, .. } => source.reason.clone(),
            ExecuteError::Recover { source, .. } => source.to_string(),
            ExecuteError::State { source, .. } => source.to_string(),
            ExecuteError::Evm { reason, .. } => reason.clone(),
        };
        Self { tx: error.tx(), field: error.field().into(), reason }
    }
}

/// Sums over the blocks that ran.
#[derive(Debug, Default)]
struct Totals {
    blocks: u64,
    ok: u64,
    /// Blocks of a node whose state is proven; `None` where none was read from a node.
    proven: Option<u64>,
    all: RouteCount,
    device: RouteCount,
    fallbacks: BTreeMap<&'static str, u64>,
    seconds: f64,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Failure> {
    let mut builder = Engine::builder().cross_check(args.cross_check);
    if let Some(path) = &args.profile {
        builder = match profile::on_threads(builder, path) {
            Ok(builder) => builder,
            Err(exit) => return Ok(exit),
        };
    }
    let engine = common.build(builder)?;
    let mut exit = Exit::Ok;
    let mut errors = Vec::new();
    let Inputs { count, unreadable, blocks: inputs } = inputs(args);
    let mut bad = |file: &Path, bad: Bad, exit: &mut Exit| {
        *exit = (*exit).max(Exit::Bad);
        complain(format_args!("{}: {bad}", file.display()));
        errors
            .push(json!({"file": file.display().to_string(), "tx": bad.tx, "field": bad.field, "reason": bad.reason}));
    };
    let bar = progress(common, count);
    let mut totals = Totals { blocks: unreadable.len() as u64, ..Totals::default() };
    let mut blocks = Vec::new();
    for (path, error) in unreadable {
        bad(&path, error, &mut exit);
    }
    for (path, file) in inputs {
        totals.blocks += 1;
        let path = path.as_path();
        match file.and_then(|file| replay(&engine, file)) {
            Err(error) => bar.suspend(|| bad(path, error, &mut exit)),
            Ok((block, output)) => {
                let mismatch = compare(&block.file, &output).or_else(|| difference(&output));
                totals.add(&block, &output, mismatch.is_none());
                if mismatch.is_some() {
                    exit = exit.max(Exit::Differs);
                }
                if common.json {
                    blocks.push(block_json(path, &block, &output, mismatch.as_ref()));
                } else {
                    bar.suspend(|| print(block_line(path, &block, &output, mismatch.as_ref())))?;
                }
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if let Some(Err(worse)) = args.profile.as_ref().map(|path| profile::write(&engine, path)) {
        exit = exit.max(worse);
    }
    if common.json {
        print(json!({
            "schema": "lockstep-replay/1", "backend": backend_json(&engine), "threads": engine.threads(),
            "blocks": blocks, "errors": errors, "total": totals.json(),
        }))?;
    } else {
        print(totals.line())?;
    }
    Ok(exit)
}

/// The first transaction whose lane a cross-check found to differ from revm.
fn difference(output: &BlockOutput) -> Option<Mismatch> {
    let tx = *output.report.differences.first()?;
    let [expected, actual] = ["revm's outcome", "another one from the lane: see the log"].map(String::from);
    Some(Mismatch { tx: Some(tx), field: "cross_check", expected, actual })
}

/// A block, and for one of a node whether its state is proven by the state root.
struct Loaded {
    file: BlockFile,
    proven: Option<bool>,
}

impl From<BlockFile> for Loaded {
    fn from(file: BlockFile) -> Self {
        Self { file, proven: None }
    }
}

/// A block, by the name of what it comes from.
type Input = (PathBuf, Result<Loaded, Bad>);

/// What is to be replayed.
struct Inputs<'a> {
    count: usize,
    unreadable: Vec<(PathBuf, Bad)>,
    /// Read one after the other, as they are asked for.
    blocks: Box<dyn Iterator<Item = Input> + 'a>,
}

fn inputs(args: &Args) -> Inputs<'_> {
    #[cfg(feature = "rpc")]
    if let Some((count, blocks)) = args.remote.blocks() {
        return Inputs { count, unreadable: Vec::new(), blocks };
    }
    if args.paths.is_empty() {
        let sample = || ("sample".into(), BlockFile::parse(SAMPLE).map(Loaded::from).map_err(Bad::from));
        return Inputs { count: 1, unreadable: Vec::new(), blocks: Box::new(std::iter::once_with(sample)) };
    }
    let (files, unreadable) = collect(&args.paths);
    let read = |path: PathBuf| {
        let file = BlockFile::read(&path).map(Loaded::from).map_err(Bad::from);
        (path, file)
    };
    Inputs { count: files.len(), unreadable, blocks: Box::new(files.into_iter().map(read)) }
}

fn replay(engine: &Engine, block: Loaded) -> Result<(Loaded, BlockOutput), Bad> {
    let output = engine.execute_block(&block.file.block, &block.file.state)?;
    Ok((block, output))
}

/// Every block file under `paths`, folders in the order of block numbers; and the paths that cannot be read.
pub(super) fn collect(paths: &[PathBuf]) -> (Vec<PathBuf>, Vec<(PathBuf, Bad)>) {
    let (mut files, mut unreadable) = (Vec::new(), Vec::new());
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        match std::fs::read_dir(path) {
            Err(cause) => {
                unreadable.push((path.clone(), Bad { tx: None, field: "file".into(), reason: cause.to_string() }));
            }
            Ok(entries) => {
                let mut found: Vec<_> =
                    entries.flatten().map(|entry| entry.path()).filter(|path| is_block_file(path)).collect();
                if found.is_empty() {
                    let reason = "no .json or .json.zst in this folder".into();
                    unreadable.push((path.clone(), Bad { tx: None, field: "file".into(), reason }));
                }
                found.sort_by_key(|path| (number_in_name(path), path.clone()));
                files.append(&mut found);
            }
        }
    }
    (files, unreadable)
}

fn is_block_file(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.ends_with(".json") || name.ends_with(".json.zst"))
        && path.is_file()
}

fn number_in_name(path: &Path) -> u64 {
    let stem = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split('.').next());
    stem.and_then(|stem| stem.parse().ok()).unwrap_or(u64::MAX)
}

fn progress(common: &Common, files: usize) -> ProgressBar {
    if common.json || files < 2 || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} blocks, {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(files as u64).with_style(style)
}

fn route_json(route: RouteCount) -> Value {
    json!({"txs": route.txs, "calls": route.calls, "gas": route.gas})
}

fn block_json(
    path: &Path,
    Loaded { file, proven }: &Loaded,
    output: &BlockOutput,
    mismatch: Option<&Mismatch>,
) -> Value {
    let report = &output.report;
    let total = report.total();
    let fallbacks: Map<_, _> =
        report.fallbacks.iter().map(|(reason, txs)| (reason.name().to_owned(), json!(txs))).collect();
    let time: Map<_, _> =
        report.time.iter().map(|(stage, time)| (stage.to_owned(), json!(milliseconds(time)))).collect();
    json!({
        "file": path.display().to_string(), "number": file.block.env.number, "fork": file.block.env.fork.name(),
        "txs": total.txs, "calls": total.calls, "gas": total.gas, "ok": mismatch.is_none(),
        "proven": proven, "mismatch": mismatch.map(|m| json!({"tx": m.tx, "field": m.field, "expected": m.expected, "actual": m.actual})),
        "device": route_json(report.device), "lanes": report.lanes, "dispatches": report.dispatches, "steps": report.steps,
        "fallbacks": fallbacks, "conflicts": report.conflicts, "waves": report.waves, "time_ms": time,
        "served": report.served, "beside": report.beside, "foreseen": report.foreseen, "caps": caps_json(report), "longest_dispatch_ms": milliseconds(report.longest_dispatch),
        "timeline": report.timeline.iter().map(span_json).collect::<Vec<_>>(),
    })
}

fn span_json(span: &Span) -> Value {
    json!({
        "on": span.runner.name(), "thread": span.thread, "first": span.first, "txs": span.txs,
        "from_ms": milliseconds(span.from), "to_ms": milliseconds(span.to),
    })
}

/// Microseconds are all that a clock is good for.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// How often lanes met each cap, by class.
fn caps_json(report: &ExecutionReport) -> Value {
    let mut classes = Map::new();
    for ((class, reason), lanes) in &report.caps {
        let caps = classes.entry(class.name()).or_insert_with(|| json!({}));
        caps[reason.name()] = json!(lanes);
    }
    Value::Object(classes)
}

fn block_line(
    path: &Path,
    Loaded { file, proven }: &Loaded,
    output: &BlockOutput,
    mismatch: Option<&Mismatch>,
) -> String {
    let total = output.report.total();
    let env = &file.block.env;
    let mut line = format!(
        "{:>10}  {:<15} {:>5} txs {:>5} calls {:>7.2} Mgas {:>9.3} ms  {}  {}{}",
        env.number,
        env.fork.name(),
        total.txs,
        total.calls,
        total.gas as f64 / 1e6,
        output.report.time.total.as_secs_f64() * 1e3,
        shares(output.report.device, total),
        match proven {
            Some(true) => "proven  ",
            Some(false) => "not proven  ",
            None => "",
        },
        if mismatch.is_none() { "ok" } else { "DIFFERS" },
    );
    if let Some(mismatch) = mismatch {
        line += &format!("\n            {}: {mismatch}", path.display());
    }
    line
}

/// What the device did, of everything.
fn shares(device: RouteCount, all: RouteCount) -> String {
    let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 * 100.0 };
    format!(
        "device {:>5.1} % txs {:>5.1} % calls {:>5.1} % gas",
        share(device.txs, all.txs),
        share(device.calls, all.calls),
        share(device.gas, all.gas)
    )
}

impl Totals {
    fn add(&mut self, block: &Loaded, output: &BlockOutput, ok: bool) {
        if let Some(proven) = block.proven {
            *self.proven.get_or_insert_default() += u64::from(proven);
        }
        self.ok += u64::from(ok);
        self.all = self.all + output.report.total();
        self.device = self.device + output.report.device;
        self.seconds += output.report.time.total.as_secs_f64();
        for (reason, txs) in &output.report.fallbacks {
            *self.fallbacks.entry(reason.name()).or_default() += txs;
        }
    }

    fn json(&self) -> Value {
        json!({
            "blocks": self.blocks, "ok": self.ok, "failed": self.blocks - self.ok, "proven": self.proven,
            "txs": self.all.txs, "calls": self.all.calls, "gas": self.all.gas,
            "device": route_json(self.device), "fallbacks": self.fallbacks,
        })
    }

    fn line(&self) -> String {
        let mut line = format!(
            "{}/{} blocks ok: {} txs, {} calls, {:.1} Mgas in {:.3} s; {}",
            self.ok,
            self.blocks,
            self.all.txs,
            self.all.calls,
            self.all.gas as f64 / 1e6,
            self.seconds,
            shares(self.device, self.all)
        );
        if let Some(proven) = self.proven {
            line += &format!("\nstate proven: {proven} of {} blocks", self.blocks);
        }
        if !self.fallbacks.is_empty() {
            let reasons: Vec<_> = self.fallbacks.iter().map(|(reason, txs)| format!("{reason} {txs}")).collect();
            line += &format!("\nfallbacks: {}", reasons.join(", "));
        }
        line
    }
}
