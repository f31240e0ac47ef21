//! Recovery and hashing for whoever asks: routed between CPU threads and a device, in pieces, one answer an item.

use crate::{
    backend::{Backend, BackendError, BackendKind},
    keccak,
    linger::Linger,
    metrics,
    recover::{self, PARALLEL_FROM, RecoverError, RecoverRequest},
    report::Work,
    router::{self, Route, Router},
    signers::{Decoded, SignerRequest, SignerResults},
    submit::{Pending, Progress},
};
use alloy_primitives::{Address, B256};
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder, prelude::*};
use std::{sync::Arc, thread};

type Recovered = Vec<Result<Address, RecoverError>>;

/// CPU threads, and beside them a device, with the rates that decide between them; without rates the device does all.
#[derive(Debug)]
pub(crate) struct Offload {
    pub(crate) pool: ThreadPool,
    pub(crate) device: Option<Arc<dyn Backend>>,
    pub(crate) router: Option<Router>,
    pub(crate) linger: Linger,
    /// With a router: what drives the device while `pool` has the CPU's part. Never the global pool, all of whose threads
    /// may be waiting for an answer from here.
    beside: Option<ThreadPool>,
}

impl Offload {
    /// # Errors
    /// Threads cannot be started.
    pub(crate) fn new(
        pool: ThreadPool,
        device: Option<Arc<dyn Backend>>,
        router: Option<Router>,
    ) -> Result<Self, ThreadPoolBuildError> {
        let threads = || ThreadPoolBuilder::new().num_threads(pool.current_num_threads()).build();
        let beside = router.map(|_| threads()).transpose()?;
        Ok(Self { pool, device, router, linger: Linger::default(), beside })
    }

    /// The backend that was asked for, after `auto` has chosen.
    pub(crate) fn kind(&self) -> BackendKind {
        match (&self.device, self.router) {
            (None, _) => BackendKind::Cpu,
            (Some(_), Some(_)) => BackendKind::Auto,
            (Some(device), None) => device.kind(),
        }
    }

    /// The device that everything goes to.
    pub(crate) fn named_device(&self) -> Option<&dyn Backend> {
        self.device.as_deref().filter(|_| self.router.is_none())
    }

    /// The device that has a part in simulations, the costs that decide which, and the threads that drive it.
    pub(crate) fn shared_device(&self) -> Option<(&dyn Backend, Route, &ThreadPool)> {
        let (router, beside) = self.router.as_ref().zip(self.beside.as_ref())?;
        self.device.as_deref().map(|device| (device, router.simulate, beside))
    }

    /// The signer of each request, in order.
    pub(crate) fn recover(&self, requests: &[RecoverRequest]) -> Recovered {
        self.recover_until(requests, &Progress::default()).unwrap_or_default()
    }

    /// The same, counted; `None` if cancelled.
    fn recover_until(&self, requests: &[RecoverRequest], progress: &Progress) -> Option<Recovered> {
        let Some(device) = self.device.as_deref() else {
            let results = self.recover_on_cpu(requests, progress);
            return (!progress.is_cancelled()).then_some(results);
        };
        let mut results = Vec::with_capacity(requests.len());
        for slice in requests.chunks(router::LARGEST) {
            let share = self.router.map_or(slice.len(), |router| router.recover.device_units(slice.len()));
            let on_device = |requests: &[RecoverRequest]| {
                let recovered = device.recover(requests);
                if recovered.is_ok() {
                    progress.add(requests.len());
                }
                recovered
            };
            results.append(&mut both(
                self,
                slice.split_at(share),
                on_device,
                |requests| self.recover_on_cpu(requests, progress),
                Work::Recover,
            ));
            if progress.is_cancelled() {
                return None;
            }
        }
        Some(results)
    }

    fn recover_on_cpu(&self, requests: &[RecoverRequest], progress: &Progress) -> Recovered {
        let run = || recover::recover_until(recover::Engine::best(), requests, progress);
        // A pool costs more than the work.
        let all = || if requests.len() < PARALLEL_FROM { run() } else { self.pool.install(run) };
        metrics::batch(Work::Recover, BackendKind::Cpu.name(), requests.len(), all, |_| true)
    }

    /// Keccak-256 of each message, in order.
    pub(crate) fn keccak256(&self, messages: &[&[u8]]) -> Vec<B256> {
        let Some(device) = self.device.as_deref() else { return self.keccak256_on_cpu(messages) };
        let share = self.router.map_or(messages.len(), |router| {
            let blocks = |message: &&[u8]| message.len() / 136 + 1;
            let mut left = router.keccak.device_units(messages.iter().map(blocks).sum());
            let within = |message: &&&[u8]| {
                let fits = left >= blocks(message);
                left = left.saturating_sub(blocks(message));
                fits
            };
            messages.iter().take_while(within).count()
        });
        both(
            self,
            messages.split_at(share),
            |messages| device.keccak256(messages),
            |messages| self.keccak256_on_cpu(messages),
            Work::Keccak256,
        )
    }

