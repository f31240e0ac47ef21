//! What was read from nodes, on disk: whole blocks, codes, and answers about blocks that are not whole yet; each file is written at once and
//! under the hash of what it is, so that it is there whole or not at all. A cache that cannot be written costs time, and no more.

use crate::block_file::BlockFile;
use alloy_primitives::{B256, Bytes, hex, keccak256};
use serde_json::Value;
use std::{
    collections::{BTreeMap, hash_map::RandomState},
    fs,
    hash::{BuildHasher, Hasher},
    io,
    io::{Read, Write},
    iter,
    path::{Path, PathBuf},
};

/// Fast, and a fifth of the size.
const ZSTD_LEVEL: i32 = 3;

/// Largest part of a block that is read back, unpacked, in bytes.
const MAX_PART: u64 = 1 << 30;

/// Names that a new file tries.
const MOST_DRAFTS: usize = 100;

/// Answers of a node, by method and parameters.
pub(crate) type Answers = BTreeMap<String, Value>;

/// A folder.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// A folder that may not exist yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Where the block of this chain, number and hash is kept: a block file, by another name if its state is proven.
    pub fn block_path(&self, chain_id: u64, number: u64, hash: &B256, proven: bool) -> PathBuf {
        let kind = if proven { "proven.json.zst" } else { "json.zst" };
        self.folder.join("blocks").join(chain_id.to_string()).join(format!("{number}-{hash}.{kind}"))
    }

    /// Where answers about a block wait for the rest.
    pub(crate) fn parts(&self, chain_id: u64, number: u64, hash: &B256) -> Parts {
        Parts(self.folder.join("parts").join(chain_id.to_string()).join(format!("{number}-{hash}")))
    }

    fn code_path(&self, hash: &B256) -> PathBuf {
        let name = hex::encode(hash);
        self.folder.join("codes").join(&name[..2]).join(name)
    }

    /// The block, if it is there and is what its name says; with or without a proof of its state.
    pub(crate) fn block(&self, chain_id: u64, number: u64, hash: &B256, proven: bool) -> Option<BlockFile> {
        let path = self.block_path(chain_id, number, hash, proven);
        let file = path.exists().then(|| BlockFile::read(&path))?;
        let is_whole =
            |file: &BlockFile| file.header.get("hash").and_then(Value::as_str) == Some(hash.to_string().as_str());
        match file {
            Ok(file) if is_whole(&file) => Some(file),
            result => {
                let reason = result.err().map_or("another block".to_owned(), |error| error.to_string());
                tracing::warn!(path = %path.display(), reason, "not what it should be: read again");
                None
            }
        }
    }

    pub(crate) fn put_block(&self, chain_id: u64, hash: &B256, file: &BlockFile, proven: bool) {
        let path = self.block_path(chain_id, file.block.env.number, hash, proven);
        let packed = zstd::bulk::compress(file.to_json().to_string().as_bytes(), ZSTD_LEVEL);
        warn_of(&path, packed.and_then(|bytes| write_whole(&path, &bytes)));
    }

    pub(crate) fn code(&self, hash: &B256) -> Option<Bytes> {
        let code = fs::read(self.code_path(hash)).ok()?;
        (keccak256(&code) == *hash).then(|| code.into())
    }

    pub(crate) fn put_code(&self, hash: &B256, code: &Bytes) {
        let path = self.code_path(hash);
        warn_of(&path, write_whole(&path, code));
    }
}

/// A folder with answers about one block. Each file is named by the hash of its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Parts(PathBuf);

impl Parts {
    /// All of them; files that are not what their name says are passed over.
    pub(crate) fn read(&self) -> Answers {
        let read = |path: PathBuf| {
            let bytes = fs::read(&path).ok()?;
            if path.file_name()?.to_str()? != part_name(&bytes) {
                return None;
            }
            let mut text = Vec::new();
            zstd::stream::read::Decoder::new(&bytes[..]).ok()?.take(MAX_PART).read_to_end(&mut text).ok()?;
            serde_json::from_slice::<Answers>(&text).ok()
        };
        self.files().into_iter().filter_map(read).flatten().collect()
    }

