//! Batches of random transactions. A scene is a set of programs and a few inputs; each of its transactions gets a group of
//! accounts of its own that run them, so that a thousand transactions are independent and share a few dozen codes.
//!
//! Gas limits are drawn from what a first run on revm used: a little more or less than all, or just so much that gas ends at
//! a certain step.

use super::{
    coverage::Seen,
    program::{self, Features, Program, Signed, init_code},
};
use crate::{
    programs::{Calls, Code},
    random::Random,
};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use lockstep::{
    block::BlobParams,
    commit::Committed,
    evm::Traced,
    fork::Fork,
    intrinsic::{MAX_TX_GAS_OSAKA, intrinsic_gas},
    outcome::TxStatus,
    state::AccountInfo,
    tx::{Authorization, Signature, Transaction, TxType},
};

/// Code that everybody may look at, copy, call or delegate to, and that changes nothing.
pub const LIBRARY: Address = Address::repeat_byte(0x4c);

/// The forks that a device runs.
pub const FORKS: [Fork; 7] =
    [Fork::Berlin, Fork::London, Fork::Merge, Fork::Shanghai, Fork::Cancun, Fork::Prague, Fork::Osaka];

/// Transactions of a scene.
const PER_SCENE: u64 = 32;
const SCENES: u64 = 24;

/// The `number`th batch of a seed. The forks take turns; every sixteenth batch is small and its transactions share accounts.
pub fn batch(seed: u64, number: u64, forks: &[Fork]) -> Calls {
    let fork = forks[(number % forks.len() as u64) as usize];
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number.wrapping_mul(0x2545_f491_4f6c_dd1d));
    random.next();
    let mut calls = Calls::new(fork);
    environment(&mut calls, &mut random);
    library(&mut calls);
    let shared = number % 16 == 15;
    let signed = program::signatures();
    for scene in 0..if shared { 2 } else { SCENES } {
        let tips = calls.env.base_fee % 2 == 1;
        let scene = Scene::new(&calls, &mut random, scene, !tips || shared, &signed);
        scene.fill(&mut calls, &mut random, shared);
    }
    calls
}

fn environment(calls: &mut Calls, random: &mut Random) {
    let fork = calls.env.fork;
    if let Some(params) = &mut calls.env.blob_params {
        // Room for all; what one transaction may carry has its own limit.
        *params = BlobParams { max: 1 << 20, ..*params };
    }
    // An odd base fee: the beneficiary earns tips.
    calls.env.base_fee = if fork >= Fork::London { random.below(9) } else { 0 };
    calls.env.beneficiary =
        random.pick(&[calls.env.beneficiary, Address::repeat_byte(0xee), Address::with_last_byte(4)]);
    if random.chance(10) {
        calls.env.number = random.below(300);
        for number in 0..calls.env.number {
            calls.state.insert_block_hash(number, keccak256(number.to_le_bytes()));
        }
    }
}

/// Adds [`LIBRARY`].
pub fn library(calls: &mut Calls) {
    // Returns its arguments' sum and who called.
    let code = Code::default()
        .push(U256::ZERO)
        .op(0x35)
        .push(U256::from(32))
        .op(0x35)
        .op(0x01)
        .push(U256::ZERO)
        .op(0x52)
        .op(0x33)
        .push(U256::from(32))
        .op(0x52)
        .push(U256::from(64))
        .push(U256::ZERO)
        .op(0xf3);
    let info = AccountInfo { balance: U256::from(9), nonce: 1, code_hash: keccak256(&code.0) };
    calls.state.insert_account(LIBRARY, info);
    calls.state.insert_code(info.code_hash, code.0.into());
}

/// Programs and inputs.
struct Scene {
    name: u64,
    codes: Vec<(u8, Bytes)>,
    /// What the delegator delegates to: a member, or a precompile.
    delegate: Option<Result<u8, Address>>,
    balances: [u64; 12],
    slots: Vec<(u8, u64, u64)>,
    inputs: Vec<Bytes>,
    kind: Kind,
}

/// Where the transactions of a scene go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Main,
    Delegator,
    SetCode,
    Create,
    /// A precompile, an account without code.
    Simple,
}

