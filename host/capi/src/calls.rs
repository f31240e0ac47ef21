//! Calls as the caller hands them over.

use crate::{
    caller::{Caller, Items, at_most, count, length, one_more, one_more_or_none, optional},
    fault::{Fault, Outcome},
    overrides,
    types::{LOCKSTEP_MAX_CALLS, LOCKSTEP_STOP_ON_REVERT, lockstep_access_lists, lockstep_calls, lockstep_code},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use lockstep::simulate::{AccessList, Call, Sequence, StateOverrides};
use std::sync::Arc;

/// Columns in, checked. Calls are made of them as they are needed.
pub(crate) struct Calls<'a> {
    from: &'a [u8],
    to: &'a [u8],
    creates: &'a [u8],
    values: &'a [u8],
    gas: &'a [u64],
    inputs: Items<'a>,
    access_lists: AccessLists<'a>,
    overrides: Vec<Arc<StateOverrides>>,
    overrides_of: &'a [u64],
    sequences: &'a [u64],
    pub(crate) stop_on_revert: bool,
}

#[derive(Clone, Copy)]
struct AccessLists<'a> {
    account_offsets: &'a [u64],
    addresses: &'a [u8],
    key_offsets: &'a [u64],
    keys: &'a [u8],
}

impl<'a> Calls<'a> {
    pub(crate) fn read(caller: Caller, calls: &'a lockstep_calls) -> Outcome<Self> {
        let count = count(calls.from.len, 20, "calls.from")?;
        at_most(count, LOCKSTEP_MAX_CALLS, "calls.from")?;
        let read = Self {
            from: caller.bytes(&calls.from, "calls.from")?,
            to: caller.bytes(&calls.to, "calls.to")?,
            creates: caller.bytes(&calls.creates, "calls.creates")?,
            values: caller.bytes(&calls.values, "calls.values")?,
            gas: caller.u64s(&calls.gas, "calls.gas")?,
            inputs: caller.items(&calls.inputs, "calls.inputs")?,
            access_lists: AccessLists::read(caller, &calls.access_lists)?,
            overrides: overrides::read(caller, &calls.overrides)?,
            overrides_of: caller.u64s(&calls.overrides_of, "calls.overrides_of")?,
            sequences: match calls.sequences.len {
                0 => &[],
                _ => caller.groups(&calls.sequences, count, "calls.sequences")?,
            },
            stop_on_revert: calls.flags & LOCKSTEP_STOP_ON_REVERT != 0,
        };
        if calls.flags & !LOCKSTEP_STOP_ON_REVERT != 0 {
            return Err(Fault::of(lockstep_code::BadArgument, "calls.flags", "an unknown flag"));
        }
        read.check(count)?;
        Ok(read)
    }

    fn check(&self, count: usize) -> Outcome {
        length(self.to.len(), count, 20, "calls.to")?;
        optional(self.creates.len(), count, 1, "calls.creates")?;
        optional(self.values.len(), count, 32, "calls.values")?;
        optional(self.gas.len(), count, 1, "calls.gas")?;
        one_more(self.inputs.offsets(), count, "calls", "calls.inputs.offsets")?;
        let listed = self.access_lists.account_offsets.len();
        one_more_or_none(listed, count, "calls", "calls.access_lists.account_offsets")?;
        optional(self.overrides_of.len(), count, 1, "calls.overrides_of")?;
        if let Some(index) = self.creates.iter().position(|flag| *flag > 1) {
            let reason = format_args!("{} of call {index}", self.creates[index]).to_string();
            return Err(Fault::of(lockstep_code::BadArgument, "calls.creates", reason));
        }
        if let Some(index) = self.overrides_of.iter().position(|set| *set > self.overrides.len() as u64) {
            let (set, sets) = (self.overrides_of[index], self.overrides.len());
            let reason = format_args!("{set} of call {index}, there are {sets} sets").to_string();
            return Err(Fault::of(lockstep_code::BadArgument, "calls.overrides_of", reason));
        }
        Ok(())
    }

    /// Whether calls come in sequences.
    pub(crate) fn in_sequences(&self) -> bool {
        !self.sequences.is_empty()
    }

    /// How many calls each sequence has.
    pub(crate) fn sequence_len(&self, index: usize) -> usize {
        (self.sequences[index + 1] - self.sequences[index]) as usize
    }

    /// In sequences.
    pub(crate) fn sequences(&self) -> impl Iterator<Item = Sequence> {
        let mut calls = self.iter();
        (0..self.sequences.len().saturating_sub(1))
            .map(move |index| Sequence { calls: calls.by_ref().take(self.sequence_len(index)).collect() })
    }

    /// One by one.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Call> {
        self.inputs.to_bytes().enumerate().map(|(index, input)| self.call(index, input))
    }

    fn call(&self, index: usize, input: Bytes) -> Call {
        let set = self.overrides_of.get(index).and_then(|set| (*set as usize).checked_sub(1));
        Call {
            from: Address::from_slice(&self.from[20 * index..][..20]),
            to: (self.creates.get(index) != Some(&1)).then(|| Address::from_slice(&self.to[20 * index..][..20])),
            value: self.values.get(32 * index..32 * (index + 1)).map_or(U256::ZERO, U256::from_be_slice),
            gas: self.gas.get(index).copied().filter(|gas| *gas != 0),
            input,
            access_list: self.access_lists.of(index),
            state: set.map(|set| Arc::clone(&self.overrides[set])),
            block: None,
        }
    }
}

impl<'a> AccessLists<'a> {
    fn read(caller: Caller, lists: &'a lockstep_access_lists) -> Outcome<Self> {
        let addresses = caller.bytes(&lists.addresses, "calls.access_lists.addresses")?;
        let accounts = count(addresses.len(), 20, "calls.access_lists.addresses")?;
        let keys = caller.bytes(&lists.keys, "calls.access_lists.keys")?;
        let slots = count(keys.len(), 32, "calls.access_lists.keys")?;
        let read = Self {
            account_offsets: caller.groups(&lists.account_offsets, accounts, "calls.access_lists.account_offsets")?,
            addresses,
            key_offsets: caller.groups(&lists.key_offsets, slots, "calls.access_lists.key_offsets")?,
            keys,
        };
        one_more_or_none(read.key_offsets.len(), accounts, "accounts", "calls.access_lists.key_offsets")?;
        Ok(read)
    }

    fn of(&self, call: usize) -> AccessList {
        let group = |offsets: &[u64], at: usize| {
            offsets.get(at..at + 2).map_or(0..0, |ends| ends[0] as usize..ends[1] as usize)
        };
        let account = |at: usize| {
            let keys = group(self.key_offsets, at).map(|key| B256::from_slice(&self.keys[32 * key..][..32]));
            (Address::from_slice(&self.addresses[20 * at..][..20]), keys.collect())
        };
        group(self.account_offsets, call).map(account).collect()
    }
}
