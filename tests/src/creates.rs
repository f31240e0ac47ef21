//! Programs that create and destroy: both kinds of creation and creation transactions, with every end that init code can
//! have, and SELFDESTRUCT before and after EIP-6780. What can be seen of the new account is kept in storage.

use crate::{
    calls::{Args, CALL, CALLCODE, DELEGATECALL, STATICCALL, deploy, word},
    programs::{Calls, Code},
};
use alloy_primitives::{Address, B256, U256, keccak256};
use lockstep::{fork::Fork, state::AccountInfo};

const CREATE: u8 = 0xf0;
const CREATE2: u8 = 0xf5;
const SALT: u64 = 7;

impl Code {
    /// Writes `bytes` to memory from `at` on; whole words.
    fn write(self, at: u64, bytes: &[u8]) -> Self {
        bytes.chunks(32).enumerate().fold(self, |code, (index, chunk)| {
            let image = B256::right_padding_from(chunk);
            code.push(U256::from_be_bytes(image.0)).push(U256::from(at + 32 * index as u64)).op(0x52)
        })
    }

    /// Creates with the init code at the start of memory, which is written first; leaves the address on the stack.
    pub(crate) fn create(self, kind: u8, value: u64, init: &[u8]) -> Self {
        self.write(0, init).create_from(kind, U256::from(value), U256::ZERO, U256::from(init.len()))
    }

    fn create_from(self, kind: u8, value: U256, at: U256, len: U256) -> Self {
        let code = if kind == CREATE2 { self.push(U256::from(SALT)) } else { self };
        code.push(len).push(at).push(value).op(kind)
    }

    /// Keeps what can be seen of the account whose address is in slot `held`, before and after it is called.
    fn inspect(self, held: u64, slot: u64) -> Self {
        let who = |code: Self| code.push(U256::from(held)).op(0x54);
        let code =
            [0x3b, 0x3f, 0x31].into_iter().zip(slot..).fold(self, |code, (op, slot)| who(code).op(op).keep(slot));
        let code = who(code.push(U256::from(64)).push(U256::ZERO).push(U256::from(512))).op(0x3c);
        let code = code.push(U256::from(64)).push(U256::from(512)).op(0x20).keep(slot + 3);
        let zeros = [0, 0, 0, 0, 1].into_iter().fold(code, |code, word| code.push(U256::from(word)));
        let code = who(zeros).push(U256::from(200_000)).op(CALL).observe(slot + 4);
        who(code).op(0x31).keep(slot + 10)
    }

    /// Destroys the running contract; the heir is on the stack.
    fn destroy(self) -> Self {
        self.op(0xff)
    }
}

/// Init code that deploys `runtime`.
fn deploying(runtime: &[u8]) -> Vec<u8> {
    let [high, low] = (runtime.len() as u16).to_be_bytes();
    [&[0x61, high, low, 0x80, 0x60, 12, 0x60, 0, 0x39, 0x60, 0, 0xf3], runtime].concat()
}

/// Init code that deploys `len` zero bytes behind `first`.
fn deploying_zeros(first: &[u8], len: u64) -> Vec<u8> {
    Code::default().write(0, first).end(0xf3, 0, len).0
}

/// What the init code sees, as code to be deployed.
fn environment() -> Code {
    let code = [0x30, 0x32, 0x33, 0x34, 0x36, 0x38, 0x3d, 0x47, 0x59, 0x5a]
        .into_iter()
        .enumerate()
        .fold(Code::default(), |code, (index, op)| code.op(op).push(U256::from(32 * index)).op(0x52));
    // Its own code, size and hash; calldata and storage that are not there.
    let code = [0x3b, 0x3f, 0x31]
        .into_iter()
        .enumerate()
        .fold(code, |code, (index, op)| code.op(0x30).op(op).push(U256::from(320 + 32 * index)).op(0x52));
    code.push(U256::ZERO).op(0x35).push(U256::ZERO).op(0x54).op(0x01).push(U256::from(416)).op(0x52)
}

