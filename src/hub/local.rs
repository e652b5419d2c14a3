use std::borrow::Borrow;
use std::fmt;
use std::future::Future;
use std::iter::once;
use std::sync::Arc;

use crate::contract::{Hub, PublishError, Receipt, Subscribe, SubscribeError};
use crate::hub::holds::next_event;
use crate::hub::publish_round::PublishRound;
use crate::hub::shared::Shared;
use crate::hub::subscription::subscription::Subscription;
use crate::hub::topics::stats::HubStats;
use crate::hub::wake::notifier::Notifier;
#[cfg(feature = "http")]
use crate::hub::wake::standby::NotifierSource;
use crate::model::{Cursor, EndReason, Event, IntoTopic, Retention, Topic, TopicEnd};

/// Hub in the memory of the process: an append-only log for each topic, and one order across all of them.
///
/// A handle: clones refer to the same hub. The hub is closed when the last handle is dropped.
///
/// Publishing never waits for a subscriber: it appends the event and wakes the waiting subscribers, or leaves that to a
/// [notifier](Self::notifier). A subscriber that falls further behind than the histories of its topics and the [live
/// buffer](crate::LocalHubBuilder::live_buffer) gets a gap with the exact count, or what its
/// [`Overflow`](crate::Overflow) selects.
///
/// ```
/// use tidings::{LocalHub, Retention, Subscribe, Topic};
///
/// let hub = LocalHub::builder().retain(Retention::count(1_000)).build();
/// let topic = Topic::new("news")?;
/// let subscription = hub.subscribe(Subscribe::topics([&topic]))?;
/// let receipt = hub.publish_now(&topic, "it is on")?;
/// assert_eq!(receipt.subscribers(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # On several cores
///
/// A reader shares no lock with others until it has read everything; to wait for more it takes the lock of its topic.
/// Publishers to all topics share the hub's one sequencer. It gives all topics one order, and bounds the rate of a hub,
/// at about three million events a second from two cores (`benches/threads.rs` measures it: of what two publishers with
/// a hub each get done, two on one hub get done two thirds). For higher rates publish in [batches](Self::publish_batch),
/// or use several hubs: topics that no cursor covers together need no common hub.
///
/// # How it grows
///
/// `benches/growth` measures each of these; `docs/growth.md` in the repository has its tables.
///
/// - A publish takes longer with many topics, because of cache misses: it reads the topic's log and its newest segment,
///   which are in no processor cache if each publish is to another of many topics. It takes five to ten times as long
///   at 1,000,000 topics as at 1,000. Repeated publishes to the same topic do not depend on the number of topics.
/// - A publish takes longer with many subscribers that wait for its topic: it wakes each of them, at 10 to 20 ns,
///   before it returns. With a [notifier](Self::notifier) that runs, its time does not depend on the number of
///   subscribers.
/// - A publish does not depend on the number of patterns that do not match its topic, nor on the length of history.
#[derive(Clone)]
pub struct LocalHub {
    handle: Arc<Handle>,
}

/// Owner of the hub's state. Its drop closes the hub.
struct Handle {
    shared: Arc<Shared>,
}

impl LocalHub {
    pub(crate) fn of(shared: Shared) -> Self {
        Self { handle: Arc::new(Handle { shared: Arc::new(shared) }) }
    }

    /// Returns the hub. From now on inboxes of subscriptions of several topics are marked after the sequencer is
    /// released.
    #[cfg(loom)]
    #[doc(hidden)]
    #[must_use]
    pub fn marking_late(self) -> Self {
        self.handle.shared.pool.late_marks.mark_all_late();
        self
    }

    #[cfg(any(test, feature = "http", feature = "engine"))]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }

    /// Publishes one event when the future is polled. It is ready at its first poll.
    ///
    /// The topic is a [`Topic`], a `&Topic`, a `&str` or a `String`; the event is an [`Event`], or a text. Hubs with an engine
    /// have the same method, so an application can change its hub in one line. [`publish_now`](Self::publish_now) does the
    /// same without a future.
    ///
    /// ```
    /// # async fn run() -> Result<(), tidings::PublishError> {
    /// let hub = tidings::LocalHub::new();
    /// let receipt = hub.publish("news", "it is on").await?;
    /// assert_eq!(receipt.subscribers(), 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`publish_now`](Self::publish_now).
    pub fn publish(
        &self,
        topic: impl IntoTopic,
        event: impl Into<Event>,
    ) -> impl Future<Output = Result<Receipt, PublishError>> + Send {
        let (topic, event) = (topic.into_topic(), event.into());
        async move { self.publish_event(topic?.borrow(), event) }
    }

