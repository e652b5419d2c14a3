use std::task::{Context, Poll};

use tidings::subscriber::{Batch, Delivery, SubscriberInfo};
use tidings::{Cursor, Event, Subscriber};

pub(super) struct Skipping<S>(S, Option<Cursor>);

pub(super) fn skipping<S>(inner: S) -> Skipping<S> {
    Skipping(inner, None)
}

fn after(one: Option<Cursor>, other: Option<Cursor>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one.epoch() == other.epoch() && one.sequence() > other.sequence())
}

impl<S: Subscriber> Subscriber for Skipping<S> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        loop {
            let delivery = std::task::ready!(self.0.poll_next(cx));
            let Delivery::Events(batch) = &delivery else { return Poll::Ready(delivery) };
            let rest: Vec<(u64, Event)> = batch
                .iter()
                .filter(|event| self.1.is_none() || after(event.cursor, self.1))
                .map(|event| (event.cursor.unwrap().sequence(), event.event.clone()))
                .collect();
            if !rest.is_empty() {
                let epoch = self.0.cursor().unwrap().epoch();
                return Poll::Ready(Delivery::Events(Batch::new(batch.topic().clone(), epoch, rest)));
            }
        }
    }

    fn cursor(&self) -> Option<Cursor> {
        if after(self.1, self.0.cursor()) { self.1 } else { self.0.cursor() }
    }

    fn skip_to(&mut self, cursor: Cursor) -> bool {
        let fits = self.0.cursor().is_some_and(|here| here.epoch() == cursor.epoch());
        if fits {
            self.1 = Some(cursor);
        }
        fits
    }

    fn info(&self) -> SubscriberInfo<'_> {
        self.0.info()
    }
}