/// A contract that counts its calls, and dies for the caller when the count reaches three.
fn counter() -> Code {
    let code = Code::default().push(U256::ZERO).op(0x54).push(U256::ONE).op(0x01).op(0x80).keep(0);
    let code = code.push(U256::from(3)).op(0x14).op(0x15);
    let end = code.0.len() as u64 + 6;
    code.push(U256::from(end)).op(0x57).op(0x33).destroy().op(0x5b).op(0x5b)
}

/// Every end that init code can have.
fn inits(fork: Fork) -> Vec<Vec<u8>> {
    let stores = Code::default().push(U256::from(5)).keep(0).push(U256::from(6)).keep(1).push(U256::ZERO).keep(1);
    let seven = U256::from(0x7777_u64);
    let mut inits = vec![
        vec![],
        vec![0x00],
        vec![0xfe],
        deploying(&[]),
        deploying(&[0x00]),
        deploying(&[0xfe, 0xef]),
        deploying(&counter().0),
        deploying(&Code::default().fill().end(0xfd, 3, 40).0),
        environment().end(0xf3, 0, 448).0,
        environment().end(0xfd, 0, 448).0,
        [stores.0.clone(), deploying(&[])].concat(),
        stores.clone().end(0xf3, 0, 40).0,
        stores.clone().end(0xfd, 0, 3).0,
        stores.clone().op(0xfe).0,
        stores.clone().op(0x33).destroy().0,
        stores.clone().op(0x30).destroy().0,
        stores.clone().push(seven).destroy().0,
        Code::default().push(U256::from(4)).push(U256::ZERO).op(0xa0).fill().end(0xf3, 0, 64).0,
        deploying_zeros(&[], 0x6000),
        deploying_zeros(&[], 0x6001),
        deploying_zeros(&[0xee], 33),
    ];
    if fork >= Fork::London {
        inits.extend([
            deploying_zeros(&[0xef], 1),
            deploying_zeros(&[0xef], 33),
            deploying(&[&[0xef, 0x01, 0x00][..], &[0x11; 20]].concat()),
        ]);
    }
    if fork >= Fork::Cancun {
        inits.push(Code::default().push(U256::ONE).push(U256::ONE).op(0x5d).push(U256::ONE).op(0x5c).keep(2).0);
    }
    // Creations in the creation, the last of which fails or not.
    for kind in [CREATE, CREATE2] {
        for end in [0x00, 0xfe] {
            let inner = Code::default().create(kind, 0, &deploying(&counter().0)).keep(0);
            let inner = inner.create(kind, 1, &deploying(&counter().0)).keep(1);
            let inner = inner.create(kind, 0, &stores.clone().op(end).0).keep(2);
            inits.extend([inner.clone().end(0xf3, 0, 64).0, inner.end(0xfd, 0, 64).0]);
        }
    }
    inits
}

/// Every kind of creation.
pub fn creates(fork: Fork) -> Calls {
    let mut calls = Calls::new(fork);
    let inits = inits(fork);
    outcomes(&mut calls, &inits);
    transactions(&mut calls, &inits);
    gas(&mut calls);
    sizes(&mut calls);
    values_and_nonces(&mut calls);
    collisions(&mut calls);
    undone(&mut calls, &inits);
    calls
}

/// A transaction that calls `code`, whose account holds `balance`.
fn funded(calls: &mut Calls, code: Code, balance: u64, nonce: u64, gas: u64) -> Address {
    let code_hash = keccak256(&code.0);
    let target = calls.call(code.0, vec![], gas).to.unwrap_or_default();
    calls.state.insert_account(target, AccountInfo { balance: U256::from(balance), nonce, code_hash });
    target
}

fn outcomes(calls: &mut Calls, inits: &[Vec<u8>]) {
    for init in inits {
        for kind in [CREATE, CREATE2] {
            for value in [0, 3] {
                let code = Code::default().create(kind, value, init).observe(10).inspect(10, 20);
                // Again: the next nonce, or a collision, which leaves a 64th of the gas.
                let code = code.create(kind, value, init).keep(40).op(0x3d).keep(41);
                funded(calls, code, 100, 1, 9_000_000);
            }
        }
    }
}

