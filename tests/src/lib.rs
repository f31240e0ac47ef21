//! What the suites share: data, devices, and generated programs.

pub mod programs;
