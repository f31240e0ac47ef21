//! `lockstep recover`: raw transactions or a block file in, senders out. Lines are read, recovered and printed at the same
//! time, in batches, so that an input may be of any length.

use super::{
    Common, Exit, Failure, backend_json, complain,
    lines::{self, Input},
};
use alloy_primitives::{Address, Bytes, hex};
use indicatif::{ProgressBar, ProgressStyle};
use lockstep::{
    block_file::BlockFile,
    engine::Engine,
    fork::Fork,
    signers::{SignerRequest, SignerResults, Signers},
    submit::Pending,
};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    io::{self, BufWriter, IsTerminal, Write},
    path::PathBuf,
};

/// Batches that are under way at the same time: one is recovered while the next is decoded.
const UNDER_WAY: usize = 2;
/// Failed transactions that are told one by one.
const TOLD: usize = 100;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A file of raw transactions, one hex line each, or a block file; `-` or nothing reads stdin
    #[arg(value_name = "FILE")]
    input: Option<PathBuf>,
    /// With --json, one item a transaction
    #[arg(long)]
    items: bool,
}

/// A batch under way: for each line what is wrong with its text, and the answers of the others.
struct Batch {
    bad: Vec<Option<String>>,
    answers: Pending<SignerResults>,
    bytes: usize,
}

impl Batch {
    fn submit(engine: &Engine, lines: Vec<Result<Bytes, String>>, low_s: bool, bytes: usize) -> Self {
        let mut items = Vec::with_capacity(lines.len());
        let bad = lines.into_iter().map(|line| line.map(|bytes| items.push(SignerRequest::Raw { bytes, low_s })).err());
        let bad = bad.collect();
        Self { bad, answers: engine.submit(items), bytes }
    }
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Failure> {
    let engine = common.engine()?;
    let mut input = match Input::open(args.input.as_deref()) {
        Ok(input) => input,
        Err(reason) => {
            complain(format_args!("{}: {reason}", lines::name(args.input.as_deref())));
            return Ok(Exit::Bad);
        }
    };
    let mut output = Output::new(common, args, &engine, &input);
    let read = match input.head().map(is_block_file) {
        Ok(true) => block_file(&engine, &mut input, &mut output)?,
        Ok(false) => hex_lines(&engine, input, &mut output)?,
        Err(reason) => Err(reason),
    };
    if let Err(reason) = read {
        output.complain(format_args!("{}: {reason}", output.name));
        output.exit = Exit::Bad;
    }
    Ok(output.end()?)
}

fn is_block_file(head: &[u8]) -> bool {
    head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || head.trim_ascii_start().starts_with(b"{")
}

/// The transactions of a block file, whose senders it claims.
fn block_file(engine: &Engine, input: &mut Input, output: &mut Output) -> Result<Result<(), String>, Failure> {
    let file = match input.whole().and_then(|bytes| BlockFile::parse(&bytes).map_err(|error| error.to_string())) {
        Ok(file) => file,
        Err(reason) => return Ok(Err(reason)),
    };
    output.claimed = file.claims.iter().map(|claim| claim.sender).collect();
    let low_s = file.block.env.fork >= Fork::Homestead;
    output.batch(Batch::submit(engine, file.block.transactions.into_iter().map(Ok).collect(), low_s, 0))?;
    Ok(Ok(()))
}

/// Lines without end; raw transactions name no fork, so that today's rules hold.
fn hex_lines(engine: &Engine, input: Input, output: &mut Output) -> Result<Result<(), String>, Failure> {
    let batches = input.batches(|line| line.and_then(lines::hex_line));
    let mut under_way = VecDeque::new();
    for read in &batches {
        let (lines, bytes) = match read {
            Ok(read) => read,
            Err(reason) => {
                under_way.into_iter().try_for_each(|batch| output.batch(batch))?;
                return Ok(Err(reason));
            }
        };
        let lines = lines.into_iter().map(|line| line.map(Bytes::from).map_err(|reason| format!("raw: {reason}")));
        under_way.push_back(Batch::submit(engine, lines.collect(), true, bytes));
        if under_way.len() > UNDER_WAY
            && let Some(batch) = under_way.pop_front()
        {
            output.batch(batch)?;
        }
    }
    under_way.into_iter().try_for_each(|batch| output.batch(batch))?;
    // Nothing done is no success: an empty file is a mistake made earlier.
    Ok(if output.count == 0 { Err("no transactions: neither hex lines nor a block file".into()) } else { Ok(()) })
}

/// Where results go, in order.
struct Output {
    out: BufWriter<io::Stdout>,
    progress: ProgressBar,
    name: String,
    backend: Value,
    json: bool,
    items: bool,
    claimed: Vec<Address>,
    count: usize,
    failed: usize,
    exit: Exit,
}

impl Output {
    fn new(common: &Common, args: &Args, engine: &Engine, input: &Input) -> Self {
        Self {
            out: BufWriter::with_capacity(1 << 16, io::stdout()),
            progress: progress(common, input.length),
            name: lines::name(args.input.as_deref()),
            backend: backend_json(engine),
            json: common.json,
            items: common.json && args.items,
            claimed: Vec::new(),
            count: 0,
            failed: 0,
            exit: Exit::Ok,
        }
    }

