//! Sender recovery: signatures by distinct keys in, addresses out.

use criterion::{Criterion, criterion_group, criterion_main};
use lockstep_bench::{group, subject::Subject, workload};

fn recover(criterion: &mut Criterion) {
    let cases: Vec<_> = [200, 2048]
        .map(|n| {
            let (requests, signers) = workload::signatures(n);
            let expected: Vec<_> = signers.into_iter().map(Ok).collect();
            let run = move |subject: &Subject| subject.recover(&requests);
            (n.to_string(), n as u64, run, move |actual: &Vec<_>| workload::check_equal(&expected, actual))
        })
        .into();
    group(criterion, "recover", &cases);
}

criterion_group!(benches, recover);
criterion_main!(benches);
