//! Wrong inputs: codes that say what is wrong, a text beside them, and nothing written.

use super::*;
use crate::{execute::*, hash::*, recover::*, simulate::*};

fn recover(handle: lockstep_handle, input: &lockstep_signatures) -> lockstep_code {
    let (mut addresses, mut statuses) = ([0; 200], [0; 10]);
    let mut signers = lockstep_signers { addresses: out(&mut addresses), statuses: out(&mut statuses), ..zeroed() };
    // SAFETY: arrays that are wrong are refused before they are read.
    unsafe { lockstep_recover(handle, input, &mut signers) }
}

fn keccak(handle: lockstep_handle, messages: &lockstep_items) -> lockstep_code {
    let mut hashes = [0; 320];
    // SAFETY: as above.
    unsafe { lockstep_keccak256(handle, messages, &mut out(&mut hashes)) }
}

fn execute_empty(handle: lockstep_handle, env: &lockstep_block_env, state: &lockstep_state) -> lockstep_code {
    // SAFETY: as above.
    unsafe { lockstep_execute(handle, env, &zeroed(), state, &mut zeroed()) }
}

fn simulate(handle: lockstep_handle, calls: &lockstep_calls) -> lockstep_code {
    // SAFETY: as above.
    unsafe { lockstep_simulate(handle, &env(&sample()), &zeroed(), calls, &mut zeroed()) }
}

#[test]
fn versions_and_options() {
    let mut handle = 9;
    let mut create = |version, options: &lockstep_options| {
        // SAFETY: both pointers are to values of our own; a device's text that is wrong is refused before it is read.
        let code = unsafe { lockstep_create(version, options, &mut handle) };
        assert_eq!(handle, 0);
        code
    };
    let ours = LOCKSTEP_ABI_VERSION;
    assert_eq!(lockstep_abi_version(), ours);
    assert_eq!(create(ours + 1, &zeroed()), lockstep_code::VersionMismatch);
    assert_eq!(last_error(0), format!("abi_version: the caller was built for {}, the library is {ours}", ours + 1));
    assert_eq!(create(0, &zeroed()), lockstep_code::VersionMismatch);
    assert_eq!(create(ours, &lockstep_options { backend: 99, ..zeroed() }), lockstep_code::BadArgument);
    assert_eq!(create(ours, &lockstep_options { flags: 2, ..zeroed() }), lockstep_code::BadArgument);
    assert_eq!(create(ours, &lockstep_options { threads: usize::MAX, ..zeroed() }), lockstep_code::BadArgument);
    assert_eq!(create(ours, &lockstep_options { backend: 3, ..zeroed() }), lockstep_code::Unavailable);
    let device = lockstep_bytes { data: ptr::null(), len: 3 };
    assert_eq!(create(ours, &lockstep_options { device, ..zeroed() }), lockstep_code::NullPointer);
    assert_eq!(create(ours, &lockstep_options { device: bytes(b"\xff"), ..zeroed() }), lockstep_code::BadArgument);
    let cpu = lockstep_options { backend: 1, device: bytes(b"no such"), ..zeroed() };
    assert_eq!(create(ours, &cpu), lockstep_code::Unavailable);
    // SAFETY: null is refused.
    assert_eq!(unsafe { lockstep_create(ours, ptr::null(), ptr::null_mut()) }, lockstep_code::NullPointer);
}

#[test]
fn handles_that_are_none() {
    let gone = {
        let handle = Handle::new();
        handle.0
    };
    for handle in [gone, 0, u64::MAX] {
        assert_eq!(lockstep_destroy(handle), lockstep_code::BadHandle);
        assert_eq!(recover(handle, &zeroed()), lockstep_code::BadHandle);
        assert_eq!(keccak(handle, &zeroed()), lockstep_code::BadHandle);
        assert_eq!(execute_empty(handle, &env(&sample()), &zeroed()), lockstep_code::BadHandle);
        assert_eq!(simulate(handle, &zeroed()), lockstep_code::BadHandle);
    }
    assert_eq!(last_error(gone), "");
    assert_eq!(last_error(0), format!("handle: there is no {}, or not any more", u64::MAX), "asking leaves the text");
    let handle = Handle::new();
    assert_ne!(handle.0, gone, "no number is used twice");
}

