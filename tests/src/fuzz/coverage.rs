//! Which instructions were reached, at which fork, and how they or their frames ended.

use lockstep::{
    evm::{Ending, Observer},
    fork::Fork,
    opcode::{self, Class},
};
use std::{collections::BTreeMap, fmt::Write};

/// A set of opcodes.
pub type Set = [u64; 4];

fn insert(set: &mut Set, op: u8) {
    set[usize::from(op >> 6)] |= 1 << (op & 63);
}

/// Whether `op` is in `set`.
pub const fn contains(set: &Set, op: u8) -> bool {
    set[(op >> 6) as usize] >> (op & 63) & 1 == 1
}

/// How an instruction can end, by the columns of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Ran in a frame that ended well.
    Success,
    /// Ran in a frame that reverted.
    Revert,
    /// Ended its frame for want of gas.
    OutOfGas,
    /// Ended its frame for want of operands.
    Stack,
    /// Ended its frame because that was static.
    Static,
}

impl Outcome {
    /// All, in the order of the columns.
    pub const ALL: [Self; 5] = [Self::Success, Self::Revert, Self::OutOfGas, Self::Stack, Self::Static];

    /// The column's name.
    pub const fn name(self) -> &'static str {
        ["success", "revert", "out of gas", "stack", "static"][self as usize]
    }

    /// Whether an instruction of that opcode can end so.
    pub fn can_be(self, op: &opcode::Opcode) -> bool {
        let ends_well = matches!(op.byte, 0x00 | 0xf3 | 0xff);
        match self {
            Self::Success => op.byte != 0xfd,
            Self::Revert => !ends_well,
            Self::OutOfGas => op.byte != 0x00,
            Self::Stack => op.need > 0,
            Self::Static => op.class == Class::Log || matches!(op.byte, 0x55 | 0x5d | 0xf0 | 0xf1 | 0xf5 | 0xff),
        }
    }
}

/// What one transaction reached.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    frames: Vec<Set>,
    /// By [`Outcome`].
    pub sets: [Set; 5],
    /// Instructions run.
    pub steps: u64,
    record: bool,
    /// Opcode of each step of the outermost frame and gas left before it, if that was asked for.
    pub left: Vec<(u8, u64)>,
}

impl Seen {
    /// One that keeps the gas of every outermost step.
    pub fn recording() -> Self {
        Self { record: true, ..Self::default() }
    }

    /// What was seen since the last time.
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::replace(self, Self { record: self.record, ..Self::default() })
    }

    fn add(&mut self, outcome: Outcome, set: &Set) {
        for (to, from) in self.sets[outcome as usize].iter_mut().zip(set) {
            *to |= from;
        }
    }
}

impl Observer for Seen {
    fn start(&mut self) {
        self.frames.push(Set::default());
    }

    fn step(&mut self, opcode: u8, gas: u64) {
        self.steps += 1;
        if let Some(frame) = self.frames.last_mut() {
            insert(frame, opcode);
        }
        if self.record && self.frames.len() == 1 {
            self.left.push((opcode, gas));
        }
    }

    fn last(&mut self, opcode: u8, ending: Ending) {
        let outcome = match ending {
            Ending::OutOfGas => Outcome::OutOfGas,
            Ending::Stack => Outcome::Stack,
            Ending::Static => Outcome::Static,
            Ending::Success | Ending::Revert | Ending::Halt => return,
        };
        insert(&mut self.sets[outcome as usize], opcode);
    }

    fn end(&mut self, ending: Ending) {
        let frame = self.frames.pop().unwrap_or_default();
        match ending {
            Ending::Success => self.add(Outcome::Success, &frame),
            Ending::Revert => self.add(Outcome::Revert, &frame),
            _ => {}
        }
    }
}

/// Transactions by fork, opcode and outcome.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    counts: BTreeMap<Fork, Vec<[u64; 5]>>,
}

impl Coverage {
    /// Counts a transaction.
    pub fn add(&mut self, fork: Fork, seen: &Seen) {
        let counts = self.counts.entry(fork).or_insert_with(|| vec![[0; 5]; 256]);
        for (outcome, set) in seen.sets.iter().enumerate() {
            for (word, bits) in set.iter().enumerate() {
                let mut bits = *bits;
                while bits != 0 {
                    counts[word * 64 + bits.trailing_zeros() as usize][outcome] += 1;
                    bits &= bits - 1;
                }
            }
        }
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Self) {
        for (fork, rows) in &other.counts {
            let counts = self.counts.entry(*fork).or_insert_with(|| vec![[0; 5]; 256]);
            for (to, from) in counts.iter_mut().flatten().zip(rows.iter().flatten()) {
                *to += from;
            }
        }
    }

    /// Transactions that reached `op` with `outcome` at `fork`.
    pub fn count(&self, fork: Fork, op: u8, outcome: Outcome) -> u64 {
        self.counts.get(&fork).map_or(0, |rows| rows[usize::from(op)][outcome as usize])
    }

    /// What no transaction reached, of all that opcodes of the device can reach at `forks`.
    pub fn missing(&self, forks: &[Fork]) -> Vec<(Fork, String, Outcome)> {
        let mut missing = Vec::new();
        for fork in forks {
            for op in opcode::table(*fork) {
                let runs = op.class != Class::Undefined;
                for outcome in Outcome::ALL {
                    if runs && outcome.can_be(&op) && self.count(*fork, op.byte, outcome) == 0 {
                        missing.push((*fork, mnemonic(&op), outcome));
                    }
                }
            }
        }
        missing
    }

    /// A row an opcode, a column an outcome; in each cell the forks in order. A dash: cannot be.
    pub fn table(&self) -> String {
        let mut text = String::from("transactions accepted from the device, by opcode, outcome and fork:\n");
        let forks: Vec<_> = self.counts.keys().copied().collect();
        let _ = writeln!(text, "{}", forks.iter().map(|fork| fork.name()).collect::<Vec<_>>().join(" "));
        let columns = Outcome::ALL.map(|outcome| format!("{:>width$}", outcome.name(), width = forks.len() * 7));
        let _ = writeln!(text, "{:<15}{}", "", columns.join(" |"));
        let latest = forks.last().copied().unwrap_or(Fork::Osaka);
        for op in opcode::table(latest).iter().filter(|op| op.class != Class::Undefined) {
            let _ = write!(text, "{:<15}", mnemonic(op));
            for outcome in Outcome::ALL {
                for fork in &forks {
                    let exists = opcode::table(*fork)[usize::from(op.byte)].class != Class::Undefined;
                    let cell = match self.count(*fork, op.byte, outcome) {
                        0 if !exists || !outcome.can_be(op) => "-".to_owned(),
                        count => count.to_string(),
                    };
                    let _ = write!(text, "{cell:>7}");
                }
                text.push_str(if outcome == Outcome::Static { "" } else { " |" });
            }
            text.push('\n');
        }
        text
    }
}

/// The name with its number, as in PUSH3.
pub fn mnemonic(op: &opcode::Opcode) -> String {
    match op.class {
        Class::Push | Class::Swap | Class::Log => format!("{}{}", op.name, op.arg),
        Class::Dup => format!("{}{}", op.name, op.byte - 0x7f),
        _ => op.name.to_owned(),
    }
}
