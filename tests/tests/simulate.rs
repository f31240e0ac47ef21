//! Simulations: every answer is what revm gives for that call alone, or for a sequence's calls one after the other.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use libtest_mimic::Failed;
use lockstep::{
    backend::{BackendKind, wgpu::WgpuBackend},
    block::BlockEnv,
    block_file::BlockFile,
    context::Context,
    coverage::Coverage,
    engine::Engine,
    error::TxError,
    evm::reference_call,
    fallback::FallbackReason,
    fork::Fork,
    memory::MemoryState,
    outcome::{TxOutcome, TxStatus},
    router::{Cost, Route, Router},
    simulate::{
        AccountOverride, Answer, BlockOverrides, Call, Options, Sequence, StateOverrides, StorageOverride, Summary,
        Wants,
    },
    state::{AccountInfo, StateRef},
    submit::Progress,
};
use lockstep_tests::{
    devices::Dying,
    fuzz::scene::{self, FORKS},
    harness::{self, Suite, Target},
    programs::{Calls, Code},
    random::Random,
    simulated::{EVERYTHING, as_call, as_calls, as_sequences, is_same, reference_sequence},
    states::Silent,
};
use std::{collections::BTreeMap, ops::ControlFlow, path::Path, process::ExitCode, sync::Arc};

fn ensure(condition: bool, message: impl FnOnce() -> String) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(message().into()) }
}

fn same(index: usize, answer: &Answer, expected: &Result<TxOutcome, TxError>, wants: Wants) -> Result<(), Failed> {
    ensure(is_same(answer, expected, wants), || format!("call {index}: {answer:#?}\nrevm:\n{expected:#?}"))
}

fn options(wants: Wants) -> Options {
    Options { wants, ..Options::default() }
}

/// Whether most of the work was the device's, where there is one.
fn mostly_on_device(engine: &Engine, summary: &Summary) -> Result<(), Failed> {
    let report = &summary.report;
    let most = engine.backend_kind() == BackendKind::Cpu || report.device.txs > 4 * report.cpu.txs;
    ensure(most && summary.differences == 0, || format!("{:?} {:?} {:?}", report.device, report.cpu, report.fallbacks))
}

/// Random programs of every fork, one after the other on a journal that is kept, or in lanes.
fn random(engine: &Engine) -> Result<(), Failed> {
    let cpu = Engine::builder().backend(BackendKind::Cpu).threads(1).build()?;
    for number in 0..14 {
        let batch = scene::batch(11, number, &FORKS);
        let calls = as_calls(&batch);
        let base = Context { env: &batch.env, state: &batch.state };
        let expected: Vec<_> = calls.iter().map(|call| reference_call(base.env, base.state, call)).collect();
        for wants in [Wants::default(), EVERYTHING, Wants { logs: true, access_list: true, ..Wants::default() }] {
            let (answers, summary) = engine.simulate_all(&base, calls.clone(), &options(wants));
            ensure(answers.len() == calls.len(), || format!("{} answers", answers.len()))?;
            for (index, (answer, expected)) in answers.iter().zip(&expected).enumerate() {
                same(index, answer, expected, wants)?;
            }
            mostly_on_device(engine, &summary)?;
            if wants.access_list {
                let (lists, _) = cpu.simulate_all(&base, calls.clone(), &options(wants));
                for (index, (answer, expected)) in answers.iter().zip(&lists).enumerate() {
                    ensure(answer == expected, || {
                        format!("batch {number} call {index} {:?}: {answer:#?}\nrevm:\n{expected:#?}", calls[index])
                    })?;
                }
            }
        }
    }
    Ok(())
}

