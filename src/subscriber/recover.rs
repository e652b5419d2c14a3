use std::task::{Context, Poll, ready};

use crate::contract::{Batch, Delivery, EncodedBatch, EncodedDelivery, Format, Start, Subscriber, SubscriberInfo};
use crate::model::{Cursor, Gap, GapReason, Pattern, TopicEnd};
use crate::subscriber::following::{Following, Step, look, with_more};
use crate::subscriber::oversize::{self, Fit};
use crate::subscriber::recovery::Recovery;
use crate::subscriber::snapshot::{NOWHERE, State, UNREADABLE};
use crate::subscriber::stage::{self, Stage};
use crate::subscriber::{Fetched, Snapshot};

/// Subscriber that recovers from gaps by snapshots of the application's state.
///
/// [`SubscriberExt::recover_with`](crate::subscriber::SubscriberExt::recover_with) returns one. At a gap it calls the closure
/// and is pending until the future of the [`Snapshot`] is ready. Then it yields the gap, marked [`snapshot`](Gap::snapshot),
/// all events of the snapshot, even if they exceed the limit of bytes, and the later events that the snapshot does not
/// contain. Without a snapshot it yields the gap alone. Other deliveries and their encoded bytes are unchanged.
///
/// A client that received only part of a snapshot starts over: the gap and all events of the snapshot but the last have the
/// cursor `0.0`, which is of no hub's epoch, so the client resumes at an [`Epoch`](GapReason::Epoch) gap. The last event has
/// the cursor of the events that follow. If topics ended before the newest event of the snapshot, their
/// [ends](Delivery::TopicEnd) follow the snapshot, and the last of them has that cursor.
///
/// The client keeps its own cursor while the snapshot is pending, during a snapshot that it
/// [begins with](Self::with_snapshot), and before the first poll if the subscriber has no cursor because of a gap. An
/// unreadable cursor is `0.a2` in these cases, which is of no hub's epoch either.
///
/// One snapshot replaces all gaps whose events were gone when it was requested. A snapshot without a cursor does so until
/// older events of the gap's topic were delivered, if the subscriber has a [head](Subscriber::info). A snapshot that does not
/// contain the missing events is not sent, see [`Snapshot::with_cursor`].
///
/// A hub's subscriber with [keyed](crate::Retention::latest_per_key) topics yields their states itself. The closure is not
/// called for it, and a gap of another topic is yielded alone: a snapshot is the state of all topics, and a client that received
/// only part of it would begin again at `0.0`, with a state of keyed topics that no gap replaces. Follow topics that need
/// snapshots by another subscriber, or make them keyed, too.
///
/// Every method is cancel-safe. Dropping the subscriber drops the future. After a panic of the closure, of its future or of a
/// [`Format`] the cursor is unchanged, and the next poll yields the same gap, snapshot or events. A panic of the inner
/// subscriber may lose its current delivery.
///
/// ```
/// use std::task::{Context, Poll, Waker};
/// use tidings::{Gap, LocalHub, Snapshot, Start, Subscribe, Subscriber, Topic};
/// use tidings::subscriber::{Delivery, SubscriberExt};
///
/// let (hub, score) = (LocalHub::new(), Topic::new("score")?);
/// hub.publish_now(&score, "1:0")?;
/// let last = hub.publish_now(&score, "1:1")?.cursor();
///
/// let start = Start::After("0.0".parse()?); // of another epoch
/// let subscription = hub.subscribe(Subscribe::topics([&score]).start(start))?;
/// let state = move |_: &Gap| {
///     let state = Snapshot::new([(score.clone(), "1:1".into())]).with_cursor(last);
///     async { Some(state) }
/// };
/// let mut subscriber = subscription.recover_with(state).with_start(start);
///
/// let mut cx = Context::from_waker(Waker::noop());
/// assert!(matches!(subscriber.poll_next(&mut cx), Poll::Ready(Delivery::Gap(gap)) if gap.snapshot));
/// assert!(matches!(subscriber.poll_next(&mut cx), Poll::Ready(Delivery::Events(state)) if state.len() == 1));
/// assert!(subscriber.poll_next(&mut cx).is_pending());
/// assert_eq!(subscriber.cursor(), last);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[repr(C)]
pub struct Recover<S, F> {
    // The fields that a delivery touches are first.
    /// `None` if deliveries of the inner subscriber are passed on.
    pub(super) stage: Option<Box<Stage>>,
    /// Maximum number of bytes of an encoded event. A larger event becomes a gap.
    max_event: usize,
    pub(super) inner: S,
    pub(super) recovery: F,
    /// Cursor of the client when it subscribed, or after the last snapshot or events of a stage.
    pub(super) held: Option<Cursor>,
}

