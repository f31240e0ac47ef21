//! Drives the `execute` kernel: uploads a batch, runs it in bounded slices, reads back what the lanes left.

use super::gpu::{Checks, Gpu, MAX_BINDING, Source};
use crate::{
    abi::{self, FrameState, LaneState, LogEntry, OverlayEntry, Params},
    backend::{BackendError, Executed},
    lower::{Batch, LaneLog, LaneResult, address_from_limbs, from_limbs},
    plan::LaneLimits,
};
use alloy_primitives::B256;
use bytemuck::Zeroable;
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Watchdogs kill kernels that run for seconds; a slice aims at staying below this.
const SLICE_AIM: Duration = Duration::from_millis(50);
const SLICE_STEPS: std::ops::RangeInclusive<u32> = 64..=65_536;

const ROW: u64 = 16;
const LANE_ROWS: usize = size_of::<LaneState>() / 16;
const FRAME_ROWS: usize = size_of::<FrameState>() / 16;
const ENTRY_ROWS: usize = size_of::<OverlayEntry>() / 16;
const LOG_ROWS: usize = size_of::<LogEntry>() / 16;

/// Buffers of the last batch, kept for the next: they only grow.
#[derive(Debug)]
struct Buffers {
    batch: wgpu::Buffer,
    codes: wgpu::Buffer,
    snapshot: wgpu::Buffer,
    lanes: wgpu::Buffer,
    stack: wgpu::Buffer,
    memory: wgpu::Buffer,
    overlay: wgpu::Buffer,
}

/// The kernel and its buffers.
#[derive(Debug)]
pub(super) struct Execute {
    layout: wgpu::BindGroupLayout,
    pipeline: wgpu::ComputePipeline,
    params: wgpu::Buffer,
    counters: wgpu::Buffer,
    buffers: Mutex<Option<Buffers>>,
    slice_steps: std::sync::atomic::AtomicU32,
}

fn grow(gpu: &Gpu, buffer: &mut wgpu::Buffer, bytes: u64) -> Result<(), BackendError> {
    if bytes > MAX_BINDING {
        return Err(BackendError::OutOfMemory(format!("a binding of {bytes} bytes, the limit is {MAX_BINDING}")));
    }
    if buffer.size() < bytes {
        *buffer = gpu.storage(bytes.next_power_of_two());
    }
    Ok(())
}

impl Buffers {
    fn new(gpu: &Gpu) -> Self {
        let [batch, codes, snapshot, lanes, stack, memory, overlay] = std::array::from_fn(|_| gpu.storage(4096));
        Self { batch, codes, snapshot, lanes, stack, memory, overlay }
    }

    fn fit(&mut self, gpu: &Gpu, batch: &Batch<'_>, limits: &LaneLimits) -> Result<(), BackendError> {
        let lanes = batch.lanes.len() as u64;
        grow(gpu, &mut self.batch, batch.arena.len() as u64 * 4)?;
        grow(gpu, &mut self.codes, batch.codes.words().len() as u64 * 4)?;
        grow(gpu, &mut self.snapshot, size_of_val(batch.snapshot.entries()) as u64)?;
        grow(gpu, &mut self.lanes, lanes * u64::from(limits.lane_rows()) * ROW)?;
        grow(gpu, &mut self.stack, lanes * u64::from(limits.stack_words) * 2 * ROW)?;
        grow(gpu, &mut self.memory, lanes * u64::from(limits.memory_rows()) * 4)?;
        grow(gpu, &mut self.overlay, lanes * u64::from(limits.overlay_rows()) * ROW)
    }
}

/// `[row][lane]` of `items` as rows, absent ones zero.
fn interleave(items: &[&[[u32; 4]]], rows: usize) -> Vec<[u32; 4]> {
    let lanes = items.len();
    let mut out = vec![[0; 4]; rows * lanes];
    for (lane, item) in items.iter().enumerate() {
        for (row, value) in item.iter().enumerate() {
            out[row * lanes + lane] = *value;
        }
    }
    out
}

impl Execute {
    /// Compiles the kernel.
    ///
    /// # Errors
    /// [`BackendError::Compile`].
    pub(super) fn new(gpu: &Gpu, checks: Checks, source: &Source) -> Result<Self, BackendError> {
        let layout = gpu.layout(false, &[true, true, true, false, false, false, false, false]);
        let [pipeline] = gpu.pipelines(source, checks, &layout, ["execute"])?;
        Ok(Self {
            layout,
            pipeline,
            params: gpu.buffer(size_of::<Params>() as u64, wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST),
            counters: gpu.storage(u64::from(abi::COUNTERS) * 4),
            buffers: Mutex::new(None),
            slice_steps: 512.into(),
        })
    }

