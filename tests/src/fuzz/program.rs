//! Random programs that mostly keep stack discipline: a known height, loops of few turns, branches that meet at one height.
//! Values flow from one statement to the next, and what is left on the stack ends in storage, so that a wrong one shows.
//!
//! Programs find the accounts of their group from their own address (see [`super::scene`]), so that one code serves many.

mod invoke;

use crate::random::Random;
use alloy_primitives::U256;
use lockstep::{
    fork::Fork,
    opcode::{self, Class},
};

pub use invoke::{Signed, init_code, signatures};

/// Contracts of a group, by the last byte of their address. The transaction goes to the first.
pub const MAIN: u8 = 0;
/// Contracts that call those behind them.
pub const WORKERS: [u8; 2] = [1, 2];
/// Fails in every way there is.
pub const CHAOS: u8 = 3;
/// Writes and logs, calls nobody.
pub const LEAF: u8 = 4;
/// Ends with REVERT.
pub const REVERTER: u8 = 5;
/// Delegates (EIP-7702).
pub const DELEGATOR: u8 = 6;
/// Has no code.
pub const PLAIN: u8 = 7;
/// Does not exist.
pub const ABSENT: u8 = 8;
/// A few bytes: pushes cut short, and what begins like a delegation.
pub const STUB: u8 = 9;
/// Signs authorizations (EIP-7702).
pub const AUTHORITY: u8 = 10;
/// Any instructions on small numbers, and any end.
pub const PROBE: u8 = 11;

const BINARY: [u8; 21] = [
    0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0a, 0x0b, 0x10, 0x11, 0x12, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1a, 0x1b,
    0x1c, 0x1d,
];
const ENVIRONMENT: [u8; 20] = [
    0x30, 0x32, 0x33, 0x34, 0x36, 0x38, 0x3a, 0x3d, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x4a, 0x58, 0x59,
    0x5a,
];

/// What a scene's programs may do besides.
#[derive(Clone, Copy, Debug)]
pub struct Features {
    /// CREATE and CREATE2.
    pub creates: bool,
    /// SELFDESTRUCT.
    pub destroys: bool,
    /// Look at the beneficiary's account.
    pub beneficiary: bool,
    /// Precompiles that are seldom called.
    pub rare_precompiles: bool,
}

/// A program being written.
#[derive(Debug)]
pub struct Program<'a> {
    /// The dice.
    pub random: &'a mut Random,
    fork: Fork,
    member: u8,
    features: Features,
    signed: &'a [Signed],
    code: Vec<u8>,
    height: usize,
    /// Items below this are not to be touched: counters of the loops around.
    floor: usize,
    /// In a thousand statements, so many break a rule.
    wild: u64,
}

impl<'a> Program<'a> {
    /// An empty one for `member` of a group.
    pub fn new(random: &'a mut Random, fork: Fork, member: u8, features: Features, signed: &'a [Signed]) -> Self {
        let wild = match member {
            CHAOS => 120,
            MAIN => random.pick(&[0, 0, 0, 4]),
            _ => random.pick(&[0, 5, 15]),
        };
        Self { random, fork, member, features, signed, code: Vec::new(), height: 0, floor: 0, wild }
    }

    fn has(&self, op: u8) -> bool {
        opcode::table(self.fork)[usize::from(op)].class != Class::Undefined
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.code.extend_from_slice(bytes);
    }

    /// An opcode, with its effect on the height.
    fn op(&mut self, op: u8) {
        let row = opcode::table(self.fork)[usize::from(op)];
        self.code.push(op);
        // The result of a call or creation comes when it returns.
        let delta = if matches!(op, 0xf0..=0xf2 | 0xf4 | 0xf5 | 0xfa) { 1 - row.need as i8 } else { row.delta };
        self.height = self.height.saturating_add_signed(delta.into());
    }

