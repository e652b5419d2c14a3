use std::borrow::Borrow;

use super::table::KeyName;
use crate::endpoint::builder::EndpointBuilder;
use crate::endpoint::session::Session;
use crate::hub::LocalHub;
use crate::model::{Event, IntoTopic};

/// Hub of presence, and the closure that names the keys of a session.
pub(crate) struct PresenceRule {
    pub(super) hub: LocalHub,
    pub(super) present: Box<PresentFn>,
}

/// Calls the application's closure. Returns the keys, and a text for each one that is not valid.
type PresentFn = dyn Fn(&Session) -> Vec<Result<(KeyName, Event), String>> + Send + Sync;

impl EndpointBuilder {
    /// Publishes the presence of clients: the closure returns topic, key and event of a session, such as the room, the
    /// id of the user and the user's name. Default: none. A second call replaces the first.
    ///
    /// The endpoint publishes the event with that key to the topic when the first session of the key begins, and the
    /// [removal](Event::removal) of the key when the last one has ended and [`reconnect_grace`](Self::reconnect_grace)
    /// is over. The topic needs [`Retention::latest_per_key`](crate::Retention::latest_per_key): a client that
    /// subscribes to it gets the events of all present keys, and then the changes.
    ///
    /// ```
    /// use tidings::{Accepted, Endpoint, Event, LocalHub, Rejection, Retention, Session};
    ///
    /// struct User {
    ///     id: String,
    ///     name: String,
    /// }
    ///
    /// let hub = LocalHub::builder().retain_for("people", Retention::latest_per_key()).build();
    /// let publisher = hub.clone();
    /// let events = Endpoint::builder(move |request: tidings::SubscribeRequest| {
    ///     let subscription = publisher.subscribe(request.subscribe_to(["people"]));
    ///     async move {
    ///         let id = request.header("x-user").ok_or(Rejection::Unauthorized)?.to_owned(); // set by your authentication
    ///         let name = id.to_uppercase();
    ///         Ok(Accepted::new(subscription?).with_data(User { id, name }))
    ///     }
    /// })
    /// .presence(&hub, |session: &Session| {
    ///     let user = session.data::<User>()?;
    ///     Some(("people", user.id.clone(), user.name.clone()))
    /// })
    /// .build();
    /// ```
    ///
    /// # The closure
    ///
    /// It is called once for each session, after [`joined`](crate::Publisher::joined). It reads [data](Session::data),
    /// [topics](Session::topics) and [limit key](Session::key) of the session as they are then: later changes of the
    /// session's topics do not change its presence. `None` makes no presence. A `Vec` makes a session present in
    /// several topics, or under several keys. Each client that may subscribe to the topic gets the keys and events, so
    /// use no secret: neither a session's name nor its limit key is published by itself. A panic of the closure is
    /// caught, and that session has no presence.
    ///
    /// # Sessions that count
    ///
    /// Streams, WebSockets, and poll sessions. A poll session is present between its polls, up to the
    /// [`poll_session_timeout`](Self::poll_session_timeout). A long poll without a session name and a limit key is a
    /// session while it is held, so its client stays present if it polls again within the grace. A short poll without
    /// them is no session, and makes no presence.
    ///
    /// # Changes
    ///
    /// - Sessions are counted by topic and key: a further session of a key publishes nothing, unless its event differs
    ///   from the published one. The event of the newest session is published.
    /// - A key changes at most once a second. If it changes more often, its newest state is published after that
    ///   second.
    /// - The hub may refuse a change, for example with [`StateFull`](crate::PublishError::StateFull) or, if the topic
    ///   lacks `latest_per_key`, with [`NotKeyed`](crate::PublishError::NotKeyed). Each refusal, panic and invalid name
    ///   is one call of [`on_refusal`](Self::on_refusal), and counted in
    ///   [`EndpointStats::refused_presence`](crate::stats::EndpointStats::refused_presence). A change that the hub has
    ///   no room for is tried again, after 1 s, 2 s, and so on up to 64 s.
    /// - The memory is bounded by the sessions: the endpoint has an entry for each key with sessions, with a removal
    ///   that is due, or with a change in the last second.
    /// - The keys of a topic belong to one endpoint. Of two endpoints, or servers, one would remove the users of the
    ///   other, so the hub is a [`LocalHub`].
    ///
    /// # Drains and restarts
    ///
    /// A [drain](crate::Endpoint::drain) publishes no removals, and ends presence: the process is about to end, and the
    /// state of its hub with it. A client that reconnects to the next process has a cursor of another hub. It gets a
    /// gap with `"snapshot":true` and the state of the new hub, and drops its own, so it keeps no user without a
    /// session. An application that keeps using the hub after a drain publishes the removals itself. An endpoint that
    /// is dropped without a drain publishes the removals at once.
    pub fn presence<I, T, K, E>(
        mut self,
        hub: &LocalHub,
        present: impl Fn(&Session) -> I + Send + Sync + 'static,
    ) -> Self
    where
        I: IntoIterator<Item = (T, K, E)>,
        T: IntoTopic,
        K: AsRef<str>,
        E: Into<Event>,
    {
        let present = move |session: &Session| {
            let items = present(session).into_iter();
            items.map(|(topic, key, event)| check(topic, key.as_ref(), event.into())).collect()
        };
        self.presence = Some(PresenceRule { hub: hub.clone(), present: Box::new(present) });
        self
    }
}

/// Checks what the closure returned.
fn check(topic: impl IntoTopic, key: &str, event: Event) -> Result<(KeyName, Event), String> {
    let topic = topic.into_topic().map_err(|error| format!("topic of the presence: {error}"))?.borrow().clone();
    let of_topic = |error: &dyn std::fmt::Display| format!("presence in topic `{topic}`: {error}");
    if event.is_removal() {
        return Err(of_topic(&"the event is a removal; return an event with a payload"));
    }
    let event = event.with_key(key).map_err(|error| of_topic(&error))?;
    Ok((KeyName { topic, key: key.into() }, event))
}
