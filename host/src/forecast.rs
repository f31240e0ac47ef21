//! Which transactions of a block will get in each other's way, by what they name: target, sender, addresses among their arguments. It
//! is learned from those that did, while blocks run, and only ever a hint: a wrong one costs time.

use crate::tx::Transaction;
use alloy_primitives::{Address, map::HashMap};

/// Names of a transaction that are looked at.
const MOST: usize = 8;

/// Words of calldata that may be addresses.
const WORDS: usize = 32;

/// Names that are remembered.
const MOST_HOT: usize = 1 << 16;

/// What a transaction names, in short.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Names {
    names: [u64; MOST],
    len: usize,
}

impl Names {
    pub(crate) fn of(tx: &Transaction, sender: &Address) -> Self {
        let mut names = Self::default();
        names.add(sender.as_slice());
        if let Some(to) = &tx.to {
            names.add(to.as_slice());
        }
        let arguments = tx.input.get(4..).unwrap_or_default();
        for word in arguments.as_chunks::<32>().0.iter().take(WORDS) {
            // Amounts and offsets are shorter, hashes longer.
            if word[..12] == [0; 12] && word[12..16] != [0; 4] {
                names.add(&word[12..]);
            }
        }
        names
    }

    fn add(&mut self, address: &[u8]) {
        let Some(name) = address.last_chunk().map(|bytes| u64::from_be_bytes(*bytes)) else { return };
        if self.len < MOST && !self.contains(name) {
            self.names[self.len] = name;
            self.len += 1;
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        self.names[..self.len].iter().copied()
    }

    fn contains(&self, name: u64) -> bool {
        self.names[..self.len].contains(&name)
    }
}

/// How a name has done.
#[derive(Clone, Copy, Debug, Default)]
struct Record {
    /// Conflicts between two that name it.
    hits: u32,
    /// Times that two which name it ran at once all the same.
    trials: u32,
}

/// Names that conflicts were about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forecast {
    records: HashMap<u64, Record>,
}

impl Forecast {
    /// Whether nothing is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether anything is known of a name.
    pub(crate) fn knows(&self, name: u64) -> bool {
        self.records.contains_key(&name)
    }

    /// Whether two that name it had better not run at once.
    pub(crate) fn is_hot(&self, name: u64) -> bool {
        self.records.get(&name).is_some_and(|record| 2 * record.hits >= record.trials)
    }

    /// Two that name it run at once all the same.
    pub(crate) fn tried(&mut self, name: u64) {
        if let Some(record) = self.records.get_mut(&name) {
            record.trials += 1;
        }
    }

    /// Two transactions got in each other's way. Of the names that they share the one that the fewest of `others` have is blamed.
    pub(crate) fn conflict(&mut self, one: &Names, other: &Names, others: &[Names]) {
        let count = |name: &u64| others.iter().filter(|names| names.contains(*name)).count();
        let Some(blamed) = one.iter().filter(|name| other.contains(*name)).min_by_key(count) else { return };
        if self.records.len() >= MOST_HOT {
            self.records.clear();
        }
        self.records.entry(blamed).or_default().hits += 1;
    }

    /// Makes what is known count half.
    pub(crate) fn fade(&mut self) {
        self.records.retain(|_, record| {
            (record.hits, record.trials) = (record.hits.div_ceil(2), record.trials / 2);
            record.hits > 0
        });
    }
}
