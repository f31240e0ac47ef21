//! `lockstep simulate`: calls in, answers out. Lines are read and understood, calls run, and answers are printed at the same
//! time, so that an input may be of any length.

mod answers;
mod calls;
mod overrides;
mod rows;
mod template;
mod trace;

use super::{
    Common, Exit, Failure, complain,
    lines::{self, Input},
};
use answers::{Format, Output};
use calls::{BadSequence, CallReader};
use indicatif::{ProgressBar, ProgressStyle};
use lockstep::{
    block_file::BlockFile,
    context::Context,
    error::TxError,
    sample::SAMPLE,
    simulate::{Call, Options, Sequence, Summary, Wants},
    submit::Progress,
};
use rows::{Fields, Rows};
use std::{
    cell::RefCell,
    collections::VecDeque,
    fs::File,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    sync::mpsc::Receiver,
    vec,
};
use template::Bound;
use trace::At;

/// How inputs and outputs look, for `--help`.
pub(super) const HELP: &str = include_str!("help.txt");

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A block file (.json, .json.zst): the calls see its block and the state before its transactions; without it the
    /// sample in this binary
    #[arg(long, value_name = "BLOCKFILE")]
    state: Option<PathBuf>,
    /// JSON lines or CSV; `-` or nothing reads stdin
    #[arg(long, value_name = "FILE")]
    calls: Option<PathBuf>,
    /// A call whose arguments are the columns of the CSV: JSON, or a file of it
    #[arg(long, value_name = "JSON|FILE")]
    template: Option<String>,
    /// Each line is a sequence of calls: each sees what those before it did
    #[arg(long, conflicts_with = "template")]
    sequences: bool,
    /// End a sequence with its first call that does not succeed
    #[arg(long, requires = "sequences")]
    stop_on_revert: bool,
    /// With the logs of each call
    #[arg(long)]
    logs: bool,
    /// With what each call changes
    #[arg(long)]
    state_diff: bool,
    /// With the accounts and slots that each call touches
    #[arg(long)]
    access_list: bool,
    /// With the edges of control flow that each call takes
    #[arg(long)]
    coverage: bool,
    /// Write the edges that all calls take together to a file
    #[arg(long, value_name = "FILE")]
    coverage_merged: Option<PathBuf>,
    /// Only run one call, or one sequence up to one (its last) call, on revm, and print its steps (EIP-3155)
    #[arg(long, value_name = "INDEX|SEQ:CALL", conflicts_with_all = ["logs", "state_diff", "access_list", "coverage", "coverage_merged", "format"])]
    trace: Option<At>,
    /// How answers look
    #[arg(long, value_name = "FORMAT", default_value = "jsonl")]
    format: Format,
}

impl Args {
    fn options(&self) -> Options {
        let wants = Wants {
            logs: self.logs,
            state_diff: self.state_diff,
            access_list: self.access_list,
            coverage: self.coverage,
            merged_coverage: self.coverage_merged.is_some(),
        };
        Options { wants, stop_on_revert: self.stop_on_revert, progress: Progress::default() }
    }

    /// What clap cannot tell.
    fn check(&self, common: &Common) -> Result<(), &'static str> {
        let Self { logs, state_diff, access_list, coverage, .. } = self;
        let more = *logs || *state_diff || *access_list || *coverage;
        match (self.format, &self.trace) {
            (Format::Csv, _) if common.json => Err("--format csv is no --json"),
            (Format::Csv, _) if more => Err("--logs, --state-diff, --access-list and --coverage need --format jsonl"),
            (_, Some(At { call: Some(_), .. })) if !self.sequences => Err("--trace SEQ:CALL needs --sequences"),
            _ => Ok(()),
        }
    }
}

