//! Something that threads wait for who are woken while it is still being made.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

/// How long is looked for it before a thread sleeps.
const PATIENCE: Duration = Duration::from_micros(200);

/// See the module.
pub(super) struct Opening<T>(OnceLock<Option<T>>);

impl<T> Default for Opening<T> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

/// Lets nobody wait for what its maker did not get done.
struct Closing<'o, T>(&'o Opening<T>);

impl<T> Drop for Closing<'_, T> {
    fn drop(&mut self) {
        // Only if it is not there.
        let _ = self.0.0.set(None);
    }
}

impl<T> Opening<T> {
    /// Makes it, or says that there will be none.
    pub(super) fn open(&self, make: impl FnOnce() -> Option<T>) -> Option<&T> {
        let closing = Closing(self);
        let _ = self.0.set(make());
        drop(closing);
        self.0.get().and_then(Option::as_ref)
    }

    /// What was made, if anything was.
    pub(super) fn wait(&self) -> Option<&T> {
        let begun = Instant::now();
        while self.0.get().is_none() && begun.elapsed() < PATIENCE {
            std::hint::spin_loop();
        }
        self.0.wait().as_ref()
    }

    pub(super) fn into_inner(self) -> Option<T> {
        self.0.into_inner().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_what_is_never_made() {
        let opening = Opening::<u32>::default();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| opening.wait().copied());
            let making = scope.spawn(|| opening.open(|| panic!("on purpose")).copied());
            assert!(making.join().is_err());
            assert_eq!(waiting.join().unwrap(), None);
        });
        let opening = Opening::default();
        assert_eq!((opening.open(|| Some(7)), opening.wait()), (Some(&7), Some(&7)));
        assert_eq!(opening.into_inner(), Some(7));
    }
}
