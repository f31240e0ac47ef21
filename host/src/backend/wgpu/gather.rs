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
    lie: Lie,
}

/// How the words of runs lie.
#[derive(Debug)]
enum Lie {
    /// In rows as they were: lanes, words a row, first row.
    Rows(usize, usize, usize),
    /// One run behind the other: where each starts.
    Picked(Vec<u32>),
}

impl Fetched {
    /// Puts the words of the run at `index` in the place of what `out` holds.
    pub(super) fn read(&self, index: usize, out: &mut Vec<u32>) {
        out.clear();
        let run = self.runs[index];
        let count = run.words as usize;
        let (lanes, width, first_row) = match &self.lie {
            Lie::Rows(lanes, width, first_row) => (*lanes, *width, *first_row),
            Lie::Picked(starts) => {
                let start = self.start + starts[index] as usize;
                return out.extend_from_slice(&self.words[start..start + count]);
            }
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
            Fetched { runs: plan.runs, words: Arc::clone(&words), start: area, lie: plan.lie }
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
            let lie = Lie::Rows(lanes as usize, width as usize, first as usize);
            return Plan { source: buffer.clone(), offset, words: copied, lie, runs };
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
        let uploaded = gpu.upload(&requests, wgpu::BufferUsages::STORAGE);
        let gathered = gpu.storage(wanted * 4);
        let group = gpu.bind(&self.layout, params.as_entire_buffer_binding(), &[&uploaded, buffer, &gathered]);
        gpu.dispatch(&self.pipeline, &group, &[], runs.len() as u32);
        let starts = requests.iter().map(|[.., at]| *at).collect();
        Plan { source: gathered, offset: 0, words: wanted, lie: Lie::Picked(starts), runs }
    }
}

/// Where the words of an area are copied from, offset and length in words.
#[derive(Debug)]
struct Plan {
    source: wgpu::Buffer,
    offset: u64,
    words: u64,
    lie: Lie,
    runs: Vec<Run>,
}