fn transactions(calls: &mut Calls, inits: &[Vec<u8>]) {
    for init in inits {
        for value in [0, 2] {
            let tx = calls.call(vec![], init.clone(), 9_000_000);
            (tx.to, tx.value) = (None, U256::from(value));
            let created = calls.senders[calls.senders.len() - 1].create(0);
            // What the block does next sees what was created.
            let code = Code::default().push(word(created)).keep(9).inspect(9, 20);
            funded(calls, code, 10, 1, 2_000_000);
        }
    }
    // The account was there: with a balance, a nonce, code, storage alone.
    for (index, code) in [vec![], vec![], vec![0x00], vec![]].into_iter().enumerate() {
        let tx = calls.call(vec![], environment().end(0xf3, 0, 448).0, 900_000);
        tx.to = None;
        let created = calls.senders[calls.senders.len() - 1].create(0);
        let info = AccountInfo { balance: U256::from(5), nonce: u64::from(index == 1), code_hash: keccak256(&code) };
        if index < 3 {
            calls.state.insert_account(created, info);
            calls.state.insert_code(info.code_hash, code.into());
        }
        calls.state.insert_slot(created, U256::ZERO, U256::from(9));
    }
    for limit in (54_000..90_000).step_by(1_777) {
        let tx = calls.call(vec![], deploying(&[0; 90]), limit);
        tx.to = None;
    }
}

fn gas(calls: &mut Calls) {
    for kind in [CREATE, CREATE2] {
        for limit in (21_000..126_000).step_by(2_111) {
            let code = Code::default().create(kind, 0, &deploying(&[1; 100])).observe(10);
            funded(calls, code, 0, 1, limit);
            // In a frame that is not the outermost, and goes on.
            let middle = Code::default().create(kind, 0, &deploying(&[1; 100])).push(U256::ZERO).op(0x52);
            let middle = deploy(calls, &format!("creates {kind}"), middle.end(0xf3, 0, 32), 0);
            let args = Args { gas: Some(U256::from(limit - 20_000)), ..Args::new(CALL, middle) };
            calls.call(Code::default().call(&args).observe(10).0, vec![], 900_000);
        }
    }
}

fn sizes(calls: &mut Calls) {
    let far = [U256::from(u32::MAX), U256::from(1) << 40, U256::MAX];
    for kind in [CREATE, CREATE2] {
        for (at, len) in [(0_u64, 0_u64), (0, 1), (31, 33), (1000, 0), (5, 3000), (0, 24_576)] {
            let code = Code::default().fill().create_from(kind, U256::ZERO, U256::from(at), U256::from(len));
            funded(calls, code.observe(10), 0, 1, 900_000);
        }
        for far in far {
            for (at, len) in [(far, U256::ZERO), (far, U256::ONE), (U256::ZERO, far), (U256::ONE, U256::from(49_153))] {
                funded(calls, Code::default().create_from(kind, U256::ZERO, at, len).observe(10), 0, 1, 900_000);
            }
        }
        // Too few operands; a static frame.
        let short = Code::default().push(U256::ZERO).push(U256::ZERO);
        let short = if kind == CREATE2 { short.push(U256::ZERO) } else { short };
        funded(calls, short.op(kind), 0, 1, 100_000);
        let maker = Code::default().create(kind, 0, &[]).push(U256::ZERO).op(0x52).end(0xf3, 0, 32);
        let maker = deploy(calls, &format!("maker {kind}"), maker, 0);
        for call in [CALL, CALLCODE, DELEGATECALL, STATICCALL] {
            let code = Code::default().call(&Args::new(call, maker)).observe(10);
            calls.call(code.0, vec![], 500_000);
        }
    }
}

fn values_and_nonces(calls: &mut Calls) {
    let init = deploying(&counter().0);
    for kind in [CREATE, CREATE2] {
        for value in [0, 1, 99, 100, 101, u64::MAX] {
            // Return data from before are gone whatever becomes of the creation.
            let echo = deploy(calls, "revert with data", Code::default().fill().end(0xfd, 0, 40), 0);
            let code = Code::default().call(&Args::new(CALL, echo)).keep(5).create(kind, value, &init);
            let target = funded(calls, code.observe(10).inspect(10, 20), 100, 1, 3_000_000);
            calls.txs.last_mut().unwrap_or_else(|| unreachable!("just pushed")).value = U256::ZERO;
            calls.call(Code::default().push(word(target)).op(0x31).keep(0).0, vec![], 200_000);
        }
        for nonce in [0, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let code = Code::default().create(kind, 0, &init).observe(10).create(kind, 1, &init).observe(20);
            funded(calls, code, 100, nonce, 3_000_000);
        }
    }
}

