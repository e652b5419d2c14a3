//! Rules for the examples.

use crate::source::Source;

/// Words of an example that listens on an address.
const LISTENERS: [&str; 4] = ["TcpListener", "TcpSocket", "bind", "serve"];

/// Returns the example if its first comment lacks the command that runs it.
pub(crate) fn says_how_to_run_it(file: &Source) -> Vec<String> {
    let name = match file.path.trim_start_matches("examples/").split_once('/') {
        Some((folder, "main.rs")) => folder.to_owned(),
        Some(_) => return Vec::new(),
        None => file.path.trim_start_matches("examples/").trim_end_matches(".rs").to_owned(),
    };
    let comment: String = file.text.lines().take_while(|line| line.starts_with("//!")).collect();
    match comment.contains(&format!("--example {name}")) {
        true => Vec::new(),
        false => vec![format!("{}:1: the first comment has the command that runs it", file.path)],
    }
}

/// Returns the example if it does not print its address. An example of one file that names no listener has none.
pub(crate) fn prints_its_address(file: &Source) -> Vec<String> {
    let is_folder = file.path.ends_with("/main.rs");
    let is_file = file.path.matches('/').count() == 1;
    let listens = is_folder || (is_file && !file.words(|word| LISTENERS.contains(&word)).is_empty());
    let prints = |line: &str| line.trim_start().starts_with("println!(") && line.contains("http://");
    match listens && !file.text.lines().any(prints) {
        true => vec![format!("{}:1: an example prints the address that it listens on", file.path)],
        false => Vec::new(),
    }
}

/// Returns the lines of code in which two examples differ, side by side. Their first comments may differ.
pub(crate) fn different_lines(one: &Source, other: &Source) -> Vec<(String, String)> {
    let code = |file: &Source| -> Vec<String> {
        file.text.lines().skip_while(|line| line.starts_with("//!")).map(ToOwned::to_owned).collect()
    };
    let (mut one, mut other) = (code(one), code(other));
    let len = one.len().max(other.len());
    one.resize(len, String::new());
    other.resize(len, String::new());
    one.into_iter().zip(other).filter(|(one, other)| one != other).collect()
}