    fn keccak256_on_cpu(&self, messages: &[&[u8]]) -> Vec<B256> {
        let run = || keccak::keccak256_parallel(keccak::Engine::best(), messages);
        let all = || if messages.len() <= keccak::CHUNK { run() } else { self.pool.install(run) };
        metrics::batch(Work::Keccak256, BackendKind::Cpu.name(), messages.len(), all, |_| true)
    }

    /// The signers of decoded items, in order; `None` if cancelled.
    pub(crate) fn signers(&self, items: Vec<Decoded>, progress: &Progress) -> Option<SignerResults> {
        let mut answers = self.recover_until(&Decoded::requests(&items), progress)?.into_iter();
        Some(items.into_iter().map(|item| item.finish(&mut answers)).collect())
    }

    /// Decodes and recovers, in order; `None` if cancelled.
    pub(crate) fn recover_items(&self, items: &[SignerRequest], progress: &Progress) -> Option<SignerResults> {
        let decode = |items: &[SignerRequest]| (!progress.is_cancelled()).then(|| Decoded::batch(items));
        let decoded = if items.len() < PARALLEL_FROM {
            decode(items)?
        } else {
            let chunks = || items.par_chunks(keccak::CHUNK).map(decode).collect::<Option<Vec<_>>>();
            self.pool.install(chunks)?.into_iter().flatten().collect()
        };
        self.signers(decoded, progress)
    }

    /// Hands a batch over. A small one is done at once, on the calling thread.
    pub(crate) fn submit(self: &Arc<Self>, items: Vec<SignerRequest>) -> Pending<SignerResults> {
        let (small, offload) = (items.len() < PARALLEL_FROM, Arc::clone(self));
        Pending::start(
            move |progress| offload.recover_items(&items, progress),
            |work| match self.device {
                _ if small => work(),
                None => self.pool.spawn_fifo(work),
                // A thread that waits for a device is no thread of the pool's.
                Some(_) => drop(thread::spawn(work)),
            },
        )
    }
}

