//! What the suites share: data, devices, and generated programs.

pub mod arithmetic;
pub mod binary;
pub mod calls;
pub mod contracts;
pub mod covered;
pub mod creates;
pub mod devices;
pub mod fuzz;
pub mod generated;
pub mod harness;
pub mod jumps;
pub mod mutants;
pub mod precompiles;
pub mod programs;
pub mod random;
pub mod sample;
pub mod set_code;
pub mod sign;
pub mod simulated;
pub mod small_block;
pub mod states;
pub mod tokens;
pub mod transactions;
pub mod vectors;
