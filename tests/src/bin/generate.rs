//! Rewrites the generated files that are committed; with `--check` it only names those that are stale and exits 1.

use lockstep_tests::generated::{files, is_fresh, location};
use std::{
    error::Error,
    fs,
    io::{self, Write},
    process::ExitCode,
};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let check = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--check"] => true,
        _ => {
            writeln!(io::stderr(), "usage: generate [--check]")?;
            return Ok(ExitCode::from(2));
        }
    };
    let mut stale = false;
    for (path, content) in files()? {
        if is_fresh(path, &content)? {
            continue;
        }
        stale = true;
        if check {
            writeln!(io::stderr(), "stale: {path}")?;
        } else {
            let target = location(path);
            if let Some(folder) = target.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(target, content)?;
            writeln!(io::stdout(), "wrote {path}")?;
        }
    }
    Ok(if check && stale { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
