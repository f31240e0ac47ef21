//! An iterator of transactions in, an iterator of the same transactions with their senders out.

use crate::{
    engine::Engine,
    signers::{SignerError, SignerRequest, SignerResults, Signers},
    submit::Pending,
};
use std::{collections::VecDeque, fmt, iter::Fuse};

/// How far [`Senders`] runs ahead of its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderOptions {
    /// Transactions that are recovered as one batch; at least one.
    pub chunk: usize,
    /// Batches that are taken from the input before their turn, and recovered meanwhile; at least one. So no more than
    /// `chunk * ahead` transactions are held at a time.
    pub ahead: usize,
}

impl Default for SenderOptions {
    /// Two batches of 8,192: more gain little on a CPU, and a device that wins does so from fewer on.
    fn default() -> Self {
        Self { chunk: 8_192, ahead: 2 }
    }
}

/// Transactions with their signers, in the order of the input. See [`Engine::senders`].
pub struct Senders<I: Iterator, F> {
    engine: Engine,
    txs: Fuse<I>,
    request: F,
    options: SenderOptions,
    /// Batches under way, the next one first.
    batches: VecDeque<(Vec<I::Item>, Pending<SignerResults>)>,
    /// What is left of the batch whose turn it is.
    ready: std::iter::Zip<std::vec::IntoIter<I::Item>, std::vec::IntoIter<Result<Signers, SignerError>>>,
}

impl<I: Iterator, F> fmt::Debug for Senders<I, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Senders")
            .field("options", &self.options)
            .field("batches", &self.batches.len())
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// The signers of transactions, whatever they are: `request` says how each is recovered. An iterator like a loop's own, except that it
    /// takes transactions ahead of its reader, in batches that are recovered in the background, no more than `options` says.
    ///
    /// Each transaction comes out with its signers or its own error, in order; an error does not end the iterator. Dropping it
    /// cancels what is under way.
    ///
    /// ```
    /// use lockstep::{
    ///     backend::BackendKind, block_file::BlockFile, engine::Engine, sample::SAMPLE, senders::SenderOptions,
    ///     signers::SignerRequest,
    /// };
    ///
    /// let engine = Engine::builder().backend(BackendKind::Cpu).build()?;
    /// let file = BlockFile::parse(SAMPLE)?;
    ///
    /// // As a stage has them: numbered, one after the other from its database.
    /// let stored = (1_000_000_u64..).zip(file.block.transactions.iter().cloned());
    /// let request = |(_, raw): &(u64, _)| SignerRequest::raw(raw, true);
    /// let mut senders = Vec::new();
    /// for ((number, _raw), signers) in engine.senders(stored, request, SenderOptions::default()) {
    ///     senders.push((number, signers?.signer));
    /// }
    /// assert_eq!(senders.len(), file.block.transactions.len());
    /// assert_eq!(senders[0], (1_000_000, file.claims[0].sender));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// With the feature `alloy-evm` the envelopes of alloy-consensus go in as they are: `|tx| SignerRequest::envelope(tx, true)`.
    pub fn senders<I: IntoIterator, F: Fn(&I::Item) -> SignerRequest>(
        &self,
        txs: I,
        request: F,
        options: SenderOptions,
    ) -> Senders<I::IntoIter, F> {
        Senders {
            engine: self.clone(),
            txs: txs.into_iter().fuse(),
            request,
            options: SenderOptions { chunk: options.chunk.max(1), ahead: options.ahead.max(1) },
            batches: VecDeque::new(),
            ready: Vec::new().into_iter().zip(Vec::new()),
        }
    }
}

impl<I: Iterator, F: Fn(&I::Item) -> SignerRequest> Senders<I, F> {
    /// Hands over as many batches as may be under way.
    fn fill(&mut self) {
        while self.batches.len() < self.options.ahead {
            let txs: Vec<_> = self.txs.by_ref().take(self.options.chunk).collect();
            if txs.is_empty() {
                return;
            }
            let requests = txs.iter().map(&self.request).collect();
            self.batches.push_back((txs, self.engine.submit(requests)));
        }
    }
}

impl<I: Iterator, F: Fn(&I::Item) -> SignerRequest> Iterator for Senders<I, F> {
    type Item = (I::Item, Result<Signers, SignerError>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(next) = self.ready.next() {
                return Some(next);
            }
            self.fill();
            let (txs, pending) = self.batches.pop_front()?;
            // The next one goes on while this one is read.
            self.fill();
            // Nobody but this iterator could cancel it.
            let signers = pending.wait().unwrap_or_default();
            debug_assert_eq!(txs.len(), signers.len(), "one result a transaction");
            self.ready = txs.into_iter().zip(signers);
        }
    }
}
