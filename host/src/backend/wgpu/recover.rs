//! Drives `recover`: chunks of signatures, short dispatches over buffers that are kept, and what the kernel leaves to the CPU.

use super::{
    WORKGROUP,
    chunks::{DEPTH, pipelined},
    gpu::{Access, Checks, Gpu, Pending, Source},
};
use crate::{
    abi::{self, BatchParams, RecoverItem, RecoverResult},
    backend::BackendError,
    curve,
    lower::{address_from_limbs, limbs_of},
    recover::{RecoverError, RecoverRequest, recover_one},
};
use alloy_primitives::{Address, U256};
use bytemuck::Zeroable;
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

/// Lanes of a chunk: the widest buffer takes 768 bytes a lane, all of them together 65 MiB.
const CHUNK: usize = 65_536;
/// Rounds of the ladder and where its dispatches are cut.
const LADDER_SLICES: [(u32, u32); 4] = [(0, 12), (12, 23), (23, 33), (33, 49)];
/// 32-bit planes of recovery's scratch state.
const STATE_LIMBS: u64 = 51;
/// Bytes of a lane's table of multiples of R.
const TABLE_BYTES: u64 = 8 * 96;
/// Distance of uniform blocks in their buffer, in 32-bit words.
const PARAMS_STRIDE: usize = 64;
/// One in so many recovered addresses is checked against the CPU reference.
const SAMPLE: usize = 1000;
/// Lanes that are worth another thread of the host.
const SHARE: usize = 1024;
/// Invocations that invert for all lanes of a chunk, at most. An inversion costs as much as some 90 lanes' part in one, so
/// few would do; a GPU has to have its cores busy while they take turns at it, a software driver only its vectors.
const INVERTERS: u32 = 4096;
const INVERTERS_IN_SOFTWARE: u32 = 256;
/// Lanes of an inversion, at least: they add little to how long it takes.
const LANES_AN_INVERSION: u32 = 8;

const STAGES: [&str; 7] = [
    "recover_lift",
    "recover_invert_r",
    "recover_scalars",
    "recover_table",
    "recover_ladder",
    "recover_invert_z",
    "recover_finish",
];

/// What a chunk needs of its own while others are under way.
#[derive(Debug)]
struct Slot {
    params: wgpu::Buffer,
    input: wgpu::Buffer,
    output: wgpu::Buffer,
    staging: wgpu::Buffer,
    group: wgpu::BindGroup,
}

/// Buffers for chunks of up to `lanes`. The device takes chunks one after the other, so they share the scratch.
#[derive(Debug)]
struct Buffers {
    lanes: usize,
    slots: Vec<Slot>,
}

/// The kernel, the table of G, and the buffers of the largest call so far.
#[derive(Debug)]
pub(super) struct Recover {
    layout: wgpu::BindGroupLayout,
    stages: [wgpu::ComputePipeline; 7],
    g_table: wgpu::Buffer,
    inverters: u32,
    /// Taken out by a call and put back by it: no lock is held while work goes on, and one that failed leaves nothing.
    kept: Mutex<Option<Buffers>>,
}

impl Recover {
    /// Compiles the kernel.
    ///
    /// # Errors
    /// [`BackendError::Compile`].
    pub(super) fn new(gpu: &Gpu, checks: Checks, source: &Source) -> Result<Self, BackendError> {
        let layout = gpu.layout(true, &[Access::Read, Access::Write, Access::Write, Access::Write, Access::Read]);
        let stages = gpu.pipelines(source, checks, &layout, STAGES)?;
        let g_table = curve::g_table().map_err(|error| BackendError::Abi(format!("the table of G: {error}")))?;
        let g_table = gpu.upload(g_table, wgpu::BufferUsages::STORAGE);
        let inverters = match gpu.info().device_type {
            wgpu::DeviceType::Cpu => INVERTERS_IN_SOFTWARE,
            _ => INVERTERS,
        };
        Ok(Self { layout, stages, g_table, inverters, kept: Mutex::new(None) })
    }

    /// The signer of each request, in order. What the kernel flags is decided by the CPU reference, on the threads of the
    /// current rayon pool, while the device is at the next chunk.
    ///
    /// # Errors
    /// Any [`BackendError`]; then nothing of the result may be used.
    pub(super) fn run(
        &self,
        gpu: &Gpu,
        requests: &[RecoverRequest],
    ) -> Result<Vec<Result<Address, RecoverError>>, BackendError> {
        let mut signers = Vec::with_capacity(requests.len());
        self.chunks(gpu, requests, |chunk, results| {
            let first = signers.len();
            let judge = |(index, (request, result)): (usize, (&RecoverRequest, &RecoverResult))| {
                if result.status != abi::STATUS_RECOVERED {
                    return Ok(recover_one(request));
                }
                let address = address_from_limbs(result.address);
                if (first + index).is_multiple_of(SAMPLE) && recover_one(request) != Ok(address) {
                    return Err(BackendError::DeviceLost(format!("a wrong address for {request:?}")));
                }
                Ok(Ok(address))
            };
            let lanes = chunk.par_iter().zip(results).enumerate().with_min_len(flagged_share(results));
            let judged: Vec<_> = lanes.map(judge).collect::<Result<_, _>>()?;
            signers.extend(judged);
            Ok(())
        })?;
        Ok(signers)
    }

    /// What the kernel itself says of each request, in order.
    ///
    /// # Errors
    /// As [`Recover::run`].
    pub(super) fn lanes(&self, gpu: &Gpu, requests: &[RecoverRequest]) -> Result<Vec<RecoverResult>, BackendError> {
        let mut all = Vec::with_capacity(requests.len());
        self.chunks(gpu, requests, |_, results| {
            all.extend_from_slice(results);
            Ok(())
        })?;
        Ok(all)
    }