    /// The shortest push, now and then a longer one.
    fn push(&mut self, value: U256) {
        let bytes: [u8; 32] = value.to_be_bytes();
        let mut len = 32 - bytes.iter().position(|byte| *byte != 0).unwrap_or(32);
        if len == 0 && (!self.has(0x5f) || self.random.chance(30)) {
            len = 1;
        }
        if self.random.chance(6) {
            len = len.max(1 + self.random.below(32) as usize);
        }
        self.code.push(0x5f + len as u8);
        self.raw(&bytes[32 - len..]);
        self.height += 1;
    }

    fn small(&mut self, end: u64) {
        let value = self.random.below(end);
        self.push(U256::from(value));
    }

    fn wild(&mut self) -> bool {
        self.random.below(1000) < self.wild
    }

    /// Items that may be used up.
    fn free(&self) -> usize {
        self.height - self.floor
    }

    /// At least `count` items to work on.
    fn ensure(&mut self, count: usize) {
        while self.free() < count {
            self.value();
        }
    }

    /// A byte offset or a length in memory.
    fn place(&mut self) {
        let place = if self.wild() {
            self.random.place()
        } else {
            let end = self.random.pick(&[1, 8, 40, 70, 200, 300, 600]);
            U256::from(self.random.below(end))
        };
        self.push(place);
    }

    /// Length below offset, for ranges; an empty one may be anywhere.
    fn range(&mut self) {
        if self.random.chance(4) {
            self.push(U256::ZERO);
            let far = self.random.word();
            self.push(far);
        } else {
            self.place();
            self.place();
        }
    }

    fn slot(&mut self) {
        if self.random.chance(97) {
            self.small(6);
        } else {
            let word = self.random.word();
            self.push(word);
        }
    }

    /// The address of a member of the running contract's group.
    pub fn member(&mut self, member: u8) {
        if member == self.member && self.random.chance(60) {
            return self.op(0x30);
        }
        self.push(U256::from(0xff));
        self.op(0x19);
        self.op(0x30);
        self.op(0x16);
        self.push(U256::from(member));
        self.op(0x17);
        if self.random.chance(3) {
            // Above the 160 bits of an address nothing counts.
            let high = self.random.word() << 160;
            self.push(high);
            self.op(0x17);
        }
    }

    /// Any address worth a look.
    fn someone(&mut self) {
        match self.random.below(20) {
            0 => self.op(0x32),
            1 => self.op(0x33),
            2 if self.features.beneficiary => self.op(0x41),
            3 => self.small(20),
            4 => self.push(U256::from(0x100)),
            5 => self.push(U256::from_be_slice(super::scene::LIBRARY.as_slice())),
            _ => {
                let member = self.random.below(11) as u8;
                self.member(member);
            }
        }
    }

    /// One more item.
    fn value(&mut self) {
        match self.random.below(13) {
            0..=2 => {
                let word = self.random.word();
                self.push(word);
            }
            3 | 4 => {
                let op = self.random.pick(&ENVIRONMENT);
                if self.has(op) {
                    self.op(op);
                }
            }
            5 | 6 => {
                self.small(80);
                self.op(0x35);
            }
            7 => {
                self.place();
                self.op(0x51);
            }
            8 | 9 => {
                self.slot();
                self.op(0x54);
            }
            10 if self.has(0x5c) => {
                self.slot();
                self.op(0x5c);
            }
            11 => self.look(),
            _ if self.free() > 0 => {
                let depth = self.random.below(self.free().min(16) as u64) as u8;
                self.op(0x80 + depth);
            }
            _ => self.small(300),
        }
    }

    /// A word about an account, a block or a blob.
    fn look(&mut self) {
        match self.random.below(8) {
            0 => {
                let back = self.random.below(270);
                self.op(0x43);
                self.push(U256::from(back));
                self.op(0x90);
                self.op(0x03);
                if self.random.chance(5) {
                    let word = self.random.word();
                    self.push(word);
                    self.op(0x01);
                }
                self.op(0x40);
            }
            1 if self.has(0x49) => {
                self.small(4);
                self.op(0x49);
            }
            _ => {
                self.someone();
                let op = self.random.pick(&[0x31, 0x3b, 0x3f]);
                self.op(op);
            }
        }
    }

