//! Programs at edges that random ones seldom meet: gas beyond 32 bits, keys and addresses that differ in one bit, jumps and
//! conditions whose high limbs count.

use crate::programs::{Calls, Code};
use alloy_primitives::{Address, U256, keccak256};
use lockstep::{
    fork::Fork,
    opcode::{self, Class},
    state::AccountInfo,
};

/// The bits at which limbs begin and end.
const BITS: [usize; 16] = [0, 31, 32, 63, 64, 95, 96, 127, 128, 159, 160, 191, 192, 223, 224, 255];

/// All of them.
pub fn edges(fork: Fork) -> Calls {
    let mut calls = Calls::new(fork);
    jumps(&mut calls);
    slots(&mut calls);
    addresses(&mut calls);
    ranges(&mut calls);
    block_hashes(&mut calls);
    dependencies(&mut calls);
    near_delegations(&mut calls);
    static_value(&mut calls);
    underflows(&mut calls);
    crowds(&mut calls);
    if fork >= Fork::Cancun {
        transient(&mut calls);
    }
    if fork < Fork::Osaka {
        much_gas(&mut calls);
    }
    calls
}

/// Destinations that are right in their lowest limb only; conditions that are zero in all limbs but one.
fn jumps(calls: &mut Calls) {
    for bit in BITS {
        let high = U256::ONE << bit;
        if bit >= 32 {
            // A push of 32 bytes, the jump, and the destination at 34.
            let code = Code([vec![0x7f], (high + U256::from(34)).to_be_bytes_vec()].concat()).op(0x56).op(0x5b);
            calls.call(code.push(U256::ONE).keep(0).0, vec![], 100_000);
        }
        let code = Code([vec![0x7f], high.to_be_bytes_vec()].concat()).op(0x60).op(38).op(0x57).op(0x58).op(0x00);
        calls.call(code.op(0x5b).push(U256::ONE).keep(0).0, vec![], 100_000);
    }
}

/// Storage and transient slots whose keys differ in one bit, with values that differ in one bit.
fn slots(calls: &mut Calls) {
    let ops: &[(u8, u8)] = if calls.env.fork >= Fork::Cancun { &[(0x55, 0x54), (0x5d, 0x5c)] } else { &[(0x55, 0x54)] };
    for (store, load) in ops {
        let mut code = Code::default();
        for bit in BITS {
            code = code.push(U256::ONE << (255 - bit)).push(U256::ONE << bit).op(*store);
        }
        for bit in BITS {
            code = code.push(U256::ONE << bit).op(*load).push(U256::from(bit)).op(0x52);
        }
        calls.call(code.push(U256::from(300)).push(U256::ZERO).op(0xf3).0, vec![], 2_000_000);
    }
    // The same from the state.
    let code = BITS
        .iter()
        .fold(Code::default(), |code, bit| code.push(U256::ONE << *bit).op(0x54).push(U256::from(*bit)).op(0x52));
    let to = calls.call(code.push(U256::from(300)).push(U256::ZERO).op(0xf3).0, vec![], 2_000_000).to;
    for bit in BITS {
        calls.state.insert_slot(to.unwrap_or_default(), U256::ONE << bit, U256::from(bit + 1));
    }
}

/// Accounts whose addresses differ in one bit.
fn addresses(calls: &mut Calls) {
    let base: U256 = U256::from_be_bytes(keccak256(b"address").0) >> 96;
    let places = (0..160).step_by(8).map(|bit: usize| -> U256 { base ^ (U256::ONE << bit) });
    let mut code = Code::default();
    for (index, word) in places.enumerate() {
        let address = Address::from_word(word.into());
        let balance = U256::from(1000 + index);
        calls.state.insert_account(address, AccountInfo { balance, ..AccountInfo::default() });
        code = code.push(word).op(0x31).push(U256::from(32 * index)).op(0x52);
    }
    calls.call(code.push(U256::from(640)).push(U256::ZERO).op(0xf3).0, vec![], 2_000_000);
}

/// Short ranges whose ends are beyond 2^32 or wrap.
fn ranges(calls: &mut Calls) {
    for far in [U256::MAX, U256::MAX - U256::from(30), (U256::ONE << 32) - U256::ONE, U256::ONE << 32, U256::ONE << 255]
    {
        for len in [1_u64, 2, 31, 32] {
            for copy in [0x37, 0x39, 0x3e, 0x5e] {
                let code = Code::default().push(U256::from(len)).push(far).push(U256::from(5)).op(copy);
                calls.call(code.op(0x59).push(U256::ZERO).op(0x20).keep(0).0, vec![7; 40], 200_000);
            }
            let code = Code::default().push(U256::from(len)).push(far).op(0x20).keep(0);
            calls.call(code.0, vec![], 200_000);
        }
    }
}

