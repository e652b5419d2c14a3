//! A login: a signed token (JWT) in a cookie, topics that only their user may read, streams that end with the token, and a
//! button that ends all sessions of a user.
//!
//! ```text
//! cargo run --example axum_auth --features full            # or with an address, and the lifetime of a token in seconds:
//! cargo run --example axum_auth --features full -- 127.0.0.1:3000 20
//!
//! open http://127.0.0.1:3000
//!
//! curl -c jar http://127.0.0.1:3000/login -d 'name=bob&password=bob-pass'
//! curl -b jar -N http://127.0.0.1:3000/events -H 'accept: application/x-ndjson'
//! curl -b jar http://127.0.0.1:3000/notes -d 'to=bob&text=hello'
//! curl -b jar -c jar -X POST http://127.0.0.1:3000/renew
//! curl -i http://127.0.0.1:3000/events
//! ```
//!
//! Log in as ann (`ann-pass`), who is an administrator, and in a private window as bob (`bob-pass`). Each page shows only that user's notes and
//! logins. With tokens of 20 s the page renews its token every 10 s, and the stream stays open. "Log out everywhere" ends
//! bob's sessions at once, in all windows.
//!
//! The first curl logs in. The second prints Bob's events, and breaks off when the token expires, unless the fourth renewed it.
//! The third sends a note. The last prints 401.
//!
//! # Requests of other sites (CSRF)
//!
//! A page of another site can make the browser send a POST. Two things stop it, and each is enough in a recent browser: the
//! cookie is `SameSite=Strict`, so the browser leaves it out, and `origin_layer` answers 403 to a POST with a foreign `Origin`.
//! The second one also stops pages of other ports and subdomains, which are of the same site. No GET has an effect. The
//! endpoint checks the origin of streams and WebSockets itself.
//!
//! # A stolen cookie
//!
//! `HttpOnly` hides the cookie from scripts, but a script that was injected into the page can still send requests. A copy of
//! the cookie is as good as the login: it reads the user's topics, sends notes, and renews itself, for at most 12 h after the
//! login. It does not yield the password. A revocation ends it at once, and each login is shown in all windows of the user.
//! This server speaks HTTP, on loopback. On HTTPS add `Secure`, and name the cookie `__Host-session`.

mod login;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{Form, Request, State};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderName, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use login::{Login, Logins, user};
use serde::Deserialize;
use tidings::server::{bind, serve};
use tidings::{
    Accepted, Endpoint, LocalHub, Publisher, Rejection, Session, SubscribeRequest, Subscription, Topic, TopicError,
};
use tokio::signal::ctrl_c;

struct App {
    hub: LocalHub,
    logins: Logins,
    events: OnceLock<Endpoint>,
}

/// Publisher of the events of the application.
struct Events(Arc<App>);

impl Publisher for Events {
    type Subscriber = Subscription;

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<Subscription>, Rejection> {
        let login = request.extension::<Login>().ok_or(Rejection::Unauthorized)?;
        // The topics are those of the token's user, whatever the client asks for.
        let own = [topic(&login.sub, "notes")?, topic(&login.sub, "logins")?];
        let subscription = self.0.hub.subscribe(request.subscribe_to(own))?;
        Ok(Accepted::new(subscription).with_data(login.clone()).with_lifetime(login.expires_in()))
    }

    /// Ends a session whose user was revoked after `subscribe` had read the token, and before the session began.
    fn joined(&self, session: &Session) {
        let is_valid = session.data::<Login>().is_some_and(|login| self.0.logins.is_valid(login));
        if !is_valid {
            self.0.events().revoke(session.id());
        }
    }
}

impl App {
    fn new(lifetime: Duration) -> Arc<Self> {
        let app = Arc::new(Self { hub: LocalHub::new(), logins: Logins::new(lifetime), events: OnceLock::new() });
        app.events.get_or_init(|| Endpoint::new(Events(app.clone())));
        app
    }

    fn events(&self) -> &Endpoint {
        self.events.get().expect("`new` sets the endpoint")
    }

    /// Returns the header that stores the token of a login.
    fn cookie(&self, login: &Login) -> [(HeaderName, String); 1] {
        let (token, age) = (self.logins.token(login), login.expires_in().as_secs());
        [(SET_COOKIE, format!("session={token}; HttpOnly; SameSite=Strict; Path=/; Max-Age={age}"))]
    }
}

/// Returns a topic of a user. A name with `/` or `*` is an error.
fn topic(user: &str, name: &str) -> Result<Topic, TopicError> {
    Topic::from_segments(["users", user, name])
}

