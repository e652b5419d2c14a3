use std::future::Future;

use super::Publisher;
use crate::contract::{Hub, Rejection};
use crate::endpoint::accepted::{Accepted, IntoSubscription};
use crate::endpoint::builder::EndpointBuilder;
use crate::endpoint::request::SubscribeRequest;
use crate::endpoint::service::Endpoint;
use crate::model::{Pattern, PatternError};

impl Endpoint {
    /// Returns an endpoint for topics that every client may read, with the default settings.
    ///
    /// A request without `?topic=` follows all of them, a request with `?topic=` those that it names. A name that is
    /// not among them is refused with 403. A pattern such as `scores/*` stands for all topics that match. Messages from
    /// clients are not supported.
    ///
    /// The clients have no limit key, so one client may open as many sessions as
    /// [`max_sessions`](EndpointBuilder::max_sessions) allows. Limit connections by address in the server or proxy, or
    /// implement [`Publisher::limit_key`].
    ///
    /// ```
    /// use tidings::{Endpoint, LocalHub};
    ///
    /// let hub = LocalHub::new();
    /// let events = Endpoint::public(&hub, ["news", "scores/*"]);
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if a name is not a valid topic or pattern, if there is none, or if cargo features are missing, see
    /// [`EndpointBuilder::build`].
    #[must_use]
    pub fn public<H, I>(hub: &H, topics: I) -> Self
    where
        H: Hub,
        I: IntoIterator,
        I::Item: TryInto<Pattern>,
        PatternError: From<<I::Item as TryInto<Pattern>>::Error>,
    {
        EndpointBuilder::public(hub, topics).build()
    }

    /// Returns an endpoint whose closure authorizes each request, with the default settings.
    ///
    /// The closure gets each request that subscribes, and returns a [`Subscribe`](crate::Subscribe) for the hub or a
    /// [`Rejection`]. The `?` operator converts any error into a rejection. To set the session's data or lifetime, the
    /// closure returns an [`Accepted`]. Messages from clients, snapshots in place of gaps and limit keys are not
    /// supported: implement [`Publisher`] for these.
    ///
    /// ```
    /// use tidings::{Endpoint, LocalHub, Rejection, Topic};
    ///
    /// let hub = LocalHub::new();
    /// let events = Endpoint::from_fn(&hub, async |request| {
    ///     let user = request.header("x-user").ok_or(Rejection::Unauthorized)?; // set by a proxy that authenticates
    ///     Ok(request.subscribe_to([Topic::from_segments(["users", user, "inbox"])?]))
    /// });
    /// ```
    ///
    /// A closure that uses values of the application owns them by `move` and clones them for each call:
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tidings::{Endpoint, LocalHub, Rejection};
    ///
    /// # struct Members;
    /// # impl Members {
    /// #     async fn may_read(&self, _: Option<&str>, _: &str) -> Result<bool, std::io::Error> { Ok(true) }
    /// # }
    /// # let (hub, members) = (LocalHub::new(), Arc::new(Members));
    /// let rooms = Endpoint::from_fn(&hub, move |request| {
    ///     let members = members.clone();
    ///     async move {
    ///         for topic in request.topics() {
    ///             if !members.may_read(request.header("x-user"), topic.as_str()).await? {
    ///                 return Err(Rejection::Forbidden);
    ///             }
    ///         }
    ///         Ok(request.subscribe_to(request.topics()))
    ///     }
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if cargo features are missing, see [`EndpointBuilder::build`].
    pub fn from_fn<H, F, R, A>(hub: &H, subscribe: F) -> Self
    where
        H: Hub,
        F: Fn(SubscribeRequest) -> R + Send + Sync + 'static,
        R: Future<Output = Result<A, Rejection>> + Send + 'static,
        A: IntoSubscription<H> + 'static,
    {
        EndpointBuilder::from_fn(hub, subscribe).build()
    }
}

impl EndpointBuilder {
    /// Returns a builder of an endpoint for topics that every client may read, see [`Endpoint::public`].
    ///
    /// ```
    /// use tidings::{EndpointBuilder, LocalHub};
    ///
    /// let hub = LocalHub::new();
    /// let events = EndpointBuilder::public(&hub, ["news"]).allow_any_origin().build();
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if a name is not a valid topic or pattern, or if there is none.
    #[expect(clippy::panic, reason = "documented, and the names are the application's own")]
    pub fn public<H, I>(hub: &H, topics: I) -> Self
    where
        H: Hub,
        I: IntoIterator,
        I::Item: TryInto<Pattern>,
        PatternError: From<<I::Item as TryInto<Pattern>>::Error>,
    {
        let topics = topics.into_iter().map(|topic| topic.try_into().map_err(PatternError::from));
        let topics = match topics.collect::<Result<Vec<_>, _>>() {
            Ok(topics) if topics.is_empty() => {
                panic!("an endpoint needs at least one public topic: pass a topic or a pattern")
            }
            Ok(topics) => topics,
            Err(error) => panic!("public topic of an endpoint: {error}"),
        };
        Self::new(Box::new(Public { hub: hub.clone(), topics }))
    }

    /// Returns a builder of an endpoint whose closure authorizes each request, see [`Endpoint::from_fn`].
    ///
    /// ```
    /// use tidings::{EndpointBuilder, LocalHub};
    ///
    /// let hub = LocalHub::new();
    /// let events = EndpointBuilder::from_fn(&hub, async |request| Ok(request.subscribe_to(["news"])))
    ///     .max_sessions(10_000)
    ///     .build();
    /// ```
    pub fn from_fn<H, F, R, A>(hub: &H, subscribe: F) -> Self
    where
        H: Hub,
        F: Fn(SubscribeRequest) -> R + Send + Sync + 'static,
        R: Future<Output = Result<A, Rejection>> + Send + 'static,
        A: IntoSubscription<H> + 'static,
    {
        Self::new(Box::new(FromFn { hub: hub.clone(), subscribe }))
    }
}

/// Publisher of [`Endpoint::public`].
struct Public<H> {
    hub: H,
    topics: Vec<Pattern>,
}

impl<H: Hub> Publisher for Public<H> {
    type Subscriber = H::Subscription;

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<H::Subscription>, Rejection> {
        let named = request.topics();
        if !named.iter().all(|topic| self.topics.iter().any(|public| public.matches(topic))) {
            return Err(Rejection::Forbidden);
        }
        let subscribe = match named.is_empty() {
            true => request.subscribe_to_patterns(&self.topics),
            false => request.subscribe_to(named),
        };
        Ok(self.hub.subscribe(subscribe)?.into())
    }
}

/// Publisher of [`Endpoint::from_fn`].
struct FromFn<H, F> {
    hub: H,
    subscribe: F,
}

impl<H, F, R, A> Publisher for FromFn<H, F>
where
    H: Hub,
    F: Fn(SubscribeRequest) -> R + Send + Sync + 'static,
    R: Future<Output = Result<A, Rejection>> + Send + 'static,
    A: IntoSubscription<H> + 'static,
{
    type Subscriber = H::Subscription;

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<H::Subscription>, Rejection> {
        Ok((self.subscribe)(request).await?.subscribe_on(&self.hub)?)
    }
}
