//! Calls: the answers are the engine's own, with overrides, access lists and sequences.

use super::*;
use crate::simulate::*;
use alloy_primitives::{Bytes, keccak256};
use lockstep::{
    context::Context,
    simulate::{AccountOverride, Answer, Call, Options, Sequence, StateOverrides, StorageOverride},
    state::StateRef,
};
use std::{ops::ControlFlow, sync::Arc};

/// Calls in columns.
#[derive(Default)]
struct FlatCalls {
    from: Vec<u8>,
    to: Vec<u8>,
    creates: Vec<u8>,
    values: Vec<u8>,
    gas: Vec<u64>,
    inputs: Strings,
    listed: Vec<u64>,
    listed_addresses: Vec<u8>,
    key_offsets: Vec<u64>,
    keys: Vec<u8>,
    overrides_of: Vec<u64>,
    overrides: FlatOverrides,
}

#[derive(Default)]
struct FlatOverrides {
    offsets: Vec<u64>,
    addresses: Vec<u8>,
    flags: Vec<u8>,
    balances: Vec<u8>,
    nonces: Vec<u64>,
    codes: Vec<Bytes>,
    strings: Strings,
    slot_offsets: Vec<u64>,
    keys: Vec<u8>,
    values: Vec<u8>,
}

impl FlatOverrides {
    fn push(&mut self, set: &StateOverrides) {
        for (address, account) in &set.accounts {
            let (slots, replaces) = match &account.storage {
                StorageOverride::Keep => (Default::default(), false),
                StorageOverride::Diff(slots) => (slots.clone(), false),
                StorageOverride::Replace(slots) => (slots.clone(), true),
            };
            let flag = |flag: u8, is: bool| if is { flag } else { 0 };
            self.addresses.extend_from_slice(address.as_slice());
            self.flags.push(
                flag(LOCKSTEP_OVERRIDE_BALANCE, account.balance.is_some())
                    | flag(LOCKSTEP_OVERRIDE_NONCE, account.nonce.is_some())
                    | flag(LOCKSTEP_OVERRIDE_CODE, account.code.is_some())
                    | flag(LOCKSTEP_OVERRIDE_STORAGE, replaces),
            );
            self.balances.extend_from_slice(&account.balance.unwrap_or_default().to_be_bytes::<32>());
            self.nonces.push(account.nonce.unwrap_or_default());
            self.codes.push(account.code.clone().unwrap_or_default());
            for (slot, value) in slots {
                self.keys.extend_from_slice(&slot.to_be_bytes::<32>());
                self.values.extend_from_slice(&value.to_be_bytes::<32>());
            }
            self.slot_offsets.push(self.keys.len() as u64 / 32);
        }
        self.offsets.push(self.flags.len() as u64);
    }

    fn input(&self) -> lockstep_overrides {
        lockstep_overrides {
            account_offsets: u64s(&self.offsets),
            addresses: bytes(&self.addresses),
            flags: bytes(&self.flags),
            balances: bytes(&self.balances),
            nonces: u64s(&self.nonces),
            codes: self.strings.items(),
            slot_offsets: u64s(&self.slot_offsets),
            slot_keys: bytes(&self.keys),
            slot_values: bytes(&self.values),
        }
    }
}

impl FlatCalls {
    fn new(calls: &[Call]) -> Self {
        let mut flat = Self { listed: vec![0], key_offsets: vec![0], ..Self::default() };
        (flat.overrides.offsets, flat.overrides.slot_offsets) = (vec![0], vec![0]);
        let mut sets: Vec<*const StateOverrides> = Vec::new();
        for call in calls {
            flat.from.extend_from_slice(call.from.as_slice());
            flat.to.extend_from_slice(call.to.unwrap_or_default().as_slice());
            flat.creates.push(u8::from(call.to.is_none()));
            flat.values.extend_from_slice(&call.value.to_be_bytes::<32>());
            flat.gas.push(call.gas.unwrap_or_default());
            for (address, keys) in &call.access_list {
                flat.listed_addresses.extend_from_slice(address.as_slice());
                flat.keys.extend(keys.iter().flatten());
                flat.key_offsets.push(flat.keys.len() as u64 / 32);
            }
            flat.listed.push(flat.listed_addresses.len() as u64 / 20);
            flat.overrides_of.push(call.state.as_ref().map_or(0, |set| {
                let at = sets.iter().position(|known| *known == Arc::as_ptr(set)).unwrap_or_else(|| {
                    sets.push(Arc::as_ptr(set));
                    flat.overrides.push(set);
                    sets.len() - 1
                });
                at as u64 + 1
            }));
        }
        flat.inputs = Strings::new(calls.iter().map(|call| &call.input));
        flat.overrides.strings = Strings::new(&flat.overrides.codes);
        flat
    }

