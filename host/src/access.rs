//! Which slots and accounts a transaction will look at, before it runs: learned by code hash and selector, as formulas over what the
//! transaction says. Only ever a hint: a wrong one costs time.

use crate::{
    keccak::{self, keccak256_batch},
    lower::address_word,
    state::StateKey,
    tx::Transaction,
};
use alloy_primitives::{
    Address, B256, U256,
    map::{B256Map, HashMap},
};
use std::{collections::BTreeMap, hash::Hash, num::NonZeroU64, time::Duration};

/// Code hash and selector of what a transaction runs: those of one program take the same path, more or less.
pub(crate) type Program = (B256, [u8; 4]);

/// A program in eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ProgramId(NonZeroU64);

impl ProgramId {
    /// Of a code's hash and calldata.
    pub(crate) fn new(code_hash: &B256, input: &[u8]) -> Self {
        Self::of(&(*code_hash, selector(input)))
    }

    pub(crate) fn of((code_hash, selector): &Program) -> Self {
        let code = code_hash.last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let both = code ^ u64::from(u32::from_be_bytes(*selector)).rotate_left(32);
        Self(NonZeroU64::new(both).unwrap_or(NonZeroU64::MAX))
    }
}

/// The selector of calldata, with zeros for bytes that are missing.
pub(crate) fn selector(input: &[u8]) -> [u8; 4] {
    let mut selector = [0; 4];
    selector.iter_mut().zip(input).for_each(|(to, from)| *to = *from);
    selector
}

/// Runs of a program that are watched.
const RUNS: u32 = 4;

/// Slots and accounts of a program that are remembered.
pub(crate) const MOST: usize = 32;

/// Programs that are remembered.
const MOST_PROGRAMS: usize = 1 << 12;

/// Words of calldata that formulas may name.
pub(crate) const WORDS: usize = 16;

/// Hashes inside each other: a mapping of mappings of mappings.
pub(crate) const DEPTH: usize = 3;

/// Transactions whose keys are on their way at once.
const CHUNK: usize = 1 << 10;

/// Members of a struct, or elements, that a slot may lie behind a hash.
const BEHIND: u64 = 16;

/// Blocks that a conflict about a slot is remembered for, and all about slots of one code together.
const ONE: u32 = 8;
const ALL: u32 = 64;

/// A word that a transaction says, or that never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// The sender's address.
    Sender,
    /// The target's address.
    Target,
    /// So many words behind the selector.
    Argument(usize),
    /// Always the same.
    Constant(U256),
}

/// One hash on the way to a slot: of a key and what came before (Solidity), or the other way round (Vyper).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) key: Word,
    pub(crate) key_first: bool,
}

/// Where something is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Formula {
    pub(crate) account: Word,
    /// The slot; `None` for the account itself.
    pub(crate) slot: Option<Slot>,
}

/// `base`, hashed with a key in each step, and so much more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) base: U256,
    pub(crate) steps: Vec<Step>,
    pub(crate) behind: u64,
}

/// A formula, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Learned {
    pub(crate) formula: Formula,
    /// Watched runs that it explained something in.
    pub(crate) hits: u32,
    /// Whether one of them wrote there.
    pub(crate) writes: bool,
    /// Whether transactions got in each other's way there.
    pub(crate) contested: bool,
}

/// What is known of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// Runs that were watched.
    pub(crate) runs: u32,
    /// The gas that the latest used, and the shortest time that one took on revm.
    pub(crate) gas: u64,
    pub(crate) took: Duration,
    /// Keys of the latest that no formula had named before.
    pub(crate) missed: u32,
    pub(crate) learned: Vec<Learned>,
}

impl Known {
    /// With no more runs than are watched: what is known otherwise may be wrong, and is to be corrected.
    pub(crate) fn plausible(mut self) -> Self {
        let runs = self.runs.min(RUNS);
        for learned in &mut self.learned {
            learned.hits = if learned.hits >= half(self.runs) { learned.hits.min(runs) } else { 0 };
        }
        Self { runs, ..self }
    }

    fn believes(&self, learned: &Learned) -> bool {
        learned.hits >= half(self.runs)
    }
}

/// Of so many runs a formula must have explained something in as many to be believed.
const fn half(runs: u32) -> u32 {
    runs.div_ceil(2)
}

