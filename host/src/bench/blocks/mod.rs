//! `bench blocks`: ordered blocks, by the library on each backend beside sequential revm, in one run: blocks of files, with recovery
//! and without, and generated ones.

mod generated;
mod ground;
mod workload;

pub use generated::{ADVERSE, HOT, SHARED};
pub use ground::Ground;
pub use workload::Workload;

use super::{
    BenchError, Choice, LeftOut, Lineup, Options, Report, Row, Subject, Summary,
    choice::WGPU,
    runner::{self, Case, Contender, Plan, RunError, timed},
    simulate::declined,
    world::HOLDERS,
};
use crate::{
    backend::BackendKind,
    block::Block,
    block_file::BlockFile,
    compare::compare,
    engine::{BlockOutput, Engine},
    error::ExecuteError,
    evm::{BundleState, RevmCache, Sequential, sequential_kept},
    fork::Fork,
    outcome::TxOutcome,
    parallel::Schedule,
    receipt::Receipt,
    report::ExecutionReport,
    tx::Transaction,
};
use alloy_primitives::Bloom;
use alloy_trie::root::ordered_trie_root_with_encoder;
use std::{cell::Cell, time::Duration};
use workload::recovered;

/// The name in rows: senders are known.
pub const BENCH: &str = "blocks";

/// The name in rows that begin with raw transactions: decoding and recovery count.
pub const END_TO_END: &str = "blocks-e2e";

/// The engines, by their fixed names.
pub const ENGINES: [&str; 3] = [LOCKSTEP, WGPU, BASELINE];

/// The engine that ratios compare with: revm in its fastest arrangement, on one thread.
pub const BASELINE: &str = "sequential";

/// The library on the CPU.
const LOCKSTEP: &str = "lockstep";

/// The generated workloads, by their fixed names: [`SHARED`] and [`ADVERSE`]. In rows a share of hot ones follows, in percent.
pub const WORKLOADS: [&str; 12] = [
    "transfers",
    "token",
    "swaps",
    "lending",
    "nft",
    "vote",
    "supply-chain",
    "serial",
    "alternating",
    "bombs",
    "slot",
    "trap",
];

/// The sizes of generated workloads that are measured where none are named.
pub const SIZES: [usize; 2] = [2000, 10_000];

/// The most transactions of a generated workload: as many as there are senders.
pub const MAX_SIZE: usize = HOLDERS;

/// Blocks of files that have used as much gas count in the summary.
pub const COUNTED_FROM_GAS: u64 = 4_000_000;

/// What to run.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Blocks of files.
    pub files: Vec<BlockFile>,
    /// Names of [`WORKLOADS`].
    pub workloads: Vec<String>,
}

/// How an engine executes blocks.
#[derive(Clone, Debug)]
pub enum How {
    /// The library, as its users have it; on a device, which must do at least some of the work.
    Library {
        /// Built for one backend. What it learns of code and conflicts stays from run to run.
        engine: Engine,
        /// Whether that is a device.
        on_device: bool,
        /// Of the transactions of the last run, the share that the device declined.
        fallback_share: Cell<Option<f64>>,
    },
    /// revm, its journal kept over the block, on the calling thread. Analysed code stays from run to run.
    Sequential(RevmCache),
}

fn failed(error: impl ToString) -> RunError {
    RunError::Failed(error.to_string())
}

impl Subject<How> {
    fn library(engine: &'static str, built: Engine) -> Self {
        let on_device = built.backend_kind() != BackendKind::Cpu;
        let device = on_device.then(|| built.backend_name().to_owned());
        let threads = built.threads();
        let how = How::Library { engine: built, on_device, fallback_share: Cell::new(None) };
        Self { device, threads, ..Self::single(engine, how) }
    }

    /// Executes the first `n` transactions once, up to the outcomes and the bundle, and checks both: the time without the check. Of
    /// fewer than all the outcomes alone are checked.
    ///
    /// # Errors
    /// The device failed or did nothing, or a result is wrong.
    pub fn execute(&self, workload: &Workload<'_>, n: usize) -> Result<Duration, RunError> {
        let (txs, senders) = (&workload.txs[..n], &workload.senders[..n]);
        let (env, state) = (workload.env, workload.state);
        let run = || match &self.how {
            How::Library { engine, .. } => {
                let mut report = ExecutionReport::default();
                let outcomes = engine.execute_transactions(env, txs, senders, state, &mut report).map_err(failed)?;
                let bundle = engine.bundle_state(&outcomes);
                self.note(&report, n)?;
                Ok(Sequential { outcomes, bundle })
            }
            How::Sequential(codes) => sequential_kept(env, txs, senders, state, codes)
                .map_err(|(tx, error)| failed(ExecuteError::at(tx, error))),
        };
        timed(run, |done| self.check(workload, n, &done.outcomes, &done.bundle))
    }