#[test]
fn null_and_misaligned_pointers() {
    let handle = Handle::new();
    let h = handle.0;
    let null_bytes = lockstep_bytes { data: ptr::null(), len: 32 };
    let null_numbers = lockstep_u64s { data: ptr::null(), len: 2 };
    // SAFETY: null is refused wherever it stands.
    unsafe {
        assert_eq!(lockstep_recover(h, ptr::null(), &mut zeroed()), lockstep_code::NullPointer);
        assert_eq!(lockstep_recover(h, &zeroed(), ptr::null_mut()), lockstep_code::NullPointer);
        assert_eq!(lockstep_keccak256(h, ptr::null(), &mut zeroed()), lockstep_code::NullPointer);
        assert_eq!(lockstep_keccak256(h, &zeroed(), ptr::null_mut()), lockstep_code::NullPointer);
        let block = env(&sample());
        let mut results: lockstep_results = zeroed();
        let refused = [
            lockstep_execute(h, ptr::null(), &zeroed(), &zeroed(), &mut results),
            lockstep_execute(h, &block, ptr::null(), &zeroed(), &mut results),
            lockstep_execute(h, &block, &zeroed(), ptr::null(), &mut results),
            lockstep_execute(h, &block, &zeroed(), &zeroed(), ptr::null_mut()),
            lockstep_simulate(h, ptr::null(), &zeroed(), &zeroed(), &mut zeroed()),
            lockstep_simulate(h, &block, ptr::null(), &zeroed(), &mut zeroed()),
            lockstep_simulate(h, &block, &zeroed(), ptr::null(), &mut zeroed()),
            lockstep_simulate(h, &block, &zeroed(), &zeroed(), ptr::null_mut()),
            lockstep_devices(ptr::null_mut(), 0, ptr::null_mut()),
        ];
        assert_eq!(refused, [lockstep_code::NullPointer; 9]);
        // The last output is there, and the one to write to is not.
        let one = Strings::new([b"x"]);
        let mut nowhere = lockstep_out { data: ptr::null_mut(), capacity: 32, len: 0 };
        assert_eq!(lockstep_keccak256(h, &one.items(), &mut nowhere), lockstep_code::NullPointer);
        assert_eq!(nowhere.len, 32);
    }
    assert_eq!(recover(h, &lockstep_signatures { hashes: null_bytes, ..zeroed() }), lockstep_code::NullPointer);
    assert_eq!(last_error(h), "signatures.hashes: null");
    assert_eq!(keccak(h, &lockstep_items { bytes: bytes(b""), offsets: null_numbers }), lockstep_code::NullPointer);
    assert_eq!(simulate(h, &lockstep_calls { gas: null_numbers, ..zeroed() }), lockstep_code::NullPointer);
    let numbers = [0_u64; 3];
    let odd = lockstep_u64s { data: numbers.as_ptr().cast::<u8>().wrapping_add(1).cast(), len: 2 };
    assert_eq!(keccak(h, &lockstep_items { bytes: bytes(b""), offsets: odd }), lockstep_code::BadArgument);
    assert_eq!(last_error(h), "messages.offsets: not aligned to 8 bytes");
}

