use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};

use super::close::of_end;
use super::format::{ObjectFormat, RawFormat};
use super::outbox::PIECES;
use super::sink::Phase;
use super::{CloseCause, CloseCode, WebSocketSink, frame};
use crate::contract::{EncodedBatch, EncodedDelivery, Format, Subscriber, SubscriptionEnd};
use crate::model::{Gap, TopicEnd};
use crate::transport::object::{write_end, write_gap, write_topic_end};

/// Maximum number of writes in one poll, so that a socket that accepts everything does not block the thread.
const BUDGET: u32 = 16;

impl<S: Subscriber, Io: AsyncRead + AsyncWrite + Unpin> WebSocketSink<S, Io> {
    /// Returns the number of [removals](crate::Event::removal) that were not sent, because raw frames have no form for
    /// them. At most 4,294,967,295.
    #[must_use]
    pub fn unsent_removals(&self) -> u32 {
        self.unsent_removals
    }

    /// Returns the number of removals that were not sent since the last call.
    #[cfg(feature = "http")]
    pub(crate) fn take_unsent_removals(&mut self) -> u32 {
        std::mem::take(&mut self.unsent_removals)
    }

    /// Writes the ready events. Returns `false` if more is to be done by [`poll_all`](Self::poll_all), or if there are
    /// [removals](Self::unsent_removals) that were not sent.
    #[inline]
    pub(crate) fn poll_quiet(&mut self, cx: &mut Context<'_>) -> bool {
        let is_quiet = !self.wake.take_for(cx) && self.phase == Phase::Open && self.outbox.is_idle();
        is_quiet && self.write_ready(cx)
    }

