//! The directory of a store: its creation, and the check that it is one.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Error, ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::disk::store::error::DiskError;
use crate::disk::store::files::{MAGIC, sync_directory};
use crate::disk::store::store::Store;

/// Names that a directory may have without being one of a store: those of a store whose creation was interrupted, and the folder
/// of an empty file system.
const ALLOWED: [&str; 4] = ["lock", "head", "journals", "lost+found"];

/// Creates the directory of a store, if there is none. Returns its absolute path, which is the same after the process has changed
/// its working directory.
///
/// # Errors
///
/// - [`DiskError::Settings`]: the path is empty, or not one of a directory, or the directory has files and is not one of a store.
/// - [`DiskError::Full`], [`DiskError::ReadOnly`], [`DiskError::Io`]: the directory cannot be created or read.
pub(super) fn create_directory(path: &Path) -> Result<PathBuf, DiskError> {
    let wrong = |path: &Path, error: &Error| {
        DiskError::Settings(format!("directory `{}` of the store cannot be created: {error}", path.display()))
    };
    let path = std::path::absolute(path).map_err(|error| wrong(path, &error))?;
    let changed = missing_in(&path);
    fs::create_dir_all(&path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
            DiskError::Settings(format!("`{}` or a part of this path is not a directory", path.display()))
        }
        kind => match DiskError::from(Error::new(kind, format!("{}: {error}", path.display()))) {
            full_or_read_only @ (DiskError::Full(_) | DiskError::ReadOnly(_)) => full_or_read_only,
            _ => wrong(&path, &error),
        },
    })?;
    for parent in changed {
        match sync_directory(parent) {
            // A directory may be writable and not readable. It cannot be synced then.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
            synced => synced?,
        }
    }
    check(&path)?;
    Ok(path)
}

/// Returns the directories that get an entry when this one is created with its parents, the deepest first.
fn missing_in(path: &Path) -> Vec<&Path> {
    path.ancestors().take_while(|path| !path.is_dir()).filter_map(Path::parent).collect()
}

/// Returns an error if the directory has files and is not one of a store. A store may have files of others beside its own.
fn check(path: &Path) -> Result<(), DiskError> {
    if path.join(Store::ROWS).is_dir() || has_head(path) {
        return Ok(());
    }
    let names = fs::read_dir(path)?.map(|entry| Ok(entry?.file_name()));
    let names = names.collect::<Result<Vec<OsString>, Error>>()?;
    match names.iter().filter(|&name| !ALLOWED.iter().any(|allowed| name == allowed)).min() {
        None => Ok(()),
        Some(other) => Err(DiskError::Settings(format!(
            "`{}` has no history and is not empty: it has `{}`; use an empty directory, or one that does not exist",
            path.display(),
            Path::new(other).display()
        ))),
    }
}

/// Returns whether the file `head` begins as one of a store.
fn has_head(path: &Path) -> bool {
    let mut start = [0; MAGIC.len()];
    let read = File::open(path.join("head")).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *MAGIC
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::store::tests::support::Directory;

    #[test]
    fn directories_that_get_an_entry_are_the_parents_of_those_that_are_missing() {
        let directory = Directory::new();
        let deep = directory.0.join("b/c");
        let (b, top) = (directory.0.join("b"), directory.0.parent().unwrap());
        assert_eq!(missing_in(&deep), [&*b, &directory.0, top]);
        fs::create_dir_all(&b).unwrap();
        assert_eq!(missing_in(&deep), [&*b]);
        fs::create_dir_all(&deep).unwrap();
        assert_eq!(missing_in(&deep), [""; 0].map(Path::new));
    }
}
