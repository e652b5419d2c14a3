use std::collections::BTreeSet;

use bytes::BytesMut;

use super::sequences::From;
use crate::contract::{EventRef, Format, Start, Subscribe, Subscriber};
use crate::model::{Cursor, Event, Gap, GapReason, Pattern, Topic};

pub(super) struct Client<S> {
    /// Node to which it is connected.
    pub(super) node: usize,
    pub(super) names: Vec<Pattern>,
    pub(super) from: From,
    pub(super) is_filtered: bool,
    pub(super) subscription: S,
    /// Cursor with which it resumes.
    pub(super) cursor: Option<Cursor>,
    /// Numbers of the earlier events that it must get unless they are trimmed before.
    pub(super) past: BTreeSet<u32>,
    /// Number from which on it must get all.
    pub(super) since: u32,
    pub(super) got: BTreeSet<u32>,
    /// Those since the last gap after which everything is delivered again.
    pub(super) lately: BTreeSet<u32>,
    /// Numbers of events for which it got a gap.
    pub(super) excused: BTreeSet<u32>,
}

impl<S: Subscriber> Client<S> {
    pub(super) fn new(
        names: Vec<Pattern>,
        from: From,
        is_filtered: bool,
        subscription: S,
        past: BTreeSet<u32>,
        since: u32,
    ) -> Self {
        let (cursor, got, lately, excused) = (subscription.cursor(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Self { node: 0, names, from, is_filtered, subscription, cursor, past, since, got, lately, excused }
    }

    pub(super) fn gets_of(&self, number: u32, (_, topic): &(u64, Topic)) -> bool {
        self.names.iter().any(|name| name.matches(topic)) && (!self.is_filtered || number % 2 == 0)
    }

    pub(super) fn gets(&mut self, number: u32, published: &[(u64, Topic)]) {
        assert!(self.lately.last().is_none_or(|last| *last < number), "{number} after {:?}", self.lately);
        assert!(self.gets_of(number, &published[number as usize]), "{number} is not for {:?}", self.names);
        self.lately.insert(number);
        self.got.insert(number);
    }

    /// `gone`: numbers of the events that cannot be read.
    pub(super) fn gap(&mut self, gap: &Gap, published: &[(u64, Topic)], gone: BTreeSet<u32>, has_failed: bool) {
        let missing: Vec<_> = match gap.reason {
            GapReason::Epoch | GapReason::Invalid => {
                self.lately.clear();
                gone.into_iter().collect()
            }
            GapReason::Evicted => {
                assert!(gap.after.is_some_and(|after| after.sequence() < gap.cursor.sequence()), "{gap:?}");
                let end = gap.gone.unwrap_or(gap.cursor).sequence();
                let is_up_to = |number: &u32| {
                    let (sequence, topic) = &published[*number as usize];
                    *sequence <= end && self.names.iter().any(|name| name.matches(topic))
                };
                let is_missing = |number: &u32| is_up_to(number) && !self.lately.contains(number);
                let missing: Vec<_> = gone.into_iter().filter(is_missing).collect();
                assert!(has_failed || !missing.is_empty(), "a gap without missing events: {gap:?}");
                missing
            }
            other => panic!("{other:?}"),
        };
        self.excused.extend(missing);
    }
}

/// Writes the numbers of events, each in four bytes.
pub(super) struct Numbers;

impl Format for Numbers {
    fn encode(&self, event: &EventRef<'_>, out: &mut BytesMut) {
        out.extend_from_slice(&number(event).to_be_bytes());
    }
}

pub(super) fn number(event: &EventRef<'_>) -> u32 {
    number_of(event.event)
}

pub(super) fn is_even(event: &EventRef<'_>) -> bool {
    number(event) % 2 == 0
}

pub(super) fn number_of(event: &Event) -> u32 {
    event.as_str().unwrap().parse().unwrap()
}

pub(super) fn subscribe(names: &[Pattern], is_filtered: bool, start: Start) -> Subscribe {
    let what = Subscribe::patterns(names.iter().cloned()).start(start);
    if is_filtered { what.filter(is_even) } else { what }
}
