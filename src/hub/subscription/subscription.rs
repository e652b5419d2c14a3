use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::contract::{
    Delivery, EncodedDelivery, EndState, Format, Pace, Subscribe, SubscribeError, SubscribeOptions, Subscriber,
    SubscriberInfo,
};
use crate::hub::log::log::Log;
use crate::hub::log::seek::{EndAhead, StartPoint};
use crate::hub::shared::Shared;
use crate::hub::subscription::joining::{Beginning, JoinedLogs, Joining, gap_before_end};
use crate::hub::subscription::multi_topic::MultiTopic;
use crate::hub::subscription::narrowed::narrowed;
use crate::hub::subscription::output::{Batches, InFormat, Output};
use crate::hub::subscription::reader::{Look, Reader};
use crate::hub::subscription::single_topic::SingleTopic;
use crate::hub::subscription::skipping::{opening_after, sequence_of};
use crate::hub::subscription::state_position::state_gap;
use crate::model::{Cursor, Gap, GapReason, Overflow, Pattern, Topic};

/// Subscription of a [`LocalHub`](crate::LocalHub): the events of its topics in the hub's order.
///
/// It reads from the shared history of the topics, and holds only its position. Dropping it ends the subscription.
///
/// # Patterns
///
/// A pattern follows the topics that it matches when they are created, each from its first event, also if a topic was
/// dropped and is created again. It keeps a topic in memory no longer than the topic's history lasts.
///
/// ```
/// use std::task::{Context, Poll, Waker};
/// use tidings::{LocalHub, Subscribe, Subscriber, Topic};
/// use tidings::subscriber::Delivery;
///
/// let hub = LocalHub::new();
/// let mut orders = hub.subscribe(Subscribe::patterns(["orders/**", "news"]))?;
/// hub.publish_now(&Topic::new("orders/eu/7")?, "placed")?;
/// let Poll::Ready(Delivery::Events(batch)) = orders.poll_next(&mut Context::from_waker(Waker::noop())) else {
///     unreachable!("the topic is new, and followed");
/// };
/// assert_eq!(batch.topic().as_str(), "orders/eu/7");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A resume over a pattern costs in proportion to the events that were published since the cursor, for any number of
/// topics. A subscription that starts at the oldest or at the last events costs in proportion to the topics that match;
/// for `prefix/*`, to all segments directly below the prefix, whether or not a topic ends there. Following a pattern
/// from now on costs the same for any number of topics.
///
/// The hub remembers dropped topics: one for 4 KiB of its byte budget, at most 65,536. A topic that was created again
/// keeps its entry. A resume that may have missed events of forgotten topics yields one gap without a topic. Gaps with
/// no event between them are one gap.
///
/// A live subscription of a pattern reads a log that all subscriptions of the pattern share. It holds up to 1,024
/// events, 256 KiB and 10 seconds, and as much as the [live buffer](crate::LocalHubBuilder::live_buffer) holds while
/// one of them is behind. A subscription that is further behind reads the histories of the topics. If these have lost
/// events, it yields a gap for each topic, in its place, without a count if that is not known. If events expire,
/// dropped topics are forgotten, or [`Overflow::Latest`](crate::Overflow) leaves events out, it may yield a gap
/// although nothing is missing.
///
/// # Keyed topics
///
/// A topic with [`Retention::latest_per_key`](crate::Retention::latest_per_key) begins with its whole state: the newest event of
/// each key, without removed keys, in the hub's order, and then all changes. The state may be that of an earlier time, if the
/// changes since then follow. A pattern begins with the states of the keyed topics that it matches.
///
/// - A client without a cursor gets the state. Its cursor is `0.0` until it has received the first event of it. A client
///   that resumes at `0.0` starts over, without a gap.
/// - A client that resumes gets the changes since its cursor: from history, or from the state, which has the newest event of
///   each key and the removals. A connected subscriber that falls behind continues in the state, too, also with
///   [`Overflow::Disconnect`](crate::Overflow::Disconnect). Neither is a gap.
/// - If removals that the client needs are forgotten, or its cursor is of another epoch or unreadable, it gets a gap with
///   [`snapshot`](crate::Gap::snapshot), at which it forgets its state, and then the whole state.
/// - With other topics, the state is merged with their events. A client that is cut in the middle of the state and resumes at
///   the cursor of one of its events gets everything of the other topics that is retained after that cursor, or a gap: more
///   than it missed, never less.
///
/// # When its topics end
///
/// The subscription yields the [end](Delivery::TopicEnd) of each topic that it names, in the hub's order after the topic's
/// last event, and [`SubscriptionEnd::Finished`](crate::subscriber::SubscriptionEnd::Finished) when all of them have ended.
/// It yields no end that lies at or before the cursor from which it resumes. After a start without a cursor it yields each
/// end: the cursor of an end from before the start is the position at which the subscription began, if that is later.
///
/// A subscription with a pattern yields the ends of the topics that it names and that no pattern of it covers. It yields no
/// ends of topics that only its patterns match, since each new topic may match, and it never ends with `Finished`.
///
/// # When it falls behind
///
/// ```
/// use std::task::{Context, Poll, Waker};
/// use tidings::{LocalHub, Retention, Subscribe, Subscriber, Topic};
/// use tidings::subscriber::Delivery;
///
/// let hub = LocalHub::builder().retain(Retention::count(100)).live_buffer(0).build();
/// let topic = Topic::new("ticks")?;
/// let mut slow = hub.subscribe(Subscribe::topics([&topic]))?;
/// for tick in 0..1_000 {
///     hub.publish_now(&topic, tick.to_string())?;
/// }
/// let Poll::Ready(Delivery::Gap(gap)) = slow.poll_next(&mut Context::from_waker(Waker::noop())) else {
///     unreachable!("a gap comes before the events after it");
/// };
/// assert!(gap.missed.is_some_and(|missed| missed <= 900));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Subscription {
    shared: Arc<Shared>,
    /// Gap that is delivered first.
    opening: Option<Box<Gap>>,
    kind: Kind,
}

