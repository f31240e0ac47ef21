//! `lockstep-sweep`: the shared blocks on every backend, in turn round by round, each result checked, until `lockstep bench` has them.
//! The JSON of `lockstep bench` on stdout; what was left out, and why, is in it.

use lockstep::{
    bench::{
        Machine, Report,
        runner::{Plan, measure},
    },
    block_file::BlockFile,
};
use lockstep_bench::blocks::{self, Subject};
use std::{
    env,
    io::{self, Write as _},
    process::ExitCode,
};

const USAGE: &str = "usage: lockstep-sweep [--rounds N]";

/// The exit codes of `lockstep`.
enum Failure {
    Differs(String),
    Bad(String),
    Unavailable(String),
}

fn plan() -> Result<Plan, String> {
    let mut plan = Plan::default();
    let mut arguments = env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let rounds = arguments.next().filter(|_| flag == "--rounds").and_then(|rounds| rounds.parse().ok());
        plan.rounds = rounds.filter(|rounds| *rounds > 0).ok_or_else(|| format!("{flag}\n{USAGE}"))?;
    }
    Ok(plan)
}

fn sweep() -> Result<(), Failure> {
    let plan = plan().map_err(Failure::Bad)?;
    let (subjects, absent) = Subject::all().map_err(|error| Failure::Unavailable(error.to_string()))?;
    let mut report = Report { left_out: absent, ..Report::default() };
    for path in blocks::files() {
        let file = BlockFile::read(&path).map_err(|error| Failure::Bad(format!("{}: {error}", path.display())))?;
        let number = file.block.env.number.to_string();
        let contenders = blocks::contenders(&subjects, &file);
        measure(&mut report, &blocks::case(&file, &number), &contenders, &plan, &|_| {})
            .map_err(|wrong| Failure::Differs(wrong.to_string()))?;
    }
    let json = report.json(&Machine::read(report.device()), plan.rounds);
    writeln!(io::stdout(), "{json}").map_err(|error| Failure::Bad(error.to_string()))?;
    match report.left_out.iter().find(|left_out| left_out.failed) {
        Some(failed) => Err(Failure::Unavailable(failed.to_string())),
        None => Ok(()),
    }
}

fn main() -> ExitCode {
    let (code, message) = match sweep() {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Differs(message)) => (1, message),
        Err(Failure::Bad(message)) => (2, message),
        Err(Failure::Unavailable(message)) => (3, message),
    };
    // Nothing can be done if even that fails.
    let _ = writeln!(io::stderr(), "lockstep-sweep: {message}");
    ExitCode::from(code)
}
