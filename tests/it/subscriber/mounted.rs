//! State over every transport of the mount, behind a server on HTTP/1.1 and HTTP/2.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tidings::subscriber::Delivery;
use tidings::{Cursor, Endpoint, GapReason, Rejection, SubscribeRequest, Subscriber, Subscription, Transport};
use tokio::time::timeout;

use super::app::{App, Hook, Reader, Server, Way};
use super::board::Board;
use crate::clients::{Data, End, Gap, Seen, Speaks};
use crate::support::VirtualTimer;

/// On a machine that is busy with something else, too.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `visit` with a client of each transport, each with an application of its own.
async fn each_way(app: impl Fn() -> App, visit: impl AsyncFn(&App, Way)) {
    for number in 0..Speaks::ALL.len() * 2 {
        let app = app();
        let endpoint = app.builder().build();
        let way = Server::of(&endpoint).await.ways().nth(number).unwrap();
        timeout(PATIENCE, visit(&app, way)).await.unwrap_or_else(|_| panic!("nothing came by {way:?}"));
    }
}

fn is_raw(way: Way) -> bool {
    way.speaks == Speaks::RawWebSocket
}

fn transport(way: Way) -> Transport {
    match way.speaks {
        Speaks::ShortPoll => Transport::ShortPoll,
        Speaks::LongPoll => Transport::LongPoll,
        Speaks::Chunked => Transport::Chunked,
        Speaks::Sse | Speaks::SseObjects => Transport::Sse,
        Speaks::WebSocket | Speaks::RawWebSocket => Transport::WebSocket,
    }
}

/// It is told that state follows, where its wire can tell, gets it, and then what comes.
async fn is_mended(app: &App, reader: &mut Reader, way: Way, reason: GapReason) {
    if !is_raw(way) {
        let Seen::Gap(gap) = reader.see().await.unwrap() else { panic!("no gap by {way:?}") };
        let expected = ("0.0", reason.as_str(), true);
        assert_eq!((&*gap.cursor, &*gap.reason, gap.snapshot), expected, "{way:?}");
    }
    reader.count_to(app.known()).await;
    assert_eq!(reader.counted.states, 1);
    let (by, gap) = app.asked().pop().unwrap();
    assert_eq!((by, gap.reason), (transport(way), reason));
    let at = if is_raw(way) { None } else { Some(app.last()) };
    assert_eq!(reader.cursor(), at.as_deref(), "{way:?}");
    app.count(2);
    reader.count_to(app.known()).await;
    assert_eq!((reader.counted.states, app.asked().len()), (1, 1), "{way:?}");
}

#[tokio::test]
async fn p2_who_was_away_for_too_long_gets_state() {
    each_way(
        || App::new(4),
        async |app, way| {
            app.count(1);
            let before = app.last();
            app.count(10);
            is_mended(app, &mut way.open(Some(&before)).await.unwrap(), way, GapReason::Evicted).await;
        },
    )
    .await;
}

#[tokio::test]
async fn p2_who_comes_from_another_life_gets_state() {
    each_way(
        || App::new(4),
        async |app, way| {
            app.count(3);
            let before = app.last();
            app.board().restart();
            // With and without anything of the new life.
            app.count(usize::from(way.http == crate::clients::Http::One) * 6);
            is_mended(app, &mut way.open(Some(&before)).await.unwrap(), way, GapReason::Epoch).await;
        },
    )
    .await;
}

#[tokio::test]
async fn p2_whose_cursor_means_nothing_gets_state() {
    each_way(
        || App::new(4),
        async |app, way| {
            app.count(3);
            is_mended(app, &mut way.open(Some("nonsense")).await.unwrap(), way, GapReason::Invalid).await;
        },
    )
    .await;
}

#[tokio::test]
async fn p2_who_falls_behind_gets_state() {
    each_way(
        || App::new(4),
        async |app, way| {
            if !matches!(way.speaks, Speaks::ShortPoll | Speaks::LongPoll) {
                let mut reader = way.open(None).await.unwrap();
                app.count(1);
                reader.count_to(1).await;
                // One burst, between two polls.
                app.count(2_000);
                reader.count_to(2_000 + 1).await;
                assert_eq!((reader.counted.states, app.asked().len()), (1, 1), "{way:?}");
                assert_eq!(app.asked()[0].1.reason, GapReason::Overflow);
                app.count(2);
                reader.count_to(app.known()).await;
            }
        },
    )
    .await;
}

