//! Where a batch runs: what the CPU and a device cost, measured at the start, and the split that ends soonest.

use crate::{
    backend::{Backend, BackendError},
    keccak,
    recover::{self, ORDER, RecoverError, RecoverRequest},
    simulate::Samples,
};
use alloy_primitives::{Address, B256, U256, keccak256};
use rayon::ThreadPool;
use secp256k1::{Message, SecretKey, ecdsa::RecoverableSignature};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// A device that gains less than this over the CPU alone is left alone: the figures are no better.
const MARGIN: f64 = 0.03;

/// The most recoveries that are routed as one batch: between two of these a cancellation is seen.
pub(crate) const LARGEST: usize = 1 << 18;

/// Units of the small and of the largest sample.
const SMALL: usize = 256;
const LARGE: usize = 65_536;
/// A sample grows until it is predicted to last as long, in seconds.
const SAMPLE_SECONDS: f64 = 0.01;
/// How often a sample is taken; the fastest counts.
const REPEATS: usize = 2;

/// Seconds that a batch takes: `fixed` whatever its size, and `each` for every unit of work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Seconds a batch.
    pub fixed: f64,
    /// Seconds a unit.
    pub each: f64,
}

impl Cost {
    /// Seconds of a batch of `units`; nothing costs nothing.
    pub fn of(&self, units: usize) -> f64 {
        if units == 0 { 0.0 } else { units as f64 * self.each + self.fixed }
    }

    /// Units a second in the long run.
    pub fn per_second(&self) -> f64 {
        self.each.recip()
    }
}

/// What one kind of work costs on the CPU, all threads, and on a device, transfers included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Route {
    /// The CPU.
    pub cpu: Cost,
    /// The device.
    pub device: Cost,
}

impl Route {
    /// How many of `units` to give to the device, the rest going to the CPU at the same time. Zero wherever the device is
    /// slower than the CPU, or gains less than it may be off.
    pub fn device_units(&self, units: usize) -> usize {
        let Self { cpu, device } = self;
        if device.each >= cpu.each {
            return 0;
        }
        // Both ends meet where fixed and variable cost of one equal those of the other.
        let even = (cpu.fixed - device.fixed + units as f64 * cpu.each) / (cpu.each + device.each);
        let even = (even.max(0.0).round() as usize).min(units);
        let split = device.of(even).max(cpu.of(units - even));
        let (best, time) = if device.of(units) <= split { (units, device.of(units)) } else { (even, split) };
        if time <= cpu.of(units) * (1.0 - MARGIN) { best } else { 0 }
    }

    /// The smallest batch of which the device gets a part; `None` where it never does.
    pub fn cross_over(&self) -> Option<usize> {
        const MOST: usize = LARGEST;
        if self.device_units(MOST) == 0 {
            return None;
        }
        // From some size on always.
        let (mut without, mut with) = (0, MOST);
        while with - without > 1 {
            let middle = without.midpoint(with);
            if self.device_units(middle) == 0 { without = middle } else { with = middle }
        }
        Some(with)
    }
}

/// The routes of every kind of work that can be split.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Router {
    /// By signature.
    pub recover: Route,
    /// By Keccak block of 136 bytes.
    pub keccak: Route,
    /// By call of a simulation: a token transfer, until the calls themselves are measured.
    pub simulate: Route,
}

impl Router {
    /// Whether the device gets a part of anything.
    pub fn wins(&self) -> bool {
        [self.recover, self.keccak, self.simulate].iter().any(|route| route.cross_over().is_some())
    }

    /// Measures the CPU, on all threads of `pool`, and `device`. Known by heart once a process, device and number of threads.
    ///
    /// # Errors
    /// The device fails, or gives other results than the CPU.
    pub(crate) fn calibrate(pool: &ThreadPool, device: &dyn Backend) -> Result<Self, BackendError> {
        static KNOWN: Mutex<Option<HashMap<(String, usize), Router>>> = Mutex::new(None);
        let key = (format!("{} {}", device.kind(), device.name()), pool.current_num_threads());
        let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(router) = known().get_or_insert_default().get(&key) {
            return Ok(*router);
        }
        let start = Instant::now();
        let router = Self {
            recover: recover_route(pool, device)?,
            keccak: keccak_route(pool, device)?,
            simulate: simulate_route(pool, device)?,
        };
        tracing::info!(?router, device = key.0, threads = key.1, took = ?start.elapsed(), "calibrated");
        known().get_or_insert_default().insert(key, router);
        Ok(router)
    }
}

