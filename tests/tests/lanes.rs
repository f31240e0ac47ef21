//! Batches of lanes: size classes, slices, compaction, and a device that dies in between. Whatever happens the outcomes are
//! sequential revm's.

use alloy_primitives::{Address, U256, keccak256};
use libtest_mimic::Failed;
use lockstep::{
    backend::{BackendKind, wgpu::WgpuBackend},
    context::{Context, PlacedTx},
    engine::Engine,
    fallback::FallbackReason,
    fork::Fork,
    plan::{LaneClass, LaneLimits},
    profile::Profile,
    report::ExecutionReport,
    state::{AccountInfo, StateRef},
};
use lockstep_tests::{
    calls,
    devices::{Dying, Limited},
    harness::{self, Suite, Target},
    programs::{self, Calls, Code},
    states::Silent,
    tokens,
};
use rayon::prelude::*;
use std::{process::ExitCode, sync::Arc, time::Duration};

const JUMPDEST: u8 = 0x5b;
const JUMPI: u8 = 0x57;
const RETURN: u8 = 0xf3;
const CALL: u8 = 0xf1;

fn ensure(condition: bool, message: impl FnOnce() -> String) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(message().into()) }
}

fn same_as_revm(engine: &Engine, calls: &Calls, state: &dyn StateRef) -> Result<ExecutionReport, Failed> {
    let run = |engine: &Engine| {
        let mut report = ExecutionReport::default();
        let outcomes = engine.execute_transactions(&calls.env, &calls.txs, &calls.senders, state, &mut report)?;
        Ok::<_, Failed>((outcomes, report))
    };
    let (outcomes, report) = run(engine)?;
    let (expected, _) = run(&Engine::builder().backend(BackendKind::Cpu).build()?)?;
    match outcomes.iter().zip(&expected).position(|(outcome, expected)| outcome != expected) {
        Some(at) => Err(format!("transaction {at}: {:?} instead of {:?}", outcomes[at], expected[at]).into()),
        None => Ok(report),
    }
}

/// Runs `body` as often as the first word of calldata says; the counter is on the stack, the body leaves it alone.
fn repeat(body: impl Fn(Code) -> Code) -> Code {
    let start = Code::default().push(U256::ZERO).op(0x35).op(JUMPDEST);
    let back = start.0.len() as u64 - 1;
    let counted = body(start).push(U256::ONE).op(0x90).op(0x03).op(0x80);
    counted.push(U256::from(back)).op(JUMPI)
}

fn word(count: u64) -> Vec<u8> {
    U256::from(count).to_be_bytes_vec()
}

/// Small lanes that meet each of their caps run again as large ones.
fn requeue(target: Target, generate: fn(Fork) -> Calls) -> Result<(), Failed> {
    let device = harness::device(target)?.ok_or("no device")?;
    let engine = Engine::builder().with_device(Arc::new(Limited::crowded(device))).build()?;
    let calls = generate(Fork::Cancun);
    let report = same_as_revm(&engine, &calls, &calls.state)?;
    let met = |class| report.caps.iter().filter(|((of, _), _)| *of == class).map(|(_, lanes)| lanes).sum::<u64>();
    let fell_back: u64 = report.fallbacks.iter().filter(|(reason, _)| reason.is_cap()).map(|(_, txs)| txs).sum();
    ensure(met(LaneClass::Small) > 0 && met(LaneClass::Large) >= fell_back, || format!("{report:?}"))?;
    ensure(report.device.txs * 100 >= calls.txs.len() as u64 * 98, || format!("{report:?}"))
}

