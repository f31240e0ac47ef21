//! Devices that are what they wrap but for one thing.

use alloy_primitives::{Address, B256};
use lockstep::{
    abi::{self, LaneState},
    backend::{Backend, BackendError, BackendKind, Executed, wgpu::WgpuBackend},
    fallback::FallbackReason,
    lower::{Batch, CodeArena, LaneResult, SnapshotTable},
    park::{Answer, Request, Service},
    plan::{LaneClass, LaneLimits},
    recover::{RecoverError, RecoverRequest},
};
use std::sync::Arc;

/// A device whose lanes have other limits.
#[derive(Debug)]
pub struct Limited {
    /// What it is otherwise.
    pub device: Arc<dyn Backend>,
    /// The limits of a class, from those of the device.
    pub limits: fn(LaneClass, LaneLimits) -> LaneLimits,
}

impl Limited {
    /// Takes so few large lanes at once that most start as small ones.
    pub fn crowded(device: Arc<dyn Backend>) -> Self {
        let limits = |class, limits| {
            let lanes = match class {
                LaneClass::Small => 100,
                LaneClass::Large => 7,
            };
            LaneLimits { lanes, ..limits }
        };
        Self { device, limits }
    }
}

impl Backend for Limited {
    fn kind(&self) -> BackendKind {
        self.device.kind()
    }

    fn name(&self) -> &str {
        self.device.name()
    }

    fn keccak256(&self, messages: &[&[u8]]) -> Result<Vec<B256>, BackendError> {
        self.device.keccak256(messages)
    }

    fn recover(&self, requests: &[RecoverRequest]) -> Result<Vec<Result<Address, RecoverError>>, BackendError> {
        self.device.recover(requests)
    }

    fn lane_limits(&self, class: LaneClass) -> LaneLimits {
        (self.limits)(class, self.device.lane_limits(class))
    }

    fn execute(&self, batch: &Batch, service: &mut dyn Service) -> Result<Executed, BackendError> {
        self.device.execute(batch, service)
    }
}

/// Declines every lane at once, as one that is past its steps.
#[derive(Clone, Copy, Debug)]
pub struct Declining;

impl Backend for Declining {
    fn kind(&self) -> BackendKind {
        BackendKind::Wgpu
    }

    fn name(&self) -> &str {
        "declining"
    }

    fn keccak256(&self, _: &[&[u8]]) -> Result<Vec<B256>, BackendError> {
        Err(BackendError::Unavailable("it executes only".into()))
    }

    fn recover(&self, _: &[RecoverRequest]) -> Result<Vec<Result<Address, RecoverError>>, BackendError> {
        Err(BackendError::Unavailable("it executes only".into()))
    }

    fn execute(&self, batch: &Batch, service: &mut dyn Service) -> Result<Executed, BackendError> {
        let reason = FallbackReason::Steps;
        let lane = |(index, state): (usize, &LaneState)| {
            service.declined(index, reason);
            let state = LaneState { status: abi::STATUS_FALLBACK + reason as u32, ..*state };
            LaneResult { state, entries: Vec::new(), logs: Vec::new(), output: Vec::new(), coverage: None }
        };
        Ok(Executed { lanes: batch.lanes.iter().enumerate().map(lane).collect(), ..Executed::default() })
    }
}

/// A device that is destroyed while the requests of a batch are served, the `rounds`th time.
#[derive(Debug)]
pub struct Dying {
    /// What is destroyed.
    pub device: WgpuBackend,
    /// Counted from one.
    pub rounds: u64,
}

impl Backend for Dying {
    fn kind(&self) -> BackendKind {
        self.device.kind()
    }

    fn name(&self) -> &str {
        self.device.name()
    }

    fn keccak256(&self, messages: &[&[u8]]) -> Result<Vec<B256>, BackendError> {
        self.device.keccak256(messages)
    }

    fn recover(&self, requests: &[RecoverRequest]) -> Result<Vec<Result<Address, RecoverError>>, BackendError> {
        self.device.recover(requests)
    }

    fn execute(&self, batch: &Batch, service: &mut dyn Service) -> Result<Executed, BackendError> {
        self.device.execute(batch, &mut Fatal { service, device: &self.device, rounds: self.rounds })
    }
}

#[derive(Debug)]
struct Fatal<'a> {
    service: &'a mut dyn Service,
    device: &'a WgpuBackend,
    rounds: u64,
}

impl Service for Fatal<'_> {
    fn serve(&mut self, requests: &[Request]) -> Vec<Answer> {
        self.rounds -= 1;
        if self.rounds == 0 {
            self.device.destroy();
        }
        self.service.serve(requests)
    }

    fn declined(&mut self, lane: usize, reason: FallbackReason) {
        self.service.declined(lane, reason);
    }

    fn codes(&self) -> &CodeArena {
        self.service.codes()
    }

    fn snapshot(&self) -> &SnapshotTable {
        self.service.snapshot()
    }
}
