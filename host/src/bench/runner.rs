//! The runner: engines in turn round by round, each call timed by itself and its result checked outside of the time.
//!
//! A call's time has one reading of the clock in it, some 25 ns: of a hash alone, a tenth.

use super::{
    order,
    report::{LeftOut, Report, Row},
};
use crate::backend::BackendError;
use std::{
    fmt,
    time::{Duration, Instant},
};

/// A sample repeats short calls until they have lasted as long together.
const SAMPLE: Duration = Duration::from_millis(20);

/// Up to this many items a call is short enough for its own time to matter: p50 and p99.
pub const PER_CALL_UP_TO: usize = 10_000;

/// Calls that a row's percentiles need, all rounds together, and what a sample may last longer for them.
const CALLS: usize = 100;
const LONGEST_FOR_CALLS: Duration = Duration::from_millis(200);

/// A row ends after the sample in which it has used this up, whatever the rounds.
const BUDGET: Duration = Duration::from_secs(30);

/// Items of the first trial, which tells whether an engine is too slow for all of them.
const TRIAL: usize = 256;

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Samples of each row.
    pub rounds: usize,
    /// An engine of which one call takes longer is left out; never the baseline.
    pub limit: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Self { rounds: 5, limit: Duration::from_secs(20) }
    }
}

/// Why a call has no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The workload is nothing for the engine: no failure.
    #[error("{0}")]
    Unfit(String),
    /// The engine gave no result.
    #[error("{0}")]
    Failed(String),
    /// A result is not the right one.
    #[error("{0}")]
    Wrong(String),
}

impl From<BackendError> for RunError {
    fn from(error: BackendError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// An engine gave a wrong result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongResult {
    /// Which, and on what.
    pub row: LeftOut,
}

impl fmt::Display for WrongResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.row)
    }
}

impl std::error::Error for WrongResult {}

/// A workload at a size.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    /// The bench's name in rows.
    pub bench: &'static str,
    /// The workload's.
    pub workload: &'a str,
    /// Items of a call.
    pub n: usize,
    /// Whether fewer items can be run, to find out how long all will take.
    pub divisible: bool,
    /// Gas of a call.
    pub gas: Option<u64>,
    /// The engine that ratios compare with: the first contender of the name.
    pub baseline: &'static str,
}

type Call<'a> = dyn Fn(usize) -> Result<Duration, RunError> + 'a;

/// An engine on a workload.
pub struct Contender<'a> {
    engine: &'static str,
    threads: usize,
    device: Option<&'a str>,
    call: Box<Call<'a>>,
}

impl fmt::Debug for Contender<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contender")
            .field("engine", &self.engine)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

impl<'a> Contender<'a> {
    /// `call` runs the first so many items once, checks the result, and gives the time without the check: see [`timed`].
    pub fn new(
        engine: &'static str,
        threads: usize,
        device: Option<&'a str>,
        call: impl Fn(usize) -> Result<Duration, RunError> + 'a,
    ) -> Self {
        Self { engine, threads, device, call: Box::new(call) }
    }

    /// The engine's name, and its threads where there are several.
    pub fn label(&self) -> String {
        if self.threads > 1 { format!("{} on {} threads", self.engine, self.threads) } else { self.engine.to_owned() }
    }

    /// Runs the first `n` items once: the time without the check.
    ///
    /// # Errors
    /// See [`RunError`].
    pub fn call(&self, n: usize) -> Result<Duration, RunError> {
        (self.call)(n)
    }
}

/// Runs once and checks the result: the time of the run alone.
///
/// # Errors
/// The run failed, or its result is wrong.
pub fn timed<T>(
    run: impl FnOnce() -> Result<T, RunError>,
    check: impl FnOnce(&T) -> Result<(), String>,
) -> Result<Duration, RunError> {
    let start = Instant::now();
    let result = run()?;
    let time = start.elapsed();
    check(&result).map_err(RunError::Wrong)?;
    Ok(time)
}

