//! What a transaction runs in: a block environment and a state. The lanes of a batch may each have their own.

use crate::{
    abi,
    block::BlockEnv,
    lower::{Base, Numbered},
    state::StateRef,
    tx::Transaction,
};
use alloy_primitives::{Address, map::HashMap};

/// A block environment and a state. Several contexts may share either.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// What the transaction sees of its block.
    pub env: &'a BlockEnv,
    /// Where it stands; must not change meanwhile.
    pub state: &'a dyn StateRef,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("env", self.env).finish_non_exhaustive()
    }
}

/// A transaction and where it runs.
#[derive(Clone, Copy, Debug)]
pub struct PlacedTx<'a> {
    /// Decoded.
    pub tx: &'a Transaction,
    /// Its sender.
    pub sender: Address,
    /// Index of its context.
    pub context: usize,
}

/// What the rules are for what runs in a context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Terms {
    /// A transaction's.
    #[default]
    Transaction,
    /// A call's: whatever nonce and code the sender has, free of charge, without a cap on gas.
    Call,
}

/// Contexts, their states numbered: those of one state share what lanes read of it.
#[derive(Clone, Debug)]
pub struct Contexts<'a> {
    list: Vec<(Context<'a>, u32, Option<Base<'a>>)>,
    terms: Terms,
}

impl<'a> Contexts<'a> {
    /// Most contexts: the number of a state shares a word with the kind of a key, and each may bring the state under it.
    pub const MOST: usize = (u32::MAX / abi::KEY_STATE) as usize / 2;

    /// In order.
    ///
    /// A state that is a layer has the number of its base beside its own.
    ///
    /// # Panics
    /// There are more than [`Contexts::MOST`].
    pub fn new(contexts: &[Context<'a>]) -> Self {
        assert!(contexts.len() <= Self::MOST, "{} contexts", contexts.len());
        let mut numbers: HashMap<*const (dyn StateRef + 'a), u32> = HashMap::default();
        let mut number = |state: *const (dyn StateRef + 'a)| {
            let next = numbers.len() as u32;
            // The same data behind the same functions: whatever the types are, they answer alike.
            *numbers.entry(state).or_insert(next)
        };
        let numbered = |context: &Context<'a>| {
            let of = number(context.state);
            let base = context.state.layer().map(|layer| Base { layer, number: number(layer.base()) });
            (*context, of, base)
        };
        Self { list: contexts.iter().map(numbered).collect(), terms: Terms::Transaction }
    }

    /// The same for calls.
    #[must_use]
    pub fn for_calls(self) -> Self {
        Self { terms: Terms::Call, ..self }
    }

    /// What the rules are.
    pub const fn terms(&self) -> Terms {
        self.terms
    }

    /// One for all.
    pub fn one(env: &'a BlockEnv, state: &'a dyn StateRef) -> Self {
        Self { list: vec![(Context { env, state }, 0, None)], terms: Terms::Transaction }
    }

    /// The context at an index.
    pub fn get(&self, context: usize) -> &Context<'a> {
        &self.list[context].0
    }

    /// Its state, numbered.
    pub fn state(&self, context: usize) -> Numbered<'a> {
        let (context, number, base) = self.list[context];
        Numbered { state: context.state, number, base }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixture, memory::MemoryState, state::StateKey};

    #[test]
    fn states_are_told_apart_by_reference() {
        let env = fixture::block().0.env;
        let (one, two) = (MemoryState::default(), MemoryState::default());
        let other = BlockEnv { number: env.number + 1, ..env.clone() };
        let states: [(&BlockEnv, &dyn StateRef); 4] = [(&env, &one), (&env, &two), (&other, &one), (&env, &&one)];
        let contexts = Contexts::new(&states.map(|(env, state)| Context { env, state }));
        let numbers: Vec<_> = (0..4).map(|context| contexts.state(context).number).collect();
        assert_eq!(numbers, [0, 1, 0, 2]);
        assert_eq!(contexts.get(2).env.number, env.number + 1);
    }

    #[test]
    fn entries_of_two_states_are_two() {
        let (mut codes, mut snapshot) = (crate::lower::CodeArena::default(), crate::lower::SnapshotTable::default());
        let key = StateKey::Slot(Address::ZERO, alloy_primitives::U256::ONE);
        let state = MemoryState::default();
        for number in [0, 7, Contexts::MOST as u32, 7] {
            snapshot.ensure(key, Numbered::alone(&state, number), &mut codes).unwrap();
        }
        assert_eq!(snapshot.len(), 3);
        assert_eq!(snapshot.number(Numbered::alone(&state, 7), key), Some(1));
        assert_eq!(snapshot.number(Numbered::alone(&state, 8), key), None);
        assert!(snapshot.entries().iter().all(|entry| crate::lower::key_of(entry) == key));
        assert_eq!(snapshot.entries()[1].kind, abi::KIND_SLOT + 7 * abi::KEY_STATE);
    }
}
