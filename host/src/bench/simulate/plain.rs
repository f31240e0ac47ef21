//! The baseline: revm in a plain loop over the calls, its journal kept and each call's changes taken back, with no more
//! around it than the answers.

use super::workload::{Items, Kept};
use crate::{
    block::BlockEnv,
    error::{Invalid, TxError},
    evm::{CallRevm, Called},
    memory::MemoryState,
    simulate::{Call, Wants},
};
use rayon::prelude::*;

/// Shares of the items for each thread, so that all end together.
const SHARES: usize = 8;

/// The answers, on the calling thread.
pub(super) fn on_one(env: &BlockEnv, state: &MemoryState, items: Items<'_>) -> Result<Vec<Kept>, Invalid> {
    let mut revm = CallRevm::new(env, state)?;
    let mut kept = Vec::with_capacity(items.calls.len());
    run(&mut revm, items, |answer| kept.push(answer));
    Ok(kept)
}

/// The answers, on the threads of the pool that this is called in.
pub(super) fn on_all(env: &BlockEnv, state: &MemoryState, items: Items<'_>) -> Result<Vec<Kept>, Invalid> {
    let share = items.count().div_ceil(SHARES * rayon::current_num_threads()).max(1) * items.length;
    let each = |revm: &mut Result<CallRevm<&MemoryState>, Invalid>, calls: &[Call]| {
        let revm = revm.as_mut().map_err(|error| error.clone())?;
        let mut kept = Vec::with_capacity(calls.len());
        run(revm, Items { calls, ..items }, |answer| kept.push(answer));
        Ok(kept)
    };
    let shares: Result<Vec<Vec<Kept>>, Invalid> =
        items.calls.par_chunks(share).map_init(|| CallRevm::new(env, state), each).collect();
    let mut kept = Vec::with_capacity(items.calls.len());
    shares?.into_iter().for_each(|share| kept.extend(share));
    Ok(kept)
}

fn run(revm: &mut CallRevm<&MemoryState>, items: Items<'_>, mut keep: impl FnMut(Kept)) {
    let kept = |called: Result<Called, TxError>| {
        let outcome = called?.outcome;
        Ok((outcome.status, outcome.gas_used, outcome.output))
    };
    if items.length == 1 {
        items.calls.iter().for_each(|call| keep(kept(revm.call(call, Wants::default()))));
        return;
    }
    for sequence in items.calls.chunks(items.length) {
        sequence.iter().for_each(|call| keep(kept(revm.call_in_sequence(call, Wants::default()))));
        revm.end_sequence();
    }
}
