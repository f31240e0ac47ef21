//! The CPU engines of recovery: one contract, chosen by what the CPU can do when the program runs.

#[cfg(target_arch = "x86_64")]
use super::simd::{avx2, ifma};
use super::{RecoverError, RecoverRequest, recover_one};
use crate::submit::Progress;
use alloy_primitives::Address;
use rayon::prelude::*;
use std::fmt;

/// The most requests that a thread takes at once: what shares the vector engines' inversions.
const SHARE: usize = 512;

/// Below this many requests threads cost more than they give.
pub(crate) const PARALLEL_FROM: usize = 16;

/// What recovers. All give the same results, errors included; they differ in speed, and in the CPUs that have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// Eight signatures a vector, with 52-bit multiply-adds.
    Avx512Ifma,
    /// Four signatures a vector, with the multiply-adds of double-precision numbers.
    Avx2,
    /// One signature at a time, by libsecp256k1; on every CPU.
    Libsecp256k1,
}

impl Engine {
    /// Fastest first.
    pub const ALL: [Self; 3] = [Self::Avx512Ifma, Self::Avx2, Self::Libsecp256k1];

    /// The fastest that this CPU has.
    pub fn best() -> Self {
        Self::available().next().unwrap_or(Self::Libsecp256k1)
    }

    /// Those that this CPU has, fastest first; the last is always [`Engine::Libsecp256k1`].
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|engine| engine.is_available())
    }

    /// Whether this CPU has it.
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Ifma => ifma::is_supported(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::is_supported(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx512Ifma | Self::Avx2 => false,
            Self::Libsecp256k1 => true,
        }
    }

    /// As the command line and the benches write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Avx512Ifma => "avx512-ifma",
            Self::Avx2 => "avx2",
            Self::Libsecp256k1 => "libsecp256k1",
        }
    }

    /// How many signatures a vector holds.
    const fn lanes(self) -> usize {
        match self {
            Self::Avx512Ifma => 8,
            Self::Avx2 => 4,
            Self::Libsecp256k1 => 1,
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The signer of each request, into the place of the same index in `out`, on the calling thread. Requests that the vector
/// engines flag as exceptional, and batches too small for a vector, are done by libsecp256k1.
///
/// # Panics
/// If the slices differ in length, or this CPU does not have `engine`: a named engine that is absent is never replaced
/// quietly.
pub fn recover_batch(engine: Engine, requests: &[RecoverRequest], out: &mut [Result<Address, RecoverError>]) {
    assert_eq!(requests.len(), out.len(), "one place for each request");
    assert!(engine.is_available(), "this CPU has no {engine}");
    match engine {
        #[cfg(target_arch = "x86_64")]
        Engine::Avx512Ifma => ifma::recover_batch(requests, out),
        #[cfg(target_arch = "x86_64")]
        Engine::Avx2 => avx2::recover_batch(requests, out),
        _ => requests.iter().zip(out).for_each(|(request, out)| *out = recover_one(request)),
    }
}

/// The same on the threads of the current rayon pool; small batches stay on the calling thread.
///
/// # Panics
/// If this CPU does not have `engine`.
pub fn recover_parallel(engine: Engine, requests: &[RecoverRequest]) -> Vec<Result<Address, RecoverError>> {
    recover_until(engine, requests, &Progress::default())
}

/// The same, counted in `progress`; what is left when that is cancelled has no meaning.
pub(crate) fn recover_until(
    engine: Engine,
    requests: &[RecoverRequest],
    progress: &Progress,
) -> Vec<Result<Address, RecoverError>> {
    let run = |(requests, results): (&[RecoverRequest], &mut [Result<Address, RecoverError>])| {
        if !progress.is_cancelled() {
            recover_batch(engine, requests, results);
            progress.add(requests.len());
        }
    };
    let mut results = vec![Err(RecoverError::Range); requests.len()];
    // To ask for the threads starts rayon's global pool, so not for a few.
    let threads = if requests.len() < PARALLEL_FROM { 1 } else { rayon::current_num_threads() };
    if threads == 1 {
        requests.chunks(SHARE).zip(results.chunks_mut(SHARE)).for_each(run);
    } else {
        // Shares of whole pairs of vectors.
        let share = requests.len().div_ceil(threads).next_multiple_of(2 * engine.lanes()).clamp(1, SHARE);
        requests.par_chunks(share).zip(results.par_chunks_mut(share)).for_each(run);
    }
    results
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recover::ORDER;
    use alloy_primitives::{U256, keccak256};

    /// Every engine of this CPU gives the same, errors included, at sizes around every threshold.
    #[test]
    fn engines_agree() {
        // Half of these have no point, some are out of range.
        let word = |n: u64| U256::from_be_bytes(keccak256(n.to_be_bytes()).0);
        let mut requests: Vec<_> = (0..99)
            .map(|n| RecoverRequest {
                hash: keccak256([n as u8]),
                r: word(2 * n),
                s: word(2 * n + 1),
                recovery_id: n as u8 % 2,
                low_s: n % 5 == 0,
            })
            .collect();
        requests[3].r = U256::ZERO;
        requests[50].s = ORDER;
        requests[60].recovery_id = 255;
        let expected: Vec<_> = requests.iter().map(recover_one).collect();
        for engine in Engine::available() {
            for count in [0, 1, 3, 4, 15, 16, 17, 99] {
                assert_eq!(recover_parallel(engine, &requests[..count]), expected[..count], "{engine} {count}");
            }
        }
    }
}