#[test]
fn lengths_and_offsets() {
    let handle = Handle::new();
    let h = handle.0;
    let data = [1; 64];
    let of = |len: usize| bytes(&data[..len]);
    let columns = |hashes, r, s, parities| {
        let input = lockstep_signatures { hashes, r, s, parities, ..zeroed() };
        recover(h, &input)
    };
    assert_eq!(columns(of(63), of(64), of(64), of(2)), lockstep_code::BadLength);
    assert_eq!(columns(of(64), of(32), of(64), of(2)), lockstep_code::BadLength);
    assert_eq!(last_error(0), "signatures.r: 32 where 2 items of 32 are due");
    assert_eq!(columns(of(64), of(64), of(64), of(3)), lockstep_code::BadLength);
    assert_eq!(columns(of(0), of(0), of(0), of(1)), lockstep_code::BadLength);
    let endless = lockstep_bytes { data: data.as_ptr(), len: usize::MAX };
    assert_eq!(columns(endless, of(64), of(64), of(2)), lockstep_code::BadLength);
    let raw = Strings::new([&data[..4]]);
    let both = lockstep_signatures { raw: raw.items(), hashes: of(32), ..zeroed() };
    assert_eq!(recover(h, &both), lockstep_code::BadLength);
    assert_eq!(recover(h, &lockstep_signatures { flags: 8, ..zeroed() }), lockstep_code::BadArgument);

    let offsets = |offsets: &[u64], len| keccak(h, &lockstep_items { bytes: of(len), offsets: u64s(offsets) });
    assert_eq!(offsets(&[0, 4, 8], 8), lockstep_code::Ok);
    for (wrong, len) in
        [(&[1, 4][..], 4), (&[0, 5, 4], 4), (&[0, 4], 5), (&[0, 5], 4), (&[0], 1), (&[], 1), (&[0, u64::MAX, 4], 4)]
    {
        assert_eq!(offsets(wrong, len), lockstep_code::BadOffsets, "{wrong:?}");
    }
    for len in [LOCKSTEP_MAX_ITEMS + 2, usize::MAX / 4, usize::MAX] {
        let endless = lockstep_u64s { data: [0; 2].as_ptr(), len };
        assert_eq!(keccak(h, &lockstep_items { bytes: of(0), offsets: endless }), lockstep_code::BadLength);
    }

    let empty = Strings::new([b""]);
    let call = lockstep_calls { from: of(20), to: of(20), inputs: empty.items(), ..zeroed() };
    let wrong = [
        lockstep_calls { from: of(21), ..call },
        lockstep_calls { to: of(0), ..call },
        lockstep_calls { creates: of(2), ..call },
        lockstep_calls { values: of(31), ..call },
        lockstep_calls { gas: u64s(&[1, 2]), ..call },
        lockstep_calls { inputs: zeroed(), ..call },
    ];
    for (index, call) in wrong.iter().enumerate() {
        assert_eq!(simulate(h, call), lockstep_code::BadLength, "{index}: {}", last_error(h));
    }
    assert_eq!(last_error(h), "calls.inputs.offsets: 0 offsets where 1 calls need 2");
    assert_eq!(simulate(h, &lockstep_calls { creates: bytes(&[2]), ..call }), lockstep_code::BadArgument);

    // Beyond what is held as a whole.
    let from = lockstep_bytes { data: data.as_ptr(), len: 20 * (LOCKSTEP_MAX_CALLS + 1) };
    assert_eq!(simulate(h, &lockstep_calls { from, ..call }), lockstep_code::BadLength);
    assert_eq!(last_error(h), "calls.from: 16777217 items, most are 16777216");
    let ends = vec![0; LOCKSTEP_MAX_TXS + 2];
    let transactions = lockstep_items { bytes: of(0), offsets: u64s(&ends) };
    // SAFETY: every pointer is to an array of our own, and as long as it says.
    let code = unsafe { lockstep_execute(h, &env(&sample()), &transactions, &zeroed(), &mut zeroed()) };
    assert_eq!(code, lockstep_code::BadLength);
    assert_eq!(last_error(h), "transactions: 1048577 items, most are 1048576");
}

#[test]
fn states_and_environments() {
    let handle = Handle::new();
    let h = handle.0;
    let good = env(&sample());
    let data = [1; 64];
    let of = |len: usize| bytes(&data[..len]);
    let wrong: [lockstep_state; 7] = [
        lockstep_state { addresses: of(19), ..zeroed() },
        lockstep_state { addresses: of(20), ..zeroed() },
        lockstep_state { addresses: of(20), balances: of(32), code_hashes: of(32), ..zeroed() },
        lockstep_state { nonces: u64s(&[1]), ..zeroed() },
        lockstep_state { slot_addresses: of(20), slot_keys: of(32), ..zeroed() },
        lockstep_state { slot_values: of(32), ..zeroed() },
        lockstep_state { block_numbers: u64s(&[7]), ..zeroed() },
    ];
    for (index, state) in wrong.iter().enumerate() {
        assert_eq!(execute_empty(h, &good, state), lockstep_code::BadLength, "{index}: {}", last_error(h));
    }
    for env in [
        lockstep_block_env { fork: 0, ..good },
        lockstep_block_env { fork: 16, ..good },
        lockstep_block_env { fork: u32::MAX, ..good },
        lockstep_block_env { flags: 4, ..good },
    ] {
        assert_eq!(execute_empty(h, &env, &zeroed()), lockstep_code::BadArgument);
    }
    for flags in [LOCKSTEP_BLOB_PRICE, LOCKSTEP_BLOB_PRICE | LOCKSTEP_BLOB_PARAMS] {
        let priced = lockstep_block_env { flags, ..good };
        assert_eq!(execute_empty(h, &priced, &zeroed()), lockstep_code::BadArgument);
        assert_eq!(last_error(h), "env.flags: LOCKSTEP_BLOB_PRICE is for simulations alone");
        // SAFETY: the pointers are to values of our own.
        let code = unsafe { lockstep_simulate(h, &priced, &zeroed(), &zeroed(), &mut zeroed()) };
        assert_eq!(code, lockstep_code::TooSmall, "no calls have one offset");
    }
    let env = lockstep_block_env { blob_update_fraction: 0, ..good };
    assert_eq!(execute_empty(h, &env, &zeroed()), lockstep_code::InvalidBlock, "{}", last_error(h));
    let mut results = lockstep_results { wants: 8, ..zeroed() };
    // SAFETY: the pointers are to values of our own.
    let code = unsafe { lockstep_execute(h, &good, &zeroed(), &zeroed(), &mut results) };
    assert_eq!(code, lockstep_code::BadArgument);
    let mut results = lockstep_results { token: 77, ..zeroed() };
    // SAFETY: as above.
    let code = unsafe { lockstep_execute(h, &good, &zeroed(), &zeroed(), &mut results) };
    assert_eq!((code, results.token), (lockstep_code::NoResult, 0));
}

