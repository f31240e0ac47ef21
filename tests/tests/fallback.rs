//! Ordered execution on a device that answers late, wrongly, or not at all: conflicts, chains, misses, failures. The
//! outcomes must be sequential revm's whatever happens; what happened must show in the report.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use libtest_mimic::Failed;
use lockstep::{
    backend::{Backend, BackendError, BackendKind, Executed},
    engine::Engine,
    error::ExecuteError,
    fallback::FallbackReason,
    fork::Fork,
    lower::Batch,
    outcome::TxOutcome,
    park::Service,
    plan::{LaneClass, LaneLimits},
    recover::{RecoverError, RecoverRequest},
    report::ExecutionReport,
    state::{AccountInfo, StateRef},
    tx::Transaction,
};
use lockstep_tests::{
    harness::{Suite, Target, device},
    programs::{Calls, Code},
    states::Silent,
};
use std::{process::ExitCode, sync::Arc};

fn execute(
    engine: &Engine,
    calls: &Calls,
    state: &dyn StateRef,
) -> Result<(Vec<TxOutcome>, ExecutionReport), ExecuteError> {
    let mut report = ExecutionReport::default();
    let outcomes = engine.execute_transactions(&calls.env, &calls.txs, &calls.senders, state, &mut report)?;
    Ok((outcomes, report))
}

fn same_as_revm(engine: &Engine, calls: &Calls, state: &dyn StateRef) -> Result<ExecutionReport, Failed> {
    let cpu = Engine::builder().backend(BackendKind::Cpu).build()?;
    let (outcomes, report) = execute(engine, calls, state)?;
    let (expected, _) = execute(&cpu, calls, &calls.state)?;
    match outcomes.iter().zip(&expected).position(|(outcome, expected)| outcome != expected) {
        Some(index) => {
            Err(format!("transaction {index}: {:?} instead of {:?}", outcomes[index], expected[index]).into())
        }
        None if outcomes.len() != expected.len() => Err("outcomes are missing".into()),
        None => Ok(report),
    }
}

fn ensure(condition: bool, message: impl FnOnce() -> String) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(message().into()) }
}

/// `count` callers of one contract that increments a slot chosen by the calldata.
fn counters(count: u8, slots: u8) -> Calls {
    let mut calls = Calls::new(Fork::Cancun);
    let code = Code::default()
        .push(U256::ZERO)
        .op(0x35)
        .op(0x54)
        .push(U256::from(1))
        .op(0x01)
        .push(U256::ZERO)
        .op(0x35)
        .op(0x55);
    let to = calls.call(code.0.clone(), U256::ZERO.to_be_bytes_vec(), 100_000).to;
    for slot in 0..slots {
        calls.state.insert_slot(to.unwrap_or_default(), U256::from(slot), U256::from(100));
    }
    for index in 1..count {
        let slot = U256::from(index % slots);
        let tx = calls.call(code.0.clone(), slot.to_be_bytes_vec(), 100_000);
        tx.to = to;
    }
    calls
}

/// Adds a plain transfer between two addresses.
fn transfer(calls: &mut Calls, from: Address, nonce: u64, to: Address, value: u64) -> &mut Transaction {
    calls.call(vec![], vec![], 21_000);
    let last = calls.senders.len() - 1;
    calls.senders[last] = from;
    let tx = &mut calls.txs[last];
    (tx.nonce, tx.to, tx.value) = (nonce, Some(to), U256::from(value));
    tx
}

fn conflicts(engine: &Engine) -> Result<(), Failed> {
    let calls = counters(24, 1);
    let report = same_as_revm(engine, &calls, &calls.state)?;
    if engine.backend_kind() == BackendKind::Wgpu {
        ensure(report.device.txs == 24, || format!("{report:?}"))?;
        // Each wave commits one; what was stale before is not run again and again.
        ensure(report.conflicts > 0 && report.waves == 24 && report.lanes < 200, || {
            format!("one hot slot: {report:?}")
        })?;
    }
    let calls = counters(24, 24);
    let report = same_as_revm(engine, &calls, &calls.state)?;
    ensure(report.conflicts == 0 && report.waves <= 1, || format!("slots of their own: {report:?}"))
}

