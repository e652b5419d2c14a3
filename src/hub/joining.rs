use crate::contract::{Start, SubscribeError, SubscribeOptions};
use crate::hub::placing::{From, Placed};
use crate::hub::reader::Reader;
use crate::hub::replay::Replay;
use crate::hub::shared::Shared;
use crate::model::{Gap, GapReason, Pattern};

/// The logs that a subscription reads, with its place in each.
#[derive(Debug, Default)]
pub(super) struct JoinedLogs {
    pub(super) topics: Vec<(Reader, Placed)>,
    pub(super) patterns: Vec<(Reader, Replay)>,
}

impl JoinedLogs {
    /// Joins all, or those before the first that is refused.
    pub(super) fn join(
        &mut self,
        shared: &Shared,
        names: &[Pattern],
        options: &SubscribeOptions,
    ) -> Result<Beginning, SubscribeError> {
        for pattern in names.iter().filter(|name| name.as_topic().is_none()) {
            self.patterns.push((shared.follow(pattern, options.overflow_of(pattern))?, Replay::none(0)));
        }
        let published = match self.patterns.is_empty() {
            true => shared.published.load(),
            // A later event is appended after this, and so to the patterns' logs too.
            false => shared.settled(),
        };
        let mut beginning = Beginning::new(shared, options.start(), published);
        let all = beginning.from;
        let from = |name: &Pattern| options.own_start(name).map_or(all, |own| From::start(own, published));
        for (name, topic) in names.iter().filter_map(|name| Some((name, name.as_topic()?))) {
            self.topics.push(shared.join(topic, from(name), options.overflow_of(name))?);
        }
        for (reader, replay) in &mut self.patterns {
            let name = &reader.log.name;
            let unsure;
            (*replay, unsure) = Replay::begin(shared, name, from(name), published, options.overflow_of(name));
            reader.skip_to(published);
            beginning.gap = match (beginning.gap, unsure) {
                (Some(gap), Some(unsure)) => Some(Gap { gone: unsure.gone, ..gap }),
                (gap, unsure) => gap.or(unsure),
            };
        }
        if let Some(gap) = beginning.gap.as_mut().filter(|gap| gap.reason == GapReason::Epoch) {
            let gone = self.take_gaps().map(|sequence| shared.cursor(sequence));
            gap.gone = gap.gone.or(gone);
        }
        Ok(beginning)
    }

    /// Takes the gaps that are not told on their own. Returns the sequence of the last missing event.
    fn take_gaps(&mut self) -> Option<u64> {
        let topics = self.topics.iter_mut().filter_map(|(_, placed)| placed.gap.take());
        topics.chain(self.patterns.iter_mut().filter_map(|(_, replay)| replay.take_gaps())).max()
    }

    fn leave(&self, shared: &Shared) {
        let topics = self.topics.iter().map(|(reader, _)| reader);
        let all = topics.chain(self.patterns.iter().map(|(reader, _)| reader));
        let _gone: Vec<_> = all.map(|reader| shared.leave(&reader.log, |_| None::<()>)).collect();
    }
}

/// The logs joined so far by a subscription that begins. Dropped, it leaves them: a later name is refused, or the clock or
/// an event's drop panics.
pub(super) struct Joining<'a> {
    pub(super) shared: &'a Shared,
    pub(super) joined: JoinedLogs,
}

impl Drop for Joining<'_> {
    fn drop(&mut self) {
        self.joined.leave(self.shared);
    }
}

/// The start of a subscription in the hub's order.
pub(super) struct Beginning {
    pub(super) from: From,
    /// Up to where nothing is owed.
    pub(super) sequence: u64,
    pub(super) gap: Option<Gap>,
}

impl Beginning {
    /// `published` is the present.
    pub(super) fn new(shared: &Shared, start: Start, published: u64) -> Self {
        let (from, sequence, reason) = match start {
            Start::Now | Start::Oldest | Start::Last(_) => (From::start(start, published), published, None),
            Start::Unreadable => (From::Live(published), published, Some(GapReason::Invalid)),
            Start::After(cursor) => {
                let (epoch, sequence) = (cursor.epoch(), cursor.sequence());
                let known = || sequence <= published || sequence <= shared.settled();
                if epoch != shared.epoch {
                    // With all that is retained. What is not belongs to this one gap.
                    (From::After(0), 0, Some(GapReason::Epoch))
                } else if cursor.tag().is_some() || !known() {
                    (From::Live(published), published, Some(GapReason::Invalid))
                } else {
                    (From::After(sequence), sequence, None)
                }
            }
        };
        Self { from, sequence, gap: reason.map(|reason| Gap::new(reason, shared.cursor(sequence))) }
    }
}
