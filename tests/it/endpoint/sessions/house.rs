use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tidings::subscriber::{BoxSubscriber, Delivery, EncodedDelivery, Format, SubscriberExt, SubscriberInfo};
use tidings::{
    Accepted, Cursor, Endpoint, EndpointBuilder, Event, LocalHub, Message, Overflow, Pattern, Publisher, Rejection,
    Retention, Session, SessionEnd, Start, Subscribe, SubscribeRequest, Subscriber, Topic,
};

/// An application that keeps a book of who came and why they left.
///
/// `?pattern=` names a pattern beside the topics. `?key=` is the limit key (`anybody` without, and none with `?anonymous`), `?lifetime=` how many milliseconds the client's right lasts, `?user=` the session's data;
/// `?topic=` names topics (`news` unless it does), `?overflow=disconnect` lets go of who is too slow. `/forbidden`
/// refuses. A subscriber of `?panic` panics at the event `panic`, and so does the handler of a message `panic`; that of
/// `no` refuses it.
#[derive(Clone)]
pub(crate) struct House {
    pub(crate) hub: LocalHub,
    book: Arc<Mutex<Book>>,
}

#[derive(Default)]
struct Book {
    lines: Vec<Line>,
    messages: Vec<(Option<u64>, Message)>,
    /// How many deliveries there were, and how many at each line.
    deliveries: usize,
    at: Vec<usize>,
    panics: bool,
    during_joined: Option<Hook>,
    during_delivery: Option<Arc<dyn Fn() + Send + Sync>>,
}

type Hook = Arc<dyn Fn(&Session) + Send + Sync>;

/// A line of the book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    Joined(u64),
    Left(u64, SessionEnd),
}

impl House {
    pub(crate) fn new() -> Self {
        Self::of(LocalHub::new())
    }

    /// One that keeps so few events that it is easy to fall behind.
    pub(crate) fn forgetful() -> Self {
        Self::of(LocalHub::builder().retain(Retention::count(2)).live_buffer(0).build())
    }

    fn of(hub: LocalHub) -> Self {
        Self { hub, book: Arc::default() }
    }

    pub(crate) fn builder(&self) -> EndpointBuilder {
        Endpoint::builder(self.clone())
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.builder().build()
    }

    /// Makes `joined` and `left` panic after they wrote.
    pub(crate) fn panic_from_now_on(&self) {
        self.book.lock().unwrap().panics = true;
    }

    /// Sets a function that each `joined` calls after it wrote.
    pub(crate) fn during_joined(&self, run: impl Fn(&Session) + Send + Sync + 'static) {
        self.book.lock().unwrap().during_joined = Some(Arc::new(run));
    }

    /// Sets a function that is called whenever a subscriber has events, before it returns them.
    pub(crate) fn during_delivery(&self, run: impl Fn() + Send + Sync + 'static) {
        self.book.lock().unwrap().during_delivery = Some(Arc::new(run));
    }

    pub(crate) fn publish(&self, text: &str) -> Cursor {
        self.hub.publish_now(Topic::new("news").unwrap(), text).unwrap().cursor().unwrap()
    }

    pub(crate) fn lines(&self) -> Vec<Line> {
        self.book.lock().unwrap().lines.clone()
    }

    /// Returns the sessions that left, with the reasons.
    pub(crate) fn left(&self) -> Vec<(u64, SessionEnd)> {
        let left = |line| match line {
            Line::Left(id, why) => Some((id, why)),
            Line::Joined(_) => None,
        };
        self.lines().into_iter().filter_map(left).collect()
    }

    /// Why the only one who came has left.
    pub(crate) fn why(&self) -> SessionEnd {
        match self.lines()[..] {
            [Line::Joined(id), Line::Left(other, why)] if id == other => why,
            ref lines => panic!("{lines:?}"),
        }
    }

    pub(crate) fn messages(&self) -> Vec<(Option<u64>, Message)> {
        self.book.lock().unwrap().messages.clone()
    }

