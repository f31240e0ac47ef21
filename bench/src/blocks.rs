//! The subjects of a bench: every backend of this machine, each under its own name.

use alloy_primitives::{Address, B256};
use lockstep::{
    backend::{Backend, BackendError, BackendKind, wgpu::WgpuBackend},
    block_file::BlockFile,
    engine::{BlockOutput, Engine},
    fallback::FallbackReason,
    recover::{RecoverError, RecoverRequest},
};
use std::{env, sync::Arc};

/// A backend under test. A failing device is an error here, where an engine would let the CPU take over: a row tells of one backend.
#[derive(Debug)]
pub struct Subject {
    engine: Engine,
    device: Option<Arc<dyn Backend>>,
}

impl Subject {
    /// The CPU, on as many threads; zero means all cores.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`] where threads cannot be started.
    pub fn cpu(threads: usize) -> Result<Self, BackendError> {
        Ok(Self { engine: Engine::builder().backend(BackendKind::Cpu).threads(threads).build()?, device: None })
    }

    /// The adapter that `LOCKSTEP_DEVICE` names, else the best one.
    ///
    /// # Errors
    /// Any [`BackendError`]: there is none, or it fails its self-test.
    pub fn wgpu() -> Result<Self, BackendError> {
        let device: Arc<dyn Backend> = Arc::new(WgpuBackend::open(env::var("LOCKSTEP_DEVICE").ok().as_deref())?);
        Ok(Self { engine: Engine::builder().with_device(Arc::clone(&device)).build()?, device: Some(device) })
    }

    /// `cpu`, `wgpu`.
    pub fn name(&self) -> &'static str {
        self.engine.backend_kind().name()
    }

    /// The adapter's name; none on the CPU.
    pub fn adapter(&self) -> Option<&str> {
        self.device.as_ref().map(|device| device.name())
    }

    /// CPU threads in use.
    pub fn threads(&self) -> usize {
        self.engine.threads()
    }

    /// The signer of each request.
    ///
    /// # Errors
    /// The device failed.
    pub fn recover(&self, requests: &[RecoverRequest]) -> Result<Vec<Result<Address, RecoverError>>, String> {
        match &self.device {
            Some(device) => device.recover(requests).map_err(|error| error.to_string()),
            None => Ok(self.engine.recover(requests)),
        }
    }

    /// The hash of each message.
    ///
    /// # Errors
    /// The device failed.
    pub fn keccak256(&self, messages: &[&[u8]]) -> Result<Vec<B256>, String> {
        match &self.device {
            Some(device) => device.keccak256(messages).map_err(|error| error.to_string()),
            None => Ok(self.engine.keccak256(messages)),
        }
    }

    /// A block, from raw transactions to receipts.
    ///
    /// # Errors
    /// The block is bad, the device failed, or it ran nothing of the block.
    pub fn execute(&self, file: &BlockFile) -> Result<BlockOutput, String> {
        let output = self.engine.execute_block(&file.block, &file.state).map_err(|error| error.to_string())?;
        if output.report.fallbacks.contains_key(&FallbackReason::DeviceError) {
            return Err("the device failed".into());
        }
        if self.device.is_some() && output.report.device.txs == 0 {
            return Err("nothing of it runs on the device".into());
        }
        Ok(output)
    }
}

/// Every subject of this machine: the CPU on all cores, and a wgpu device where there is one.
///
/// # Panics
/// Where the CPU's threads cannot be started.
#[expect(clippy::print_stderr, reason = "a backend that is left out is named, with the reason")]
pub fn all() -> Vec<Subject> {
    let mut subjects = vec![Subject::cpu(0).unwrap_or_else(|error| panic!("{error}"))];
    match Subject::wgpu() {
        Ok(subject) => subjects.push(subject),
        Err(error) => eprintln!("wgpu is left out: {error}"),
    }
    subjects
}
