//! The change of a session's topics: between two deliveries, the subscriber of the new topics takes the place of the
//! old one.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};

use super::change::{ChangeRequest, NewSubscriber, Subscribing, TopicsChange, is_position};
use super::entry::drop_catching;
use super::metered::{Alert, MeteredSubscriber};
use super::recovery;
use crate::contract::{EncodedBatch, EncodedDelivery, EndState, Format, Rejection, Start, Subscriber, place};
use crate::endpoint::refused::Refused;
use crate::endpoint::reject::RefusalCause;
use crate::model::{Cursor, Pattern};
use crate::transport::object::{write_topics, write_topics_error};

/// Text of a refusal if one subscriber cannot take the place of another.
const NO_CURSORS: &str = "topics of this source cannot be changed: reconnect with the other topics";

/// Result of a step of the changes.
enum Step {
    /// Nothing can be done now.
    Idle,
    /// Another subscriber is to be polled.
    Swapped,
    /// The change is over. Clients that get control objects get this one.
    Over(Option<Bytes>),
}

impl MeteredSubscriber {
    /// Polls a subscriber whose session has a change. The change continues before the poll, and after one that is
    /// pending.
    #[cold]
    pub(super) fn poll_changing(
        &mut self,
        cx: &mut Context<'_>,
        format: &dyn Format,
        max: usize,
    ) -> Poll<Box<EncodedDelivery>> {
        let entry = self.entry.clone();
        let alert = Alert(&entry);
        let polled = self.poll_change(cx, format, max);
        mem::forget(alert);
        polled
    }

