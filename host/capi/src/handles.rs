//! Handles are numbers into one table, so that a wrong one is a code. Results that did not fit are kept beside the engine.

use crate::{
    fault::{Fault, Outcome},
    results::Executed,
    simulate::Simulated,
    types::{lockstep_code, lockstep_handle},
};
use lockstep::engine::Engine;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, RwLock},
};

/// Results kept of a handle; the oldest makes room.
const MOST_KEPT: usize = 256;

static TABLE: LazyLock<RwLock<Table>> = LazyLock::new(RwLock::default);

#[derive(Default)]
struct Table {
    last: lockstep_handle,
    entries: HashMap<lockstep_handle, Arc<Entry>>,
}

/// What a handle stands for.
pub(crate) struct Entry {
    pub(crate) engine: Engine,
    error: Mutex<String>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    last: u64,
    results: VecDeque<(u64, Waiting)>,
}

/// What waits to be fetched.
#[derive(Clone)]
pub(crate) enum Waiting {
    Block(Arc<Executed>),
    Calls(Arc<Simulated>),
}

/// A poisoned lock guards whole values here: nothing panics between two writes.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn insert(engine: Engine) -> lockstep_handle {
    let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
    table.last += 1;
    let handle = table.last;
    table.entries.insert(handle, Arc::new(Entry { engine, error: Mutex::default(), kept: Mutex::default() }));
    handle
}

pub(crate) fn get(handle: lockstep_handle) -> Outcome<Arc<Entry>> {
    let table = TABLE.read().unwrap_or_else(PoisonError::into_inner);
    table.entries.get(&handle).cloned().ok_or_else(|| no_handle(handle))
}

pub(crate) fn remove(handle: lockstep_handle) -> Outcome {
    let removed = TABLE.write().unwrap_or_else(PoisonError::into_inner).entries.remove(&handle);
    // Dropped here, outside the lock: ending threads and devices takes a while.
    removed.map(drop).ok_or_else(|| no_handle(handle))
}

fn no_handle(handle: lockstep_handle) -> Fault {
    Fault::of(lockstep_code::BadHandle, "handle", format_args!("there is no {handle}, or not any more"))
}

impl Entry {
    /// Keeps a result; its token.
    pub(crate) fn keep(&self, result: Waiting) -> u64 {
        let mut kept = lock(&self.kept);
        kept.last += 1;
        let token = kept.last;
        let dropped = if kept.results.len() == MOST_KEPT { kept.results.pop_front() } else { None };
        kept.results.push_back((token, result));
        drop(kept);
        drop(dropped);
        token
    }

    pub(crate) fn kept(&self, token: u64) -> Outcome<Waiting> {
        let kept = lock(&self.kept);
        let found = kept.results.iter().find(|(of, _)| *of == token).map(|(_, result)| result.clone());
        found.ok_or_else(|| no_result(token))
    }

    pub(crate) fn forget(&self, token: u64) {
        lock(&self.kept).results.retain(|(of, _)| *of != token);
    }

    pub(crate) fn note(&self, text: &str) {
        let mut error = lock(&self.error);
        error.clear();
        error.push_str(text);
    }

    pub(crate) fn last_error(&self) -> String {
        lock(&self.error).clone()
    }
}

/// What a token that is of no use gives.
pub(crate) fn no_result(token: u64) -> Fault {
    Fault::of(lockstep_code::NoResult, "token", format_args!("nothing of this kind is kept under {token}"))
}