#[test]
fn a_transaction_that_may_not_be_there_is_named() {
    let (handle, mut file) = (Handle::new(), sample());
    let flat = Flat::new(&file.state);
    file.block.transactions.remove(0);
    let expected = engine().execute_block(&file.block, &file.state).unwrap_err();
    let strings = Strings::new(&file.block.transactions);
    let mut results: lockstep_results = zeroed();
    // SAFETY: every pointer is to an array of our own, and as long as it says.
    let code = unsafe { lockstep_execute(handle.0, &env(&file), &strings.items(), &flat.state(), &mut results) };
    assert_eq!(code, lockstep_code::InvalidBlock);
    assert_eq!(Some(results.failed_tx as usize), expected.tx());
    assert_eq!((last_error(0), last_error(handle.0)), (expected.to_string(), expected.to_string()));

    // Without the codes: the fault is the state's.
    let codeless = lockstep_state { codes: zeroed(), ..flat.state() };
    let whole = sample();
    let strings = Strings::new(&whole.block.transactions);
    // SAFETY: as above.
    let code = unsafe { lockstep_execute(handle.0, &env(&whole), &strings.items(), &codeless, &mut results) };
    assert_eq!(code, lockstep_code::State, "{}", last_error(0));
}

/// What nobody fetches makes room in the end, and goes with its handle.
#[test]
fn results_that_nobody_fetches_are_bounded() {
    let handle = Handle::new();
    let good = env(&sample());
    let mut first = 0;
    for n in 0..257 {
        let mut results: lockstep_results = zeroed();
        // SAFETY: the pointers are to values of our own.
        let code = unsafe { lockstep_execute(handle.0, &good, &zeroed(), &zeroed(), &mut results) };
        assert_eq!(code, lockstep_code::TooSmall, "an empty block has one offset");
        if n == 0 {
            first = results.token;
        }
    }
    for (token, code) in [(first, lockstep_code::NoResult), (first + 1, lockstep_code::TooSmall)] {
        let mut results = lockstep_results { token, ..zeroed() };
        // SAFETY: nothing but the results is read.
        let fetched = unsafe { lockstep_execute(handle.0, ptr::null(), ptr::null(), ptr::null(), &mut results) };
        assert_eq!(fetched, code);
    }
}