enum Kind {
    Single(SingleTopic),
    Multi(Box<MultiTopic>),
}

impl Subscription {
    pub(crate) fn new(shared: Arc<Shared>, what: Subscribe) -> Result<Self, SubscribeError> {
        let (names, options) = what.into_parts()?;
        let only = match names.as_slice() {
            [name] => name.as_topic(),
            _ => None,
        };
        let begun = match only {
            Some(topic) => Kind::single(&shared, &names[0], topic, &options),
            None => Kind::multi(&shared, names, &options),
        };
        let (opening, kind) = begun?;
        Ok(Self { shared, opening: opening.map(Box::new), kind })
    }

    // Most polls end with a look at the segment in hand. The rest is out of line, so that they save no registers for
    // it.
    #[inline(always)]
    fn poll<O: Output>(&mut self, cx: &mut Context<'_>, output: O) -> Poll<O::Delivery> {
        if let (None, Kind::Single(single)) = (&self.opening, &mut self.kind) {
            match single.look() {
                Look::Unread(unread) if O::IN_PLACE => {
                    let taken = unread.take_whole(output, &self.shared, single.has_waited());
                    return Poll::Ready(O::events(single.pass::<O>(taken, &self.shared)));
                }
                Look::Unread(unread) => {
                    let end = unread.places().end;
                    return self.take_found(cx, output, end);
                }
                Look::Nothing => return self.register_or_find(cx, output),
                Look::Unclear => {}
            }
        }
        self.find(cx, output)
    }

