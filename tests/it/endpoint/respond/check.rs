use std::sync::{Arc, Mutex};

use http::{HeaderMap, Response, StatusCode, request};
use tidings::{Body, EndpointBuilder, Rejection};

use super::support::{Desk, parts};
use crate::support::http::{To, header, request, text};

const EVIL: &str = "https://evil.example";
const APP: &str = "https://app.example.org";

/// Settings of an endpoint.
type Set = fn(EndpointBuilder) -> EndpointBuilder;

/// Rules of an endpoint.
const RULES: [Set; 4] = [
    |builder| builder,
    |builder| builder.allow_origin(APP).allowed_hosts(["example.com"]),
    |builder| builder.allow_any_origin().allow_origin(APP),
    |builder| builder.allow_absent_origin(false),
];

/// Returns requests of own, allowed and foreign pages, of programs, and to other hosts, by this method.
fn requests(method: &str) -> Vec<request::Builder> {
    let origins = [None, Some("https://example.com"), Some(APP), Some(EVIL), Some("null")];
    let mut requests = Vec::new();
    for origin in origins {
        for site in [None, Some("same-origin"), Some("cross-site")] {
            let request = request(method, "/?topic=answer");
            let request = origin.into_iter().fold(request, |it, origin| it.header("origin", origin));
            requests.push(site.into_iter().fold(request, |it, site| it.header("sec-fetch-site", site)));
        }
    }
    requests.push(request(method, "/").header("host", "example.com"));
    requests.push(request(method, "/").header("origin", EVIL).header("origin", "https://example.com"));
    requests.push(http::Request::builder().method(method).uri("/"));
    for host in ["evil.example", "no host", "example.com:81"] {
        requests.push(http::Request::builder().method(method).uri("/").header("host", host).header("origin", EVIL));
    }
    requests
}

async fn reported(response: Response<Body>) -> (StatusCode, HeaderMap, String) {
    let (status, headers) = (response.status(), response.headers().clone());
    let is_stream = header(&response, "content-type") == "text/event-stream";
    (status, headers, if is_stream { String::new() } else { text(response).await })
}

#[tokio::test]
async fn check_refuses_what_the_endpoint_refuses_with_an_equal_answer() {
    for (number, set) in RULES.into_iter().enumerate() {
        let (mut refused, mut allowed) = (0, 0);
        for method in ["GET", "POST", "PUT", "HEAD", "OPTIONS"] {
            for (at, (one, two)) in requests(method).into_iter().zip(requests(method)).enumerate() {
                let desk = Desk::with(set);
                let subscription = desk.hub.subscribe(tidings::Subscribe::topics(["answer"])).unwrap();
                let by_endpoint = desk.events.respond(parts(one), subscription).await;
                let by_check = desk.events.check(&parts(two));
                let is_refused = matches!(by_endpoint.status().as_u16(), 400 | 403 | 421);
                assert_eq!(by_check.is_err(), is_refused, "rules {number}, {method} {at}");
                match by_check {
                    Ok(()) => allowed += 1,
                    Err(refusal) => {
                        assert_eq!(
                            reported(refusal.into()).await,
                            reported(by_endpoint).await,
                            "rules {number}, {method} {at}"
                        );
                        assert_eq!(desk.events.stats().refused_origin, 2);
                        refused += 1;
                    }
                }
            }
        }
        assert!(refused > 20 && allowed > 20, "rules {number}: {refused} and {allowed}");
    }
}

