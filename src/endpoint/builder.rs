use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::config::Config;
use super::erased::ErasedPublisher;
use super::presence::PresenceRule;
use super::refused::{Hook, Refused};
use super::reject::challenge::Challenge;
use super::request::host::AllowedHost;
use super::request::origin::AllowedOrigin;
use super::request::transports::Transports;
use super::time::driver::Job;
use super::time::runtime::Spawn;
use crate::contract::Transport;
use crate::hub::NotifierSource;
use crate::time::Timer;

/// Builder of an [`Endpoint`](crate::Endpoint).
///
/// [`Endpoint::builder`](crate::Endpoint::builder), [`public`](Self::public) and [`from_fn`](Self::from_fn) return one.
/// Every setting has a default, so a builder without a call builds what [`Endpoint::new`](crate::Endpoint::new)
/// returns.
///
/// ```
/// use std::time::Duration;
/// use tidings::{EndpointBuilder, LocalHub};
///
/// let events = EndpointBuilder::public(&LocalHub::new(), ["news"])
///     .allow_origin("https://app.example.com")
///     .keep_alive(Duration::from_secs(10))
///     .max_sessions(20_000)
///     .build();
/// ```
///
/// Every resource that a client can use up has a limit, and every wait has a timeout:
///
/// | limit | default | set by | reason |
/// |---|---|---|---|
/// | silence of an SSE or chunked stream | 15 s | [`keep_alive`](Self::keep_alive) | a quarter of the 60 s after which nginx and load balancers close a silent connection |
/// | time between a WebSocket's pings | 25 s | [`ping`](Self::ping) | under half of 60 s, so that one lost ping costs no connection |
/// | time for a pong | 10 s | [`ping`](Self::ping) | a connected peer answers at once, and 10 s tolerates brief mobile outages; each 64 KiB written before the ping adds one write timeout, up to 4 MiB |
/// | pongs queued for a client | 1, the newest | fixed | a client that pings and does not read must not fill a queue (RFC 6455 §5.5.3) |
/// | time for a WebSocket's close handshake | 5 s | [`close_timeout`](Self::close_timeout) | a round trip and a retransmission |
/// | hold time of a long poll without a wait | 25 s ± 10 % | [`long_poll_timeout`](Self::long_poll_timeout) | below the timeout of common proxies, and a quiet client polls seldom |
/// | hold time that a long poll may ask for | 55 s | [`max_long_poll_timeout`](Self::max_long_poll_timeout) | below the 60 s of common proxies, and equal to the 55 s of Heroku |
/// | least hold time of a long poll with events | at once | [`long_poll_min_wait`](Self::long_poll_min_wait) | only the application knows how long to collect a busy topic's events |
/// | time for a client to take a frame of at most 64 KiB | 10 s | [`write_timeout`](Self::write_timeout) | 52 kbit/s is slower than links in use |
/// | events in one piece or reply | 64 KiB, or one event | [`max_batch_bytes`](Self::max_batch_bytes) | a burst fits into one write, and the HTTP stack's own buffers are larger |
/// | time after which clients reconnect | 1 to 5 s | [`retry`](Self::retry) | 1,000 clients of a restarted server make 250 requests per second |
/// | time between two short polls | 1 to 5 s | [`short_poll_interval`](Self::short_poll_interval) | soon enough for a reader, and few empty requests |
/// | sessions | 100,000 | [`max_sessions`](Self::max_sessions) | 2 GiB at the 20 KiB or so that the HTTP stack takes for each |
/// | sessions of one limit key | any number | [`max_sessions_per_key`](Self::max_sessions_per_key) | only the application knows whether a key is one user, or a company behind one address |
/// | poll sessions between two polls | 10,000 | [`max_idle_poll_sessions`](Self::max_idle_poll_sessions) | a tenth of all sessions, about 1 KiB each |
/// | concurrent polls of one poll session | 16 | fixed | enough for the tabs of one browser |
/// | length of a session name | 64 bytes | fixed | a UUID and a prefix |
/// | time between two polls of a poll session | 2 × `long_poll_timeout` | [`poll_session_timeout`](Self::poll_session_timeout) | one lost poll does not end the session |
/// | age of a session | none | [`max_session_age`](Self::max_session_age) | only the application knows the limits of its proxies and tokens |
/// | concurrent calls of the publisher, and apart from them concurrent messages | 1,024 | [`max_concurrent_calls`](Self::max_concurrent_calls) | reconnecting clients wait in place of overloading the application's database |
/// | concurrent calls of one limit key | a quarter of them | [`max_concurrent_calls_per_key`](Self::max_concurrent_calls_per_key) | slow calls of one client leave places for the others |
/// | time for a call of `subscribe`, `snapshot` or `renew` | 10 s | [`subscribe_timeout`](Self::subscribe_timeout) | users give up by then, and a call that never returns would keep its place |
/// | concurrent [soft rejects](Self::max_soft_rejects) | 1,024 | [`max_soft_rejects`](Self::max_soft_rejects) | each takes 100 ms, so 10,000 refused clients per second |
/// | target and headers of a request | 16 KiB | [`max_request_head`](Self::max_request_head) | common limit of HTTP/2 servers, and room for many cookies; a session may keep the head |
/// | topics of a request | 64 | [`max_topics_per_request`](Self::max_topics_per_request) | use a pattern for more |
/// | events of a topic by `?last=N` | 1,000 | [`max_last`](Self::max_last) | default history of a topic |
/// | topic name; cursor | 255; 64 bytes | fixed | see [`Topic`](crate::Topic), [`Cursor`](crate::Cursor) |
/// | delivered event | any number | [`max_event`](Self::max_event) | only the application knows the limits of its clients: some refuse more than 1 MiB |
/// | message from a client | 64 KiB | [`max_message`](Self::max_message) | messages are short; upload files another way |
/// | fragments of a message after its first | 65,536 | [`max_fragments`](Self::max_fragments) | the Autobahn test suite sends 4 MiB in fragments of 64 bytes |
/// | time for a message to arrive | 10 s | [`message_timeout`](Self::message_timeout) | 64 KiB at 52 kbit/s |
/// | pings and pongs of a WebSocket client | 10 a second | [`control_rate`](Self::control_rate) | common clients send one in 20 s, the Autobahn test suite ten at once |
/// | messages of a WebSocket client | 100 a second | [`max_message_rate`](Self::max_message_rate) | a client that reports pointer moves sends 60 |
/// | time between the announcement of a drain and the first end | at once | [`drain_delay`](Self::drain_delay) | only the operator knows how often the load balancer asks whether the server is ready |
/// | time after which a client without a session is absent | 5 s | [`reconnect_grace`](Self::reconnect_grace) | a page that is reloaded, or whose stream breaks, is back within [`retry`](Self::retry) |
/// | changes of the presence of one key | 1 a second | fixed | a client that connects again and again must not flood the others |
/// | changes of its topics by a WebSocket client | 10 a second | fixed | each is a call of the publisher, and a user selects a few views in a second at most |
/// | time before the end of an authorization at which it is to be renewed | a tenth of its length, at most 30 s; up to half as much again | fixed | time for a call and for its wait, and sessions that began together are not renewed together |
/// | time for a drain | 10 s | [`drain_timeout`](Self::drain_timeout) | below the 30 s after which orchestrators kill a process |
///
/// The limits of a hub are set by its builder: [`Retention`](crate::Retention) and
/// [`LocalHubBuilder::max_event`](crate::LocalHubBuilder::max_event). The call of
/// [`Publisher::receive`](crate::Publisher::receive) has no timeout, because half of an effect is worse than a late
/// one.
#[must_use = "a builder does nothing until `build` is called"]
pub struct EndpointBuilder {
    pub(crate) publisher: Box<dyn ErasedPublisher>,
    pub(crate) config: Config,
    pub(crate) timer: Option<Arc<dyn Timer>>,
    pub(crate) spawn: Option<Spawn>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) notifiers: Vec<NotifierSource>,
    pub(crate) hook: Option<Hook>,
    pub(crate) presence: Option<PresenceRule>,
}

