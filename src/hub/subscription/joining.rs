use crate::contract::{Start, SubscribeError, SubscribeOptions};
use crate::hub::log::seek::{EndAhead, StartAt, StartPoint};
use crate::hub::log::state_start::{Starts, StateStart};
use crate::hub::shared::Shared;
use crate::hub::subscription::backfill::Backfill;
use crate::hub::subscription::reader::Reader;
use crate::hub::subscription::state_position::NOWHERE;
use crate::model::{Gap, GapReason, Overflow, Pattern};

/// Logs of a subscription, with its position in each.
#[derive(Debug, Default)]
pub(crate) struct JoinedLogs {
    pub(crate) topics: Vec<(Reader, StartPoint)>,
    pub(crate) patterns: Vec<(Reader, Backfill)>,
}

impl JoinedLogs {
    /// Joins all logs, or those before the first that is refused.
    pub(crate) fn join(
        &mut self,
        shared: &Shared,
        names: &[Pattern],
        options: &SubscribeOptions,
    ) -> Result<Beginning, SubscribeError> {
        for pattern in names.iter().filter(|name| name.as_topic().is_none()) {
            let (log, place) = shared.follow(pattern, options.overflow_of(pattern))?;
            self.patterns.push((Reader::new(log, &place), Backfill::none(0)));
        }
        let published = match self.patterns.is_empty() {
            true => shared.published.load(),
            // A later event is appended after this, and so to the patterns' logs, too.
            false => shared.settled(),
        };
        let mut beginning = Beginning::new(shared, options.start(), published).continuing(options);
        let all = beginning.from;
        let from = |name: &Pattern| options.own_start(name).map_or(all, |own| StartAt::start(own, published));
        for (name, topic) in names.iter().filter_map(|name| Some((name, name.as_topic()?))) {
            let starts = beginning.starts(name, options);
            let plain = options.own_start(name).map_or(starts.plain, |own| StartAt::start(own, published));
            let (log, point) = shared.join(topic, Starts { plain, ..starts }, options.overflow_of(name))?;
            self.topics.push((Reader::new(log, &point), point));
        }
        let has_state = shared.has_keyed && self.may_have_state(shared);
        if has_state {
            beginning = beginning.with_state(shared);
        }
        for (reader, backfill) in &mut self.patterns {
            let name = &reader.log.name;
            let unsure;
            let keyed = beginning.starts(name, options).keyed;
            let starts = Starts { plain: from(name), keyed };
            (*backfill, unsure) = Backfill::begin(shared, name, starts, published, options.overflow_of(name));
            reader.skip_to(published, Overflow::Gap);
            beginning.gap = match (beginning.gap, unsure) {
                (Some(gap), Some(unsure)) => Some(Gap { gone: unsure.gone, ..gap }),
                (gap, unsure) => gap.or(unsure),
            };
        }
        if has_state && options.start() == Start::After(NOWHERE) {
            // Nothing is missing for a client that begins.
            self.take_gaps();
            beginning.gap = None;
        }
        if let Some(gap) = beginning.gap.as_mut().filter(|gap| gap.reason == GapReason::Epoch) {
            let gone = self.take_gaps().map(|sequence| shared.cursor(sequence));
            gap.gone = gap.gone.or(gone);
        }
        if let Some(end) = self.first_end() {
            beginning.gap = beginning.gap.map(|gap| gap_before_end(gap, shared, end));
        }
        Ok(beginning)
    }

    /// Returns whether one of the topics is keyed, or may be.
    #[cold]
    fn may_have_state(&self, shared: &Shared) -> bool {
        self.topics.iter().any(|(reader, _)| reader.log.is_keyed())
            || self.patterns.iter().any(|(reader, _)| shared.registry.may_be_keyed(&reader.log.name))
    }

    /// Returns whether a state is to be delivered.
    pub(crate) fn is_in_fill(&self) -> bool {
        self.topics.iter().any(|(reader, _)| reader.is_in_fill())
            || self.patterns.iter().any(|(_, backfill)| backfill.is_in_fill())
    }

    /// Returns the sequence of the earliest possible event. A keyed topic is before all events only after its gap.
    pub(crate) fn earliest(&self) -> Option<u64> {
        let is_lost = |reader: &Reader, point: &StartPoint| point.gap.is_some() && reader.log.is_keyed();
        let topics = self.topics.iter().filter(|(reader, point)| !is_lost(reader, point));
        let patterns = self.patterns.iter().filter_map(|(_, backfill)| backfill.earliest());
        topics.filter_map(|(_, point)| point.head).chain(patterns).min()
    }

    /// Returns the sequence of the first end of a topic that is to be delivered.
    pub(crate) fn first_end(&self) -> Option<u64> {
        let ends = self.topics.iter().filter_map(|(_, point)| match point.end {
            EndAhead::At(end) => Some(end),
            EndAhead::None | EndAhead::Passed => None,
        });
        ends.min()
    }

    /// Returns the number of topics that ended before the start.
    pub(crate) fn finished(&self) -> usize {
        self.topics.iter().filter(|(reader, _)| reader.is_finished()).count()
    }

