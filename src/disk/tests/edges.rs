use std::pin::pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use super::support::{next, texts, wait};
use crate::contract::{Delivery, PublishError, Start, Subscribe, Subscriber, SubscriptionEnd};
use crate::disk::hub::DiskHub;
use crate::disk::store::DiskError;
use crate::disk::store::tests::support::Directory;
use crate::hub::LocalHub;
use crate::model::{EndReason, GapReason, Retention, Topic};

fn open(directory: &Directory) -> DiskHub {
    let memory = LocalHub::builder().retain(Retention::count(2)).live_buffer(0);
    DiskHub::builder(&directory.0).memory(memory).open().unwrap()
}

/// Waker of an executor that panics.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("waker of the test");
    }
}

#[test]
fn batch_is_published_as_a_whole_or_not_at_all() {
    let directory = Directory::new();
    let hub = open(&directory);
    let mut client = hub.subscribe(Subscribe::patterns(["**"])).unwrap();
    wait(hub.finish("over", EndReason::Done)).unwrap();
    let refused = wait(hub.publish_batch([("a", "1"), ("over", "2")]));
    assert!(matches!(refused, Err(PublishError::Finished(topic)) if topic.as_str() == "over"));
    assert!(matches!(wait(hub.publish_batch([("", "1")])), Err(PublishError::Topic(_))));
    let receipts = wait(hub.publish_batch([("a", "3"), ("b", "4"), ("a", "5")])).unwrap();
    let sequences: Vec<_> = receipts.iter().map(|receipt| receipt.cursor().unwrap().sequence()).collect();
    assert_eq!(sequences, [2, 3, 4]);
    assert_eq!(texts(&mut client, 3), ["3", "4", "5"]);
    assert_eq!(wait(hub.publish_batch(Vec::<(&str, &str)>::new())), Ok(Vec::new()));
    drop(hub);
    let what = Subscribe::patterns(["**"]).start(Start::Oldest);
    assert_eq!(texts(&mut open(&directory).subscribe(what).unwrap(), 3), ["3", "4", "5"]);
}

#[test]
fn publish_whose_future_is_dropped_after_a_poll_is_published() {
    let directory = Directory::new();
    let hub = open(&directory);
    let mut client = hub.subscribe(Subscribe::topics(["a"])).unwrap();
    drop(hub.publish("a", "never polled"));
    {
        let publish = pin!(hub.publish("a", "polled"));
        let _ = publish.poll(&mut Context::from_waker(Waker::noop()));
    }
    assert_eq!(texts(&mut client, 1), ["polled"]);
}

#[test]
fn waker_that_panics_does_not_stop_the_hub() {
    let directory = Directory::new();
    let hub = open(&directory);
    let waker = Waker::from(Arc::new(Panics));
    let mut client = hub.subscribe(Subscribe::topics(["a"])).unwrap();
    assert!(client.poll_next(&mut Context::from_waker(&waker)).is_pending());
    let mut first = pin!(hub.publish("a", "1"));
    let _ = first.as_mut().poll(&mut Context::from_waker(&waker));
    let second = wait(hub.publish("a", "2")).unwrap();
    assert_eq!(second.cursor().unwrap().sequence(), 2);
    assert_eq!(wait(first).unwrap().cursor().unwrap().sequence(), 1);
    assert_eq!(texts(&mut client, 2), ["1", "2"]);
}

#[test]
fn close_ends_subscriptions_that_read_from_disk_without_a_gap() {
    let directory = Directory::new();
    let memory = || LocalHub::builder().retain(Retention::count(2)).live_buffer(0);
    let builder = || DiskHub::builder(&directory.0).retain(Retention::count(10_000)).memory(memory());
    let hub = builder().open().unwrap();
    for number in 0..3_000 {
        drop(pin!(hub.publish("a", number.to_string())).poll(&mut Context::from_waker(Waker::noop())));
    }
    wait(hub.publish("a", "3000")).unwrap();
    let what = || Subscribe::topics(["a"]).start(Start::Oldest);
    let (mut unread, mut partly) = (hub.subscribe(what()).unwrap(), hub.subscribe(what()).unwrap());
    let read = texts(&mut partly, 1).len();
    let cursor = partly.cursor().unwrap();
    hub.close();
    assert!(matches!(next(&mut unread), Delivery::End(SubscriptionEnd::Closed)));
    assert!(matches!(next(&mut partly), Delivery::End(SubscriptionEnd::Closed)));
    assert!(matches!(next(&mut partly), Delivery::End(SubscriptionEnd::Closed)));
    assert_eq!(partly.cursor(), Some(cursor));
    assert_eq!(wait(hub.publish("a", "late")), Err(PublishError::Closed));
    assert!(matches!(hub.disk_stats(), Err(DiskError::Closed)));
    hub.close();
    drop(hub);
    let hub = builder().open().unwrap();
    let mut resumed = hub.subscribe(Subscribe::topics(["a"]).start(Start::After(cursor))).unwrap();
    assert_eq!(texts(&mut resumed, 3_001 - read).last().map(String::as_str), Some("3000"));
}

