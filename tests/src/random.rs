//! Random blocks: programs of valid opcodes with small operands, a little byte soup, and few enough accounts and slots that
//! transactions of one block collide. The same seed gives the same block.

use crate::{
    programs::{Calls, Code},
    sign::Wallet,
};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use lockstep::{
    fork::Fork,
    intrinsic::{MAX_TX_GAS_OSAKA, intrinsic_gas},
    opcode::{self, Class},
    state::AccountInfo,
    tx::{Transaction, TxType},
};

/// SplitMix64: small, seedable, the same everywhere.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// Any 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end` > 0.
    pub const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True in `percent` of 100 cases.
    pub const fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of `items`, of which there must be some.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }

    /// Bytes, a third of them zero.
    pub fn bytes(&mut self, len: u64) -> Vec<u8> {
        (0..len).map(|_| if self.chance(30) { 0 } else { self.next() as u8 }).collect()
    }

    /// A word: mostly small, else around a power of two, else anything.
    pub fn word(&mut self) -> U256 {
        let bit = U256::ONE << self.below(256);
        match self.below(8) {
            0..=3 => U256::from(self.below(40)),
            4 => bit,
            5 => bit.wrapping_sub(U256::from(self.below(3))),
            6 => bit.wrapping_neg().wrapping_add(U256::from(self.below(3))),
            _ => U256::from_limbs(std::array::from_fn(|_| self.next())),
        }
    }

    /// A byte offset or length in memory: mostly within a few words, rarely where lengths and gas turn.
    pub fn place(&mut self) -> U256 {
        match self.below(40) {
            0 => self.word(),
            1 => U256::from(32_768 - 40 + self.below(80)),
            2 => U256::from((1_u64 << self.pick(&[16, 21, 31, 32])).wrapping_sub(20) + self.below(40)),
            _ => {
                let end = self.pick(&[1, 8, 70, 300]);
                U256::from(self.below(end))
            }
        }
    }
}

/// What programs are written from: the rules, the dice, and the addresses that they look at and transactions go to.
#[derive(Debug)]
struct World {
    fork: Fork,
    random: Random,
    known: Vec<Address>,
    /// What a program may call with all its gas: they do not call back, so that nothing recurses for long.
    below: Vec<Address>,
    /// Whether the program is init code, or deployed by it: it creates nothing.
    created: bool,
}

const BINARY: [u8; 21] = [
    0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0a, 0x0b, 0x10, 0x11, 0x12, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1a, 0x1b,
    0x1c, 0x1d,
];
const ENVIRONMENT: [u8; 18] =
    [0x30, 0x32, 0x33, 0x34, 0x36, 0x38, 0x3a, 0x3d, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x58, 0x59];

impl World {
    fn address(&mut self) -> U256 {
        let known = self.random.below(self.known.len() as u64) as usize;
        let word = U256::from_be_slice(self.known[known].as_slice());
        match self.random.below(12) {
            0 => U256::from(self.random.below(20)),
            1 => U256::from(0x100),
            2 => word | self.random.word() << 160,
            _ => word,
        }
    }

    /// One of `opcodes`, at least one of which the fork has; hardly ever one that it lacks.
    fn op(&mut self, opcodes: &[u8]) -> u8 {
        loop {
            let op = self.random.pick(opcodes);
            if opcode::table(self.fork)[usize::from(op)].class != Class::Undefined || self.random.chance(1) {
                return op;
            }
        }
    }

    /// Mostly one of six slots, with small values, so that every transition happens.
    fn slot(&mut self) -> U256 {
        if self.random.chance(95) { U256::from(self.random.below(6)) } else { self.random.word() }
    }