/// The samples of a contender.
#[derive(Debug, Default)]
struct Samples {
    /// Seconds a call, one a sample.
    seconds: Vec<f64>,
    /// Seconds of each call, where they are kept.
    calls: Vec<f64>,
    spent: Duration,
}

/// Measures every contender and adds its row, or why there is none, to the report.
///
/// # Errors
/// The first wrong result: nothing of the report may be used then.
pub fn measure(
    report: &mut Report,
    case: &Case<'_>,
    contenders: &[Contender<'_>],
    plan: &Plan,
    progress: &dyn Fn(&str),
) -> Result<(), WrongResult> {
    let baseline = contenders.iter().position(|contender| contender.engine == case.baseline);
    let mut states = Vec::with_capacity(contenders.len());
    for (index, contender) in contenders.iter().enumerate() {
        progress(&format!("{} {}, n = {}: {}", case.bench, case.workload, case.n, contender.engine));
        let prepared = prepare(case, contender, plan.limit, baseline == Some(index));
        states.push(settle(case, contender, prepared)?.map(|()| Samples::default()));
    }
    for round in 0..plan.rounds {
        progress(&format!("{} {}, n = {}: round {} of {}", case.bench, case.workload, case.n, round + 1, plan.rounds));
        for index in order::shuffled(contenders.len(), round as u64) {
            let Ok(samples) = &mut states[index] else { continue };
            if samples.spent < BUDGET {
                let sampled = sample(case, &contenders[index], plan, samples);
                if let Err(left_out) = settle(case, &contenders[index], sampled.map_err(Trouble::Run))? {
                    states[index] = Err(left_out);
                }
            }
        }
    }
    let base = baseline.and_then(|index| Some(median(&states[index].as_ref().ok()?.seconds)));
    for (contender, state) in contenders.iter().zip(states) {
        match state {
            Ok(samples) => report.rows.push(row(case, contender, samples, base)),
            Err(left_out) => report.left_out.push(left_out),
        }
    }
    Ok(())
}

/// Why a contender has no row.
enum Trouble {
    TooSlow(String),
    Run(RunError),
}

/// A wrong result ends everything; other trouble is the contender's own.
fn settle<T>(
    case: &Case<'_>,
    contender: &Contender<'_>,
    result: Result<T, Trouble>,
) -> Result<Result<T, LeftOut>, WrongResult> {
    let left_out = |reason, failed| LeftOut {
        bench: case.bench,
        workload: Some(case.workload.to_owned()),
        engine: Some(contender.engine),
        n: Some(case.n),
        threads: Some(contender.threads),
        reason,
        failed,
    };
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Trouble::TooSlow(reason) | Trouble::Run(RunError::Unfit(reason))) => Ok(Err(left_out(reason, false))),
        Err(Trouble::Run(RunError::Failed(reason))) => Ok(Err(left_out(reason, true))),
        Err(Trouble::Run(RunError::Wrong(reason))) => Err(WrongResult { row: left_out(reason, true) }),
    }
}

/// Warms up, which compiles what is compiled late and fills caches, and finds out what is too slow without running all of
/// it: on more and more items, until a call of all of them is short enough or more items no longer help. The baseline is
/// never too slow.
fn prepare(case: &Case<'_>, contender: &Contender<'_>, limit: Duration, is_baseline: bool) -> Result<(), Trouble> {
    let call = |n: usize| contender.call(n).map_err(Trouble::Run);
    let mut n = if case.divisible { TRIAL.min(case.n) } else { case.n };
    // The first call pays for what happens once.
    call(n)?;
    let mut before = f64::INFINITY;
    loop {
        let each = call(n)?.as_secs_f64() / n as f64;
        let whole = each * case.n as f64;
        if whole <= limit.as_secs_f64() {
            if n < case.n {
                call(case.n)?;
            }
            return Ok(());
        }
        if is_baseline {
            return Ok(());
        }
        if n == case.n || each > 0.8 * before {
            let limit = limit.as_secs_f64();
            return Err(Trouble::TooSlow(format!("one call would take about {whole:.0} s, more than {limit:.0} s")));
        }
        before = each;
        n = (8 * n).min(case.n);
    }
}