    /// Runs a batch to its end.
    ///
    /// # Errors
    /// Any [`BackendError`]; then nothing of the batch may be used.
    pub(super) fn run(&self, gpu: &Gpu, batch: &Batch<'_>, limits: &LaneLimits) -> Result<Executed, BackendError> {
        let mut held = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let buffers = held.get_or_insert_with(|| Buffers::new(gpu));
        buffers.fit(gpu, batch, limits)?;
        self.upload(gpu, buffers, batch);
        let group = gpu.bind(
            &self.layout,
            self.params.as_entire_buffer_binding(),
            &[
                &buffers.batch,
                &buffers.codes,
                &buffers.snapshot,
                &buffers.lanes,
                &buffers.stack,
                &buffers.memory,
                &buffers.overlay,
                &self.counters,
            ],
        );
        let dispatches = self.slices(gpu, &group, batch)?;
        Ok(Executed { lanes: read_back(gpu, buffers, batch.lanes.len(), limits)?, dispatches })
    }

    fn upload(&self, gpu: &Gpu, buffers: &Buffers, batch: &Batch<'_>) {
        gpu.write(&buffers.batch, 0, &batch.arena);
        gpu.write(&buffers.codes, 0, batch.codes.words());
        gpu.write(&buffers.snapshot, 0, batch.snapshot.entries());
        let lanes: Vec<_> = batch.lanes.iter().map(|lane| bytemuck::cast_slice(std::slice::from_ref(lane))).collect();
        gpu.write(&buffers.lanes, 0, &interleave(&lanes, LANE_ROWS));
        let frames: Vec<_> =
            batch.frames.iter().map(|frame| bytemuck::cast_slice(std::slice::from_ref(frame))).collect();
        gpu.write(&buffers.lanes, (LANE_ROWS * batch.lanes.len()) as u64 * ROW, &interleave(&frames, FRAME_ROWS));
        let most = batch.entries.iter().map(Vec::len).max().unwrap_or(0);
        let entries: Vec<_> = batch.entries.iter().map(|entries| bytemuck::cast_slice(entries)).collect();
        gpu.write(&buffers.overlay, 0, &interleave(&entries, most * ENTRY_ROWS));
    }

    fn slices(&self, gpu: &Gpu, group: &wgpu::BindGroup, batch: &Batch<'_>) -> Result<u64, BackendError> {
        use std::sync::atomic::Ordering;
        let workgroups = batch.params.lanes.div_ceil(abi::WORKGROUP);
        let mut dispatches = 0;
        loop {
            let slice_steps = self.slice_steps.load(Ordering::Relaxed);
            gpu.write(&self.params, 0, &[Params { slice_steps, ..batch.params }]);
            gpu.write(&self.counters, 0, &[0_u32; abi::COUNTERS as usize]);
            let start = Instant::now();
            gpu.dispatch(&self.pipeline, group, &[], workgroups);
            let counters = gpu.download(&[(&self.counters, 0, u64::from(abi::COUNTERS) * 4)])?;
            dispatches += 1;
            if counters[0] == 0 {
                return Ok(dispatches);
            }
            let took = start.elapsed();
            let next = if took > SLICE_AIM {
                slice_steps / 2
            } else if took < SLICE_AIM / 4 {
                slice_steps * 2
            } else {
                slice_steps
            };
            self.slice_steps.store(next.clamp(*SLICE_STEPS.start(), *SLICE_STEPS.end()), Ordering::Relaxed);
        }
    }
}

/// Row `row` of `lane` in rows read back from the start of a buffer.
fn row(rows: &[u32], lanes: usize, row: usize, lane: usize) -> [u32; 4] {
    std::array::from_fn(|i| rows[(row * lanes + lane) * 4 + i])
}