    /// Code that leaves one word on the stack.
    fn value(&mut self, code: Code) -> Code {
        match self.random.below(15) {
            0..=2 => {
                let word = self.random.word();
                code.push(word)
            }
            3 | 4 => {
                let (a, b, op) = (self.random.word(), self.random.word(), self.random.pick(&BINARY));
                code.push(b).push(a).op(op)
            }
            5 => {
                let (a, b, c, op) =
                    (self.random.word(), self.random.word(), self.random.word(), self.random.pick(&[0x08, 0x09]));
                code.push(c).push(b).push(a).op(op)
            }
            6 => {
                let (a, op) = (self.random.word(), self.op(&[0x15, 0x19, 0x1e]));
                code.push(a).op(op)
            }
            7 => {
                let op = self.op(&ENVIRONMENT);
                code.op(op)
            }
            8 => {
                let at = self.random.place();
                code.push(at).op(0x35)
            }
            9 | 10 => {
                let slot = self.slot();
                code.push(slot).op(0x54)
            }
            11 => {
                let (who, op) = (self.address(), self.random.pick(&[0x31, 0x3b, 0x3f]));
                code.push(who).op(op)
            }
            12 => {
                let (len, at) = (self.random.place(), self.random.place());
                code.push(len).push(at).op(0x20)
            }
            13 => {
                let at = self.random.place();
                code.push(at).op(0x51)
            }
            _ => match self.random.below(5) {
                0 => {
                    let back = self.random.below(260);
                    code.push(U256::from(20_000_001 - back)).op(0x40)
                }
                1 => {
                    let (index, op) = (self.random.below(3), self.op(&[0x35, 0x49]));
                    code.push(U256::from(index)).op(op)
                }
                2 => {
                    let (slot, op) = (self.slot(), self.op(&[0x54, 0x5c]));
                    code.push(slot).op(op)
                }
                3 => code.op(0x5a),
                _ => {
                    let op = self.op(&[0x3d, 0x4a, 0x5f]);
                    code.op(op)
                }
            },
        }
    }

    /// A statement that leaves the stack as it was.
    fn statement(&mut self, code: Code, depth: u8) -> Code {
        match self.random.below(30) {
            0..=4 => {
                let (code, slot) = (self.value(code), self.slot());
                code.push(slot).op(0x55)
            }
            5 => {
                let (value, slot) = (self.random.below(3), self.slot());
                code.push(U256::from(value)).push(slot).op(0x55)
            }
            6 if self.fork >= Fork::Cancun => {
                let (code, slot) = (self.value(code), self.slot());
                code.push(slot).op(0x5d)
            }
            6..=9 => {
                let (code, at, op) = (self.value(code), self.random.place(), self.random.pick(&[0x52, 0x52, 0x53]));
                code.push(at).op(op)
            }
            10..=12 => {
                let op = self.op(&[0x37, 0x37, 0x39, 0x39, 0x5e, 0x5e, 0x3e]);
                let (len, from, to) = (self.random.place(), self.random.place(), self.random.place());
                if op == 0x3e && self.random.chance(60) {
                    return code.op(0x3d).push(U256::ZERO).push(to).op(op);
                }
                let (len, from) =
                    if op == 0x3e && self.random.chance(60) { (U256::ZERO, U256::ZERO) } else { (len, from) };
                code.push(len).push(from).push(to).op(op)
            }
            13 => {
                let (len, from, to, who) =
                    (self.random.place(), self.random.place(), self.random.place(), self.address());
                code.push(len).push(from).push(to).push(who).op(0x3c)
            }
            14 | 15 => {
                let topics = self.random.below(5) as u8;
                let code = (0..topics).fold(code, |code, _| self.value(code));
                let (len, at) = (self.random.place(), self.random.place());
                code.push(len).push(at).op(0xa0 + topics)
            }
            16 | 17 if depth < 3 => self.turns(code, depth),
            18 | 19 if depth < 3 => self.branch(code, depth),
            20 => {
                let n = self.random.below(16) as u8;
                let items = (0..=n).fold(code, |code, item| code.push(U256::from(item)));
                let op =
                    self.random.pick(&[0x80, 0x90]) + if n == 0 { 0 } else { self.random.below(u64::from(n)) as u8 };
                let code = items.op(op);
                (0..n + u8::from(op < 0x90)).fold(code, |code, _| code.op(0x18).op(0x80)).op(0x50).op(0x50)
            }
            21 if self.random.chance(25) => self.end(code),
            22 if self.random.chance(25) => {
                let soup = self.random.bytes(6);
                Code([code.0, soup].concat())
            }
            23 if self.random.chance(4) => {
                let op = self.random.pick(&[0xf0, 0xf1, 0xf4, 0xf5, 0xfa, 0xff]);
                code.op(op)
            }
            24..=27 => self.call(code),
            28 if !self.created => self.create(code),
            _ => {
                let code = self.value(code);
                code.op(0x50)
            }
        }
    }

