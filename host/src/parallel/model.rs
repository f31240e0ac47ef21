//! Small blocks on two and three threads in every order in which the threads can meet, up to a number of interruptions (as CHESS does:
//! Musuvathi and Qadeer, PLDI 2007). A thread is let go on from one meeting to the next, and no other runs meanwhile.

use super::{Block, InOrder, Interrupts, Progress, Schedule, Threads, execute, on_threads};
use crate::{
    block::BlockEnv,
    commit::Committed,
    error::{ExecuteError, TxError},
    evm::{BlockGas, Left, Replica, Revm, RevmCache},
    fixture::{self, LOGGER, REVERTER, dynamic_fee, sender},
    forecast::{Call, Forecast},
    linger::Linger,
    memory::MemoryState,
    outcome::TxOutcome,
    report::{ExecutionReport, Span},
    state::AccountInfo,
    tx::Transaction,
};
use alloy_primitives::{Address, Bytes, TxKind, U256, address, hex, keccak256};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Adds one to the slot that its calldata name.
const COUNTER: Address = address!("1000000000000000000000000000000000000003");
/// PUSH0 CALLDATALOAD DUP1 SLOAD PUSH1 1 ADD SWAP1 SSTORE.
const COUNTER_CODE: [u8; 9] = hex!("5f3580546001019055");

/// Creates an account, then turns forty times.
const MAKER: Address = address!("1000000000000000000000000000000000000004");
/// PUSH0 PUSH0 PUSH0 CREATE POP PUSH1 40, turn: JUMPDEST PUSH1 1 SWAP1 SUB DUP1 PUSH1 turn JUMPI STOP.
const MAKER_CODE: [u8; 17] = hex!("5f5f5ff05060285b600190038060075700");

/// Calls itself twice with all gas, for as long as there is any.
const BURNER: Address = address!("1000000000000000000000000000000000000005");
/// Twice: PUSH0 (five times) ADDRESS GAS CALL POP.
const BURNER_CODE: [u8; 18] = hex!("5f5f5f5f5f305af1505f5f5f5f5f305af150");

/// Pays one wei to whom nothing more can be paid, and reverts if there are calldata.
const PAYER: Address = address!("1000000000000000000000000000000000000006");
/// PUSH0 (four times) PUSH1 1 PUSH20 full GAS CALL POP CALLDATASIZE PUSH1 end JUMPI STOP, end: JUMPDEST PUSH0 PUSH0 REVERT.
const PAYER_CODE: [u8; 39] = hex!("5f5f5f5f60017320000000000000000000000000000000000000075af15036602357005b5f5ffd");
const FULL: Address = address!("2000000000000000000000000000000000000007");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Absent,
    Ready,
    /// Since so many steps were taken.
    Waits(usize),
    Done,
}

/// Who might have gone on, whoever went on before first; and who did.
#[derive(Clone, Debug)]
struct Choice {
    options: Vec<usize>,
    taken: usize,
    /// To take another one than the first interrupts a thread.
    interrupts: bool,
}

#[derive(Debug, Default)]
struct Run {
    status: Vec<Status>,
    running: Option<usize>,
    steps: usize,
    script: Vec<usize>,
    made: Vec<Choice>,
    /// Nobody can go on.
    stuck: bool,
}

/// Lets one thread at a time go on, by a script.
struct Order {
    run: Mutex<Run>,
    news: Condvar,
    /// After so many conflicts one thread does the rest.
    most: u64,
}

impl Order {
    fn new(threads: usize, script: Vec<usize>, most: u64) -> Self {
        let run = Run { status: vec![Status::Absent; threads], script, ..Run::default() };
        Self { run: Mutex::new(run), news: Condvar::new(), most }
    }

