//! What transactions take against what was expected, while a block runs.

use crate::forecast::{Call, TRANSFER};
use std::time::Duration;

/// Calls that tell how wrong what was expected is.
const ENOUGH: u32 = 16;

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
    fn parts(&self) -> u64 {
        if self.ran < ENOUGH || self.expected.is_zero() {
            return WHOLE;
        }
        let parts = self.took.as_nanos() as u64 * WHOLE / (self.expected.as_nanos() as u64).max(1);
        parts.clamp(1, MOST)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Pace {
    calls: [Calls; 2],
    /// Transactions that have not run.
    left: u32,
}

fn kind(call: Option<&Call>) -> usize {
    usize::from(call.is_some())
}

fn scaled(expected: Duration, parts: u64) -> Duration {
    Duration::from_nanos((expected.as_nanos() as u64).saturating_mul(parts) / WHOLE)
}

impl Pace {
    pub(super) fn new(calls: &[Option<Call>], costs: &[Duration]) -> Self {
        let mut pace = Self { left: costs.len().try_into().unwrap_or(u32::MAX), ..Self::default() };
        for (call, cost) in calls.iter().zip(costs) {
            pace.calls[kind(call.as_ref())].left += *cost - TRANSFER;
        }
        pace
    }

    /// A transaction ran.
    pub(super) fn ran(&mut self, call: Option<&Call>, cost: Duration, took: Duration) {
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
        scaled(cost, self.calls[kind(call)].parts())
    }

    /// Whether several threads are done with what is left before one is.
    pub(super) fn pays(&self, threads: usize, handover: Duration) -> bool {
        let left: Duration = self.calls.iter().map(|calls| scaled(calls.left, calls.parts())).sum();
        left >= left / threads.max(1) as u32 + handover.saturating_mul(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_less_than_expected_is_not_handed_over() {
        let (cost, handover) = (Duration::from_micros(20), Duration::from_micros(1));
        let known = Call { took: cost, program: None };
        let calls: Vec<_> = (0..100).map(|index| (index % 2 == 0).then_some(known)).collect();
        let mut pace = Pace::new(&calls, &[cost; 100]);
        assert!(pace.pays(2, handover));
        for call in &calls[..20] {
            pace.ran(call.as_ref(), cost, Duration::from_nanos(1_600));
        }
        // Too few of each.
        assert_eq!((pace.pays(2, handover), pace.cost(None, cost)), (true, cost));
        for call in &calls[20..40] {
            pace.ran(call.as_ref(), cost, Duration::from_nanos(1_600));
        }
        assert!(!pace.pays(2, handover));
        assert_eq!(pace.cost(None, cost), cost * 327 / 4096);
        // Of those of which something is known what was expected is right, and they are worth it.
        let mut pace = Pace::new(&calls, &[cost; 100]);
        for call in &calls[..40] {
            pace.ran(call.as_ref(), cost, if call.is_some() { cost } else { Duration::from_nanos(1_600) });
        }
        assert!(pace.pays(2, handover));
        assert_eq!(pace.cost(Some(&known), cost), cost);
    }
}
