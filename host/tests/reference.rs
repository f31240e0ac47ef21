//! The CPU side against data: every shared block (output, bundle state, file round trip) and every transaction vector of ethereum/tests.
//!
//! The data lie in `LOCKSTEP_DATA`, else in `shared` beside the workspace's parent folder. Without them the tests are shown as ignored with that
//! reason; where `LOCKSTEP_REQUIRE` names `data` they fail.

use alloy_primitives::{Address, B256, Bytes, U64};
use libtest_mimic::{Arguments, Failed, Trial};
use lockstep::{
    block_file::BlockFile,
    compare::compare,
    engine::Engine,
    evm::sequential,
    fork::Fork,
    intrinsic::check_intrinsic,
    recover::{recover_one, sender_request},
    tx::Transaction,
};
use serde_json::Value;
use std::{
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let data = std::env::var_os("LOCKSTEP_DATA").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let mut trials = block_trials(&data.join("blocks"));
    trials.extend(transaction_trials(&data.join("suites/transaction_tests.tar.zst")));
    libtest_mimic::run(&args, trials).exit_code()
}

/// One trial that stands for data that are not there.
fn absent(name: &str, path: &Path) -> Vec<Trial> {
    let reason = format!("{name}: no data at {}", path.display());
    let required = std::env::var("LOCKSTEP_REQUIRE").is_ok_and(|list| list.split(',').any(|item| item == "data"));
    let message = reason.clone();
    vec![Trial::test(reason, move || Err(Failed::from(message))).with_ignored_flag(!required)]
}

fn block_trials(folder: &Path) -> Vec<Trial> {
    let Ok(entries) = std::fs::read_dir(folder) else { return absent("blocks", folder) };
    let engine = Arc::new(Engine::builder().threads(1).build().expect("the CPU is always there"));
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let trial = |path: PathBuf| {
        let engine = engine.clone();
        let name = format!("cpu::block::{}", path.file_name().unwrap_or_default().to_string_lossy());
        Trial::test(name, move || check_block(&engine, &path))
    };
    paths.into_iter().map(trial).collect()
}

fn check_block(engine: &Engine, path: &Path) -> Result<(), Failed> {
    let file = BlockFile::read(path).map_err(|error| error.to_string())?;
    let output = engine.execute_block(&file.block, &file.state).map_err(|error| error.to_string())?;
    if let Some(mismatch) = compare(&file, &output) {
        return Err(mismatch.to_string().into());
    }
    let reference =
        sequential(&file.block.env, &output.transactions, &output.senders, &file.state).map_err(|(tx, error)| format!("reference, {tx}: {error}"))?;
    for (index, (ours, theirs)) in output.outcomes.iter().zip(&reference.outcomes).enumerate() {
        let mut ours = ours.clone();
        ours.changes.clear();
        if ours != *theirs {
            return Err(format!("transaction {index}: outcome differs from the reference path").into());
        }
    }
    if output.bundle_state(&file.state).map_err(|error| error.to_string())? != reference.bundle {
        return Err("the bundle state differs from the reference path".into());
    }
    let again = BlockFile::parse(file.to_json().to_string().as_bytes()).map_err(|error| error.to_string())?;
    if again != file {
        return Err("writing and reading changes the file".into());
    }
    Ok(())
}

fn transaction_trials(archive: &Path) -> Vec<Trial> {
    let Ok(file) = std::fs::File::open(archive) else { return absent("transactions", archive) };
    let mut decoder = zstd::stream::read::Decoder::new(file).expect("zstd starts");
    decoder.window_log_max(27).expect("a window of 128 MiB");
    let mut tar = tar::Archive::new(decoder);
    let mut trials = Vec::new();
    for entry in tar.entries().expect("a tar archive") {
        let mut entry = entry.expect("a tar entry");
        let path = entry.path().expect("a path").display().to_string();
        if !path.ends_with(".json") {
            continue;
        }
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("text");
        let cases: Value = serde_json::from_str(&text).expect("JSON");
        for (name, case) in cases.as_object().expect("an object").clone() {
            if name == "RightVRSTest" {
                let wrong = wrong_vectors(&case);
                trials.push(Trial::test("transaction::wrong vectors are found", move || {
                    wrong.iter().all(|case| check_case(case).is_err()).then_some(()).ok_or_else(|| "a wrong vector passed".into())
                }));
            }
            trials.push(Trial::test(format!("transaction::{path}::{name}"), move || check_case(&case)));
        }
    }
    trials
}

/// An accepted vector that lies about its sender, its hash, its gas, or its acceptance.
fn wrong_vectors(case: &Value) -> Vec<Value> {
    let lie = |field: &str, value: &str| {
        let mut case = case.clone();
        case["result"]["Cancun"][field] = value.into();
        case
    };
    let zeros = |bytes: usize| format!("0x{}", "00".repeat(bytes));
    vec![lie("sender", &zeros(20)), lie("hash", &zeros(32)), lie("intrinsicGas", "0x5209"), lie("exception", "any")]
}

fn check_case(case: &Value) -> Result<(), Failed> {
    let raw: Bytes = parse(&case["txbytes"])?;
    let results = case["result"].as_object().ok_or("no results")?;
    for (name, expected) in results {
        let fork = fork(name)?;
        match (accept(&raw, fork), expected.get("exception")) {
            (Err(_), Some(_)) => {}
            (Ok(_), Some(exception)) => return Err(format!("{name}: accepted, expected {exception}").into()),
            (Err(reason), None) => return Err(format!("{name}: rejected: {reason}").into()),
            (Ok(actual), None) => {
                let gas: U64 = parse(&expected["intrinsicGas"])?;
                let expected = (parse(&expected["hash"])?, parse(&expected["sender"])?, gas.to());
                if actual != expected {
                    return Err(format!("{name}: got {actual:?}, expected {expected:?}").into());
                }
            }
        }
    }
    Ok(())
}

/// Hash, sender and intrinsic gas of a transaction that mainnet takes at `fork`.
fn accept(raw: &[u8], fork: Fork) -> Result<(B256, Address, u64), String> {
    let tx = Transaction::decode(raw).map_err(|error| error.to_string())?;
    let gas = check_intrinsic(&tx, fork, 1).map_err(|error| error.to_string())?;
    let sender = recover_one(&sender_request(&tx, fork)).map_err(|error| error.to_string())?;
    Ok((tx.hash, sender, gas.initial))
}

fn parse<T: std::str::FromStr>(value: &Value) -> Result<T, String> {
    value.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| format!("the vector itself: {value}"))
}

fn fork(name: &str) -> Result<Fork, String> {
    Ok(match name {
        "Frontier" => Fork::Frontier,
        "Homestead" => Fork::Homestead,
        "EIP150" => Fork::Tangerine,
        "EIP158" => Fork::SpuriousDragon,
        "Byzantium" => Fork::Byzantium,
        // Constantinople's difference is in an opcode.
        "Constantinople" | "ConstantinopleFix" => Fork::Petersburg,
        "Istanbul" => Fork::Istanbul,
        "Berlin" => Fork::Berlin,
        "London" => Fork::London,
        "Paris" => Fork::Merge,
        "Shanghai" => Fork::Shanghai,
        "Cancun" => Fork::Cancun,
        "Prague" => Fork::Prague,
        "Osaka" => Fork::Osaka,
        _ => return Err(format!("unknown fork {name}")),
    })
}
