use std::error::Error;
use std::fmt;

/// Result of a run of the kit without failures.
///
/// Its `Display` form is one line, and a line for each case that was left out.
#[derive(Debug, Clone)]
#[must_use]
pub struct Report {
    pub(in crate::conformance) cases: usize,
    pub(in crate::conformance) runs: usize,
    pub(in crate::conformance) skipped: Vec<Skipped>,
}

/// Case that was left out.
#[derive(Debug, Clone, Copy)]
pub(in crate::conformance) struct Skipped {
    pub(in crate::conformance) case: &'static str,
    pub(in crate::conformance) lacks: &'static str,
}

/// Failed runs of the kit.
///
/// Its `Display` and `Debug` forms have a line for each failure: the case, the adapters, and what was expected and seen. A test that
/// returns it, or unwraps it, prints them.
#[derive(Clone)]
pub struct Failures {
    pub(in crate::conformance) failed: Vec<Failure>,
}

/// Failed run of a case.
#[derive(Debug, Clone)]
pub struct Failure {
    pub(in crate::conformance) case: &'static str,
    pub(in crate::conformance) on: String,
    pub(in crate::conformance) problem: String,
}

impl Report {
    /// Returns the number of cases that ran.
    #[must_use]
    pub fn cases(&self) -> usize {
        self.cases
    }

    /// Returns the number of runs: a case runs over several adapters.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.runs
    }

    /// Returns the names of the cases that were left out because of the [capabilities](crate::conformance::Capabilities) of the
    /// hub.
    pub fn skipped(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.skipped.iter().map(|skipped| skipped.case)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cases, runs, skipped } = self;
        write!(f, "{cases} cases in {runs} runs passed, {} were left out", skipped.len())?;
        skipped.iter().try_for_each(|skipped| write!(f, "\n  {}: the hub has no {}", skipped.case, skipped.lacks))
    }
}

impl Failures {
    /// Returns the failures, at most 12 of each table of cases.
    pub fn iter(&self) -> impl Iterator<Item = &Failure> + '_ {
        self.failed.iter()
    }
}

impl Failure {
    /// Returns the name of the case.
    #[must_use]
    pub fn case(&self) -> &'static str {
        self.case
    }

    /// Returns the names of the adapters, or of the kind of subscription.
    #[must_use]
    pub fn on(&self) -> &str {
        &self.on
    }

    /// Returns what was expected and what was seen.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}: {}", self.case, self.on, self.problem)
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} runs failed:", self.failed.len())?;
        self.failed.iter().try_for_each(|failure| write!(f, "\n  {failure}"))
    }
}

impl fmt::Debug for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for Failures {}
