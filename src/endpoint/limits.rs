use std::ops::RangeInclusive;
use std::time::Duration;

use super::builder::EndpointBuilder;

/// Timeouts, intervals and limits.
impl EndpointBuilder {
    /// Sets the longest silence of an SSE or chunked stream, after which a keep-alive is sent. Default: 15 s.
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.config.keep_alive = interval;
        self
    }

    /// Sets the time between two pings of a WebSocket, and the time for a pong. Default: 25 s and 10 s.
    ///
    /// Each 64 KiB that were written since the last answered ping extend the time for the pong by one
    /// [`write_timeout`](Self::write_timeout), for up to 4 MiB and by at most 640 s. A client that sends anything else
    /// in that time counts as alive, and is pinged again.
    pub fn ping(mut self, every: Duration, pong: Duration) -> Self {
        self.config.ping = every;
        self.config.pong = pong;
        self
    }

    /// Sets whether the pings of a WebSocket without a subprotocol contain the cursor of its client, as those under
    /// `tidings.v1` do. Default: `false`.
    ///
    /// With `true` each pong updates [`SessionInfo::acknowledged`](crate::stats::SessionInfo::acknowledged). A cursor
    /// shows how many events the hub has, and clients of raw frames get no cursor otherwise. Scripts in a browser
    /// cannot read pings.
    ///
    /// ```
    /// use tidings::{EndpointBuilder, LocalHub};
    ///
    /// let events = EndpointBuilder::public(&LocalHub::new(), ["news"]).raw_websocket_acknowledgements(true).build();
    /// ```
    pub fn raw_websocket_acknowledgements(mut self, acknowledge: bool) -> Self {
        self.config.raw_websocket_acknowledgements = acknowledge;
        self
    }

    /// Sets the time for a WebSocket client to answer a close frame, and for the publisher to finish a message that it
    /// was handling. Default: 5 s.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.config.close_timeout = timeout;
        self
    }

    /// Sets how long a long poll is held that does not ask for a time. Default: 25 s. Each poll is held for up to a
    /// tenth less or more, so that polls do not return together. A poll without a cursor is held for at most 1 s, or
    /// [`long_poll_min_wait`](Self::long_poll_min_wait) if that is longer.
    pub fn long_poll_timeout(mut self, hold: Duration) -> Self {
        self.config.long_poll_timeout = hold;
        self
    }

    /// Sets the longest time that a long poll may ask to be held. Default: 55 s. A longer wait is reduced to it.
    pub fn max_long_poll_timeout(mut self, max: Duration) -> Self {
        self.config.max_long_poll_timeout = max;
        self
    }

    /// Sets the least time that a long poll is held before it returns its events, so that a client polls no more often
    /// however busy its topics are. The reply then has all events since the cursor. Default: 0, which returns the first
    /// event at once.
    ///
    /// Each poll is held for up to a tenth longer, and never beyond its hold time. A gap, the end of the subscription,
    /// a full batch and a drain are answered at once. A poll without a cursor, and one after the end that can get nothing but
    /// the end, is answered after this time or 1 s, whichever is longer. The endpoint keeps no state for this per client.
    pub fn long_poll_min_wait(mut self, interval: Duration) -> Self {
        self.config.long_poll_min_wait = interval;
        self
    }

    /// Sets the time within which a client must take a frame of at most 64 KiB of a body, or a part of a WebSocket
    /// frame. Default: 10 s, so the slowest client that is served reads 52 kbit/s.
    ///
    /// After this time, and up to a quarter more, the session ends with
    /// [`SessionEnd::Stalled`](crate::SessionEnd::Stalled), and the memory that the endpoint kept for it is freed. The
    /// limit applies to replies of polls, too.
    ///
    /// The HTTP stack keeps the bytes that it was given: up to 408 KiB of an HTTP/1 connection under hyper, and on
    /// HTTP/2 at most 1 KiB of a stream more than the client took. See
    /// [`EndpointStats::stalled_bodies`](crate::stats::EndpointStats::stalled_bodies).
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.config.write_timeout = timeout;
        self
    }

    /// Sets the most bytes of events in one piece of a stream or one reply. A larger event is a piece by itself.
    /// Default: 64 KiB.
    pub fn max_batch_bytes(mut self, max: usize) -> Self {
        self.config.max_batch_bytes = max;
        self
    }

    /// Sets the range of the time after which a client reconnects. Each client gets a random time in it, so that clients
    /// do not return together. Default: 1 to 5 s.
    pub fn retry(mut self, retry: RangeInclusive<Duration>) -> Self {
        self.config.retry = retry;
        self
    }

    /// Sets the range of the time between the short polls of a client. Default: 1 to 5 s.
    ///
    /// Within the range the endpoint chooses a time near the next likely event, judged by the last events of the topics
    /// ([`SubscriberInfo::next_event_in`](crate::subscriber::SubscriberInfo::next_event_in)). Topics that have been silent
    /// get the end of the range. Each client gets a random time near it.
    pub fn short_poll_interval(mut self, interval: RangeInclusive<Duration>) -> Self {
        self.config.short_poll_interval = interval;
        self
    }

    /// Sets the most sessions. A further client gets 503. Default: 100,000.
    pub fn max_sessions(mut self, max: usize) -> Self {
        self.config.max_sessions = max;
        self
    }

    /// Sets the most sessions of one [limit key](crate::Publisher::limit_key). A further client with the key gets 503.
    /// Default: any number.
    pub fn max_sessions_per_key(mut self, max: usize) -> Self {
        self.config.max_sessions_per_key = max;
        self
    }

    /// Sets the most poll sessions that are idle, which is between two polls. Default: 10,000.
    ///
    /// One more ends the session that has been idle for the longest time: one of its own limit key if that key has more
    /// than a sixteenth of them. Idle sessions also end, oldest first, for a session that would exceed
    /// [`max_sessions`](Self::max_sessions) or [`max_sessions_per_key`](Self::max_sessions_per_key). No event is lost:
    /// the next poll of an ended session begins another at its cursor.
    pub fn max_idle_poll_sessions(mut self, max: usize) -> Self {
        self.config.max_idle_poll_sessions = max;
        self
    }

    /// Sets how long a poll session (`?session=NAME`) stays between two polls. Default: twice the
    /// [`long_poll_timeout`](Self::long_poll_timeout), so that one lost poll does not end it.
    pub fn poll_session_timeout(mut self, silence: Duration) -> Self {
        self.config.poll_session_timeout = Some(silence);
        self
    }

    /// Sets the age at which a session is disconnected, as by [`disconnect`](crate::Endpoint::disconnect). Default:
    /// none.
    ///
    /// Each session ends up to a tenth earlier, so that clients that came together do not return together.
    pub fn max_session_age(mut self, age: Duration) -> Self {
        self.config.max_session_age = Some(age);
        self
    }

    /// Sets the most concurrent calls of [`Publisher::subscribe`](crate::Publisher::subscribe),
    /// [`snapshot`](crate::Publisher::snapshot) and [`renew`](crate::Publisher::renew), and apart from them of
    /// [`receive`](crate::Publisher::receive). Default: 1,024 of each.
    ///
    /// A further request gets 503. A renewal waits for a place. A WebSocket message waits for a place instead, in the
    /// order of arrival; its connection is not read meanwhile.
    pub fn max_concurrent_calls(mut self, max: usize) -> Self {
        self.config.max_concurrent_calls = max;
        self
    }

    /// Sets the most concurrent calls for one [limit key](crate::Publisher::limit_key), of those that
    /// [`max_concurrent_calls`](Self::max_concurrent_calls) allows. At least 1. Default: a quarter of them.
    ///
    /// A client above it is refused or waits as there, while other clients are served. Clients without a key are not
    /// limited by it.
    pub fn max_concurrent_calls_per_key(mut self, max: usize) -> Self {
        self.config.max_concurrent_calls_per_key = Some(max);
        self
    }

    /// Sets the time for a call of [`Publisher::subscribe`](crate::Publisher::subscribe),
    /// [`snapshot`](crate::Publisher::snapshot) or [`renew`](crate::Publisher::renew). Default: 10 s.
    ///
    /// After it the future is dropped. A client that subscribes gets 503, and one that changes its topics the error
    /// `busy`; one that waits for a snapshot gets the gap alone; an authorization is not renewed.
    pub fn subscribe_timeout(mut self, timeout: Duration) -> Self {
        self.config.subscribe_timeout = timeout;
        self
    }

    /// Sets the most concurrent soft rejects. A further client gets a plain status. Default: 1,024.
    ///
    /// A soft reject is a refusal for clients that a status does not reach:
    ///
    /// - An `EventSource` takes a 503 as final. A GET of server-sent events gets a 200 with one block that has the time
    ///   to reconnect, and the stream breaks off after 100 ms. An `EventSource` cannot send a POST, so other methods get
    ///   the 503.
    /// - A page's script cannot see the status of a failed WebSocket handshake. If the publisher rejects it for good,
    ///   the WebSocket is opened and closed with 1008 and the reason.
    ///
    /// As many clients may have the cursor of a source without cursors that [has ended](crate::Endpoint#end), beside the soft
    /// rejects: each is held for 1 s. A further long poll or stream of NDJSON is answered at once, and a further WebSocket gets
    /// 503.
    ///
    /// A soft reject keeps its connection for that moment. If the client does not read, the soft reject gives its place
    /// to another after one [`write_timeout`](Self::write_timeout).
    pub fn max_soft_rejects(mut self, max: usize) -> Self {
        self.config.max_soft_rejects = max;
        self
    }

    /// Sets the most bytes of a request's target and its headers' names and values together. Default: 16 KiB.
    ///
    /// A larger head gets 431, and a larger target 414, before the publisher is called. The HTTP stack has a limit of
    /// its own, and answers larger heads itself: hyper's is about 400 KiB on HTTP/1, and 16 KiB of headers on HTTP/2.
    pub fn max_request_head(mut self, max: usize) -> Self {
        self.config.max_request_head = max;
        self
    }

    /// Sets the most topics that a request or a [change of topics](crate::transport::websocket#changing-topics) may
    /// name. More get 400, or the error `invalid`. Default: 64.
    pub fn max_topics_per_request(mut self, max: usize) -> Self {
        self.config.query_limits.max_topics_per_request = max;
        self
    }

    /// Sets the most events of each topic that a client without a cursor may ask for by `?last=N`. A greater number gets
    /// this many. With 0, `?last=` has no effect. Default: 1,000.
    ///
    /// `?start=oldest` has no limit but the [retention](crate::Retention) of the topics. A publisher that wants another start
    /// sets it itself, with [`Subscribe::start`](crate::Subscribe::start).
    pub fn max_last(mut self, max: usize) -> Self {
        self.config.query_limits.max_last = max;
        self
    }

    /// Sets the time between the beginning of a [drain](crate::Endpoint::drain) and the end of the first session.
    /// Default: 0.
    ///
    /// In this time [`is_draining`](crate::Endpoint::is_draining) is `true` and requests are answered as before. Set it
    /// to the time in which a load balancer notices that the readiness check fails, so that it sends no new clients
    /// when sessions end. The clients of the drained sessions then reach another server. Delay and
    /// [`drain_timeout`](Self::drain_timeout) together must end before the orchestrator kills the process, often after
    /// 30 s.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tidings::{EndpointBuilder, LocalHub};
    ///
    /// // The load balancer asks each 2 s, and removes a server after two failures.
    /// let events = EndpointBuilder::public(&LocalHub::new(), ["news"]).drain_delay(Duration::from_secs(5)).build();
    /// assert!(!events.is_draining());
    /// ```
    pub fn drain_delay(mut self, delay: Duration) -> Self {
        self.config.drain_delay = delay;
        self
    }

    /// Sets the time for which a key without a session stays [present](Self::presence), so that a reload or a short
    /// loss of the connection is no change. Default: 5 s, the longest default [`retry`](Self::retry).
    pub fn reconnect_grace(mut self, grace: Duration) -> Self {
        self.config.reconnect_grace = grace;
        self
    }

    /// Sets the time for a [drain](crate::Endpoint::drain), after the [`drain_delay`](Self::drain_delay). Default: 10
    /// s.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.config.drain_timeout = timeout;
        self
    }
}