impl Args {
    /// A file to write to, which is none that is read.
    fn create(&self, path: &Path) -> io::Result<File> {
        let read = [&self.calls, &self.state].into_iter().flatten();
        let same = |read: &PathBuf| matches!((read.canonicalize(), path.canonicalize()), (Ok(a), Ok(b)) if a == b);
        if read.into_iter().any(same) {
            return Err(io::Error::other("it is read from, too"));
        }
        File::create(path)
    }
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Failure> {
    if let Err(reason) = args.check(common) {
        complain(reason);
        return Ok(Exit::Bad);
    }
    let engine = common.engine()?;
    let name = lines::name(args.calls.as_deref());
    let bad = |reason: String| {
        complain(reason);
        Ok(Exit::Bad)
    };
    let file = match &args.state {
        Some(path) => BlockFile::read(path).map_err(|error| format!("{}: {error}", path.display())),
        None => BlockFile::parse(SAMPLE).map_err(|error| format!("sample: {error}")),
    };
    let file = match file {
        Ok(file) => file,
        Err(reason) => return bad(reason),
    };
    let base = Context { env: &file.block.env, state: &file.state };
    let input = Input::open(args.calls.as_deref()).and_then(|input| lines_of(args, input));
    let (lines, bar) = match input {
        Ok((lines, length)) => (lines, progress(common, length)),
        Err(reason) => return bad(format!("{name}: {reason}")),
    };
    if let Some(at) = args.trace {
        return trace::run(&engine, &base, args, lines, at, &name);
    }
    // It is opened before anything runs, lest an hour's work have no place to go to.
    let merged = args.coverage_merged.as_deref().map(|path| (path, args.create(path)));
    if let Some((path, Err(cause))) = &merged {
        return bad(format!("{}: {cause}", path.display()));
    }
    let options = args.options();
    let mut output = Output::new(common, args, name, bar.clone());
    let (summary, read) = match lines {
        Lines::Calls(lines) => {
            let mut lines = Batches::new(lines, bar, &options.progress);
            let summary =
                engine.simulate(&base, lines.by_ref(), &options, |index, answer| output.answer(index, None, answer));
            (summary, lines.end())
        }
        Lines::Sequences(lines) => {
            let mut lines = Batches::new(lines, bar, &options.progress);
            // Sequences that are none, until it is their turn.
            let bad = RefCell::new(VecDeque::new());
            let sequences = lines.by_ref().enumerate().map(|(index, sequence)| {
                sequence.unwrap_or_else(|error| {
                    bad.borrow_mut().push_back((index, error));
                    Sequence::default()
                })
            });
            let summary = engine.simulate_sequences(&base, sequences, &options, |index, answers| {
                let error = bad.borrow_mut().pop_front_if(|(at, _)| *at == index);
                if let Some((_, BadSequence { call, error })) = error {
                    return output.answer(index, call, Err(error));
                }
                answers.into_iter().enumerate().try_for_each(|(call, answer)| output.answer(index, Some(call), answer))
            });
            (summary, lines.end())
        }
    };
    if let (Some((path, Ok(mut file))), Some(edges)) = (merged, &summary.coverage)
        && let Err(cause) = writeln!(file, "{}", answers::coverage_json(edges))
    {
        output.bad(format_args!("{}: {cause}", path.display()));
    }
    Ok(output.end(&summary, read)?)
}

/// What a thread makes of the lines of an input.
enum Lines {
    Calls(Batched<Result<Call, TxError>>),
    Sequences(Batched<Result<Sequence, BadSequence>>),
}

type Batched<T> = Receiver<Result<(Vec<T>, usize), String>>;

/// The lines of an input and its length; a header has been read, and fits.
fn lines_of(args: &Args, mut input: Input) -> Result<(Lines, Option<u64>), String> {
    let length = input.length;
    input.skip_mark()?;
    let is_json = args.template.is_none()
        && match extension(args.calls.as_deref()) {
            Some("jsonl" | "ndjson" | "json") => true,
            Some("csv") => false,
            _ => matches!(input.first_byte()?, Some(b'{' | b'[')),
        };
    let mut reader = CallReader::default();
    let lines = match (is_json, args.sequences) {
        (true, true) => Lines::Sequences(input.batches(move |line| reader.sequence_line(line))),
        (true, false) => Lines::Calls(input.batches(move |line| reader.call_line(line))),
        (false, true) => return Err("sequences are JSON lines, an array of calls each".into()),
        (false, false) => {
            let line = input.first_line()?.ok_or("no calls: neither JSON lines nor a CSV")?;
            let header = rows::header(&line).map_err(|reason| format!("header: {reason}"))?;
            let rows = match &args.template {
                None => Rows::Fields(Fields::of(&header).map_err(|reason| format!("header: {reason}"))?),
                Some(flag) => {
                    let bound = template::source(flag).and_then(|text| Bound::new(&text, &header));
                    Rows::Values(bound.map_err(|reason| format!("template: {reason}"))?)
                }
            };
            Lines::Calls(input.batches(move |line| rows.read(line)))
        }
    };
    Ok((lines, length))
}

fn extension(path: Option<&Path>) -> Option<&str> {
    path?.extension()?.to_str()
}

/// Batches one item at a time, while a bar shows how far they have come.
struct Batches<'a, T> {
    batches: Batched<T>,
    items: vec::IntoIter<T>,
    bar: ProgressBar,
    progress: &'a Progress,
    error: Option<String>,
}

impl<'a, T> Batches<'a, T> {
    fn new(batches: Batched<T>, bar: ProgressBar, progress: &'a Progress) -> Self {
        Self { batches, items: Vec::new().into_iter(), bar, progress, error: None }
    }

    /// Why reading ended, if that was before the end.
    fn end(self) -> Result<(), String> {
        self.error.map_or(Ok(()), Err)
    }
}

impl<T> Iterator for Batches<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        loop {
            if let Some(item) = self.items.next() {
                return Some(item);
            }
            // The thread has ended where there is nothing to receive.
            match self.batches.recv().ok()? {
                Ok((items, bytes)) => {
                    self.items = items.into_iter();
                    self.bar.inc(bytes as u64);
                    self.bar.set_message(self.progress.done().to_string());
                }
                Err(reason) => self.error = Some(reason),
            }
        }
    }
}

/// Over the bytes of the input, on a terminal.
fn progress(common: &Common, length: Option<u64>) -> ProgressBar {
    if common.json || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = match length {
        Some(_) => "{bar:40} {bytes}/{total_bytes}, {msg} calls, {elapsed}",
        None => "{spinner} {bytes}, {msg} calls, {elapsed}",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    length.map_or_else(ProgressBar::new_spinner, ProgressBar::new).with_style(style)
}

/// The totals, for people.
fn summary_line(summary: &Summary, counts: &answers::Counts) -> String {
    let report = &summary.report;
    let reasons: Vec<_> = report.fallbacks.iter().map(|(reason, calls)| format!("{reason} {calls}")).collect();
    let seconds = report.time.total.as_secs_f64();
    let mut line = format!(
        "{} calls: {} success, {} revert, {} halt, {} error; {} on the device",
        counts.all(),
        counts.success,
        counts.revert,
        counts.halt,
        counts.errors,
        report.device.txs,
    );
    if !reasons.is_empty() {
        line += &format!(", fallbacks: {}", reasons.join(", "));
    }
    line += &format!("; {seconds:.3} s");
    if seconds > 0.0 {
        line += &format!(", {:.0} calls/s", counts.all() as f64 / seconds);
    }
    if let Some(edges) = &summary.coverage {
        line += &format!("; {} edges", edges.count());
    }
    line
}
