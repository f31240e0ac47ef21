//! Ordered blocks on several CPU threads: blocks of rivals, the suites of programs, all the same as on sequential revm.

use alloy_primitives::{Address, U256};
use libtest_mimic::Failed;
use lockstep::{
    backend::BackendKind,
    fork::Fork,
    outcome::TxStatus,
    report::ExecutionReport,
    state::{AccountInfo, StateKey},
};
use lockstep_tests::{
    creates,
    harness::Suite,
    ordered::{self, check, judge},
    programs::{self, Calls, Code},
    random::random,
    rivals::{self, Block},
    set_code,
    states::Silent,
};
use std::{collections::HashSet, process::ExitCode};

const ADD: u8 = 0x01;
const BALANCE: u8 = 0x31;
const CALLDATALOAD: u8 = 0x35;
const SLOAD: u8 = 0x54;
const DUP1: u8 = 0x80;

/// Blocks of each number of threads; a thousand were run when they were written.
const SEEDS: u64 = 50;

fn ensure(condition: bool, message: impl FnOnce() -> String) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(message().into()) }
}

/// Blocks of rivals; more than one thread does not go by without units that are stale.
fn blocks(threads: usize) -> Result<(), Failed> {
    let mut all = ExecutionReport::default();
    for seed in 0..SEEDS {
        let report = check(&rivals::block(seed), BackendKind::Cpu, &[threads], seed);
        all.add(report.map_err(|difference| format!("seed {seed}: {difference}"))?);
    }
    ensure((all.conflicts > 0) == (threads > 1), || format!("{} conflicts", all.conflicts))
}

/// Every suite of programs as one block, and random blocks whose transactions collide.
fn suites(fork: Fork) -> Result<(), Failed> {
    let suites = [creates::creates, creates::destroys, programs::state, set_code::set_code].map(|suite| suite(fork));
    let blocks = suites.into_iter().chain((0..20).map(|seed| random(fork, seed)));
    // Some suites have nothing for old forks.
    for (number, calls) in (0..).zip(blocks).filter(|(_, calls)| !calls.txs.is_empty()) {
        let block = Block { calls, unreadable: None };
        check(&block, BackendKind::Cpu, &[3], number).map_err(|difference| format!("block {number}: {difference}"))?;
    }
    Ok(())
}

/// The blocks have all that they are there for: every fork and type, every end, errors of both kinds.
fn variety() -> Result<(), Failed> {
    let mut seen = HashSet::new();
    for seed in 0..200 {
        let Block { calls, unreadable } = rivals::block(seed);
        let state = Silent::without_key(&calls.state, unreadable);
        seen.insert(calls.env.fork.name().to_owned());
        match judge(&calls, &state).result {
            Ok(outcomes) => {
                let ends = outcomes.iter().map(|outcome| format!("{:?}", outcome.status));
                seen.extend(ends);
                let kinds =
                    outcomes.iter().flat_map(|outcome| &outcome.changes).map(|change| format!("{:?}", change.kind));
                seen.extend(kinds);
                seen.extend(calls.txs.iter().map(|tx| format!("{:?}", tx.tx_type)));
            }
            Err(error) => _ = seen.insert(error.field().to_owned()),
        }
    }
    let ends = [TxStatus::Success, TxStatus::Revert, TxStatus::Halt].map(|status| format!("{status:?}"));
    let forks = rivals::FORKS.iter().map(|fork| fork.name().to_owned());
    let others = ["Created", "Destroyed", "Legacy", "AccessList", "DynamicFee", "Blob", "SetCode", "nonce", "state"];
    for wanted in ends.into_iter().chain(forks).chain(others.map(str::to_owned)) {
        ensure(seen.contains(&wanted), || format!("no {wanted}"))?;
    }
    Ok(())
}

/// An outcome, an error or a count that is not revm's is seen.
fn comparer() -> Result<(), Failed> {
    let engine = ordered::engine(BackendKind::Cpu, 2, 1)?;
    let full = rivals::block(1).calls;
    let fails = |calls: &Calls, other: &Calls| {
        let expected = judge(other, &other.state);
        ordered::compare(&engine, calls, &calls.state, &expected).is_err()
    };
    ensure(judge(&full, &full.state).result.is_ok() && !fails(&full, &full), || "it differs from itself".into())?;
    let last = full.txs.len() - 1;
    let mut richer = full.clone();
    let info = AccountInfo { balance: U256::ONE, ..AccountInfo::default() };
    richer.state.insert_account(full.env.beneficiary, info);
    let mut shorter = full.clone();
    shorter.txs.truncate(last);
    shorter.senders.truncate(last);
    let mut invalid = full.clone();
    invalid.txs[last].nonce += 1;
    for (what, other) in [("balance", &richer), ("transaction", &shorter), ("nonce", &invalid)] {
        ensure(fails(&full, other) && fails(other, &full), || format!("another {what} is not seen"))?;
    }
    let hidden = Silent::without_key(&full.state, Some(StateKey::Account(full.senders[0])));
    let expected = judge(&full, &full.state);
    ensure(ordered::compare(&engine, &full, &hidden, &expected).is_err(), || "a hidden account is not seen".into())
}

/// One thread keeps what plain changes came to in its journal alone. Once it has read a balance that may overflow it starts anew from
/// what is committed, which must have all of them by then.
fn starts_anew() -> Result<(), Failed> {
    let rich = Address::repeat_byte(0x77);
    // Adds one to a slot, and keeps what was there and the balance of whom the calldata names.
    let code = Code::default()
        .push(U256::ZERO)
        .op(SLOAD)
        .op(DUP1)
        .push(U256::ONE)
        .op(ADD)
        .keep(0)
        .keep(2)
        .push(U256::ZERO)
        .op(CALLDATALOAD)
        .op(BALANCE)
        .keep(1);
    let mut calls = Calls::new(Fork::Cancun);
    let to = calls.call(code.0.clone(), Vec::new(), 200_000).to;
    for turn in 1..12 {
        let named = if turn % 4 == 3 { rich } else { to.unwrap_or_default() };
        let tx = calls.call(code.0.clone(), named.into_word().to_vec(), 200_000);
        (tx.to, tx.value) = (to, U256::from(turn));
    }
    let info = AccountInfo { balance: U256::ONE << 250, ..AccountInfo::default() };
    calls.state.insert_account(rich, info);
    let block = Block { calls, unreadable: None };
    let report = check(&block, BackendKind::Cpu, &[1, 2], 1)?;
    ensure(report.cpu.txs > 0, || format!("{report:?}"))
}

/// Why a transfer may not stand is said before its target is looked at, which may be out of reach.
fn invalid_first() -> Result<(), Failed> {
    let mut calls = Calls::new(Fork::Cancun);
    let tx = calls.call(Vec::new(), Vec::new(), 21_000);
    tx.value = U256::MAX >> 1;
    let target = tx.to.map(StateKey::Account);
    check(&Block { calls, unreadable: target }, BackendKind::Cpu, &[1, 2], 1)?;
    Ok(())
}

fn main() -> ExitCode {
    let mut suite = Suite::default();
    for threads in [1, 2, 3, 8] {
        suite.test(format!("cpu::blocks::{threads}_threads"), move || blocks(threads));
    }
    for fork in rivals::FORKS {
        suite.test(format!("cpu::suites::{fork}"), move || suites(fork));
    }
    suite.test("cpu::variety", variety);
    suite.test("cpu::comparer", comparer);
    suite.test("cpu::starts_anew", starts_anew);
    suite.test("cpu::invalid_first", invalid_first);
    suite.run()
}
