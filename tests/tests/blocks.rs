//! Real mainnet blocks: per-transaction results, bloom and roots as the files promise them, on every backend.

use libtest_mimic::Failed;
use lockstep::{
    block_file::BlockFile,
    compare::compare,
    engine::Engine,
    fallback::FallbackReason,
    fork::Fork,
    outcome::TxOutcome,
    report::{ExecutionReport, RouteCount},
};
use lockstep_tests::harness::{self, Suite, Target};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .map_err(|error| error.to_string())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(".json.zst"))
        .collect();
    files.sort();
    Ok(files)
}

fn replay(engine: &Engine, path: &Path) -> Result<(Fork, ExecutionReport), Failed> {
    let file = BlockFile::read(path)?;
    let output = engine.execute_block(&file.block, &file.state)?;
    match compare(&file, &output) {
        Some(mismatch) => Err(format!("{}: {mismatch}", path.display()).into()),
        None => Ok((file.block.env.fork, output.report)),
    }
}

/// The outcomes and the bundle rebuilt from them are those that sequential revm takes from its own state.
fn bundle(engine: &Engine, path: &Path) -> Result<(), Failed> {
    let file = BlockFile::read(path)?;
    let output = engine.execute_block(&file.block, &file.state)?;
    let sequential = lockstep::evm::sequential(&file.block.env, &output.transactions, &output.senders, &file.state)
        .map_err(|(_, error)| error)?;
    for (tx, (outcome, expected)) in output.outcomes.iter().zip(&sequential.outcomes).enumerate() {
        // Its changes are in its bundle alone.
        if (TxOutcome { changes: Vec::default(), ..outcome.clone() }) != *expected {
            return Err(format!("tx {tx}: the outcomes differ").into());
        }
    }
    if output.bundle_state() == sequential.bundle { Ok(()) } else { Err("bundles differ".into()) }
}

/// Writing what was read gives the same block.
fn round_trip(path: &Path) -> Result<(), Failed> {
    let file = BlockFile::read(path)?;
    let again = BlockFile::parse(file.to_json().to_string().as_bytes())?;
    if again == file { Ok(()) } else { Err("writing and reading change the file".into()) }
}

/// What the device took of the blocks that it can run at all.
#[expect(clippy::print_stdout, reason = "the shares are what the test is there to tell")]
fn shares(engine: &Engine, folder: &Path) -> Result<(), Failed> {
    let mut device = RouteCount::default();
    let mut all = RouteCount::default();
    let mut fallbacks: BTreeMap<FallbackReason, u64> = BTreeMap::new();
    for path in files(folder)? {
        let (fork, report) = replay(engine, &path)?;
        if fork >= Fork::Berlin {
            device = device + report.device;
            all = all + report.total();
            for (reason, count) in report.fallbacks {
                *fallbacks.entry(reason).or_default() += count;
            }
        }
    }
    println!(
        "Berlin and later: {} of {} txs, {} of {} calls, {} of {} gas on the device",
        device.txs, all.txs, device.calls, all.calls, device.gas, all.gas
    );
    println!("fallbacks: {fallbacks:?}");
    if device.txs * 100 < all.txs * 95 || device.gas * 100 < all.gas * 65 {
        return Err("less than 95 % of the transactions or 65 % of the gas".into());
    }
    Ok(())
}

fn main() -> ExitCode {
    let mut suite = Suite::default();
    match harness::data("blocks").and_then(|folder| Ok((files(&folder)?, folder))) {
        Ok((files, folder)) => {
            for path in files {
                let stem = path
                    .file_name()
                    .and_then(|name| name.to_str())
                    .unwrap_or_default()
                    .trim_end_matches(".json.zst")
                    .to_owned();
                let of_bundle = path.clone();
                let of_file = path.clone();
                suite.test(format!("file::{stem}"), move || round_trip(&of_file));
                suite.each(&format!("block::{stem}"), move |engine| replay(engine, &path).map(drop));
                suite.each(&format!("bundle::{stem}"), move |engine| bundle(engine, &of_bundle));
            }
            suite.on(Target::Wgpu, "shares", move |engine| shares(engine, &folder));
        }
        Err(reason) => suite.skip("blocks", "data", reason),
    }
    suite.run()
}
