//! Right inputs: the answers are the engine's own.

use super::*;
use crate::{execute::*, hash::*, recover::*};
use alloy_primitives::{Bytes, KECCAK256_EMPTY, keccak256};
use lockstep::{
    commit::Committed,
    outcome::TxStatus,
    recover::sender_request,
    signers::SignerRequest,
    state::{AccountInfo, StateKey, StateRef},
};

/// The sample's transactions, and bad ones among them.
fn raws() -> Vec<Bytes> {
    let mut raws = sample().block.transactions;
    raws[3] = Bytes::new();
    raws[5] = raws[5].slice(..raws[5].len() - 1);
    let mut bytes = raws[7].to_vec();
    let end = bytes.len();
    bytes[end - 32..].fill(0xff);
    raws[7] = bytes.into();
    raws
}

#[test]
fn raw_transactions_have_the_engines_signers() {
    let (handle, raws) = (Handle::new(), raws());
    let strings = Strings::new(&raws);
    let input = lockstep_signatures { raw: strings.items(), flags: LOCKSTEP_LOW_S, ..zeroed() };
    let (mut addresses, mut statuses) = (vec![0xee; 20 * raws.len()], vec![0; raws.len()]);
    let most = strings.bytes.len() / 27;
    let (mut authorities, mut authority_statuses, mut offsets) =
        (vec![0xee; 20 * most], vec![0; most], vec![9; raws.len() + 1]);
    let (mut errors, mut error_offsets) = (vec![0xee; 3 * LOCKSTEP_MAX_ERROR], vec![9; raws.len() + 1]);
    let mut signers = lockstep_signers {
        addresses: out(&mut addresses),
        statuses: out(&mut statuses),
        authority_offsets: out_u64(&mut offsets),
        authorities: out(&mut authorities),
        authority_statuses: out(&mut authority_statuses),
        errors: out(&mut errors),
        error_offsets: out_u64(&mut error_offsets),
    };
    // SAFETY: every pointer is to an array of our own, and as long as it says.
    assert_eq!(unsafe { lockstep_recover(handle.0, &input, &mut signers) }, lockstep_code::Ok, "{}", last_error(0));
    assert!(last_error(0).starts_with("item 3: raw: "), "{}", last_error(0));
    assert_eq!(last_error(handle.0), last_error(0), "by handle as well");
    let errors = errors_of(&signers.errors, &signers.error_offsets);

    let items: Vec<_> = raws.into_iter().map(|bytes| SignerRequest::Raw { bytes, low_s: true }).collect();
    let mut tuples = 0;
    for (index, expected) in engine().recover_signers(&items).into_iter().enumerate() {
        let (found, status) = (address(index, &addresses), statuses[index]);
        let own = offsets[index] as usize..offsets[index + 1] as usize;
        match expected {
            Ok(expected) => {
                assert_eq!(errors[index], "");
                assert_eq!((found, status), (expected.signer, lockstep_item_status::Ok as u8), "{index}");
                let found: Vec<_> =
                    own.map(|at| (authority_statuses[at] == 1).then(|| address(at, &authorities))).collect();
                assert_eq!(found, expected.authorities, "{index}");
                tuples += found.len();
            }
            Err(error) => {
                assert_eq!(errors[index], error.to_string());
                let expected = if index == 7 { lockstep_item_status::Range } else { lockstep_item_status::Malformed };
                assert_eq!((found, status), (Address::ZERO, expected as u8), "{index}");
                assert!(own.is_empty());
            }
        }
    }
    assert_eq!(statuses.iter().filter(|status| **status != 1).count(), 3);
    assert_eq!((signers.authorities.len, signers.authority_statuses.len), (20 * tuples, tuples));
    assert!(tuples > 0, "the sample has EIP-7702 tuples");

    // What shows only while the work is done: the rest is right all the same.
    let whole = (statuses.clone(), errors.len());
    for (authorities, errors, name) in
        [(20 * tuples - 1, 3 * LOCKSTEP_MAX_ERROR, "authorities"), (20 * most, 1, "errors")]
    {
        statuses.fill(0);
        signers.statuses = out(&mut statuses);
        (signers.authorities.capacity, signers.errors.capacity) = (authorities, errors);
        // SAFETY: as above.
        assert_eq!(unsafe { lockstep_recover(handle.0, &input, &mut signers) }, lockstep_code::TooSmall);
        assert!(last_error(0).starts_with(&format!("signers.{name}: ")), "{}", last_error(0));
        assert_eq!((&statuses, signers.error_offsets.len - 1), (&whole.0, whole.1));
        assert_eq!((signers.authorities.len, signers.authority_offsets.len), (20 * tuples, whole.1 + 1));
    }
}

