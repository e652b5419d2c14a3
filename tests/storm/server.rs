use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tidings::{
    Accepted, Endpoint, Event, Gap, LocalHub, Message, Publisher, Rejection, Retention, Session, Snapshot,
    SubscribeRequest, Subscription, Topic, Transport,
};
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::args::Args;
use crate::process::reported;
use crate::publish::{Plan, Publishing};
use crate::stacks::{self, Sockets};
use crate::{ALLOCATOR, pause};

/// Time that a message of a client takes: longer than until the next one arrives.
const RECEIVE: Duration = Duration::from_millis(10);

/// Two instances in one process, which share only a hub: the first on axum, or with `--own 1` on the library's server, the
/// second on hyper. Each SIGTERM drains one of them, and the process ends when both have returned.
struct Server {
    hub: LocalHub,
    instances: [Endpoint; 2],
    returned: Arc<Mutex<[Option<Instant>; 2]>>,
    publishing: Publishing,
}

/// Serves until both instances are drained, or until the input ends.
pub(crate) async fn serve(mut args: Args) -> Result<(), String> {
    let retain = Retention::count(args.or("retain", 1_000)?).bytes(args.or("retain-bytes", 1 << 20)?);
    let mut hub = LocalHub::builder().retain(retain);
    if let Some(bytes) = args.get("max-bytes")? {
        hub = hub.max_bytes(bytes);
    }
    let hub = hub.build();
    let times = Times::parse(&mut args)?;
    let state = args.or("state", 0_usize)?;
    let is_own = args.or("own", 0_u8)? == 1;
    let address: SocketAddr = args.or("listen", ([127, 0, 0, 1], 0).into())?;
    let listeners = [listen(address, times.send_buffer)?, listen(address, times.send_buffer)?];
    args.finish()?;
    let addresses = listeners.each_ref().map(|listener| listener.local_addr().map(|at| at.to_string()).ok());
    let instances = [times.endpoint(&hub, state), times.endpoint(&hub, state)];
    let server = Server { hub, instances, returned: Arc::default(), publishing: Publishing::default() };

    let (sender, signals) = watch::channel(0_usize);
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        while terminate.recv().await.is_some() {
            sender.send_modify(|count| *count += 1);
        }
    });
    let nth = |n: usize| {
        let mut signals = signals.clone();
        async move { drop(signals.wait_for(|&count| count >= n).await) }
    };
    let [first, second] = listeners;
    let sockets = Sockets { user_timeout: times.user_timeout };
    let [on_axum, on_hyper] = &server.instances;
    let on_axum: Pin<Box<dyn Future<Output = io::Result<()>>>> = match is_own {
        true => Box::pin(stacks::on_server(first, on_axum.clone(), nth(1))),
        false => Box::pin(stacks::on_axum(first, on_axum.clone(), nth(1), sockets)),
    };
    let on_hyper = stacks::on_hyper(second, on_hyper.clone(), nth(2), sockets);
    let (on_axum, on_hyper) = (server.noting(0, on_axum), server.noting(1, on_hyper));
    println!("{}", json!({ "addresses": addresses }));
    tokio::select! {
        done = async { tokio::try_join!(on_axum, on_hyper) } => done.map(drop).map_err(|error| error.to_string()),
        reported = server.obey() => reported,
    }
}

impl Server {
    async fn noting(&self, instance: usize, serving: impl Future<Output = io::Result<()>>) -> io::Result<()> {
        serving.await?;
        self.returned.lock().unwrap_or_else(PoisonError::into_inner)[instance] = Some(Instant::now());
        Ok(())
    }

    async fn obey(&self) -> Result<(), String> {
        let mut lines = reported();
        while let Some(line) = lines.recv().await {
            let answer = match line.split_once(' ').unwrap_or((&line, "")) {
                ("stats", _) => self.stats(),
                ("published", _) => self.publishing.report(),
                ("flood", plan) => crate::publish::flood(&self.hub, plan).await?,
                ("publish", plan) => {
                    self.publishing.start(self.hub.clone(), Plan::parse(plan)?);
                    json!({})
                }
                ("stop", _) => {
                    self.publishing.stop();
                    json!({})
                }
                ("forget", _) => {
                    self.publishing.forget();
                    json!({})
                }
                _ => return Err(format!("unknown command '{line}'")),
            };
            println!("{answer}");
        }
        Ok(())
    }