/// Adds one sample.
fn sample(case: &Case<'_>, contender: &Contender<'_>, plan: &Plan, samples: &mut Samples) -> Result<(), RunError> {
    let keep = case.n <= PER_CALL_UP_TO;
    let wanted = if keep { CALLS.div_ceil(plan.rounds.max(1)) } else { 1 };
    let (mut total, mut calls) = (Duration::ZERO, 0);
    while total < SAMPLE || (calls < wanted && total < LONGEST_FOR_CALLS) {
        let time = contender.call(case.n)?;
        total += time;
        calls += 1;
        if keep {
            samples.calls.push(time.as_secs_f64());
        }
    }
    samples.seconds.push(total.as_secs_f64() / calls as f64);
    samples.spent += total;
    Ok(())
}

fn row(case: &Case<'_>, contender: &Contender<'_>, mut samples: Samples, base: Option<f64>) -> Row {
    samples.calls.sort_unstable_by(f64::total_cmp);
    let seconds_median = median(&samples.seconds);
    Row {
        bench: case.bench,
        workload: case.workload.to_owned(),
        engine: contender.engine,
        n: case.n,
        threads: contender.threads,
        device: contender.device.map(str::to_owned),
        seconds_median,
        seconds_min: samples.seconds.iter().copied().fold(f64::INFINITY, f64::min),
        seconds_max: samples.seconds.iter().copied().fold(0.0, f64::max),
        p50: percentile(&samples.calls, 50),
        p99: percentile(&samples.calls, 99),
        calls: (!samples.calls.is_empty()).then_some(samples.calls.len()),
        samples: samples.seconds.len(),
        per_second: case.n as f64 / seconds_median,
        baseline: case.baseline,
        ratio: base.map(|base| base / seconds_median),
        gas: case.gas,
        fallback_share: None,
        cross_over_n: None,
    }
}

/// The middle of at least one value; the mean of the two in the middle where there are two.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