/// Adds the login of a valid token to the request, for the handlers and for the endpoint.
async fn authenticate(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    // HTTP/2 clients may send each cookie in a header of its own.
    let cookies = request.headers().get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut tokens = cookies.flat_map(|value| value.split("; ")).filter_map(|cookie| cookie.strip_prefix("session="));
    if let Some(login) = tokens.find_map(|token| app.logins.verify(token)) {
        request.extensions_mut().insert(login);
    }
    next.run(request).await
}

type Server = State<Arc<App>>;

#[derive(Deserialize)]
struct Credentials {
    name: String,
    password: String,
}

async fn log_in(State(app): Server, Form(form): Form<Credentials>) -> Result<Response, Rejection> {
    let Some(login) = app.logins.begin(&form.name, &form.password) else {
        return Ok(Redirect::to("/?failed").into_response());
    };
    app.hub.publish(topic(&login.sub, "logins")?, format!("login {}", login.id)).await?;
    Ok((app.cookie(&login), Redirect::to("/")).into_response())
}

/// Renews the token, and extends the sessions of the login until the new token expires. Their streams stay open.
async fn renew(State(app): Server, login: Option<Extension<Login>>) -> Result<Response, Rejection> {
    let Extension(login) = login.ok_or(Rejection::Unauthorized)?;
    let login = app.logins.renewed(login);
    let is_of_login = |session: &Session| session.data::<Login>().is_some_and(|of| of.id == login.id);
    app.events().extend_where(login.expires_in(), is_of_login);
    let is_admin = user(&login.sub).is_some_and(|user| user.is_admin);
    let state = serde_json::json!({ "user": login.sub, "admin": is_admin, "expires_in": login.expires_in().as_secs() });
    Ok((app.cookie(&login), Json(state)).into_response())
}

#[derive(Deserialize)]
struct Note {
    to: String,
    text: String,
}

async fn send(
    State(app): Server,
    login: Option<Extension<Login>>,
    Form(note): Form<Note>,
) -> Result<StatusCode, Rejection> {
    let Extension(login) = login.ok_or(Rejection::Unauthorized)?;
    let to = user(&note.to).ok_or(Rejection::NotFound)?;
    app.hub.publish(topic(to.name, "notes")?, format!("{}: {}", login.sub, note.text)).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Revoke {
    name: String,
}

/// Ends all sessions of a user, who must log in again. Administrators may do so for all users, others for themselves.
async fn revoke(
    State(app): Server,
    login: Option<Extension<Login>>,
    Form(form): Form<Revoke>,
) -> Result<StatusCode, Rejection> {
    let Extension(login) = login.ok_or(Rejection::Unauthorized)?;
    let is_admin = user(&login.sub).is_some_and(|user| user.is_admin);
    if !is_admin && login.sub != form.name {
        return Err(Rejection::Forbidden);
    }
    let of = user(&form.name).ok_or(Rejection::NotFound)?;
    app.logins.revoke(of.name); // first, so that no session begins after the next line
    app.events().revoke_where(|session| session.data::<Login>().is_some_and(|login| login.sub == of.name));
    Ok(StatusCode::NO_CONTENT)
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:3000".to_owned());
    let seconds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(300);
    let app = App::new(Duration::from_secs(seconds));
    let events = app.events().clone();
    let router = Router::new()
        .route("/", get(Html(include_str!("page.html"))))
        .route("/login", post(log_in))
        .route("/renew", post(renew))
        .route("/notes", post(send))
        .route("/revoke", post(revoke))
        .layer(events.origin_layer())
        .route_service("/events", events.clone())
        .layer(from_fn_with_state(app.clone(), authenticate))
        .with_state(app);
    let listener = bind(&address).await?;
    println!("open http://{}", listener.local_addr()?);
    serve(listener, router).with_graceful_shutdown(events.drain_on(ctrl_c())).await
}

#[cfg(test)]
mod tests {
    use axum::http;
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn session_that_begins_during_a_revocation_ends_at_once() {
        let app = App::new(Duration::from_secs(300));
        let login = app.logins.begin("bob", "bob-pass").unwrap();
        for (is_revoked, ends) in [(false, false), (true, true)] {
            if is_revoked {
                app.logins.revoke("bob"); // after the token was verified, and before the session begins
            }
            let request =
                http::Request::get("/events?transport=sse").header("host", "localhost").extension(login.clone());
            let response = app.events().handle(request.body(String::new()).unwrap()).await;
            assert_eq!(response.status(), StatusCode::OK);
            let body = tokio::time::timeout(Duration::from_secs(1), response.into_body().collect()).await;
            assert_eq!(body.is_ok(), ends);
        }
    }
}