#[test]
fn columns_have_the_engines_signers() {
    let handle = Handle::new();
    let engine = engine();
    let file = sample();
    let output = engine.execute_block(&file.block, &file.state).unwrap();
    let mut requests: Vec<_> =
        output.transactions.iter().map(|tx| sender_request(tx, lockstep::fork::Fork::Osaka)).collect();
    requests[1].r = U256::ZERO;
    requests[2].recovery_id = 7;
    requests[4].s = lockstep::recover::ORDER - requests[4].s;
    requests[6].r = U256::from(5);
    let column = |value: &dyn Fn(usize) -> B256| (0..requests.len()).flat_map(value).collect::<Vec<u8>>();
    let hashes = column(&|index| requests[index].hash);
    let r = column(&|index| requests[index].r.into());
    let s = column(&|index| requests[index].s.into());
    let parities: Vec<_> = requests.iter().map(|request| request.recovery_id).collect();
    for (count, flags) in [(0, 0), (1, LOCKSTEP_LOW_S), (9, 0), (requests.len(), LOCKSTEP_LOW_S)] {
        let input = lockstep_signatures {
            hashes: bytes(&hashes[..32 * count]),
            r: bytes(&r[..32 * count]),
            s: bytes(&s[..32 * count]),
            parities: bytes(&parities[..count]),
            flags,
            ..zeroed()
        };
        let (mut addresses, mut statuses) = (vec![0xee; 20 * count], vec![0; count]);
        let mut signers = lockstep_signers { addresses: out(&mut addresses), statuses: out(&mut statuses), ..zeroed() };
        // SAFETY: every pointer is to an array of our own, and as long as it says.
        assert_eq!(unsafe { lockstep_recover(handle.0, &input, &mut signers) }, lockstep_code::Ok);
        let mut expected = requests[..count].to_vec();
        expected.iter_mut().for_each(|request| request.low_s = flags != 0);
        for (index, expected) in engine.recover(&expected).into_iter().enumerate() {
            assert_eq!(statuses[index] == 1, expected.is_ok(), "{index}");
            assert_eq!(address(index, &addresses), expected.unwrap_or_default(), "{index}");
        }
        if count == requests.len() {
            assert_eq!(statuses[..7], [1, 3, 3, 1, 4, 1, 5]);
        }
    }
}

#[test]
fn hashes_are_the_engines() {
    let handle = Handle::new();
    let messages: Vec<_> = (0..300).map(|n| vec![n as u8; 3 * n]).collect();
    let strings = Strings::new(&messages);
    let mut hashes = vec![0; 32 * messages.len()];
    let mut room = out(&mut hashes);
    // SAFETY: every pointer is to an array of our own, and as long as it says.
    assert_eq!(unsafe { lockstep_keccak256(handle.0, &strings.items(), &mut room) }, lockstep_code::Ok);
    for (message, hash) in messages.iter().zip(hashes.chunks(32)) {
        assert_eq!(keccak256(message), hash);
    }
}