    /// Waits for a batch and writes its results.
    fn batch(&mut self, batch: Batch) -> io::Result<()> {
        // Nobody cancels here: what has no answer is told as such.
        let mut answers = batch.answers.wait().unwrap_or_default().into_iter();
        for bad in batch.bad {
            let result = match bad {
                Some(reason) => Err(reason),
                None => answers
                    .next()
                    .map_or_else(|| Err("no result".into()), |result| result.map_err(|error| error.to_string())),
            };
            self.result(result)?;
        }
        self.progress.inc(batch.bytes as u64);
        self.progress.set_message(self.count.to_string());
        Ok(())
    }

    fn result(&mut self, result: Result<Signers, String>) -> io::Result<()> {
        let index = self.count;
        self.count += 1;
        match (&result, self.claimed.get(index)) {
            (Err(reason), _) => {
                self.failed += 1;
                if self.failed <= TOLD {
                    self.complain(format_args!("{}: transaction {index}: {reason}", self.name));
                }
                self.exit = self.exit.max(Exit::Bad);
            }
            (Ok(Signers { signer, .. }), Some(claimed)) if signer != claimed => {
                let [claimed, signer] = [claimed, signer].map(hex::encode_prefixed);
                self.complain(format_args!(
                    "{}: transaction {index}: sender: expected {claimed}, got {signer}",
                    self.name
                ));
                self.exit = self.exit.max(Exit::Differs);
            }
            _ => {}
        }
        if self.items {
            let before = if index == 0 { self.head() + ",\"items\":[" } else { ",".into() };
            write!(self.out, "{before}{}", item(index, &result))
        } else if self.json {
            Ok(())
        } else {
            // A line for each input line, so that outputs can be matched up by position.
            match &result {
                Ok(signers) => writeln!(self.out, "{}", hex::encode_prefixed(signers.signer)),
                Err(reason) => writeln!(self.out, "error: {reason}"),
            }
        }
    }

    fn complain(&self, message: impl std::fmt::Display) {
        self.progress.suspend(|| complain(message));
    }

    /// The object's beginning. It is written as results come: they need not fit into memory.
    fn head(&self) -> String {
        format!("{{\"schema\":\"lockstep-recover/1\",\"backend\":{}", self.backend)
    }

    fn end(mut self) -> io::Result<Exit> {
        self.progress.finish_and_clear();
        if self.failed > TOLD {
            self.complain(format_args!("{}: {} more transactions failed", self.name, self.failed - TOLD));
        }
        if self.json {
            let before = match (self.items, self.count) {
                (true, 0) => self.head() + ",\"items\":[]",
                (true, _) => "]".into(),
                (false, _) => self.head(),
            };
            writeln!(self.out, "{before},\"count\":{},\"failed\":{}}}", self.count, self.failed)?;
        }
        self.out.flush()?;
        Ok(self.exit)
    }
}

fn item(index: usize, result: &Result<Signers, String>) -> Value {
    match result {
        Ok(Signers { signer, authorities }) if authorities.is_empty() => {
            json!({"index": index, "address": hex::encode_prefixed(signer)})
        }
        Ok(Signers { signer, authorities }) => {
            let authorities: Vec<_> = authorities.iter().map(|authority| authority.map(hex::encode_prefixed)).collect();
            json!({"index": index, "address": hex::encode_prefixed(signer), "authorities": authorities})
        }
        Err(reason) => json!({"index": index, "error": reason}),
    }
}

/// Over the bytes of the input, on a terminal.
fn progress(common: &Common, length: Option<u64>) -> ProgressBar {
    if common.json || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = match length {
        Some(_) => "{bar:40} {bytes}/{total_bytes}, {msg} transactions, {elapsed}",
        None => "{spinner} {bytes}, {msg} transactions, {elapsed}",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    length.map_or_else(ProgressBar::new_spinner, ProgressBar::new).with_style(style)
}
