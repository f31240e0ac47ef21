//! Programs about the edges of the control flow: every way that a destination comes to a jump, gas that ends at each
//! instruction, and frames that run other code than their caller.

use crate::{
    calls::{Args, CALL, KINDS, deploy, word},
    programs::{Calls, Code},
    set_code::{designator, insert},
    sign::Wallet,
};
use alloy_primitives::{Address, B256, U256, keccak256};
use lockstep::{fork::Fork, tx::TxType};

const JUMP: u8 = 0x56;
const JUMPI: u8 = 0x57;
const JUMPDEST: u8 = 0x5b;
const PUSH1: u8 = 0x60;
const STOP: u8 = 0x00;
const CREATE: u8 = 0xf0;
const CREATE2: u8 = 0xf5;

/// More gas than the straight programs use.
const MOST_GAS: u64 = 25;

/// Jumps to the fourth byte and goes on there.
const HOP: [u8; 4] = [PUSH1, 3, JUMP, JUMPDEST];

/// All of them.
pub fn jumps(fork: Fork) -> Calls {
    let mut calls = Calls::new(fork);
    for code in straight() {
        for gas in 0..=MOST_GAS {
            calls.call(code.clone(), vec![], 21_000 + gas);
        }
    }
    loops(&mut calls);
    frames(&mut calls);
    creations(&mut calls);
    if fork >= Fork::Prague {
        delegations(&mut calls);
    }
    calls
}

/// A push of `len` bytes.
fn push(len: u8, value: u8) -> Vec<u8> {
    let mut code = vec![0; usize::from(len) + 1];
    code[0] = 0x5f + len;
    code[usize::from(len)] = value;
    code
}

fn straight() -> Vec<Vec<u8>> {
    let mut codes = vec![
        // DUP1 JUMP; DUP2 DUP2 JUMPI; a sum of PC.
        vec![PUSH1, 4, 0x80, JUMP, JUMPDEST, STOP],
        vec![PUSH1, 0, PUSH1, 8, 0x81, 0x81, JUMPI, STOP, JUMPDEST, STOP],
        vec![PUSH1, 1, PUSH1, 8, 0x81, 0x81, JUMPI, STOP, JUMPDEST, STOP],
        vec![PUSH1, 3, 0x58, 0x01, JUMP, JUMPDEST, STOP],
        // Where no jump goes: into push data, past the end; the last where the condition does not hold.
        vec![PUSH1, 1, JUMP],
        vec![PUSH1, 0xff, JUMP],
        vec![PUSH1, 1, PUSH1, 2, JUMPI],
        vec![PUSH1, 0, PUSH1, 2, JUMPI],
        // Operands are missing.
        vec![JUMP],
        vec![PUSH1, 4, JUMPI, STOP, JUMPDEST],
        // Nothing behind the destination; another jump right behind it.
        HOP.to_vec(),
        [HOP.as_slice(), &[PUSH1, 7, JUMP, JUMPDEST, STOP]].concat(),
    ];
    for len in 1..=4 {
        codes.push([push(len, len + 3), vec![JUMP, STOP, JUMPDEST, STOP]].concat());
        for condition in [0, 1] {
            codes.push([push(1, condition), push(len, len + 5), vec![JUMPI, STOP, JUMPDEST, STOP]].concat());
            // To where it goes in any case.
            codes.push([push(1, condition), push(len, len + 4), vec![JUMPI, JUMPDEST, STOP]].concat());
        }
    }
    codes
}

fn loops(calls: &mut Calls) {
    for turns in [1_u16, 2, 300, 5000] {
        let [high, low] = turns.to_be_bytes();
        let code = vec![0x61, high, low, JUMPDEST, PUSH1, 1, 0x90, 0x03, 0x80, PUSH1, 3, JUMPI, STOP];
        calls.call(code, vec![], 300_000);
    }
}

/// Jumps on the top of the stack, and ends.
fn then_jump(code: Code) -> Vec<u8> {
    let to = code.0.len() as u8 + 5;
    [code.0, push(2, to), vec![JUMPI, STOP, JUMPDEST, STOP]].concat()
}

fn caller(kind: u8, gas: u64, to: U256) -> Vec<u8> {
    let args = Args { gas: Some(U256::from(gas)), input: (0, 0), output: (0, 0), ..Args::new(kind, to) };
    then_jump(Code::default().call(&args))
}

/// Callees that jump and end in every way, and one whose gas ends anywhere.
fn frames(calls: &mut Calls) {
    let ends: [(&str, &[u8]); 4] = [
        ("stops", &[STOP]),
        ("reverts", &[PUSH1, 0, PUSH1, 0, 0xfd]),
        ("halts", &[0xfe]),
        ("jumps wrong", &[PUSH1, 0, JUMP]),
    ];
    for (name, end) in ends {
        let callee = deploy(calls, name, Code([&HOP, end].concat()), 0);
        for kind in KINDS {
            calls.call(caller(kind, 100, callee), vec![], 100_000);
        }
        for gas in 0..=MOST_GAS {
            calls.call(caller(CALL, gas, callee), vec![], 100_000);
        }
    }
}

/// Init code that jumps: of creations and of transactions that create. What the first deploys jumps, too.
fn creations(calls: &mut Calls) {
    let deployed = [&HOP, [STOP].as_slice()].concat();
    let inits = [
        [&HOP, [0x64].as_slice(), &deployed, &[PUSH1, 0, 0x52, PUSH1, 5, PUSH1, 27, 0xf3]].concat(),
        [&HOP, [PUSH1, 0, PUSH1, 0, 0xfd].as_slice()].concat(),
        [&HOP, [0xfe].as_slice()].concat(),
    ];
    for init in inits {
        for kind in [CREATE, CREATE2] {
            let image = B256::right_padding_from(&init);
            let code = Code::default().push(U256::from_be_bytes(image.0)).push(U256::ZERO).op(0x52);
            let code = if kind == CREATE2 { code.push(U256::from(7)) } else { code };
            let code = code.push(U256::from(init.len())).push(U256::ZERO).push(U256::ZERO).op(kind);
            // A call of it, which does nothing where there is no account.
            let code = (0..5).fold(code, |code, _| code.push(U256::ZERO)).op(0x85).op(0x5a).op(CALL);
            calls.call(then_jump(code), vec![], 300_000);
        }
        let tx = calls.call(vec![], init, 300_000);
        (tx.to, tx.value) = (None, U256::ZERO);
    }
}

/// Accounts that run the code of another (EIP-7702): the edges are that code's.
fn delegations(calls: &mut Calls) {
    let code = Code([&HOP, [PUSH1, 7, JUMP, JUMPDEST].as_slice()].concat());
    let delegate = Address::from_word(deploy(calls, "delegate", code, 0).into());
    let delegated = Address::from_word(keccak256("delegated"));
    insert(calls, delegated, 1, 0, designator(delegate));
    for gas in 0..=MOST_GAS {
        calls.call(vec![], vec![], 21_000 + gas).to = Some(delegated);
        calls.call(caller(CALL, gas, word(delegated)), vec![], 100_000);
    }
    for kind in KINDS {
        calls.call(caller(kind, 100, word(delegated)), vec![], 100_000);
    }
    let wallet = Wallet::new("becomes delegated");
    let tx = calls.call(vec![], vec![], 200_000);
    (tx.tx_type, tx.max_priority_fee_per_gas) = (TxType::SetCode, Some(U256::from(2)));
    tx.to = Some(wallet.address());
    tx.authorizations = vec![wallet.authorize(1, delegate, 0)];
}
