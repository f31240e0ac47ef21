//! One row per opcode: stack need, stack change, static gas, first fork, and how the device treats it.
//!
//! Source: the Yellow Paper and the EIPs named at the forks; static gas as of Berlin (EIP-2929), which is the oldest
//! fork that the device runs. The kernel adds what depends on operands.

use crate::{abi, fork::Fork};

/// How the kernel's step loop treats an opcode. The discriminants cross to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Class {
    /// No such opcode at this fork: exceptional halt.
    Undefined = 0,
    /// PUSH0..PUSH32; the argument is the number of bytes.
    Push = 1,
    /// DUP1..DUP16; the argument is the depth.
    Dup = 2,
    /// SWAP1..SWAP16; the argument is the depth.
    Swap = 3,
    /// A number that the lane's registers hold.
    Register = 4,
    /// Arithmetic, comparison, logic or a shift of the operands.
    Alu = 5,
    /// JUMP, JUMPI, JUMPDEST, POP: no result. The last of those that need nothing but code, stack and registers.
    Jump = 6,
    /// Has an arm of its own in the kernel.
    Plain = 7,
    /// LOG0..LOG4; the argument is the number of topics.
    Log = 8,
    /// A word of the block environment; the argument is its index.
    EnvBlock = 9,
    /// A word of the transaction environment; the argument is its index.
    EnvTx = 10,
    /// A word of the frame; the argument is its index.
    Frame = 11,
    /// CALL, CALLCODE, DELEGATECALL, STATICCALL; the result is pushed when the call returns.
    Call = 12,
    /// CREATE and CREATE2; the result is pushed when the init code has returned.
    Create = 13,
}

/// One opcode.
#[derive(Clone, Copy, Debug)]
pub struct Opcode {
    /// The byte.
    pub byte: u8,
    /// Upper-case mnemonic.
    pub name: &'static str,
    /// Stack items that must be there.
    pub need: u8,
    /// Change of the stack height.
    pub delta: i8,
    /// Static gas.
    pub gas: u16,
    /// Whether a result is written to the new top of the stack.
    pub result: bool,
    /// The first fork that has it; `Berlin` stands for "or earlier".
    pub since: Fork,
    /// Treatment on the device.
    pub class: Class,
    /// See [`Class`].
    pub arg: u8,
}

impl Opcode {
    /// `READS_*`: which of the three topmost words the kernel fetches. DUP and SWAP reach for one deeper instead; the topics of LOG and
    /// what POP drops are not fetched.
    const fn reads(&self) -> u32 {
        let operands = match self.class {
            Class::Dup => return abi::READS_B,
            Class::Swap | Class::Log => 2,
            _ if self.byte == 0x50 => 0,
            _ => self.need,
        };
        match operands {
            0 => 0,
            1 => abi::READS_A,
            2 => abi::READS_A | abi::READS_B,
            _ => abi::READS_A | abi::READS_B | abi::READS_C,
        }
    }

    /// What the kernel reads: `class | need << 8 | (delta + 8) << 16 | arg << 24`, `gas | ROW_RESULT | READS_*`, and two words that make the row one
    /// of a uniform.
    pub const fn row(&self) -> [u32; 4] {
        let delta = (self.delta + 8) as u32;
        [
            self.class as u32 | (self.need as u32) << 8 | delta << 16 | (self.arg as u32) << 24,
            self.gas as u32 | if self.result { abi::ROW_RESULT } else { 0 } | self.reads(),
            0,
            0,
        ]
    }
}

const fn op(byte: u8, name: &'static str, need: u8, pushes: u8, gas: u16) -> Opcode {
    let delta = pushes as i8 - need as i8;
    let class = match byte {
        0x01..=0x1e => Class::Alu,
        0x36 | 0x38 | 0x3d | 0x58..=0x5a => Class::Register,
        0x50 | 0x56 | 0x57 | 0x5b => Class::Jump,
        0x5f => Class::Push,
        _ => Class::Plain,
    };
    Opcode { byte, name, need, delta, gas, result: pushes > 0, since: Fork::Berlin, class, arg: 0 }
}

impl Opcode {
    const fn since(self, since: Fork) -> Self {
        Self { since, ..self }
    }

