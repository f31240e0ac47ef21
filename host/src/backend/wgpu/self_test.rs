//! Known vectors per kernel, run when a device is opened: some drivers get some of them wrong.

use super::WgpuBackend;
use crate::{
    abi,
    backend::{Backend, BackendError},
    block::BlockEnv,
    context::{Contexts, Terms},
    delegation::Delegations,
    evm,
    fork::Fork,
    intrinsic::IntrinsicGas,
    lower::{CodeArena, Lowering, SnapshotTable},
    memory::MemoryState,
    park::StateService,
    plan::{Fees, Lane, LaneClass, TargetCode},
    recover::{ORDER, RecoverRequest, recover_one},
    tx::{Transaction, TxType},
};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};

/// Runs every kernel on known vectors.
///
/// # Errors
/// [`BackendError::Abi`] naming the vector, or whatever the device reports.
pub(super) fn run(backend: &WgpuBackend) -> Result<(), BackendError> {
    execute(backend)?;
    keccak(backend)?;
    recover(backend)
}

fn failed(what: impl std::fmt::Display) -> BackendError {
    BackendError::Abi(format!("self-test: {what}"))
}

/// Opcode, operands from the top of the stack down, result.
fn vectors() -> Vec<(u8, Vec<U256>, U256)> {
    let a = U256::from_be_bytes(keccak256(b"a").0);
    let b = U256::from_be_bytes(keccak256(b"b").0) >> 77;
    let c = U256::from_be_bytes(keccak256(b"c").0) >> 3;
    vec![
        (0x01, vec![a, c], a.wrapping_add(c)),
        (0x02, vec![a, b], a.wrapping_mul(b)),
        (0x03, vec![b, a], b.wrapping_sub(a)),
        (0x04, vec![a, b], a / b),
        (0x06, vec![a, b], a % b),
        (0x08, vec![a, a, c], a.add_mod(a, c)),
        (0x09, vec![a, c, b], a.mul_mod(c, b)),
        (0x0a, vec![a, U256::from(77)], a.wrapping_pow(U256::from(77))),
        (0x10, vec![b, a], U256::from(b < a)),
        (0x1b, vec![U256::from(99), a], a << 99),
        (0x1c, vec![U256::from(33), a], a >> 33),
        (0x1d, vec![U256::from(70), U256::MAX - b], (U256::MAX - b).arithmetic_shr(70)),
    ]
}

fn execute(backend: &WgpuBackend) -> Result<(), BackendError> {
    let vectors = vectors();
    let mut code = Vec::new();
    for (index, (op, operands, _)) in vectors.iter().enumerate() {
        for operand in operands.iter().rev() {
            code.push(0x7f);
            code.extend(operand.to_be_bytes::<32>());
        }
        code.extend([*op, 0x61]);
        code.extend((index as u16 * 32).to_be_bytes());
        code.push(0x52);
    }
    // The hash of 200 bytes from byte 3 on, behind the results; behind it these bytes and their SHA-256 by calls of
    // precompiles, which leave their success on the stack and so in the length of what is returned.
    let hash_at = vectors.len() as u16 * 32;
    let push = |value: u16| [0x61, value.to_be_bytes()[0], value.to_be_bytes()[1]];
    code.extend([[0x60, 200, 0x60].as_slice(), &[3, 0x20], &push(hash_at), &[0x52]].concat());
    for (precompile, to, len) in [(4, hash_at + 32, 200), (2, hash_at + 232, 32)] {
        code.extend([push(len), push(to), push(200), push(3), push(precompile), push(1000)].concat());
        code.push(0xfa);
    }
    code.extend([push(hash_at + 262).as_slice(), &[0x01, 0x01, 0x60, 0, 0xf3]].concat());
    let mut expected: Vec<u8> = vectors.iter().flat_map(|(_, _, result)| result.to_be_bytes::<32>()).collect();
    let hash = keccak256(&expected[3..203]);
    expected.extend_from_slice(hash.as_slice());
    expected.extend_from_within(3..203);
    let hash = evm::sha256(&expected[3..203]);
    expected.extend_from_slice(hash.as_slice());

    // More lanes than a workgroup has, all alike.
    for (lane, output) in run_code(backend, code.into(), abi::WORKGROUP as usize + 1)?.iter().enumerate() {
        let wrong = output.chunks(32).zip(expected.chunks(32)).position(|(got, want)| got != want);
        match wrong {
            Some(at) => {
                let op = vectors.get(at).map_or(if at == vectors.len() { 0x20 } else { 0xfa }, |vector| vector.0);
                return Err(failed(format_args!("opcode {op:#04x} gives a wrong result in lane {lane}")));
            }
            None if output.len() != expected.len() => return Err(failed(format_args!("lane {lane} does not end"))),
            None => {}
        }
    }
    Ok(())
}