    /// One statement; what it leaves on the stack is the next one's.
    fn statement(&mut self, depth: u8) {
        if self.wild() {
            return self.break_a_rule();
        }
        while self.free() > 12 {
            self.op(0x18);
        }
        match self.random.below(40) {
            0..=8 => self.arithmetic(),
            9 | 10 => self.value(),
            11 | 12 => self.shuffle(),
            13..=15 => {
                self.ensure(1);
                self.place();
                let op = self.random.pick(&[0x52, 0x52, 0x53]);
                self.op(op);
            }
            16..=18 => {
                self.ensure(1);
                self.slot();
                self.op(0x55);
            }
            19 if self.has(0x5d) => {
                self.ensure(1);
                self.slot();
                self.op(0x5d);
            }
            19..=22 => self.copy(),
            23 => {
                self.range();
                self.op(0x20);
            }
            24 => self.log(),
            25..=27 if depth < 2 => self.turns(depth),
            28 | 29 if depth < 3 => self.branch(depth),
            30 => self.jump(),
            31..=36 if self.member < LEAF => self.call(),
            37 if self.features.creates && depth < 2 => self.create(),
            38 => self.look(),
            _ => self.value(),
        }
    }

    fn arithmetic(&mut self) {
        match self.random.below(12) {
            0 => {
                self.ensure(3);
                let op = self.random.pick(&[0x08, 0x09]);
                self.op(op);
            }
            1 => {
                self.ensure(1);
                let op = self.random.pick(&[0x15, 0x19, 0x1e]);
                if self.has(op) {
                    self.op(op);
                }
            }
            // A position that means something.
            2 | 3 => {
                self.ensure(1);
                let (op, end) = self.random.pick(&[(0x0b, 34), (0x1a, 34), (0x1b, 260), (0x1c, 260), (0x1d, 260)]);
                self.small(end);
                self.op(op);
            }
            4..=6 => {
                self.ensure(1);
                let word = self.random.word();
                self.push(word);
                if self.random.chance(50) {
                    self.op(0x90);
                }
                let op = self.random.pick(&BINARY);
                self.op(op);
            }
            _ => {
                self.ensure(2);
                let op = self.random.pick(&BINARY);
                self.op(op);
            }
        }
    }

    fn shuffle(&mut self) {
        self.ensure(2);
        match self.random.below(5) {
            0 | 1 => {
                let depth = self.random.below(self.free().min(16) as u64) as u8;
                self.op(0x80 + depth);
            }
            2 | 3 => {
                let depth = self.random.below((self.free() - 1).min(16) as u64) as u8;
                self.op(0x90 + depth);
            }
            _ if self.random.chance(70) => self.op(0x50),
            _ => {
                // All the way down, for the deep ones.
                let more = 17_usize.saturating_sub(self.free());
                for item in 0..more {
                    self.push(U256::from(item));
                }
                let depth = self.random.below(16) as u8;
                let op = self.random.pick(&[0x80, 0x90]) + depth;
                self.op(op);
            }
        }
    }

    fn copy(&mut self) {
        match self.random.pick(&[0x37_u8, 0x37, 0x39, 0x39, 0x3e, 0x5e, 0x5e, 0x3c]) {
            0x3c => {
                self.place();
                self.place();
                self.place();
                self.someone();
                self.op(0x3c);
            }
            0x3e => {
                if self.wild() {
                    self.place();
                    self.place();
                } else if self.random.chance(50) {
                    self.op(0x3d);
                    self.push(U256::ZERO);
                } else {
                    // All but the first byte, if there is one.
                    self.op(0x3d);
                    self.op(0x15);
                    self.op(0x15);
                    self.op(0x80);
                    self.op(0x3d);
                    self.op(0x03);
                    self.op(0x90);
                }
                self.place();
                self.op(0x3e);
            }
            0x5e if !self.has(0x5e) => self.value(),
            op => {
                self.range();
                self.place();
                if self.random.chance(4) {
                    self.op(0x90);
                }
                self.op(op);
            }
        }
    }

