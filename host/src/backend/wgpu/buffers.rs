//! The buffers of the `execute` kernel: what a batch brings, what its lanes hold, and the tables that grow while it runs.

use super::gpu::{Gpu, MAX_BINDING};
use crate::{
    abi::{self, Params},
    backend::BackendError,
    coverage::{Coverage, CoverageMode},
    lower::{Batch, FRAME_START_ROWS, LANE_START_ROWS},
    park::Service,
    plan::LaneLimits,
};
use bytemuck::Pod;
use std::sync::{Mutex, PoisonError};

/// Bytes of a row of an interleaved buffer that one lane has.
pub(super) const ROW: u64 = 16;

/// Buffers of the last batch, kept for the next: they only grow.
#[derive(Debug)]
pub(super) struct Buffers {
    pub(super) params: wgpu::Buffer,
    pub(super) counters: wgpu::Buffer,
    opcodes: wgpu::Buffer,
    pub(super) batch: wgpu::Buffer,
    codes: wgpu::Buffer,
    snapshot: wgpu::Buffer,
    pub(super) lanes: wgpu::Buffer,
    stack: wgpu::Buffer,
    pub(super) memory: wgpu::Buffer,
    pub(super) overlay: wgpu::Buffer,
    pub(super) staging: Staging,
    /// What they were made for: with a map a lane there are fewer lanes, and buffers for both would take too much.
    maps: CoverageMode,
}

/// Where the maps of edges begin in the counters, in bytes.
const MAPS: u64 = abi::COUNTERS as u64 * 4;

/// How much of the service's tables the device has.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Words of code.
    codes: usize,
    /// Places in the index of the snapshot.
    places: usize,
    /// Its entries.
    entries: usize,
}

/// Whether the buffer is a new one, with nothing in it. An eighth more than asked for at most.
fn grow(gpu: &Gpu, buffer: &mut wgpu::Buffer, bytes: u64) -> Result<bool, BackendError> {
    if bytes > MAX_BINDING {
        return Err(BackendError::OutOfMemory(format!("a binding of {bytes} bytes, the limit is {MAX_BINDING}")));
    }
    let short = buffer.size() < bytes;
    if short {
        *buffer = gpu.zeros(rounded(bytes))?;
    }
    Ok(short)
}

/// To an eighth of a power of two.
fn rounded(bytes: u64) -> u64 {
    bytes.next_multiple_of((bytes.next_power_of_two() / 16).max(1))
}

/// The first `rows` rows of each item, as `[row][item]`.
pub(super) fn interleaved<T: Pod>(items: &[T], rows: usize) -> impl Iterator<Item = [u32; 4]> {
    let all: &[[u32; 4]] = bytemuck::cast_slice(items);
    (0..rows).flat_map(|row| all.iter().skip(row).step_by(size_of::<T>() / ROW as usize).copied())
}

/// What is copied to the host goes through here; kept, and one download at a time.
#[derive(Debug)]
pub(super) struct Staging(Mutex<wgpu::Buffer>);

impl Staging {
    /// Waits for everything queued and copies byte ranges of buffers to the host, in one round trip.
    ///
    /// # Errors
    /// As [`Gpu::finish_download`].
    pub(super) fn download(&self, gpu: &Gpu, ranges: &[(&wgpu::Buffer, u64, u64)]) -> Result<Vec<u32>, BackendError> {
        let bytes: u64 = ranges.iter().map(|(_, _, len)| len).sum();
        if bytes == 0 {
            return Ok(Vec::new());
        }
        let mut staging = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if staging.size() < bytes {
            *staging = gpu.staging(rounded(bytes));
        }
        let words = gpu.finish_download(gpu.start_download(staging.clone(), ranges));
        if words.is_err() {
            // It may still be mapped.
            *staging = gpu.staging(0);
        }
        words
    }
}

impl Buffers {
    pub(super) fn new(gpu: &Gpu, maps: CoverageMode) -> Self {
        let [batch, codes, snapshot, lanes, stack, memory, overlay] = std::array::from_fn(|_| gpu.storage(4096));
        let staging = Staging(Mutex::new(gpu.staging(4096)));
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let opcodes = gpu.buffer(256 * ROW, usage);
        let params = gpu.buffer(size_of::<Params>() as u64, usage);
        let counters = gpu.storage(MAPS);
        Self { params, counters, opcodes, batch, codes, snapshot, lanes, stack, memory, overlay, staging, maps }
    }

    /// Whether a batch of that mode may use them.
    pub(super) const fn are_for(&self, mode: CoverageMode) -> bool {
        matches!(self.maps, CoverageMode::Each) == matches!(mode, CoverageMode::Each)
    }

    /// In the order of their bindings, behind that of `params`.
    pub(super) const fn bindings(&self) -> [&wgpu::Buffer; 9] {
        let Self { opcodes, batch, codes, snapshot, lanes, stack, memory, overlay, counters, .. } = self;
        [batch, codes, snapshot, lanes, stack, memory, overlay, counters, opcodes]
    }

