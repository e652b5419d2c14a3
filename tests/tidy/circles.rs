//! Import circles: modules that import each other, directly or by others.

use std::collections::BTreeMap;

use crate::floors::long_paths;
use crate::source::Source;

/// Returns the modules that are in an import circle, or between two. A module is the first `steps` steps of a file's path.
/// Imports of unit tests do not count.
pub(crate) fn circles(files: &[Source], steps: usize) -> Vec<String> {
    let is_code = |file: &&Source| !file.path.ends_with("/mod.rs") && !file.path.ends_with("/tests.rs");
    let files: Vec<_> = files.iter().filter(is_code).map(without_tests).collect();
    let name = |module: &[&str]| module[..module.len().min(steps)].join("::");
    let mut imports: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in &files {
        let own = name(&file.module());
        let of_own = imports.entry(own.clone()).or_default();
        for (_, path) in long_paths(file, 4) {
            let file = files.iter().map(Source::module).find(|module| path.starts_with(module));
            // A folder re-exports items of its files.
            let start = path.get(..steps).filter(|start| files.iter().any(|file| file.module().starts_with(start)));
            let imported = file.as_deref().or(start).map(name);
            of_own.extend(imported.filter(|module| *module != own));
        }
    }
    loop {
        let before = imports.len();
        let has_imports: Vec<_> =
            imports.iter().filter(|(_, to)| !to.is_empty()).map(|(from, _)| from.clone()).collect();
        let imported: Vec<_> = imports.values().flatten().cloned().collect();
        imports.retain(|module, _| has_imports.contains(module) && imported.contains(module));
        let left: Vec<_> = imports.keys().cloned().collect();
        imports.values_mut().for_each(|to| to.retain(|module| left.contains(module)));
        if imports.len() == before {
            return imports.into_keys().collect();
        }
    }
}

fn without_tests(file: &Source) -> Source {
    let tests = ["#[cfg(all(test", "#[cfg(test)]\nmod "].iter().filter_map(|start| file.text.find(start)).min();
    Source::new(&file.path, &file.text[..tests.unwrap_or(file.text.len())])
}

#[test]
fn the_hub_has_no_import_circle() {
    let planted = [
        Source::new("src/hub/a/b.rs", "use crate::hub::c::d::D;"),
        Source::new("src/hub/c/d.rs", "use crate::hub::e::{F, G};"),
        Source::new("src/hub/e.rs", "use super::a::g::A;"),
        Source::new("src/hub/a/g.rs", "x();\n#[cfg(all(test, not(loom)))]\nmod tests { use crate::hub::e::F; }"),
    ];
    assert_eq!(circles(&planted, 3), [""; 0], "files");
    assert_eq!(circles(&planted, 2), ["hub::a", "hub::c", "hub::e"], "folders");
    let files = Source::all(&["src/hub"]);
    for (steps, of) in [(3, "files"), (2, "folders")] {
        let found = circles(&files, steps);
        assert!(found.is_empty(), "{of} of src/hub that import each other: {found:?}");
    }
}

#[test]
fn the_endpoint_has_no_circle_of_folders() {
    let planted = [
        Source::new("src/endpoint/a/b.rs", "use crate::endpoint::c::D;"),
        Source::new("src/endpoint/c/d.rs", "use crate::endpoint::e::f::{F, G};"),
        Source::new("src/endpoint/e/f.rs", "use crate::endpoint::{a::b::B, shared::Shared};"),
    ];
    assert_eq!(circles(&planted, 2), ["endpoint::a", "endpoint::c", "endpoint::e"]);
    // Files of the floor itself may use every folder, and be used by it.
    let in_folders: Vec<_> =
        Source::all(&["src/endpoint"]).into_iter().filter(|file| file.module().len() > 2).collect();
    let found = circles(&in_folders, 2);
    assert!(found.is_empty(), "folders of src/endpoint that import each other: {found:?}");
}