/// Sequences over random programs whose calls meet each other: what one destroys, creates, pays or stores the next one sees.
fn sequences(engine: &Engine) -> Result<(), Failed> {
    for number in 0..14 {
        let batch = scene::batch(12, number, &FORKS);
        let calls = as_calls(&batch);
        let base = Context { env: &batch.env, state: &batch.state };
        let sequences = as_sequences(&calls);
        for (wants, stop_on_revert) in
            [(Wants { logs: true, ..Wants::default() }, false), (EVERYTHING, false), (Wants::default(), true)]
        {
            let options = Options { stop_on_revert, ..options(wants) };
            let mut all = Vec::new();
            let summary = engine.simulate_sequences(&base, sequences.clone(), &options, |index, answers| {
                all.push((index, answers));
                ControlFlow::Continue(())
            });
            ensure(all.len() == sequences.len() && !summary.cancelled, || format!("{} answers", all.len()))?;
            for (at, ((index, answers), sequence)) in all.iter().zip(&sequences).enumerate() {
                let expected = reference_sequence(base.env, base.state, sequence, stop_on_revert);
                ensure(*index == at && answers.len() == expected.len(), || {
                    format!("sequence {at}: {} answers, revm {}", answers.len(), expected.len())
                })?;
                for (call, (answer, expected)) in answers.iter().zip(&expected).enumerate() {
                    ensure(is_same(answer, expected, wants), || {
                        format!(
                            "batch {number} sequence {at} call {call}: {answer:#?}\nrevm:\n{expected:#?}\n{sequence:#?}"
                        )
                    })?;
                }
            }
            mostly_on_device(engine, &summary)?;
        }
    }
    Ok(())
}

/// A payment that would overflow its receiver, in a frame that reverts, takes nothing from the next call of a sequence.
fn overflow(engine: &Engine) -> Result<(), Failed> {
    let (payer, full) = (Address::repeat_byte(0x71), Address::repeat_byte(0x72));
    // Says what it has; with calldata, pays one wei and reverts.
    let words = |code: Code| (0..4).fold(code, |code, _| code.push(U256::ZERO));
    let code = Code::default().op(0x47).push(U256::ZERO).op(0x52).op(0x36).push(U256::from(13)).op(0x57);
    let code = code.push(U256::from(32)).push(U256::ZERO).op(0xf3);
    let paying = words(Code::default().op(0x5b)).push(U256::ONE).push(U256::from_be_slice(full.as_slice()));
    let paying = paying.op(0x5a).op(0xf1).push(U256::ZERO).push(U256::ZERO).op(0xfd);
    let code = Bytes::from([code.0, paying.0].concat());
    let mut state = MemoryState::default();
    let code_hash = keccak256(&code);
    state.insert_code(code_hash, code);
    state.insert_account(payer, AccountInfo { balance: U256::from(9), nonce: 1, code_hash });
    state.insert_account(full, AccountInfo { balance: U256::MAX, ..AccountInfo::default() });
    let env = Calls::new(Fork::Cancun).env;
    let call = |input: &'static [u8]| Call {
        to: Some(payer),
        input: Bytes::from_static(input),
        gas: Some(200_000),
        ..Call::default()
    };
    let sequence = Sequence { calls: vec![call(&[]), call(&[1]), call(&[]), call(&[1]), call(&[])] };
    let base = Context { env: &env, state: &state };
    let mut all = Vec::new();
    engine.simulate_sequences(&base, vec![sequence.clone(); 3], &options(Wants::default()), |_, answers| {
        all.push(answers);
        ControlFlow::Continue(())
    });
    let expected = reference_sequence(&env, &state, &sequence, false);
    let nine = |result: &Result<TxOutcome, TxError>| {
        result.as_ref().is_ok_and(|outcome| outcome.output == U256::from(9).to_be_bytes_vec())
    };
    ensure(expected.iter().step_by(2).all(nine), || format!("{expected:#?}"))?;
    for answers in &all {
        for (index, (answer, expected)) in answers.iter().zip(&expected).enumerate() {
            same(index, answer, expected, Wants::default())?;
        }
    }
    ensure(all.len() == 3 && all.iter().all(|answers| answers.len() == 5), || format!("{} answers", all.len()))
}

