//! Signers of raw transactions on every backend: all types, EIP-7702 authorities beside the senders, bad items among good ones,
//! and work that is handed over.

use alloy_primitives::{Address, Bytes, U256};
use libtest_mimic::Failed;
use lockstep::{
    encode,
    engine::Engine,
    recover::{ORDER, RecoverError},
    senders::{Collector, CollectorOptions, SenderOptions},
    signers::{SignerError, SignerRequest, Signers},
    submit::{Cancelled, WaitError},
    tx::{Authorization, Signature, Transaction, TxType},
};
use lockstep_tests::{harness::Suite, sign::Wallet, vectors};
use std::{
    cell::Cell,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

/// What an item should give; for bad bytes the field at which they stop being a transaction.
#[derive(Clone, Debug)]
enum Expected {
    Signers(Signers),
    Recover(RecoverError),
    Field(&'static str),
}

type Case = (SignerRequest, Expected);

const TYPES: [TxType; 5] = [TxType::Legacy, TxType::AccessList, TxType::DynamicFee, TxType::Blob, TxType::SetCode];

/// The transaction of a number: every type in turn.
fn transaction(n: usize) -> Transaction {
    let mut tx = Transaction::blank(TYPES[n % TYPES.len()], 1);
    (tx.nonce, tx.gas_limit, tx.to) = (n as u64, 21_000, Some(Address::with_last_byte(n as u8)));
    tx.input = vec![n as u8; n % 300].into();
    tx.max_priority_fee_per_gas = (TYPES[n % TYPES.len()] as u8 >= 2).then_some(U256::ONE);
    tx
}

/// Tuples in every state: signed, and broken so that nobody is their authority.
fn tuples(n: usize) -> (Vec<Authorization>, Vec<Option<Address>>) {
    let tuple = |part: usize| {
        let wallet = Wallet::new(&format!("authority {n} {part}"));
        let mut tuple = wallet.authorize(1, Address::with_last_byte(9), part as u64);
        let good = match part % 5 {
            0 | 3 => true,
            1 => {
                tuple.raw_parity = 2;
                false
            }
            2 => {
                tuple.signature.s = ORDER - tuple.signature.s;
                false
            }
            _ => {
                tuple.signature.r = U256::ZERO;
                false
            }
        };
        (tuple, good.then(|| wallet.address()))
    };
    (0..n % 7).map(tuple).unzip()
}

fn signed(n: usize) -> Case {
    let wallet = Wallet::new(&format!("sender {n}"));
    let mut tx = transaction(n);
    let mut authorities = Vec::new();
    if tx.tx_type == TxType::SetCode {
        (tx.authorizations, authorities) = tuples(n);
    }
    let signers = Signers { signer: wallet.address(), authorities };
    (SignerRequest::Raw { bytes: wallet.sign(&tx), low_s: true }, Expected::Signers(signers))
}

/// Every shape of an item, good and bad by turns.
fn case(n: usize) -> Case {
    let (good, expected) = signed(n);
    let SignerRequest::Raw { bytes, .. } = &good else { return (good, expected) };
    let field =
        |bytes: Vec<u8>, field| (SignerRequest::Raw { bytes: Bytes::from(bytes), low_s: true }, Expected::Field(field));
    match n % 11 {
        2 => field(Vec::new(), "raw"),
        4 => field(bytes[..bytes.len() - 1].to_vec(), "raw"),
        5 => field([bytes, [0].as_slice()].concat(), "raw"),
        6 => field([&[0x7f], bytes.as_ref()].concat(), "type"),
        8 => {
            // s of all ones: it is the last item of every type.
            let mut bytes = bytes.to_vec();
            let end = bytes.len();
            bytes[end - 32..].fill(0xff);
            match bytes[end - 33] {
                0xa0 => {
                    (SignerRequest::Raw { bytes: bytes.into(), low_s: true }, Expected::Recover(RecoverError::Range))
                }
                // A shorter s.
                _ => (good, expected),
            }
        }
        9 => {
            let vector = &vectors::random_signatures(1, n as u64)[0];
            let signers = Signers { signer: vector.signer.unwrap_or_default(), authorities: Vec::new() };
            (SignerRequest::Signature(vector.request), Expected::Signers(signers))
        }
        _ => (good, expected),
    }
}

fn check(cases: &[Case], results: &[Result<Signers, SignerError>]) -> Result<(), Failed> {
    if cases.len() != results.len() {
        return Err(format!("{} results for {} items", results.len(), cases.len()).into());
    }
    for (index, ((_, expected), result)) in cases.iter().zip(results).enumerate() {
        let right = match (expected, result) {
            (Expected::Signers(expected), Ok(signers)) => expected == signers,
            (Expected::Recover(expected), Err(SignerError::Recover(error))) => expected == error,
            (Expected::Field(field), Err(SignerError::Decode(error))) => *field == error.field,
            _ => false,
        };
        if !right {
            return Err(format!("item {index}: expected {expected:?}, got {result:?}").into());
        }
    }
    Ok(())
}

fn items(cases: &[Case]) -> Vec<SignerRequest> {
    cases.iter().map(|(item, _)| item.clone()).collect()
}

fn good_and_bad_items(engine: &Engine) -> Result<(), Failed> {
    let cases: Vec<_> = (0..400).map(case).collect();
    for count in [0, 1, 4, 15, 16, 70, 400] {
        check(&cases[..count], &engine.recover_signers(&items(&cases[..count])))?;
    }
    Ok(())
}

/// s above n / 2 with the other parity is the same key: an error only where the flag says so.
fn the_low_s_flag(engine: &Engine) -> Result<(), Failed> {
    let wallet = Wallet::new("high");
    let tx = Transaction::decode(&wallet.sign(&transaction(1)))?;
    let Signature { r, s, y_parity } = tx.signature;
    let high = encode::encode(&tx, &Signature { r, s: ORDER - s, y_parity: !y_parity });
    let item = |low_s| SignerRequest::Raw { bytes: high.clone(), low_s };
    let cases = [
        (item(true), Expected::Recover(RecoverError::HighS)),
        (item(false), Expected::Signers(Signers { signer: wallet.address(), authorities: Vec::new() })),
    ];
    check(&cases, &engine.recover_signers(&items(&cases)))
}

/// Several callers hand work over at the same time; each gets its own answers.
fn submitted_from_many_threads(engine: &Engine) -> Result<(), Failed> {
    let run = |seed: usize| {
        let cases: Vec<_> = (seed..seed + 150).map(case).collect();
        let pending = engine.submit(items(&cases));
        let results =
            pending.wait_until(Instant::now() + Duration::from_secs(120)).map_err(|error| error.to_string())?;
        check(&cases, &results).map_err(|failed| failed.message().unwrap_or_default().to_owned())
    };
    let run = &run;
    let ran = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|n| scope.spawn(move || run(1000 * n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(Err("panicked".into()))).collect::<Vec<_>>()
    });
    ran.into_iter().try_for_each(|result| result.map_err(Failed::from))
}

fn deadline_and_cancel(engine: &Engine) -> Result<(), Failed> {
    let cases: Vec<_> = (0..5000).map(signed).collect();
    let pending = engine.submit(items(&cases));
    let pending = match pending.wait_until(Instant::now()) {
        Err(WaitError::Deadline(pending)) => pending,
        other => return Err(format!("5,000 recoveries take longer than that: {other:?}").into()),
    };
    check(&cases, &pending.wait()?)?;
    // Cancelled before its end, which the next work does not notice.
    let pending = engine.submit(items(&cases));
    pending.progress().cancel();
    if pending.wait() != Err(Cancelled) {
        return Err("not cancelled".into());
    }
    drop(engine.submit(items(&cases)));
    check(&cases[..100], &engine.submit(items(&cases[..100])).wait()?)
}

/// A loop's iterator: order kept, errors at their place, never more taken ahead than was said.
fn as_an_iterator(engine: &Engine) -> Result<(), Failed> {
    let cases: Vec<_> = (0..300).map(case).collect();
    for (chunk, ahead) in [(1, 1), (7, 3), (64, 2), (300, 1), (1000, 2)] {
        let taken = Cell::new(0);
        let txs = cases.iter().inspect(|_| taken.set(taken.get() + 1));
        let senders = engine.senders(txs, |(item, _)| item.clone(), SenderOptions { chunk, ahead });
        if taken.get() != 0 {
            return Err("it began before anybody asked".into());
        }
        let mut results = Vec::new();
        for (index, (tx, signers)) in senders.enumerate() {
            if !std::ptr::eq(tx, &raw const cases[index]) {
                return Err(format!("item {index} is another one").into());
            }
            // The batch that is being read, and those under way.
            if taken.get() > (index / chunk + 1 + ahead) * chunk {
                return Err(format!("{} taken at {index}, by {chunk} and {ahead}", taken.get()).into());
            }
            results.push(signers);
        }
        check(&cases, &results)?;
    }
    // Left early, the rest is neither taken nor waited for.
    let first = engine.senders(0.., |n| case(*n).0, SenderOptions { chunk: 20, ahead: 2 }).take(30);
    check(&cases[..30], &first.map(|(_, signers)| signers).collect::<Vec<_>>())
}

/// Many submit a little each, some lose patience, and everybody gets the answers to their own items.
fn collected(engine: &Engine) -> Result<(), Failed> {
    let options = CollectorOptions { within: Duration::from_millis(2), most: 100, queue: 4 };
    let collector = Collector::new(engine.clone(), options)?;
    let run = |thread: usize| {
        for n in 0..40 {
            let first = 1000 * thread + 10 * n;
            let cases: Vec<_> = (first..first + n % 4).map(case).collect();
            let pending = collector.submit(items(&cases));
            match n % 10 {
                5 => drop(pending),
                7 => pending.progress().cancel(),
                _ => {
                    let results = pending.wait_until(Instant::now() + Duration::from_secs(120));
                    let results = results.map_err(|error| error.to_string())?;
                    check(&cases, &results).map_err(|failed| failed.message().unwrap_or_default().to_owned())?;
                }
            }
        }
        Ok(())
    };
    let run = &run;
    let ran = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|n| scope.spawn(move || run(n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(Err("panicked".into()))).collect::<Vec<_>>()
    });
    ran.into_iter().try_for_each(|result: Result<(), String>| result.map_err(Failed::from))
}