    fn run(&self) -> MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn choose(&self, run: &mut Run) {
        if run.status.contains(&Status::Absent) {
            return;
        }
        let can = |thread: &usize| match run.status[*thread] {
            Status::Ready => true,
            Status::Waits(since) => since != run.steps,
            Status::Absent | Status::Done => false,
        };
        let before = run.running.filter(|thread| run.status[*thread] == Status::Ready);
        let others = (0..run.status.len()).filter(|thread| Some(*thread) != before && can(thread));
        let options: Vec<_> = before.into_iter().chain(others).collect();
        run.stuck |= options.is_empty() && run.status.iter().any(|status| *status != Status::Done);
        let taken = run.script.get(run.made.len()).copied().unwrap_or(0);
        run.running = options.get(taken).copied();
        if !options.is_empty() {
            run.made.push(Choice { options, taken, interrupts: before.is_some() });
        }
        self.news.notify_all();
    }
}

impl Interrupts for Order {
    fn at(&self, thread: usize, waits: bool) {
        let mut run = self.run();
        // Who has only looked whether he need wait any longer has done nothing.
        if !waits || run.status[thread] == Status::Ready {
            run.steps += 1;
        }
        run.status[thread] = if waits { Status::Waits(run.steps) } else { Status::Ready };
        if run.running.is_none_or(|running| running == thread) {
            self.choose(&mut run);
        }
        while run.running != Some(thread) && !run.stuck {
            run = self.news.wait(run).unwrap_or_else(PoisonError::into_inner);
        }
        let stuck = run.stuck;
        drop(run);
        assert!(!stuck, "nobody can go on");
    }

    fn ends(&self, thread: usize) {
        let mut run = self.run();
        run.status[thread] = Status::Done;
        run.steps += 1;
        if run.running == Some(thread) {
            self.choose(&mut run);
        }
    }

    fn decide(&self) -> bool {
        true
    }

    fn is_patient(&self, _: usize) -> bool {
        false
    }

    fn gives_up(&self, conflicts: u64) -> bool {
        conflicts > self.most
    }
}

/// The next script after a run, with no more than so many interruptions.
fn next(made: &[Choice], most: usize) -> Option<Vec<usize>> {
    let spent = |made: &[Choice]| made.iter().filter(|choice| choice.interrupts && choice.taken > 0).count();
    (0..made.len()).rev().find_map(|at| {
        let choice = &made[at];
        let is_open = choice.taken + 1 < choice.options.len();
        let allowed = spent(&made[..at]) + usize::from(choice.interrupts) <= most;
        let script = made[..at].iter().map(|choice| choice.taken).chain([choice.taken + 1]);
        (is_open && allowed).then(|| script.collect())
    })
}

/// Runs `body` in every order, and says in how many.
fn every_order(threads: usize, most: usize, body: impl FnMut(&Order)) -> usize {
    every_order_to(u64::MAX, threads, most, body)
}

/// The same, where after so many conflicts one thread does the rest.
fn every_order_to(conflicts: u64, threads: usize, most: usize, mut body: impl FnMut(&Order)) -> usize {
    let mut script = Some(Vec::new());
    let mut count = 0;
    while let Some(choices) = script {
        let order = Order::new(threads, choices, conflicts);
        body(&order);
        script = next(&order.run().made, most);
        count += 1;
    }
    count
}

struct Case {
    env: BlockEnv,
    txs: Vec<Transaction>,
    senders: Vec<Address>,
    state: MemoryState,
}

/// Transactions of two senders: by whom, to whom, how much, with what.
fn case(txs: &[(u8, TxKind, u64, &[u8])]) -> Case {
    let (block, mut state) = fixture::block();
    for (address, code) in [
        (COUNTER, COUNTER_CODE.as_slice()),
        (MAKER, MAKER_CODE.as_slice()),
        (BURNER, BURNER_CODE.as_slice()),
        (PAYER, PAYER_CODE.as_slice()),
    ] {
        let hash = keccak256(code);
        state.insert_code(hash, Bytes::from_static(code));
        state.insert_account(address, AccountInfo { balance: U256::ZERO, nonce: 1, code_hash: hash });
    }
    let mut nonces = [0; 3];
    let mut sign = |(seed, to, value, input): &(u8, TxKind, u64, &[u8])| {
        let nonce = &mut nonces[usize::from(*seed)];
        *nonce += 1;
        Transaction::decode(&dynamic_fee(*seed, *nonce - 1, *to, *value, input)).unwrap()
    };
    let senders = txs.iter().map(|tx| sender(tx.0)).collect();
    Case { env: block.env, txs: txs.iter().map(&mut sign).collect(), senders, state }
}

