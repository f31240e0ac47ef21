//! `lockstep recover`: raw transactions or a block file in, senders out.

use super::{Common, Exit, Failure, backend_json, complain, print};
use alloy_primitives::{Address, hex};
use lockstep::{
    block_file::{BlockFile, MAX_FILE_SIZE},
    fork::Fork,
    recover::sender_request,
    tx::Transaction,
};
use serde_json::{Map, Value, json};
use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A file of raw transactions, one hex line each, or a block file; `-` or nothing reads stdin
    #[arg(value_name = "FILE")]
    input: Option<PathBuf>,
    /// With --json, one item a transaction
    #[arg(long)]
    items: bool,
}

/// What there is to recover, in order, and who the file says the senders are.
struct Input {
    transactions: Vec<Result<Transaction, String>>,
    claimed: Vec<Address>,
    fork: Fork,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Failure> {
    let engine = common.engine()?;
    let name = args.input.as_deref().map_or("stdin".into(), |path| path.display().to_string());
    let input = match read(args.input.as_deref()).and_then(|bytes| parse(&bytes)) {
        Ok(input) => input,
        Err(reason) => {
            complain(format_args!("{name}: {reason}"));
            return Ok(Exit::Bad);
        }
    };
    let requests: Vec<_> = input.transactions.iter().flatten().map(|tx| sender_request(tx, input.fork)).collect();
    let mut recovered = engine.recover(&requests).into_iter();
    let results: Vec<Result<Address, String>> = input
        .transactions
        .iter()
        .map(|tx| match tx {
            Err(reason) => Err(reason.clone()),
            Ok(_) => recovered
                .next()
                .map_or_else(|| Err("no result".into()), |result| result.map_err(|error| error.to_string())),
        })
        .collect();

    let mut exit = Exit::Ok;
    for (index, result) in results.iter().enumerate() {
        match (result, input.claimed.get(index)) {
            (Err(reason), _) => {
                complain(format_args!("{name}: transaction {index}: {reason}"));
                exit = exit.max(Exit::Bad);
            }
            (Ok(address), Some(claimed)) if address != claimed => {
                let [claimed, address] = [claimed, address].map(hex::encode_prefixed);
                complain(format_args!("{name}: transaction {index}: sender: expected {claimed}, got {address}"));
                exit = exit.max(Exit::Differs);
            }
            _ => {}
        }
    }
    if common.json {
        let failed = results.iter().filter(|result| result.is_err()).count();
        let mut object = Map::new();
        object.insert("schema".into(), json!("lockstep-recover/1"));
        object.insert("backend".into(), backend_json(&engine));
        object.insert("count".into(), json!(results.len()));
        object.insert("failed".into(), json!(failed));
        if args.items {
            object.insert("items".into(), results.iter().enumerate().map(item).collect());
        }
        print(Value::Object(object))?;
    } else {
        // A line for each input line, so that outputs can be matched up by position.
        for result in &results {
            match result {
                Ok(address) => print(hex::encode_prefixed(address))?,
                Err(reason) => print(format_args!("error: {reason}"))?,
            }
        }
    }
    Ok(exit)
}

fn item((index, result): (usize, &Result<Address, String>)) -> Value {
    match result {
        Ok(address) => json!({"index": index, "address": hex::encode_prefixed(address)}),
        Err(reason) => json!({"index": index, "error": reason}),
    }
}

/// All bytes of a file or of stdin.
pub(super) fn read(path: Option<&Path>) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let limit = MAX_FILE_SIZE + 1;
    let read = match path.filter(|path| *path != Path::new("-")) {
        Some(path) => std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)),
        None => io::stdin().take(limit).read_to_end(&mut bytes),
    };
    read.map_err(|cause| cause.to_string())?;
    if bytes.len() as u64 == limit {
        return Err(format!("more than {MAX_FILE_SIZE} bytes: split it"));
    }
    Ok(bytes)
}

/// The trimmed lines that are not empty.
pub(super) fn hex_lines(bytes: &[u8]) -> impl Iterator<Item = Result<Vec<u8>, String>> {
    // Bytes that are no text are no hex either, and the line's error says so.
    bytes
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .map(|line| hex::decode(line).map_err(|cause| cause.to_string()))
}

fn parse(bytes: &[u8]) -> Result<Input, String> {
    let is_block = bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || bytes.trim_ascii_start().starts_with(b"{");
    if is_block {
        let file = BlockFile::parse(bytes).map_err(|error| error.to_string())?;
        return Ok(Input {
            transactions: file.block.transactions.iter().map(|raw| decode(raw)).collect(),
            claimed: file.claims.iter().map(|claim| claim.sender).collect(),
            fork: file.block.env.fork,
        });
    }
    let transactions = hex_lines(bytes)
        .map(|line| line.map_err(|reason| format!("raw: {reason}")).and_then(|raw| decode(&raw)))
        .collect::<Vec<_>>();
    // Nothing done is no success: an empty file is a mistake made earlier.
    if transactions.is_empty() {
        return Err("no transactions: neither hex lines nor a block file".into());
    }
    // Raw transactions name no fork: those of today's rules.
    Ok(Input { transactions, claimed: Vec::new(), fork: Fork::Osaka })
}

fn decode(raw: &[u8]) -> Result<Transaction, String> {
    Transaction::decode(raw).map_err(|error| error.to_string())
}