impl<S: Subscriber, F: Recovery> Recover<S, F> {
    pub(crate) fn new(subscriber: S, recovery: F) -> Self {
        Self { inner: subscriber, recovery, held: None, stage: None, max_event: usize::MAX }
    }

    /// Sets the start of the client. Call it before the first poll. The client keeps the cursor of the start until a gap is
    /// yielded, so a client that is cut before the gap resumes from that cursor. Default: [`Start::Now`].
    #[must_use]
    pub fn with_start(mut self, start: Start) -> Self {
        self.held = if start == Start::Unreadable { Some(UNREADABLE) } else { start.cursor() };
        if self.stage.is_none() && self.inner.cursor().is_none() {
            self.stage = self.held.map(|cursor| Box::new(Stage::New(cursor)));
        }
        self
    }

    /// Sets a snapshot that is yielded before the first event. Load it after the subscriber was created, and set it before a poll.
    #[must_use]
    pub fn with_snapshot(mut self, snapshot: Snapshot) -> Self {
        if !snapshot.is_nothing() {
            self.go_on(Stage::Opening(snapshot));
        }
        self
    }

    /// Sets the maximum number of bytes of an encoded event. A larger event becomes a gap, and a snapshot with a larger event
    /// is not sent. The inner subscriber must obey the limit of bytes.
    #[cfg(feature = "http")]
    pub(crate) fn max_event(self, max: usize) -> Self {
        Self { max_event: max, ..self }
    }

    fn go_on(&mut self, stage: Stage) {
        self.stage = Some(Box::new(stage));
    }

    #[cold]
    fn meet(&mut self, gap: Gap) {
        // The client must not keep a cursor that this hub does not know, because another hub may know it.
        let known = gap.after.or(self.held).unwrap_or(NOWHERE);
        self.held = Some(if gap.reason == GapReason::Invalid { UNREADABLE } else { known });
        self.go_on(Stage::Recovering { gap, snapshot: None, asked: None });
    }

    #[cold]
    fn poll_stage(&mut self, cx: &mut Context<'_>, fit: Option<Fit<'_>>) -> Poll<Option<Step>> {
        while let Some(stage) = self.stage.as_deref_mut() {
            match stage {
                Stage::New(_) => self.stage = None,
                Stage::Opening(snapshot) if fit.is_some_and(|fit| !fit.allows(snapshot)) => {
                    self.stage = None;
                    let cursor = self.inner.cursor().or(self.held);
                    return Poll::Ready(Some(Step::Gap(oversize::gap(None, cursor, self.inner.info().topics()))));
                }
                Stage::Opening(snapshot) => {
                    // The snapshot does not contain the states, whose events are sent after it.
                    snapshot.forget_cursor_if(self.inner.info().keeps_state());
                    let next = look(&mut self.inner, snapshot, cx);
                    let following = Following::new(snapshot.known(None), next, &mut self.inner, cx);
                    let snapshot = std::mem::take(snapshot);
                    self.send(snapshot, following, None);
                }
                Stage::Recovering { gap, snapshot, asked } => {
                    // Taken out while the application's code runs, so that a future that panicked is not polled again.
                    let mut under_way = snapshot.take().unwrap_or_else(|| {
                        *asked = self.inner.info().head();
                        self.recovery.recover(gap)
                    });
                    let Poll::Ready(mended) = under_way.as_mut().poll(cx) else {
                        *snapshot = Some(under_way);
                        return Poll::Pending;
                    };
                    let (gap, asked) = (gap.clone(), *asked);
                    match mended {
                        Ok(answer) => return Poll::Ready(Some(Step::Gap(self.answer(cx, gap, answer, asked, fit)))),
                        Err(end) => self.go_on(Stage::Over(end)),
                    }
                }
                Stage::Sending(state, following) if state.events.is_empty() => {
                    *stage = Stage::Following(std::mem::take(following));
                }
                Stage::Sending(..) => return Poll::Ready(Some(Step::State)),
                Stage::Following(following) => {
                    if let Some(end) = following.take_end(&mut self.held) {
                        return Poll::Ready(Some(Step::TopicEnd(end)));
                    }
                    let Following { state, next, begun, .. } = following;
                    let state = *state;
                    let delivery = match next.take() {
                        Some(delivery) => delivery,
                        None => {
                            let here = state.after(self.inner.cursor()).or(self.held);
                            let Poll::Ready(delivery) = self.inner.poll_next(cx) else {
                                if state.is_past(self.inner.cursor()) {
                                    self.stage = None;
                                }
                                return Poll::Pending;
                            };
                            self.held = here;
                            delivery
                        }
                    };
                    match delivery {
                        Delivery::Gap(gap) if gap.snapshot || self.inner.info().keeps_state() => {
                            // The inner subscriber recovers by itself.
                            self.stage = None;
                            return Poll::Ready(Some(Step::Gap(gap)));
                        }
                        Delivery::Gap(gap) if state.has_mended(&gap) && begun.allows(&gap) => {}
                        Delivery::Gap(gap) => self.meet(gap),
                        Delivery::Events(batch) => {
                            if let Some(rest) = state.rest_of(&batch) {
                                begun.add(&rest, state);
                                *next = Some(Delivery::Events(rest.clone()));
                                return Poll::Ready(Some(Step::Events(rest)));
                            }
                        }
                        Delivery::TopicEnd(end) => {
                            // The client's cursor must not move back to before the newest event of the snapshot.
                            let cursor = state.after(Some(end.cursor)).unwrap_or(end.cursor);
                            return Poll::Ready(Some(Step::TopicEnd(TopicEnd { cursor, ..end })));
                        }
                        Delivery::End(end) => {
                            self.stage = None;
                            return Poll::Ready(Some(Step::End(end)));
                        }
                    }
                }
                Stage::Over(end) => return Poll::Ready(Some(Step::End(*end))),
            }
        }
        Poll::Ready(None)
    }

