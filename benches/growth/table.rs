//! Tables in Markdown.

use super::publisher::Beside;

/// A table with a row for each measured quantity and a column for each size.
pub(crate) struct Table {
    head: String,
    /// Names of the rows, and their cells.
    rows: Vec<(String, Vec<String>)>,
}

impl Table {
    pub(crate) fn new(head: impl Into<String>) -> Self {
        Self { head: head.into(), rows: Vec::new() }
    }

    /// Adds a cell to the row of this name.
    pub(crate) fn put(&mut self, row: &str, cell: String) {
        match self.rows.iter_mut().find(|(name, _)| name == row) {
            Some((_, cells)) => cells.push(cell),
            None => self.rows.push((row.to_owned(), vec![cell])),
        }
    }

    /// Adds the time of an operation, and the longest publish beside it.
    pub(crate) fn put_beside(&mut self, row: &str, beside: Beside) {
        self.put(row, time(beside.time));
        self.put(&format!("{row}: longest publish beside it"), time(beside.worst));
    }

    /// Prints the table with these sizes.
    pub(crate) fn print(&self, sizes: &[usize]) {
        if self.rows.is_empty() {
            return;
        }
        let columns: Vec<_> = sizes.iter().map(|&size| grouped(size as f64)).collect();
        println!("\n| {} | {} |\n|---|{}", self.head, columns.join(" | "), "---:|".repeat(sizes.len()));
        for (name, cells) in &self.rows {
            println!("| {name} | {} |", cells.join(" | "));
        }
    }
}

/// Formats nanoseconds with a unit.
pub(crate) fn time(nanos: f64) -> String {
    match nanos {
        ..1e4 => format!("{} ns", grouped(nanos)),
        ..1e6 => format!("{:.1} µs", nanos / 1e3),
        ..1e7 => format!("{:.2} ms", nanos / 1e6),
        _ => format!("{} ms", grouped(nanos / 1e6)),
    }
}

/// Formats bytes with a unit.
pub(crate) fn bytes(bytes: f64) -> String {
    format!("{} B", grouped(bytes))
}

/// Formats a whole number with commas.
fn grouped(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let first = digits.len() % 3;
    let groups = digits.as_bytes()[first..].chunks(3).map(|group| String::from_utf8_lossy(group).into_owned());
    let head = (first > 0).then(|| digits[..first].to_owned());
    let all: Vec<_> = head.into_iter().chain(groups).collect();
    format!("{}{}", if number <= -0.5 { "-" } else { "" }, all.join(","))
}