    const fn class(self, class: Class, arg: u8) -> Self {
        Self { class, arg, ..self }
    }
}

/// Words of the block environment in the order of [`Class::EnvBlock`] arguments.
pub const ENV_BLOCK: [&str; 8] =
    ["COINBASE", "TIMESTAMP", "NUMBER", "PREVRANDAO", "GASLIMIT", "CHAINID", "BASEFEE", "BLOBBASEFEE"];

/// Words of the transaction environment in the order of [`Class::EnvTx`] arguments.
pub const ENV_TX: [&str; 2] = ["ORIGIN", "GASPRICE"];

/// Words of the frame in the order of [`Class::Frame`] arguments and of [`crate::abi::FrameState`].
pub const FRAME: [&str; 3] = ["ADDRESS", "CALLER", "CALLVALUE"];

const SINGLES: [Opcode; 77] = [
    op(0x00, "STOP", 0, 0, 0),
    op(0x01, "ADD", 2, 1, 3),
    op(0x02, "MUL", 2, 1, 5),
    op(0x03, "SUB", 2, 1, 3),
    op(0x04, "DIV", 2, 1, 5),
    op(0x05, "SDIV", 2, 1, 5),
    op(0x06, "MOD", 2, 1, 5),
    op(0x07, "SMOD", 2, 1, 5),
    op(0x08, "ADDMOD", 3, 1, 8),
    op(0x09, "MULMOD", 3, 1, 8),
    op(0x0a, "EXP", 2, 1, 10),
    op(0x0b, "SIGNEXTEND", 2, 1, 5),
    op(0x10, "LT", 2, 1, 3),
    op(0x11, "GT", 2, 1, 3),
    op(0x12, "SLT", 2, 1, 3),
    op(0x13, "SGT", 2, 1, 3),
    op(0x14, "EQ", 2, 1, 3),
    op(0x15, "ISZERO", 1, 1, 3),
    op(0x16, "AND", 2, 1, 3),
    op(0x17, "OR", 2, 1, 3),
    op(0x18, "XOR", 2, 1, 3),
    op(0x19, "NOT", 1, 1, 3),
    op(0x1a, "BYTE", 2, 1, 3),
    op(0x1b, "SHL", 2, 1, 3),
    op(0x1c, "SHR", 2, 1, 3),
    op(0x1d, "SAR", 2, 1, 3),
    op(0x1e, "CLZ", 1, 1, 5).since(Fork::Osaka),
    op(0x20, "KECCAK256", 2, 1, 30),
    op(0x30, "ADDRESS", 0, 1, 2).class(Class::Frame, 0),
    op(0x31, "BALANCE", 1, 1, 100),
    op(0x32, "ORIGIN", 0, 1, 2).class(Class::EnvTx, 0),
    op(0x33, "CALLER", 0, 1, 2).class(Class::Frame, 1),
    op(0x34, "CALLVALUE", 0, 1, 2).class(Class::Frame, 2),
    op(0x35, "CALLDATALOAD", 1, 1, 3),
    op(0x36, "CALLDATASIZE", 0, 1, 2),
    op(0x37, "CALLDATACOPY", 3, 0, 3),
    op(0x38, "CODESIZE", 0, 1, 2),
    op(0x39, "CODECOPY", 3, 0, 3),
    op(0x3a, "GASPRICE", 0, 1, 2).class(Class::EnvTx, 1),
    op(0x3b, "EXTCODESIZE", 1, 1, 100),
    op(0x3c, "EXTCODECOPY", 4, 0, 100),
    op(0x3d, "RETURNDATASIZE", 0, 1, 2),
    op(0x3e, "RETURNDATACOPY", 3, 0, 3),
    op(0x3f, "EXTCODEHASH", 1, 1, 100),
    op(0x40, "BLOCKHASH", 1, 1, 20),
    op(0x41, "COINBASE", 0, 1, 2).class(Class::EnvBlock, 0),
    op(0x42, "TIMESTAMP", 0, 1, 2).class(Class::EnvBlock, 1),
    op(0x43, "NUMBER", 0, 1, 2).class(Class::EnvBlock, 2),
    op(0x44, "PREVRANDAO", 0, 1, 2).class(Class::EnvBlock, 3),
    op(0x45, "GASLIMIT", 0, 1, 2).class(Class::EnvBlock, 4),
    op(0x46, "CHAINID", 0, 1, 2).class(Class::EnvBlock, 5),
    op(0x47, "SELFBALANCE", 0, 1, 5),
    op(0x48, "BASEFEE", 0, 1, 2).since(Fork::London).class(Class::EnvBlock, 6),
    op(0x49, "BLOBHASH", 1, 1, 3).since(Fork::Cancun),
    op(0x4a, "BLOBBASEFEE", 0, 1, 2).since(Fork::Cancun).class(Class::EnvBlock, 7),
    op(0x50, "POP", 1, 0, 2),
    op(0x51, "MLOAD", 1, 1, 3),
    op(0x52, "MSTORE", 2, 0, 3),
    op(0x53, "MSTORE8", 2, 0, 3),
    op(0x54, "SLOAD", 1, 1, 100),
    op(0x55, "SSTORE", 2, 0, 100),
    op(0x56, "JUMP", 1, 0, 8),
    op(0x57, "JUMPI", 2, 0, 10),
    op(0x58, "PC", 0, 1, 2),
    op(0x59, "MSIZE", 0, 1, 2),
    op(0x5a, "GAS", 0, 1, 2),
    op(0x5b, "JUMPDEST", 0, 0, 1),
    op(0x5c, "TLOAD", 1, 1, 100).since(Fork::Cancun),
    op(0x5d, "TSTORE", 2, 0, 100).since(Fork::Cancun),
    op(0x5e, "MCOPY", 3, 0, 3).since(Fork::Cancun),
    op(0x5f, "PUSH0", 0, 1, 2).since(Fork::Shanghai),
    op(0xf0, "CREATE", 3, 0, 32_000).class(Class::Create, 0),
    op(0xf1, "CALL", 7, 0, 100).class(Class::Call, 0),
    op(0xf2, "CALLCODE", 7, 0, 100).class(Class::Call, 0),
    op(0xf3, "RETURN", 2, 0, 0),
    op(0xf4, "DELEGATECALL", 6, 0, 100).class(Class::Call, 0),
    op(0xf5, "CREATE2", 4, 0, 32_000).class(Class::Create, 0),
];