/// Blocks whose hash the state has, though the instruction must not give it.
fn block_hashes(calls: &mut Calls) {
    let number = calls.env.number;
    for asked in [number - 258, number - 257, number - 256, number - 1, number, number + 1] {
        calls.state.insert_block_hash(asked, keccak256(asked.to_be_bytes()));
        calls.call(Code::default().push(U256::from(asked)).op(0x40).keep(0).0, vec![], 100_000);
    }
}

/// A transaction that reads, and does not write, what the one before it wrote.
fn dependencies(calls: &mut Calls) {
    // Stores its calldata; without any, returns what is stored.
    let code = Code(vec![0x36, 0x60, 14, 0x57]).push(U256::from(3)).op(0x54).op(0x60).op(0).op(0x52);
    let code = code.push(U256::from(32)).op(0x60).op(0).op(0xf3);
    let target = code.0.len() as u8;
    let mut code = code.op(0x5b).op(0x60).op(0).op(0x35).keep(3);
    code.0[2] = target;
    let to = calls.call(code.0, vec![9; 32], 100_000).to;
    for input in [vec![], vec![8; 32], vec![], vec![]] {
        calls.call(vec![0x00], input, 100_000).to = to;
    }
}

/// Code that begins like a delegation (EIP-7702) and is none.
fn near_delegations(calls: &mut Calls) {
    for (version, len) in [(0, 22), (0, 24), (0, 40), (1, 23)] {
        let code = [&[0xef, 0x01, version], &super::scene::LIBRARY[..], &[0; 20]].concat()[..len].to_vec();
        let target = Address::from_word(keccak256(&code));
        let info = AccountInfo { nonce: 1, code_hash: keccak256(&code), ..AccountInfo::default() };
        calls.state.insert_account(target, info);
        calls.state.insert_code(info.code_hash, code.into());
        for kind in [0xf1_u8, 0xf2, 0xf4, 0xfa] {
            let operands = if kind < 0xf3 { 5 } else { 4 };
            let code = (0..operands).fold(Code::default(), |code, _| code.push(U256::ZERO));
            let code = code.push(U256::from_be_slice(target.as_slice())).push(U256::from(50_000)).op(kind);
            calls.call(code.keep(0).op(0x5a).keep(1).0, vec![], 300_000);
        }
    }
    super::scene::library(calls);
}

/// CALLCODE moves no value between accounts, so that it may name one in a static frame (EIP-214).
fn static_value(calls: &mut Calls) {
    let code = (0..4).fold(Code::default(), |code, _| code.push(U256::ZERO)).push(U256::ONE);
    let code = code.push(U256::from_be_slice(super::scene::LIBRARY.as_slice())).push(U256::from(9_000)).op(0xf2);
    let code = code.push(U256::ZERO).op(0x52).push(U256::from(32)).push(U256::ZERO).op(0xf3);
    let callee = Address::from_word(keccak256(b"names a value"));
    let info = AccountInfo { balance: U256::from(9), nonce: 1, code_hash: keccak256(&code.0) };
    calls.state.insert_account(callee, info);
    calls.state.insert_code(info.code_hash, code.0.into());
    let code = [32_u64, 0, 0, 0].into_iter().fold(Code::default(), |code, operand| code.push(U256::from(operand)));
    let code = code.push(U256::from_be_slice(callee.as_slice())).op(0x5a).op(0xfa).keep(0);
    calls.call(code.push(U256::ZERO).op(0x51).keep(1).op(0x5a).keep(2).0, vec![], 300_000);
}

/// Callees whose stack lacks one operand, while their caller's has more than enough, all of them harmless.
fn underflows(calls: &mut Calls) {
    for op in opcode::table(calls.env.fork).iter().filter(|op| op.class != Class::Undefined && op.need > 0) {
        let code = (1..op.need).fold(Code::default(), |code, _| code.push(U256::ZERO)).op(op.byte).op(0x00);
        let callee = Address::from_word(keccak256(&code.0));
        let info = AccountInfo { nonce: 1, code_hash: keccak256(&code.0), ..AccountInfo::default() };
        calls.state.insert_account(callee, info);
        calls.state.insert_code(info.code_hash, code.0.into());
        let code = (0..24).fold(Code::default(), |code, _| code.push(U256::ZERO));
        let code = code.push(U256::from_be_slice(callee.as_slice())).push(U256::from(50_000)).op(0xf1).keep(0);
        calls.call(code.0, vec![], 300_000);
    }
}

