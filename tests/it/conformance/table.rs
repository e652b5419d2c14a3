use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidings::Overflow;
use tidings::subscriber::EventRef;

use super::cases::{end, filter, gaps, keyed, order, overflow, resume, topic_ends, ttl};
use super::context::{CaseContext, CaseResult};
use super::row::Row;
use super::test_hub::{Options, TestHub};
use crate::clients::BoxFuture;

/// A test over one or two rows.
pub(crate) struct Case {
    name: &'static str,
    options: Options,
    rows: Rows,
    run: for<'a> fn(CaseContext<'a>) -> BoxFuture<'a, CaseResult>,
}

/// Rows of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    Every,
    /// Rows whose clients have cursors.
    Resuming,
    /// Rows whose clients stay subscribed between reads.
    Live,
    /// Every ordered pair of rows whose clients have cursors.
    Pairs,
}

impl Case {
    const fn new(
        name: &'static str,
        retain: usize,
        rows: Rows,
        run: for<'a> fn(CaseContext<'a>) -> BoxFuture<'a, CaseResult>,
    ) -> Self {
        Self { name, options: Options { retain, overflow: Overflow::Gap, filter: None }, rows, run }
    }

    const fn overflow(mut self, overflow: Overflow) -> Self {
        self.options.overflow = overflow;
        self
    }

    const fn filter(mut self, filter: fn(&EventRef<'_>) -> bool) -> Self {
        self.options.filter = Some(filter);
        self
    }
}

/// The table.
const CASES: &[Case] = &[
    Case::new("order across topics", 100, Rows::Every, |cx| Box::pin(order::across_topics(cx))),
    Case::new("payloads of every kind", 100, Rows::Every, |cx| Box::pin(order::payloads(cx))),
    Case::new("a burst in more than one piece", 100, Rows::Every, |cx| Box::pin(order::a_burst(cx))),
    Case::new("no event of other topics", 100, Rows::Every, |cx| Box::pin(order::no_event_of_other_topics(cx))),
    Case::new("resume before the first event", 100, Rows::Resuming, |cx| Box::pin(resume::before_the_first(cx))),
    Case::new("resume at every cut", 100, Rows::Resuming, |cx| Box::pin(resume::at_every_cut(cx))),
    Case::new("resume twice with one cursor", 100, Rows::Resuming, |cx| Box::pin(resume::twice(cx))),
    Case::new("resume on another transport", 100, Rows::Pairs, |cx| Box::pin(resume::on_another(cx))),
    Case::new("gap on eviction", 4, Rows::Resuming, |cx| Box::pin(gaps::evicted(cx))),
    Case::new("gap on eviction in one of two topics", 4, Rows::Resuming, |cx| Box::pin(gaps::evicted_in_one(cx))),
    Case::new("gap on eviction, not repeated on another transport", 4, Rows::Pairs, |cx| {
        Box::pin(gaps::not_repeated(cx))
    }),
    Case::new("gap after lag", 4, Rows::Live, |cx| Box::pin(gaps::overflow(cx))),
    Case::new("the newest of each key", 1_000, Rows::Every, |cx| Box::pin(overflow::latest(cx)))
        .overflow(Overflow::Latest),
    Case::new("the newest of each key on another transport", 100, Rows::Pairs, |cx| {
        Box::pin(overflow::latest_on_another(cx))
    })
    .overflow(Overflow::Latest),
    Case::new("no gap for replaced events", 3, Rows::Every, |cx| Box::pin(overflow::latest_resumed(cx)))
        .overflow(Overflow::Latest),
    Case::new("gap after lag, and the newest of each key", 4, Rows::Live, |cx| Box::pin(overflow::latest_lagging(cx)))
        .overflow(Overflow::Latest),
    Case::new("disconnected after lag", 4, Rows::Live, |cx| Box::pin(overflow::disconnect(cx)))
        .overflow(Overflow::Disconnect),
    Case::new("no expired event", 100, Rows::Every, |cx| Box::pin(ttl::never_delivered(cx))),
    Case::new("no gap for expired events", 4, Rows::Resuming, |cx| Box::pin(ttl::no_gap(cx))),
    Case::new("events that a predicate keeps", 100, Rows::Every, |cx| Box::pin(filter::kept_events_only(cx)))
        .filter(filter::is_visible),
    Case::new("events that a predicate keeps, on another transport", 4, Rows::Pairs, |cx| {
        Box::pin(filter::on_another(cx))
    })
    .filter(filter::is_visible),
    Case::new("gap on another epoch", 4, Rows::Resuming, |cx| Box::pin(gaps::epoch(cx))),
    Case::new("unreadable cursor", 4, Rows::Every, |cx| Box::pin(gaps::unreadable(cx))),
    Case::new("end", 100, Rows::Every, |cx| Box::pin(end::after_all_events(cx))),
    Case::new("ends of topics", 100, Rows::Every, |cx| Box::pin(topic_ends::in_order(cx))),
    Case::new("ends of topics, unread", 100, Rows::Live, |cx| Box::pin(topic_ends::unread(cx))),
    Case::new("ends of topics, resumed at every cut", 100, Rows::Resuming, |cx| {
        Box::pin(topic_ends::resumed_at_every_cut(cx))
    }),
    Case::new("ends of topics on another transport", 100, Rows::Pairs, |cx| Box::pin(topic_ends::on_another(cx))),
    Case::new("ends of topics and evicted events", 4, Rows::Resuming, |cx| Box::pin(topic_ends::evicted(cx))),
    Case::new("ends of topics after lag", 4, Rows::Live, |cx| Box::pin(topic_ends::overflow(cx))),
    Case::new("ends of topics on another epoch", 4, Rows::Resuming, |cx| Box::pin(topic_ends::epoch(cx))),
    Case::new("topics that had ended before", 100, Rows::Every, |cx| Box::pin(topic_ends::before(cx))),
    Case::new("state first, then changes", 100, Rows::Every, |cx| Box::pin(keyed::state_first(cx))),
    Case::new("state, cut before it, on another transport", 100, Rows::Pairs, |cx| {
        Box::pin(keyed::cut_before_the_state(cx))
    }),
    Case::new("state, cut in it, on another transport", 100, Rows::Pairs, |cx| Box::pin(keyed::cut_in_the_state(cx))),
    Case::new("state, cut in it, without history", 0, Rows::Resuming, |cx| Box::pin(keyed::cut_in_the_state(cx))),
    Case::new("state, away longer than history", 4, Rows::Resuming, |cx| Box::pin(keyed::away_longer_than_history(cx))),
    Case::new("state with forgotten removals", 4, Rows::Resuming, |cx| Box::pin(keyed::removals_forgotten(cx))),
    Case::new("state on another epoch", 100, Rows::Resuming, |cx| Box::pin(keyed::epoch(cx))),
    Case::new("state after lag", 4, Rows::Live, |cx| Box::pin(keyed::lag(cx))),
    Case::new("end after unread events", 100, Rows::Live, |cx| Box::pin(end::after_unread_events(cx))),
];

