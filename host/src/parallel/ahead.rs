//! Reads ahead: one thread executes in order, another one reads the accounts that it will need.

use crate::{commit::Known, state::StateRef, tx::Transaction};
use alloy_primitives::Address;
use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering},
};

/// Transactions that are read for at once.
const CHUNK: usize = 32;

/// Transactions from which on it pays to ask another thread.
pub(super) const LEAST: usize = 256;

/// Senders and targets of a block in the state under it, as far as they have been read.
pub(super) struct Ahead<'b> {
    state: &'b dyn StateRef,
    txs: &'b [Transaction],
    senders: &'b [Address],
    chunks: Vec<OnceLock<Vec<[Known; 2]>>>,
    /// The transaction that runs; more than there are when all have run.
    at: AtomicUsize,
}

impl<'b> Ahead<'b> {
    pub(super) fn new(state: &'b dyn StateRef, txs: &'b [Transaction], senders: &'b [Address]) -> Self {
        let chunks = (0..txs.len().div_ceil(CHUNK)).map(|_| OnceLock::new()).collect();
        Self { state, txs, senders, chunks, at: AtomicUsize::new(0) }
    }

    /// Reads until the block is over, on another thread than the one that executes it.
    pub(super) fn read(&self) {
        let mut next = 0;
        while next < self.chunks.len() {
            // What runs already is read by who runs it.
            next = next.max(self.at.load(Ordering::Relaxed) / CHUNK + 1);
            let Some(chunk) = self.chunks.get(next) else { return };
            let range = next * CHUNK..(next * CHUNK + CHUNK).min(self.txs.len());
            let needed = |index: &usize| *index >= self.at.load(Ordering::Relaxed);
            // What is missing of a chunk need not be known any more.
            chunk.get_or_init(|| range.take_while(needed).map(|index| self.read_for(index)).collect());
            next += 1;
        }
    }

    fn read_for(&self, index: usize) -> [Known; 2] {
        // What cannot be read is told of by the transaction that needs it.
        let read = |address: Address| self.state.account(&address).ok().map(|info| (address, info));
        [read(self.senders[index]), self.txs[index].to.and_then(read)]
    }

    /// What is known of a transaction that is about to run.
    pub(super) fn known(&self, index: usize) -> [Known; 2] {
        if index.is_multiple_of(CHUNK) {
            self.at.store(index, Ordering::Relaxed);
        }
        let chunk = self.chunks[index / CHUNK].get();
        chunk.and_then(|chunk| chunk.get(index % CHUNK)).copied().unwrap_or_default()
    }

    /// Nothing more is needed.
    pub(super) fn end(&self) {
        self.at.store(usize::MAX, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixture, memory::MemoryState};

    #[test]
    fn what_is_known_is_what_the_state_has() {
        let (block, state): (_, MemoryState) = fixture::block();
        let tx = Transaction::decode(&block.transactions[0]).unwrap();
        let (txs, senders) = (vec![tx.clone(); 100], vec![fixture::sender(1); 100]);
        let ahead = Ahead::new(&state, &txs, &senders);
        ahead.read();
        // The first are read by who runs them.
        assert_eq!(ahead.known(CHUNK - 1), [None; 2]);
        let read = |address: Address| Some((address, state.account(&address).unwrap()));
        for index in CHUNK..100 {
            assert_eq!(ahead.known(index), [read(senders[0]), read(tx.to.unwrap())]);
        }
        let ahead = Ahead::new(&state, &txs, &senders);
        ahead.end();
        ahead.read();
        assert!(ahead.chunks.iter().all(|chunk| chunk.get().is_none()));
    }
}
