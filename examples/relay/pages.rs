//! What is at which path, besides `/events`.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;

use crate::problem::Problem;
use crate::{Relay, publish, sessions, status};

/// What a page answers.
pub(crate) type Page = Response<Full<Bytes>>;

/// Answers a request for any page.
pub(crate) async fn answer(relay: &Relay, request: Request<Incoming>) -> Page {
    find(relay, request).await.unwrap_or_else(Problem::into_page)
}

/// JSON, and 200.
pub(crate) fn json(value: &impl Serialize) -> Page {
    // What is written here has text for its keys, and writes itself without fail.
    let text = serde_json::to_vec(value).unwrap_or_default();
    let mut page = Response::new(Full::from(text));
    page.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    page
}

fn health() -> Page {
    let mut page = Response::new(Full::from("ok\n"));
    page.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    page
}

async fn find(relay: &Relay, request: Request<Incoming>) -> Result<Page, Problem> {
    relay.only_for_our_hosts(&request)?;
    let path = request.uri().path();
    if path.starts_with("/publish/") {
        may_only(&request, &Method::POST)?;
        return publish::one(relay, request).await;
    }
    if let Some(id) = path.strip_prefix("/sessions/") {
        may_only(&request, &Method::DELETE)?;
        relay.only_from_our_pages(request.headers())?;
        return Ok(sessions::end(relay, id));
    }
    match path {
        "/publish" => {
            may_only(&request, &Method::POST)?;
            publish::many(relay, request).await
        }
        "/sessions" => may_only(&request, &Method::GET).map(|()| sessions::list(relay)),
        "/stats" => may_only(&request, &Method::GET).map(|()| status::stats(relay)),
        "/healthz" => may_only(&request, &Method::GET).map(|()| health()),
        _ => {
            let method = request.method();
            let text = format!("there is no {method} {path}; relay --help lists what there is");
            Err(Problem::new(StatusCode::NOT_FOUND, text))
        }
    }
}

/// Refuses other methods. Where there is a GET, there is a HEAD.
fn may_only(request: &Request<Incoming>, method: &Method) -> Result<(), Problem> {
    let asked = request.method();
    if asked == method || (asked == Method::HEAD && method == Method::GET) {
        return Ok(());
    }
    Err(Problem::method(request.uri().path(), asked, method))
}