/// One sender's transactions, the beneficiary as sender and target, funds that arrive in the block: no conflict, one wave.
fn chains(engine: &Engine) -> Result<(), Failed> {
    let mut calls = Calls::new(Fork::Cancun);
    let beneficiary = calls.env.beneficiary;
    let (rich, poor, fresh) = (Address::repeat_byte(1), Address::repeat_byte(2), Address::repeat_byte(3));
    calls.state.insert_account(rich, AccountInfo { balance: U256::from(u64::MAX), ..AccountInfo::default() });
    for nonce in 0..5 {
        transfer(&mut calls, rich, nonce, poor, 1_000_000);
    }
    transfer(&mut calls, poor, 0, fresh, 7);
    transfer(&mut calls, poor, 1, beneficiary, 9);
    transfer(&mut calls, beneficiary, 0, fresh, 11);
    transfer(&mut calls, rich, 5, rich, 5);
    transfer(&mut calls, rich, 6, Address::repeat_byte(9), 0);
    let report = same_as_revm(engine, &calls, &calls.state)?;
    if engine.backend_kind() == BackendKind::Wgpu {
        ensure(report.device.txs == 10 && report.waves == 1 && report.conflicts == 0, || format!("{report:?}"))?;
    }
    // The fees are read: code that looks at the beneficiary's balance must see those of the transactions before it.
    for _ in 0..4 {
        calls.call(Code::default().op(0x41).op(0x31).keep(0).0, vec![], 100_000);
    }
    same_as_revm(engine, &calls, &calls.state).map(drop)
}

/// A contract pays every caller. While it has enough, how much it has does not matter; then calls fail, and this does.
fn payers(engine: &Engine) -> Result<(), Failed> {
    for (balance, conflicts) in [(1_000_000_u64, false), (5, true)] {
        let mut calls = Calls::new(Fork::Cancun);
        let code = [0, 0, 0, 0, 1].iter().fold(Code::default(), |code, word| code.push(U256::from(*word)));
        let code = code.op(0x33).op(0x5a).op(0xf1).push(U256::ZERO).op(0x52).push(U256::from(32)).push(U256::ZERO);
        let code = code.op(0xf3).0;
        let to = calls.call(code.clone(), vec![], 100_000).to;
        for _ in 1..12 {
            calls.call(code.clone(), vec![], 100_000).to = to;
        }
        calls.txs.iter_mut().for_each(|tx| tx.value = U256::ZERO);
        let info = AccountInfo { balance: U256::from(balance), nonce: 1, code_hash: keccak256(&code) };
        calls.state.insert_account(to.unwrap_or_default(), info);
        let report = same_as_revm(engine, &calls, &calls.state)?;
        if engine.backend_kind() == BackendKind::Wgpu {
            ensure(report.device.txs == 12 && (report.conflicts > 0) == conflicts, || {
                format!("{balance}: {report:?}")
            })?;
        }
    }
    Ok(())
}

/// A sender that is paid so much that it cannot hold the price of the gas it did not use: revm keeps that.
fn overpaid(engine: &Engine) -> Result<(), Failed> {
    let mut calls = Calls::new(Fork::Cancun);
    let code = [0, 0, 0, 0, 900_000].iter().fold(Code::default(), |code, word| code.push(U256::from(*word)));
    let code = code.op(0x33).op(0x5a).op(0xf1).0;
    let tx = calls.call(code.clone(), vec![], 100_000);
    tx.value = U256::ZERO;
    let to = tx.to.unwrap_or_default();
    let info = AccountInfo { balance: U256::from(1_000_000), nonce: 1, code_hash: keccak256(&code) };
    calls.state.insert_account(to, info);
    calls.state.insert_account(calls.senders[0], AccountInfo { balance: U256::MAX, ..AccountInfo::default() });
    same_as_revm(engine, &calls, &calls.state).map(|_| ())
}

/// A contract created in the block is called in the block; a lane that saw an empty account there is stale.
fn created(engine: &Engine) -> Result<(), Failed> {
    let mut calls = Calls::new(Fork::Cancun);
    let runtime = Code::default().op(0x33).keep(0).0;
    let copy = [0x60, runtime.len() as u8, 0x80, 0x60, 0x0b, 0x60, 0x00, 0x39, 0x60, 0x00, 0xf3];
    let init = [copy.as_slice(), &runtime].concat();
    let tx = calls.call(vec![], init, 200_000);
    (tx.to, tx.value) = (None, U256::ZERO);
    let contract = calls.senders[0].create(0);
    for _ in 0..3 {
        calls.call(vec![], vec![], 100_000).to = Some(contract);
        let looks = Code::default().push(U256::from_be_slice(contract.as_slice())).op(0x3f).keep(0);
        calls.call(looks.0, vec![], 100_000);
    }
    let report = same_as_revm(engine, &calls, &calls.state)?;
    if engine.backend_kind() == BackendKind::Wgpu {
        ensure(report.device.txs == 7 && report.conflicts >= 1, || format!("{report:?}"))?;
    }
    Ok(())
}