/// The least of the sorted values that as many percent do not exceed; none of none.
fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::RefCell, thread::sleep};

    const CASE: Case<'_> =
        Case { bench: "test", workload: "made-up", n: 10, divisible: true, gas: None, baseline: "slow" };

    type Log = RefCell<Vec<(&'static str, usize)>>;

    /// Takes as long an item without taking it.
    fn fake<'a>(engine: &'static str, micros: u64, log: &'a Log) -> Contender<'a> {
        Contender::new(engine, 1, None, move |n| {
            log.borrow_mut().push((engine, n));
            Ok(Duration::from_micros(micros * n as u64))
        })
    }

    fn run(case: &Case<'_>, contenders: &[Contender<'_>], plan: &Plan) -> Result<Report, WrongResult> {
        let mut report = Report::default();
        measure(&mut report, case, contenders, plan, &|_| {}).map(|()| report)
    }

    #[test]
    fn a_check_is_not_in_the_time() {
        let check = |(): &()| {
            sleep(Duration::from_millis(50));
            Ok(())
        };
        assert!(timed(|| Ok(()), check).unwrap() < Duration::from_millis(50));
        assert_eq!(timed(|| Ok(1), |_| Err("no".into())), Err(RunError::Wrong("no".into())));
    }

    #[test]
    fn rounds_take_engines_in_turn_and_ratios_compare_with_the_baseline() {
        let log = Log::default();
        let contenders = [fake("fast", 50, &log), fake("slow", 500, &log)];
        let report = run(&CASE, &contenders, &Plan { rounds: 3, ..Plan::default() }).unwrap();
        let [fast, slow] = &report.rows[..] else { panic!("{report:?}") };
        assert_eq!((fast.engine, slow.engine), ("fast", "slow"));
        assert_eq!((slow.seconds_min, slow.seconds_median, slow.seconds_max), (0.005, 0.005, 0.005));
        assert_eq!((slow.p50, slow.p99, slow.per_second, slow.ratio), (Some(0.005), Some(0.005), 2000.0, Some(1.0)));
        assert!((fast.ratio.unwrap() - 10.0).abs() < 1e-9, "{fast:?}");
        // A sample lasts 20 ms, longer for a hundred calls in all.
        assert_eq!((fast.samples, fast.calls, slow.samples, slow.calls), (3, Some(120), 3, Some(102)));
        let mut turns: Vec<_> = log.borrow().iter().map(|(engine, _)| *engine).collect();
        turns.dedup();
        // Once each for the warm-up, then in the three rounds, where one may end a round and begin the next.
        assert!((5..=8).contains(&turns.len()), "{turns:?}");
    }

    #[test]
    fn calls_are_kept_of_short_batches_only_and_a_row_ends_when_its_time_is_used_up() {
        let log = Log::default();
        let report =
            run(&Case { n: PER_CALL_UP_TO + 1, ..CASE }, &[fake("slow", 800, &log)], &Plan::default()).unwrap();
        let row = &report.rows[0];
        assert_eq!((row.samples, row.calls, row.p50, row.p99), (4, None, None, None));
    }

    #[test]
    fn a_wrong_result_ends_it_all() {
        let calls = RefCell::new(0);
        let wrong = Contender::new("wrong", 2, None, |_| {
            *calls.borrow_mut() += 1;
            let result = *calls.borrow();
            timed(|| Ok(result), |result| if *result < 5 { Ok(()) } else { Err("result 7 is 5, not 4".into()) })
        });
        let error = run(&CASE, &[wrong], &Plan::default()).unwrap_err().to_string();
        assert_eq!(error, "test made-up, n = 10, wrong on 2 threads: result 7 is 5, not 4");
    }

    #[test]
    fn what_is_too_slow_is_left_out_before_it_has_run_in_full() {
        let log = Log::default();
        let plan = Plan { rounds: 1, limit: Duration::from_secs(1) };
        let case = Case { n: 1_000_000, ..CASE };
        let report = run(&case, &[fake("other", 10, &log), fake("slow", 10, &log)], &plan).unwrap();
        assert_eq!(
            report.left_out[0].to_string(),
            "test made-up, n = 1000000, other: one call would take about 10 s, more than 1 s"
        );
        assert!(!report.left_out[0].failed);
        assert!(log.borrow().iter().all(|(engine, n)| *engine == "slow" || *n <= 8 * TRIAL), "{log:?}");
        // The baseline runs all the same.
        assert_eq!((report.rows.len(), report.rows[0].ratio), (1, Some(1.0)));
    }

    #[test]
    fn more_items_may_help() {
        // A second a call, and nothing an item.
        let launch = Contender::new("device", 1, None, |_| Ok(Duration::from_secs(1)));
        let report = run(&Case { n: 1_000_000, ..CASE }, &[launch], &Plan::default()).unwrap();
        assert_eq!((report.rows.len(), report.rows[0].ratio), (1, None));
    }

    #[test]
    fn what_fails_is_told_and_what_is_unfit_is_no_failure() {
        let log = Log::default();
        let broken = Contender::new("broken", 1, None, |_| Err(RunError::Failed("device lost".into())));
        let unfit = Contender::new("unfit", 1, None, |_| Err(RunError::Unfit("nothing for it".into())));
        let report = run(&CASE, &[broken, unfit, fake("slow", 5, &log)], &Plan::default()).unwrap();
        let told: Vec<_> = report.left_out.iter().map(|row| (row.reason.as_str(), row.failed)).collect();
        assert_eq!(told, [("device lost", true), ("nothing for it", false)]);
        assert_eq!(report.rows.len(), 1);
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let hundred: Vec<_> = (1..=100).map(f64::from).collect();
        assert_eq!((percentile(&hundred, 50), percentile(&hundred, 99)), (Some(50.0), Some(99.0)));
        assert_eq!((percentile(&[7.0], 99), percentile(&[], 50)), (Some(7.0), None));
        assert_eq!((median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0])), (2.0, 2.5));
    }
}