/// In two calls: one to know how much room it takes, and one to fetch.
#[test]
fn a_block_has_the_engines_results() {
    let (handle, file) = (Handle::new(), sample());
    let expected = engine().execute_block(&file.block, &file.state).unwrap();
    let (flat, strings) = (Flat::new(&file.state), Strings::new(&file.block.transactions));
    let wants = LOCKSTEP_WANT_OUTPUTS | LOCKSTEP_WANT_LOGS | LOCKSTEP_WANT_CHANGES;
    let mut results = lockstep_results { wants, ..zeroed() };
    let execute = |results: &mut lockstep_results| {
        // SAFETY: every pointer is to an array of our own, and as long as it says.
        unsafe { lockstep_execute(handle.0, &env(&file), &strings.items(), &flat.state(), results) }
    };
    assert_eq!(execute(&mut results), lockstep_code::TooSmall, "{}", last_error(0));
    let token = results.token;
    assert_ne!(token, 0);
    let room = Room::make(&mut results);
    // SAFETY: nothing but the results is read, and their room is as large as it says.
    let fetch = |results: &mut lockstep_results| unsafe {
        lockstep_execute(handle.0, ptr::null(), ptr::null(), ptr::null(), results)
    };
    assert_eq!(fetch(&mut results), lockstep_code::Ok, "{}", last_error(0));
    let mut again = lockstep_results { token, ..results };
    assert_eq!(fetch(&mut again), lockstep_code::NoResult, "fetched once");
    compare(&results, &expected);
    changes_are_those_of(&results, &file.state, &expected);

    // With room at once it is the same, and with one element too few nothing is written.
    let mut once = results;
    let whole = Room::make(&mut once);
    assert_eq!(execute(&mut once), lockstep_code::Ok);
    assert_eq!((&whole.bytes, &whole.numbers), (&room.bytes, &room.numbers));
    assert_eq!(once.token, 0);
    let untouched = Room::make(&mut once);
    once.codes.capacity -= 1;
    assert_eq!(execute(&mut once), lockstep_code::TooSmall);
    assert!(untouched.bytes.iter().flatten().all(|byte| *byte == 0xee));
}

fn compare(results: &lockstep_results, expected: &lockstep::engine::BlockOutput) {
    assert_eq!(results.gas_used, expected.gas_used);
    assert_eq!(results.has_receipts_root, 1);
    assert_eq!(Some(B256::from(results.receipts_root)), expected.receipts_root);
    assert_eq!(B256::from(results.transactions_root), expected.transactions_root);
    assert_eq!(results.logs_bloom, expected.logs_bloom);
    assert_eq!(results.failed_tx, LOCKSTEP_NO_TX);
    let (log_offsets, output_offsets) = (written_u64(&results.log_offsets), written_u64(&results.output_offsets));
    let (topics, data) = (written_u64(&results.log_topic_offsets), written_u64(&results.log_data_offsets));
    assert_eq!(written(&results.statuses).len(), expected.outcomes.len());
    for (tx, outcome) in expected.outcomes.iter().enumerate() {
        let status = match outcome.status {
            TxStatus::Success => lockstep_tx_status::Success,
            TxStatus::Revert => lockstep_tx_status::Revert,
            TxStatus::Halt => lockstep_tx_status::Halt,
        };
        assert_eq!(written(&results.statuses)[tx], status as u8);
        assert_eq!(address(tx, written(&results.senders)), expected.senders[tx]);
        assert_eq!(B256::from(word(tx, written(&results.tx_hashes))), expected.transactions[tx].hash);
        assert_eq!(written_u64(&results.tx_gas_used)[tx], outcome.gas_used);
        assert_eq!(written_u64(&results.cumulative_gas_used)[tx], expected.receipts[tx].cumulative_gas_used);
        let contract = outcome.contract_address.unwrap_or_default();
        assert_eq!(address(tx, written(&results.contract_addresses)), contract);
        let output = output_offsets[tx] as usize..output_offsets[tx + 1] as usize;
        assert_eq!(written(&results.outputs)[output], *outcome.output);
        let logs = log_offsets[tx] as usize..log_offsets[tx + 1] as usize;
        assert_eq!(logs.len(), outcome.logs.len());
        for (log, expected) in logs.zip(&outcome.logs) {
            assert_eq!(address(log, written(&results.log_addresses)), expected.address);
            let own = topics[log] as usize..topics[log + 1] as usize;
            let own: Vec<_> = own.map(|topic| B256::from(word(topic, written(&results.log_topics)))).collect();
            assert_eq!(own, expected.topics);
            assert_eq!(written(&results.log_data)[data[log] as usize..data[log + 1] as usize], *expected.data);
        }
    }
}

