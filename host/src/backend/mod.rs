//! The one contract of every backend. A backend decides nothing: what can be checked once on the host is.

use crate::{
    coverage::Coverage,
    lower::{Batch, LaneResult},
    park::Service,
    plan::{LaneClass, LaneLimits},
    recover::{RecoverError, RecoverRequest},
};
use alloy_primitives::{Address, B256};
use std::{fmt, str::FromStr, time::Duration};

#[cfg(feature = "wgpu")]
pub mod wgpu;

/// The kinds that the command line and `LOCKSTEP_BACKEND` accept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BackendKind {
    /// A real GPU where there is one and it pays, else the CPU; says what it picked and why.
    #[default]
    Auto,
    /// revm and libsecp256k1 on CPU threads.
    Cpu,
    /// Vulkan, Metal or DX12 through wgpu.
    Wgpu,
    /// NVIDIA through cudarc.
    Cuda,
    /// The CUDA kernels compiled for the host, for tests.
    CudaHost,
}

impl BackendKind {
    /// Every kind, in the order of the command line's help.
    pub const ALL: &[Self] = &[Self::Auto, Self::Cpu, Self::Wgpu, Self::Cuda, Self::CudaHost];

    /// The name on the command line and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
            Self::CudaHost => "cuda-host",
        }
    }
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for BackendKind {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL.iter().copied().find(|kind| kind.name() == s).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|kind| kind.name()).collect();
            format!("unknown backend {s:?}: one of {}", names.join(", "))
        })
    }
}

/// The device failed; a transaction's trouble is never one of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// Not built in, no driver, no adapter, or no adapter of the asked name.
    #[error("backend unavailable: {0}")]
    Unavailable(String),
    /// A buffer could not be allocated.
    #[error("device out of memory: {0}")]
    OutOfMemory(String),
    /// The device was lost or did not answer in time.
    #[error("device lost: {0}")]
    DeviceLost(String),
    /// A kernel did not compile.
    #[error("kernel compile: {0}")]
    Compile(String),
    /// Host and kernel disagree on the ABI, or the self-test failed.
    #[error("ABI mismatch or self-test: {0}")]
    Abi(String),
}

/// What running a batch yields.
#[derive(Clone, Debug, Default)]
pub struct Executed {
    /// One a lane, in order.
    pub lanes: Vec<LaneResult>,
    /// The edges of all lanes, where they were asked for merged.
    pub coverage: Option<Box<Coverage>>,
    /// Dispatches that it took.
    pub dispatches: u64,
    /// Lanes over all dispatches: those that have ended are left out before long.
    pub invocations: u64,
    /// Requests of parked lanes that were served.
    pub served: u64,
    /// The longest of the dispatches.
    pub longest: Duration,
    /// Time from the start to the first dispatch.
    pub upload: Duration,
    /// Time from the last dispatch to the end.
    pub read_back: Duration,
}

/// A device that runs lanes and batched crypto.
pub trait Backend: Send + Sync + fmt::Debug {
    /// `wgpu`, `cuda`, …
    fn kind(&self) -> BackendKind;

    /// The adapter's own name.
    fn name(&self) -> &str;

    /// Keccak-256 of each message, in order.
    fn keccak256(&self, messages: &[&[u8]]) -> Result<Vec<B256>, BackendError>;

    /// The signer of each request, in order. Lanes that the kernel flags as exceptional are redone by the CPU reference.
    fn recover(&self, requests: &[RecoverRequest]) -> Result<Vec<Result<Address, RecoverError>>, BackendError>;

    /// What lanes of this device may use.
    fn lane_limits(&self, class: LaneClass) -> LaneLimits {
        LaneLimits::of(class)
    }

    /// Runs every lane of a batch to its end or a fallback. What parked lanes ask for, `service` answers; one that it
    /// leaves stays parked. The edges that lanes take are noted as the batch asks.
    fn execute(&self, batch: &Batch, service: &mut dyn Service) -> Result<Executed, BackendError>;
}
