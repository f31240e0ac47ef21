//! Answers as JSON lines or CSV, and what is told of them at the end.

use super::{super::complain, Args, Common, Exit, summary_line};
use alloy_primitives::{B256, U256, hex};
use indicatif::ProgressBar;
use lockstep::{
    coverage::Coverage,
    outcome::{AccountChange, AccountChangeKind, Log, TxStatus},
    simulate::{AccessList, Answer, CallResult, Summary},
};
use serde_json::{Map, Value, json};
use std::{
    io::{self, BufWriter, Write},
    ops::ControlFlow,
};

/// Errors that are told one by one.
const TOLD: usize = 100;

/// How answers look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// One JSON object a line
    Jsonl,
    /// A header and a row a call
    Csv,
}

/// Answers by how they ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) success: usize,
    pub(super) revert: usize,
    pub(super) halt: usize,
    pub(super) errors: usize,
}

impl Counts {
    pub(super) const fn all(&self) -> usize {
        self.success + self.revert + self.halt + self.errors
    }
}

/// Where answers go, in order.
pub(super) struct Output {
    out: BufWriter<io::Stdout>,
    /// The line being made.
    line: Vec<u8>,
    bar: ProgressBar,
    name: String,
    format: Format,
    sequences: bool,
    coverage: bool,
    json: bool,
    counts: Counts,
    exit: Exit,
    /// Why nothing more can be written.
    closed: Option<io::Error>,
}

impl Output {
    pub(super) fn new(common: &Common, args: &Args, name: String, bar: ProgressBar) -> Self {
        Self {
            out: BufWriter::with_capacity(1 << 16, io::stdout()),
            line: Vec::new(),
            bar,
            name,
            format: args.format,
            sequences: args.sequences,
            coverage: args.coverage,
            json: common.json,
            counts: Counts::default(),
            exit: Exit::Ok,
            closed: None,
        }
    }

    /// Writes an answer; breaks off where nobody reads any more.
    pub(super) fn answer(&mut self, index: usize, call: Option<usize>, answer: Answer) -> ControlFlow<()> {
        match &answer {
            Ok(CallResult { status: TxStatus::Success, .. }) => self.counts.success += 1,
            Ok(CallResult { status: TxStatus::Revert, .. }) => self.counts.revert += 1,
            Ok(CallResult { status: TxStatus::Halt, .. }) => self.counts.halt += 1,
            Err(error) => {
                self.counts.errors += 1;
                if self.counts.errors <= TOLD {
                    let call = call.map_or(String::new(), |call| format!("call {call}: "));
                    self.complain(format_args!("{}: index {index}: {call}{error}", self.name));
                }
                self.exit = self.exit.max(Exit::Bad);
            }
        }
        self.line.clear();
        let written = match self.format {
            Format::Jsonl => self.json_line(index, call, &answer),
            Format::Csv => self.csv_line(index, call, &answer),
        };
        match written.and_then(|()| self.out.write_all(&self.line)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(cause) => {
                self.closed = Some(cause);
                ControlFlow::Break(())
            }
        }
    }

    /// Written by hand in the order of the contract, and because a line is most of what a small call costs here.
    fn json_line(&mut self, index: usize, call: Option<usize>, answer: &Answer) -> io::Result<()> {
        let line = &mut self.line;
        write!(line, "{{\"index\":{index},")?;
        if let Some(call) = call {
            write!(line, "\"call\":{call},")?;
        }
        match answer {
            Err(error) => write!(line, "\"error\":{}", json!(error.to_string()))?,
            Ok(result) => {
                write!(line, "\"status\":\"{}\",\"gas_used\":{},\"output\":\"", status(result), result.gas_used)?;
                put_hex(line, &result.output);
                line.push(b'"');
                let more = [
                    ("logs", result.logs.as_deref().map(logs_json)),
                    ("state_diff", result.state_diff.as_deref().map(diff_json)),
                    ("access_list", result.access_list.as_ref().map(access_list_json)),
                    ("coverage", result.coverage.as_deref().filter(|_| self.coverage).map(coverage_json)),
                ];
                for (key, value) in more {
                    value.map_or(Ok(()), |value| write!(line, ",\"{key}\":{value}"))?;
                }
            }
        }
        line.extend_from_slice(b"}\n");
        Ok(())
    }

