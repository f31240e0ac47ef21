//! liblockstep: the engine behind a C ABI. `include/lockstep.h`, generated from here, is its contract; `docs/c.md` shows it from other
//! languages.
//!
//! Each function of the border is a few lines: [`border`] catches panics and finds the handle, [`caller`] turns the caller's arrays into
//! slices and back. Nothing else touches a pointer.
#![deny(unsafe_op_in_unsafe_fn)]

mod border;
mod caller;
mod calls;
mod create;
mod errors;
mod execute;
mod fault;
mod handles;
mod hash;
mod net;
mod overrides;
mod recover;
mod results;
mod simulate;
mod state;
#[cfg(test)]
mod tests;
mod types;

#[cfg(not(panic = "unwind"))]
compile_error!("a panic must not end the caller's process: build with panic = \"unwind\"");