/// Callers of one factory. By CREATE each address depends on how many there were before; by CREATE2 none does.
fn factories(engine: &Engine) -> Result<(), Failed> {
    for (kind, conflicts) in [(0xf0, true), (0xf5, false)] {
        let mut calls = Calls::new(Fork::Cancun);
        // Init code of two bytes, which deploys nothing; the salt is the calldata.
        let code = Code::default().push(U256::from(0x3df3)).push(U256::ZERO).op(0x52).push(U256::ZERO).op(0x35);
        let code = code.push(U256::from(2)).push(U256::from(30)).push(U256::ZERO).op(kind);
        let code = code.push(U256::ZERO).op(0x52).push(U256::from(32)).push(U256::ZERO).op(0xf3).0;
        let to = calls.call(code.clone(), vec![0; 32], 200_000).to;
        for salt in 1..12 {
            calls.call(code.clone(), U256::from(salt).to_be_bytes_vec(), 200_000).to = to;
        }
        let report = same_as_revm(engine, &calls, &calls.state)?;
        if engine.backend_kind() == BackendKind::Wgpu {
            ensure(report.device.txs == 12 && (report.conflicts > 0) == conflicts, || format!("{kind:x}: {report:?}"))?;
        }
        // The same salt again: a collision with what the block created.
        calls.call(code, U256::from(5).to_be_bytes_vec(), 200_000).to = to;
        same_as_revm(engine, &calls, &calls.state)?;
    }
    Ok(())
}

/// A sender that delegates creates by call and by transaction, and what it will create is paid before.
fn creators(engine: &Engine) -> Result<(), Failed> {
    let mut calls = Calls::new(Fork::Prague);
    let maker = Code::default().push(U256::ZERO).push(U256::ZERO).push(U256::ZERO).op(0xf0).keep(0).0;
    let to = calls.call(maker, vec![], 200_000).to.unwrap_or_default();
    // A sender that delegates, calls itself and so creates: its next creation has another address.
    calls.call(vec![], vec![], 200_000);
    let sender = calls.senders[1];
    let code = Bytes::from([&[0xef, 0x01, 0x00], to.as_slice()].concat());
    let info = AccountInfo { balance: U256::from(u64::MAX), nonce: 0, code_hash: keccak256(&code) };
    calls.state.insert_account(sender, info);
    calls.state.insert_code(info.code_hash, code);
    calls.txs[1].to = Some(sender);
    for (index, nonce) in [2_u64, 3].into_iter().enumerate() {
        calls.call(vec![], vec![0x30, 0x60, 0x00, 0x55], 300_000).to = None;
        calls.senders[2 + index] = sender;
        calls.txs[2 + index].nonce = nonce;
    }
    // Ether for what the last of them creates makes no collision.
    transfer(&mut calls, Address::repeat_byte(1), 0, sender.create(3), 5);
    calls.state.insert_account(
        Address::repeat_byte(1),
        AccountInfo { balance: U256::from(u64::MAX), ..AccountInfo::default() },
    );
    let last = calls.txs.len() - 1;
    calls.txs.swap(last, 0);
    calls.senders.swap(last, 0);
    let report = same_as_revm(engine, &calls, &calls.state)?;
    ensure(engine.backend_kind() == BackendKind::Cpu || report.device.txs == 5, || format!("{report:?}"))
}

/// The code behind a delegation (EIP-7702) appears in the block, while the designator stays: lanes that ran nothing are stale.
fn delegate_created(engine: &Engine) -> Result<(), Failed> {
    let mut calls = Calls::new(Fork::Prague);
    // Creates a contract whose code is the single byte 0xfe, from 1 byte of memory.
    let init = vec![0x60, 0xfe, 0x60, 0x00, 0x53, 0x60, 0x01, 0x60, 0x00, 0xf3];
    let tx = calls.call(vec![], init, 200_000);
    (tx.to, tx.value) = (None, U256::ZERO);
    let delegate = calls.senders[0].create(0);
    for _ in 0..2 {
        calls.call([&[0xef, 0x01, 0x00], delegate.as_slice()].concat(), vec![], 100_000);
    }
    let report = same_as_revm(engine, &calls, &calls.state)?;
    ensure(engine.backend_kind() == BackendKind::Cpu || report.conflicts > 0, || format!("{report:?}"))
}