fn recover_route(pool: &ThreadPool, device: &dyn Backend) -> Result<Route, BackendError> {
    let requests = recover_samples()?;
    let on_cpu = |units: usize| cpu_recover(pool, &requests[..units]);
    if device.recover(&requests[..SMALL])? != on_cpu(SMALL) {
        return Err(BackendError::Abi("calibration: recovery differs from the CPU's".into()));
    }
    Ok(Route { cpu: cost(|units| Ok(on_cpu(units)))?, device: cost(|units| device.recover(&requests[..units]))? })
}

/// The CPU's side of [`Router::recover`].
///
/// # Errors
/// [`BackendError::Abi`] where this CPU's fastest engine differs from libsecp256k1.
pub(crate) fn cpu_recover_cost(pool: &ThreadPool) -> Result<Cost, BackendError> {
    let requests = recover_samples()?;
    let few = &requests[..64];
    if !cpu_recover(pool, few).into_iter().eq(few.iter().map(recover::recover_one)) {
        return Err(BackendError::Abi(format!("{} differs from libsecp256k1", recover::Engine::best())));
    }
    cost(|units| Ok(cpu_recover(pool, &requests[..units])))
}

fn cpu_recover(pool: &ThreadPool, requests: &[RecoverRequest]) -> Vec<Result<Address, RecoverError>> {
    pool.install(|| recover::recover_parallel(recover::Engine::best(), requests))
}

/// Any hash and s under the r of an honest signature recover to somebody, at honest cost.
fn recover_samples() -> Result<Vec<RecoverRequest>, BackendError> {
    let key = SecretKey::from_secret_bytes([7; 32]).map_err(|error| BackendError::Abi(error.to_string()))?;
    let signature = RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(keccak256([]).0), &key);
    let (id, bytes) = signature.serialize_compact();
    let r = U256::from_be_slice(&bytes[..32]);
    let mut word = U256::from_be_slice(&bytes[32..]);
    let mut draw = || {
        // Any full-period generator does: the point is to be quick.
        word = word.wrapping_mul(U256::from(6_364_136_223_846_793_005_u64)).wrapping_add(ORDER);
        word
    };
    let request = |_| RecoverRequest {
        hash: B256::from(draw()),
        r,
        s: (draw() >> 1) | U256::ONE,
        recovery_id: id.to_u8(),
        low_s: false,
    };
    Ok((0..LARGE).map(request).collect())
}

fn keccak_route(pool: &ThreadPool, device: &dyn Backend) -> Result<Route, BackendError> {
    // One block each, about as long as the signing payload of a transaction.
    let bytes: Vec<u8> = (0..LARGE + 100).map(|at| (at ^ at >> 8) as u8).collect();
    let messages: Vec<&[u8]> = (0..LARGE).map(|at| &bytes[at..at + 100]).collect();
    let on_cpu = |units: usize| pool.install(|| keccak::keccak256_parallel(keccak::Engine::best(), &messages[..units]));
    if device.keccak256(&messages[..SMALL])? != on_cpu(SMALL) {
        return Err(BackendError::Abi("calibration: Keccak-256 differs from the CPU's".into()));
    }
    Ok(Route { cpu: cost(|units| Ok(on_cpu(units)))?, device: cost(|units| device.keccak256(&messages[..units]))? })
}

