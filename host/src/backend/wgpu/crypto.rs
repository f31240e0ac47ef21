//! Drives the batched crypto kernels, `recover` and `keccak_batch`: chunks, uploads, short dispatches, checks.

use super::gpu::{Checks, Gpu, MAX_BINDING, Source};
use crate::{
    abi::{self, BatchParams, RecoverItem, RecoverResult},
    backend::BackendError,
    curve,
    lower::{address_from_limbs, limbs_of},
    recover::{RecoverError, RecoverRequest, recover_one},
};
use alloy_primitives::{Address, B256, U256};
use bytemuck::Zeroable;
use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
};

/// Lanes of a recovery chunk: the widest buffer takes 768 bytes a lane.
const RECOVER_CHUNK: usize = 65_536;
/// Rounds of the ladder and where its dispatches are cut.
const LADDER_SLICES: [(u32, u32); 4] = [(0, 12), (12, 23), (23, 33), (33, 49)];
/// 32-bit planes of recovery's scratch state.
const STATE_LIMBS: u64 = 51;
/// Bytes of a lane's table of multiples of R.
const TABLE_BYTES: u64 = 8 * 96;
const KECCAK_CHUNK: usize = 1 << 20;
const WORKGROUP: u32 = 64;
/// Distance of uniform blocks in their buffer, in 32-bit words.
const PARAMS_STRIDE: usize = 64;
/// One in so many recovered addresses is checked against the CPU reference.
const SAMPLE: usize = 1000;

const STAGES: [&str; 7] = [
    "recover_lift",
    "recover_invert_r",
    "recover_scalars",
    "recover_table",
    "recover_ladder",
    "recover_invert_z",
    "recover_finish",
];

#[derive(Debug)]
struct Scratch {
    lanes: u64,
    state: wgpu::Buffer,
    r_table: wgpu::Buffer,
}

/// The kernels, the table of G, and scratch of the largest chunk so far.
#[derive(Debug)]
pub(super) struct Crypto {
    recover_layout: wgpu::BindGroupLayout,
    recover: [wgpu::ComputePipeline; 7],
    keccak_layout: wgpu::BindGroupLayout,
    keccak: wgpu::ComputePipeline,
    g_table: wgpu::Buffer,
    scratch: Mutex<Option<Scratch>>,
}

impl Crypto {
    /// Compiles the kernels.
    ///
    /// # Errors
    /// [`BackendError::Compile`].
    pub(super) fn new(gpu: &Gpu, checks: Checks, recover: &Source, keccak: &Source) -> Result<Self, BackendError> {
        let recover_layout = gpu.layout(true, &[true, false, false, false, true]);
        let keccak_layout = gpu.layout(false, &[true, true, false]);
        let recover = gpu.pipelines(recover, checks, &recover_layout, STAGES)?;
        let [keccak] = gpu.pipelines(keccak, checks, &keccak_layout, ["keccak_batch"])?;
        let g_table = curve::g_table().map_err(|error| BackendError::Abi(format!("the table of G: {error}")))?;
        let g_table = gpu.upload(g_table, wgpu::BufferUsages::STORAGE);
        Ok(Self { recover_layout, recover, keccak_layout, keccak, g_table, scratch: Mutex::new(None) })
    }

    /// The signer of each request, in order. What the kernel flags is decided by the CPU reference.
    ///
    /// # Errors
    /// Any [`BackendError`]; then nothing of the result may be used.
    pub(super) fn recover(
        &self,
        gpu: &Gpu,
        requests: &[RecoverRequest],
    ) -> Result<Vec<Result<Address, RecoverError>>, BackendError> {
        let redo = |(index, (request, result)): (usize, (&RecoverRequest, RecoverResult))| {
            if result.status != abi::STATUS_RECOVERED {
                return Ok(recover_one(request));
            }
            let address = address_from_limbs(result.address);
            if index % SAMPLE == 0 && recover_one(request) != Ok(address) {
                return Err(BackendError::DeviceLost(format!("a wrong address for {request:?}")));
            }
            Ok(Ok(address))
        };
        requests.iter().zip(self.recover_lanes(gpu, requests)?).enumerate().map(redo).collect()
    }

    /// What the kernel itself says of each request, in order.
    ///
    /// # Errors
    /// As [`Crypto::recover`].
    pub(super) fn recover_lanes(
        &self,
        gpu: &Gpu,
        requests: &[RecoverRequest],
    ) -> Result<Vec<RecoverResult>, BackendError> {
        let mut results = Vec::with_capacity(requests.len());
        for chunk in requests.chunks(RECOVER_CHUNK) {
            results.extend(self.recover_chunk(gpu, chunk)?);
        }
        Ok(results)
    }

