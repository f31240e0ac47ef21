//! Generated EVM programs: one account with code each, called once, results kept in storage so that a difference shows.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use lockstep::{
    block::{BlobParams, BlockEnv},
    fork::Fork,
    memory::MemoryState,
    state::AccountInfo,
    tx::{Transaction, TxType},
};

/// Bytecode, built by appending.
#[derive(Clone, Debug, Default)]
pub struct Code(pub Vec<u8>);

impl Code {
    /// One opcode.
    #[must_use]
    pub fn op(mut self, opcode: u8) -> Self {
        self.0.push(opcode);
        self
    }

    /// The shortest PUSH1..PUSH32 of a value.
    #[must_use]
    pub fn push(mut self, value: impl TryInto<U256>) -> Self {
        let bytes = value.try_into().unwrap_or_default().to_be_bytes_vec();
        let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(31);
        self.0.push(0x5f + (32 - start) as u8);
        self.0.extend_from_slice(&bytes[start..]);
        self
    }

    /// Stores the top of the stack in storage.
    #[must_use]
    pub fn keep(self, slot: u64) -> Self {
        self.push(U256::from(slot)).op(0x55)
    }
}

/// Transactions that call codes, each from a sender of its own.
#[derive(Clone, Debug)]
pub struct Calls {
    /// The block.
    pub env: BlockEnv,
    /// Accounts and codes.
    pub state: MemoryState,
    /// One a code.
    pub txs: Vec<Transaction>,
    /// One a transaction.
    pub senders: Vec<Address>,
}

/// A block environment with distinct values everywhere.
pub fn env(fork: Fork) -> BlockEnv {
    BlockEnv {
        chain_id: 1,
        fork,
        number: 20_000_000,
        timestamp: 1_700_000_000,
        beneficiary: Address::repeat_byte(0xbe),
        gas_limit: u64::MAX / 2,
        base_fee: if fork >= Fork::London { 7 } else { 0 },
        difficulty: U256::from(0x1234_5678_9abc_u64),
        prevrandao: B256::repeat_byte(0x5a),
        excess_blob_gas: if fork >= Fork::Cancun { 10 << 20 } else { 0 },
        blob_params: BlobParams::of(fork),
        blob_price: None,
    }
}

impl Calls {
    /// No call yet.
    pub fn new(fork: Fork) -> Self {
        let mut state = MemoryState::default();
        for back in 1..=256 {
            let number = 20_000_000 - back;
            state.insert_block_hash(number, keccak256(number.to_be_bytes()));
        }
        Self { env: env(fork), state, txs: Vec::new(), senders: Vec::new() }
    }

    /// A transaction that calls `code` with `input`; gives it to be adjusted.
    pub fn call(&mut self, code: Vec<u8>, input: Vec<u8>, gas_limit: u64) -> &mut Transaction {
        let index = self.txs.len() as u64;
        let to = Address::from_word(keccak256([b"code".as_slice(), &index.to_be_bytes()].concat()));
        let sender = Address::from_word(keccak256([b"sender".as_slice(), &index.to_be_bytes()].concat()));
        let hash = keccak256(&code);
        self.state.insert_account(to, AccountInfo { balance: U256::from(index), nonce: 1, code_hash: hash });
        self.state.insert_code(hash, code.into());
        self.state.insert_account(sender, AccountInfo { balance: U256::from(u128::MAX), ..AccountInfo::default() });
        self.senders.push(sender);
        self.txs.push(Transaction {
            hash: keccak256(index.to_be_bytes()),
            gas_limit,
            max_fee_per_gas: U256::from(10),
            to: Some(to),
            value: U256::from(index % 3),
            input: Bytes::from(input),
            ..Transaction::blank(TxType::Legacy, 1)
        });
        self.txs.last_mut().unwrap_or_else(|| unreachable!("just pushed"))
    }
}

/// Operands at which carries, signs and limbs turn.
pub fn edges() -> Vec<U256> {
    let one = U256::ONE;
    let mut values = vec![
        U256::ZERO,
        one,
        U256::from(2),
        U256::from(31),
        U256::from(32),
        U256::from(255),
        U256::from(256),
        U256::MAX,
        U256::MAX - one,
    ];
    for bit in [31, 32, 63, 64, 127, 128, 224, 255] {
        values.extend([one << bit, (one << bit) - one, (one << bit) + one]);
    }
    values.push(U256::from_be_bytes(keccak256(b"a").0));
    values.push(U256::from_be_bytes(keccak256(b"b").0) >> 100);
    values.push(U256::from_be_bytes(keccak256(b"c").0) >> 190);
    values
}

