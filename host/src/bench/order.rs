//! Orders that look random and are the same on every run and machine.

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

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(super) fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
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
