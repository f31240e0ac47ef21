//! Small submissions gathered into batches: the first opens a batch, whatever comes within a short time joins it.

use crate::{
    engine::Engine,
    signers::{SignerRequest, SignerResults},
    submit::{Pending, Promise},
};
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

/// How a [`Collector`] gathers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectorOptions {
    /// How long the first submission of a batch waits for others. What comes while a batch is being recovered joins the next one, so that
    /// under load batches grow by themselves, whatever this is.
    pub within: Duration,
    /// Items from which on a batch waits for nothing more; at least one. A submission is never divided.
    pub most: usize,
    /// Submissions that may wait; at least one. Beyond that [`Collector::submit`] blocks and [`Collector::try_submit`] refuses.
    pub queue: usize,
}

impl Default for CollectorOptions {
    /// Half a millisecond, 4,096 items, 1,024 submissions.
    fn default() -> Self {
        Self { within: Duration::from_micros(500), most: 4_096, queue: 1_024 }
    }
}

/// The queue is full. The items are given back.
#[derive(Debug, thiserror::Error)]
#[error("{} items refused: the queue is full", .0.len())]
pub struct Refused(pub Vec<SignerRequest>);

/// A submission on its way.
struct Job {
    items: Vec<SignerRequest>,
    promise: Promise<SignerResults>,
}

/// Gathers what many threads submit, one item or a few at a time, and recovers it in batches on a thread of its own. Share it by
/// reference or in an `Arc`.
///
/// A submission that is cancelled, or whose handle is dropped, before its batch begins costs nothing. Dropping the collector ends its
/// thread after the submissions that wait have their answers.
///
/// ```
/// use lockstep::{
///     backend::BackendKind, block_file::BlockFile, engine::Engine, sample::SAMPLE, senders::{Collector, CollectorOptions},
///     signers::SignerRequest, submit::WaitError,
/// };
/// use std::time::{Duration, Instant};
///
/// let engine = Engine::builder().backend(BackendKind::Cpu).build()?;
/// let collector = Collector::new(engine, CollectorOptions::default())?;
/// let file = BlockFile::parse(SAMPLE)?;
///
/// // From each peer a transaction; together they are one batch, or two.
/// std::thread::scope(|peers| {
///     for (raw, claim) in file.block.transactions.iter().zip(&file.claims).take(8) {
///         let collector = &collector;
///         peers.spawn(move || {
///             let pending = collector.submit(vec![SignerRequest::raw(raw, true)]);
///             match pending.wait_until(Instant::now() + Duration::from_secs(60)) {
///                 Ok(signers) => assert_eq!(signers[0].as_ref().map(|signers| signers.signer), Ok(claim.sender)),
///                 // Too late to be of use: dropping the handle cancels.
///                 Err(WaitError::Deadline(pending)) => drop(pending),
///                 Err(WaitError::Cancelled(cancelled)) => panic!("{cancelled}"),
///             }
///         });
///     }
/// });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Collector {
    /// `None` only while it is dropped.
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("items", &self.items.len()).finish_non_exhaustive()
    }
}

impl Collector {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn new(engine: Engine, options: CollectorOptions) -> std::io::Result<Self> {
        let (jobs, waiting) = sync_channel(options.queue.max(1));
        let collect = move || {
            while let Some(batch) = gather(&waiting, &options) {
                recover(&engine, batch);
            }
        };
        let thread = Builder::new().name("lockstep-collector".into()).spawn(collect)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Hands items over, after others have gone if the queue is full. Wait for the handle, with a deadline or without, or cancel; dropping it
    /// cancels.
    pub fn submit(&self, items: Vec<SignerRequest>) -> Pending<SignerResults> {
        let (promise, pending) = Promise::new();
        if let Some(jobs) = &self.jobs {
            // The thread ends with the collector and not before: see `recover`.
            let _ = jobs.send(Job { items, promise });
        }
        pending
    }