impl EndpointBuilder {
    pub(crate) fn new(publisher: Box<dyn ErasedPublisher>) -> Self {
        let (config, jobs, notifiers) = (Config::default(), Vec::new(), Vec::new());
        Self { publisher, config, timer: None, spawn: None, jobs, notifiers, hook: None, presence: None }
    }

    /// Sets the transports that the endpoint offers. Default: all whose cargo feature is on.
    ///
    /// ```
    /// use tidings::{EndpointBuilder, LocalHub, Transport};
    ///
    /// let events = EndpointBuilder::public(&LocalHub::new(), ["news"])
    ///     .transports([Transport::Sse, Transport::LongPoll])
    ///     .build();
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if the cargo feature of one of them is off, or if there is none.
    pub fn transports(mut self, transports: impl IntoIterator<Item = Transport>) -> Self {
        self.config.transports = Transports::new(transports);
        self
    }

    /// Allows pages of this origin, such as `https://app.example.com`, with their cookies. Call it once for each
    /// origin. Default: only pages of the endpoint's own host.
    ///
    /// # Panics
    ///
    /// Panics if it is not `scheme://host` or `scheme://host:port`. `*` is not allowed here: see
    /// [`allow_any_origin`](Self::allow_any_origin).
    pub fn allow_origin(mut self, origin: impl AsRef<str>) -> Self {
        self.config.origins.listed.push(AllowedOrigin::new(origin.as_ref()));
        self
    }

