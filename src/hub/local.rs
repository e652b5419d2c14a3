use std::borrow::Borrow;
use std::fmt;
use std::future::Future;
use std::iter::once;
use std::mem::take;
use std::sync::Arc;

use crate::contract::{Entry, Hub, PublishError, Receipt, Subscribe, SubscribeError};
use crate::hub::appended::Appended;
use crate::hub::builder::LocalHubBuilder;
use crate::hub::holds::next_event;
use crate::hub::late_marks::Marking;
use crate::hub::log::Log;
use crate::hub::notifier::{NoNotifier, Notifier};
use crate::hub::shared::{Sequencer, Shared};
#[cfg(feature = "http")]
use crate::hub::standby::NotifierSource;
use crate::hub::stats::HubStats;
use crate::hub::subscription::Subscription;
use crate::hub::waiters::wake_all;
use crate::model::{Cursor, Event, IntoTopic, Topic};

/// The embedded hub: an append-only log per topic in memory, one order across all of them.
///
/// A handle; clones are the same hub. When the last one is dropped the hub is closed.
///
/// Publishing never waits for a subscriber: it appends, and wakes the waiting subscribers, or leaves that to a
/// [notifier](Self::notifier). A subscriber that falls further behind than its topics' histories and the [live
/// buffer](LocalHubBuilder::live_buffer) go gets a gap with the exact count, or what its [`Overflow`](crate::Overflow)
/// says.
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
/// - A publish takes longer with many topics, because of cache misses: it reads the topic's log and its newest segment, which
///   are in no cache if each publish is to another of many topics. It takes five to ten times as long at 1,000,000 topics
///   as at 1,000. A publish to the same topic again and again takes as long as ever.
/// - A publish takes longer with many subscribers that wait for its topic: it wakes each of them, at 10 to 20 ns, before it
///   returns. With a [notifier](Self::notifier) that runs, its time does not depend on the number of subscribers.
/// - A publish does not depend on the number of patterns that do not match its topic, nor on the length of history.
#[derive(Clone)]
pub struct LocalHub {
    handle: Arc<Handle>,
}

/// Closes the hub when the last handle goes.
struct Handle {
    shared: Arc<Shared>,
}

impl LocalHub {
    /// A hub with every default.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Sets what a hub keeps, and its clock.
    pub fn builder() -> LocalHubBuilder {
        LocalHubBuilder::default()
    }

    pub(super) fn of(shared: Shared) -> Self {
        Self { handle: Arc::new(Handle { shared: Arc::new(shared) }) }
    }

    /// Returns the hub with all inboxes of subscriptions of several topics marked when the sequencer is free.
    #[cfg(loom)]
    #[doc(hidden)]
    #[must_use]
    pub fn marking_late(self) -> Self {
        self.handle.shared.budget.late_marks.mark_all_late();
        self
    }

