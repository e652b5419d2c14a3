use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::Session;
use super::entry::{RENEWS, SessionEntry, drop_catching};
use super::lifecycle::{Input, Validity};
use crate::endpoint::refused::Refused;
use crate::endpoint::shared::Shared;

/// Future of the publisher's answer whether it renews the authorization of a session, and for how long.
pub(super) type Renewal = Pin<Box<dyn Future<Output = Option<Duration>> + Send>>;

impl SessionEntry {
    /// Returns the time from the session's begin to the end of its authorization, if that has one.
    pub(super) fn lifetime(&self) -> Option<Duration> {
        let expires = self.expires()?;
        Some(expires.saturating_duration_since(self.locked.lock().lifecycle.begin()))
    }

    /// Sets the time after which the authorization expires, from now on. Returns whether the session is open, and no
    /// poll.
    pub(crate) fn extend(self: &Arc<Self>, lifetime: Duration) -> bool {
        self.give(Input::Extend(self.validity(lifetime))).is_none()
    }

    fn validity(&self, lifetime: Duration) -> Validity {
        let renew_before = self.shared.config.jittered_renew_before(lifetime);
        Validity { expires: self.shared.runtime.wheel.after(lifetime), renew_before }
    }

    /// Returns the future that asks the publisher.
    pub(super) fn renewal(&self) -> Renewal {
        Box::pin(ask(self.shared.clone(), self.session.clone()))
    }

    /// Polls the publisher's answer, in the task of the session.
    #[cold]
    pub(super) fn poll_renewal(self: &Arc<Self>, task: &Waker) {
        let renewal = self.locked.lock().live().and_then(|live| live.renewal.take());
        let Some(mut renewal) = renewal else { return };
        let polled = renewal.as_mut().poll(&mut Context::from_waker(task));
        let mut locked = self.locked.lock();
        let is_pending = polled.is_pending() && locked.lifecycle.is_renewing();
        match locked.live().filter(|_| is_pending) {
            Some(live) => live.renewal = Some(renewal),
            None => {
                self.set_signal(RENEWS, false);
                drop(locked);
                drop_catching(renewal);
            }
        }
        if let Poll::Ready(lifetime) = polled {
            self.give(Input::Renewed(lifetime.map(|lifetime| self.validity(lifetime))));
        }
    }
}

/// Asks the publisher to renew the authorization of a session. Waits for a place among the publisher's calls. The end
/// of the authorization drops the future.
async fn ask(shared: Arc<Shared>, session: Session) -> Option<Duration> {
    let key = session.shared_key();
    let _permit = shared.calls.enter(key.as_ref()).await;
    shared.call(|| shared.publisher.renew(&session)).await.unwrap_or_else(|failed| {
        let text = failed.text("renew");
        shared.report_refusal(&Refused::new(failed.cause(), &text).of_session(&session));
        None
    })
}
