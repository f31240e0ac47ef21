//! A wgpu device and the few operations on it that every kernel needs.
#![expect(unsafe_code, reason = "shader modules without run-time checks, once a self-test has passed")]

use super::flatten::flatten;
use crate::backend::BackendError;
use bytemuck::Pod;
use std::{
    borrow::Cow,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
};

/// Bytes that one submission clears: 8 ms of a software device.
const CLEARED_AT_ONCE: u64 = 16 << 20;

/// Largest storage binding under WebGPU's default limits, in bytes.
pub(super) const MAX_BINDING: u64 = 128 << 20;

/// Whether naga adds bounds checks and loop guards to the shaders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checks {
    /// It does: slower, and right on every driver that is right at all.
    On,
    /// It does not: only after the self-test has passed without.
    Off,
}

/// How a kernel sees a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Storage that it only reads.
    Read,
    /// Storage that it writes.
    Write,
    /// A small table.
    Uniform,
}

/// Which of a kernel's variants to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Integers {
    /// 64-bit integers in shaders where the adapter has them.
    #[default]
    Widest,
    /// 32-bit integers only, whatever the adapter has.
    Portable,
}

/// A kernel's source in the variants with and without 64-bit integers.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// For labels and errors.
    pub(super) name: &'static str,
    /// 32-bit integers only.
    pub(super) u32: Cow<'static, str>,
    /// With the feature `SHADER_INT64`.
    pub(super) u64: Cow<'static, str>,
}

impl Source {
    /// A variant as drivers are given it.
    ///
    /// # Errors
    /// [`BackendError::Compile`] with naga's words.
    pub(super) fn module(&self, integers: Integers) -> Result<wgpu::naga::Module, BackendError> {
        let text = match integers {
            Integers::Widest => &self.u64,
            Integers::Portable => &self.u32,
        };
        let mut module = wgpu::naga::front::wgsl::parse_str(text)
            .map_err(|error| BackendError::Compile(error.emit_to_string_with_path(text, self.name)))?;
        flatten(&mut module);
        Ok(module)
    }

    /// Both variants edited in the same way.
    ///
    /// # Errors
    /// Whatever `edit` gives.
    pub(super) fn edited(&self, edit: &dyn Fn(&str) -> Result<String, String>) -> Result<Self, String> {
        Ok(Self { name: self.name, u32: edit(&self.u32)?.into(), u64: edit(&self.u64)?.into() })
    }
}

/// Joins both variants of an entry file.
macro_rules! source {
    ($name:literal) => {
        $crate::backend::wgpu::gpu::Source {
            name: $name,
            u32: std::borrow::Cow::Borrowed(include_str!(concat!(env!("OUT_DIR"), "/", $name, "_u32.wgsl"))),
            u64: std::borrow::Cow::Borrowed(include_str!(concat!(env!("OUT_DIR"), "/", $name, "_u64.wgsl"))),
        }
    };
}
pub(super) use source;

/// An open device. Errors that wgpu reports out of line are kept and returned by the next [`Gpu::check`].
#[derive(Debug)]
pub(super) struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    info: wgpu::AdapterInfo,
    int64: bool,
    failure: Arc<Failures>,
}

/// What went wrong outside of any call.
#[derive(Debug, Default)]
struct Failures {
    /// The first that nobody has taken.
    first: Mutex<Option<BackendError>>,
    count: AtomicU64,
}

/// A copy to the host under way.
#[derive(Debug)]
pub(super) struct Pending {
    staging: wgpu::Buffer,
    bytes: u64,
    submission: wgpu::SubmissionIndex,
    mapped: mpsc::Receiver<Result<(), wgpu::BufferAsyncError>>,
}

