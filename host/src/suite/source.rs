//! Where tests come from: JSON files, folders of them, and `.tar.zst` archives, read one file at a time.

use super::BadInput;
use std::{
    fmt, fs,
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

/// Largest test file taken, unpacked, in bytes.
const MAX_FILE_SIZE: u64 = 256 << 20;

/// log2 of the largest zstd window: test archives are packed with 128 MiB.
const WINDOW_LOG: u32 = 27;

/// A test file: its name, with the archive's before it, and its bytes.
#[derive(Debug)]
pub(super) struct TestFile {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

/// Gives every test file under `paths` to `take`, in order; what cannot be read is told in its place, and the rest goes on.
pub(super) fn each(paths: &[PathBuf], take: &mut impl FnMut(Result<TestFile, BadInput>)) {
    for path in paths {
        let done = if path.is_dir() {
            folder(path, take)
        } else if path.to_string_lossy().ends_with(".tar.zst") {
            archive(path, take)
        } else {
            take(read(path));
            Ok(())
        };
        if let Err(cause) = done {
            take(Err(bad(path.display(), cause)));
        }
    }
}

fn bad(name: impl fmt::Display, reason: impl fmt::Display) -> BadInput {
    BadInput { file: name.to_string(), case: None, field: "file".into(), reason: reason.to_string() }
}

/// Test releases keep their index in a hidden folder.
fn is_test(path: &Path) -> bool {
    let hidden =
        |part: Component<'_>| matches!(part, Component::Normal(name) if name.to_string_lossy().starts_with('.'));
    path.extension().is_some_and(|extension| extension == "json") && !path.components().any(hidden)
}

/// Every test file below a folder.
fn find(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if path.is_dir() && !entry.file_name().to_string_lossy().starts_with('.') {
            find(&path, found)?;
        } else if path.is_file() && is_test(Path::new(&entry.file_name())) {
            found.push(path);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<TestFile, BadInput> {
    let bytes = fs::File::open(path).and_then(bounded).map_err(|cause| bad(path.display(), cause))?;
    Ok(TestFile { name: path.display().to_string(), bytes })
}

/// The whole of `input`, if it is no larger than a test file may be.
fn bounded(input: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than allowed tells "too large" from "just fits" without unpacking a bomb.
    input.take(MAX_FILE_SIZE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_SIZE {
        return Err(io::Error::other(format!("larger than {MAX_FILE_SIZE} bytes unpacked")));
    }
    Ok(bytes)
}

fn folder(path: &Path, take: &mut impl FnMut(Result<TestFile, BadInput>)) -> io::Result<()> {
    let mut found = Vec::new();
    find(path, &mut found)?;
    if found.is_empty() {
        return Err(io::Error::other("no .json in this folder"));
    }
    found.sort();
    found.iter().for_each(|path| take(read(path)));
    Ok(())
}

fn archive(path: &Path, take: &mut impl FnMut(Result<TestFile, BadInput>)) -> io::Result<()> {
    let mut stream = zstd::Decoder::new(fs::File::open(path)?)?;
    stream.window_log_max(WINDOW_LOG)?;
    let mut found = false;
    for entry in tar::Archive::new(stream).entries()? {
        let entry = entry?;
        let inner = entry.path()?.into_owned();
        if entry.header().entry_type().is_file() && is_test(&inner) {
            found = true;
            let name = format!("{}:{}", path.display(), inner.display());
            let bytes = bounded(entry).map_err(|cause| bad(&name, cause));
            take(bytes.map(|bytes| TestFile { name, bytes }));
        }
    }
    if found { Ok(()) } else { Err(io::Error::other("no .json in this archive")) }
}