#[tokio::test]
async fn post_of_a_foreign_page_starts_no_action_and_is_refused_once() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = seen.clone();
    let desk = Desk::with(|builder| builder.on_refusal(move |it| log.lock().unwrap().push(it.to_string())));
    let foreign = || request("POST", "/ask").header("origin", EVIL).header("cookie", "user=1");
    for request in [
        foreign().header("content-type", "application/json"),
        // A form's POST needs no preflight.
        foreign().header("content-type", "text/plain"),
        foreign().header("sec-fetch-site", "cross-site"),
        request("POST", "/ask").header("sec-fetch-site", "cross-site"),
        request("POST", "/ask").header("origin", "null"),
        request("POST", "/ask").header("host", "twice.example"),
    ] {
        let response = desk.send(request).await;
        assert!(matches!(response.status().as_u16(), 400 | 403));
        assert!(text(response).await.starts_with("{\"error\":\""));
    }
    assert_eq!((desk.actions(), desk.open()), (0, (0, 0)));
    assert_eq!((desk.events.stats().refused_origin, seen.lock().unwrap().len()), (6, 6));
    let expected = "refused (origin) POST \"/ask\" with status 403: \
        \"origin \\\"https://evil.example\\\" is not allowed for host \\\"example.com\\\" (see allow_origin; proxies must keep Host)\"";
    assert_eq!(seen.lock().unwrap()[0], expected);
    // The own page and a program act.
    for request in [request("POST", "/ask").header("origin", "https://example.com"), request("POST", "/ask")] {
        assert_eq!(desk.send(request).await.status(), 200);
    }
    assert_eq!(desk.actions(), 2);
}

#[tokio::test]
async fn refusal_has_the_cors_headers_of_the_endpoint() {
    // A listed page is refused for the host, and can read that.
    let desk = Desk::with(|builder| builder.allow_origin(APP).allowed_hosts(["example.com"]));
    let request = http::Request::post("/").header("host", "evil.example").header("origin", APP);
    let response = desk.send(request).await;
    assert_eq!(response.status(), 421);
    assert_eq!(header(&response, "access-control-allow-origin"), APP);
    assert_eq!(header(&response, "access-control-allow-credentials"), "true");
    assert_eq!(header(&response, "vary"), "Origin");
    // Pages of every origin may read, but not post.
    let desk = Desk::with(EndpointBuilder::allow_any_origin);
    let response = desk.send(self::request("POST", "/").header("origin", EVIL)).await;
    assert_eq!(response.status(), 403);
    assert_eq!(header(&response, "access-control-allow-origin"), "*");
    assert!(text(response).await.contains("may only read"));
    assert_eq!(desk.actions(), 0);
}

#[tokio::test]
async fn page_of_an_allowed_origin_posts_json_after_a_preflight() {
    let desk = Desk::with(|builder| builder.allow_origin(APP).allow_request_header("x-csrf-token"));
    let preflight = request("OPTIONS", "/ask")
        .header("origin", APP)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,x-csrf-token");
    let response = preflight.to(&desk.events).await;
    assert_eq!(response.status(), 204);
    assert_eq!(header(&response, "access-control-allow-origin"), APP);
    assert_eq!(header(&response, "access-control-allow-credentials"), "true");
    assert!(header(&response, "access-control-allow-methods").contains("POST"));
    let allowed = header(&response, "access-control-allow-headers").to_ascii_lowercase();
    assert!(allowed.contains("content-type") && allowed.contains("x-csrf-token"), "{allowed}");
    let post = request("POST", "/ask").header("origin", APP).header("content-type", "application/json");
    let response = desk.send(post).await;
    assert_eq!((response.status().as_u16(), desk.actions()), (200, 1));
    assert_eq!(header(&response, "access-control-allow-origin"), APP);
}