/// One batch under way and one submission in the queue: there is no room for a third.
fn a_full_queue(engine: &Engine) -> Result<(), Failed> {
    let collector = Collector::new(engine.clone(), CollectorOptions { within: Duration::ZERO, most: 1, queue: 1 })?;
    let cases: Vec<_> = (0..5000).map(signed).collect();
    let large = collector.submit(items(&cases));
    // Waits until the first one has left the queue.
    let small = collector.submit(items(&cases[..3]));
    match collector.try_submit(items(&cases[3..5])) {
        Err(refused) if refused.0 == items(&cases[3..5]) => {}
        other => return Err(format!("not refused: {other:?}").into()),
    }
    check(&cases, &large.wait()?)?;
    check(&cases[..3], &small.wait()?)?;
    check(&cases[3..5], &collector.try_submit(items(&cases[3..5]))?.wait()?)
}

/// The comparison proves nothing if it cannot fail.
fn the_check_sees_wrong_results() -> Result<(), Failed> {
    let engine = Engine::builder().build()?;
    let cases: Vec<_> = (0..66).map(case).collect();
    let right = engine.recover_signers(&items(&cases));
    check(&cases, &right)?;
    for index in 0..cases.len() {
        let mut wrong = right.clone();
        match &mut wrong[index] {
            Ok(signers) => match signers.authorities.last_mut() {
                Some(authority) => *authority = authority.is_none().then_some(Address::ZERO),
                None => signers.signer = Address::ZERO,
            },
            error => *error = Err(RecoverError::Infinity.into()),
        }
        if check(&cases, &wrong).is_ok() {
            return Err(format!("taken for right: {:?}", wrong[index]).into());
        }
    }
    match check(&cases, &right[1..]) {
        Ok(()) => Err("a result is missing".into()),
        Err(_) => Ok(()),
    }
}

fn main() -> ExitCode {
    let mut suite = Suite::default();
    suite.test("the_check_sees_wrong_results", the_check_sees_wrong_results);
    suite.each("good_and_bad_items", good_and_bad_items);
    suite.each("the_low_s_flag", the_low_s_flag);
    suite.each("submitted_from_many_threads", submitted_from_many_threads);
    suite.each("deadline_and_cancel", deadline_and_cancel);
    suite.each("as_an_iterator", as_an_iterator);
    suite.each("collected", collected);
    suite.each("a_full_queue", a_full_queue);
    suite.run()
}