/// An output that cannot be written to is named, before anything is done.
#[test]
fn outputs_are_named() {
    let (handle, file) = (Handle::new(), sample());
    let h = handle.0;
    let raw = Strings::new(&file.block.transactions);
    let count = file.block.transactions.len();
    let (mut addresses, mut statuses) = (vec![0xee; 20 * count], vec![0xee; count]);
    let nowhere = lockstep_out { data: ptr::null_mut(), capacity: usize::MAX, len: 0 };
    let input = lockstep_signatures { raw: raw.items(), ..zeroed() };
    let good = lockstep_signers { addresses: out(&mut addresses), statuses: out(&mut statuses), ..zeroed() };
    for (mut signers, code, text) in [
        (lockstep_signers { statuses: nowhere, ..good }, lockstep_code::NullPointer, "signers.statuses: null".into()),
        (
            lockstep_signers { authorities: nowhere, ..good },
            lockstep_code::TooSmall,
            format!("signers.authority_offsets: {} elements where there is room for 0", count + 1),
        ),
        (
            lockstep_signers { errors: nowhere, ..good },
            lockstep_code::TooSmall,
            format!("signers.error_offsets: {} elements where there is room for 0", count + 1),
        ),
        (
            lockstep_signers { addresses: zeroed(), ..good },
            lockstep_code::TooSmall,
            format!("signers.addresses: {} elements where there is room for 0", 20 * count),
        ),
    ] {
        // SAFETY: outputs that are wrong are refused before they are written.
        assert_eq!(unsafe { lockstep_recover(h, &input, &mut signers) }, code, "{text}");
        assert_eq!((last_error(0), last_error(h)), (text.clone(), text));
    }
    assert!(addresses.iter().chain(&statuses).all(|byte| *byte == 0xee));
    let mut hashes = [0; 32];
    // SAFETY: as above.
    let code = unsafe { lockstep_keccak256(h, &raw.items(), &mut out(&mut hashes)) };
    assert_eq!(code, lockstep_code::TooSmall);
    assert_eq!(last_error(0), format!("hashes: {} elements where there is room for 32", 32 * count));

    let mut odd = [0_u64; 2];
    let odd = odd.as_mut_ptr().cast::<u8>().wrapping_add(1).cast();
    let odd = lockstep_out_u64 { data: odd, capacity: 1, len: 0 };
    let mut results = lockstep_results { senders: nowhere, ..zeroed() };
    // SAFETY: as above; the inputs are null, and it does not come to them.
    let execute =
        |results: &mut lockstep_results| unsafe { lockstep_execute(h, ptr::null(), ptr::null(), ptr::null(), results) };
    assert_eq!(execute(&mut results), lockstep_code::NullPointer);
    assert_eq!(last_error(0), "results.senders: null");
    let mut results = lockstep_results { account_nonces: odd, wants: LOCKSTEP_WANT_CHANGES, ..zeroed() };
    assert_eq!(execute(&mut results), lockstep_code::BadArgument);
    assert_eq!(last_error(0), "results.account_nonces: not aligned to 8 bytes");
    let mut answers = lockstep_answers { outputs: nowhere, ..zeroed() };
    // SAFETY: as above.
    let code = unsafe { lockstep_simulate(h, ptr::null(), ptr::null(), ptr::null(), &mut answers) };
    assert_eq!((code, last_error(0).as_str()), (lockstep_code::NullPointer, "answers.outputs: null"));
}

/// What a strict snapshot lacks is named, one key after the other; with all of them it is as good as one that is not strict.
#[test]
fn a_strict_snapshot_names_what_it_lacks() {
    let (handle, file) = (Handle::new(), sample());
    let strings = Strings::new(&file.block.transactions);
    let mut state = file.state.clone();
    let mut absent = Vec::new();
    let execute = |state: &MemoryState, absent: &[u8]| {
        let flat = Flat::new(state);
        let input = lockstep_state { flags: LOCKSTEP_STRICT, absent: bytes(absent), ..flat.state() };
        let mut results: lockstep_results = zeroed();
        // SAFETY: every pointer is to an array of our own, and as long as it says.
        let code = unsafe { lockstep_execute(handle.0, &env(&file), &strings.items(), &input, &mut results) };
        (code, results)
    };
    let mut named = 0;
    let results = loop {
        let (code, results) = execute(&state, &absent);
        if code == lockstep_code::TooSmall {
            break results;
        }
        assert_eq!(code, lockstep_code::State, "{}", last_error(0));
        assert_ne!(results.failed_tx, LOCKSTEP_NO_TX);
        let text = last_error(0);
        let words: Vec<_> = text.split(' ').collect();
        let at = words.iter().position(|word| ["account", "slot"].contains(word)).unwrap();
        match words[at] {
            "account" => absent.extend_from_slice(words[at + 1].parse::<Address>().unwrap().as_slice()),
            _ => state.insert_slot(words[at + 3].parse().unwrap(), words[at + 1].parse().unwrap(), U256::ZERO),
        }
        named += 1;
        assert!(named < 1000, "{text}");
    };
    assert!(named > 0, "the sample pays accounts that do not exist yet");
    let expected = engine().execute_block(&file.block, &file.state).unwrap();
    assert_eq!(results.gas_used, expected.gas_used);
    assert_eq!(Some(B256::from(results.receipts_root)), expected.receipts_root);

    let twice = file.state.accounts().next().unwrap().0.to_vec();
    assert_eq!(execute(&state, &twice).0, lockstep_code::BadArgument, "there and not there");
    let nobody = Address::from_slice(&absent[..20]);
    let mut slots = state.clone();
    slots.insert_slot(nobody, U256::from(7), U256::ZERO);
    assert_eq!(execute(&slots, &absent).0, lockstep_code::TooSmall, "that slots of nobody are zero may be said");
    slots.insert_slot(nobody, U256::from(7), U256::from(1));
    assert_eq!(execute(&slots, &absent).0, lockstep_code::BadArgument);
    assert_eq!(last_error(0), format!("state.absent: {nobody} has slots that are not zero"));
    let flat = Flat::new(&state);
    let good = env(&file);
    for wrong in
        [lockstep_state { absent: bytes(&absent), ..flat.state() }, lockstep_state { flags: 2, ..flat.state() }]
    {
        assert_eq!(execute_empty(handle.0, &good, &wrong), lockstep_code::BadArgument, "{}", last_error(0));
    }
}