/// Number of failures after which no further run is taken, because many failures take the whole time of a case.
const MAX_FAILURES: usize = 12;

/// The runs of every case over its rows. Several workers, each with a hub and rows of its own, take them one after another.
#[derive(Default)]
pub(crate) struct Table {
    /// Number of runs that were taken.
    taken: AtomicUsize,
    failed: Mutex<Vec<String>>,
}

impl Table {
    /// Takes runs until none is left, each inside `within`, which limits its time. Stops after [`MAX_FAILURES`].
    pub(crate) async fn work(
        &self,
        hub: &TestHub,
        rows: &[Box<dyn Row>],
        within: impl for<'a> Fn(BoxFuture<'a, CaseResult>) -> BoxFuture<'a, CaseResult>,
    ) {
        let runs: Vec<_> =
            CASES.iter().flat_map(|case| case.rows.choose(rows).into_iter().map(move |on| (case, on))).collect();
        for case in CASES {
            assert!(runs.iter().any(|(other, _)| case.name == other.name), "{}: no row", case.name);
        }
        while let Some((case, rows)) = runs.get(self.taken.fetch_add(1, Ordering::Relaxed)) {
            hub.begin(case.options);
            if let Err(error) = within((case.run)(CaseContext { hub, rows })).await {
                let names = rows.iter().map(|row| row.name()).collect::<Vec<_>>().join(" → ");
                let mut failed = self.failed.lock().unwrap();
                failed.push(format!("{}, {names}: {error}", case.name));
                if failed.len() == MAX_FAILURES {
                    self.taken.store(runs.len(), Ordering::Relaxed);
                }
            }
        }
    }

    /// Panics with the failures, if there are any.
    pub(crate) fn check(&self) {
        let failed = self.failed.lock().unwrap();
        assert!(failed.is_empty(), "{} runs failed:\n{}", failed.len(), failed.join("\n"));
    }
}

impl Rows {
    fn choose(self, rows: &[Box<dyn Row>]) -> Vec<Vec<&dyn Row>> {
        let rows = rows.iter().map(|row| &**row);
        match self {
            Self::Every => rows.map(|row| vec![row]).collect(),
            Self::Resuming => rows.filter(|row| row.resumes()).map(|row| vec![row]).collect(),
            Self::Live => rows.filter(|row| row.is_live()).map(|row| vec![row]).collect(),
            Self::Pairs => {
                let rows: Vec<_> = rows.filter(|row| row.resumes()).collect();
                rows.iter().flat_map(|from| rows.iter().map(|to| vec![*from, *to])).collect()
            }
        }
    }
}