    fn input(&self) -> lockstep_calls {
        let access_lists = lockstep_access_lists {
            account_offsets: u64s(&self.listed),
            addresses: bytes(&self.listed_addresses),
            key_offsets: u64s(&self.key_offsets),
            keys: bytes(&self.keys),
        };
        lockstep_calls {
            from: bytes(&self.from),
            to: bytes(&self.to),
            creates: bytes(&self.creates),
            values: bytes(&self.values),
            gas: u64s(&self.gas),
            inputs: self.inputs.items(),
            access_lists,
            overrides: self.overrides.input(),
            overrides_of: u64s(&self.overrides_of),
            ..zeroed()
        }
    }
}

/// In two calls: one to know how much room it takes, and one to fetch.
fn simulate(
    handle: &Handle,
    file: &BlockFile,
    state: &lockstep_state,
    input: &lockstep_calls,
) -> (lockstep_answers, Room) {
    let mut answers: lockstep_answers = zeroed();
    // SAFETY: every pointer is to an array of our own, and as long as it says.
    let first = unsafe { lockstep_simulate(handle.0, &env(file), state, input, &mut answers) };
    assert_eq!(first, lockstep_code::TooSmall, "{}", last_error(0));
    let mut block = lockstep_results { token: answers.token, ..zeroed() };
    // SAFETY: nothing but the results is read.
    let other =
        unsafe { crate::execute::lockstep_execute(handle.0, ptr::null(), ptr::null(), ptr::null(), &mut block) };
    assert_eq!(other, lockstep_code::NoResult, "a token of the other function");
    let room = Room::make(&mut answers);
    // SAFETY: nothing but the answers is read, and their room is as large as it says.
    let second = unsafe { lockstep_simulate(handle.0, ptr::null(), ptr::null(), ptr::null(), &mut answers) };
    assert_eq!(second, lockstep_code::Ok, "{}", last_error(0));
    assert_eq!(answers.token, 0);
    (answers, room)
}

/// `None` are calls that were not made.
fn compare(answers: &lockstep_answers, expected: &[Option<Answer>]) {
    let (statuses, offsets) = (written(&answers.statuses), written_u64(&answers.output_offsets));
    let errors = errors_of(&answers.errors, &answers.error_offsets);
    assert_eq!((statuses.len(), errors.len()), (expected.len(), expected.len()));
    for (index, expected) in expected.iter().enumerate() {
        let output = &written(&answers.outputs)[offsets[index] as usize..offsets[index + 1] as usize];
        match expected {
            Some(Ok(expected)) => {
                assert_eq!(statuses[index], status(expected.status) as u8, "{index}");
                assert_eq!(written_u64(&answers.gas_used)[index], expected.gas_used, "{index}");
                let contract = address(index, written(&answers.contract_addresses));
                assert_eq!(contract, expected.contract_address.unwrap_or_default());
                assert_eq!((output, errors[index].as_str()), (expected.output.as_ref(), ""), "{index}");
            }
            Some(Err(error)) => {
                assert_eq!((statuses[index], output), (lockstep_tx_status::Invalid as u8, &[][..]));
                assert_eq!(errors[index], error.to_string());
            }
            None => {
                assert_eq!((statuses[index], output), (lockstep_tx_status::Skipped as u8, &[][..]));
                assert_eq!(errors[index], "");
            }
        }
    }
}

