//! A check that fjall does not make: whether it cut a journal that was complete.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::engine::disk::error::StoreError;

/// Journals before the last one, which fjall has sealed: they end with a complete batch.
///
/// fjall takes damage for the end of a journal and cuts the file there. In the last journal the head shows the loss. In an
/// earlier one the events of the later journals are read nevertheless, so their head is complete and events before it are missing.
#[derive(Debug)]
pub(super) struct SealedJournals(Vec<(File, u64)>);

impl SealedJournals {
    /// Opens the sealed journals of a database, before fjall does, and finds their ends.
    pub(super) fn find(database: &Path) -> Result<Self, StoreError> {
        let mut journals = Vec::new();
        if database.is_dir() {
            for entry in fs::read_dir(database)? {
                let path = entry?.path();
                let id = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".jnl"));
                if let Some(id) = id.and_then(|id| id.parse::<u64>().ok()) {
                    journals.push((id, path));
                }
            }
        }
        journals.sort_unstable();
        journals.pop();
        let measured = journals.into_iter().map(|(_, path)| {
            let mut file = File::open(path)?;
            let end = written(&mut file)?;
            Ok((file, end))
        });
        measured.collect::<Result<_, _>>().map(Self)
    }

    /// Returns whether one of them has lost written bytes since.
    pub(super) fn is_cut(&self) -> Result<bool, StoreError> {
        for (file, end) in &self.0 {
            if file.metadata()?.len() < *end {
                return Ok(true);
            }
        }
        Ok(false)
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
