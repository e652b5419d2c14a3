//! Reader of the page: its tables and its fenced blocks.

use std::collections::BTreeMap;

pub(super) const PAGE: &str = include_str!("../../../docs/wire.md");

/// Returns the rows of the table with this heading in its first column, each with its cells.
pub(super) fn table(page: &str, heading: &str) -> Vec<Vec<String>> {
    let begin = format!("| {heading} |");
    let mut lines = page.lines().skip_while(|line| !line.starts_with(&begin));
    assert!(
        lines.next().is_some() && lines.next().is_some_and(|line| line.starts_with("|---|")),
        "no table of {heading}"
    );
    let rows: Vec<Vec<String>> = lines
        .map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .map(|row| row.split(" | ").map(str::to_owned).collect())
        .collect();
    assert!(!rows.is_empty(), "no rows in the table of {heading}");
    rows
}

/// Returns the code span that each row of a table begins with.
pub(super) fn names(page: &str, heading: &str) -> Vec<String> {
    let name = |row: &Vec<String>| row[0].trim_matches('`').to_owned();
    table(page, heading).iter().map(name).collect()
}

/// Returns the fenced blocks by the second word of their info strings.
pub(super) fn blocks(page: &str) -> BTreeMap<String, String> {
    let mut blocks = BTreeMap::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let name = info.split(' ').nth(1).unwrap_or(info).to_owned();
        let text: String = lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
        assert!(blocks.insert(name, text).is_none(), "two blocks {info}");
    }
    blocks
}