    fn files(&self) -> Vec<PathBuf> {
        fs::read_dir(&self.0).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    }

    /// Where they are kept then.
    pub(crate) fn put(&self, answers: &Answers) -> PathBuf {
        let packed = serde_json::to_vec(answers)
            .map_err(io::Error::other)
            .and_then(|text| zstd::bulk::compress(&text, ZSTD_LEVEL));
        let path = self.0.join(packed.as_ref().map_or_else(|_| String::new(), |bytes| part_name(bytes)));
        warn_of(&self.0, packed.and_then(|bytes| write_whole(&path, &bytes)));
        path
    }

    /// These instead of all that are there.
    pub(crate) fn replace(&self, answers: &Answers) {
        let old = self.files();
        let new = self.put(answers);
        for path in old.iter().filter(|path| **path != new) {
            warn_of(path, fs::remove_file(path));
        }
    }

    /// Whoever else writes there at this moment has nothing to lose but time.
    pub(crate) fn remove(&self) {
        match fs::remove_dir_all(&self.0) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => warn_of(&self.0, Err(cause)),
            _ => {}
        }
    }
}

fn part_name(bytes: &[u8]) -> String {
    format!("{}.json.zst", hex::encode(keccak256(bytes)))
}

fn warn_of(path: &Path, result: io::Result<()>) {
    if let Err(cause) = result {
        tracing::warn!(path = %path.display(), %cause, "not kept");
    }
}

/// Writes a file so that it is there whole or not at all, whatever ends the program and whoever else writes it. What is no file, as a device
/// or a pipe, and what is named by the system's folders of those (`/dev`, `/proc`), is written to; a symbolic link stays one.
///
/// # Errors
/// It is not there then, or as it was before.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if is_written_to(path) {
        return fs::OpenOptions::new().write(true).open(path)?.write_all(bytes);
    }
    let target = if path.is_symlink() { path.canonicalize()? } else { path.to_owned() };
    let path = target.as_path();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let (draft, mut file) = draft(folder, iter::repeat_with(|| RandomState::new().build_hasher().finish()))?;
    let mut write = || {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    let result = write();
    if result.is_err() {
        // What is left of it is of no use, and its name is nobody's.
        let _ = fs::remove_file(&draft);
    }
    result
}

