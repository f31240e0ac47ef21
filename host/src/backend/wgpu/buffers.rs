//! The buffers of the `execute` kernel: what a batch brings, what its lanes hold, and the tables that grow while it runs.

use super::gpu::{Gpu, MAX_BINDING};
use crate::{
    backend::BackendError,
    lower::{Batch, FRAME_START_ROWS, LANE_START_ROWS},
    park::Service,
    plan::LaneLimits,
};
use bytemuck::Pod;

/// Bytes of a row of an interleaved buffer that one lane has.
pub(super) const ROW: u64 = 16;

/// Buffers of the last batch, kept for the next: they only grow.
#[derive(Debug)]
pub(super) struct Buffers {
    pub(super) batch: wgpu::Buffer,
    codes: wgpu::Buffer,
    snapshot: wgpu::Buffer,
    pub(super) lanes: wgpu::Buffer,
    stack: wgpu::Buffer,
    pub(super) memory: wgpu::Buffer,
    pub(super) overlay: wgpu::Buffer,
}

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
        *buffer = gpu.storage(rounded(bytes));
    }
    Ok(short)
}

/// To an eighth of a power of two.
fn rounded(bytes: u64) -> u64 {
    bytes.next_multiple_of((bytes.next_power_of_two() / 16).max(1))
}

/// `items`, `rows` rows each at most, as `[row][lane]`; rows that an item lacks are zero.
pub(super) fn interleave(items: impl ExactSizeIterator<Item: AsRef<[[u32; 4]]>>, rows: usize) -> Vec<[u32; 4]> {
    let lanes = items.len();
    let mut out = vec![[0; 4]; rows * lanes];
    for (lane, item) in items.enumerate() {
        for (row, value) in item.as_ref().iter().take(rows).enumerate() {
            out[row * lanes + lane] = *value;
        }
    }
    out
}

/// A struct of the ABI as rows.
pub(super) fn rows_of<T: Pod>(item: &T) -> &[[u32; 4]] {
    bytemuck::cast_slice(std::slice::from_ref(item))
}

impl Buffers {
    pub(super) fn new(gpu: &Gpu) -> Self {
        let [batch, codes, snapshot, lanes, stack, memory, overlay] = std::array::from_fn(|_| gpu.storage(4096));
        Self { batch, codes, snapshot, lanes, stack, memory, overlay }
    }

    /// Storage in the order of their bindings, `counters` last.
    pub(super) const fn bindings<'a>(&'a self, counters: &'a wgpu::Buffer) -> [&'a wgpu::Buffer; 8] {
        let Self { batch, codes, snapshot, lanes, stack, memory, overlay } = self;
        [batch, codes, snapshot, lanes, stack, memory, overlay, counters]
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
        gpu.write(&self.batch, 0, &batch.arena);
        gpu.write(&self.lanes, 0, &interleave(batch.lanes.iter().map(rows_of), LANE_START_ROWS));
        let frames = u64::from(LaneLimits::REGISTER_ROWS) * lanes * ROW;
        gpu.write(&self.lanes, frames, &interleave(batch.frames.iter().map(rows_of), FRAME_START_ROWS));
        let entries = batch.entries_by_lane().map(bytemuck::cast_slice::<_, [u32; 4]>);
        let most = batch.lanes.iter().map(|state| state.entries as usize).max().unwrap_or(0);
        gpu.write(&self.overlay, 0, &interleave(entries, most * LaneLimits::ENTRY_ROWS as usize));
        Ok(())
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
        let batch = rounded(16_384 * (80 + 4 + 72 + 36));
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
}
