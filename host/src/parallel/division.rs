//! How a block is divided before it begins, by what is known: what threads begin with.

use crate::forecast::{Forecast, Names};
use alloy_primitives::map::HashMap;
use std::{cmp::Reverse, time::Duration};

/// See the module.
#[derive(Debug)]
pub(super) struct Division {
    /// For each thread but one the transactions that it begins with, in order: long ones, and chains of those that must run one after the
    /// other.
    pub(super) first: Vec<Vec<usize>>,
}

/// What it takes to hand over a transaction that comes alone, and to take back the turn.
const TURN: Duration = Duration::from_micros(5);

/// The part of a block that must be left beside what hangs together for a second thread to pay: one in so many.
const ALONE: u32 = 6;

/// Of what a thread has to do on average, the part that must be saved for something more to be begun with: one in so many, and so much.
const LESS: u32 = 64;
const LEAST: Duration = Duration::from_micros(20);

/// Chains that are tried.
const TRIED: usize = 4;

impl Division {
    /// For two threads or more. `None` where nearly all of the block has one name that conflicts were about, or threads would have to hand
    /// over all the time, so that one thread does it best.
    pub(super) fn of(names: &[Names], costs: &[Duration], known: &Forecast, threads: usize) -> Option<Self> {
        let hot = Hot::of(names, known);
        let chains = Chains::of(&hot, costs);
        let all: Duration = costs.iter().sum();
        let is_all = |cost: Duration| (all - cost) * ALONE < all;
        if hot.sums(costs).into_iter().any(|(cost, count)| count > 1 && is_all(cost)) {
            return None;
        }
        // What hangs together by many names, not all by one, is better found out.
        let may_begin = |root: &usize| chains.len[*root] == 1 || !is_all(chains.cost[*root]);
        // Two thirds of what a thread has to do on average: begun last, that much would be waited for.
        let third = all / 3 / threads as u32;
        let takes = |root: &usize, thirds: u32| chains.cost[*root] >= thirds * third;
        let mut long: Vec<_> = (0..names.len()).filter(|root| takes(root, 2)).filter(may_begin).collect();
        long.sort_by_key(|root| Reverse(chains.cost[*root]));
        long.truncate(threads - 1);
        // Then what would be waited for in the end.
        let mut ran = chains.run(&long, threads);
        let least = all / threads as u32 / LESS + LEAST;
        let late = |ran: &Ran| ran.took.saturating_sub(all / threads as u32);
        let longest = if late(&ran) >= least { chains.longest() } else { Vec::new() };
        for root in longest {
            // Nothing shorter than what is waited for makes up for it.
            if chains.cost[root] < late(&ran).max(least) || long.contains(&root) || !may_begin(&root) {
                continue;
            }
            long.push(root);
            let other = chains.run(&long, threads);
            if other.took + least < ran.took {
                ran = other;
            } else {
                long.pop();
            }
        }
        // One that is not begun with goes from the one to the other, too.
        let is_heavy = |root: &usize| long.contains(root) || (chains.len[*root] > 1 && takes(root, 1));
        let parts: Vec<_> = chains.roots.iter().map(|root| is_heavy(root).then_some(root)).collect();
        let turns = parts.windows(2).filter(|pair| pair[0] != pair[1]).count();
        let longest = long.iter().map(|root| chains.cost[*root]).max().unwrap_or_default().max(all / threads as u32);
        // Where it is another thread's turn all the time, handing over may take longer than is gained.
        if turns as u32 * TURN > all - longest {
            return None;
        }
        let mut first = vec![Vec::new(); threads - 1];
        for (index, root) in chains.roots.iter().enumerate() {
            ran.begins[*root].into_iter().for_each(|thread| first[thread].push(index));
        }
        Some(Self { first })
    }
}

/// Transactions that hang together by names that conflicts were about.
struct Chains<'c> {
    costs: &'c [Duration],
    /// Of each transaction the first one of its chain.
    roots: Vec<usize>,
    /// Of each chain, by its first transaction, what all of it takes, and how many it has.
    cost: Vec<Duration>,
    len: Vec<usize>,
}

/// What would become of a block.
struct Ran {
    took: Duration,
    /// Which thread begins with a chain, by its first transaction.
    begins: Vec<Option<usize>>,
}

impl<'c> Chains<'c> {
    fn of(hot: &Hot, costs: &'c [Duration]) -> Self {
        let roots = hot.roots(costs.len());
        let (mut cost, mut len) = (vec![Duration::ZERO; roots.len()], vec![0; roots.len()]);
        for (root, took) in roots.iter().zip(costs) {
            cost[*root] += *took;
            len[*root] += 1;
        }
        Self { costs, roots, cost, len }
    }

    /// Threads that begin with some chains, and then take what comes next when they have nothing to do.
    fn run(&self, long: &[usize], threads: usize) -> Ran {
        let mut free = vec![Duration::ZERO; threads];
        let mut begins = vec![None; self.roots.len()];
        let mut by_cost = long.to_vec();
        by_cost.sort_by_key(|root| Reverse(self.cost[*root]));
        for root in by_cost {
            // The calling thread has what comes first.
            let thread = (0..threads - 1).min_by_key(|thread| free[*thread]).unwrap_or_default();
            free[thread] += self.cost[root];
            begins[root] = Some(thread);
        }
        // Who has begun a chain.
        let mut has = vec![None; self.roots.len()];
        for (root, cost) in self.roots.iter().zip(self.costs).filter(|(root, _)| begins[**root].is_none()) {
            let next = || (0..threads).min_by_key(|thread| free[*thread]).unwrap_or_default();
            let thread = *has[*root].get_or_insert_with(next);
            free[thread] += *cost;
        }
        Ran { took: free.into_iter().max().unwrap_or_default(), begins }
    }

