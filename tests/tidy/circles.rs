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
            let imported = files.iter().map(Source::module).find(|module| path.starts_with(module));
            of_own.extend(imported.map(|module| name(&module)).filter(|module| *module != own));
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
