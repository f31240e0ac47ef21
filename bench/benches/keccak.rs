//! Keccak-256 of batches of messages on the host: both ways over the bus are in the time.

use criterion::{Criterion, criterion_group, criterion_main};
use lockstep_bench::{group, subject::Subject, workload};

const COUNT: usize = 4096;

fn keccak(criterion: &mut Criterion) {
    let cases: Vec<_> = [32, 136, 532]
        .map(|length| {
            let (messages, expected) = workload::messages(COUNT, length);
            let run = move |subject: &Subject| {
                let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
                subject.keccak256(&messages)
            };
            (format!("{length}B"), COUNT as u64, run, move |actual: &Vec<_>| workload::check_equal(&expected, actual))
        })
        .into();
    group(criterion, "keccak", &cases);
}

criterion_group!(benches, keccak);
criterion_main!(benches);