    /// Publishes one event. Wakes its subscribers before it returns, or leaves that to a [notifier](Self::notifier). It does
    /// not wait for a subscriber.
    ///
    /// # Errors
    ///
    /// - [`PublishError::Topic`] if the name is not a topic.
    /// - [`PublishError::Closed`] after [`close`](Self::close).
    /// - [`PublishError::Finished`] if the topic has [ended](Self::finish).
    /// - [`PublishError::TooLarge`] if the event is larger than the hub's
    ///   [`max_event`](crate::LocalHubBuilder::max_event).
    /// - [`PublishError::KeyRequired`], [`PublishError::TtlUnsupported`] and [`PublishError::StateFull`] if the topic [keeps
    ///   the newest event of each key](Retention::latest_per_key) and does not accept the event. An event that replaces a
    ///   larger one and a [removal](Event::removal) always have room in the state.
    /// - [`PublishError::NotKeyed`] if the event is a removal and the topic does not do so.
    /// - [`PublishError::Full`] and [`PublishError::TooManyTopics`] if the hub's limits leave no room.
    pub fn publish_now(&self, topic: impl IntoTopic, event: impl Into<Event>) -> Result<Receipt, PublishError> {
        self.publish_event(topic.into_topic()?.borrow(), event.into())
    }

    fn publish_event(&self, topic: &Topic, event: Event) -> Result<Receipt, PublishError> {
        let shared = &*self.handle.shared;
        shared.check(&event)?;
        let round = PublishRound::new(shared);
        let log = shared.registry.log(topic, round.now)?;
        let _reserved = shared.make_room(once((&log, &event)))?;
        let mut sequencer = shared.sequence_for(once((&log, &event)), round.now)?;
        let mut appended = [round.append(&mut sequencer, log, event)?];
        let marking = round.enter_unmarked(&appended);
        shared.published.advance(sequencer.last);
        drop(sequencer);
        let receipt = appended[0].receipt;
        round.finish(&mut appended, marking);
        Ok(receipt)
    }

    /// Refuses an event that is larger than the hub's limit.
    pub(crate) fn check_event(&self, event: &Event) -> Result<(), PublishError> {
        self.handle.shared.check(event)
    }

    /// Publishes events in this order and wakes each subscriber once for all of them.
    ///
    /// Other publishers wait until all of its events are appended, so split a batch of thousands. Subscribers do not wait.
    ///
    /// ```
    /// # fn main() -> Result<(), tidings::PublishError> {
    /// let hub = tidings::LocalHub::new();
    /// let receipts = hub.publish_batch([("scores", "1:0"), ("news", "a goal")])?;
    /// assert_eq!(receipts.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`publish_now`](Self::publish_now). On an error none of the events was published.
    pub fn publish_batch<T, E>(&self, events: impl IntoIterator<Item = (T, E)>) -> Result<Vec<Receipt>, PublishError>
    where
        T: IntoTopic,
        E: Into<Event>,
    {
        let shared = &*self.handle.shared;
        // No topic is created before the last event is checked: a refused batch creates none, nor does an iterator or a
        // clock that panics.
        let events = events.into_iter().map(|(topic, event)| {
            let (topic, event) = (topic.into_topic()?, event.into());
            shared.check(&event).map(|()| (topic, event))
        });
        let (events, round) = (events.collect::<Result<Vec<_>, _>>()?, PublishRound::new(shared));
        let events = shared.with_logs(events, round.now)?;
        let _reserved = shared.make_room(events.iter().map(|(log, event)| (log, event)))?;
        let mut all = Vec::with_capacity(events.len());
        let mut sequencer = shared.sequence_for(events.iter().map(|(log, event)| (log, event)), round.now)?;
        for (log, event) in events {
            all.push(round.append(&mut sequencer, log, event)?);
            next_event();
        }
        let marking = round.enter_unmarked(&all);
        shared.published.advance(sequencer.last);
        drop(sequencer);
        round.finish(&mut all, marking);
        Ok(all.into_iter().map(|appended| appended.receipt).collect())
    }