    /// Writes until the subscriber is pending or the socket accepts no more bytes.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) {
        if self.phase != Phase::Over {
            self.send(cx, true);
        }
    }

    /// Writes the queue and, if `more` is set, the events that the subscriber has after that. Returns whether everything was
    /// written.
    fn send(&mut self, cx: &mut Context<'_>, more: bool) -> bool {
        match self.poll_queue(cx, more) {
            Poll::Ready(Ok(())) => {
                self.cold.deadlines.written();
                return true;
            }
            Poll::Ready(Err(_)) => self.abandon(CloseCause::Lost),
            Poll::Pending => self.write_stalled(),
        }
        false
    }

    /// Writes the queue without a poll of the subscriber.
    #[cold]
    pub(super) fn write_queued(&mut self) {
        if let Poll::Ready(Err(_)) = self.outbox.poll_write(&mut self.io, &mut self.wake.context()) {
            self.abandon(CloseCause::Lost);
        }
    }

    /// Writes the queue and adds the events that were published before the client's end, if the queue is empty. They may be
    /// reactions to its last messages.
    #[cold]
    pub(super) fn write_last(&mut self, cx: &mut Context<'_>) {
        self.write_queued();
        if self.is_open() && self.outbox.is_written() {
            let _ = self.fill_outbox(cx, self.config.max_batch_bytes, PIECES);
        }
    }

    /// Writes and flushes the queue, with the events of the subscriber if `more` is set. Ready if everything was written and
    /// flushed.
    fn poll_queue(&mut self, cx: &mut Context<'_>, mut more: bool) -> Poll<io::Result<()>> {
        let mut budget = BUDGET;
        loop {
            ready!(self.outbox.poll_write(&mut self.io, &mut self.wake.context()))?;
            if !more || !self.is_open() {
                break;
            }
            if budget == 0 {
                cx.waker().wake_by_ref();
                break;
            }
            budget -= 1;
            more = self.fill_outbox(cx, self.config.max_batch_bytes, PIECES).is_ready();
        }
        // A flush is needed for TLS, which may hold bytes that it accepted. A socket does nothing here.
        ready!(self.outbox.poll_flush(&mut self.io, &mut self.wake.context()))?;
        self.poll_shut()
    }

    /// Writes the ready events if one write is enough, which is the common case. Returns `false` if more is to be done.
    #[inline]
    pub(super) fn write_ready(&mut self, cx: &mut Context<'_>) -> bool {
        let room = self.config.max_batch_bytes;
        let format = self.format();
        let (first, room, is_whole) = match self.subscriber.poll_encoded(cx, format, room) {
            Poll::Pending => return true,
            Poll::Ready(EncodedDelivery::Events(events)) if (1..room).contains(&events.bytes.len()) => {
                let left = room - events.bytes.len();
                let is_whole = !self.may_lack_frames || self.note_removals(&events.bytes, events.events);
                (events.bytes, left, is_whole)
            }
            Poll::Ready(other) => {
                self.queue(other);
                return false;
            }
        };
        if let Poll::Ready(second) = self.subscriber.poll_encoded(cx, format, room) {
            self.outbox.push(first);
            let room = room.saturating_sub(self.queue(second));
            let more = room == 0 || !self.is_open() || self.fill_outbox(cx, room, PIECES - 2).is_ready();
            return self.send(cx, more) && self.is_open() && self.unsent_removals == 0;
        }
        match self.outbox.poll_write_through(first, &mut self.io, &mut self.wake.context()) {
            Poll::Ready(Ok(())) => return is_whole,
            Poll::Ready(Err(_)) => self.abandon(CloseCause::Lost),
            Poll::Pending => {}
        }
        false
    }

    /// Queues items of the subscriber, up to `room` bytes and `pieces` pieces. Pending if the subscriber has no more.
    fn fill_outbox(&mut self, cx: &mut Context<'_>, mut room: usize, pieces: usize) -> Poll<()> {
        for _ in 0..pieces {
            let encoded = ready!(self.subscriber.poll_encoded(cx, self.format(), room));
            room = room.saturating_sub(self.queue(encoded));
            if room == 0 || !self.is_open() {
                break;
            }
        }
        Poll::Ready(())
    }

    #[inline]
    fn format(&self) -> &'static dyn Format {
        if self.has_objects() { &ObjectFormat } else { &RawFormat }
    }

    /// Counts the events without a frame, which are removals. Returns `true` if there are none.
    #[cold]
    fn note_removals(&mut self, frames: &[u8], events: u32) -> bool {
        let unsent = events.saturating_sub(frame::count(frames));
        self.unsent_removals = self.unsent_removals.saturating_add(unsent);
        unsent == 0
    }

    /// Queues an item of the subscriber. Returns the number of bytes of events in it.
    fn queue(&mut self, encoded: EncodedDelivery) -> usize {
        match encoded {
            EncodedDelivery::Events(EncodedBatch { bytes, events, .. }) => {
                if self.may_lack_frames {
                    self.note_removals(&bytes, events);
                }
                let len = bytes.len();
                // Removals alone have no frame.
                if len != 0 {
                    self.outbox.push(bytes);
                }
                return len;
            }
            EncodedDelivery::Gap(gap) => self.gap(&gap),
            EncodedDelivery::TopicEnd(end) => self.topic_end(&end),
            EncodedDelivery::End(end) => self.finished(end),
        }
        0
    }

    /// Queues the end of a topic. Raw frames have no form for it.
    #[cold]
    fn topic_end(&mut self, end: &TopicEnd) {
        if self.has_objects() {
            self.cold.end_written |= end.is_last;
            self.outbox.put_text(|out| write_topic_end(end, out));
        }
    }

    /// Closes the connection. Queues the end object first if all topics have ended and none was queued on this connection.
    #[cold]
    fn finished(&mut self, end: SubscriptionEnd) {
        if end == SubscriptionEnd::Finished && self.has_objects() && !self.cold.end_written && self.is_open() {
            let cursor = self.subscriber.cursor();
            self.outbox.put_text(|out| write_end(cursor, out));
        }
        if end == SubscriptionEnd::Finished && self.cold.pauses_at_end && self.is_open() {
            return self.pause();
        }
        let (code, reason) = of_end(end);
        self.end(CloseCause::End(end), code, reason);
    }

    fn gap(&mut self, gap: &Gap) {
        if self.has_objects() {
            self.outbox.put_text(|out| write_gap(gap, out));
        } else if !gap.snapshot {
            // Raw frames have no form for a gap.
            self.end(CloseCause::Gap, CloseCode::TRY_LATER, "gap");
        }
    }

    /// Closes the server's direction after the last frame.
    fn poll_shut(&mut self) -> Poll<io::Result<()>> {
        match self.phase {
            Phase::Finishing => {
                // The error is ignored: everything is written, and the client may be gone.
                let _ = ready!(Pin::new(&mut self.io).poll_close(&mut self.wake.context()));
                self.phase = Phase::Over;
            }
            Phase::Failing => {
                ready!(Pin::new(&mut self.io).poll_close(&mut self.wake.context()))?;
                self.phase = Phase::Draining;
            }
            _ => {}
        }
        Poll::Ready(Ok(()))
    }

    /// Starts the write timeout and releases shared history, because the socket accepts no bytes.
    fn write_stalled(&mut self) {
        if !self.is_open() {
            return;
        }
        if self.outbox.has_moved() {
            self.cold.deadlines.written();
        }
        self.cold.deadlines.stalled(self.config.write_timeout);
        self.subscriber.release();
    }
}
