//! What lanes left, from the device's buffers to [`LaneResult`]s.

use super::{
    buffers::{Buffers, ROW},
    gather::{Area, Gather, Run},
    gpu::Gpu,
};
use crate::{
    abi::{self, LaneState, LogEntry, OverlayEntry},
    backend::BackendError,
    coverage::{Coverage, CoverageMode},
    lower::{LaneLog, LaneResult, address_from_limbs, from_limbs},
    plan::LaneLimits,
};
use alloy_primitives::B256;
use bytemuck::Zeroable;
use rayon::prelude::*;

/// Lanes read in one go: fewer cost more to hand out than to read.
const LANES_A_TASK: usize = 256;

/// Maps of edges copied in one go: 4 MiB.
const MAPS_A_PIECE: usize = 512;

const ENTRY_WORDS: u32 = (size_of::<OverlayEntry>() / 4) as u32;
const LOG_WORDS: u32 = (size_of::<LogEntry>() / 4) as u32;

pub(super) fn beyond_caps() -> BackendError {
    BackendError::DeviceLost("a lane came back beyond its caps".into())
}

/// The first `rows` rows of the registers of all lanes; what is behind them is zero. The request rows mean something only
/// in a lane that is parked.
///
/// # Errors
/// The device failed, or a lane came back beyond its caps.
pub(super) fn lane_states(
    gpu: &Gpu,
    buffers: &Buffers,
    lanes: usize,
    rows: usize,
    limits: &LaneLimits,
) -> Result<Vec<LaneState>, BackendError> {
    let words = buffers.staging.download(gpu, &[(&buffers.lanes, 0, (lanes * rows) as u64 * ROW)])?;
    let words: &[[u32; 4]] = bytemuck::cast_slice(&words);
    let mut states = vec![LaneState::zeroed(); lanes];
    for (lane, state) in states.iter_mut().enumerate() {
        let registers: &mut [[u32; 4]] = bytemuck::cast_slice_mut(std::slice::from_mut(state));
        for (row, value) in registers.iter_mut().take(rows).enumerate() {
            *value = words[row * lanes + lane];
        }
        check_caps(state, limits)?;
    }
    Ok(states)
}

/// A lane that claims more than its caps has been corrupted: better no batch than a wrong one.
fn check_caps(state: &LaneState, limits: &LaneLimits) -> Result<(), BackendError> {
    let within =
        |offset: u32, len: u32, limbs: u32| len == 0 || u64::from(offset) + u64::from(len) <= u64::from(limbs) * 4;
    let (output, request) = ((state.output_offset, state.output_len), (state.request_offset, state.request_len));
    // While a lane goes on, its output is what a call returned, which is elsewhere.
    let fits = (state.status >= abi::STATUS_RUNNING || within(output.0, output.1, limits.memory_limbs))
        && (state.status != abi::STATUS_PARKED || within(request.0, request.1, limits.memory_rows()))
        && state.entries <= limits.slots
        && state.logs <= limits.logs
        && state.log_limbs <= limits.log_limbs;
    if fits { Ok(()) } else { Err(beyond_caps()) }
}

/// The limbs that hold bytes of a lane's memory.
pub(super) const fn limbs(lane: u32, offset: u32, len: u32) -> Run {
    let first = offset / 4;
    Run { lane, first, words: if len == 0 { 0 } else { (offset + len).div_ceil(4) - first } }
}

/// Bytes that start in the first of some limbs.
pub(super) fn bytes(limbs: &[u32], offset: u32, len: u32) -> Vec<u8> {
    if len == 0 {
        return Vec::new();
    }
    bytemuck::cast_slice::<_, u8>(limbs)[(offset % 4) as usize..][..len as usize].to_vec()
}

/// What each lane left.
///
/// # Errors
/// The device failed, or a lane came back beyond its caps.
pub(super) fn results(
    gpu: &Gpu,
    gather: &Gather,
    buffers: &Buffers,
    lanes: usize,
    limits: &LaneLimits,
) -> Result<Vec<LaneResult>, BackendError> {
    let states = lane_states(gpu, buffers, lanes, 4, limits)?;
    let area = |buffer, base, width, run: &dyn Fn(u32, &LaneState) -> Run| {
        let runs = (0..).zip(&states).map(|(lane, state)| run(lane, state)).collect();
        Area { buffer, base, width, runs }
    };
    let from_start = |lane, words| Run { lane, first: 0, words };
    let areas = [
        area(&buffers.overlay, 0, 4, &|lane, state| from_start(lane, state.entries * ENTRY_WORDS)),
        area(&buffers.overlay, limits.slots * LaneLimits::ENTRY_ROWS, 4, &|lane, state| {
            from_start(lane, state.logs * LOG_WORDS)
        }),
        area(&buffers.memory, limits.memory_limbs, 1, &|lane, state| from_start(lane, state.log_limbs)),
        area(&buffers.memory, 0, 1, &|lane, state| limbs(lane, state.output_offset, state.output_len)),
    ];
    let [entries, logs, data, outputs] = gather.fetch(gpu, &buffers.staging, lanes as u32, areas)?;
    let result = |(words, log_data): &mut (Vec<u32>, Vec<u32>), (lane, state): (usize, LaneState)| {
        entries.read(lane, words);
        let lane_entries = words
            .chunks_exact(ENTRY_WORDS as usize)
            .map(|words| bytemuck::pod_read_unaligned(bytemuck::cast_slice(words)))
            .collect();
        logs.read(lane, words);
        data.read(lane, log_data);
        let log = |words: &[u32]| read_log(&bytemuck::pod_read_unaligned(bytemuck::cast_slice(words)), log_data);
        let lane_logs = words.chunks_exact(LOG_WORDS as usize).map(log).collect::<Result<_, _>>()?;
        outputs.read(lane, words);
        let output = bytes(words, state.output_offset, state.output_len);
        Ok(LaneResult { state, entries: lane_entries, logs: lane_logs, output, coverage: None })
    };
    states.into_par_iter().enumerate().with_min_len(LANES_A_TASK).map_init(Default::default, result).collect()
}

/// The edges that lanes took: to each its own, or one map of all, as `mode` asks.
///
/// # Errors
/// The device failed.
pub(super) fn coverage(
    gpu: &Gpu,
    buffers: &Buffers,
    mode: CoverageMode,
    lanes: &mut [LaneResult],
) -> Result<Option<Box<Coverage>>, BackendError> {
    match mode {
        CoverageMode::Off => Ok(None),
        CoverageMode::Merged => Ok(buffers.maps(gpu, 0, 1)?.pop()),
        CoverageMode::Each => {
            for (piece, lanes) in lanes.chunks_mut(MAPS_A_PIECE).enumerate() {
                let maps = buffers.maps(gpu, piece * MAPS_A_PIECE, lanes.len())?;
                lanes.iter_mut().zip(maps).for_each(|(lane, map)| lane.coverage = Some(map));
            }
            Ok(None)
        }
    }
}

fn read_log(entry: &LogEntry, data: &[u32]) -> Result<LaneLog, BackendError> {
    let limbs = data.get(entry.data_limb as usize..).unwrap_or_default();
    if entry.data_len as usize > size_of_val(limbs) {
        return Err(beyond_caps());
    }
    let [a, b, c, d] = entry.address;
    let topics = entry.topic.as_chunks::<8>().0.iter().take(entry.topics as usize);
    Ok(LaneLog {
        address: address_from_limbs([entry.address0, a, b, c, d]),
        topics: topics.map(|topic| B256::from(from_limbs(*topic))).collect(),
        data: bytes(limbs, 0, entry.data_len),
    })
}
