//! `bench simulate`: independent calls and sequences, by the library on each backend beside revm in a plain loop, in one
//! run.

mod calls;
mod plain;
mod workload;

pub use workload::{Kept, Workload};

use super::{
    BenchError, Choice, Lineup, Options, PARALLEL_FROM, Report, Row, Subject,
    choice::WGPU,
    runner::{self, Case, Contender, RunError, timed},
    workload::check_equal,
};
use crate::{
    backend::BackendKind,
    engine::Engine,
    fallback::FallbackReason,
    report::ExecutionReport,
    simulate::{self, Answer, Sequence},
};
use rayon::ThreadPool;
use std::{
    cell::Cell,
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

/// The name in rows.
pub const BENCH: &str = "simulate";

/// The engines, by their fixed names.
pub const ENGINES: [&str; 4] = [CPU, WGPU, BASELINE, ALL_CORES];

/// The engine that ratios compare with, on one thread.
pub const BASELINE: &str = "revm";

/// The baseline's loop on all threads.
const ALL_CORES: &str = "revm-all";

const CPU: &str = "cpu";

/// The workloads, by their fixed names. An item of the last is a sequence of four calls.
pub const WORKLOADS: [&str; 3] = ["token", "mix", "sequence"];

/// The sizes that are measured where none are named.
pub const SIZES: [usize; 5] = [1, 100, 1000, 10_000, 100_000];

/// The most items that are taken: calls and answers are held at once.
pub const MAX_SIZE: usize = 1 << 20;

/// How an engine answers calls.
#[derive(Clone, Debug)]
pub enum How {
    /// The library, as its users have it; on a device, which must do at least some of the work.
    Library {
        /// Built for one backend.
        engine: Engine,
        /// Whether that is a device.
        on_device: bool,
        /// Of the calls of the last run, the share that the device declined.
        fallback_share: Cell<Option<f64>>,
    },
    /// revm in a plain loop, on the calling thread or on those of a pool.
    Plain(Option<Arc<ThreadPool>>),
}

impl Subject<How> {
    fn library(engine: &'static str, built: Engine) -> Self {
        let on_device = built.backend_kind() != BackendKind::Cpu;
        let device = on_device.then(|| built.backend_name().to_owned());
        let threads = built.threads();
        let how = How::Library { engine: built, on_device, fallback_share: Cell::new(None) };
        Self { device, threads, ..Self::single(engine, how) }
    }

    /// Answers the first `n` items once and checks every answer: the time without the check.
    ///
    /// # Errors
    /// The device failed or did nothing, or an answer is wrong.
    pub fn answer(&self, workload: &Workload, n: usize) -> Result<Duration, RunError> {
        let items = workload.first(n);
        let check = |kept: &Vec<Kept>| check_equal(&workload.expected[..items.calls.len()], kept);
        match &self.how {
            How::Plain(pool) => {
                let (env, state) = (&workload.world.env, &workload.world.state);
                let run = || match pool {
                    None => plain::on_one(env, state, items),
                    Some(pool) => pool.install(|| plain::on_all(env, state, items)),
                };
                timed(|| run().map_err(|error| RunError::Failed(error.to_string())), check)
            }
            How::Library { engine, on_device, fallback_share } => {
                let (report, kept, time) = by_library(engine, workload, n);
                if *on_device {
                    fallback_share.set(Some(declined(&report, kept.len())?));
                }
                timed(|| Ok(kept), check)?;
                Ok(time)
            }
        }
    }

    /// Of the calls of the last run, the share that a device declined.
    fn fallback_share(&self) -> Option<f64> {
        match &self.how {
            How::Library { fallback_share, .. } => fallback_share.get(),
            How::Plain(_) => None,
        }
    }
}

/// The library takes calls as they come and gives them back to the allocator: what it is given is made before the clock
/// starts.
fn by_library(engine: &Engine, workload: &Workload, n: usize) -> (ExecutionReport, Vec<Kept>, Duration) {
    let items = workload.first(n);
    let options = simulate::Options::default();
    let keep = |answer: Answer| answer.map(|result| (result.status, result.gas_used, result.output));
    let (base, total) = (workload.base(), items.calls.len());
    if items.length == 1 {
        let calls = items.calls.to_vec();
        let start = Instant::now();
        let mut kept = Vec::with_capacity(total);
        let summary = engine.simulate(&base, calls, &options, |_, answer| {
            kept.push(keep(answer));
            ControlFlow::Continue(())
        });
        return (summary.report, kept, start.elapsed());
    }
    let sequences: Vec<_> = items.calls.chunks(items.length).map(|calls| Sequence { calls: calls.to_vec() }).collect();
    let start = Instant::now();
    let mut kept = Vec::with_capacity(total);
    let summary = engine.simulate_sequences(&base, sequences, &options, |_, answers| {
        kept.extend(answers.into_iter().map(keep));
        ControlFlow::Continue(())
    });
    (summary.report, kept, start.elapsed())
}

/// The share of calls, or transactions, that a device declined.
pub(super) fn declined(report: &ExecutionReport, calls: usize) -> Result<f64, RunError> {
    if report.fallbacks.contains_key(&FallbackReason::DeviceError) {
        return Err(RunError::Failed("the device failed".into()));
    }
    if report.device.txs == 0 {
        return Err(RunError::Unfit("nothing of it runs on the device".into()));
    }
    Ok(report.fallbacks.values().sum::<u64>() as f64 / calls as f64)
}

/// The engines that `choice` asks for.
///
/// # Errors
/// See [`BenchError`].
pub fn lineup(choice: &Choice) -> Result<Lineup<How>, BenchError> {
    let pool = choice.pool()?;
    let cpu = |threads| {
        let built = Engine::builder().backend(BackendKind::Cpu).threads(threads).build();
        built.map(|engine| Subject::library(CPU, engine)).map_err(|error| error.to_string())
    };
    choice.lineup(BENCH, &ENGINES, BASELINE, |name| match name {
        CPU if choice.threads < 2 => Ok(vec![cpu(1)?]),
        CPU => Ok(vec![cpu(1)?, cpu(choice.threads)?]),
        WGPU => {
            let built = Engine::builder().with_device(choice.wgpu(name)?).threads(choice.threads).build();
            Ok(vec![Subject::library(WGPU, built.map_err(|error| error.to_string())?)])
        }
        ALL_CORES => {
            let pool = pool.clone().ok_or("one thread: the baseline is all cores")?;
            let threads = pool.current_num_threads();
            Ok(vec![Subject { threads, ..Subject::single(name, How::Plain(Some(pool))) }])
        }
        _ => Ok(vec![Subject::single(name, How::Plain(None))]),
    })
}

/// The engines on the first `n` items, without those whose threads are too many for as few.
pub fn contenders<'a>(subjects: &'a [Subject<How>], workload: &'a Workload, n: usize) -> Vec<Contender<'a>> {
    let fits = |subject: &&Subject<How>| n >= PARALLEL_FROM || subject.threads == 1 || subject.device.is_some();
    let contender = |subject: &'a Subject<How>| {
        let call = |n| subject.answer(workload, n);
        Contender::new(subject.engine, subject.threads, subject.device.as_deref(), call)
    };
    subjects.iter().filter(fits).map(contender).collect()
}