/// Every opcode of one to three operands and one result, over pairs of edges.
pub fn arithmetic(fork: Fork) -> Calls {
    let mut calls = Calls::new(fork);
    let values = edges();
    let unary: &[u8] = if fork >= Fork::Osaka { &[0x15, 0x19, 0x1e] } else { &[0x15, 0x19] };
    let binary = [
        0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0a, 0x0b, 0x10, 0x11, 0x12, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1a,
        0x1b, 0x1c, 0x1d,
    ];
    for op in unary {
        let code =
            values.iter().enumerate().fold(Code::default(), |code, (slot, a)| code.push(*a).op(*op).keep(slot as u64));
        calls.call(code.0, vec![], 5_000_000);
    }
    for op in binary {
        for a in &values {
            let code = values
                .iter()
                .enumerate()
                .fold(Code::default(), |code, (slot, b)| code.push(*b).push(*a).op(op).keep(slot as u64));
            calls.call(code.0, vec![], 5_000_000);
        }
    }
    for op in [0x08, 0x09] {
        for (i, a) in values.iter().enumerate() {
            let code = values.iter().enumerate().fold(Code::default(), |code, (slot, c)| {
                let b = values[(i * 7 + slot * 3) % values.len()];
                code.push(*c).push(b).push(*a).op(op).keep(slot as u64)
            });
            calls.call(code.0, vec![], 5_000_000);
        }
    }
    calls
}

/// Memory, calldata, code, hashing and logs at every alignment.
pub fn memory(fork: Fork) -> Calls {
    let mut calls = Calls::new(fork);
    let word = U256::from_be_bytes(keccak256(b"word").0);
    let input: Vec<u8> = (0..=255).cycle().skip(1).take(333).collect();
    let offsets = [0_u64, 1, 2, 3, 4, 5, 31, 32, 33, 63, 64, 100, 300, 330, 333, 400];
    for offset in offsets {
        // MSTORE, MSTORE8, MLOAD around it, MSIZE.
        let mut code = Code::default()
            .push(word)
            .push(U256::from(offset))
            .op(0x52)
            .push(word)
            .push(U256::from(offset + 40))
            .op(0x53);
        for (slot, back) in [0_u64, 1, 5, 31, 32, 44].into_iter().enumerate() {
            code = code.push(U256::from((offset + 40).saturating_sub(back))).op(0x51).keep(slot as u64);
        }
        calls.call(code.op(0x59).keep(20).0, vec![], 1_000_000);
        // CALLDATALOAD.
        let code = Code::default().push(U256::from(offset)).op(0x35).keep(0).op(0x36).keep(1);
        calls.call(code.0, input.clone(), 1_000_000);
        for len in [0_u64, 1, 3, 4, 5, 31, 32, 33, 95, 135, 136, 137, 272, 300] {
            // CALLDATACOPY at an odd place, hash, log, return.
            for (copy, extra) in [(0x37_u8, 0_u64), (0x39, 1)] {
                let to = offset / 3 + extra;
                let code = Code::default()
                    .push(word)
                    .push(U256::from(to))
                    .op(0x52)
                    .push(U256::from(len))
                    .push(U256::from(offset))
                    .push(U256::from(to))
                    .op(copy)
                    .push(U256::from(len))
                    .push(U256::from(to))
                    .op(0x20)
                    .keep(0)
                    .push(U256::from(len + 7))
                    .push(U256::from(to / 2))
                    .op(0x20)
                    .keep(1)
                    .push(word)
                    .push(U256::from(9))
                    .push(U256::from(len))
                    .push(U256::from(to))
                    .op(0xa2)
                    .push(U256::from(len))
                    .push(U256::from(to))
                    .op(0xf3);
                calls.call(code.0, input.clone(), 1_000_000);
            }
            if fork >= Fork::Cancun {
                let code = Code::default()
                    .push(U256::from(333))
                    .push(U256::ZERO)
                    .push(U256::from(3))
                    .op(0x37)
                    .push(U256::from(len))
                    .push(U256::from(offset))
                    .push(U256::from(100))
                    .op(0x5e)
                    .push(U256::from(800))
                    .push(U256::ZERO)
                    .op(0x20)
                    .keep(0);
                calls.call(code.0, input.clone(), 1_000_000);
            }
        }
    }
    // Huge offsets and lengths: out of gas, or nothing at all where the length is zero.
    for huge in [U256::from(u32::MAX), U256::from(1) << 32, U256::from(u64::MAX), U256::MAX] {
        calls.call(Code::default().push(huge).op(0x51).keep(0).0, vec![], 1_000_000);
        calls.call(Code::default().push(huge).op(0x35).keep(0).0, input.clone(), 1_000_000);
        calls.call(Code::default().push(U256::ZERO).push(huge).op(0x20).keep(0).0, vec![], 1_000_000);
        calls.call(Code::default().push(huge).push(U256::ZERO).op(0x20).keep(0).0, vec![], 1_000_000);
        calls.call(
            Code::default()
                .push(U256::from(64))
                .push(huge)
                .push(U256::from(1))
                .op(0x37)
                .push(U256::from(80))
                .push(U256::ZERO)
                .op(0x20)
                .keep(0)
                .0,
            input.clone(),
            1_000_000,
        );
        calls.call(
            Code::default().push(U256::ZERO).push(huge).push(huge).op(0x37).op(0x59).keep(0).0,
            input.clone(),
            1_000_000,
        );
        calls.call(Code::default().push(huge).push(U256::ZERO).op(0xf3).0, vec![], 1_000_000);
        calls.call(Code::default().push(U256::ZERO).push(huge).op(0xfd).0, vec![], 1_000_000);
        calls.call(Code::default().push(U256::ZERO).push(huge).push(U256::ZERO).op(0x3e).0, vec![], 1_000_000);
        calls.call(Code::default().push(huge).op(0x56).0, vec![], 1_000_000);
    }
    calls
}

