//! Independent calls and sequences of four against one state: the library on each backend beside revm in a plain loop.
//! Elements are calls, or sequences.

use criterion::{Criterion, criterion_group, criterion_main};
use lockstep::bench::{
    runner::Case,
    simulate::{BASELINE, BENCH, WORKLOADS, Workload, contenders, lineup},
};
use lockstep_bench::{everything, group, say_absent};

const COUNT: usize = 4096;

fn simulate(criterion: &mut Criterion) {
    let lineup = lineup(&everything()).unwrap_or_else(|error| panic!("{error}"));
    say_absent(&lineup.absent);
    for name in WORKLOADS {
        let workload = Workload::new(name, COUNT).unwrap_or_else(|error| panic!("{error}"));
        let gas = Some(workload.gas(COUNT));
        let case = Case { bench: BENCH, workload: name, n: COUNT, divisible: true, gas, baseline: BASELINE };
        group(criterion, &case, &contenders(&lineup.subjects, &workload, COUNT));
    }
}

criterion_group!(benches, simulate);
criterion_main!(benches);
