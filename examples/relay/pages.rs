//! Pages by path, apart from `/events`.

use std::future::Future;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::http::Extensions;
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;

use crate::peer::Peer;
use crate::problem::Problem;
use crate::{Relay, finish, publish, request, sessions, status};

/// Response of a page.
pub(crate) type Page = Response<Full<Bytes>>;

pub(crate) const JSON: &str = "application/json";
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";

/// Purpose of a request, read from its head.
enum Found {
    Page(Page),
    One(publish::One),
    Many(Peer, Incoming),
    Removal(publish::Removal),
    Finish(finish::Finish),
    Stats,
}

/// Answers a request for any page. The head is read and dropped before the future is made, so that the future is small, and
/// the connection continues in the same buffer.
pub(crate) fn answer(relay: &Relay, request: Request<Incoming>) -> impl Future<Output = Page> {
    // Web pages of listed origins may publish, and nothing else.
    let path = request.uri().path();
    let cors = is_publication(path).then(|| relay.origins.cors(request.method(), request.headers(), allowed(path)));
    let found = find(relay, request);
    async move {
        let page = match found {
            Ok(Found::Page(page)) => Ok(page),
            Ok(Found::One(one)) => one.publish(relay).await,
            Ok(Found::Many(peer, body)) => publish::many(relay, &peer, body).await,
            Ok(Found::Removal(removal)) => removal.publish(relay).await,
            Ok(Found::Finish(finish)) => finish.finish(relay).await,
            Ok(Found::Stats) => Ok(status::stats(relay).await),
            Err(problem) => Err(problem),
        };
        let mut page = page.unwrap_or_else(Problem::into_page);
        if let Some(cors) = cors {
            cors.put_on(&mut page);
        }
        page
    }
}

/// Returns 200 with a value as JSON. The values of this example have text as keys, so that serialisation does not fail.
pub(crate) fn json(value: &impl Serialize) -> Page {
    page(JSON, serde_json::to_vec(value).unwrap_or_default())
}

/// Returns 200 with a body of this media type.
pub(crate) fn page(kind: &'static str, text: impl Into<Bytes>) -> Page {
    let mut page = bare(StatusCode::OK, text);
    page.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    page
}

/// Returns a response without a media type. Caches do not store it, and browsers do not guess another type.
pub(crate) fn bare(status: StatusCode, text: impl Into<Bytes>) -> Page {
    let mut page = Response::new(Full::new(text.into()));
    *page.status_mut() = status;
    page.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    page.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    page
}

fn health() -> Page {
    page(TEXT, "ok\n")
}

/// Returns 200, or 503 from the signal to shut down on, so that a load balancer chooses another server, and while the disk
/// refuses events.
fn readiness(relay: &Relay) -> Page {
    let why = match relay.events.is_draining() {
        true => Some("draining\n".to_owned()),
        false => relay.hub.refusal().map(|refusal| format!("not ready: {refusal}\n")),
    };
    let Some(why) = why else { return page(TEXT, "ready\n") };
    let mut page = page(TEXT, why);
    *page.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    page
}

/// Returns the response to OPTIONS: browsers send it before a page's publication as JSON.
fn preflight(path: &str) -> Page {
    let mut page = bare(StatusCode::NO_CONTENT, "");
    page.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed(path)));
    page
}

/// Returns the methods of a page that publishes.
pub(crate) fn allowed(path: &str) -> &'static str {
    if path.starts_with("/publish/") { "POST, DELETE, OPTIONS" } else { "POST, OPTIONS" }
}

/// Returns whether a request for this path publishes one event or several, or ends a topic.
fn is_publication(path: &str) -> bool {
    path == "/publish" || path.starts_with("/publish/") || path.starts_with("/finish/")
}

fn find(relay: &Relay, request: Request<Incoming>) -> Result<Found, Problem> {
    let path = request.uri().path();
    // A health check may have no Host, or the name of a container.
    match path {
        "/healthz" => return may_only(&request, &Method::GET).map(|()| Found::Page(health())),
        "/readyz" => {
            return may_only(&request, &Method::GET).map(|()| Found::Page(readiness(relay)));
        }
        _ => {}
    }
    relay.hosts.check(&request)?;
    if request.method() == Method::OPTIONS && is_publication(path) {
        relay.origins.check(request.headers())?;
        return Ok(Found::Page(preflight(path)));
    }
    if path.starts_with("/publish/") && request.method() == Method::DELETE {
        return publish::Removal::read(relay, &request).map(Found::Removal);
    }
    if path.starts_with("/publish/") {
        may_only(&request, &Method::POST)?;
        return publish::One::read(relay, request).map(Found::One);
    }
    if path.starts_with("/finish/") {
        may_only(&request, &Method::POST)?;
        return finish::Finish::read(relay, &request).map(Found::Finish);
    }
    if let Some(id) = path.strip_prefix("/sessions/") {
        may_only(&request, &Method::DELETE)?;
        relay.origins.check(request.headers())?;
        return Ok(Found::Page(sessions::end(relay, id)));
    }
    if path == "/publish" {
        may_only(&request, &Method::POST)?;
        relay.origins.check(request.headers())?;
        request::only_identity(request.headers())?;
        let peer = peer(request.extensions())?;
        return Ok(Found::Many(peer, request.into_body()));
    }
    let page = match path {
        "/sessions" => may_only(&request, &Method::GET).and_then(|()| sessions::list(relay, request.uri())),
        "/stats" => return may_only(&request, &Method::GET).map(|()| Found::Stats),
        _ => {
            let method = request.method();
            let text = format!("there is no {method} {path}; relay --help lists all pages");
            Err(Problem::new(StatusCode::NOT_FOUND, text))
        }
    };
    page.map(Found::Page)
}

/// Returns the peer of a request's connection.
pub(crate) fn peer(extensions: &Extensions) -> Result<Peer, Problem> {
    let internal = || Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the peer is not known");
    extensions.get().cloned().ok_or_else(internal)
}

/// Refuses other methods. A page with GET also has HEAD.
fn may_only(request: &Request<Incoming>, method: &Method) -> Result<(), Problem> {
    let asked = request.method();
    if asked == method || (asked == Method::HEAD && method == Method::GET) {
        return Ok(());
    }
    let path = request.uri().path();
    let allow = match *method {
        Method::POST => allowed(path),
        Method::DELETE => "DELETE",
        _ => "GET, HEAD",
    };
    Err(Problem::method(path, asked, allow))
}
