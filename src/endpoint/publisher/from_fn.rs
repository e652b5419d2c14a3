use std::future::Future;

use crate::contract::{Hub, Rejection};
use crate::endpoint::builder::EndpointBuilder;
use crate::endpoint::publisher::{Accepted, IntoSubscription, Publisher};
use crate::endpoint::request::SubscribeRequest;
use crate::endpoint::service::Endpoint;
use crate::model::{Pattern, PatternError};

impl Endpoint {
    /// Returns an endpoint for topics that every client may read, with the default settings.
    ///
    /// A request without `?topic=` gets all of them, one with `?topic=` those that it names; a name outside of them is
    /// refused with 403. A pattern such as `scores/*` stands for all topics that match. Messages from clients are not taken.
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
    /// Panics if a name is not a topic or pattern, if there is none, or if the crate's features are not enough for an
    /// endpoint, see [`EndpointBuilder::build`].
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

    /// Returns an endpoint whose subscriptions are decided by a closure, with the default settings.
    ///
    /// The closure gets each request that subscribes, and returns what its client is subscribed to on the hub, or a
    /// [`Rejection`]. The `?` operator makes a rejection of any error. It may return an [`Accepted`] to set more of the session.
    /// Messages from clients are not taken, and no snapshots are sent: implement [`Publisher`] for these.
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
    /// A closure that uses values of its surroundings owns them by `move` and clones them for each call:
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
    /// Panics if the crate's features are not enough for an endpoint, see [`EndpointBuilder::build`].
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
    /// # Panics
    ///
    /// Panics if a name is not a topic or pattern, or if there is none.
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
            Ok(topics) if topics.is_empty() => panic!("an endpoint needs at least one public topic"),
            Ok(topics) => topics,
            Err(error) => panic!("public topic of an endpoint: {error}"),
        };
        Self::new(Box::new(Public { hub: hub.clone(), topics }))
    }

    /// Returns a builder of an endpoint whose subscriptions are decided by a closure, see [`Endpoint::from_fn`].
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

/// The publisher of [`Endpoint::public`].
struct Public<H> {
    hub: H,
    topics: Vec<Pattern>,
}

impl<H: Hub> Publisher for Public<H> {
    type Subscriber = H::Subscription;

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<H::Subscription>, Rejection> {
        let named = request.topics();
        let subscribe = match named.is_empty() {
            true => request.subscribe_to_patterns(&self.topics),
            false => request.subscribe_to(named),
        };
        if !named.iter().all(|topic| self.topics.iter().any(|public| public.matches(topic))) {
            return Err(Rejection::Forbidden);
        }
        Ok(self.hub.subscribe(subscribe)?.into())
    }
}

/// The publisher of [`Endpoint::from_fn`].
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
