//! The examples of keyed topics, from a hub whose epoch is replaced by that of the page.

use tidings::{Endpoint, Event, LocalHub, Retention, StateLimits};

use crate::support::http::{To, get, piece};

fn hub(retention: Retention) -> LocalHub {
    LocalHub::builder().retain_for("cars", retention).build()
}

fn set(hub: &LocalHub, key: &str, speed: u32) {
    let event = Event::json_text(format!(r#"{{"speed":{speed}}}"#)).unwrap();
    hub.publish_now("cars", event.with_key(key).unwrap()).unwrap();
}

fn remove(hub: &LocalHub, key: &str) {
    hub.publish_now("cars", Event::removal(key).unwrap()).unwrap();
}

/// Returns the lines of a stream up to the one that contains `end`. `then` is called after the first two pieces.
async fn lines(hub: &LocalHub, cursor: &str, end: &str, then: impl FnOnce()) -> String {
    let (endpoint, epoch) = (Endpoint::public(hub, ["cars"]), hub.cursor().to_string());
    let epoch = epoch.split('.').next().unwrap();
    let target = format!("/events?transport=chunked{}", cursor.replace("7.", &format!("{epoch}.")));
    let (mut body, mut read) = (get(&target).to(&endpoint).await.into_body(), String::new());
    for _ in 0..2 {
        read += &piece(&mut body).await.unwrap().unwrap();
    }
    then();
    while !read.contains(end) {
        read += &piece(&mut body).await.unwrap().unwrap();
    }
    read.replace(epoch, "7")
}

/// Returns a state and a removal.
pub(super) async fn state() -> String {
    let hub = hub(Retention::latest_per_key());
    set(&hub, "42", 80);
    set(&hub, "43", 12);
    set(&hub, "42", 88);
    lines(&hub, "", ".a4", || remove(&hub, "43")).await
}

/// Returns the gap of a client whose removals are forgotten.
pub(super) async fn state_gap() -> String {
    let hub = hub(Retention::count(1).state_limits(StateLimits::default().removals(0)));
    set(&hub, "43", 12);
    remove(&hub, "43");
    // History ends in whole segments.
    (81..=88).for_each(|speed| set(&hub, "42", speed));
    lines(&hub, "&cursor=7.a1", ".b10", || {}).await
}
