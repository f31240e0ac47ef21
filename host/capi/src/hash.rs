//! Keccak-256.
#![expect(unsafe_code, reason = "functions of C")]

use crate::{
    border::on_handle,
    caller::Caller,
    types::{lockstep_code, lockstep_handle, lockstep_items, lockstep_out},
};
use alloy_primitives::{B256, FixedBytesSliceExt};

/// Keccak-256 (Ethereum's, not SHA-3) of each message: 32 bytes a message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lockstep_keccak256(
    handle: lockstep_handle,
    messages: *const lockstep_items,
    hashes: *mut lockstep_out,
) -> lockstep_code {
    // SAFETY: the contract of lockstep.h.
    let caller = unsafe { Caller::trusted() };
    on_handle(handle, |entry| {
        let messages = caller.read(messages, "messages")?;
        let mut out = caller.read(hashes.cast_const(), "hashes")?;
        let messages: Vec<&[u8]> = caller.items(&messages, "messages")?.iter().collect();
        // Hashing is cheap, and to know its size takes no hashing.
        let found = if out.capacity < 32 * messages.len() {
            vec![B256::ZERO; messages.len()]
        } else {
            entry.engine.keccak256(&messages)
        };
        let filled = caller.fill(&mut [(&mut out, found.as_flattened())], &mut []);
        caller.write(hashes, out, "hashes")?;
        filled
    })
}