    #[cfg(test)]
    pub(super) fn shared(&self) -> &Shared {
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
    /// - [`PublishError::TooLarge`] if the event is larger than the hub's
    ///   [`max_event`](LocalHubBuilder::max_event).
    /// - [`PublishError::Full`] and [`PublishError::TooManyTopics`] if the hub's limits leave no room.
    pub fn publish_now(&self, topic: impl IntoTopic, event: impl Into<Event>) -> Result<Receipt, PublishError> {
        self.publish_event(topic.into_topic()?.borrow(), event.into())
    }

    fn publish_event(&self, topic: &Topic, event: Event) -> Result<Receipt, PublishError> {
        let shared = &*self.handle.shared;
        shared.check(&event)?;
        let round = Round::new(shared);
        let log = shared.registry.log(topic).ok_or(PublishError::Closed)?;
        let _reserved = shared.make_room(once((&log, &event)))?;
        let mut sequencer = shared.sequence()?;
        let mut appended = [round.append(&mut sequencer, log, event)?];
        let marking = round.enter_unmarked(&appended);
        shared.published.advance(sequencer.last);
        drop(sequencer);
        let receipt = appended[0].receipt;
        round.finish(&mut appended, marking);
        Ok(receipt)
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
        // No topic is made before the last event was checked: a refused batch leaves none, nor does an iterator or a clock
        // that panics.
        let events = events.into_iter().map(|(topic, event)| {
            let (topic, event) = (topic.into_topic()?, event.into());
            shared.check(&event).map(|()| (topic, event))
        });
        let (events, round) = (events.collect::<Result<Vec<_>, _>>()?, Round::new(shared));
        let events = events.into_iter().map(|(topic, event)| Some((shared.registry.log(topic.borrow())?, event)));
        let events = events.collect::<Option<Vec<_>>>().ok_or(PublishError::Closed)?;
        let _reserved = shared.make_room(events.iter().map(|(log, event)| (log, event)))?;
        let mut all = Vec::with_capacity(events.len());
        let mut sequencer = shared.sequence()?;
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

    /// Subscribes from the given start on; events published after this returns are never missed.
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
        Notifier::new(&self.handle.shared)
    }

    /// Returns where a notifier can be had from that waits for the end of another one.
    #[cfg(feature = "http")]
    pub(crate) fn notifier_source(&self) -> NotifierSource {
        NotifierSource::new(&self.handle.shared)
    }

    /// The cursor after the newest event.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        let shared = &*self.handle.shared;
        shared.cursor(shared.published.load())
    }

    /// How many subscriptions follow this topic, by its name or by a pattern. A subscription is one, whatever else it
    /// follows. To ask makes no topic.
    #[must_use]
    pub fn subscribers(&self, topic: &Topic) -> usize {
        self.handle.shared.registry.subscribers(topic)
    }

    /// Returns whether history holds an event of the topic, which may be older than its time to live or the retention's
    /// age: those are removed later. The call creates no topic.
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

    /// Lets go of what is older than the retention's age, and of topics with neither history nor subscriptions. Each
    /// publish does so for a few topics and a few hundred events; this does it for all, which matters where nothing is
    /// published for long.
    ///
    /// It takes each lock for a few hundred events or topics at a time, so that publishers do not wait for the whole.
    ///
    /// # Panics
    ///
    /// If the drop of an event's payload panics, when all of the rest is done.
    pub fn sweep(&self) {
        let shared = &*self.handle.shared;
        shared.sweep_all(shared.now());
    }

    /// Closes the hub for good: subscribers get every event before this, then [`SubscriptionEnd::Closed`](crate::subscriber::SubscriptionEnd::Closed).
    pub fn close(&self) {
        self.handle.shared.close();
    }

    /// Counts what the hub holds, topic by topic, 256 under one hold of a lock.
    ///
    /// While others publish or subscribe, this is not the state of one moment. Each topic counts as it is when the count
    /// comes to it, or as it was when it was dropped before that. A topic that is created meanwhile may be left out. No
    /// topic is counted twice, and the sums of events belong together: `published` = `retained` + `evicted`.
    #[must_use]
    pub fn stats(&self) -> HubStats {
        HubStats::of(&self.handle.shared)
    }
}

impl Default for LocalHub {
    fn default() -> Self {
        Self::new()
    }
}

impl Hub for LocalHub {
    type Subscription = Subscription;

    async fn publish(&self, topic: &Topic, event: Event) -> Result<Receipt, PublishError> {
        self.publish_event(topic, event)
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

/// Publish of one or several events, at one time and with one round of wakes.
struct Round<'a> {
    shared: &'a Shared,
    now: u64,
    /// Whether there is a notifier that wakes the waiting subscribers.
    queues: bool,
}

/// An event in its log, and what is to be done for it when the sequencer is released.
struct InLog {
    receipt: Receipt,
    log: Arc<Log>,
    appended: Appended,
    /// Whether the inboxes that it concerns are marked.
    is_marked: bool,
}

impl<'a> Round<'a> {
    fn new(shared: &'a Shared) -> Self {
        Self { shared, now: shared.now(), queues: shared.wakes.is_on() }
    }

