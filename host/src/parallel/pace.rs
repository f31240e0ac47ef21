//! What transactions take against what was expected, while a block runs.

use super::progress::nanos;
use crate::forecast::{Call, TRANSFER};
use std::time::Duration;

/// Calls of which nothing was known, and of which something was, that tell how wrong what was expected is.
const ENOUGH: [u32; 2] = [16, 64];

/// What was expected is quite wrong where calls take one part in so many of it, or less.
const WRONG: u64 = 3;

/// What is said in so many parts of what was expected, and how much more it may be.
const WHOLE: u64 = 1 << 12;
const MOST: u64 = WHOLE * 4;

/// Calls of which something was known, or nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    ran: u32,
    expected: Duration,
    took: Duration,
    /// What was expected of those that have not run.
    left: Duration,
}

impl Calls {
    /// What they take, in parts of what was expected.
    fn parts(&self, enough: u32) -> u64 {
        if self.ran < enough || self.expected.is_zero() {
            return WHOLE;
        }
        let parts = nanos(self.took).saturating_mul(WHOLE) / nanos(self.expected).max(1);
        parts.clamp(1, MOST)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Pace {
    calls: [Calls; 2],
    /// What each kind takes, in parts of what was expected.
    parts: [u64; 2],
    /// Transactions that have not run.
    left: u32,
}

fn kind(call: Option<&Call>) -> usize {
    usize::from(call.is_some())
}

fn scaled(expected: Duration, parts: u64) -> Duration {
    Duration::from_nanos(nanos(expected).saturating_mul(parts) / WHOLE)
}

impl Pace {
    pub(super) fn new(calls: &[Option<Call>], costs: &[Duration]) -> Self {
        let left = costs.len().try_into().unwrap_or(u32::MAX);
        let mut pace = Self { parts: [WHOLE; 2], left, ..Self::default() };
        for (call, cost) in calls.iter().zip(costs) {
            pace.calls[kind(call.as_ref())].left += *cost - TRANSFER;
        }
        pace
    }

    /// Transactions ran: what is known of the call of each, what it was expected to take, and what it took.
    #[expect(single_use_lifetimes, reason = "it cannot be elided there")]
    pub(super) fn ran<'c>(&mut self, txs: impl IntoIterator<Item = (&'c Option<Call>, Duration, Duration)>) {
        for (call, cost, took) in txs {
            self.one_ran(call.as_ref(), cost, took);
        }
        self.parts = std::array::from_fn(|kind| self.calls[kind].parts(ENOUGH[kind]));
    }

    fn one_ran(&mut self, call: Option<&Call>, cost: Duration, took: Duration) {
        self.left = self.left.saturating_sub(1);
        let calls = &mut self.calls[kind(call)];
        calls.left = calls.left.saturating_sub(cost - TRANSFER);
        // A transfer says nothing of calls.
        if !took.is_zero() {
            calls.ran += 1;
            calls.expected += cost;
            calls.took += took;
        }
    }

    /// What a transaction will take.
    pub(super) fn cost(&self, call: Option<&Call>, cost: Duration) -> Duration {
        scaled(cost, self.parts[kind(call)])
    }

    /// Whether several threads are done with what is left before one is; they are, unless what was expected is quite wrong.
    pub(super) fn pays(&self, threads: usize, handover: Duration) -> bool {
        if self.parts.iter().all(|parts| *parts > WHOLE / WRONG) {
            return true;
        }
        let left: Duration = self.calls.iter().zip(self.parts).map(|(calls, parts)| scaled(calls.left, parts)).sum();
        left >= (left / threads.max(1) as u32).saturating_add(handover.saturating_mul(self.left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_less_than_expected_is_not_handed_over() {
        let (cost, handover) = (Duration::from_micros(20), Duration::from_micros(1));
        let known = Call { took: cost, program: None, measured: true };
        let calls: Vec<_> = (0..400).map(|index| (index % 2 == 0).then_some(known)).collect();
        let mut pace = Pace::new(&calls, &[cost; 400]);
        assert!(pace.pays(2, handover));
        let short = Duration::from_nanos(1_600);
        pace.ran(calls[..30].iter().map(|call| (call, cost, short)));
        // Too few of each.
        assert_eq!((pace.pays(2, handover), pace.cost(None, cost)), (true, cost));
        pace.ran(calls[30..130].iter().map(|call| (call, cost, short)));
        assert!(!pace.pays(2, handover));
        assert_eq!(pace.cost(None, cost), cost * 327 / 4096);
        // Of those of which something is known what was expected is right, and they are worth it.
        let mut pace = Pace::new(&calls, &[cost; 400]);
        pace.ran(calls[..130].iter().map(|call| (call, cost, if call.is_some() { cost } else { short })));
        assert!(pace.pays(2, handover));
        assert_eq!(pace.cost(Some(&known), cost), cost);
    }
}
