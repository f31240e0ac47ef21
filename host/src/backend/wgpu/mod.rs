//! Vulkan, Metal and DX12 through wgpu.

pub mod gpu;
mod execute;
mod self_test;

use super::{Backend, BackendError, BackendKind, Executed};
use crate::{
    lower::{Batch, LaneLimits},
    recover::{RecoverError, RecoverRequest},
};
use alloy_primitives::{Address, B256};
use execute::Execute;
use gpu::{Checks, Gpu};

/// An adapter that could be opened.
#[derive(Clone, Debug)]
pub struct AdapterDescription {
    /// The adapter's name.
    pub name: String,
    /// `discrete`, `integrated`, `virtual`, `cpu` or `other`.
    pub device_type: &'static str,
    /// API, driver and its version.
    pub driver: String,
    /// WebGPU limits that matter here, by their WebGPU names.
    pub limits: Vec<(&'static str, u64)>,
    /// Whether 64-bit integers are available in shaders.
    pub int64: bool,
}

fn device_type(info: &wgpu::AdapterInfo) -> &'static str {
    match info.device_type {
        wgpu::DeviceType::DiscreteGpu => "discrete",
        wgpu::DeviceType::IntegratedGpu => "integrated",
        wgpu::DeviceType::VirtualGpu => "virtual",
        wgpu::DeviceType::Cpu => "cpu",
        wgpu::DeviceType::Other => "other",
    }
}

fn adapters() -> Vec<wgpu::Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::PRIMARY;
    let instance = wgpu::Instance::new(descriptor);
    pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY))
}

fn describe(adapter: &wgpu::Adapter) -> AdapterDescription {
    let info = adapter.get_info();
    let limits = adapter.limits();
    AdapterDescription {
        device_type: device_type(&info),
        driver: format!("{} {} {}", info.backend, info.driver, info.driver_info).trim().to_owned(),
        limits: vec![
            ("maxStorageBufferBindingSize", limits.max_storage_buffer_binding_size),
            ("maxBufferSize", limits.max_buffer_size),
            ("maxStorageBuffersPerShaderStage", limits.max_storage_buffers_per_shader_stage.into()),
            ("maxComputeInvocationsPerWorkgroup", limits.max_compute_invocations_per_workgroup.into()),
        ],
        int64: adapter.features().contains(wgpu::Features::SHADER_INT64),
        name: info.name,
    }
}

/// Every adapter, in the order that a device index counts in.
pub fn list() -> Vec<AdapterDescription> {
    adapters().iter().map(describe).collect()
}

/// Real GPUs before software, discrete before integrated; a name part or an index decides where it is given.
fn choose(device: Option<&str>) -> Result<wgpu::Adapter, BackendError> {
    let mut found = adapters();
    if found.is_empty() {
        return Err(BackendError::Unavailable(
            "no Vulkan, Metal or DX12 adapter: install a GPU driver, or Mesa's lavapipe for tests".into(),
        ));
    }
    let position = match device {
        None => {
            let rank = |adapter: &wgpu::Adapter| match adapter.get_info().device_type {
                wgpu::DeviceType::DiscreteGpu => 0,
                wgpu::DeviceType::IntegratedGpu => 1,
                wgpu::DeviceType::VirtualGpu => 2,
                wgpu::DeviceType::Other => 3,
                wgpu::DeviceType::Cpu => 4,
            };
            (0..found.len()).min_by_key(|index| rank(&found[*index]))
        }
        Some(wanted) => wanted.parse().ok().filter(|index| *index < found.len()).or_else(|| {
            found.iter().position(|adapter| adapter.get_info().name.to_lowercase().contains(&wanted.to_lowercase()))
        }),
    };
    let names: Vec<_> = found.iter().map(|adapter| adapter.get_info().name).collect();
    position
        .map(|index| found.swap_remove(index))
        .ok_or_else(|| BackendError::Unavailable(format!("no adapter {:?} among {}", device.unwrap_or_default(), names.join(", "))))
}

/// A device with its kernels, proven by the self-test.
#[derive(Debug)]
pub struct WgpuBackend {
    gpu: Gpu,
    execute: Execute,
    checks: Checks,
    limits: LaneLimits,
}

impl WgpuBackend {
    /// Opens an adapter, compiles the kernels and runs the self-test: without run-time checks in the shaders where that
    /// passes, with them where only that does.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`] where there is no such adapter, [`BackendError::Abi`] where the self-test fails.
    pub fn open(device: Option<&str>) -> Result<Self, BackendError> {
        let adapter = choose(device)?;
        let mut last = None;
        for checks in [Checks::Off, Checks::On] {
            let backend = Self::with_checks(Gpu::open(&adapter)?, checks)?;
            match self_test::run(&backend) {
                Ok(()) => return Ok(backend),
                Err(error) => {
                    tracing::warn!(%error, ?checks, adapter = backend.name(), "self-test failed");
                    last = Some(error);
                }
            }
        }
        Err(last.unwrap_or_else(|| BackendError::Abi("no variant".into())))
    }

    fn with_checks(gpu: Gpu, checks: Checks) -> Result<Self, BackendError> {
        let execute = Execute::new(&gpu, checks)?;
        Ok(Self { gpu, execute, checks, limits: LaneLimits::default() })
    }

    /// Whether the shaders run without run-time checks.
    pub fn is_unchecked(&self) -> bool {
        self.checks == Checks::Off
    }

    /// `discrete`, `integrated`, `virtual`, `cpu` or `other`.
    pub fn device_type(&self) -> &'static str {
        device_type(self.gpu.info())
    }
}

impl Backend for WgpuBackend {
    fn kind(&self) -> BackendKind {
        BackendKind::Wgpu
    }

    fn name(&self) -> &str {
        &self.gpu.info().name
    }

    fn keccak256(&self, _messages: &[&[u8]]) -> Result<Vec<B256>, BackendError> {
        Err(BackendError::Compile("not yet".into()))
    }

    fn recover(&self, _requests: &[RecoverRequest]) -> Result<Vec<Result<Address, RecoverError>>, BackendError> {
        Err(BackendError::Compile("not yet".into()))
    }

    fn lane_limits(&self) -> LaneLimits {
        self.limits
    }

    fn execute(&self, batch: &Batch<'_>) -> Result<Executed, BackendError> {
        self.execute.run(&self.gpu, batch, &self.limits)
    }
}
