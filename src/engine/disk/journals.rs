//! A check that fjall does not make: whether it cut a journal that was complete.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::engine::disk::error::StoreError;

/// Journals before the last one, which fjall has sealed: they end with a complete batch.
///
/// fjall takes damage for the end of a journal and cuts the file there. In the last journal the head shows the loss. In an
/// earlier one the events of the later journals are read nevertheless, so their head is complete and events before it are missing.
///
/// The ends are noted in a file until the loss is noted in the store, since the process may end between the two.
#[derive(Debug)]
pub(super) struct SealedJournals {
    journals: Vec<(File, u64)>,
    note: PathBuf,
}

impl SealedJournals {
    /// Opens the sealed journals of a database, before fjall does, and finds their ends.
    pub(super) fn find(database: &Path, directory: &Path) -> Result<Self, StoreError> {
        let mut paths = Vec::new();
        if database.is_dir() {
            for entry in fs::read_dir(database)? {
                let path = entry?.path();
                let id = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".jnl"));
                if let Some(id) = id.and_then(|id| id.parse::<u64>().ok()) {
                    paths.push((id, path));
                }
            }
        }
        paths.sort_unstable();
        paths.pop();
        let note = directory.join("journals");
        let noted = if note.try_exists()? { fs::read_to_string(&note)? } else { String::new() };
        let (mut journals, mut text) = (Vec::new(), String::new());
        for (id, path) in paths {
            let mut file = File::open(path)?;
            let noted = noted.lines().filter_map(|line| line.split_once(' '));
            let noted = noted.filter(|(of, _)| of.parse() == Ok(id)).find_map(|(_, end)| end.parse().ok());
            let end = written(&mut file)?.max(noted.unwrap_or(0));
            text.push_str(&format!("{id} {end}\n"));
            journals.push((file, end));
        }
        if !journals.is_empty() {
            let mut file = File::create(&note)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
        }
        Ok(Self { journals, note })
    }

    /// Returns whether one of them has lost written bytes since.
    pub(super) fn is_cut(&self) -> Result<bool, StoreError> {
        for (file, end) in &self.journals {
            if file.metadata()?.len() < *end {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes the note of the ends.
    pub(super) fn forget(&self) -> Result<(), StoreError> {
        match fs::remove_file(&self.note) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// Returns the offset after the last byte that is not zero: fjall allocates 64 MiB of zeros for a journal.
fn written(file: &mut File) -> Result<u64, StoreError> {
    let mut end = file.metadata()?.len();
    let mut block = vec![0; 1 << 16];
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let block = &mut block[..usize::try_from(end - start).unwrap_or(0)];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(block)?;
        if let Some(last) = block.iter().rposition(|&byte| byte != 0) {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
