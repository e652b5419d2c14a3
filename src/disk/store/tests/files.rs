//! Directories of tests. The tests of the hub on disk, another binary, use them too.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Directory that is removed when the test ends.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("tidings-disk-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Copies a directory with its folders.
pub(crate) fn copy(from: &Path, to: &Path) {
    try_copy(from, to).unwrap();
}

pub(crate) fn try_copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { try_copy(&from, &to)? } else { fs::copy(&from, &to).map(drop)? }
    }
    Ok(())
}

/// Returns the place after the last byte that is not zero.
pub(crate) fn written_part(bytes: &[u8]) -> usize {
    let zeros = bytes.rchunks(4_096).take_while(|chunk| **chunk == [0; 4_096][..chunk.len()]).map(<[u8]>::len);
    let rest = bytes.len() - zeros.sum::<usize>();
    bytes[..rest].iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)
}

/// Returns the files of a directory and of its folders, in order.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Removes the zeros at the end of journals: fjall allocates 64 MiB for each.
pub(crate) fn cut_zeros(directory: &Path) {
    for path in files(directory) {
        if path.extension().is_some_and(|extension| extension == "jnl") {
            let written = written_part(&fs::read(&path).unwrap());
            fs::File::options().write(true).open(&path).unwrap().set_len(written as u64).unwrap();
        }
    }
}
