use std::fmt::Display;
use std::process::ExitCode;

/// The figures of one scenario. A promise is asserted: as a count, or within a bound that holds on a busy machine. A speed
/// is a note.
pub(crate) struct Figures {
    of: String,
    passed: usize,
    failed: usize,
}

impl Figures {
    pub(crate) fn of(scenario: &str) -> Self {
        Self { of: scenario.to_owned(), passed: 0, failed: 0 }
    }

    /// Prints a figure that is kept and not asserted: a speed, or a detail of a promise.
    pub(crate) fn note(&self, what: &str, value: impl Display) {
        println!("{}: {what}: {value}", self.of);
    }

    /// A figure that must hold.
    pub(crate) fn holds(&mut self, what: &str, value: impl Display, holds: bool) {
        match holds {
            true => self.passed += 1,
            false => self.failed += 1,
        }
        println!("{}: {what}: {value}{}", self.of, if holds { "" } else { "  FAILED" });
    }

    /// A figure that may be so much, and no more.
    pub(crate) fn at_most(&mut self, what: &str, value: f64, limit: f64, unit: &str) {
        self.holds(what, format!("{value:.2} {unit}, at most {limit:.2}"), value <= limit);
    }

    /// A figure that must be exactly so.
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

/// The value below which this share of all is. 0 of none.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).ceil() as usize).copied().unwrap_or(0.0)
}

/// The quantile of the window that has the least, no number where there is none: what a machine's other work adds, it adds to some windows, what the
/// load adds, to all.
pub(crate) fn quietest(windows: &[Vec<f64>], share: f64) -> f64 {
    let each = windows.iter().filter(|one| !one.is_empty()).map(|one| quantile(one, share));
    each.fold(f64::NAN, f64::min)
}