    /// Ends a topic. Its subscribers receive the [end](crate::subscriber::Delivery::TopicEnd) after its last event, and
    /// later publishes to it are refused with [`PublishError::Finished`]. The topic need not have had an event.
    ///
    /// The first call determines the reason and the position. Later calls change nothing and return the first end.
    ///
    /// The end takes a position in the hub's order, but is no event: it is not in history, and no statistics of events count
    /// it. A subscription of named topics receives the end of each of them, and
    /// [`SubscriptionEnd::Finished`](crate::subscriber::SubscriptionEnd::Finished) after the last one. A client that
    /// resumes from a cursor before the end receives it again; from a later one it does not. A client without a cursor
    /// receives the end after the events of its [`Start`](crate::Start), whenever the topic ended. A subscription with a
    /// pattern receives the ends of the topics that it names, and no others, and it never ends with `Finished`.
    ///
    /// The hub remembers the end for the topic's retention age, at most 24 hours, also if the topic's events are evicted
    /// earlier. It remembers at most 65,536 ends, and forgets the oldest first. Both limits bound the memory, because ends
    /// do not count in the byte budget. 24 hours are the `retry` that clients of server-sent events get with the end: a
    /// client that ignores it does not come back earlier. A topic with subscriptions that have not
    /// received the end stays finished until they have received it or are dropped. After that the topic is as new.
    ///
    /// ```
    /// use std::task::{Context, Poll, Waker};
    /// use tidings::subscriber::{Delivery, SubscriptionEnd};
    /// use tidings::{EndReason, LocalHub, PublishError, Start, Subscribe, Subscriber};
    ///
    /// let hub = LocalHub::new();
    /// hub.publish_now("answers/7", "forty-two")?;
    /// hub.finish("answers/7", EndReason::Done)?;
    /// assert!(matches!(hub.publish_now("answers/7", "more"), Err(PublishError::Finished(_))));
    ///
    /// let mut late = hub.subscribe(Subscribe::topics(["answers/7"]).start(Start::Oldest))?;
    /// let cx = &mut Context::from_waker(Waker::noop());
    /// assert!(matches!(late.poll_next(cx), Poll::Ready(Delivery::Events(_))));
    /// let Poll::Ready(Delivery::TopicEnd(end)) = late.poll_next(cx) else {
    ///     unreachable!("the end follows the last event");
    /// };
    /// assert_eq!((end.topic.as_str(), end.reason, end.is_last), ("answers/7", EndReason::Done, true));
    /// assert!(matches!(late.poll_next(cx), Poll::Ready(Delivery::End(SubscriptionEnd::Finished))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`PublishError::Topic`] if the name is not a topic.
    /// - [`PublishError::Closed`] after [`close`](Self::close).
    pub fn finish(&self, topic: impl IntoTopic, reason: EndReason) -> Result<TopicEnd, PublishError> {
        self.handle.shared.finish(topic.into_topic()?.borrow(), reason)
    }

    /// Gives a topic its own retention, in place of the hub's rules, until [`drop_history`](Self::drop_history). The call
    /// creates no topic.
    pub(crate) fn retain_topic(&self, topic: &Topic, retention: Retention) {
        self.handle.shared.registry.retain_topic(topic, retention);
    }

    /// Drops the history of a topic early, and forgets its [own retention](Self::retain_topic) and its
    /// [end](Self::finish). A client that resumes there gets a gap, as with any eviction. While a subscription has not read
    /// the end, the topic stays finished. Returns values that the caller drops without a lock: the events are the user's.
    pub(crate) fn drop_history(&self, topic: &Topic) -> impl Sized + use<> {
        self.handle.shared.drop_history(topic)
    }

    /// Returns whether a topic has [ended](Self::finish).
    pub(crate) fn has_ended(&self, topic: &Topic) -> bool {
        let shared = &*self.handle.shared;
        shared.registry.has_ended(topic, shared.now())
    }

    /// Subscribes from the given start on. The subscription gets every event that is published after this returns.
    ///
    /// # Errors
    ///
    /// - [`SubscribeError::Closed`] after [`close`](Self::close).
    /// - [`SubscribeError::TooManyTopics`] if the limit of [topics without events](crate::LocalHubBuilder::max_topics)
    ///   is reached.
    /// - The other errors of [`SubscribeError`] if the request is not valid.
    pub fn subscribe(&self, what: Subscribe) -> Result<Subscription, SubscribeError> {
        Subscription::new(Arc::clone(&self.handle.shared), what)
    }

