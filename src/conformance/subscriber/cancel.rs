//! Polls that are pending: they lose nothing, and wake the last task.

use std::task::{Context, Poll, Waker};

use crate::conformance::run::{CaseResult, Problem};
use crate::conformance::subscriber::SourceUnderTest;
use crate::conformance::subscriber::probe::{ENOUGH, Lines, Probe, Signal, end};
use crate::contract::{Delivery, EncodedDelivery, Subscriber};

/// Pending polls of any method lose no event.
pub(super) async fn pending_loses_nothing<S: SourceUnderTest>(mut probe: Probe<S>) -> CaseResult {
    for round in 0..12 {
        for call in 0..round % 4 {
            match call % 3 {
                0 => probe.poll_pending(Waker::noop())?,
                1 => probe.poll_encoded_pending(Waker::noop())?,
                _ => drop(probe.subscriber.register(&mut Context::from_waker(Waker::noop()))),
            }
        }
        probe.publish(1 + round % 3).await?;
        match round % 2 {
            0 => probe.read_all().await?,
            _ => {
                while !probe.unread.is_empty() {
                    probe.read_encoded(ENOUGH).await?;
                }
            }
        }
    }
    probe.poll_pending(Waker::noop())?;
    // A delivery that one method did not return is returned by the next call of any.
    for round in 0..12 {
        probe.publish(3).await?;
        while !probe.unread.is_empty() {
            if round % 2 == 0 { probe.poll_then_read_encoded().await? } else { probe.poll_encoded_then_read().await? }
        }
    }
    Ok(())
}

/// A pending poll wakes its task at the next event, each time.
pub(super) async fn wakes<S: SourceUnderTest>(mut probe: Probe<S>) -> CaseResult {
    for round in 0..4 {
        let (signal, waker) = Signal::new();
        match round % 2 {
            0 => probe.poll_pending(&waker)?,
            _ => probe.poll_encoded_pending(&waker)?,
        }
        probe.publish(2).await?;
        signal.woken().await;
        probe.read_all().await?;
    }
    Ok(())
}

/// Of several tasks that polled, the last is woken.
pub(super) async fn wakes_the_last<S: SourceUnderTest>(mut probe: Probe<S>) -> CaseResult {
    for _ in 0..2 {
        let ((_, first), (signal, last)) = (Signal::new(), Signal::new());
        probe.poll_pending(&first)?;
        probe.poll_pending(&first)?;
        probe.poll_encoded_pending(&last)?;
        probe.publish(1).await?;
        signal.woken().await;
        probe.read_all().await?;
    }
    Ok(())
}

/// `register` registers a waker if nothing is ready, and takes no event.
pub(super) async fn register<S: SourceUnderTest>(mut probe: Probe<S>) -> CaseResult {
    for polls_first in [true, false, true] {
        if polls_first {
            probe.poll_pending(Waker::noop())?;
        }
        let (signal, waker) = Signal::new();
        if probe.subscriber.register(&mut Context::from_waker(&waker)) {
            probe.publish(1).await?;
            signal.woken().await;
        } else {
            probe.publish(1).await?;
        }
        // With an event, it returns `false`, or wakes at once.
        let (signal, waker) = Signal::new();
        if probe.subscriber.register(&mut Context::from_waker(&waker)) {
            signal.woken().await;
        }
        probe.read_all().await?;
    }
    Ok(())
}

/// A subscriber that was released delivers everything, and wakes its task.
pub(super) async fn release<S: SourceUnderTest>(mut probe: Probe<S>) -> CaseResult {
    probe.subscriber.release();
    probe.publish(8).await?;
    while !probe.unread.is_empty() {
        probe.subscriber.release();
        probe.read_encoded(1).await?;
        probe.subscriber.release();
    }
    let (signal, waker) = Signal::new();
    probe.poll_pending(&waker)?;
    probe.subscriber.release();
    probe.publish(3).await?;
    signal.woken().await;
    probe.read_all().await
}

/// The end follows the last event, wakes a pending task, and is returned again by every later poll.
pub(super) async fn ends<S: SourceUnderTest>(mut probe: Probe<S>) -> CaseResult {
    probe.publish(5).await?;
    probe.read().await?;
    let (signal, waker) = Signal::new();
    if probe.unread.is_empty() {
        probe.poll_pending(&waker)?;
        probe.source.end().await?;
        signal.woken().await;
    } else {
        probe.source.end().await?;
        probe.read_all().await?;
    }
    check_end(&mut probe).await
}

/// A task that waits when the source ends is woken.
pub(super) async fn end_wakes<S: SourceUnderTest>(mut probe: Probe<S>) -> CaseResult {
    let (signal, waker) = Signal::new();
    probe.poll_pending(&waker)?;
    probe.source.end().await?;
    signal.woken().await;
    check_end(&mut probe).await
}

async fn check_end<S: SourceUnderTest>(probe: &mut Probe<S>) -> CaseResult {
    let first = end(&mut probe.subscriber).await?;
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..3 {
        let again = [
            match probe.subscriber.poll_next(&mut cx) {
                Poll::Ready(Delivery::End(end)) => Some(end),
                _ => None,
            },
            match probe.subscriber.poll_encoded(&mut cx, &Lines(None), ENOUGH) {
                Poll::Ready(EncodedDelivery::End(end)) => Some(end),
                _ => None,
            },
        ];
        if again != [Some(first); 2] {
            return Err(Problem::from(format!("after the end {first:?}: {again:?}")));
        }
        probe.subscriber.release();
    }
    Ok(())
}
