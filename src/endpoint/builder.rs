use std::fmt;
use std::future::Future;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::config::Config;
use super::erased::ErasedPublisher;
use super::reject::refused::{Hook, Refused};
use super::request::host::AllowedHost;
use super::request::origin::AllowedOrigin;
use super::request::transports::Transports;
use super::response::challenge::Challenge;
use super::time::driver::Job;
use super::time::runtime::Spawn;
use crate::contract::Transport;
use crate::hub::NotifierSource;
use crate::time::Timer;

/// An [`Endpoint`](crate::Endpoint) in the making.
///
/// Whatever a client can use up has a limit, and whatever is waited for a deadline. All of them:
///
/// | what | unless set | set by | why so much |
/// |---|---|---|---|
/// | silence of an SSE or chunked stream | 15 s | [`keep_alive`](Self::keep_alive) | a quarter of the 60 s after which nginx and load balancers take a connection for dead |
/// | time between a WebSocket's pings | 25 s | [`ping`](Self::ping) | under half of 60 s, so that one lost ping costs no connection |
/// | time for a pong | 10 s | [`ping`](Self::ping) | a peer that is there answers at once, and 10 s tolerates brief mobile outages; one write timeout more for each 64 KiB ahead of the ping, 4 MiB at most |
/// | pongs owed to a client | 1, the newest | fixed | a client that pings and does not read must not fill a queue (RFC 6455 §5.5.3) |
/// | time for a WebSocket's goodbye | 5 s | [`close_timeout`](Self::close_timeout) | a round trip and a retransmission; nothing of value is waited for |
/// | hold of a poll that does not say | 25 s ± 10 % | [`long_poll_timeout`](Self::long_poll_timeout) | every proxy's default lets it live, and a quiet client asks seldom |
/// | hold that a poll may ask for | 55 s | [`max_long_poll_timeout`](Self::max_long_poll_timeout) | below the 60 s of proxies, and Heroku's 55 s |
/// | how soon a long poll may be answered | at once | [`long_poll_min_wait`](Self::long_poll_min_wait) | how long to gather a busy topic's is the application's to say |
/// | time for a client to take a frame of at most 64 KiB | 10 s | [`write_timeout`](Self::write_timeout) | 52 kbit/s is slower than any link that is in use |
/// | events in one piece or reply | 64 KiB, or one event | [`max_batch_bytes`](Self::max_batch_bytes) | a burst in one write, and little beside the HTTP stack's own buffers |
/// | when clients are told to come back | 1 to 5 s | [`retry`](Self::retry) | a thousand clients of a restarted server are 250 a second |
/// | when a short poll is told to come again | 1 to 5 s | [`short_poll_interval`](Self::short_poll_interval) | between "at once" of a person's eye and a request that mostly brings nothing |
/// | sessions | 100,000 | [`max_sessions`](Self::max_sessions) | at the 20 KiB or so that the HTTP stack takes for each: 2 GiB |
/// | sessions of one limit key | any number | [`max_sessions_per_key`](Self::max_sessions_per_key) | only the application knows who a key is: a user, or a company behind one address |
/// | runs of polls between two polls | 10,000 | [`max_idle_poll_sessions`](Self::max_idle_poll_sessions) | a tenth of all sessions, about 1 KiB each |
/// | polls of one run at once | 16 | fixed | a person's tabs, and no place for any number of connections |
/// | client's name for its session | 64 bytes | fixed | a UUID and something before it |
/// | silence of a run of polls | 2 × hold | [`poll_session_timeout`](Self::poll_session_timeout) | one lost poll must not end it |
/// | time of a session | none | [`max_session_age`](Self::max_session_age) | a proxy's, a balancer's or a token's is known to the application alone |
/// | calls of the publisher under way, and apart from them messages | 1,024 | [`max_concurrent_calls`](Self::max_concurrent_calls) | a herd waits at its clients rather than at the database |
/// | of these for one limit key | a quarter of them | [`max_concurrent_calls_per_key`](Self::max_concurrent_calls_per_key) | one client's slow calls leave places for the others |
/// | time for a subscribe | 10 s | [`subscribe_timeout`](Self::subscribe_timeout) | a user is gone by then, and a publisher that hangs would keep those places for good |
/// | [soft rejects](Self::max_soft_rejects) at once | 1,024 | [`max_soft_rejects`](Self::max_soft_rejects) | each takes 100 ms: 10,000 refused clients a second |
/// | target and headers of a request | 16 KiB | [`max_request_head`](Self::max_request_head) | what HTTP/2 servers take of headers, and a page of cookies; a session may keep it |
/// | topics of a request | 64 | [`max_topics_per_request`](Self::max_topics_per_request) | more is a pattern's work |
/// | topic's name; cursor | 255; 64 bytes | fixed | see [`Topic`](crate::Topic), [`Cursor`](crate::Cursor) |
/// | event as it is delivered | any number | [`max_event`](Self::max_event) | only the application knows what its clients can read: some refuse more than 1 MiB |
/// | message from a client | 64 KiB | [`max_message`](Self::max_message) | what a client says is short; uploads have other ways |
/// | fragments of a message after its first | 65,536 | [`max_fragments`](Self::max_fragments) | Autobahn sends 4 MiB in fragments of 64 bytes |
/// | time for a message to come in | 10 s | [`message_timeout`](Self::message_timeout) | a slow modem's speed |
/// | a client's pings and pongs | 10 a second | [`control_rate`](Self::control_rate) | a real client sends one in 20 s, Autobahn ten at once |
/// | a WebSocket client's messages | 100 a second | [`max_message_rate`](Self::max_message_rate) | a pointer that is followed sends 60 |
/// | drain | 10 s | [`drain_timeout`](Self::drain_timeout) | below the 30 s after which orchestrators kill |
///
/// Those of a hub are its builder's: [`Retention`](crate::Retention) and
/// [`max_event`](crate::LocalHubBuilder::max_event). A message's handling has no deadline: to call it off halfway is worse
/// than to wait, and a client that waits too long goes.
#[must_use = "an endpoint comes of build()"]
pub struct EndpointBuilder {
    pub(crate) publisher: Box<dyn ErasedPublisher>,
    pub(crate) config: Config,
    pub(crate) timer: Option<Arc<dyn Timer>>,
    pub(crate) spawn: Option<Spawn>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) notifiers: Vec<NotifierSource>,
    pub(crate) hook: Option<Hook>,
}