#[tokio::test]
async fn p2_who_begins_with_state_goes_on_from_it() {
    each_way(
        || App::new(4).opens(),
        async |app, way| {
            app.count(10);
            let mut reader = way.open(None).await.unwrap();
            reader.count_to(10).await;
            app.count(2);
            reader.count_to(12).await;
            assert_eq!((reader.counted.states, app.asked().len()), (1, 0), "{way:?}");
            if !is_raw(way) {
                let cursor = reader.cursor().map(str::to_owned);
                let mut again = way.open(cursor.as_deref()).await.unwrap();
                app.count(1);
                assert!(matches!(again.see().await, Ok(Seen::Event(_))), "{way:?}");
                again.count_to(13).await;
                assert_eq!(again.counted.states, 0);
            }
        },
    )
    .await;
}

/// More than a batch, more than a reply, more than a socket's buffer: it goes whole, or the client would never have it.
#[tokio::test]
async fn state_of_a_mebibyte_goes_whole() {
    for is_gap in [true, false] {
        each_way(
            || App::new(4).opens().weighs(1024 * 1024),
            async |app, way| {
                app.count(10);
                let mut reader = way.open(is_gap.then_some("nonsense")).await.unwrap();
                reader.count_to(10).await;
                app.count(2);
                reader.count_to(12).await;
                assert_eq!((reader.counted.states, app.asked().len()), (1, usize::from(is_gap)), "{way:?}");
            },
        )
        .await;
    }
}

/// A poll's reply that has events already takes the gap's state along, though it is full.
#[tokio::test]
async fn state_behind_a_full_reply_goes_whole() {
    for speaks in [Speaks::ShortPoll, Speaks::LongPoll] {
        let app = App::new(0).weighs(200 * 1024);
        let endpoint = app.builder().max_batch_bytes(150).build();
        let way = Server::of(&endpoint).await.ways().find(|way| way.speaks == speaks).unwrap();
        app.count(1);
        let mut reader = way.open(Some("0.0")).await.unwrap();
        timeout(PATIENCE, reader.count_to(1)).await.unwrap();
        assert_eq!((reader.counted.states, app.asked().len()), (1, 1));
    }
}

#[tokio::test]
async fn without_state_the_gap_is_told_as_it_is() {
    each_way(
        || App::new(4).does(Hook::None),
        async |app, way| {
            app.count(3);
            let mut reader = way.open(Some("nonsense")).await.unwrap();
            match reader.see().await.unwrap() {
                Seen::End(End::Gap) if is_raw(way) => {}
                Seen::Gap(Gap { cursor, snapshot: false, .. }) => {
                    assert_eq!(cursor, app.last());
                    app.count(2);
                    reader.count_to(5).await;
                }
                seen => panic!("{seen:?} by {way:?}"),
            }
            assert_eq!(app.asked().len(), 1);
        },
    )
    .await;
}

/// Only the session whose hook panicked ends, and its client is told.
#[tokio::test]
async fn a_hook_that_panics_ends_its_session_alone() {
    let app = App::new(4);
    let endpoint = app.builder().build();
    let server = Server::of(&endpoint).await;
    let mut others = Vec::new();
    for way in server.ways() {
        others.push(way.open(None).await.unwrap());
    }
    app.count(3);
    app.does(Hook::Panic);
    for way in server.ways() {
        let seen = match way.open(Some("nonsense")).await {
            Ok(mut reader) => timeout(PATIENCE, reader.see()).await.unwrap(),
            Err(why) => Err(why),
        };
        match (way.speaks, seen) {
            (Speaks::ShortPoll | Speaks::LongPoll, Err(why)) => assert!(why.starts_with("500"), "{why}"),
            (Speaks::Chunked | Speaks::Sse | Speaks::SseObjects, Ok(Seen::End(End::Later))) => {}
            (Speaks::WebSocket | Speaks::RawWebSocket, Err(why)) => assert!(why.contains("1011"), "{why}"),
            (_, seen) => panic!("{seen:?} by {way:?}"),
        }
        assert_eq!(app.running().0, 0);
    }
    app.count(1);
    for mut reader in others {
        timeout(PATIENCE, reader.count_to(4)).await.unwrap();
    }
}

