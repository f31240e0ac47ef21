//! A block that is being read: what has been answered is kept on disk where reading breaks off or takes long, and not asked again.

use super::{
    cache::{Answers, Parts},
    client::{Client, Request},
    error::RpcError,
};
use serde_json::Value;
use std::{
    collections::HashSet,
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
    /// What the node failed to answer.
    failed: Mutex<Vec<RpcError>>,
    /// What was answered, and does not hold.
    doubted: Mutex<HashSet<String>>,
    /// Whether any of that was told to another run.
    doubted_known: AtomicBool,
    /// The method that was used last.
    method: Mutex<&'static str>,
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
            doubted: Mutex::default(),
            doubted_known: AtomicBool::new(false),
            method: Mutex::new("eth_getBlockByNumber"),
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

    /// What each answer is read as, or the first error. Those that cannot be read are doubted, and the others are not.
    pub(crate) fn read_each<T>(
        &self,
        requests: &[Request],
        answers: &[Value],
        mut read: impl FnMut(usize, &Request, &Value) -> Result<T, RpcError>,
    ) -> Result<Vec<T>, RpcError> {
        let mut all = Ok(Vec::with_capacity(requests.len()));
        for (at, (request, answer)) in requests.iter().zip(answers).enumerate() {
            match (read(at, request, answer), &mut all) {
                (Ok(value), Ok(values)) => values.push(value),
                (Ok(_), Err(_)) => {}
                (Err(error), _) => {
                    self.doubt(request);
                    all = all.and(Err(error));
                }
            }
        }
        all
    }

    /// The answer to this does not hold: it is not kept.
    pub(crate) fn doubt(&self, request: &Request) {
        let name = name(request);
        let was_known = lock(&self.known).remove(&name).is_some();
        self.doubted_known.fetch_or(was_known, Ordering::Relaxed);
        lock(&self.fresh).answers.remove(&name);
        lock(&self.doubted).insert(name);
    }

    /// Whether it is known which answers do not hold.
    pub(crate) fn has_doubts(&self) -> bool {
        !lock(&self.doubted).is_empty()
    }

    /// Knows what was kept but for what does not hold. False where nothing that was told to another run is among that, so that the node is
    /// to be asked in vain.
    pub(crate) fn knows_better(&self) -> bool {
        let knows = self.doubted_known.swap(false, Ordering::Relaxed);
        if knows {
            self.keep();
            *lock(&self.known) = self.parts.as_ref().map(Parts::read).unwrap_or_default();
        }
        knows
    }

    /// The method that was used last.
    pub(crate) fn method(&self) -> &'static str {
        *lock(&self.method)
    }

    fn known(&self, request: &Request) -> Option<Value> {
        *lock(&self.method) = request.method;
        let answer = lock(&self.known).get(&name(request)).cloned();
        self.took.fetch_or(answer.is_some(), Ordering::Relaxed);
        answer
    }

    fn fail(&self, error: RpcError) -> RpcError {
        lock(&self.failed).push(error.clone());
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
        lock(&self.failed).contains(error)
    }

    /// Whether an answer was taken that was given to another run.
    pub(crate) fn took_known(&self) -> bool {
        self.took.load(Ordering::Relaxed)
    }

    /// Keeps what was answered for another run, but for what does not hold.
    pub(crate) fn keep(&self) {
        let answers = mem::take(&mut lock(&self.fresh).answers);
        let doubted = mem::take(&mut *lock(&self.doubted));
        let Some(parts) = &self.parts else { return };
        let mut kept = if doubted.is_empty() { Answers::new() } else { parts.read() };
        let before = kept.len();
        kept.retain(|name, _| !doubted.contains(name));
        if kept.len() < before {
            kept.extend(answers);
            parts.replace(&kept);
        } else if !answers.is_empty() {
            parts.put(&answers);
        }
    }

    /// Keeps nothing, and knows nothing any more: the block is there, or something in the answers is not right, and nobody can say what.
    pub(crate) fn forget(&self) {
        lock(&self.known).clear();
        lock(&self.fresh).answers.clear();
        lock(&self.doubted).clear();
        self.doubted_known.store(false, Ordering::Relaxed);
        self.took.store(false, Ordering::Relaxed);
        self.parts.iter().for_each(Parts::remove);
    }
}
