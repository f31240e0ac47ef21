//! Keccak-256 of batches of messages on the host, both ways over the bus in the time: every engine beside keccak-asm and tiny-keccak.

use criterion::{Criterion, criterion_group, criterion_main};
use lockstep::bench::{
    keccak::{BASELINE, BENCH, Messages, WORKLOADS, contenders, lineup},
    runner::Case,
    workload,
};
use lockstep_bench::{everything, group, say_absent};

const COUNT: usize = 4096;

fn keccak(criterion: &mut Criterion) {
    let lineup = lineup(&everything()).unwrap_or_else(|error| panic!("{error}"));
    say_absent(&lineup.absent);
    for (workload, length) in WORKLOADS {
        let (messages, expected) = workload::messages(COUNT, length);
        let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let messages = Messages { messages: &messages, expected: &expected };
        let case = Case { bench: BENCH, workload, n: COUNT, divisible: true, gas: None, baseline: BASELINE };
        group(criterion, &case, &contenders(&lineup.subjects, messages, COUNT));
    }
}

criterion_group!(benches, keccak);
criterion_main!(benches);