    /// Returns the gap for the client, with the answer of the recovery.
    fn answer(
        &mut self,
        cx: &mut Context<'_>,
        mut gap: Gap,
        snapshot: Option<Snapshot>,
        asked: Option<Cursor>,
        fit: Option<Fit<'_>>,
    ) -> Gap {
        let snapshot = snapshot.filter(|snapshot| snapshot.known(asked).answers(&gap, self.held));
        let Some(snapshot) = snapshot.and_then(|snapshot| oversize::fitting(snapshot, fit, &mut self.recovery)) else {
            self.held = Some(gap.cursor);
            self.stage = None;
            return gap;
        };
        let (is_empty, after) = (snapshot.events.is_empty(), gap.cursor);
        let following = Following::new(snapshot.known(asked), None, &mut self.inner, cx);
        // A client that received only part of the snapshot starts over.
        self.held = Some(NOWHERE);
        self.send(snapshot, following, Some(after));
        gap.cursor = self.held.filter(|_| is_empty).unwrap_or(NOWHERE);
        gap.with_snapshot()
    }

    /// Encodes and takes the events that fit, but at least one. An event that is too large becomes a gap.
    fn encode(&mut self, batch: &Batch, format: &dyn Format, max: usize) -> EncodedDelivery {
        let (bytes, count, cursor) = batch.encode_first(format, max.min(self.max_event));
        let rest = batch.clone().without_first(count).with_conflated(0);
        self.took_events(Some(rest).filter(|rest| !rest.is_empty()), cursor);
        if bytes.len() > self.max_event {
            return EncodedDelivery::Gap(oversize::gap(Some(count), cursor, &[batch.topic().clone().into()]));
        }
        EncodedDelivery::Events(EncodedBatch::new(bytes, count).with_conflated(batch.conflated()))
    }

    /// Polls the inner subscriber, or the stage.
    #[inline(always)]
    pub(crate) fn poll_fetched(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<Fetched> {
        if self.stage.is_some() {
            return self.poll_other(None, cx, format, max).map(Fetched::Other);
        }
        match self.inner.poll_encoded(cx, format, max.min(self.max_event)) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(EncodedDelivery::Events(events)) if events.bytes.len() <= self.max_event => {
                Poll::Ready(Fetched::Events(events))
            }
            Poll::Ready(other) => self.poll_other(Some(other), cx, format, max).map(Fetched::Other),
        }
    }

    /// Passes on a delivery of the inner subscriber that is not events within the limit, or polls the stage.
    #[cold]
    fn poll_other(
        &mut self,
        delivery: Option<EncodedDelivery>,
        cx: &mut Context<'_>,
        format: &dyn Format,
        max: usize,
    ) -> Poll<Box<EncodedDelivery>> {
        Poll::Ready(Box::new(match delivery {
            // Several events are a snapshot of an inner subscriber that recovers by itself.
            Some(EncodedDelivery::Events(events)) if events.events == 1 => {
                EncodedDelivery::Gap(oversize::gap(Some(1), self.inner.cursor(), self.inner.info().topics()))
            }
            Some(EncodedDelivery::Gap(gap)) if !gap.snapshot && !self.inner.info().keeps_state() => {
                self.meet(gap);
                ready!(self.poll_encoded_stage(cx, format, max))
            }
            Some(other) => other,
            None => ready!(self.poll_encoded_stage(cx, format, max)),
        }))
    }

