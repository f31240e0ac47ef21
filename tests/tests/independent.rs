//! Transactions that have nothing to do with each other, each in an environment and on a state of its own: every outcome
//! and every error is what revm gives for that transaction alone, whoever shares its batch.

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use libtest_mimic::Failed;
use lockstep::{
    backend::{Backend, BackendError, BackendKind, Executed, wgpu::WgpuBackend},
    block::BlockEnv,
    context::{Context, PlacedTx},
    engine::Engine,
    error::{Invalid, TxError},
    evm::{BlockGas, Revm},
    fallback::FallbackReason,
    fork::Fork,
    lower::Batch,
    memory::MemoryState,
    outcome::{TxOutcome, TxStatus},
    park::Service,
    plan::LaneClass,
    recover::{RecoverError, RecoverRequest},
    report::ExecutionReport,
    state::{AccountInfo, StateRef},
    tx::{Transaction, TxType},
};
use lockstep_tests::{
    devices::{Dying, Limited},
    fuzz::scene::{self, FORKS},
    harness::{self, Suite, Target},
    programs::{self, Code},
    states::Silent,
};
use std::{process::ExitCode, sync::Arc};

const CONTRACT: Address = Address::repeat_byte(0xc0);
const SENDER: Address = Address::repeat_byte(0x5e);

/// The slot that some states cannot read.
const HIDDEN: u64 = 77;

fn ensure(condition: bool, message: impl FnOnce() -> String) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(message().into()) }
}

/// revm, made anew for each transaction.
fn alone(context: &Context<'_>, placed: &PlacedTx<'_>) -> Result<TxOutcome, TxError> {
    let mut revm = Revm::new(context.env, context.state)?;
    BlockGas::default().check(context.env, placed.tx)?;
    revm.transact(placed.tx, placed.sender)
}

