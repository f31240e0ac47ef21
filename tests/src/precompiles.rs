//! Programs that call precompiles: lengths, offsets, gas, value, and precompiles that other accounts delegate to.

use crate::{
    calls::{Args, CALL, CALLCODE, DELEGATECALL, KINDS, STATICCALL, deploy, endowed, word},
    programs::{Calls, Code},
    sign::Wallet,
};
use alloy_primitives::{Address, Bytes, U256, keccak256};
use lockstep::{
    fork::Fork,
    recover::{FIELD_MINUS_ORDER, ORDER},
    state::AccountInfo,
};

/// Ecrecover, SHA-256 and identity: the ones that lanes run.
const SERVED: [u64; 3] = [1, 2, 4];

/// Memory that differs in every byte, up to a multiple of 32.
fn fill(len: u64) -> Code {
    (0..len.div_ceil(32)).fold(Code::default(), |code, at| {
        code.push(U256::from_be_bytes(keccak256(at.to_be_bytes()).0)).push(U256::from(32 * at)).op(0x52)
    })
}

/// Every kind of call to the precompiles on the device.
pub fn precompiles(fork: Fork) -> Calls {
    let mut calls = Calls::new(fork);
    digests(&mut calls);
    gas(&mut calls);
    values(&mut calls);
    frames(&mut calls);
    delegations(&mut calls);
    signers(&mut calls);
    transactions(&mut calls);
    calls
}

/// The same where the precompiles' accounts have code and a balance, which changes nothing but for who delegates to them.
pub fn precompiles_with_code(fork: Fork) -> Calls {
    let mut calls = Calls::new(fork);
    let code = Bytes::from(Code::default().push(U256::ONE).keep(0).fill().end(0xfd, 0, 7).0);
    for number in SERVED {
        let info = AccountInfo { balance: U256::from(3), nonce: 1, code_hash: keccak256(&code) };
        calls.state.insert_account(Address::with_last_byte(number as u8), info);
        calls.state.insert_code(info.code_hash, code.clone());
    }
    values(&mut calls);
    frames(&mut calls);
    delegations(&mut calls);
    transactions(&mut calls);
    calls
}

/// SHA-256 of every short length at every alignment, and of long messages.
fn digests(calls: &mut Calls) {
    let to = |input, output| Args { input, output, ..Args::new(STATICCALL, U256::from(2)) };
    for len in 0..=200 {
        let code = (0..4).fold(fill(256), |code, at| {
            code.call(&to((at, len), (300 + 33 * at, 32)))
                .keep(at)
                .push(U256::from(300 + 33 * at))
                .op(0x51)
                .keep(at + 4)
        });
        calls.call(code.op(0x3d).keep(9).0, vec![], 900_000);
    }
    for len in [247, 248, 255, 256, 503, 512, 1000, 4095, 4096, 16_000] {
        let code = fill(512).call(&to((len % 5, len), (0, 32))).observe(10);
        calls.call(code.0, vec![], 900_000);
    }
    // FIPS 180-4's examples.
    for message in ["", "abc", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"] {
        let code = Code::default().op(0x36).push(U256::ZERO).push(U256::ZERO).op(0x37);
        let args = to((0, message.len() as u64), (0, 32));
        calls.call(code.call(&args).op(0x50).end(0xf3, 0, 32).0, message.as_bytes().to_vec(), 300_000);
    }
}

fn gas(calls: &mut Calls) {
    for (number, base, word) in [(1, 3000, 0), (2, 60, 12), (4, 15, 3)] {
        for kind in KINDS {
            for len in [0_u64, 1, 31, 32, 33, 100] {
                let due = base + word * len.div_ceil(32);
                for ask in [0, base - 1, base, due - 1, due, due + 1, 5000] {
                    let gas = Some(U256::from(ask));
                    let args = Args { gas, input: (3, len), output: (70, 40), ..Args::new(kind, U256::from(number)) };
                    calls.call(Code::default().fill().call(&args).observe(10).0, vec![], 300_000);
                }
            }
        }
    }
}

