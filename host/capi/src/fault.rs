//! Why a call failed: a code for the program and a text for its author.

use crate::types::lockstep_code;
use lockstep::{backend::BackendError, error::ExecuteError};
use std::fmt::Display;

/// Anything but `LOCKSTEP_CODE_OK`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: lockstep_code,
    pub(crate) text: String,
}

pub(crate) type Outcome<T = ()> = Result<T, Fault>;

impl Fault {
    pub(crate) fn new(code: lockstep_code, text: impl Display) -> Self {
        Self { code, text: text.to_string() }
    }

    /// The field that is at fault, and what is wrong with it.
    pub(crate) fn of(code: lockstep_code, field: impl Display, reason: impl Display) -> Self {
        Self::new(code, format_args!("{field}: {reason}"))
    }
}

impl From<BackendError> for Fault {
    fn from(error: BackendError) -> Self {
        let code = match error {
            BackendError::Unavailable(_) => lockstep_code::Unavailable,
            _ => lockstep_code::Failed,
        };
        Self::new(code, error)
    }
}

impl From<ExecuteError> for Fault {
    fn from(error: ExecuteError) -> Self {
        let code = match error {
            ExecuteError::State { .. } => lockstep_code::State,
            ExecuteError::Evm { .. } => lockstep_code::Failed,
            _ => lockstep_code::InvalidBlock,
        };
        Self::new(code, error)
    }
}