/// The handler must not act for a request that `respond` refuses afterwards.
#[tokio::test]
async fn check_refuses_a_head_of_a_post_that_respond_refuses_with_an_equal_answer() {
    let large = "x".repeat(300);
    let refused = [
        ("/?transport=long-poll", "", ""),
        ("/?transport=short-poll", "", ""),
        ("/?transport=websocket", "", ""),
        ("/?transport=pigeon", "", ""),
        ("/?wait=20", "", ""),
        ("/?wait=soon", "", ""),
        ("/", "prefer", "wait=5"),
        ("/", "upgrade", "websocket"),
        ("/?user=%ff", "", ""),
        ("/?topic=", "", ""),
        ("/?session=", "", ""),
        ("/", "x-large", &large),
    ];
    let allowed = [
        ("/", "", ""),
        ("/?transport=sse&last=5", "", ""),
        ("/", "accept", "application/json"),
        ("/", "last-event-id", "lost"),
        ("/?cursor=lost&start=never", "", ""),
    ];
    for (is_refused, requests) in [(true, &refused[..]), (false, &allowed[..])] {
        for method in ["POST", "PUT", "DELETE", "QUERY"] {
            for &(target, name, value) in requests {
                let seen: Arc<Mutex<Vec<String>>> = Arc::default();
                let log = seen.clone();
                let desk = Desk::with(|builder| {
                    builder.max_request_head(256).on_refusal(move |it| log.lock().unwrap().push(it.to_string()))
                });
                let of = || {
                    let request = request(method, target).header("origin", "https://example.com");
                    if name.is_empty() { request } else { request.header(name, value) }
                };
                let subscription = desk.hub.subscribe(tidings::Subscribe::topics(["answer"])).unwrap();
                let by_endpoint = desk.events.respond(parts(of()), subscription).await;
                let by_check = desk.events.check(&parts(of()));
                assert_eq!(
                    (by_check.is_err(), by_endpoint.status().is_success()),
                    (is_refused, !is_refused),
                    "{method} {target} {name}"
                );
                let Err(refusal) = by_check else { continue };
                assert_eq!(reported(refusal.into()).await, reported(by_endpoint).await, "{method} {target} {name}");
                assert_eq!((desk.events.stats().refused_request, desk.events.stats().refused_origin), (2, 0));
                let seen = seen.lock().unwrap().clone();
                assert_eq!((seen.len(), &seen[0]), (2, &seen[1]));
                // The handler does not act, and the refusal is counted once.
                assert!(desk.send(of()).await.status().is_client_error());
                assert_eq!((desk.actions(), desk.events.stats().refused_request), (0, 3));
            }
        }
    }
}

#[tokio::test]
async fn check_reads_no_other_part_of_the_head_of_a_get() {
    let desk = Desk::with(|builder| builder.max_request_head(64));
    for method in ["GET", "HEAD", "OPTIONS"] {
        let large = request(method, "/?transport=pigeon&topic=").header("x-large", "x".repeat(100));
        assert!(desk.events.check(&parts(large)).is_ok());
    }
    assert_eq!(desk.events.stats().refused_origin + desk.events.stats().refused_request, 0);
}

#[tokio::test]
async fn errors_of_a_handler_become_refusals_with_the_status_of_the_rejection() {
    use axum::response::IntoResponse;
    use tidings::endpoint::RefusalResponse;

    let topic = tidings::Topic::from_segments(["a/b"]).unwrap_err();
    for (refusal, status, body) in [
        (RefusalResponse::from(Rejection::Unauthorized), 401, "unauthorized"),
        (Rejection::Forbidden.into(), 403, "forbidden"),
        (topic.into(), 400, "topic segment contains '/'"),
        (std::io::Error::other("secret").into(), 500, "internal error"),
        (Rejection::Busy { retry_after: std::time::Duration::from_secs(3) }.into(), 503, "server is busy: retry later"),
    ] {
        assert_eq!((refusal.status().as_u16(), format!("{refusal:?}")), (status, format!("RefusalResponse({status})")));
        let response = Response::<Body>::from(refusal);
        assert_eq!(header(&response, "cache-control"), "no-store, no-transform");
        assert_eq!(header(&response, "www-authenticate"), if status == 401 { "Bearer" } else { "" });
        assert_eq!(header(&response, "retry-after"), if status == 503 { "3" } else { "" });
        assert_eq!(text(response).await, format!(r#"{{"error":"{body}"}}"#));
    }
    let response = RefusalResponse::from(Rejection::NotFound).into_response();
    assert_eq!(response.status(), 404);
    let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
    assert_eq!(&body[..], b"{\"error\":\"not found\"}");
}