fn expected(case: &Case) -> Result<Vec<TxOutcome>, ExecuteError> {
    let mut revm = Revm::new(&case.env, Committed::new(&case.state)).unwrap();
    let mut gas = BlockGas::default();
    let one = |(index, (tx, sender)): (usize, (&Transaction, &Address))| {
        let ran = gas.check(&case.env, tx).map_err(TxError::from).and_then(|()| revm.transact(tx, *sender));
        let outcome = ran.map_err(|error| ExecuteError::at(index, error))?;
        gas.add(tx, outcome.gas_used);
        revm.state_mut().commit(&outcome);
        Ok(outcome)
    };
    case.txs.iter().zip(&case.senders).enumerate().map(one).collect()
}

/// Every order of a case: in how many, and how many units were stale.
fn check(case: &Case, threads: usize, most: usize, largest_unit: usize) -> (usize, u64) {
    check_to(u64::MAX, &Forecast::default(), case, threads, most, largest_unit)
}

/// The same, where something is known, and where after so many conflicts one thread does the rest.
fn check_to(
    conflicts: u64,
    known: &Forecast,
    case: &Case,
    threads: usize,
    most: usize,
    largest_unit: usize,
) -> (usize, u64) {
    let schedule = Schedule {
        from: 1,
        least: Duration::ZERO,
        handover: Duration::ZERO,
        largest_unit,
        unit: Duration::from_secs(1),
        ..Schedule::default()
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let (codes, linger) = (RevmCache::default(), Linger::default());
    let expected = expected(case);
    let mut report = ExecutionReport::default();
    let orders = every_order_to(conflicts, threads, most, |order| {
        let forecast = Mutex::new(known.clone());
        let on = Threads {
            pool: &pool,
            linger: &linger,
            codes: &codes,
            forecast: &forecast,
            schedule,
            interrupts: Some(order),
        };
        let got = execute(&case.env, &case.txs, &case.senders, &case.state, &on, &mut report);
        assert_eq!(got, expected, "in the order {:?}", order.run().made);
    });
    (orders, report.conflicts)
}

fn slot(number: u8) -> [u8; 32] {
    U256::from(number).to_be_bytes()
}

/// A counter that all add to, with a transfer and a log between.
fn rivals() -> Case {
    case(&[
        (1, COUNTER.into(), 0, &slot(0)),
        (2, COUNTER.into(), 0, &slot(0)),
        (1, LOGGER.into(), 0, &slot(7)),
        (2, sender(1).into(), 5, &[]),
        (1, COUNTER.into(), 0, &slot(0)),
        (2, COUNTER.into(), 0, &slot(1)),
    ])
}

#[test]
fn rivals_on_two_threads() {
    let (orders, stale) = check(&rivals(), 2, 3, 1);
    assert!(orders > 500 && stale > 0, "{orders} orders, {stale} units stale");
    let (orders, stale) = check(&rivals(), 2, 3, 2);
    assert!(orders > 200 && stale > 0, "{orders} orders, {stale} units stale");
}

/// One that is stale, another one of its sender that stays, and a payment to the sender that runs after the first is brought in, but
/// before the second is committed. In threads it takes three and five interruptions.
/// Of three transactions of a unit the second looked at what another one changes.
#[test]
fn who_looked_is_told() {
    let own = [1, 2, 3].map(|number| (2, COUNTER.into(), 0, slot(number)));
    let mut calls = vec![(1, COUNTER.into(), 0, slot(2))];
    calls.extend(own);
    let calls: Vec<_> = calls.iter().map(|(sender, to, value, input)| (*sender, *to, *value, &input[..])).collect();
    let case = case(&calls);
    let mut replica = Replica::new(&case.env, &case.state, &RevmCache::default()).unwrap();
    replica.speculate(1..4, &case.txs, &case.senders, &Arc::new(Progress::new(1)), Duration::ZERO);
    assert_eq!(replica.bring(&expected(&case).unwrap()[0]).first(), Some(&(1..4)));
    assert_eq!(replica.take_misled(), [2]);
}

#[test]
fn a_sender_of_two_is_paid() {
    let case = case(&[
        (2, COUNTER.into(), 0, &slot(0)),
        (1, COUNTER.into(), 0, &slot(0)),
        (1, LOGGER.into(), 0, &slot(9)),
        (2, sender(1).into(), 1, &[]),
    ]);
    let expected = expected(&case).unwrap();
    let codes = RevmCache::default();
    let mut replica = Replica::new(&case.env, &case.state, &codes).unwrap();
    let none = Arc::new(Progress::new(1));
    replica.speculate(1..2, &case.txs, &case.senders, &none, Duration::ZERO);
    replica.speculate(2..3, &case.txs, &case.senders, &none, Duration::ZERO);
    assert_eq!(replica.bring(&expected[0]).first(), Some(&(1..2)));
    assert!(replica.bring(&expected[1]).is_empty());
    replica.speculate(3..4, &case.txs, &case.senders, &none, Duration::ZERO);
    for expected in &expected[2..] {
        assert!(replica.first_stands(&case.txs, &case.senders).unwrap());
        let (done, stale) = replica.commit_first().unwrap();
        assert_eq!((&done[0].outcome, stale.len()), (expected, 0));
    }
}

/// A transaction breaks off that has made an account which another one, that waits, has paid.
#[test]
fn what_is_made_and_left_leaves_what_waits() {
    let case = case(&[(1, MAKER.create(1).into(), 5, &[]), (2, MAKER.into(), 0, &[])]);
    let expected = expected(&case).unwrap();
    let codes = RevmCache::default();
    let mut replica = Replica::new(&case.env, &case.state, &codes).unwrap();
    let progress = Arc::new(Progress::new(1));
    assert!(matches!(replica.speculate(0..1, &case.txs, &case.senders, &progress, Duration::MAX), Left::Nothing));
    progress.advance(2);
    let left = replica.speculate(1..2, &case.txs, &case.senders, &progress, Duration::MAX);
    assert!(matches!(&left, Left::AtTurn(left) if *left == (1..2)), "{left:?}");
    assert!(replica.first_stands(&case.txs, &case.senders).unwrap());
    let (done, _) = replica.commit_first().unwrap();
    assert_eq!(done[0].outcome, expected[0]);
    let ran = replica.run_in_turn(&case.txs[1], case.senders[1]).unwrap();
    assert_eq!(ran.outcome, expected[1]);
}

/// What a payment took that its receiver could not hold is not missing in the next transaction, though revm's journal does not give it
/// back.
#[test]
fn what_nobody_can_hold_is_not_lost() {
    let mut case = case(&[
        (1, PAYER.into(), 0, &slot(0)),
        (2, COUNTER.into(), 0, &slot(0)),
        (1, PAYER.into(), 5, &[]),
        (2, COUNTER.into(), 0, &slot(1)),
    ]);
    case.state.insert_account(FULL, AccountInfo { balance: U256::MAX, ..AccountInfo::default() });
    let payer = AccountInfo { balance: U256::from(9), nonce: 1, code_hash: keccak256(PAYER_CODE) };
    case.state.insert_account(PAYER, payer);
    let outcomes = expected(&case).unwrap();
    let paid = outcomes[2].changes.iter().find(|change| change.address == PAYER).unwrap();
    assert_eq!(paid.before, Some(payer));
    check(&case, 1, 1, 1);
    let (orders, _) = check(&case, 2, 2, 2);
    assert!(orders > 100, "{orders} orders");
}

/// Who was overtaken breaks off in a recursion too, and does not begin with the rest of a unit.
#[test]
fn who_is_overtaken_breaks_off() {
    let case = case(&[(1, LOGGER.into(), 0, &[]), (2, BURNER.into(), 0, &[]), (1, LOGGER.into(), 0, &[])]);
    let codes = RevmCache::default();
    let mut replica = Replica::new(&case.env, &case.state, &codes).unwrap();
    let progress = Arc::new(Progress::new(2));
    let left = replica.speculate(1..2, &case.txs, &case.senders, &progress, Duration::MAX);
    assert!(matches!(left, Left::Nothing), "{left:?}");
    replica.take_back_all();
    progress.advance(2);
    let left = replica.speculate(1..3, &case.txs, &case.senders, &progress, Duration::MAX);
    assert!(matches!(&left, Left::AtTurn(left) if *left == (1..3)), "{left:?}");
    let progress = Arc::new(Progress::new(2));
    let left = replica.speculate(1..2, &case.txs, &case.senders, &progress, Duration::ZERO);
    assert!(matches!(&left, Left::AtTurn(left) if *left == (1..2)) && replica.gives_way(), "{left:?}");
}

/// A block that stays on one thread, for which another one reads ahead.
#[test]
fn accounts_read_ahead() {
    let txs: Vec<_> =
        (0..300).map(|index| (1, Address::with_last_byte(100 + (index % 90) as u8).into(), 5, &[][..])).collect();
    let case = case(&txs);
    let expected = expected(&case);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let (codes, linger, forecast) = (RevmCache::default(), Linger::default(), Mutex::default());
    // What would have to be gained is never gained, whatever it is.
    for schedule in [
        Schedule { from: 1, least: Duration::MAX, ..Schedule::default() },
        Schedule { from: 1, handover: Duration::MAX, ..Schedule::default() },
    ] {
        let on =
            Threads { pool: &pool, linger: &linger, codes: &codes, forecast: &forecast, schedule, interrupts: None };
        let mut report = ExecutionReport::default();
        let got = execute(&case.env, &case.txs, &case.senders, &case.state, &on, &mut report);
        assert_eq!(got, expected);
    }
}

/// What one thread has begun and several go on with, what is broken off there, and what it tells of calls that nothing was known of.
#[test]
fn what_is_doubtful_is_tried_first() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let (codes, linger, forecast) = (RevmCache::default(), Linger::default(), Mutex::default());
    let schedule = Schedule { from: 1, least: Duration::ZERO, ..Schedule::default() };
    let on = Threads { pool: &pool, linger: &linger, codes: &codes, forecast: &forecast, schedule, interrupts: None };
    let costs = [Duration::from_secs(1); 40];
    // A sender's calls in a row; and with one before them that is much longer than is waited for.
    let short: Vec<_> = (0..40).map(|_| (1, COUNTER.into(), 0, &[][..])).collect();
    let short = case(&short);
    let mut long = case(&[(1, BURNER.into(), 0, &[]), (1, COUNTER.into(), 0, &[]), (1, COUNTER.into(), 0, &[])]);
    long.txs[0].gas_limit = 20_000_000;
    for (case, most) in [(&short, 16), (&long, 0)] {
        let calls = vec![None; case.txs.len()];
        let (env, txs, senders, state) = (&case.env, &case.txs[..], &case.senders[..], &case.state);
        let costs = &costs[..txs.len()];
        let in_calls = costs.iter().sum();
        let block = Block { env, txs, senders, state, calls: &calls, costs, begun: Instant::now() };
        assert!(InOrder::doubtful(&block, in_calls).is_some());
        let try_out = || {
            let mut first = InOrder::new(&block, &on).unwrap();
            let takes = first.try_out(&block, in_calls);
            assert!(first.len() <= most, "{} ran", first.len());
            // What is broken off may take what was expected.
            assert_eq!(takes < in_calls / 4, first.len() > 0, "{takes:?}");
            first
        };
        // Nothing is known of who gets in whose way.
        let (mut known, mut report) = (Forecast::default(), ExecutionReport::default());
        assert_eq!(try_out().finish(&block, &on, &mut known, &mut report), expected(case));
        assert_eq!(report.cpu.txs, txs.len() as u64);
        // Several threads go on with it.
        let (mut begun, mut report) = (Some(try_out()), ExecutionReport::default());
        let ran = begun.as_ref().map_or(0, InOrder::len);
        let done = on_threads(&block, 2, &on, &mut begun, &mut known, &mut report);
        assert_eq!(done, Some(expected(case)));
        assert!(begun.is_none() && report.cpu.txs == txs.len() as u64);
        let is_trial = |span: &Span| (span.first, span.txs, span.thread) == (0, ran, 0);
        assert!(ran == 0 || report.timeline.iter().any(is_trial), "{:?}", report.timeline);
        let measured = vec![Some(Call { took: costs[0], program: None, measured: true }); txs.len()];
        assert!(InOrder::doubtful(&Block { calls: &measured, ..block }, in_calls).is_none());
    }
}

