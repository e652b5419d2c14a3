//! A source file, and what of it is code.

use std::fs;
use std::path::Path;

/// A file of the repository.
pub(crate) struct Source {
    /// Its path from the root, with `/`.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
    /// The text with comments, strings and characters blanked out: the same lines at the same columns.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into(), code: blank(text) }
    }

    /// Every Rust file under these folders of the root.
    pub(crate) fn all(folders: &[&str]) -> Vec<Self> {
        let mut found = Vec::new();
        folders.iter().for_each(|folder| collect(&root().join(folder), &mut found));
        found.sort_by(|a, b| a.path.cmp(&b.path));
        found
    }

    /// The path of the module that the file is: `["hub", "log"]` for `src/hub/log.rs` and `src/hub/log/mod.rs`.
    pub(crate) fn module(&self) -> Vec<&str> {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        inner.split('/').filter(|part| !matches!(*part, "mod" | "lib")).collect()
    }

    /// `path:line: rule` for a place in the code.
    pub(crate) fn at(&self, offset: usize, rule: &str) -> String {
        let line = 1 + self.code[..offset].matches('\n').count();
        format!("{}:{line}: {rule}", self.path)
    }

    /// The words of the code that satisfy `wanted`, with their offsets.
    pub(crate) fn words(&self, wanted: impl Fn(&str) -> bool) -> Vec<(usize, &str)> {
        let mut found = Vec::new();
        let mut start = None;
        for (at, char) in self.code.char_indices().chain([(self.code.len(), ' ')]) {
            match (start, char.is_alphanumeric() || char == '_') {
                (None, true) => start = Some(at),
                (Some(from), false) => {
                    found.extend(Some((from, &self.code[from..at])).filter(|(_, word)| wanted(word)));
                    start = None;
                }
                _ => {}
            }
        }
        found
    }

    /// Returns the offsets of these characters in the code.
    pub(crate) fn places(&self, of: &str) -> Vec<usize> {
        self.code.match_indices(of).map(|(at, _)| at).collect()
    }
}

/// The text of a file of the root.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).map_err(|error| format!("{path}: {error}")).expect("a file of the root")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.expect("a readable folder").path()) {
        if path.is_dir() && !path.ends_with("node_modules") {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a readable file");
            let path = path.strip_prefix(root()).expect("a file of the root");
            found.push(Source::new(&path.to_string_lossy().replace('\\', "/"), &text));
        }
    }
}

/// Blanks what is not code, byte for byte.
fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let dead = dead_prefix(rest, out.chars().next_back());
        let (skip, keep) = if dead == 0 { (char.len_utf8(), true) } else { (dead, false) };
        for byte_or_char in rest[..skip].chars() {
            match keep || byte_or_char == '\n' {
                true => out.push(byte_or_char),
                false => out.extend(std::iter::repeat_n(' ', byte_or_char.len_utf8())),
            }
        }
        rest = &rest[skip..];
    }
    out
}

/// How many bytes at the beginning are a comment, a string or a character.
fn dead_prefix(text: &str, before: Option<char>) -> usize {
    let in_word = before.is_some_and(|char| char.is_alphanumeric() || char == '_');
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return block_comment(text);
    }
    if !in_word {
        let raw = text.trim_start_matches(['b', 'c']).strip_prefix('r').unwrap_or("");
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let (open, close) = (text.len() - raw.len() + hashes + 1, format!("\"{}", "#".repeat(hashes)));
            return text[open..].find(&close).map_or(text.len(), |at| open + at + close.len());
        }
    }
    if text.starts_with('"') {
        return quoted(text, '"');
    }
    // `'a'` and `'\n'` are characters, `'a` is a lifetime.
    let mut chars = text.strip_prefix('\'').unwrap_or("").chars();
    match (chars.next(), chars.next()) {
        (Some('\\'), _) => quoted(text, '\''),
        (Some(char), Some('\'')) => 2 + char.len_utf8(),
        _ => 0,
    }
}

fn quoted(text: &str, mark: char) -> usize {
    let mut escaped = false;
    for (at, char) in text.char_indices().skip(1) {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if char == mark => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}
