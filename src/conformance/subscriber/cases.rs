use std::future::Future;
use std::pin::Pin;

use crate::conformance::run::drive::drive;
use crate::conformance::run::report::{Failure, Failures, Report};
use crate::conformance::run::{CaseResult, Problem, VirtualTimer};
use crate::conformance::subscriber::probe::Probe;
use crate::conformance::subscriber::{SourceUnderTest, cancel, encoded, follow, skip};

/// Topics of the runs of each case.
const TOPICS: [(&str, &[&str]); 2] =
    [("a subscriber of one topic", &["a"]), ("a subscriber of two topics", &["a", "b"])];

/// A case and its run, which begins when it is polled.
type Run<'a> = (&'static str, Pin<Box<dyn Future<Output = CaseResult> + 'a>>);

/// Runs all cases, each for one topic and for two.
pub(in crate::conformance) fn run_cases<S: SourceUnderTest>(
    timer: &VirtualTimer,
    is_immediate: bool,
    open: impl AsyncFn() -> Result<S, Problem>,
) -> Result<Report, Failures> {
    let (mut runs, mut failed) = (0, Vec::new());
    for (on, topics) in TOPICS {
        for (case, run) in cases(&open, topics) {
            runs += 1;
            if let Err(problem) = drive(timer, is_immediate, run) {
                failed.push(Failure { case, on: on.to_owned(), problem: problem.to_string() });
            }
        }
    }
    match failed.is_empty() {
        true => Ok(Report { cases: runs / TOPICS.len(), runs, skipped: Vec::new() }),
        false => Err(Failures { failed }),
    }
}

fn cases<'a, S: SourceUnderTest>(
    open: &'a impl AsyncFn() -> Result<S, Problem>,
    topics: &'a [&'a str],
) -> Vec<Run<'a>> {
    vec![
        ("order", on(open, topics, follow::order)),
        ("cursor up to the last delivery", on(open, topics, follow::cursor)),
        ("resume at every cursor", on(open, topics, async |probe| follow::resume(probe, topics).await)),
        ("head", on(open, topics, follow::head)),
        ("a pending poll loses nothing", on(open, topics, cancel::pending_loses_nothing)),
        ("a pending poll is woken", on(open, topics, cancel::wakes)),
        ("the last task is woken", on(open, topics, cancel::wakes_the_last)),
        ("register", on(open, topics, cancel::register)),
        ("release", on(open, topics, cancel::release)),
        ("the end, again and again", on(open, topics, cancel::ends)),
        ("the end wakes", on(open, topics, cancel::end_wakes)),
        ("an event larger than the maximum", on(open, topics, encoded::large_event)),
        ("encoded events equal batches", Box::pin(encoded::equals_batches(open, topics))),
        ("skip to a cursor", Box::pin(skip::skip_to(open, topics))),
    ]
}

/// Returns the run of a case over a new source.
fn on<'a, S: SourceUnderTest>(
    open: &'a impl AsyncFn() -> Result<S, Problem>,
    topics: &'a [&'a str],
    case: impl AsyncFnOnce(Probe<S>) -> CaseResult + 'a,
) -> Pin<Box<dyn Future<Output = CaseResult> + 'a>> {
    Box::pin(async move { case(Probe::new(open().await?, topics)?).await })
}