/// Edges call by call and all together, of calls and of sequences: those that revm's inspector sees.
fn covered(engine: &Engine) -> Result<(), Failed> {
    let cpu = Engine::builder().backend(BackendKind::Cpu).threads(1).build()?;
    let each = options(Wants { coverage: true, merged_coverage: true, ..Wants::default() });
    let merged = options(Wants { merged_coverage: true, ..Wants::default() });
    for number in 0..7 {
        let batch = scene::batch(16, number, &FORKS);
        let calls = as_calls(&batch);
        let base = Context { env: &batch.env, state: &batch.state };
        let (expected, _) = cpu.simulate_all(&base, calls.clone(), &each);
        let (answers, summary) = engine.simulate_all(&base, calls.clone(), &each);
        ensure(answers == expected, || {
            format!("batch {number}: {:?}", answers.iter().zip(&expected).position(|(a, b)| a != b))
        })?;
        let mut all = Box::<Coverage>::default();
        for edges in expected.iter().flatten().filter_map(|result| result.coverage.as_ref()) {
            all.merge(edges);
        }
        ensure(all.count() > 50 && summary.coverage.as_ref() == Some(&all), || {
            format!("batch {number}: merged from each")
        })?;
        let (answers, summary) = engine.simulate_all(&base, calls.clone(), &merged);
        let none = answers.iter().flatten().all(|result| result.coverage.is_none());
        ensure(none && summary.coverage.as_ref() == Some(&all), || format!("batch {number}: merged alone"))?;
        mostly_on_device(engine, &summary)?;
        let sequences = as_sequences(&calls);
        let run = |engine: &Engine, options: &Options| {
            let mut all = Vec::new();
            let summary = engine.simulate_sequences(&base, sequences.clone(), options, |_, answers| {
                all.push(answers);
                ControlFlow::Continue(())
            });
            (all, summary.coverage)
        };
        let expected = run(&cpu, &each);
        ensure(run(engine, &each) == expected, || format!("batch {number}: sequences"))?;
        ensure(run(engine, &merged).1 == expected.1, || format!("batch {number}: sequences, merged alone"))?;
    }
    Ok(())
}

/// Overrides drawn at random for accounts that the call meets.
fn overrides(random: &mut Random, call: &Call) -> StateOverrides {
    let mut accounts = BTreeMap::new();
    let mut targets = vec![call.from];
    targets.extend(call.to);
    for address in targets {
        if random.chance(60) {
            let slots = |random: &mut Random| {
                (0..random.below(4)).map(|_| (U256::from(random.below(6)), U256::from(random.below(5)))).collect()
            };
            let storage = match random.below(4) {
                0 => StorageOverride::Replace(slots(random)),
                1 | 2 => StorageOverride::Diff(slots(random)),
                _ => StorageOverride::Keep,
            };
            // Code only where it changes the program and not who may send.
            let code = (random.chance(20) && Some(address) == call.to).then(|| {
                let code = Code::default().push(U256::from(random.below(6))).op(0x54).push(U256::from(3)).op(0x55);
                Bytes::from(code.keep(9).0)
            });
            let balance = random.chance(50).then(|| U256::from(random.below(1 << 30)) << 20);
            let nonce = random.chance(30).then(|| random.below(1 << 20));
            accounts.insert(address, AccountOverride { balance, nonce, code, storage });
        }
    }
    StateOverrides { accounts }
}

/// The state as overrides make it, by hand.
fn overridden(state: &MemoryState, overrides: &StateOverrides) -> MemoryState {
    let mut new = MemoryState::default();
    for (address, info) in state.accounts() {
        new.insert_account(*address, *info);
    }
    for (address, slot, value) in state.slots() {
        let replaced = overrides
            .accounts
            .get(address)
            .is_some_and(|account| matches!(account.storage, StorageOverride::Replace(_)));
        if !replaced {
            new.insert_slot(*address, *slot, *value);
        }
    }
    for (hash, code) in state.codes() {
        new.insert_code(*hash, code.clone());
    }
    for (number, hash) in state.block_hashes() {
        new.insert_block_hash(number, *hash);
    }
    for (address, account) in &overrides.accounts {
        let held = state.account(address).ok().flatten().unwrap_or_default();
        let code_hash = account.code.as_ref().map_or(held.code_hash, keccak256);
        if let Some(code) = &account.code {
            new.insert_code(code_hash, code.clone());
        }
        let balance = account.balance.unwrap_or(held.balance);
        new.insert_account(*address, AccountInfo { balance, nonce: account.nonce.unwrap_or(held.nonce), code_hash });
        if let StorageOverride::Replace(slots) | StorageOverride::Diff(slots) = &account.storage {
            for (slot, value) in slots {
                new.insert_slot(*address, *slot, *value);
            }
        }
    }
    new
}

