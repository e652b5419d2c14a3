use std::fmt::Display;
use std::process::ExitCode;

/// Figures of one scenario. A promise is asserted, as a count or within a bound that holds on a busy machine. A speed
/// is a
/// note.
pub(crate) struct Figures {
    of: String,
    passed: usize,
    failed: usize,
}

impl Figures {
    pub(crate) fn of(scenario: &str) -> Self {
        Self { of: scenario.to_owned(), passed: 0, failed: 0 }
    }

    /// Prints a figure that is not asserted: a speed, or a detail of a promise.
    pub(crate) fn note(&self, what: &str, value: impl Display) {
        println!("{}: {what}: {value}", self.of);
    }

    /// Prints a figure and whether it holds.
    pub(crate) fn holds(&mut self, what: &str, value: impl Display, holds: bool) {
        match holds {
            true => self.passed += 1,
            false => self.failed += 1,
        }
        println!("{}: {what}: {value}{}", self.of, if holds { "" } else { "  FAILED" });
    }

    /// Asserts that a figure is at most `limit`.
    pub(crate) fn at_most(&mut self, what: &str, value: f64, limit: f64, unit: &str) {
        self.holds(what, format!("{value:.2} {unit}, at most {limit:.2}"), value <= limit);
    }

    /// Asserts an exact count.
    pub(crate) fn exactly(&mut self, what: &str, value: u64, expected: u64) {
        self.holds(what, format!("{value}, expected {expected}"), value == expected);
    }

    pub(crate) fn verdict(self) -> ExitCode {
        println!("{}: {} passed, {} failed", self.of, self.passed, self.failed);
        match (self.passed, self.failed) {
            (1.., 0) => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }
}

/// Returns the value below which this share of all values is, or 0 without values.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).ceil() as usize).copied().unwrap_or(0.0)
}

/// Returns the lowest quantile of all windows, or NaN without any. Other processes of the machine add to some windows,
/// the
/// load adds to all.
pub(crate) fn quietest(windows: &[Vec<f64>], share: f64) -> f64 {
    let each = windows.iter().filter(|one| !one.is_empty()).map(|one| quantile(one, share));
    each.fold(f64::NAN, f64::min)
}
