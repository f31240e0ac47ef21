//! Sender recovery, signatures by distinct keys in, addresses out: every engine beside libsecp256k1, k256 and alloy.

use criterion::{Criterion, criterion_group, criterion_main};
use lockstep::bench::{
    recover::{BASELINE, BENCH, contenders, lineup},
    runner::Case,
    workload::Signatures,
};
use lockstep_bench::{everything, group, say_absent};

fn recover(criterion: &mut Criterion) {
    let lineup = lineup(&everything()).unwrap_or_else(|error| panic!("{error}"));
    say_absent(&lineup.absent);
    let clean = Signatures::clean(2000);
    let mixed = Signatures::mixed(&clean);
    for (workload, signatures, n) in [("clean", &clean, 200), ("clean", &clean, 2000), ("mixed", &mixed, 2000)] {
        let case = Case { bench: BENCH, workload, n, divisible: true, gas: None, baseline: BASELINE };
        group(criterion, &case, &contenders(&lineup.subjects, signatures, n));
    }
}

criterion_group!(benches, recover);
criterion_main!(benches);
