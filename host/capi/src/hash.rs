//! Keccak-256.
#![expect(unsafe_code, reason = "functions of C")]

use crate::{
    border::on_handle,
    caller::Caller,
    types::{lockstep_code, lockstep_handle, lockstep_items, lockstep_out},
};
use alloy_primitives::FixedBytesSliceExt;

/// Messages that are hashed at once: more are no faster, and take memory.
const PART: usize = 1 << 16;

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
        let checked = caller.items(&messages, "messages").and_then(|messages| {
            caller.has_room(&mut out, 32 * messages.len(), "hashes")?;
            Ok(messages)
        });
        let hashed = checked.map(|messages| {
            out.len = 0;
            for part in messages.parts(PART, u64::MAX) {
                let part: Vec<&[u8]> = part.iter().collect();
                caller.append(&mut out, entry.engine.keccak256(&part).as_flattened());
            }
        });
        caller.write(hashes, out, "hashes")?;
        hashed
    })
}
