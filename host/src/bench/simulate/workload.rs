//! A workload of `bench simulate`: calls, and what the baseline answers to them.

use super::{
    calls::{self, SEQUENCE},
    plain,
};
use crate::{bench::world::World, context::Context, error::TxError, outcome::TxStatus, simulate::Call};
use alloy_primitives::Bytes;
use rayon::prelude::*;

/// What is kept of an answer.
pub type Kept = Result<(TxStatus, u64, Bytes), TxError>;

/// Calls one after the other, so many to an item.
#[derive(Clone, Copy, Debug)]
pub(super) struct Items<'a> {
    pub(super) calls: &'a [Call],
    /// One, or as many as a sequence has.
    pub(super) length: usize,
}

impl Items<'_> {
    pub(super) const fn count(&self) -> usize {
        self.calls.len() / self.length
    }
}

/// Calls or sequences on a state, and their answers.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Its fixed name.
    pub name: &'static str,
    pub(super) world: World,
    pub(super) calls: Vec<Call>,
    pub(super) length: usize,
    /// By the baseline, one a call.
    pub(super) expected: Vec<Kept>,
}

impl Workload {
    /// The first `n` items of the workload of a name.
    ///
    /// # Errors
    /// There is none of the name, or the sample block is none.
    pub fn new(name: &str, n: usize) -> Result<Self, String> {
        let world = World::new()?;
        let each = |make: fn(&World, usize) -> Call| (0..n).into_par_iter().map(|index| make(&world, index)).collect();
        let make = || match name {
            "token" => Some(("token", 1, each(calls::token))),
            "mix" => Some(("mix", 1, each(calls::mix))),
            "sequence" => {
                let sequences = (0..n).into_par_iter().flat_map_iter(|index| calls::sequence(&world, index));
                Some(("sequence", SEQUENCE, sequences.collect()))
            }
            _ => None,
        };
        let (name, length, calls): (_, _, Vec<_>) = make().ok_or_else(|| format!("no workload {name}"))?;
        let items = Items { calls: &calls, length };
        let expected = plain::on_all(&world.env, &world.state, items).map_err(|error| error.to_string())?;
        Ok(Self { name, world, calls, length, expected })
    }

    pub(super) fn first(&self, n: usize) -> Items<'_> {
        Items { calls: &self.calls[..n * self.length], length: self.length }
    }

    pub(super) fn base(&self) -> Context<'_> {
        Context { env: &self.world.env, state: &self.world.state }
    }

    /// Gas of the first `n` items.
    pub fn gas(&self, n: usize) -> u64 {
        self.expected[..n * self.length].iter().flatten().map(|(_, gas_used, _)| gas_used).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::calls::{Kind, mix_fails, sequence_fails, token_fails},
        *,
    };
    use crate::evm::reference_call;

    fn workload(name: &str, n: usize) -> Workload {
        Workload::new(name, n).unwrap()
    }

    fn status(kept: &Kept) -> TxStatus {
        kept.as_ref().unwrap().0
    }

    fn meant(fails: bool) -> TxStatus {
        if fails { TxStatus::Revert } else { TxStatus::Success }
    }

    #[test]
    fn transfers_end_as_they_are_meant_to() {
        let token = workload("token", 2000);
        for (index, kept) in token.expected.iter().enumerate() {
            assert_eq!(status(kept), meant(token_fails(index)), "{index}");
        }
        let fails = (0..2000).filter(|index| token_fails(*index)).count();
        assert!((10..=30).contains(&fails), "{fails} of 2000");
        let mut callers: Vec<_> = token.calls.iter().map(|call| call.from).collect();
        callers.sort_unstable();
        callers.dedup();
        assert!(callers.len() > 1500, "{} callers", callers.len());
    }

    #[test]
    fn every_kind_of_the_mix_ends_as_it_is_meant_to() {
        let mix = workload("mix", 4000);
        let mut of_kind = [(0, 0); Kind::ALL.len()];
        for (index, kept) in mix.expected.iter().enumerate() {
            let kind = Kind::of(index);
            assert_eq!(status(kept), meant(mix_fails(index)), "{index}: {kind:?}: {kept:?}");
            let (all, fails) = &mut of_kind[kind as usize];
            *all += 1;
            *fails += usize::from(mix_fails(index));
        }
        assert!(of_kind.iter().all(|(all, fails)| *all == 500 && (1..=25).contains(fails)), "{of_kind:?}");
    }

    #[test]
    fn a_sequence_carries_its_state() {
        let sequence = workload("sequence", 500);
        assert_eq!(sequence.calls.len(), 500 * SEQUENCE);
        for (index, kept) in sequence.expected.chunks(SEQUENCE).enumerate() {
            let fails = meant(sequence_fails(index));
            let all: Vec<_> = kept.iter().map(status).collect();
            assert_eq!(all, [TxStatus::Success, fails, TxStatus::Success, fails], "{index}");
        }
        assert!((0..500).any(sequence_fails));
        // None of those that need what came before would succeed alone.
        let base = sequence.base();
        let alone = |call: &Call| reference_call(base.env, base.state, call).unwrap().status;
        assert!(sequence.calls.iter().skip(1).step_by(2).all(|call| alone(call) == TxStatus::Revert));
    }

    /// The baseline keeps its journal from call to call, the reference keeps nothing.
    #[test]
    fn the_baseline_is_right() {
        for name in ["token", "mix"] {
            let workload = workload(name, 400);
            let base = workload.base();
            let alone = |call: &Call| {
                reference_call(base.env, base.state, call).map(|done| (done.status, done.gas_used, done.output))
            };
            let alone: Vec<_> = workload.calls.iter().map(alone).collect();
            assert_eq!(workload.expected, alone, "{name}");
            assert_eq!(plain::on_one(base.env, &workload.world.state, workload.first(400)), Ok(alone), "{name}");
        }
    }

    #[test]
    fn more_items_begin_with_the_same() {
        let (few, many) = (workload("mix", 10), workload("mix", 30));
        assert_eq!((few.calls.as_slice(), few.gas(10)), (&many.calls[..10], many.gas(10)));
        assert!(Workload::new("other", 1).is_err());
    }
}
