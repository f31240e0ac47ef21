//! Lanes that park for a key and resume: whatever they were about to do when they parked, and however much the tables
//! grow meanwhile, they end as on revm, having run no step twice.

use alloy_primitives::{Address, U256};
use libtest_mimic::Failed;
use lockstep::{
    backend::BackendKind, engine::Engine, error::ExecuteError, fork::Fork, outcome::TxOutcome, report::ExecutionReport,
    state::StateRef,
};
use lockstep_tests::{
    calls,
    harness::{self, Suite, Target},
    programs::{self, Calls, Code},
    random::random,
    states::Silent,
};
use std::process::ExitCode;

const SLOAD: u8 = 0x54;
const SSTORE: u8 = 0x55;
const JUMPI: u8 = 0x57;
const JUMPDEST: u8 = 0x5b;

type Ran = (Result<Vec<TxOutcome>, ExecuteError>, ExecutionReport);

fn run(engine: &Engine, calls: &Calls, state: &dyn StateRef) -> Ran {
    let mut report = ExecutionReport::default();
    let outcomes = engine.execute_transactions(&calls.env, &calls.txs, &calls.senders, state, &mut report);
    (outcomes, report)
}

fn on_cpu(calls: &Calls, state: &dyn StateRef) -> Result<Ran, Failed> {
    Ok(run(&Engine::builder().backend(BackendKind::Cpu).threads(1).build()?, calls, state))
}

fn ensure(condition: bool, message: impl FnOnce() -> String) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(message().into()) }
}

fn differ((got, _): &Ran, (want, _): &Ran) -> Option<String> {
    match (got, want) {
        (Ok(got), Ok(want)) => {
            let index = got.iter().zip(want).position(|(got, want)| got != want)?;
            Some(format!("transaction {index}: {:?} instead of {:?}", got[index], want[index]))
        }
        _ => (got != want).then(|| format!("{got:?} instead of {want:?}")),
    }
}

/// The same programs with everything at hand and with nothing, nor with what an engine has learned.
fn unhinted(target: Target, engine: &Engine, calls: &Calls) -> Result<(), Failed> {
    let state = Silent::new(&calls.state);
    let (hinted, silent) = (run(&harness::engine(target)?, calls, &calls.state), run(engine, calls, &state));
    if let Some(difference) = differ(&silent, &on_cpu(calls, &state)?) {
        return Err(difference.into());
    }
    if engine.backend_kind() == BackendKind::Cpu {
        return Ok(());
    }
    let ((_, hinted), (_, silent)) = (hinted, silent);
    ensure(silent.served > hinted.served, || format!("nothing was asked for: {silent:?}"))?;
    let same = (silent.device, silent.steps, silent.lanes, silent.waves, &silent.fallbacks)
        == (hinted.device, hinted.steps, hinted.lanes, hinted.waves, &hinted.fallbacks);
    ensure(same, || format!("{silent:?} instead of {hinted:?}"))
}

fn random_block(engine: &Engine, fork: Fork, seed: u64) -> Result<(), Failed> {
    let calls = random(fork, seed);
    let state = Silent::new(&calls.state);
    let difference = differ(&run(engine, &calls, &state), &on_cpu(&calls, &state)?);
    difference.map_or(Ok(()), |difference| Err(format!("seed {seed}: {difference}").into()))
}

/// More keys than the index has room for at first, asked for by all lanes side by side.
fn growth(engine: &Engine) -> Result<(), Failed> {
    let mut calls = Calls::new(Fork::Cancun);
    let slots = 60_u64;
    for _ in 0..40 {
        let code = (0..slots).fold(Code::default(), |code, slot| {
            code.push(U256::from(slot)).op(SLOAD).push(U256::from(slot)).op(SLOAD).op(0x01).keep(slot + 1)
        });
        let to = calls.call(code.0, vec![], 3_000_000).to.unwrap_or_default();
        for slot in 0..slots {
            calls.state.insert_slot(to, U256::from(slot), U256::from(slot * slot + 1));
        }
    }
    let state = Silent::new(&calls.state);
    let got = run(engine, &calls, &state);
    if let Some(difference) = differ(&got, &on_cpu(&calls, &state)?) {
        return Err(difference.into());
    }
    let report = got.1;
    let on_device = engine.backend_kind() != BackendKind::Cpu;
    ensure(!on_device || (report.device.txs == 40 && report.waves == 1 && report.served == 40 * (slots + 1)), || {
        format!("{report:?}")
    })
}

/// A slot that cannot be read is an error where sequential execution reads it, and nothing where only a lane did.
fn unreadable(engine: &Engine) -> Result<(), Failed> {
    // With calldata: sets slot 0. Without: reads slot 7 unless slot 0 is set.
    let mut code = Code::default().op(0x36).push(U256::from(0)).op(JUMPI).push(U256::ZERO).op(SLOAD);
    let set_at = 2;
    code = code.push(U256::from(0)).op(JUMPI).push(U256::from(7)).op(SLOAD).keep(1);
    let skip_at = 8;
    code = code.op(JUMPDEST);
    let skip = code.0.len() as u8 - 1;
    code = code.op(0x00).op(JUMPDEST);
    let set = code.0.len() as u8 - 1;
    let mut code = code.push(U256::ONE).push(U256::ZERO).op(SSTORE).0;
    (code[set_at], code[skip_at]) = (set, skip);
    for set in [true, false] {
        let mut calls = Calls::new(Fork::Cancun);
        let to = calls.call(code.clone(), if set { vec![1] } else { vec![] }, 100_000).to;
        for _ in 0..3 {
            calls.call(code.clone(), vec![], 100_000).to = to;
        }
        let state = Silent::without(&calls.state, to.unwrap_or(Address::ZERO), U256::from(7));
        let (got, want) = (run(engine, &calls, &state), on_cpu(&calls, &state)?);
        ensure(want.0.is_ok() == set, || format!("{want:?}"))?;
        if let Some(difference) = differ(&got, &want) {
            return Err(format!("set {set}: {difference}").into());
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let mut suite = Suite::default();
    for fork in [Fork::Berlin, Fork::Cancun, Fork::Prague] {
        for target in Target::ALL {
            suite.on(target, &format!("calls::{fork}"), move |engine| unhinted(target, engine, &calls::calls(fork)));
            suite.on(target, &format!("state::{fork}"), move |engine| unhinted(target, engine, &programs::state(fork)));
        }
        suite.each(&format!("random::{fork}"), move |engine| {
            (0..30).try_for_each(|seed| random_block(engine, fork, seed))
        });
    }
    suite.each("growth", growth);
    suite.each("unreadable", unreadable);
    suite.run()
}
