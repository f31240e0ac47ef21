//! `lockstep keccak`: messages in, Keccak-256 hashes out.

use super::{
    Common, Exit, Failure, complain,
    lines::{self, Input, hex_lines},
    print,
};
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A file of messages, one hex line each; `-` or nothing reads stdin
    #[arg(value_name = "FILE", conflicts_with = "files")]
    input: Option<PathBuf>,
    /// Hash the content of these files instead
    #[arg(long, value_name = "FILE", num_args = 1..)]
    files: Vec<PathBuf>,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Failure> {
    let engine = common.engine()?;
    // What people call it, and its content or why there is none.
    let messages: Vec<(String, Result<Vec<u8>, String>)> = if args.files.is_empty() {
        let name = lines::name(args.input.as_deref());
        match read(args.input.as_deref()) {
            Err(reason) => {
                complain(format_args!("{name}: {reason}"));
                return Ok(Exit::Bad);
            }
            // Nothing done is no success; the empty message is a line of its own.
            Ok(bytes) if bytes.trim_ascii().is_empty() => {
                complain(format_args!("{name}: no messages: one hex line each, `0x` for the empty one"));
                return Ok(Exit::Bad);
            }
            Ok(bytes) => {
                hex_lines(&bytes).enumerate().map(|(index, line)| (format!("{name}: message {index}"), line)).collect()
            }
        }
    } else {
        args.files.iter().map(|path| (path.display().to_string(), read(Some(path)))).collect()
    };
    let contents: Vec<&[u8]> = messages.iter().filter_map(|(_, content)| content.as_deref().ok()).collect();
    let mut hashes = engine.keccak256(&contents).into_iter();
    let mut exit = Exit::Ok;
    let mut items = Vec::with_capacity(messages.len());
    for (index, (name, content)) in messages.iter().enumerate() {
        let hash = content.as_ref().map_err(String::as_str).and_then(|_| hashes.next().ok_or("no result"));
        if let Err(reason) = hash {
            complain(format_args!("{name}: {reason}"));
            exit = Exit::Bad;
        }
        match (common.json, hash) {
            (true, Ok(hash)) => items.push(json!({"index": index, "hash": hash.to_string()})),
            (true, Err(reason)) => items.push(json!({"index": index, "error": reason})),
            (false, Ok(hash)) if args.files.is_empty() => print(hash)?,
            (false, Ok(hash)) => print(format_args!("{hash}  {name}"))?,
            // A line for each message, so that outputs can be matched up by position.
            (false, Err(reason)) => print(format_args!("error: {reason}"))?,
        }
    }
    if common.json {
        print(json!({"schema": "lockstep-keccak/1", "count": items.len(), "items": items}))?;
    }
    Ok(exit)
}

fn read(path: Option<&Path>) -> Result<Vec<u8>, String> {
    Input::open(path)?.whole()
}