/// More and less than the caller has, with and without the gas that is due beyond the stipend.
fn values(calls: &mut Calls) {
    for number in SERVED.map(U256::from) {
        for kind in [CALL, CALLCODE] {
            for value in [0_u64, 1, 1000, 1001] {
                for (ask, len) in [(Some(U256::ZERO), 40), (Some(U256::ZERO), 7_000), (None, 33)] {
                    let args = Args { gas: ask, value: U256::from(value), input: (1, len), ..Args::new(kind, number) };
                    let code = Code::default().fill().call(&args).observe(10).push(number).op(0x31).keep(30);
                    endowed(calls, code.call(&args).observe(20), 1000);
                }
            }
        }
    }
}

/// Calls to precompiles deep down, in static frames and in frames that fail.
fn frames(calls: &mut Calls) {
    for number in SERVED.map(U256::from) {
        for end in [0xf3, 0xfd, 0xfe] {
            for value in [0_u64, 2] {
                let args = Args { value: U256::from(value), input: (5, 50), ..Args::new(CALL, number) };
                let name = format!("calls {number} with {value}, ends by {end}");
                let middle = deploy(calls, &name, Code::default().fill().call(&args).op(0x50).end(end, 17, 64), 9);
                for kind in KINDS {
                    let code = Code::default().call(&Args::new(kind, middle)).observe(10);
                    endowed(calls, code.push(number).op(0x31).keep(30), 5);
                }
            }
        }
    }
    // What a precompile returned is read by the next one.
    let code = fill(64).call(&Args { output: (7, 32), ..Args::new(CALL, U256::from(2)) }).op(0x50);
    let code =
        code.call(&Args { input: (7, 32), output: (8, 20), ..Args::new(DELEGATECALL, U256::from(4)) }).observe(10);
    calls.call(code.call(&Args { input: (0, 64), ..Args::new(CALL, U256::from(2)) }).observe(20).0, vec![], 500_000);
}

/// EIP-7702: who delegates to a precompile runs no precompile.
fn delegations(calls: &mut Calls) {
    for number in SERVED {
        let name = format!("delegates to {number}");
        let own = Address::from_word(keccak256(&name));
        let code = Bytes::from([&[0xef, 0x01, 0x00], Address::with_last_byte(number as u8).as_slice()].concat());
        let info = AccountInfo { balance: U256::from(4), nonce: 1, code_hash: keccak256(&code) };
        calls.state.insert_account(own, info);
        calls.state.insert_code(info.code_hash, code);
        for kind in KINDS {
            for value in [0_u64, 1] {
                let args = Args { value: U256::from(value), ..Args::new(kind, word(own)) };
                let code = Code::default().fill().call(&args).observe(10).call(&args).observe(20);
                endowed(calls, code, 100);
            }
        }
    }
}

/// Hash, v, r, s as the precompile takes them.
fn signature(hash: U256, v: U256, r: U256, s: U256) -> Vec<u8> {
    [hash, v, r, s].map(|word| word.to_be_bytes::<32>()).concat()
}

/// Inputs of ecrecover: good ones, and one for every rule that makes it return nothing.
fn inputs() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for label in ["a", "b", "c", "d"] {
        let hash = keccak256(label);
        let sign = Wallet::new(label).sign_hash(hash);
        let (hash, v) = (U256::from_be_bytes(hash.0), U256::from(27 + u8::from(sign.y_parity)));
        let other = U256::from(55) - v;
        all.push(signature(hash, v, sign.r, sign.s));
        // Another signer; the same by the other s, which EIP-2 forbids elsewhere.
        all.push(signature(hash, other, sign.r, sign.s));
        all.push(signature(hash, other, sign.r, ORDER - sign.s));
        all.push(signature(hash.wrapping_add(ORDER), v, sign.r, sign.s));
        for v in [0, 1, 26, 29, 27 + 256, 28 << 8].map(U256::from).into_iter().chain([v | (v << 248), v << 248]) {
            all.push(signature(hash, v, sign.r, sign.s));
        }
        for bad in [U256::ZERO, ORDER, ORDER + U256::ONE, U256::MAX] {
            all.push(signature(hash, v, bad, sign.s));
            all.push(signature(hash, v, sign.r, bad));
        }
        for r in [U256::ONE, U256::from(5), FIELD_MINUS_ORDER, ORDER - U256::ONE] {
            all.push(signature(hash, v, r, sign.s));
        }
        all.push(signature(U256::ZERO, v, sign.r, sign.s));
    }
    let good = all[0].clone();
    all.extend([0, 1, 31, 32, 63, 64, 65, 96, 127].map(|len| good[..len].to_vec()));
    all.push([good.as_slice(), &[7; 50]].concat());
    all
}

