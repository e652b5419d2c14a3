use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::conformance::cases::CASES;
use crate::conformance::clients::BoxFuture;
use crate::conformance::run::case::Case;
use crate::conformance::run::drive::drive;
use crate::conformance::run::report::{Failure, Failures, Report, Skipped};
use crate::conformance::run::{AdapterUnderTest, Capabilities, CaseContext, CaseHub, CaseResult};

/// Number of failures after which no further run is taken, because many failures take the whole time of a case.
const MOST_FAILURES: usize = 12;

/// The runs of each case over its adapters. Several workers, each with a hub and adapters of its own, take them one after another.
///
/// [`hub`](crate::conformance::hub) and [`adapters`](crate::conformance::adapters) run a table on one thread under virtual time. A table
/// of its own is for adapters that need a runtime, such as those over real sockets.
///
/// ```
/// use std::time::Duration;
/// use tidings::conformance::{AdapterUnderTest, CaseHub, Failures, LocalHubs, Report, Table};
/// use tokio::time::timeout;
///
/// /// `connect` opens the adapters, whose servers subscribe to the hub.
/// async fn conforms(
///     connect: impl AsyncFn(&CaseHub) -> Vec<Box<dyn AdapterUnderTest>>,
/// ) -> Result<Report, Failures> {
///     let (table, hub) = (Table::new(), CaseHub::new(LocalHubs::default()));
///     let adapters = connect(&hub).await;
///     let limit = Duration::from_secs(60);
///     table.work(&hub, &adapters, |run| {
///         Box::pin(async move { timeout(limit, run).await.unwrap_or_else(|_| Err("no item for 60 s".into())) })
///     }).await;
///     table.report()
/// }
/// ```
pub struct Table {
    cases: &'static [Case],
    /// Whether a case of pairs runs once for each adapter, in place of each pair.
    cycle: bool,
    /// Number of runs that were taken.
    taken: AtomicUsize,
    done: Mutex<Done>,
}

#[derive(Debug, Default)]
struct Done {
    runs: usize,
    /// Names of cases that ran.
    cases: Vec<&'static str>,
    skipped: Vec<Skipped>,
    failed: Vec<Failure>,
}

/// A run of a case.
type Run<'a> = (&'static Case, Vec<&'a dyn AdapterUnderTest>);

impl Table {
    /// Returns a table of the cases that [`adapters`](crate::conformance::adapters) runs.
    #[must_use]
    pub fn new() -> Self {
        Self::of(CASES, false)
    }

    pub(in crate::conformance) fn of(cases: &'static [Case], cycle: bool) -> Self {
        Self { cases, cycle, taken: AtomicUsize::new(0), done: Mutex::default() }
    }

    /// Takes runs until none is left, each inside `within`, which limits its time. Stops after 12 failures.
    pub async fn work(
        &self,
        hub: &CaseHub,
        adapters: &[Box<dyn AdapterUnderTest>],
        within: impl for<'a> Fn(BoxFuture<'a, CaseResult>) -> BoxFuture<'a, CaseResult>,
    ) {
        let runs = self.runs(adapters, hub.capabilities());
        while let Some(run) = runs.get(self.taken.fetch_add(1, Ordering::Relaxed)) {
            let result = within(Box::pin(perform(hub, run))).await;
            self.record(run, result, runs.len());
        }
    }

    /// Takes runs until none is left, on the current thread and under the virtual time of the hub.
    pub(in crate::conformance) fn drive(&self, hub: &CaseHub, adapters: &[Box<dyn AdapterUnderTest>]) {
        let capabilities = hub.capabilities();
        let runs = self.runs(adapters, capabilities);
        while let Some(run) = runs.get(self.taken.fetch_add(1, Ordering::Relaxed)) {
            let result = drive(hub.timer(), capabilities.immediate, perform(hub, run));
            self.record(run, result, runs.len());
        }
    }

    /// Returns the report of the runs that were taken.
    ///
    /// # Errors
    ///
    /// Returns the failures, if there are any.
    pub fn report(&self) -> Result<Report, Failures> {
        let done = self.done();
        match done.failed.is_empty() {
            true => Ok(Report { cases: done.cases.len(), runs: done.runs, skipped: done.skipped.clone() }),
            false => Err(Failures { failed: done.failed.clone() }),
        }
    }

    fn runs<'a>(&self, adapters: &'a [Box<dyn AdapterUnderTest>], of: Capabilities) -> Vec<Run<'a>> {
        let mut skipped = Vec::new();
        let mut runs = Vec::new();
        for case in self.cases {
            match case.needs.iter().find_map(|ability| ability.lacks(of)) {
                Some(lacks) => skipped.push(Skipped { case: case.name, lacks }),
                None => runs.extend(case.rows.choose(adapters, self.cycle).into_iter().map(|on| (case, on))),
            }
        }
        self.done().skipped = skipped;
        runs
    }

    fn record(&self, (case, on): &Run<'_>, result: CaseResult, all: usize) {
        let mut done = self.done();
        done.runs += 1;
        if !done.cases.contains(&case.name) {
            done.cases.push(case.name);
        }
        if let Err(problem) = result {
            let on = on.iter().map(|row| row.name()).collect::<Vec<_>>().join(" → ");
            done.failed.push(Failure { case: case.name, on, problem: problem.to_string() });
            if done.failed.len() == MOST_FAILURES {
                self.taken.store(all, Ordering::Relaxed);
            }
        }
    }

    fn done(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn perform(hub: &CaseHub, (case, rows): &Run<'_>) -> CaseResult {
    hub.begin(case.options).await?;
    (case.run)(CaseContext { hub, rows }).await
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("done", &*self.done()).finish_non_exhaustive()
    }
}
