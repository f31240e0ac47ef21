//! Seeds single faults into the kernel and tells which suite finds each; fails if fewer than 95 % are found, of
//! all or of those in rules.

use lockstep_tests::mutants::{FIRST_OF_FAMILIES, Killed, Seeded, Suites, mutants};
use std::{
    collections::BTreeMap,
    error::Error,
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    time::Instant,
};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let (mut filter, mut first, mut one_in, mut device) = (String::new(), 0, 1, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value =
            arguments.next().ok_or("usage: mutants [--filter TEXT] [--first N] [--one-in N] [--device NAME]")?;
        match name.as_str() {
            "--filter" => filter = value,
            "--first" => first = value.parse()?,
            "--one-in" => one_in = value.parse()?,
            "--device" => device = Some(value),
            _ => return Err(format!("unknown {name}").into()),
        }
    }
    let mut out = io::stdout();
    let start = Instant::now();
    let suites = Suites::new(Arc::new(Seeded::open(device.as_deref())?))?;
    writeln!(out, "kernel compiled in {:.0} s", start.elapsed().as_secs_f64())?;
    let chosen: Vec<_> =
        mutants().into_iter().filter(|mutant| mutant.name.contains(&filter)).skip(first).step_by(one_in).collect();
    let mut by_suite: BTreeMap<String, usize> = BTreeMap::new();
    let mut survivors = Vec::new();
    for mutant in &chosen {
        let start = Instant::now();
        let verdict = match suites.kill(mutant.number)? {
            Some(Killed::Differs(suite)) => suite,
            Some(Killed::Declines(suite)) => format!("{suite} (declined)"),
            None => {
                survivors.push(mutant.name.clone());
                "SURVIVES".into()
            }
        };
        writeln!(out, "{:<60} {verdict} ({:.1} s)", mutant.name, start.elapsed().as_secs_f64())?;
        *by_suite.entry(verdict).or_default() += 1;
    }
    let killed = chosen.len() - survivors.len();
    let rules: Vec<_> = chosen.iter().filter(|mutant| mutant.number < FIRST_OF_FAMILIES).collect();
    let lost = rules.iter().filter(|mutant| survivors.contains(&mutant.name)).count();
    writeln!(out, "\nkilled by:")?;
    for (suite, count) in by_suite {
        writeln!(out, "{count:>6} {suite}")?;
    }
    writeln!(out, "{} of {} faults in rules found", rules.len() - lost, rules.len())?;
    writeln!(out, "{killed} of {} faults found in {:.0} s", chosen.len(), start.elapsed().as_secs_f64())?;
    for name in &survivors {
        writeln!(out, "not found: {name}")?;
    }
    let enough = |lost: usize, all: usize| lost * 100 <= all * 5;
    Ok(if enough(lost, rules.len()) && enough(survivors.len(), chosen.len()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