/// A program for each cap of a small lane, and one beyond each of a large one.
fn caps(target: Target) -> Result<(), Failed> {
    let device = harness::device(target)?.ok_or("no device")?;
    let engine = Engine::builder().with_device(Arc::new(Limited::crowded(device))).build()?;
    type Sized = fn(u64) -> Code;
    let cases: [(FallbackReason, [u64; 2], Sized); 4] = [
        (FallbackReason::Memory, [5000, 40_000], |at| Code::default().push(U256::ONE).push(U256::from(at)).op(0x52)),
        (FallbackReason::Stack, [70, 600], |words| (0..words).fold(Code::default(), |code, _| code.push(U256::ONE))),
        (FallbackReason::Slots, [50, 140], |slots| {
            (0..slots).fold(Code::default(), |code, slot| code.push(U256::from(slot)).op(0x54).op(0x50))
        }),
        (FallbackReason::Logs, [6, 40], |logs| {
            (0..logs).fold(Code::default(), |code, _| code.push(U256::from(3)).push(U256::ZERO).op(0xa0))
        }),
    ];
    for (reason, [small, large], code) in cases {
        let mut calls = Calls::new(Fork::Cancun);
        for _ in 0..20 {
            calls.call(Code::default().keep(0).0, vec![], 30_000);
        }
        calls.call(code(small).0, vec![], 2_000_000);
        calls.call(code(large).0, vec![], 2_000_000);
        let report = same_as_revm(&engine, &calls, &calls.state)?;
        let caps = [((LaneClass::Small, reason), 2), ((LaneClass::Large, reason), 1)];
        ensure(report.caps == caps.into() && report.fallbacks == [(reason, 1)].into(), || format!("{report:?}"))?;
        ensure(report.device.txs == 21, || format!("{report:?}"))?;
    }
    Ok(())
}

/// Most lanes end at once; those that go on have the device for themselves, and one returns more than all the others.
fn stragglers(engine: &Engine) -> Result<(), Failed> {
    let mut calls = Calls::new(Fork::Cancun);
    let code = repeat(|code| code.op(JUMPDEST)).op(0x5a).push(U256::ZERO).op(0x52);
    let code = code.push(U256::from(32)).op(0x35).push(U256::from(5)).op(RETURN);
    for index in 0..800_u64 {
        let (rounds, len) = match index {
            77 => (20_000, 30_000),
            400 => (25_000, 100),
            _ => (1 + index % 3, index % 90),
        };
        calls.call(code.0.clone(), [word(rounds), word(len)].concat(), 2_000_000);
    }
    let report = same_as_revm(engine, &calls, &calls.state)?;
    if engine.backend_kind() == BackendKind::Cpu {
        return Ok(());
    }
    ensure(report.device.txs == 800 && report.waves == 1, || format!("{report:?}"))?;
    ensure((3..40).contains(&report.dispatches) && report.invocations < 4 * 800, || format!("{report:?}"))
}

/// Batches from all threads of a pool at once, on one device: a thread that waits for a part of its batch may be given
/// another batch to run.
fn at_once(engine: &Engine) -> Result<(), Failed> {
    let code = repeat(|code| code.op(JUMPDEST)).push(U256::from(32)).push(U256::ZERO).op(RETURN);
    let mut calls = Calls::new(Fork::Cancun);
    for index in 0..1000 {
        calls.call(code.0.clone(), word(1 + index % 7), 100_000);
    }
    let reports: Vec<_> = (0..12)
        .into_par_iter()
        .map(|_| same_as_revm(engine, &calls, &calls.state).map_err(|error| format!("{error:?}")))
        .collect();
    let on_device = engine.backend_kind() != BackendKind::Cpu;
    for report in reports {
        let report = report?;
        ensure(!on_device || report.device.txs == 1000, || format!("{:?}", report.fallbacks))?;
    }
    Ok(())
}

