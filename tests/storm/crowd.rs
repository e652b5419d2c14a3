use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tidings::Transport;
use tokio::io;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::args::Args;
use crate::follow::{FollowEnd, Ledger, follow, poll, wrong};
use crate::process::reported;
use crate::wire::{Wire, request};
use crate::{now, pause};

/// Number of connections that are opened at once: below a listener's backlog.
const CONNECTING: usize = 200;

/// Runs many clients in one process. `--kind` names their behaviour; they end when the process's input ends.
pub(crate) async fn run(mut args: Args) -> Result<(), String> {
    let mut lines = reported();
    let working = async {
        match args.need::<String>("kind")?.as_str() {
            "stalled" => stalled(args, &mut lines).await,
            "movers" => movers(args).await,
            "silent" => silent(args, &mut lines).await,
            "pollers" => pollers(args).await,
            kind => Err(format!("unknown --kind {kind}")),
        }
    };
    working.await
}

/// Clients of the five transports that send requests and read nothing. Each line from the driver starts a group: the
/// clients
/// of the last group are reset, and as many connect one after another during `--ramp`. The answer counts the streams
/// and the
/// polls that sent their requests.
async fn stalled(mut args: Args, lines: &mut UnboundedReceiver<String>) -> Result<(), String> {
    let (address, cursor): (String, String) = (args.need("address")?, args.need("cursor")?);
    let (clients, ramp) = (args.need::<u32>("clients")?, Duration::from_millis(args.need("ramp")?));
    args.finish()?;
    let step = ramp / clients.max(1);
    let mut stalled = Vec::new();
    while lines.recv().await.is_some() {
        stalled.drain(..).for_each(Wire::reset);
        let mut coming = JoinSet::new();
        for client in 0..clients {
            let (address, cursor) = (address.clone(), cursor.clone());
            let transport = Transport::ALL[client as usize % Transport::ALL.len()];
            coming.spawn(async move {
                pause(step * client).await;
                // Every second client begins with the whole history.
                let start = (client % 2 == 0).then_some(cursor.as_str());
                let asks = if is_poll(transport) { 32 } else { 1 };
                let mut wire = Wire::connect_narrow(&address).await?;
                wire.send(request(transport, "storm/0", start).repeat(asks)).await?;
                Ok::<_, io::Error>((wire, transport))
            });
        }
        let (mut streams, mut polls, mut wrong) = (0, 0, Vec::new());
        while let Some(came) = coming.join_next().await {
            match came.map_err(|error| error.to_string())? {
                Ok((wire, transport)) => {
                    *(if is_poll(transport) { &mut polls } else { &mut streams }) += 1;
                    stalled.push(wire);
                }
                Err(error) => wrong.push(error.to_string()),
            }
        }
        println!("{}", json!({ "streams": streams, "polls": polls, "wrong": wrong }));
    }
    Ok(())
}

fn is_poll(transport: Transport) -> bool {
    matches!(transport, Transport::ShortPoll | Transport::LongPoll)
}

