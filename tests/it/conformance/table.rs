use tidings::Overflow;

use super::cases::{end, gaps, order, overflow, resume, ttl};
use super::row::Row;
use super::scene::{Scene, Verdict};
use super::stage::Stage;
use crate::clients::Waiting;

/// Something that holds for every row that it is for.
pub(crate) struct Case {
    name: &'static str,
    /// How many events of each topic the hub keeps.
    retain: usize,
    /// Behaviour of a subscriber that falls behind.
    overflow: Overflow,
    rows: Rows,
    run: for<'a> fn(Scene<'a>) -> Waiting<'a, Verdict>,
}

/// Rows that a case is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    Every,
    /// Those with clients that have cursors.
    Resuming,
    /// Those with clients that are subscribed while they don't look.
    Live,
    /// Every ordered pair of those whose clients have cursors.
    Pairs,
}

impl Case {
    const fn new(
        name: &'static str,
        retain: usize,
        rows: Rows,
        run: for<'a> fn(Scene<'a>) -> Waiting<'a, Verdict>,
    ) -> Self {
        Self { name, retain, overflow: Overflow::Gap, rows, run }
    }

    const fn overflow(self, overflow: Overflow) -> Self {
        Self { overflow, ..self }
    }
}

/// The table.
const CASES: &[Case] = &[
    Case::new("order across topics", 100, Rows::Every, |scene| Box::pin(order::across_topics(scene))),
    Case::new("payloads of every kind", 100, Rows::Every, |scene| Box::pin(order::payloads(scene))),
    Case::new("a burst in more than one piece", 100, Rows::Every, |scene| Box::pin(order::a_burst(scene))),
    Case::new("nothing of other topics", 100, Rows::Every, |scene| Box::pin(order::nothing_of_others(scene))),
    Case::new("resume before the first event", 100, Rows::Resuming, |scene| Box::pin(resume::before_the_first(scene))),
    Case::new("resume at every cut", 100, Rows::Resuming, |scene| Box::pin(resume::at_every_cut(scene))),
    Case::new("resume twice with one cursor", 100, Rows::Resuming, |scene| Box::pin(resume::twice(scene))),
    Case::new("resume by another transport", 100, Rows::Pairs, |scene| Box::pin(resume::by_another(scene))),
    Case::new("gap on eviction", 4, Rows::Resuming, |scene| Box::pin(gaps::evicted(scene))),
    Case::new("gap on eviction in one of two topics", 4, Rows::Resuming, |scene| Box::pin(gaps::evicted_in_one(scene))),
    Case::new("gap on eviction, told to another transport", 4, Rows::Pairs, |scene| Box::pin(gaps::told_once(scene))),
    Case::new("gap when it falls behind", 4, Rows::Live, |scene| Box::pin(gaps::overflow(scene))),
    Case::new("the newest of each key", 1_000, Rows::Every, |scene| Box::pin(overflow::latest(scene)))
        .overflow(Overflow::Latest),
    Case::new("the newest of each key, by another transport", 100, Rows::Pairs, |scene| {
        Box::pin(overflow::latest_by_another(scene))
    })
    .overflow(Overflow::Latest),
    Case::new("no gap of what newer events replaced", 3, Rows::Every, |scene| Box::pin(overflow::latest_away(scene)))
        .overflow(Overflow::Latest),
    Case::new("gap when it falls behind, and the newest of each key", 4, Rows::Live, |scene| {
        Box::pin(overflow::latest_behind(scene))
    })
    .overflow(Overflow::Latest),
    Case::new("let go when it falls behind", 4, Rows::Live, |scene| Box::pin(overflow::disconnect(scene)))
        .overflow(Overflow::Disconnect),
    Case::new("nothing that has expired", 100, Rows::Every, |scene| Box::pin(ttl::never_seen(scene))),
    Case::new("no gap of what has expired", 4, Rows::Resuming, |scene| Box::pin(ttl::no_gap(scene))),
    Case::new("gap on another epoch", 4, Rows::Resuming, |scene| Box::pin(gaps::epoch(scene))),
    Case::new("unreadable cursor", 4, Rows::Every, |scene| Box::pin(gaps::unreadable(scene))),
    Case::new("end", 100, Rows::Every, |scene| Box::pin(end::after_all_is_seen(scene))),
    Case::new("end behind what was not seen", 100, Rows::Live, |scene| Box::pin(end::behind_the_rest(scene))),
];

/// How many failures are enough to see what is wrong. Many of them take as long as they are allowed.
const ENOUGH: usize = 12;

/// Runs every case over the rows that it is for, each within what `within` allows it, and fails with those that failed.
pub(crate) async fn run(
    stage: &Stage,
    rows: &[Box<dyn Row>],
    within: impl for<'a> Fn(Waiting<'a, Verdict>) -> Waiting<'a, Verdict>,
) {
    let runs: Vec<_> =
        CASES.iter().flat_map(|case| case.rows.choose(rows).into_iter().map(move |on| (case, on))).collect();
    for case in CASES {
        assert!(runs.iter().any(|(other, _)| case.name == other.name), "{}: there is no row for it", case.name);
    }
    let mut failed = Vec::new();
    for (number, (case, rows)) in (1..).zip(&runs) {
        stage.begin(case.retain, case.overflow);
        if let Err(why) = within((case.run)(Scene { stage, rows })).await {
            let names = rows.iter().map(|row| row.name()).collect::<Vec<_>>().join(" → ");
            failed.push(format!("{}, {names}: {why}", case.name));
        }
        if failed.len() == ENOUGH || number == runs.len() {
            let of = format!("{} of the first {number} runs failed, of {}", failed.len(), runs.len());
            assert!(failed.is_empty(), "{of}:\n{}", failed.join("\n"));
        }
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