/// Stack shuffling, pushes of every width, jumps, and every way to end.
pub fn flow(fork: Fork) -> Calls {
    let mut calls = Calls::new(fork);
    for n in 1..=32_u8 {
        let mut code = vec![0x5f + n];
        code.extend((0..n).map(|byte| byte.wrapping_mul(37).wrapping_add(n)));
        calls.call(Code(code.clone()).keep(0).0, vec![], 100_000);
        code.truncate(usize::from(n) / 2 + 1);
        calls.call(code, vec![], 100_000);
    }
    for n in 1..=16_u8 {
        for op in [0x7f + n, 0x8f + n] {
            for items in [n, n + 1, 20] {
                let code =
                    (0..items).fold(Code::default(), |code, item| code.push(U256::from(item) + U256::from(1))).op(op);
                calls.call((0..items).fold(code, |code, slot| code.keep(slot.into())).0, vec![], 2_000_000);
            }
        }
    }
    // A loop of 200 turns; jumps to push data, past the end, to what is no JUMPDEST; JUMPI both ways.
    calls.call(vec![0x60, 200, 0x5b, 0x60, 1, 0x90, 0x03, 0x80, 0x60, 2, 0x57, 0x5a, 0x60, 0, 0x55], vec![], 100_000);
    calls.call(vec![0x60, 3, 0x56, 0x60, 0x5b], vec![], 100_000);
    calls.call(vec![0x60, 4, 0x56, 0x60, 0x5b], vec![], 100_000);
    calls.call(vec![0x60, 200, 0x56], vec![], 100_000);
    calls.call(vec![0x60, 1, 0x60, 6, 0x57, 0xfe, 0x5b, 0x58, 0x60, 0, 0x55], vec![], 100_000);
    calls.call(vec![0x60, 0, 0x60, 0, 0x57, 0x58, 0x60, 0, 0x55], vec![], 100_000);
    // Every single byte as an opcode on a stack of twenty small numbers, and on an empty stack.
    for byte in 0..=255_u8 {
        let code = (0..20_u8).fold(Code::default(), |code, item| code.push(U256::from(item)));
        calls.call(code.op(byte).keep(0).0, vec![1; 40], 300_000);
        calls.call(vec![byte, 0x60, 0, 0x55], vec![], 300_000);
    }
    // Overflow of the stack: more than a lane holds, and more than the EVM allows.
    for turns in [600_u16, 1100] {
        let [high, low] = turns.to_be_bytes();
        calls.call(vec![0x61, high, low, 0x5b, 0x80, 0x60, 1, 0x90, 0x03, 0x80, 0x60, 3, 0x57], vec![], 1_000_000);
    }
    // Gas runs out at every point of a small program.
    for gas in 21_000..21_060 {
        calls.call(
            Code::default()
                .push(U256::from(5))
                .push(U256::from(7))
                .op(0x01)
                .push(U256::ZERO)
                .op(0x52)
                .op(0x5a)
                .op(0x50)
                .0,
            vec![],
            gas,
        );
    }
    calls
}

/// The target of calls that look at another account.
const OTHER: Address = Address::repeat_byte(0x77);