const TAIL: [Opcode; 3] = [
    op(0xfa, "STATICCALL", 6, 0, 100).class(Class::Call, 0),
    op(0xfd, "REVERT", 2, 0, 0),
    // The operand stays where it is, for the step that pays the heir.
    op(0xff, "SELFDESTRUCT", 1, 1, 5000),
];

/// The 256 opcodes of a fork from Berlin on, by byte. INVALID (0xfe) and unassigned bytes are [`Class::Undefined`].
pub fn table(fork: Fork) -> [Opcode; 256] {
    let mut table: [Opcode; 256] =
        std::array::from_fn(|byte| op(byte as u8, "INVALID", 0, 0, 0).class(Class::Undefined, 0));
    for opcode in SINGLES.iter().chain(&TAIL).filter(|opcode| opcode.since <= fork) {
        table[usize::from(opcode.byte)] = *opcode;
    }
    for n in 1..=32 {
        table[0x5f + usize::from(n)] = op(0x5f + n, "PUSH", 0, 1, 3).class(Class::Push, n);
    }
    for n in 1..=16 {
        table[0x7f + usize::from(n)] = op(0x7f + n, "DUP", n, n + 1, 3).class(Class::Dup, n);
        table[0x8f + usize::from(n)] = op(0x8f + n, "SWAP", n + 1, n + 1, 3).class(Class::Swap, n);
    }
    for n in 0..=4 {
        let gas = 375 * (u16::from(n) + 1);
        table[0xa0 + usize::from(n)] = op(0xa0 + n, "LOG", n + 2, 0, gas).class(Class::Log, n);
    }
    table
}

/// The opcodes that have a name of their own, for the generated constants.
pub fn named() -> impl Iterator<Item = &'static Opcode> {
    SINGLES.iter().chain(&TAIL)
}