fn collisions(calls: &mut Calls) {
    let inits = [environment().end(0xf3, 0, 448).0, deploying(&counter().0)];
    for (kind, init) in [(CREATE, &inits[0]), (CREATE2, &inits[0]), (CREATE, &inits[1]), (CREATE2, &inits[1])] {
        for (index, other) in [vec![], vec![], vec![0x00], vec![], vec![]].into_iter().enumerate() {
            let probe = |code: Code, who: U256, slot: u64| {
                code.op(0x5a).push(who).op(0x31).op(0x50).op(0x5a).op(0x90).op(0x03).keep(slot)
            };
            let index_of_tx = calls.txs.len() as u64;
            let creator = Address::from_word(keccak256([b"code".as_slice(), &index_of_tx.to_be_bytes()].concat()));
            let at = match kind {
                CREATE => creator.create(1),
                _ => creator.create2(B256::from(U256::from(SALT)), keccak256(init)),
            };
            // Warm or cold before, and in any case after. A collision leaves a 64th of the gas.
            let code = if index == 4 { probe(Code::default(), word(at), 5) } else { Code::default() };
            let code = probe(code.create(kind, 2, init).keep(10).op(0x3d).keep(11), word(at), 6);
            let code = if matches!(index, 1 | 2) { code } else { code.inspect(10, 30) };
            funded(calls, code, 50, 1, 9_000_000);
            let info =
                AccountInfo { balance: U256::from(5), nonce: u64::from(index == 1), code_hash: keccak256(&other) };
            if index < 3 {
                calls.state.insert_account(at, info);
                calls.state.insert_code(info.code_hash, other.into());
            }
            calls.state.insert_slot(at, U256::ZERO, U256::from(9));
        }
    }
}

/// Creations in calls that fail or succeed; what stays of them.
fn undone(calls: &mut Calls, inits: &[Vec<u8>]) {
    for (index, init) in inits.iter().enumerate() {
        for end in [0xf3, 0xfd, 0xfe] {
            let maker = Code::default().create(CREATE2, 1, init).push(U256::ZERO).op(0x52);
            let maker = maker.create(CREATE, 1, init).push(U256::from(32)).op(0x52).end(end, 0, 64);
            let maker = deploy(calls, &format!("undone {index} {end}"), maker, 9);
            let code = Code::default().call(&Args { gas: Some(U256::from(6_000_000)), ..Args::new(CALL, maker) });
            let code = code.observe(10).call(&Args::new(DELEGATECALL, maker)).observe(20);
            let code = code.push(U256::from(32)).op(0x51).keep(30).inspect(30, 31);
            // Made again after it was undone, or not.
            let code = code
                .call(&Args { gas: Some(U256::from(1_000_000)), ..Args::new(CALL, maker) })
                .observe(50)
                .push(word(Address::repeat_byte(3)))
                .op(0x31)
                .keep(60);
            funded(calls, code, 1000, 1, 12_000_000);
        }
    }
}

/// Every kind of destruction.
pub fn destroys(fork: Fork) -> Calls {
    let mut calls = Calls::new(fork);
    let beneficiary = word(calls.env.beneficiary);
    let rich = deploy(&mut calls, "rich", Code::default().op(0x00), 100);
    let heirs = [U256::from(0xdead), rich, beneficiary, U256::from(9), U256::MAX, U256::from(0xdeae)];
    for balance in [0_u64, 5] {
        for (index, heir) in heirs.into_iter().map(Some).chain([None]).enumerate() {
            destroyed(&mut calls, &format!("{index} {balance}"), heir, balance);
        }
    }
    created_and_destroyed(&mut calls);
    costs(&mut calls, rich);
    calls
}