/// The first part by `device`, the second by `cpu`, at the same time; all by `cpu` where the device fails.
fn both<T: Sync, R: Send>(
    Offload { pool, beside, device: named, .. }: &Offload,
    (first, second): (&[T], &[T]),
    device: impl Fn(&[T]) -> Result<Vec<R>, BackendError> + Sync,
    cpu: impl Fn(&[T]) -> Vec<R>,
    work: Work,
) -> Vec<R> {
    let what = work.name();
    let run = || {
        device(first)
            .and_then(|results| match results.len() {
                // One too few would shift everybody's answer after it.
                count if count != first.len() => Err(BackendError::Abi(format!("{count} results of {}", first.len()))),
                _ => Ok(results),
            })
            .inspect_err(|error| tracing::warn!(%error, what, "the device failed, the CPU takes over"))
    };
    let on_device = || {
        let backend = named.as_ref().map_or(BackendKind::Auto, |device| device.kind());
        metrics::batch(work, backend.name(), first.len(), run, Result::is_ok)
    };
    if first.is_empty() {
        return cpu(second);
    }
    let (mut done, mut rest) = (None, Vec::new());
    match beside {
        Some(beside) if !second.is_empty() => beside.in_place_scope(|scope| {
            scope.spawn(|_| done = on_device().ok());
            rest = cpu(second);
        }),
        // The host's part of a device's work on our threads.
        _ => {
            done = pool.install(on_device).ok();
            rest = cpu(second);
        }
    }
    let mut results = done.unwrap_or_else(|| cpu(first));
    results.append(&mut rest);
    results
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        backend::Executed,
        lower::Batch,
        park::Service,
        recover::recover_one,
        router::{Cost, Route},
    };
    use alloy_primitives::{U256, keccak256};
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::{Duration, Instant},
    };

    /// A device that counts what it is given, and fails, omits results or takes its time if it should.
    #[derive(Debug, Default)]
    struct Mock {
        given: AtomicUsize,
        fails: bool,
        omits: usize,
        nap: Duration,
    }

    impl Mock {
        fn run<T>(&self, count: usize, results: impl FnOnce() -> T) -> Result<T, BackendError> {
            self.given.fetch_add(count, Ordering::Relaxed);
            thread::sleep(self.nap);
            if self.fails { Err(BackendError::DeviceLost("mock".into())) } else { Ok(results()) }
        }
    }

    impl Backend for Mock {
        fn kind(&self) -> BackendKind {
            BackendKind::Wgpu
        }

        fn name(&self) -> &str {
            "mock"
        }

        fn keccak256(&self, messages: &[&[u8]]) -> Result<Vec<B256>, BackendError> {
            self.run(messages.len(), || messages.iter().skip(self.omits).map(keccak256).collect())
        }

        fn recover(&self, requests: &[RecoverRequest]) -> Result<Recovered, BackendError> {
            self.run(requests.len(), || requests.par_iter().skip(self.omits).map(recover_one).collect())
        }

        fn execute(&self, _: &Batch, _: &mut dyn Service) -> Result<Executed, BackendError> {
            Err(BackendError::Unavailable("mock".into()))
        }
    }

    fn offload(mock: &Arc<Mock>, router: Option<Router>) -> Arc<Offload> {
        let pool = ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        Arc::new(Offload::new(pool, Some(Arc::clone(mock) as Arc<dyn Backend>), router).unwrap())
    }

    /// Half of the work for the device, and only of 100 units and more.
    fn even() -> Router {
        let route = Route { cpu: Cost { fixed: 0.0, each: 1.0 }, device: Cost { fixed: 50.0, each: 0.999 } };
        Router { recover: route, keccak: route, simulate: route }
    }

    fn requests(count: usize) -> Vec<RecoverRequest> {
        // Most are bad in one way or another: what matters is whose answer is whose.
        let word = |n: usize| U256::from_be_bytes(keccak256(n.to_be_bytes()).0) >> 1;
        let request = |n| RecoverRequest {
            hash: keccak256([n as u8]),
            r: word(n),
            s: word(!n),
            recovery_id: n as u8 % 5,
            low_s: false,
        };
        (0..count).map(request).collect()
    }

    #[test]
    fn work_is_split_in_order_and_small_work_stays_on_the_cpu() {
        for (count, device) in [(0, 0), (10, 0), (50, 0), (1000, 475)] {
            let mock = Arc::default();
            let offload = offload(&mock, Some(even()));
            let requests = requests(count);
            let expected: Vec<_> = requests.iter().map(recover_one).collect();
            assert_eq!(offload.recover(&requests), expected);
            let given = mock.given.swap(0, Ordering::Relaxed);
            assert_eq!(given, device, "of {count} requests");
            let messages: Vec<Vec<u8>> = (0..count).map(|n| vec![n as u8; n % 100]).collect();
            let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
            assert_eq!(offload.keccak256(&messages), messages.iter().map(keccak256).collect::<Vec<_>>());
            assert_eq!(mock.given.load(Ordering::Relaxed), device, "of {count} messages");
        }
    }

    #[test]
    fn what_a_failing_device_leaves_is_done_on_the_cpu() {
        let requests = requests(300);
        let expected: Vec<_> = requests.iter().map(recover_one).collect();
        let messages: Vec<_> = requests.iter().map(|request| &request.hash[..]).collect();
        let hashes: Vec<_> = messages.iter().map(keccak256).collect();
        let (fails, omits) = (Mock { fails: true, ..Mock::default() }, Mock { omits: 1, ..Mock::default() });
        for mock in [fails, omits].map(Arc::new) {
            for router in [None, Some(even())] {
                let offload = offload(&mock, router);
                assert_eq!(offload.recover(&requests), expected);
                assert_eq!(offload.keccak256(&messages), hashes);
                assert!(mock.given.swap(0, Ordering::Relaxed) > 0);
            }
        }
    }

    /// The device's own use of rayon must not need a thread of theirs.
    #[test]
    fn all_threads_of_the_global_pool_may_wait_at_once() {
        // The device ends last: while they help with the CPU's part they would do its work as well.
        let mock = Arc::new(Mock { nap: Duration::from_millis(200), ..Mock::default() });
        let offload = offload(&mock, Some(even()));
        let requests = requests(300);
        let expected: Vec<_> = requests.iter().map(recover_one).collect();
        let (sender, answers) = std::sync::mpsc::channel();
        thread::spawn(move || sender.send(rayon::broadcast(|_| offload.recover(&requests))));
        let answers = answers.recv_timeout(Duration::from_secs(60)).expect("nobody waits for ever");
        assert!(answers.iter().all(|answer| *answer == expected));
    }

    #[test]
    fn submitted_work_can_be_waited_for_or_cancelled() {
        let nap = Duration::from_millis(100);
        let mock = Arc::new(Mock { nap, ..Mock::default() });
        let offload = offload(&mock, None);
        let requests = requests(64);
        let items: Vec<_> = requests.iter().copied().map(SignerRequest::Signature).collect();
        let expected: Vec<_> = requests.iter().map(recover_one).collect();

        let start = Instant::now();
        let pending = offload.submit(items.clone());
        let Err(crate::submit::WaitError::Deadline(pending)) = pending.wait_until(start) else {
            panic!("the device takes longer");
        };
        let signers = pending.wait().unwrap();
        assert!(start.elapsed() >= nap);
        let signers: Vec<_> = signers.into_iter().map(|signers| signers.map(|signers| signers.signer)).collect();
        assert_eq!(signers, expected.into_iter().map(|result| result.map_err(Into::into)).collect::<Vec<_>>());

        let pending = offload.submit(items.clone());
        pending.progress().cancel();
        assert_eq!(pending.wait(), Err(crate::submit::Cancelled));

        // A batch of a few does not wait for anybody.
        let pending = offload.submit(items[..4].to_vec());
        assert_eq!(pending.progress().done(), 4);
        assert_eq!(pending.wait().unwrap().len(), 4);
    }
}