    /// Makes room for a batch and uploads how its lanes start.
    ///
    /// # Errors
    /// A binding would be too large.
    pub(super) fn start(&mut self, gpu: &Gpu, batch: &Batch) -> Result<(), BackendError> {
        let limits = &batch.limits;
        let count = batch.lanes.len();
        let lanes = count as u64;
        let [lane, stack, memory, overlay] = limits.lane_bytes();
        grow(gpu, &mut self.batch, batch.arena.len() as u64 * 4)?;
        grow(gpu, &mut self.lanes, lanes * lane)?;
        grow(gpu, &mut self.stack, lanes * stack)?;
        grow(gpu, &mut self.memory, lanes * memory)?;
        grow(gpu, &mut self.overlay, lanes * overlay)?;
        let maps = batch.coverage.maps(count) as u64 * Coverage::BYTES;
        if maps > 0 {
            grow(gpu, &mut self.counters, MAPS + maps)?;
            gpu.clear(&self.counters, MAPS, maps);
        }
        gpu.write(&self.opcodes, 0, &batch.opcodes);
        gpu.write(&self.batch, 0, &batch.arena);
        gpu.write_rows(&self.lanes, 0, LANE_START_ROWS * count, interleaved(&batch.lanes, LANE_START_ROWS));
        let frames = u64::from(LaneLimits::REGISTER_ROWS) * lanes * ROW;
        gpu.write_rows(&self.lanes, frames, FRAME_START_ROWS * count, interleaved(&batch.frames, FRAME_START_ROWS));
        let entries: Vec<&[[u32; 4]]> = batch.entries_by_lane().map(bytemuck::cast_slice).collect();
        let rows = entries.iter().map(|entries| entries.len()).max().unwrap_or(0);
        let interleaved =
            (0..rows).flat_map(|row| entries.iter().map(move |of| of.get(row).copied().unwrap_or_default()));
        gpu.write_rows(&self.overlay, 0, rows * count, interleaved);
        Ok(())
    }

    /// Maps of edges on the host, from the one at `first` on.
    ///
    /// # Errors
    /// As [`Staging::download`].
    pub(super) fn maps(&self, gpu: &Gpu, first: usize, count: usize) -> Result<Vec<Box<Coverage>>, BackendError> {
        let (offset, bytes) = (MAPS + first as u64 * Coverage::BYTES, count as u64 * Coverage::BYTES);
        let words = self.staging.download(gpu, &[(&self.counters, offset, bytes)])?;
        Ok(words.chunks_exact(Coverage::WORDS).map(|words| Box::new(Coverage::from_words(words))).collect())
    }

    /// Uploads what the service has beyond `held`; whether a buffer is a new one.
    ///
    /// # Errors
    /// A binding would be too large.
    pub(super) fn sync(&mut self, gpu: &Gpu, held: &mut Held, service: &dyn Service) -> Result<bool, BackendError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_lanes_are_small() {
        let limits = LaneLimits::SMALL;
        let lanes = limits.lane_bytes().map(|bytes| rounded(bytes * 16_384));
        assert!(limits.lanes >= 16_384 && lanes.iter().all(|bytes| *bytes <= MAX_BINDING), "{lanes:?}");
        // Beside them a transfer of tokens each: its record, 68 bytes of calldata and their padding; four keys with their
        // places in the index.
        let batch = rounded(16_384 * (84 + 4 + 72 + 36));
        let snapshot = rounded(16_384 * 4 * (128 + 16));
        let all = lanes.iter().sum::<u64>() + batch + snapshot;
        assert!(all <= 256 << 20, "{all}");
    }

    #[test]
    fn a_full_batch_fits_the_bindings() {
        for limits in [LaneLimits::SMALL, LaneLimits::LARGE] {
            assert!(limits.lane_bytes().iter().all(|bytes| bytes * limits.lanes as u64 <= MAX_BINDING), "{limits:?}");
            assert!(limits.lanes <= 65_535);
        }
    }

    #[test]
    fn maps_take_the_place_of_lanes() {
        for limits in [LaneLimits::SMALL, LaneLimits::LARGE] {
            let total =
                |limits: &LaneLimits, maps: u64| (limits.lane_bytes().iter().sum::<u64>() + maps) * limits.lanes as u64;
            let covering = limits.covering(CoverageMode::Each);
            assert!(total(&covering, Coverage::BYTES) <= total(&limits, 0), "{covering:?}");
            let maps = covering.lanes as u64 * Coverage::BYTES;
            assert!(covering.lanes >= 2048 && MAPS + rounded(maps) <= 36 << 20, "{covering:?}");
            assert_eq!(limits.covering(CoverageMode::Merged), limits);
        }
    }
}
