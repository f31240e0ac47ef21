//! What the benches share: subjects (one a backend), workloads with their right answers, and a timer that checks.

pub mod subject;
pub mod workload;

use criterion::{BenchmarkGroup, Throughput, measurement::WallTime};
use std::time::{Duration, Instant};
use subject::Subject;

/// Benches one operation on every subject: a group a backend. Only `run` is timed, transfers included, and each result is checked.
///
/// # Panics
/// If a result is not the right one, or the device fails: a bench of a wrong answer means nothing.
pub fn group<T>(
    criterion: &mut criterion::Criterion,
    name: &str,
    cases: &[(String, u64, impl Fn(&Subject) -> Result<T, String>, impl Fn(&T) -> Result<(), String>)],
) {
    for subject in subject::all() {
        let mut group: BenchmarkGroup<'_, WallTime> = criterion.benchmark_group(format!("{name}/{}", subject.name()));
        group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
        for (case, elements, run, check) in cases {
            group.throughput(Throughput::Elements(*elements));
            group.bench_function(case, |bencher| {
                bencher.iter_custom(|rounds| {
                    (0..rounds).map(|_| timed(|| run(&subject), check).unwrap_or_else(|error| panic!("{error}"))).sum()
                });
            });
        }
        group.finish();
    }
}

/// Runs once and checks the result: the time of the run alone.
///
/// # Errors
/// Why it failed, or in what the result differs.
pub fn timed<T>(
    run: impl FnOnce() -> Result<T, String>,
    check: impl FnOnce(&T) -> Result<(), String>,
) -> Result<Duration, String> {
    let start = Instant::now();
    let result = run()?;
    let time = start.elapsed();
    check(&result)?;
    Ok(time)
}