    fn csv_line(&mut self, index: usize, call: Option<usize>, answer: &Answer) -> io::Result<()> {
        let line = &mut self.line;
        if self.counts.all() == 1 {
            let call = if self.sequences { "call," } else { "" };
            writeln!(line, "index,{call}status,gas_used,output,error")?;
        }
        write!(line, "{index},")?;
        if self.sequences {
            call.map_or(Ok(()), |call| write!(line, "{call}"))?;
            line.push(b',');
        }
        match answer {
            Ok(result) => {
                write!(line, "{},{},", status(result), result.gas_used)?;
                put_hex(line, &result.output);
                line.push(b',');
            }
            Err(error) => write!(line, ",,,\"{}\"", error.to_string().replace('"', "\"\""))?,
        }
        line.push(b'\n');
        Ok(())
    }

    /// Tells that something is bad.
    pub(super) fn bad(&mut self, message: impl std::fmt::Display) {
        self.complain(message);
        self.exit = Exit::Bad;
    }

    fn complain(&self, message: impl std::fmt::Display) {
        self.bar.suspend(|| complain(message));
    }

    /// Tells the totals, and why the input ended where that was too early.
    pub(super) fn end(mut self, summary: &Summary, read: Result<(), String>) -> io::Result<Exit> {
        self.bar.finish_and_clear();
        let flushed = self.out.flush();
        self.closed.take().map_or(flushed, Err)?;
        if self.counts.errors > TOLD {
            self.complain(format_args!("{}: {} more calls have an error", self.name, self.counts.errors - TOLD));
        }
        if let Err(reason) = read {
            self.bad(format!("{}: {reason}", self.name));
        } else if self.counts.all() == 0 {
            // Nothing done is no success: an empty file is a mistake made earlier.
            self.bad(format!("{}: no calls", self.name));
        }
        if !self.json {
            // The answers are out; that nobody reads this changes nothing.
            let _ = writeln!(io::stderr(), "{}", summary_line(summary, &self.counts));
        }
        Ok(self.exit)
    }
}

const fn status(result: &CallResult) -> &'static str {
    match result.status {
        TxStatus::Success => "success",
        TxStatus::Revert => "revert",
        TxStatus::Halt => "halt",
    }
}

fn put_hex(line: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    line.extend_from_slice(b"0x");
    line.extend(bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]));
}

fn logs_json(logs: &[Log]) -> Value {
    let log = |log: &Log| {
        let topics: Vec<_> = log.topics.iter().map(hex::encode_prefixed).collect();
        json!({"address": hex::encode_prefixed(log.address), "topics": topics, "data": hex::encode_prefixed(&log.data)})
    };
    logs.iter().map(log).collect()
}

fn access_list_json(list: &AccessList) -> Value {
    let entry = |(address, keys): &(_, Vec<B256>)| {
        let keys: Vec<_> = keys.iter().map(hex::encode_prefixed).collect();
        json!({"address": hex::encode_prefixed(address), "storageKeys": keys})
    };
    list.iter().map(entry).collect()
}

/// The edges of a call, or of all.
pub(super) fn coverage_json(edges: &Coverage) -> Value {
    json!({"edges": edges.count(), "places": edges.places().collect::<Vec<_>>()})
}

/// Only accounts and fields that have changed.
fn diff_json(changes: &[AccountChange]) -> Value {
    let changed = changes.iter().map(|change| (hex::encode_prefixed(change.address), account_json(change)));
    Value::Object(changed.filter(|(_, fields)| !fields.is_empty()).map(|(key, fields)| (key, fields.into())).collect())
}

fn account_json(change: &AccountChange) -> Map<String, Value> {
    let change_of =
        |before: U256, after: U256| json!({"before": format!("{before:#x}"), "after": format!("{after:#x}")});
    let before = change.before.unwrap_or_default();
    let mut fields = Map::new();
    if before.balance != change.after.balance {
        fields.insert("balance".into(), change_of(before.balance, change.after.balance));
    }
    if before.nonce != change.after.nonce {
        fields.insert("nonce".into(), change_of(U256::from(before.nonce), U256::from(change.after.nonce)));
    }
    if let Some(code) = &change.code {
        fields.insert("code".into(), json!(hex::encode_prefixed(code)));
    }
    let slots = change.storage.iter();
    let slots: Map<_, _> =
        slots.map(|slot| (format!("{:#x}", slot.slot), change_of(slot.original, slot.value))).collect();
    if !slots.is_empty() {
        fields.insert("storage".into(), slots.into());
    }
    match change.kind {
        AccountChangeKind::Touched => None,
        AccountChangeKind::Created => fields.insert("created".into(), json!(true)),
        AccountChangeKind::Destroyed => fields.insert("destroyed".into(), json!(true)),
    };
    fields
}