/// Signers, one by one and many by one transaction, from memory at odd places.
fn signers(calls: &mut Calls) {
    let to = |len: usize, at| Args { input: (at, len as u64), output: (300, 32), ..Args::new(STATICCALL, U256::ONE) };
    let load = |code: Code| code.op(0x36).push(U256::ZERO).push(U256::from(5)).op(0x37);
    for input in inputs() {
        let code = load(Code::default()).call(&to(input.len(), 5)).observe(10).push(U256::from(300)).op(0x51).keep(20);
        calls.call(code.0, input, 300_000);
    }
    let good = inputs().swap_remove(0);
    for kind in KINDS {
        for value in [0_u64, 1, 2000] {
            for output in [(0, 0), (290, 20), (300, 60)] {
                let args = Args { kind, output, value: U256::from(value), ..to(128, 5) };
                endowed(calls, load(Code::default()).call(&args).observe(10).call(&args).observe(20), 1000);
                if let Some(tx) = calls.txs.last_mut() {
                    tx.input = good.clone().into();
                }
            }
        }
    }
    // Eight signers in a row, each hash the signer before.
    let code = (0..8).fold(load(Code::default()), |code, slot| {
        let args = Args { output: (5, 32), ..to(128, 5) };
        code.call(&args).op(0x50).push(U256::from(5)).op(0x51).keep(slot)
    });
    calls.call(code.0, good.clone(), 900_000);
    // From a frame that fails afterwards, and by one that has little gas.
    for end in [0xf3, 0xfd, 0xfe] {
        let code = load(Code::default()).call(&to(128, 5)).op(0x50).end(end, 300, 32);
        let middle = deploy(calls, &format!("recovers, ends by {end}"), code, 0);
        for gas in [3000, 5900, 6100, 100_000] {
            let args = Args { gas: Some(U256::from(gas)), input: (5, 128), ..Args::new(CALL, middle) };
            calls.call(load(Code::default()).call(&args).observe(10).0, good.clone(), 300_000);
        }
    }
}

/// Transactions to precompiles, with all gas limits around what is due.
fn transactions(calls: &mut Calls) {
    let long: Vec<u8> = (0..2000_u32).map(|at| (at * at) as u8).collect();
    let mut datas: Vec<_> = [0, 1, 31, 32, 33, 55, 56, 64, 119, 2000].map(|len| (2, long[..len].to_vec())).into();
    datas.extend(datas.clone().into_iter().map(|(_, data)| (4, data)));
    datas.extend(inputs().into_iter().map(|data| (1, data)));
    for (number, data) in datas {
        let intrinsic = 21_000 + data.iter().map(|byte| if *byte == 0 { 4 } else { 16 }).sum::<u64>();
        let words = data.len().div_ceil(32) as u64;
        let due = intrinsic + [0, 3000, 60 + 12 * words, 0, 15 + 3 * words][number];
        // Below the floor of EIP-7623 a transaction is invalid.
        let tokens = data.iter().map(|byte| if *byte == 0 { 1 } else { 4 }).sum::<u64>();
        let least = if calls.env.fork >= Fork::Prague { 21_000 + 10 * tokens } else { 0 };
        for gas in [due - 1, due, 200_000] {
            let value = U256::from(calls.txs.len() % 2);
            let tx = calls.call(vec![], data.clone(), gas.max(least));
            (tx.to, tx.value) = (Some(Address::with_last_byte(number as u8)), value);
        }
    }
}