    /// Sets whether requests without an `Origin` header are allowed. Default: `true`, because programs other than
    /// browsers send none.
    ///
    /// A browser sends no `Origin` with a GET to its page's own origin. The endpoint recognizes such a request by
    /// `Sec-Fetch-Site`, which browsers send on HTTPS only. With `false` and without HTTPS an `EventSource` of the own
    /// page is refused.
    pub fn allow_absent_origin(mut self, allow: bool) -> Self {
        self.config.origins.absent = allow;
        self
    }

    /// Sets the hosts that the endpoint answers for, such as `example.com` or `example.com:8080`. Requests to other
    /// hosts get
    /// 421. Default: any host.
    ///
    /// Set it for a server that is reached without a proxy, in particular on the loopback interface: it prevents DNS
    /// rebinding.
    ///
    /// # Panics
    ///
    /// Panics if one of them is not `host` or `host:port`.
    pub fn allowed_hosts<H: AsRef<str>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        self.config.origins.hosts =
            hosts.into_iter().map(|host| AllowedHost::new("allowed_hosts", host.as_ref())).collect();
        self
    }

    /// Sets the value of `WWW-Authenticate` in a 401. Default: `Bearer`.
    ///
    /// # Panics
    ///
    /// Panics if it does not begin with an authentication scheme (RFC 9110 §11.6.1), or is not a valid header value.
    pub fn www_authenticate(mut self, challenge: impl AsRef<str>) -> Self {
        self.config.challenge = Challenge::new(challenge.as_ref());
        self
    }

    /// Sets the timer of all timeouts and intervals. Default: tokio's, with the feature `tokio`. Without that feature a
    /// timer is required.
    pub fn timer(mut self, timer: impl Timer) -> Self {
        self.timer = Some(Arc::new(timer));
        self
    }

    /// Sets the function that starts tasks: the driver, and one task for each WebSocket. Default: `tokio::spawn`, with
    /// the feature `tokio`. Without that feature a function is required for WebSocket.
    pub fn spawn(mut self, spawn: impl Fn(Pin<Box<dyn Future<Output = ()> + Send>>) + Send + Sync + 'static) -> Self {
        self.spawn = Some(Arc::new(spawn));
        self
    }

    /// Sets a hook that is called for each refused request, message and snapshot, on every transport, and for each
    /// change of [presence](Self::presence) that was not published, such as for a log or a metric. A second call
    /// replaces the hook. Default: none.
    ///
    /// Each call of the hook is one count of [`EndpointStats::refused_for`](crate::stats::EndpointStats::refused_for).
    /// The endpoint calls the hook under no lock, in the task that answers or ends, or in the driver for a change of
    /// presence that was due, so a slow hook delays that client or the endpoint's timers. A panic of the hook is
    /// caught.
    ///
    /// A client can cause many calls: one for each request, and up to 100 a second for each WebSocket by messages that
    /// the publisher rejects ([`max_message_rate`](Self::max_message_rate)). Limit the rate of a log. A
    /// [`Rejection`](crate::Rejection) that a handler of the application returns itself does not reach the endpoint,
    /// and is not reported.
    ///
    /// ```
    /// # fn with(publisher: impl tidings::Publisher) -> tidings::EndpointBuilder {
    /// tidings::Endpoint::builder(publisher).on_refusal(|refused| eprintln!("{refused}"))
    /// # }
    /// ```
    pub fn on_refusal(mut self, hook: impl Fn(&Refused<'_>) + Send + Sync + 'static) -> Self {
        self.hook = Some(Box::new(hook));
        self
    }
}

impl fmt::Debug for EndpointBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}
