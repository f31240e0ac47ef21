//! What a call sees instead of state and block, as in `eth_call` and `eth_simulateV1`.

use crate::{block::BlockEnv, error::Invalid, fork::Fork};
use alloy_primitives::{Address, B256, Bytes, U256};
use std::collections::BTreeMap;

/// The storage of an account, in a call's eyes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum StorageOverride {
    /// As it is.
    #[default]
    Keep,
    /// These slots are so, the others as they are (`stateDiff`).
    Diff(BTreeMap<U256, U256>),
    /// These slots are so, the others zero (`state`).
    Replace(BTreeMap<U256, U256>),
}

/// An account in a call's eyes; what is `None` is as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AccountOverride {
    /// In wei.
    pub balance: Option<U256>,
    /// Nonce.
    pub nonce: Option<u64>,
    /// Code, for as long as the call lasts.
    pub code: Option<Bytes>,
    /// Storage.
    pub storage: StorageOverride,
}

/// Accounts that are not as the state has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct StateOverrides {
    /// By address.
    pub accounts: BTreeMap<Address, AccountOverride>,
}

impl StateOverrides {
    /// Bytes that they take, more or less.
    pub(crate) fn bytes(&self) -> usize {
        let slots = |storage: &StorageOverride| match storage {
            StorageOverride::Keep => 0,
            StorageOverride::Diff(slots) | StorageOverride::Replace(slots) => slots.len(),
        };
        let account = |account: &AccountOverride| {
            let code = account.code.as_ref().map_or(0, |code| code.len());
            size_of::<AccountOverride>() + code + 2 * size_of::<U256>() * slots(&account.storage)
        };
        self.accounts.values().map(account).sum()
    }
}

/// Fields of the block that are not as the block has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct BlockOverrides {
    /// Block number.
    pub number: Option<u64>,
    /// Seconds since the epoch.
    pub timestamp: Option<u64>,
    /// Gas limit of the block, and of calls that name none.
    pub gas_limit: Option<u64>,
    /// COINBASE.
    pub beneficiary: Option<Address>,
    /// BASEFEE in wei, from London on.
    pub base_fee: Option<u64>,
    /// PREVRANDAO, from the merge on.
    pub prevrandao: Option<B256>,
    /// DIFFICULTY, before it.
    pub difficulty: Option<U256>,
    /// BLOBBASEFEE in wei, from Cancun on.
    pub blob_base_fee: Option<u128>,
}

impl BlockOverrides {
    /// `env` with what this says.
    ///
    /// # Errors
    /// Names the field that the fork of `env` does not have.
    pub fn applied(&self, env: &BlockEnv) -> Result<BlockEnv, Invalid> {
        let has = |field, since: Fork, is: bool| {
            if is && env.fork < since {
                return Err(Invalid::new(field, format!("comes with {since}, the block is {}", env.fork)));
            }
            Ok(())
        };
        has("base_fee", Fork::London, self.base_fee.is_some())?;
        has("prevrandao", Fork::Merge, self.prevrandao.is_some())?;
        has("blob_base_fee", Fork::Cancun, self.blob_base_fee.is_some())?;
        if self.difficulty.is_some() && env.fork >= Fork::Merge {
            return Err(Invalid::new("difficulty", format!("ends with the merge, the block is {}", env.fork)));
        }
        Ok(BlockEnv {
            number: self.number.unwrap_or(env.number),
            timestamp: self.timestamp.unwrap_or(env.timestamp),
            gas_limit: self.gas_limit.unwrap_or(env.gas_limit),
            beneficiary: self.beneficiary.unwrap_or(env.beneficiary),
            base_fee: self.base_fee.unwrap_or(env.base_fee),
            prevrandao: self.prevrandao.unwrap_or(env.prevrandao),
            difficulty: self.difficulty.unwrap_or(env.difficulty),
            blob_price: self.blob_base_fee.or(env.blob_price),
            ..env.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_the_fork_lacks_is_refused() {
        let env = BlockEnv { fork: Fork::London, ..crate::fixture::block().0.env };
        let refused = |overrides: BlockOverrides| overrides.applied(&env).unwrap_err().field;
        assert_eq!(refused(BlockOverrides { prevrandao: Some(B256::ZERO), ..Default::default() }), "prevrandao");
        assert_eq!(refused(BlockOverrides { blob_base_fee: Some(7), ..Default::default() }), "blob_base_fee");
        let later = BlockOverrides { number: Some(9), base_fee: Some(3), ..Default::default() }.applied(&env).unwrap();
        assert_eq!((later.number, later.base_fee, later.timestamp), (9, 3, env.timestamp));
    }

    #[test]
    fn the_price_of_blob_gas_can_be_named() {
        let env = crate::fixture::block().0.env;
        let blob_params = crate::block::BlobParams::of(Fork::Cancun);
        let env = BlockEnv { fork: Fork::Cancun, blob_params, ..env };
        assert_eq!(env.blob_base_fee(), Some(1));
        let named = BlockOverrides { blob_base_fee: Some(77), ..Default::default() }.applied(&env).unwrap();
        assert_eq!(named.blob_base_fee(), Some(77));
    }
}