fn read_back(gpu: &Gpu, buffers: &Buffers, lanes: usize, limits: &LaneLimits) -> Result<Vec<LaneResult>, BackendError> {
    let n = lanes as u64;
    let rows = gpu.download(&[(&buffers.lanes, 0, n * LANE_ROWS as u64 * ROW)])?;
    let mut states = vec![LaneState::zeroed(); lanes];
    for (lane, state) in states.iter_mut().enumerate() {
        let words: &mut [[u32; 4]] = bytemuck::cast_slice_mut(std::slice::from_mut(state));
        for (index, value) in words.iter_mut().enumerate() {
            *value = row(&rows, lanes, index, lane);
        }
        check_caps(state, limits)?;
    }
    let most = |count: fn(&LaneState) -> u32| states.iter().map(count).max().unwrap_or(0) as usize;
    let entry_rows = most(|state| state.entries) * ENTRY_ROWS;
    let log_rows = most(|state| state.logs) * LOG_ROWS;
    let data_limbs = most(|state| state.log_limbs);
    let output_limbs =
        most(|state| if state.output_len == 0 { 0 } else { (state.output_offset + state.output_len).div_ceil(4) });
    let sizes = [
        entry_rows as u64 * n * ROW,
        log_rows as u64 * n * ROW,
        data_limbs as u64 * n * 4,
        output_limbs as u64 * n * 4,
    ];
    let words = gpu.download(&[
        (&buffers.overlay, 0, sizes[0]),
        (&buffers.overlay, u64::from(limits.slots) * ENTRY_ROWS as u64 * n * ROW, sizes[1]),
        (&buffers.memory, u64::from(limits.memory_limbs) * n * 4, sizes[2]),
        (&buffers.memory, 0, sizes[3]),
    ])?;
    let (entries, rest) = words.split_at(sizes[0] as usize / 4);
    let (logs, rest) = rest.split_at(sizes[1] as usize / 4);
    let (data, output) = rest.split_at(sizes[2] as usize / 4);
    let mut results = Vec::with_capacity(lanes);
    for (lane, state) in states.into_iter().enumerate() {
        let entry = |index| {
            let rows: [[u32; 4]; ENTRY_ROWS] =
                std::array::from_fn(|r| row(entries, lanes, index * ENTRY_ROWS + r, lane));
            bytemuck::cast::<_, OverlayEntry>(rows)
        };
        let log = |index| read_log(logs, data, lanes, index, lane, &state);
        results.push(LaneResult {
            entries: (0..state.entries as usize).map(entry).collect(),
            logs: (0..state.logs as usize).map(log).collect::<Result<_, _>>()?,
            output: bytes(output, lanes, lane, state.output_offset as usize, state.output_len as usize),
            state,
        });
    }
    Ok(results)
}

fn beyond_caps() -> BackendError {
    BackendError::DeviceLost("a lane came back beyond its caps".into())
}

/// A lane that claims more than its caps has been corrupted: better no batch than a wrong one.
fn check_caps(state: &LaneState, limits: &LaneLimits) -> Result<(), BackendError> {
    let output_end = u64::from(state.output_offset) + u64::from(state.output_len);
    let output_fits = state.output_len == 0 || output_end <= u64::from(limits.memory_limbs) * 4;
    if state.entries > limits.slots || state.logs > limits.logs || state.log_limbs > limits.log_limbs || !output_fits {
        return Err(beyond_caps());
    }
    Ok(())
}

/// Bytes of a lane's `[limb][lane]` memory.
fn bytes(limbs: &[u32], lanes: usize, lane: usize, offset: usize, len: usize) -> Vec<u8> {
    (offset..offset + len).map(|at| limbs[at / 4 * lanes + lane].to_le_bytes()[at % 4]).collect()
}

fn read_log(
    logs: &[u32],
    data: &[u32],
    lanes: usize,
    index: usize,
    lane: usize,
    state: &LaneState,
) -> Result<LaneLog, BackendError> {
    let rows: [[u32; 4]; LOG_ROWS] = std::array::from_fn(|r| row(logs, lanes, index * LOG_ROWS + r, lane));
    let entry: LogEntry = bytemuck::cast(rows);
    if u64::from(entry.data_limb) + u64::from(entry.data_len).div_ceil(4) > u64::from(state.log_limbs) {
        return Err(beyond_caps());
    }
    let [a, b, c, d] = entry.address;
    let topics = entry.topic.as_chunks::<8>().0.iter().take(entry.topics as usize);
    Ok(LaneLog {
        address: address_from_limbs([entry.address0, a, b, c, d]),
        topics: topics.map(|topic| B256::from(from_limbs(*topic))).collect(),
        data: bytes(data, lanes, lane, entry.data_limb as usize * 4, entry.data_len as usize),
    })
}
