//! Mainnet blocks from raw transactions to receipts, recovery included; elements are transactions.

use criterion::{Criterion, criterion_group, criterion_main};
use lockstep::block_file::BlockFile;
use lockstep_bench::{
    blocks::{self, Subject},
    group, say_absent,
};

/// One with few transactions, two full ones.
const BLOCKS: [&str; 3] = ["19933122", "19426587", "15199017"];

#[expect(clippy::print_stderr, reason = "a bench without its data says so")]
fn blocks(criterion: &mut Criterion) {
    let (subjects, absent) = Subject::all().unwrap_or_else(|error| panic!("{error}"));
    say_absent(&absent);
    let wanted = |name: &str| BLOCKS.iter().any(|block| name.starts_with(block));
    let mut files = blocks::files();
    files.retain(|path| path.file_name().is_some_and(|name| wanted(&name.to_string_lossy())));
    if files.is_empty() {
        eprintln!("no block files: set LOCKSTEP_DATA");
    }
    for path in files {
        let file = BlockFile::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let number = file.block.env.number.to_string();
        group(criterion, &blocks::case(&file, &number), &blocks::contenders(&subjects, &file));
    }
}

criterion_group!(benches, blocks);
criterion_main!(benches);
