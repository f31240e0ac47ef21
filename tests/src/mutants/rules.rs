//! Faults in the rules of the EVM, as edits of the kernel's text: a name, what stands there, and what is to stand there,
//! in which `@` is true while the fault is in force.

mod coverage;
mod machine;
mod state;

use coverage::EDGES;
use machine::{ARITHMETIC, GAS, JUMPS, MEMORY, PARKING, PRECOMPILES};
use state::{ACCOUNTS, CALLS, CREATIONS, KEYS, REVERTS, STATE};

/// A fault.
pub type Rule = (&'static str, &'static str, &'static str);

/// Every one, in the order in which the edits are made; each leaves in place what later ones look for.
///
/// Left out, because no transaction can tell them from the kernel: code that goes on past its end (zeros stand there, which
/// are STOP); a stack of more than 1024 words (the cap of a lane's stack is lower and comes first); a slot that is loaded
/// and is no dependency (the host takes every slot of the overlay for one); output that a transaction which halts leaves (the
/// host drops it); return data of a creation that succeeds or halts (its frame leaves none); of a code that was set, only the
/// flag or only the place that a revert leaves (either alone stands for no code).
pub const RULES: &[&[Rule]] =
    &[JUMPS, GAS, MEMORY, PRECOMPILES, ARITHMETIC, STATE, ACCOUNTS, CALLS, CREATIONS, REVERTS, KEYS, PARKING, EDGES];