    fn log(&mut self) {
        let topics = self.random.below(5) as u8;
        self.ensure(topics.into());
        self.range();
        self.op(0xa0 + topics);
    }

    /// A loop of a few turns; its counter is out of the body's reach.
    fn turns(&mut self, depth: u8) {
        let turns = 2 + self.random.below(if depth == 0 { 7 } else { 3 });
        self.push(U256::from(turns));
        let (held, start) = (self.floor, self.code.len());
        self.floor = self.height;
        self.op(0x5b);
        for _ in 0..=self.random.below(4) {
            self.statement(depth + 1);
        }
        self.level(self.floor);
        self.floor = held;
        self.push(U256::ONE);
        self.op(0x90);
        self.op(0x03);
        self.op(0x80);
        self.push(U256::from(start));
        self.op(0x57);
        self.op(0x50);
    }

    /// Pops or pushes until the height is `height`.
    fn level(&mut self, height: usize) {
        while self.height > height {
            self.op(if self.free() > 1 && self.height > height + 1 { 0x18 } else { 0x50 });
        }
        while self.height < height {
            self.small(300);
        }
    }

    /// Statements that a condition skips.
    fn branch(&mut self, depth: u8) {
        self.ensure(1);
        if self.random.chance(50) {
            self.push(U256::ONE);
            self.op(0x16);
        }
        let hole = self.hole();
        self.op(0x57);
        let height = self.height;
        for _ in 0..=self.random.below(3) {
            self.statement(depth + 1);
        }
        if self.height < height || self.free() > 0 {
            self.level(height);
        }
        self.fill(hole);
    }

    /// Over bytes that do not run, among them data of a push that look like a destination.
    fn jump(&mut self) {
        let hole = self.hole();
        self.op(0x56);
        let junk = self.random.below(12);
        // Without pushes, whose data the destination would be.
        let junk: Vec<u8> = self.random.bytes(junk).into_iter().map(|byte| byte % 0x5f).collect();
        self.raw(&junk);
        self.raw(&[0x00, 0x62, 0x5b, 0x5b, 0x5b]);
        self.fill(hole);
    }

    /// A push of a destination to come.
    fn hole(&mut self) -> usize {
        self.raw(&[0x61, 0, 0]);
        self.height += 1;
        self.code.len() - 2
    }

    fn fill(&mut self, hole: usize) {
        let target = (self.code.len() as u16).to_be_bytes();
        self.code[hole..hole + 2].copy_from_slice(&target);
        self.op(0x5b);
    }

    /// Mostly ends the frame.
    fn break_a_rule(&mut self) {
        match self.random.below(14) {
            0 => self.code.push(self.random.0 as u8),
            1 => self.raw(&[0xfe]),
            2 => {
                // Jumps into push data, to what is no destination, far beyond the end.
                let target = self.random.pick(&[1_u64, 2, 3, 4, 5, 1 << 20, 1 << 40]);
                self.push(U256::from(target));
                self.raw(&[0x56]);
                self.height -= 1;
            }
            3 => {
                self.ensure(1);
                let word = self.random.word();
                self.push(word);
                self.op(0x57);
            }
            4 | 5 => self.underflow(),
            6 => {
                // Gas for memory grows with the square.
                let far = U256::from(1_u64 << self.random.pick(&[13, 16, 19, 21, 32, 40]));
                self.push(far);
                let op = self.random.pick(&[0x51, 0x20]);
                if op == 0x20 {
                    self.place();
                }
                self.op(op);
            }
            7 => {
                self.small(60);
                self.small(60);
                self.place();
                self.op(0x3e);
            }
            8 | 9 => {
                // Any instruction on a stack of small numbers.
                let op = self.random.next() as u8;
                let row = opcode::table(self.fork)[usize::from(op)];
                for _ in 0..row.need {
                    self.small(70);
                }
                self.op(op);
                if row.class == Class::Push {
                    let data = self.random.bytes(row.arg.into());
                    self.raw(&data);
                }
            }
            10 => {
                // To the limit of the stack.
                let start = self.code.len();
                self.raw(&[0x5b, 0x5a, 0x5a, 0x5a, 0x61]);
                self.raw(&(start as u16).to_be_bytes());
                self.raw(&[0x56]);
            }
            11 if self.features.destroys => self.destroy(),
            _ => {
                let op = self.random.pick(&[0xfd, 0xf3, 0x00, 0xfd]);
                if op != 0 {
                    self.range();
                }
                self.raw(&[op]);
                self.height = self.height.max(self.floor);
            }
        }
        self.height = self.height.max(self.floor);
    }

