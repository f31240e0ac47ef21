//! EIP-7702: what a transaction's authorization list does to accounts before its call. It stands whatever becomes of the call.

use crate::{
    plan::delegate_of,
    recover::{authority_request, recover_one},
    state::{AccountInfo, StateError, StateRef},
    tx::{Authorization, Transaction},
};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};

/// Refund for an authority that exists: `PER_EMPTY_ACCOUNT_COST` less `PER_AUTH_BASE_COST`.
const REFUND: u64 = 12_500;

/// An account that a tuple names and recovers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Whose; warm from now on, even if none of its tuples was good.
    pub address: Address,
    /// Its nonce when the list is through.
    pub nonce: u64,
    /// How far the list has raised that.
    pub raised: u32,
    /// The code that its last good tuple has set, with the hash: a designator, or nothing where it was cleared.
    pub code: Option<(B256, Bytes)>,
}

/// What the list of a transaction does, every authority once. Of other types than SetCode: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delegations {
    /// In order of their first tuple.
    pub authorities: Vec<Authority>,
    /// Gas, in the same refund counter as the call's.
    pub refund: u64,
}

/// The designator that makes an account run the code of `address`; nothing for the zero address.
fn designator(address: &Address) -> (B256, Bytes) {
    if address.is_zero() {
        return (KECCAK256_EMPTY, Bytes::new());
    }
    let code = Bytes::from([[0xef, 0x01, 0x00].as_slice(), address.as_slice()].concat());
    (keccak256(&code), code)
}

/// The signer of a tuple: recovered beside the senders in a block, by itself in a transaction that comes alone.
pub fn authority_of(authorization: &Authorization) -> Option<Address> {
    let alone = || authority_request(authorization).and_then(|request| recover_one(&request).ok());
    authorization.authority.unwrap_or_else(alone)
}

impl Delegations {
    /// Applies the list of a transaction that stands on `state`, with the nonce that its sender has there: tuple by tuple, as the EIP has it.
    ///
    /// # Errors
    /// The state could not be read.
    pub fn of(tx: &Transaction, sender: &Address, chain_id: u64, state: &dyn StateRef) -> Result<Self, StateError> {
        let mut list = Self::default();
        for tuple in &tx.authorizations {
            let ours = tuple.chain_id.is_zero() || tuple.chain_id == U256::from(chain_id);
            if !ours || tuple.nonce == u64::MAX {
                continue;
            }
            let Some(address) = authority_of(tuple) else { continue };
            let info = state.account(&address)?;
            let place = list.place(address, || match info {
                // Raised before the list is applied.
                _ if address == *sender => tx.nonce.wrapping_add(1),
                info => info.unwrap_or_default().nonce,
            });
            let authority = &mut list.authorities[place];
            // What a tuple before has set is empty or a designator.
            let held = info.filter(|info| info.has_code() && authority.code.is_none());
            if let Some(info) = held
                && delegate_of(&state.code(&info.code_hash)?).is_none()
            {
                continue;
            }
            if tuple.nonce != authority.nonce {
                continue;
            }
            if info.is_some() || authority.nonce != 0 {
                list.refund += REFUND;
            }
            authority.nonce += 1;
            authority.raised += 1;
            authority.code = Some(designator(&tuple.address));
        }
        Ok(list)
    }

    /// The place of an account, which is added with `nonce` where it is new.
    fn place(&mut self, address: Address, nonce: impl FnOnce() -> u64) -> usize {
        self.authorities.iter().position(|held| held.address == address).unwrap_or_else(|| {
            self.authorities.push(Authority { address, nonce: nonce(), raised: 0, code: None });
            self.authorities.len() - 1
        })
    }

    /// What the list did to an account, if it names it.
    pub fn get(&self, address: &Address) -> Option<&Authority> {
        self.authorities.iter().find(|authority| authority.address == *address)
    }

    /// Codes that the list has set, with their hashes; none is empty.
    pub fn codes(&self) -> impl Iterator<Item = &(B256, Bytes)> {
        self.authorities.iter().filter_map(|authority| authority.code.as_ref()).filter(|(_, code)| !code.is_empty())
    }
}

/// A state on which a list has been applied: the call starts there. Nonces and codes of authorities; balances are as below.
#[derive(Clone, Copy)]
pub struct Delegated<'a> {
    below: &'a dyn StateRef,
    list: &'a Delegations,
}

impl<'a> Delegated<'a> {
    /// The state `below` after `list`, which must have been made on it.
    pub const fn new(below: &'a dyn StateRef, list: &'a Delegations) -> Self {
        Self { below, list }
    }
}

impl std::fmt::Debug for Delegated<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delegated").field("list", self.list).finish_non_exhaustive()
    }
}

impl StateRef for Delegated<'_> {
    fn account(&self, address: &Address) -> Result<Option<AccountInfo>, StateError> {
        let info = self.below.account(address)?;
        let Some(Authority { nonce, code: Some((code_hash, _)), .. }) = self.list.get(address) else { return Ok(info) };
        Ok(Some(AccountInfo { nonce: *nonce, code_hash: *code_hash, ..info.unwrap_or_default() }))
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        self.below.storage(address, slot)
    }

    fn code(&self, code_hash: &B256) -> Result<Bytes, StateError> {
        match self.list.codes().find(|(hash, _)| hash == code_hash) {
            Some((_, code)) => Ok(code.clone()),
            None => self.below.code(code_hash),
        }
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.below.block_hash(number)
    }
}
