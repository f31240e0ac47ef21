//! A call that is told to stop while it runs: it may name any gas, and loop for as long.

use super::hashes::{Hashes, KeepsHashes, keccak256_kept};
use revm::{
    Database, Journal,
    bytecode::opcode::{CALL, CALLCODE, DELEGATECALL, JUMPDEST, KECCAK256, STATICCALL},
    context::{BlockEnv, CfgEnv, Context, TxEnv},
    context_interface::context::ContextError,
    handler::instructions::EthInstructions,
    interpreter::{
        Host, Instruction, InstructionContext, InstructionExecResult, InstructionResult,
        instructions::{contract, control, gas_table_spec},
        interpreter::EthInterpreter,
    },
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Instructions of those that every loop and every descent meets, between two looks at the flags.
const BETWEEN_LOOKS: u32 = 1 << 10;

/// What is said of a call that was told to stop.
pub(super) const STOPPED: &str = "stopped";

/// What a context for calls has beyond the others.
#[derive(Clone, Default)]
pub(super) struct Extras {
    pub(super) hashes: Hashes,
    /// Any of them stops the call.
    pub(super) flags: Vec<Arc<AtomicBool>>,
    count: u32,
}

impl fmt::Debug for Extras {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extras").field("hashes", &self.hashes).field("flags", &self.flags.len()).finish_non_exhaustive()
    }
}

/// A host that knows whether to stop.
pub(super) trait Watchful: Host {
    /// Whether to stop before an instruction; then the host has an error, which ends the transaction.
    fn stops(&mut self, opcode: u8) -> bool;
}

/// As the others', and with [`Extras`].
pub(super) type CallContext<DB> = Context<BlockEnv, TxEnv, CfgEnv, DB, Journal<DB>, Extras>;

impl<DB: Database> KeepsHashes for CallContext<DB> {
    fn hashes(&mut self) -> &mut Hashes {
        &mut self.chain.hashes
    }
}

impl<DB: Database> Watchful for CallContext<DB> {
    fn stops(&mut self, _: u8) -> bool {
        let extras = &mut self.chain;
        extras.count = extras.count.wrapping_add(1);
        if !extras.count.is_multiple_of(BETWEEN_LOOKS) {
            return false;
        }
        let stops = extras.flags.iter().any(|flag| flag.load(Ordering::Relaxed));
        if stops {
            self.error = Err(ContextError::Custom(STOPPED.into()));
        }
        stops
    }
}

type Ran = InstructionExecResult;

/// An instruction of revm's own, if the host does not stop before it.
pub(super) fn watched<H: Watchful, const OPCODE: u8>(context: InstructionContext<'_, H, EthInterpreter>) -> Ran {
    if context.host.stops(OPCODE) {
        return Err(InstructionResult::FatalExternalError);
    }
    if OPCODE == JUMPDEST { control::jumpdest(context) } else { contract::call::<OPCODE, _, _>(context) }
}

/// Makes the instructions that every loop and every descent meets look at the flags, and KECCAK256 keep its hashes.
pub(super) fn equip<H: Watchful + KeepsHashes>(instructions: &mut EthInstructions<EthInterpreter, H>, keeps: bool) {
    let gas = gas_table_spec(instructions.spec);
    let mut put = |opcode: u8, run| {
        instructions.insert_instruction(opcode, Instruction::new(run), gas[usize::from(opcode)]);
    };
    put(JUMPDEST, watched::<H, JUMPDEST>);
    put(CALL, watched::<H, CALL>);
    put(CALLCODE, watched::<H, CALLCODE>);
    put(DELEGATECALL, watched::<H, DELEGATECALL>);
    put(STATICCALL, watched::<H, STATICCALL>);
    if keeps {
        put(KECCAK256, keccak256_kept::<H>);
    }
}
