use std::future::Future;
use std::pin::Pin;

use crate::contract::SubscriptionEnd;
use crate::model::Gap;
use crate::subscriber::Snapshot;

/// Source of snapshots for a [`Recover`](crate::subscriber::Recover): a closure from a gap to a future.
///
/// The output of the future is an [`Option<Snapshot>`](Snapshot), or a `Result` of one, whose error ends the subscriber.
///
/// ```
/// use tidings::subscriber::{Recover, Recovery, SubscriberExt};
/// use tidings::{Gap, Snapshot, Subscriber, Topic};
///
/// fn recovering<S: Subscriber>(subscriber: S, score: Topic) -> Recover<S, impl Recovery> {
///     subscriber.recover_with(move |gap: &Gap| {
///         eprintln!("events are missing: {:?}", gap.reason);
///         let snapshot = Snapshot::new([(score.clone(), "1:1".into())]);
///         async { Some(snapshot) }
///     })
/// }
/// ```
pub trait Recovery: Send + 'static + sealed::SealedRecovery {
    /// Returns a future of the snapshot for a gap. It is called once for a gap that no earlier snapshot replaces, and again
    /// after a panic of the call or of the future.
    #[doc(hidden)]
    fn recover(&mut self, gap: &Gap)
    -> Pin<Box<dyn Future<Output = Result<Option<Snapshot>, SubscriptionEnd>> + Send>>;

    /// Records that a snapshot is not sent, because one of its events is larger than an endpoint's `max_event`.
    #[doc(hidden)]
    fn too_large(&mut self) {}
}

/// Future of a snapshot. An error ends the subscriber.
pub(crate) type Recovering = Pin<Box<dyn Future<Output = Result<Option<Snapshot>, SubscriptionEnd>> + Send>>;

impl<F, R> Recovery for F
where
    F: FnMut(&Gap) -> R + Send + 'static,
    R: Future<Output: sealed::Answer> + Send + 'static,
{
    fn recover(&mut self, gap: &Gap) -> Recovering {
        let answer = self(gap);
        Box::pin(async { sealed::Answer::into_result(answer.await) })
    }
}

pub(crate) mod sealed {
    use super::{Future, Gap, Snapshot, SubscriptionEnd};

    #[expect(unnameable_types, reason = "seals the trait")]
    pub trait SealedRecovery {}

    impl<F, R> SealedRecovery for F
    where
        F: FnMut(&Gap) -> R,
        R: Future<Output: Answer>,
    {
    }

    #[expect(unnameable_types, reason = "two types only")]
    pub trait Answer {
        fn into_result(self) -> Result<Option<Snapshot>, SubscriptionEnd>;
    }

    impl Answer for Option<Snapshot> {
        fn into_result(self) -> Result<Option<Snapshot>, SubscriptionEnd> {
            Ok(self)
        }
    }

    impl Answer for Result<Option<Snapshot>, SubscriptionEnd> {
        fn into_result(self) -> Self {
            self
        }
    }
}
