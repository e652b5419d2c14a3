use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::contract::{Batch, EventFilter};
use crate::engine::history::{
    History, HistoryError, HistoryPage, LostEvents, Read, ReadFuture, ReadRange, StoredEnd, StoredEvent,
};
use crate::model::{Cursor, Gap, GapReason, TopicEnd};

/// Events that a subscription reads from the history before it continues in memory.
pub(crate) struct Fill {
    epoch: u64,
    read: Read,
    /// Sequence of the last event that was delivered. `None` if nothing is known of the position: the subscription starts at the
    /// oldest or at the last events, and has not read them.
    position: Option<u64>,
    forgiven: Forgiven,
    /// Gap that is delivered with the first page.
    opening: Option<Gap>,
    /// Ends of topics, in their order, which are delivered between the events.
    ends: VecDeque<TopicEnd>,
    reading: Option<ReadFuture>,
    items: VecDeque<Filled>,
}

/// Lost events that are no gap: the subscription starts after them, or its first gap is for them, too.
#[derive(Debug, Clone, Copy)]
struct Forgiven {
    /// Sequence of the last of them.
    up_to: u64,
    /// Number of trims when the first page was read. Events that were lost later are not forgiven. `None` before the first page.
    trims: Option<u64>,
}

/// Item of a fill.
pub(crate) enum Filled {
    Events(Batch),
    Gap(Gap),
    TopicEnd(TopicEnd),
    /// The history is closed.
    Closed,
}

impl Fill {
    /// Returns a fill with the events after a position, up to another.
    pub(crate) fn after(epoch: u64, ranges: Arc<[ReadRange]>, after: u64, up_to: u64) -> Self {
        Self {
            epoch,
            read: Read::between(ranges, after, up_to),
            position: Some(after),
            forgiven: Forgiven::NONE,
            opening: None,
            ends: VecDeque::new(),
            reading: None,
            items: VecDeque::new(),
        }
    }

    /// Returns a fill with the states of topics that the client did not follow up to its position, too.
    pub(crate) fn with_states(mut self) -> Self {
        let is_whole = |range: &ReadRange| range.state.is_some_and(|state| state.after < self.read.after);
        if self.read.ranges.iter().any(is_whole) {
            self.read.after = 0;
        }
        self
    }

    /// Returns a fill that starts at the oldest or at the last events of its ranges. Events up to `since` that are lost are no gap.
    pub(crate) fn start(epoch: u64, ranges: Arc<[ReadRange]>, up_to: u64, since: u64) -> Self {
        let forgiven = Forgiven { up_to: since, trims: None };
        let fill = Self { position: None, forgiven, ..Self::after(epoch, ranges, 0, up_to) };
        Self { read: Read { since, ..fill.read }, ..fill }
    }

    /// Adds a gap before the first event.
    pub(crate) fn with_opening(self, gap: Gap) -> Self {
        Self { opening: Some(gap), ..self }
    }

    /// Returns a fill with a gap for everything that is not retained, and with all retained events.
    pub(crate) fn after_gap(gap: Gap, ranges: Arc<[ReadRange]>, up_to: u64) -> Self {
        Self::start(gap.cursor.epoch(), ranges, up_to, up_to).with_opening(gap)
    }

    /// Adds the ends of topics up to the end of the fill, in their order. Those before its beginning are delivered there.
    pub(crate) fn with_ends(self, ends: Vec<StoredEnd>, are_all: bool) -> Self {
        let first = self.position.unwrap_or(0);
        let ends = ends
            .into_iter()
            .map(|end| TopicEnd::new(end.topic, Cursor::new(self.epoch, end.sequence.max(first)), end.reason));
        let mut ends: VecDeque<_> = ends.collect();
        if let Some(last) = ends.pop_back() {
            ends.push_back(if are_all { last.with_last() } else { last });
        }
        Self { ends, ..self }
    }