#[test]
fn calls_have_the_engines_answers() {
    let (handle, file) = (Handle::new(), sample());
    let flat = Flat::new(&file.state);
    let from = Address::with_last_byte(0xaa);
    let pair = lockstep::sample::address("Pair 1");
    let amount = |n: usize| (U256::from(n) * U256::from(10).pow(U256::from(15))).to_be_bytes::<32>();
    let quote = |n: usize| {
        [&keccak256("quote(bool,uint256)")[..4], &U256::from(n % 2).to_be_bytes::<32>(), &amount(n)].concat()
    };
    let rich = AccountOverride { balance: Some(U256::from(7)), nonce: Some(3), ..AccountOverride::default() };
    let rich = Arc::new(StateOverrides { accounts: [(from, rich)].into() });
    // Returns slot 1, then slot 2.
    let code = Bytes::from_static(&[0x60, 1, 0x54, 0x5f, 0x52, 0x60, 2, 0x54, 0x60, 32, 0x52, 0x60, 64, 0x5f, 0xf3]);
    let slots = [(U256::from(1), U256::from(11))];
    let coded = |storage| AccountOverride { code: Some(code.clone()), storage, ..AccountOverride::default() };
    let replaced = coded(StorageOverride::Replace(slots.into()));
    let both = Arc::new(StateOverrides {
        accounts: [(pair, replaced), (from, coded(StorageOverride::Diff(slots.into())))].into(),
    });
    let keys: Vec<_> = (0..4).map(B256::with_last_byte).collect();
    let calls: Vec<_> = (0..40)
        .map(|n| match n {
            5 => Call::new(from, pair, Bytes::new()).with_value(U256::ONE),
            6 => Call { from, input: vec![0x60, 0, 0x60, 0, 0xf3].into(), ..Call::default() },
            7 => Call::new(from, pair, quote(n)).with_gas(24_000),
            8 => Call::new(from, pair, quote(n)).with_gas(100_000),
            9 => Call::new(from, Address::ZERO, Bytes::new()).with_value(U256::ONE).with_state(rich.clone()),
            10 | 11 => Call::new(from, pair, quote(n)).with_state(both.clone()),
            12 => Call::new(from, from, quote(n)).with_state(both.clone()),
            13 => {
                Call { access_list: vec![(pair, keys.clone()), (from, Vec::new())], ..Call::new(from, pair, quote(n)) }
            }
            14 => Call { access_list: vec![(from, keys.clone())], ..Call::new(from, pair, quote(n)) },
            _ => Call::new(from, pair, quote(n)),
        })
        .collect();
    let columns = FlatCalls::new(&calls);
    let (answers, _room) = simulate(&handle, &file, &flat.state(), &columns.input());
    assert_eq!(last_error(handle.0), last_error(0), "that of call 5");

    let base = Context { env: &file.block.env, state: &file.state };
    let (expected, _) = engine().simulate_all(&base, calls, &Options::default());
    let expected: Vec<_> = expected.into_iter().map(Some).collect();
    compare(&answers, &expected);
    let statuses = written(&answers.statuses);
    assert_eq!(statuses[5..10], [4, 1, 3, 1, 1]);
    let words = |at: usize| {
        let start = written_u64(&answers.output_offsets)[at] as usize;
        let output = &written(&answers.outputs)[start..];
        (word(0, output), word(1, output))
    };
    assert_eq!([words(10), words(12)], [(U256::from(11), U256::ZERO); 2], "overridden");
    let gas = written_u64(&answers.gas_used);
    assert!(gas[13] > gas[15] + 2000 && gas[14] > gas[16] + 9000, "what is listed is paid for");
}

