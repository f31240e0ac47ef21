//! revm with an eye on every step: what programs reach, and how their frames end.

use super::{EvmContext, Revm, Source, outcome_of, tx_env, tx_error};
use crate::{
    block::BlockEnv,
    error::{Invalid, TxError},
    outcome::TxOutcome,
    state::StateRef,
    tx::Transaction,
};
use alloy_primitives::Address;
use revm::{
    InspectEvm, Inspector, MainnetEvm,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, InstructionResult, Interpreter,
        interpreter_types::{Jumps, LoopControl},
    },
};

/// How an instruction or a frame ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// STOP, RETURN, SELFDESTRUCT.
    Success,
    /// REVERT, or a call that did not start.
    Revert,
    /// Out of gas, in whatever part of an instruction.
    OutOfGas,
    /// Stack underflow or overflow.
    Stack,
    /// A change in a static frame.
    Static,
    /// Any other halt.
    Halt,
}

impl From<InstructionResult> for Ending {
    fn from(result: InstructionResult) -> Self {
        use InstructionResult as R;
        match result {
            R::StackUnderflow | R::StackOverflow => Self::Stack,
            R::StateChangeDuringStaticCall | R::CallNotAllowedInsideStatic => Self::Static,
            result if result.is_ok() => Self::Success,
            result if result.is_revert() => Self::Revert,
            R::OutOfGas
            | R::MemoryOOG
            | R::MemoryLimitOOG
            | R::PrecompileOOG
            | R::InvalidOperandOOG
            | R::ReentrancySentryOOG => Self::OutOfGas,
            _ => Self::Halt,
        }
    }
}

/// Is told of everything that a transaction runs. Frames nest: each start has its end.
pub trait Observer {
    /// A frame starts: a call, a creation, a precompile, a call to an account without code.
    fn start(&mut self);
    /// An instruction is about to run with so much gas left to its frame.
    fn step(&mut self, opcode: u8, gas: u64);
    /// The instruction ended its frame.
    fn last(&mut self, opcode: u8, ending: Ending);
    /// The frame ended.
    fn end(&mut self, ending: Ending);
}

/// An observer as revm's inspector.
#[derive(Debug)]
struct Eye<O> {
    observer: O,
    opcode: u8,
}

impl<O: Observer, CTX> Inspector<CTX> for Eye<O> {
    fn step(&mut self, interpreter: &mut Interpreter, _: &mut CTX) {
        self.opcode = interpreter.bytecode.opcode();
        self.observer.step(self.opcode, interpreter.gas.remaining());
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, _: &mut CTX) {
        if let Some(result) = interpreter.bytecode.instruction_result() {
            self.observer.last(self.opcode, result.into());
        }
    }

    fn call(&mut self, _: &mut CTX, _: &mut CallInputs) -> Option<CallOutcome> {
        self.observer.start();
        None
    }

    fn call_end(&mut self, _: &mut CTX, _: &CallInputs, outcome: &mut CallOutcome) {
        self.observer.end(outcome.result.result.into());
    }

    fn create(&mut self, _: &mut CTX, _: &mut CreateInputs) -> Option<CreateOutcome> {
        self.observer.start();
        None
    }

    fn create_end(&mut self, _: &mut CTX, _: &CreateInputs, outcome: &mut CreateOutcome) {
        self.observer.end(outcome.result.result.into());
    }
}

/// [`Revm`] that an observer watches.
pub struct Traced<S: StateRef, O: Observer> {
    evm: MainnetEvm<EvmContext<Source<S>>, Eye<O>>,
}

impl<S: StateRef, O: Observer> std::fmt::Debug for Traced<S, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Traced").field("block", &self.evm.ctx.block).finish_non_exhaustive()
    }
}

impl<S: StateRef, O: Observer> Traced<S, O> {
    /// revm with the mainnet rules of `env.fork`.
    ///
    /// # Errors
    /// Names the field of `env` that contradicts the fork.
    pub fn new(env: &BlockEnv, state: S, observer: O) -> Result<Self, Invalid> {
        Ok(Self { evm: Revm::new(env, state)?.evm.with_inspector(Eye { observer, opcode: 0 }) })
    }

    /// The state that the next transaction will see.
    pub fn state(&self) -> &S {
        &self.evm.ctx.journaled_state.database.state
    }

    /// The same, to commit to.
    pub fn state_mut(&mut self) -> &mut S {
        &mut self.evm.ctx.journaled_state.database.state
    }

    /// Who watches.
    pub fn observer_mut(&mut self) -> &mut O {
        &mut self.evm.inspector.observer
    }

    /// As [`Revm::transact`].
    ///
    /// # Errors
    /// As there.
    pub fn transact(&mut self, tx: &Transaction, sender: Address) -> Result<TxOutcome, TxError> {
        let result = self.evm.inspect_tx(tx_env(tx, sender)?).map_err(|error| tx_error(error, TxError::State))?;
        Ok(outcome_of(result))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{commit::Committed, fixture, recover::sender_request};

    #[derive(Default)]
    struct Counts {
        steps: usize,
        open: i32,
        ended: Vec<Ending>,
    }

    impl Observer for Counts {
        fn start(&mut self) {
            self.open += 1;
        }

        fn step(&mut self, _: u8, _: u64) {
            self.steps += 1;
        }

        fn last(&mut self, _: u8, _: Ending) {}

        fn end(&mut self, ending: Ending) {
            self.open -= 1;
            self.ended.push(ending);
        }
    }

    #[test]
    fn watching_changes_nothing() {
        let (block, state) = fixture::block();
        let mut plain = Revm::new(&block.env, Committed::new(&state)).unwrap();
        let mut traced = Traced::new(&block.env, Committed::new(&state), Counts::default()).unwrap();
        for raw in &block.transactions {
            let tx = Transaction::decode(raw).unwrap();
            let sender = crate::recover::recover_one(&sender_request(&tx, block.env.fork)).unwrap();
            let outcome = plain.transact(&tx, sender).unwrap();
            assert_eq!(traced.transact(&tx, sender).unwrap(), outcome);
            plain.state_mut().commit(&outcome);
            traced.state_mut().commit(&outcome);
        }
        let counts = traced.observer_mut();
        assert!(counts.steps > 0 && counts.open == 0);
        assert!(counts.ended.len() >= block.transactions.len());
    }
}