    /// Takes the gaps that are not delivered on their own. Returns the sequence of the last missing event.
    fn take_gaps(&mut self) -> Option<u64> {
        let topics = self.topics.iter_mut().filter_map(|(_, point)| point.gap.take());
        topics.chain(self.patterns.iter_mut().filter_map(|(_, backfill)| backfill.take_gaps())).max()
    }

    fn leave(&self, shared: &Shared) {
        let topics = self.topics.iter().map(|(reader, _)| reader);
        let all = topics.chain(self.patterns.iter().map(|(reader, _)| reader));
        let _gone: Vec<_> =
            all.map(|reader| shared.leave(&reader.log, !reader.is_finished(), |_| None::<()>)).collect();
    }
}

/// Logs that a subscription has joined while it is created. Dropping it leaves them: a later name is refused, or the
/// clock or the drop of an event panics.
pub(crate) struct Joining<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) joined: JoinedLogs,
}

impl Drop for Joining<'_> {
    fn drop(&mut self) {
        self.joined.leave(self.shared);
    }
}

/// Start of a subscription in the hub's order.
pub(crate) struct Beginning {
    pub(crate) from: StartAt,
    /// Start in topics with a state.
    state: StateStart,
    /// Sequence up to which no event is to be delivered.
    pub(crate) sequence: u64,
    pub(crate) gap: Option<Gap>,
    /// Whether the client has no cursor, or the one that a client gets before its first event of a state.
    pub(crate) is_new: bool,
}

impl Beginning {
    /// Returns the start of a subscription. `published` is the present watermark.
    pub(crate) fn new(shared: &Shared, start: Start, published: u64) -> Self {
        let (from, sequence, reason) = match start {
            Start::Now | Start::Oldest | Start::Last(_) => (StartAt::start(start, published), published, None),
            Start::Unreadable => (StartAt::Live(published), published, Some(GapReason::Invalid)),
            Start::After(cursor) => {
                let (epoch, sequence) = (cursor.epoch(), cursor.sequence());
                let last = sequence.max(cursor.tag().unwrap_or(0));
                let known = || last <= published || last <= shared.settled();
                if epoch != shared.epoch {
                    // With all retained events. The others belong to this one gap.
                    (StartAt::After(0), 0, Some(GapReason::Epoch))
                } else if cursor.tag().is_some() && !shared.has_keyed || !known() {
                    (StartAt::Live(published), published, Some(GapReason::Invalid))
                } else {
                    (StartAt::After(sequence), sequence, None)
                }
            }
        };
        let state = match (start, from) {
            (Start::After(cursor), StartAt::After(sequence)) if reason.is_none() => {
                StateStart::After { sequence, base: cursor.tag().unwrap_or(0) }
            }
            _ => StateStart::Whole,
        };
        let is_new = reason.is_none() && !matches!(start, Start::After(_)) || start == Start::After(NOWHERE);
        Self { from, state, sequence, gap: reason.map(|reason| Gap::new(reason, shared.cursor(sequence))), is_new }
    }

    /// Returns the start of a subscription that continues another one: without the states of keyed topics, and without ends of topics
    /// up to there.
    #[inline]
    pub(crate) fn continuing(self, options: &SubscribeOptions) -> Self {
        match options.continues() {
            true => {
                let state = StateStart::After { sequence: self.sequence, base: self.sequence };
                Self { from: StartAt::After(self.sequence), state, is_new: false, ..self }
            }
            false => self,
        }
    }

    /// Returns the start in a topic or pattern that has no start of its own.
    #[inline]
    pub(crate) fn starts(&self, name: &Pattern, options: &SubscribeOptions) -> Starts {
        match options.is_added(name) {
            true => Starts::added(self.from),
            false => Starts { plain: self.from, keyed: self.state },
        }
    }

    /// Returns the start of a subscription with a keyed topic. The cursor of a client without an event of the state stands for
    /// no cursor. The client forgets its state at each other gap of the start, so it gets that gap again until it has an event.
    #[cold]
    pub(crate) fn with_state(self, shared: &Shared) -> Self {
        let published = shared.cursor(self.sequence.max(shared.published.load()));
        let gap = self.gap.filter(|_| !self.is_new);
        let gap = gap.map(|gap| Gap { cursor: shared.cursor(0), ..gap }.with_gone(published).with_snapshot());
        let sequence = if self.is_new { published.sequence() } else { self.sequence };
        Self { gap, sequence, ..self }
    }
}

/// Returns the gap of a start, with the end of a topic still to be delivered. A gap of an unreadable cursor keeps its place
/// before that end, so that a client which resumes at the gap gets the end.
#[cold]
pub(crate) fn gap_before_end(gap: Gap, shared: &Shared, end: u64) -> Gap {
    if gap.cursor.sequence() < end {
        return gap;
    }
    let gone = gap.gone.unwrap_or(gap.cursor);
    Gap { cursor: shared.cursor(end - 1), ..gap }.with_gone(gone)
}
