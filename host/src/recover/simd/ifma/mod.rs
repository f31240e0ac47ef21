//! The AVX-512 IFMA engine: eight signatures a vector, 52-bit multiply-adds.

mod fe;
mod lookup;

use crate::recover::{RecoverError, RecoverRequest};
use alloy_primitives::Address;

const LANES: usize = 8;

#[derive(Debug)]
pub(super) struct Ifma;

/// Whether this CPU runs [`recover_batch`].
pub(in crate::recover) fn is_supported() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512ifma")
        && is_x86_feature_detected!("avx512dq")
}

/// The signer of each request, in order; `out` is as long as `requests`.
///
/// # Panics
/// The CPU is not [supported](is_supported).
pub(in crate::recover) fn recover_batch(requests: &[RecoverRequest], out: &mut [Result<Address, RecoverError>]) {
    assert!(is_supported(), "AVX-512 IFMA");
    super::recover_batch::<LANES, Ifma>(requests, out);
}