    /// A call of any kind; its success is stored or dropped.
    fn call(&mut self, code: Code) -> Code {
        let op = self.random.pick(&[0xf1, 0xf1, 0xf2, 0xf4, 0xfa]);
        let code = (0..4).fold(code, |code, _| {
            let place = self.random.place();
            code.push(place)
        });
        let code = if op < 0xf3 {
            let value = match self.random.below(12) {
                0..=7 => U256::ZERO,
                8..=10 => U256::from(self.random.below(4)),
                _ => self.random.word(),
            };
            code.push(value)
        } else {
            code
        };
        let below = if self.below.is_empty() { 0 } else { 75 };
        let precompile = U256::from(self.random.pick(&[1, 2, 2, 4, 4, 5]));
        let (who, gas) = match self.random.below(100) {
            dice if dice < below => (U256::from_be_slice(self.random.pick(&self.below.clone()).as_slice()), U256::MAX),
            90.. => (precompile, U256::MAX),
            _ => (self.address(), U256::from(30_000)),
        };
        let gas = match self.random.below(8) {
            0 => self.random.word().min(gas),
            1 | 2 => U256::from(self.random.below(5_000)),
            3 => U256::from(self.random.below(30_000)),
            _ => gas,
        };
        let code = code.push(who).push(gas).op(op);
        if self.random.chance(50) {
            let slot = self.slot();
            code.push(slot).op(0x55)
        } else {
            code.op(0x50)
        }
    }

    /// A creation of either kind; the account is called, or its address stored or dropped.
    fn create(&mut self, code: Code) -> Code {
        let below = std::mem::take(&mut self.below);
        self.created = true;
        let body = (0..=self.random.below(4)).fold(Code::default(), |code, _| self.statement(code, 2));
        let body = self.end(body).0;
        (self.created, self.below) = (false, below);
        let init = match self.random.below(8) {
            0 => self.random.bytes(9),
            1 => vec![],
            2 | 3 => body,
            4 => deploy(&[&[0xef, 0x01, 0x00], &body[..]].concat()),
            _ => deploy(&body),
        };
        let code = init.chunks(32).enumerate().fold(code, |code, (index, chunk)| {
            let image = B256::right_padding_from(chunk);
            code.push(U256::from_be_bytes(image.0)).push(U256::from(32 * index)).op(0x52)
        });
        let op = self.random.pick(&[0xf0, 0xf5]);
        let code = if op == 0xf5 { code.push(U256::from(self.random.below(2))) } else { code };
        let value = if self.random.chance(70) { 0 } else { self.random.below(4) };
        let code = code.push(U256::from(init.len())).push(U256::ZERO).push(U256::from(value)).op(op);
        match self.random.below(3) {
            0 => code.op(0x50),
            1 => {
                let slot = self.slot();
                code.push(slot).op(0x55)
            }
            _ => {
                // The address lies under the five operands that come before it.
                let code = (0..5).fold(code, |code, _| code.push(U256::ZERO)).op(0x85);
                let op = self.random.pick(&[0xf1, 0xf2]);
                code.push(U256::from(60_000)).op(op).op(0x18).op(0x50)
            }
        }
    }

    /// A loop of a few turns.
    fn turns(&mut self, code: Code, depth: u8) -> Code {
        let code = code.push(U256::from(1 + self.random.below(5)));
        let start = code.0.len() as u64;
        let body = (0..=self.random.below(3)).fold(code.op(0x5b), |code, _| self.statement(code, depth + 1));
        body.push(U256::ONE).op(0x90).op(0x03).op(0x80).push(U256::from(start)).op(0x57).op(0x50)
    }

    /// Statements behind a condition; the destination is wrong now and then.
    fn branch(&mut self, code: Code, depth: u8) -> Code {
        let mut code = self.value(code).op(0x61);
        let hole = code.0.len();
        code = Code([code.0, vec![0, 0, 0x57]].concat());
        for _ in 0..=self.random.below(3) {
            code = self.statement(code, depth + 1);
        }
        let target = code.0.len() as u16 + u16::from(self.random.chance(2));
        code.0[hole..hole + 2].copy_from_slice(&target.to_be_bytes());
        code.op(0x5b)
    }

    fn end(&mut self, code: Code) -> Code {
        let (len, at) = (self.random.place(), self.random.place());
        match self.random.below(9) {
            8 => {
                let heir = self.address();
                code.push(heir).op(0xff)
            }
            0 => code.op(0x00),
            1 => code.op(0xfe),
            2 | 3 => code.push(len).push(at).op(0xfd),
            _ => code.push(len).push(at).op(0xf3),
        }
    }

    /// A dozen statements behind `start`.
    fn program(&mut self, start: Code) -> Vec<u8> {
        let code = (0..=self.random.below(14)).fold(start, |code, _| self.statement(code, 0));
        if self.random.chance(70) { self.end(code).0 } else { code.0 }
    }

