//! Keccak-256 of many messages on the CPU: one contract, three engines, chosen by what the CPU can do when the program
//! runs.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod lanes;
mod scalar;

use alloy_primitives::B256;
use rayon::prelude::*;
use std::fmt;

/// Messages that a thread hashes at once: full lanes of every engine.
pub(crate) const CHUNK: usize = 64;

/// What computes the hashes. All give the same bytes; they differ in speed, and in the CPUs that have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// Eight messages at once in 512-bit registers.
    Avx512,
    /// Four messages at once in 256-bit registers.
    Avx2,
    /// One message at a time, by `keccak-asm`; on every CPU.
    Scalar,
}

impl Engine {
    /// Fastest first.
    pub const ALL: [Self; 3] = [Self::Avx512, Self::Avx2, Self::Scalar];

    /// The fastest that this CPU has.
    pub fn best() -> Self {
        Self::available().next().unwrap_or(Self::Scalar)
    }

    /// Those that this CPU has, fastest first; the last is always [`Engine::Scalar`].
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|engine| engine.is_available())
    }

    /// Whether this CPU has it.
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::Avx512::detect().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::Avx2::detect().is_some(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx512 | Self::Avx2 => false,
            Self::Scalar => true,
        }
    }

    /// As the command line and the benches write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Scalar => "keccak-asm",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Keccak-256 (padding byte 0x01, not SHA-3's 0x06) of each message, into the place of the same index in `out`.
/// Messages may have any lengths in any order; batches of similar lengths, and of multiples of eight, are fastest. On
/// the calling thread; allocates one index a message.
///
/// # Panics
/// If the slices differ in length, or this CPU does not have `engine`: a named engine that is absent is never
/// replaced quietly.
pub fn keccak256_batch(engine: Engine, messages: &[&[u8]], out: &mut [B256]) {
    assert_eq!(messages.len(), out.len(), "one place for each message");
    let detected = match engine {
        #[cfg(target_arch = "x86_64")]
        Engine::Avx512 => avx512::Avx512::detect().map(|kernel| lanes::keccak256_batch(&kernel, messages, out)),
        #[cfg(target_arch = "x86_64")]
        Engine::Avx2 => avx2::Avx2::detect().map(|kernel| lanes::keccak256_batch(&kernel, messages, out)),
        #[cfg(not(target_arch = "x86_64"))]
        Engine::Avx512 | Engine::Avx2 => None,
        Engine::Scalar => {
            scalar::keccak256_batch(messages, out);
            Some(())
        }
    };
    assert!(detected.is_some(), "this CPU has no {engine}");
}

/// The same on the threads of the current rayon pool; few messages stay on the calling thread.
///
/// # Panics
/// If this CPU does not have `engine`.
pub fn keccak256_parallel(engine: Engine, messages: &[&[u8]]) -> Vec<B256> {
    let mut hashes = vec![B256::ZERO; messages.len()];
    if messages.len() <= CHUNK {
        keccak256_batch(engine, messages, &mut hashes);
    } else {
        let chunks = messages.par_chunks(CHUNK).zip(hashes.par_chunks_mut(CHUNK));
        chunks.for_each(|(messages, hashes)| keccak256_batch(engine, messages, hashes));
    }
    hashes
}