/// Every call in a world of its own, or in one that it shares with a few.
fn with_overrides(engine: &Engine) -> Result<(), Failed> {
    for number in 0..7 {
        let batch = scene::batch(13, number, &FORKS);
        let mut random = Random(1 + number);
        let mut calls = as_calls(&batch);
        calls.truncate(300);
        let mut last = None;
        for (index, call) in calls.iter_mut().enumerate() {
            match random.below(4) {
                0 => {}
                1 => call.state.clone_from(&last),
                _ => call.state = Some(Arc::new(overrides(&mut random, call))),
            }
            last.clone_from(&call.state);
            if random.chance(30) {
                call.block = Some(Arc::new(BlockOverrides {
                    number: Some(batch.env.number + 1 + index as u64),
                    timestamp: Some(index as u64),
                    beneficiary: random.chance(50).then(|| Address::repeat_byte(index as u8)),
                    base_fee: (batch.env.fork >= Fork::London).then_some(index as u64),
                    prevrandao: (batch.env.fork >= Fork::Merge).then(|| keccak256([index as u8])),
                    blob_base_fee: (batch.env.fork >= Fork::Cancun).then_some(5 + index as u128),
                    ..BlockOverrides::default()
                }));
            }
        }
        let base = Context { env: &batch.env, state: &batch.state };
        for wants in [Wants::default(), EVERYTHING] {
            let (answers, summary) = engine.simulate_all(&base, calls.clone(), &options(wants));
            for (index, (answer, call)) in answers.iter().zip(&calls).enumerate() {
                let env = call.block.as_ref().map_or(Ok(batch.env.clone()), |block| block.applied(&batch.env))?;
                let state = call.state.as_ref().map_or_else(|| batch.state.clone(), |of| overridden(&batch.state, of));
                same(index, answer, &reference_call(&env, &state, call), wants)?;
            }
            mostly_on_device(engine, &summary)?;
        }
    }
    Ok(())
}

/// A contract that returns what it stores and a sender that may call it.
fn small() -> (BlockEnv, MemoryState, Call) {
    let mut calls = Calls::new(Fork::Cancun);
    let code = Code::default().push(U256::ZERO).op(0x35).op(0x54).keep(1).push(U256::ZERO).op(0x52).0;
    let contract = Address::repeat_byte(0xc1);
    calls.state.insert_code(keccak256(&code), code.clone().into());
    calls.state.insert_account(contract, AccountInfo { code_hash: keccak256(&code), ..AccountInfo::default() });
    let call = Call::new(Address::repeat_byte(0x51), contract, vec![0; 32]).with_gas(100_000);
    (calls.env, calls.state, call)
}

/// A call that is none, is invalid or cannot be read for is an error at its index, and nobody else's.
fn errors(engine: &Engine) -> Result<(), Failed> {
    let (env, mut state, call) = small();
    let unreadable = Address::repeat_byte(0xc2);
    state.insert_account(unreadable, AccountInfo { code_hash: B256::repeat_byte(9), ..AccountInfo::default() });
    let none = TxError::Invalid(lockstep::error::Invalid::new("line", "nothing"));
    let early = Arc::new(BlockOverrides { difficulty: Some(U256::ONE), ..BlockOverrides::default() });
    let asked: Vec<Result<Call, TxError>> = (0..400)
        .map(|index| match index % 8 {
            1 => Err(none.clone()),
            2 => Ok(call.clone().with_value(U256::ONE)),
            3 => Ok(call.clone().with_gas(20_000)),
            4 => Ok(Call { to: Some(unreadable), ..call.clone() }),
            5 => Ok(call.clone().with_block(Arc::clone(&early))),
            _ => Ok(call.clone()),
        })
        .collect();
    let base = Context { env: &env, state: &state };
    let (answers, summary) = engine.simulate_all(&base, asked.clone(), &Options::default());
    ensure(answers.len() == 400 && summary.errors == 250, || format!("{summary:?}"))?;
    for (index, (answer, asked)) in answers.iter().zip(&asked).enumerate() {
        let expected = match (index % 8, asked) {
            (5, _) => Err(TxError::Invalid(early.applied(&env).err().ok_or("a difficulty after the merge")?)),
            (_, Err(error)) => Err(error.clone()),
            (_, Ok(call)) => reference_call(&env, &state, call),
        };
        same(index, answer, &expected, Wants::default())?;
        let field = match answer {
            Err(TxError::Invalid(invalid)) => invalid.field,
            Err(TxError::State(_)) => "state",
            _ => "",
        };
        ensure(field == ["", "line", "balance", "gas_limit", "state", "difficulty", "", ""][index % 8], || {
            format!("call {index}: {field}")
        })?;
    }
    Ok(())
}

