//! Rows 1 and 3 at an endpoint that pages of every origin may read, and that allows request headers of the application.

use std::sync::{Arc, Mutex};

use http::Response;
use tidings::{Body, Endpoint, EndpointBuilder, LocalHub, SubscribeRequest};

use super::site::Site;
use crate::support::http::{App, To, header, request, router, serve_router, text};

const EVIL: (&str, &str) = ("origin", "https://evil.example");
const HOST: (&str, &str) = ("host", "example.com");

/// Returns an endpoint that every page may read, with a listed origin, which answers for one host.
fn open(app: &App) -> Endpoint {
    app.builder().allow_any_origin().allow_origin("https://app.example.org").allowed_hosts(["example.com"]).build()
}

fn cors(response: &Response<Body>) -> (&str, &str) {
    (header(response, "access-control-allow-origin"), header(response, "access-control-allow-credentials"))
}

#[tokio::test]
async fn row_03_any_origin_is_allowed_by_a_star_without_credentials_and_a_listed_one_by_name_with_them() {
    let app = App::new();
    let endpoint = open(&app);
    for (origin, named) in [
        (Some("https://evil.example"), ("*", "")),
        (Some("http://localhost:5173"), ("*", "")),
        (Some("null"), ("*", "")),
        (Some("https://example.com"), ("*", "")),
        (Some("https://app.example.org"), ("https://app.example.org", "true")),
        (None, ("", "")),
    ] {
        for (method, target) in [
            ("GET", "/events?transport=short-poll"),
            ("GET", "/events?transport=long-poll&cursor=0.0"),
            ("GET", "/events?transport=chunked"),
            ("GET", "/events?transport=sse"),
            ("HEAD", "/events"),
            ("OPTIONS", "/events"),
            // A page can read the reason of a refusal.
            ("GET", "/forbidden"),
            ("GET", "/events?topic="),
        ] {
            let request = origin.into_iter().fold(request(method, target), |it, origin| it.header("origin", origin));
            let response = request.header("sec-fetch-site", site_of(origin)).to(&endpoint).await;
            let refused = target == "/forbidden" || target.ends_with("topic=");
            assert_eq!(response.status().is_success(), !refused, "{method} {target} {origin:?}");
            assert_eq!(cors(&response), named, "{method} {target} {origin:?}");
            assert_eq!(header(&response, "vary"), "Origin");
        }
    }
}

/// Returns the `Sec-Fetch-Site` that a browser sends with this origin.
fn site_of(origin: Option<&str>) -> &'static str {
    match origin {
        None => "none",
        Some("https://example.com") => "same-origin",
        Some(_) => "cross-site",
    }
}

