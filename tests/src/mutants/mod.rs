//! Proof that the suites see: single faults seeded into the `execute` kernel, and which suite finds each.
//!
//! All faults stand in one kernel, compiled once, each behind a word of the uniform that nothing else uses: which number
//! stands there decides which fault is in force, and zero is the kernel as it is.

pub mod rules;
mod suite;

use alloy_primitives::{Address, B256};
use lockstep::{
    backend::{
        Backend, BackendError, BackendKind, Executed,
        wgpu::{Integers, WgpuBackend},
    },
    fork::Fork,
    lower::Batch,
    opcode::{self, Class},
    park::Service,
    plan::{LaneClass, LaneLimits},
    recover::{RecoverError, RecoverRequest},
};
use rules::RULES;
use std::sync::atomic::{AtomicU32, Ordering};

pub use suite::{Killed, Suites};

/// The word that selects.
const SELECTOR: &str = "params.pad0";

/// From this number on an opcode is part of it; below are the faults of [`rules`].
pub const FIRST_OF_FAMILIES: u32 = 0x1_0000;

/// A fault, by the number that selects it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// Selects it.
    pub number: u32,
    /// What is wrong.
    pub name: String,
}

/// A fault that each opcode has: the first number, a name, and an edit of the kernel in which `#` stands for that number.
struct Family {
    first: u32,
    name: &'static str,
    /// In the run of quick opcodes and in the step, where both have it.
    edits: &'static [(&'static str, &'static str)],
    /// Which opcodes can have it.
    of: fn(&opcode::Opcode) -> bool,
}

const FAMILIES: [Family; 6] = [
    Family {
        first: FIRST_OF_FAMILIES,
        name: "costs one more",
        edits: &[
            ("var cost = row1 & 0xffffu;", "var cost = (row1 & 0xffffu) + select(0u, 1u, S == # + op);"),
            ("var done = height", "cost += select(0u, 1u, S == # + op);\n    var done = height"),
        ],
        of: |_| true,
    },
    Family {
        first: 0x2_0000,
        name: "has another result",
        edits: &[
            ("top = r;", "top = U256(r.lo ^ vec4<u32>(select(0u, 1u, S == # + op), 0u, 0u, 0u), r.hi);"),
            ("top = r;", "top = U256(r.lo ^ vec4<u32>(select(0u, 1u, S == # + op), 0u, 0u, 0u), r.hi);"),
        ],
        of: |op| op.result && op.byte != 0xff,
    },
    // Where nothing is pushed, one operand too few shows in the height after the instruction just as well.
    Family {
        first: 0x3_0000,
        name: "takes one operand too few",
        edits: &[
            ("(sp - frame.stack_base < need ||", "(sp - frame.stack_base < need - select(0u, 1u, S == # + op) ||"),
            (
                "(height - frame.stack_base < need ||",
                "(height - frame.stack_base < need - select(0u, 1u, S == # + op) ||",
            ),
        ],
        of: |op| op.need > 0 && i32::from(op.need) + i32::from(op.delta) > 0,
    },
    // A duplicate or a swap of the item below is in the tests what random operands are elsewhere.
    Family {
        first: 0x4_0000,
        name: "takes its second operand from further down",
        edits: &[
            ("b = stack_load(sp - 2u, lane);", "b = stack_load(sp - 2u - select(0u, 1u, S == # + op), lane);"),
            ("let place_b = height -", "if (S == # + op) { reach += 1u; }\n    let place_b = height -"),
        ],
        of: |op| op.need >= 2 || matches!(op.class, Class::Dup),
    },
    Family {
        first: 0x5_0000,
        name: "runs in a static frame",
        edits: &[(
            "if ((frame.mode & MODE_STATIC) != 0u && writes) {",
            "if ((frame.mode & MODE_STATIC) != 0u && writes && S != # + op) {",
        )],
        of: |op| matches!(op.class, Class::Log | Class::Create) || matches!(op.byte, 0x55 | 0x5d | 0xff),
    },
    Family {
        first: 0x6_0000,
        name: "does not exist",
        edits: &[
            ("if (class_ == CLASS_UNDEFINED) {", "if (class_ == CLASS_UNDEFINED || S == # + op) {"),
            ("if (class_ - 1u >= CLASS_JUMP) {", "if (class_ - 1u >= CLASS_JUMP || S == # + op) {"),
        ],
        of: |_| true,
    },
];

