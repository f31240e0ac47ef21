//! Ethereum's state tests and blockchain tests, run on a backend: every case against its expectation and against sequential revm.
//!
//! A case that revm itself misses is no fault of ours only where the reason is known: see [`Verdict::OracleDiffers`].

mod batch;
mod block_test;
mod header;
mod json;
mod judge;
mod network;
mod requests;
mod source;
mod state_test;
mod world;

use crate::{engine::Engine, fallback::FallbackReason};
use alloy_primitives::keccak256;
use json::Node;
use rayon::{ThreadPoolBuilder, prelude::*};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::mpsc::{Receiver, sync_channel},
};

/// Test files that wait for a thread, read ahead.
const READ_AHEAD: usize = 8;

/// What the files hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One transaction on a state each.
    State,
    /// A chain of blocks on a genesis each.
    Block,
}

/// A share of the cases, by their names: the same on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// One case in so many, about; one means all, and zero too.
    pub one_in: u64,
    /// Another seed is another share.
    pub seed: u64,
}

impl Default for Sample {
    fn default() -> Self {
        Self { one_in: 1, seed: 0 }
    }
}

impl Sample {
    fn takes(&self, name: &str) -> bool {
        let hash = keccak256([&self.seed.to_be_bytes(), name.as_bytes()].concat());
        let number = hash.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        self.one_in < 2 || number.is_multiple_of(self.one_in)
    }
}

/// The first difference of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The field, with its place.
    pub field: String,
    /// What the test, or revm, says.
    pub expected: String,
    /// What execution gave.
    pub actual: String,
}

impl Mismatch {
    fn new(field: impl Into<String>, expected: impl fmt::Display, actual: impl fmt::Display) -> Self {
        Self { field: field.into(), expected: expected.to_string(), actual: actual.to_string() }
    }

    /// `None` where both are equal.
    fn of<T: PartialEq + fmt::Display>(field: &str, expected: T, actual: T) -> Option<Self> {
        (expected != actual).then(|| Self::new(field, expected, actual))
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, got {}", self.field, self.expected, self.actual)
    }
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As the test and revm say.
    Passed,
    /// Not as the test or revm says.
    Failed(Mismatch),
    /// As revm says, and revm is known not to do what the test asks: a state in which EIP-7610 would see a collision.
    OracleDiffers(Mismatch),
    /// Not run, for a reason.
    Skipped(String),
}

/// A case's verdict and what its execution counted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CaseResult {
    verdict: Verdict,
    eligible: bool,
    device: bool,
    fallbacks: BTreeMap<FallbackReason, u64>,
}

impl CaseResult {
    fn skipped(reason: impl Into<String>) -> Self {
        Self::new(Verdict::Skipped(reason.into()), false, false)
    }

    const fn new(verdict: Verdict, eligible: bool, device: bool) -> Self {
        Self { verdict, eligible, device, fallbacks: BTreeMap::new() }
    }
}

/// A case as read, by its name and that of its fork in the file.
#[derive(Debug)]
struct Named<C> {
    /// Or why it is not run: its rules are not ours.
    case: Result<C, String>,
    name: String,
    fork: String,
}

/// Part of a case, by path, is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
struct Malformed {
    field: String,
    reason: String,
}

/// An input that is no test, or not one of this kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct BadInput {
    /// The file; an archive's name stands before it.
    pub file: String,
    /// The case, where the file as a whole is fine.
    pub case: Option<String>,
    /// The field, by its path in the case; `file` if it is the file as a whole.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file)?;
        if let Some(case) = &self.case {
            write!(f, "{case}: ")?;
        }
        write!(f, "{}: {}", self.field, self.reason)
    }
}

/// Cases, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// All; those of bad inputs are not among them.
    pub cases: u64,
    /// As expected.
    pub passed: u64,
    /// Not as expected.
    pub failed: u64,
    /// As revm says, which misses the test.
    pub oracle_differs: u64,
    /// Berlin to Osaka, all transactions valid and at least one, no precompile called but 1, 2 and 4.
    pub eligible: u64,
    /// Cases all of whose transactions, at least one, have their results from device lanes.
    pub device: u64,
    /// Not run.
    pub skipped: u64,
}

impl Figures {
    fn add(&mut self, result: &CaseResult) {
        self.cases += 1;
        *match result.verdict {
            Verdict::Passed => &mut self.passed,
            Verdict::Failed(_) => &mut self.failed,
            Verdict::OracleDiffers(_) => &mut self.oracle_differs,
            Verdict::Skipped(_) => &mut self.skipped,
        } += 1;
        self.eligible += u64::from(result.eligible);
        self.device += u64::from(result.device);
    }
}

/// A case that did not simply pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The file; an archive's name stands before it.
    pub file: String,
    /// The case.
    pub case: String,
    /// Its fork, as the file names it.
    pub fork: String,
    /// How it ended.
    pub verdict: Verdict,
}