fn member_of(base: Address, member: u8) -> Address {
    let mut address = base;
    address.0[19] = member;
    address
}

impl Scene {
    fn new(calls: &Calls, random: &mut Random, number: u64, beneficiary: bool, signed: &[Signed]) -> Self {
        let fork = calls.env.fork;
        let features = Features {
            creates: random.chance(20),
            destroys: random.chance(15),
            beneficiary,
            rare_precompiles: random.chance(5),
        };
        let kind = match random.below(100) {
            0..=5 => Kind::Delegator,
            6..=10 if fork >= Fork::Prague => Kind::SetCode,
            11..=14 => Kind::Create,
            15 | 16 => Kind::Simple,
            _ => Kind::Main,
        };
        let mut codes = Vec::new();
        let mut add = |member, bytes: Vec<u8>| codes.push((member, Bytes::from(bytes)));
        for (member, low, more) in [
            (program::MAIN, 12, 18),
            (program::WORKERS[0], 5, 12),
            (program::WORKERS[1], 4, 8),
            (program::CHAOS, 3, 8),
            (program::LEAF, 3, 8),
            (program::REVERTER, 2, 5),
        ] {
            let statements = low + random.below(more);
            add(member, Program::new(random, fork, member, features, signed).write(statements));
        }
        add(program::PROBE, Program::new(random, fork, program::PROBE, features, signed).probe());
        let stub = match random.below(6) {
            0 => [&[0xef, 0x01, 0x00][..], &random.bytes(19)].concat(),
            1 => [&[0xef, 0x01, 0x01][..], &random.bytes(20)].concat(),
            2 => vec![0x7f, 0x5b, 0x5b],
            3 => vec![0x60],
            4 => vec![0x5b],
            _ => vec![0x60, 0x05, 0x56, 0x00, 0x60, 0x5b, 0x60],
        };
        add(program::STUB, stub);
        let delegate = match random.below(10) {
            0..=5 => Some(Ok(random.below(6) as u8)),
            6 => Some(Ok(random.pick(&[program::DELEGATOR, program::PLAIN, program::ABSENT, program::STUB]))),
            7 => Some(Err(Address::with_last_byte(1 + random.below(9) as u8))),
            8 => Some(Err(LIBRARY)),
            _ => None,
        };
        let balances = std::array::from_fn(|_| random.pick(&[0, 1, 2, 5, 1000, 1 << 40]));
        let slots = (0..random.below(12)).map(|_| (random.below(6) as u8, random.below(6), random.below(3))).collect();
        let inputs = (0..4)
            .map(|_| {
                let len = random.pick(&[0, 4, 36, 68, 100, 200, 333]);
                random.bytes(len).into()
            })
            .collect();
        Self { name: number << 32 | random.next() >> 32, codes, delegate, balances, slots, inputs, kind }
    }

    /// The accounts of one more group; gives the address that the others differ from in their last byte.
    fn group(&self, calls: &mut Calls, index: u64) -> Address {
        let base = Address::from_word(keccak256([self.name.to_be_bytes(), index.to_be_bytes()].concat()));
        let balance = |member: u8| U256::from(self.balances[usize::from(member)]);
        let insert = |calls: &mut Calls, member: u8, code: &Bytes| {
            let info = AccountInfo { balance: balance(member), nonce: 1, code_hash: keccak256(code) };
            calls.state.insert_account(member_of(base, member), info);
            calls.state.insert_code(info.code_hash, code.clone());
        };
        for (member, code) in &self.codes {
            insert(calls, *member, code);
        }
        if let Some(to) = self.delegate {
            let to = to.map_or_else(|address| address, |member| member_of(base, member));
            insert(calls, program::DELEGATOR, &[&[0xef, 0x01, 0x00], to.as_slice()].concat().into());
        }
        for member in [program::PLAIN, program::AUTHORITY] {
            if !balance(member).is_zero() {
                let info = AccountInfo { balance: balance(member), ..AccountInfo::default() };
                calls.state.insert_account(member_of(base, member), info);
            }
        }
        for (member, slot, value) in &self.slots {
            if *value > 0 {
                calls.state.insert_slot(member_of(base, *member), U256::from(*slot), U256::from(*value));
            }
        }
        base
    }

