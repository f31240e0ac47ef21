//! Which units of a replica are stale, by what others committed and by standing on those that are; and how they are taken back from
//! between those that stay.

use super::{
    Replica, Unit,
    changed::{is_held, is_high, is_nothing, is_remade},
    notes::Need,
};
use crate::{
    outcome::{AccountChange, TxOutcome},
    state::StateRef,
};
use alloy_primitives::{
    Address, U256,
    map::{AddressMap, HashSet},
};
use revm::{Journal, context::JournalEntry, context_interface::journaled_state::entry::JournalEntryTr};
use std::{ops::Range, time::Duration};

/// Waiting units, by their places.
#[derive(Debug)]
pub(super) enum Stale {
    None,
    One(usize),
    /// In no order, perhaps more than once.
    Some(Vec<usize>),
    All,
}

impl Stale {
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::None, stale) | (stale, Self::None) => stale,
            (Self::All, _) | (_, Self::All) => Self::All,
            (one, other) => Self::Some(one.places().into_iter().chain(other.places()).collect()),
        }
    }

    fn of(places: Vec<usize>) -> Self {
        if places.is_empty() { Self::None } else { Self::Some(places) }
    }

    fn places(self) -> Vec<usize> {
        match self {
            Self::Some(places) => places,
            Self::One(place) => vec![place],
            Self::None | Self::All => Vec::new(),
        }
    }
}

/// What the transactions of a unit did to an account, all together.
#[derive(Default)]
struct Moves {
    up: U256,
    down: U256,
    nonces: u64,
}

impl Moves {
    fn add(&mut self, change: &AccountChange) {
        let before = change.before.unwrap_or_default();
        let (up, down) =
            (change.after.balance.checked_sub(before.balance), before.balance.checked_sub(change.after.balance));
        self.up = self.up.wrapping_add(up.unwrap_or_default());
        self.down = self.down.wrapping_add(down.unwrap_or_default());
        self.nonces = self.nonces.wrapping_add(change.after.nonce.wrapping_sub(before.nonce));
    }

    /// Of all accounts that a unit changed.
    fn of(unit: &Unit) -> AddressMap<Self> {
        let mut moves: AddressMap<Self> = AddressMap::default();
        for change in unit.changes() {
            moves.entry(change.address).or_default().add(change);
        }
        moves
    }

    /// Of the accounts that some units changed, what others did to them.
    fn of_others(out: &[Unit], stay: &[Unit]) -> AddressMap<Self> {
        let none = |change: &AccountChange| (change.address, Self::default());
        let mut moves: AddressMap<Self> = out.iter().flat_map(Unit::changes).map(none).collect();
        for change in stay.iter().flat_map(Unit::changes) {
            if let Some(moves) = moves.get_mut(&change.address) {
                moves.add(change);
            }
        }
        moves
    }
}