    /// Gives `take` every chunk with its results, in order.
    fn chunks(
        &self,
        gpu: &Gpu,
        requests: &[RecoverRequest],
        mut take: impl FnMut(&[RecoverRequest], &[RecoverResult]) -> Result<(), BackendError>,
    ) -> Result<(), BackendError> {
        if requests.is_empty() {
            return Ok(());
        }
        let buffers = self.buffers(gpu, requests.len());
        let mut items = Vec::new();
        let start = |slot: usize, chunk| {
            let slot = buffers.slots.get(slot).ok_or_else(|| BackendError::Abi(format!("no buffers {slot}")))?;
            Ok((chunk, self.start(gpu, slot, buffers.lanes, chunk, &mut items)))
        };
        let finish = |(chunk, pending): (&[RecoverRequest], Pending)| {
            let words = gpu.finish_download(pending)?;
            take(chunk, &bytemuck::pod_collect_to_vec(&words))
        };
        pipelined(requests.chunks(CHUNK), start, finish)?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_none_or(|kept| kept.lanes <= buffers.lanes) {
            *kept = Some(buffers);
        }
        Ok(())
    }

    /// The buffers that were kept, or larger ones.
    fn buffers(&self, gpu: &Gpu, requests: usize) -> Buffers {
        let slots = requests.div_ceil(CHUNK).min(DEPTH);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(kept) = kept.filter(|kept| kept.lanes >= requests.min(CHUNK) && kept.slots.len() >= slots) {
            return kept;
        }
        // Powers of two, so that calls that grow do not allocate each time.
        let lanes = requests.next_power_of_two().clamp(WORKGROUP as usize, CHUNK);
        let state = gpu.storage(STATE_LIMBS * 4 * lanes as u64);
        let r_table = gpu.storage(TABLE_BYTES * lanes as u64);
        let slot = || {
            let params_bytes = (PARAMS_STRIDE * LADDER_SLICES.len() * 4) as u64;
            let params = gpu.buffer(params_bytes, wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST);
            let input = gpu.storage((lanes * size_of::<RecoverItem>()) as u64);
            let bytes = (lanes * size_of::<RecoverResult>()) as u64;
            let (output, staging) = (gpu.storage(bytes), gpu.staging(bytes));
            let size = std::num::NonZeroU64::new(size_of::<BatchParams>() as u64);
            let binding = wgpu::BufferBinding { buffer: &params, offset: 0, size };
            let group = gpu.bind(&self.layout, binding, &[&input, &output, &state, &r_table, &self.g_table]);
            Slot { params, input, output, staging, group }
        };
        Buffers { lanes, slots: std::iter::repeat_with(slot).take(slots).collect() }
    }

    /// Queues all that a chunk needs. `items` is scratch.
    fn start(
        &self,
        gpu: &Gpu,
        slot: &Slot,
        lanes: usize,
        chunk: &[RecoverRequest],
        items: &mut Vec<RecoverItem>,
    ) -> Pending {
        chunk.par_iter().with_min_len(SHARE).map(item).collect_into_vec(items);
        gpu.write(&slot.input, 0, items);
        let (count, stride) = (chunk.len() as u32, lanes as u32);
        let inverters = self.inverters.min(count.div_ceil(LANES_AN_INVERSION));
        let mut params = [0_u32; PARAMS_STRIDE * LADDER_SLICES.len()];
        for (block, (first, last)) in params.chunks_exact_mut(PARAMS_STRIDE).zip(LADDER_SLICES) {
            let words: [u32; 8] =
                bytemuck::cast(BatchParams { count, stride, first, last, inverters, ..BatchParams::zeroed() });
            block[..8].copy_from_slice(&words);
        }
        gpu.write(&slot.params, 0, &params);
        // Kept buffers hold the last chunk's results; what does not run must read as such.
        let bytes = size_of::<RecoverResult>() as u64 * u64::from(count);
        gpu.submit(|encoder| encoder.clear_buffer(&slot.output, 0, Some(bytes)));

        let [lift, invert_r, scalars, table, ladder, invert_z, finish] = &self.stages;
        let run = |stage, invocations: u32, slice: usize| {
            let offset = (slice * PARAMS_STRIDE * 4) as u32;
            gpu.dispatch(stage, &slot.group, &[offset], invocations.div_ceil(WORKGROUP));
        };
        run(lift, count, 0);
        run(invert_r, inverters, 0);
        run(scalars, count, 0);
        run(table, count, 0);
        for slice in 0..LADDER_SLICES.len() {
            run(ladder, count, slice);
        }
        run(invert_z, inverters, 0);
        run(finish, count, 0);
        gpu.start_download(slot.staging.clone(), &[(&slot.output, 0, bytes)])
    }
}

/// Lanes that are worth another thread: a lane that is decided by the CPU takes as long as a thousand that are not.
fn flagged_share(results: &[RecoverResult]) -> usize {
    let flagged = results.iter().filter(|result| result.status != abi::STATUS_RECOVERED).count();
    (SHARE / (1 + flagged)).max(1)
}

fn item(request: &RecoverRequest) -> RecoverItem {
    RecoverItem {
        z: limbs_of(U256::from_be_bytes(request.hash.0)),
        r: limbs_of(request.r),
        s: limbs_of(request.s),
        recovery_id: request.recovery_id.into(),
        flags: if request.low_s { abi::RECOVER_LOW_S } else { 0 },
        ..RecoverItem::zeroed()
    }
}