    /// Delivers events that a look found.
    #[inline(never)]
    fn take_found<O: Output>(&mut self, cx: &mut Context<'_>, output: O, end: u32) -> Poll<O::Delivery> {
        if let Kind::Single(single) = &mut self.kind {
            if let Some(unread) = single.found(end) {
                let taken = unread.take_whole(output, &self.shared, single.has_waited());
                return Poll::Ready(O::events(single.pass::<O>(taken, &self.shared)));
            }
        }
        self.find(cx, output)
    }

    #[inline(never)]
    fn register_or_find<O: Output>(&mut self, cx: &mut Context<'_>, output: O) -> Poll<O::Delivery> {
        let waits = match &mut self.kind {
            Kind::Single(single) => single.register(&self.shared, cx),
            Kind::Multi(_) => false,
        };
        if waits { Poll::Pending } else { self.find(cx, output) }
    }

    #[inline(never)]
    fn find<O: Output>(&mut self, cx: &mut Context<'_>, output: O) -> Poll<O::Delivery> {
        if let Some(gap) = self.opening.take() {
            return Poll::Ready(O::gap(self.open(*gap)));
        }
        match &mut self.kind {
            Kind::Single(single) => single.poll(&self.shared, cx, output),
            Kind::Multi(multi) => multi.poll(&self.shared, cx, output),
        }
    }

    #[cold]
    fn skip(&mut self, cursor: Cursor, sequence: u64) {
        let gone = match &mut self.kind {
            Kind::Single(single) => single.skip_to(sequence, &self.shared),
            Kind::Multi(multi) => {
                multi.skip_to(sequence, &self.shared);
                None
            }
        };
        let opening = self.opening.take().and_then(|gap| opening_after(*gap, cursor));
        // Events that are gone from memory are later than those that had left history at the start.
        self.opening = gone.or(opening).map(Box::new);
    }

    /// Returns the gap that is delivered first.
    #[cold]
    fn open(&mut self, gap: Gap) -> Gap {
        self.shared.gaps.add(1);
        let sequence = self.kind.sequence_mut();
        let after = self.shared.cursor(*sequence);
        *sequence = if gap.snapshot { 0 } else { (*sequence).max(gap.cursor.sequence()) };
        if gap.reason == GapReason::Evicted { gap.with_after(after) } else { gap }
    }
}

impl Kind {
    /// Returns the reader of one topic, and its first gap.
    fn single(
        shared: &Shared,
        name: &Pattern,
        topic: &Topic,
        options: &SubscribeOptions,
    ) -> Result<(Option<Gap>, Self), SubscribeError> {
        let overflow = options.overflow_of(name);
        let beginning = Beginning::new(shared, options.start_of(name), shared.published.load());
        let (log, point) = shared.join(topic, beginning.starts(topic, options), overflow)?;
        if log.is_keyed() {
            return Ok(Self::single_with_state(shared, beginning, log, &point, overflow));
        }
        let Beginning { sequence, gap, .. } = beginning;
        let reader = Reader::new(log, &point);
        let gone = point.gap.map(|gone| shared.cursor(gone));
        let gap = match gap {
            Some(gap) => {
                let gap = match point.end {
                    EndAhead::At(end) => gap_before_end(gap, shared, end),
                    EndAhead::None | EndAhead::Passed => gap,
                };
                Some(gone.into_iter().fold(gap, Gap::with_gone))
            }
            None => gone.map(|gone| reader.log.gap(GapReason::Evicted, gone)),
        };
        Ok((gap, Self::Single(SingleTopic::new(reader, &point, sequence, overflow))))
    }

    /// Returns the reader of a keyed topic, and its first gap.
    #[cold]
    fn single_with_state(
        shared: &Shared,
        beginning: Beginning,
        log: Arc<Log>,
        point: &StartPoint,
        overflow: Overflow,
    ) -> (Option<Gap>, Self) {
        let (Beginning { sequence, gap, is_new, .. }, reader) = (beginning.with_state(shared), Reader::new(log, point));
        let evicted = point.gap.map(|forgotten| state_gap(shared, &reader.log, GapReason::Evicted, forgotten));
        let single = SingleTopic::new(reader, point, sequence, overflow);
        let single = if is_new { single.beginning_with_state() } else { single };
        (gap.or(evicted), Self::Single(single))
    }