/// So many keys that differ in a few bits only that looking for one of them meets others.
fn crowds(calls: &mut Calls) {
    const AT_ONCE: usize = 16;
    let reader = |load: u8| {
        let code = (0..AT_ONCE).fold(Code::default(), |code, index| {
            let at = U256::from(32 * index);
            code.push(at).op(0x35).op(load).push(at).op(0x52)
        });
        code.push(U256::from(32 * AT_ONCE)).push(U256::ZERO).op(0xf3).0
    };
    let base: U256 = U256::from_be_bytes(keccak256(b"crowd").0) >> 96;
    // Where the keys differ, and how they are read: slots in each quarter of the word, accounts in each end of the name.
    for (bit, load) in [(0, 0x54), (64, 0x54), (160, 0x54), (192, 0x54), (8, 0x31), (72, 0x31)] {
        let keys: Vec<U256> =
            (1..=128_u64).map(|key| (U256::from(key) << bit) ^ if load == 0x31 { base } else { U256::ZERO }).collect();
        let to = calls.call(reader(load), vec![], 200_000).to;
        for (index, key) in keys.iter().enumerate() {
            let value = U256::from(1000 + index);
            if load == 0x54 {
                calls.state.insert_slot(to.unwrap_or_default(), *key, value);
            } else {
                let info = AccountInfo { balance: value, ..AccountInfo::default() };
                calls.state.insert_account(Address::from_word((*key).into()), info);
            }
        }
        for keys in keys.chunks(AT_ONCE) {
            let input = keys.iter().flat_map(|key| key.to_be_bytes::<32>()).collect();
            calls.call(vec![0x00], input, 200_000).to = to;
        }
    }
}

/// A call of itself that stores a transient word and ends well, or reverts; then the word is read.
fn transient(calls: &mut Calls) {
    for end in [0xf3, 0xfd, 0xfe] {
        let code = Code(vec![0x36, 0x60, 0, 0x57]).push(U256::from(5)).push(U256::ONE).op(0x5d);
        let code = [0_u64, 0, 1, 0, 0].into_iter().fold(code, |code, operand| code.op(0x60).op(operand as u8));
        let code = code.op(0x30).push(U256::from(30_000)).op(0xf1).keep(0).push(U256::ONE).op(0x5c).keep(1);
        let code = code.push(U256::from(2)).op(0x5c).keep(2).op(0x00);
        let target = code.0.len() as u8;
        let code = code.op(0x5b).push(U256::from(7)).push(U256::ONE).op(0x5d).push(U256::from(8)).push(U256::from(2));
        let mut code = code.op(0x5d).op(0x60).op(0).op(0x60).op(0).op(end);
        code.0[2] = target;
        calls.call(code.0, vec![], 300_000);
    }
}

/// Gas around 2^32, in the transaction and in what calls give and get back.
fn much_gas(calls: &mut Calls) {
    let burn = Address::from_word(keccak256(b"burns a little"));
    let code = (0..9).fold(Code::default(), |code, _| code.op(0x5a).op(0x50)).op(0x5a).push(U256::ZERO).op(0x52);
    let code = code.push(U256::from(32)).push(U256::ZERO).op(0xf3);
    let info = AccountInfo { nonce: 1, code_hash: keccak256(&code.0), ..AccountInfo::default() };
    calls.state.insert_account(burn, info);
    calls.state.insert_code(info.code_hash, code.0.into());
    let call = |code: Code, gas: Option<U256>| {
        let code = [32_u64, 0, 0, 0, 0].into_iter().fold(code, |code, operand| code.push(U256::from(operand)));
        let code = code.push(U256::from_be_slice(burn.as_slice()));
        let code = match gas {
            Some(gas) => code.push(gas),
            None => code.op(0x5a),
        };
        code.op(0xf1)
    };
    for more in [0_u64, 1, 2, 3, 4, 5, 7, 11, 100, 2_600, 30_000, 1 << 26, 70_000_000, 1 << 34] {
        // What is left is read at every point at which the low limb may run out.
        let code = (0..12).fold(Code::default(), |code, index| code.op(0x5a).push(U256::from(32 * index)).op(0x52));
        let code = call(code, None).op(0x50).op(0x5a).push(U256::from(384)).op(0x52);
        let code = call(code, Some(U256::from(1_u64 << 32))).op(0x50).op(0x5a).push(U256::from(416)).op(0x52);
        let code = call(code, Some(U256::from(50_000))).op(0x50).op(0x5a).push(U256::from(448)).op(0x52);
        let code = code.push(U256::from(500)).push(U256::ZERO).op(0xf3);
        calls.call(code.0, vec![], 21_000 + (1 << 32) + more);
    }
}
