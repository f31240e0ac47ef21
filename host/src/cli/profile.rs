//! `--profile FILE`: what is known of blocks, from run to run.

use super::{Exit, complain};
use lockstep::{
    engine::{Engine, EngineBuilder},
    parallel::Schedule,
    profile::Profile,
};
use std::{fs, io, path::Path};

/// An engine that runs blocks on all threads, with what earlier runs learned; with nothing where there is no file yet.
///
/// # Errors
/// The file cannot be read, or is no profile; it has been said.
pub(super) fn on_threads(builder: EngineBuilder, path: &Path) -> Result<EngineBuilder, Exit> {
    let profile = match fs::read(path) {
        Ok(json) => Profile::parse(&json).map_err(|error| error.to_string()),
        // It is written at the end, which is too late to say that it cannot be.
        Err(error) if error.kind() == io::ErrorKind::NotFound => match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => Err(error.to_string()),
            _ => Ok(Profile::default()),
        },
        Err(error) => Err(error.to_string()),
    };
    let profile = profile.map_err(|reason| bad(path, reason))?;
    Ok(builder.schedule(Schedule::on_threads()).profile(profile))
}

/// Writes what the engine knows, by way of a file beside it, so that a profile is whole at any time.
///
/// # Errors
/// It cannot be written; it has been said.
pub(super) fn write(engine: &Engine, path: &Path) -> Result<(), Exit> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let written = fs::write(&beside, engine.profile().to_json()).and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| bad(path, error))
}

fn bad(path: &Path, reason: impl std::fmt::Display) -> Exit {
    complain(format_args!("--profile {}: {reason}", path.display()));
    Exit::Bad
}
