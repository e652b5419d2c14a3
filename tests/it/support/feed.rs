use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use tidings::subscriber::{
    Batch, Delivery, EncodedBatch, EncodedDelivery, EndState, EventRef, Format, SubscriberInfo, SubscriptionEnd,
};
use tidings::{Cursor, EndReason, Event, Gap, GapReason, Subscriber, Topic, TopicEnd};

/// A scripted source. Every reader gets the items that are put in, in that order. Clones share the script.
///
/// It behaves as a subscription of a hub: a reader that returns pending is woken by the next item. Its cursor is that of
/// the last item that it delivered, or the watermark after it returned pending.
#[derive(Clone)]
pub(crate) struct Feed(Arc<Mutex<State>>);

struct State {
    epoch: u64,
    watermark: u64,
    script: Vec<Step>,
    readers: u64,
    /// Wakers of the readers that wait, by id.
    waiting: BTreeMap<u64, Waker>,
}

#[derive(Clone)]
enum Step {
    Event { topic: Topic, sequence: u64, event: Event },
    Gap(Gap),
    TopicEnd(TopicEnd),
    End(SubscriptionEnd),
}

/// A subscriber of a [`Feed`].
pub(crate) struct Reader {
    feed: Feed,
    id: u64,
    at: usize,
    sequence: u64,
    /// Maximum events of a poll.
    batch: usize,
    /// Gap that is yielded first.
    gap: Option<Gap>,
}

impl Feed {
    /// Returns a source with cursors of this epoch. A source of epoch 0 has no cursors.
    pub(crate) fn new(epoch: u64) -> Self {
        let (script, waiting) = (Vec::new(), BTreeMap::new());
        Self(Arc::new(Mutex::new(State { epoch, watermark: 0, script, readers: 0, waiting })))
    }

    /// Puts in an event with the next sequence. Returns its cursor.
    pub(crate) fn event(&self, topic: &str, event: impl Into<Event>) -> Option<Cursor> {
        let (topic, event) = (Topic::new(topic).unwrap(), event.into());
        self.put(|sequence| Step::Event { topic, sequence, event })
    }

    /// Puts in a gap whose last missing event has the next sequence. Returns its cursor.
    pub(crate) fn gap(&self, reason: GapReason, missed: Option<u64>) -> Cursor {
        let epoch = self.state().epoch;
        self.put(|sequence| {
            let gap = Gap::new(reason, Cursor::new(epoch, sequence));
            Step::Gap(missed.into_iter().fold(gap, Gap::with_missed))
        });
        Cursor::new(epoch, self.state().watermark)
    }

    /// Puts in the end of a topic with the next sequence, while others go on. Returns its cursor.
    pub(crate) fn topic_end(&self, topic: &str, reason: EndReason) -> Cursor {
        let (epoch, topic) = (self.state().epoch, Topic::new(topic).unwrap());
        self.put(|sequence| Step::TopicEnd(TopicEnd::new(topic, Cursor::new(epoch, sequence), reason)));
        Cursor::new(epoch, self.state().watermark)
    }

    /// Puts in the end of the last topic with the next sequence, and the end. Returns its cursor.
    pub(crate) fn last_topic_end(&self, topic: &str, reason: EndReason) -> Cursor {
        let (epoch, topic) = (self.state().epoch, Topic::new(topic).unwrap());
        self.put(|sequence| Step::TopicEnd(TopicEnd::new(topic, Cursor::new(epoch, sequence), reason).with_last()));
        let cursor = Cursor::new(epoch, self.state().watermark);
        self.end(SubscriptionEnd::Finished);
        cursor
    }

    /// Moves the watermark past an event that the readers do not follow.
    pub(crate) fn pass(&self) {
        self.state().watermark += 1;
    }

    /// Puts in the end.
    pub(crate) fn end(&self, end: SubscriptionEnd) {
        self.put(|_| Step::End(end));
    }

    /// Returns a reader from the first item on.
    pub(crate) fn reader(&self) -> Reader {
        let mut state = self.state();
        state.readers += 1;
        Reader { feed: self.clone(), id: state.readers, at: 0, sequence: 0, batch: usize::MAX, gap: None }
    }

    /// Returns a reader of the items after a cursor. A cursor of another epoch is followed by a gap and all items.
    pub(crate) fn resume(&self, cursor: Cursor) -> Reader {
        let epoch = self.state().epoch;
        if cursor.epoch() != epoch {
            let mut reader = self.reader();
            reader.gap = Some(Gap::new(GapReason::Epoch, Cursor::new(epoch, 0)));
            return reader;
        }
        let mut reader = self.reader();
        (reader.at, reader.sequence) = (self.after(cursor.sequence()), cursor.sequence());
        reader
    }

    /// Returns the place of the first item after this sequence.
    fn after(&self, sequence: u64) -> usize {
        self.state().script.partition_point(|step| match step {
            Step::Event { sequence: here, .. } => *here <= sequence,
            Step::Gap(gap) => gap.cursor.sequence() <= sequence,
            Step::TopicEnd(end) => end.cursor.sequence() <= sequence,
            Step::End(_) => false,
        })
    }