/// Calls are taken as they are needed and no further than a chunk ahead; a reader that has enough ends it, as cancelling does.
fn bounded(engine: &Engine) -> Result<(), Failed> {
    let (env, state, call) = small();
    let base = Context { env: &env, state: &state };
    let taken = std::cell::Cell::new(0_usize);
    let endless = || {
        std::iter::repeat_with(|| {
            taken.set(taken.get() + 1);
            call.clone()
        })
    };
    let mut given = 0;
    let summary = engine.simulate(&base, endless(), &Options::default(), |index, answer| {
        assert!(answer.is_ok() && index == given, "{index} {given}");
        given += 1;
        if given == 1000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    ensure(summary.cancelled && summary.calls == 1000 && taken.get() < 10_000, || {
        format!("{} {summary:?}", taken.get())
    })?;
    let progress = Progress::default();
    let options = Options { progress: progress.clone(), ..Options::default() };
    let summary = engine.simulate(&base, endless(), &options, |index, _| {
        if index == 700 {
            progress.cancel();
        }
        ControlFlow::Continue(())
    });
    ensure(summary.cancelled && summary.calls > 700, || format!("{summary:?}"))?;
    // Enough of the last chunk, be it on the calling thread or not.
    for count in [10, 100] {
        let calls = std::iter::repeat_n(call.clone(), count);
        let summary = engine.simulate(&base, calls, &Options::default(), |_, _| ControlFlow::Break(()));
        ensure(summary.cancelled && summary.calls == 1, || format!("{count}: {summary:?}"))?;
    }
    // Before it has begun.
    let (answers, summary) = engine.simulate_all(&base, std::iter::repeat_n(call.clone(), 5000), &options);
    ensure(summary.cancelled && answers.len() < 5000, || format!("{summary:?}"))
}

/// A contract of one code, and a call of it with more gas than any block has.
fn unbounded(code: Code) -> (BlockEnv, MemoryState, Call) {
    let (env, mut state, call) = small();
    let contract = Address::repeat_byte(0xc3);
    state.insert_account(contract, AccountInfo { code_hash: keccak256(&code.0), ..AccountInfo::default() });
    state.insert_code(keccak256(&code.0), code.0.into());
    (env, state, Call { to: Some(contract), ..call }.with_gas(1 << 62))
}

/// A call that would run for years ends when it is told to.
fn stops(engine: &Engine) -> Result<(), Failed> {
    let (env, state, call) = unbounded(Code::default().op(0x5b).push(U256::ZERO).op(0x56));
    let base = Context { env: &env, state: &state };
    let progress = Progress::default();
    let options = Options { progress: progress.clone(), ..Options::default() };
    let start = std::time::Instant::now();
    let stop = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        progress.cancel();
    });
    let (answers, summary) = engine.simulate_all(&base, std::iter::repeat_n(call, 40), &options);
    stop.join().map_err(|_| "the other thread")?;
    ensure(summary.cancelled && answers.is_empty() && start.elapsed().as_secs() < 60, || format!("{summary:?}"))
}