/// Runs all at once and compares one by one; gives the report and how many have no outcome.
fn same_as_revm(
    engine: &Engine,
    contexts: &[Context<'_>],
    txs: &[PlacedTx<'_>],
) -> Result<(ExecutionReport, usize), Failed> {
    let mut report = ExecutionReport::default();
    let results = engine.execute_each(contexts, txs, &mut report);
    ensure(results.len() == txs.len(), || format!("{} results for {}", results.len(), txs.len()))?;
    let mut errors = 0;
    for (index, (placed, result)) in txs.iter().zip(&results).enumerate() {
        let expected = match contexts.get(placed.context) {
            Some(context) => alone(context, placed),
            None => Err(Invalid::new("context", format!("{} of {}", placed.context, contexts.len())).into()),
        };
        ensure(*result == expected, || format!("transaction {index}: {result:#?}\nrevm:\n{expected:#?}"))?;
        errors += usize::from(result.is_err());
    }
    let done = report.device.txs + report.cpu.txs;
    ensure(done as usize == txs.len() - errors, || format!("{errors} errors, {report:?}"))?;
    let sorted = report.on_device.is_sorted() && report.on_device.len() as u64 == report.device.txs;
    ensure(sorted, || format!("{:?}", report.on_device))?;
    Ok((report, errors))
}

/// An environment and a state of its own; the `number`th is unlike any other in all that code may ask for.
struct Place {
    env: BlockEnv,
    state: MemoryState,
    /// Answers but gives no hints.
    silent: bool,
    /// One of the contract's slots cannot be read.
    unreadable: bool,
}

impl Place {
    fn new(fork: Fork, number: u64) -> Self {
        let env = programs::env(fork);
        let env = BlockEnv {
            number: env.number + (number << 30),
            timestamp: env.timestamp + number,
            beneficiary: Address::from_word(keccak256(number.to_be_bytes())),
            gas_limit: 30_000_000 + number,
            base_fee: if fork >= Fork::London { number % 5 } else { 0 },
            difficulty: U256::from(number << 40),
            prevrandao: keccak256([number as u8]),
            chain_id: 1 + number % 3,
            ..env
        };
        let mut state = MemoryState::default();
        let account = |balance: u64, code_hash| AccountInfo { balance: U256::from(balance), nonce: 0, code_hash };
        state.insert_account(SENDER, account(1 << 50, KECCAK256_EMPTY));
        state.insert_account(env.beneficiary, account(number * 3, KECCAK256_EMPTY));
        let reader = reader();
        state.insert_account(CONTRACT, account(number + 5, keccak256(&reader)));
        state.insert_code(keccak256(&reader), reader.into());
        // Of the same address other code in each state, where there is any.
        if !number.is_multiple_of(4) {
            let code = Code::default().push(U256::from(number)).push(U256::ZERO).op(0x52).push(U256::from(32));
            let code = code.push(U256::ZERO).op(0xf3).0;
            state.insert_account(other(), account(0, keccak256(&code)));
            state.insert_code(keccak256(&code), code.into());
        }
        for slot in 0..4 {
            state.insert_slot(CONTRACT, U256::from(slot), U256::from(1000 * number + slot));
        }
        state.insert_block_hash(env.number - 1, keccak256(number.to_le_bytes()));
        Self { env, state, silent: false, unreadable: false }
    }

    fn state(&self) -> Box<dyn StateRef + '_> {
        match (self.unreadable, self.silent) {
            (true, _) => Box::new(Silent::without(&self.state, CONTRACT, U256::from(HIDDEN))),
            (_, true) => Box::new(Silent::new(&self.state)),
            _ => Box::new(&self.state),
        }
    }

    fn call(&self, to: Address) -> Transaction {
        let blank = Transaction::blank(TxType::Legacy, self.env.chain_id);
        Transaction { gas_limit: 1_000_000, max_fee_per_gas: U256::from(10), to: Some(to), ..blank }
    }
}

fn other() -> Address {
    Address::repeat_byte(0x07)
}

/// Keeps all that environment, account and chain say; ends with the slot that the calldata name, if there are any.
fn reader() -> Vec<u8> {
    let words = [0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47];
    let code = words.iter().zip(10..).fold(Code::default(), |code, (op, slot)| code.op(*op).keep(slot));
    // The beneficiary's balance, the last block's hash, one's own slots.
    let code = code.op(0x41).op(0x31).keep(20).push(U256::ONE).op(0x43).op(0x03).op(0x40).keep(21);
    let code = (0..4_u64).fold(code, |code, slot| code.push(U256::from(slot)).op(0x54).keep(30 + slot));
    // What the other contract returns, its code's size and hash.
    let word = U256::from_be_slice(other().as_slice());
    let code = [32, 0, 0, 0, 0].iter().fold(code, |code, word| code.push(U256::from(*word)));
    let code = code.push(word).op(0x5a).op(0xf1).keep(40).push(U256::ZERO).op(0x51).keep(41);
    let code = code.push(word).op(0x3b).keep(42).push(word).op(0x3f).keep(43);
    let code = code.op(0x36).op(0x15).push(U256::from(0xffff)).op(0x57);
    let at = code.0.len() - 3;
    let mut code = code.push(U256::ZERO).op(0x35).op(0x54).keep(50).op(0x5b).0;
    let end = code.len() - 1;
    code[at..at + 2].copy_from_slice(&(end as u16).to_be_bytes());
    code
}

/// Six forks, eight places each: calls, creations, precompiles of all sorts, what is invalid, what cannot be read.
fn mixed(engine: &Engine) -> Result<(), Failed> {
    let forks = [Fork::Istanbul, Fork::Berlin, Fork::London, Fork::Shanghai, Fork::Prague, Fork::Osaka];
    let mut places: Vec<_> = (0..8_u64)
        .flat_map(|turn| forks.iter().zip(0..).map(move |(fork, index)| Place::new(*fork, 1 + 6 * turn + index)))
        .collect();
    for (index, place) in places.iter_mut().enumerate() {
        place.silent = index % 3 == 0;
        place.unreadable = index % 7 == 0;
    }
    // A fork that needs blob parameters, without.
    places.push(Place::new(Fork::Cancun, 1000));
    if let Some(last) = places.last_mut() {
        last.env.blob_params = None;
    }
    let states: Vec<_> = places.iter().map(Place::state).collect();
    let contexts: Vec<_> =
        places.iter().zip(&states).map(|(place, state)| Context { env: &place.env, state: &**state }).collect();
    let mut txs = Vec::new();
    for (context, place) in places.iter().enumerate() {
        let call = |to| place.call(to);
        let input = |slot: u64| Bytes::from(U256::from(slot).to_be_bytes_vec());
        // NUMBER is stored and deployed.
        let init = Code::default().op(0x43).op(0x80).keep(0).push(U256::ZERO).op(0x52);
        let init = init.push(U256::from(8)).push(U256::from(24)).op(0xf3).0;
        txs.extend(
            [
                call(CONTRACT),
                Transaction { input: input(3), value: U256::from(9), ..call(CONTRACT) },
                Transaction { input: input(HIDDEN), ..call(CONTRACT) },
                Transaction { to: None, input: init.into(), ..call(CONTRACT) },
                Transaction { value: U256::ONE, ..call(other()) },
                call(place.env.beneficiary),
                Transaction { input: input(1), ..call(Address::with_last_byte(1 + context as u8 % 9)) },
                Transaction { nonce: 1, ..call(CONTRACT) },
                Transaction { value: U256::MAX, ..call(CONTRACT) },
                Transaction { gas_limit: 20_999, ..call(CONTRACT) },
                Transaction { gas_limit: 40_000_000, ..call(CONTRACT) },
                Transaction { chain_id: Some(99), ..call(CONTRACT) },
                Transaction { gas_limit: 60_000, ..call(CONTRACT) },
            ]
            .map(|tx| (tx, context)),
        );
    }
    // Neighbours are of other forks and states, as they come; one names a context that is not there.
    txs.sort_by_key(|(tx, context)| {
        keccak256([&tx.input[..], &tx.gas_limit.to_be_bytes(), &context.to_be_bytes()].concat())
    });
    txs[40].1 = places.len();
    let placed: Vec<_> = txs.iter().map(|(tx, context)| PlacedTx { tx, sender: SENDER, context: *context }).collect();
    let (report, errors) = same_as_revm(engine, &contexts, &placed)?;
    ensure(errors > 5 * 48, || format!("{errors} errors"))?;
    if engine.backend_kind() == BackendKind::Cpu {
        return ensure(report.device.txs == 0 && report.fallbacks.is_empty(), || format!("{report:?}"));
    }
    // Forty of the places are of forks that the device runs, seven transactions in each are sound and in its reach.
    let expected = report.waves == 5 && report.device.txs > 250 && report.served > 300 && report.conflicts == 0;
    let reasons: Vec<_> = report.fallbacks.keys().copied().collect();
    ensure(expected && reasons == [FallbackReason::Fork, FallbackReason::Precompile], || {
        format!("{}, {} served, {:?}", report.device.txs, report.served, report.fallbacks)
    })
}

/// Everybody calls the same contract at the same address: half of the states give hints, half wait to be asked.
fn states_do_not_mix(engine: &Engine) -> Result<(), Failed> {
    let mut places: Vec<_> = (0..200).map(|number| Place::new(Fork::Cancun, number)).collect();
    places.iter_mut().step_by(2).for_each(|place| place.silent = true);
    let states: Vec<_> = places.iter().map(Place::state).collect();
    let contexts: Vec<_> =
        places.iter().zip(&states).map(|(place, state)| Context { env: &place.env, state: &**state }).collect();
    let txs: Vec<_> = places.iter().map(|place| place.call(CONTRACT)).collect();
    let placed: Vec<_> = txs.iter().enumerate().map(|(context, tx)| PlacedTx { tx, sender: SENDER, context }).collect();
    let (report, _) = same_as_revm(engine, &contexts, &placed)?;
    let all = engine.backend_kind() == BackendKind::Cpu || (report.device.txs, report.batches) == (200, 1);
    ensure(all, || format!("{report:?}"))
}

/// Many calls on one state in two environments: what is read once is shared, and nobody sees what others write.
fn one_state(engine: &Engine) -> Result<(), Failed> {
    let place = Place::new(Fork::Cancun, 9);
    let later = BlockEnv { number: place.env.number + 1, timestamp: place.env.timestamp + 12, ..place.env.clone() };
    let mut state = place.state.clone();
    state.insert_block_hash(place.env.number, B256::repeat_byte(3));
    let silent = Silent::new(&state);
    let contexts = [Context { env: &place.env, state: &silent }, Context { env: &later, state: &silent }];
    let tx = place.call(CONTRACT);
    let placed: Vec<_> = (0..300).map(|index| PlacedTx { tx: &tx, sender: SENDER, context: index % 2 }).collect();
    let (report, errors) = same_as_revm(engine, &contexts, &placed)?;
    ensure(errors == 0, || format!("{errors} errors"))?;
    let all = engine.backend_kind() == BackendKind::Cpu || (report.device.txs, report.batches) == (300, 1);
    ensure(all, || format!("{report:?}"))
}

/// Random programs of every fork, a batch for each environment and state, all at once.
fn random(engine: &Engine) -> Result<(), Failed> {
    let batches: Vec<_> = (0..14).map(|number| scene::batch(5, number, &FORKS)).collect();
    let contexts: Vec<_> = batches.iter().map(|calls| Context { env: &calls.env, state: &calls.state }).collect();
    let placed: Vec<_> = batches
        .iter()
        .enumerate()
        .flat_map(|(context, calls)| {
            let txs = calls.txs.iter().zip(&calls.senders);
            txs.map(move |(tx, sender)| PlacedTx { tx, sender: *sender, context })
        })
        .collect();
    let (report, _) = same_as_revm(engine, &contexts, &placed)?;
    let most = engine.backend_kind() == BackendKind::Cpu || report.device.txs * 10 > report.cpu.txs * 90;
    ensure(most && report.conflicts == 0, || format!("{:?} {:?}", report.device, report.cpu))
}

/// Nothing, and a single one.
fn few(engine: &Engine) -> Result<(), Failed> {
    same_as_revm(engine, &[], &[])?;
    let place = Place::new(Fork::Prague, 1);
    let contexts = [Context { env: &place.env, state: &place.state }];
    let tx = place.call(other());
    let (report, _) = same_as_revm(engine, &contexts, &[PlacedTx { tx: &tx, sender: SENDER, context: 0 }])?;
    ensure(report.total().calls == 1, || format!("{report:?}"))
}

/// More than fit one batch: small lanes first, those that meet a cap again as large ones, one run after the other.
fn crowded(target: Target) -> Result<(), Failed> {
    let device = harness::device(target)?.ok_or("no device")?;
    let engine = Engine::builder().with_device(Arc::new(Limited::crowded(device))).build()?;
    let mut places: Vec<_> = (0..30).map(|number| Place::new(Fork::Shanghai, number)).collect();
    // More memory than a small lane has, where the calldata say so.
    let code = Code::default().push(U256::ZERO).op(0x35).op(0x51).push(U256::ONE).op(0x54).keep(2).0;
    for place in &mut places {
        place.state.insert_code(keccak256(&code), code.clone().into());
        let info = AccountInfo { code_hash: keccak256(&code), ..AccountInfo::default() };
        place.state.insert_account(other(), info);
    }
    let contexts: Vec<_> = places.iter().map(|place| Context { env: &place.env, state: &place.state }).collect();
    let calls: Vec<_> = (0..450_u64)
        .map(|index| {
            let place = &places[index as usize % 30];
            let offset = if index % 9 == 0 { 20_000 } else { index };
            Transaction { input: U256::from(offset).to_be_bytes_vec().into(), ..place.call(other()) }
        })
        .collect();
    let placed: Vec<_> =
        calls.iter().enumerate().map(|(index, tx)| PlacedTx { tx, sender: SENDER, context: index % 30 }).collect();
    let (report, _) = same_as_revm(&engine, &contexts, &placed)?;
    let caps =
        report.caps.keys().all(|(class, reason)| (*class, *reason) == (LaneClass::Small, FallbackReason::Memory));
    ensure(report.device.txs == 450 && report.waves == 5 && !report.caps.is_empty() && caps, || format!("{report:?}"))
}

/// A device that dies: what it had is done on the CPU.
fn dies() -> Result<(), Failed> {
    let device = WgpuBackend::open(std::env::var("LOCKSTEP_DEVICE").ok().as_deref())?;
    let engine = Engine::builder().with_device(Arc::new(Dying { device, rounds: 2 })).build()?;
    let mut places: Vec<_> = (0..40).map(|number| Place::new(Fork::London, number)).collect();
    places.iter_mut().for_each(|place| place.silent = true);
    let states: Vec<_> = places.iter().map(Place::state).collect();
    let contexts: Vec<_> =
        places.iter().zip(&states).map(|(place, state)| Context { env: &place.env, state: &**state }).collect();
    let txs: Vec<_> = places.iter().map(|place| place.call(CONTRACT)).collect();
    let placed: Vec<_> = txs.iter().enumerate().map(|(context, tx)| PlacedTx { tx, sender: SENDER, context }).collect();
    let (report, _) = same_as_revm(&engine, &contexts, &placed)?;
    ensure(report.fallbacks.get(&FallbackReason::DeviceError) == Some(&40), || format!("{report:?}"))
}

/// A device whose lanes end with more gas than they have.
#[derive(Debug)]
struct Generous(Arc<dyn Backend>);

impl Backend for Generous {
    fn kind(&self) -> BackendKind {
        self.0.kind()
    }

    fn name(&self) -> &str {
        "generous"
    }

    fn keccak256(&self, messages: &[&[u8]]) -> Result<Vec<B256>, BackendError> {
        self.0.keccak256(messages)
    }

    fn recover(&self, requests: &[RecoverRequest]) -> Result<Vec<Result<Address, RecoverError>>, BackendError> {
        self.0.recover(requests)
    }

    fn execute(&self, batch: &Batch, service: &mut dyn Service) -> Result<Executed, BackendError> {
        let mut run = self.0.execute(batch, service)?;
        run.lanes.iter_mut().for_each(|lane| lane.state.gas_lo += 1);
        Ok(run)
    }
}

/// A cross-check finds nothing in honest lanes, and takes revm's outcome where one is not.
fn cross_checked(target: Target) -> Result<(), Failed> {
    let device = harness::device(target)?.ok_or("no device")?;
    let check = |device: Arc<dyn Backend>| Engine::builder().with_device(device).cross_check(true).build();
    let engines = [check(Arc::clone(&device))?, check(Arc::new(Generous(device)))?];
    let places: Vec<_> = (0..20).map(|number| Place::new(Fork::Prague, number)).collect();
    let contexts: Vec<_> = places.iter().map(|place| Context { env: &place.env, state: &place.state }).collect();
    let txs: Vec<_> = places.iter().map(|place| place.call(CONTRACT)).collect();
    let placed: Vec<_> = txs.iter().enumerate().map(|(context, tx)| PlacedTx { tx, sender: SENDER, context }).collect();
    for (engine, differences) in engines.iter().zip([0, 20]) {
        let (report, _) = same_as_revm(engine, &contexts, &placed)?;
        let found = report.differences.len() == differences && report.differences.is_sorted();
        ensure(found && report.device.txs == 20, || format!("{report:?}"))?;
    }
    Ok(())
}

/// What lanes have read is forgotten before it fills the tables: those that come later get what their states expect too.
fn tables_are_renewed() -> Result<(), Failed> {
    let device = harness::device(Target::Wgpu)?.ok_or("no device")?;
    let engine = Engine::builder().with_device(Arc::new(Limited::crowded(device))).build()?;
    let slots = 700_u64;
    let code = Code::default().push(U256::from(slots - 1)).op(0x54).keep(0).0;
    let mut places: Vec<_> = (0..200).map(|number| Place::new(Fork::Cancun, number)).collect();
    for place in &mut places {
        let info = AccountInfo { code_hash: keccak256(&code), ..AccountInfo::default() };
        place.state.insert_code(info.code_hash, code.clone().into());
        place.state.insert_account(other(), info);
        for slot in 0..slots {
            place.state.insert_slot(other(), U256::from(slot), U256::from(slot + place.env.timestamp));
        }
    }
    let contexts: Vec<_> = places.iter().map(|place| Context { env: &place.env, state: &place.state }).collect();
    let txs: Vec<_> = places.iter().map(|place| place.call(other())).collect();
    let placed: Vec<_> = txs.iter().enumerate().map(|(context, tx)| PlacedTx { tx, sender: SENDER, context }).collect();
    let (report, _) = same_as_revm(&engine, &contexts, &placed)?;
    // The hints of some hundred states are as much as is taken: the last few of each run have to ask.
    let asked = report.device.txs == 200 && report.served > 0 && report.served < 40;
    ensure(asked && report.waves == 2, || format!("{report:?}"))
}

/// What the comparison rests on: the places differ in all that their contract keeps.
fn places_differ() -> Result<(), Failed> {
    let kept = |number| {
        let place = Place::new(Fork::Prague, number);
        let context = Context { env: &place.env, state: &place.state };
        let tx = Transaction { input: U256::ONE.to_be_bytes_vec().into(), ..place.call(CONTRACT) };
        let outcome = alone(&context, &PlacedTx { tx: &tx, sender: SENDER, context: 0 })?;
        ensure(outcome.status == TxStatus::Success, || format!("{outcome:?}"))?;
        let change = outcome.changes.into_iter().find(|change| change.address == CONTRACT).ok_or("untouched")?;
        Ok::<_, Failed>(change.storage)
    };
    let (one, two) = (kept(1)?, kept(2)?);
    // The call succeeds in both, the code is of the same size; EIP-4399 and the rest differ.
    let same = one.iter().filter(|slot| two.contains(slot)).map(|slot| slot.slot).collect::<Vec<_>>();
    ensure(one.len() == 18 && same == [40, 42].map(U256::from), || format!("{same:?} of {one:?}"))
}

fn main() -> ExitCode {
    let mut suite = Suite::default();
    suite.test("places_differ", places_differ);
    suite.each("mixed", mixed);
    suite.each("states_do_not_mix", states_do_not_mix);
    suite.each("one_state", one_state);
    suite.each("random", random);
    suite.each("few", few);
    for target in [Target::Wgpu, Target::WgpuU32] {
        suite.on(target, "crowded", move |_| crowded(target));
        suite.on(target, "cross_checked", move |_| cross_checked(target));
    }
    suite.on(Target::Wgpu, "dies", |_| dies());
    suite.on(Target::Wgpu, "tables_are_renewed", |_| tables_are_renewed());
    suite.run()
}
