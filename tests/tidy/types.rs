//! Names of types: one type a name on a floor.

use std::collections::BTreeMap;

use crate::source::Source;

/// Returns the names of types, other than private ones, that two files of one floor define. Two definitions in one file
/// are alternatives of a `cfg`.
pub(crate) fn names_are_defined_once(files: &[Source]) -> Vec<String> {
    let mut first = BTreeMap::new();
    let mut found = Vec::new();
    for file in files {
        let module = file.module();
        let Some(floor) = module.first() else { continue };
        for (at, name) in visible_types(file) {
            let (other, place) = first.entry((*floor, name)).or_insert_with(|| (&file.path, file.at(at, "")));
            if **other != file.path {
                let place = place.trim_end_matches(": ");
                found.push(
                    file.at(at, &format!("{floor} has a type {name} already, at {place}: name one by what it is")),
                );
            }
        }
    }
    found
}

/// Returns the types that are visible outside of their module, with their offsets in the code.
fn visible_types(file: &Source) -> Vec<(usize, &str)> {
    let words = file.words(|_| true);
    let mut found = Vec::new();
    for (number, (at, word)) in words.iter().enumerate() {
        if *word != "pub" {
            continue;
        }
        let rest = file.code[at + "pub".len()..].trim_start();
        let item = if rest.starts_with('(') { rest.split_once(')').map_or("", |(_, item)| item) } else { rest };
        let is_type =
            ["struct ", "enum ", "trait ", "type ", "union "].iter().any(|kind| item.trim_start().starts_with(kind));
        let from = at + file.code[*at..].len() - item.len();
        found.extend(words[number..].iter().filter(|(at, _)| is_type && *at >= from).nth(1).copied());
    }
    found
}
