//! Parts of lanes' interleaved buffers on their way to the host: rows as they lie where most of them are wanted, else what
//! the `gather` kernel picks.

use super::{
    buffers::Staging,
    gpu::{Access, Checks, Gpu, Source},
};
use crate::{abi::BatchParams, backend::BackendError};
use bytemuck::Zeroable;
use std::sync::Arc;

/// Times more than what is wanted that is copied before the kernel picks, and words that are copied in any case.
const WASTE: u64 = 4;
const ALWAYS: u64 = 1 << 18;

/// Words of one lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) lane: u32,
    /// From the lane's first word in the area.
    pub(super) first: u32,
    pub(super) words: u32,
}

/// A part of a buffer that is interleaved, and what is wanted of it.
#[derive(Debug)]
pub(super) struct Area<'a> {
    pub(super) buffer: &'a wgpu::Buffer,
    /// Rows before it.
    pub(super) base: u32,
    /// Words that a lane has in each row.
    pub(super) width: u32,
    /// Inside the area; that is the caller's to check.
    pub(super) runs: Vec<Run>,
}

/// What came of an area.
#[derive(Debug)]
pub(super) struct Fetched {
    runs: Vec<Run>,
    /// Of all areas; this one's from `start` on.
    words: Arc<Vec<u32>>,
    start: usize,
    /// Lanes, words a row and first row where rows were copied as they lie.
    rows: Option<(usize, usize, usize)>,
    /// Where the next run starts, where they were picked.
    next: usize,
    position: usize,
}

impl Fetched {
    /// Appends the words of the next run to `out`, which is cleared.
    pub(super) fn next(&mut self, out: &mut Vec<u32>) {
        out.clear();
        let run = self.runs[self.position];
        self.position += 1;
        let count = run.words as usize;
        let Some((lanes, width, first_row)) = self.rows else {
            out.extend_from_slice(&self.words[self.next..self.next + count]);
            self.next += count;
            return;
        };
        let (mut at, end) = (run.first as usize, run.first as usize + count);
        while at < end {
            let (row, within) = (at / width, at % width);
            let take = (width - within).min(end - at);
            let start = self.start + ((row - first_row) * lanes + run.lane as usize) * width + within;
            out.extend_from_slice(&self.words[start..start + take]);
            at += take;
        }
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
        let layout = gpu.layout(false, &[Access::Read, Access::Read, Access::Write]);
        let [pipeline] = gpu.pipelines(source, checks, &layout, ["gather"])?;
        Ok(Self { layout, pipeline })
    }

    /// The runs of each area, all in one round trip. Buffers are interleaved for `lanes` lanes, at most 65,535; an area has
    /// no more runs than lanes.
    ///
    /// # Errors
    /// The device failed.
    pub(super) fn fetch<const N: usize>(
        &self,
        gpu: &Gpu,
        staging: &Staging,
        lanes: u32,
        areas: [Area<'_>; N],
    ) -> Result<[Fetched; N], BackendError> {
        let plans = areas.map(|area| self.plan(gpu, lanes, area));
        let ranges: Vec<_> = plans.iter().map(|plan| (&plan.source, plan.offset * 4, plan.words * 4)).collect();
        let words = Arc::new(staging.download(gpu, &ranges)?);
        let mut start = 0;
        Ok(plans.map(|plan| {
            let area = start;
            start += plan.words as usize;
            Fetched {
                runs: plan.runs,
                words: Arc::clone(&words),
                start: area,
                rows: plan.rows,
                next: area,
                position: 0,
            }
        }))
    }

    fn plan(&self, gpu: &Gpu, lanes: u32, area: Area<'_>) -> Plan {
        let Area { buffer, base, width, runs } = area;
        let wanted: u64 = runs.iter().map(|run| u64::from(run.words)).sum();
        let held = || runs.iter().filter(|run| run.words > 0);
        let first = held().map(|run| run.first / width).min().unwrap_or(0);
        let end = held().map(|run| (run.first + run.words).div_ceil(width)).max().unwrap_or(0);
        let row = u64::from(lanes * width);
        let copied = u64::from(end - first) * row;
        if copied <= ALWAYS || copied <= WASTE * wanted {
            let offset = u64::from(base + first) * row;
            let rows = Some((lanes as usize, width as usize, first as usize));
            return Plan { source: buffer.clone(), offset, words: copied, rows, runs };
        }
        let mut to = 0;
        let request = |run: &Run| {
            let at = to;
            to += run.words;
            [run.lane, base * width + run.first, run.words, at]
        };
        let requests: Vec<[u32; 4]> = runs.iter().map(request).collect();
        let params = BatchParams { count: runs.len() as u32, stride: lanes, width, ..BatchParams::zeroed() };
        let params = gpu.upload(&[params], wgpu::BufferUsages::UNIFORM);
        let requests = gpu.upload(&requests, wgpu::BufferUsages::STORAGE);
        let gathered = gpu.storage(wanted * 4);
        let group = gpu.bind(&self.layout, params.as_entire_buffer_binding(), &[&requests, buffer, &gathered]);
        gpu.dispatch(&self.pipeline, &group, &[], runs.len() as u32);
        Plan { source: gathered, offset: 0, words: wanted, rows: None, runs }
    }
}

/// Where the words of an area are copied from, offset and length in words.
#[derive(Debug)]
struct Plan {
    source: wgpu::Buffer,
    offset: u64,
    words: u64,
    rows: Option<(usize, usize, usize)>,
    runs: Vec<Run>,
}