    fn recover_chunk(&self, gpu: &Gpu, requests: &[RecoverRequest]) -> Result<Vec<RecoverResult>, BackendError> {
        let items: Vec<_> = requests.iter().map(item).collect();
        let count = items.len() as u64;
        let mut held = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_none_or(|scratch| scratch.lanes < count) {
            let lanes = count.next_multiple_of(WORKGROUP.into());
            let state = gpu.storage(STATE_LIMBS * 4 * lanes);
            *held = Some(Scratch { lanes, state, r_table: gpu.storage(TABLE_BYTES * lanes) });
        }
        let Some(Scratch { lanes, state, r_table }) = &*held else { return Ok(Vec::new()) };

        let inverters = 256.min(count as u32);
        let mut params = vec![0_u32; PARAMS_STRIDE * LADDER_SLICES.len()];
        for (block, (first, last)) in params.chunks_exact_mut(PARAMS_STRIDE).zip(LADDER_SLICES) {
            let params = BatchParams {
                count: count as u32,
                stride: *lanes as u32,
                first,
                last,
                inverters,
                ..BatchParams::zeroed()
            };
            let words: [u32; 8] = bytemuck::cast(params);
            block[..8].copy_from_slice(&words);
        }
        let params = gpu.upload(&params, wgpu::BufferUsages::UNIFORM);
        let input = gpu.upload(&items, wgpu::BufferUsages::STORAGE);
        let output = gpu.storage(count * size_of::<RecoverResult>() as u64);
        let binding = wgpu::BufferBinding {
            buffer: &params,
            offset: 0,
            size: std::num::NonZeroU64::new(size_of::<BatchParams>() as u64),
        };
        let group = gpu.bind(&self.recover_layout, binding, &[&input, &output, state, r_table, &self.g_table]);

        let workgroups = (count as u32).div_ceil(WORKGROUP);
        let [lift, invert_r, scalars, table, ladder, invert_z, finish] = &self.recover;
        let run = |stage, slice: usize| gpu.dispatch(stage, &group, &[(slice * PARAMS_STRIDE * 4) as u32], workgroups);
        let invert = |stage| gpu.dispatch(stage, &group, &[0], inverters.div_ceil(WORKGROUP));
        run(lift, 0);
        invert(invert_r);
        run(scalars, 0);
        run(table, 0);
        for slice in 0..LADDER_SLICES.len() {
            run(ladder, slice);
        }
        invert(invert_z);
        run(finish, 0);
        let words = gpu.download(&[(&output, 0, count * size_of::<RecoverResult>() as u64)])?;
        Ok(bytemuck::pod_collect_to_vec(&words))
    }

    /// Keccak-256 of each message, in order.
    ///
    /// # Errors
    /// [`BackendError::OutOfMemory`] for a message longer than a binding, or whatever the device reports.
    pub(super) fn keccak256(&self, gpu: &Gpu, messages: &[&[u8]]) -> Result<Vec<B256>, BackendError> {
        let mut digests = Vec::with_capacity(messages.len());
        for range in keccak_chunks(messages)? {
            self.keccak_chunk(gpu, &messages[range], &mut digests)?;
        }
        Ok(digests)
    }

    fn keccak_chunk(&self, gpu: &Gpu, messages: &[&[u8]], digests: &mut Vec<B256>) -> Result<(), BackendError> {
        let mut spans = Vec::with_capacity(messages.len());
        let mut arena: Vec<u8> = Vec::with_capacity(messages.iter().map(|message| padded(message)).sum());
        for message in messages {
            spans.push([(arena.len() / 4) as u32, message.len() as u32]);
            arena.extend_from_slice(message);
            arena.resize(arena.len().next_multiple_of(4), 0);
        }
        let count = messages.len() as u32;
        let params = gpu.upload(&[BatchParams { count, ..BatchParams::zeroed() }], wgpu::BufferUsages::UNIFORM);
        let spans = gpu.upload(&spans, wgpu::BufferUsages::STORAGE);
        let arena = gpu.upload(&arena, wgpu::BufferUsages::STORAGE);
        let output = gpu.storage(32 * u64::from(count));
        let group = gpu.bind(&self.keccak_layout, params.as_entire_buffer_binding(), &[&spans, &arena, &output]);
        gpu.dispatch(&self.keccak, &group, &[], count.div_ceil(WORKGROUP));
        let words = gpu.download(&[(&output, 0, 32 * u64::from(count))])?;
        digests.extend(words.chunks_exact(8).map(|digest| B256::from_slice(bytemuck::cast_slice(digest))));
        Ok(())
    }
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

fn padded(message: &[u8]) -> usize {
    message.len().next_multiple_of(4)
}

/// Ranges of messages whose buffers each stay within a binding.
fn keccak_chunks(messages: &[&[u8]]) -> Result<Vec<Range<usize>>, BackendError> {
    let limit = MAX_BINDING as usize;
    let mut ranges = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, message) in messages.iter().enumerate() {
        let len = padded(message);
        if len > limit {
            return Err(BackendError::OutOfMemory(format!(
                "message {index} of {} bytes exceeds a binding",
                message.len()
            )));
        }
        if bytes + len > limit || index - start == KECCAK_CHUNK {
            ranges.push(start..index);
            (start, bytes) = (index, 0);
        }
        bytes += len;
    }
    if start < messages.len() {
        ranges.push(start..messages.len());
    }
    Ok(ranges)
}