/// Calls of an account that delegates (EIP-7702), at every place of a slice: they take two steps that no slice parts.
fn delegated(engine: &Engine) -> Result<(), Failed> {
    let mut calls = Calls::new(Fork::Prague);
    let (account, delegate) = (Address::repeat_byte(0x71), Address::repeat_byte(0x72));
    let mut insert = |address, code: Vec<u8>| {
        let code_hash = keccak256(&code);
        calls.state.insert_code(code_hash, code.into());
        calls.state.insert_account(address, AccountInfo { nonce: 1, code_hash, ..AccountInfo::default() });
    };
    insert(account, [&[0xef, 1, 0], delegate.as_slice()].concat());
    insert(delegate, Code::default().keep(0).0);
    for index in 0..5000_u64 {
        let code = (0..index % 50).fold(Code::default(), |code, _| code.op(JUMPDEST));
        let code = (0..5).fold(code, |code, _| code.push(U256::ZERO));
        let code = code.push(U256::from_be_slice(account.as_slice())).op(0x5a).op(CALL).keep(0);
        calls.call(code.0, vec![], 200_000);
    }
    let report = same_as_revm(engine, &calls, &calls.state)?;
    let on_device = engine.backend_kind() != BackendKind::Cpu;
    ensure(!on_device || (report.device.txs == 5000 && report.dispatches > 2), || format!("{:?}", report.fallbacks))
}

/// What the device declines is done by revm while other lanes go on: one that is past its steps, one beyond a cap. In blocks too.
fn declined(target: Target) -> Result<(), Failed> {
    let limits = |_, limits| LaneLimits { max_steps: 20_000, ..limits };
    let device = harness::device(target)?.ok_or("no device")?;
    let engine = Engine::builder().with_device(Arc::new(Limited { device, limits })).build()?;
    let mut calls = Calls::new(Fork::Cancun);
    let code = repeat(|code| code.op(JUMPDEST)).keep(0);
    for rounds in [2400, 5000, 2300, 2200] {
        calls.call(code.0.clone(), word(rounds), 2_000_000);
    }
    calls.call((0..600).fold(Code::default(), |code, _| code.push(U256::ONE)).0, vec![], 2_000_000);
    let check = |report: &ExecutionReport| {
        let declined = [(FallbackReason::Stack, 1), (FallbackReason::Steps, 1)];
        ensure(report.fallbacks == declined.into() && report.device.txs == 3, || format!("{report:?}"))?;
        // The one with the deep stack ends in the first slice; the others are not done by then.
        ensure(report.beside >= 1, || format!("{report:?}"))
    };
    let context = Context { env: &calls.env, state: &calls.state };
    let senders = calls.txs.iter().zip(&calls.senders);
    let txs: Vec<_> = senders.map(|(tx, sender)| PlacedTx { tx, sender: *sender, context: 0 }).collect();
    let run = |engine: &Engine| {
        let mut report = ExecutionReport::default();
        (engine.execute_each(&[context], &txs, &mut report), report)
    };
    let (outcomes, report) = run(&engine);
    let (expected, _) = run(&Engine::builder().backend(BackendKind::Cpu).build()?);
    ensure(outcomes == expected, || format!("{outcomes:?} instead of {expected:?}"))?;
    check(&report)?;
    check(&same_as_revm(&engine, &calls, &calls.state)?)
}

/// Lanes that do what takes longest in a step. The mean is asked for, and not below 50 ms, because whoever else uses the
/// machine counts too; `lockstep replay --json` gives the longest dispatch of real blocks.
fn hostile(engine: &Engine) -> Result<(), Failed> {
    let word = U256::MAX - U256::from(7);
    let bodies: [fn(Code, U256) -> Code; 4] = [
        |code, word| code.push(word).push(word).op(0x0a).op(0x50),
        |code, _| code.push(U256::from(3900)).push(U256::from(1)).op(0x20).op(0x50),
        |code, _| code.push(U256::from(3900)).push(U256::from(33)).push(U256::ZERO).op(0x5e),
        |code, word| code.push(word).push(word).push(word - U256::ONE).op(0x09).op(0x50),
    ];
    for (index, body) in bodies.into_iter().enumerate() {
        let mut calls = Calls::new(Fork::Cancun);
        let code = repeat(|code| body(code, word));
        let to = calls.call(code.0.clone(), self::word(40), 3_000_000).to;
        for _ in 1..1000 {
            calls.call(code.0.clone(), self::word(40), 3_000_000).to = to;
        }
        let report = same_as_revm(engine, &calls, &calls.state)?;
        let on_device = engine.backend_kind() != BackendKind::Cpu;
        ensure(!on_device || (report.device.txs == 1000 && report.dispatches > 1), || format!("{report:?}"))?;
        let mean = report.time.execute / report.dispatches.max(1) as u32;
        ensure(mean < Duration::from_millis(200), || format!("body {index}: {mean:?} a dispatch, {report:?}"))?;
    }
    Ok(())
}

