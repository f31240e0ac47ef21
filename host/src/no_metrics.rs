//! [`crate::metrics`] in a build without the feature: nothing is counted.

use crate::report::{ExecutionReport, Work};
use std::time::Duration;

pub(crate) fn batch<T>(_: Work, _: &'static str, _: usize, run: impl FnOnce() -> T, _: impl FnOnce(&T) -> bool) -> T {
    run()
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Before;

pub(crate) const fn before(_: &ExecutionReport) -> Before {
    Before
}

pub(crate) const fn executed(_: Before, _: &ExecutionReport) {}

#[derive(Debug, Default)]
pub(crate) struct Simulated;

impl Simulated {
    pub(crate) const fn count(&mut self, _: &ExecutionReport) {}
}

pub(crate) const fn simulated(_: Duration) {}

#[cfg(feature = "rpc")]
pub(crate) const fn answered(_: usize) {}

#[cfg(feature = "rpc")]
pub(crate) const fn asked_again() {}