    fn stats(&self) -> Value {
        let hub = self.hub.stats();
        let returned = *self.returned.lock().unwrap_or_else(PoisonError::into_inner);
        let instances = [0, 1].map(|instance| {
            let stats = self.instances[instance].stats();
            let sessions =
                Transport::ALL.iter().map(|&each| (each.as_str().to_owned(), json!(stats.sessions_of(each))));
            json!({
                "sessions": Map::from_iter(sessions),
                "live": stats.live(),
                "subscribed": stats.subscribed,
                "stalled": stats.stalled,
                "held": stats.stalled_bodies,
                "returned": returned[instance].is_some(),
            })
        });
        json!({
            "cursor": self.hub.cursor().to_string(),
            "instances": instances,
            "heap": ALLOCATOR.stats().bytes_allocated - ALLOCATOR.stats().bytes_deallocated,
            "hub": {
                "published": hub.published,
                "subscriptions": hub.subscriptions,
                "retained_bytes": hub.retained_bytes,
            },
        })
    }
}

/// A publisher that accepts every subscription, and takes its time for each message.
struct Open {
    hub: LocalHub,
    /// Length of the snapshot for a client with a gap. 0: none.
    state: usize,
}

impl Publisher for Open {
    type Subscriber = Subscription;

    /// Session names are unique, so one key serves all of them.
    fn limit_key(&self, _: &SubscribeRequest) -> Option<String> {
        Some(String::new())
    }

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<Subscription>, Rejection> {
        Ok(self.hub.subscribe(request.subscribe_to(request.topics()))?.into())
    }

    async fn snapshot(&self, _: &Session, _: &Gap) -> Option<Snapshot> {
        let topic = Topic::new("storm/0").ok().filter(|_| self.state > 0)?;
        Some(Snapshot::new([(topic, Event::text("s".repeat(self.state)))]))
    }

    async fn receive(&self, _: &SubscribeRequest, _: Message) -> Result<Option<Event>, Rejection> {
        pause(RECEIVE).await;
        Ok(None)
    }
}

/// Times of an endpoint and socket options that a scenario sets; others have their defaults.
struct Times {
    keep_alive: Option<Duration>,
    ping: Option<Duration>,
    pong: Option<Duration>,
    hold: Option<Duration>,
    write_timeout: Option<Duration>,
    window: Option<Duration>,
    long_poll_min_wait: Option<Duration>,
    user_timeout: Option<Duration>,
    send_buffer: Option<u32>,
    max_sessions: Option<usize>,
    max_idle: Option<usize>,
}

impl Times {
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Self {
            keep_alive: args.millis("keep-alive")?,
            ping: args.millis("ping")?,
            pong: args.millis("pong")?,
            hold: args.millis("hold")?,
            write_timeout: args.millis("write-stall")?,
            window: args.millis("window")?,
            long_poll_min_wait: args.millis("min-interval")?,
            user_timeout: args.millis("user-timeout")?,
            send_buffer: args.get("send-buffer")?,
            max_sessions: args.get("max-sessions")?,
            max_idle: args.get("max-idle")?,
        })
    }

    fn endpoint(&self, hub: &LocalHub, state: usize) -> Endpoint {
        let mut builder = Endpoint::builder(Open { hub: hub.clone(), state });
        if let Some(interval) = self.keep_alive {
            builder = builder.keep_alive(interval);
        }
        if let (Some(ping), Some(pong)) = (self.ping, self.pong) {
            builder = builder.ping(ping, pong);
        }
        if let Some(hold) = self.hold {
            builder = builder.long_poll_timeout(hold).max_long_poll_timeout(hold);
        }
        if let Some(stall) = self.write_timeout {
            builder = builder.write_timeout(stall);
        }
        if let Some(window) = self.window {
            builder = builder.drain_timeout(window);
        }
        if let Some(interval) = self.long_poll_min_wait {
            builder = builder.long_poll_min_wait(interval);
        }
        if let Some(max) = self.max_sessions {
            builder = builder.max_sessions(max);
        }
        if let Some(max) = self.max_idle {
            builder = builder.max_idle_poll_sessions(max);
        }
        let swept = hub.clone();
        builder.run_every(Duration::from_secs(1), move || swept.sweep()).build()
    }
}

/// Returns a listener. Its connections inherit its options from their first byte on.
fn listen(address: SocketAddr, send_buffer: Option<u32>) -> Result<TcpListener, String> {
    let bound = || {
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = send_buffer {
            socket.set_send_buffer_size(bytes)?;
        }
        socket.bind(address)?;
        socket.listen(4096)
    };
    bound().map_err(|error| format!("{address}: {error}"))
}
