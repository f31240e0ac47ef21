//! The programs of rivals. The first word of the calldata is a slot for most of them, the second an account.

use crate::{
    calls::{Args, CALL, CALLCODE, DELEGATECALL, KINDS, word},
    programs::Code,
    random::{Random, deploy},
};
use alloy_primitives::{Address, U256};
use lockstep::fork::Fork;

/// The precompile whose touch outlives a revert.
pub(super) const KEEPS_TOUCH: Address = Address::with_last_byte(3);

/// The block that BLOCKHASH asks for.
pub(super) const HASHED: u64 = 19_999_999;

/// What [`trap`] reads where it must.
pub(super) const TRAPPED: U256 = U256::from_limbs([9, 0, 0, 0]);

const ADD: u8 = 0x01;
const LT: u8 = 0x10;
const BALANCE: u8 = 0x31;
const CALLER: u8 = 0x33;
const CALLVALUE: u8 = 0x34;
const CALLDATALOAD: u8 = 0x35;
const CALLDATASIZE: u8 = 0x36;
const EXTCODESIZE: u8 = 0x3b;
const EXTCODEHASH: u8 = 0x3f;
const BLOCKHASH: u8 = 0x40;
const SELFBALANCE: u8 = 0x47;
const POP: u8 = 0x50;
const MLOAD: u8 = 0x51;
const MSTORE: u8 = 0x52;
const SLOAD: u8 = 0x54;
const SSTORE: u8 = 0x55;
const JUMPI: u8 = 0x57;
const GAS: u8 = 0x5a;
const JUMPDEST: u8 = 0x5b;
const TLOAD: u8 = 0x5c;
const TSTORE: u8 = 0x5d;
const DUP1: u8 = 0x80;
const LOG0: u8 = 0xa0;
const CREATE: u8 = 0xf0;
const RETURN: u8 = 0xf3;
const CREATE2: u8 = 0xf5;
const REVERT: u8 = 0xfd;
const INVALID: u8 = 0xfe;
const SELFDESTRUCT: u8 = 0xff;

impl Code {
    /// The calldata's word at an offset.
    fn input_at(self, offset: u64) -> Self {
        self.push(U256::from(offset)).op(CALLDATALOAD)
    }

    /// Logs the top of the stack.
    fn tell(self) -> Self {
        self.push(U256::ZERO).op(MSTORE).end(LOG0, 0, 32)
    }

    /// Adds one to the slot that `place` leaves on the stack.
    fn count(self, place: impl Fn(Self) -> Self) -> Self {
        place(place(self).op(SLOAD).push(U256::ONE).op(ADD)).op(SSTORE)
    }

    /// `body` where the top of the stack is zero.
    fn unless(self, body: impl FnOnce(Self) -> Self) -> Self {
        let code = self.op(0x61);
        let hole = code.0.len();
        let mut code = body(Self([code.0, vec![0, 0, JUMPI]].concat()));
        let target = code.0.len() as u16;
        code.0[hole..hole + 2].copy_from_slice(&target.to_be_bytes());
        code.op(JUMPDEST)
    }
}

/// Dies for its caller where it is called without data; else counts in the slot that they name, and tells how far.
pub(super) fn mortal() -> Vec<u8> {
    let code = Code::default().op(CALLDATASIZE).unless(|code| code.op(CALLER).op(SELFDESTRUCT));
    let slot = |code: Code| code.input_at(0);
    slot(code.count(slot)).op(SLOAD).tell().0
}

/// Pays `to` what the calldata say, and tells whether it could.
pub(super) fn payer(to: Address) -> Vec<u8> {
    let code = (0..4).fold(Code::default(), |code, _| code.push(U256::ZERO)).input_at(0);
    code.push(word(to)).op(GAS).op(CALL).tell().0
}