    /// Returns the readers of several topics or of patterns, and their first gap.
    fn multi(
        shared: &Arc<Shared>,
        names: Vec<Pattern>,
        options: &SubscribeOptions,
    ) -> Result<(Option<Gap>, Self), SubscribeError> {
        let mut joining = Joining { shared, joined: JoinedLogs::default() };
        let Beginning { sequence, gap, is_new, .. } = joining.joined.join(shared, &narrowed(names), options)?;
        let joined = std::mem::take(&mut joining.joined);
        let multi = MultiTopic::new(shared, joined, sequence, options);
        let multi = if is_new { multi.beginning_with_state() } else { multi };
        Ok((gap, Self::Multi(Box::new(multi))))
    }

    fn sequence(&self) -> u64 {
        match self {
            Self::Single(single) => single.sequence,
            Self::Multi(multi) => multi.sequence,
        }
    }

    fn sequence_mut(&mut self) -> &mut u64 {
        match self {
            Self::Single(single) => &mut single.sequence,
            Self::Multi(multi) => &mut multi.sequence,
        }
    }
}

impl Subscriber for Subscription {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        self.poll(cx, Batches)
    }

    fn poll_encoded(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<EncodedDelivery> {
        self.poll(cx, InFormat { format, max })
    }

    fn heeds_max(&self) -> bool {
        true
    }

    fn register(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.kind {
            Kind::Single(single) if self.opening.is_none() => single.register_unseen(&self.shared, cx),
            _ => false,
        }
    }

    /// `None` until a client whose cursor is of another epoch, or unreadable, has got its gap.
    fn cursor(&self) -> Option<Cursor> {
        match self.opening.as_deref() {
            Some(Gap { reason: GapReason::Epoch | GapReason::Invalid, .. }) => None,
            _ => Some(match &self.kind {
                Kind::Single(single) => single.cursor(&self.shared),
                Kind::Multi(multi) => multi.cursor(&self.shared),
            }),
        }
    }

    /// A cursor that the subscription has passed changes nothing.
    fn skip_to(&mut self, cursor: Cursor) -> bool {
        let Some(sequence) = sequence_of(cursor, &self.shared) else {
            return false;
        };
        if sequence > self.kind.sequence() || self.cursor().is_none() {
            self.skip(cursor, sequence);
        }
        true
    }

    fn release(&mut self) {
        match &mut self.kind {
            Kind::Single(single) => single.release(),
            Kind::Multi(multi) => multi.release(),
        }
    }

    /// Names are left out that a pattern among them covers.
    fn info(&self) -> SubscriberInfo<'_> {
        let info = SubscriberInfo::new().with_pace(self).with_shared_head(self.shared.clone());
        match &self.kind {
            Kind::Single(single) => info.with_topics(std::slice::from_ref(single.name())),
            Kind::Multi(multi) => info.with_topics(multi.names().cloned().collect::<Vec<_>>()),
        }
    }
}

impl Pace for Subscription {
    fn next_event_in(&self) -> Duration {
        let now = self.shared.now();
        match &self.kind {
            Kind::Single(single) => single.next_in(now),
            Kind::Multi(multi) => multi.next_in(now),
        }
    }

    fn end_state(&self) -> EndState {
        let end_state = match &self.kind {
            Kind::Single(single) => single.end_state(),
            Kind::Multi(multi) => multi.end_state(),
        };
        match (end_state, &self.opening) {
            (EndState::Finished, Some(_)) => EndState::Ended,
            (end_state, _) => end_state,
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        match &mut self.kind {
            Kind::Single(single) => single.leave(&self.shared),
            Kind::Multi(multi) => multi.leave(&self.shared),
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("cursor", &self.cursor()).finish_non_exhaustive()
    }
}
