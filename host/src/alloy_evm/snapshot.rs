//! A database that all threads may read at once, while nobody writes to it: what a device's host threads want.

use crate::{
    evm::account_and_code,
    state::{AccountInfo, StateError, StateRef},
};
use alloy_evm::revm::{
    DatabaseRef,
    database::{BundleState, CacheState, State, states::block_hash_cache::BlockHashCache},
    state::AccountInfo as RevmAccountInfo,
};
use alloy_primitives::{Address, B256, Bytes, U256, map::B256Map};
use std::{
    fmt,
    sync::{PoisonError, RwLock},
};

/// What [`LockstepBlockExecutor::execute_block_on_snapshot`] asks of a database: that it can be read as it is now through a shared reference.
/// revm's [`State`] is one over any [`DatabaseRef`] that is `Sync`, without what a list of block accesses (EIP-7928) says.
///
/// [`LockstepBlockExecutor::execute_block_on_snapshot`]: super::LockstepBlockExecutor::execute_block_on_snapshot
pub trait Snapshot {
    /// The state as it is now, with everything that has been committed.
    fn snapshot(&self) -> impl StateRef + '_;
}

impl<S: Snapshot + ?Sized> Snapshot for &mut S {
    fn snapshot(&self) -> impl StateRef + '_ {
        (**self).snapshot()
    }
}

// Not by way of `State`'s own `DatabaseRef`: its hook is not `Sync`, and a code that was created since is only with its account.
impl<D: DatabaseRef + Sync> Snapshot for State<D> {
    fn snapshot(&self) -> impl StateRef + '_ {
        OfState {
            cache: &self.cache,
            bundle: self.use_preloaded_bundle.then_some(&self.bundle_state),
            block_hashes: &self.block_hashes,
            database: &self.database,
            created: RwLock::default(),
        }
    }
}

/// What `State` looks at, in this order.
struct OfState<'a, D> {
    cache: &'a CacheState,
    bundle: Option<&'a BundleState>,
    block_hashes: &'a BlockHashCache,
    database: &'a D,
    /// Codes that came with their accounts.
    created: RwLock<B256Map<Bytes>>,
}

fn error(key: impl fmt::Display) -> impl FnOnce(&dyn fmt::Display) -> StateError {
    move |cause| StateError(format!("{key}: {cause}"))
}

impl<D: DatabaseRef> OfState<'_, D> {
    fn info(&self, address: &Address) -> Result<Option<RevmAccountInfo>, StateError> {
        if let Some(account) = self.cache.accounts.get(address) {
            return Ok(account.account_info());
        }
        if let Some(account) = self.bundle.and_then(|bundle| bundle.account(address)) {
            return Ok(account.account_info());
        }
        self.database.basic_ref(*address).map_err(|cause| error(format_args!("account {address}"))(&cause))
    }
}

impl<D: DatabaseRef + Sync> StateRef for OfState<'_, D> {
    fn account(&self, address: &Address) -> Result<Option<AccountInfo>, StateError> {
        let Some(info) = self.info(address)? else { return Ok(None) };
        let (info, code) = account_and_code(info);
        if let Some(code) = code.filter(|_| info.has_code()) {
            self.created.write().unwrap_or_else(PoisonError::into_inner).entry(info.code_hash).or_insert(code);
        }
        Ok(Some(info))
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        let cached = self.cache.accounts.get(address).map(|account| (account.account.as_ref(), account.status));
        if let Some((account, status)) = cached {
            let Some(account) = account else { return Ok(U256::ZERO) };
            match account.storage.get(slot) {
                Some(value) => return Ok(*value),
                None if status.is_storage_known() => return Ok(U256::ZERO),
                None => {}
            }
        } else if let Some(account) = self.bundle.and_then(|bundle| bundle.account(address))
            && let Some(value) = account.storage_slot(*slot)
        {
            return Ok(value);
        }
        self.database
            .storage_ref(*address, *slot)
            .map_err(|cause| error(format_args!("slot {slot:#x} of {address}"))(&cause))
    }

    fn code(&self, code_hash: &B256) -> Result<Bytes, StateError> {
        if let Some(code) = self.created.read().unwrap_or_else(PoisonError::into_inner).get(code_hash) {
            return Ok(code.clone());
        }
        let held = self.cache.contracts.get(code_hash);
        let held = held.or_else(|| self.bundle.and_then(|bundle| bundle.contracts.get(code_hash)));
        match held {
            Some(code) => Ok(code.original_bytes()),
            None => {
                let code = self.database.code_by_hash_ref(*code_hash);
                code.map(|code| code.original_bytes()).map_err(|cause| error(format_args!("code {code_hash}"))(&cause))
            }
        }
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        if let Some(hash) = self.block_hashes.get(number) {
            return Ok(hash);
        }
        self.database.block_hash_ref(number).map_err(|cause| error(format_args!("hash of block {number}"))(&cause))
    }
}
