//! State tests in batches: the transactions of many cases at once on the engine, each in the environment and on the state of
//! its own, then every case by itself against revm and its expectation.

use super::{
    BadInput, CaseResult, Named, Read, Report, Sample,
    source::TestFile,
    state_test::{self, StateCase},
};
use crate::{context::Context, engine::Engine, error::Invalid, report::ExecutionReport};
use rayon::prelude::*;
use std::sync::{Arc, mpsc::Receiver};

/// Files that are parsed at once.
const FILES: usize = 16;

/// Cases that are held until they run, but for those of the last files read.
const CASES: usize = 4096;

/// A case and the file that it is from.
type FromFile = (Arc<str>, Named<StateCase>);

/// Runs every case of the files, in order.
pub(super) fn run(
    engine: &Engine,
    files: Receiver<Result<TestFile, BadInput>>,
    sample: Sample,
    progress: impl Fn(u64),
) -> Report {
    let mut report = Report::default();
    let mut cases: Vec<FromFile> = Vec::new();
    let mut files = files.into_iter();
    loop {
        let group: Vec<_> = files.by_ref().take(FILES).collect();
        let last = group.is_empty();
        let read = |file| Read::new(file, sample, state_test::read);
        let group: Vec<_> = engine.pool().install(|| group.into_par_iter().map(read).collect());
        for Read { file, cases: read, bad } in group {
            let file: Arc<str> = file.into();
            cases.extend(read.into_iter().map(|named| (Arc::clone(&file), named)));
            report.bad.extend(bad);
        }
        while cases.len() >= CASES || (last && !cases.is_empty()) {
            let later = cases.split_off(cases.len().min(CASES));
            let ready = std::mem::replace(&mut cases, later);
            let count = ready.len() as u64;
            batch(engine, ready, &mut report);
            progress(count);
        }
        if last {
            return report;
        }
    }
}

fn batch(engine: &Engine, cases: Vec<FromFile>, report: &mut Report) {
    let mut contexts: Vec<Context<'_>> = Vec::with_capacity(cases.len());
    let mut txs = Vec::with_capacity(cases.len());
    // Of each case its place among the outcomes, or why it has none.
    let mut places: Vec<Result<usize, Invalid>> = Vec::with_capacity(cases.len());
    for (_, named) in &cases {
        places.push(named.case.as_ref().map_err(|reason| Invalid::new("fork", reason)).and_then(|case| {
            txs.push(case.placed(contexts.len())?);
            contexts.push(case.context());
            Ok(txs.len() - 1)
        }));
    }
    let mut execution = ExecutionReport::default();
    let outcomes = engine.execute_each(&contexts, &txs, &mut execution);
    let mut on_device = vec![false; txs.len()];
    execution.on_device.iter().for_each(|index| on_device[*index] = true);
    let judge = |((_, named), place): (&FromFile, &Result<usize, Invalid>)| match (&named.case, place) {
        (Err(reason), _) => CaseResult::skipped(reason),
        (Ok(case), Ok(place)) => case.judge(outcomes[*place].clone(), on_device[*place]),
        (Ok(case), Err(invalid)) => case.judge(Err(invalid.clone().into()), false),
    };
    let results: Vec<_> = engine.pool().install(|| cases.par_iter().zip(&places).map(judge).collect());
    for ((file, named), result) in cases.into_iter().zip(results) {
        report.add(&file, named, result);
    }
    for (reason, txs) in execution.fallbacks {
        *report.fallbacks.entry(reason).or_default() += txs;
    }
    report.batches += execution.batches;
    report.lanes += execution.lanes;
}