/// State: every transition of a slot, warm and cold, transient slots, accounts, the environment.
pub fn state(fork: Fork) -> Calls {
    let mut calls = Calls::new(fork);
    slots(&mut calls);
    environment(&mut calls);
    accounts(&mut calls);
    if fork >= Fork::Cancun {
        cancun(&mut calls);
    }
    access_lists(&mut calls);
    if fork >= Fork::Prague {
        delegations(&mut calls, OTHER);
    }
    caps(&mut calls);
    calls
}

/// SSTORE from, over and to three values, and around the EIP-2200 sentry.
fn slots(calls: &mut Calls) {
    let values = [0_u64, 1, 2];
    for original in values {
        for first in values {
            for second in values {
                for third in values {
                    let code = Code::default()
                        .push(U256::from(first))
                        .keep(5)
                        .push(U256::from(second))
                        .keep(5)
                        .push(U256::from(5))
                        .op(0x54)
                        .keep(6)
                        .push(U256::from(third))
                        .keep(5)
                        .op(0x5a)
                        .keep(7);
                    calls.call(code.0, vec![], 200_000);
                    let to = calls.txs.last().and_then(|tx| tx.to).unwrap_or_default();
                    calls.state.insert_slot(to, U256::from(5), U256::from(original));
                }
            }
        }
    }
    // The EIP-2200 sentry, around its threshold.
    for gas in 23_300..23_320 {
        calls.call(Code::default().push(U256::ZERO).keep(1).0, vec![], gas);
    }
}

fn environment(calls: &mut Calls) {
    let env_ops = [
        0x30, 0x32, 0x33, 0x34, 0x36, 0x38, 0x3a, 0x3d, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x4a, 0x58,
        0x59, 0x5a,
    ];
    for op in env_ops {
        calls.call(Code::default().op(op).keep(0).0, vec![7; 50], 100_000);
    }
    for back in [0_u64, 1, 2, 255, 256, 257, 300] {
        calls.call(Code::default().push(U256::from(20_000_000 - back)).op(0x40).keep(0).0, vec![], 100_000);
        calls.call(Code::default().push(U256::from(20_000_000 + back)).op(0x40).keep(0).0, vec![], 100_000);
    }
    calls.call(Code::default().push(U256::MAX).op(0x40).keep(0).0, vec![], 100_000);
}

/// BALANCE and EXTCODE*: absent, empty, precompiles, itself, the sender, the beneficiary, another contract, garbage above
/// 160 bits.
fn accounts(calls: &mut Calls) {
    let code = Bytes::from((0..100_u8).collect::<Vec<_>>());
    let info = AccountInfo { balance: U256::from(12345), nonce: 3, code_hash: keccak256(&code) };
    calls.state.insert_code(info.code_hash, code);
    calls.state.insert_account(OTHER, info);
    let words = [
        U256::from(0x99),
        U256::ZERO,
        U256::from(1),
        U256::from(9),
        U256::from(0x0a),
        U256::from(0x0b),
        U256::from(0x11),
        U256::from(0x12),
        U256::from(0x100),
        U256::from_be_slice(OTHER.as_slice()),
        U256::from_be_slice(OTHER.as_slice()) | (U256::MAX << 160),
        U256::from_be_slice(calls.env.beneficiary.as_slice()),
    ];
    for word in words {
        for op in [0x31, 0x3b, 0x3f] {
            calls.call(
                Code::default().push(word).op(op).keep(0).push(word).op(op).keep(1).op(0x5a).keep(2).0,
                vec![],
                200_000,
            );
        }
        let copy = |len: u64, from: u64| {
            Code::default()
                .push(U256::from(len))
                .push(U256::from(from))
                .push(U256::from(3))
                .push(word)
                .op(0x3c)
                .push(U256::from(160))
                .push(U256::ZERO)
                .op(0x20)
                .keep(0)
                .op(0x5a)
                .keep(1)
        };
        for (len, from) in [(0, 0), (10, 5), (120, 0), (50, 99), (20, 200)] {
            calls.call(copy(len, from).0, vec![], 200_000);
        }
    }
    for op in [0x31, 0x3b, 0x3f] {
        for who in [0x30, 0x32] {
            calls.call(Code::default().op(who).op(op).keep(0).op(0x5a).keep(1).0, vec![], 200_000);
        }
    }
}