/// A panic moves nobody on: the client comes back to the gap that it was not told of.
#[tokio::test]
async fn client_whose_hook_panicked_comes_back_to_the_same_gap() {
    each_way(
        || App::new(4).does(Hook::Panic),
        async |app, way| {
            app.count(1);
            let before = app.last();
            app.count(10);
            let cursor = until_it_fails(way, &before).await;
            app.does(Hook::State);
            let mut reader = way.open(Some(&cursor)).await.unwrap();
            reader.count_to(11).await;
            assert_eq!((reader.counted.states, app.asked().len()), (1, 2), "{way:?}");
            assert!(app.asked().iter().all(|(_, gap)| gap.reason == GapReason::Evicted));
        },
    )
    .await;
}

/// The cursor of a client after its session failed. Raw frames have none, so it has the one that it came with.
async fn until_it_fails(way: Way, came_with: &str) -> String {
    let Ok(mut reader) = way.open(Some(came_with)).await else { return came_with.to_owned() };
    let seen = timeout(PATIENCE, reader.see()).await.unwrap();
    assert!(matches!(seen, Err(_) | Ok(Seen::End(_))), "{seen:?} by {way:?}");
    reader.cursor().unwrap_or(came_with).to_owned()
}

/// A subscriber that panics with events in its hands, as one whose format panics.
struct Drops {
    inner: Subscription,
    panics: Arc<AtomicBool>,
}

impl Subscriber for Drops {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        let polled = self.inner.poll_next(cx);
        let has_events = matches!(polled, Poll::Ready(Delivery::Events(_)));
        assert!(!has_events || !self.panics.swap(false, Ordering::Relaxed), "on request");
        polled
    }

    fn cursor(&self) -> Option<Cursor> {
        self.inner.cursor()
    }
}

/// The client comes back to the events that were lost in a panic.
#[tokio::test]
async fn client_whose_events_were_lost_in_a_panic_gets_them_when_it_is_back() {
    for number in 0..Speaks::ALL.len() * 2 {
        let (board, panics) = (Board::new(100), Arc::new(AtomicBool::new(true)));
        let endpoint = Endpoint::new({
            let (board, panics) = (board.clone(), panics.clone());
            move |request: SubscribeRequest| {
                let (board, panics) = (board.clone(), panics.clone());
                async move {
                    let inner = board.hub().subscribe(request.subscribe_to(["a"]))?;
                    Ok::<_, Rejection>(Drops { inner, panics })
                }
            }
        });
        let way = Server::of(&endpoint).await.ways().nth(number).unwrap();
        board.count("a");
        let before = board.hub().cursor().to_string();
        (0..3).for_each(|_| board.count("a"));
        let cursor = until_it_fails(way, &before).await;
        assert!(!panics.load(Ordering::Relaxed), "{way:?}");
        let mut reader = way.open(Some(&cursor)).await.unwrap();
        let Seen::Event(first) = timeout(PATIENCE, reader.see()).await.unwrap().unwrap() else {
            panic!("no event by {way:?}")
        };
        assert_eq!(first.data, Data::Text("2".to_owned()), "{way:?}");
        timeout(PATIENCE, reader.count_to(4)).await.unwrap();
    }
}

/// Polls are answered when the state is there, streams and WebSockets go on when it is; and not before.
#[tokio::test]
async fn state_is_waited_for() {
    for late in [false, true] {
        let app = App::new(4).does(Hook::Wait);
        let timer = VirtualTimer::new();
        let endpoint = app.builder().timer(timer.clone()).max_long_poll_timeout(Duration::from_secs(60)).build();
        let server = Server::of(&endpoint).await;
        app.count(3);
        for (number, way) in server.ways().enumerate() {
            let visit = tokio::spawn(async move {
                let mut reader = way.open(Some("nonsense")).await.unwrap();
                let seen = reader.see().await.unwrap();
                (seen, reader)
            });
            while app.asked().len() == number {
                tokio::task::yield_now().await;
            }
            timer.advance(Duration::from_millis(9_900));
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            assert!(!visit.is_finished() && app.running().0 == 1, "{way:?}");
            match late {
                false => app.release(),
                true => timer.advance(Duration::from_millis(200)),
            }
            let (seen, mut reader) = timeout(PATIENCE, visit).await.unwrap().unwrap();
            assert_eq!(app.running().0, 0);
            match seen {
                Seen::Gap(gap) => assert_eq!(gap.snapshot, !late, "{way:?}"),
                Seen::End(End::Gap) if late && is_raw(way) => {}
                Seen::Event(_) if !late && is_raw(way) => {}
                seen => panic!("{seen:?} by {way:?}"),
            }
            if !late {
                timeout(PATIENCE, reader.count_to(3)).await.unwrap();
            }
        }
    }
}