    /// Returns a future that wakes subscribers in place of the publishers. `None` while there is another.
    ///
    /// Without a notifier a publish wakes each waiting subscriber before it returns, at 10 to 20 ns each. With one that
    /// the application runs, a publish leaves them to it, so that it takes no longer however many they are; events then
    /// reach subscribers by one task more. Use it for topics with thousands of waiting subscribers whose publishers
    /// must not be held up; with few subscribers it costs more than it saves. An endpoint's driver runs it if
    /// `EndpointBuilder::notifier` is given the hub; then there is no future to spawn here, and this returns `None`.
    ///
    /// It wakes 256 subscribers each time it is polled, and lets other tasks run in between. It wakes subscriptions of
    /// one topic: those of several topics and of patterns are marked, and so woken, by the publisher. A topic is queued
    /// once, not each of its waiting subscribers.
    ///
    /// ```
    /// # async fn run(hub: tidings::LocalHub) {
    /// if let Some(notifier) = hub.notifier() {
    ///     tokio::spawn(notifier); // ends when the hub is closed
    /// }
    /// # }
    /// ```
    pub fn notifier(&self) -> Option<impl Future<Output = ()> + Send + Unpin + fmt::Debug + use<>> {
        Notifier::new(&self.handle.shared.wakes)
    }

    /// Returns a handle by which notifiers are started that wait for the end of another one.
    #[cfg(feature = "http")]
    pub(crate) fn notifier_source(&self) -> NotifierSource {
        NotifierSource::new(&self.handle.shared.wakes)
    }

    /// Returns the cursor after the newest event.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        let shared = &*self.handle.shared;
        shared.cursor(shared.published.load())
    }

    /// Returns the number of subscriptions that follow this topic, by its name or by a pattern. A subscription counts
    /// once, whatever else it follows, and no longer after it has received the topic's [end](Self::finish). The call creates
    /// no topic.
    #[must_use]
    pub fn subscribers(&self, topic: &Topic) -> usize {
        self.handle.shared.registry.subscribers(topic)
    }

    /// Returns whether history holds an event of the topic. The event may have expired or exceed the retention's age:
    /// such events are removed later. The call creates no topic.
    ///
    /// ```
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use tidings::{LocalHub, Topic};
    ///
    /// let (hub, topic) = (LocalHub::new(), Topic::new("news")?);
    /// assert!(!hub.has_history(&topic));
    /// hub.publish_now(&topic, "one")?;
    /// assert!(hub.has_history(&topic));
    /// # Ok(()) }
    /// # example().unwrap();
    /// ```
    #[must_use]
    pub fn has_history(&self, topic: &Topic) -> bool {
        self.handle.shared.registry.has_history(topic)
    }

    /// Evicts events that exceed the retention's age, and drops topics without history and subscriptions. Each publish
    /// does so for a few topics and a few hundred events. This does it for all, for hubs to which nothing is published
    /// for a long time.
    ///
    /// It takes each lock for a few hundred events or topics at a time, so that publishers do not wait for the whole
    /// sweep.
    ///
    /// # Panics
    ///
    /// If the drop of an event's payload panics. The rest of the sweep is done before.
    pub fn sweep(&self) {
        let shared = &*self.handle.shared;
        shared.sweep_all(shared.now());
    }

    /// Closes the hub permanently. Subscribers get every event that was published before, then
    /// [`SubscriptionEnd::Closed`](crate::subscriber::SubscriptionEnd::Closed). A subscription all topics of which have
    /// [ended](Self::finish) gets [`Finished`](crate::subscriber::SubscriptionEnd::Finished).
    pub fn close(&self) {
        self.handle.shared.close();
    }

    /// Returns the statistics of the hub. They are counted topic by topic, 256 under one hold of a lock.
    ///
    /// While other threads publish or subscribe, they are not the state of one moment. Each topic counts as it is when
    /// the count reaches it, or as it was when it was dropped before that. A topic that is created meanwhile may be
    /// left out. No topic is counted twice, and `published` = `retained` + `evicted`.
    #[must_use]
    pub fn stats(&self) -> HubStats {
        self.handle.shared.stats()
    }
}

impl Hub for LocalHub {
    type Subscription = Subscription;

    async fn publish(&self, topic: &Topic, event: Event) -> Result<Receipt, PublishError> {
        self.publish_event(topic, event)
    }

    async fn finish(&self, topic: &Topic, reason: EndReason) -> Result<TopicEnd, PublishError> {
        self.handle.shared.finish(topic, reason)
    }

    fn subscribe(&self, what: Subscribe) -> Result<Subscription, SubscribeError> {
        self.subscribe(what)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl fmt::Debug for LocalHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalHub").field("cursor", &self.cursor()).finish_non_exhaustive()
    }
}
