//! A node's loop, generic over the executor: alloy-evm's own and Lockstep's run the same blocks and must keep the same.
//!
//!     cargo run --release --features alloy-evm --example node_loop                     # the sample block
//!     cargo run --release --features alloy-evm --example node_loop -- wgpu FILE..      # block files
//!
//! Files whose numbers follow on each other are one chain: the state goes on from block to block.
#![expect(clippy::print_stdout, reason = "an example shows what it finds")]

mod chain;

use alloy_evm::eth::{
    EthBlockExecutorFactory, EthEvmFactory,
    receipt_builder::AlloyReceiptBuilder,
    spec::{EthExecutorSpec, EthSpec},
};
use chain::{NodeBlock, database, difference, one_by_one, run};
use lockstep::{
    alloy_evm::{ForkSchedule, LockstepBlockExecutorFactory, recover_txs},
    backend::BackendKind,
    block_file::BlockFile,
    engine::Engine,
    fork::Fork,
    sample::SAMPLE,
};
use std::{
    error::Error,
    path::Path,
    time::{Duration, Instant},
};

/// What both executors took.
#[derive(Default)]
struct Totals {
    txs: usize,
    theirs: Duration,
    ours: Duration,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let named = args.first().and_then(|arg| arg.parse().ok());
    let from_env = || std::env::var("LOCKSTEP_BACKEND").ok().map(|name| name.parse()).transpose();
    let backend = named.map_or_else(from_env, |kind| Ok(Some(kind)))?.unwrap_or(BackendKind::Auto);
    let engine = Engine::builder().backend(backend).build()?;
    let paths = &args[usize::from(named.is_some())..];
    let mut files = if paths.is_empty() {
        vec![BlockFile::parse(SAMPLE)?]
    } else {
        paths.iter().map(|path| BlockFile::read(Path::new(path))).collect::<Result<_, _>>()?
    };
    files.sort_by_key(|file| (file.block.env.chain_id, file.block.env.number));

    let mut totals = Totals::default();
    let follows = |one: &BlockFile, next: &BlockFile| {
        let (one, next) = (&one.block.env, &next.block.env);
        (one.chain_id, one.number + 1) == (next.chain_id, next.number)
    };
    for files in files.chunk_by(follows) {
        match files[0].block.env.chain_id {
            1 => compare(&engine, EthSpec::mainnet(), files, &mut totals)?,
            _ => {
                let forks = files.iter().map(|file| (file.block.env.timestamp, file.block.env.fork));
                compare(&engine, ForkSchedule::new(forks), files, &mut totals)?;
            }
        }
    }
    let rate = |time: Duration| totals.txs as f64 / time.as_secs_f64();
    println!(
        "{} txs, recovery included: alloy-evm {:.0} a second, Lockstep on {} {:.0} a second",
        totals.txs,
        rate(totals.theirs),
        engine.backend_name(),
        rate(totals.ours)
    );
    Ok(())
}

/// Runs a chain through both executors.
fn compare<S: EthExecutorSpec + Clone + 'static>(
    engine: &Engine,
    spec: S,
    files: &[BlockFile],
    totals: &mut Totals,
) -> Result<(), Box<dyn Error>> {
    let blocks = files.iter().map(NodeBlock::of_file).collect::<Result<Vec<_>, _>>()?;
    let states: Vec<_> = files.iter().map(|file| &file.state).collect();
    let db = database(&states)?;
    let low_s = files[0].block.env.fork >= Fork::Homestead;

    let theirs = EthBlockExecutorFactory::new(AlloyReceiptBuilder::default(), spec.clone(), EthEvmFactory::default());
    let ours = LockstepBlockExecutorFactory::new(engine.clone(), theirs.clone());
    let start = Instant::now();
    let expected = run(&theirs, &spec, &db, &blocks, one_by_one)?;
    let middle = Instant::now();
    let kept = run(&ours, &spec, &db, &blocks, |txs| Ok(recover_txs(engine, txs, low_s)?))?;
    let end = Instant::now();
    if let Some(difference) = difference(&kept, &expected) {
        return Err(difference.into());
    }
    for (file, result) in files.iter().zip(&kept.results) {
        if result.gas_used != file.expected.gas_used {
            return Err(format!("{} gas used, {} in the file", result.gas_used, file.expected.gas_used).into());
        }
    }

    let tally = ours.tally();
    let logs: usize = kept.results.iter().flat_map(|result| &result.receipts).map(|receipt| receipt.logs().len()).sum();
    println!(
        "block {} and {} more: {} txs, {} logs, {} accounts changed, all equal; {} txs by the device, {} by alloy-evm",
        files[0].block.env.number,
        files.len() - 1,
        tally.report.total().txs + tally.wrapped_txs,
        logs,
        kept.bundle.state.len(),
        tally.report.device.txs,
        tally.wrapped_txs
    );
    totals.txs += blocks.iter().map(|block| block.transactions.len()).sum::<usize>();
    totals.theirs += middle - start;
    totals.ours += end - middle;
    Ok(())
}
