//! Which transactions of a block will get in each other's way, by what they name: target, sender, addresses among their arguments. It
//! is learned from those that did, while blocks run, and only ever a hint: a wrong one costs time.

mod hot;
mod partners;

use crate::{
    access::{Expected, Placed, ProgramId, Programs, Watched, make_room},
    state::StateKey,
    tx::Transaction,
};
use alloy_primitives::{
    Address,
    map::{HashMap, HashSet},
};
use hot::HotNames;
use partners::Partners;
use std::time::Duration;

/// Names of a transaction that are looked at.
const MOST: usize = 16;

/// Transactions of a block that are watched at most, while nobody waits for them.
const WATCHED: usize = 4;

/// Words of calldata that may be addresses.
const WORDS: usize = 32;

/// Names that are remembered, and costs.
const MOST_REMEMBERED: usize = 1 << 16;

/// What a transfer takes, which is about what it takes to hand over what it did.
pub(crate) const TRANSFER: Duration = Duration::from_nanos(700);

/// What a call can take at most: sums over a block stay small.
const LONGEST: Duration = Duration::from_secs(60);

/// How long is waited at most for what is known to be long.
const MOST_PATIENT: Duration = Duration::from_millis(100);

/// What a call takes of which nothing is known, and the gas that a microsecond executes, more or less.
const UNKNOWN: Duration = Duration::from_micros(20);
const GAS_PER_MICRO: u64 = 2_500;
const LEAST_GAS_PER_MICRO: u64 = 100;

/// What a transaction calls, in short: target and selector.
fn call_of(tx: &Transaction) -> u64 {
    let last = |bytes: &[u8]| bytes.last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let target = tx.to.map_or(0, |to| last(to.as_slice()));
    let selector = tx.input.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    target ^ u64::from(selector).rotate_left(32)
}

/// What a transaction names, in short.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Names {
    names: [u64; MOST],
    len: usize,
    /// Its call, if others had better run behind it; and the one that it had better run behind.
    leads: Option<u64>,
    follows: Option<u64>,
}

impl Names {
    pub(crate) fn of(tx: &Transaction, sender: &Address) -> Self {
        let mut names = Self::default();
        names.add(sender.as_slice());
        if let Some(to) = &tx.to {
            names.add(to.as_slice());
        }
        let arguments = tx.input.get(4..).unwrap_or_default();
        for word in arguments.as_chunks::<32>().0.iter().take(WORDS) {
            if is_address(word) {
                names.add(&word[12..]);
            }
        }
        names
    }

    fn add(&mut self, address: &[u8]) {
        let Some(name) = address.last_chunk().map(|bytes| u64::from_be_bytes(*bytes)) else { return };
        self.add_name(name);
    }

    pub(crate) fn add_name(&mut self, name: u64) {
        if self.len < MOST && !self.contains(name) {
            self.names[self.len] = name;
            self.len += 1;
        }
    }

    /// Its call, if others had better run behind it.
    pub(crate) const fn leads(&self) -> Option<u64> {
        self.leads
    }

    /// The call that it had better run behind.
    pub(crate) const fn follows(&self) -> Option<u64> {
        self.follows
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        self.names[..self.len].iter().copied()
    }

    fn contains(&self, name: u64) -> bool {
        self.names[..self.len].contains(&name)
    }
}

/// Whether a word may be an address: amounts and offsets are shorter, hashes longer.
fn is_address(word: &[u8; 32]) -> bool {
    word[..12] == [0; 12] && word[12..16] != [0; 4]
}

/// The name of a slot, in short.
fn name_of(key: &StateKey) -> u64 {
    let tail = |address: &Address| address.last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    match key {
        StateKey::Account(address) => tail(address),
        StateKey::Slot(address, slot) => tail(address).rotate_left(17) ^ slot.as_limbs()[0],
        StateKey::BlockHash(number) => *number,
    }
}

/// What is known of a call, by its target and selector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Call {
    /// What it takes, more or less.
    pub(crate) took: Duration,
    /// What it runs, if that was watched.
    pub(crate) program: Option<ProgramId>,
    /// Whether what it takes has been measured here, and not only read.
    pub(crate) measured: bool,
}

/// Blocks that a conflict is remembered for, and all conflicts about one name together.
const ONE: u32 = 8;
const ALL: u32 = 64;

/// What is known of blocks to come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forecast {
    names: HotNames,
    partners: Partners,
    /// Calls of a target by a selector.
    calls: HashMap<u64, Call>,
    /// What they run, and where that looks.
    pub(crate) programs: Programs,
}

