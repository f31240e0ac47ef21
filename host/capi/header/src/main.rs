//! Writes `lockstep.h` from the sources of `lockstep-capi`; with `--check` it only says whether the committed one is stale, and exits 1 then.

use std::{
    error::Error,
    fs,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

/// In the order of a first use.
const SOURCES: [&str; 6] = ["types", "create", "recover", "hash", "execute", "simulate"];

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let check = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--check"] => true,
        _ => {
            writeln!(io::stderr(), "usage: lockstep-header [--check]")?;
            return Ok(ExitCode::from(2));
        }
    };
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let config = cbindgen::Config::from_file(crate_folder.join("cbindgen.toml"))?;
    let mut builder = cbindgen::Builder::new().with_config(config);
    for name in SOURCES {
        builder = builder.with_src(crate_folder.join(format!("src/{name}.rs")));
    }
    let mut text = Vec::new();
    builder.generate()?.write(&mut text);
    let path = crate_folder.join("include/lockstep.h");
    if check {
        let found = fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
        if found.as_bytes() == text {
            return Ok(ExitCode::SUCCESS);
        }
        writeln!(io::stderr(), "stale: {}: cargo run --manifest-path host/capi/header/Cargo.toml", path.display())?;
        return Ok(ExitCode::FAILURE);
    }
    fs::write(path, text)?;
    Ok(ExitCode::SUCCESS)
}