    fn write(&self, line: Line) {
        let mut book = self.book.lock().unwrap();
        book.lines.push(line);
        let deliveries = book.deliveries;
        book.at.push(deliveries);
        let panics = book.panics;
        drop(book);
        assert!(!panics, "in joined or left");
    }

    /// How many deliveries there were when each line was written, and are.
    pub(crate) fn deliveries(&self) -> (Vec<usize>, usize) {
        let book = self.book.lock().unwrap();
        (book.at.clone(), book.deliveries)
    }
}

impl Publisher for House {
    type Subscriber = BoxSubscriber;

    fn limit_key(&self, request: &SubscribeRequest) -> Option<String> {
        let given = request.query("key").map(|key| key.into_owned());
        given.or_else(|| request.query("anonymous").is_none().then(|| "anybody".to_owned()))
    }

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<BoxSubscriber>, Rejection> {
        assert!(request.session().is_none());
        if request.path() == "/forbidden" {
            return Err(Rejection::Forbidden);
        }
        let mut topics: Vec<_> = request.topics().iter().cloned().map(Pattern::from).collect();
        if let Some(pattern) = request.query("pattern") {
            topics.push(Pattern::new(pattern).unwrap());
        }
        if topics.is_empty() {
            topics.push(Pattern::new("news").unwrap());
        }
        let mut what = Subscribe::patterns(topics).start(match request.start() {
            Start::Now if request.query("oldest").is_some() => Start::Oldest,
            start => start,
        });
        if request.query("overflow").as_deref() == Some("disconnect") {
            what = what.overflow(Overflow::Disconnect);
        }
        let subscriber =
            Watched { inner: self.hub.subscribe(what)?, house: self.clone(), panics: request.query("panic").is_some() };
        let mut attach = Accepted::new(subscriber.boxed());
        if let Some(lifetime) = request.query("lifetime") {
            attach = attach.with_lifetime(Duration::from_millis(lifetime.parse().unwrap()));
        }
        if let Some(user) = request.query("user") {
            attach = attach.with_data(user.into_owned());
        }
        Ok(attach)
    }

    async fn receive(&self, request: &SubscribeRequest, message: Message) -> Result<Option<Event>, Rejection> {
        match &message {
            Message::Text(text) if text == "panic" => panic!("in receive"),
            Message::Text(text) if text == "no" => return Err(Rejection::Forbidden.closing()),
            _ => {}
        }
        let session = request.session().map(|session| session.id().get());
        self.book.lock().unwrap().messages.push((session, message));
        Ok(None)
    }

    fn joined(&self, session: &Session) {
        self.write(Line::Joined(session.id().get()));
        let run = self.book.lock().unwrap().during_joined.clone();
        run.iter().for_each(|run| run(session));
    }

    fn left(&self, session: &Session, why: SessionEnd) {
        self.write(Line::Left(session.id().get(), why));
    }
}

struct Watched<S> {
    inner: S,
    house: House,
    panics: bool,
}

impl<S: Subscriber> Watched<S> {
    fn look(&self, encoded: &Poll<EncodedDelivery>) {
        if let Poll::Ready(EncodedDelivery::Events(events)) = encoded {
            self.house.book.lock().unwrap().deliveries += 1;
            let run = self.house.book.lock().unwrap().during_delivery.clone();
            run.iter().for_each(|run| run());
            let text = String::from_utf8_lossy(&events.bytes);
            assert!(!(self.panics && text.contains("panic")), "in a subscriber");
        }
    }
}

impl<S: Subscriber> Subscriber for Watched<S> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        self.inner.poll_next(cx)
    }

    fn poll_encoded(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<EncodedDelivery> {
        let encoded = self.inner.poll_encoded(cx, format, max);
        self.look(&encoded);
        encoded
    }

    fn cursor(&self) -> Option<Cursor> {
        self.inner.cursor()
    }

    fn release(&mut self) {
        self.inner.release();
    }

    fn info(&self) -> SubscriberInfo<'_> {
        self.inner.info()
    }
}