#[test]
fn sequences_have_the_engines_answers() {
    let (handle, file) = (Handle::new(), sample());
    let from = Address::with_last_byte(0xaa);
    let counter = Address::with_last_byte(0xcc);
    // Adds one to slot 0 and returns it; reverts where there is calldata.
    let code = Bytes::from_static(&[
        0x36, 0x60, 18, 0x57, // if there is calldata
        0x5f, 0x54, 0x60, 1, 0x01, 0x80, 0x5f, 0x55, // add one
        0x5f, 0x52, 0x60, 32, 0x5f, 0xf3, // return it
        0x5b, 0x5f, 0x5f, 0xfd,
    ]);
    let slots = |value| StorageOverride::Diff([(U256::ZERO, U256::from(value))].into());
    let account = AccountOverride { code: Some(code), storage: slots(40), ..AccountOverride::default() };
    let first = Arc::new(StateOverrides { accounts: [(counter, account)].into() });
    let again = AccountOverride { storage: slots(90), ..AccountOverride::default() };
    let again = Arc::new(StateOverrides { accounts: [(counter, again)].into() });
    let call = |input: &[u8]| Call::new(from, counter, input.to_vec());
    let sequences = [
        vec![call(b"").with_state(first.clone()), call(b""), call(b"")],
        vec![],
        vec![call(b"").with_state(first.clone()), call(b"x"), call(b""), call(b"")],
        vec![call(b"").with_state(first), call(b"").with_state(again), call(b"").with_value(U256::ONE), call(b"")],
        vec![call(b"")],
    ];
    let calls: Vec<_> = sequences.iter().flatten().cloned().collect();
    let columns = FlatCalls::new(&calls);
    let ends: Vec<_> = [0]
        .into_iter()
        .chain(sequences.iter().scan(0, |end, calls| {
            *end += calls.len() as u64;
            Some(*end)
        }))
        .collect();
    let base = Context { env: &file.block.env, state: &file.state };
    for flags in [0, LOCKSTEP_STOP_ON_REVERT] {
        let input = lockstep_calls { sequences: u64s(&ends), flags, ..columns.input() };
        let (answers, _room) = simulate(&handle, &file, &Flat::new(&file.state).state(), &input);
        let options = Options { stop_on_revert: flags != 0, ..Options::default() };
        let mut expected: Vec<Option<Answer>> = Vec::new();
        let asked = sequences.iter().map(|calls| Sequence { calls: calls.clone() });
        engine().simulate_sequences(&base, asked, &options, |index, answers| {
            let skipped = sequences[index].len() - answers.len();
            expected.extend(answers.into_iter().map(Some));
            expected.extend((0..skipped).map(|_| None));
            ControlFlow::Continue(())
        });
        compare(&answers, &expected);
        let after = if flags == 0 { 1 } else { 7 };
        assert_eq!(written(&answers.statuses), [1, 1, 1, 1, 2, after, after, 1, 1, 4, after, 1]);
        let outputs: Vec<_> = (0..3).map(|at| word(at, written(&answers.outputs))).collect();
        assert_eq!(outputs, [41, 42, 43].map(U256::from));
    }
}

/// What is not in a strict snapshot is an error that names it.
#[test]
fn a_strict_snapshot_lacks_nothing_in_silence() {
    let (handle, file) = (Handle::new(), sample());
    let pair = lockstep::sample::address("Pair 1");
    let from = Address::with_last_byte(0xaa);
    let (reads, missing) = (Address::with_last_byte(0xcc), Address::with_last_byte(0xdd));
    let mut state = MemoryState::default();
    // Returns the slot that its calldata names.
    let code = Bytes::from_static(&[0x5f, 0x35, 0x54, 0x5f, 0x52, 0x60, 32, 0x5f, 0xf3]);
    let hash = keccak256(&code);
    state.insert_code(hash, code);
    state.insert_account(reads, lockstep::state::AccountInfo { code_hash: hash, ..Default::default() });
    state.insert_account(from, Default::default());
    state.insert_account(file.block.env.beneficiary, Default::default());
    state.insert_slot(reads, U256::from(1), U256::from(7));
    state.insert_slot(reads, U256::from(2), U256::ZERO);
    let flat = Flat::new(&state);
    let input = |slot: u8| B256::with_last_byte(slot).to_vec();
    let calls = [
        Call::new(from, reads, input(1)),
        Call::new(from, reads, input(2)),
        Call::new(from, reads, input(3)),
        Call::new(from, missing, input(1)),
        Call::new(from, pair, input(1)),
    ];
    let columns = FlatCalls::new(&calls);
    let absent = missing.to_vec();
    let strict = lockstep_state { flags: LOCKSTEP_STRICT, absent: bytes(&absent), ..flat.state() };
    let (answers, _room) = simulate(&handle, &file, &strict, &columns.input());
    assert_eq!(written(&answers.statuses), [1, 1, 5, 1, 5]);
    let errors = errors_of(&answers.errors, &answers.error_offsets);
    assert_eq!(errors[2], format!("state: slot 0x3 of {reads} is not in the snapshot"));
    assert_eq!(errors[4], format!("state: account {pair} is not in the snapshot"));
    let account = AccountOverride {
        balance: Some(U256::ZERO),
        nonce: Some(1),
        code: Some(state.code(&hash).unwrap()),
        storage: StorageOverride::Replace([(U256::from(3), U256::from(9))].into()),
    };
    let full = Arc::new(StateOverrides { accounts: [(pair, account)].into() });
    let overridden = FlatCalls::new(&[Call::new(from, pair, input(3)).with_state(full)]);
    let (answers, _room) = simulate(&handle, &file, &strict, &overridden.input());
    let errors = errors_of(&answers.errors, &answers.error_offsets);
    assert_eq!((written(&answers.statuses), errors[0].as_str()), (&[1][..], ""), "nothing of it is left to know");
    assert_eq!(word(0, written(&answers.outputs)), U256::from(9));
    let (answers, _room) = simulate(&handle, &file, &flat.state(), &columns.input());
    assert_eq!(written(&answers.statuses), [1; 5], "without the flag they are zero and absent");
}

