//! The border as C sees it, from Rust: right answers are the engine's own, and wrong inputs give codes.
#![expect(unsafe_code, reason = "calls functions of C")]

mod answers;
mod calls;
mod cost;
mod wrong;

use crate::{create::*, types::*};
use alloy_primitives::{Address, B256, U256};
use lockstep::{backend::BackendKind, block_file::BlockFile, engine::Engine, memory::MemoryState, sample::SAMPLE};
use std::{mem, ptr};

fn sample() -> BlockFile {
    BlockFile::parse(SAMPLE).unwrap()
}

fn engine() -> Engine {
    Engine::builder().backend(BackendKind::Cpu).build().unwrap()
}

/// A handle on the CPU, destroyed in the end.
struct Handle(lockstep_handle);

impl Handle {
    fn new() -> Self {
        let mut handle = 0;
        let options = lockstep_options { backend: lockstep_backend::Cpu as u32, ..zeroed() };
        // SAFETY: both pointers are to values of our own.
        assert_eq!(unsafe { lockstep_create(LOCKSTEP_ABI_VERSION, &options, &mut handle) }, lockstep_code::Ok);
        assert_ne!(handle, 0);
        Self(handle)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        assert_eq!(lockstep_destroy(self.0), lockstep_code::Ok);
    }
}

/// As `= {0}` in C.
fn zeroed<T: Copy>() -> T {
    // SAFETY: used for structs of integers and pointers, of which zeros are a value.
    unsafe { mem::zeroed() }
}

fn bytes(slice: &[u8]) -> lockstep_bytes {
    lockstep_bytes { data: slice.as_ptr(), len: slice.len() }
}

fn u64s(slice: &[u64]) -> lockstep_u64s {
    lockstep_u64s { data: slice.as_ptr(), len: slice.len() }
}

fn out(room: &mut [u8]) -> lockstep_out {
    lockstep_out { data: room.as_mut_ptr(), capacity: room.len(), len: usize::MAX }
}

fn out_u64(room: &mut [u64]) -> lockstep_out_u64 {
    lockstep_out_u64 { data: room.as_mut_ptr(), capacity: room.len(), len: usize::MAX }
}

/// Byte strings one behind the other.
#[derive(Default)]
struct Strings {
    bytes: Vec<u8>,
    offsets: Vec<u64>,
}

impl Strings {
    fn new<T: AsRef<[u8]>>(all: impl IntoIterator<Item = T>) -> Self {
        let mut strings = Self { bytes: Vec::new(), offsets: vec![0] };
        for string in all {
            strings.bytes.extend_from_slice(string.as_ref());
            strings.offsets.push(strings.bytes.len() as u64);
        }
        strings
    }

    fn items(&self) -> lockstep_items {
        lockstep_items { bytes: bytes(&self.bytes), offsets: u64s(&self.offsets) }
    }
}

/// A state in columns.
#[derive(Default)]
struct Flat {
    addresses: Vec<u8>,
    balances: Vec<u8>,
    nonces: Vec<u64>,
    code_hashes: Vec<u8>,
    slot_addresses: Vec<u8>,
    slot_keys: Vec<u8>,
    slot_values: Vec<u8>,
    codes: Strings,
    numbers: Vec<u64>,
    hashes: Vec<u8>,
}

impl Flat {
    fn new(state: &MemoryState) -> Self {
        let mut flat = Self { codes: Strings::new(state.codes().map(|(_, code)| code)), ..Self::default() };
        for (address, info) in state.accounts() {
            flat.addresses.extend_from_slice(address.as_slice());
            flat.balances.extend_from_slice(&info.balance.to_be_bytes::<32>());
            flat.nonces.push(info.nonce);
            // Both ways to say that there is none.
            let hash = if info.has_code() || info.nonce % 2 == 0 { info.code_hash } else { B256::ZERO };
            flat.code_hashes.extend_from_slice(hash.as_slice());
        }
        for (address, slot, value) in state.slots() {
            flat.slot_addresses.extend_from_slice(address.as_slice());
            flat.slot_keys.extend_from_slice(&slot.to_be_bytes::<32>());
            flat.slot_values.extend_from_slice(&value.to_be_bytes::<32>());
        }
        for (number, hash) in state.block_hashes() {
            flat.numbers.push(number);
            flat.hashes.extend_from_slice(hash.as_slice());
        }
        flat
    }

    fn state(&self) -> lockstep_state {
        lockstep_state {
            addresses: bytes(&self.addresses),
            balances: bytes(&self.balances),
            nonces: u64s(&self.nonces),
            code_hashes: bytes(&self.code_hashes),
            slot_addresses: bytes(&self.slot_addresses),
            slot_keys: bytes(&self.slot_keys),
            slot_values: bytes(&self.slot_values),
            codes: self.codes.items(),
            block_numbers: u64s(&self.numbers),
            block_hashes: bytes(&self.hashes),
            ..zeroed()
        }
    }
}