/// Finds at every commit that one thread had better do all.
struct Abandons;

impl Interrupts for Abandons {
    fn at(&self, _thread: usize, _waits: bool) {}

    fn abandons(&self, _thread: usize) -> bool {
        true
    }
}

#[test]
fn what_is_begun_anew_is_counted() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let (codes, linger, forecast) = (RevmCache::default(), Linger::default(), Mutex::default());
    let schedule = Schedule { from: 1, least: Duration::ZERO, handover: Duration::ZERO, ..Schedule::default() };
    let interrupts: Option<&dyn Interrupts> = Some(&Abandons);
    let on = Threads { pool: &pool, linger: &linger, codes: &codes, forecast: &forecast, schedule, interrupts };
    // What has input is taken for a call.
    let case = case(&[(1, COUNTER.into(), 0, &[1]), (2, COUNTER.into(), 0, &[2]), (1, MAKER.into(), 0, &[3])]);
    let mut report = ExecutionReport::default();
    let got = execute(&case.env, &case.txs, &case.senders, &case.state, &on, &mut report);
    assert_eq!((got, report.begun_anew, report.cpu.txs), (expected(&case), 1, 3));
}

/// Who runs ahead breaks off when others wait too long, if nobody else has been asked to.
#[test]
fn who_runs_ahead_gives_way_once() {
    let case = case(&[(1, LOGGER.into(), 0, &[]), (2, MAKER.into(), 0, &[])]);
    let codes = RevmCache::default();
    let progress = Arc::new(Progress::new(2));
    let mut patient = Replica::new(&case.env, &case.state, &codes).unwrap();
    let left = patient.speculate(1..2, &case.txs, &case.senders, &progress, Duration::from_secs(60));
    assert!(matches!(left, Left::Nothing) && !patient.gives_way(), "{left:?}");
    let mut one = Replica::new(&case.env, &case.state, &codes).unwrap();
    let left = one.speculate(1..2, &case.txs, &case.senders, &progress, Duration::ZERO);
    assert!(matches!(left, Left::AtTurn(..)) && one.gives_way(), "{left:?}");
    let mut other = Replica::new(&case.env, &case.state, &codes).unwrap();
    let left = other.speculate(1..2, &case.txs, &case.senders, &progress, Duration::ZERO);
    assert!(matches!(left, Left::Nothing) && !other.gives_way(), "{left:?}");
}

