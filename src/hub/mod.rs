//! Embedded hub: a sequencer, a log of sealed segments for each topic, and subscriptions that read it without a lock.
//!
//! A publish takes the sequencer's lock, appends the event to the topic's log, marks the inboxes of the subscriptions of
//! several topics that follow it, and advances the watermark. Many inboxes are marked after that
//! ([`late_marks`](wake::late_marks)). Wakers are called last. The time for which a lock is held does not
//! grow with the hub ([`holds`]). Locks are taken in the order sequencer, registry, a topic's log, a pattern's log, inbox, and none is held
//! while code of the application runs, such as a waker, a clock or the drop of a payload. A publisher makes room within the
//! byte budget before it takes the sequencer.
//!
//! An event *leaves history* when [`Retention`](crate::Retention) no longer keeps it, and *leaves memory* with its segment,
//! later if the live buffer keeps that for connected readers. The byte budget can evict both earlier. An event that left
//! memory before it expired is *lost*. A reader that had not read it has *missed* it, unless the reader conflates and a
//! newer event of its key replaced it.
//!
//! A topic *ends* by a mark that takes a sequence of the hub under the sequencer, as an event does, but is no event
//! ([`finish`]). It is stored beside the events of the topic's log ([`ending`](log::ending)) and in the registry
//! ([`ended_topics`](topics::ended_topics)), so no format, cache, retention or count of events sees it. A log whose topic
//! has ended is *over*, as is each log of a closed hub: its readers look at that one flag, under the log's lock, when they
//! have read all events. A reader that has read the end no longer counts as a subscription of the log. The registry keeps
//! the mark for a time and gives it to each new log of the topic. A log keeps it until no subscription is left that has not
//! read it.
//!
//! A *keyed* topic also has a *state*, the newest event of each key, which is not evicted
//! ([`keyed_state`](log::keyed_state)). A reader gets it in a [fill](log::fill), segments that are made of the state, and
//! continues in the log where the fill ends.
//!
//! The folders are floors: `wake` and `budget` do not use a log, `log` does not use topics and subscriptions,
//! `topics` finds logs by name, and `subscription` reads them. No file imports another in a circle.

mod budget;
mod builder;
mod epoch;
mod evict;
mod finish;
mod growth;
mod holds;
mod local;
mod log;
#[cfg(any(test, feature = "engine"))]
mod placed;
#[cfg(any(test, feature = "disk"))]
mod prepared;
mod publish_round;
#[cfg(feature = "disk")]
mod restored;
mod shared;
mod state_check;
mod subscription;
mod sync;
mod topic_retention;
mod topics;
mod wake;

pub use builder::LocalHubBuilder;
#[cfg(feature = "disk")]
pub(crate) use epoch::epoch_now;
pub use local::LocalHub;
#[cfg(feature = "disk")]
pub(crate) use prepared::Prepared;
#[cfg(feature = "disk")]
pub(crate) use restored::ExceededLimit;
#[cfg(any(test, feature = "engine"))]
pub(crate) use subscription::narrowed::narrowed;
pub use subscription::subscription::Subscription;
#[cfg(feature = "disk")]
pub(crate) use topics::retentions::Retentions;
pub use topics::stats::HubStats;
#[cfg(feature = "http")]
pub(crate) use wake::standby::{NotifierSource, Standby};
