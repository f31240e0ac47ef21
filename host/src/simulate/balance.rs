//! Who runs what under `auto`: how many calls of a chunk go to the device while CPU threads run the others, by rates that are
//! measured chunk by chunk; and which calls go to the CPU in any case, by what calls like them did before.

use super::Call;
use crate::{access::selector, router::Route};
use alloy_primitives::{Address, map::HashMap};

/// What the latest chunk weighs against those before it.
const NEW: f64 = 0.5;

/// Times the mean gas of a chunk from which on a call is long: other lanes would wait for it.
const LONG: u64 = 16;

/// The part of a chunk that a device is tried with.
const TRIED: usize = 16;

/// Programs that are remembered.
const MAX_PROGRAMS: usize = 1 << 16;

/// Costs of a call on both sides, as they turn out.
#[derive(Clone, Debug)]
pub(super) struct Balance {
    route: Route,
    /// Whether the cost has been measured on these very calls.
    seen_cpu: bool,
    seen_device: bool,
    programs: HashMap<Program, Seen>,
}

/// Target and selector: calls of one program do much the same.
type Program = (Option<Address>, [u8; 4]);

/// What became of a program's calls.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// In the mean, the latest counting most.
    gas: u64,
    /// Whether the device declined the latest that it was given.
    declined: bool,
}

fn program(call: &Call) -> Program {
    (call.to, selector(&call.input))
}

impl Balance {
    /// Starts from what a token transfer costs.
    pub(super) fn new(route: Route) -> Self {
        Self { route, seen_cpu: false, seen_device: false, programs: HashMap::default() }
    }

    /// How many of `units` to give to the device. One that is thought to lose, but not by far, is given a few once: a guess that
    /// is never tried is never mended, and these few are done while the CPU does the others.
    pub(super) fn device_units(&self, units: usize) -> usize {
        let Route { cpu, device } = self.route;
        let few = units / TRIED;
        let try_it = !self.seen_device && self.seen_cpu && 2.0 * device.of(few) <= cpu.of(units - few);
        match self.route.device_units(units) {
            0 if try_it => few,
            best => best,
        }
    }

    /// Learns from what the CPU did.
    pub(super) fn learn_cpu(&mut self, units: usize, seconds: f64) {
        if units == 0 {
            return;
        }
        let cpu = &mut self.route.cpu;
        let each = (seconds - cpu.fixed).max(0.1 * seconds) / units as f64;
        let ratio = each / cpu.each;
        let weight = if self.seen_cpu { NEW } else { 1.0 };
        cpu.each += weight * (each - cpu.each);
        if !self.seen_device {
            // What takes longer here takes longer there.
            self.route.device.each *= 1.0 + weight * (ratio - 1.0);
        }
        self.seen_cpu = true;
    }

    /// Learns from what the device did.
    pub(super) fn learn_device(&mut self, units: usize, seconds: f64) {
        if units == 0 {
            return;
        }
        let device = &mut self.route.device;
        let each = (seconds - device.fixed).max(0.1 * seconds) / units as f64;
        let weight = if self.seen_device { NEW } else { 1.0 };
        device.each += weight * (each - device.each);
        self.seen_device = true;
    }

    /// Learns what a call was like; `declined` where the device was to run it and did not.
    pub(super) fn learn(&mut self, call: &Call, gas_used: u64, declined: bool) {
        if self.programs.len() >= MAX_PROGRAMS {
            self.programs.clear();
        }
        let seen = self.programs.entry(program(call)).or_insert(Seen { gas: gas_used, declined });
        *seen = Seen { gas: seen.gas.midpoint(gas_used), declined };
    }

