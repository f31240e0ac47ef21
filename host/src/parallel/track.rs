//! What a thread runs on: a replica, and where it stands.

use crate::evm::Replica;

/// Tracks of a thread: two on which it runs ahead, so that what is behind one can run on the other, and one for what has its turn while
/// units wait in both.
pub(super) const TRACKS: usize = RUN_AHEAD + 1;
pub(super) const RUN_AHEAD: usize = 2;

/// A replica of a thread. Each has its own units, in order, and sees what the others commit as if another thread had.
pub(super) struct Track<'a> {
    /// Its number among those of all threads.
    pub(super) id: usize,
    pub(super) replica: Replica<'a>,
    /// Entries of the log that it stands on.
    pub(super) seen: usize,
}

/// Where the next unit of a track may begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Behind its own that wait.
    pub(super) behind: usize,
    /// Transactions that wait, and those between them; `None` where nothing may run on top of them.
    pub(super) ahead: Option<usize>,
}

impl Default for Room {
    /// Of a track that is still to be made.
    fn default() -> Self {
        Self { behind: 0, ahead: Some(0) }
    }
}

impl<'a> Track<'a> {
    pub(super) fn new(id: usize, replica: Replica<'a>) -> Self {
        Self { id, replica, seen: 0 }
    }

    /// The number of a thread's track among those of so many threads: all first ones come first.
    pub(super) const fn id(thread: usize, track: usize, threads: usize) -> usize {
        track * threads + thread
    }

    pub(super) fn room(&self) -> Room {
        Room { behind: self.replica.end(), ahead: self.replica.ahead() }
    }
}
