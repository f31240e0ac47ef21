//! Drives the `execute` kernel: uploads a batch, runs it in bounded slices, reads back what the lanes left.

use super::{
    gather::{self, Gather},
    gpu::{Checks, Gpu, MAX_BINDING, Source},
};
use crate::{
    abi::{self, FrameState, LaneState, LogEntry, OverlayEntry, Params},
    backend::{BackendError, Executed},
    lower::{Batch, LaneLog, LaneResult, address_from_limbs, address_limbs, from_limbs, limbs_of},
    park::{Answer, Request, Service},
    plan::LaneLimits,
};
use alloy_primitives::B256;
use bytemuck::Zeroable;
use std::{
    collections::HashSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
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

/// How much of the service's tables the device has.
#[derive(Debug, Default)]
struct Held {
    /// Words of code.
    codes: usize,
    /// Places in the index of the snapshot.
    places: usize,
    /// Its entries.
    entries: usize,
}

/// The kernel and its buffers.
#[derive(Debug)]
pub(super) struct Execute {
    layout: wgpu::BindGroupLayout,
    pipeline: wgpu::ComputePipeline,
    params: wgpu::Buffer,
    counters: wgpu::Buffer,
    gather: Gather,
    buffers: Mutex<Option<Buffers>>,
    slice_steps: AtomicU32,
}

/// Whether the buffer is a new one, with nothing in it.
fn grow(gpu: &Gpu, buffer: &mut wgpu::Buffer, bytes: u64) -> Result<bool, BackendError> {
    if bytes > MAX_BINDING {
        return Err(BackendError::OutOfMemory(format!("a binding of {bytes} bytes, the limit is {MAX_BINDING}")));
    }
    let short = buffer.size() < bytes;
    if short {
        *buffer = gpu.storage(bytes.next_power_of_two());
    }
    Ok(short)
}

impl Buffers {
    fn new(gpu: &Gpu) -> Self {
        let [batch, codes, snapshot, lanes, stack, memory, overlay] = std::array::from_fn(|_| gpu.storage(4096));
        Self { batch, codes, snapshot, lanes, stack, memory, overlay }
    }

    fn fit(&mut self, gpu: &Gpu, batch: &Batch, limits: &LaneLimits) -> Result<(), BackendError> {
        let lanes = batch.lanes.len() as u64;
        grow(gpu, &mut self.batch, batch.arena.len() as u64 * 4)?;
        grow(gpu, &mut self.lanes, lanes * u64::from(limits.lane_rows()) * ROW)?;
        grow(gpu, &mut self.stack, lanes * u64::from(limits.stack_words) * 2 * ROW)?;
        grow(gpu, &mut self.memory, lanes * u64::from(limits.memory_rows()) * 4)?;
        grow(gpu, &mut self.overlay, lanes * u64::from(limits.overlay_rows()) * ROW).map(drop)
    }

    /// Uploads what the service has beyond `held`; whether a buffer is a new one.
    fn sync(&mut self, gpu: &Gpu, held: &mut Held, service: &dyn Service) -> Result<bool, BackendError> {
        let (codes, snapshot) = (service.codes().words(), service.snapshot());
        let (index, entries) = (snapshot.index(), snapshot.entries());
        let index_bytes = size_of_val(index) as u64;
        let new_codes = grow(gpu, &mut self.codes, size_of_val(codes) as u64)?;
        let new_snapshot = grow(gpu, &mut self.snapshot, index_bytes + size_of_val(entries) as u64)?;
        if new_codes {
            held.codes = 0;
        }
        if new_snapshot || held.places != index.len() {
            *held = Held { places: 0, entries: 0, ..*held };
        }
        gpu.write(&self.codes, held.codes as u64 * 4, &codes[held.codes..]);
        if held.places == 0 || held.entries < entries.len() {
            gpu.write(&self.snapshot, 0, index);
            let held_bytes = size_of_val(&entries[..held.entries]) as u64;
            gpu.write(&self.snapshot, index_bytes + held_bytes, &entries[held.entries..]);
        }
        *held = Held { codes: codes.len(), places: index.len(), entries: entries.len() };
        Ok(new_codes || new_snapshot)
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
    pub(super) fn new(gpu: &Gpu, checks: Checks, source: &Source, gather: Gather) -> Result<Self, BackendError> {
        let layout = gpu.layout(false, &[true, true, true, false, false, false, false, false]);
        let [pipeline] = gpu.pipelines(source, checks, &layout, ["execute"])?;
        Ok(Self {
            layout,
            pipeline,
            params: gpu.buffer(size_of::<Params>() as u64, wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST),
            counters: gpu.storage(u64::from(abi::COUNTERS) * 4),
            gather,
            buffers: Mutex::new(None),
            slice_steps: 512.into(),
        })
    }

    /// Runs a batch to its end.
    ///
    /// # Errors
    /// Any [`BackendError`]; then nothing of the batch may be used.
    pub(super) fn run(
        &self,
        gpu: &Gpu,
        batch: &Batch,
        limits: &LaneLimits,
        service: &mut dyn Service,
    ) -> Result<Executed, BackendError> {
        let mut held = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let buffers = held.get_or_insert_with(|| Buffers::new(gpu));
        buffers.fit(gpu, batch, limits)?;
        self.upload(gpu, buffers, batch);
        let (dispatches, served) = self.slices(gpu, buffers, batch, limits, service)?;
        Ok(Executed { lanes: read_back(gpu, buffers, batch.lanes.len(), limits)?, dispatches, served })
    }

    fn upload(&self, gpu: &Gpu, buffers: &Buffers, batch: &Batch) {
        gpu.write(&buffers.batch, 0, &batch.arena);
        let lanes: Vec<_> = batch.lanes.iter().map(|lane| bytemuck::cast_slice(std::slice::from_ref(lane))).collect();
        gpu.write(&buffers.lanes, 0, &interleave(&lanes, LANE_ROWS));
        let frames: Vec<_> =
            batch.frames.iter().map(|frame| bytemuck::cast_slice(std::slice::from_ref(frame))).collect();
        gpu.write(&buffers.lanes, (LANE_ROWS * batch.lanes.len()) as u64 * ROW, &interleave(&frames, FRAME_ROWS));
        let most = batch.entries.iter().map(Vec::len).max().unwrap_or(0);
        let entries: Vec<_> = batch.entries.iter().map(|entries| bytemuck::cast_slice(entries)).collect();
        gpu.write(&buffers.overlay, 0, &interleave(&entries, most * ENTRY_ROWS));
    }

    fn group(&self, gpu: &Gpu, buffers: &Buffers) -> wgpu::BindGroup {
        gpu.bind(
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
        )
    }

    /// Runs slices until every lane has ended, requests served in between; gives dispatches and requests.
    fn slices(
        &self,
        gpu: &Gpu,
        buffers: &mut Buffers,
        batch: &Batch,
        limits: &LaneLimits,
        service: &mut dyn Service,
    ) -> Result<(u64, u64), BackendError> {
        let workgroups = batch.params.lanes.div_ceil(abi::WORKGROUP);
        let (mut dispatches, mut served) = (0, 0);
        let mut held = Held::default();
        let mut left = HashSet::new();
        buffers.sync(gpu, &mut held, service)?;
        let mut group = self.group(gpu, buffers);
        loop {
            let slice_steps = self.slice_steps.load(Ordering::Relaxed);
            let snapshot_mask = service.snapshot().mask();
            gpu.write(&self.params, 0, &[Params { slice_steps, snapshot_mask, ..batch.params }]);
            gpu.write(&self.counters, 0, &[0_u32; abi::COUNTERS as usize]);
            let start = Instant::now();
            gpu.dispatch(&self.pipeline, &group, &[], workgroups);
            let counters = gpu.download(&[(&self.counters, 0, u64::from(abi::COUNTERS) * 4)])?;
            dispatches += 1;
            let [running, _, parked, _] = counters[..] else { return Err(beyond_caps()) };
            if running == 0 && parked == 0 {
                return Ok((dispatches, served));
            }
            if running > 0 {
                self.adapt(slice_steps, start.elapsed());
            }
            if parked > 0 {
                served += u64::from(parked);
                self.serve(gpu, buffers, batch.params.lanes, limits, service, &mut left)?;
                if buffers.sync(gpu, &mut held, service)? {
                    group = self.group(gpu, buffers);
                }
            }
        }
    }

    /// Steps of the next slice, by what the last took.
    fn adapt(&self, slice_steps: u32, took: Duration) {
        let next = if took > SLICE_AIM {
            slice_steps / 2
        } else if took < SLICE_AIM / 4 {
            slice_steps * 2
        } else {
            slice_steps
        };
        self.slice_steps.store(next.clamp(*SLICE_STEPS.start(), *SLICE_STEPS.end()), Ordering::Relaxed);
    }

    /// Hands the requests of all parked lanes but those `left` to the service, and its answers to the lanes.
    fn serve(
        &self,
        gpu: &Gpu,
        buffers: &Buffers,
        lanes: u32,
        limits: &LaneLimits,
        service: &mut dyn Service,
        left: &mut HashSet<usize>,
    ) -> Result<(), BackendError> {
        let mut states = lane_states(gpu, buffers, lanes as usize, limits)?;
        let waits = |(lane, state): &(usize, &LaneState)| state.status == abi::STATUS_PARKED && !left.contains(lane);
        let parked: Vec<usize> = states.iter().enumerate().filter(waits).map(|(lane, _)| lane).collect();
        let range = |lane: &usize| {
            let LaneState { request_offset: offset, request_len: len, .. } = states[*lane];
            gather::Range { lane: *lane as u32, offset, len }
        };
        let ranges: Vec<_> = parked.iter().map(range).collect();
        let memory = u64::from(limits.memory_rows()) * 4;
        if ranges.iter().any(|range| u64::from(range.offset) + u64::from(range.len) > memory) {
            return Err(beyond_caps());
        }
        let bytes = self.gather.run(gpu, &buffers.memory, lanes, &ranges)?;
        let requests: Vec<_> =
            parked.iter().zip(bytes).map(|(lane, bytes)| Request::new(*lane, &states[*lane], bytes)).collect();
        let answers = service.serve(&requests);
        if answers.len() != requests.len() {
            return Err(BackendError::Abi(format!("{} answers to {} requests", answers.len(), requests.len())));
        }
        let mut replied = false;
        for (lane, answer) in parked.into_iter().zip(answers) {
            let state = &mut states[lane];
            match answer {
                Answer::Resume => state.status = abi::STATUS_RUNNING,
                Answer::Reply { address, word, len } => {
                    state.status = abi::STATUS_RUNNING;
                    state.request_address = address_limbs(&address);
                    state.request_word = limbs_of(word);
                    state.request_len = len;
                    replied = true;
                }
                Answer::End(reason) => state.status = abi::STATUS_FALLBACK + reason as u32,
                Answer::Leave => drop(left.insert(lane)),
            }
        }
        let rows: Vec<_> = states.iter().map(|state| bytemuck::cast_slice(std::slice::from_ref(state))).collect();
        let rows = interleave(&rows, LANE_ROWS);
        gpu.write(&buffers.lanes, 0, &rows[..if replied { rows.len() } else { lanes as usize }]);
        Ok(())
    }
}

/// The registers of all lanes.
fn lane_states(
    gpu: &Gpu,
    buffers: &Buffers,
    lanes: usize,
    limits: &LaneLimits,
) -> Result<Vec<LaneState>, BackendError> {
    let rows = gpu.download(&[(&buffers.lanes, 0, (lanes * LANE_ROWS) as u64 * ROW)])?;
    let mut states = vec![LaneState::zeroed(); lanes];
    for (lane, state) in states.iter_mut().enumerate() {
        let words: &mut [[u32; 4]] = bytemuck::cast_slice_mut(std::slice::from_mut(state));
        for (index, value) in words.iter_mut().enumerate() {
            *value = row(&rows, lanes, index, lane);
        }
        check_caps(state, limits)?;
    }
    Ok(states)
}

/// Row `row` of `lane` in rows read back from the start of a buffer.
fn row(rows: &[u32], lanes: usize, row: usize, lane: usize) -> [u32; 4] {
    std::array::from_fn(|i| rows[(row * lanes + lane) * 4 + i])
}

fn read_back(gpu: &Gpu, buffers: &Buffers, lanes: usize, limits: &LaneLimits) -> Result<Vec<LaneResult>, BackendError> {
    let n = lanes as u64;
    let states = lane_states(gpu, buffers, lanes, limits)?;
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
