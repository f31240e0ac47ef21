//! What a unit looks at, noted by the instructions that look.

use crate::{
    access::MOST_HASHED,
    commit::Committed,
    evm::{
        Source,
        hashes::{Hashes, KeepsHashes, keccak256_kept},
        watchful::{Watchful, watched},
    },
    parallel::Progress,
};
use alloy_primitives::{Address, B256, U256};
use revm::{
    Context, Journal,
    bytecode::opcode::{
        BALANCE, CALL, CALLCODE, CREATE, CREATE2, DELEGATECALL, JUMPDEST, KECCAK256, SELFBALANCE, SELFDESTRUCT, SLOAD,
        SSTORE, STATICCALL,
    },
    context::{BlockEnv as RevmBlock, CfgEnv, TxEnv},
    context_interface::context::ContextError,
    handler::instructions::EthInstructions,
    interpreter::{
        Instruction, InstructionContext, InstructionExecResult, InstructionResult,
        instructions::{contract, gas_table_spec, host},
        interpreter::EthInterpreter,
        interpreter_types::InputsTr,
    },
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// What a unit wants of a balance: that it is just what it is, or that so much may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Exact,
    Spare(U256),
}

/// What a context notes while a unit runs.
#[derive(Debug, Default)]
pub(in crate::evm) struct Notes {
    pub(super) hashes: Hashes,
    /// Balances that were looked at or taken from.
    pub(super) needs: Vec<(Address, Need)>,
    /// Slots that were read or written, as often as they were.
    pub(super) slots: Vec<(Address, U256)>,
    /// How many needs and slots there were when the transaction began.
    before: (usize, usize),
    /// Of some it was not noted what they looked at, for it was too much.
    full: bool,
    /// A transaction that failed had made or destroyed accounts.
    pub(super) removed: bool,
    /// When to break off.
    pub(super) stop: Option<Stop>,
    /// What was hashed, two words at a time, while a run is watched.
    pub(super) hashed: Option<Vec<([u8; 64], B256)>>,
}

/// When a unit that runs ahead of its turn breaks off.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) progress: Arc<Progress>,
    /// Where it begins.
    pub(super) start: usize,
    /// How long it may take while nothing is committed, if it is not its turn; and since when it runs.
    pub(super) patience: Duration,
    pub(super) begun: Instant,
    /// How often it was asked.
    pub(super) looks: u32,
    /// It breaks off so that somebody runs what comes first.
    pub(super) gives_way: bool,
}

/// How often it is asked between two looks at what others do.
const LOOKS: u32 = 32;

impl Stop {
    fn is_now(&mut self, may_be_long: bool) -> bool {
        self.looks = self.looks.wrapping_add(1);
        // The clock costs a tenth of a call.
        (may_be_long && self.is_overtaken()) || (self.looks.is_multiple_of(LOOKS) && self.looks_around())
    }

    /// Whether somebody else has committed what this runs.
    pub(super) fn is_overtaken(&self) -> bool {
        self.progress.committed() > self.start
    }

    fn looks_around(&mut self) -> bool {
        let committed = self.progress.committed();
        let is_long = || self.begun.elapsed().min(self.progress.stands_still()) > self.patience;
        self.gives_way = committed < self.start && is_long() && self.progress.is_first_to_ask(committed);
        self.gives_way || committed > self.start
    }
}

/// What a transaction may look at and run ahead of its turn: all of it is looked through for what others change.
const MOST: usize = 4_096;

impl Notes {
    /// A transaction begins.
    pub(super) fn begin(&mut self) {
        (self.before, self.full) = ((self.needs.len(), self.slots.len()), false);
    }

    /// Whether the transaction looked at more than was noted.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    fn has_room(&mut self) -> bool {
        self.full |= self.needs.len() + self.slots.len() >= self.before.0 + self.before.1 + MOST;
        !self.full
    }

    fn need(&mut self, address: Address, need: Need) {
        // Whoever looks again and again.
        let own = self.needs.get(self.before.0..).unwrap_or_default();
        if own.last() != Some(&(address, need)) && self.has_room() {
            self.needs.push((address, need));
        }
    }

    fn slot(&mut self, address: Address, slot: U256) {
        let own = self.slots.get(self.before.1..).unwrap_or_default();
        if own.last() != Some(&(address, slot)) && self.has_room() {
            self.slots.push((address, slot));
        }
    }
}

pub(super) type ReplicaContext<'a> = Context<RevmBlock, TxEnv, CfgEnv, Db<'a>, Journal<Db<'a>>, Notes>;
type Db<'a> = Source<Committed<'a>>;

