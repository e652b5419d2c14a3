use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::contract::{Delivery, EncodedDelivery, Format, Subscribe, SubscribeError, Subscriber, SubscriberInfo};
use crate::hub::shared::Shared;
use crate::hub::subscription::added_states::AddedStates;
#[cfg(any(test, feature = "engine"))]
use crate::hub::subscription::followed::FollowedLog;
use crate::hub::subscription::kind::Kind;
use crate::hub::subscription::output::{Batches, InFormat, Output};
use crate::hub::subscription::rare::Rare;
use crate::hub::subscription::reader::Look;
use crate::hub::subscription::skipping::{Since, opening_after, sequence_of};
use crate::model::{Cursor, Pattern};
#[cfg(any(test, feature = "engine"))]
use crate::model::{EndReason, Topic};

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
/// dropped topics are forgotten, [`Overflow::Latest`](crate::Overflow) leaves events out, or the subscription
/// [skips](Subscriber::skip_to) events, it may yield a gap although nothing is missing.
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
    pub(super) shared: Arc<Shared>,
    pub(super) rare: Option<Box<Rare>>,
    pub(super) kind: Kind,
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
        let filter = options.into_filter();
        let mut this = Self { shared, rare: None, kind };
        if opening.is_some() || filter.is_some() {
            this.set_rare(None, opening, filter);
        }
        Ok(this)
    }

    // Most polls end with a look at the segment in hand. The rest is out of line, so that they save no registers for
    // it.
    #[inline(always)]
    fn poll<O: Output>(&mut self, cx: &mut Context<'_>, output: O) -> Poll<O::Delivery> {
        if self.rare.is_some() {
            return self.poll_rare(cx, output);
        }
        if let Kind::Single(single) = &mut self.kind {
            match single.look() {
                Look::Unread(unread) if O::IN_PLACE => {
                    let taken = unread.take_whole(output, &self.shared, single.has_waited());
                    if let Some(delivery) = O::events(single.pass::<O>(taken, &self.shared)) {
                        return Poll::Ready(delivery);
                    }
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
                if let Some(delivery) = O::events(single.pass::<O>(taken, &self.shared)) {
                    return Poll::Ready(delivery);
                }
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

    /// Finds the next delivery, without an opening gap and a filter.
    #[inline(never)]
    pub(super) fn find<O: Output>(&mut self, cx: &mut Context<'_>, output: O) -> Poll<O::Delivery> {
        self.kind.poll(&self.shared, cx, output)
    }

    /// Returns whether memory had everything after the start.
    #[cfg(any(test, feature = "engine"))]
    pub(crate) fn is_complete(&self) -> bool {
        self.opening().is_none()
            && !matches!(&self.kind, Kind::Multi(multi) if multi.topics.iter().any(FollowedLog::has_gap))
    }

    /// Begins a subscription that continues another one. Returns it with the sequence after which it begins. It delivers no ends
    /// of topics up to there.
    #[cfg(any(test, feature = "engine"))]
    pub(crate) fn begin(shared: &Arc<Shared>, now: &Subscribe) -> Result<(Self, u64), SubscribeError> {
        loop {
            let before = shared.published.load();
            let this = Self::new(Arc::clone(shared), now.clone())?;
            let start = Subscriber::cursor(&this).map_or(before, Cursor::sequence);
            // Events that were published meanwhile may have left memory.
            if this.is_complete() && (start >= before || shared.published.load() == before) {
                return Ok((this, start.max(before)));
            }
        }
    }

    /// Returns the sequence and the reason of the end of a topic, if it has ended.
    #[cfg(any(test, feature = "engine"))]
    pub(crate) fn end_of(&self, topic: &Topic) -> Option<(u64, EndReason)> {
        self.shared.registry.end_of(topic)
    }

    /// Begins another subscription of the hub, see [`begin`](Self::begin).
    #[cfg(any(test, feature = "engine"))]
    pub(crate) fn another(&self, now: &Subscribe) -> Result<(Self, u64), SubscribeError> {
        Self::begin(&self.shared, now)
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
        let opening = self.take_opening().and_then(|gap| opening_after(gap, cursor));
        let mut states = self.take_states();
        states.iter_mut().for_each(|states| states.extend(sequence));
        // Events that are gone from memory are later than those that had left history at the start.
        self.set_first(states, gone.or(opening));
    }

    /// Begins again in keyed topics, for a client that followed these topics up to a sequence. The states of others come first.
    #[cold]
    fn follow(&mut self, sequence: u64, followed: &[Pattern]) {
        self.take_states().iter_mut().for_each(|states| states.leave(&self.shared));
        let (mut states, mut opening) = (Vec::new(), self.take_opening());
        let since = Since { shared: &self.shared, sequence, followed };
        match &mut self.kind {
            Kind::Single(single) => {
                if single.follow(since, &mut states) {
                    opening = opening.filter(|gap| !gap.snapshot);
                }
            }
            Kind::Multi(multi) => multi.follow(since, &mut states),
        }
        // A lost state is looked for again. Events of other topics may be missing, too.
        opening.iter_mut().for_each(|gap| gap.snapshot = false);
        self.set_first(AddedStates::new(states, sequence), opening);
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
        if self.has_first() {
            return false;
        }
        match &mut self.kind {
            Kind::Single(single) => single.register_unseen(&self.shared, cx),
            Kind::Multi(_) => false,
        }
    }

    /// `None` until a client whose cursor is of another epoch, or unreadable, has got its gap.
    #[inline]
    fn cursor(&self) -> Option<Cursor> {
        match (&self.rare, &self.kind) {
            (None, Kind::Single(single)) if !single.is_in_fill() => Some(self.shared.cursor(single.sequence)),
            _ => self.rare_cursor(),
        }
    }

    /// A cursor that the subscription has passed changes nothing.
    fn skip_to(&mut self, cursor: Cursor) -> bool {
        let Some(sequence) = sequence_of(cursor, &self.shared) else {
            return false;
        };
        if sequence > self.kind.sequence() || self.lacks_cursor() {
            self.skip(cursor, sequence);
        }
        true
    }

    fn skip_followed(&mut self, cursor: Cursor, followed: &[Pattern]) -> bool {
        match sequence_of(cursor, &self.shared) {
            Some(sequence) if self.shared.has_keyed && cursor.epoch() == self.shared.epoch => {
                self.follow(sequence, followed)
            }
            Some(_) => {}
            None => return false,
        }
        self.skip_to(cursor)
    }

    fn release(&mut self) {
        if let Some(states) = self.states_mut() {
            states.release();
        }
        match &mut self.kind {
            Kind::Single(single) => single.release(),
            Kind::Multi(multi) => multi.release(),
        }
    }

    /// Names are left out that a pattern among them covers.
    fn info(&self) -> SubscriberInfo<'_> {
        let info = SubscriberInfo::new().with_source(self).with_shared_head(self.shared.clone());
        let info = if self.is_filtered() { info.with_filter() } else { info };
        match &self.kind {
            Kind::Single(single) => info.with_topics(std::slice::from_ref(single.name())),
            Kind::Multi(multi) => info.with_topics(multi.names().cloned().collect::<Vec<_>>()),
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        match &mut self.kind {
            Kind::Single(single) => single.leave(&self.shared),
            Kind::Multi(multi) => multi.leave(&self.shared),
        }
        if let Some(mut states) = self.take_states() {
            states.leave(&self.shared);
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("cursor", &self.cursor()).finish_non_exhaustive()
    }
}