    /// Executes the block of a file once from its raw transactions, up to receipts, roots and the bundle, and checks them all.
    ///
    /// # Errors
    /// As [`Subject::execute`].
    pub fn execute_raw(&self, file: &BlockFile, workload: &Workload<'_>) -> Result<Duration, RunError> {
        let run = || match &self.how {
            How::Library { engine, .. } => {
                let output = engine.execute_block(&file.block, &file.state).map_err(failed)?;
                let bundle = engine.bundle_state(&output.outcomes);
                self.note(&output.report, workload.len())?;
                Ok((output, bundle))
            }
            How::Sequential(codes) => raw_in_order(file, codes).map_err(failed),
        };
        timed(run, |(output, bundle)| {
            compare(file, output).map_or(Ok(()), |mismatch| Err(mismatch.to_string()))?;
            self.check(workload, workload.len(), &output.outcomes, bundle)
        })
    }

    fn check(
        &self,
        workload: &Workload<'_>,
        n: usize,
        outcomes: &[TxOutcome],
        bundle: &BundleState,
    ) -> Result<(), String> {
        if outcomes.len() != n {
            return Err(format!("{} results instead of {n}", outcomes.len()));
        }
        workload.check(outcomes, bundle, matches!(self.how, How::Sequential(_)))
    }

    /// Keeps the share of transactions that a device declined.
    fn note(&self, report: &ExecutionReport, n: usize) -> Result<(), RunError> {
        if let How::Library { on_device: true, fallback_share, .. } = &self.how {
            fallback_share.set(Some(declined(report, n)?));
        }
        Ok(())
    }

    /// Of the transactions of the last run, the share that a device declined.
    fn fallback_share(&self) -> Option<f64> {
        match &self.how {
            How::Library { fallback_share, .. } => fallback_share.get(),
            How::Sequential(_) => None,
        }
    }
}

/// The baseline from raw transactions: decoded and recovered one by one, then executed, and ended as a sequential node ends a block,
/// with alloy's blooms and tries, which hash one item after the other.
fn raw_in_order(file: &BlockFile, codes: &RevmCache) -> Result<(BlockOutput, BundleState), ExecuteError> {
    let Block { env, transactions: raw } = &file.block;
    let (transactions, senders) = recovered(&file.block)?;
    let done = sequential_kept(env, &transactions, &senders, &file.state, codes);
    let Sequential { outcomes, bundle } = done.map_err(|(tx, error)| ExecuteError::at(tx, error))?;
    let (mut gas_used, mut logs_bloom) = (0, Bloom::ZERO);
    let receipt = |(tx, outcome): (&Transaction, &TxOutcome)| {
        gas_used += outcome.gas_used;
        let receipt = Receipt::new(tx, outcome, gas_used);
        logs_bloom |= receipt.bloom;
        receipt
    };
    let receipts: Vec<_> = transactions.iter().zip(&outcomes).map(receipt).collect();
    let of_receipts = || ordered_trie_root_with_encoder(&receipts, |receipt, out| receipt.encode_2718(out));
    let output = BlockOutput {
        gas_used,
        logs_bloom,
        receipts_root: (env.fork >= Fork::Byzantium).then(of_receipts),
        transactions_root: ordered_trie_root_with_encoder(raw, |raw, out| out.extend_from_slice(raw)),
        transactions,
        senders,
        outcomes,
        receipts,
        report: ExecutionReport::default(),
    };
    Ok((output, bundle))
}