/// A state that gives no hints: every slot is asked for, while the lanes wait.
fn misses(engine: &Engine) -> Result<(), Failed> {
    let mut calls = Calls::new(Fork::Cancun);
    let other = Address::repeat_byte(0x55);
    let code = Bytes::from_static(&[1, 2, 3]);
    calls.state.insert_account(other, AccountInfo { balance: U256::from(5), nonce: 1, code_hash: keccak256(&code) });
    calls.state.insert_code(keccak256(&code), code);
    let word = U256::from_be_slice(other.as_slice());
    for reads in 1..8_u64 {
        let code = (0..reads).fold(Code::default(), |code, slot| code.push(U256::from(slot)).op(0x54).keep(slot + 100));
        let code = code
            .push(word)
            .op(0x31)
            .keep(50)
            .push(word)
            .op(0x3b)
            .keep(51)
            .push(U256::from(19_999_999))
            .op(0x40)
            .keep(52);
        let to = calls.call(code.0, vec![], 2_000_000).to.unwrap_or_default();
        for slot in 0..reads {
            calls.state.insert_slot(to, U256::from(slot), U256::from(slot + 3));
        }
    }
    let report = same_as_revm(engine, &calls, &Silent::new(&calls.state))?;
    if engine.backend_kind() == BackendKind::Wgpu {
        ensure(report.device.txs == 7 && report.waves == 1 && report.lanes == 7, || format!("{report:?}"))?;
    }
    Ok(())
}

/// Transactions that may not stand at their place give the same error, at the same index, as on revm.
fn invalid(engine: &Engine) -> Result<(), Failed> {
    let cpu = Engine::builder().backend(BackendKind::Cpu).build()?;
    type Spoil = fn(&mut Transaction);
    let spoil: [Spoil; 6] = [
        |tx| tx.nonce = 5,
        |tx| tx.value = U256::MAX,
        |tx| tx.max_fee_per_gas = U256::from(3),
        |tx| tx.gas_limit = 20_999,
        |tx| tx.gas_limit = u64::MAX,
        |tx| tx.chain_id = Some(99),
    ];
    for (index, spoil) in spoil.into_iter().enumerate() {
        let mut calls = counters(6, 6);
        spoil(&mut calls.txs[3]);
        let (got, want) = (execute(engine, &calls, &calls.state), execute(&cpu, &calls, &calls.state));
        ensure(want.is_err(), || format!("case {index} is valid on revm"))?;
        ensure(got.as_ref().err() == want.as_ref().err(), || {
            format!("case {index}: {:?} instead of {:?}", got.err(), want.err())
        })?;
    }
    // A sender with code (EIP-3607).
    let mut calls = counters(3, 3);
    let code = Bytes::from_static(&[0]);
    let info = AccountInfo { balance: U256::from(u64::MAX), nonce: 0, code_hash: keccak256(&code) };
    calls.state.insert_account(calls.senders[1], info);
    calls.state.insert_code(info.code_hash, code);
    let (got, want) = (execute(engine, &calls, &calls.state), execute(&cpu, &calls, &calls.state));
    ensure(want.is_err() && got.err() == want.err(), || "a sender with code".into())
}

/// What a device may do instead of its work.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Lost,
    OutOfMemory,
    NotRun,
    Unknown,
    TooFew,
}

/// A device whose `execute` fails, or comes back with status words that mean nothing.
#[derive(Debug)]
struct Faulty(Fault);

impl Backend for Faulty {
    fn kind(&self) -> BackendKind {
        BackendKind::Wgpu
    }

    fn name(&self) -> &str {
        "faulty"
    }

    fn keccak256(&self, _: &[&[u8]]) -> Result<Vec<B256>, BackendError> {
        Err(BackendError::DeviceLost("faulty".into()))
    }

    fn recover(&self, _: &[RecoverRequest]) -> Result<Vec<Result<Address, RecoverError>>, BackendError> {
        Err(BackendError::DeviceLost("faulty".into()))
    }