/// A device that dies while lanes are under way: the CPU does all of it again, and the report says so.
fn dies(rounds: u64) -> Result<(), Failed> {
    let device = WgpuBackend::open(std::env::var("LOCKSTEP_DEVICE").ok().as_deref())?;
    let engine = Engine::builder().with_device(Arc::new(Dying { device, rounds })).build()?;
    let calls = programs::state(Fork::Cancun);
    let report = same_as_revm(&engine, &calls, &Silent::new(&calls.state))?;
    ensure(report.device.txs == 0 && report.total().txs == calls.txs.len() as u64, || format!("{report:?}"))?;
    ensure(report.fallbacks.get(&FallbackReason::DeviceError).is_some_and(|txs| *txs > 0), || format!("{report:?}"))
}

/// Where lanes look is learned while a block runs, though the state gives no hints: the next one asks for nothing. What rests on what
/// another one has changed is revm's, once that is learned.
fn learned(target: Target) -> Result<(), Failed> {
    let device = harness::device(target)?.ok_or("no device")?;
    let engine = Engine::builder().with_device(device).threads(2).build()?;
    let mut calls = tokens::transfers(24)?;
    let state = calls.state.clone();
    let silent = Silent::new(&state);
    let run = |calls: &Calls| same_as_revm(&engine, calls, &silent);
    let served = |report: &ExecutionReport| (report.served, report.waves, report.device.txs);
    let reports = [run(&calls)?, run(&calls)?];
    ensure(reports[0].served >= 48 && served(&reports[1]) == (0, 1, 24), || format!("{reports:?}"))?;
    // As a file would keep it.
    let profile = Profile::parse(engine.profile().to_json().as_bytes())?;
    let kept = Engine::builder().with_device(harness::device(target)?.ok_or("no device")?).profile(profile).build()?;
    let report = same_as_revm(&kept, &calls, &silent)?;
    ensure(served(&report) == (0, 1, 24), || format!("{report:?}"))?;
    // Each pays whom the one before it paid.
    let to = calls.txs[0].input.clone();
    calls.txs[6..12].iter_mut().for_each(|tx| tx.input = to.clone());
    let reports = [run(&calls)?, run(&calls)?];
    ensure(reports[0].conflicts > 0 && reports[0].cpu.txs == 0, || format!("{reports:?}"))?;
    let counts = |report: &ExecutionReport| (report.conflicts, report.waves, report.cpu.txs, report.device.txs);
    ensure(counts(&reports[1]) == (0, 1, 6, 18), || format!("{reports:?}"))
}

fn main() -> ExitCode {
    let mut suite = Suite::default();
    for target in [Target::Wgpu, Target::WgpuU32] {
        for (name, generate) in
            [("calls", calls::calls as fn(Fork) -> Calls), ("flow", programs::flow), ("state", programs::state)]
        {
            suite.on(target, &format!("requeue::{name}"), move |_| requeue(target, generate));
        }
        suite.on(target, "caps", move |_| caps(target));
        suite.on(target, "declined", move |_| declined(target));
        suite.on(target, "learned", move |_| learned(target));
    }
    suite.each("stragglers", stragglers);
    suite.each("delegated", delegated);
    suite.each("at_once", at_once);
    suite.each("hostile", hostile);
    for rounds in [1, 3] {
        suite.on(Target::Wgpu, &format!("dies_in_round_{rounds}"), move |_| dies(rounds));
    }
    suite.run()
}