/// The engines that `choice` asks for.
///
/// # Errors
/// See [`BenchError`].
pub fn lineup(choice: &Choice) -> Result<Lineup<How>, BenchError> {
    let cpu = |threads| {
        let built =
            Engine::builder().backend(BackendKind::Cpu).schedule(Schedule::on_threads()).threads(threads).build();
        built.map(|engine| Subject::library(LOCKSTEP, engine)).map_err(|error| error.to_string())
    };
    choice.lineup(BENCH, &ENGINES, BASELINE, |name| match name {
        LOCKSTEP if choice.threads < 2 => Ok(vec![cpu(1)?]),
        LOCKSTEP => Ok(vec![cpu(1)?, cpu(choice.threads)?]),
        WGPU => {
            let built = Engine::builder().with_device(choice.wgpu(name)?).threads(choice.threads).build();
            Ok(vec![Subject::library(WGPU, built.map_err(|error| error.to_string())?)])
        }
        _ => Ok(vec![Subject::single(name, How::Sequential(RevmCache::default()))]),
    })
}

/// The engines on a block, without those whose threads are too many for as few transactions.
pub fn contenders<'a>(subjects: &'a [Subject<How>], workload: &'a Workload<'_>) -> Vec<Contender<'a>> {
    of_each(subjects, workload.len(), move |subject, n| subject.execute(workload, n))
}

/// The same from raw transactions.
pub fn contenders_raw<'a>(
    subjects: &'a [Subject<How>],
    file: &'a BlockFile,
    workload: &'a Workload<'_>,
) -> Vec<Contender<'a>> {
    of_each(subjects, workload.len(), move |subject, _| subject.execute_raw(file, workload))
}

fn of_each<'a>(
    subjects: &'a [Subject<How>],
    n: usize,
    call: impl Fn(&'a Subject<How>, usize) -> Result<Duration, RunError> + Copy + 'a,
) -> Vec<Contender<'a>> {
    let fits =
        |subject: &&Subject<How>| n >= Schedule::on_threads().from || subject.threads == 1 || subject.device.is_some();
    let contender = |subject: &'a Subject<How>| {
        Contender::new(subject.engine, subject.threads, subject.device.as_deref(), move |n| call(subject, n))
    };
    subjects.iter().filter(fits).map(contender).collect()
}

/// A block as a case. With its senders known the first transactions of it can be run alone.
pub fn case<'a>(bench: &'static str, workload: &'a Workload<'_>) -> Case<'a> {
    let (n, divisible, gas) = (workload.len(), bench == BENCH, Some(workload.gas()));
    Case { bench, workload: &workload.name, n, divisible, gas, baseline: BASELINE }
}

/// Measures every block of `selection`, and generated workloads at every size. `progress` is told what is being done.
///
/// # Errors
/// See [`BenchError`].
pub fn run(options: &Options, selection: &Selection, progress: &dyn Fn(&str)) -> Result<Report, BenchError> {
    let sizes = options.ascending();
    if let Some(most) = sizes.last().filter(|most| **most > MAX_SIZE) {
        return Err(BenchError::Usage(format!("{most} transactions are more than {MAX_SIZE}, one of each sender")));
    }
    progress("opening the engines");
    let Lineup { subjects, absent } = lineup(&options.choice)?;
    let mut report = Report { left_out: absent, ..Report::default() };
    let bench = Bench { subjects: &subjects, plan: &options.plan, progress };
    bench.files(&mut report, &selection.files)?;
    if !selection.workloads.is_empty() {
        progress("the state of the generated workloads");
        let ground = Ground::new().map_err(BenchError::Usage)?;
        let wanted = |names: &[&'static str]| {
            let is_named = |name: &&str| selection.workloads.iter().any(|wanted| wanted == name);
            names.iter().copied().filter(is_named).collect::<Vec<_>>()
        };
        for hot in HOT {
            bench.generated(&mut report, &format!("generated, {hot} % hot"), &ground, &wanted(&SHARED), hot, &sizes)?;
        }
        bench.generated(&mut report, "generated, adverse", &ground, &wanted(&ADVERSE), 0, &sizes)?;
    }
    Ok(report)
}

/// What measures, and how.
struct Bench<'a> {
    subjects: &'a [Subject<How>],
    plan: &'a Plan,
    progress: &'a dyn Fn(&str),
}

