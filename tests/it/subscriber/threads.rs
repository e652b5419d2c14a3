//! Clients that come and go while the application counts, on threads of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tidings::subscriber::{EncodedDelivery, SubscriberExt};
use tidings::{Gap, Start, Subscribe, Subscriber};

use super::board::{Board, Client, TOPICS, Wire};

const COUNTS: usize = 20_000;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Follows the board until it is over and all is read. Now and then it is slow, is cut off inside of what it reads, or
/// forgets all. Says how many states it had to the end.
fn follow(board: &Board, over: &AtomicBool, topics: usize, seed: u64) -> (Client, usize) {
    let waker: Waker = Arc::new(Unpark(thread::current())).into();
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut client, mut states) = (Client::new(false), 0);
    let mut subscriber = attach(board, &client, topics);
    loop {
        let was_over = over.load(Ordering::Acquire);
        match subscriber.poll_encoded(&mut Context::from_waker(&waker), &Wire, 256) {
            Poll::Ready(EncodedDelivery::Events(events)) => {
                if random.u8(..) < 8 {
                    client.read(&events.bytes[..random.usize(..events.bytes.len())]);
                    client.cut();
                    if random.bool() {
                        states += client.states;
                        client = Client::new(false);
                    }
                    subscriber = attach(board, &client, topics);
                    continue;
                }
                client.read(&events.bytes);
            }
            Poll::Ready(EncodedDelivery::Gap(gap)) => {
                assert!(gap.snapshot);
                client.read_gap(&gap);
            }
            Poll::Ready(other) => panic!("{other:?}"),
            Poll::Pending if was_over => {
                states += client.states;
                return (client, states);
            }
            Poll::Pending => thread::park(),
        }
        if random.u8(..) < 2 {
            // Long enough for what it has not read to go.
            (0..200).for_each(|_| thread::yield_now());
        }
    }
}

fn attach(board: &Board, client: &Client, topics: usize) -> impl Subscriber + use<> {
    let start = client.cursor.as_deref().map_or(Start::Now, |cursor| Start::After(cursor.parse().unwrap()));
    let topics = TOPICS[..topics].iter().copied();
    let subscription = board.hub().subscribe(Subscribe::topics(topics).start(start)).unwrap();
    let of = board.clone();
    let mended = subscription
        .recover_with(move |_: &Gap| {
            let state = of.snapshot();
            async { Some(state) }
        })
        .with_start(start);
    if start == Start::Now { mended.with_snapshot(board.snapshot()) } else { mended }
}

#[test]
fn p2_nothing_is_lost_between_state_and_live_while_it_changes() {
    let (board, over) = (Board::new(8), AtomicBool::new(false));
    thread::scope(|scope| {
        let (board, over) = (&board, &over);
        let clients: Vec<_> = (0..4_usize)
            .map(|number| {
                let topics = if number % 2 == 0 { 1 } else { TOPICS.len() };
                (topics, scope.spawn(move || follow(board, over, topics, number as u64)))
            })
            .collect();
        let counting = TOPICS.map(|topic| scope.spawn(move || (0..COUNTS).for_each(|_| board.count(topic))));
        counting.into_iter().for_each(|counting| counting.join().unwrap());
        over.store(true, Ordering::Release);
        clients.iter().for_each(|(_, client)| client.thread().unpark());
        let truth = board.counts();
        for (topics, client) in clients {
            let (client, states) = client.join().unwrap();
            assert!(client.has_base() && states > 1);
            for topic in &TOPICS[..topics] {
                assert_eq!(client.counts.get(*topic), truth.get(*topic), "{topic}");
            }
        }
    });
}
