//! Ordered blocks, by the library on each backend beside sequential revm: mainnet blocks, with recovery and without, and generated
//! ones. Elements are transactions.

use criterion::{Criterion, criterion_group, criterion_main};
use lockstep::{
    bench::blocks::{BENCH, END_TO_END, Ground, WORKLOADS, Workload, case, contenders, contenders_raw, lineup},
    block_file::BlockFile,
};
use lockstep_bench::{block_files, everything, group, say_absent};

/// One with few transactions, two full ones.
const BLOCKS: [&str; 3] = ["19933122", "19426587", "15199017"];

/// Of generated blocks, and the share of hot ones in percent.
const COUNT: usize = 2000;
const HOT: usize = 30;

#[expect(clippy::print_stderr, reason = "a bench without its data says so")]
fn blocks(criterion: &mut Criterion) {
    let lineup = lineup(&everything()).unwrap_or_else(|error| panic!("{error}"));
    say_absent(&lineup.absent);
    let wanted = |name: &str| BLOCKS.iter().any(|block| name.starts_with(block));
    let mut files = block_files();
    files.retain(|path| path.file_name().is_some_and(|name| wanted(&name.to_string_lossy())));
    if files.is_empty() {
        eprintln!("no block files: set LOCKSTEP_DATA");
    }
    for path in files {
        let file = BlockFile::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let workload = Workload::of_file(&file).unwrap_or_else(|error| panic!("{error}"));
        group(criterion, &case(BENCH, &workload), &contenders(&lineup.subjects, &workload));
        group(criterion, &case(END_TO_END, &workload), &contenders_raw(&lineup.subjects, &file, &workload));
    }
    let ground = Ground::new().unwrap_or_else(|error| panic!("{error}"));
    for name in WORKLOADS {
        let workload = Workload::generated(&ground, name, HOT, COUNT).unwrap_or_else(|error| panic!("{error}"));
        group(criterion, &case(BENCH, &workload), &contenders(&lineup.subjects, &workload));
    }
}

criterion_group!(benches, blocks);
criterion_main!(benches);