/// Measures every workload at every size. `progress` is told what is being done.
///
/// # Errors
/// See [`BenchError`].
pub fn run(options: &Options, progress: &dyn Fn(&str)) -> Result<Report, BenchError> {
    let sizes = options.ascending();
    let most = sizes.last().copied().unwrap_or(0);
    if most > MAX_SIZE {
        return Err(BenchError::Usage(format!("{most} items are more than {MAX_SIZE}, which are held at once")));
    }
    progress("opening the engines");
    let Lineup { subjects, absent } = lineup(&options.choice)?;
    let mut report = Report { left_out: absent, ..Report::default() };
    for name in WORKLOADS {
        progress(&format!("{most} items of {name}, and their answers"));
        let workload = Workload::new(name, most).map_err(BenchError::Usage)?;
        let first = report.rows.len();
        for &n in &sizes {
            let contenders = contenders(&subjects, &workload, n);
            let gas = Some(workload.gas(n));
            let case = Case { bench: BENCH, workload: name, n, divisible: true, gas, baseline: BASELINE };
            let before = report.rows.len();
            runner::measure(&mut report, &case, &contenders, &options.plan, progress)?;
            for row in &mut report.rows[before..] {
                let subject = subjects.iter().find(|subject| subject.engine == row.engine && row.device.is_some());
                row.fallback_share = subject.and_then(Subject::fallback_share);
            }
        }
        cross_over(&mut report.rows[first..], &sizes);
    }
    Ok(report)
}

