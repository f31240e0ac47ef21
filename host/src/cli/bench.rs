//! `lockstep bench`: every engine beside those that others use, in one run, every result checked.

use super::{Common, Exit, Failure, complain, print, replay::collect};
use indicatif::{ProgressBar, ProgressStyle};
use lockstep::bench::{
    BenchError, Choice, MAX_SIZE, Machine, Options, Report, SIZES, blocks, keccak, recover, runner::Plan, simulate,
};
use lockstep::block_file::BlockFile;
use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    time::Duration,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Sender recovery: clean signatures, and a mix with 1 % invalid and 0.1 % exceptional ones
    Recover {
        /// Only these engines; the baseline, libsecp256k1 on one thread, is always measured
        #[arg(long, value_name = "ENGINE,..", value_delimiter = ',', value_parser = clap::builder::PossibleValuesParser::new(recover::ENGINES))]
        only: Vec<String>,
        #[command(flatten)]
        extent: Extent,
    },
    /// Keccak-256 of messages of 32, 64, 136 and 532 bytes
    Keccak {
        /// Only these engines; the baseline, keccak-asm on one thread, is always measured
        #[arg(long, value_name = "ENGINE,..", value_delimiter = ',', value_parser = clap::builder::PossibleValuesParser::new(keccak::ENGINES))]
        only: Vec<String>,
        #[command(flatten)]
        extent: Extent,
    },
    /// Ordered blocks, senders known: generated ones, and blocks of files, those also from raw transactions
    #[command(after_long_help = BLOCKS_HELP)]
    Blocks {
        /// Block files (.json, .json.zst), or folders of them; none: the generated workloads, and the files in `blocks` under
        /// LOCKSTEP_DATA if that is set
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// These generated workloads, beside the files or alone
        #[arg(long, value_name = "NAME,..", value_delimiter = ',', value_parser = clap::builder::PossibleValuesParser::new(blocks::WORKLOADS))]
        workloads: Vec<String>,
        /// Only these engines; the baseline, sequential revm on one thread, is always measured
        #[arg(long, value_name = "ENGINE,..", value_delimiter = ',', value_parser = clap::builder::PossibleValuesParser::new(blocks::ENGINES))]
        only: Vec<String>,
        #[command(flatten)]
        extent: Extent,
    },
    /// Calls against one state: token transfers, a mix of eight contracts, sequences of four calls
    Simulate {
        /// Only these engines; the baseline, revm in a plain loop on one thread, is always measured
        #[arg(long, value_name = "ENGINE,..", value_delimiter = ',', value_parser = clap::builder::PossibleValuesParser::new(simulate::ENGINES))]
        only: Vec<String>,
        #[command(flatten)]
        extent: Extent,
    },
}

/// What the workloads and columns are.
const BLOCKS_HELP: &str = "\
Time is from decoded transactions, or from raw ones in rows of blocks-e2e, to outcomes and the BundleState with reverts. The baseline \
is sequential revm in its fastest arrangement: the journal kept over the block, one commit at its end, code analysed already; with \
libsecp256k1 before it in blocks-e2e. Rows are of one thread and of all.

Generated: transfers, token, swaps, lending, nft, vote and supply-chain, of which 0, 30 or 90 % all use one account, market, pool, \
collection, proposal or item and the others nothing that another one uses; serial (each on the one before), alternating (two markets in \
turn), bombs (a few huge transactions at the end), slot (one slot of all), trap (cheap in order, burns \
its gas out of it). The summary counts files of 4 M gas or more.";

#[derive(Debug, clap::Args)]
struct Extent {
    /// Items a call [default: from 1 to a million; simulate: to 100000, a million at most; blocks: 2000 and 10000, which are
    /// the most]
    #[arg(long, value_name = "n,..", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=MAX_SIZE as i64))]
    sizes: Vec<u32>,
    /// Samples of each row, the engines in turn
    #[arg(long, value_name = "R", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Failure> {
    let (only, extent, sizes): (_, _, &[usize]) = match &args.what {
        What::Recover { only, extent } | What::Keccak { only, extent } => (only, extent, &SIZES),
        What::Blocks { only, extent, .. } => (only, extent, &blocks::SIZES),
        What::Simulate { only, extent } => (only, extent, &simulate::SIZES),
    };
    let named = extent.sizes.iter().map(|n| *n as usize);
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let choice = Choice {
        backend: common.backend,
        device: common.device.clone(),
        threads: common.threads.map_or_else(cores, usize::from),
        only: only.clone(),
    };
    let plan = Plan { rounds: extent.rounds.into(), ..Plan::default() };
    let sizes = if extent.sizes.is_empty() { sizes.to_vec() } else { named.collect() };
    let options = Options { choice, sizes, plan };

    let (mut selection, mut exit) = (blocks::Selection::default(), Exit::Ok);
    if let What::Blocks { paths, workloads, .. } = &args.what {
        (selection, exit) = select(paths, workloads);
    }
    let bar = progress();
    let say = |step: &str| bar.set_message(step.to_owned());
    let result = match &args.what {
        What::Recover { .. } => recover::run(&options, &say),
        What::Keccak { .. } => keccak::run(&options, &say),
        What::Blocks { .. } => blocks::run(&options, &selection, &say),
        What::Simulate { .. } => simulate::run(&options, &say),
    };
    bar.finish_and_clear();
    match result {
        Ok(report) => Ok(exit.max(show(common, &report, plan)?)),
        Err(BenchError::Backend(error)) => Err(error.into()),
        Err(error @ BenchError::Usage(_)) => {
            complain(error);
            Ok(Exit::Bad)
        }
        Err(error @ BenchError::Wrong(_)) => {
            complain(error);
            Ok(Exit::Differs)
        }
    }
}

/// What is asked for of the blocks. Files that are none are told of, and the others run.
fn select(paths: &[PathBuf], workloads: &[String]) -> (blocks::Selection, Exit) {
    let mut selection = blocks::Selection { workloads: workloads.to_vec(), ..blocks::Selection::default() };
    let mut paths = paths.to_vec();
    if paths.is_empty() && workloads.is_empty() {
        selection.workloads = blocks::WORKLOADS.map(str::to_owned).to_vec();
        paths.extend(std::env::var_os("LOCKSTEP_DATA").map(|data| Path::new(&data).join("blocks")));
    }
    let mut exit = Exit::Ok;
    let mut bad = |path: &Path, error: &dyn std::fmt::Display| {
        complain(format_args!("{}: {error}", path.display()));
        exit = Exit::Bad;
    };
    let (files, unreadable) = collect(&paths);
    unreadable.iter().for_each(|(path, error)| bad(path, error));
    for path in files {
        match BlockFile::read(&path) {
            Ok(file) => selection.files.push(file),
            Err(error) => bad(&path, &error),
        }
    }
    (selection, exit)
}

fn show(common: &Common, report: &Report, plan: Plan) -> Result<Exit, Failure> {
    let machine = Machine::read(report.device());
    if common.json {
        print(report.json(&machine, plan.rounds))?;
    } else {
        print(machine)?;
        print("From host to host, transfers in and out included; medians; every result checked.\n")?;
        print(report.table().trim_end())?;
    }
    let mut exit = Exit::Ok;
    for failed in report.left_out.iter().filter(|left_out| left_out.failed) {
        complain(failed);
        exit = Exit::Unavailable;
    }
    Ok(exit)
}

/// What is being done, on a terminal only.
fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{spinner} {elapsed} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