impl EndpointBuilder {
    pub(crate) fn new(publisher: Box<dyn ErasedPublisher>) -> Self {
        let (config, jobs, notifiers) = (Config::default(), Vec::new(), Vec::new());
        Self { publisher, config, timer: None, spawn: None, jobs, notifiers, hook: None }
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
    /// If it is not `scheme://host` or `scheme://host:port`. `*` is not: see
    /// [`allow_any_origin`](Self::allow_any_origin).
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
        self.config.origins.hosts =
            hosts.into_iter().map(|host| AllowedHost::new("allowed_hosts", host.as_ref())).collect();
        self
    }

    /// Sets the value of `WWW-Authenticate` in a 401. Default: `Bearer`.
    ///
    /// # Panics
    ///
    /// If it is not a scheme, with or without parameters (RFC 9110 §11.6.1), or can't be a header's value.
    pub fn www_authenticate(mut self, challenge: impl AsRef<str>) -> Self {
        self.config.challenge = Challenge::new(challenge.as_ref());
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

    /// Calls this for each refused request, message and snapshot, on every transport: for a log or a metric. There is one
    /// hook; the last one that was set is called. Default: none.
    ///
    /// Each call is one count of [`EndpointStats::refused_for`](crate::stats::EndpointStats::refused_for). The hook is called
    /// under no lock, in the task that answers, so a slow one delays that client. A panic is caught. A client can
    /// cause many calls: each request, and each WebSocket 100 a second by messages that the publisher rejects
    /// ([`max_message_rate`](Self::max_message_rate)), so a hook that writes a log should limit its rate. A handler's own
    /// `Rejection` never reaches the endpoint, and so the hook.
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

    /// The longest silence of an SSE or chunked stream: 15 s unless set.
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.config.keep_alive = interval;
        self
    }

