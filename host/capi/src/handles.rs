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
    process,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// Results kept of a handle; the oldest makes room.
const MOST_KEPT: usize = 256;

/// The table of the process that created the first handle.
static FIRST: OnceLock<Table> = OnceLock::new();

/// The handle that was given out last.
static LAST: AtomicU64 = AtomicU64::new(0);

/// How many forks lie between this process and the one that created the first handle.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// For fork() to call in the child.
#[cfg(unix)]
pub(crate) extern "C" fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// A process, and no other one that has its memory from the same ancestor: in a pid namespace of its own a child may have its parent's
/// pid, and not every way to make a process (vfork, a bare clone) calls what fork() does.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: u32,
    forks: u64,
}

impl Process {
    fn current() -> Self {
        Self { pid: process::id(), forks: FORKS.load(Ordering::Relaxed) }
    }
}

/// The handles of one process. One that is forked has none of its parent's threads, and a lock that one of these held is held in it for
/// ever: so it never touches its parent's table, and begins one of its own.
struct Table {
    process: Process,
    /// Handles up to this one are those of the processes before.
    inherited: lockstep_handle,
    entries: RwLock<HashMap<lockstep_handle, Arc<Entry>>>,
    /// That of a process that was forked from this one; set in that process only.
    forked: OnceLock<Box<Self>>,
}

impl Table {
    fn new() -> Self {
        let inherited = LAST.load(Ordering::Relaxed);
        Self { process: Process::current(), inherited, entries: RwLock::default(), forked: OnceLock::new() }
    }

    /// This process's own, if it has one.
    fn find() -> Option<&'static Self> {
        let process = Process::current();
        let mut table = FIRST.get()?;
        while table.process != process {
            table = table.forked.get()?;
        }
        Some(table)
    }

    fn find_or_begin() -> &'static Self {
        let process = Process::current();
        let mut table = FIRST.get_or_init(Self::new);
        while table.process != process {
            table = table.forked.get_or_init(|| Box::new(Self::new()));
        }
        table
    }
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
    // The table first: what a forked process has inherited is known before its first number.
    let table = Table::find_or_begin();
    let handle = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    let entry = Arc::new(Entry { engine, error: Mutex::default(), kept: Mutex::default() });
    table.entries.write().unwrap_or_else(PoisonError::into_inner).insert(handle, entry);
    handle
}

pub(crate) fn get(handle: lockstep_handle) -> Outcome<Arc<Entry>> {
    let table = table_of(handle)?;
    let entries = table.entries.read().unwrap_or_else(PoisonError::into_inner);
    entries.get(&handle).cloned().ok_or_else(|| no_handle(handle))
}

pub(crate) fn remove(handle: lockstep_handle) -> Outcome {
    let removed = table_of(handle)?.entries.write().unwrap_or_else(PoisonError::into_inner).remove(&handle);
    // Dropped here, outside the lock: ending threads and devices takes a while.
    removed.map(drop).ok_or_else(|| no_handle(handle))
}

/// Where a handle is, if it is anywhere.
fn table_of(handle: lockstep_handle) -> Outcome<&'static Table> {
    let table = Table::find();
    let inherited = table.map_or_else(|| LAST.load(Ordering::Relaxed), |table| table.inherited);
    if (1..=inherited).contains(&handle) {
        return Err(Fault::of(lockstep_code::Forked, "handle", format_args!("{handle} was created before a fork()")));
    }
    table.ok_or_else(|| no_handle(handle))
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

    /// Frees what is kept under a token.
    pub(crate) fn discard(&self, token: u64) -> Outcome {
        let mut kept = lock(&self.kept);
        let at = kept.results.iter().position(|(of, _)| *of == token).ok_or_else(|| no_result(token))?;
        let dropped = kept.results.remove(at);
        drop(kept);
        drop(dropped);
        Ok(())
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
