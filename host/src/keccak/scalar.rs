//! One message at a time: the assembly of the crate `keccak-asm`, the fastest where fewer than two lanes would be
//! filled.

use alloy_primitives::{B256, keccak256};

/// Hashes each message into the place of the same index; both slices have the same length.
pub(super) fn keccak256_batch(messages: &[&[u8]], out: &mut [B256]) {
    debug_assert_eq!(messages.len(), out.len());
    for (message, hash) in messages.iter().zip(out) {
        *hash = keccak256(message);
    }
}