    /// Gives the event its sequence, puts it into its log and marks the inboxes that it concerns, if they are few.
    fn append(&self, sequencer: &mut Sequencer, log: Arc<Log>, event: Event) -> Result<InLog, PublishError> {
        let sequence = sequencer.last + 1;
        let (mut log, mut entry) = (log, Entry { sequence, at: self.now, event });
        let mut appended = loop {
            // Before the append: a reader that finds the event, or that it is evicted, finds its topic.
            self.shared.recent.push(&mut sequencer.block, sequence, log.slot, || self.shared.budget.sizes.topics());
            match log.append(entry, self.queues, self.shared.registry.generation()) {
                Ok(appended) => break appended,
                // Dropped between the registry and here, or with feeds to be looked up again: the registry does both.
                Err(back) => entry = back,
            }
            let again = log.name.as_topic().and_then(|topic| self.shared.registry.log(topic));
            log = again.ok_or(PublishError::Closed)?;
        };
        sequencer.last = sequence;
        let is_marked = self.shared.budget.late_marks.are_few(appended.followers());
        if is_marked {
            appended.mark();
        }
        let receipt = Receipt::new(self.shared.cursor(sequence), appended.subscribers());
        Ok(InLog { receipt, log, appended, is_marked })
    }

    /// Enters the logs whose followers are too many to be marked under the sequencer, before the watermark is advanced.
    #[inline]
    fn enter_unmarked(&self, all: &[InLog]) -> Option<Marking<'a>> {
        let unmarked = || all.iter().filter(|in_log| !in_log.is_marked);
        unmarked().next()?;
        let fed = unmarked().flat_map(|in_log| in_log.appended.fed.iter().map(|(log, _)| log));
        let logs = unmarked().map(|in_log| &in_log.log).chain(fed).cloned().collect();
        Some(self.shared.budget.late_marks.enter(logs))
    }

    /// Marks those that are not, wakes, and puts back what can be used again.
    fn finish(&self, all: &mut [InLog], marking: Option<Marking<'_>>) {
        if let Some(marking) = marking {
            all.iter_mut().filter(|in_log| !in_log.is_marked).for_each(|in_log| in_log.appended.mark());
            drop(marking);
        }
        if !all.iter().all(|in_log| in_log.appended.is_settled()) {
            self.settle(all);
        }
        if !self.shared.budget.has_room_but_for_others(0) {
            self.shared.evict_excess();
        }
        self.shared.sweep_a_few(self.now);
    }

    fn settle(&self, all: &mut [InLog]) {
        // All of them before anybody is woken, who may panic: nobody else comes for a topic that is to be queued here.
        for InLog { log, appended, .. } in all.iter_mut().filter(|in_log| in_log.appended.queues) {
            match self.shared.wakes.push(log) {
                Ok(notifier) => appended.marked.extend(notifier.map(Some)),
                Err(NoNotifier) => appended.wakers = log.take_queued(),
            }
        }
        let mut fed: Vec<_> = all.iter_mut().flat_map(|in_log| take(&mut in_log.appended.fed)).collect();
        wake_all(each(all, &mut fed).flat_map(|(_, appended)| [&mut appended.wakers, &mut appended.marked]));
        for (log, appended) in each(all, &mut fed) {
            appended.evicted.clear();
            appended.followers.clear();
            log.give_back(take(&mut appended.wakers), take(&mut appended.followers));
            if appended.idle {
                self.shared.registry.release(log);
            }
        }
    }
}

/// Returns each append, to the logs of topics and to those of patterns.
fn each<'a>(
    all: &'a mut [InLog],
    fed: &'a mut [(Arc<Log>, Appended)],
) -> impl Iterator<Item = (&'a Arc<Log>, &'a mut Appended)> {
    let all = all.iter_mut().map(|InLog { log, appended, .. }| (&*log, appended));
    all.chain(fed.iter_mut().map(|(log, appended)| (&*log, appended)))
}

impl fmt::Debug for LocalHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalHub").field("cursor", &self.cursor()).finish_non_exhaustive()
    }
}
