//! What was read from nodes, on disk: whole blocks and codes, each written at once and under the hash of what it is, so that it is there whole
//! or not at all. A cache that cannot be written costs time, and no more.

use crate::block_file::BlockFile;
use alloy_primitives::{B256, Bytes, hex, keccak256};
use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// Fast, and a fifth of the size.
const ZSTD_LEVEL: i32 = 3;

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

    /// Where the block of this chain, number and hash is kept: a block file.
    pub fn block_path(&self, chain_id: u64, number: u64, hash: &B256) -> PathBuf {
        self.folder.join("blocks").join(chain_id.to_string()).join(format!("{number}-{hash}.json.zst"))
    }

    fn code_path(&self, hash: &B256) -> PathBuf {
        let name = hex::encode(hash);
        self.folder.join("codes").join(&name[..2]).join(name)
    }

    /// The block, if it is there and is what its name says.
    pub(crate) fn block(&self, chain_id: u64, number: u64, hash: &B256) -> Option<BlockFile> {
        let path = self.block_path(chain_id, number, hash);
        let file = path.exists().then(|| BlockFile::read(&path))?;
        let is_whole = |file: &BlockFile| {
            file.header.get("hash").and_then(serde_json::Value::as_str) == Some(hash.to_string().as_str())
        };
        match file {
            Ok(file) if is_whole(&file) => Some(file),
            result => {
                let reason = result.err().map_or("another block".to_owned(), |error| error.to_string());
                tracing::warn!(path = %path.display(), reason, "not what it should be: read again");
                None
            }
        }
    }

    pub(crate) fn put_block(&self, chain_id: u64, hash: &B256, file: &BlockFile) {
        let path = self.block_path(chain_id, file.block.env.number, hash);
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

fn warn_of(path: &Path, result: io::Result<()>) {
    if let Err(cause) = result {
        tracing::warn!(path = %path.display(), %cause, "not kept");
    }
}

/// Writes a file so that it is there whole or not at all, whatever ends the program and whoever else writes it.
///
/// # Errors
/// It is not there then, or as it was before.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        // A device or a pipe is written to, not replaced.
        return fs::OpenOptions::new().write(true).open(path)?.write_all(bytes);
    }
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let draft = folder.join(format!(".draft-{}-{number}", std::process::id()));
    let write = || {
        let mut file = fs::File::create(&draft)?;
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
        cache.put_block(1, &hash, &file);
        assert_eq!(cache.block(1, number, &hash), Some(file));
        let path = cache.block_path(1, number, &hash);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert_eq!(cache.block(1, number, &hash), None);
        let other = B256::repeat_byte(8);
        write_whole(&cache.block_path(1, number, &other), &whole).unwrap();
        assert_eq!(cache.block(1, number, &other), None);
        assert!(fs::read_dir(path.parent().unwrap()).unwrap().all(|entry| entry.unwrap().path().extension().is_some()));
        fs::remove_dir_all(folder).unwrap();
    }
}
