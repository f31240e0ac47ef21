//! Environments and snapshots as the caller hands them over.

use crate::{
    caller::{Caller, Items, count, length},
    fault::{Fault, Outcome},
    handles::Entry,
    types::{
        LOCKSTEP_BLOB_PARAMS, LOCKSTEP_BLOB_PRICE, LOCKSTEP_STRICT, lockstep_block_env, lockstep_code, lockstep_fork,
        lockstep_state,
    },
};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use lockstep::{
    block::{BlobParams, BlockEnv},
    fork::Fork,
    memory::MemoryState,
    state::{AccountInfo, StateError, StateKey, StateRef},
};
use std::collections::HashSet;

const FORKS: [(lockstep_fork, Fork); 15] = [
    (lockstep_fork::Frontier, Fork::Frontier),
    (lockstep_fork::Homestead, Fork::Homestead),
    (lockstep_fork::Tangerine, Fork::Tangerine),
    (lockstep_fork::SpuriousDragon, Fork::SpuriousDragon),
    (lockstep_fork::Byzantium, Fork::Byzantium),
    (lockstep_fork::Petersburg, Fork::Petersburg),
    (lockstep_fork::Istanbul, Fork::Istanbul),
    (lockstep_fork::Berlin, Fork::Berlin),
    (lockstep_fork::London, Fork::London),
    (lockstep_fork::Merge, Fork::Merge),
    (lockstep_fork::Shanghai, Fork::Shanghai),
    (lockstep_fork::Cancun, Fork::Cancun),
    (lockstep_fork::Prague, Fork::Prague),
    (lockstep_fork::Osaka, Fork::Osaka),
    (lockstep_fork::Amsterdam, Fork::Amsterdam),
];

pub(crate) fn env(env: &lockstep_block_env) -> Outcome<BlockEnv> {
    let wrong = |field, reason: &str| Fault::of(lockstep_code::BadArgument, field, reason);
    let fork = FORKS.iter().find(|(number, _)| *number as u32 == env.fork);
    let fork = fork.ok_or_else(|| wrong("env.fork", "no lockstep_fork"))?.1;
    if env.flags & !(LOCKSTEP_BLOB_PARAMS | LOCKSTEP_BLOB_PRICE) != 0 {
        return Err(wrong("env.flags", "an unknown flag"));
    }
    let given = BlobParams { target: env.blob_target, max: env.blob_max, update_fraction: env.blob_update_fraction };
    let blob_params = if env.flags & LOCKSTEP_BLOB_PARAMS == 0 { BlobParams::of(fork) } else { Some(given) };
    let blob_price = (env.flags & LOCKSTEP_BLOB_PRICE != 0).then(|| u128::from_be_bytes(env.blob_price));
    Ok(BlockEnv {
        chain_id: env.chain_id,
        fork,
        number: env.number,
        timestamp: env.timestamp,
        beneficiary: env.beneficiary.into(),
        gas_limit: env.gas_limit,
        base_fee: env.base_fee,
        difficulty: U256::from_be_bytes(env.difficulty),
        prevrandao: env.prevrandao.into(),
        excess_blob_gas: env.excess_blob_gas,
        blob_params,
        blob_price,
    })
}

/// A snapshot, and whether it is all that is known.
pub(crate) struct Snapshot {
    known: MemoryState,
    /// With LOCKSTEP_STRICT: accounts that do not exist, and the keys of slots that are zero, which no lookup tells from absent ones.
    strict: Option<Strict>,
}

#[derive(Default)]
struct Strict {
    absent: HashSet<Address>,
    zeros: HashSet<(Address, U256)>,
}

impl StateRef for Snapshot {
    fn account(&self, address: &Address) -> Result<Option<AccountInfo>, StateError> {
        match (self.known.account(address)?, &self.strict) {
            (None, Some(strict)) if !strict.absent.contains(address) => {
                Err(StateError(format!("account {address} is not in the snapshot")))
            }
            (found, _) => Ok(found),
        }
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        let value = self.known.storage(address, slot)?;
        match &self.strict {
            Some(Strict { absent, zeros })
                if value.is_zero() && !zeros.contains(&(*address, *slot)) && !absent.contains(address) =>
            {
                Err(StateError(format!("slot {slot:#x} of {address} is not in the snapshot")))
            }
            _ => Ok(value),
        }
    }

    fn code(&self, code_hash: &B256) -> Result<Bytes, StateError> {
        self.known.code(code_hash)
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.known.block_hash(number)
    }

    fn hints(&self) -> Vec<StateKey> {
        self.known.hints()
    }
}