/// A new file, by the first of these names that nobody has: processes on other machines, or in other containers, may be of the same id.
fn draft(folder: &Path, names: impl Iterator<Item = u64>) -> io::Result<(PathBuf, fs::File)> {
    for name in names.take(MOST_DRAFTS) {
        let path = folder.join(format!(".draft-{}-{name:016x}", std::process::id()));
        match fs::OpenOptions::new().write(true).create_new(true).open(&path) {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result.map(|file| (path, file)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn is_written_to(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| !metadata.is_file())
        || (cfg!(unix) && ["/dev", "/proc"].iter().any(|folder| path.starts_with(folder)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_or_changed_is_not_there() {
        let folder = std::env::temp_dir().join(format!("lockstep-cache-{}", std::process::id()));
        let cache = Cache::new(&folder);
        let code = Bytes::from_static(b"code");
        let hash = keccak256(&code);
        assert_eq!(cache.code(&hash), None);
        cache.put_code(&hash, &code);
        assert_eq!(cache.code(&hash), Some(code));
        fs::write(cache.code_path(&hash), b"cod").unwrap();
        assert_eq!(cache.code(&hash), None);

        let mut file = BlockFile::parse(crate::sample::SAMPLE).unwrap();
        let (number, hash) = (file.block.env.number, B256::repeat_byte(7));
        file.header.insert("hash".into(), hash.to_string().into());
        cache.put_block(1, &hash, &file, true);
        assert_eq!(cache.block(1, number, &hash, false), None);
        assert_eq!(cache.block(1, number, &hash, true), Some(file));
        let path = cache.block_path(1, number, &hash, true);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert_eq!(cache.block(1, number, &hash, true), None);
        let other = B256::repeat_byte(8);
        write_whole(&cache.block_path(1, number, &other, true), &whole).unwrap();
        assert_eq!(cache.block(1, number, &other, true), None);
        assert!(fs::read_dir(path.parent().unwrap()).unwrap().all(|entry| entry.unwrap().path().extension().is_some()));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn parts_that_are_cut_or_changed_are_passed_over() {
        let folder = std::env::temp_dir().join(format!("lockstep-parts-{}", std::process::id()));
        let parts = Cache::new(&folder).parts(1, 2, &B256::ZERO);
        assert_eq!(parts.read(), Answers::new());
        let answers = |range: std::ops::Range<u8>| -> Answers { range.map(|at| (at.to_string(), at.into())).collect() };
        parts.put(&answers(0..3));
        parts.put(&answers(3..9));
        assert_eq!(parts.read(), answers(0..9));
        let one = fs::read_dir(&parts.0).unwrap().next().unwrap().unwrap().path();
        let whole = fs::read(&one).unwrap();
        let mut changed = whole.clone();
        changed[whole.len() - 5] ^= 1;
        for bytes in [&whole[..whole.len() / 2], &changed, b""] {
            fs::write(&one, bytes).unwrap();
            assert!([3, 6].contains(&parts.read().len()));
        }
        parts.remove();
        parts.remove();
        assert_eq!(parts.read(), Answers::new());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn doubted_parts_are_replaced() {
        let folder = std::env::temp_dir().join(format!("lockstep-replaced-{}", std::process::id()));
        let parts = Cache::new(&folder).parts(1, 2, &B256::ZERO);
        let answers = |keys: &[u8]| -> Answers { keys.iter().map(|at| (at.to_string(), (*at).into())).collect() };
        for keys in [&[1, 2][..], &[3]] {
            parts.put(&answers(keys));
        }
        for keys in [&[1, 3][..], &[1, 3], &[3]] {
            parts.replace(&answers(keys));
            assert_eq!(parts.read(), answers(keys));
            assert_eq!(fs::read_dir(&parts.0).unwrap().count(), 1);
        }
        fs::remove_dir_all(folder).unwrap();
    }

    /// Two containers that share a folder have processes of the same id.
    #[test]
    fn drafts_of_others_are_theirs() {
        let folder = std::env::temp_dir().join(format!("lockstep-drafts-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let name = |suffix: String| folder.join(format!(".draft-{}-{suffix}", std::process::id()));
        let others: Vec<_> = (0..1_000).map(|at: u64| name(at.to_string())).collect();
        for path in &others {
            fs::write(path, "another's").unwrap();
        }
        write_whole(&folder.join("file"), b"ours").unwrap();
        assert!(others.iter().all(|path| fs::read(path).is_ok_and(|text| text == b"another's")));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), others.len() + 1);

        fs::write(name(format!("{:016x}", 7)), "another's").unwrap();
        let (path, file) = draft(&folder, [7, 7, 8].into_iter()).unwrap();
        assert_eq!((path, file.metadata().unwrap().len()), (name(format!("{:016x}", 8)), 0));
        assert_eq!(fs::read(name(format!("{:016x}", 7))).unwrap(), b"another's");
        assert_eq!(draft(&folder, iter::repeat(7)).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        fs::remove_dir_all(folder).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_and_their_files_are_replaced() {
        let folder = std::env::temp_dir().join(format!("lockstep-link-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (file, link) = (folder.join("file"), folder.join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_whole(&link, b"new").unwrap();
        assert!(link.is_symlink() && !file.is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
        fs::remove_file(&file).unwrap();
        assert!(write_whole(&link, b"new").is_err(), "a link to nothing");
        fs::remove_dir_all(folder).unwrap();
    }
}