    /// Adds what the types carry, and a gas limit from barely enough to more than 32 bits.
    fn adjust(&mut self, tx: &mut Transaction, base_fee: u64) {
        let kinds: &[TxType] = match self.fork {
            fork if fork >= Fork::Cancun && tx.to.is_some() => {
                &[TxType::Legacy, TxType::AccessList, TxType::DynamicFee, TxType::Blob]
            }
            fork if fork >= Fork::London => &[TxType::Legacy, TxType::AccessList, TxType::DynamicFee],
            _ => &[TxType::Legacy, TxType::AccessList],
        };
        tx.tx_type = if tx.authorizations.is_empty() { self.random.pick(kinds) } else { TxType::SetCode };
        tx.max_fee_per_gas = U256::from(base_fee + self.random.below(30) * self.random.below(2));
        if !matches!(tx.tx_type, TxType::Legacy | TxType::AccessList) {
            tx.max_priority_fee_per_gas = Some(tx.max_fee_per_gas.min(U256::from(self.random.below(8))));
        }
        if tx.tx_type == TxType::Blob {
            tx.max_fee_per_blob_gas = U256::from(1000);
            tx.blob_hashes = vec![B256::right_padding_from(&[1, 7])];
        }
        if tx.tx_type != TxType::Legacy {
            for _ in 0..self.random.below(4) {
                let address = Address::from_word(self.address().into());
                let slots = (0..self.random.below(4)).map(|_| self.slot().into()).collect();
                tx.access_list.push((address, slots));
            }
        }
        let least = intrinsic_gas(tx, self.fork);
        let more = match self.random.below(10) {
            0 => self.random.below(100),
            1 | 2 => self.random.below(8_000),
            3 | 4 => self.random.below(60_000),
            // Beyond 32 bits, and rare: a loop that happens not to end costs revm seconds.
            5 if self.fork < Fork::Osaka && self.random.chance(10) => (1 << 32) - 1000 + self.random.below(200_000),
            _ => 300_000 + self.random.below(1_500_000),
        };
        tx.gas_limit = least.initial.max(least.floor) + more;
        if self.fork >= Fork::Osaka {
            tx.gas_limit = tx.gas_limit.min(MAX_TX_GAS_OSAKA);
        }
    }
}

/// Init code that deploys `runtime`.
pub(crate) fn deploy(runtime: &[u8]) -> Vec<u8> {
    let [high, low] = (runtime.len() as u16).to_be_bytes();
    [&[0x61, high, low, 0x80, 0x60, 12, 0x60, 0, 0x39, 0x60, 0, 0xf3], runtime].concat()
}

/// A contract that creates `runtime` by CREATE2, always at the same address, which comes with it.
pub(crate) fn factory(at: Address, runtime: &[u8]) -> (Vec<u8>, Address) {
    let init = deploy(runtime);
    let [high, low] = (init.len() as u16).to_be_bytes();
    let code = [
        &[
            0x61, high, low, 0x60, 22, 0x60, 0, 0x39, 0x60, 0, 0x61, high, low, 0x60, 0, 0x60, 0, 0xf5, 0x60, 9, 0x55,
            0x00,
        ],
        &init[..],
    ]
    .concat();
    (code, at.create2_from_code(B256::ZERO, init))
}

