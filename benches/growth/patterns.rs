//! Many patterns.

use tidings::{LocalHub, Subscribe};

use super::Wanted;
use super::measure::{heap, median, nanos, nanos_each, publish, small, topic};
use super::table::{Table, bytes, time};

const SIZES: [usize; 4] = [1, 100, 1_000, 10_000];
const ROUNDS: usize = 3;

pub(crate) fn measure(wanted: &Wanted) {
    if !wanted.has("patterns") {
        return;
    }
    let mut table = Table::new("patterns");
    for size in SIZES {
        let (hub, before) = (LocalHub::builder().max_topics(usize::MAX).build(), heap());
        let follow = |n| hub.subscribe(Subscribe::patterns([format!("other/{n}/*")])).expect("open");
        let followers: Vec<_> = (0..size).map(follow).collect();
        table.put("heap of a pattern and its subscription", bytes((heap() - before) / size as f64));
        let known = topic("known/one/topic");
        let again = || publish(&hub, &known, small());
        table.put("publish to a topic that none matches", time(nanos_each(1_000, again)));
        let mut fresh = 0;
        let begin = || {
            fresh += 1;
            publish(&hub, &topic(format!("fresh/{fresh}/topic")), small());
        };
        table.put("publish that begins such a topic", time(nanos_each(100, begin)));
        drop(followers);
        let named = |kind: &dyn Fn(usize) -> String| -> Vec<_> { (0..size).map(kind).collect() };
        let mut subscribe = |row: &str, names: Vec<String>| {
            let (mut naming, mut joining) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                let mut what = None;
                naming.push(nanos(|| what = Some(Subscribe::patterns(&names))) / size as f64);
                let what = what.expect("made");
                joining.push(nanos(|| drop(hub.subscribe(what).expect("open"))) / size as f64);
            }
            table.put(&format!("Subscribe of so many {row}, per name"), time(median(naming)));
            table.put(&format!("subscribe() to so many {row} and drop, per name"), time(median(joining)));
        };
        subscribe("topics", named(&|n| format!("named/{n}")));
        subscribe("patterns", named(&|n| format!("named/{n}/*")));
    }
    table.print(&SIZES);
}
