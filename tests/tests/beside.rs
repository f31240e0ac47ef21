//! Blocks of which a device declines every lane: revm runs each transaction beside it, on the prefix that the wave started from,
//! and what it made there stands at its turn exactly where all that it read is still the same.

use alloy_primitives::{U256, keccak256};
use libtest_mimic::Failed;
use lockstep::{
    backend::BackendKind,
    engine::Engine,
    error::ExecuteError,
    evm,
    fallback::FallbackReason,
    fork::Fork,
    outcome::TxOutcome,
    parallel::Schedule,
    profile::Profile,
    report::{ExecutionReport, Runner},
    state::{AccountInfo, StateRef},
};
use lockstep_tests::{
    creates,
    devices::Declining,
    fuzz::{run::judge, scene},
    harness::Suite,
    programs::{self, Calls, Code},
    random::random,
    set_code,
    states::Silent,
};
use std::{process::ExitCode, sync::Arc};

const BALANCE: u8 = 0x31;
const CALLDATALOAD: u8 = 0x35;
const BLOCKHASH: u8 = 0x40;
const COINBASE: u8 = 0x41;
const SLOAD: u8 = 0x54;
const JUMPI: u8 = 0x57;
const JUMPDEST: u8 = 0x5b;
const STOP: u8 = 0x00;
const CALL: u8 = 0xf1;
const REVERT: u8 = 0xfd;
const SELFDESTRUCT: u8 = 0xff;

type Ran = Result<(Vec<TxOutcome>, ExecutionReport), ExecuteError>;

fn run(engine: &Engine, calls: &Calls, state: &dyn StateRef) -> Ran {
    let mut report = ExecutionReport::default();
    let outcomes = engine.execute_transactions(&calls.env, &calls.txs, &calls.senders, state, &mut report)?;
    Ok((outcomes, report))
}

fn ensure(condition: bool, message: impl FnOnce() -> String) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(message().into()) }
}

fn both(calls: &Calls, state: &dyn StateRef) -> Result<(Ran, Ran), Failed> {
    let declining = Engine::builder().with_device(Arc::new(Declining)).build()?;
    let cpu = Engine::builder().backend(BackendKind::Cpu).build()?;
    Ok((run(&declining, calls, state), run(&cpu, calls, state)))
}

/// Outcomes and bundle are sequential revm's; gives the report.
fn same_as_revm(calls: &Calls, state: &dyn StateRef) -> Result<ExecutionReport, Failed> {
    let (got, expected) = both(calls, state)?;
    let ((outcomes, report), (expected, _)) = (got?, expected?);
    if let Some(at) = (0..calls.txs.len()).find(|at| outcomes.get(*at) != expected.get(*at)) {
        return Err(format!("transaction {at}: {:?} instead of {:?}", outcomes.get(at), expected.get(at)).into());
    }
    let sequential = evm::sequential(&calls.env, &calls.txs, &calls.senders, state)
        .map_err(|(index, error)| format!("transaction {index}: {error}"))?;
    ensure(evm::bundle_state(&outcomes) == sequential.bundle, || "the bundles differ".into())?;
    ensure(report.device.txs == 0 && report.cpu.txs == calls.txs.len() as u64, || format!("{report:?}"))?;
    Ok(report)
}

/// The same, and how many of the transactions, all of them declined, were accepted from beside the device.
fn accepted(calls: &Calls, beside: u64) -> Result<(), Failed> {
    let report = same_as_revm(calls, &calls.state)?;
    let declined = [(FallbackReason::Steps, calls.txs.len() as u64)].into();
    ensure(report.beside == beside && report.fallbacks == declined, || format!("{beside} were expected: {report:?}"))
}

/// `count` callers of one contract, with a word of calldata each.
fn callers(code: Code, words: impl IntoIterator<Item = u64>) -> Calls {
    let mut calls = Calls::new(Fork::Cancun);
    let mut to = None;
    for word in words {
        let tx = calls.call(code.0.clone(), U256::from(word).to_be_bytes_vec(), 200_000);
        to = to.or(tx.to);
        (tx.to, tx.value) = (to, U256::ZERO);
    }
    calls
}

