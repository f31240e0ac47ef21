//! The AVX2 engine: four signatures a vector, 52-bit products from the multiply-adds of double-precision numbers.

mod fe;
mod lookup;

use crate::recover::{RecoverError, RecoverRequest};
use alloy_primitives::Address;

const LANES: usize = 4;

#[derive(Debug)]
pub(super) struct Avx2;

/// Whether this CPU runs [`recover_batch`].
pub(in crate::recover) fn is_supported() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// The signer of each request, in order; `out` is as long as `requests`.
///
/// # Panics
/// The CPU is not [supported](is_supported).
pub(in crate::recover) fn recover_batch(requests: &[RecoverRequest], out: &mut [Result<Address, RecoverError>]) {
    assert!(is_supported(), "AVX2 and FMA");
    super::recover_batch::<LANES, Avx2>(requests, out);
}
