//! Orders that look random and are the same on every run and machine.

use crate::random::splitmix;

/// The numbers below `len` in the order of a seed.
pub(super) fn shuffled(len: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<_> = (0..len).collect();
    let mut state = seed;
    for last in (1..len).rev() {
        // The bias of a remainder does not matter here.
        order.swap(last, (splitmix(&mut state) % (last as u64 + 1)) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_once_in_an_order_of_the_seed() {
        let order = shuffled(100, 1);
        assert_eq!(order, shuffled(100, 1));
        assert_ne!(order, shuffled(100, 2));
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..100));
        assert!(shuffled(0, 1).is_empty());
    }
}
