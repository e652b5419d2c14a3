//! The language of doc comments, as far as it can be read off the text.

use crate::source::Source;

/// Words that no paragraph begins with: they stand in place of the noun or the verb that says what an item is or does.
const OPENINGS: [&str; 9] = ["What", "Who", "Whose", "Whoever", "Whom", "Where", "The same", "Has", "So"];
/// Words for people only.
const PRONOUNS: [&str; 3] = ["who", "whom", "whoever"];
/// Words for people, one of which stands in a paragraph with such a pronoun.
const PEOPLE: [&str; 7] = ["author", "authors", "people", "person", "persons", "user", "users"];

/// A paragraph, list item or heading of a doc comment.
struct Paragraph {
    /// Number of its first line.
    line: usize,
    /// Its text in one line, without the mark of a list item.
    text: String,
}

/// Returns the paragraphs that open with a word in place of the thing.
pub(crate) fn paragraphs_open_with_the_thing(file: &Source) -> Vec<String> {
    let opens = |text: &str, word: &&str| {
        text.strip_prefix(*word).is_some_and(|rest| !rest.starts_with(|char: char| char.is_alphanumeric()))
    };
    let found = paragraphs(&file.text).into_iter().filter_map(|Paragraph { line, text }| {
        let word = OPENINGS.iter().find(|word| opens(&text, word))?;
        Some(format!(
            "{}:{line}: a doc comment says what an item is or does; it does not open with {word:?}",
            file.path
        ))
    });
    found.collect()
}

/// Returns the paragraphs that say "who" of code, clients or requests.
pub(crate) fn who_is_for_people(file: &Source) -> Vec<String> {
    let found = paragraphs(&file.text).into_iter().filter(|paragraph| {
        let prose = without_code(&paragraph.text).to_lowercase();
        let has = |any: &[&str]| prose.split(|char: char| !char.is_alphanumeric()).any(|word| any.contains(&word));
        has(&PRONOUNS) && !has(&PEOPLE)
    });
    found.map(|Paragraph { line, .. }| format!("{}:{line}: \"who\" is for people only", file.path)).collect()
}

/// Returns the paragraphs of all doc comments. Code blocks are left out.
fn paragraphs(text: &str) -> Vec<Paragraph> {
    let (mut found, mut is_open, mut is_code) = (Vec::<Paragraph>::new(), false, false);
    for (line, text) in (1..).zip(text.lines()) {
        let Some(text) = doc(text) else {
            (is_open, is_code) = (false, false);
            continue;
        };
        if text.starts_with("```") {
            (is_open, is_code) = (false, !is_code);
        } else if text.is_empty() {
            is_open = false;
        } else if !is_code {
            let item = without_mark(text);
            match found.last_mut().filter(|_| is_open && item.len() == text.len()) {
                Some(paragraph) => paragraph.text = format!("{} {item}", paragraph.text),
                None => found.push(Paragraph { line, text: item.to_owned() }),
            }
            // A heading is one line.
            is_open = !text.starts_with('#');
        }
    }
    found
}

/// Returns the text of a doc comment's line.
fn doc(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let text = line.strip_prefix("//!").or_else(|| line.strip_prefix("///").filter(|rest| !rest.starts_with('/')))?;
    Some(text.trim())
}

/// Removes the mark of a list item, `-`, `*` or a number.
fn without_mark(text: &str) -> &str {
    let number = text.trim_start_matches(|char: char| char.is_ascii_digit());
    let bare = match number.strip_prefix(". ") {
        Some(rest) if number.len() < text.len() => Some(rest),
        _ => text.strip_prefix("- ").or_else(|| text.strip_prefix("* ")),
    };
    bare.map_or(text, str::trim_start)
}

/// Removes the parts between backticks.
fn without_code(text: &str) -> String {
    text.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}
