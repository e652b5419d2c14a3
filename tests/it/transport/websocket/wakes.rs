//! Wakes of a connection and the polls that they cause.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use futures_io::{AsyncRead, AsyncWrite};
use proptest::prelude::*;
use tidings::Message;
use tidings::transport::websocket::{WebSocketConfig, WebSocketSink};

use super::{ClientEnd, Connection, Frame, ServerEnd, masked};
use crate::support::{Feed, Task, VirtualTimer};

#[test]
fn event_causes_one_write_and_no_read() {
    let mut connection = Connection::raw();
    assert_eq!(connection.run(), None);
    connection.client.reads();
    for burst in [1, 7, 1] {
        (0..burst).for_each(|_| connection.publish("tick"));
        assert_eq!(connection.run(), None);
        assert_eq!((connection.client.reads(), connection.client.writes()), (0, 1));
    }
    assert_eq!(connection.send(&masked(0x81, b"hello")), None);
    assert!(connection.client.reads() > 0);
    assert_eq!(connection.received.take_texts(), ["hello"]);
}

#[derive(Debug, Clone)]
enum Step {
    Publish,
    Message,
    Ping,
    /// Sets the number of bytes that the socket takes.
    Allow(usize),
    /// The connection moves to another task.
    Move,
    /// The task polls without a wake.
    Poll,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Publish),
        3 => Just(Step::Message),
        2 => Just(Step::Ping),
        2 => prop_oneof![Just(0), 1..40_usize, Just(usize::MAX)].prop_map(Step::Allow),
        2 => Just(Step::Move),
        1 => Just(Step::Poll),
    ]
}

proptest! {
    #[test]
    fn every_input_wakes_the_task_that_polls(steps in prop::collection::vec(any_step(), 1..60)) {
        let config = WebSocketConfig::default().control_rate(1_000).message_rate(1_000);
        let mut connection = Connection::with(config, tidings::transport::websocket::Subprotocol::Raw);
        prop_assert_eq!(connection.run(), None);
        let (mut published, mut pinged, mut blocked) = (0, 0, false);
        for step in steps {
            match step {
                Step::Publish => {
                    connection.publish("tick");
                    published += 1;
                }
                Step::Message => {
                    connection.client.send(&masked(0x81, b"tock"));
                    prop_assert!(connection.task.wakes() > 0, "the task is not woken");
                    prop_assert_eq!(connection.run(), None);
                    prop_assert_eq!(connection.received.take_texts(), ["tock"]);
                    continue;
                }
                Step::Ping => {
                    connection.client.send(&masked(0x89, b"there?"));
                    pinged += 1;
                }
                Step::Allow(room) => {
                    connection.client.allow(room);
                    blocked = room != usize::MAX;
                }
                Step::Move => connection.task = Task::new(),
                Step::Poll => {}
            }
            if matches!(step, Step::Move | Step::Poll) || connection.task.wakes() > 0 {
                prop_assert_eq!(connection.run(), None);
            }
        }
        if blocked {
            connection.client.allow(usize::MAX);
            if connection.task.wakes() > 0 {
                prop_assert_eq!(connection.run(), None);
            }
        }
        let frames = connection.frames();
        let ticks = frames.iter().filter(|frame| **frame == Frame::text("tick")).count();
        let pongs = frames.iter().filter(|frame| matches!(frame, Frame::Pong(_))).count();
        prop_assert_eq!(ticks, published);
        prop_assert!(pongs <= pinged && (pongs > 0 || pinged == 0));
    }
}

/// A connection in which reads and writes wait for the same readiness of the socket, as TLS may require.
struct Crossed {
    io: ServerEnd,
    crossed: Arc<AtomicBool>,
    waiting: Arc<std::sync::Mutex<Option<Waker>>>,
}

impl AsyncRead for Crossed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.crossed.load(Ordering::Relaxed) {
            *self.waiting.lock().unwrap() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Crossed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.crossed.load(Ordering::Relaxed) {
            // The socket has room for one waker, so the write replaces the waker of the read.
            *self.waiting.lock().unwrap() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_close(cx)
    }
}

#[test]
fn read_that_waits_for_the_same_readiness_as_a_write_is_woken() {
    let ((client, io), feed, task) = (ClientEnd::connect(), Feed::new(7), Task::new());
    let (crossed, waiting) = (Arc::new(AtomicBool::new(true)), Arc::default());
    let io = Crossed { io, crossed: Arc::clone(&crossed), waiting: Arc::clone(&waiting) };
    let (sender, received) = mpsc::channel();
    let timer = Arc::new(VirtualTimer::new());
    let mut sink = WebSocketSink::new(io, feed.reader(), timer, WebSocketConfig::default()).receive(move |message| {
        sender.send(message).unwrap();
        std::future::ready(Ok(None))
    });
    assert!(task.poll(&mut sink).is_pending());
    client.send(&masked(0x81, b"hello"));
    feed.event("news", "tick");
    assert!(task.poll(&mut sink).is_pending());
    task.wakes();
    crossed.store(false, Ordering::Relaxed);
    waiting.lock().unwrap().take().into_iter().for_each(Waker::wake);
    assert_eq!(task.wakes(), 1);
    assert!(task.poll(&mut sink).is_pending());
    assert_eq!(received.try_recv(), Ok(Message::Text("hello".to_owned())));
    assert_eq!(client.writes(), 1);
}