#[test]
fn last_events_are_read_in_pages_in_the_order_of_the_hub() {
    let directory = Directory::new();
    let builder = || DiskHub::builder(&directory.0).retain(Retention::count(10_000));
    let hub = builder().open().unwrap();
    let topics = ["a/1", "a/2", "b"];
    let events = (0..6_000).map(|number: usize| (topics[number % 3], number.to_string()));
    wait(hub.publish_batch(events)).unwrap();
    drop(hub);
    let hub = builder().memory(LocalHub::builder().retain(Retention::count(2))).open().unwrap();
    let mut client = hub.subscribe(Subscribe::patterns(["a/*", "b"]).start(Start::Last(1_500))).unwrap();
    let expected: Vec<_> = (1_500..6_000).map(|number: usize| number.to_string()).collect();
    let mut read = Vec::new();
    while read.len() < expected.len() {
        let Delivery::Events(batch) = next(&mut client) else { panic!("a gap") };
        assert!(batch.len() <= 1_024);
        read.extend(batch.iter().map(|event| event.event.as_str().unwrap().to_owned()));
    }
    assert_eq!(read, expected);
}

#[test]
fn stats_count_what_is_stored_and_what_waits() {
    let directory = Directory::new();
    let hub = open(&directory);
    wait(hub.publish_batch([("a", "1"), ("b", "2")])).unwrap();
    let stats = hub.disk_stats().unwrap();
    assert_eq!((stats.stored, stats.queued_publishes, stats.queued_reads), (2, 0, 0));
    assert!(stats.bytes > 0 && stats.failed_writes == 0 && stats.last_error.is_none(), "{stats:?}");
    assert_eq!((hub.stats().published, hub.stats().topics), (2, 2));
}

#[test]
fn directory_that_is_removed_is_an_error_of_the_publish_and_of_the_statistics() {
    let directory = Directory::new();
    let hub = open(&directory);
    wait(hub.publish("a", "1")).unwrap();
    std::fs::remove_dir_all(&directory.0).unwrap();
    assert!(matches!(wait(hub.publish("a", "2")), Err(PublishError::Unavailable(_))));
    let stats = hub.disk_stats();
    let failed = stats.as_ref().map_or(1, |stats| stats.failed_writes);
    assert!(failed == 1 && stats.is_ok_and(|stats| stats.last_error.is_some()));
}

#[test]
fn budget_of_no_bytes_is_refused() {
    let directory = Directory::new();
    let error = DiskHub::builder(&directory.0).max_bytes(0).open().unwrap_err();
    assert!(matches!(&error, DiskError::Settings(text) if text.contains("max_bytes")), "{error}");
}

#[test]
fn topics_that_were_interrupted_end_as_failed_at_the_next_open_and_their_readers_get_the_end() {
    let directory = Directory::new();
    let builder = || DiskHub::builder(&directory.0).runs("runs/**");
    let hub = builder().open().unwrap();
    let first = wait(hub.publish("runs/1", "for")).unwrap().cursor().unwrap();
    wait(hub.publish_batch([("runs/1", "ty"), ("runs/2", "done"), ("news", "x")])).unwrap();
    wait(hub.finish("runs/2", EndReason::Done)).unwrap();
    drop(hub);
    for _ in 0..2 {
        let hub = builder().open().unwrap();
        assert_eq!(hub.cursor().sequence(), 6);
        assert!(matches!(wait(hub.publish("runs/1", "more")), Err(PublishError::Finished(_))));
        for (topic, start, expected, reason) in [
            ("runs/1", Start::After(first), &["ty"][..], EndReason::Failed),
            ("runs/1", Start::Oldest, &["for", "ty"], EndReason::Failed),
            ("runs/2", Start::Oldest, &["done"], EndReason::Done),
        ] {
            let mut reader = hub.subscribe(Subscribe::topics([topic]).start(start)).unwrap();
            assert_eq!(texts(&mut reader, expected.len()), expected);
            assert!(matches!(next(&mut reader), Delivery::TopicEnd(end) if end.reason == reason && end.is_last));
            assert!(matches!(next(&mut reader), Delivery::End(SubscriptionEnd::Finished)));
        }
    }
    let hub = builder().open().unwrap();
    wait(hub.publish("news", "y")).unwrap();
}