/// An empty account that is paid nothing goes (EIP-161), and whoever pays it after that makes it.
#[test]
fn an_empty_beneficiary_goes() {
    let beneficiary = fixture::block().0.env.beneficiary;
    let mut case =
        case(&[(1, COUNTER.into(), 0, &slot(0)), (2, beneficiary.into(), 5, &[]), (1, COUNTER.into(), 0, &slot(1))]);
    case.txs.iter_mut().for_each(|tx| tx.max_priority_fee_per_gas = Some(U256::ZERO));
    case.state.insert_account(beneficiary, AccountInfo::default());
    let outcomes = expected(&case).unwrap();
    let before = outcomes[1].changes.iter().find(|change| change.address == beneficiary).map(|change| change.before);
    assert_eq!(before, Some(None));
    for largest_unit in 1..=2 {
        let (orders, _) = check(&case, 2, 2, largest_unit);
        assert!(orders > 20, "{orders} orders");
    }
}

#[test]
fn rivals_on_three_threads() {
    let (orders, _) = check(&rivals(), 3, 1, 1);
    assert!(orders > 200, "{orders} orders");
}

#[test]
fn one_does_the_rest_alone() {
    for conflicts in 0..2 {
        let (orders, stale) = check_to(conflicts, &Forecast::default(), &rivals(), 2, 2, 1);
        assert!(orders > 100 && stale > 0, "{orders} orders, {stale} units stale");
    }
}