    /// Sets how often a WebSocket's peer is pinged, and how long its pong may take. Default: 25 s and 10 s. Each 64 KiB
    /// written since the last answered ping, up to 4 MiB, extend the deadline by one [`write_timeout`](Self::write_timeout), and by
    /// 640 s at most. A client that sent anything else by then is pinged again.
    pub fn ping(mut self, every: Duration, pong: Duration) -> Self {
        self.config.ping = every;
        self.config.pong = pong;
        self
    }

    /// How long a WebSocket's peer has to answer a Close, and a message in the publisher's hands to be finished after
    /// it: 5 s unless set.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.config.close_timeout = timeout;
        self
    }

    /// How long a poll is held that does not say: 25 s unless set, give or take a tenth. One without a cursor is not held.
    pub fn long_poll_timeout(mut self, hold: Duration) -> Self {
        self.config.long_poll_timeout = hold;
        self
    }

    /// How long a poll may ask to be held: 55 s unless set. What is above it is cut.
    pub fn max_long_poll_timeout(mut self, max: Duration) -> Self {
        self.config.max_long_poll_timeout = max;
        self
    }

    /// Keeps a long poll's events back until it has been held for so long, and then gives all that came: a client asks
    /// no more often than that, however busy its topics are. Up to a tenth longer, another time for each poll, and never
    /// beyond its hold. A gap, the end, a full batch and a drain are answered at once, a poll without a cursor after this
    /// time or 1 s, the longer. Nothing is kept per client. 0, an answer at the first event, unless set.
    pub fn long_poll_min_wait(mut self, interval: Duration) -> Self {
        self.config.long_poll_min_wait = interval;
        self
    }

    /// Sets the time within which a client must take a frame of a body, of at most 64 KiB, or a part of a WebSocket's
    /// frame. After it, and up to a quarter more, its session is ended with [`SessionEnd::Stalled`](crate::SessionEnd::Stalled), and
    /// what was kept for it is freed. The same limit applies to replies of polls. Default: 10 s, so the slowest client
    /// that is served reads 64 KiB in 10 s, which is 52 kbit/s.
    ///
    /// The HTTP stack keeps what it was given: up to 408 KiB of an HTTP/1 connection under hyper, and on HTTP/2 no more of
    /// a stream than 1 KiB plus what the client took. See [`EndpointStats::stalled_bodies`](crate::stats::EndpointStats::stalled_bodies).
    pub fn write_timeout(mut self, stall: Duration) -> Self {
        self.config.write_timeout = stall;
        self
    }

    /// At most so many bytes of events in one piece or reply, but always at least one event: 64 KiB unless set.
    pub fn max_batch_bytes(mut self, max: usize) -> Self {
        self.config.max_batch_bytes = max;
        self
    }

    /// When clients are told to come back, another time for each: 1 to 5 s unless set.
    pub fn retry(mut self, retry: RangeInclusive<Duration>) -> Self {
        self.config.retry = retry;
        self
    }

    /// When the client of a short poll is told to come again: between these, 1 to 5 s unless set. Within them at about
    /// the time that the next event is likely, judged by the last ones of its topics, or at the latest where they are
    /// silent; another time for each client. See [`SubscriberInfo::next_event_in`](crate::subscriber::SubscriberInfo::next_event_in).
    pub fn short_poll_interval(mut self, hint: RangeInclusive<Duration>) -> Self {
        self.config.short_poll_interval = hint;
        self
    }

    /// How many sessions there may be: 100,000 unless set. One more is told to come later.
    pub fn max_sessions(mut self, max: usize) -> Self {
        self.config.max_sessions = max;
        self
    }

    /// How many sessions of one [limit key](crate::Publisher::limit_key) there may be: any number unless set. One more
    /// is told to come later.
    pub fn max_sessions_per_key(mut self, max: usize) -> Self {
        self.config.max_sessions_per_key = max;
        self
    }

    /// Sets how many runs of polls may be between two polls. One more ends the one that has been idle for the longest
    /// time: of its own limit key if that has more than a sixteenth of them. They also give way, oldest first, to a
    /// session that would exceed [`max_sessions`](Self::max_sessions) or
    /// [`max_sessions_per_key`](Self::max_sessions_per_key). The next poll of an ended run begins another at its cursor.
    /// Default: 10,000.
    pub fn max_idle_poll_sessions(mut self, max: usize) -> Self {
        self.config.max_idle_poll_sessions = max;
        self
    }

    /// How long a client that polls by a name, `?session=NAME`, may be silent between two polls before its session is
    /// over: twice the [hold](Self::long_poll_timeout) unless set.
    pub fn poll_session_timeout(mut self, silence: Duration) -> Self {
        self.config.poll_session_timeout = Some(silence);
        self
    }

    /// Ends each session after this time, or up to a tenth before, so that clients that came together don't come back
    /// together: in an orderly way, as [`disconnect`](crate::Endpoint::disconnect) does. No session has an end unless set.
    pub fn max_session_age(mut self, lifetime: Duration) -> Self {
        self.config.max_session_age = Some(lifetime);
        self
    }

    /// Sets the number of calls of [`Publisher::subscribe`](crate::Publisher::subscribe) and
    /// [`snapshot`](crate::Publisher::snapshot) that may be under way, and apart from them of
    /// [`receive`](crate::Publisher::receive). Default: 1,024.
    ///
    /// A request above it is refused with 503. A WebSocket message waits for a place instead, in the order of arrival,
    /// and its connection is not read meanwhile.
    pub fn max_concurrent_calls(mut self, max: usize) -> Self {
        self.config.max_concurrent_calls = max;
        self
    }

    /// Sets the share of one [limit key](crate::Publisher::limit_key) in
    /// [these calls](Self::max_concurrent_calls), at least 1. A client above it is refused or waits as there, while others are
    /// served. Default: a quarter of them. Clients without a key have no share.
    pub fn max_concurrent_calls_per_key(mut self, max: usize) -> Self {
        self.config.max_concurrent_calls_per_key = Some(max);
        self
    }

    /// How long [`Publisher::subscribe`](crate::Publisher::subscribe) may take: 10 s unless set. Its future is dropped
    /// then, and the client told to come later.
    pub fn subscribe_timeout(mut self, deadline: Duration) -> Self {
        self.config.subscribe_timeout = deadline;
        self
    }

    /// How many clients may be refused softly at once: 1,024 unless set. One more gets a plain status.
    ///
    /// A soft reject reaches a client that a status does not, and keeps its connection for the moment it takes: "later"
    /// to an EventSource is a 200 whose one block says when, for 100 ms; a page's WebSocket that the publisher refuses
    /// for good is opened, and closed with 1008 and the reason. One that stalls makes way for others after a
    /// [`write_timeout`](Self::write_timeout).
    pub fn max_soft_rejects(mut self, max: usize) -> Self {
        self.config.max_soft_rejects = max;
        self
    }

    /// How many bytes a request's target and its headers' names and values may have together: 16 KiB unless set. More
    /// is a 431, or a 414 where the target alone is more, before the publisher is asked.
    ///
    /// The HTTP stack has a limit of its own, and answers by itself what is above it: hyper's is about 400 KiB on
    /// HTTP/1, and 16 KiB of headers on HTTP/2.
    pub fn max_request_head(mut self, max: usize) -> Self {
        self.config.max_request_head = max;
        self
    }

    /// How many topics a request may name: 64 unless set.
    pub fn max_topics_per_request(mut self, max: usize) -> Self {
        self.config.max_topics_per_request = max;
        self
    }

    /// How long a drain may take: 10 s unless set.
    pub fn drain_timeout(mut self, window: Duration) -> Self {
        self.config.drain_timeout = window;
        self
    }
}

impl fmt::Debug for EndpointBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}