/// Bytes that no fork has, or not every one, and that a kernel might run as nothing.
const UNDEFINED: [u8; 14] = [0x0c, 0x1e, 0x1f, 0x21, 0x48, 0x49, 0x4a, 0x5c, 0x5d, 0x5e, 0x5f, 0xef, 0xf6, 0xfe];

/// First number of the bytes above.
const NOTHING: u32 = 0x7_0000;

/// Steps that no opcode asks for (`OP_*` of `frame.wgsl` from this on) cost nothing; a result has OP_RESUME alone.
const RESUME: u32 = 0x104;

/// Every fault, in the order in which they are tried.
pub fn mutants() -> Vec<Mutant> {
    let rules = RULES.iter().copied().flatten();
    let mut mutants: Vec<_> =
        (1..).zip(rules).map(|(number, (name, ..))| Mutant { number, name: (*name).into() }).collect();
    let table = opcode::table(Fork::Osaka);
    for family in &FAMILIES {
        for op in table.iter().filter(|op| op.class != Class::Undefined && (family.of)(op)) {
            let name = format!("{} {}", crate::fuzz::coverage::mnemonic(op), family.name);
            mutants.push(Mutant { number: family.first + u32::from(op.byte), name });
        }
    }
    mutants.push(Mutant { number: FAMILIES[1].first + RESUME, name: "a call has another result".into() });
    for byte in UNDEFINED {
        mutants.push(Mutant {
            number: NOTHING + u32::from(byte),
            name: format!("{byte:#04x} does nothing where it is undefined"),
        });
    }
    mutants
}

/// The kernel's text with every fault in it.
///
/// # Errors
/// Names the fault whose place the text lacks.
pub fn seeded(kernel: &str) -> Result<String, String> {
    let mut text = kernel.to_owned();
    let mut edit = |name: &str, from: &str, to: &str| {
        let edited = text.replacen(from, to, 1);
        if edited == text {
            return Err(format!("{name}: the kernel has no {from:?}"));
        }
        text = edited;
        Ok(())
    };
    for (number, (name, from, to)) in (1..).zip(RULES.iter().copied().flatten()) {
        edit(name, from, &to.replace('@', &format!("({SELECTOR} == {number}u)")))?;
    }
    for family in &FAMILIES {
        for (from, to) in family.edits {
            let to = to.replace('#', &format!("{}u", family.first)).replace("S ", &format!("{SELECTOR} "));
            edit(family.name, from, &to)?;
        }
    }
    let nothing = format!("if ((class_ == CLASS_UNDEFINED && {SELECTOR} != {NOTHING}u + op) ||");
    edit("does nothing where it is undefined", "if (class_ == CLASS_UNDEFINED ||", &nothing)?;
    Ok(text)
}

/// A device whose kernel has the fault that was chosen last.
#[derive(Debug)]
pub struct Seeded {
    device: WgpuBackend,
    number: AtomicU32,
}

impl Seeded {
    /// Opens an adapter with the seeded kernel, no fault in force.
    ///
    /// # Errors
    /// As [`WgpuBackend::open_edited`]; a fault that has no place.
    pub fn open(device: Option<&str>) -> Result<Self, BackendError> {
        let device = WgpuBackend::open_edited(device, Integers::Widest, "execute", &seeded)?;
        Ok(Self { device, number: AtomicU32::new(0) })
    }

    /// Puts a fault in force; zero: none.
    pub fn choose(&self, number: u32) {
        self.number.store(number, Ordering::Relaxed);
    }
}

impl Backend for Seeded {
    fn kind(&self) -> BackendKind {
        self.device.kind()
    }

    fn name(&self) -> &str {
        self.device.name()
    }

    fn keccak256(&self, messages: &[&[u8]]) -> Result<Vec<B256>, BackendError> {
        self.device.keccak256(messages)
    }

    fn recover(&self, requests: &[RecoverRequest]) -> Result<Vec<Result<Address, RecoverError>>, BackendError> {
        self.device.recover(requests)
    }

    fn lane_limits(&self, class: LaneClass) -> LaneLimits {
        self.device.lane_limits(class)
    }

    fn execute(&self, batch: &Batch, service: &mut dyn Service) -> Result<Executed, BackendError> {
        let mut batch = batch.clone();
        batch.params.pad0 = self.number.load(Ordering::Relaxed);
        self.device.execute(&batch, service)
    }
}