    fn destroy(&mut self) {
        self.someone();
        self.op(0xff);
    }

    /// Everything left goes into a slot or memory, and the frame ends.
    fn finish(&mut self) {
        while self.free() > 1 {
            let op = self.random.pick(&[0x18, 0x18, 0x01, 0x03]);
            self.op(op);
        }
        self.ensure(1);
        if self.random.chance(60) {
            self.op(0x80);
            self.slot();
            self.op(0x55);
        }
        self.push(U256::ZERO);
        self.op(0x52);
        let dice = self.random.below(100);
        let op = match dice {
            _ if self.member == REVERTER && dice < 90 => 0xfd,
            0..=9 => 0x00,
            10..=14 => 0xfd,
            15 => 0xfe,
            16..=20 if self.features.destroys => return self.destroy(),
            // Off the end of the code.
            21..=24 => return,
            _ => 0xf3,
        };
        if op == 0xf3 || op == 0xfd {
            let len = self.random.pick(&[32_u64, 32, 64, 31, 33, 100, 0, 300]);
            self.push(U256::from(len));
            self.push(U256::from(len & 7));
        }
        self.op(op);
    }

    /// A program of so many statements.
    pub fn write(mut self, statements: u64) -> Vec<u8> {
        for number in 0..statements {
            if self.member == MAIN && (number == 2 || number == 7) {
                self.call_probe();
            }
            self.statement(0);
        }
        self.finish();
        self.code
    }

    /// The program of [`PROBE`].
    pub fn probe(mut self) -> Vec<u8> {
        let table = opcode::table(self.fork);
        for _ in 0..=self.random.below(8) {
            let op = self.random.next() as u8;
            let row = table[usize::from(op)];
            match (op, row.class) {
                (_, Class::Undefined) | (0x00 | 0xf3 | 0xfd | 0xff, _) => {}
                (0x56, _) => self.jump(),
                (0x57, _) => self.branch(3),
                (0xf1 | 0xf2 | 0xf4 | 0xfa, _) => {
                    for _ in 0..4 {
                        self.small(40);
                    }
                    if row.need == 7 {
                        self.small(2);
                    }
                    let member = self.random.pick(&[PLAIN, LEAF, ABSENT, STUB]);
                    self.member(member);
                    self.small(4_000);
                    self.op(op);
                }
                _ => {
                    for _ in 0..row.need {
                        self.small(70);
                    }
                    self.op(op);
                    if row.class == Class::Push {
                        let data = self.random.bytes(row.arg.into());
                        self.raw(&data);
                    }
                }
            }
        }
        match self.random.below(20) {
            0..=6 => self.underflow(),
            7..=11 => {
                self.range();
                self.op(0xfd);
            }
            12 | 13 => {
                self.range();
                self.op(0xf3);
            }
            14 => self.op(0xfe),
            15 if self.features.destroys => self.destroy(),
            16 => self.break_a_rule(),
            _ => {}
        }
        self.code
    }

    /// One item too few for an instruction that takes some.
    fn underflow(&mut self) {
        let table = opcode::table(self.fork);
        let op = loop {
            let op = self.random.next() as u8;
            if table[usize::from(op)].need > 0 {
                break op;
            }
        };
        let need = usize::from(table[usize::from(op)].need);
        self.raw(&vec![0x50; self.height]);
        self.height = 0;
        for _ in 1..need {
            self.small(40);
        }
        self.raw(&[op]);
        self.height = self.floor;
    }
}