    fn put(&self, step: impl FnOnce(u64) -> Step) -> Option<Cursor> {
        let mut state = self.state();
        state.watermark += 1;
        let (epoch, sequence) = (state.epoch, state.watermark);
        state.script.push(step(sequence));
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_values().for_each(Waker::wake);
        (epoch != 0).then(|| Cursor::new(epoch, sequence))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl Reader {
    /// Limits a poll to `batch` events.
    pub(crate) fn batches_of(mut self, batch: usize) -> Self {
        self.batch = batch.max(1);
        self
    }

    /// Returns the events from the position on, with the epoch, or else the next gap or end.
    fn look(&mut self, cx: &mut Context<'_>) -> Poll<Result<(u64, Vec<Step>), Delivery>> {
        if let Some(gap) = self.gap.take() {
            return Poll::Ready(Err(Delivery::Gap(gap)));
        }
        let mut state = self.feed.state();
        match state.script.get(self.at) {
            None => {
                self.sequence = state.watermark;
                state.waiting.insert(self.id, cx.waker().clone());
                Poll::Pending
            }
            Some(Step::Gap(gap)) => {
                let before = Cursor::new(state.epoch, self.sequence);
                // As a hub's, so that a client keeps its cursor while a snapshot is on its way.
                let knows_before = gap.reason == GapReason::Overflow && state.epoch != 0;
                let gap = if knows_before { gap.clone().with_after(before) } else { gap.clone() };
                self.at += 1;
                self.sequence = gap.cursor.sequence();
                Poll::Ready(Err(Delivery::Gap(gap)))
            }
            Some(Step::TopicEnd(end)) => {
                self.at += 1;
                self.sequence = end.cursor.sequence();
                Poll::Ready(Err(Delivery::TopicEnd(end.clone())))
            }
            Some(Step::End(end)) => Poll::Ready(Err(Delivery::End(*end))),
            Some(Step::Event { .. }) => {
                let events = state.script[self.at..].iter().take_while(|step| matches!(step, Step::Event { .. }));
                Poll::Ready(Ok((state.epoch, events.take(self.batch).cloned().collect())))
            }
        }
    }
}

impl Subscriber for Reader {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        self.look(cx).map(|looked| {
            let (epoch, steps) = match looked {
                Ok(events) => events,
                Err(other) => return other,
            };
            let mut run: Option<(Topic, Vec<(u64, Event)>)> = None;
            for step in steps {
                let Step::Event { topic, sequence, event } = step else { break };
                let (of, events) = run.get_or_insert_with(|| (topic.clone(), Vec::new()));
                if *of != topic {
                    break;
                }
                events.push((sequence, event));
                (self.at, self.sequence) = (self.at + 1, sequence);
            }
            let (topic, events) = run.unwrap();
            Delivery::Events(Batch::new(topic, epoch, events))
        })
    }

    fn poll_encoded(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<EncodedDelivery> {
        self.look(cx).map(|looked| {
            let (epoch, steps) = match looked {
                Ok(events) => events,
                Err(Delivery::Gap(gap)) => return EncodedDelivery::Gap(gap),
                Err(Delivery::TopicEnd(end)) => return EncodedDelivery::TopicEnd(end),
                Err(Delivery::End(end)) => return EncodedDelivery::End(end),
                Err(other) => panic!("unexpected {other:?}"),
            };
            let (mut out, mut count) = (BytesMut::new(), 0);
            for step in steps {
                let Step::Event { topic, sequence, event } = step else { break };
                let whole = out.len();
                let cursor = (epoch != 0).then(|| Cursor::new(epoch, sequence));
                format.encode(&EventRef::new(&topic, &event, cursor), &mut out);
                if whole != 0 && out.len() > max {
                    out.truncate(whole);
                    break;
                }
                (self.at, self.sequence) = (self.at + 1, sequence);
                count += 1;
            }
            EncodedDelivery::Events(EncodedBatch::new(out.freeze(), count))
        })
    }

    fn cursor(&self) -> Option<Cursor> {
        let epoch = self.feed.state().epoch;
        (epoch != 0 && self.gap.is_none()).then(|| Cursor::new(epoch, self.sequence))
    }

    fn skip_to(&mut self, cursor: Cursor) -> bool {
        if cursor.epoch() != self.feed.state().epoch {
            return false;
        }
        if cursor.sequence() > self.sequence {
            (self.at, self.sequence) = (self.feed.after(cursor.sequence()), cursor.sequence());
        }
        true
    }

    fn info(&self) -> SubscriberInfo<'_> {
        let state = self.feed.state();
        let last = state.script.iter().position(|step| matches!(step, Step::TopicEnd(end) if end.is_last));
        SubscriberInfo::new().with_end_state(match last {
            None => EndState::Live,
            Some(last) if self.at <= last => EndState::Ended,
            Some(_) => EndState::Finished,
        })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let waker = self.feed.state().waiting.remove(&self.id);
        drop(waker);
    }
}
