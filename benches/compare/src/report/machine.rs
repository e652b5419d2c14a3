//! Description of the machine, on which the figures depend.

use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) rustc: String,
}

impl Machine {
    /// Reads the machine, before this process is bound to one of its CPUs.
    pub(crate) fn look() -> Self {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let rustc = Command::new("rustc").arg("--version").output().map(|output| output.stdout).unwrap_or_default();
        Self {
            cores: available_parallelism().map_or(0, usize::from),
            kernel: version(&kernel),
            rustc: version(String::from_utf8_lossy(&rustc).trim_start_matches("rustc ")),
        }
    }
}

/// Keeps the version numbers at the beginning, without the build's origin.
fn version(text: &str) -> String {
    let numbers: String = text.chars().take_while(|char| char.is_ascii_digit() || *char == '.').collect();
    if numbers.is_empty() { "unknown".to_owned() } else { numbers }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers() {
        assert_eq!(version("6.1.0-18-amd64\n"), "6.1.0");
        assert_eq!(version("1.85.0 (4d91de4e4 2025-02-17)"), "1.85.0");
        assert_eq!(version(""), "unknown");
    }
}