/// With data it sets slot 0. Without, it touches the precompile and reads another slot unless slot 0 is set.
pub(super) fn trap() -> Vec<u8> {
    let touch = |code: Code| code.call(&Args { input: (0, 0), output: (0, 0), ..Args::new(CALL, word(KEEPS_TOUCH)) });
    let code = Code::default().op(CALLDATASIZE).unless(|code| {
        let code = touch(code).op(POP).push(U256::ZERO).op(SLOAD);
        code.unless(|code| code.push(TRAPPED).op(SLOAD).tell()).op(0x00)
    });
    code.push(U256::ONE).keep(0).0
}

/// Writes programs.
#[derive(Debug)]
pub(super) struct Writer<'w> {
    pub(super) random: &'w mut Random,
    pub(super) fork: Fork,
    /// What they look at.
    pub(super) known: &'w [Address],
    /// What they may call with all their gas.
    pub(super) below: &'w [Address],
    pub(super) beneficiary: Address,
}

impl Writer<'_> {
    /// A contract, `reverting` whatever it has done.
    pub(super) fn contract(&mut self, reverting: bool) -> Vec<u8> {
        let acts = 1 + self.random.below(4);
        let code = (0..acts).fold(Code::default(), |code, _| self.act(code, 0));
        if reverting {
            let slot = self.random.below(4);
            return code.push(U256::from(slot)).op(SLOAD).push(U256::ZERO).op(MSTORE).end(REVERT, 0, 32).0;
        }
        match self.random.below(20) {
            0..=2 => code.end(REVERT, 0, 32).0,
            3 => code.op(INVALID).0,
            4 | 5 => self.who(code).op(SELFDESTRUCT).0,
            6..=9 => code.end(RETURN, 0, 32).0,
            _ => code.0,
        }
    }

    /// What is created in a block: something mortal, something that counts, or anything.
    pub(super) fn created(&mut self) -> Vec<u8> {
        match self.random.below(4) {
            0 | 1 => mortal(),
            2 => self.act(Code::default().push(U256::from(7)).keep(1), 1).0,
            _ => Code::default().push(U256::from(5)).keep(2).op(CALLER).op(SELFDESTRUCT).0,
        }
    }

    fn slot(&mut self, code: Code) -> Code {
        if self.random.chance(50) { code.input_at(0) } else { code.push(U256::from(self.random.below(4))) }
    }

    fn who(&mut self, code: Code) -> Code {
        match self.random.below(10) {
            0 | 1 => code.input_at(32),
            2 | 3 => code.push(word(self.beneficiary)),
            4 => code.push(word(KEEPS_TOUCH)),
            _ => code.push(word(self.random.pick(self.known))),
        }
    }

    /// What is made of a word that was read.
    fn sink(&mut self, code: Code) -> Code {
        match self.random.below(10) {
            0..=6 => code.tell(),
            7 | 8 => self.slot(code).op(SSTORE),
            _ => code.op(POP),
        }
    }

    /// Does something and leaves the stack as it was.
    fn act(&mut self, code: Code, depth: u8) -> Code {
        match self.random.below(28) {
            0..=2 => {
                let fixed = self.random.chance(30).then(|| U256::from(self.random.below(4)));
                code.count(|code| fixed.map_or(code.clone().input_at(0), |slot| code.push(slot)))
            }
            3 | 4 => {
                let code = self.slot(code).op(SLOAD);
                self.sink(code)
            }
            5 => {
                let code = code.push(U256::from(self.random.below(3)));
                self.slot(code).op(SSTORE)
            }
            6..=8 => {
                let code = self.who(code).op(BALANCE);
                self.sink(code)
            }
            9 if self.fork >= Fork::Istanbul => self.sink(code.op(SELFBALANCE)),
            10 => {
                let op = if self.fork >= Fork::Petersburg { EXTCODEHASH } else { EXTCODESIZE };
                let code = self.who(code).op(op);
                self.sink(code)
            }
            11..=14 => self.pay(code),
            15..=17 if !self.below.is_empty() => self.descend(code),
            18 | 19 if depth < 2 => self.create(code),
            20 => self.touch(code),
            21..=23 if depth < 2 => self.branch(code, depth),
            24 if self.fork >= Fork::Cancun => {
                let code = self.slot(code).op(TLOAD);
                let code = self.sink(code).push(U256::ONE);
                self.slot(code).op(TSTORE)
            }
            25 if self.random.chance(30) => self.sink(code.push(U256::from(HASHED)).op(BLOCKHASH)),
            26 if depth > 0 => {
                let op = self.random.pick(&[SELFDESTRUCT, INVALID, REVERT]);
                match op {
                    SELFDESTRUCT => self.who(code).op(op),
                    _ => code.end(op, 0, 32),
                }
            }
            _ => self.sink(code.op(CALLVALUE)),
        }
    }

    /// Pays somebody some wei, or the value that came.
    fn pay(&mut self, code: Code) -> Code {
        let code = (0..4).fold(code, |code, _| code.push(U256::ZERO));
        let code = match self.random.below(8) {
            0 => code.op(CALLVALUE),
            1..=4 => code.push(U256::from(self.random.below(7))),
            _ => code.push(U256::ZERO),
        };
        let op = self.random.pick(&[CALL, CALL, CALL, CALLCODE]);
        let code = self.who(code).push(U256::from(60_000)).op(op);
        self.sink(code)
    }

    /// Calls one that does not call back: its success, or the first word that it gives.
    fn descend(&mut self, code: Code) -> Code {
        let to = word(self.random.pick(self.below));
        let kind = self.random.pick(&[CALL, CALL, DELEGATECALL, KINDS[2], KINDS[3]]);
        let gas = self.random.chance(30).then(|| U256::from(self.random.below(40_000)));
        let value = U256::from(self.random.below(4) / 2);
        // With the calldata that came.
        let code = code.input_at(0).push(U256::ZERO).op(MSTORE).input_at(32).push(U256::from(32)).op(MSTORE);
        let code = code.call(&Args { gas, value, output: (64, 32), ..Args::new(kind, to) });
        let code = self.sink(code).push(U256::from(64)).op(MLOAD);
        self.sink(code)
    }

    /// Creates something; the address is told, and it is called.
    fn create(&mut self, code: Code) -> Code {
        let init = if self.random.chance(80) { deploy(&mortal()) } else { deploy(&self.created()) };
        let kind = if self.fork >= Fork::Petersburg { self.random.pick(&[CREATE, CREATE, CREATE2]) } else { CREATE };
        let code = code.create(kind, self.random.below(4) / 2, &init).op(DUP1);
        let code = self.sink(code).push(U256::from(4096_u64)).op(MSTORE);
        let zeros = (0..2).fold(code, |code, _| code.push(U256::ZERO));
        let with = self.random.pick(&[0, 32]);
        let code = zeros.push(U256::from(with)).push(U256::ZERO).push(U256::ZERO);
        let code = code.push(U256::from(4096_u64)).op(MLOAD).push(U256::from(50_000)).op(CALL);
        self.sink(code)
    }

    /// A call without value to a precompile, which it may not have the gas for.
    fn touch(&mut self, code: Code) -> Code {
        let to = U256::from(self.random.pick(&[1, 2, 3, 3, 3, 4, 9]));
        let gas = Some(U256::from(self.random.pick(&[0, 100, 700, 30_000])));
        let code = code.call(&Args { gas, input: (0, 32), ..Args::new(CALL, to) });
        self.sink(code)
    }

    /// An act that depends on what a slot or a balance is.
    fn branch(&mut self, code: Code, depth: u8) -> Code {
        let code = match self.random.below(4) {
            0 => self.slot(code).op(SLOAD),
            1 => self.who(code).op(BALANCE).push(U256::from(self.random.below(6))).op(LT),
            2 => code.op(CALLVALUE),
            _ => self.slot(code).op(SLOAD).push(U256::from(self.random.below(4))).op(LT),
        };
        code.unless(|code| self.act(code, depth + 1))
    }
}