/// Notes in the rows of a device from which size on it is faster than the library on the CPU, whatever its threads. A size
/// at which one of them has no row is none of those.
fn cross_over(rows: &mut [Row], sizes: &[usize]) {
    let rate = |n: usize, engine: &str| {
        let rates = rows.iter().filter(|row| row.n == n && row.engine == engine).map(|row| row.per_second);
        rates.max_by(f64::total_cmp)
    };
    let wins = |n: &&usize| matches!((rate(**n, WGPU), rate(**n, CPU)), (Some(device), Some(cpu)) if device > cpu);
    let from = sizes.iter().rev().take_while(wins).last().copied();
    rows.iter_mut().filter(|row| row.engine == WGPU).for_each(|row| row.cross_over_n = from);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bench::runner::Plan, outcome::TxStatus};

    fn cpu() -> Choice {
        Choice { backend: BackendKind::Cpu, device: None, threads: 2, only: Vec::new() }
    }

    fn workload(name: &str, n: usize) -> Workload {
        Workload::new(name, n).unwrap()
    }

    #[test]
    fn every_engine_gives_the_right_answers_and_a_wrong_one_is_noticed() {
        for name in WORKLOADS {
            let mut workload = workload(name, 300);
            let at = 7 * workload.length;
            let right = std::mem::replace(&mut workload.expected[at], Ok((TxStatus::Halt, 1, Default::default())));
            for subject in lineup(&cpu()).unwrap().subjects {
                let error = subject.answer(&workload, 300).unwrap_err();
                let noticed =
                    matches!(&error, RunError::Wrong(reason) if reason.starts_with(&format!("result {at} is ")));
                assert!(noticed, "{name}, {}: {error:?}", subject.engine);
                assert!(subject.answer(&workload, 7).is_ok());
            }
            workload.expected[at] = right;
            assert!(lineup(&cpu()).unwrap().subjects.iter().all(|subject| subject.answer(&workload, 300).is_ok()));
        }
    }

    #[test]
    fn rows_are_of_one_thread_and_of_all() {
        let plan = Plan { rounds: 1, ..Plan::default() };
        let report = run(&Options { choice: cpu(), sizes: vec![200, 1], plan }, &|_| {}).unwrap();
        let rows: Vec<_> =
            report.rows[..6].iter().map(|row| (row.workload.as_str(), row.n, row.engine, row.threads)).collect();
        let token =
            [(1, CPU, 1), (1, BASELINE, 1), (200, CPU, 1), (200, CPU, 2), (200, BASELINE, 1), (200, ALL_CORES, 2)];
        assert_eq!(rows, token.map(|(n, engine, threads)| ("token", n, engine, threads)));
        assert_eq!(report.rows.len(), 3 * 6);
        assert!(report.rows.iter().all(|row| row.ratio.is_some() && row.p50.is_some() && row.gas > Some(21_000)));
        assert!(report.rows.iter().all(|row| row.fallback_share.is_none() && row.cross_over_n.is_none()));
    }

    #[test]
    fn too_many_items_are_refused() {
        let options = Options { choice: cpu(), sizes: vec![MAX_SIZE + 1], plan: Plan::default() };
        assert!(matches!(run(&options, &|_| {}), Err(BenchError::Usage(_))));
    }

    #[test]
    fn a_device_that_declines_is_told_from_one_that_fails() {
        let mut report = ExecutionReport::default();
        assert!(matches!(declined(&report, 10), Err(RunError::Unfit(_))));
        report.device.txs = 8;
        report.fallbacks.insert(FallbackReason::Memory, 2);
        assert_eq!(declined(&report, 10), Ok(0.2));
        report.fall_back(FallbackReason::DeviceError);
        assert!(matches!(declined(&report, 10), Err(RunError::Failed(_))));
    }

    #[test]
    fn a_cross_over_lasts() {
        let row = |n: usize, engine: &'static str, per_second: f64| Row { n, engine, per_second, ..Row::test() };
        let mut rows = vec![
            row(1, CPU, 10.0),
            row(1, WGPU, 20.0),
            row(2, CPU, 10.0),
            row(2, WGPU, 5.0),
            row(3, CPU, 10.0),
            row(3, WGPU, 11.0),
            row(4, CPU, 10.0),
            row(4, WGPU, 20.0),
        ];
        cross_over(&mut rows, &[1, 2, 3, 4]);
        assert!(rows.iter().all(|row| row.cross_over_n == (row.engine == WGPU).then_some(3)), "{rows:?}");
        // One thread of the CPU is overtaken, two are not.
        rows.push(row(4, CPU, 21.0));
        cross_over(&mut rows, &[1, 2, 3, 4]);
        assert!(rows.iter().all(|row| row.cross_over_n.is_none()));
    }
}