    /// The indices of calls, those that go to the device first, `share` of them at most; and how many these are. Long calls
    /// and those that the device is known to decline are not among them, and stand first among the others, the longest first.
    pub(super) fn order(&self, calls: &[Option<&Call>], share: usize) -> (Vec<usize>, usize) {
        let seen =
            |index: &usize| calls[*index].map(|call| self.programs.get(&program(call)).copied().unwrap_or_default());
        let gas = |index: &usize| seen(index).map_or(0, |seen| seen.gas);
        let sum = (0..calls.len()).map(|index| gas(&index)).fold(0, u64::saturating_add);
        let long = (sum / calls.len().max(1) as u64).saturating_mul(LONG).max(1);
        let (mut fit, mut rest): (Vec<usize>, Vec<usize>) =
            (0..calls.len()).partition(|index| seen(index).is_some_and(|seen| !seen.declined && seen.gas < long));
        rest.sort_by_key(|index| std::cmp::Reverse(gas(index)));
        let share = share.min(fit.len());
        let behind = fit.split_off(share);
        fit.extend(rest);
        fit.extend(behind);
        (fit, share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::Cost;

    fn call(to: u8) -> Call {
        Call::new(Address::ZERO, Address::with_last_byte(to), vec![1, 2, 3, 4])
    }

    /// Seconds of a million calls that truly cost `truth`, in chunks as they come, from a first guess that is `off` by factors.
    fn simulated(truth: &Route, off: (f64, f64)) -> f64 {
        let guess = |cost: Cost, off: f64| Cost { each: cost.each * off, ..cost };
        let mut balance = Balance::new(Route { cpu: guess(truth.cpu, off.0), device: guess(truth.device, off.1) });
        let (mut left, mut size, mut total) = (1_000_000, 256, 0.0);
        while left > 0 {
            let units = size.min(left);
            let device = balance.device_units(units);
            let (cpu_seconds, device_seconds) = (truth.cpu.of(units - device), truth.device.of(device));
            balance.learn_cpu(units - device, cpu_seconds);
            balance.learn_device(device, device_seconds);
            total += cpu_seconds.max(device_seconds);
            left -= units;
            size = (2 * size).min(16_384);
        }
        total
    }

    /// Seconds where one side does all.
    fn alone(cost: &Cost) -> f64 {
        let (mut left, mut size, mut total) = (1_000_000, 256, 0.0);
        while left > 0 {
            let units = size.min(left);
            total += cost.of(units);
            left -= units;
            size = (2 * size).min(16_384);
        }
        total
    }

    #[test]
    fn regret_is_at_most_three_percent() {
        let cpu = Cost { fixed: 10e-6, each: 1.5e-6 };
        for each in [20e-9, 200e-9, 1e-6, 1.4e-6, 1.6e-6, 20e-6] {
            for fixed in [1e-4, 2e-3] {
                let truth = Route { cpu, device: Cost { fixed, each } };
                let best = alone(&truth.cpu).min(alone(&truth.device));
                // Guesses from a lighter or a heavier workload, for which both sides differ alike or not quite.
                for off in [(1.0, 1.0), (0.2, 0.2), (5.0, 5.0), (1.0, 1.3), (1.0, 0.7)] {
                    let took = simulated(&truth, off);
                    assert!(took <= 1.03 * best, "{truth:?} {off:?}: {took} {best}");
                }
            }
        }
    }

    #[test]
    fn the_long_and_the_declined_are_for_the_cpu() {
        let route = Route { cpu: Cost { fixed: 0.0, each: 1.0 }, device: Cost { fixed: 0.0, each: 0.1 } };
        let mut balance = Balance::new(route);
        let calls: Vec<Call> = (0..100).map(|index| call(if index < 2 { index + 1 } else { 3 })).collect();
        balance.learn(&calls[0], 10_000_000, false);
        balance.learn(&calls[1], 30_000, true);
        balance.learn(&calls[2], 30_000, false);
        let asked: Vec<_> = calls.iter().map(Some).chain([None]).collect();
        let (order, share) = balance.order(&asked, 60);
        assert_eq!((order.len(), share), (101, 60));
        assert!(order[..60].iter().all(|index| (2..100).contains(index)));
        assert_eq!(order[60..63], [0, 1, 100]);
        assert_eq!(balance.order(&asked, 200).1, 98);
    }
}
