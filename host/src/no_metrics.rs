//! [`crate::metrics`] in a build without the feature: nothing is counted.

use crate::report::ExecutionReport;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    Recover,
    Keccak256,
}

impl Work {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Recover => "recover",
            Self::Keccak256 => "keccak256",
        }
    }
}

pub(crate) fn batch<T>(_: Work, _: &'static str, _: usize, run: impl FnOnce() -> T, _: impl FnOnce(&T) -> bool) -> T {
    run()
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Before;

pub(crate) const fn before(_: &ExecutionReport) -> Before {
    Before
}

pub(crate) const fn executed(_: Before, _: &ExecutionReport) {}

#[cfg(feature = "rpc")]
pub(crate) const fn answered(_: usize) {}

#[cfg(feature = "rpc")]
pub(crate) const fn asked_again() {}
