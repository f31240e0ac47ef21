//! The examples of the library, as the documentation says to run them: they end well, say what they found, and take a backend.

use libtest_mimic::Failed;
use lockstep_tests::{binary::run_example, harness::Suite};
use std::{env, process::ExitCode};

/// Each example, and what it says besides its rate.
const EXAMPLES: [(&str, &[&str]); 5] = [
    ("quote_pool", &["1000000 are best sold as 348200 + 651800", "20000 quotes in "]),
    ("scan_balances", &["33333 of 100000 accounts hold ", "100000 balances in "]),
    ("find_liquidatable", &["at a price of 2.00: 2938 of 50000 can be", "at a price of 1.80: 7648 of 50000 can be"]),
    ("node_loop", &["block 1000000 and 0 more: 273 txs, ", ", all equal; ", "273 txs, recovery included: "]),
    ("fuzz_function", &["12 edges by ", "reverts with 0x: 0x4c4f434b4544", "reverts with 0xdb42144d: 0x08c84c21"]),
];

fn main() -> ExitCode {
    let mut suite = Suite::default();
    for (name, words) in EXAMPLES {
        if env::var_os("LOCKSTEP_BIN").is_some() {
            suite.skip(name, "cargo", "LOCKSTEP_BIN is set: there is no source tree to build from".into());
            continue;
        }
        suite.test(format!("{name}::cpu"), move || finds(name, &["cpu"], words));
        suite.test(format!("{name}::auto"), move || finds(name, &[], words));
        suite.test(format!("{name}::no_such_backend"), move || refuses(name));
    }
    suite.run()
}

fn finds(name: &str, args: &[&str], words: &[&str]) -> Result<(), Failed> {
    let ran = run_example(name, args)?.exits(0)?;
    match words.iter().chain(&[" a second"]).find(|word| !ran.stdout.contains(**word)) {
        None if ran.stderr.is_empty() => Ok(()),
        missing => Err(format!("no {missing:?}: {ran:?}").into()),
    }
}

fn refuses(name: &str) -> Result<(), Failed> {
    let ran = run_example(name, &["abacus"])?.exits(1)?;
    if ran.stderr.contains("abacus") && ran.stdout.is_empty() { Ok(()) } else { Err(format!("{ran:?}").into()) }
}