/// Slots and accounts, and hashes, that are kept of a watched run; more cannot be explained in a moment, nor remembered.
const MOST_KEYS: usize = 64;
pub(crate) const MOST_HASHED: usize = 128;

/// What a run that was watched looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    pub(crate) code_hash: B256,
    pub(crate) gas: u64,
    pub(crate) took: Duration,
    /// Slots, and whether they were written, in order of their keys.
    pub(crate) slots: BTreeMap<(Address, U256), bool>,
    /// Accounts other than the target.
    pub(crate) accounts: Vec<Address>,
    /// What KECCAK256 was asked for, two words at a time, and what it said.
    pub(crate) hashed: Vec<([u8; 64], B256)>,
}

/// What a transaction says.
struct Words<'t> {
    tx: &'t Transaction,
    sender: Address,
}

impl Words<'_> {
    fn argument(&self, index: usize) -> Option<U256> {
        let arguments = self.tx.input.get(4..)?;
        Some(U256::from_be_slice(arguments.get(32 * index..32 * index + 32)?))
    }

    fn get(&self, word: Word) -> Option<U256> {
        match word {
            Word::Sender => Some(address_word(&self.sender)),
            Word::Target => self.tx.to.as_ref().map(address_word),
            Word::Argument(index) => self.argument(index),
            Word::Constant(word) => Some(word),
        }
    }

    /// Where a word comes from.
    fn name(&self, word: U256) -> Word {
        let named = [Word::Target, Word::Sender].into_iter().find(|name| self.get(*name) == Some(word));
        // Zero and one are said for many reasons.
        let argument = || (0..WORDS).find(|index| word > U256::ONE && self.argument(*index) == Some(word));
        named.or_else(|| argument().map(Word::Argument)).unwrap_or(Word::Constant(word))
    }
}

impl Access {
    /// The formula of a slot, as far as it can be told from one run.
    fn explain(&self, slot: U256, words: &Words<'_>) -> Slot {
        let found = self.hashed.iter().find_map(|(input, hash)| {
            let behind = slot.checked_sub(U256::from_be_bytes(hash.0))?;
            (behind < U256::from(BEHIND)).then(|| (input, behind.to()))
        });
        let plain = || Slot { base: slot, steps: Vec::new(), behind: 0 };
        let Some((input, behind)) = found else { return plain() };
        let (mut steps, mut input) = (Vec::new(), *input);
        loop {
            let [first, second] = [0, 32].map(|at| U256::from_be_slice(&input[at..at + 32]));
            let is_inner = |word: U256| self.hashed.iter().find(|(_, hash)| U256::from_be_bytes(hash.0) == word);
            // A mapping's own slot is a small number, or a hash. Solidity hashes it last.
            let is_small = |word: U256| word.bit_len() <= 32;
            let slot_first = is_inner(first).is_some() || (is_small(first) && !is_small(second));
            let key_first = is_inner(second).is_some() || !slot_first;
            let (key, rest) = if key_first { (first, second) } else { (second, first) };
            steps.insert(0, Step { key: words.name(key), key_first });
            match is_inner(rest) {
                Some((inner, _)) if steps.len() < DEPTH => input = *inner,
                _ => return Slot { base: rest, steps, behind },
            }
        }
    }

    /// What is learned from it.
    pub(crate) fn learned(&self, tx: &Transaction, sender: Address) -> Watched {
        let words = &Words { tx, sender };
        let keys = self.slots.len() + self.accounts.len();
        let formulas = (keys <= MOST_KEYS).then(|| self.formulas(words));
        Watched { program: (self.code_hash, selector(&tx.input)), gas: self.gas, took: self.took, formulas }
    }

    fn formulas(&self, words: &Words<'_>) -> Vec<(Formula, bool)> {
        let slots = self.slots.iter().map(|((address, slot), writes)| {
            let slot = Some(self.explain(*slot, words));
            (Formula { account: words.name(address_word(address)), slot }, *writes)
        });
        let account = |address| (Formula { account: words.name(address_word(address)), slot: None }, false);
        slots.chain(self.accounts.iter().map(account)).collect()
    }
}

/// What a watched run tells of its program.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) program: Program,
    gas: u64,
    pub(crate) took: Duration,
    /// Where it looked, and whether it wrote there; `None` where that was too much.
    formulas: Option<Vec<(Formula, bool)>>,
}