fn simulate_route(pool: &ThreadPool, device: &dyn Backend) -> Result<Route, BackendError> {
    let samples = Samples::new(LARGE).map_err(|error| BackendError::Abi(format!("calibration: {error}")))?;
    if samples.run(pool, Some(device), SMALL) != samples.run(pool, None, SMALL) {
        return Err(BackendError::Abi("calibration: simulated calls differ from the CPU's".into()));
    }
    Ok(Route {
        cpu: cost(|units| Ok(samples.run(pool, None, units)))?,
        device: cost(|units| Ok(samples.run(pool, Some(device), units)))?,
    })
}

/// Fits a cost through a small batch and one that lasts long enough. The first run of each size pays for what is made late.
fn cost<T>(mut run: impl FnMut(usize) -> Result<T, BackendError>) -> Result<Cost, BackendError> {
    let mut seconds = |units| -> Result<f64, BackendError> {
        let mut best = f64::INFINITY;
        for _ in 0..=REPEATS {
            let start = Instant::now();
            run(units)?;
            best = best.min(start.elapsed().as_secs_f64());
        }
        Ok(best)
    };
    let small = seconds(SMALL)?;
    let growth = (SAMPLE_SECONDS / small).clamp(2.0, (LARGE / SMALL) as f64);
    let units = (growth as usize) * SMALL;
    let large = seconds(units)?;
    // A batch that costs no more than a smaller one tells nothing but its own rate.
    let each = ((large - small) / (units - SMALL) as f64).clamp(0.5 * large / units as f64, large / units as f64);
    Ok(Cost { fixed: (small - SMALL as f64 * each).max(0.0), each })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: Cost = Cost { fixed: 20e-6, each: 3e-6 };

    fn route(fixed: f64, each: f64) -> Route {
        Route { cpu: CPU, device: Cost { fixed, each } }
    }

    /// Seconds of the split that was chosen.
    fn chosen(route: &Route, units: usize) -> f64 {
        let device = route.device_units(units);
        route.device.of(device).max(route.cpu.of(units - device))
    }

    #[test]
    fn regret_is_at_most_three_percent_at_every_size() {
        for fixed in [30e-6, 100e-6, 5e-3, 1.0] {
            for each in [1e-9, 50e-9, 1e-6, 2.9e-6, 3e-6, 80e-6] {
                let route = route(fixed, each);
                for units in (0..23).map(|power| 1 << power).chain([0, 3, 200, 12_345, 5_000_000]) {
                    let best = route.cpu.of(units).min(route.device.of(units));
                    assert!(chosen(&route, units) * 0.97 <= best, "{route:?} {units}");
                }
            }
        }
    }

    #[test]
    fn a_slower_device_gets_nothing_and_has_no_cross_over() {
        let slow = route(0.0, 3.1e-6);
        assert_eq!((slow.device_units(1 << 20), slow.cross_over()), (0, None));
    }

    #[test]
    fn large_batches_are_split_so_that_both_end_together() {
        let route = route(1e-3, 1e-6);
        let device = route.device_units(1_000_000);
        let (device, cpu) = (route.device.of(device), route.cpu.of(1_000_000 - device));
        assert!((device - cpu).abs() < 1e-5, "{device} {cpu}");
    }

    #[test]
    fn the_cross_over_is_where_the_device_starts() {
        let route = route(1e-3, 50e-9);
        let n = route.cross_over().unwrap();
        assert!(n > 100 && n < 1000, "{n}");
        assert_eq!(route.device_units(n - 1), 0);
        assert!((n..n + 1000).all(|n| route.device_units(n) > 0));
    }

    #[test]
    fn the_fit_finds_fixed_and_variable_cost() {
        use std::{thread, time::Duration};
        let run = |units: usize| {
            thread::sleep(Duration::from_micros(2000 + 10 * units as u64));
            Ok(())
        };
        let Cost { fixed, each } = cost(run).unwrap();
        assert!((each - 10e-6).abs() < 2e-6, "{each}");
        assert!(fixed > 1e-3 && fixed < 4e-3, "{fixed}");
    }

    #[test]
    fn samples_have_signers() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert!(cpu_recover(&pool, &recover_samples().unwrap()[..300]).iter().all(Result::is_ok));
    }
}