fn run_code(backend: &WgpuBackend, bytes: Bytes, lanes: usize) -> Result<Vec<Vec<u8>>, BackendError> {
    let env = BlockEnv {
        chain_id: 1,
        fork: Fork::Cancun,
        number: 1,
        timestamp: 1,
        beneficiary: Address::ZERO,
        gas_limit: 30_000_000,
        base_fee: 0,
        difficulty: U256::ZERO,
        prevrandao: B256::ZERO,
        excess_blob_gas: 0,
        blob_params: None,
        blob_price: None,
    };
    let to = Address::repeat_byte(1);
    let tx = Transaction { gas_limit: 1_000_000, to: Some(to), ..Transaction::blank(TxType::Legacy, env.chain_id) };
    let hash = keccak256(&bytes);
    let lane = Lane {
        terms: Terms::Transaction,
        index: 0,
        context: 0,
        tx: &tx,
        sender: Address::repeat_byte(2),
        to,
        code: Some(TargetCode { account_hash: hash, hash, bytes, delegate: None }),
        account_hash: Some(hash),
        delegations: Delegations::default(),
        gas: IntrinsicGas { initial: 21_000, floor: 0 },
        fees: Fees::of(&tx, &env),
    };
    let mut codes = CodeArena::default();
    let mut snapshot = SnapshotTable::default();
    let state = MemoryState::default();
    let contexts = Contexts::one(&env, &state);
    Lowering::prepare(&lane, &contexts, &mut codes, &mut snapshot).map_err(failed)?;
    let limits = backend.lane_limits(LaneClass::Small);
    let batch = Lowering::new(env.fork).batch(&contexts, limits, &vec![&lane; lanes], &codes, &snapshot);
    // The account of the precompile is not there yet: every lane parks.
    let mut service = StateService::new(backend, &contexts, vec![0; lanes], &mut codes, &mut snapshot);
    Ok(backend.execute(&batch, &mut service)?.lanes.into_iter().map(|lane| lane.output).collect())
}

fn keccak(backend: &WgpuBackend) -> Result<(), BackendError> {
    let bytes: Vec<u8> = (0..=255).cycle().take(600).collect();
    let messages: Vec<&[u8]> = [0, 1, 3, 4, 135, 136, 137, 272, 600].iter().map(|len| &bytes[..*len]).collect();
    for (message, hash) in messages.iter().zip(backend.keccak256(&messages)?) {
        if hash != keccak256(message) {
            return Err(failed(format_args!("keccak256 of {} bytes", message.len())));
        }
    }
    Ok(())
}

fn recover(backend: &WgpuBackend) -> Result<(), BackendError> {
    let word = |label: &[u8]| U256::from_be_bytes(keccak256(label).0);
    // Whether r is the x of a point is a coin toss, so both ends are among these.
    let mut requests: Vec<RecoverRequest> = (0..8_u8)
        .map(|n| RecoverRequest {
            hash: keccak256([n]),
            r: word(&[1, n]) % ORDER,
            s: word(&[2, n]) % ORDER,
            recovery_id: n % 2,
            low_s: n % 4 == 3,
        })
        .collect();
    requests.push(RecoverRequest { r: U256::ZERO, ..requests[0] });
    requests.push(RecoverRequest { s: ORDER, ..requests[0] });
    requests.push(RecoverRequest { recovery_id: 2, ..requests[0] });
    for (index, (request, got)) in requests.iter().zip(backend.recover(&requests)?).enumerate() {
        if got.ok() != recover_one(request).ok() {
            return Err(failed(format_args!("recovery of vector {index}")));
        }
    }
    Ok(())
}