/// Transient storage and blob hashes.
fn cancun(calls: &mut Calls) {
    calls.call(
        Code::default()
            .push(U256::from(9))
            .push(U256::from(1))
            .op(0x5d)
            .push(U256::from(1))
            .op(0x5c)
            .keep(0)
            .push(U256::from(2))
            .op(0x5c)
            .keep(1)
            .push(U256::from(1))
            .op(0x54)
            .keep(2)
            .0,
        vec![],
        200_000,
    );
    for index in [U256::ZERO, U256::from(1), U256::from(2), U256::from(1) << 40, U256::MAX] {
        let tx = calls.call(Code::default().push(index).op(0x49).keep(0).0, vec![], 200_000);
        let blob = |byte| {
            let mut hash = B256::repeat_byte(byte);
            hash.0[0] = 1;
            hash
        };
        tx.tx_type = TxType::Blob;
        tx.max_priority_fee_per_gas = Some(U256::from(1));
        tx.max_fee_per_blob_gas = U256::from(1000);
        tx.blob_hashes = vec![blob(3)];
    }
}

fn access_lists(calls: &mut Calls) {
    let slots = vec![B256::with_last_byte(5), B256::with_last_byte(5), B256::with_last_byte(6)];
    for touch in [5_u64, 6, 7] {
        let code = Code::default()
            .push(U256::from(touch))
            .op(0x54)
            .keep(9)
            .push(U256::from_be_slice(OTHER.as_slice()))
            .op(0x31)
            .keep(8)
            .op(0x5a)
            .keep(10);
        let tx = calls.call(code.0, vec![], 300_000);
        tx.tx_type = TxType::AccessList;
        tx.access_list = vec![(tx.to.unwrap_or_default(), slots.clone()), (OTHER, vec![]), (OTHER, slots.clone())];
    }
}

/// Logs of every kind, and more logs and slots than a lane holds.
fn caps(calls: &mut Calls) {
    // Logs of every kind, and more than a lane holds.
    for topics in 0..=4_u8 {
        let code =
            (0..topics).fold(Code::default(), |code, topic| code.push(U256::from(topic) + (U256::from(7) << 200)));
        calls.call(
            code.push(U256::from(33))
                .push(U256::from(2))
                .op(0xa0 + topics)
                .push(U256::ZERO)
                .push(U256::ZERO)
                .op(0xa0)
                .0,
            vec![],
            200_000,
        );
    }
    let many = (0..40).fold(Code::default(), |code, _| code.push(U256::from(8)).push(U256::ZERO).op(0xa0));
    calls.call(many.0, vec![], 1_000_000);
    // More slots than a lane holds.
    let many = (0..140_u64).fold(Code::default(), |code, slot| code.push(U256::from(slot)).op(0x54).op(0x50));
    calls.call(many.0, vec![], 1_000_000);
}

/// EIP-7702: accounts that delegate to a contract, to nothing, to another delegation, to a precompile, to themselves.
fn delegations(calls: &mut Calls, other: Address) {
    let designator = |to: Address| Bytes::from([&[0xef, 0x01, 0x00], to.as_slice()].concat());
    let chained = Address::repeat_byte(0x78);
    let code = designator(other);
    calls
        .state
        .insert_account(chained, AccountInfo { code_hash: keccak256(&code), nonce: 1, ..AccountInfo::default() });
    calls.state.insert_code(keccak256(&code), code);
    let looker = Address::repeat_byte(0x79);
    // Keeps the gas and result of looking at the delegate, the delegator and another delegation.
    let mut look = Code::default();
    for (slot, address) in [other, looker, chained].into_iter().enumerate() {
        let word = U256::from_be_slice(address.as_slice());
        for (offset, op) in [0x31, 0x3b, 0x3f].into_iter().enumerate() {
            let slot = (slot * 6 + offset * 2) as u64;
            look = look.push(word).op(op).keep(slot).op(0x5a).keep(slot + 1);
        }
    }
    let look = Bytes::from(look.op(0x30).op(0x3b).keep(30).op(0x38).keep(31).0);
    let info = AccountInfo { code_hash: keccak256(&look), nonce: 1, ..AccountInfo::default() };
    calls.state.insert_account(looker, info);
    calls.state.insert_code(info.code_hash, look);
    for to in [looker, other, chained, Address::repeat_byte(0x7a), Address::with_last_byte(4)] {
        calls.call(designator(to).to_vec(), vec![1; 33], 1_000_000);
    }
    let own = calls.call(designator(Address::ZERO).to_vec(), vec![], 1_000_000).to.unwrap_or_default();
    let code = designator(own);
    calls.state.insert_account(own, AccountInfo { code_hash: keccak256(&code), nonce: 1, ..AccountInfo::default() });
    calls.state.insert_code(keccak256(&code), code);
}