impl KeepsHashes for ReplicaContext<'_> {
    fn hashes(&mut self) -> &mut Hashes {
        &mut self.chain.hashes
    }

    fn hash(&mut self, input: &[u8; 64]) -> B256 {
        let hash = self.chain.hashes.of(input);
        if let Some(hashed) = self.chain.hashed.as_mut().filter(|hashed| hashed.len() < MOST_HASHED) {
            hashed.push((*input, hash));
        }
        hash
    }
}

/// A host that notes what is looked at.
trait NotesReads: Watchful {
    fn need(&mut self, address: Address);
    fn takes(&mut self, address: Address, value: U256);
    fn slot(&mut self, address: Address, slot: U256);
}

impl Watchful for ReplicaContext<'_> {
    /// JUMPDEST, which every loop comes by, is looked at now and then; calls, which a recursion comes by, each time.
    fn stops(&mut self, opcode: u8) -> bool {
        let stops = self.chain.stop.as_mut().is_some_and(|stop| stop.is_now(opcode != JUMPDEST));
        if stops {
            self.error = Err(ContextError::Custom("broken off".into()));
        }
        stops
    }
}

impl NotesReads for ReplicaContext<'_> {
    fn need(&mut self, address: Address) {
        self.chain.need(address, Need::Exact);
    }

    fn takes(&mut self, address: Address, value: U256) {
        let held = self.journaled_state.inner.state.get(&address).map_or(U256::ZERO, |account| account.info.balance);
        // Whether there is enough must come out the same.
        self.chain.need(address, held.checked_sub(value).map_or(Need::Exact, Need::Spare));
    }

    fn slot(&mut self, address: Address, slot: U256) {
        self.chain.slot(address, slot);
    }
}

type Ran = InstructionExecResult;
type At<'i, H> = InstructionContext<'i, H, EthInterpreter>;

/// The stack's word so far below the top.
fn below<H>(context: &At<'_, H>, depth: usize) -> Option<U256> {
    let stack = context.interpreter.stack.data();
    stack.len().checked_sub(depth + 1).map(|index| stack[index])
}

fn noting_slot<H: NotesReads, const OPCODE: u8>(context: At<'_, H>) -> Ran {
    if let Some(slot) = below(&context, 0) {
        context.host.slot(context.interpreter.input.target_address(), slot);
    }
    if OPCODE == SLOAD { host::sload(context) } else { host::sstore(context) }
}

fn noting_balance<H: NotesReads, const OPCODE: u8>(context: At<'_, H>) -> Ran {
    let own = context.interpreter.input.target_address();
    match (OPCODE, below(&context, 0)) {
        (BALANCE, Some(word)) => context.host.need(Address::from_word(word.into())),
        (BALANCE, None) => {}
        _ => context.host.need(own),
    }
    match OPCODE {
        BALANCE => host::balance(context),
        SELFBALANCE => host::selfbalance(context),
        _ => host::selfdestruct(context),
    }
}

fn noting_value<H: NotesReads, const OPCODE: u8>(context: At<'_, H>) -> Ran {
    let creates = matches!(OPCODE, CREATE | CREATE2);
    if context.host.stops(OPCODE) {
        return Err(InstructionResult::FatalExternalError);
    }
    if creates {
        // Its nonce makes the address.
        context.host.need(context.interpreter.input.target_address());
    }
    if let Some(value) = below(&context, if creates { 0 } else { 2 })
        && !value.is_zero()
    {
        context.host.takes(context.interpreter.input.target_address(), value);
    }
    match OPCODE {
        CREATE => contract::create::<false, _, _>(context),
        CREATE2 => contract::create::<true, _, _>(context),
        _ => contract::call::<OPCODE, _, _>(context),
    }
}

/// Makes the instructions that look at balances and slots note it, and KECCAK256 keep its hashes.
pub(super) fn equip(instructions: &mut EthInstructions<EthInterpreter, ReplicaContext<'_>>) {
    let gas = gas_table_spec(instructions.spec);
    let mut put = |opcode: u8, run| {
        instructions.insert_instruction(opcode, Instruction::new(run), gas[usize::from(opcode)]);
    };
    put(KECCAK256, keccak256_kept);
    put(JUMPDEST, watched::<_, JUMPDEST>);
    put(SLOAD, noting_slot::<_, SLOAD>);
    put(SSTORE, noting_slot::<_, SSTORE>);
    put(BALANCE, noting_balance::<_, BALANCE>);
    put(SELFBALANCE, noting_balance::<_, SELFBALANCE>);
    put(SELFDESTRUCT, noting_balance::<_, SELFDESTRUCT>);
    put(CALL, noting_value::<_, CALL>);
    put(CALLCODE, noting_value::<_, CALLCODE>);
    put(DELEGATECALL, watched::<_, DELEGATECALL>);
    put(STATICCALL, watched::<_, STATICCALL>);
    put(CREATE, noting_value::<_, CREATE>);
    put(CREATE2, noting_value::<_, CREATE2>);
}