    /// The same without blocking.
    ///
    /// # Errors
    /// [`Refused`], with the items, where the queue is full.
    pub fn try_submit(&self, items: Vec<SignerRequest>) -> Result<Pending<SignerResults>, Refused> {
        let (promise, pending) = Promise::new();
        match self.jobs.as_ref().map(|jobs| jobs.try_send(Job { items, promise })) {
            Some(Err(TrySendError::Full(job))) => Err(Refused(job.items)),
            _ => Ok(pending),
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // It catches the panics of its work and has none of its own.
            let _ = thread.join();
        }
    }
}

/// The next batch, without what has been cancelled; `None` once nobody can submit any more.
fn gather(waiting: &Receiver<Job>, options: &CollectorOptions) -> Option<Vec<Job>> {
    let first = waiting.recv().ok()?;
    let deadline = Instant::now() + options.within;
    let mut items = first.items.len();
    let mut batch = vec![first];
    while items < options.most {
        let left = deadline.saturating_duration_since(Instant::now());
        // Without any time left it still takes what is there.
        match waiting.recv_timeout(left) {
            Ok(job) => {
                items += job.items.len();
                batch.push(job);
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    batch.retain(|job| !job.promise.progress().is_cancelled());
    Some(batch)
}

/// Recovers a batch and gives each submission its part. A panic goes to everybody whose items were in it.
fn recover(engine: &Engine, batch: Vec<Job>) {
    let mut items = Vec::new();
    let mut takers = Vec::with_capacity(batch.len());
    for mut job in batch {
        takers.push((job.items.len(), job.promise));
        items.append(&mut job.items);
    }
    match catch_unwind(AssertUnwindSafe(|| engine.recover_signers(&items))) {
        Ok(results) => {
            let mut results = results.into_iter();
            for (count, promise) in takers {
                let answer: SignerResults = results.by_ref().take(count).collect();
                promise.progress().add(count);
                promise.settle(Ok(Some(answer)));
            }
        }
        Err(payload) => {
            for (_, promise) in takers {
                promise.settle(Err(Box::new(words(&*payload))));
            }
        }
    }
}

/// What a panic said.
fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{recover::RecoverRequest, submit::Cancelled};
    use alloy_primitives::{B256, U256};

    fn item() -> SignerRequest {
        let (r, s) = (U256::ONE, U256::ONE);
        SignerRequest::Signature(RecoverRequest { hash: B256::ZERO, r, s, recovery_id: 0, low_s: true })
    }

    #[test]
    fn a_batch_is_what_waits_less_what_was_cancelled() {
        let (jobs, waiting) = sync_channel(9);
        let submit = |count: usize| {
            let (promise, pending) = Promise::new();
            jobs.send(Job { items: vec![item(); count], promise }).unwrap();
            pending
        };
        let options = CollectorOptions { within: Duration::ZERO, most: 4, queue: 9 };
        let sizes = |waiting: &_| -> Option<Vec<usize>> {
            Some(gather(waiting, &options)?.iter().map(|job| job.items.len()).collect())
        };
        let held = [1, 2, 1, 7, 1].map(submit);
        held[1].progress().cancel();
        drop(submit(3));
        assert_eq!(sizes(&waiting), Some(vec![1, 1]), "the cancelled one is left out");
        assert_eq!(sizes(&waiting), Some(vec![7]), "a submission is not divided");
        assert_eq!(sizes(&waiting), Some(vec![1]), "dropping the handle cancels");
        drop(jobs);
        assert_eq!(sizes(&waiting), None);
    }

    #[test]
    fn a_batch_is_open_for_a_while() {
        let engine = Engine::builder().threads(1).build().unwrap();
        let within = Duration::from_millis(300);
        let collector = Collector::new(engine, CollectorOptions { within, most: 2, queue: 9 }).unwrap();
        let start = Instant::now();
        assert_eq!(collector.submit(vec![item()]).wait().map(|signers| signers.len()), Ok(1));
        assert!(start.elapsed() >= within, "alone it waits for others");
        let start = Instant::now();
        let [one, other] = [1, 1].map(|count| collector.submit(vec![item(); count]));
        assert!(one.wait().is_ok() && other.wait().is_ok());
        assert!(start.elapsed() < within, "two are enough");
    }

    #[test]
    fn what_waits_is_answered_when_the_collector_goes() {
        let engine = Engine::builder().threads(1).build().unwrap();
        let collector = Collector::new(engine, CollectorOptions::default()).unwrap();
        let pending: Vec<_> = (0..20).map(|_| collector.submit(vec![item()])).collect();
        let cancelled = collector.submit(vec![item()]);
        cancelled.progress().cancel();
        drop(collector);
        assert!(pending.into_iter().all(|pending| pending.wait().is_ok_and(|signers| signers.len() == 1)));
        assert_eq!(cancelled.wait(), Err(Cancelled));
    }
}