/// Increments the slot that the calldata names.
fn counter() -> Code {
    let slot = |code: Code| code.push(U256::ZERO).op(CALLDATALOAD);
    slot(slot(Code::default()).op(SLOAD).push(U256::ONE).op(0x01)).op(0x55)
}

/// What touches different slots stands, though each pays the beneficiary; of one slot only the first.
fn slots() -> Result<(), Failed> {
    accepted(&callers(counter(), 0..24), 24)?;
    accepted(&callers(counter(), [7; 24]), 1)?;
    // Two of each of the four slots: the later ones are stale.
    accepted(&callers(counter(), [0, 1, 2, 3, 3, 2, 1, 0]), 4)
}

/// What a call to a contract takes, by a profile that says so of all that it has learned.
fn profile(calls: &Calls, nanos: u64) -> Result<Profile, Failed> {
    let schedule = Schedule { from: 1, ..Schedule::default() };
    let engine = Engine::builder().backend(BackendKind::Cpu).threads(1).schedule(schedule).build()?;
    run(&engine, calls, &calls.state)?;
    let mut json: serde_json::Value = serde_json::from_str(&engine.profile().to_json())?;
    for call in json["calls"].as_array_mut().into_iter().flatten() {
        call[1] = nanos.into();
    }
    Ok(Profile::parse(json.to_string().as_bytes())?)
}

/// What is known to take long is begun by a CPU thread, not by a lane, and the report tells when what ran.
fn long() -> Result<(), Failed> {
    let mut calls = callers(counter(), 0..6);
    let long = callers(counter(), [7]);
    let code = counter().op(STOP);
    let to = calls.call(code.0.clone(), U256::from(8).to_be_bytes_vec(), 200_000).to;
    calls.txs[2].to = to;
    let known = profile(
        &Calls { txs: vec![calls.txs[6].clone()], senders: vec![calls.senders[6]], ..calls.clone() },
        2_000_000,
    )?;
    for (profile, is_long) in [(known, true), (profile(&long, 999_999)?, false)] {
        let engine = Engine::builder().with_device(Arc::new(Declining)).threads(2).profile(profile).build()?;
        let (outcomes, report) = run(&engine, &calls, &calls.state)?;
        let cpu = Engine::builder().backend(BackendKind::Cpu).build()?;
        ensure(outcomes == run(&cpu, &calls, &calls.state)?.0, || "the outcomes differ".into())?;
        let declined = if is_long { 5 } else { 7 };
        ensure(report.fallbacks == [(FallbackReason::Steps, declined)].into(), || format!("{report:?}"))?;
        ensure(report.beside == 7, || format!("{report:?}"))?;
        let spans = |runner| report.timeline.iter().filter(move |span| span.runner == runner);
        let lanes: usize = spans(Runner::Device).map(|span| span.txs).sum();
        let mut cpu: Vec<_> = spans(Runner::Cpu).map(|span| (span.first, span.txs)).collect();
        cpu.sort_unstable();
        ensure(lanes as u64 == declined && cpu == [0, 1, 2, 3, 4, 5, 6].map(|first| (first, 1)), || {
            format!("{report:?}")
        })?;
        ensure(report.timeline.iter().all(|span| span.from <= span.to), || format!("{report:?}"))?;
    }
    Ok(())
}

/// A sender's later transactions rest on its nonce and balance; so does what pays whom another paid.
fn accounts() -> Result<(), Failed> {
    let mut calls = callers(counter(), 0..4);
    let sender = calls.senders[0];
    calls.senders[2] = sender;
    calls.txs[2].nonce = 1;
    accepted(&calls, 3)?;
    // An account that the transaction before destroys.
    let mut calls = Calls::new(Fork::Shanghai);
    let die = Code::default().push(U256::from(5)).op(SELFDESTRUCT).0;
    let to = calls.call(die, vec![], 100_000).to.unwrap_or_default();
    calls.call(Code::default().push(U256::from_be_slice(to.as_slice())).op(0x3b).keep(0).0, vec![], 100_000);
    accepted(&calls, 1)
}