#[tokio::test]
async fn row_01_allow_any_origin_permits_no_post_no_websocket_and_no_request_without_origin() {
    let app = App::new();
    let site = Site::new(app.clone(), open(&app)).await;
    let refused =
        r#"{"error":"origin \"https://evil.example\" may only read: a POST or a WebSocket needs allow_origin"}"#;
    let headers = [HOST, EVIL, ("cookie", "user=1")];
    for answer in [
        site.send("POST", "/events", &headers).await,
        site.send_upgrade("/events", &headers).await,
        site.send_connect("/events", &headers).await.unwrap(),
        // A handshake of which a proxy removed the Upgrade.
        site.send("GET", "/events", &[HOST, EVIL, ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")]).await,
        site.send("PUT", "/events", &headers).await,
    ] {
        assert_eq!((answer.status, &*answer.body), (403, refused));
        assert!(answer.headers.contains(&"access-control-allow-origin: *".to_owned()), "{:?}", answer.headers);
    }
    for headers in [
        // An image, a script, a link: without Origin, with cookies.
        &[HOST, ("sec-fetch-site", "cross-site")][..],
        &[HOST, ("sec-fetch-site", "same-site")],
        &[HOST, EVIL, EVIL],
        &[HOST, EVIL, ("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-origin")],
    ] {
        assert_eq!(site.send_all("/events", headers).await.status, 403, "{headers:?}");
    }
    let twice = [HOST, EVIL, ("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-origin")];
    assert_eq!(
        site.send_all("/events", &twice).await.body,
        r#"{"error":"more than one Sec-Fetch-Site header: send one"}"#
    );
    assert_eq!((app.subscribes(), app.messages().len()), (0, 0));
    // A listed page and the host's own page are allowed as without `allow_any_origin`.
    for origin in ["https://app.example.org", "https://example.com"] {
        assert_eq!(site.send_all("/events", &[HOST, ("origin", origin)]).await.status, 200, "{origin}");
    }
}

#[tokio::test]
async fn row_02_allow_any_origin_permits_no_other_host() {
    let app = App::new();
    let site = Site::new(app.clone(), open(&app)).await;
    for headers in [[("host", "evil.example"), EVIL], [("host", "evil.example"), ("sec-fetch-site", "same-origin")]] {
        assert_eq!(site.send_all("/events", &headers).await.status, 421, "{headers:?}");
    }
    assert_eq!(app.subscribes(), 0);
}

#[tokio::test]
async fn row_01_allow_any_origin_hides_cookies_from_the_publisher() {
    let (hub, seen) = (LocalHub::new(), Arc::new(Mutex::new(Vec::new())));
    let log = seen.clone();
    let publisher = move |request: SubscribeRequest| {
        let cookie = request.header("cookie").map(str::to_owned);
        let token = request.header("authorization").map(str::to_owned);
        log.lock().unwrap().push((cookie, token));
        let subscription = hub.subscribe(request.subscribe_to(["news"]));
        async move { Ok(subscription?) }
    };
    let endpoint = Endpoint::builder(publisher).allow_any_origin().allow_origin("https://app.example.org").build();
    for (origin, has_cookie) in [
        ("https://evil.example", false),
        ("null", false),
        ("https://app.example.org", true),
        ("https://example.com", true),
    ] {
        for transport in ["short-poll", "chunked", "sse"] {
            let request = request("GET", &format!("/?transport={transport}")).header("origin", origin);
            // A token is sent only if the page itself knows it.
            let request =
                request.header("cookie", "user=1").header("cookie", "b=2").header("authorization", "Bearer t");
            assert_eq!(request.to(&endpoint).await.status(), 200);
            let seen = seen.lock().unwrap().pop().unwrap();
            let cookie = has_cookie.then(|| "user=1".to_owned());
            assert_eq!(seen, (cookie, Some("Bearer t".to_owned())), "{origin} {transport}");
        }
    }
}

#[tokio::test]
async fn row_01_allow_any_origin_opens_no_route_behind_the_origin_layer() {
    let app = App::new();
    let endpoint = app.builder().allow_any_origin().build();
    let address = serve_router(router(&app, &endpoint), |server| server).await;
    let mut client = crate::support::http::RawClient::connect(address).await;
    client
        .send("POST /say HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nContent-Length: 0\r\n\r\n")
        .await;
    assert!(client.head().await.starts_with("http/1.1 403 "));
    assert_eq!(app.hub.stats().published, 0);
}

/// Sends a preflight of this origin for a request with these headers.
async fn preflight(endpoint: &Endpoint, origin: &str, asked: &[&str]) -> Response<Body> {
    let request = request("OPTIONS", "/events").header("origin", origin).header("access-control-request-method", "GET");
    let lines = asked.iter().fold(request, |it, line| it.header("access-control-request-headers", *line));
    lines.to(endpoint).await
}

#[tokio::test]
async fn row_03_preflight_allows_the_declared_headers_that_it_asks_for_and_no_others() {
    const ALWAYS: &str = "Last-Event-ID, Prefer, Authorization, Content-Type, Cache-Control, If-None-Match";
    let declare = |builder: EndpointBuilder| {
        let names = ["x-csrf-token", "TraceParent", "Datastar-Request", "HX-*"];
        names.into_iter().fold(builder, |builder, name| builder.allow_request_header(name)).build()
    };
    let listed = declare(App::new().builder().allow_origin("https://app.example.org"));
    let any = declare(App::new().builder().allow_any_origin());
    let long = format!("hx-{}", "x".repeat(300));
    for (asked, more) in [
        (&[][..], ""),
        (&[""], ""),
        (&["last-event-id"], ""),
        (&["x-csrf-token"], ", x-csrf-token"),
        (&["x-csrf-token,traceparent"], ", x-csrf-token, traceparent"),
        (&["X-CSRF-Token , TRACEPARENT"], ", x-csrf-token, traceparent"),
        (&["hx-request,hx-current-url", "datastar-request"], ", hx-request, hx-current-url, datastar-request"),
        (&["hx-", "hx"], ", hx-"),
        (&[&long], &format!(", {long}")),
        (&["x-csrf-token-2", "x-other, tracestate", "*", "hx-a b", "hx-\"", "hx-é"], ""),
    ] {
        for (endpoint, origin, methods) in
            [(&listed, "https://app.example.org", "GET, HEAD, POST"), (&any, "https://evil.example", "GET, HEAD")]
        {
            let response = preflight(endpoint, origin, asked).await;
            assert_eq!(response.status(), 204);
            assert_eq!(header(&response, "access-control-allow-headers"), format!("{ALWAYS}{more}"), "{asked:?}");
            assert_eq!(header(&response, "access-control-allow-methods"), methods);
            assert_eq!(header(&response, "access-control-max-age"), "7200");
        }
    }
    // The response to a foreign page allows nothing.
    let refused = preflight(&listed, "https://evil.example", &["x-csrf-token"]).await;
    assert_eq!((refused.status().as_u16(), header(&refused, "access-control-allow-headers")), (403, ""));
    assert!(text(refused).await.contains("see allow_origin"));
}

#[test]
fn row_03_allowed_request_headers_are_names_and_prefixes_only() {
    for wrong in ["", "*", "a*b", "**", "a b", "a,b", "a:", "é", "\r\n"] {
        let refused = std::panic::catch_unwind(|| App::new().builder().allow_request_header(wrong));
        assert!(refused.is_err(), "{wrong:?}");
    }
}
