//! Sets of overrides as the caller hands them over.

use crate::{
    caller::{Caller, Items, count, length, one_more_or_none, optional},
    fault::{Fault, Outcome},
    types::{
        LOCKSTEP_OVERRIDE_BALANCE, LOCKSTEP_OVERRIDE_CODE, LOCKSTEP_OVERRIDE_NONCE, LOCKSTEP_OVERRIDE_STORAGE,
        lockstep_code, lockstep_overrides,
    },
};
use alloy_primitives::{Address, Bytes, U256};
use lockstep::simulate::{AccountOverride, StateOverrides, StorageOverride};
use std::sync::Arc;

/// Columns in, checked.
struct Columns<'a> {
    addresses: &'a [u8],
    flags: &'a [u8],
    balances: &'a [u8],
    nonces: &'a [u64],
    codes: Items<'a>,
    slot_offsets: &'a [u64],
    slot_keys: &'a [u8],
    slot_values: &'a [u8],
}

/// Every set, for calls to share.
pub(crate) fn read(caller: Caller, input: &lockstep_overrides) -> Outcome<Vec<Arc<StateOverrides>>> {
    let addresses = caller.bytes(&input.addresses, "calls.overrides.addresses")?;
    let accounts = count(addresses.len(), 20, "calls.overrides.addresses")?;
    let sets = caller.groups(&input.account_offsets, accounts, "calls.overrides.account_offsets")?;
    let slot_keys = caller.bytes(&input.slot_keys, "calls.overrides.slot_keys")?;
    let slots = count(slot_keys.len(), 32, "calls.overrides.slot_keys")?;
    let columns = Columns {
        addresses,
        flags: caller.bytes(&input.flags, "calls.overrides.flags")?,
        balances: caller.bytes(&input.balances, "calls.overrides.balances")?,
        nonces: caller.u64s(&input.nonces, "calls.overrides.nonces")?,
        codes: caller.items(&input.codes, "calls.overrides.codes")?,
        slot_offsets: caller.groups(&input.slot_offsets, slots, "calls.overrides.slot_offsets")?,
        slot_keys,
        slot_values: caller.bytes(&input.slot_values, "calls.overrides.slot_values")?,
    };
    columns.check(accounts, slots)?;
    let codes: Vec<Bytes> = columns.codes.iter().map(Bytes::copy_from_slice).collect();
    let set = |ends: &[u64]| {
        let accounts = (ends[0] as usize..ends[1] as usize).map(|at| columns.account(at, &codes));
        Arc::new(StateOverrides { accounts: accounts.collect() })
    };
    Ok(sets.windows(2).map(set).collect())
}

impl Columns<'_> {
    fn check(&self, accounts: usize, slots: usize) -> Outcome {
        length(self.flags.len(), accounts, 1, "calls.overrides.flags")?;
        optional(self.balances.len(), accounts, 32, "calls.overrides.balances")?;
        optional(self.nonces.len(), accounts, 1, "calls.overrides.nonces")?;
        one_more_or_none(self.codes.offsets(), accounts, "accounts", "calls.overrides.codes.offsets")?;
        one_more_or_none(self.slot_offsets.len(), accounts, "accounts", "calls.overrides.slot_offsets")?;
        length(self.slot_values.len(), slots, 32, "calls.overrides.slot_values")?;
        let known = LOCKSTEP_OVERRIDE_BALANCE | LOCKSTEP_OVERRIDE_NONCE | LOCKSTEP_OVERRIDE_CODE;
        for (at, flags) in self.flags.iter().enumerate() {
            let wrong = |reason| {
                let reason = format_args!("{flags} of account {at}: {reason}").to_string();
                Err(Fault::of(lockstep_code::BadArgument, "calls.overrides.flags", reason))
            };
            if flags & !(known | LOCKSTEP_OVERRIDE_STORAGE) != 0 {
                return wrong("an unknown flag");
            }
            for (flag, column, given) in [
                (LOCKSTEP_OVERRIDE_BALANCE, "there are no balances", !self.balances.is_empty()),
                (LOCKSTEP_OVERRIDE_NONCE, "there are no nonces", !self.nonces.is_empty()),
                (LOCKSTEP_OVERRIDE_CODE, "there are no codes", self.codes.len() != 0),
            ] {
                if flags & flag != 0 && !given {
                    return wrong(column);
                }
            }
        }
        Ok(())
    }

    fn account(&self, at: usize, codes: &[Bytes]) -> (Address, AccountOverride) {
        let flagged = |flag| self.flags[at] & flag != 0;
        let word = |column: &[u8], at: usize| U256::from_be_slice(&column[32 * at..][..32]);
        let slots = self.slot_offsets.get(at..at + 2).map_or(0..0, |ends| ends[0] as usize..ends[1] as usize);
        let slots = slots.map(|slot| (word(self.slot_keys, slot), word(self.slot_values, slot))).collect();
        let account = AccountOverride {
            balance: flagged(LOCKSTEP_OVERRIDE_BALANCE).then(|| word(self.balances, at)),
            nonce: flagged(LOCKSTEP_OVERRIDE_NONCE).then(|| self.nonces[at]),
            code: flagged(LOCKSTEP_OVERRIDE_CODE).then(|| codes[at].clone()),
            storage: if flagged(LOCKSTEP_OVERRIDE_STORAGE) {
                StorageOverride::Replace(slots)
            } else {
                StorageOverride::Diff(slots)
            },
        };
        (Address::from_slice(&self.addresses[20 * at..][..20]), account)
    }
}
