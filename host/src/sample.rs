//! The sample block that is part of the binary: built and signed by `lockstep-tests`, which proves it fresh.

use alloy_primitives::{Address, keccak256};

/// Where a contract or an account of the sample's state stands, by its name: `Token 0`, `Pair 0`, `Lending 0` and others.
pub fn address(name: &str) -> Address {
    Address::from_word(keccak256(format!("lockstep sample {name}")))
}

/// A packed block file, for [`crate::block_file::BlockFile::parse`].
pub const SAMPLE: &[u8] = include_bytes!("../sample/block.json.zst");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{block_file::BlockFile, compare::compare, engine::Engine};

    #[test]
    fn the_sample_gives_what_it_promises() {
        let file = BlockFile::parse(SAMPLE).unwrap();
        let output = Engine::builder().build().unwrap().execute_block(&file.block, &file.state).unwrap();
        assert_eq!(compare(&file, &output), None);
        assert!(output.receipts.len() > 200);
    }
}