/// The snapshot, copied: what runs on it may keep its codes.
pub(crate) fn state(entry: &Entry, caller: Caller, input: &lockstep_state) -> Outcome<Snapshot> {
    let mut state = MemoryState::default();
    insert_codes(entry, &mut state, caller.items(&input.codes, "state.codes")?);

    let addresses = caller.bytes(&input.addresses, "state.addresses")?;
    let balances = caller.bytes(&input.balances, "state.balances")?;
    let nonces = caller.u64s(&input.nonces, "state.nonces")?;
    let code_hashes = caller.bytes(&input.code_hashes, "state.code_hashes")?;
    let accounts = count(addresses.len(), 20, "state.addresses")?;
    length(balances.len(), accounts, 32, "state.balances")?;
    length(nonces.len(), accounts, 1, "state.nonces")?;
    length(code_hashes.len(), accounts, 32, "state.code_hashes")?;
    let columns =
        addresses.chunks_exact(20).zip(balances.chunks_exact(32)).zip(nonces).zip(code_hashes.chunks_exact(32));
    for (((address, balance), nonce), code_hash) in columns {
        let code_hash = match B256::from_slice(code_hash) {
            B256::ZERO => KECCAK256_EMPTY,
            hash => hash,
        };
        let info = AccountInfo { balance: U256::from_be_slice(balance), nonce: *nonce, code_hash };
        state.insert_account(Address::from_slice(address), info);
    }

    let owners = caller.bytes(&input.slot_addresses, "state.slot_addresses")?;
    let keys = caller.bytes(&input.slot_keys, "state.slot_keys")?;
    let values = caller.bytes(&input.slot_values, "state.slot_values")?;
    let slots = count(owners.len(), 20, "state.slot_addresses")?;
    length(keys.len(), slots, 32, "state.slot_keys")?;
    length(values.len(), slots, 32, "state.slot_values")?;
    for ((owner, key), value) in owners.chunks_exact(20).zip(keys.chunks_exact(32)).zip(values.chunks_exact(32)) {
        state.insert_slot(Address::from_slice(owner), U256::from_be_slice(key), U256::from_be_slice(value));
    }

    let numbers = caller.u64s(&input.block_numbers, "state.block_numbers")?;
    let hashes = caller.bytes(&input.block_hashes, "state.block_hashes")?;
    length(hashes.len(), numbers.len(), 32, "state.block_hashes")?;
    for (number, hash) in numbers.iter().zip(hashes.chunks_exact(32)) {
        state.insert_block_hash(*number, B256::from_slice(hash));
    }
    let strict = strict(caller, input, &state)?;
    Ok(Snapshot { known: state, strict })
}

fn strict(caller: Caller, input: &lockstep_state, state: &MemoryState) -> Outcome<Option<Strict>> {
    let wrong = |field, reason: String| Err(Fault::of(lockstep_code::BadArgument, field, reason));
    if input.flags & !LOCKSTEP_STRICT != 0 {
        return wrong("state.flags", "an unknown flag".into());
    }
    let absent = caller.bytes(&input.absent, "state.absent")?;
    count(absent.len(), 20, "state.absent")?;
    if input.flags & LOCKSTEP_STRICT == 0 {
        return if absent.is_empty() { Ok(None) } else { wrong("state.absent", "without LOCKSTEP_STRICT".into()) };
    }
    let absent: HashSet<_> = absent.chunks_exact(20).map(Address::from_slice).collect();
    if let Some((address, _)) = state.accounts().find(|(address, _)| absent.contains(*address)) {
        return wrong("state.absent", format!("{address} is among state.addresses as well"));
    }
    let full = state.slots().find(|(address, _, value)| !value.is_zero() && absent.contains(*address));
    if let Some((address, ..)) = full {
        return wrong("state.absent", format!("{address} has slots that are not zero"));
    }
    let zeros = state.slots().filter(|(_, _, value)| value.is_zero()).map(|(address, slot, _)| (*address, *slot));
    Ok(Some(Strict { absent, zeros: zeros.collect() }))
}

/// A code is known by its hash in all of the engine, so the hash is ours. It may be kept for long, so its memory is its own.
fn insert_codes(entry: &Entry, state: &mut MemoryState, codes: Items<'_>) {
    let hashes = entry.engine.keccak256(&codes.iter().collect::<Vec<_>>());
    for (hash, code) in hashes.into_iter().zip(codes.iter()) {
        state.insert_code(hash, Bytes::copy_from_slice(code));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_fork_is_missing_and_none_is_zero() {
        assert!(FORKS.iter().map(|(_, fork)| fork).eq(Fork::ALL));
        assert!(FORKS.iter().all(|(number, _)| *number as u32 != 0));
    }
}