/// Fees are paid on top of what the beneficiary has at that turn, unless code looks at it or moves something of it.
fn beneficiary() -> Result<(), Failed> {
    let looks = || Code::default().op(COINBASE).op(BALANCE).keep(0);
    accepted(&callers(looks(), [0; 6]), 1)?;
    // A look that a revert takes back was one all the same.
    let zeros = |code: Code, count: u8| (0..count).fold(code, |code, _| code.push(U256::ZERO));
    accepted(&callers(zeros(Code::default().op(COINBASE).op(BALANCE), 2).op(REVERT), [0; 6]), 1)?;
    // Paid, called without value, heir of a contract.
    let call = |value: u64| zeros(Code::default(), 4).push(U256::from(value)).op(COINBASE).op(0x5a).op(CALL).op(0x50);
    let mut paying = callers(call(3), [0; 5]);
    let payer = paying.txs[0].to.unwrap_or_default();
    let rich = |code: &Code, balance| AccountInfo { balance, nonce: 1, code_hash: keccak256(&code.0) };
    paying.state.insert_account(payer, rich(&call(3), U256::from(1000)));
    accepted(&paying, 1)?;
    accepted(&callers(call(0), [0; 5]), 1)?;
    let mut heirs = Calls::new(Fork::Cancun);
    (0..5).for_each(|_| _ = heirs.call(Code::default().op(COINBASE).op(SELFDESTRUCT).0, vec![], 100_000));
    accepted(&heirs, 1)?;
    // As target and as sender.
    let mut parties = callers(Code::default(), [0; 6]);
    let beneficiary = parties.env.beneficiary;
    parties.txs[2].to = Some(beneficiary);
    parties.senders[4] = beneficiary;
    let funds = |balance| AccountInfo { balance, ..AccountInfo::default() };
    parties.state.insert_account(beneficiary, funds(U256::from(u128::MAX)));
    accepted(&parties, 4)?;
    // Without tips nothing is paid, but the account is touched.
    let mut free = callers(counter(), 0..5);
    free.txs.iter_mut().for_each(|tx| tx.max_fee_per_gas = U256::from(free.env.base_fee));
    accepted(&free, 5)?;
    // One with code, and one that cannot hold what it is paid: revm keeps that.
    let mut coded = callers(counter(), 0..5);
    coded.env.beneficiary = coded.txs[0].to.unwrap_or_default();
    accepted(&coded, 1)?;
    let mut other = callers(counter(), 0..5);
    other.call(looks().0, vec![], 100_000);
    other.env.beneficiary = other.txs[5].to.unwrap_or_default();
    other.txs.truncate(5);
    other.senders.truncate(5);
    accepted(&other, 5)?;
    for (balance, beside) in [(U256::MAX - U256::from(1_000_000), 0), (U256::MAX >> 1, 1), (U256::MAX >> 2, 5)] {
        let mut full = callers(counter(), 0..5);
        full.state.insert_account(beneficiary, funds(balance));
        accepted(&full, beside)?;
    }
    Ok(())
}

/// Hashes of blocks are values of the state as well.
fn hashes() -> Result<(), Failed> {
    let code = Code::default().push(U256::from(19_999_999)).op(BLOCKHASH).push(U256::ZERO).op(CALLDATALOAD).op(0x55);
    accepted(&callers(code, 0..5), 5)
}

/// What is created and deployed beside, and called after.
fn creations() -> Result<(), Failed> {
    let mut calls = Calls::new(Fork::Cancun);
    let copy = [0x60, 3, 0x80, 0x60, 0x0b, 0x60, 0x00, 0x39, 0x60, 0x00, 0xf3, 0x33, 0x50, 0x00];
    for _ in 0..3 {
        let tx = calls.call(vec![], copy.to_vec(), 200_000);
        (tx.to, tx.value) = (None, U256::ZERO);
    }
    let contract = calls.senders[1].create(0);
    calls.call(vec![], vec![], 100_000).to = Some(contract);
    let report = same_as_revm(&calls, &calls.state)?;
    ensure(report.beside == 3, || format!("{report:?}"))
}