    /// The longest chains, by their first transactions: as many as are tried.
    fn longest(&self) -> Vec<usize> {
        let mut longest: Vec<usize> = Vec::with_capacity(TRIED + 1);
        for root in 0..self.roots.len() {
            let place = longest.partition_point(|other| self.cost[*other] >= self.cost[root]);
            if place < TRIED {
                longest.insert(place, root);
                longest.truncate(TRIED);
            }
        }
        longest
    }
}

/// The names of transactions that conflicts were about.
struct Hot {
    /// Each has a number.
    count: usize,
    /// Transactions and the numbers of their names, in order of transactions.
    places: Vec<(usize, usize)>,
}

impl Hot {
    fn of(names: &[Names], known: &Forecast) -> Self {
        let mut hot = Self { count: 0, places: Vec::new() };
        if known.is_empty() {
            return hot;
        }
        let mut numbers: HashMap<u64, usize> = HashMap::default();
        for (index, names) in names.iter().enumerate() {
            for name in names.iter().filter(|name| known.is_hot(*name)) {
                hot.places.push((index, *numbers.entry(name).or_insert(hot.count)));
                hot.count = numbers.len();
            }
        }
        hot
    }

    /// What the transactions that have each name take together, and how many they are.
    fn sums(&self, costs: &[Duration]) -> Vec<(Duration, usize)> {
        let mut sums = vec![(Duration::ZERO, 0); self.count];
        for (index, name) in &self.places {
            let (sum, count) = &mut sums[*name];
            (*sum, *count) = (*sum + costs[*index], *count + 1);
        }
        sums
    }

    /// Of so many transactions the first one of those that share a name with it, directly or by others.
    fn roots(&self, txs: usize) -> Vec<usize> {
        let mut roots: Vec<usize> = (0..txs).collect();
        let mut last = vec![None; self.count];
        for (index, name) in &self.places {
            if let Some(other) = last[*name].replace(*index) {
                let (one, other) = (root(&mut roots, *index), root(&mut roots, other));
                roots[one.max(other)] = one.min(other);
            }
        }
        (0..txs).for_each(|index| roots[index] = root(&mut roots, index));
        roots
    }
}

fn root(roots: &mut [usize], mut index: usize) -> usize {
    while roots[index] != index {
        roots[index] = roots[roots[index]];
        index = roots[index];
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(of: &[&[u64]]) -> Vec<Names> {
        let each = |own: &&[u64]| {
            let mut names = Names::default();
            own.iter().for_each(|name| names.add_name(*name));
            names
        };
        of.iter().map(each).collect()
    }

    fn first(of: &[&[u64]], micros: &[u64], hot: &[u64]) -> Option<Vec<usize>> {
        let costs: Vec<_> = micros.iter().map(|micros| Duration::from_micros(*micros)).collect();
        let mut known = Forecast::default();
        hot.iter().for_each(|name| known.put_name(*name, 1).unwrap());
        Division::of(&names(of), &costs, &known, 2).map(|division| division.first.into_iter().flatten().collect())
    }

    #[test]
    fn one_name_for_nearly_all_is_one_thread_s() {
        let all: &[&[u64]] = &[&[1, 9], &[2, 9], &[3, 9], &[4]];
        assert_eq!(first(all, &[10, 10, 10, 1], &[9]), None);
        // Not if nothing is known of it, or if much is left.
        assert_eq!(first(all, &[10, 10, 10, 1], &[]), Some(vec![]));
        assert_eq!(first(all, &[10, 10, 10, 10], &[9]), Some(vec![0, 1, 2]));
    }

    #[test]
    fn what_hangs_together_by_many_names_is_found_out() {
        let chain: &[&[u64]] = &[&[1, 2], &[2, 3], &[3, 4], &[4, 5]];
        assert_eq!(first(chain, &[10; 4], &[1, 2, 3, 4, 5]), Some(vec![]));
    }

    #[test]
    fn what_is_handed_over_every_time_must_be_worth_it() {
        let pairs: &[&[u64]] = &[&[1, 8], &[2, 9], &[3, 8], &[4, 9], &[5, 8], &[6, 9]];
        assert_eq!(first(pairs, &[6; 6], &[8, 9]), None);
        assert_eq!(first(pairs, &[60; 6], &[8, 9]), Some(vec![0, 2, 4]));
    }

    #[test]
    fn what_would_be_waited_for_begins_first() {
        let own: &[&[u64]] = &[&[1], &[2], &[3], &[4], &[5], &[6], &[7], &[8]];
        assert_eq!(first(&own[..4], &[10, 10, 10, 90], &[]), Some(vec![3]));
        // One that is not so long, but comes late; and two.
        assert_eq!(first(own, &[100, 100, 100, 100, 100, 100, 0, 200], &[]), Some(vec![7]));
        assert_eq!(first(own, &[100, 100, 100, 100, 100, 100, 400, 200], &[]), Some(vec![6, 7]));
        // Each of two has a thread of its own, where there are three.
        let costs: Vec<_> = [10, 10, 10, 10, 0, 0, 100, 90].map(Duration::from_micros).into();
        let division = Division::of(&names(own), &costs, &Forecast::default(), 3).unwrap();
        assert_eq!(division.first, [vec![6], vec![7]]);
        // One that comes early is done by then.
        assert_eq!(first(own, &[200, 0, 100, 100, 100, 100, 100, 100], &[]), Some(vec![]));
    }
}
