//! Work that was handed over: a handle to wait on, with a deadline or without, or to cancel.

use std::{
    fmt,
    panic::{self, AssertUnwindSafe, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::Result as Caught,
    time::Instant,
};

/// The work was cancelled before its end; what it had done is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

/// Whether to go on, and how far it has come: the side of the work.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    cancelled: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
}

impl Progress {
    /// Asks the work to stop. It does so between two pieces, each some milliseconds long on the CPU; a device ends what it was given, up to
    /// 262,144 signatures. Waiting then gives [`Cancelled`].
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether somebody has asked so.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Signatures finished so far, in whatever order: senders' and authorities', none for what could not be decoded.
    pub fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, items: usize) {
        self.done.fetch_add(items, Ordering::Relaxed);
    }
}

/// Work under way. Dropping the handle cancels it: nobody is left to read the answer.
pub struct Pending<T> {
    answer: Receiver<Caught<Option<T>>>,
    progress: Progress,
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("progress", &self.progress).finish_non_exhaustive()
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        self.progress.cancel();
    }
}

/// Why a wait with a deadline ended without an answer.
#[derive(Debug, thiserror::Error)]
pub enum WaitError<T> {
    /// Time is up. The work goes on; the handle is given back to wait again, or to drop.
    #[error("not done at the deadline")]
    Deadline(Pending<T>),
    /// It was cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// The side that owes the answer to a [`Pending`]. Dropped without one, the handle gives [`Cancelled`].
pub(crate) struct Promise<T> {
    sender: SyncSender<Caught<Option<T>>>,
    progress: Progress,
}

impl<T> Promise<T> {
    /// The handle and its other side.
    pub(crate) fn new() -> (Self, Pending<T>) {
        let (sender, answer) = sync_channel(1);
        let progress = Progress::default();
        (Self { sender, progress: progress.clone() }, Pending { answer, progress })
    }

    pub(crate) const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Gives the answer; `None` means cancelled, an error a panic that whoever waits is to have.
    pub(crate) fn settle(self, answer: Caught<Option<T>>) {
        // Nobody waits any more if this fails.
        let _ = self.sender.send(answer);
    }
}

impl<T: Send + 'static> Pending<T> {
    /// Hands `work` to `spawn`. `None` from the work means that it saw the cancellation.
    pub(crate) fn start(
        work: impl FnOnce(&Progress) -> Option<T> + Send + 'static,
        spawn: impl FnOnce(Box<dyn FnOnce() + Send>),
    ) -> Self {
        let (promise, pending) = Promise::new();
        spawn(Box::new(move || {
            let answer = panic::catch_unwind(AssertUnwindSafe(|| work(promise.progress())));
            promise.settle(answer);
        }));
        pending
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// [`Cancelled`].
    ///
    /// # Panics
    /// With the work's own panic.
    pub fn wait(self) -> Result<T, Cancelled> {
        match self.answer.recv() {
            Ok(answer) => settle(answer),
            Err(_) => Err(Cancelled),
        }
    }

    /// Waits until `deadline` at the latest; one in the past asks without waiting.
    ///
    /// # Errors
    /// [`WaitError::Deadline`] with the handle, or [`WaitError::Cancelled`].
    ///
    /// # Panics
    /// With the work's own panic.
    pub fn wait_until(self, deadline: Instant) -> Result<T, WaitError<T>> {
        match self.answer.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(answer) => Ok(settle(answer)?),
            Err(RecvTimeoutError::Timeout) => Err(WaitError::Deadline(self)),
            Err(RecvTimeoutError::Disconnected) => Err(Cancelled.into()),
        }
    }

    /// To cancel from elsewhere, and to see how far it has come.
    pub const fn progress(&self) -> &Progress {
        &self.progress
    }
}

fn settle<T>(answer: Caught<Option<T>>) -> Result<T, Cancelled> {
    answer.unwrap_or_else(|payload| resume_unwind(payload)).ok_or(Cancelled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{thread, time::Duration};

    fn on_thread(work: Box<dyn FnOnce() + Send>) {
        thread::spawn(work);
    }

    /// Works until somebody cancels.
    fn endless(progress: &Progress) -> Option<()> {
        while !progress.is_cancelled() {
            progress.add(1);
            thread::sleep(Duration::from_millis(1));
        }
        None
    }

    #[test]
    fn the_answer_arrives() {
        assert_eq!(Pending::start(|_| Some(7), on_thread).wait(), Ok(7));
        let soon = Instant::now() + Duration::from_secs(60);
        assert_eq!(Pending::start(|_| Some(8), on_thread).wait_until(soon).unwrap(), 8);
    }

    #[test]
    fn a_deadline_gives_the_handle_back() {
        let pending = Pending::start(endless, on_thread);
        let Err(WaitError::Deadline(pending)) = pending.wait_until(Instant::now() + Duration::from_millis(20)) else {
            panic!("it cannot have ended");
        };
        assert!(pending.progress().done() > 0);
        pending.progress().cancel();
        assert_eq!(pending.wait(), Err(Cancelled));
    }

    #[test]
    fn dropping_the_handle_ends_the_work() {
        let pending = Pending::start(endless, on_thread);
        let progress = pending.progress().clone();
        drop(pending);
        assert!(progress.is_cancelled());
    }

    #[test]
    #[should_panic(expected = "of its own")]
    fn a_panic_reaches_whoever_waits() {
        let _ = Pending::<()>::start(|_| panic!("of its own"), on_thread).wait();
    }
}
