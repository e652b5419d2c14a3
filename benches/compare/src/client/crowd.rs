//! All subscribers, the publisher, and the loop that runs them.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use super::publisher::{Publisher, Script};
use super::subscriber::{Heard, Subscriber, Transport};
use super::tally::Counts;

/// Number of connections that are made before the server is waited for: below the queue of a listening socket.
const WAVE: usize = 100;
/// Time without bytes after which missing deliveries are given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest sleep: a signal is noticed after it.
const NAP: Duration = Duration::from_millis(50);
const PUBLISHER: u64 = u64::MAX;

/// Subscribers of a workload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Audience {
    pub(crate) transport: Transport,
    pub(crate) topics: u16,
    /// Number of subscribers of all topics together: the same number of each.
    pub(crate) subscribers: usize,
}

pub(crate) struct Crowd<'a> {
    epoll: OwnedFd,
    subscribers: Vec<Subscriber>,
    publisher: Publisher,
    /// Read buffer of all sockets.
    buffer: Vec<u8>,
    events: Vec<Event>,
    heard: Heard,
    /// Number of messages of each topic, with those of the script.
    published: u32,
    stop: &'a AtomicBool,
}

impl<'a> Crowd<'a> {
    /// Waits until all are connected and have their first response. Gives up soon after `stop` is set.
    pub(crate) fn connect(server: SocketAddr, audience: Audience, stop: &'a AtomicBool) -> Result<Self, String> {
        let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(epoll_failed)?;
        let publisher = Publisher::connect(server)?;
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
        epoll::add(&epoll, &publisher, EventData::new_u64(PUBLISHER), flags).map_err(epoll_failed)?;
        let mut crowd = Self {
            epoll,
            subscribers: Vec::with_capacity(audience.subscribers),
            publisher,
            buffer: vec![0; 64 << 10],
            events: vec![Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; 1024],
            heard: Heard::default(),
            published: 0,
            stop,
        };
        while crowd.subscribers.len() < audience.subscribers {
            crowd.grow(server, audience)?;
        }
        Ok(crowd)
    }

    /// Publishes the script. Returns when all of it is answered and delivered, or after a minute without bytes.
    pub(crate) fn publish(&mut self, script: &Script) -> Result<(), String> {
        self.published = script.published;
        self.publisher.begin();
        let all = script.published as u64 * self.subscribers.len() as u64;
        let begun = Instant::now();
        let mut last = (self.heard.deliveries, begun);
        loop {
            let now = Instant::now();
            self.publisher.push(script, now - begun)?;
            if self.heard.deliveries > last.0 {
                last = (self.heard.deliveries, now);
            }
            if self.publisher.is_through(script) && self.heard.deliveries == all {
                return Ok(());
            }
            if now - last.1 > PATIENCE {
                return match self.publisher.is_through(script) {
                    true => Ok(()),
                    false => Err("the server no longer answers the publisher".to_owned()),
                };
            }
            self.turn(self.publisher.due(script, begun).map_or(NAP, |due| due.saturating_duration_since(now)))?;
        }
    }

    /// Counts deliveries for this time, all of which are surplus.
    pub(crate) fn linger(&mut self, time: Duration) -> Result<(), String> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.turn(end.saturating_duration_since(Instant::now()))?;
        }
        Ok(())
    }

    /// Returns the errors in the deliveries of all subscribers.
    pub(crate) fn counts(&self) -> Counts {
        self.subscribers.iter().map(|one| one.counts(self.published)).fold(Counts::default(), Counts::and)
    }

    /// Connects a group, and waits until all of it is served.
    fn grow(&mut self, server: SocketAddr, audience: Audience) -> Result<(), String> {
        let first = self.subscribers.len();
        for index in first..audience.subscribers.min(first + WAVE) {
            let topic = (index % usize::from(audience.topics)) as u16;
            let subscriber = Subscriber::connect(server, audience.transport, topic)?;
            let data = EventData::new_u64(index as u64);
            epoll::add(&self.epoll, &subscriber, data, EventFlags::IN).map_err(epoll_failed)?;
            self.subscribers.push(subscriber);
        }
        self.publisher.knock()?;
        let begun = Instant::now();
        let polls = audience.transport == Transport::LongPoll;
        while !(self.publisher.is_answered() && (polls || self.heard.joined == self.subscribers.len())) {
            if begun.elapsed() > PATIENCE {
                return Err(format!("{} of {} streams have begun", self.heard.joined, self.subscribers.len()));
            }
            self.turn(NAP)?;
        }
        Ok(())
    }

    /// Sleeps at most this long, and handles all socket events.
    fn turn(&mut self, sleep: Duration) -> Result<(), String> {
        if self.stop.load(Ordering::Relaxed) {
            return Err("stopped by a signal".to_owned());
        }
        let sleep = sleep.min(NAP);
        let sleep = Timespec { tv_sec: 0, tv_nsec: sleep.subsec_nanos().into() };
        let ready = match epoll::wait(&self.epoll, &mut self.events[..], Some(&sleep)) {
            Ok(ready) => ready,
            Err(Errno::INTR) => 0,
            Err(error) => return Err(epoll_failed(error)),
        };
        for event in &self.events[..ready] {
            match event.data.u64() {
                PUBLISHER => self.publisher.turn(&mut self.buffer)?,
                index => {
                    let subscriber = &mut self.subscribers[index as usize];
                    subscriber.hear(&mut self.buffer, self.published, &mut self.heard)?;
                }
            }
        }
        Ok(())
    }
}

fn epoll_failed(error: Errno) -> String {
    format!("epoll: {error}")
}
