use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Cursor, Pattern};

/// Description of a [`Subscriber`](crate::Subscriber), for operators and for the replies to polls.
///
/// ```
/// use tidings::{LocalHub, Subscribe, Subscriber};
///
/// let hub = LocalHub::new();
/// let subscription = hub.subscribe(Subscribe::topics(["news"]))?;
/// let cursor = hub.publish_now("news", "it is on")?.cursor();
/// let info = subscription.info();
/// assert_eq!(info.topics()[0].as_str(), "news");
/// assert_eq!(info.head(), cursor); // one event ahead of `subscription.cursor()`
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct SubscriberInfo<'a> {
    topics: Cow<'a, [Pattern]>,
    head: Option<Arc<dyn Head>>,
    next_event: NextEvent<'a>,
    end_state: NextEnd<'a>,
    is_filtered: bool,
    is_loading: bool,
}

/// State of a subscriber with regard to the ends of its topics, see [`SubscriberInfo::end_state`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum EndState {
    /// At least one topic has not ended, or this is unknown.
    #[default]
    Live,
    /// All topics have ended. Some deliveries are left.
    Ended,
    /// All topics have ended, and everything was delivered. The next delivery is
    /// [`SubscriptionEnd::Finished`](crate::subscriber::SubscriptionEnd::Finished).
    Finished,
}

/// Time until the next event.
#[derive(Clone, Copy, Default)]
enum NextEvent<'a> {
    #[default]
    Unknown,
    In(Duration),
    /// Computed when it is read.
    Of(&'a dyn InfoSource),
}

/// State with regard to the ends of topics.
#[derive(Clone, Copy, Default)]
enum NextEnd<'a> {
    #[default]
    Live,
    Is(EndState),
    /// Computed when it is read.
    Of(&'a dyn InfoSource),
}

/// Source of the values of a description that are computed when they are read.
pub(crate) trait InfoSource: Sync {
    /// Returns the time until the next event is likely, [`Duration::MAX`] for never.
    fn next_event_in(&self) -> Duration;

    /// Returns the time since the publication of the event with this sequence, if it was delivered last and that is known.
    #[cfg(feature = "metrics")]
    fn time_since(&self, sequence: u64) -> Option<Duration>;

    /// Returns the state with regard to the ends of the topics.
    fn end_state(&self) -> EndState;

    /// Returns whether a topic may have a state, see [`Retention::latest_per_key`](crate::Retention::latest_per_key).
    fn keeps_state(&self) -> bool;

    /// Returns whether there may be removals among the events, also after a change of the topics.
    fn may_have_removals(&self) -> bool;
}

/// Position of a source's newest event. It may be called from any thread.
pub(crate) trait Head: Send + Sync + 'static {
    /// Returns the cursor of the newest event, of any topic.
    fn cursor(&self) -> Cursor;
}

impl<F: Fn() -> Cursor + Send + Sync + 'static> Head for F {
    fn cursor(&self) -> Cursor {
        self()
    }
}

impl<'a> SubscriberInfo<'a> {
    /// Creates an empty description.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the topics and patterns that the subscriber follows. Default: none.
    pub fn with_topics(self, topics: impl Into<Cow<'a, [Pattern]>>) -> Self {
        Self { topics: topics.into(), ..self }
    }

    /// Sets a function that returns the cursor of the source's newest event. An endpoint calls it, from any thread, to
    /// compute the number of events that a session is behind. Default: unknown.
    pub fn with_head(self, head: impl Fn() -> Cursor + Send + Sync + 'static) -> Self {
        self.with_shared_head(Arc::new(head))
    }

    pub(crate) fn with_shared_head(self, head: Arc<dyn Head>) -> Self {
        Self { head: Some(head), ..self }
    }

    /// Sets the time until the next event is likely, [`Duration::MAX`] for never. Default: unknown.
    pub fn with_next_event_in(self, time: Duration) -> Self {
        Self { next_event: NextEvent::In(time), ..self }
    }

    pub(crate) fn with_source(self, source: &'a dyn InfoSource) -> Self {
        Self { next_event: NextEvent::Of(source), end_state: NextEnd::Of(source), ..self }
    }

    /// Sets the state with regard to the ends of the topics. Default: [`EndState::Live`].
    pub fn with_end_state(self, end_state: EndState) -> Self {
        Self { end_state: NextEnd::Is(end_state), ..self }
    }

