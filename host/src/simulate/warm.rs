//! The access list of a call: what it has made warm.

use super::{AccessList, Call};
use crate::{fork::Fork, plan::is_precompile};
use alloy_primitives::{Address, B256, U256};
use std::collections::{BTreeMap, BTreeSet};

/// Accounts and slots that are warm.
pub(crate) type Warm = BTreeMap<Address, BTreeSet<U256>>;

/// What is warm at the end of a call, without the accounts that are warm in any case, `apart` and precompiles, and
/// with the call's own list.
pub(crate) fn access_list(call: &Call, mut warm: Warm, apart: &[Option<Address>], fork: Fork) -> AccessList {
    warm.retain(|address, slots| {
        !slots.is_empty() || !(is_precompile(address, fork) || apart.contains(&Some(*address)))
    });
    for (address, keys) in &call.access_list {
        warm.entry(*address).or_default().extend(keys.iter().map(|key| U256::from_be_bytes(key.0)));
    }
    let keys = |slots: BTreeSet<U256>| slots.into_iter().map(B256::from).collect();
    warm.into_iter().map(|(address, slots)| (address, keys(slots))).collect()
}