/// Clients of all transports with sessions, which move from one instance to the next when they are drained, at the
/// given
/// retry time, and stay there until they are drained again.
async fn movers(mut args: Args) -> Result<(), String> {
    let addresses: [String; 2] = [args.need("first")?, args.need("second")?];
    let (clients, topics) = (args.need::<usize>("clients")?, args.need::<usize>("topics")?);
    let (cursor, last): (String, u64) = (args.need("cursor")?, args.need("last")?);
    args.finish()?;
    let (addresses, connecting) = (Arc::new(addresses), Arc::new(Semaphore::new(CONNECTING)));
    let mut all = JoinSet::new();
    for client in 0..clients {
        let (addresses, connecting, mut ledger) = (addresses.clone(), connecting.clone(), Ledger::new(&cursor));
        all.spawn(async move {
            let transport = SESSIONS[client % SESSIONS.len()];
            let topic = client / SESSIONS.len() % topics;
            // Every second client has a session name, so that its polls are one session.
            let topic = match client / SESSIONS.len() % 2 {
                0 => format!("storm/{topic}"),
                _ => format!("storm/{topic}&session={}-{client}", std::process::id()),
            };
            // The permit is released after a moment, when the client has connected.
            let place = connecting.acquire_owned().await;
            tokio::spawn(async move {
                pause(Duration::from_millis(50)).await;
                drop(place);
            });
            let moved = move_on(&addresses, transport, &topic, &mut ledger).await;
            (transport, moved, ledger)
        });
    }
    let (mut left, mut refused, mut returned, mut wrong) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut lost, mut duplicated) = (0, 0);
    while let Some(done) = all.join_next().await {
        let (transport, moved, ledger) = done.map_err(|error| error.to_string())?;
        lost += ledger.lost + last.saturating_sub(ledger.last);
        duplicated += ledger.duplicated;
        match moved {
            Ok(moved) => {
                (if moved.later { &mut refused } else { &mut left }).push(moved.left);
                returned.push(moved.returned);
            }
            Err(error) => wrong.push(format!("{transport:?}: {error}")),
        }
    }
    let count = wrong.len();
    wrong.truncate(5);
    let reported = json!({
        "left": left, "refused": refused, "returned": returned, "wrong": count, "why": wrong,
        "lost": lost, "duplicated": duplicated,
    });
    println!("{reported}");
    Ok(())
}

/// Transports with sessions that stay open: connections and held polls.
const SESSIONS: [Transport; 4] = [Transport::Sse, Transport::Chunked, Transport::WebSocket, Transport::LongPoll];

/// Times at which a client left the first instance and reached the second, in microseconds.
struct Moved {
    left: u64,
    returned: u64,
    /// The client was between two polls and was refused.
    later: bool,
}

async fn move_on(addresses: &[String; 2], transport: Transport, topic: &str, ledger: &mut Ledger) -> io::Result<Moved> {
    let first = follow(&addresses[0], transport, topic, ledger).await?;
    let left = now();
    let (retry, later) = match first {
        FollowEnd::Drained(retry) => (retry, false),
        FollowEnd::Refused(retry) if transport == Transport::LongPoll => (retry, true),
        other => return Err(wrong(format!("the first connection ended with {other:?}"))),
    };
    pause(retry).await;
    let returned = now();
    match (follow(&addresses[1], transport, topic, ledger).await?, transport) {
        (FollowEnd::Drained(_), _) | (FollowEnd::Refused(_), Transport::LongPoll) => {
            Ok(Moved { left, returned, later })
        }
        (other, _) => Err(wrong(format!("the second connection ended with {other:?}"))),
    }
}

/// Clients that follow a topic until they resume over new connections.
async fn silent(mut args: Args, lines: &mut UnboundedReceiver<String>) -> Result<(), String> {
    let (address, cursor): (String, String) = (args.need("address")?, args.need("cursor")?);
    let (each, goal) = (args.need::<usize>("each")?, args.need("goal")?);
    args.finish()?;
    let (resume, reported) = tokio::sync::watch::channel(false);
    let mut all = JoinSet::new();
    for client in 0..each * SESSIONS.len() {
        let (address, transport, mut reported) = (address.clone(), SESSIONS[client % SESSIONS.len()], reported.clone());
        let mut ledger = Ledger { goal: Some(goal), ..Ledger::new(&cursor) };
        all.spawn(async move {
            // The result does not matter: the line is cut.
            let until_told = async { drop(reported.wait_for(|&reported| reported).await) };
            tokio::select! {
                _ = async { while follow(&address, transport, "storm/0", &mut ledger).await.is_ok() {} } => {}
                () = until_told => {}
            }
            drop(reported.wait_for(|&reported| reported).await);
            (resumed(&address, transport, &mut ledger).await, transport, ledger)
        });
    }
    lines.recv().await.ok_or("input ended before the resume")?;
    resume.send_replace(true);
    let (mut lost, mut duplicated, mut wrong) = (0, 0, Vec::new());
    while let Some(done) = all.join_next().await {
        let (done, transport, ledger) = done.map_err(|error| error.to_string())?;
        lost += ledger.lost + goal.saturating_sub(ledger.last);
        duplicated += ledger.duplicated;
        wrong.extend(done.err().map(|error| format!("{transport:?}: {error}")));
    }
    println!("{}", json!({ "lost": lost, "duplicated": duplicated, "wrong": wrong }));
    Ok(())
}