/// A key that a transaction will look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    /// The transaction's place among those that were asked for, and the formula's among those of its program.
    pub(crate) owner: usize,
    pub(crate) formula: usize,
    pub(crate) key: StateKey,
    /// Whether it may be written.
    pub(crate) writes: bool,
}

/// The same on its way; a slot has come so far.
struct Pending<'f> {
    owner: usize,
    formula: usize,
    account: Address,
    slot: Option<(U256, &'f Slot)>,
    writes: bool,
}

/// A transaction whose program is known, and its sender.
pub(crate) type Placed<'t> = (ProgramId, &'t Transaction, Address);

/// What is known of programs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Programs {
    programs: HashMap<ProgramId, (Program, Known)>,
    /// Codes whose transactions got in each other's way at slots that they were expected at, and for how many blocks it is remembered.
    contested: B256Map<u32>,
}

impl Programs {
    pub(crate) fn get(&self, program: ProgramId) -> Option<&Known> {
        self.programs.get(&program).map(|(_, known)| known)
    }

    /// Whether nothing is remembered to have been contested.
    pub(crate) fn is_calm(&self) -> bool {
        self.contested.is_empty()
    }

    /// Whether another run of a program is to be watched.
    pub(crate) fn wants(&self, program: ProgramId) -> bool {
        self.get(program).is_none_or(|known| known.runs < RUNS)
    }

    /// Whether all that a program looks at is known, as far as can be told.
    pub(crate) fn knows(&self, program: ProgramId) -> bool {
        self.get(program).is_some_and(|known| known.runs > 1 && known.missed == 0)
    }