/// A contract that dies for `heir` (itself if none), in every way that it can come to that.
fn destroyed(calls: &mut Calls, name: &str, heir: Option<U256>, balance: u64) {
    let to_heir = |code: Code| match heir {
        Some(heir) => code.push(heir),
        None => code.op(0x30),
    };
    let body = || to_heir(Code::default().push(U256::from(4)).keep(1).push(U256::ZERO).keep(2)).destroy();
    // At depth zero, then called again, looked at, and paid by the transactions after it.
    let target = funded(calls, body(), balance, 1, 500_000);
    for slot in 0..3 {
        calls.state.insert_slot(target, U256::from(slot), U256::from(slot));
    }
    for _ in 0..2 {
        let code = Code::default().push(word(target)).keep(9).inspect(9, 20);
        funded(calls, code, 10, 1, 900_000);
        calls.call(vec![], vec![], 500_000).to = Some(target);
    }
    for kind in [CALL, CALLCODE, DELEGATECALL, STATICCALL] {
        for value in [0, 1] {
            let victim = deploy(calls, &format!("victim {name} {kind} {value}"), body(), balance);
            let args = Args { value: U256::from(value), ..Args::new(kind, victim) };
            // Twice, paid in between; then what is left.
            let code = Code::default().call(&args).observe(10).push(victim).keep(9).inspect(9, 20);
            let code = code.call(&args).observe(40).push(heir.unwrap_or(victim)).op(0x31).keep(50);
            funded(calls, code, 30, 1, 900_000);
        }
        // In a call that fails after it, and in one that does not.
        for end in [0x00, 0xfd, 0xfe] {
            let victim = deploy(calls, &format!("undone {name} {kind} {end}"), body(), balance);
            let middle = Code::default().call(&Args::new(kind, victim)).op(0x50);
            let middle = middle.push(U256::ZERO).push(U256::ZERO).op(end);
            let middle = deploy(calls, &format!("middle {name} {kind} {end}"), middle, 3);
            let gas = Some(U256::from(300_000));
            let code = Code::default().call(&Args { gas, ..Args::new(CALL, middle) }).observe(10);
            let code = code.push(victim).keep(9).inspect(9, 20).call(&Args::new(CALL, victim)).observe(40);
            funded(calls, code, 30, 1, 2_000_000);
        }
    }
}

fn created_and_destroyed(calls: &mut Calls) {
    let heirs = [0x30, 0x33, 0x32, 0x41];
    for kind in [CREATE, CREATE2] {
        for heir in heirs {
            for value in [0, 4] {
                // In its init code; or when it is called, once or more.
                let dies = Code::default().push(U256::ONE).keep(3).op(heir).destroy().0;
                for init in [dies.clone(), deploying(&dies), deploying(&counter().0)] {
                    let code = Code::default().create(kind, value, &init).observe(10);
                    let code = code.inspect(10, 20).inspect(10, 40).inspect(10, 60);
                    funded(calls, code.create(kind, value, &init).keep(80), 90, 1, 9_000_000);
                }
            }
        }
    }
    for heir in heirs {
        let tx = calls.call(vec![], Code::default().push(U256::ONE).keep(3).op(heir).destroy().0, 900_000);
        (tx.to, tx.value) = (None, U256::from(3));
    }
}

fn costs(calls: &mut Calls, rich: U256) {
    for heir in [rich, U256::from(0xabcd), U256::from(8)] {
        for balance in [0, 1] {
            let victim =
                deploy(calls, &format!("cost {heir} {balance}"), Code::default().push(heir).destroy(), balance);
            for gas in [4_990, 5_002, 5_003, 5_004, 7_602, 7_603, 7_604, 30_003, 32_602, 32_603, 32_604] {
                let args = Args { gas: Some(U256::from(gas)), ..Args::new(CALL, victim) };
                calls.call(Code::default().call(&args).observe(10).0, vec![], 500_000);
            }
        }
    }
    // The third precompile stays touched by a call that fails.
    for end in [0x00, 0xfd] {
        let victim = deploy(calls, &format!("for 3 {end}"), Code::default().push(U256::from(3)).destroy(), 1);
        let middle = Code::default().call(&Args::new(CALL, victim)).push(U256::ZERO).op(end);
        let middle = deploy(calls, &format!("middle for 3 {end}"), middle, 0);
        calls.call(Code::default().call(&Args::new(CALL, middle)).observe(10).0, vec![], 500_000);
    }
    // No operand.
    calls.call(vec![0xff], vec![], 100_000);
}
