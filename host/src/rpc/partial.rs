//! A block that is being read: what has been answered is kept on disk where reading breaks off or takes long, and not asked again.

use super::{
    cache::{Answers, Parts},
    client::{Client, Request},
    error::RpcError,
};
use serde_json::Value;
use std::{
    mem,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Longest time that answers are in memory alone, so that a program that is ended loses no more.
const KEPT_EVERY: Duration = Duration::from_secs(5);

/// Asks a node about one block, and does not ask what another run was told.
#[derive(Debug)]
pub(crate) struct Asker<'a> {
    client: &'a Client,
    number: u64,
    parts: Option<Parts>,
    /// Told to another run. What is here was true to the form of an answer, and no more.
    known: Mutex<Answers>,
    /// Whether any of those was taken.
    took: AtomicBool,
    fresh: Mutex<Fresh>,
    /// What the node failed to answer last.
    failed: Mutex<Option<RpcError>>,
}

/// Not on disk yet.
#[derive(Debug)]
struct Fresh {
    answers: Answers,
    since: Instant,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn name(request: &Request) -> String {
    format!("{} {}", request.method, request.params)
}

impl<'a> Asker<'a> {
    pub(crate) fn new(client: &'a Client, number: u64, parts: Option<Parts>) -> Self {
        Self {
            client,
            number,
            known: Mutex::new(parts.as_ref().map(Parts::read).unwrap_or_default()),
            parts,
            took: AtomicBool::new(false),
            fresh: Mutex::new(Fresh { answers: Answers::new(), since: Instant::now() }),
            failed: Mutex::default(),
        }
    }

    /// The result of one call.
    pub(crate) fn call(&self, request: Request) -> Result<Value, RpcError> {
        self.call_reduced(request, |answer| answer)
    }

    /// The same, but what is kept is what `reduce` leaves of it.
    pub(crate) fn call_reduced(
        &self,
        request: Request,
        reduce: impl FnOnce(Value) -> Value,
    ) -> Result<Value, RpcError> {
        if let Some(answer) = self.known(&request) {
            return Ok(answer);
        }
        let answer = self.client.call(Some(self.number), request.clone()).map_err(|error| self.fail(error))?;
        let answer = reduce(answer);
        self.note(&[request], std::slice::from_ref(&answer));
        Ok(answer)
    }

    /// The result of each, in order, or the first error in that order.
    pub(crate) fn batch(&self, requests: &[Request]) -> Result<Vec<Value>, RpcError> {
        let known: Vec<_> = requests.iter().map(|request| self.known(request)).collect();
        let unknown: Vec<_> = requests
            .iter()
            .zip(&known)
            .filter(|(_, answer)| answer.is_none())
            .map(|(request, _)| request.clone())
            .collect();
        let note = |requests: &[Request], results: &[Value]| self.note(requests, results);
        let told = self.client.batch(self.number, &unknown, &note).map_err(|error| self.fail(error))?;
        let mut told = told.into_iter();
        Ok(known.into_iter().filter_map(|answer| answer.or_else(|| told.next())).collect())
    }

    fn known(&self, request: &Request) -> Option<Value> {
        let answer = lock(&self.known).get(&name(request)).cloned();
        self.took.fetch_or(answer.is_some(), Ordering::Relaxed);
        answer
    }

    fn fail(&self, error: RpcError) -> RpcError {
        *lock(&self.failed) = Some(error.clone());
        error
    }

    fn note(&self, requests: &[Request], results: &[Value]) {
        let Some(parts) = &self.parts else { return };
        let mut fresh = lock(&self.fresh);
        // Nothing may be something a moment later.
        let answers = requests.iter().zip(results).filter(|(_, result)| !result.is_null());
        fresh.answers.extend(answers.map(|(request, result)| (name(request), result.clone())));
        if fresh.since.elapsed() >= KEPT_EVERY {
            let answers = mem::take(&mut fresh.answers);
            fresh.since = Instant::now();
            drop(fresh);
            parts.put(&answers);
        }
    }

    /// Whether this is the node's failure to answer, and nothing in its answers.
    pub(crate) fn broke_off(&self, error: &RpcError) -> bool {
        lock(&self.failed).as_ref() == Some(error)
    }

    /// Whether an answer was taken that was given to another run.
    pub(crate) fn took_known(&self) -> bool {
        self.took.load(Ordering::Relaxed)
    }

    /// Keeps what was answered for another run.
    pub(crate) fn keep(&self) {
        let answers = mem::take(&mut lock(&self.fresh).answers);
        if let Some(parts) = self.parts.as_ref().filter(|_| !answers.is_empty()) {
            parts.put(&answers);
        }
    }

    /// Keeps nothing, and knows nothing any more: the block is there, or something in the answers is not right.
    pub(crate) fn forget(&self) {
        lock(&self.known).clear();
        lock(&self.fresh).answers.clear();
        self.took.store(false, Ordering::Relaxed);
        self.parts.iter().for_each(Parts::remove);
    }
}