/// A call that asks for more memory than there is halts; the others are answered.
fn beyond_memory(engine: &Engine) -> Result<(), Failed> {
    let (env, state, call) = unbounded(Code::default().push(U256::ONE).push(U256::ONE << 40).op(0x52));
    let base = Context { env: &env, state: &state };
    let calls = [call.clone(), Call { to: Some(Address::repeat_byte(0xee)), ..call.clone() }.with_gas(100_000)];
    let (answers, _) = engine.simulate_all(&base, calls.clone(), &Options::default());
    for (index, (answer, call)) in answers.iter().zip(&calls).enumerate() {
        same(index, answer, &reference_call(&env, &state, call), Wants::default())?;
    }
    let statuses: Vec<_> = answers.iter().flatten().map(|result| result.status).collect();
    ensure(statuses == [TxStatus::Halt, TxStatus::Success], || format!("{statuses:?}"))
}

/// No calls, a single one, and a state that gives no hints.
fn few(engine: &Engine) -> Result<(), Failed> {
    let (env, state, call) = small();
    let silent = Silent::new(&state);
    let base = Context { env: &env, state: &silent };
    for count in [0, 1, 2, 17, 300] {
        let (answers, summary) =
            engine.simulate_all(&base, std::iter::repeat_n(call.clone(), count), &options(EVERYTHING));
        ensure(answers.len() == count && summary.errors == 0 && !summary.cancelled, || format!("{summary:?}"))?;
        for (index, answer) in answers.iter().enumerate() {
            same(index, answer, &reference_call(&env, &state, &call), EVERYTHING)?;
        }
    }
    let empty = [Sequence::default(), Sequence { calls: vec![call.clone()] }];
    // A chunk's calls and more in one item, or its bytes: what is behind them is answered too.
    let long = vec![Sequence { calls: vec![call.clone(); 300] }; 3];
    let huge = Call { input: vec![0; 4 << 20].into(), gas: Some(1_000_000_000), ..call };
    for sequences in [empty.to_vec(), long] {
        let due: Vec<usize> = sequences.iter().map(|sequence| sequence.calls.len()).collect();
        let options = Options::default();
        let mut lengths = Vec::new();
        engine.simulate_sequences(&base, sequences, &options, |_, answers| {
            lengths.push(answers.len());
            ControlFlow::Continue(())
        });
        let calls: usize = due.iter().sum();
        ensure(lengths == due && options.progress.done() == calls, || {
            format!("{lengths:?}, {} done", options.progress.done())
        })?;
    }
    let (answers, _) = engine.simulate_all(&base, std::iter::repeat_n(huge, 10), &Options::default());
    ensure(answers.len() == 10, || format!("{} answers", answers.len()))
}

/// Every transaction of the shared blocks as a call on the state before its block.
fn blocks(engine: &Engine, folder: &Path) -> Result<(), Failed> {
    let mut files: Vec<_> =
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.sort();
    let mut calls_in_all = 0;
    let mut on_device = 0;
    for path in files {
        let file = BlockFile::read(&path)?;
        let base = Context { env: &file.block.env, state: &file.state };
        let cpu = Engine::builder().backend(BackendKind::Cpu).build()?;
        let output = cpu.execute_block(&file.block, &file.state)?;
        let calls: Vec<_> =
            output.transactions.iter().zip(&output.senders).map(|(tx, sender)| as_call(tx, sender)).collect();
        let (answers, summary) = engine.simulate_all(&base, calls.clone(), &options(EVERYTHING));
        for (index, (answer, call)) in answers.iter().zip(&calls).enumerate() {
            same(index, answer, &reference_call(base.env, base.state, call), EVERYTHING)
                .map_err(|failed| format!("{}: {}", path.display(), failed.message().unwrap_or_default()))?;
        }
        let (lists, _) = cpu.simulate_all(&base, calls, &options(EVERYTHING));
        ensure(lists == answers, || format!("{}: access lists differ", path.display()))?;
        calls_in_all += answers.len();
        on_device += summary.report.device.txs;
    }
    ensure(calls_in_all == 11_305, || format!("{calls_in_all} calls"))?;
    ensure(engine.backend_kind() == BackendKind::Cpu || on_device > 7900, || format!("{on_device} on the device"))
}