impl Replica<'_> {
    /// The units that looked at something which this changes.
    pub(super) fn stale_by(&mut self, outcome: &TxOutcome) -> Stale {
        let Some(mark) = self.units.front().map(|unit| unit.mark) else { return Stale::None };
        let mut stale = Stale::None;
        for change in &outcome.changes {
            let Some(account) = self.evm.ctx.journaled_state.inner.state.get(&change.address) else { continue };
            if account.transaction_id.get() < mark {
                continue;
            }
            let created = account.is_created();
            let is_seen = |slot: &U256| account.storage.get(slot).is_some_and(|held| held.transaction_id.get() >= mark);
            let seen: Vec<_> = change.storage.iter().map(|slot| slot.slot).filter(is_seen).collect();
            for slot in seen {
                stale = stale.and(self.stale_by_slot(change.address, slot));
            }
            if is_nothing(change) || (!is_remade(change) && change.before == Some(change.after)) {
                continue;
            }
            // Who looks at a nonce needs the balance, too.
            if !change.is_plain() || created {
                return Stale::All;
            }
            let before = change.before.unwrap_or_default().balance;
            let by = change.after.balance.wrapping_sub(before);
            stale = stale.and(self.stale_by_balance(change, by, change.after.balance < before));
        }
        stale
    }

    fn stale_by_slot(&mut self, address: Address, slot: U256) -> Stale {
        let spent = self.units.front().map_or(0, |first| first.slots);
        let slots = self.evm.ctx.chain.slots.iter().enumerate().skip(spent);
        let seen: Vec<_> = slots.filter(|(_, seen)| **seen == (address, slot)).map(|(at, _)| at).collect();
        let mut places = Vec::with_capacity(seen.len());
        for at in seen {
            let place = self.units.partition_point(|unit| unit.slots <= at) - 1;
            let unit = &self.units[place];
            self.misled.push(unit.looked(at - unit.slots, |(_, slots)| slots));
            places.push(place);
        }
        Stale::of(places)
    }

    /// The units that looked at a balance which moves `by` so much; where it `falls`, those for which too little is left.
    pub(super) fn stale_by_balance(&mut self, change: &AccountChange, by: U256, falls: bool) -> Stale {
        let Some((mark, spent)) = self.units.front().map(|first| (first.mark, first.needs)) else { return Stale::None };
        let Some(held) = self.evm.ctx.journaled_state.inner.state.get(&change.address) else { return Stale::None };
        if held.transaction_id.get() < mark {
            return Stale::None;
        }
        // Payments to nothing make something of it, and what is created has what was there.
        let high = is_high(change.after.balance) || is_high(held.info.balance);
        if high || held.is_created() || change.before.is_none_or(|before| before.is_empty()) {
            return Stale::All;
        }
        let missing = if falls { U256::ZERO.wrapping_sub(by) } else { U256::ZERO };
        let mut broken = Vec::new();
        for (at, (address, need)) in self.evm.ctx.chain.needs.iter_mut().enumerate().skip(spent) {
            if *address != change.address {
                continue;
            }
            match need {
                Need::Exact => broken.push(at),
                Need::Spare(spare) => match spare.checked_sub(missing) {
                    Some(left) => *spare = left,
                    None => broken.push(at),
                },
            }
        }
        let mut places = Vec::with_capacity(broken.len());
        for at in broken {
            let place = self.unit_of_need(at);
            let unit = &self.units[place];
            self.misled.push(unit.looked(at - unit.needs, |(needs, _)| needs));
            places.push(place);
        }
        Stale::of(places)
    }

    fn unit_of_need(&self, at: usize) -> usize {
        self.units.partition_point(|unit| unit.needs <= at) - 1
    }

    /// Where a unit's journal entries, needs and slots are.
    fn notes_of(&self, at: usize) -> (Range<usize>, Range<usize>, Range<usize>) {
        let (unit, next) = (&self.units[at], self.units.get(at + 1));
        let notes = &self.evm.ctx.chain;
        let ends = next.map_or((self.done.len(), notes.needs.len(), notes.slots.len()), |next| {
            (next.entries, next.needs, next.slots)
        });
        (unit.entries..ends.0, unit.needs..ends.1, unit.slots..ends.2)
    }

    /// Takes units back with all that stand on them, and says what they were, in order.
    pub(super) fn take_back(&mut self, stale: Stale) -> Vec<Range<usize>> {
        match stale {
            Stale::None => Vec::new(),
            Stale::All => self.take_back_all(),
            stale => match self.standing_on(stale.places()) {
                Some(stale) => self.take_out(&stale),
                None => self.take_back_all(),
            },
        }
    }

    /// Takes back the first unit, and those that stand on it.
    pub(crate) fn take_back_first(&mut self) -> Vec<Range<usize>> {
        self.take_back(Stale::One(0))
    }

    /// Whether each unit is among these, or stands on one of them: looked at what it wrote. `None` where that is not easily told, for
    /// accounts came, went or got other code.
    fn standing_on(&mut self, places: Vec<usize>) -> Option<Vec<bool>> {
        let mut stale = vec![false; self.units.len()];
        places.iter().for_each(|at| stale[*at] = true);
        let mut written: HashSet<(Address, U256)> = HashSet::default();
        for at in places.into_iter().min()?..stale.len() {
            let (entries, _, slots) = self.notes_of(at);
            stale[at] |=
                !written.is_empty() && self.evm.ctx.chain.slots[slots].iter().any(|slot| written.contains(slot));
            if !stale[at] {
                continue;
            }
            for entry in &self.done[entries] {
                match entry {
                    JournalEntry::StorageChanged { address, key, .. } => drop(written.insert((*address, *key))),
                    JournalEntry::AccountCreated { .. }
                    | JournalEntry::AccountDestroyed { .. }
                    | JournalEntry::CodeChange { .. } => return None,
                    _ => {}
                }
            }
            let unit = &self.units[at];
            if !unit.flipped.is_empty() || !unit.changes().all(|change| change.is_plain() || is_nothing(change)) {
                return None;
            }
            let moves = Moves::of(unit);
            self.without(at, &moves, &mut stale)?;
        }
        Some(stale)
    }

    /// Notes that what a unit did to balances and nonces is no more, to those behind it.
    fn without(&mut self, at: usize, moves: &AddressMap<Moves>, stale: &mut [bool]) -> Option<()> {
        for address in moves.keys() {
            let held = self.evm.ctx.journaled_state.inner.state.get(address)?;
            let there = matches!(self.prefix().account(address), Ok(Some(info)) if !is_high(info.balance));
            if held.is_created() || is_high(held.info.balance) || !there {
                return None;
            }
        }
        let first = self.notes_of(at).1.end;
        for need in first..self.evm.ctx.chain.needs.len() {
            let place = self.unit_of_need(need);
            let (address, need) = &mut self.evm.ctx.chain.needs[need];
            let Some(moves) = moves.get(address) else { continue };
            if moves.up == moves.down && moves.nonces == 0 {
                continue;
            }
            match need {
                Need::Exact => stale[place] = true,
                Need::Spare(spare) => match spare.saturating_add(moves.down).checked_sub(moves.up) {
                    Some(left) => *spare = left,
                    None => stale[place] = true,
                },
            }
        }
        Some(())
    }

    /// Takes out some units, on which none of the others stands.
    fn take_out(&mut self, stale: &[bool]) -> Vec<Range<usize>> {
        let places = (0..stale.len()).rev().filter(|at| stale[*at]);
        for at in places {
            let (entries, needs, slots) = self.notes_of(at);
            let state = &mut self.evm.ctx.journaled_state.inner.state;
            for entry in self.done.drain(entries.clone()).rev() {
                // No other unit has looked at the slot since. What is not held any more is read anew.
                if matches!(entry, JournalEntry::StorageChanged { .. }) && is_held(state, &entry) {
                    entry.revert(state, None, true);
                }
            }
            let notes = &mut self.evm.ctx.chain;
            notes.needs.drain(needs.clone());
            notes.slots.drain(slots.clone());
            for unit in self.units.range_mut(at + 1..) {
                unit.entries -= entries.len();
                unit.needs -= needs.len();
                unit.slots -= slots.len();
                unit.moved = true;
            }
        }
        let mut places = stale.iter();
        let (out, stay): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.units).into_iter().partition(|_| places.next().is_some_and(|stale| *stale));
        let moves = Moves::of_others(&out, &stay);
        self.units = stay.into();
        // What the journal says of balances and nonces is of the time when it was written.
        let Journal { database, inner, .. } = &mut self.evm.ctx.journaled_state;
        for (address, moved) in moves {
            let Some(account) = inner.state.get_mut(&address) else { continue };
            let Ok(Some(held)) = database.state.account(&address) else { continue };
            account.info.balance = held.balance.wrapping_add(moved.up).wrapping_sub(moved.down);
            account.info.nonce = held.nonce.wrapping_add(moved.nonces);
        }
        self.wasted += out.iter().map(Unit::took).sum::<Duration>();
        out.into_iter().map(|unit| unit.range).collect()
    }

    /// Takes back all units, and says what they were.
    pub(crate) fn take_back_all(&mut self) -> Vec<Range<usize>> {
        let changed: HashSet<_> = self.units.iter().flat_map(Unit::changes).map(|change| change.address).collect();
        self.evm.ctx.chain.needs.clear();
        self.evm.ctx.chain.slots.clear();
        let Journal { database, inner, .. } = &mut self.evm.ctx.journaled_state;
        let mut gone = Vec::new();
        let spent = self.units.front().map_or(self.done.len(), |first| first.entries);
        for entry in self.done.drain(spent..).rev() {
            if let JournalEntry::AccountCreated { address, .. } | JournalEntry::AccountDestroyed { address, .. } =
                &entry
            {
                gone.push(*address);
            }
            // What is not held any more is read anew.
            if is_held(&inner.state, &entry) {
                entry.revert(&mut inner.state, None, true);
            }
        }
        self.done.clear();
        let mut ranges = Vec::with_capacity(self.units.len());
        for unit in self.units.drain(..) {
            self.wasted += unit.took();
            gone.extend(unit.flipped);
            ranges.push(unit.range);
        }
        // What the journal says of balances and nonces is of the time when it was written.
        for address in changed {
            match (inner.state.get_mut(&address), database.state.account(&address)) {
                (Some(account), Ok(Some(held))) => {
                    (account.info.balance, account.info.nonce) = (held.balance, held.nonce);
                }
                (Some(_), _) => gone.push(address),
                (None, _) => {}
            }
        }
        for address in gone {
            inner.state.remove(&address);
        }
        ranges
    }
}
