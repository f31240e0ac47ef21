//! Independent calls on one snapshot.
#![expect(unsafe_code, reason = "functions of C")]

use crate::{
    border::{note, on_handle},
    caller::{Caller, count, length},
    fault::{Fault, Outcome},
    handles::{Entry, Waiting, no_result},
    state,
    types::{
        lockstep_answers, lockstep_block_env, lockstep_calls, lockstep_code, lockstep_handle, lockstep_state,
        lockstep_tx_status,
    },
};
use alloy_primitives::{Address, Bytes, U256};
use lockstep::{
    context::Context,
    error::TxError,
    outcome::TxStatus,
    simulate::{Answer, Call, Options},
};
use std::{mem, ops::ControlFlow, sync::Arc};

/// Answers calls on a snapshot, each alone: what one does no other sees. With a token in `answers` it fetches what an earlier call has kept; the other
/// pointers may be null then. A bad call has a status of its own; the last error tells of the first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lockstep_simulate(
    handle: lockstep_handle,
    env: *const lockstep_block_env,
    state: *const lockstep_state,
    calls: *const lockstep_calls,
    answers: *mut lockstep_answers,
) -> lockstep_code {
    // SAFETY: the contract of lockstep.h.
    let caller = unsafe { Caller::trusted() };
    on_handle(handle, |entry| {
        let mut out = caller.read(answers.cast_const(), "answers")?;
        let token = mem::take(&mut out.token);
        let found = match token {
            0 => simulate(entry, caller, (env, state, calls)).map(Arc::new),
            token => entry.kept(token).and_then(|kept| match kept {
                Waiting::Calls(found) => Ok(found),
                Waiting::Block(_) => Err(no_result(token)),
            }),
        };
        let given = found.and_then(|found| give(entry, caller, token, found, &mut out));
        caller.write(answers, out, "answers")?;
        given
    })
}

/// Columns out.
#[derive(Debug, Default)]
pub(crate) struct Simulated {
    statuses: Vec<u8>,
    gas_used: Vec<u64>,
    contract_addresses: Vec<u8>,
    outputs: Vec<u8>,
    output_offsets: Vec<u64>,
    /// Whether a call has failed.
    noted: bool,
}

type Inputs = (*const lockstep_block_env, *const lockstep_state, *const lockstep_calls);

fn simulate(entry: &Entry, caller: Caller, inputs: Inputs) -> Outcome<Simulated> {
    let env = state::env(&caller.read(inputs.0, "env")?)?;
    let state = state::state(entry, caller, &caller.read(inputs.1, "state")?)?;
    let calls = read(caller, &caller.read(inputs.2, "calls")?)?;
    let mut found = Simulated { output_offsets: vec![0], ..Simulated::default() };
    let base = Context { env: &env, state: &state };
    entry.engine.simulate(&base, calls, &Options::default(), |index, answer| {
        found.push(index, answer);
        ControlFlow::Continue(())
    });
    Ok(found)
}

/// Writes answers, or keeps them where there is no room.
fn give(entry: &Entry, caller: Caller, token: u64, found: Arc<Simulated>, out: &mut lockstep_answers) -> Outcome {
    let given = found.give(caller, out);
    match &given {
        Err(fault) if fault.code == lockstep_code::TooSmall => {
            out.token = if token == 0 { entry.keep(Waiting::Calls(found)) } else { token };
        }
        // A null pointer beside a capacity can be mended, too.
        Err(_) => out.token = token,
        Ok(()) => entry.forget(token),
    }
    given
}

fn read(caller: Caller, calls: &lockstep_calls) -> Outcome<Vec<Call>> {
    let from = caller.bytes(&calls.from, "calls.from")?;
    let to = caller.bytes(&calls.to, "calls.to")?;
    let creates = caller.bytes(&calls.creates, "calls.creates")?;
    let values = caller.bytes(&calls.values, "calls.values")?;
    let gas = caller.u64s(&calls.gas, "calls.gas")?;
    let inputs = caller.items(&calls.inputs, "calls.inputs")?;
    let count = count(from.len(), 20, "calls.from")?;
    let optional = |actual: usize, each: usize, name: &str| match actual {
        0 => Ok(()),
        actual => length(actual, count, each, name),
    };
    length(to.len(), count, 20, "calls.to")?;
    optional(creates.len(), 1, "calls.creates")?;
    optional(values.len(), 32, "calls.values")?;
    optional(gas.len(), 1, "calls.gas")?;
    length(inputs.len(), count, 1, "calls.inputs")?;
    if let Some(index) = creates.iter().position(|flag| *flag > 1) {
        return Err(Fault::of(
            lockstep_code::BadArgument,
            "calls.creates",
            format_args!("{} of call {index}", creates[index]),
        ));
    }
    let call = |(index, input): (usize, Bytes)| Call {
        from: Address::from_slice(&from[20 * index..][..20]),
        to: (creates.get(index) != Some(&1)).then(|| Address::from_slice(&to[20 * index..][..20])),
        value: values.get(32 * index..32 * (index + 1)).map_or(U256::ZERO, U256::from_be_slice),
        gas: gas.get(index).copied().filter(|gas| *gas != 0),
        input,
        ..Call::default()
    };
    Ok(inputs.to_bytes().enumerate().map(call).collect())
}

impl Simulated {
    fn push(&mut self, index: usize, answer: Answer) {
        let status = match &answer {
            Ok(result) => status(result.status),
            Err(TxError::Invalid(_)) => lockstep_tx_status::Invalid,
            Err(TxError::State(_)) => lockstep_tx_status::State,
            Err(TxError::Evm(_)) => lockstep_tx_status::Failed,
        };
        if let Err(error) = &answer
            && !mem::replace(&mut self.noted, true)
        {
            note(format!("call {index}: {error}"));
        }
        let result = answer.ok();
        let contract = result.as_ref().and_then(|result| result.contract_address);
        self.statuses.push(status as u8);
        self.gas_used.push(result.as_ref().map_or(0, |result| result.gas_used));
        self.contract_addresses.extend_from_slice(contract.unwrap_or_default().as_slice());
        self.outputs.extend_from_slice(result.as_ref().map_or(&[][..], |result| &result.output));
        self.output_offsets.push(self.outputs.len() as u64);
    }

    fn give(&self, caller: Caller, out: &mut lockstep_answers) -> Outcome {
        caller.fill(
            &mut [
                (&mut out.statuses, &self.statuses),
                (&mut out.contract_addresses, &self.contract_addresses),
                (&mut out.outputs, &self.outputs),
            ],
            &mut [(&mut out.gas_used, &self.gas_used), (&mut out.output_offsets, &self.output_offsets)],
        )
    }
}

pub(crate) const fn status(status: TxStatus) -> lockstep_tx_status {
    match status {
        TxStatus::Success => lockstep_tx_status::Success,
        TxStatus::Revert => lockstep_tx_status::Revert,
        TxStatus::Halt => lockstep_tx_status::Halt,
    }
}