/// A block of up to forty transactions among a dozen accounts; the same for the same seed. Now and then one is invalid.
pub fn random(fork: Fork, seed: u64) -> Calls {
    let mut calls = Calls::new(fork);
    let named = |name: &str, index: u64| Address::from_word(keccak256(format!("{name} {index} {seed}")));
    let senders: Vec<_> = (0..5).map(|index| named("sender", index)).collect();
    let contracts: Vec<_> = (0..6).map(|index| named("contract", index)).collect();
    let wallets: Vec<_> = (0..2).map(|index| Wallet::new(&format!("delegator {index} {seed}"))).collect();
    let delegators: Vec<_> = wallets.iter().map(Wallet::address).collect();
    let created = senders[0].create(0);
    let known = [&senders[..], &contracts, &delegators, &[created, named("absent", 0)]].concat();
    let mut world =
        World { fork, random: Random(seed ^ (fork as u64) << 56), known, below: Vec::new(), created: false };
    let usual = calls.env.beneficiary;
    calls.env.beneficiary =
        world.random.pick(&[usual, usual, senders[1], contracts[2], delegators[0], Address::with_last_byte(5)]);
    calls.env.base_fee *= world.random.below(2);
    calls.env.number = world.random.pick(&[20_000_000, 20_000_000, 20_000_000, 3]);
    world.known.push(calls.env.beneficiary);
    // Dies where it is called without data, and can be born again.
    let mortal = world.program(Code(vec![0x36, 0x60, 6, 0x57, 0x33, 0xff, 0x5b]));
    let (maker, child) = factory(contracts[5], &mortal);
    world.known.extend([child, contracts[0].create(1), contracts[1].create(1), created.create(1)]);
    for (index, contract) in contracts.iter().enumerate() {
        world.below = contracts[index + 1..5.max(index + 1)].to_vec();
        let code = if *contract == contracts[5] { maker.clone() } else { world.program(Code::default()) };
        let balance = U256::from(world.random.below(3));
        calls.state.insert_account(*contract, AccountInfo { balance, nonce: 1, code_hash: keccak256(&code) });
        calls.state.insert_code(keccak256(&code), code.into());
        for slot in 0..world.random.below(6) {
            calls.state.insert_slot(*contract, U256::from(slot), U256::from(world.random.below(3)));
        }
    }
    for sender in &senders {
        calls.state.insert_account(*sender, AccountInfo { balance: U256::from(u128::MAX), ..AccountInfo::default() });
    }
    if fork >= Fork::Prague {
        // The last sender delegates too, and so runs code when it is called.
        let accounts = delegators.iter().chain(&senders[4..]);
        for account in accounts {
            let to = world.random.pick(&[contracts[0], contracts[1], created, delegators[0], named("absent", 0)]);
            let code = Bytes::from([&[0xef, 0x01, 0x00], to.as_slice()].concat());
            let nonce = u64::from(delegators.contains(account));
            calls.state.insert_account(
                *account,
                AccountInfo { balance: U256::from(u128::MAX), nonce, code_hash: keccak256(&code) },
            );
            calls.state.insert_code(keccak256(&code), code);
        }
    }
    let (mut nonces, mut authorized) = ([0; 5], [1; 2]);
    for index in 0..2 + world.random.below(38) {
        let from = world.random.below(5) as usize;
        let creates = world.random.chance(8) || (from == 0 && nonces[0] == 0 && world.random.chance(50));
        let length = world.random.pick(&[0, 4, 36, 100, 333]);
        let input = world.random.bytes(length);
        calls.call(vec![], input, 0);
        let last = calls.txs.len() - 1;
        let to = match world.random.below(20) {
            0 => Address::from_word(world.address().into()),
            1 => calls.env.beneficiary,
            2 => senders[world.random.below(5) as usize],
            3 => created,
            6 | 7 => child,
            8 if world.random.chance(30) => contracts[5],
            9 if world.random.chance(30) => Address::with_last_byte(world.random.pick(&[1, 2, 4])),
            4 | 5 => world.random.pick(&delegators),
            _ => world.random.pick(&contracts[..5]),
        };
        calls.senders[last] = senders[from];
        let tx = &mut calls.txs[last];
        (tx.nonce, tx.to, tx.value) = (nonces[from], Some(to), U256::from(world.random.below(3)));
        if creates {
            let program = world.program(Code::default());
            (tx.to, tx.input) = (None, if world.random.chance(30) { program } else { deploy(&program) }.into());
        }
        if fork >= Fork::Prague && tx.to.is_some() && world.random.chance(8) {
            for _ in 0..=world.random.below(3) {
                let wallet = world.random.below(2) as usize;
                let code = world.random.pick(&[contracts[0], contracts[1], child, delegators[0], Address::ZERO]);
                let (chain_id, off) = (world.random.below(12) % 3, u64::from(world.random.chance(10)));
                tx.authorizations.push(wallets[wallet].authorize(chain_id, code, authorized[wallet] + off));
                authorized[wallet] += u64::from(chain_id < 2 && off == 0);
            }
        }
        world.adjust(tx, calls.env.base_fee);
        nonces[from] += 1;
        if index > 20 && world.random.chance(2) {
            let spoil = world.random.below(3);
            tx.nonce += u64::from(spoil == 0);
            tx.value = if spoil == 1 { U256::from(u128::MAX) << 3 } else { tx.value };
            tx.gas_limit = if spoil == 2 { 20_000 } else { tx.gas_limit };
        }
    }
    calls
}