#[test]
fn a_long_one_begins_first() {
    let case = case(&[
        (1, COUNTER.into(), 0, &slot(0)),
        (2, COUNTER.into(), 0, &slot(1)),
        (1, LOGGER.into(), 0, &slot(7)),
        (2, COUNTER.into(), 0, &slot(2)),
    ]);
    let mut known = Forecast::default();
    known.learn_cost(&case.txs[2], None, Duration::from_millis(1));
    let (orders, _) = check_to(u64::MAX, &known, &case, 2, 2, 1);
    assert!(orders > 200, "{orders} orders");
}

#[test]
fn creations_and_reverts() {
    let new = TxKind::Create;
    let case = case(&[
        (1, new, 0, &hex!("60015ff3")),
        (2, REVERTER.into(), 1, &[]),
        (2, new, 0, &hex!("60015ff3")),
        (1, COUNTER.into(), 0, &slot(0)),
        (2, COUNTER.into(), 0, &slot(0)),
    ]);
    let (orders, _) = check(&case, 2, 2, 1);
    assert!(orders > 200, "{orders} orders");
}

#[test]
fn the_block_ends_at_a_bad_transaction() {
    let mut case = rivals();
    case.txs[3].nonce += 7;
    assert!(matches!(expected(&case), Err(ExecuteError::Invalid { tx: 3, .. })));
    let (orders, _) = check(&case, 2, 2, 1);
    assert!(orders > 100, "{orders} orders");
}

