//! The floors: what a file may name of the others.

use crate::source::Source;

/// From the ground up. Two on one level don't know each other.
const FLOORS: [(&str, u8); 13] = [
    ("model", 0),
    ("time", 0),
    ("instruments", 0),
    ("contract", 1),
    ("hub", 2),
    ("subscriber", 2),
    ("transport", 2),
    ("engine", 3),
    ("disk", 4),
    ("endpoint", 5),
    ("runs", 6),
    ("server", 6),
    ("conformance", 7),
];

/// Modules that every adapter may use.
const GROUND: [&str; 5] = ["object", "reply", "keep_alive", "limit", "wake_flag"];

pub(crate) fn imports_point_down(file: &Source) -> Vec<String> {
    let module = file.module();
    let Some(own) = module.first().and_then(|floor| level(floor)) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (at, path) in paths(file) {
        let below = |target: &str| module[0] == target || level(target).is_some_and(|level| level < own);
        match path.first() {
            Some(first) if !below(first) => {
                let rule = match level(first) {
                    Some(_) => format!("{} does not know {first}: imports point down", module[0]),
                    None => format!("crate::{first} hides its floor: name it by crate::<floor>::{first}"),
                };
                found.push(file.at(at, &rule));
            }
            _ => {}
        }
    }
    found
}

pub(crate) fn adapters_do_not_know_each_other(file: &Source) -> Vec<String> {
    let module = file.module();
    let Some(own) = module.get(1).filter(|_| module[0] == "transport") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (at, path) in paths(file) {
        match path[..] {
            ["transport", sibling, ..] if sibling != *own && !GROUND.contains(&sibling) => {
                found.push(file.at(at, &format!("{own} does not know {sibling}: adapters share only {GROUND:?}")));
            }
            _ => {}
        }
    }
    found
}

fn level(floor: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == floor).map(|(_, level)| *level)
}

/// Returns the first two steps, from the crate's root, of every path in the file that begins with `crate` or `super`.
fn paths(file: &Source) -> Vec<(usize, Vec<&str>)> {
    long_paths(file, 2)
}

/// Returns the same paths, each with at most `steps` steps behind `crate` or the last `super`.
pub(crate) fn long_paths(file: &Source, steps: usize) -> Vec<(usize, Vec<&str>)> {
    let mut found = Vec::new();
    for (at, word) in file.words(|word| matches!(word, "crate" | "super")) {
        let Some(mut rest) = file.code[at + word.len()..].strip_prefix("::") else { continue };
        if file.code[..at].ends_with("super::") {
            continue;
        }
        let mut base = if word == "crate" { Vec::new() } else { file.module() };
        if word == "super" {
            base.pop();
            while let Some(further) = rest.strip_prefix("super::") {
                base.pop();
                rest = further;
            }
        }
        found.extend(branches(rest, steps).into_iter().map(|tail| (at, [&base[..], &tail[..]].concat())));
    }
    found
}

/// The beginnings, at most `steps` long, of the paths in a use tree: `a::{b::c, d}` is `a::b` and `a::d`.
fn branches(tree: &str, steps: usize) -> Vec<Vec<&str>> {
    if steps == 0 {
        return vec![Vec::new()];
    }
    if let Some(group) = tree.strip_prefix('{') {
        return items(group).into_iter().flat_map(|item| branches(item, steps)).collect();
    }
    let end = tree.find(|char: char| !char.is_alphanumeric() && char != '_').unwrap_or(tree.len());
    let (first, rest) = tree.split_at(end);
    match rest.strip_prefix("::") {
        Some(rest) => branches(rest, steps - 1).into_iter().map(|tail| [&[first][..], &tail[..]].concat()).collect(),
        None => vec![vec![first]],
    }
}

/// The items of a group, up to its closing brace.
fn items(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, char) in group.char_indices() {
        match char {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                found.extend(Some(group[start..at].trim()).filter(|item| !item.is_empty()));
                start = at + 1;
                if char == '}' {
                    return found;
                }
            }
            _ => {}
        }
    }
    found
}