    /// Marks the subscriber as filtered: its cursor also moves past events of its topics that it leaves out, as with
    /// [`Subscribe::filter`](crate::Subscribe::filter). Keep-alives of a stream then have the cursor, so that a client
    /// which resumes receives no gap for such events. Default: not filtered.
    pub fn with_filter(self) -> Self {
        Self { is_filtered: true, ..self }
    }

    /// Marks the subscriber as one that loads events of before its subscription, from a disk or a server: that it is pending does
    /// not mean that there is none. A short poll waits for the first of them. Default: not loading.
    pub fn with_loading(self) -> Self {
        Self { is_loading: true, ..self }
    }

    /// Returns whether the subscriber [loads](Self::with_loading) events.
    #[must_use]
    pub fn is_loading(&self) -> bool {
        self.is_loading
    }

    /// Returns whether the subscriber is [filtered](Self::with_filter).
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        self.is_filtered
    }

    /// Returns whether all topics have ended. An [`Endpoint`](crate::Endpoint) reads it when a client subscribes: a
    /// client that reconnects after the end receives the end again, see [`Endpoint`](crate::Endpoint#end).
    #[must_use]
    pub fn end_state(&self) -> EndState {
        match self.end_state {
            NextEnd::Live => EndState::Live,
            NextEnd::Is(end_state) => end_state,
            NextEnd::Of(source) => source.end_state(),
        }
    }

    /// Returns whether one of the topics may have a state that the source itself delivers.
    pub(crate) fn keeps_state(&self) -> bool {
        matches!(self.next_event, NextEvent::Of(source) if source.keeps_state())
    }

    /// Returns whether there may be [removals](crate::Event::removal) among the events: `false` only for a hub without
    /// keyed topics.
    #[allow(dead_code, reason = "used by WebSockets")]
    pub(crate) fn may_have_removals(&self) -> bool {
        !matches!(self.next_event, NextEvent::Of(source) if !source.may_have_removals())
    }

    /// Returns whether the keep-alives of a stream have the cursor. A client of a filtered subscriber or of a state that resumes at
    /// its last event would get a gap once later events that it did not get have left history, or removals are forgotten.
    #[allow(dead_code, reason = "used by the streams")]
    pub(crate) fn owes_cursor(&self) -> bool {
        self.is_filtered || self.keeps_state()
    }

    /// Returns the topics and patterns that the subscriber follows.
    #[must_use]
    pub fn topics(&self) -> &[Pattern] {
        &self.topics
    }

    /// Returns the cursor of the source's newest event, if it is known.
    #[must_use]
    pub fn head(&self) -> Option<Cursor> {
        self.head.as_ref().map(|head| head.cursor())
    }

    /// Returns the time until the next event is likely, estimated from the intervals of the last ones. [`Duration::MAX`] if
    /// there were none, `None` if it is unknown. The reply to a short poll contains the time of the next poll, which depends
    /// on it.
    #[must_use]
    pub fn next_event_in(&self) -> Option<Duration> {
        match self.next_event {
            NextEvent::Unknown => None,
            NextEvent::In(time) => Some(time),
            NextEvent::Of(source) => Some(source.next_event_in()),
        }
    }

    /// Returns the time since the publication of the event with this sequence, if it was delivered last and that is known.
    #[cfg(feature = "metrics")]
    #[allow(dead_code, reason = "used by the endpoint")]
    pub(crate) fn time_since(&self, sequence: u64) -> Option<Duration> {
        match self.next_event {
            NextEvent::Of(source) => source.time_since(sequence),
            NextEvent::Unknown | NextEvent::In(_) => None,
        }
    }

    #[allow(dead_code, reason = "used by the endpoint")]
    pub(crate) fn into_topics(self) -> Vec<Pattern> {
        self.topics.into_owned()
    }

    #[allow(dead_code, reason = "used by the endpoint")]
    pub(crate) fn into_head(self) -> Option<Arc<dyn Head>> {
        self.head
    }
}

impl fmt::Debug for SubscriberInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscriberInfo")
            .field("topics", &self.topics)
            .field("head", &self.head())
            .field("next_event_in", &self.next_event_in())
            .field("end_state", &self.end_state())
            .field("is_filtered", &self.is_filtered)
            .field("is_loading", &self.is_loading)
            .finish()
    }
}
