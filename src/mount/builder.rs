use std::fmt;
use std::future::Future;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::config::Config;
use super::driver::Job;
use super::endpoint::Endpoint;
use super::erased::ErasedPublisher;
use super::host::AllowedHost;
use super::origin::AllowedOrigin;
use super::registry::Registry;
use super::runtime::{Runtime, Spawn};
use super::shared::Mount;
use super::stats::Counters;
use super::transports::Transports;
use crate::contract::{Timer, Transport};

/// An [`Endpoint`] in the making.
#[must_use = "an endpoint comes of build()"]
pub struct EndpointBuilder {
    publisher: Box<dyn ErasedPublisher>,
    config: Config,
    timer: Option<Arc<dyn Timer>>,
    spawn: Option<Spawn>,
    jobs: Vec<Job>,
}

impl EndpointBuilder {
    pub(super) fn new(publisher: Box<dyn ErasedPublisher>) -> Self {
        Self { publisher, config: Config::default(), timer: None, spawn: None, jobs: Vec::new() }
    }

    /// The endpoint.
    #[must_use]
    pub fn build(self) -> Endpoint {
        let Self { publisher, config, timer, spawn, jobs } = self;
        Endpoint::of(Mount {
            publisher,
            #[cfg(feature = "websocket")]
            websocket: config.websocket(),
            runtime: Runtime::new(timer, spawn, jobs),
            registry: Registry::new(config.max_sessions),
            counters: Counters::default(),
            config,
        })
    }

    /// Answers by these transports only: all that are built in, unless set.
    ///
    /// # Panics
    ///
    /// If one of them is not built in (its feature is off), or if there is none.
    pub fn transports(mut self, transports: impl IntoIterator<Item = Transport>) -> Self {
        self.config.transports = Transports::new(transports);
        self
    }

    /// Lets pages of this origin in, beside the endpoint's own, cookies and all: `https://app.example.com`. Add as many
    /// as there are.
    ///
    /// # Panics
    ///
    /// If it is not `scheme://host` or `scheme://host:port`. `*` is not: with cookies it never works, and a public
    /// endpoint's requests can't be told from a user's.
    pub fn allow_origin(mut self, origin: impl AsRef<str>) -> Self {
        self.config.origins.listed.push(AllowedOrigin::new(origin.as_ref()));
        self
    }

    /// Whether a request without an Origin, which is no page's, is let in: it is, unless set.
    ///
    /// Browsers send none with a GET to their page's own origin; such a request is told by `Sec-Fetch-Site`, which they
    /// send on HTTPS only. So without HTTPS, `false` shuts out an EventSource.
    pub fn allow_absent_origin(mut self, allow: bool) -> Self {
        self.config.origins.absent = allow;
        self
    }

    /// Answers only for these hosts, `example.com` or `example.com:8080`, and 421 for others: any, unless set. A server
    /// that is reached without a proxy, on the loopback interface above all, needs it against DNS rebinding.
    ///
    /// # Panics
    ///
    /// If one is not a host, or a host and a port.
    pub fn allowed_hosts<H: AsRef<str>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        self.config.origins.hosts = hosts.into_iter().map(|host| AllowedHost::new(host.as_ref())).collect();
        self
    }

    /// The timer that everything is timed by: tokio's under its feature, unless set.
    pub fn timer(mut self, timer: impl Timer) -> Self {
        self.timer = Some(Arc::new(timer));
        self
    }

    /// How tasks are started, the driver and one for each WebSocket: as tokio's under its feature, unless set.
    pub fn spawn(mut self, spawn: impl Fn(Pin<Box<dyn Future<Output = ()> + Send>>) + Send + Sync + 'static) -> Self {
        self.spawn = Some(Arc::new(spawn));
        self
    }

    /// Has the driver do this every so often, beginning one period from its start: a hub's sweep. It should be short,
    /// for it keeps the endpoint's deadlines waiting. Add as many as there are.
    pub fn every(mut self, period: Duration, run: impl Fn() + Send + Sync + 'static) -> Self {
        // None may be due at once again.
        self.jobs.push(Job { period: period.max(Duration::from_millis(1)), run: Arc::new(run) });
        self
    }

    /// The longest silence of an SSE or chunked stream: 15 s unless set.
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.config.keep_alive = interval;
        self
    }

    /// How often a WebSocket's peer is pinged, and how long its pong may take: 25 s and 10 s unless set.
    pub fn ping(mut self, every: Duration, pong: Duration) -> Self {
        self.config.ping = every;
        self.config.pong = pong;
        self
    }

    /// How long a poll is held that does not say: 25 s unless set, give or take a tenth.
    pub fn hold(mut self, hold: Duration) -> Self {
        self.config.hold = hold;
        self
    }

    /// How long a poll may ask to be held: 55 s unless set. What is above it is cut.
    pub fn max_hold(mut self, max: Duration) -> Self {
        self.config.max_hold = max;
        self
    }

    /// Keeps a long poll's events back until it has been held for so long, and then gives all that came: a client asks
    /// no more often than that, however busy its topics are. Up to a tenth longer, another time for each poll, and never
    /// beyond its hold. A gap, the end, a full batch and a drain are answered at once. Nothing is kept per client. 0, an
    /// answer at the first event, unless set.
    pub fn min_interval(mut self, interval: Duration) -> Self {
        self.config.min_interval = interval;
        self
    }

    /// After how long a client that takes nothing loses its session: 10 s unless set, and up to a quarter more.
    pub fn write_stall(mut self, stall: Duration) -> Self {
        self.config.write_stall = stall;
        self
    }

    /// At most so many bytes of events in one piece or reply, but always at least one event: 64 KiB unless set.
    pub fn batch(mut self, max: usize) -> Self {
        self.config.batch = max;
        self
    }

    /// When clients are told to come back, another time for each: 1 to 5 s unless set.
    pub fn retry(mut self, retry: RangeInclusive<Duration>) -> Self {
        self.config.retry = retry;
        self
    }

    /// When the client of a short poll is told to come again: between these, 1 to 5 s unless set. Within them at about
    /// the time that the next event is likely, judged by the last ones of its topics, or at the latest where they are
    /// silent; another time for each client. See [`Subscriber::next_in`](crate::Subscriber::next_in).
    pub fn poll_hint(mut self, hint: RangeInclusive<Duration>) -> Self {
        self.config.poll_hint = hint;
        self
    }

    /// How many sessions there may be: 100,000 unless set. One more is told to come later.
    pub fn max_sessions(mut self, max: usize) -> Self {
        self.config.max_sessions = max;
        self
    }

    /// How many calls of the publisher may be under way: 1,024 unless set. One more is told to come later.
    pub fn max_attaches(mut self, max: usize) -> Self {
        self.config.max_attaches = max;
        self
    }

    /// How many topics a request may name: 64 unless set.
    pub fn max_topics(mut self, max: usize) -> Self {
        self.config.max_topics = max;
        self
    }

    /// The longest message that a client may send, in bytes: 64 KiB unless set.
    pub fn max_message(mut self, max: usize) -> Self {
        self.config.max_message = max;
        self
    }

    /// How long a message may take to come in: 10 s unless set.
    pub fn receive_deadline(mut self, deadline: Duration) -> Self {
        self.config.receive_deadline = deadline;
        self
    }

    /// How long a drain may take: 10 s unless set.
    pub fn drain_window(mut self, window: Duration) -> Self {
        self.config.drain_window = window;
        self
    }
}

impl fmt::Debug for EndpointBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}