/// Random blocks whose transactions collide, the fuzzer's that share accounts, and suites of programs.
fn blocks(fork: Fork) -> Result<(), Failed> {
    let (mut txs, mut beside) = (0, 0);
    for seed in 0..60 {
        let calls = random(fork, seed);
        match both(&calls, &calls.state)? {
            (Ok((got, report)), Ok((expected, _))) => {
                ensure(got == expected, || format!("seed {seed}: {got:?} instead of {expected:?}"))?;
                (txs, beside) = (txs + got.len() as u64, beside + report.beside);
            }
            (got, expected) => {
                let (got, expected) = (got.err(), expected.err());
                ensure(got == expected, || format!("seed {seed}: {got:?} instead of {expected:?}"))?;
            }
        }
    }
    ensure(beside > txs / 20 && beside < txs, || format!("{beside} of {txs}"))?;
    let judged = [judge(scene::batch(31, 15, &[fork]))?, judge(scene::batch(31, 1, &[fork]))?];
    let scenes = judged.into_iter().map(|judged| judged.calls);
    let suites = [creates::creates, creates::destroys, programs::state, set_code::set_code].map(|suite| suite(fork));
    // Some suites have nothing for old forks.
    for calls in scenes.chain(suites).filter(|calls| !calls.txs.is_empty()) {
        let report = same_as_revm(&calls, &calls.state)?;
        ensure(report.beside > 0, || format!("{report:?}"))?;
    }
    Ok(())
}

/// A slot that cannot be read: what asks for it is an error at its turn, if at all, and what does not is no worse off.
fn unreadable() -> Result<(), Failed> {
    let calls = callers(counter(), [0, 1, 2, 9, 3]);
    let to = calls.txs[0].to.unwrap_or_default();
    let state = Silent::without(&calls.state, to, U256::from(9));
    let (got, expected) = both(&calls, &state)?;
    let error = expected.err().ok_or("it can be read")?;
    ensure(matches!(error, ExecuteError::State { tx: 3, .. }), || format!("{error:?}"))?;
    ensure(got.as_ref().err() == Some(&error), || format!("{got:?} instead of {error:?}"))?;
    // Asked for on the first prefix, and not any more at its turn: the first caller sets slot 0, without which the next reads slot 9.
    let code = Code::default().push(U256::ZERO).op(CALLDATALOAD).push(U256::from(17)).op(JUMPI);
    let code = code.push(U256::ZERO).op(SLOAD).push(U256::from(15)).op(JUMPI).push(U256::from(9)).op(SLOAD);
    let calls = callers(code.op(JUMPDEST).op(STOP).op(JUMPDEST).push(U256::ONE).keep(0), [1, 0]);
    let to = calls.txs[0].to.unwrap_or_default();
    let report = same_as_revm(&calls, &Silent::without(&calls.state, to, U256::from(9)))?;
    ensure(report.beside == 1, || format!("{report:?}"))
}

/// A transaction that may not stand at its place gives the error that revm gives; one that may not stand earlier is fine.
fn invalid() -> Result<(), Failed> {
    let mut calls = callers(counter(), 0..6);
    calls.txs[3].nonce = 5;
    let (got, expected) = both(&calls, &calls.state)?;
    ensure(expected.is_err() && got.as_ref().err() == expected.as_ref().err(), || format!("{got:?}"))
}

fn main() -> ExitCode {
    let mut suite = Suite::default();
    suite.test("cpu::slots", slots);
    suite.test("cpu::long", long);
    suite.test("cpu::accounts", accounts);
    suite.test("cpu::beneficiary", beneficiary);
    suite.test("cpu::hashes", hashes);
    suite.test("cpu::creations", creations);
    suite.test("cpu::unreadable", unreadable);
    suite.test("cpu::invalid", invalid);
    for fork in scene::FORKS {
        suite.test(format!("cpu::blocks::{fork}"), move || blocks(fork));
    }
    suite.run()
}