impl Forecast {
    /// Whether nothing is known of who gets in whose way.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.partners.is_empty()
    }

    /// Whether two that name it had better not run at once.
    pub(crate) fn is_hot(&self, name: u64) -> bool {
        self.names.contains(name)
    }

    /// A transaction got in another one's way. Of the names that they share the one that the fewest of `others` have is blamed; where
    /// they share none, their calls are.
    pub(crate) fn conflict(&mut self, by: (&Transaction, &Names), of: (&Transaction, &Names), others: &[Names]) {
        let count = |name: &u64| others.iter().filter(|names| names.contains(*name)).count();
        match by.1.iter().filter(|name| of.1.contains(*name)).min_by_key(count) {
            Some(blamed) => self.names.change(blamed, |left| left + ONE),
            None => self.partners.meet(call_of(of.0), call_of(by.0), ONE),
        }
    }

    /// What a transaction will take.
    pub(crate) fn cost(tx: &Transaction, known: Option<&Call>) -> Duration {
        let is_transfer = tx.input.is_empty() && tx.to.is_some();
        // Whoever needs much gas knows.
        let unknown = || UNKNOWN.max(Duration::from_micros(tx.gas_limit / GAS_PER_MICRO / 4));
        let guessed = || if is_transfer { Duration::ZERO } else { unknown() };
        // Nothing takes longer than its gas can.
        let most = UNKNOWN + Duration::from_micros(tx.gas_limit / LEAST_GAS_PER_MICRO);
        TRANSFER + known.map_or_else(guessed, |known| known.took.min(most))
    }

    /// What is known of a transaction's call.
    pub(crate) fn call(&self, tx: &Transaction) -> Option<Call> {
        self.calls.get(&call_of(tx)).copied()
    }

    /// Some transactions that are worth watching: calls that come again of which too little is known.
    pub(crate) fn watches(&self, txs: &[Transaction], calls: &[Option<Call>]) -> Vec<usize> {
        let wants = |index: &usize| {
            let call = calls[*index].filter(|_| txs[*index].to.is_some() && !txs[*index].input.is_empty());
            // What takes no time runs no code.
            call.is_some_and(|call| {
                !call.took.is_zero() && call.program.is_none_or(|program| self.programs.wants(program))
            })
        };
        (0..txs.len()).filter(wants).take(WATCHED).collect()
    }

    /// Remembers what a watched transaction looked at.
    pub(crate) fn learn_access(&mut self, tx: &Transaction, watched: Watched) {
        let (program, took) = (ProgramId::of(&watched.program), watched.took);
        self.programs.learn(watched);
        make_room(&mut self.calls, call_of(tx), MOST_REMEMBERED);
        let new = Call { took, program: None, measured: true };
        self.calls.entry(call_of(tx)).or_insert(new).program = Some(program);
    }

    /// A transaction looked at a slot that another one had changed; `None` where either was not expected there, or both name whose slot it
    /// is. Otherwise it is the slot that is remembered.
    pub(crate) fn conflict_at(
        &mut self,
        by: (&Transaction, Address),
        of: (&Transaction, Address),
        changed: &HashSet<StateKey>,
    ) -> Option<()> {
        let placed = [by, of].map(|(tx, sender)| Some((self.call(tx)?.program?, tx, sender)));
        let [Some(by), Some(of)] = placed else { return None };
        let mut looked = self.programs.looked(of, |key| changed.contains(key));
        let mut wrote = self.programs.looked(by, |key| looked.iter().any(|looked| looked.key == *key));
        let is_named = |tx, key: &Expected| self.programs.is_said(tx, key, |word| is_address(&word.to_be_bytes()));
        let named = |tx, keys: &[Expected]| -> Vec<_> {
            keys.iter().filter(|key| is_named(tx, key)).map(|expected| expected.key).collect()
        };
        // A few each.
        let (by_one, by_other) = (named(of, &looked), named(by, &wrote));
        let is_left = |expected: &Expected| !(by_one.contains(&expected.key) && by_other.contains(&expected.key));
        looked.retain(is_left);
        wrote.retain(is_left);
        if wrote.is_empty() {
            return None;
        }
        self.programs.contest(of.0, &looked);
        self.programs.contest(by.0, &wrote);
        for expected in &wrote {
            self.names.change(name_of(&expected.key), |left| left + ONE);
        }
        Some(())
    }

    /// Adds to the names of transactions the slots that they will meet at, and the calls, by what is known.
    pub(crate) fn expect(
        &mut self,
        names: &mut [Names],
        txs: &[Transaction],
        senders: &[Address],
        calls: &[Option<Call>],
    ) {
        if !self.partners.is_empty() {
            for (names, tx) in names.iter_mut().zip(txs) {
                let call = call_of(tx);
                (names.leads, names.follows) =
                    (Some(call).filter(|call| self.partners.leads(*call)), self.partners.before(call));
            }
        }
        if self.programs.is_calm() {
            return;
        }
        let placed = |index: usize| Some((index, (calls[index]?.program?, &txs[index], senders[index])));
        let (places, placed): (Vec<_>, Vec<Placed<'_>>) = (0..txs.len()).filter_map(placed).unzip();
        let contested = self.programs.contested(&placed);
        let mut met: HashMap<StateKey, (usize, bool)> = HashMap::default();
        for Expected { key, writes, .. } in &contested {
            let (count, written) = met.entry(*key).or_default();
            (*count, *written) = (*count + 1, *written || *writes);
        }
        for Expected { owner, key, .. } in &contested {
            if met.get(key).is_some_and(|(count, written)| *count > 1 && *written) {
                names[places[*owner]].add_name(name_of(key));
                self.names.change(name_of(key), |left| left);
            }
        }
    }

    /// How long others may wait for a transaction that runs ahead of its turn: twice what it is known to take.
    pub(crate) fn patience(known: Option<&Call>) -> Duration {
        known.map_or(Duration::ZERO, |known| (2 * known.took).min(MOST_PATIENT))
    }

    /// Remembers what a transaction took, if that was not known already, more or less; zero if it was a transfer. Once it may have been
    /// interrupted.
    pub(crate) fn learn_cost(&mut self, tx: &Transaction, known: Option<&Call>, took: Duration) {
        let is_near = |known: &Call| known.measured && took.abs_diff(known.took) <= known.took / 8;
        // Nothing is expected of what has no input.
        let is_expected = took.is_zero() && tx.input.is_empty() && known.is_none();
        if is_expected || known.is_some_and(is_near) {
            return;
        }
        make_room(&mut self.calls, call_of(tx), MOST_REMEMBERED);
        let learn = |Call { took: known, measured, .. }: &mut Call| {
            *measured = true;
            *known = if took < *known { (*known + took) / 2 } else { (*known * 7 + took) / 8 };
        };
        self.calls.entry(call_of(tx)).and_modify(learn).or_insert(Call { took, program: None, measured: true });
    }

    /// Every name that conflicts were about, in order, and for how many blocks it is remembered.
    pub(crate) fn names(&self) -> impl Iterator<Item = (u64, u32)> {
        let mut names: Vec<_> = self.names.iter().collect();
        names.sort_unstable();
        names.into_iter()
    }

    /// `None` where there are too many already.
    pub(crate) fn put_name(&mut self, name: u64, left: u32) -> Option<()> {
        let fits = self.names.len() < MOST_REMEMBERED || self.is_hot(name);
        self.names.change(name, |_| left);
        fits.then_some(())
    }

    /// Every call that another one was in the way of, in order: which, and for how many blocks it is remembered.
    pub(crate) fn partners(&self) -> impl Iterator<Item = (u64, u64, u32)> {
        let mut partners: Vec<_> = self.partners.iter().collect();
        partners.sort_unstable();
        partners.into_iter()
    }

    /// `None` where there are too many already.
    pub(crate) fn put_partner(&mut self, call: u64, by: u64, left: u32) -> Option<()> {
        let fits = self.partners.len() < MOST_REMEMBERED || self.partners.before(call).is_some();
        self.partners.meet(call, by, left);
        fits.then_some(())
    }

    /// Every call of which something is known, in order.
    pub(crate) fn calls(&self) -> impl Iterator<Item = (u64, Call)> {
        let mut calls: Vec<_> = self.calls.iter().map(|(call, known)| (*call, *known)).collect();
        calls.sort_unstable_by_key(|(call, _)| *call);
        calls.into_iter()
    }

    /// `None` where there are too many already. No call takes longer than a minute.
    pub(crate) fn put_call(&mut self, call: u64, known: Call) -> Option<()> {
        self.calls.insert(call, Call { took: known.took.min(LONGEST), ..known });
        (self.calls.len() <= MOST_REMEMBERED).then_some(())
    }

    /// A block is over.
    pub(crate) fn fade(&mut self) {
        self.names.fade();
        self.partners.fade();
        self.programs.fade();
    }

    /// Adds what another block taught meanwhile.
    pub(crate) fn merge(&mut self, other: Self) {
        for (name, left) in other.names.iter() {
            self.names.change(name, |own| own.max(left));
        }
        for (call, by, left) in other.partners.iter() {
            if self.partners.before(call).is_none() {
                self.partners.meet(call, by, left);
            }
        }
        for (call, known) in other.calls {
            make_room(&mut self.calls, call, MOST_REMEMBERED);
            self.calls.entry(call).or_insert(known);
        }
        self.programs.merge(other.programs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_for_what_is_known_and_has_an_end() {
        let tx = Transaction { input: vec![1; 4].into(), ..Transaction::blank(crate::tx::TxType::Legacy, 1) };
        let mut known = Forecast::default();
        let patience = |known: &Forecast| Forecast::patience(known.call(&tx).as_ref());
        assert_eq!(patience(&known), Duration::ZERO);
        // It calls nobody, as is found out.
        known.learn_cost(&tx, None, Duration::ZERO);
        let call = known.call(&tx);
        assert_eq!(
            (Forecast::cost(&tx, call.as_ref()), known.watches(std::slice::from_ref(&tx), &[call])),
            (TRANSFER, vec![])
        );
        known = Forecast::default();
        known.learn_cost(&tx, None, Duration::from_millis(2));
        assert_eq!(
            (known.call(&tx).map(|call| call.took), patience(&known)),
            (Some(Duration::from_millis(2)), Duration::from_millis(4))
        );
        let long = Call { took: Duration::from_nanos(u64::MAX), program: None, measured: false };
        known.put_call(call_of(&tx), long).unwrap();
        assert_eq!(patience(&known), MOST_PATIENT);
    }
}
