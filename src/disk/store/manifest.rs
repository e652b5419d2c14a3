//! A check of the tables' manifests and directories before fjall reads them. It relies on their form in fjall 3.1.
//!
//! fjall reads counts in them before it compares a checksum, or without that, and allocates memory for as many items:
//! up to 80 GiB after one flipped byte, which ends the process.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use crate::disk::store::error::DiskError;

/// Size of the trailer of a table: magic, version, kind of checksum, checksum, position and length of the directory.
const TRAILER: u64 = 4 + 1 + 1 + 16 + 8 + 8;

/// Checks all keyspaces of a database that is not open.
pub(super) fn check(database: &Path) -> Result<(), DiskError> {
    let keyspaces = database.join("keyspaces");
    if !keyspaces.is_dir() {
        return Ok(());
    }
    for keyspace in fs::read_dir(keyspaces)? {
        let keyspace = keyspace?.path();
        for table in tables(&keyspace)? {
            let path = keyspace.join("tables").join(table.to_string());
            // A missing file is left to fjall.
            if path.try_exists()? {
                check_table(&path)?;
            }
        }
    }
    Ok(())
}

/// Returns the tables of a keyspace. Other files are left from a table that was not completed. The manifest is compared with
/// its checksum, which fjall writes and does not read.
fn tables(keyspace: &Path) -> Result<Vec<u64>, DiskError> {
    let current = match fs::read(keyspace.join("current")) {
        Ok(current) => current,
        // A keyspace that was not created completely.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut current = &current[..];
    let (Some(number), Some(sum)) = (take(&mut current), take(&mut current)) else { return Err(damaged(keyspace)) };
    let path = keyspace.join(format!("v{}", u64::from_le_bytes(number)));
    let manifest = fs::read(&path)?;
    if xxh3_128(&manifest) != u128::from_le_bytes(sum) {
        return Err(damaged(&path));
    }
    let section = section(&manifest, b"tables").ok_or_else(|| damaged(&path))?;
    table_ids(section).ok_or_else(|| damaged(&path))
}

/// Returns a section of a file by its name.
fn section<'a>(file: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let trailer = file.get(file.len().checked_sub(TRAILER as usize)?..)?;
    let mut directory =
        file.get(usize::try_from(u64::from_le_bytes(*trailer.get(22..)?.first_chunk()?)).ok()? + 4..)?;
    let sections = u32::from_le_bytes(take(&mut directory)?);
    for _ in 0..sections {
        let start = usize::try_from(u64::from_le_bytes(take(&mut directory)?)).ok()?;
        let len = usize::try_from(u64::from_le_bytes(take(&mut directory)?)).ok()?;
        let name_len = u16::from_le_bytes(take(&mut directory)?);
        let (own_name, rest) = directory.split_at_checked(usize::from(name_len))?;
        if own_name == name {
            return file.get(start..start + len);
        }
        directory = rest;
    }
    None
}

/// Reads the ids of tables: levels, runs, and for each table its id, checksum and sequence number.
fn table_ids(mut section: &[u8]) -> Option<Vec<u64>> {
    let mut ids = Vec::new();
    let [levels] = take(&mut section)?;
    for _ in 0..levels {
        let [runs] = take(&mut section)?;
        for _ in 0..runs {
            for _ in 0..u32::from_le_bytes(take(&mut section)?) {
                ids.push(u64::from_le_bytes(take(&mut section)?));
                take::<25>(&mut section)?;
            }
        }
    }
    Some(ids)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

/// Compares the directory at the end of a table with its checksum.
fn check_table(path: &Path) -> Result<(), DiskError> {
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

fn damaged(path: &Path) -> DiskError {
    DiskError::damaged(format!("checksum of {} is wrong", path.display()))
}
