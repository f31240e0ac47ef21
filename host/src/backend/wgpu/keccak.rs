//! Drives `keccak_batch`: chunks of messages, one dispatch each.

use super::{
    WORKGROUP,
    chunks::pipelined,
    gpu::{Access, Checks, Gpu, MAX_BINDING, Pending, Source},
};
use crate::{abi::BatchParams, backend::BackendError};
use alloy_primitives::B256;
use bytemuck::Zeroable;
use std::ops::Range;

/// Messages of a chunk, and bytes of theirs where one alone does not have more.
const CHUNK: usize = 1 << 18;
const CHUNK_BYTES: usize = 32 << 20;

#[derive(Debug)]
pub(super) struct Keccak {
    layout: wgpu::BindGroupLayout,
    pipeline: wgpu::ComputePipeline,
}

impl Keccak {
    /// Compiles the kernel.
    ///
    /// # Errors
    /// [`BackendError::Compile`].
    pub(super) fn new(gpu: &Gpu, checks: Checks, source: &Source) -> Result<Self, BackendError> {
        let layout = gpu.layout(false, &[Access::Read, Access::Read, Access::Write]);
        let [pipeline] = gpu.pipelines(source, checks, &layout, ["keccak_batch"])?;
        Ok(Self { layout, pipeline })
    }

    /// Keccak-256 of each message, in order.
    ///
    /// # Errors
    /// [`BackendError::OutOfMemory`] for a message longer than a binding, or whatever the device reports.
    pub(super) fn run(&self, gpu: &Gpu, messages: &[&[u8]]) -> Result<Vec<B256>, BackendError> {
        let mut digests = Vec::with_capacity(messages.len());
        let start = |_, range: Range<usize>| Ok(self.start(gpu, &messages[range]));
        let finish = |pending| {
            let words = gpu.finish_download(pending)?;
            digests.extend(words.chunks_exact(8).map(|digest| B256::from_slice(bytemuck::cast_slice(digest))));
            Ok(())
        };
        pipelined(ranges(messages)?, start, finish)?;
        Ok(digests)
    }

    fn start(&self, gpu: &Gpu, messages: &[&[u8]]) -> Pending {
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
        let group = gpu.bind(&self.layout, params.as_entire_buffer_binding(), &[&spans, &arena, &output]);
        gpu.dispatch(&self.pipeline, &group, &[], count.div_ceil(WORKGROUP));
        let bytes = 32 * u64::from(count);
        gpu.start_download(gpu.staging(bytes), &[(&output, 0, bytes)])
    }
}

fn padded(message: &[u8]) -> usize {
    message.len().next_multiple_of(4)
}

/// Ranges of messages whose buffers each stay within a binding.
fn ranges(messages: &[&[u8]]) -> Result<Vec<Range<usize>>, BackendError> {
    let mut ranges = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, message) in messages.iter().enumerate() {
        let len = padded(message);
        if len as u64 > MAX_BINDING {
            return Err(BackendError::OutOfMemory(format!(
                "message {index} of {} bytes exceeds a binding",
                message.len()
            )));
        }
        if index > start && (bytes + len > CHUNK_BYTES || index - start == CHUNK) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_all_messages_and_bound_the_bytes() {
        let large = vec![0; CHUNK_BYTES / 2];
        let messages: [&[u8]; 7] = [&[], &large, &large, &[1], &large, &large[1..], &[2; 9]];
        assert_eq!(ranges(&messages).expect("short enough"), [0..3, 3..5, 5..7]);
        let longest = vec![0; CHUNK_BYTES + 1];
        let messages: [&[u8]; 4] = [&longest, &[1], &longest, &longest];
        assert_eq!(ranges(&messages).expect("short enough"), [0..1, 1..2, 2..3, 3..4]);
        let many = vec![&[0_u8; 1][..]; CHUNK + 1];
        assert_eq!(ranges(&many).expect("short enough"), [0..CHUNK, CHUNK..CHUNK + 1]);
    }
}
