use super::builder::EndpointBuilder;
use super::drain::DrainState;
use super::gate::Gate;
use super::presence::Presence;
use super::reject::brief_connections::BriefConnections;
use super::service::Endpoint;
use super::session::SessionMeters;
use super::session::session_table::SessionTable;
use super::shared::Shared;
use super::stats::Counters;
use super::time::runtime::{self, Runtime};
use crate::contract::Transport;

const NO_TRANSPORT: &str = "no transport is built in: enable one of the cargo features `sse`, `chunked`, `websocket`, \
                            `long-poll`, `short-poll`";

const NO_TIMER: &str = "the endpoint has no timer: enable the cargo feature `tokio`, or call `EndpointBuilder::timer` \
                        and run `Endpoint::driver`";

const NO_SPAWNER: &str = "the WebSocket transport needs a task for each connection: enable the cargo feature `tokio`, \
                          call `EndpointBuilder::spawn`, or name the other transports in `EndpointBuilder::transports`";

impl EndpointBuilder {
    /// Builds the endpoint.
    ///
    /// # Panics
    ///
    /// Panics if the endpoint cannot work with the cargo features that are on:
    ///
    /// - No transport is built in. Enable `sse`, `chunked`, `websocket`, `long-poll` or `short-poll`.
    /// - There is no timer. Enable `tokio`, or call [`timer`](Self::timer).
    /// - WebSocket is one of the [transports](Self::transports), and there is no function that starts tasks. Enable
    ///   `tokio`, call [`spawn`](Self::spawn), or name the other transports.
    #[must_use]
    pub fn build(self) -> Endpoint {
        let Self { publisher, config, timer, spawn, jobs, notifiers, hook, presence } = self;
        assert!(!config.transports.is_empty(), "{NO_TRANSPORT}");
        let timer = timer.or_else(runtime::default_timer).expect(NO_TIMER);
        let can_spawn = spawn.is_some() || cfg!(feature = "tokio");
        assert!(can_spawn || !config.transports.has(Transport::WebSocket), "{NO_SPAWNER}");
        let runtime = Runtime::new(timer, spawn, jobs, notifiers);
        let presence = presence.map(|rule| Presence::new(rule, config.reconnect_grace(), &runtime.wheel));
        Endpoint::of(Shared {
            publisher,
            #[cfg(feature = "websocket")]
            websocket: config.websocket(),
            drain: DrainState::new(&runtime.wheel),
            runtime,
            sessions: SessionTable::new(config.limits()),
            timeouts: config.timeouts(),
            soft_rejects: BriefConnections::new(config.max_soft_rejects, config.write_timeout),
            ended_clients: BriefConnections::new(config.max_soft_rejects, config.write_timeout),
            #[cfg(any(feature = "short-poll", feature = "long-poll"))]
            reply_cache: super::poll::reply_cache::ReplyCache::default(),
            counters: Counters::default(),
            calls: Gate::new(config.max_concurrent_calls, config.calls_per_key()),
            messages: Gate::new(config.max_concurrent_calls, config.calls_per_key()),
            hook,
            presence,
            session_meters: SessionMeters::default(),
            config,
        })
    }
}
