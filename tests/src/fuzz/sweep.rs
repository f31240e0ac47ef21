//! Every opcode of a fork in small programs, one for each way in which it can end: what random programs reach by luck.

use super::{coverage::Outcome, coverage::Seen, scene::LIBRARY, scene::library};
use crate::programs::{Calls, Code};
use alloy_primitives::{Address, U256, keccak256};
use lockstep::{
    commit::Committed,
    evm::Traced,
    fork::Fork,
    intrinsic::intrinsic_gas,
    opcode::{self, Class, Opcode},
    state::AccountInfo,
};

const GAS: u64 = 400_000;

/// The programs of a fork.
pub fn sweep(fork: Fork) -> Calls {
    let mut calls = Calls::new(fork);
    library(&mut calls);
    for op in opcode::table(fork).iter().filter(|op| op.class != Class::Undefined) {
        for outcome in Outcome::ALL.into_iter().filter(|outcome| outcome.can_be(op)) {
            program(&mut calls, op, outcome);
        }
    }
    calls
}

fn program(calls: &mut Calls, op: &Opcode, outcome: Outcome) {
    let body = instruction(op, outcome);
    let code = match outcome {
        Outcome::Revert => body.push(U256::from(40)).push(U256::ZERO).op(0xfd),
        Outcome::Static => {
            let callee = Address::from_word(keccak256([&body.0[..], &[op.byte]].concat()));
            let info = AccountInfo { balance: U256::from(9), nonce: 1, code_hash: keccak256(&body.0) };
            calls.state.insert_account(callee, info);
            calls.state.insert_code(info.code_hash, body.0.into());
            (0..4)
                .fold(Code::default(), |code, _| code.push(U256::from(8)))
                .push(U256::from_be_slice(callee.as_slice()))
                .push(U256::from(60_000))
                .op(0xfa)
                .keep(0)
        }
        Outcome::Success if op.result => observed(body.keep(0)),
        // The result of a call or creation stands on the stack when it has returned.
        Outcome::Success if matches!(op.byte, 0xf0..=0xf2 | 0xf4 | 0xf5 | 0xfa) => observed(body.keep(0)),
        _ => observed(body),
    };
    // Calldata have a floor price from Prague on, above what little gas a starved one gets.
    let input = if outcome == Outcome::OutOfGas { Vec::new() } else { (1..=64).collect() };
    calls.call(code.0, input, GAS);
    if outcome == Outcome::OutOfGas {
        starve(calls, op);
    }
}

/// What the instruction left in memory.
fn observed(code: Code) -> Code {
    code.op(0x59).keep(1).op(0x59).push(U256::ZERO).op(0x20).keep(2)
}

/// Some memory, the operands, and the instruction; one operand too few where that is asked for.
fn instruction(op: &Opcode, outcome: Outcome) -> Code {
    let word = U256::from_be_bytes(keccak256(b"sweep").0);
    let mut code = Code::default().push(word).push(U256::from(3)).op(0x52);
    let library = U256::from_be_slice(LIBRARY.as_slice());
    let small = |values: &[u64]| values.iter().map(|value| U256::from(*value)).collect::<Vec<_>>();
    let value = U256::from(u8::from(outcome == Outcome::Static));
    // The first operand last.
    let mut operands: Vec<U256> = match op.byte {
        0x56 if outcome != Outcome::Stack => small(&[code.0.len() as u64 + 3]),
        0x57 if outcome != Outcome::Stack => small(&[1, code.0.len() as u64 + 5]),
        0x31 | 0x3b | 0x3f | 0xff => vec![library],
        0x3c => [small(&[20, 3, 9]), vec![library]].concat(),
        0x3e => small(&[0, 0, 70]),
        0x40 => vec![U256::from(19_999_999)],
        0x54 | 0x5c => small(&[5]),
        0xf1 | 0xf2 => [small(&[40, 10, 64, 0]), vec![value, library, U256::from(50_000)]].concat(),
        0xf4 | 0xfa => [small(&[40, 10, 64, 0]), vec![library, U256::from(50_000)]].concat(),
        0xf3 | 0xfd => small(&[70, 200]),
        0xf0 => small(&[0, 90, 0]),
        0xf5 => small(&[4, 0, 90, 0]),
        0x04..=0x07 => vec![U256::from(77), word],
        0x08 | 0x09 => vec![U256::from(1_000_003), word, word >> 3],
        0x0b | 0x1a | 0x1b..=0x1d => vec![word, U256::from(5)],
        0x10..=0x14 | 0x16..=0x18 => vec![word, word >> 1],
        _ => (0..op.need).map(|item| U256::from(11 + 9 * u64::from(item))).collect(),
    };
    if outcome == Outcome::Stack {
        operands.truncate(usize::from(op.need) - 1);
    }
    // Two bytes a push, so that destinations are where they are thought to be.
    for operand in operands {
        code = code.push(operand);
    }
    code = code.op(op.byte);
    match op.byte {
        0x56 | 0x57 => code.op(0x5b),
        _ if op.class == Class::Push => {
            Code([code.0, word.to_be_bytes::<32>()[..usize::from(op.arg)].to_vec()].concat())
        }
        _ => code,
    }
}

/// Leaves the last transaction so much gas that it ends at the instruction.
fn starve(calls: &mut Calls, op: &Opcode) {
    let Ok(mut traced) = Traced::new(&calls.env, Committed::new(&calls.state), Seen::recording()) else { return };
    let (Some(tx), Some(sender)) = (calls.txs.last_mut(), calls.senders.last()) else { return };
    let _ = traced.transact(tx, *sender);
    let left = std::mem::take(&mut traced.observer_mut().left);
    // The first such instruction may be one of those that prepare.
    let Some(at) = left.iter().rposition(|(opcode, _)| *opcode == op.byte) else { return };
    let initial = intrinsic_gas(tx, calls.env.fork).initial;
    let before = GAS - initial - left[at].1;
    let cost = match (op.class, left.get(at + 1)) {
        // What a call costs by itself is not known from outside.
        (Class::Call, _) | (_, None) => 3,
        (_, Some((_, after))) => left[at].1 - after,
    };
    tx.gas_limit = initial + before + cost.clamp(1, 30_000) - 1;
}