impl Failures {
    fn keep(&self, error: BackendError) {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

impl Gpu {
    /// Opens an adapter with WebGPU's default limits, so that what runs here runs anywhere.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`] where the driver refuses.
    pub(super) fn open(adapter: &wgpu::Adapter, integers: Integers) -> Result<Self, BackendError> {
        let int64 = integers == Integers::Widest && adapter.features().contains(wgpu::Features::SHADER_INT64);
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("lockstep"),
            required_features: if int64 { wgpu::Features::SHADER_INT64 } else { wgpu::Features::empty() },
            required_limits: wgpu::Limits::default(),
            ..Default::default()
        };
        let info = adapter.get_info();
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|cause| BackendError::Unavailable(format!("{}: {cause}", info.name)))?;
        let failure = Arc::new(Failures::default());
        let slot = Arc::clone(&failure);
        device.on_uncaptured_error(Arc::new(move |error| {
            let text = error.to_string();
            slot.keep(if matches!(error, wgpu::Error::OutOfMemory { .. }) {
                BackendError::OutOfMemory(text)
            } else {
                BackendError::DeviceLost(text)
            });
        }));
        let slot = Arc::clone(&failure);
        device.set_device_lost_callback(move |reason, text| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                slot.keep(BackendError::DeviceLost(text));
            }
        });
        Ok(Self { device, queue, info, int64, failure })
    }

    /// The adapter's description.
    pub(super) const fn info(&self) -> &wgpu::AdapterInfo {
        &self.info
    }

    /// Makes everything from here on fail.
    pub(super) fn destroy(&self) {
        self.device.destroy();
    }

    /// Whether the shaders use 64-bit integers.
    pub(super) const fn has_int64(&self) -> bool {
        self.int64
    }

    /// Fails with what wgpu reported since the last call.
    ///
    /// # Errors
    /// The first failure.
    pub(super) fn check(&self) -> Result<(), BackendError> {
        self.failure.first.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }

    /// Runs work of which nothing stands if the device failed meanwhile: other work may run at the same time, and a
    /// failure does not say whose it is.
    ///
    /// # Errors
    /// Those of the work; that there was a failure.
    pub(super) fn guarded<R>(&self, work: impl FnOnce() -> Result<R, BackendError>) -> Result<R, BackendError> {
        let before = self.failure.count.load(Ordering::SeqCst);
        let result = work()?;
        if self.failure.count.load(Ordering::SeqCst) == before {
            Ok(result)
        } else {
            Err(BackendError::DeviceLost("a failure while other work ran".into()))
        }
    }

    /// Compiles the entry points of a kernel. Drivers may put the real work off to the first dispatch.
    ///
    /// # Errors
    /// [`BackendError::Compile`] with naga's or the driver's words.
    pub(super) fn pipelines<const N: usize>(
        &self,
        source: &Source,
        checks: Checks,
        layout: &wgpu::BindGroupLayout,
        entries: [&str; N],
    ) -> Result<[wgpu::ComputePipeline; N], BackendError> {
        let module = source.module(if self.int64 { Integers::Widest } else { Integers::Portable })?;
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let descriptor = wgpu::ShaderModuleDescriptor {
            label: Some(source.name),
            source: wgpu::ShaderSource::Naga(Cow::Owned(module)),
        };
        let module = match checks {
            Checks::On => self.device.create_shader_module(descriptor),
            // SAFETY: the host sizes every buffer for the lanes that the kernel is told of, lanes beyond return at once,
            // and every offset that a kernel follows was computed by the host or capped by the kernel. Loops end: each
            // counts towards a bound. The self-test runs before a module of this kind is used for anything else.
            Checks::Off => unsafe {
                self.device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked())
            },
        };
        let layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(source.name),
            bind_group_layouts: &[Some(layout)],
            immediate_size: 0,
        });
        let pipelines = entries.map(|entry| {
            self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(entry),
                layout: Some(&layout),
                module: &module,
                entry_point: Some(entry),
                compilation_options: wgpu::PipelineCompilationOptions {
                    zero_initialize_workgroup_memory: false,
                    ..Default::default()
                },
                cache: None,
            })
        });
        match pollster::block_on(scope.pop()) {
            Some(error) => Err(BackendError::Compile(format!("{}: {error}", source.name))),
            None => Ok(pipelines),
        }
    }

    /// A layout of one uniform at binding 0 and buffers behind it.
    pub(super) fn layout(&self, dynamic_params: bool, buffers: &[Access]) -> wgpu::BindGroupLayout {
        let entry = |binding, ty, has_dynamic_offset| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
            count: None,
        };
        let uniform = entry(0, wgpu::BufferBindingType::Uniform, dynamic_params);
        let behind = (1..).zip(buffers).map(|(binding, access)| {
            let ty = match access {
                Access::Read => wgpu::BufferBindingType::Storage { read_only: true },
                Access::Write => wgpu::BufferBindingType::Storage { read_only: false },
                Access::Uniform => wgpu::BufferBindingType::Uniform,
            };
            entry(binding, ty, false)
        });
        let entries: Vec<_> = std::iter::once(uniform).chain(behind).collect();
        self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries })
    }

    /// Binds a uniform and buffers in the order of [`Gpu::layout`].
    pub(super) fn bind(
        &self,
        layout: &wgpu::BindGroupLayout,
        params: wgpu::BufferBinding<'_>,
        buffers: &[&wgpu::Buffer],
    ) -> wgpu::BindGroup {
        let uniform = wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(params) };
        let behind = (1..)
            .zip(buffers)
            .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() });
        let entries: Vec<_> = std::iter::once(uniform).chain(behind).collect();
        self.device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries: &entries })
    }

    /// A buffer of at least `bytes`, contents undefined to the caller.
    pub(super) fn buffer(&self, bytes: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let size = bytes.max(16).next_multiple_of(16);
        self.device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
    }

    /// A storage buffer that can be written, cleared and read back.
    pub(super) fn storage(&self, bytes: u64) -> wgpu::Buffer {
        self.buffer(bytes, wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST)
    }

    /// A storage buffer of zeros. wgpu would else clear it in the first dispatch that binds it, however long that takes.
    ///
    /// # Errors
    /// The device failed.
    pub(super) fn zeros(&self, bytes: u64) -> Result<wgpu::Buffer, BackendError> {
        let buffer = self.storage(bytes);
        let starts = (0..buffer.size()).step_by(CLEARED_AT_ONCE as usize);
        let clear = |from: u64| {
            let len = CLEARED_AT_ONCE.min(buffer.size() - from);
            self.submit(|encoder| encoder.clear_buffer(&buffer, from, Some(len)))
        };
        self.wait(starts.map(clear).last())?;
        Ok(buffer)
    }

    /// Waits for a submission, or for all.
    fn wait(&self, submission_index: Option<wgpu::SubmissionIndex>) -> Result<(), BackendError> {
        let wait = wgpu::PollType::Wait { submission_index, timeout: None };
        self.device.poll(wait).map_err(|cause| BackendError::DeviceLost(cause.to_string()))?;
        self.check()
    }

    /// Queues a copy from the host into a buffer; `data` is a multiple of four bytes.
    pub(super) fn write<T: Pod>(&self, buffer: &wgpu::Buffer, offset: u64, data: &[T]) {
        if !data.is_empty() {
            self.queue.write_buffer(buffer, offset, bytemuck::cast_slice(data));
        }
    }

    /// Queues zeros for a range of a buffer, whose ends are multiples of four bytes.
    pub(super) fn clear(&self, buffer: &wgpu::Buffer, offset: u64, bytes: u64) {
        self.submit(|encoder| encoder.clear_buffer(buffer, offset, Some(bytes)));
    }

    /// Queues `count` rows from the host into a buffer, put together where they are copied from.
    ///
    /// # Panics
    /// `rows` are more or fewer.
    pub(super) fn write_rows(
        &self,
        buffer: &wgpu::Buffer,
        offset: u64,
        count: usize,
        rows: impl Iterator<Item = [u32; 4]>,
    ) {
        // Without a view there is an error, which the next check finds.
        if let Some(size) = wgpu::BufferSize::new(count as u64 * 16)
            && let Some(mut view) = self.queue.write_buffer_with(buffer, offset, size)
        {
            view.slice(..).into_chunks::<16>().0.write_iter(rows.map(bytemuck::cast::<_, [u8; 16]>));
        }
    }

    /// A buffer with contents.
    pub(super) fn upload<T: Pod>(&self, data: &[T], usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let buffer = self.buffer(size_of_val(data) as u64, usage | wgpu::BufferUsages::COPY_DST);
        self.write(&buffer, 0, data);
        buffer
    }

    /// Queues commands.
    pub(super) fn submit(&self, record: impl FnOnce(&mut wgpu::CommandEncoder)) -> wgpu::SubmissionIndex {
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        record(&mut encoder);
        self.queue.submit([encoder.finish()])
    }

    /// Queues one dispatch.
    pub(super) fn dispatch(
        &self,
        pipeline: &wgpu::ComputePipeline,
        group: &wgpu::BindGroup,
        offsets: &[u32],
        workgroups: u32,
    ) {
        self.submit(|encoder| {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, group, offsets);
            pass.dispatch_workgroups(workgroups, 1, 1);
        });
    }

    /// A buffer that [`Gpu::start_download`] can copy to.
    pub(super) fn staging(&self, bytes: u64) -> wgpu::Buffer {
        self.buffer(bytes, wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ)
    }

    /// Queues copies of byte ranges of buffers into `staging`, one behind the other. It may be used again once the
    /// download is finished.
    pub(super) fn start_download(&self, staging: wgpu::Buffer, ranges: &[(&wgpu::Buffer, u64, u64)]) -> Pending {
        let mut bytes = 0;
        let submission = self.submit(|encoder| {
            for (buffer, offset, len) in ranges.iter().filter(|range| range.2 > 0) {
                encoder.copy_buffer_to_buffer(buffer, *offset, &staging, bytes, *len);
                bytes += len;
            }
        });
        let (sender, mapped) = mpsc::channel();
        staging.map_async(wgpu::MapMode::Read, .., move |result| {
            // Nobody waits for the answer if the receiver is gone.
            let _ = sender.send(result);
        });
        Pending { staging, bytes, submission, mapped }
    }

    /// Waits for a download, and for what was queued before it.
    ///
    /// # Errors
    /// The device was lost, or an earlier operation failed.
    pub(super) fn finish_download(&self, pending: Pending) -> Result<Vec<u32>, BackendError> {
        let Pending { staging, bytes, submission, mapped } = pending;
        let lost = |cause: &dyn std::fmt::Display| BackendError::DeviceLost(cause.to_string());
        self.wait(Some(submission))?;
        mapped.recv().map_err(|cause| lost(&cause))?.map_err(|cause| lost(&cause))?;
        let view = staging.get_mapped_range(..bytes).map_err(|cause| lost(&cause))?;
        let words = bytemuck::pod_collect_to_vec(&view);
        drop(view);
        staging.unmap();
        Ok(words)
    }
}