#[test]
fn results_can_be_discarded() {
    let handle = Handle::new();
    let good = env(&sample());
    let kept = || {
        let mut results: lockstep_results = zeroed();
        // SAFETY: the pointers are to values of our own.
        let code = unsafe { lockstep_execute(handle.0, &good, &zeroed(), &zeroed(), &mut results) };
        assert_eq!(code, lockstep_code::TooSmall);
        results.token
    };
    let (one, other) = (kept(), kept());
    assert_eq!(lockstep_discard(handle.0, one), lockstep_code::Ok);
    for (token, code) in [(one, lockstep_code::NoResult), (other, lockstep_code::TooSmall)] {
        let mut results = lockstep_results { token, ..zeroed() };
        // SAFETY: nothing but the results is read.
        let fetched = unsafe { lockstep_execute(handle.0, ptr::null(), ptr::null(), ptr::null(), &mut results) };
        assert_eq!(fetched, code);
    }
    assert_eq!(lockstep_discard(handle.0, one), lockstep_code::NoResult);
    assert_eq!(lockstep_discard(handle.0, 0), lockstep_code::NoResult);
    assert_eq!(lockstep_discard(0, other), lockstep_code::BadHandle);
}

/// A batch is worked on in parts, and nobody can tell where they meet.
#[test]
fn parts_meet() {
    let handle = Handle::new();
    let count = (1 << 16) + 3;
    // Out of range, which takes no time; the last of the first part and the first of the second are no different.
    let (words, parities) = (vec![0; 32 * count], vec![0; count]);
    let (mut addresses, mut statuses) = (vec![0xee; 20 * count], vec![0xee; count]);
    let (mut errors, mut error_offsets) = (vec![0; LOCKSTEP_MAX_ERROR * count], vec![9; count + 1]);
    let mut signers = lockstep_signers {
        addresses: out(&mut addresses),
        statuses: out(&mut statuses),
        errors: out(&mut errors),
        error_offsets: out_u64(&mut error_offsets),
        ..zeroed()
    };
    let columns = bytes(&words);
    let input = lockstep_signatures { hashes: columns, r: columns, s: columns, parities: bytes(&parities), ..zeroed() };
    // SAFETY: every pointer is to an array of our own, and as long as it says.
    assert_eq!(unsafe { lockstep_recover(handle.0, &input, &mut signers) }, lockstep_code::Ok);
    assert!(statuses.iter().all(|status| *status == lockstep_item_status::Range as u8));
    assert_eq!(
        (signers.addresses.len, signers.statuses.len, signers.authority_offsets.len),
        (20 * count, count, count + 1)
    );
    assert!(addresses.iter().all(|byte| *byte == 0));
    let texts = errors_of(&signers.errors, &signers.error_offsets);
    let expected = lockstep::recover::RecoverError::Range.to_string();
    assert_eq!(texts.len(), count);
    assert!(texts.iter().all(|text| *text == expected));
    assert_eq!(last_error(handle.0), format!("item 0: {expected}"));

    // The same bytes as raw transactions, of which none is one, in uneven lengths.
    let raws: Vec<_> = (0..count).map(|n| vec![0; n % 5]).collect();
    let strings = Strings::new(&raws);
    let input = lockstep_signatures { raw: strings.items(), ..zeroed() };
    // SAFETY: as above.
    assert_eq!(unsafe { lockstep_recover(handle.0, &input, &mut signers) }, lockstep_code::Ok);
    assert!(statuses.iter().all(|status| *status == lockstep_item_status::Malformed as u8));
    let mut hashes = vec![0; 32 * count];
    // SAFETY: as above.
    assert_eq!(unsafe { lockstep_keccak256(handle.0, &strings.items(), &mut out(&mut hashes)) }, lockstep_code::Ok);
    for (raw, hash) in raws.iter().zip(hashes.chunks(32)) {
        assert_eq!(alloy_primitives::keccak256(raw), hash);
    }
}
