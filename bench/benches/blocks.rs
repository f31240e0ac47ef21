//! Mainnet blocks from raw transactions to receipts, recovery included; elements are transactions.

use criterion::{Criterion, criterion_group, criterion_main};
use lockstep::block_file::BlockFile;
use lockstep_bench::{group, subject::Subject, workload};
use std::sync::Arc;

/// One with few transactions, two full ones.
const BLOCKS: [&str; 3] = ["19933122", "19426587", "15199017"];

#[expect(clippy::print_stderr, reason = "a bench without its data says so")]
fn blocks(criterion: &mut Criterion) {
    let files = workload::block_files();
    let wanted = |name: &str| BLOCKS.iter().any(|block| name.starts_with(block));
    let cases: Vec<_> = files
        .iter()
        .filter(|path| path.file_name().is_some_and(|name| wanted(&name.to_string_lossy())))
        .map(|path| {
            let file = Arc::new(BlockFile::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
            let (checked, txs) = (Arc::clone(&file), file.block.transactions.len() as u64);
            let run = move |subject: &Subject| subject.execute(&file);
            (checked.block.env.number.to_string(), txs, run, move |output: &_| workload::check_block(&checked, output))
        })
        .collect();
    if cases.is_empty() {
        eprintln!("no block files: set LOCKSTEP_DATA");
    }
    group(criterion, "blocks", &cases);
}

criterion_group!(benches, blocks);
criterion_main!(benches);