    fn fill(&self, calls: &mut Calls, random: &mut Random, shared: bool) {
        let mut pilots: Vec<Option<Pilot>> = vec![None; self.inputs.len()];
        let mut bases = Vec::new();
        for index in 0..PER_SCENE {
            let base = if shared && index > 3 { random.pick(&bases) } else { self.group(calls, index) };
            bases.push(base);
            let input = random.below(self.inputs.len() as u64) as usize;
            let mut sender = base;
            sender.0[19] = 0x20;
            sender.0[18] ^= index as u8;
            calls.state.insert_account(
                sender,
                AccountInfo { balance: U256::from(u128::MAX), nonce: index % 3, ..AccountInfo::default() },
            );
            let mut tx = self.transaction(calls, random, base, index);
            tx.nonce = index % 3;
            tx.input = self.inputs[input].clone();
            if self.kind == Kind::Create {
                tx.input = self.creation(random, calls.env.fork);
            }
            let intrinsic = intrinsic_gas(&tx, calls.env.fork);
            let least = intrinsic.initial.max(intrinsic.floor);
            let pilot = match &mut pilots[input] {
                Some(pilot) if self.kind != Kind::Create => pilot,
                slot => slot.insert(Pilot::run(calls, &tx, sender, intrinsic.initial, random)),
            };
            tx.gas_limit = pilot.limit(random, intrinsic.initial).max(least);
            if calls.env.fork >= Fork::Osaka {
                tx.gas_limit = tx.gas_limit.min(MAX_TX_GAS_OSAKA);
            }
            tx.hash = keccak256(calls.txs.len().to_be_bytes());
            calls.txs.push(tx);
            calls.senders.push(sender);
        }
    }

    /// Init code: one of the programs, or a small one.
    fn creation(&self, random: &mut Random, fork: Fork) -> Bytes {
        if random.chance(50) { self.codes[1].1.clone() } else { init_code(random, fork).into() }
    }

    /// All but nonce, input and gas.
    fn transaction(&self, calls: &Calls, random: &mut Random, base: Address, index: u64) -> Transaction {
        let fork = calls.env.fork;
        let kinds: &[TxType] = match fork {
            _ if self.kind == Kind::SetCode => &[TxType::SetCode],
            fork if fork >= Fork::Cancun && self.kind != Kind::Create => {
                &[TxType::Legacy, TxType::AccessList, TxType::DynamicFee, TxType::Blob]
            }
            fork if fork >= Fork::London => &[TxType::Legacy, TxType::AccessList, TxType::DynamicFee],
            _ => &[TxType::Legacy, TxType::AccessList],
        };
        // Types by index, since they cost differently and a scene's transactions share what was measured.
        let mut tx = Transaction::blank(kinds[(index % kinds.len() as u64) as usize], 1);
        let tip = calls.env.base_fee % 2;
        tx.max_fee_per_gas = U256::from(calls.env.base_fee + tip * random.below(30));
        if !matches!(tx.tx_type, TxType::Legacy | TxType::AccessList) {
            let tip = tip * random.below(8);
            tx.max_priority_fee_per_gas = Some(tx.max_fee_per_gas.min(U256::from(tip)));
        }
        if tx.tx_type == TxType::Blob {
            tx.max_fee_per_blob_gas = U256::from(1000);
            let hash = |byte| B256::right_padding_from(&[1, byte]);
            tx.blob_hashes = (0..=random.below(3)).map(|index| hash(index as u8)).collect();
        }
        tx.to = match self.kind {
            Kind::Main => Some(member_of(base, program::MAIN)),
            Kind::Delegator => Some(member_of(base, program::DELEGATOR)),
            Kind::SetCode if random.chance(50) => Some(member_of(base, program::AUTHORITY)),
            Kind::SetCode => Some(member_of(base, program::MAIN)),
            Kind::Create => None,
            Kind::Simple => Some(match random.below(8) {
                0..=3 => Address::with_last_byte(random.pick(&[1, 2, 4, 4])),
                4 => Address::with_last_byte(random.pick(&[3, 5, 9, 0x12])),
                _ => member_of(base, random.pick(&[program::PLAIN, program::ABSENT, program::STUB])),
            }),
        };
        tx.value = U256::from(random.pick(&[0, 0, 1, 2, 1000]));
        if tx.tx_type != TxType::Legacy && random.chance(50) {
            for _ in 0..random.below(4) {
                let address = match random.below(8) {
                    0 => Address::with_last_byte(random.below(12) as u8),
                    1 => LIBRARY,
                    _ => member_of(base, random.below(9) as u8),
                };
                let slots = (0..random.below(4)).map(|_| B256::with_last_byte(random.below(6) as u8)).collect();
                tx.access_list.push((address, slots));
            }
        }
        if tx.tx_type == TxType::SetCode {
            tx.authorizations = (0..=random.below(3)).map(|nonce| authorization(random, base, nonce)).collect();
        }
        tx
    }
}

