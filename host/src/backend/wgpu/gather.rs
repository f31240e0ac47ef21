//! Drives the `gather` kernel: bytes out of lanes' interleaved memory.

use super::gpu::{Checks, Gpu, Source};
use crate::{abi::BatchParams, backend::BackendError};
use bytemuck::Zeroable;

/// Limbs of a pass: a quarter of a binding.
const MOST_LIMBS: u32 = 8 << 20;

/// Requests of a pass: workgroups that a dispatch may have.
const MOST_REQUESTS: usize = 65_535;

/// Bytes of one lane's memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) lane: u32,
    /// In bytes.
    pub(super) offset: u32,
    pub(super) len: u32,
}

impl Range {
    const fn first_limb(self) -> u32 {
        self.offset / 4
    }

    const fn limbs(self) -> u32 {
        if self.len == 0 { 0 } else { (self.offset + self.len).div_ceil(4) - self.first_limb() }
    }
}

/// The kernel.
#[derive(Debug)]
pub(super) struct Gather {
    layout: wgpu::BindGroupLayout,
    pipeline: wgpu::ComputePipeline,
}

impl Gather {
    /// Compiles the kernel.
    ///
    /// # Errors
    /// [`BackendError::Compile`].
    pub(super) fn new(gpu: &Gpu, checks: Checks, source: &Source) -> Result<Self, BackendError> {
        let layout = gpu.layout(false, &[true, true, false]);
        let [pipeline] = gpu.pipelines(source, checks, &layout, ["gather"])?;
        Ok(Self { layout, pipeline })
    }

    /// The bytes of each range, in order. `memory` holds `[limb][lane]` of `lanes` lanes, the ranges are inside.
    ///
    /// # Errors
    /// The device failed.
    pub(super) fn run(
        &self,
        gpu: &Gpu,
        memory: &wgpu::Buffer,
        lanes: u32,
        ranges: &[Range],
    ) -> Result<Vec<Vec<u8>>, BackendError> {
        let mut bytes = Vec::with_capacity(ranges.len());
        while bytes.len() < ranges.len() {
            let mut limbs = 0;
            let rest = &ranges[bytes.len()..];
            let fits = |range: &&Range| {
                limbs += range.limbs();
                limbs <= MOST_LIMBS
            };
            let count = rest.iter().take(MOST_REQUESTS).take_while(fits).count().max(1);
            self.pass(gpu, memory, lanes, &rest[..count], &mut bytes)?;
        }
        Ok(bytes)
    }

    fn pass(
        &self,
        gpu: &Gpu,
        memory: &wgpu::Buffer,
        lanes: u32,
        ranges: &[Range],
        bytes: &mut Vec<Vec<u8>>,
    ) -> Result<(), BackendError> {
        let mut limbs = 0;
        let place = |range: &Range| {
            let at = limbs;
            limbs += range.limbs();
            [range.lane, range.first_limb(), range.limbs(), at]
        };
        let requests: Vec<[u32; 4]> = ranges.iter().map(place).collect();
        if limbs == 0 {
            bytes.resize(bytes.len() + ranges.len(), Vec::new());
            return Ok(());
        }
        let params = BatchParams { count: ranges.len() as u32, stride: lanes, ..BatchParams::zeroed() };
        let params = gpu.upload(&[params], wgpu::BufferUsages::UNIFORM);
        let places = gpu.upload(&requests, wgpu::BufferUsages::STORAGE);
        let gathered = gpu.storage(u64::from(limbs) * 4);
        let group = gpu.bind(&self.layout, params.as_entire_buffer_binding(), &[&places, memory, &gathered]);
        gpu.dispatch(&self.pipeline, &group, &[], ranges.len() as u32);
        let words = gpu.download(&[(&gathered, 0, u64::from(limbs) * 4)])?;
        bytes.extend(ranges.iter().zip(&requests).map(|(range, [_, _, count, at])| {
            let all: &[u8] = bytemuck::cast_slice(&words[*at as usize..(at + count) as usize]);
            all.get((range.offset % 4) as usize..).map_or(&[][..], |all| &all[..range.len as usize]).to_vec()
        }));
        Ok(())
    }
}
