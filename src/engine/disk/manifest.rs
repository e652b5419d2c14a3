//! A check of the tables' manifests and directories before fjall reads them. It relies on their form in fjall 3.1.
//!
//! fjall reads counts in them before it compares a checksum, or without that, and allocates memory for as many items:
//! up to 80 GiB after one flipped byte, which ends the process.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use crate::engine::disk::error::StoreError;

/// Size of the trailer of a table: magic, version, kind of checksum, checksum, position and length of the directory.
const TRAILER: u64 = 4 + 1 + 1 + 16 + 8 + 8;

/// Checks all keyspaces of a database that is not open.
pub(super) fn check(database: &Path) -> Result<(), StoreError> {
    let keyspaces = database.join("keyspaces");
    if !keyspaces.is_dir() {
        return Ok(());
    }
    for keyspace in fs::read_dir(keyspaces)? {
        let keyspace = keyspace?.path();
        check_manifest(&keyspace)?;
        let tables = keyspace.join("tables");
        if tables.is_dir() {
            for table in fs::read_dir(tables)? {
                check_table(&table?.path())?;
            }
        }
    }
    Ok(())
}

/// Compares the current manifest with its checksum, which fjall writes and does not read.
fn check_manifest(keyspace: &Path) -> Result<(), StoreError> {
    let current = match fs::read(keyspace.join("current")) {
        Ok(current) => current,
        // A keyspace that was not created completely.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let number = current.first_chunk().map(|number| u64::from_le_bytes(*number));
    let sum = current.get(8..).and_then(<[u8]>::first_chunk).map(|sum| u128::from_le_bytes(*sum));
    let (Some(number), Some(sum)) = (number, sum) else { return Err(damaged(keyspace)) };
    let manifest = keyspace.join(format!("v{number}"));
    if xxh3_128(&fs::read(&manifest)?) == sum { Ok(()) } else { Err(damaged(&manifest)) }
}

/// Compares the directory at the end of a table with its checksum.
fn check_table(path: &Path) -> Result<(), StoreError> {
    let mut file = File::open(path)?;
    let end = file.metadata()?.len().checked_sub(TRAILER).ok_or_else(|| damaged(path))?;
    let mut trailer = [0; TRAILER as usize];
    file.seek(SeekFrom::Start(end))?;
    file.read_exact(&mut trailer)?;
    let sum = u128::from_le_bytes(std::array::from_fn(|place| trailer[6 + place]));
    let start = u64::from_le_bytes(std::array::from_fn(|place| trailer[22 + place]));
    if start > end {
        return Err(damaged(path));
    }
    let mut directory = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.take(end - start).read_to_end(&mut directory)?;
    if xxh3_128(&directory) == sum { Ok(()) } else { Err(damaged(path)) }
}

fn damaged(path: &Path) -> StoreError {
    StoreError::damaged(format!("checksum of {} is wrong", path.display()))
}
