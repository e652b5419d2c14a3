//! A check of fjall's journals before fjall reads them. It relies on their form in fjall 3.1.
//!
//! A journal is a sequence of batches: a start, items and an end with a checksum. A process that is killed, or a power
//! loss, leaves an incomplete batch at the end of the last journal. Earlier journals are sealed: they end with a
//! complete batch. fjall
//!
//! - cuts a sealed journal at a damaged place and then reads the next one, so that events are missing in the middle of
//!   history,
//! - ends the process, in builds with debug assertions, if the length of an item is damaged, and otherwise allocates
//!   that length,
//! - refuses to open a journal in whose last batch a block is missing that was not yet on the disk at a power loss.
//!
//! Therefore each journal is cut after its last complete batch here. A loss at the end of the last journal is found by
//! the head. That of a sealed journal is noted in a file first, until it is noted in the store.

use std::fs::{self, File};
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::disk::store::error::DiskError;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
/// Largest difference of the numbers of two batches. Flushes and compactions take numbers between them.
const LONGEST_STEP: u64 = 1 << 32;
/// Trailer of a batch.
const TRAILER: &[u8; 4] = b"FJL\x03";

/// Result of the check.
#[derive(Debug)]
pub(super) struct Journals {
    /// Whether a sealed journal has lost a batch, now or at an earlier open that was not completed.
    pub(super) are_damaged: bool,
    note: PathBuf,
}

impl Journals {
    /// Checks the journals of a database that is not open.
    pub(super) fn check(database: &Path, directory: &Path) -> Result<Self, DiskError> {
        let note = directory.join("journals");
        let mut are_damaged = note.try_exists()?;
        let mut paths = journals(database)?;
        paths.sort_unstable();
        let last = paths.last().map(|&(id, _)| id);
        let mut number = None;
        for (id, path) in paths {
            let mut file = File::options().read(true).write(true).open(path)?;
            let complete = complete(&file, &mut number)?;
            if complete >= written(&mut file)? {
                continue;
            }
            if Some(id) != last {
                are_damaged = true;
                let mut note = File::create(&note)?;
                note.write_all(b"a journal was damaged\n")?;
                note.sync_all()?;
            }
            file.set_len(complete)?;
            file.sync_all()?;
        }
        Ok(Self { are_damaged, note })
    }

    /// Removes the note.
    pub(super) fn forget(&self) -> Result<(), DiskError> {
        match fs::remove_file(&self.note) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// Returns the journals of a database with their numbers.
fn journals(database: &Path) -> Result<Vec<(u64, PathBuf)>, DiskError> {
    let mut found = Vec::new();
    if database.is_dir() {
        for entry in fs::read_dir(database)? {
            let path = entry?.path();
            let id = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".jnl"));
            if let Some(id) = id.and_then(|id| id.parse().ok()) {
                found.push((id, path));
            }
        }
    }
    Ok(found)
}

/// Returns the offset after the last byte that is not zero: fjall allocates 64 MiB of zeros for a journal.
fn written(file: &mut File) -> Result<u64, DiskError> {
    let mut end = file.metadata()?.len();
    let (mut block, zeros) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let block = &mut block[..usize::try_from(end - start).unwrap_or(0)];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(block)?;
        if *block != zeros[..block.len()] {
            let last = block.iter().rposition(|&byte| byte != 0).unwrap_or(0);
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Returns the offset after the last batch up to which all batches are complete. Changes `number` to the number of that
/// batch.
///
/// The numbers of batches are not in the checksums. They ascend, also from one journal to the next. If one does not, it
/// or the one before it is damaged, and the batch before it is not complete either.
///
/// # Errors
///
/// Returns [`DiskError::Damaged`] if the first number does not follow that of the journal before: either of the two
/// journals may be damaged, or of another database, so neither is cut.
fn complete(file: &File, number: &mut Option<u64>) -> Result<u64, DiskError> {
    let len = file.metadata()?.len();
    let mut reader = BufReader::with_capacity(1 << 16, file);
    reader.seek(SeekFrom::Start(0))?;
    let (mut at, mut bytes) = (0, Vec::new());
    // Ends and numbers of the last two complete batches.
    let (mut before, mut last) = ((0, *number), (0, *number));
    let mut batch: Option<Batch> = None;
    loop {
        bytes.clear();
        let is_valid = entry(&mut reader, &mut bytes, len - at)?;
        at += bytes.len() as u64;
        batch = match (bytes.first(), batch) {
            (Some(&START), None) if is_valid => {
                let next = u64::from_le_bytes(std::array::from_fn(|place| bytes[5 + place]));
                if last.1.is_some_and(|last| next <= last || next - last > LONGEST_STEP) {
                    if last.0 == 0 {
                        return Err(DiskError::damaged("journals do not continue one another"));
                    }
                    *number = before.1;
                    return Ok(before.0);
                }
                let missing = u32::from_le_bytes(std::array::from_fn(|place| bytes[1 + place]));
                Some(Batch { number: next, missing, sum: Xxh3::new() })
            }
            (Some(&(ITEM | CLEAR)), Some(batch)) if is_valid && batch.missing > 0 => Some(batch.with(&bytes)),
            (Some(&END), Some(batch)) if is_valid && batch.is_ended_by(&bytes) => {
                (before, last) = (last, (at, Some(batch.number)));
                None
            }
            _ => {
                *number = last.1;
                return Ok(last.0);
            }
        };
    }
}

/// Batch that is being read.
struct Batch {
    number: u64,
    /// Items that follow.
    missing: u32,
    /// Checksum of the items before.
    sum: Xxh3,
}

impl Batch {
    fn with(mut self, item: &[u8]) -> Self {
        self.sum.update(item);
        Self { missing: self.missing - 1, ..self }
    }

    fn is_ended_by(&self, end: &[u8]) -> bool {
        self.missing == 0 && end[1..9] == self.sum.digest().to_le_bytes()
    }
}

/// Reads an entry. Returns whether it is one: the form is known, and it ends within the file.
fn entry(reader: &mut impl Read, bytes: &mut Vec<u8>, len: u64) -> Result<bool, DiskError> {
    let mut read = |bytes: &mut Vec<u8>, count: u64| {
        let fits = bytes.len() as u64 + count <= len;
        Ok::<_, DiskError>(fits && reader.take(count).read_to_end(bytes)? as u64 == count)
    };
    if !read(bytes, 1)? {
        return Ok(false);
    }
    let rest = match bytes[0] {
        // Number of items, sequence number.
        START => 4 + 8,
        // Type, compression, keyspace, length of the key, two lengths of the value.
        ITEM => 1 + 1 + 8 + 2 + 4 + 4,
        // Checksum, trailer.
        END => 8 + 4,
        // Keyspace.
        CLEAR => 8,
        _ => return Ok(false),
    };
    if !read(bytes, rest)? {
        return Ok(false);
    }
    match bytes[0] {
        ITEM => {
            // The store writes without compression, so both lengths are one.
            let (key, value, stored) = (&bytes[11..13], &bytes[13..17], &bytes[17..21]);
            if bytes[2] != 0 || value != stored {
                return Ok(false);
            }
            let key = u64::from(u16::from_le_bytes([key[0], key[1]]));
            let value = u64::from(u32::from_le_bytes([value[0], value[1], value[2], value[3]]));
            read(bytes, key + value)
        }
        END => Ok(bytes.ends_with(TRAILER)),
        _ => Ok(true),
    }
}