    fn poll_change(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<Box<EncodedDelivery>> {
        let mut polls_answer = true;
        loop {
            if self.is_shut() {
                // The revocation wakes the task.
                return Poll::Pending;
            }
            if let Step::Over(Some(object)) = self.advance(cx, polls_answer, format) {
                return self.deliver(object);
            }
            let polled = self.poll_throttled(cx, format, max);
            if polled.is_ready() {
                return polled;
            }
            polls_answer = false;
            // The client may be at the cursor that the change waits for.
            match self.advance(cx, polls_answer, format) {
                Step::Over(Some(object)) => return self.deliver(object),
                Step::Swapped => {}
                Step::Over(None) | Step::Idle => return Poll::Pending,
            }
        }
    }

    /// Returns an object for the client as a delivery without events.
    fn deliver(&self, object: Bytes) -> Poll<Box<EncodedDelivery>> {
        match self.is_shut() {
            true => Poll::Pending,
            false => Poll::Ready(Box::new(EncodedDelivery::Events(EncodedBatch::new(object, 0)))),
        }
    }

    /// Continues the changes as far as possible, or up to an object for the client.
    fn advance(&mut self, cx: &mut Context<'_>, polls_answer: bool, format: &dyn Format) -> Step {
        let mut reached = Step::Idle;
        while let Some(change) = self.entry.take_change() {
            match self.step(change, cx, polls_answer, format) {
                Step::Idle => break,
                Step::Swapped => reached = Step::Swapped,
                Step::Over(None) => {}
                over => return over,
            }
        }
        reached
    }

    fn step(&mut self, change: TopicsChange, cx: &mut Context<'_>, polls_answer: bool, format: &dyn Format) -> Step {
        match change {
            // A change that began between a gap and its snapshot would begin at no position.
            TopicsChange::New(_) if !self.is_at_boundary() => self.wait(change),
            TopicsChange::New(request) => match self.feed.cursor() {
                Some(cursor) => {
                    let answer = (request.ask)(cursor);
                    self.poll_answer(request, answer, cx, format)
                }
                None => self.refuse_without_cursors(Some(request), format),
            },
            TopicsChange::Asked(..) if !polls_answer => self.wait(change),
            TopicsChange::Asked(request, answer) => self.poll_answer(request, answer, cx, format),
            TopicsChange::Ready(request, accepted) => self.swap(request, accepted, format),
            TopicsChange::Swapped(topics, at) => self.confirm(topics, at, format),
        }
    }

    /// Puts back a change that cannot continue now.
    fn wait(&self, change: TopicsChange) -> Step {
        self.entry.put_change(change);
        Step::Idle
    }

    /// Returns whether another subscriber may take over: the client receives neither a snapshot nor the state of a
    /// keyed topic, and has not received the end of the stream.
    fn is_at_boundary(&self) -> bool {
        self.feed.is_passing()
            && self.feed.cursor().is_none_or(|cursor| is_position(cursor, &self.feed))
            && self.feed.info().end_state() != EndState::Finished
    }

    fn poll_answer(
        &mut self,
        request: ChangeRequest,
        mut answer: Subscribing,
        cx: &mut Context<'_>,
        format: &dyn Format,
    ) -> Step {
        let Poll::Ready(answered) = answer.as_mut().poll(cx) else {
            return self.wait(TopicsChange::Asked(request, answer));
        };
        drop_catching(answer);
        match answered {
            Ok(accepted) => self.swap(Some(request), NewSubscriber::new(accepted), format),
            Err(rejection) => Step::Over(object_in(format, |out| {
                write_topics_error(&rejection, &rejection.message(), names(&request.topics), out);
            })),
        }
    }

    /// Swaps the subscriber in, if the client is at its position or after it.
    fn swap(&mut self, request: Option<ChangeRequest>, mut new: Box<NewSubscriber>, format: &dyn Format) -> Step {
        if !self.is_at_boundary() {
            return self.wait(TopicsChange::Ready(request, new));
        }
        let (Some(here), Some(_)) = (self.feed.cursor(), new.accepted.subscriber.cursor()) else {
            return self.refuse_without_cursors(request, format);
        };
        if new.from.is_some_and(|from| from.epoch() == here.epoch() && !here.reaches(from)) {
            // The events up to there are those of the present subscriber.
            return self.wait(TopicsChange::Ready(request, new));
        }
        let followed = self.feed.info().into_topics();
        if !new.accepted.subscriber.skip_followed(here, &followed) {
            return self.refuse_without_cursors(request, format);
        }
        let (lifetime, throttle) = (new.accepted.lifetime, new.accepted.throttle);
        let feed = recovery::feed(&self.entry, None, new.accepted, Start::After(here));
        drop_catching(mem::replace(&mut self.feed, feed));
        let followed = self.feed.info().into_topics();
        let topics = request.map_or_else(|| followed.as_slice().into(), |request| request.topics);
        self.entry.session.follow(followed);
        Self::begin(&self.feed, &self.entry);
        self.change_throttle(throttle);
        if let Some(lifetime) = lifetime {
            self.entry.extend(lifetime);
        }
        self.entry.put_change(TopicsChange::Swapped(topics, here));
        Step::Swapped
    }

    /// Confirms the change when the client has the states of the added topics, and the snapshot of the subscriber: its cursor
    /// is then at that of the swap, or after it. The subscriber is pending once after the states, and later events follow
    /// the confirmation.
    fn confirm(&self, topics: Arc<[Pattern]>, at: Cursor, format: &dyn Format) -> Step {
        let here = self.feed.cursor().filter(|&here| !self.feed.owes_snapshot() && is_position(here, &self.feed));
        if !here.is_some_and(|here| here.reaches(at)) {
            return self.wait(TopicsChange::Swapped(topics, at));
        }
        Step::Over(object_in(format, |out| write_topics(names(&topics), here, out)))
    }

    fn refuse_without_cursors(&self, request: Option<ChangeRequest>, format: &dyn Format) -> Step {
        let refused = Refused::new(RefusalCause::Publisher, NO_CURSORS).of_session(&self.entry.session);
        self.entry.shared.report_refusal(&refused);
        Step::Over(request.and_then(|request| {
            object_in(format, |out| {
                write_topics_error(&Rejection::Unsupported, NO_CURSORS, names(&request.topics), out);
            })
        }))
    }
}

fn names(topics: &[Pattern]) -> impl Iterator<Item = &str> {
    topics.iter().map(Pattern::as_str)
}

/// Returns the object as a frame if the client gets control objects: a WebSocket of `tidings.v1`.
fn object_in(format: &dyn Format, write: impl FnOnce(&mut BytesMut)) -> Option<Bytes> {
    if format.slot() != Some(place::WEBSOCKET_OBJECT) {
        return None;
    }
    #[cfg(feature = "websocket")]
    return Some(crate::transport::websocket::encode_object(write));
    #[cfg(not(feature = "websocket"))]
    {
        let _ = write;
        None
    }
}