/// An authorization as recovered: most count, one after the other.
fn authorization(random: &mut Random, base: Address, nonce: u64) -> Authorization {
    let to = match random.below(8) {
        0 => Address::ZERO,
        1 => LIBRARY,
        2 => Address::with_last_byte(4),
        _ => member_of(base, random.below(8) as u8),
    };
    let authority = match random.below(10) {
        0 => None,
        1 => Some(member_of(base, random.pick(&[program::MAIN, program::DELEGATOR, program::ABSENT]))),
        _ => Some(member_of(base, program::AUTHORITY)),
    };
    let chain_id = U256::from(random.pick(&[0_u8, 1, 1, 1, 2]));
    let nonce = if random.chance(10) { random.pick(&[0, 1, 7, u64::MAX]) } else { nonce };
    Authorization {
        chain_id,
        address: to,
        nonce,
        signing_hash: Authorization::hash_for_signing(chain_id, to, nonce),
        signature: Signature::default(),
        raw_parity: 0,
        authority: Some(authority),
    }
}

/// What a transaction of a scene used when it had enough.
#[derive(Clone, Debug)]
struct Pilot {
    /// Beyond its base gas, refunds not given.
    used: u64,
    /// The outermost frame's steps: opcode, and gas left before; at first that was `given`.
    left: Vec<(u8, u64)>,
    given: u64,
    /// It ended well with most of its gas left: nothing in it goes on until there is none.
    frugal: bool,
}

impl Pilot {
    fn run(calls: &Calls, tx: &Transaction, sender: Address, initial: u64, random: &mut Random) -> Self {
        let given = random.pick(&[200_000, 800_000, 2_000_000, 2_000_000]);
        let tx = Transaction { gas_limit: initial + given + 40 * tx.input.len() as u64, ..tx.clone() };
        let given = tx.gas_limit - initial;
        let none = Self { used: 30_000, left: Vec::new(), given, frugal: false };
        let Ok(mut traced) = Traced::new(&calls.env, Committed::new(&calls.state), Seen::recording()) else {
            return none;
        };
        let Ok(outcome) = traced.transact(&tx, sender) else { return none };
        let left = std::mem::take(&mut traced.observer_mut().left);
        let used = left.last().map_or(0, |(_, last)| given - last);
        let frugal = outcome.status == TxStatus::Success && used * 4 < given;
        Self { used, left, given, frugal }
    }

    fn limit(&self, random: &mut Random, initial: u64) -> u64 {
        let more = match random.below(100) {
            0..=2 => random.below(100),
            // Just enough for so many steps, with a little for part of the next.
            3..=13 if self.left.len() > 1 => {
                let step = random.below(self.left.len() as u64 - 1) as usize;
                let cost = self.left[step].1.saturating_sub(self.left[step + 1].1);
                let part = random.pick(&[0, 1, cost.saturating_sub(1), cost, cost + 1]);
                self.given - self.left[step].1 + part
            }
            14..=21 => (self.used + random.below(7)).saturating_sub(3),
            22..=25 => random.below(self.used + 1),
            26..=29 => self.used + self.used / 63 + random.below(5),
            // Beyond 32 bits.
            30 | 31 if self.frugal => (1 << 32) + random.below(self.used + 1_000) - 500,
            30..=99 => self.used + random.below(100_000),
            _ => self.used,
        };
        initial + more
    }
}
