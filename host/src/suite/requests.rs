//! What a client does around a block's transactions: system calls before and after, requests to the consensus layer, withdrawals.

use super::{
    header::{Header, undecodable},
    world::World,
};
use crate::{
    block::BlockEnv,
    error::Invalid,
    evm::{sha256, system_call},
    fork::Fork,
    outcome::{Log, TxOutcome, TxStatus},
    state::StateRef,
};
use alloy_eips::{
    eip2935::HISTORY_STORAGE_ADDRESS,
    eip4788::BEACON_ROOTS_ADDRESS,
    eip6110::{DEPOSIT_REQUEST_TYPE, MAINNET_DEPOSIT_CONTRACT_ADDRESS},
    eip7002::{WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_TYPE},
    eip7251::{CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_TYPE},
};
use alloy_primitives::{Address, B256, Bytes, U256, b256};
use alloy_rlp::{Decodable, Header as RlpHeader};

/// Topic of the deposit contract's event (EIP-6110).
const DEPOSIT_EVENT: B256 = b256!("649bbc62d0e31342afea4e5cd82d4049e7e1ee912fc0889aa790803be39038c5");

/// Fields of the deposit event: where in the data the length stands, before the field itself, and what it is (EIP-6110).
const DEPOSIT_FIELDS: [(usize, usize); 5] = [(160, 48), (256, 32), (320, 8), (384, 96), (512, 8)];

/// Length of the deposit event's data.
const DEPOSIT_DATA: usize = 576;

/// Wei of a gwei, in which withdrawals are counted.
const GWEI: u64 = 1_000_000_000;

/// A payment of the consensus layer (EIP-4895).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Withdrawal {
    address: Address,
    gwei: u64,
}

impl Withdrawal {
    /// Decodes [index, validator, address, amount].
    pub(super) fn decode(mut item: &[u8]) -> Result<Self, Invalid> {
        let error = undecodable("withdrawals");
        let mut fields = RlpHeader::decode_bytes(&mut item, true).map_err(&error)?;
        let rest = &mut fields;
        let (_index, _validator) = (u64::decode(rest).map_err(&error)?, u64::decode(rest).map_err(&error)?);
        let (address, gwei) = (Decodable::decode(rest).map_err(&error)?, u64::decode(rest).map_err(&error)?);
        if rest.is_empty() && item.is_empty() {
            Ok(Self { address, gwei })
        } else {
            Err(Invalid::new("withdrawals", "more fields than four"))
        }
    }

    /// Pays.
    pub(super) fn apply(&self, world: &mut World) {
        world.credit(self.address, U256::from(self.gwei) * U256::from(GWEI));
    }
}

/// Before the transactions: the parent's beacon root (EIP-4788) and hash (EIP-2935). Whether the contracts succeed does not matter.
pub(super) fn before(env: &BlockEnv, header: &Header, world: &mut World) -> Result<(), Invalid> {
    if let Some(root) = header.parent_beacon_root.filter(|_| env.fork >= Fork::Cancun) {
        call(env, world, BEACON_ROOTS_ADDRESS, root.into())?;
    }
    if env.fork >= Fork::Prague {
        call(env, world, HISTORY_STORAGE_ADDRESS, header.parent_hash.into())?;
    }
    Ok(())
}

/// After the transactions, from Prague on: the hash of all requests (EIP-7685), deposits from `logs`, the others from their contracts.
///
/// # Errors
/// The block is invalid: a deposit event that is none, or a contract that is not there or does not succeed.
pub(super) fn after(env: &BlockEnv, logs: &[Log], world: &mut World) -> Result<B256, Invalid> {
    let mut hashes = Vec::new();
    let mut add = |request_type: u8, requests: &[u8]| {
        if !requests.is_empty() {
            hashes.extend_from_slice(sha256(&[&[request_type], requests].concat()).as_slice());
        }
    };
    add(DEPOSIT_REQUEST_TYPE, &deposits(logs)?);
    for (contract, request_type) in [
        (WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_TYPE),
        (CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_TYPE),
    ] {
        let there = world.account(&contract).is_ok_and(|info| info.is_some_and(|info| info.has_code()));
        if !there {
            return Err(Invalid::new("requestsHash", format!("no code at {contract}")));
        }
        let outcome = call(env, world, contract, Bytes::new())?;
        if outcome.status != TxStatus::Success {
            return Err(Invalid::new("requestsHash", format!("{contract} ends in {:?}", outcome.status)));
        }
        add(request_type, &outcome.output);
    }
    Ok(sha256(&hashes))
}

fn call(env: &BlockEnv, world: &mut World, contract: Address, input: Bytes) -> Result<TxOutcome, Invalid> {
    let outcome = system_call(env, world, contract, input)
        .map_err(|error| Invalid::new("system call", format!("{contract}: {error}")))?;
    world.apply(&outcome);
    Ok(outcome)
}

/// The deposits that the logs tell of, one after the other.
fn deposits(logs: &[Log]) -> Result<Vec<u8>, Invalid> {
    let mut requests = Vec::new();
    for log in logs {
        if log.address == MAINNET_DEPOSIT_CONTRACT_ADDRESS && log.topics.first() == Some(&DEPOSIT_EVENT) {
            let deposit = deposit(&log.data);
            requests.extend(deposit.ok_or_else(|| Invalid::new("requestsHash", "a deposit event of another layout"))?);
        }
    }
    Ok(requests)
}

/// The fields of one event, if its data have the one layout that the contract gives them.
fn deposit(data: &[u8]) -> Option<Vec<u8>> {
    if data.len() != DEPOSIT_DATA {
        return None;
    }
    let word = |at: usize| U256::from_be_slice(&data[at..at + 32]);
    let mut fields = Vec::new();
    for (index, (at, len)) in DEPOSIT_FIELDS.into_iter().enumerate() {
        if word(32 * index) != U256::from(at) || word(at) != U256::from(len) {
            return None;
        }
        fields.extend_from_slice(&data[at + 32..at + 32 + len]);
    }
    Some(fields)
}
