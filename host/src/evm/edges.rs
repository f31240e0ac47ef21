//! revm with an eye on jumps: which edges a call or a transaction takes. What a device's coverage must be equal to.

use super::{Revm, tx_env, tx_error};
use crate::{
    block::BlockEnv,
    coverage::{Coverage, salt},
    error::TxError,
    state::StateRef,
    tx::Transaction,
};
use alloy_primitives::Address;
use revm::{
    InspectEvm, Inspector,
    bytecode::opcode::{JUMP, JUMPDEST, JUMPI},
    interpreter::{CallInputs, CallOutcome, CreateInputs, CreateOutcome, Interpreter, interpreter_types::Jumps},
};

/// Notes the edges that are taken, as [`crate::coverage`] defines them.
#[derive(Debug, Default)]
pub(super) struct Edges {
    taken: Box<Coverage>,
    /// Of each live frame its salt, and a jump that has not arrived: from where, and whether it is taken.
    frames: Vec<(u32, Option<(u32, bool)>)>,
}

impl Edges {
    /// Forgets frames that an error has left open.
    pub(super) fn settle(&mut self) {
        self.frames.clear();
    }

    /// What was noted since the last time. Forgets frames that an error has left open.
    pub(super) fn take(&mut self) -> Box<Coverage> {
        std::mem::take(self).taken
    }
}

impl<CTX> Inspector<CTX> for Edges {
    fn initialize_interp(&mut self, interpreter: &mut Interpreter, _: &mut CTX) {
        if let Some(frame) = self.frames.last_mut() {
            *frame = (salt(&interpreter.bytecode.get_or_calculate_hash()), None);
        }
    }

    fn step(&mut self, interpreter: &mut Interpreter, _: &mut CTX) {
        let (pc, opcode) = (interpreter.bytecode.pc() as u32, interpreter.bytecode.opcode());
        let Some((salt, jump)) = self.frames.last_mut() else { return };
        if let Some((from, taken)) = jump.take()
            && (!taken || (opcode == JUMPDEST && interpreter.gas.remaining() > 0))
        {
            self.taken.add(*salt, from, pc);
        }
        *jump = match opcode {
            JUMP => Some((pc, true)),
            // The condition is the second.
            JUMPI => {
                let data = interpreter.stack.data();
                data.len().checked_sub(2).map(|at| (pc, !data[at].is_zero()))
            }
            _ => None,
        };
    }

    fn call(&mut self, _: &mut CTX, _: &mut CallInputs) -> Option<CallOutcome> {
        self.frames.push((0, None));
        None
    }

    fn call_end(&mut self, _: &mut CTX, _: &CallInputs, _: &mut CallOutcome) {
        self.frames.pop();
    }

    fn create(&mut self, _: &mut CTX, _: &mut CreateInputs) -> Option<CreateOutcome> {
        self.frames.push((0, None));
        None
    }

    fn create_end(&mut self, _: &mut CTX, _: &CreateInputs, _: &mut CreateOutcome) {
        self.frames.pop();
    }
}

/// The edges that a transaction takes on a state, by revm.
///
/// # Errors
/// The block contradicts its fork, the transaction is invalid, or the state could not be read.
pub fn edges_of(
    env: &BlockEnv,
    state: &dyn StateRef,
    tx: &Transaction,
    sender: Address,
) -> Result<Box<Coverage>, TxError> {
    let mut evm = Revm::new(env, state)?.evm.with_inspector(Edges::default());
    evm.inspect_tx(tx_env(tx, sender)?).map_err(|error| tx_error(error, TxError::State))?;
    Ok(evm.inspector.take())
}
