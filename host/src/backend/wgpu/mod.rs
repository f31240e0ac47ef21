//! Vulkan, Metal and DX12 through wgpu.

mod buffers;
mod chunks;
mod execute;
mod flatten;
mod gather;
mod gpu;
mod keccak;
mod pace;
mod read_back;
mod recover;
mod self_test;

use super::{Backend, BackendError, BackendKind, Executed};
use crate::{
    abi::RecoverResult,
    lower::Batch,
    park::Service,
    recover::{RecoverError, RecoverRequest},
};
use alloy_primitives::{Address, B256};
use execute::Execute;
use gather::Gather;
use gpu::{Checks, Gpu, Source, source};
use keccak::Keccak;
use recover::Recover;

pub use gpu::Integers;

/// Invocations of a workgroup of the batched crypto kernels.
const WORKGROUP: u32 = 64;

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
    position.map(|index| found.swap_remove(index)).ok_or_else(|| {
        BackendError::Unavailable(format!("no adapter {:?} among {}", device.unwrap_or_default(), names.join(", ")))
    })
}

fn kernels() -> [Source; 4] {
    [source!("execute"), source!("gather"), source!("recover"), source!("keccak_batch")]
}

/// Name and module of every kernel: what the driver's compiler is given, for tools that check it without a device.
///
/// # Errors
/// [`BackendError::Compile`].
pub fn kernel_modules(integers: Integers) -> Result<[(&'static str, wgpu::naga::Module); 4], BackendError> {
    let [execute, gather, recover, keccak] = kernels();
    let module = |source: Source| Ok((source.name, source.module(integers)?));
    Ok([module(execute)?, module(gather)?, module(recover)?, module(keccak)?])
}

/// A device with its kernels, proven by the self-test.
#[derive(Debug)]
pub struct WgpuBackend {
    gpu: Gpu,
    execute: Execute,
    recover: Recover,
    keccak: Keccak,
    checks: Checks,
}

impl WgpuBackend {
    /// Opens an adapter, compiles the kernels and runs the self-test: without run-time checks in the shaders where that
    /// passes, with them where only that does.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`] where there is no such adapter, [`BackendError::Abi`] where the self-test fails.
    pub fn open(device: Option<&str>) -> Result<Self, BackendError> {
        Self::open_variant(device, Integers::Widest)
    }

    /// The same with a choice of kernel variant.
    ///
    /// # Errors
    /// As [`WgpuBackend::open`].
    pub fn open_variant(device: Option<&str>, integers: Integers) -> Result<Self, BackendError> {
        Self::open_adapter(&choose(device)?, integers)
    }

    /// The same among real GPUs: what `auto` considers.
    ///
    /// # Errors
    /// As [`WgpuBackend::open`].
    pub fn open_gpu(device: Option<&str>) -> Result<Self, BackendError> {
        let adapter = choose(device)?;
        match adapter.get_info() {
            info if info.device_type == wgpu::DeviceType::Cpu => {
                Err(BackendError::Unavailable(format!("{} is a software adapter", info.name)))
            }
            _ => Self::open_adapter(&adapter, Integers::Widest),
        }
    }

    fn open_adapter(adapter: &wgpu::Adapter, integers: Integers) -> Result<Self, BackendError> {
        let mut last = None;
        // SwiftShader mixes up lanes that leave loops at different turns unless it sees a bound, which a short self-test
        // does not show.
        let unproven = adapter.get_info().name.contains("SwiftShader");
        for checks in [Checks::Off, Checks::On].into_iter().skip(unproven.into()) {
            let backend = Self::with_kernels(Gpu::open(adapter, integers)?, checks, &kernels())?;
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

    /// The same with the text of one kernel edited, and without a self-test: for tests that prove themselves against a
    /// broken kernel. Kernels are named after their entry files: `execute`, `gather`, `recover`, `keccak_batch`.
    ///
    /// # Errors
    /// As [`WgpuBackend::open`]; the edit's own error as [`BackendError::Compile`].
    pub fn open_edited(
        device: Option<&str>,
        integers: Integers,
        kernel: &str,
        edit: &dyn Fn(&str) -> Result<String, String>,
    ) -> Result<Self, BackendError> {
        let mut sources = kernels();
        for source in sources.iter_mut().filter(|source| source.name == kernel) {
            *source = source.edited(edit).map_err(BackendError::Compile)?;
        }
        Self::with_kernels(Gpu::open(&choose(device)?, integers)?, Checks::On, &sources)
    }

    fn with_kernels(
        gpu: Gpu,
        checks: Checks,
        [execute, gather, recover, keccak]: &[Source; 4],
    ) -> Result<Self, BackendError> {
        let gather = Gather::new(&gpu, checks, gather)?;
        let execute = Execute::new(&gpu, checks, execute, gather)?;
        let recover = Recover::new(&gpu, checks, recover)?;
        let keccak = Keccak::new(&gpu, checks, keccak)?;
        Ok(Self { gpu, execute, recover, keccak, checks })
    }

    /// Whether the shaders run without run-time checks.
    pub fn is_unchecked(&self) -> bool {
        self.checks == Checks::Off
    }

    /// Whether the shaders use 64-bit integers.
    pub const fn has_int64(&self) -> bool {
        self.gpu.has_int64()
    }

    /// What the recovery kernel itself says of each request, with nothing redone and nothing sampled: for tests, to which
    /// a kernel that leaves every lane to the CPU must not look like a right one.
    ///
    /// # Errors
    /// As [`Backend::recover`].
    pub fn recover_lanes(&self, requests: &[RecoverRequest]) -> Result<Vec<RecoverResult>, BackendError> {
        self.recover.lanes(&self.gpu, requests)
    }

    /// Destroys the device, so that whatever runs on it fails from here on: for tests of what then happens.
    pub fn destroy(&self) {
        self.gpu.destroy();
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

    fn keccak256(&self, messages: &[&[u8]]) -> Result<Vec<B256>, BackendError> {
        self.gpu.guarded(|| self.keccak.run(&self.gpu, messages))
    }

    fn recover(&self, requests: &[RecoverRequest]) -> Result<Vec<Result<Address, RecoverError>>, BackendError> {
        self.gpu.guarded(|| self.recover.run(&self.gpu, requests))
    }

    fn execute(&self, batch: &Batch, service: &mut dyn Service) -> Result<Executed, BackendError> {
        self.gpu.guarded(|| self.execute.run(&self.gpu, batch, service))
    }
}
