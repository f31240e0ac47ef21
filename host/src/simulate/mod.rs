//! Independent calls, and sequences of calls, against one snapshot: quotes over pools and amounts, scans, bundles, fuzzing.
//!
//! Calls are read as they are needed, in chunks; while one chunk runs the answers of the one before are given out, in order.
//! So memory is bounded whatever the number of calls, and whoever stops reading stops the work.

mod balance;
mod call;
mod cpu;
mod device;
mod divide;
mod function;
mod place;
mod run;
mod samples;
mod stream;
mod template;
mod warm;
mod word;

pub use crate::overrides::{AccountOverride, BlockOverrides, StateOverrides, StorageOverride};
pub use call::{AccessList, Answer, Call, CallResult, IntoCall, Sequence, Wants};
pub use function::{Function, Parameter};
pub(crate) use run::Simulator;
pub(crate) use samples::Samples;
pub use template::{Argument, Columns, Fills, Hole, Template, TemplateResults};
pub(crate) use warm::{Warm, access_list};
pub use word::{NoWordType, WordError, WordType, address_word};

use crate::{
    context::Context,
    coverage::Coverage,
    error::{Invalid, TxError},
    evm,
    outcome::TxOutcome,
    report::ExecutionReport,
    submit::Progress,
};

use std::io::{self, Write};

/// How to simulate.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Answers beyond status, gas and output.
    pub wants: Wants,
    /// Whether a sequence ends with its first call that does not succeed; its answers are then fewer than its calls.
    pub stop_on_revert: bool,
    /// To cancel from elsewhere: the answers end early. Counts the calls that are done.
    pub progress: Progress,
}

/// What a simulation came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Answers given out.
    pub calls: u64,
    /// Those among them that are errors.
    pub errors: u64,
    /// Whether it was cancelled, or the reader had enough.
    pub cancelled: bool,
    /// Calls whose lane revm, run beside it by [`crate::engine::EngineBuilder::cross_check`], disagreed with.
    pub differences: u64,
    /// All edges, where they were wanted.
    pub coverage: Option<Box<Coverage>>,
    /// Routes, fallbacks, time.
    pub report: ExecutionReport,
}

/// The last call's outcome, its trace to `out`.
pub(crate) fn trace(base: &Context<'_>, calls: &[Call], out: Box<dyn Write>) -> io::Result<Result<TxOutcome, TxError>> {
    let Some((last, before)) = calls.split_last() else {
        return Ok(Err(Invalid::new("calls", "there is none").into()));
    };
    let mut place = place::Place::base(base);
    let mut cpu = cpu::Cpu::new(place.clone(), Vec::new());
    for call in before {
        // One that cannot be made leaves everything as it is.
        let _ = cpu.step(&mut place, call, Wants::default());
    }
    match place.of(last) {
        Ok(place) => evm::trace(&place.env, place.state.as_state(), last, out),
        Err(error) => Ok(Err(error)),
    }
}