    /// Records that events were delivered, up to `cursor` if some are left.
    fn took_events(&mut self, rest: Option<Batch>, cursor: Option<Cursor>) {
        let Some(Stage::Following(following)) = self.stage.as_deref_mut() else { return };
        following.next = rest.map(Delivery::Events);
        if following.next.is_some() {
            self.held = cursor;
        } else if following.state.is_past(self.inner.cursor()) {
            self.stage = None;
        }
    }

    /// Takes the snapshot, or a part of it.
    fn take_state<T>(&mut self, take: impl FnOnce(&mut State) -> Option<T>) -> Option<T> {
        match self.stage.as_deref_mut() {
            Some(Stage::Sending(state, _)) => take(state),
            _ => None,
        }
    }

    #[cold]
    fn poll_encoded_stage(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<EncodedDelivery> {
        match ready!(self.poll_stage(cx, Some(Fit { format, max: self.max_event }))) {
            Some(Step::Gap(gap)) => return Poll::Ready(EncodedDelivery::Gap(gap)),
            Some(Step::TopicEnd(end)) => return Poll::Ready(EncodedDelivery::TopicEnd(end)),
            Some(Step::End(end)) => return Poll::Ready(EncodedDelivery::End(end)),
            Some(Step::Events(batch)) => return Poll::Ready(self.encode(&batch, format, max)),
            Some(Step::State) => {
                let encoding = self.take_state(|state| {
                    let encoding = state.encode(format);
                    *state = State::default();
                    Some(encoding)
                });
                if let Some(encoding) = encoding {
                    return Poll::Ready(EncodedDelivery::Events(encoding));
                }
            }
            None => {}
        }
        self.poll_encoded(cx, format, max)
    }
}

impl<S: Subscriber, F: Recovery> Subscriber for Recover<S, F> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        loop {
            if self.stage.is_some() {
                match ready!(self.poll_stage(cx, None)) {
                    Some(Step::Gap(gap)) => return Poll::Ready(Delivery::Gap(gap)),
                    Some(Step::TopicEnd(end)) => return Poll::Ready(Delivery::TopicEnd(end)),
                    Some(Step::End(end)) => return Poll::Ready(Delivery::End(end)),
                    Some(Step::Events(batch)) => {
                        self.took_events(None, None);
                        return Poll::Ready(Delivery::Events(batch));
                    }
                    Some(Step::State) => match self.take_state(State::take_batch) {
                        Some(batch) => return Poll::Ready(Delivery::Events(batch)),
                        None => continue,
                    },
                    None => {}
                }
            }
            match self.inner.poll_next(cx) {
                Poll::Ready(Delivery::Gap(gap)) if !gap.snapshot && !self.inner.info().keeps_state() => self.meet(gap),
                polled => return polled,
            }
        }
    }

    #[inline]
    fn poll_encoded(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<EncodedDelivery> {
        self.poll_fetched(cx, format, max).map(Fetched::into_delivery)
    }

    fn heeds_max(&self) -> bool {
        self.inner.heeds_max()
    }

    #[inline]
    fn register(&mut self, cx: &mut Context<'_>) -> bool {
        self.stage.is_none() && self.inner.register(cx)
    }

    #[inline]
    fn cursor(&self) -> Option<Cursor> {
        match &self.stage {
            None => self.inner.cursor(),
            Some(stage) => stage.cursor(self.held, || self.inner.cursor()),
        }
    }

    fn acknowledge(&mut self, cursor: Cursor) {
        self.inner.acknowledge(cursor);
    }

    fn skip_to(&mut self, cursor: Cursor) -> bool {
        self.inner.skip_to(cursor) && stage::skip_to(&mut self.stage, &mut self.held, cursor)
    }

    fn skip_followed(&mut self, cursor: Cursor, followed: &[Pattern]) -> bool {
        self.inner.skip_followed(cursor, followed) && stage::skip_to(&mut self.stage, &mut self.held, cursor)
    }

    fn release(&mut self) {
        self.inner.release();
    }

    #[inline]
    fn info(&self) -> SubscriberInfo<'_> {
        let (info, has_more) = (self.inner.info(), self.stage.as_ref().is_some_and(|stage| stage.has_more()));
        if has_more { with_more(info) } else { info }
    }
}
