//! How much goes into one dispatch: by how long the last one took.

use crate::abi;
use std::{ops::RangeInclusive, time::Duration};

/// Watchdogs kill kernels that run for seconds, and whoever shares the device waits: a dispatch stays below 50 ms, and
/// aims at half of that.
const AIM: Duration = Duration::from_millis(25);

/// Work of a lane in a dispatch.
const STEPS: RangeInclusive<u32> = 16..=65_536;

/// Work of all lanes in the first dispatch of a batch, of which nothing is known yet; and most work of a lane in it.
const FIRST_WORK: u32 = 1 << 16;
const FIRST_STEPS: u32 = 4096;

/// Times more work in a dispatch than in any before: what comes next may cost some times more than what was measured.
const GROWTH: u32 = 4;

/// Work of a lane, and how many places of the list at most. A lane does one step in any case, and a step can be long: where even the
/// least work of all lanes takes too long, they take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) steps: u32,
    pub(super) lanes: u32,
    /// What a unit of work may take, in picoseconds; zero where nothing is known.
    cost: u64,
    /// Most work that a dispatch did. The last may have been that of few lanes, or of lanes that parked at once.
    most: u32,
}

/// What a dispatch did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dispatched {
    pub(super) took: Duration,
    /// In units of simple steps.
    pub(super) work: u32,
    /// Lanes that were in it.
    pub(super) lanes: u32,
}

impl Pace {
    /// Of a batch of `lanes`.
    pub(super) fn first(lanes: u32) -> Self {
        let steps = (FIRST_WORK / lanes.max(1)).clamp(*STEPS.start(), FIRST_STEPS);
        Self { steps, lanes: FIRST_WORK / steps, cost: 0, most: 0 }
    }

    /// After a dispatch, for `lanes` that may run in the next.
    pub(super) fn next(self, last: Dispatched, lanes: u32) -> Self {
        if last.work == 0 || lanes == 0 {
            return self;
        }
        let measured = last.took.as_nanos() * 1000 / u128::from(last.work);
        // What was slow once, by a neighbour or by what lanes did, may be so again: it is forgotten by and by.
        let cost = (measured as u64).max(self.cost / 2).max(1);
        let most = last.work.max(self.most);
        let affordable = (AIM.as_nanos() as u64 * 1000 / cost).min(u64::from(most) * u64::from(GROWTH));
        // A lane does no less than it did where that was more than it was asked for.
        let did = last.work.div_ceil(last.lanes.max(1));
        let least = if did > self.steps { did } else { *STEPS.start() };
        let each = (affordable / u64::from(lanes)) as u32;
        if each >= least {
            let steps = each.min(self.steps.saturating_mul(GROWTH)).clamp(*STEPS.start(), *STEPS.end());
            return Self { steps, lanes: u32::MAX, cost, most };
        }
        Self { steps: *STEPS.start(), lanes: ((affordable / u64::from(least)) as u32).max(abi::WORKGROUP), cost, most }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u32 = u32::MAX;

    fn next(pace: (u32, u32), took: u64, work: u32, ran: u32, lanes: u32) -> (u32, u32) {
        let last = Dispatched { took: Duration::from_millis(took), work, lanes: ran };
        let Pace { steps, lanes, .. } = Pace { steps: pace.0, lanes: pace.1, cost: 0, most: 0 }.next(last, lanes);
        (steps, lanes)
    }

    #[test]
    fn a_dispatch_follows_what_the_last_one_took() {
        let pace = (1000, 1000);
        // As much again for as many lanes.
        assert_eq!(next(pace, 25, 1_000_000, 1000, 1000), (1000, ALL));
        assert_eq!(next(pace, 100, 1_000_000, 1000, 1000), (250, ALL));
        // Fewer lanes may do more each, within bounds.
        assert_eq!(next(pace, 25, 1_000_000, 1000, 500), (2000, ALL));
        assert_eq!(next(pace, 25, 1_000_000, 1000, 1), (4000, ALL));
        assert_eq!(next((60_000, 1), 1, 1_000_000, 1, 1), (65_536, ALL));
        // No more than some times as much, however quick it was.
        assert_eq!(next(pace, 0, 1_000_000, 1000, 1000), (4000, ALL));
        // Nothing was done that could be measured.
        assert_eq!(next(pace, 1, 0, 1000, 10), (1000, 1000));
    }

    #[test]
    fn lanes_take_turns_where_one_step_of_all_takes_too_long() {
        let pace = (16, 16_384);
        // One step of 128 units each: a sixteenth of the lanes in a dispatch.
        assert_eq!(next(pace, 400, 128 * 16_384, 16_384, 16_384), (16, 1024));
        // They stay apart as long as their steps are long, and come together again.
        assert_eq!(next((16, 1024), 25, 128 * 1024, 1024, 16_384), (16, 1024));
        assert_eq!(next((16, 4096), 1, 16 * 4096, 4096, 16_384), (16, ALL));
        assert_eq!(next(pace, 60_000, 128 * 16_384, 16_384, 16_384), (16, 32));
    }

    #[test]
    fn what_was_slow_is_forgotten_by_and_by() {
        let did = |took| Dispatched { took: Duration::from_millis(took), work: 1_000_000, lanes: 1000 };
        let mut pace = Pace { steps: 1000, lanes: ALL, cost: 0, most: 0 }.next(did(200), 1000);
        let mut steps = vec![pace.steps];
        for _ in 0..4 {
            // So quick that only memory holds it back.
            pace = Pace { steps: 1000, ..pace }.next(did(1), 1000);
            steps.push(pace.steps);
        }
        assert_eq!(steps, [125, 250, 500, 1000, 2000]);
    }

    #[test]
    fn a_small_dispatch_makes_the_next_no_smaller() {
        let did = |work, lanes| Dispatched { took: Duration::from_millis(1), work, lanes };
        // The last few lanes of a pass, or all of them, parked after a step.
        let pace = Pace { steps: 16, lanes: ALL, cost: 0, most: 0 }.next(did(500_000, 16_384), 16_384);
        for small in [did(3000, 176), did(16_384, 16_384)] {
            let next = pace.next(small, 16_384);
            assert_eq!((next.steps, next.lanes), if small.lanes == 176 { (16, 4687) } else { (25, ALL) });
        }
    }

    #[test]
    fn the_first_dispatch_is_short() {
        assert_eq!(Pace::first(1), Pace { steps: 4096, lanes: 16, cost: 0, most: 0 });
        assert_eq!(Pace::first(16_384), Pace { steps: 16, lanes: 4096, cost: 0, most: 0 });
    }
}