    /// Returns the sequence of the last event of the fill.
    pub(crate) fn up_to(&self) -> u64 {
        self.read.up_to
    }

    /// Returns the cursor of the client, if it is known. Its tag is the sequence up to which the client needs no removal, if that
    /// is later.
    pub(crate) fn cursor(&self) -> Option<Cursor> {
        let position = self.position?;
        let cursor = Cursor::new(self.epoch, position);
        let base = self.read.ranges.iter().filter_map(|range| Some(range.state?.needed(position))).min();
        // Before the gap the client has its old states.
        let begins_again = || self.items.iter().any(|item| matches!(item, Filled::Gap(gap) if gap.snapshot));
        let base = base.filter(|base| *base > position && position > 0 && !begins_again());
        Some(base.map_or(cursor, |base| cursor.with_tag(base)))
    }

    /// Returns the next item; `None` after the last.
    pub(crate) fn poll(
        &mut self,
        history: &dyn History,
        filter: Option<&EventFilter>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Filled>> {
        loop {
            if let Some(item) = self.items.pop_front() {
                self.pass(&item);
                return Poll::Ready(Some(item));
            }
            if self.read.after >= self.read.up_to {
                let ends = self.ends.drain(..).map(Filled::TopicEnd);
                self.items.extend(self.opening.take().map(Filled::Gap).into_iter().chain(ends));
                if self.items.is_empty() {
                    return Poll::Ready(None);
                }
                continue;
            }
            let reading = self.reading.get_or_insert_with(|| history.read(self.read.clone()));
            let page = ready!(reading.as_mut().poll(cx));
            self.reading = None;
            let page = match page {
                Ok(page) => page,
                Err(HistoryError { is_closed: false }) => self.unreadable(),
                Err(HistoryError { is_closed: true }) => return Poll::Ready(Some(Filled::Closed)),
            };
            self.take(page, filter);
        }
    }

    /// Puts the rest of a batch back, of which the first events were delivered.
    pub(crate) fn put_back(&mut self, rest: Batch, delivered: Option<Cursor>) {
        self.position = delivered.map(Cursor::sequence).or(self.position);
        self.items.push_front(Filled::Events(rest));
    }

    /// Leaves out the events up to a sequence, but not those of states that the client lacks.
    pub(crate) fn skip_to(&mut self, sequence: u64) {
        if self.lacks_state() {
            return self.skip_beside_states(sequence);
        }
        let cursor = Cursor::new(self.epoch, sequence);
        self.opening = None;
        let items = std::mem::take(&mut self.items);
        self.items = items.into_iter().filter_map(|item| item.after(cursor)).collect();
        self.ends.iter_mut().for_each(|end| end.cursor = later(end.cursor, cursor));
        if self.position.is_none_or(|position| position < sequence) {
            self.position = Some(sequence);
        }
        if self.read.after < sequence {
            // A read of events that are skipped is dropped.
            (self.read.after, self.reading) = (sequence, None);
        }
    }

    /// Returns whether the client lacks a part of a state up to its position.
    fn lacks_state(&self) -> bool {
        let position = self.position.unwrap_or(0);
        self.read.ranges.iter().any(|range| range.state.is_some_and(|state| state.base > position))
    }

    #[cold]
    fn skip_beside_states(&mut self, sequence: u64) {
        let skipped = |range: &ReadRange| ReadRange { after: range.after.max(sequence), ..range.clone() };
        self.read.ranges = self.read.ranges.iter().map(skipped).collect();
        self.opening.take_if(|gap| !gap.snapshot);
        self.reading = None;
        // They are read again, without those that are skipped.
        let items = std::mem::take(&mut self.items);
        let ends = items.into_iter().filter_map(|item| match item {
            Filled::TopicEnd(end) => Some(end),
            _ => None,
        });
        self.ends = ends.chain(std::mem::take(&mut self.ends)).collect();
        let cursor = Cursor::new(self.epoch, sequence);
        self.ends.iter_mut().for_each(|end| end.cursor = later(end.cursor, cursor));
        self.read.after = self.position.unwrap_or(0);
    }

    /// Begins again with the whole state of the topic, or of all keyed topics, after a gap. Other topics continue at the position.
    #[cold]
    fn begin_states_again(&mut self, lost: LostEvents) {
        let (after, up_to, mut topic) = (self.read.after, self.read.up_to, lost.topic);
        // The gap has the topic only if all others of its range keep their states.
        topic.take_if(|topic| !self.read.ranges.iter().any(|range| range.name.as_topic() == Some(topic)));
        let again = |range: &ReadRange| match range.name.as_topic() == topic.as_ref() || topic.is_none() {
            true => ReadRange { after: range.after.max(after), ..range.with_whole_states(up_to) },
            false => range.resumed(range.after.max(after), range.state.map_or(0, |state| state.needed(after))),
        };
        self.read.ranges = self.read.ranges.iter().map(again).collect();
        self.read.after = 0;
        let gap =
            Gap::new(GapReason::Evicted, Cursor::new(self.epoch, 0)).with_gone(Cursor::new(self.epoch, lost.last));
        let gap = topic.into_iter().fold(gap, Gap::with_topic).with_snapshot();
        self.items.push_back(Filled::Gap(gap.with_after(Cursor::new(self.epoch, after))));
    }

    fn pass(&mut self, item: &Filled) {
        let passed = match item {
            Filled::Events(batch) => batch.iter().next_back().and_then(|event| event.cursor).map(Cursor::sequence),
            Filled::Gap(gap) => Some(gap.cursor.sequence()),
            Filled::TopicEnd(end) => Some(end.cursor.sequence()),
            Filled::Closed => None,
        };
        self.position = passed.or(self.position);
    }

    /// Returns a page without the events, which cannot be read. They are a gap for every client.
    fn unreadable(&mut self) -> HistoryPage {
        self.forgiven = Forgiven::NONE;
        let up_to = self.read.up_to;
        HistoryPage::new(Vec::new(), up_to).with_lost(LostEvents::up_to(up_to))
    }

    /// Takes a page. The gap of lost events is before the first event that may be after one of them: a client that is cut before the
    /// gap lacks none, and one that is cut after it has got the gap.
    fn take(&mut self, page: HistoryPage, filter: Option<&EventFilter>) {
        let HistoryPage { events, up_to, lost, lost_state, trims, .. } = page;
        if let Some(lost) = lost_state {
            return self.begin_states_again(lost);
        }
        let is_forgiven = *self.forgiven.trims.get_or_insert(trims) == trims
            && lost.as_ref().is_none_or(|lost| lost.last <= self.forgiven.up_to);
        self.items.extend(self.opening.take().map(Filled::Gap));
        // A loss after the page is also one of the next read.
        let lost = lost.filter(|lost| !is_forgiven && (self.read.after + 1..=up_to).contains(&lost.last));
        let mut records = self.records(events, up_to);
        if self.position.is_none() && self.items.is_empty() {
            self.position = Some(records.first().map_or(up_to, |first| first.sequence().max(1) - 1));
        }
        if let Some(lost) = lost {
            let (earlier, next) = self.without_loss(&records);
            let later = records.split_off(earlier);
            self.add(std::mem::replace(&mut records, later), filter);
            let cursor = next.map_or(lost.last, |next| lost.last.min(next - 1));
            let gap = Gap::new(GapReason::Evicted, Cursor::new(self.epoch, cursor));
            let gap = lost.topic.into_iter().fold(gap, Gap::with_topic).with_after(self.last_item());
            let gone = Cursor::new(self.epoch, lost.last);
            self.items.push_back(Filled::Gap(if cursor < lost.last { gap.with_gone(gone) } else { gap }));
        }
        self.add(records, filter);
        // A page without progress would be read for ever.
        self.read.after = up_to.max(self.read.after + 1);
    }

    /// Returns the events of a page and the ends of topics up to its end, in their order.
    fn records(&mut self, events: Vec<StoredEvent>, up_to: u64) -> Vec<Record> {
        let mut records: Vec<_> = events.into_iter().map(Record::Event).collect();
        while self.ends.front().is_some_and(|end| end.cursor.sequence() <= up_to) {
            let Some(end) = self.ends.pop_front() else { break };
            let place = records.partition_point(|record| record.sequence() <= end.cursor.sequence());
            records.insert(place, Record::End(end));
        }
        records
    }

    /// Returns the number of first records of a page between which no event can be lost, and the sequence of the next one.
    fn without_loss(&self, records: &[Record]) -> (usize, Option<u64>) {
        let sequences = records.iter().zip(self.read.after + 1..);
        let count = sequences.take_while(|(record, sequence)| record.sequence() <= *sequence).count();
        (count, records.get(count).map(Record::sequence))
    }

    /// Returns the position of the last item, or of the client.
    fn last_item(&self) -> Cursor {
        let last = self.items.back().and_then(|item| match item {
            Filled::Events(batch) => batch.iter().next_back()?.cursor,
            Filled::Gap(gap) => Some(gap.cursor),
            Filled::TopicEnd(end) => Some(end.cursor),
            Filled::Closed => None,
        });
        last.unwrap_or(Cursor::new(self.epoch, self.read.after))
    }

    /// Adds records, and events as batches of one topic.
    fn add(&mut self, records: Vec<Record>, filter: Option<&EventFilter>) {
        let is_kept = |record: &Record| match record {
            Record::Event(event) => is_kept(event, self.epoch, filter),
            Record::End(_) => true,
        };
        let mut records = records.into_iter().filter(is_kept).peekable();
        while let Some(record) = records.next() {
            let StoredEvent { sequence, topic, event } = match record {
                Record::Event(event) => event,
                Record::End(end) => {
                    self.items.push_back(Filled::TopicEnd(end));
                    continue;
                }
            };
            let mut batch = vec![(sequence, event)];
            let is_next = |record: &Record| matches!(record, Record::Event(next) if next.topic == topic);
            while let Some(Record::Event(next)) = records.next_if(is_next) {
                batch.push((next.sequence, next.event));
            }
            self.items.push_back(Filled::Events(Batch::new(topic, self.epoch, batch)));
        }
    }
}

/// Event of a page, or end of a topic.
enum Record {
    Event(StoredEvent),
    End(TopicEnd),
}

impl Record {
    fn sequence(&self) -> u64 {
        match self {
            Self::Event(event) => event.sequence,
            Self::End(end) => end.cursor.sequence(),
        }
    }
}

/// Returns the later of two cursors of one epoch.
fn later(one: Cursor, other: Cursor) -> Cursor {
    if one.sequence() < other.sequence() { other } else { one }
}

impl Forgiven {
    const NONE: Self = Self { up_to: 0, trims: None };
}

impl Filled {
    /// Returns the rest after a cursor; `None` if there is none.
    fn after(self, cursor: Cursor) -> Option<Self> {
        match self {
            Self::Events(batch) => batch.after(cursor).map(Self::Events),
            Self::Gap(gap) => (gap.gone.unwrap_or(gap.cursor).sequence() > cursor.sequence()).then_some(Self::Gap(gap)),
            // It is delivered with the cursor.
            Self::TopicEnd(end) => Some(Self::TopicEnd(TopicEnd { cursor: later(end.cursor, cursor), ..end })),
            Self::Closed => Some(Self::Closed),
        }
    }
}

fn is_kept(event: &StoredEvent, epoch: u64, filter: Option<&EventFilter>) -> bool {
    let cursor = Some(Cursor::new(epoch, event.sequence));
    filter.is_none_or(|filter| filter.keeps(&crate::contract::EventRef::new(&event.topic, &event.event, cursor)))
}