    fn execute(&self, batch: &Batch, _: &mut dyn Service) -> Result<Executed, BackendError> {
        let status = match self.0 {
            Fault::Lost => return Err(BackendError::DeviceLost("faulty".into())),
            Fault::OutOfMemory => return Err(BackendError::OutOfMemory("faulty".into())),
            Fault::TooFew => return Ok(Executed { lanes: Vec::new(), dispatches: 1, ..Executed::default() }),
            Fault::NotRun => lockstep::abi::STATUS_NOT_RUN,
            Fault::Unknown => 0xdead,
        };
        let lane = |state: &lockstep::abi::LaneState| lockstep::lower::LaneResult {
            state: lockstep::abi::LaneState { status, ..*state },
            entries: Vec::new(),
            logs: Vec::new(),
            output: Vec::new(),
            coverage: None,
        };
        Ok(Executed { lanes: batch.lanes.iter().map(lane).collect(), dispatches: 1, ..Executed::default() })
    }
}

/// A device that runs lanes and fails to recover.
#[derive(Debug)]
struct Forgetful(Arc<dyn Backend>);

impl Backend for Forgetful {
    fn kind(&self) -> BackendKind {
        self.0.kind()
    }

    fn name(&self) -> &str {
        "forgetful"
    }

    fn keccak256(&self, messages: &[&[u8]]) -> Result<Vec<B256>, BackendError> {
        self.0.keccak256(messages)
    }

    fn recover(&self, _: &[RecoverRequest]) -> Result<Vec<Result<Address, RecoverError>>, BackendError> {
        Err(BackendError::DeviceLost("forgetful".into()))
    }

    fn lane_limits(&self, class: LaneClass) -> LaneLimits {
        self.0.lane_limits(class)
    }

    fn execute(&self, batch: &Batch, service: &mut dyn Service) -> Result<Executed, BackendError> {
        self.0.execute(batch, service)
    }
}

/// Of lanes that ask for signers, those that need the device's answer move to the CPU.
fn forgetful() -> Result<(), Failed> {
    let Some(device) = device(Target::Wgpu)? else { return Err("no device".into()) };
    let engine = Engine::builder().with_device(Arc::new(Forgetful(device))).build()?;
    let mut calls = Calls::new(Fork::Cancun);
    for v in [27_u8, 28, 26, 27] {
        let words = [keccak256("hash").0, U256::from(v).to_be_bytes(), keccak256("r").0, keccak256("s").0];
        calls.call(vec![], words.concat(), 100_000).to = Some(Address::with_last_byte(1));
    }
    let report = same_as_revm(&engine, &calls, &calls.state)?;
    ensure(report.fallbacks.get(&FallbackReason::DeviceError) == Some(&3) && report.device.txs == 1, || {
        format!("{report:?}")
    })
}

fn faulty(fault: Fault) -> Result<(), Failed> {
    let engine = Engine::builder().with_device(Arc::new(Faulty(fault))).build()?;
    let calls = counters(10, 3);
    let report = same_as_revm(&engine, &calls, &calls.state)?;
    ensure(report.fallbacks.get(&FallbackReason::DeviceError) == Some(&10), || format!("{report:?}"))?;
    ensure(report.device.txs == 0, || format!("{report:?}"))?;
    ensure(engine.keccak256(&[b"abc"]) == [keccak256(b"abc")], || "keccak256 must move to the CPU".into())
}

fn main() -> ExitCode {
    let mut suite = Suite::default();
    suite.each("conflicts", conflicts);
    suite.each("chains", chains);
    suite.each("payers", payers);
    suite.each("overpaid", overpaid);
    suite.each("created", created);
    suite.each("factories", factories);
    suite.each("creators", creators);
    suite.each("delegate_created", delegate_created);
    suite.each("misses", misses);
    suite.each("invalid", invalid);
    for fault in [Fault::Lost, Fault::OutOfMemory, Fault::NotRun, Fault::Unknown, Fault::TooFew] {
        suite.test(format!("faulty::{fault:?}"), move || faulty(fault));
    }
    suite.on(Target::Wgpu, "forgetful", |_| forgetful());
    suite.on(Target::Cpu, "cpu_counts_no_lane", |engine| {
        let calls = counters(5, 1);
        let report = same_as_revm(engine, &calls, &calls.state)?;
        ensure(report.device.txs == 0 && report.lanes == 0 && report.fallbacks.is_empty(), || format!("{report:?}"))
    });
    suite.run()
}
