//! Where a call runs: the block and the state, as its overrides have them.

use super::{Call, StateOverrides};
use crate::{
    block::BlockEnv,
    commit::Committed,
    context::Context,
    error::TxError,
    state::{AccountInfo, StateError, StateKey, StateRef},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use std::sync::Arc;

/// The base, or what lies over it.
#[derive(Clone)]
pub(super) enum Layer<'a> {
    Base(&'a dyn StateRef),
    Over(Arc<Committed<'a>>),
}

impl std::fmt::Debug for Layer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Base(_) => f.write_str("Base"),
            Self::Over(committed) => committed.fmt(f),
        }
    }
}

impl<'a> Layer<'a> {
    /// The base with overrides.
    pub(super) fn overridden(base: &'a dyn StateRef, overrides: &StateOverrides) -> Result<Self, StateError> {
        let mut over = Committed::new(base);
        over.apply(overrides)?;
        Ok(Self::Over(Arc::new(over)))
    }

    pub(super) fn as_state(&self) -> &dyn StateRef {
        match self {
            // Itself, by which it is known, and not the reference to it.
            Self::Base(base) => *base,
            Self::Over(over) => &**over,
        }
    }

    /// The changes of a sequence, to commit to.
    pub(super) fn own(&mut self) -> &mut Committed<'a> {
        if let Self::Base(base) = self {
            *self = Self::Over(Arc::new(Committed::new(*base)));
        }
        match self {
            Self::Over(over) => Arc::make_mut(over),
            Self::Base(_) => unreachable!("replaced above"),
        }
    }
}

impl StateRef for Layer<'_> {
    fn account(&self, address: &Address) -> Result<Option<AccountInfo>, StateError> {
        self.as_state().account(address)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        self.as_state().storage(address, slot)
    }

    fn code(&self, code_hash: &B256) -> Result<Bytes, StateError> {
        self.as_state().code(code_hash)
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.as_state().block_hash(number)
    }

    fn hints(&self) -> Vec<StateKey> {
        self.as_state().hints()
    }
}

/// A block and a state that calls share.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub(super) env: Arc<BlockEnv>,
    pub(super) state: Layer<'a>,
}

impl<'a> Place<'a> {
    pub(super) fn base(base: &Context<'a>) -> Self {
        Self { env: Arc::new(base.env.clone()), state: Layer::Base(base.state) }
    }

    /// The place of a call whose sequence, if it is of one, has come to `self`: with the call's overrides.
    pub(super) fn of(&self, call: &Call) -> Result<Self, TxError> {
        let mut place = self.clone();
        if let Some(overrides) = &call.block {
            place.env = Arc::new(overrides.applied(&self.env)?);
        }
        if let Some(overrides) = &call.state {
            place.state = match &self.state {
                Layer::Base(base) => Layer::overridden(*base, overrides)?,
                Layer::Over(over) => {
                    let mut over = Committed::clone(over);
                    over.apply(overrides)?;
                    Layer::Over(Arc::new(over))
                }
            };
        }
        Ok(place)
    }
}