/// The topic continues with another run before a reader has got the end of the first.
#[test]
fn reader_of_a_run_that_is_dropped_gets_its_end_and_nothing_of_the_next_run() {
    let directory = Directory::new();
    let memory = LocalHub::builder().retain(Retention::count(0)).live_buffer(0);
    let hub = DiskHub::builder(&directory.0).runs("runs/*").memory(memory).open().unwrap();
    let start = hub.cursor();
    wait(hub.publish_batch([("runs/1", "for"), ("runs/1", "ty")])).unwrap();
    wait(hub.finish("runs/1", EndReason::Done)).unwrap();
    let mut reader = hub.subscribe(Subscribe::topics(["runs/1"]).start(Start::After(start))).unwrap();
    let topic = Topic::new("runs/1").unwrap();
    drop(hub.memory().drop_history(&topic));
    hub.drop_stored(&topic);
    wait(hub.publish("runs/1", "new")).unwrap();
    assert!(matches!(next(&mut reader), Delivery::Gap(gap) if gap.reason == GapReason::Evicted));
    assert!(matches!(next(&mut reader), Delivery::TopicEnd(end) if end.is_last && end.reason == EndReason::Done));
    for _ in 0..2 {
        assert!(matches!(next(&mut reader), Delivery::End(SubscriptionEnd::Finished)));
    }
    let mut new = hub.subscribe(Subscribe::topics(["runs/1"]).start(Start::Oldest)).unwrap();
    assert_eq!(texts(&mut new, 1), ["new"]);
}

/// Waker that drops a handle of the hub after the test has dropped its own.
struct DropsHub {
    hub: Mutex<Option<DiskHub>>,
    is_last: Mutex<Receiver<()>>,
    dropped: Sender<()>,
}

impl Wake for DropsHub {
    fn wake(self: Arc<Self>) {
        let hub = self.hub.lock().unwrap().take();
        self.is_last.lock().unwrap().recv().unwrap();
        drop(hub);
        self.dropped.send(()).unwrap();
    }
}

#[test]
fn last_handle_may_be_dropped_by_a_waker_on_the_thread_of_the_writer() {
    let directory = Directory::new();
    let hub = open(&directory);
    let mut client = hub.subscribe(Subscribe::topics(["a"])).unwrap();
    let ((last, is_last), (dropped, was_dropped)) = (channel(), channel());
    let (other, is_last) = (Mutex::new(Some(hub.clone())), Mutex::new(is_last));
    let waker = Waker::from(Arc::new(DropsHub { hub: other, is_last, dropped }));
    assert!(client.poll_next(&mut Context::from_waker(&waker)).is_pending());
    {
        let publish = pin!(hub.publish("a", "1"));
        let _ = publish.poll(&mut Context::from_waker(Waker::noop()));
    }
    drop(hub);
    last.send(()).unwrap();
    was_dropped.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(texts(&mut client, 1), ["1"]);
    assert!(matches!(next(&mut client), Delivery::End(SubscriptionEnd::Closed)));
}

#[test]
fn path_that_is_no_directory_is_an_error_of_the_settings() {
    let directory = Directory::new();
    std::fs::create_dir(&directory.0).unwrap();
    let file = directory.0.join("file");
    std::fs::write(&file, "content").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = DiskHub::open(&path).unwrap_err();
        assert!(matches!(&error, DiskError::Settings(text) if text.contains(path.to_str().unwrap())), "{error}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "content");
}

#[test]
fn empty_path_is_an_error_and_creates_no_file() {
    let error = DiskHub::open("").unwrap_err();
    assert!(matches!(error, DiskError::Settings(_)), "{error}");
    assert!(!std::path::Path::new("lock").exists());
}

#[test]
fn error_of_an_open_is_one_of_io() {
    let directory = Directory::new();
    let hub = open(&directory);
    let main = || -> std::io::Result<()> {
        DiskHub::open(&directory.0)?.close();
        Ok(())
    };
    let error = main().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ResourceBusy);
    assert!(error.to_string().contains("is in use by process"), "{error}");
    hub.close();
}

#[test]
fn relative_path_is_that_of_the_working_directory_at_open() {
    let directory = Directory::new();
    let up = std::env::current_dir().unwrap().components().skip(1).map(|_| "..").collect::<std::path::PathBuf>();
    let relative = up.join(directory.0.strip_prefix("/").unwrap());
    let hub = DiskHub::open(&relative).unwrap();
    // The path that later checks of the directory use.
    match DiskHub::open(&relative) {
        Err(DiskError::InUse { path, .. }) => assert!(path.is_absolute(), "{}", path.display()),
        other => panic!("{other:?}"),
    }
    hub.close();
}
