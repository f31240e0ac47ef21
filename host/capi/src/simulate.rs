//! Calls on one snapshot, each alone or in sequences.
#![expect(unsafe_code, reason = "functions of C")]

use crate::{
    border::{note_item, on_handle},
    caller::{Caller, Columns},
    calls::Calls,
    errors::Errors,
    fault::Outcome,
    handles::{Entry, Waiting, no_result},
    state,
    types::{
        lockstep_answers, lockstep_block_env, lockstep_calls, lockstep_code, lockstep_handle, lockstep_state,
        lockstep_tx_status,
    },
};
use lockstep::{
    context::Context,
    error::TxError,
    outcome::TxStatus,
    simulate::{Answer, Options},
};
use std::{mem, ops::ControlFlow, sync::Arc};

/// Answers calls on a snapshot, each alone or in sequences: what a call does, those after it in its sequence see, and no other. With a token in `answers` it fetches what an earlier call has kept; the other
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
            0 => simulate(entry, caller, (env, state, calls), &mut out).map(Arc::new),
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
    errors: Errors,
    /// Whether a call has failed.
    noted: bool,
}

type Inputs = (*const lockstep_block_env, *const lockstep_state, *const lockstep_calls);

fn simulate(entry: &Entry, caller: Caller, inputs: Inputs, out: &mut lockstep_answers) -> Outcome<Simulated> {
    caller.can_write(&mut Simulated::default().columns(out))?;
    let env = state::env(&caller.read(inputs.0, "env")?)?;
    let calls = caller.read(inputs.2, "calls")?;
    let calls = Calls::read(caller, &calls)?;
    let state = state::state(entry, caller, &caller.read(inputs.1, "state")?)?;
    let mut found = Simulated::new();
    let base = Context { env: &env, state: &state };
    let options = Options { stop_on_revert: calls.stop_on_revert, ..Options::default() };
    if calls.in_sequences() {
        entry.engine.simulate_sequences(&base, calls.sequences(), &options, |index, answers| {
            let skipped = calls.sequence_len(index) - answers.len();
            answers.into_iter().for_each(|answer| found.push(entry, answer));
            (0..skipped).for_each(|_| found.skip());
            ControlFlow::Continue(())
        });
    } else {
        entry.engine.simulate(&base, calls.iter(), &options, |_, answer| {
            found.push(entry, answer);
            ControlFlow::Continue(())
        });
    }
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
        // Whoever fetched it at the same time has discarded it.
        Ok(()) => drop(entry.discard(token)),
    }
    given
}

impl Simulated {
    fn new() -> Self {
        let errors = Errors { offsets: vec![0], ..Errors::default() };
        Self { output_offsets: vec![0], errors, ..Self::default() }
    }

    fn push(&mut self, entry: &Entry, answer: Answer) {
        let status = match &answer {
            Ok(result) => status(result.status),
            Err(TxError::Invalid(_)) => lockstep_tx_status::Invalid,
            Err(TxError::State(_)) => lockstep_tx_status::State,
            Err(TxError::Evm(_)) => lockstep_tx_status::Failed,
        };
        if let Err(error) = &answer
            && !mem::replace(&mut self.noted, true)
        {
            note_item(entry, format!("call {}: {error}", self.statuses.len()));
        }
        let result = answer.as_ref().ok();
        let contract = result.and_then(|result| result.contract_address);
        self.statuses.push(status as u8);
        self.gas_used.push(result.map_or(0, |result| result.gas_used));
        self.contract_addresses.extend_from_slice(contract.unwrap_or_default().as_slice());
        self.outputs.extend_from_slice(result.map_or(&[][..], |result| &result.output));
        self.output_offsets.push(self.outputs.len() as u64);
        self.errors.push(0, answer.err());
    }

    /// A call that was not made.
    fn skip(&mut self) {
        self.statuses.push(lockstep_tx_status::Skipped as u8);
        self.gas_used.push(0);
        self.contract_addresses.extend_from_slice(&[0; 20]);
        self.output_offsets.push(self.outputs.len() as u64);
        self.errors.push(0, None::<TxError>);
    }

    fn give(&self, caller: Caller, out: &mut lockstep_answers) -> Outcome {
        (out.errors.len, out.error_offsets.len) = (self.errors.texts.len(), self.errors.offsets.len());
        caller.fill(&mut self.columns(out))
    }

    /// The columns that are wanted, and where they go.
    fn columns<'a>(&'a self, out: &'a mut lockstep_answers) -> Columns<'a> {
        let wants_errors = out.errors.capacity != 0 || out.error_offsets.capacity != 0;
        let mut columns = Columns {
            bytes: vec![
                ("answers.statuses", &mut out.statuses, &self.statuses),
                ("answers.contract_addresses", &mut out.contract_addresses, &self.contract_addresses),
                ("answers.outputs", &mut out.outputs, &self.outputs),
            ],
            numbers: vec![
                ("answers.gas_used", &mut out.gas_used, &self.gas_used),
                ("answers.output_offsets", &mut out.output_offsets, &self.output_offsets),
            ],
        };
        if wants_errors {
            columns.bytes.push(("answers.errors", &mut out.errors, &self.errors.texts));
            columns.numbers.push(("answers.error_offsets", &mut out.error_offsets, &self.errors.offsets));
        }
        columns
    }
}

pub(crate) const fn status(status: TxStatus) -> lockstep_tx_status {
    match status {
        TxStatus::Success => lockstep_tx_status::Success,
        TxStatus::Revert => lockstep_tx_status::Revert,
        TxStatus::Halt => lockstep_tx_status::Halt,
    }
}