impl Bench<'_> {
    /// Each block with senders known, then from raw transactions.
    fn files(&self, report: &mut Report, files: &[BlockFile]) -> Result<(), BenchError> {
        let first = report.rows.len();
        for file in files {
            let workload = Workload::of_file(file).map_err(BenchError::Usage)?;
            if workload.is_empty() {
                report.left_out.push(LeftOut::size(BENCH, &workload.name, 0, "no transactions".into()));
                continue;
            }
            self.measure(report, &case(BENCH, &workload), &contenders(self.subjects, &workload))?;
            self.measure(report, &case(END_TO_END, &workload), &contenders_raw(self.subjects, file, &workload))?;
        }
        for bench in [BENCH, END_TO_END] {
            let counts = |row: &&Row| row.bench == bench && row.gas >= Some(COUNTED_FROM_GAS);
            let rows: Vec<_> = report.rows[first..].iter().filter(counts).collect();
            report.summaries.extend(Summary::of("files of 4 M gas or more", &rows));
        }
        Ok(())
    }

    fn generated(
        &self,
        report: &mut Report,
        group: &str,
        ground: &Ground,
        names: &[&'static str],
        hot: usize,
        sizes: &[usize],
    ) -> Result<(), BenchError> {
        let first = report.rows.len();
        for name in names {
            for &n in sizes {
                (self.progress)(&format!("{n} transactions of {name}, and their results"));
                let workload = Workload::generated(ground, name, hot, n).map_err(BenchError::Usage)?;
                self.measure(report, &case(BENCH, &workload), &contenders(self.subjects, &workload))?;
            }
        }
        let rows: Vec<_> = report.rows[first..].iter().collect();
        report.summaries.extend(Summary::of(group, &rows));
        Ok(())
    }

    fn measure(&self, report: &mut Report, case: &Case<'_>, contenders: &[Contender<'_>]) -> Result<(), BenchError> {
        let before = report.rows.len();
        runner::measure(report, case, contenders, self.plan, self.progress)?;
        for row in &mut report.rows[before..] {
            let subject = self.subjects.iter().find(|subject| subject.engine == row.engine && row.device.is_some());
            row.fallback_share = subject.and_then(Subject::fallback_share);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{outcome::TxStatus, sample::SAMPLE};

    fn cpu() -> Choice {
        Choice { backend: BackendKind::Cpu, device: None, threads: 2, only: Vec::new() }
    }

    fn everything(mut check: impl FnMut(&str, Workload<'_>)) {
        let ground = Ground::new().unwrap();
        for name in WORKLOADS {
            for hot in HOT {
                check(name, Workload::generated(&ground, name, hot, 200).unwrap());
            }
        }
    }

    fn wrong(result: Result<Duration, RunError>) -> String {
        match result {
            Err(RunError::Wrong(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_are_those_of_the_groups() {
        assert!(WORKLOADS.iter().eq(SHARED.iter().chain(&ADVERSE)));
    }

    #[test]
    fn every_transaction_succeeds() {
        everything(|_, workload| {
            let outcomes = &workload.expected.outcomes;
            let fails = outcomes.iter().position(|outcome| outcome.status != TxStatus::Success);
            assert_eq!(fails, None, "{}: {:?}", workload.name, fails.map(|index| &outcomes[index]));
        });
    }

    #[test]
    fn every_engine_gives_the_right_results() {
        let subjects = lineup(&cpu()).unwrap().subjects;
        assert_eq!(subjects.len(), 3);
        everything(|_, workload| {
            for subject in &subjects {
                for n in [200, 7] {
                    let done = subject.execute(&workload, n);
                    assert!(done.is_ok(), "{}, {}: {done:?}", workload.name, subject.engine);
                }
            }
        });
    }

    #[test]
    fn a_wrong_result_is_noticed_whoever_gives_it() {
        let ground = Ground::new().unwrap();
        for subject in lineup(&cpu()).unwrap().subjects {
            let right = Workload::generated(&ground, "token", 30, 200).unwrap();
            let mut workload = right.clone();
            workload.expected.outcomes[7].logs.clear();
            assert!(wrong(subject.execute(&workload, 200)).starts_with("result 7 is "), "{}", subject.engine);
            assert!(subject.execute(&workload, 7).is_ok());

            let mut workload = right.clone();
            let (address, account) = workload.expected.bundle.state.iter_mut().next().unwrap();
            let said = format!("account {address} is ");
            account.info = None;
            assert!(wrong(subject.execute(&workload, 200)).starts_with(&said), "{}", subject.engine);
            // Of fewer than all there is no bundle to compare with.
            assert!(subject.execute(&workload, 199).is_ok());

            let mut workload = right.clone();
            workload.expected.bundle.contracts.insert(Default::default(), Default::default());
            assert!(wrong(subject.execute(&workload, 200)).contains("contracts"), "{}", subject.engine);

            let mut workload = right;
            workload.expected.bundle.reverts.pop();
            assert!(wrong(subject.execute(&workload, 200)).contains("reverts"), "{}", subject.engine);
        }
    }

    #[test]
    fn the_baseline_may_tell_of_the_end_of_a_destroyed_account_alone() {
        let ground = Ground::new().unwrap();
        let mut workload = Workload::generated(&ground, "nft", 0, 20).unwrap();
        let bundle = &mut workload.expected.bundle;
        let account = bundle.state.get_mut(&ground.nfts[0]).unwrap();
        account.status = account.status.on_selfdestructed();
        bundle.reverts.pop();
        for subject in lineup(&cpu()).unwrap().subjects {
            match subject.how {
                How::Sequential(_) => assert!(subject.execute(&workload, 20).is_ok()),
                How::Library { .. } => assert!(wrong(subject.execute(&workload, 20)).starts_with("account ")),
            }
        }
        let bundle = &mut workload.expected.bundle;
        bundle.state.get_mut(&ground.nfts[1]).unwrap().info = None;
        for subject in lineup(&cpu()).unwrap().subjects {
            assert!(wrong(subject.execute(&workload, 20)).starts_with("account "));
        }
    }

    #[test]
    fn raw_blocks_are_compared_with_their_file_too() {
        let mut file = BlockFile::parse(SAMPLE).unwrap();
        let good = file.clone();
        let workload = Workload::of_file(&good).unwrap();
        file.expected.gas_used += 1;
        for subject in lineup(&cpu()).unwrap().subjects {
            assert!(subject.execute(&workload, workload.len()).is_ok());
            assert!(subject.execute_raw(&good, &workload).is_ok());
            assert!(wrong(subject.execute_raw(&file, &workload)).contains("gasUsed"));
        }
    }

    #[test]
    fn the_baseline_ends_a_block_as_the_library_does() {
        let file = BlockFile::parse(SAMPLE).unwrap();
        let engine = Engine::builder().backend(BackendKind::Cpu).threads(1).build().unwrap();
        let ours = engine.execute_block(&file.block, &file.state).unwrap();
        let (theirs, _) = raw_in_order(&file, &RevmCache::default()).unwrap();
        let end =
            |output: &BlockOutput| (output.gas_used, output.logs_bloom, output.receipts_root, output.transactions_root);
        assert_eq!(end(&theirs), end(&ours));
        assert_eq!(theirs.receipts, ours.receipts);
    }

    #[test]
    fn rows_are_of_one_thread_and_of_all_and_each_group_is_summed_up() {
        let plan = Plan { rounds: 1, ..Plan::default() };
        let file = BlockFile::parse(SAMPLE).unwrap();
        let (number, txs) = (file.block.env.number.to_string(), file.block.transactions.len());
        let counts = file.expected.gas_used >= COUNTED_FROM_GAS;
        let selection = Selection { files: vec![file], workloads: vec!["slot".into(), "nft".into()] };
        let options = Options { choice: cpu(), sizes: vec![20, 1], plan };
        let report = run(&options, &selection, &|_| {}).unwrap();
        let rows: Vec<_> =
            report.rows.iter().map(|row| (row.bench, row.workload.as_str(), row.n, row.engine, row.threads)).collect();
        let mut expected = Vec::new();
        let mut add = |bench, workload, n: usize| {
            let threads: &[usize] = if n < 8 { &[1] } else { &[1, 2] };
            expected.extend(threads.iter().map(|threads| (bench, workload, n, LOCKSTEP, *threads)));
            expected.push((bench, workload, n, BASELINE, 1));
        };
        add(BENCH, number.as_str(), txs);
        add(END_TO_END, number.as_str(), txs);
        for workload in ["nft/0", "nft/30", "nft/90", "slot"] {
            add(BENCH, workload, 1);
            add(BENCH, workload, 20);
        }
        assert_eq!(rows, expected);
        assert!(report.rows.iter().all(|row| row.ratio.is_some() && row.gas.is_some() && row.fallback_share.is_none()));
        // Lines of one thread and of two.
        assert_eq!(report.summaries.len(), 2 * (2 * usize::from(counts) + 4), "{:?}", report.summaries);
    }

    #[test]
    fn too_many_transactions_are_refused() {
        let options = Options { choice: cpu(), sizes: vec![MAX_SIZE + 1], plan: Plan::default() };
        assert!(matches!(run(&options, &Selection::default(), &|_| {}), Err(BenchError::Usage(_))));
    }
}
