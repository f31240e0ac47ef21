//! What the criterion benches share. Workloads, engines and checks are those of `lockstep bench`.

use criterion::{Criterion, Throughput};
use lockstep::{
    backend::BackendKind,
    bench::{
        Choice, LeftOut,
        runner::{Case, Contender},
    },
};
use std::{
    env,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// Every engine of this machine, on all cores, with the adapter that `LOCKSTEP_DEVICE` names.
pub fn everything() -> Choice {
    Choice {
        backend: BackendKind::Auto,
        device: env::var("LOCKSTEP_DEVICE").ok(),
        threads: thread::available_parallelism().map_or(1, usize::from),
        only: Vec::new(),
    }
}

/// Says which engines a bench goes without.
#[expect(clippy::print_stderr, reason = "an engine that is left out is named, with the reason")]
pub fn say_absent(absent: &[LeftOut]) {
    for left_out in absent {
        eprintln!("left out: {left_out}");
    }
}

/// A criterion group of all engines on a workload. Only the runs are timed, transfers included, and each result is checked.
///
/// # Panics
/// If a result is not the right one, or a device fails: a bench of a wrong answer means nothing.
pub fn group(criterion: &mut Criterion, case: &Case<'_>, contenders: &[Contender<'_>]) {
    let mut group = criterion.benchmark_group(format!("{}/{}/{}", case.bench, case.workload, case.n));
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(case.n as u64));
    for contender in contenders {
        group.bench_function(contender.label(), |bencher| {
            let call = || contender.call(case.n).unwrap_or_else(|error| panic!("{}: {error}", contender.label()));
            bencher.iter_custom(|rounds| (0..rounds).map(|_| call()).sum());
        });
    }
    group.finish();
}

/// The shared block files: under `LOCKSTEP_DATA`, else under `shared` beside the workspace. Empty where there are none.
pub fn block_files() -> Vec<PathBuf> {
    let root = env::var_os("LOCKSTEP_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let entries = root.join("blocks").read_dir().into_iter().flatten().flatten();
    let mut files: Vec<_> =
        entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with(".json.zst")).collect();
    files.sort();
    files
}
