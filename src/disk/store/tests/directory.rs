//! Directories that are not those of a store.

use std::fs;
use std::path::Path;

use super::support::{Directory, event, written};
use crate::disk::store::{DiskError, Loss, Store};
use crate::model::Retention;

fn open(path: &Path) -> Result<Option<Loss>, DiskError> {
    Store::open(path, &written(Retention::default()), 1).map(|(_, opened)| opened.lost)
}

/// Creates files in a new directory.
fn with_files(names: &[&str]) -> Directory {
    let directory = Directory::new();
    fs::create_dir(&directory.0).unwrap();
    names.iter().for_each(|name| fs::write(directory.0.join(name), "content").unwrap());
    directory
}

#[test]
fn directory_with_files_of_others_is_refused_and_not_changed() {
    for names in [&["notes"][..], &["lock", "notes"], &["notes", "other"], &["head", "notes"]] {
        let directory = with_files(names);
        let error = open(&directory.0).unwrap_err();
        let DiskError::Settings(text) = &error else { panic!("{names:?}: {error:?}") };
        assert!(text.contains(&format!("`{}`", directory.0.display())) && text.contains("`notes`"), "{text}");
        for name in names {
            assert_eq!(fs::read_to_string(directory.0.join(name)).unwrap(), "content");
        }
        assert_eq!(fs::read_dir(&directory.0).unwrap().count(), names.len());
    }
}

#[test]
fn empty_directory_and_one_with_a_folder_of_the_file_system_are_taken() {
    for folders in [&[][..], &["lost+found"]] {
        let directory = with_files(&[]);
        folders.iter().for_each(|name| fs::create_dir(directory.0.join(name)).unwrap());
        assert_eq!(open(&directory.0).unwrap(), None, "{folders:?}");
    }
}

#[test]
fn directory_of_an_open_that_was_interrupted_is_taken() {
    let directory = with_files(&["lock"]);
    assert_eq!(open(&directory.0).unwrap(), None);
}

#[test]
fn store_with_files_of_others_is_opened_as_without_them() {
    let lost = Loss::Tail { stored: 0, acknowledged: 1 };
    for (missing, expected) in [(None, None), (Some("head"), Some(Loss::Unverified)), (Some("rows"), Some(lost))] {
        let (directory, options) = (Directory::new(), written(Retention::default()));
        let (store, _) = Store::open(&directory.0, &options, 1).unwrap();
        store.write(&[event(1, "a", "x")]).unwrap();
        drop(store);
        fs::write(directory.0.join("notes"), "content").unwrap();
        match missing.map(|name| directory.0.join(name)) {
            Some(path) if path.is_dir() => fs::remove_dir_all(path).unwrap(),
            Some(path) => fs::remove_file(path).unwrap(),
            None => {}
        }
        assert_eq!(open(&directory.0).unwrap(), expected, "{missing:?}");
    }
}

#[test]
fn loss_has_a_text() {
    let text = Loss::Tail { stored: 1, acknowledged: 3 }.to_string();
    assert_eq!(text, "events after sequence 1, up to 3, are missing");
    assert!(Loss::Unverified.to_string().contains("`head`"));
    assert!(Loss::Journal.to_string().contains("journal"));
}