/// What running a suite yields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// All cases.
    pub total: Figures,
    /// The same by fork, under the names that the files use.
    pub by_fork: BTreeMap<String, Figures>,
    /// Transactions that the device was asked to run and that revm ran, by reason.
    pub fallbacks: BTreeMap<FallbackReason, u64>,
    /// Every case that did not pass, in the order of the files.
    pub remarks: Vec<Remark>,
    /// Inputs that are no tests.
    pub bad: Vec<BadInput>,
    /// Batches of lanes that the device ran for state tests.
    pub batches: u64,
    /// Lanes in them.
    pub lanes: u64,
}

impl Report {
    fn add<C>(&mut self, file: &str, named: Named<C>, result: CaseResult) {
        self.total.add(&result);
        self.by_fork.entry(named.fork.clone()).or_default().add(&result);
        for (reason, txs) in &result.fallbacks {
            *self.fallbacks.entry(*reason).or_default() += txs;
        }
        if result.verdict != Verdict::Passed {
            let Named { name: case, fork, .. } = named;
            self.remarks.push(Remark { file: file.into(), case, fork, verdict: result.verdict });
        }
    }

    fn merge(&mut self, other: Self) {
        let sum = |one: &mut Figures, other: Figures| {
            one.cases += other.cases;
            one.passed += other.passed;
            one.failed += other.failed;
            one.oracle_differs += other.oracle_differs;
            one.eligible += other.eligible;
            one.device += other.device;
            one.skipped += other.skipped;
        };
        sum(&mut self.total, other.total);
        for (fork, figures) in other.by_fork {
            sum(self.by_fork.entry(fork).or_default(), figures);
        }
        for (reason, txs) in other.fallbacks {
            *self.fallbacks.entry(reason).or_default() += txs;
        }
        self.remarks.extend(other.remarks);
        self.bad.extend(other.bad);
        self.batches += other.batches;
        self.lanes += other.lanes;
    }
}

/// Runs every case of `sample` under `paths`: JSON files, folders of them, `.tar.zst` archives. Block tests run on as many threads as the
/// engine has, state tests in batches. `progress` is told of cases that are done.
pub fn run(kind: Kind, engine: &Engine, paths: &[PathBuf], sample: Sample, progress: impl Fn(u64) + Sync) -> Report {
    let (sender, receiver) = sync_channel(READ_AHEAD);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // Nobody listens only if a thread has panicked, which ends the scope anyway.
            source::each(paths, &mut |file| _ = sender.send(file));
        });
        match kind {
            Kind::State => batch::run(engine, receiver, sample, progress),
            Kind::Block => run_blocks(engine, receiver, sample, progress),
        }
    })
}

fn run_blocks(
    engine: &Engine,
    files: Receiver<Result<source::TestFile, BadInput>>,
    sample: Sample,
    progress: impl Fn(u64) + Sync,
) -> Report {
    let work = |(index, file): (usize, _)| {
        let Read { file, cases, bad } = Read::new(file, sample, block_test::read);
        let mut report = Report { bad, ..Report::default() };
        for named in cases {
            let result = match &named.case {
                Ok(case) => case.run(engine),
                Err(reason) => CaseResult::skipped(reason.clone()),
            };
            report.add(&file, named, result);
        }
        progress(report.total.cases);
        (index, report)
    };
    let files = files.into_iter().enumerate();
    let mut reports: Vec<_> = match ThreadPoolBuilder::new().num_threads(engine.threads()).build() {
        Ok(pool) => pool.install(|| files.par_bridge().map(work).collect()),
        // A system that gives no threads gives at least this one.
        Err(_) => files.map(work).collect(),
    };
    reports.sort_unstable_by_key(|(index, _)| *index);
    let mut total = Report::default();
    reports.into_iter().for_each(|(_, report)| total.merge(report));
    total
}

/// Reads the cases of one test.
type ReadTest<C> = fn(&str, &Node<'_>) -> Result<Vec<Named<C>>, Malformed>;

/// A file's cases and what is wrong with it.
struct Read<C> {
    file: String,
    cases: Vec<Named<C>>,
    bad: Vec<BadInput>,
}

impl<C> Read<C> {
    fn new(file: Result<source::TestFile, BadInput>, sample: Sample, test: ReadTest<C>) -> Self {
        let mut read = Self { file: String::new(), cases: Vec::new(), bad: Vec::new() };
        match file {
            Ok(file) => {
                read.file = file.name;
                read.parse(&file.bytes, sample, test);
            }
            Err(bad) => read.bad.push(bad),
        }
        read
    }

    fn complain(&mut self, case: Option<&str>, field: &str, reason: String) {
        self.bad.push(BadInput { file: self.file.clone(), case: case.map(Into::into), field: field.into(), reason });
    }

    fn parse(&mut self, bytes: &[u8], sample: Sample, test: ReadTest<C>) {
        let tests = match serde_json::from_slice(bytes) {
            Ok(Value::Object(tests)) => tests,
            Ok(_) => return self.complain(None, "file", "not an object of test cases".into()),
            Err(cause) => return self.complain(None, "file", format!("not JSON: {cause}")),
        };
        if tests.is_empty() {
            self.complain(None, "file", "no test cases".into());
        }
        for (name, value) in tests.iter().filter(|(name, _)| sample.takes(name)) {
            match test(name, &Node::root(value)) {
                Ok(cases) => self.cases.extend(cases),
                Err(error) => self.complain(Some(name), &error.field, error.reason),
            }
        }
    }
}
