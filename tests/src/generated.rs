//! Every generated file that is committed, made anew: a test proves them fresh, `cargo run -p lockstep-tests --bin generate` writes them.

use crate::sample::{self, SampleError};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Paths from the root of the workspace, and contents. A new one is one more line here.
///
/// # Errors
/// The sample block could not be built.
pub fn files() -> Result<Vec<(&'static str, Vec<u8>)>, SampleError> {
    Ok(vec![
        ("shaders/abi.wgsl", lockstep::abi_text::wgsl().into_bytes()),
        ("kernels/abi.cuh", lockstep::abi_text::cuda().into_bytes()),
        ("shaders/curve.wgsl", lockstep::curve::curve_wgsl().into_bytes()),
        ("host/sample/block.json.zst", sample::packed()?),
    ])
}

/// Where in the workspace a path of [`files`] is.
pub fn location(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Whether the committed file is what it would be if generated now. Line ends of a checkout do not count in text.
///
/// # Errors
/// The file cannot be read, other than because it is not there.
pub fn is_fresh(path: &str, content: &[u8]) -> io::Result<bool> {
    match fs::read(location(path)) {
        Ok(found) if found == content => Ok(true),
        Ok(found) => Ok(String::from_utf8(found).is_ok_and(|text| text.replace("\r\n", "\n").as_bytes() == content)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_generated_file_is_fresh() {
        for (path, content) in files().unwrap() {
            assert!(is_fresh(path, &content).unwrap(), "{path} is stale: cargo run -p lockstep-tests --bin generate");
        }
    }

    #[test]
    fn a_stale_or_missing_file_is_noticed() {
        assert!(!is_fresh("shaders/abi.wgsl", b"const OLD = 1u;").unwrap());
        assert!(!is_fresh("shaders/no_such_file.wgsl", b"").unwrap());
    }
}
