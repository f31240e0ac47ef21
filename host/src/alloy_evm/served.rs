//! A database that one thread holds, read from all: whoever misses a value asks that thread for it.
//!
//! An executor owns its database as revm's `Database`, which reads through `&mut self` and need be neither `Send` nor `Sync`. So the thread
//! that holds it stays with it and answers, while the engine works on another one. Every value crosses once; what transactions name
//! beforehand is there before the first question.

use crate::{
    evm::account_and_code,
    state::{AccountInfo, StateError, StateRef},
};
use alloy_evm::Database;
use alloy_primitives::{Address, B256, Bytes, U256, map::HashMap};
use std::{
    fmt,
    panic::resume_unwind,
    sync::{
        PoisonError, RwLock,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread,
};

/// What can be asked of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// Balance, nonce, code hash.
    Account(Address),
    /// One slot.
    Slot(Address, U256),
    /// Bytes by their hash.
    Code(B256),
    /// By number.
    BlockHash(u64),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(address) => write!(f, "account {address}"),
            Self::Slot(address, slot) => write!(f, "slot {slot:#x} of {address}"),
            Self::Code(hash) => write!(f, "code {hash}"),
            Self::BlockHash(number) => write!(f, "hash of block {number}"),
        }
    }
}

/// The answers so far.
#[derive(Debug, Default)]
struct Known {
    accounts: HashMap<Address, Option<AccountInfo>>,
    slots: HashMap<(Address, U256), U256>,
    codes: HashMap<B256, Bytes>,
    block_hashes: HashMap<u64, B256>,
}

impl Known {
    /// Reads a value.
    fn read<D: Database>(&mut self, db: &mut D, key: Key) -> Result<(), StateError> {
        let error = |cause: D::Error| StateError(format!("{key}: {cause}"));
        match key {
            Key::Account(address) => {
                let account = db.basic(address).map_err(error)?.map(account_and_code);
                // A code that came with its account may be nowhere else yet: one created since the database was written.
                if let Some((AccountInfo { code_hash, .. }, Some(code))) = &account {
                    self.codes.insert(*code_hash, code.clone());
                }
                self.accounts.insert(address, account.map(|(info, _)| info));
            }
            Key::Slot(address, slot) => {
                self.slots.insert((address, slot), db.storage(address, slot).map_err(error)?);
            }
            Key::Code(hash) => {
                self.codes.insert(hash, db.code_by_hash(hash).map_err(error)?.original_bytes());
            }
            Key::BlockHash(number) => {
                self.block_hashes.insert(number, db.block_hash(number).map_err(error)?);
            }
        }
        Ok(())
    }

    /// Adds what another one knows.
    fn extend(&mut self, other: Self) {
        self.accounts.extend(other.accounts);
        self.slots.extend(other.slots);
        self.codes.extend(other.codes);
        self.block_hashes.extend(other.block_hashes);
    }
}

/// A question, and where its asker waits.
struct Question {
    key: Key,
    done: SyncSender<Result<(), StateError>>,
}

/// The side of the engine.
struct Served<'a> {
    known: &'a RwLock<Known>,
    ask: Sender<Question>,
}

impl Served<'_> {
    /// What `find` finds of a key, if need be after it has been asked for.
    fn get<T>(&self, key: Key, find: impl Fn(&Known) -> Option<T>) -> Result<T, StateError> {
        let look = || find(&self.known.read().unwrap_or_else(PoisonError::into_inner));
        if let Some(value) = look() {
            return Ok(value);
        }
        let gone = || StateError(format!("{key}: nobody answers for the database any more"));
        let (done, answered) = sync_channel(1);
        self.ask.send(Question { key, done }).map_err(|_| gone())?;
        answered.recv().map_err(|_| gone())??;
        look().ok_or_else(gone)
    }
}

impl StateRef for Served<'_> {
    fn account(&self, address: &Address) -> Result<Option<AccountInfo>, StateError> {
        self.get(Key::Account(*address), |known| known.accounts.get(address).copied())
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        self.get(Key::Slot(*address, *slot), |known| known.slots.get(&(*address, *slot)).copied())
    }

    fn code(&self, code_hash: &B256) -> Result<Bytes, StateError> {
        self.get(Key::Code(*code_hash), |known| known.codes.get(code_hash).cloned())
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.get(Key::BlockHash(number), |known| known.block_hashes.get(&number).copied())
    }
}

/// Runs `work` on a thread of its own against the state of `db`, which this thread reads for it. `ahead` are keys that it is likely to
/// want: a wrong one costs a read, and one that cannot be read is left for `work` to find out.
pub(super) fn serve<D: Database, T: Send>(
    db: &mut D,
    ahead: impl IntoIterator<Item = Key>,
    work: impl FnOnce(&dyn StateRef) -> T + Send,
) -> T {
    let mut known = Known::default();
    for key in ahead {
        // Read or not, whoever needs it will see.
        let _ = known.read(db, key);
    }
    let known = RwLock::new(known);
    let (ask, questions): (_, Receiver<Question>) = channel();
    thread::scope(|scope| {
        let known = &known;
        let worker = scope.spawn(move || work(&Served { known, ask }));
        // Ends with the worker, who has the only sender.
        for Question { key, done } in questions {
            // The others go on while the database takes its time.
            let mut fresh = Known::default();
            let read = fresh.read(db, key);
            known.write().unwrap_or_else(PoisonError::into_inner).extend(fresh);
            // An asker who is gone has no use for it.
            let _ = done.send(read);
        }
        worker.join().unwrap_or_else(|payload| resume_unwind(payload))
    })
}
