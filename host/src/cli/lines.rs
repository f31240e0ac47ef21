//! Input in lines: whole, or in batches that a thread reads and understands ahead.

use alloy_primitives::hex;
use lockstep::block_file::MAX_FILE_SIZE;
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read},
    mem,
    path::Path,
    sync::mpsc::{Receiver, sync_channel},
    thread,
};

/// Lines of a batch, and the bytes that end one earlier.
const BATCH_LINES: usize = 1 << 15;
const BATCH_BYTES: usize = 16 << 20;
/// A longer line is an error of its own: no transaction is as long, and memory stays bounded.
const LONGEST_LINE: usize = 64 << 20;
/// Bytes that tell a block file from lines.
const HEAD: u64 = 16;

/// What editors and spreadsheets may put before UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// A line's bytes, or what is wrong with it.
pub(super) type Line = Result<Vec<u8>, String>;

/// What people call an input: `-` and nothing are stdin.
pub(super) fn name(path: Option<&Path>) -> String {
    path.filter(|path| *path != Path::new("-")).map_or_else(|| "stdin".into(), |path| path.display().to_string())
}

/// An input that is open, and its length where that is known. Errors do not name it.
pub(super) struct Input {
    pub(super) length: Option<u64>,
    reader: Box<dyn BufRead + Send>,
}

impl Input {
    /// A file, or stdin for `-` and nothing.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, String> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Self { length: None, reader: Box::new(BufReader::new(io::stdin())) });
        };
        let file = File::open(path).map_err(|cause| cause.to_string())?;
        let length = file.metadata().ok().filter(|metadata| metadata.is_file()).map(|metadata| metadata.len());
        Ok(Self { length, reader: Box::new(BufReader::with_capacity(1 << 20, file)) })
    }

    /// Its first bytes, which stay to be read: at least [`HEAD`] of them where it has so many.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn head(&mut self) -> Result<&[u8], String> {
        self.read_head().map_err(|cause| cause.to_string())
    }

    fn read_head(&mut self) -> io::Result<&[u8]> {
        let mut head = Vec::new();
        // A pipe gives what it has, which may be one byte.
        self.reader.by_ref().take(HEAD).read_to_end(&mut head)?;
        let rest = mem::replace(&mut self.reader, Box::new(io::empty()));
        self.reader = Box::new(Cursor::new(head).chain(rest));
        self.reader.fill_buf()
    }

    /// Its first byte that is no blank, which stays to be read; those before it do not.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn first_byte(&mut self) -> Result<Option<u8>, String> {
        loop {
            let buffer = self.reader.fill_buf().map_err(|cause| cause.to_string())?;
            let blanks = buffer.len() - buffer.trim_ascii_start().len();
            let (ends, first) = (buffer.is_empty(), buffer.get(blanks).copied());
            self.reader.consume(blanks);
            if ends || first.is_some() {
                return Ok(first);
            }
        }
    }

    /// Passes over a byte order mark.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn skip_mark(&mut self) -> Result<(), String> {
        if self.head()?.starts_with(MARK) {
            self.reader.consume(MARK.len());
        }
        Ok(())
    }

    /// All of it.
    ///
    /// # Errors
    /// It cannot be read, or is longer than what is read in one piece.
    pub(super) fn whole(&mut self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let limit = MAX_FILE_SIZE + 1;
        let read = self.reader.by_ref().take(limit).read_to_end(&mut bytes);
        read.map_err(|cause| cause.to_string())?;
        if bytes.len() as u64 == limit {
            return Err(format!("more than {MAX_FILE_SIZE} bytes: split it"));
        }
        Ok(bytes)
    }

    /// Its first line, trimmed, that is not empty; `None` where there is none.
    ///
    /// # Errors
    /// It cannot be read, or has no end.
    pub(super) fn first_line(&mut self) -> Result<Option<Vec<u8>>, String> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = self.reader.by_ref().take(LONGEST_LINE as u64).read_until(b'\n', &mut line);
            match read.map_err(|cause| cause.to_string())? {
                0 => return Ok(None),
                LONGEST_LINE => return Err(too_long()),
                _ if line.trim_ascii().is_empty() => {}
                _ => return Ok(Some(line.trim_ascii().to_vec())),
            }
        }
    }

    /// What `understand` makes of its lines, in batches, each with the bytes that it took; an error ends them. Lines come
    /// trimmed, without those that are empty.
    pub(super) fn batches<T: Send + 'static>(
        mut self,
        mut understand: impl FnMut(Result<&[u8], String>) -> T + Send + 'static,
    ) -> Receiver<Result<(Vec<T>, usize), String>> {
        let (sender, receiver) = sync_channel(1);
        thread::spawn(move || {
            loop {
                // Nobody reads on if sending fails.
                let sent = match self.batch(&mut understand) {
                    Ok((_, 0)) => return,
                    Ok(batch) => sender.send(Ok(batch)).is_ok(),
                    Err(reason) => return drop(sender.send(Err(reason))),
                };
                if !sent {
                    return;
                }
            }
        });
        receiver
    }

    fn batch<T>(&mut self, understand: &mut impl FnMut(Result<&[u8], String>) -> T) -> Result<(Vec<T>, usize), String> {
        let (mut lines, mut taken, mut line) = (Vec::new(), 0, Vec::new());
        while lines.len() < BATCH_LINES && taken < BATCH_BYTES {
            line.clear();
            let read = self.reader.by_ref().take(LONGEST_LINE as u64).read_until(b'\n', &mut line);
            taken += read.map_err(|cause| cause.to_string())?;
            if line.is_empty() {
                break;
            }
            if line.len() == LONGEST_LINE && !line.ends_with(b"\n") {
                taken += self.reader.skip_until(b'\n').map_err(|cause| cause.to_string())?;
                lines.push(understand(Err(too_long())));
                continue;
            }
            let line = line.trim_ascii();
            if !line.is_empty() {
                lines.push(understand(Ok(line)));
            }
        }
        Ok((lines, taken))
    }
}

fn too_long() -> String {
    format!("a line of more than {LONGEST_LINE} bytes")
}

/// The trimmed lines that are not empty.
pub(super) fn hex_lines(bytes: &[u8]) -> impl Iterator<Item = Line> {
    bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).map(hex_line)
}

/// The bytes of a trimmed line.
pub(super) fn hex_line(line: &[u8]) -> Line {
    // Bytes that are no text are no hex either, and the line's error says so.
    hex::decode(line).map_err(|cause| cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_whole_however_a_pipe_cuts_it_and_stays_to_be_read() {
        for bytes in [&b""[..], b"{}", b"\x28\xb5\x2f\xfd and what follows it"] {
            let mut input = Input { length: None, reader: Box::new(BufReader::with_capacity(1, bytes)) };
            assert_eq!(input.head(), Ok(&bytes[..bytes.len().min(HEAD as usize)]));
            assert_eq!(input.whole(), Ok(bytes.to_vec()));
        }
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        for (bytes, rest) in [(&b"\xef\xbb\xbf{}"[..], &b"{}"[..]), (b"\xef\xbb", b"\xef\xbb"), (b"", b"")] {
            let mut input = Input { length: None, reader: Box::new(BufReader::with_capacity(1, bytes)) };
            input.skip_mark().unwrap();
            assert_eq!(input.whole(), Ok(rest.to_vec()));
        }
    }
}
