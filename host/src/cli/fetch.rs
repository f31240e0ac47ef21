//! `lockstep fetch`: a block of a node, with the state that it needs, as a block file.

use super::{Common, Exit, Failure, complain, node::NodeArgs, print};
use indicatif::ProgressBar;
use lockstep::{
    block_file::BlockFile,
    compare::compare,
    engine::Engine,
    rpc::{Fetched, Progress, RpcError, write_whole},
};
use serde_json::{Value, json};
use std::{
    io::{IsTerminal, stderr},
    path::{Path, PathBuf},
    time::Duration,
};

/// Blocks are kept for long and read often.
const ZSTD_LEVEL: i32 = 19;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The node's JSON-RPC endpoint, http:// (or https:// in a build with the feature rpc-tls)
    #[arg(long, required = true, value_name = "URL")]
    rpc: String,
    /// Its number, decimal or in hex with 0x
    #[arg(long, value_name = "N", value_parser = parse_number)]
    block: u64,
    /// The file to write: JSON, packed if its name ends in .zst; `-` or /dev/stdout for stdout, as JSON [default: N.json.zst]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    node: NodeArgs,
}

/// A block number.
pub(super) fn parse_number(text: &str) -> Result<u64, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.map_err(|cause| cause.to_string())
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Failure> {
    let engine = common.engine()?;
    let fetched = match fetch(common, args) {
        Ok(fetched) => fetched,
        Err(error) => {
            complain(&error);
            if common.json {
                print(json!({"schema": "lockstep-fetch/1", "number": args.block, "error": error_json(&error)}))?;
            }
            return Ok(Exit::Bad);
        }
    };
    let file = &fetched.file;
    let verdict = verdict(&engine, file);
    let path = args.out.clone().unwrap_or_else(|| format!("{}.json.zst", args.block).into());
    let to_stdout = is_stdout(&path);
    // A file that is there may be a good one, and this one is not.
    let kept = !to_stdout && verdict.is_some() && path.is_file();
    if to_stdout {
        print(file.to_json())?;
    } else if !kept && let Err(cause) = write(&path, file) {
        complain(format_args!("{}: {cause}", path.display()));
        return Ok(Exit::Bad);
    }
    if let Some((_, reason)) = &verdict {
        let left = if kept { format!("; {} is left as it was", path.display()) } else { String::new() };
        complain(format_args!("block {}: {reason}{left}", args.block));
    }
    let (exit, mismatch) = verdict.map_or((Exit::Ok, None), |(exit, reason)| (exit, Some(reason)));
    if to_stdout {
        return Ok(exit);
    }
    if common.json {
        print(json!({
            "schema": "lockstep-fetch/1", "file": path.display().to_string(), "number": args.block, "fork": file.block.env.fork.name(),
            "txs": file.block.transactions.len(), "ok": mismatch.is_none(), "mismatch": mismatch, "written": !kept, "cached": fetched.cached,
            "proven": fetched.proven, "keys": fetched.keys, "rounds": fetched.rounds, "calls": fetched.calls,
        }))?;
    } else {
        print(line(&path, &fetched, mismatch.is_none(), kept))?;
    }
    Ok(exit)
}

/// How the block's own execution differs from what the node says of it, if it does.
fn verdict(engine: &Engine, file: &BlockFile) -> Option<(Exit, String)> {
    match engine.execute_block(&file.block, &file.state) {
        Ok(output) => compare(file, &output).map(|mismatch| (Exit::Differs, mismatch.to_string())),
        Err(error) => Some((Exit::Bad, error.to_string())),
    }
}

/// Whether this names the standard output, where nothing else is printed then.
fn is_stdout(path: &Path) -> bool {
    let names: &[&str] = if cfg!(unix) { &["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] } else { &["-"] };
    names.iter().any(|name| path == Path::new(name))
}

fn fetch(common: &Common, args: &Args) -> Result<Fetched, RpcError> {
    let spinner =
        if common.json || !stderr().is_terminal() { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner.set_message(format!("block {}", args.block));
    let source = args.node.connect(&args.rpc)?;
    let fetched = source.block(args.block, |progress| spinner.set_message(progress_text(progress)));
    spinner.finish_and_clear();
    fetched
}

/// What is known of a block's state, in words.
pub(super) const fn proven_text(proven: bool) -> &'static str {
    if proven { "proven" } else { "not proven" }
}

/// How far a block is.
pub(super) fn progress_text(Progress { number, rounds, keys }: Progress) -> String {
    format!("block {number}: {keys} accounts and slots in {rounds} rounds")
}

/// For `errors` of the JSON.
pub(super) fn error_json(error: &RpcError) -> Value {
    json!({"block": error.block, "key": error.key, "method": error.method, "reason": error.cause.to_string()})
}

fn write(path: &Path, file: &BlockFile) -> std::io::Result<()> {
    let json = file.to_json().to_string();
    if path.extension().is_some_and(|extension| extension == "zst") {
        write_whole(path, &zstd::bulk::compress(json.as_bytes(), ZSTD_LEVEL)?)
    } else {
        write_whole(path, json.as_bytes())
    }
}

fn line(path: &Path, fetched: &Fetched, ok: bool, kept: bool) -> String {
    let env = &fetched.file.block.env;
    let proven = proven_text(fetched.proven);
    let state = if fetched.cached {
        format!("{proven}, from the cache")
    } else {
        format!(
            "{} accounts and slots, {proven}, in {} rounds and {} calls",
            fetched.keys, fetched.rounds, fetched.calls
        )
    };
    let verdict = match (ok, kept) {
        (true, _) => "ok",
        (false, false) => "DIFFERS",
        (false, true) => "DIFFERS, not written",
    };
    format!(
        "{}  {} {}  {} txs  {state}  {verdict}",
        path.display(),
        env.number,
        env.fork,
        fetched.file.block.transactions.len()
    )
}