/// The changes make of the state before what `Committed` makes of it.
fn changes_are_those_of(results: &lockstep_results, before: &MemoryState, expected: &lockstep::engine::BlockOutput) {
    let mut committed = Committed::new(before);
    expected.outcomes.iter().for_each(|outcome| committed.commit(outcome));
    let (accounts, kinds) = (written(&results.account_addresses), written(&results.account_changes));
    let owners: Vec<_> = (0..kinds.len()).map(|at| address(at, accounts)).collect();
    assert!(owners.is_sorted());
    let slot_owners = written(&results.slot_addresses);
    let slots: std::collections::HashMap<_, _> = (0..slot_owners.len() / 20)
        .map(|at| {
            let key = (address(at, slot_owners), word(at, written(&results.slot_keys)));
            (key, word(at, written(&results.slot_values)))
        })
        .collect();
    let mut listed = 0;
    for key in committed.own_keys() {
        match key {
            StateKey::Account(owner) => {
                let after = committed.account(&owner).unwrap();
                let Ok(at) = owners.binary_search(&owner) else {
                    assert_eq!(after, before.account(&owner).unwrap(), "{owner} is not listed");
                    continue;
                };
                listed += 1;
                let found = AccountInfo {
                    balance: word(at, written(&results.account_balances)),
                    nonce: written_u64(&results.account_nonces)[at],
                    code_hash: word(at, written(&results.account_code_hashes)).into(),
                };
                assert_eq!((kinds[at] != lockstep_account_change::Removed as u8).then_some(found), after);
            }
            StateKey::Slot(owner, slot) => {
                let after = committed.storage(&owner, &slot).unwrap();
                let replaced = owners.binary_search(&owner).is_ok_and(|at| kinds[at] != 1);
                let otherwise = if replaced { U256::ZERO } else { before.storage(&owner, &slot).unwrap() };
                assert_eq!(slots.get(&(owner, slot)).copied().unwrap_or(otherwise), after, "{owner} {slot}");
            }
            StateKey::BlockHash(_) => {}
        }
    }
    assert_eq!(listed, owners.len());
    assert!(!slots.is_empty());
    let (codes, offsets) = (written(&results.codes), written_u64(&results.code_offsets));
    assert!(offsets.len() > 1, "the sample creates");
    for (at, ends) in offsets.windows(2).enumerate() {
        let code = &codes[ends[0] as usize..ends[1] as usize];
        assert_eq!(B256::from(word(at, written(&results.code_hashes))), keccak256(code));
    }
    assert_ne!(KECCAK256_EMPTY, B256::ZERO);
}

#[test]
fn devices_begin_with_the_cpu() {
    let mut count = 0;
    // SAFETY: no device is written where there is no room.
    assert_eq!(unsafe { lockstep_devices(ptr::null_mut(), 0, &mut count) }, lockstep_code::TooSmall);
    let mut devices = vec![zeroed::<lockstep_device>(); count];
    // SAFETY: there is room for as many as are said.
    assert_eq!(unsafe { lockstep_devices(devices.as_mut_ptr(), count, &mut count) }, lockstep_code::Ok);
    let text = |text: &[std::ffi::c_char]| text.iter().map(|byte| *byte as u8 as char).collect::<String>();
    assert_eq!(devices[0].backend, lockstep_backend::Cpu as u32);
    assert!(text(&devices[0].name).starts_with("revm and "));
    assert_eq!(text(&devices[0].kind).trim_end_matches('\0'), "cpu");
    assert!(devices[1..].iter().all(|device| device.backend == lockstep_backend::Wgpu as u32));
}