#[test]
fn calls_that_contradict_themselves() {
    let (handle, file) = (Handle::new(), sample());
    let from = Address::with_last_byte(0xaa);
    let account = AccountOverride { balance: Some(U256::from(7)), ..AccountOverride::default() };
    let set = Arc::new(StateOverrides { accounts: [(from, account)].into() });
    let list = vec![(from, vec![B256::ZERO])];
    let call = Call { access_list: list, ..Call::new(from, from, Bytes::new()).with_state(set) };
    let columns = FlatCalls::new(&[call.clone(), call]);
    let good = columns.input();
    let over = good.overrides;
    let lists = good.access_lists;
    let none = lockstep_u64s { data: ptr::null(), len: 0 };
    let two_codes = Strings::new([b"", b""]);
    let with = |overrides| lockstep_calls { overrides, ..good };
    let listed = |access_lists| lockstep_calls { access_lists, ..good };
    let length = lockstep_code::BadLength;
    let (offsets, argument) = (lockstep_code::BadOffsets, lockstep_code::BadArgument);
    for (index, (calls, expected, name)) in [
        (lockstep_calls { flags: 2, ..good }, argument, "calls.flags"),
        (lockstep_calls { overrides_of: u64s(&[0, 2]), ..good }, argument, "calls.overrides_of: 2 of call 1"),
        (lockstep_calls { overrides_of: u64s(&[0]), ..good }, length, "calls.overrides_of"),
        (lockstep_calls { sequences: u64s(&[0, 3]), ..good }, offsets, "calls.sequences"),
        (lockstep_calls { sequences: u64s(&[0, 2, 1]), ..good }, offsets, "calls.sequences"),
        (with(lockstep_overrides { account_offsets: none, ..over }), offsets, "calls.overrides.account_offsets"),
        (with(lockstep_overrides { flags: bytes(&[16]), ..over }), argument, "calls.overrides.flags: 16 of account 0"),
        (with(lockstep_overrides { balances: bytes(&[]), ..over }), argument, "calls.overrides.flags: 1 of account 0"),
        (with(lockstep_overrides { nonces: u64s(&[1, 2]), ..over }), length, "calls.overrides.nonces"),
        (with(lockstep_overrides { slot_values: bytes(&[1]), ..over }), length, "calls.overrides.slot_values"),
        (
            listed(lockstep_access_lists { account_offsets: u64s(&[0, 2]), ..lists }),
            length,
            "calls.access_lists.account_offsets: 2 offsets where 2 calls need 3",
        ),
        (
            listed(lockstep_access_lists { key_offsets: u64s(&[0, 2]), ..lists }),
            length,
            "calls.access_lists.key_offsets: 2 offsets where 2 accounts need 3",
        ),
        (
            with(lockstep_overrides { codes: two_codes.items(), ..over }),
            length,
            "calls.overrides.codes.offsets: 3 offsets where 1 accounts need 2",
        ),
        (
            with(lockstep_overrides { slot_offsets: u64s(&[0, 0, 0]), ..over }),
            length,
            "calls.overrides.slot_offsets: 3 offsets where 1 accounts need 2",
        ),
        (listed(lockstep_access_lists { key_offsets: u64s(&[0, 1, 1]), ..lists }), offsets, "calls.access_lists.key"),
        (listed(lockstep_access_lists { keys: bytes(&[1; 31]), ..lists }), length, "calls.access_lists.keys"),
    ]
    .into_iter()
    .enumerate()
    {
        // SAFETY: arrays that are wrong are refused before they are read.
        let code = unsafe { lockstep_simulate(handle.0, &env(&file), &zeroed(), &calls, &mut zeroed()) };
        assert_eq!(code, expected, "{index}: {}", last_error(0));
        assert!(last_error(0).starts_with(name), "{index}: {}", last_error(0));
    }
}