async fn resumed(address: &str, transport: Transport, ledger: &mut Ledger) -> io::Result<()> {
    let follow = follow(address, transport, "storm/0", ledger);
    match within(Duration::from_secs(60), follow).await? {
        FollowEnd::Complete => Ok(()),
        other => Err(wrong(format!("resumed, and ended with {other:?}"))),
    }
}

/// Clients that poll again after each answer, until they have the event number `--goal`.
async fn pollers(mut args: Args) -> Result<(), String> {
    let (address, cursor): (String, String) = (args.need("address")?, args.need("cursor")?);
    let (clients, goal) = (args.need::<usize>("clients")?, args.need("goal")?);
    args.finish()?;
    let connecting = Arc::new(Semaphore::new(CONNECTING));
    let mut all = JoinSet::new();
    for _ in 0..clients {
        let (address, connecting) = (address.clone(), connecting.clone());
        let mut ledger = Ledger { goal: Some(goal), ..Ledger::new(&cursor) };
        all.spawn(async move {
            let connected = {
                let _place = connecting.acquire_owned().await;
                Wire::connect(&address).await
            };
            let mut asked = Asked::default();
            let done = match connected {
                Ok(mut wire) => asked.until_complete(&mut wire, &mut ledger).await,
                Err(error) => Err(error),
            };
            (done, asked, ledger)
        });
    }
    let (mut replies, mut events, mut soonest, mut most) = (0, 0, Duration::MAX, 0);
    let (mut lost, mut duplicated, mut wrong) = (0, 0, Vec::new());
    while let Some(done) = all.join_next().await {
        let (done, asked, ledger) = done.map_err(|error| error.to_string())?;
        replies += asked.replies.len();
        events += asked.events;
        soonest = soonest.min(asked.soonest.unwrap_or(Duration::MAX));
        most = most.max(asked.most_within(Duration::from_secs(1)));
        lost += ledger.lost + goal.saturating_sub(ledger.last);
        duplicated += ledger.duplicated;
        wrong.extend(done.err().map(|error| error.to_string()));
    }
    let count = wrong.len();
    wrong.truncate(5);
    let reported = json!({
        "replies": replies, "events": events, "soonest": soonest.as_millis() as u64, "most": most,
        "lost": lost, "duplicated": duplicated, "wrong": count, "why": wrong,
    });
    println!("{reported}");
    Ok(())
}

/// Answers to one polling client.
#[derive(Default)]
struct Asked {
    /// Times of those replies that were not one part of several.
    replies: Vec<Instant>,
    events: usize,
    soonest: Option<Duration>,
}

impl Asked {
    async fn until_complete(&mut self, wire: &mut Wire, ledger: &mut Ledger) -> io::Result<()> {
        while !ledger.is_complete() {
            let asked = Instant::now();
            let (head, reply) = poll(wire, Transport::LongPoll, "storm/0", &ledger.cursor).await?;
            let reply = reply.ok_or_else(|| wrong(format!("{} to a long poll", head.status)))?;
            self.events += ledger.see_reply(&reply)?;
            if !reply.more {
                let took = asked.elapsed();
                self.soonest = Some(self.soonest.map_or(took, |soonest| soonest.min(took)));
                self.replies.push(Instant::now());
            }
        }
        Ok(())
    }

    /// Returns the largest number of replies in any interval. It is shortened by a millisecond, since clocks are read
    /// in microseconds.
    fn most_within(&self, interval: Duration) -> usize {
        let interval = interval.saturating_sub(Duration::from_millis(1));
        let from =
            |at: usize| self.replies[at..].iter().take_while(|reply| **reply - self.replies[at] < interval).count();
        (0..self.replies.len()).map(from).max().unwrap_or(0)
    }
}

async fn within<T>(limit: Duration, doing: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, doing).await.map_err(|_| wrong(format!("not in {limit:?}")))?
}
