//! Chunks of a batch on their way through the device, so that host and device work at the same time.

use std::collections::VecDeque;

/// Chunks under way: one that the device works on, and one that is prepared before or taken in after.
pub(super) const DEPTH: usize = 2;

/// Starts every chunk and finishes each in order; no more than [`DEPTH`] are between the two. `start` is told which of the
/// `DEPTH` sets of buffers is free.
///
/// # Errors
/// The first of either step. Chunks under way are then dropped unfinished.
pub(super) fn pipelined<C, P, E>(
    chunks: impl IntoIterator<Item = C>,
    mut start: impl FnMut(usize, C) -> Result<P, E>,
    mut finish: impl FnMut(P) -> Result<(), E>,
) -> Result<(), E> {
    let mut under_way = VecDeque::with_capacity(DEPTH);
    for (index, chunk) in chunks.into_iter().enumerate() {
        if under_way.len() == DEPTH
            && let Some(oldest) = under_way.pop_front()
        {
            finish(oldest)?;
        }
        under_way.push_back(start(index % DEPTH, chunk)?);
    }
    under_way.into_iter().try_for_each(finish)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn no_set_of_buffers_is_taken_twice() {
        for count in 0..7_usize {
            let (busy, finished) = (RefCell::new([None; DEPTH]), RefCell::new(Vec::new()));
            let start = |set: usize, chunk: usize| match busy.borrow_mut()[set].replace(chunk) {
                None => Ok((set, chunk)),
                Some(before) => Err(format!("{chunk} takes the place of {before}")),
            };
            let finish = |(set, chunk): (usize, usize)| {
                busy.borrow_mut()[set] = None;
                finished.borrow_mut().push(chunk);
                Ok(())
            };
            pipelined(0..count, start, finish).expect("a free set each");
            assert_eq!(*finished.borrow(), (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_error_ends_it() {
        let starts = RefCell::new(0);
        let start = |_: usize, chunk: usize| {
            *starts.borrow_mut() += 1;
            Ok(chunk)
        };
        assert_eq!(pipelined(0..9, start, |chunk| if chunk == 1 { Err("no") } else { Ok(()) }), Err("no"));
        assert_eq!(*starts.borrow(), 3);
    }
}