/// What happens in an order of two threads that do `body`: whether any ended by a panic.
fn two(order: &Order, body: impl Fn(usize) + Sync) -> bool {
    let thread = |number: usize| {
        let ran = catch_unwind(AssertUnwindSafe(|| body(number)));
        order.ends(number);
        ran.is_err()
    };
    std::thread::scope(|scope| {
        let (one, other) = (scope.spawn(|| thread(0)), scope.spawn(|| thread(1)));
        one.join().unwrap() | other.join().unwrap()
    })
}

#[test]
fn a_lost_update_is_found() {
    let mut seen = Vec::new();
    every_order(2, 1, |order| {
        let counter = Mutex::new(0);
        let panicked = two(order, |thread| {
            order.at(thread, false);
            let value = *counter.lock().unwrap();
            order.at(thread, false);
            *counter.lock().unwrap() = value + 1;
        });
        assert!(!panicked);
        seen.push(*counter.lock().unwrap());
    });
    assert!(seen.contains(&1) && seen.contains(&2), "{seen:?}");
}

#[test]
fn a_deadlock_is_found() {
    let mut stuck = 0;
    let orders = every_order(2, 1, |order| {
        let open = Mutex::new(false);
        stuck += usize::from(two(order, |thread| {
            order.at(thread, false);
            // Whoever comes second opens, unless he waits first.
            let mut first = open.lock().unwrap();
            let waits = !*first;
            *first = true;
            drop(first);
            if waits && thread == 0 {
                loop {
                    order.at(thread, true);
                }
            }
        }));
    });
    assert!(stuck > 0 && stuck < orders, "{stuck} of {orders}");
}
