//! Subscriber of the crate `tracing` that records everything.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

pub(crate) type Fields = BTreeMap<String, String>;

/// Span or event. A span has the handles to it counted.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub(crate) target: &'static str,
    pub(crate) level: Level,
    /// Name of the span, or message of the event.
    pub(crate) name: String,
    pub(crate) fields: Fields,
    pub(crate) is_root: bool,
    /// Span that an event or a span is in: its explicit parent, or the current one.
    pub(crate) within: Option<u64>,
    pub(crate) handles: usize,
}

#[derive(Clone, Default)]
pub(crate) struct Capture(Arc<State>);

#[derive(Default)]
struct State {
    spans: Mutex<Vec<Recorded>>,
    events: Mutex<Vec<Recorded>>,
    entered: Mutex<Vec<u64>>,
    calls: AtomicU64,
    panics: AtomicBool,
}

/// Two more subscribers, which record nothing. If a process has only one, `tracing` asks that of the thread on which a callsite
/// is first met whether it is enabled for all: a test of metrics on another thread would disable it.
static OTHERS: LazyLock<[Dispatch; 2]> = LazyLock::new(|| [(); 2].map(|()| Dispatch::new(Capture::default())));

struct Visitor<'a>(&'a mut Fields);

impl Visit for Visitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl Capture {
    /// Runs a future on a runtime of this thread, with the subscriber.
    pub(crate) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        LazyLock::force(&OTHERS);
        tracing::subscriber::with_default(self.clone(), || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
            runtime.block_on(future)
        })
    }

    /// Returns the spans of the crate.
    pub(crate) fn spans(&self) -> Vec<Recorded> {
        ours(&self.0.spans)
    }

    /// Returns the events of the crate and of the test.
    pub(crate) fn events(&self) -> Vec<Recorded> {
        ours(&self.0.events)
    }

    /// Returns the number of calls of the subscriber, apart from questions whether it is enabled for a callsite.
    pub(crate) fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::Relaxed)
    }

    /// Lets the subscriber panic in each call from now on.
    pub(crate) fn panic(&self) {
        self.0.panics.store(true, Ordering::Relaxed);
    }

    fn called(&self) {
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        assert!(!self.0.panics.load(Ordering::Relaxed), "planted panic of the subscriber");
    }

    fn current(&self) -> Option<u64> {
        self.0.entered.lock().unwrap().last().copied()
    }

    fn handles(&self, id: &Id, change: impl Fn(usize) -> usize) -> usize {
        let span = &mut self.0.spans.lock().unwrap()[id.into_u64() as usize - 1];
        span.handles = change(span.handles);
        span.handles
    }
}

fn ours(all: &Mutex<Vec<Recorded>>) -> Vec<Recorded> {
    all.lock()
        .unwrap()
        .iter()
        .filter(|one| one.target.starts_with("tidings") || one.target == "test")
        .cloned()
        .collect()
}

impl Subscriber for Capture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.called();
        let mut fields = Fields::new();
        span.record(&mut Visitor(&mut fields));
        let within = span.parent().map(Id::into_u64).or_else(|| self.current().filter(|_| span.is_contextual()));
        let mut spans = self.0.spans.lock().unwrap();
        spans.push(Recorded {
            target: span.metadata().target(),
            level: *span.metadata().level(),
            name: span.metadata().name().to_owned(),
            fields,
            is_root: span.is_root(),
            within,
            handles: 1,
        });
        Id::from_u64(spans.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.called();
        values.record(&mut Visitor(&mut self.0.spans.lock().unwrap()[span.into_u64() as usize - 1].fields));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {
        self.called();
    }

    fn event(&self, event: &Event<'_>) {
        self.called();
        let mut fields = Fields::new();
        event.record(&mut Visitor(&mut fields));
        let within = event.parent().map(Id::into_u64).or_else(|| self.current().filter(|_| event.is_contextual()));
        self.0.events.lock().unwrap().push(Recorded {
            target: event.metadata().target(),
            level: *event.metadata().level(),
            name: fields.remove("message").unwrap_or_default(),
            fields,
            is_root: event.is_root(),
            within,
            handles: 0,
        });
    }

    fn enter(&self, span: &Id) {
        self.called();
        self.0.entered.lock().unwrap().push(span.into_u64());
    }

    fn exit(&self, _: &Id) {
        self.called();
        self.0.entered.lock().unwrap().pop();
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.called();
        self.handles(id, |handles| handles + 1);
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        self.called();
        self.handles(&id, |handles| handles - 1) == 0
    }
}