fn env(file: &BlockFile) -> lockstep_block_env {
    let env = &file.block.env;
    let params = env.blob_params.unwrap();
    lockstep_block_env {
        chain_id: env.chain_id,
        number: env.number,
        timestamp: env.timestamp,
        gas_limit: env.gas_limit,
        base_fee: env.base_fee,
        excess_blob_gas: env.excess_blob_gas,
        blob_target: params.target,
        blob_max: params.max,
        blob_update_fraction: params.update_fraction,
        fork: env.fork as u32 + 1,
        flags: LOCKSTEP_BLOB_PARAMS,
        blob_price: [0; 16],
        difficulty: env.difficulty.to_be_bytes(),
        prevrandao: env.prevrandao.0,
        beneficiary: env.beneficiary.into(),
    }
}

/// Every output of a struct, in both kinds.
trait Outs: Copy {
    fn outs(&mut self) -> (Vec<&mut lockstep_out>, Vec<&mut lockstep_out_u64>);
}

impl Outs for lockstep_results {
    fn outs(&mut self) -> (Vec<&mut lockstep_out>, Vec<&mut lockstep_out_u64>) {
        let bytes = vec![
            &mut self.statuses,
            &mut self.senders,
            &mut self.tx_hashes,
            &mut self.contract_addresses,
            &mut self.outputs,
            &mut self.log_addresses,
            &mut self.log_topics,
            &mut self.log_data,
            &mut self.account_addresses,
            &mut self.account_changes,
            &mut self.account_balances,
            &mut self.account_code_hashes,
            &mut self.slot_addresses,
            &mut self.slot_keys,
            &mut self.slot_values,
            &mut self.code_hashes,
            &mut self.codes,
        ];
        let numbers = vec![
            &mut self.tx_gas_used,
            &mut self.cumulative_gas_used,
            &mut self.log_offsets,
            &mut self.output_offsets,
            &mut self.log_topic_offsets,
            &mut self.log_data_offsets,
            &mut self.account_nonces,
            &mut self.code_offsets,
        ];
        (bytes, numbers)
    }
}

impl Outs for lockstep_answers {
    fn outs(&mut self) -> (Vec<&mut lockstep_out>, Vec<&mut lockstep_out_u64>) {
        let bytes = vec![&mut self.statuses, &mut self.contract_addresses, &mut self.outputs, &mut self.errors];
        (bytes, vec![&mut self.gas_used, &mut self.output_offsets, &mut self.error_offsets])
    }
}

/// Room for the outputs of a struct.
#[derive(Default)]
struct Room {
    bytes: Vec<Vec<u8>>,
    numbers: Vec<Vec<u64>>,
}

impl Room {
    /// As much as the outputs say that they take.
    fn make<T: Outs>(of: &mut T) -> Self {
        let (bytes, numbers) = of.outs();
        let bytes = bytes.into_iter().map(|out| {
            let mut room = vec![0xee; out.len];
            (out.data, out.capacity) = (room.as_mut_ptr(), room.len());
            room
        });
        let numbers = numbers.into_iter().map(|out| {
            let mut room = vec![u64::MAX; out.len];
            (out.data, out.capacity) = (room.as_mut_ptr(), room.len());
            room
        });
        Self { bytes: bytes.collect(), numbers: numbers.collect() }
    }
}

fn written<'a>(out: &lockstep_out) -> &'a [u8] {
    // SAFETY: the room of an output that was filled, which outlives the test's use of it.
    unsafe { if out.len == 0 { &[] } else { std::slice::from_raw_parts(out.data, out.len) } }
}

fn written_u64<'a>(out: &lockstep_out_u64) -> &'a [u64] {
    // SAFETY: as above.
    unsafe { if out.len == 0 { &[] } else { std::slice::from_raw_parts(out.data, out.len) } }
}

/// The text of each item.
fn errors_of(errors: &lockstep_out, offsets: &lockstep_out_u64) -> Vec<String> {
    let text = |ends: &[u64]| String::from_utf8(written(errors)[ends[0] as usize..ends[1] as usize].to_vec()).unwrap();
    written_u64(offsets).windows(2).map(text).collect()
}

/// The text of this thread's last error.
fn last_error(handle: lockstep_handle) -> String {
    // SAFETY: a null text asks for its size; then there is room for it.
    unsafe {
        let len = lockstep_last_error(handle, ptr::null_mut(), 0);
        let mut text = vec![1_u8; len];
        assert_eq!(lockstep_last_error(handle, text.as_mut_ptr().cast(), text.len()), len);
        assert_eq!(text.pop(), Some(0));
        String::from_utf8(text).unwrap()
    }
}

fn address(at: usize, column: &[u8]) -> Address {
    Address::from_slice(&column[20 * at..][..20])
}

fn word(at: usize, column: &[u8]) -> U256 {
    U256::from_be_slice(&column[32 * at..][..32])
}
