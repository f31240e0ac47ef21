//! Calls to measure costs by: transfers of a token of the sample block's state.

use super::{Answer, Call, Options, Simulator};
use crate::{
    backend::Backend,
    block::BlockEnv,
    block_file::{BlockFile, BlockFileError},
    context::Context,
    lanes::Lanes,
    lower::CodeCache,
    memory::MemoryState,
    sample::{SAMPLE, address},
};
use alloy_primitives::{Address, U256, hex};
use rayon::ThreadPool;
use std::{ops::ControlFlow, sync::Arc};

/// `transfer(address,uint256)`.
const TRANSFER: [u8; 4] = hex!("a9059cbb");

/// Receivers, and so slots that are written.
const RECEIVERS: usize = 64;

/// So many calls as were asked for, of about 230 steps each.
#[derive(Debug)]
pub(crate) struct Samples {
    env: BlockEnv,
    state: MemoryState,
    calls: Vec<Call>,
}

impl Samples {
    /// # Errors
    /// The sample cannot be read.
    pub(crate) fn new(count: usize) -> Result<Self, BlockFileError> {
        let file = BlockFile::parse(SAMPLE)?;
        let token = address("Token 0");
        let call = |index: usize| {
            // The token refuses the address zero.
            let to = Address::repeat_byte((index % RECEIVERS) as u8 + 1);
            // Nothing is moved, in all the steps that it takes: everybody has as much.
            let input = [&TRANSFER[..], to.into_word().as_slice(), &U256::ZERO.to_be_bytes::<32>()].concat();
            Call::new(Address::with_last_byte(1), token, input).with_gas(200_000)
        };
        Ok(Self { env: file.block.env, state: file.state, calls: (1..=count).map(call).collect() })
    }

    /// Simulates the first `count` calls on `device`, or on the CPU.
    pub(crate) fn run(&self, pool: &ThreadPool, device: Option<&dyn Backend>, count: usize) -> Vec<Answer> {
        let base = Context { env: &self.env, state: &self.state };
        let (options, codes) = (Options::default(), Arc::new(CodeCache::default()));
        let lanes = device.map(|device| Lanes { device, codes: &codes, cross_check: false });
        let mut answers = Vec::with_capacity(count);
        Simulator::new(pool, lanes, None, &base, &options).calls(self.calls[..count].iter().cloned(), |_, answer| {
            answers.push(answer);
            ControlFlow::Continue(())
        });
        answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::TxStatus;

    #[test]
    fn samples_succeed() {
        let samples = Samples::new(100).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let answers = samples.run(&pool, None, 100);
        assert!(answers.iter().flatten().all(|result| result.status == TxStatus::Success && result.gas_used > 25_000));
        assert_eq!(answers.iter().flatten().count(), 100);
    }
}