    /// Every program, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(Program, Known)> {
        let mut programs: Vec<_> = self.programs.values().collect();
        programs.sort_unstable_by_key(|(program, _)| *program);
        programs.into_iter()
    }

    /// Codes that conflicts are remembered about, in order, and for how many blocks.
    pub(crate) fn conflicts(&self) -> impl Iterator<Item = (B256, u32)> {
        let mut codes: Vec<_> = self.contested.iter().map(|(code, left)| (*code, *left)).collect();
        codes.sort_unstable();
        codes.into_iter()
    }

    /// `None` where there are too many already.
    pub(crate) fn put_conflict(&mut self, code_hash: B256, left: u32) -> Option<()> {
        self.contested.insert(code_hash, left.clamp(1, ALL));
        (self.contested.len() <= MOST_PROGRAMS).then_some(())
    }

    /// `None` where there are too many already, or too much of it is known.
    pub(crate) fn put(&mut self, program: Program, known: Known) -> Option<()> {
        let fits = known.learned.len() <= MOST;
        self.programs.insert(ProgramId::of(&program), (program, known));
        (fits && self.programs.len() <= MOST_PROGRAMS).then_some(())
    }

    /// A run was watched.
    pub(crate) fn learn(&mut self, watched: Watched) {
        let Watched { program, gas, took, formulas } = watched;
        let id = ProgramId::of(&program);
        make_room(&mut self.programs, id, MOST_PROGRAMS);
        let (_, known) = self.programs.entry(id).or_insert_with(|| (program, Known::default()));
        known.gas = gas;
        known.took = if known.runs == 0 { took } else { known.took.min(took) };
        known.missed = u32::from(formulas.is_none());
        for (formula, writes) in formulas.into_iter().flatten() {
            if let Some(learned) = known.learned.iter_mut().find(|learned| learned.formula == formula) {
                learned.hits = learned.hits.saturating_add(1);
                learned.writes |= writes;
                continue;
            }
            known.missed += 1;
            if known.learned.len() == MOST {
                // In place of what has explained least.
                let Some(least) =
                    known.learned.iter().position(|learned| !learned.contested && learned.hits <= known.runs / 2)
                else {
                    continue;
                };
                known.learned.swap_remove(least);
            }
            known.learned.push(Learned { formula, hits: 1, writes, contested: false });
        }
        known.runs = known.runs.saturating_add(1);
    }

    /// These turned out to look elsewhere, too, some of them at least: one more run of each is to be watched.
    pub(crate) fn doubt(&mut self, programs: impl IntoIterator<Item = ProgramId>) {
        for program in programs {
            if let Some((_, known)) = self.programs.get_mut(&program) {
                known.runs = known.runs.min(RUNS - 1);
            }
        }
    }

    /// Keys of transactions, by programs and formulas that are picked.
    fn keys(
        &self,
        txs: &[Placed<'_>],
        of: impl Fn(&Program) -> bool,
        takes: impl Fn(&Known, &Learned) -> bool,
    ) -> Vec<Expected> {
        let mut pending = Vec::with_capacity(txs.len());
        for (owner, (program, tx, sender)) in txs.iter().enumerate() {
            let words = Words { tx, sender: *sender };
            let Some((_, known)) = self.programs.get(program).filter(|(program, _)| of(program)) else { continue };
            for (formula, learned) in known.learned.iter().enumerate().filter(|(_, learned)| takes(known, learned)) {
                let Some(account) = words.get(learned.formula.account) else { continue };
                let account = Address::from_word(account.into());
                let slot = learned.formula.slot.as_ref().map(|slot| (slot.base, slot));
                pending.push(Pending { owner, formula, account, slot, writes: learned.writes });
            }
        }
        for depth in 0..DEPTH {
            step(&mut pending, depth, |owner| Words { tx: txs[owner].1, sender: txs[owner].2 });
        }
        let finished = |Pending { owner, formula, account, slot, writes }| {
            let slot = slot.map(|(slot, of): (U256, &Slot)| slot.wrapping_add(U256::from(of.behind)));
            let key = slot.map_or(StateKey::Account(account), |slot| StateKey::Slot(account, slot));
            Expected { owner, formula, key, writes }
        };
        pending.into_iter().map(finished).collect()
    }

    /// What transactions will look at, some keys more than once.
    pub(crate) fn expected(&self, txs: &[Placed<'_>]) -> Vec<StateKey> {
        let keys = |txs| self.keys(txs, |_| true, |known, learned| known.believes(learned));
        txs.chunks(CHUNK).flat_map(keys).map(|expected| expected.key).collect()
    }

    /// Slots of transactions whose codes conflicts are remembered about.
    pub(crate) fn contested(&self, txs: &[Placed<'_>]) -> Vec<Expected> {
        if self.contested.is_empty() {
            return Vec::new();
        }
        let is_contested = |program: &Program| self.contested.contains_key(&program.0);
        self.keys(txs, is_contested, |_, learned| learned.contested)
    }

    /// Where a transaction was expected to look, of what others have `changed`.
    pub(crate) fn looked(&self, tx: Placed<'_>, changed: impl Fn(&StateKey) -> bool) -> Vec<Expected> {
        let mut keys = self.keys(&[tx], |_| true, |_, _| true);
        keys.retain(|expected| changed(&expected.key));
        keys
    }

    /// Whether a slot is hashed with nothing but words that the transaction says and that satisfy this.
    pub(crate) fn is_said(&self, tx: Placed<'_>, expected: &Expected, word: impl Fn(U256) -> bool) -> bool {
        let words = Words { tx: tx.1, sender: tx.2 };
        let is_said = |step: &Step| !matches!(step.key, Word::Constant(_)) && words.get(step.key).is_some_and(&word);
        let slot = self.get(tx.0).and_then(|known| known.learned.get(expected.formula)?.formula.slot.as_ref());
        slot.is_some_and(|slot| !slot.steps.is_empty() && slot.steps.iter().all(is_said))
    }

    /// Transactions of a program got in each other's way there.
    pub(crate) fn contest(&mut self, program: ProgramId, keys: &[Expected]) {
        let Some(((code_hash, _), known)) = self.programs.get_mut(&program) else { return };
        keys.iter().for_each(|expected| known.learned[expected.formula].contested = true);
        let code_hash = *code_hash;
        if !keys.is_empty() && (self.contested.len() < MOST_PROGRAMS || self.contested.contains_key(&code_hash)) {
            let left = self.contested.entry(code_hash).or_default();
            *left = (*left + ONE).min(ALL);
        }
    }

    /// A transaction looked at something that another one had changed. If it was expected there, that is remembered.
    pub(crate) fn conflict(&mut self, tx: Placed<'_>, changed: impl Fn(&StateKey) -> bool) -> Vec<StateKey> {
        let keys = self.looked(tx, changed);
        self.contest(tx.0, &keys);
        keys.into_iter().map(|expected| expected.key).collect()
    }

    /// A block is over.
    pub(crate) fn fade(&mut self) {
        self.contested.retain(|_, left| {
            *left -= 1;
            *left > 0
        });
    }

    /// Adds what another block taught meanwhile.
    pub(crate) fn merge(&mut self, other: Self) {
        for (id, (program, known)) in other.programs {
            let is_better = self.get(id).is_none_or(|own| own.runs < known.runs);
            if is_better && (self.programs.contains_key(&id) || self.programs.len() < MOST_PROGRAMS) {
                self.put(program, known);
            }
        }
        for (code_hash, left) in other.contested {
            if self.contested.len() < MOST_PROGRAMS {
                let own = self.contested.entry(code_hash).or_default();
                *own = left.max(*own);
            }
        }
    }
}

/// Forgets every other entry where a table has so many already and this one is new.
pub(crate) fn make_room<K: Eq + Hash, T>(table: &mut HashMap<K, T>, key: K, most: usize) {
    if table.len() >= most && !table.contains_key(&key) {
        let mut keeps = false;
        table.retain(|_, _| {
            keeps = !keeps;
            keeps
        });
    }
}

/// Takes the next step to every slot that has one.
fn step<'t>(pending: &mut [Pending<'_>], depth: usize, words: impl Fn(usize) -> Words<'t>) {
    let mut places = Vec::new();
    let mut inputs: Vec<[u8; 64]> = Vec::new();
    for (place, Pending { owner, slot, .. }) in pending.iter().enumerate() {
        let Some((so_far, step)) = slot.and_then(|(so_far, slot)| Some((so_far, slot.steps.get(depth)?))) else {
            continue;
        };
        // A slot of nobody's, where there is no such argument.
        let key = words(*owner).get(step.key).unwrap_or_default();
        let [first, second] = if step.key_first { [key, so_far] } else { [so_far, key] };
        let mut input = [0; 64];
        input[..32].copy_from_slice(&first.to_be_bytes::<32>());
        input[32..].copy_from_slice(&second.to_be_bytes::<32>());
        places.push(place);
        inputs.push(input);
    }
    let messages: Vec<_> = inputs.iter().map(<[u8; 64]>::as_slice).collect();
    let mut hashes = vec![B256::ZERO; messages.len()];
    keccak256_batch(keccak::Engine::best(), &messages, &mut hashes);
    for (place, hash) in places.into_iter().zip(hashes) {
        if let Some((slot, _)) = &mut pending[place].slot {
            *slot = hash.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixture, tx::TxType};
    use alloy_primitives::keccak256;

    const TOKEN: Address = Address::repeat_byte(7);

    fn address_word(address: Address) -> [u8; 32] {
        address.into_word().0
    }

    fn hashed(first: [u8; 32], second: [u8; 32]) -> ([u8; 64], B256) {
        let input: [u8; 64] = [first, second].concat().try_into().unwrap();
        (input, keccak256(input))
    }

    fn tx(arguments: &[[u8; 32]]) -> Transaction {
        let input = [vec![1, 2, 3, 4], arguments.concat()].concat();
        Transaction { to: Some(TOKEN), input: input.into(), ..Transaction::blank(TxType::Legacy, 1) }
    }

    /// `transferFrom` of a token: allowances are a mapping of mappings; one slot of a struct, one that never changes, one nobody can tell.
    fn run(number: u8) -> (Transaction, Address, Access) {
        let (from, to, sender) = (fixture::sender(number), fixture::sender(number + 50), fixture::sender(number + 100));
        let tx = tx(&[address_word(from), address_word(to), [number; 32]]);
        let number_of = |slot: u8| U256::from(slot).to_be_bytes();
        let balances = [from, to].map(|owner| hashed(address_word(owner), number_of(2)));
        let outer = hashed(address_word(from), number_of(3));
        let inner = hashed(address_word(sender), outer.1.0);
        let vyper = hashed(number_of(9), address_word(to));
        let behind = |hash: B256, by: u8| U256::from_be_bytes(hash.0) + U256::from(by);
        let slots = [
            (behind(balances[0].1, 0), true),
            (behind(balances[1].1, 0), true),
            (behind(inner.1, 0), true),
            (behind(vyper.1, 1), false),
            (U256::from(5), false),
            (U256::from_be_bytes([number + 1; 32]), false),
        ];
        let access = Access {
            code_hash: B256::repeat_byte(1),
            gas: 50_000,
            took: Duration::from_micros(5),
            slots: slots.into_iter().map(|(slot, writes)| ((TOKEN, slot), writes)).collect(),
            accounts: vec![Address::repeat_byte(8)],
            hashed: vec![balances[0], balances[1], outer, inner, vyper],
        };
        (tx, sender, access)
    }

    #[test]
    fn what_a_transaction_looks_at_is_foretold() {
        let mut programs = Programs::default();
        for number in 1..=RUNS as u8 {
            let (tx, sender, access) = run(number);
            programs.learn(access.learned(&tx, sender));
        }
        let (tx, sender, access) = run(40);
        let program = ProgramId::new(&access.code_hash, &[1, 2, 3, 4]);
        assert!(!programs.wants(program));
        let mut expected = programs.expected(&[(program, &tx, sender)]);
        let mut looked: Vec<_> = access.slots.keys().map(|(address, slot)| StateKey::Slot(*address, *slot)).collect();
        // All but the one that nobody can tell.
        let untold = StateKey::Slot(TOKEN, U256::from_be_bytes([41; 32]));
        looked.retain(|key| *key != untold);
        looked.push(StateKey::Account(Address::repeat_byte(8)));
        let order = |key: &StateKey| format!("{key:?}");
        expected.sort_by_key(order);
        looked.sort_by_key(order);
        assert_eq!(expected, looked);
        // It is missed in every run.
        assert!(!programs.knows(program));
        assert_eq!(programs.get(program).unwrap().missed, 1);
    }

    #[test]
    fn conflicts_are_about_slots_of_codes_and_forgotten() {
        let mut programs = Programs::default();
        for number in 1..3 {
            let (tx, sender, access) = run(number);
            programs.learn(access.learned(&tx, sender));
        }
        let (tx, sender, access) = run(40);
        let (other, another, _) = run(41);
        let program = ProgramId::new(&access.code_hash, &[1, 2, 3, 4]);
        let txs = [(program, &tx, sender), (program, &other, another)];
        assert_eq!(programs.contested(&txs), []);
        let balance = |number: u8| hashed(address_word(fixture::sender(number)), U256::from(2).to_be_bytes()).1;
        let key = |number: u8| StateKey::Slot(TOKEN, balance(number).into());
        assert_eq!(programs.conflict(txs[0], |key| *key == StateKey::Slot(TOKEN, U256::from(77))), []);
        assert_eq!(programs.contested(&txs), [], "nobody was expected there");
        let looked = programs.looked(txs[0], |changed| *changed == key(90));
        assert!(
            programs.is_said(txs[0], &looked[0], |word| word == U256::from_be_bytes(address_word(fixture::sender(90))))
        );
        assert!(!programs.is_said(txs[0], &looked[0], |_| false));
        assert_eq!(programs.contested(&txs), [], "that was only asked");
        assert_eq!(programs.conflict(txs[0], |changed| *changed == key(90)), [key(90)]);
        let contested = programs.contested(&txs);
        let at: Vec<_> = contested.iter().map(|expected| (expected.owner, expected.key, expected.writes)).collect();
        assert_eq!(at, [(0, key(90), true), (1, key(91), true)]);
        for _ in 0..ONE {
            programs.fade();
        }
        assert_eq!(programs.contested(&txs), []);
    }

    #[test]
    fn memory_has_an_end() {
        let mut programs = Programs::default();
        let (tx, sender, access) = run(1);
        for number in 0..3 * MOST_PROGRAMS {
            let code_hash = B256::from(U256::from(number) << 40);
            programs.learn(Access { code_hash, ..access.clone() }.learned(&tx, sender));
            assert!(programs.programs.len() <= MOST_PROGRAMS);
            assert!(programs.programs.len() > MOST_PROGRAMS / 2 || number < MOST_PROGRAMS);
        }
        let slot = |number: u64| ((TOKEN, U256::from(number) << 128), true);
        for run in 0..8 {
            let slots = (0..60).map(|number| slot(run * 60 + number)).collect();
            programs.learn(Access { slots, ..access.clone() }.learned(&tx, sender));
        }
        let known = programs.get(ProgramId::new(&access.code_hash, &[1, 2, 3, 4])).unwrap();
        assert_eq!(known.learned.len(), MOST);
        // Too much to explain: it counts as a run.
        let before = known.runs;
        let slots = (0..5_000).map(slot).collect();
        programs.learn(Access { slots, ..access.clone() }.learned(&tx, sender));
        let known = programs.get(ProgramId::new(&access.code_hash, &[1, 2, 3, 4])).unwrap();
        assert_eq!((known.runs, known.missed), (before + 1, 1));
    }
}