/// Under `auto` a device that is said to be quick has a part, and the CPU another; answers are the same, and in order.
fn divided(target: Target) -> Result<(), Failed> {
    let device = harness::device(target)?.ok_or("no device")?;
    let route = Route { cpu: Cost { fixed: 0.0, each: 1e-3 }, device: Cost { fixed: 0.0, each: 1e-3 / 1.5 } };
    let router = Router { recover: route, keccak: route, simulate: route };
    let engine = Engine::builder().offer_device(device).router(router).build()?;
    let batch = scene::batch(14, 4, &FORKS);
    let calls = as_calls(&batch);
    let base = Context { env: &batch.env, state: &batch.state };
    let (answers, summary) = engine.simulate_all(&base, calls.clone(), &options(EVERYTHING));
    for (index, (answer, call)) in answers.iter().zip(&calls).enumerate() {
        same(index, answer, &reference_call(base.env, base.state, call), EVERYTHING)?;
    }
    let both = |summary: &Summary| summary.report.device.txs > 100 && summary.report.cpu.txs > 100;
    ensure(answers.len() == calls.len() && both(&summary), || format!("{:?}", summary.report))?;
    let sequences = as_sequences(&calls);
    let mut all = Vec::new();
    let summary = engine.simulate_sequences(&base, sequences.clone(), &Options::default(), |_, answers| {
        all.push(answers);
        ControlFlow::Continue(())
    });
    ensure(all.len() == sequences.len() && both(&summary), || format!("{:?}", summary.report))?;
    for (index, (answers, sequence)) in all.iter().zip(&sequences).enumerate() {
        let expected = reference_sequence(base.env, base.state, sequence, false);
        for (answer, expected) in answers.iter().zip(&expected) {
            same(index, answer, expected, Wants::default())?;
        }
    }
    // A reader that has enough, and one call alone.
    let summary = engine.simulate(&base, calls.iter().cycle().cloned(), &Options::default(), |index, _| {
        if index == 2000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    ensure(summary.cancelled && summary.calls == 2001, || format!("{summary:?}"))?;
    let (answers, _) = engine.simulate_all(&base, [calls[0].clone()], &Options::default());
    same(0, &answers[0], &reference_call(base.env, base.state, &calls[0]), Wants::default())
}

/// A device that dies while it runs: what it was given is done on the CPU, and the report says so.
fn dies() -> Result<(), Failed> {
    let device = WgpuBackend::open(std::env::var("LOCKSTEP_DEVICE").ok().as_deref())?;
    let engine = Engine::builder().with_device(Arc::new(Dying { device, rounds: 2 })).build()?;
    let batch = scene::batch(15, 5, &FORKS);
    let calls = as_calls(&batch);
    let silent = Silent::new(&batch.state);
    let base = Context { env: &batch.env, state: &silent };
    let (answers, summary) = engine.simulate_all(&base, calls.clone(), &Options::default());
    for (index, (answer, call)) in answers.iter().zip(&calls).enumerate() {
        same(index, answer, &reference_call(base.env, base.state, call), Wants::default())?;
    }
    let lost = summary.report.fallbacks.get(&FallbackReason::DeviceError).copied().unwrap_or_default();
    ensure(answers.len() == calls.len() && lost > 100, || format!("{:?}", summary.report.fallbacks))
}

fn main() -> ExitCode {
    let mut suite = Suite::default();
    suite.each("random", random);
    suite.each("sequences", sequences);
    suite.each("overflow", overflow);
    suite.each("covered", covered);
    suite.each("overrides", with_overrides);
    suite.each("errors", errors);
    suite.each("bounded", bounded);
    suite.each("few", few);
    suite.each("stops", stops);
    suite.each("beyond_memory", beyond_memory);
    suite.each_on("blocks", "blocks", blocks);
    for target in [Target::Wgpu, Target::WgpuU32] {
        suite.on(target, "divided", move |_| divided(target));
    }
    suite.on(Target::Wgpu, "dies", |_| dies());
    suite.run()
}
