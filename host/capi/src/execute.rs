//! Ordered blocks.
#![expect(unsafe_code, reason = "functions of C")]

use crate::{
    border::on_handle,
    caller::{Caller, at_most},
    fault::{Fault, Outcome},
    handles::{Entry, Waiting, no_result},
    results::Executed,
    state,
    types::{
        LOCKSTEP_BLOB_PRICE, LOCKSTEP_MAX_TXS, LOCKSTEP_NO_TX, LOCKSTEP_WANT_CHANGES, LOCKSTEP_WANT_LOGS,
        LOCKSTEP_WANT_OUTPUTS, lockstep_block_env, lockstep_code, lockstep_handle, lockstep_items, lockstep_results,
        lockstep_state,
    },
};
use lockstep::block::Block;
use std::{mem, sync::Arc};

/// Executes an ordered block on a snapshot: its transactions only, without system calls, withdrawals or rewards. All of it or, where one transaction may
/// not be there, nothing: then the code is INVALID_BLOCK, and `failed_tx` and the last error say which and why. With a token in `results` it
/// fetches what an earlier call has kept; the other pointers may be null then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lockstep_execute(
    handle: lockstep_handle,
    env: *const lockstep_block_env,
    transactions: *const lockstep_items,
    state: *const lockstep_state,
    results: *mut lockstep_results,
) -> lockstep_code {
    // SAFETY: the contract of lockstep.h.
    let caller = unsafe { Caller::trusted() };
    on_handle(handle, |entry| {
        let mut out = caller.read(results.cast_const(), "results")?;
        let token = mem::take(&mut out.token);
        out.failed_tx = LOCKSTEP_NO_TX;
        let found = match token {
            0 => execute(entry, caller, (env, transactions, state), &mut out).map(Arc::new),
            token => entry.kept(token).and_then(|kept| match kept {
                Waiting::Block(found) => Ok(found),
                Waiting::Calls(_) => Err(no_result(token)),
            }),
        };
        let given = found.and_then(|found| give(entry, caller, token, found, &mut out));
        caller.write(results, out, "results")?;
        given
    })
}

type Inputs = (*const lockstep_block_env, *const lockstep_items, *const lockstep_state);

fn execute(entry: &Entry, caller: Caller, inputs: Inputs, out: &mut lockstep_results) -> Outcome<Executed> {
    if out.wants & !(LOCKSTEP_WANT_OUTPUTS | LOCKSTEP_WANT_LOGS | LOCKSTEP_WANT_CHANGES) != 0 {
        return Err(Fault::of(lockstep_code::BadArgument, "results.wants", "an unknown flag"));
    }
    caller.can_write(&mut Executed::empty(out.wants).columns(out))?;
    let env = caller.read(inputs.0, "env")?;
    if env.flags & LOCKSTEP_BLOB_PRICE != 0 {
        return Err(Fault::of(lockstep_code::BadArgument, "env.flags", "LOCKSTEP_BLOB_PRICE is for simulations alone"));
    }
    let env = state::env(&env)?;
    let transactions = caller.read(inputs.1, "transactions")?;
    let transactions = caller.items(&transactions, "transactions")?;
    at_most(transactions.len(), LOCKSTEP_MAX_TXS, "transactions")?;
    let state = state::state(entry, caller, &caller.read(inputs.2, "state")?)?;
    let block = Block { env, transactions: transactions.to_bytes().collect() };
    let output = entry.engine.execute_block(&block, &state).map_err(|error| {
        out.failed_tx = error.tx().map_or(LOCKSTEP_NO_TX, |tx| tx as u64);
        Fault::from(error)
    })?;
    Ok(Executed::new(&output, out.wants))
}

/// Writes results, or keeps them where there is no room.
fn give(entry: &Entry, caller: Caller, token: u64, found: Arc<Executed>, out: &mut lockstep_results) -> Outcome {
    let given = found.give(caller, out);
    match &given {
        Err(fault) if fault.code == lockstep_code::TooSmall => {
            out.token = if token == 0 { entry.keep(Waiting::Block(found)) } else { token };
        }
        // A null pointer beside a capacity can be mended, too.
        Err(_) => out.token = token,
        // Whoever fetched it at the same time has discarded it.
        Ok(()) => drop(entry.discard(token)),
    }
    given
}