/// A waker that sets a flag and unparks a thread.
struct FlagWaker {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for FlagWaker {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

#[test]
fn wake_from_another_thread_is_not_lost() {
    const MESSAGES: usize = 3_000;
    let ((client, io), feed) = (ClientEnd::connect(), Feed::new(7));
    let (sender, received) = mpsc::channel();
    let config = WebSocketConfig::default().message_rate(u32::MAX);
    let sink = WebSocketSink::new(io, feed.reader(), Arc::new(VirtualTimer::new()), config).receive(move |_| {
        sender.send(()).unwrap();
        std::future::ready(Ok(None))
    });
    let server = std::thread::spawn(move || {
        let mut sink = sink;
        let flag = Arc::new(FlagWaker { thread: std::thread::current(), woken: AtomicBool::new(true) });
        let waker = Waker::from(Arc::clone(&flag));
        loop {
            while !flag.woken.swap(false, Ordering::Acquire) {
                std::thread::park();
            }
            if Pin::new(&mut sink).poll(&mut Context::from_waker(&waker)).is_ready() {
                return;
            }
        }
    });
    for message in 0..MESSAGES {
        // The wake for an event must not hide the wake for a message.
        feed.event("news", "tick");
        client.send(&masked(0x81, b"tock"));
        let seen = received.recv_timeout(Duration::from_secs(60));
        assert_eq!(seen, Ok(()), "message {message} was not seen");
    }
    client.end();
    server.join().unwrap();
}

/// A connection without input, which counts its reads and keeps the waker of the last one.
#[derive(Clone, Default)]
struct Silent {
    reads: Arc<AtomicUsize>,
    waiting: Arc<std::sync::Mutex<Option<Waker>>>,
}

impl AsyncRead for Silent {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
        *self.waiting.lock().unwrap() = Some(cx.waker().clone());
        self.reads.fetch_add(1, Ordering::AcqRel);
        Poll::Pending
    }
}

impl AsyncWrite for Silent {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Waits without parking the thread, so that both threads run at once.
fn spin(round: u32) {
    match round % 256 {
        0 => std::thread::yield_now(),
        _ => std::hint::spin_loop(),
    }
}

#[test]
fn wake_observed_during_its_delivery_does_not_suppress_a_later_one() {
    const ROUNDS: usize = 20_000;
    let (silent, feed) = (Silent::default(), Feed::new(7));
    let flag = Arc::new(FlagWaker { thread: std::thread::current(), woken: AtomicBool::new(true) });
    let is_over = Arc::new(AtomicBool::new(false));
    let mut sink =
        WebSocketSink::new(silent.clone(), feed.reader(), Arc::new(VirtualTimer::new()), WebSocketConfig::default());
    let (waker, over) = (Waker::from(Arc::clone(&flag)), Arc::clone(&is_over));
    assert!(Pin::new(&mut sink).poll(&mut Context::from_waker(&waker)).is_pending());
    let server = std::thread::spawn(move || {
        let waker = Waker::from(Arc::clone(&flag));
        for round in 1_u32.. {
            if over.load(Ordering::Acquire) {
                return;
            }
            if flag.woken.swap(false, Ordering::AcqRel) {
                assert!(Pin::new(&mut sink).poll(&mut Context::from_waker(&waker)).is_pending());
            }
            spin(round);
        }
    });
    let read_by = |round: usize| {
        let (before, begun) = (silent.reads.load(Ordering::Acquire), Instant::now());
        // Another wake at about the time at which input may arrive.
        waker.wake_by_ref();
        (0..round % 256).for_each(|_| std::hint::spin_loop());
        let reader = silent.waiting.lock().unwrap().clone();
        reader.into_iter().for_each(Waker::wake);
        let is_read = || silent.reads.load(Ordering::Acquire) > before;
        (1..).inspect(|&round| spin(round)).any(|_| is_read() || begun.elapsed() > Duration::from_secs(60));
        is_read()
    };
    let lost = (0..ROUNDS).find(|&round| !read_by(round));
    is_over.store(true, Ordering::Release);
    server.join().unwrap();
    assert_eq!(lost, None, "no read after this round");
}
