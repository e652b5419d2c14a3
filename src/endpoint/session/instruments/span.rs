//! The span of a session, see `tidings::instruments`.
#![cfg_attr(not(feature = "tracing"), allow(unused_variables, clippy::unused_self, reason = "there is no span"))]

use super::Arrival;
use crate::endpoint::catch_panic::catch_panic;
use crate::endpoint::session::{SessionEnd, SessionEntry};

#[cfg(feature = "tracing")]
pub(super) const TARGET: &str = "tidings::session";

/// Span of a session, from its begin to its end. Empty without the feature `tracing`.
#[derive(Default)]
pub(in crate::endpoint::session) struct SessionSpan {
    #[cfg(feature = "tracing")]
    span: crate::endpoint::mutex::Mutex<Option<tracing::Span>>,
}

impl SessionEntry {
    /// Notes that the session has a place in the table.
    pub(in crate::endpoint::session) fn begin_instruments(&self, arrival: &Arrival) {
        #[cfg(feature = "tracing")]
        {
            let _ = catch_panic(|| self.begin_span(arrival));
        }
        self.count_begin();
    }

    /// Notes that the session has left the table.
    pub(in crate::endpoint::session) fn end_instruments(&self, why: SessionEnd) {
        #[cfg(feature = "tracing")]
        {
            let _ = catch_panic(|| self.end_span(why));
        }
        self.count_end(why);
    }

    /// Runs the publisher's code in the session's span. Returns nothing, and catches a panic.
    pub(in crate::endpoint::session) fn call_in_span(&self, call: impl FnOnce()) {
        #[cfg(feature = "tracing")]
        let span = self.span.span.lock().clone();
        let _ = catch_panic(|| {
            #[cfg(feature = "tracing")]
            let _entered = span.as_ref().map(tracing::Span::enter);
            call();
        });
    }
}

#[cfg(feature = "tracing")]
mod with_tracing {
    use std::fmt::Write;

    use tracing::field::{self, Empty};
    use tracing::{Span, debug, error, info, info_span};

    use super::{Arrival, SessionEnd, SessionEntry, TARGET};
    use crate::endpoint::reject::shorten::Unquoted;
    use crate::model::Pattern;
    use crate::time::Clock;

    impl SessionEntry {
        pub(super) fn begin_span(&self, arrival: &Arrival) {
            let (session, facts) = (&self.session, arrival.text.as_deref());
            let span = info_span!(
                target: TARGET,
                parent: None,
                "session",
                session = session.id().get(),
                transport = session.transport().as_str(),
                topics = topics(&session.topics()),
                peer = facts.and_then(|facts| facts.peer).map(field::display),
                name = session.name().map(|name| field::display(Unquoted(name))),
                user_agent = facts.and_then(|facts| facts.user_agent.as_deref()),
                behind = facts.and_then(|facts| facts.behind),
                end = Empty,
                events = Empty,
                bytes = Empty,
                gaps = Empty,
                missed = Empty,
                duration_ms = Empty,
            );
            if span.is_disabled() {
                return;
            }
            span.follows_from(Span::current());
            debug!(target: TARGET, parent: &span, "session began");
            let other = self.span.span.lock().replace(span);
            drop(other);
        }

        pub(super) fn end_span(&self, why: SessionEnd) {
            let Some(span) = self.span.span.lock().take() else { return };
            let track = self.track.read();
            let begin = self.locked.lock().lifecycle.begin();
            let duration = self.shared.runtime.wheel.now().saturating_duration_since(begin);
            span.record("end", why.as_str());
            span.record("events", track.events);
            span.record("bytes", track.bytes);
            span.record("gaps", track.gaps);
            span.record("missed", track.missed);
            span.record("duration_ms", u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
            match why {
                SessionEnd::Panicked => error!(target: TARGET, parent: &span, "session ended"),
                SessionEnd::TooSlow | SessionEnd::Stalled | SessionEnd::Refused | SessionEnd::Revoked => {
                    info!(target: TARGET, parent: &span, "session ended");
                }
                _ => debug!(target: TARGET, parent: &span, "session ended"),
            }
        }
    }

    /// Length of the list of topics above which it is cut, in bytes before they are escaped.
    const LISTED: usize = 128;

    /// Returns the names, escaped, separated by spaces and cut.
    fn topics(names: &[Pattern]) -> String {
        let (mut listed, mut len) = (String::new(), 0);
        for (at, name) in names.iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            len += space.len() + name.as_str().len();
            if len > LISTED && at > 0 {
                listed.push_str(" …");
                break;
            }
            let _ = write!(listed, "{space}{}", Unquoted(name.as_str()));
        }
        listed
    }
}
