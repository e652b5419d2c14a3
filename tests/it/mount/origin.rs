use http::StatusCode;
use tidings::Endpoint;

use super::world::{App, To, header, request};

/// Has the endpoint judge a request of these headers, on every method and transport.
async fn judge(endpoint: &Endpoint, app: &App, headers: &[(&str, &str)]) -> StatusCode {
    let before = app.subscribes();
    let mut verdict = None;
    for (method, target) in [
        ("GET", "/events"),
        ("GET", "/events?transport=sse"),
        ("GET", "/events?transport=chunked"),
        ("HEAD", "/events"),
        ("POST", "/events"),
        ("GET", "/events?transport=websocket"),
    ] {
        let mut request = request(method, target);
        request.headers_mut().unwrap().clear();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.to(endpoint).await;
        assert_eq!(header(&response, "vary"), "Origin");
        let status = match response.status() {
            StatusCode::NO_CONTENT | StatusCode::UPGRADE_REQUIRED => StatusCode::OK,
            status => status,
        };
        assert_eq!(*verdict.get_or_insert(status), status, "{method} {target} is judged as the others");
    }
    let verdict = verdict.unwrap();
    if verdict != StatusCode::OK {
        assert_eq!((app.subscribes(), app.messages().len()), (before, app.messages().len()), "nothing was asked");
    }
    verdict
}

const HOST: (&str, &str) = ("host", "example.com");
const PORT: (&str, &str) = ("host", "example.com:8080");

#[tokio::test]
async fn a_page_must_be_the_hosts_own_or_listed() {
    let app = App::new();
    let endpoint = app
        .builder()
        .allow_origin("https://app.example.org")
        .allow_origin("http://localhost:5173")
        .allow_origin("capacitor://localhost")
        .build();
    let (yes, no, bad) = (StatusCode::OK, StatusCode::FORBIDDEN, StatusCode::BAD_REQUEST);
    for (headers, expected) in [
        // The host's own pages, whatever the scheme that a proxy took off.
        (&[HOST, ("origin", "https://example.com")][..], yes),
        (&[HOST, ("origin", "http://example.com")], yes),
        (&[HOST, ("origin", "https://example.com:443")], yes),
        (&[HOST, ("origin", "http://example.com:80")], yes),
        (&[HOST, ("origin", "https://example.com:80")], no),
        (&[HOST, ("origin", "https://example.com:8443")], no),
        (&[PORT, ("origin", "http://example.com:8080")], yes),
        (&[PORT, ("origin", "http://example.com")], no),
        (&[("host", "example.com:443"), ("origin", "https://example.com")], yes),
        (&[("host", "example.com:443"), ("origin", "http://example.com")], no),
        (&[HOST, ("origin", "https://EXAMPLE.com")], yes),
        (&[HOST, ("origin", "HTTPS://example.com")], yes),
        (&[("host", "xn--bcher-kva.example"), ("origin", "https://xn--bcher-kva.example")], yes),
        (&[("host", "127.0.0.1:3000"), ("origin", "http://127.0.0.1:3000")], yes),
        (&[("host", "[::1]:3000"), ("origin", "http://[::1]:3000")], yes),
        (&[("host", "[0:0::1]:3000"), ("origin", "http://[::1]:3000")], yes),
        (&[("host", "[::1]:3000"), ("origin", "http://[::2]:3000")], no),
        // Other pages.
        (&[HOST, ("origin", "https://example.com.")], no),
        (&[HOST, ("origin", "https://evil-example.com")], no),
        (&[HOST, ("origin", "https://example.com.evil")], no),
        (&[HOST, ("origin", "https://sub.example.com")], no),
        (&[HOST, ("origin", "https://example.co")], no),
        (&[HOST, ("origin", "https://evil")], no),
        (&[("host", "127.0.0.1:3000"), ("origin", "http://localhost:3000")], no),
        (&[("host", "localhost"), ("origin", "tauri://localhost")], no),
        // What is no origin.
        (&[HOST, ("origin", "null")], no),
        (&[HOST, ("origin", "")], no),
        (&[HOST, ("origin", "*")], no),
        (&[HOST, ("origin", "example.com")], no),
        (&[HOST, ("origin", "//example.com")], no),
        (&[HOST, ("origin", "://example.com")], no),
        (&[HOST, ("origin", "https://example.com/")], no),
        (&[HOST, ("origin", "https://user@example.com")], no),
        (&[HOST, ("origin", "https://evil@example.com")], no),
        (&[HOST, ("origin", "https://example.com:")], no),
        (&[HOST, ("origin", "https://example.com:+443")], no),
        (&[HOST, ("origin", "https://example.com:70000")], no),
        (&[HOST, ("origin", "https://[::1")], no),
        (&[HOST, ("origin", "https://example.com https://evil")], no),
        (&[HOST, ("origin", "https://example.com"), ("origin", "https://example.com")], no),
        (&[HOST, ("origin", "https://example.com"), ("origin", "https://evil")], no),
        (&[HOST, ("origin", "https://exämple.com")], no),
        // Listed ones.
        (&[HOST, ("origin", "https://app.example.org")], yes),
        (&[HOST, ("origin", "https://app.example.org:443")], yes),
        (&[HOST, ("origin", "http://app.example.org")], no),
        (&[HOST, ("origin", "https://app.example.org:444")], no),
        (&[HOST, ("origin", "https://app.example.org"), ("sec-fetch-site", "cross-site")], yes),
        (&[HOST, ("origin", "http://localhost:5173"), ("sec-fetch-site", "same-site")], yes),
        (&[HOST, ("origin", "http://localhost:5174")], no),
        (&[HOST, ("origin", "capacitor://localhost")], yes),
        // What the browser says itself.
        (&[HOST], yes),
        (&[HOST, ("sec-fetch-site", "same-origin")], yes),
        (&[HOST, ("sec-fetch-site", "none")], yes),
        (&[HOST, ("sec-fetch-site", "cross-site")], no),
        (&[HOST, ("sec-fetch-site", "same-site")], no),
        (&[HOST, ("sec-fetch-site", "new-site")], no),
        (&[HOST, ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], no),
        (&[("host", "upstream"), ("origin", "https://example.com"), ("sec-fetch-site", "same-origin")], yes),
        (&[("host", "upstream"), ("origin", "null"), ("sec-fetch-site", "same-origin")], no),
        (&[("host", "upstream"), ("origin", "https://example.com")], no),
        // What is no host.
        (&[("origin", "https://example.com")], bad),
        (&[HOST, HOST, ("origin", "https://example.com")], bad),
        (&[("host", "a b")], bad),
        (&[("host", "user@example.com")], bad),
        (&[("host", "example.com/path")], bad),
    ] {
        assert_eq!(judge(&endpoint, &app, headers).await, expected, "{headers:?}");
    }
}

#[tokio::test]
async fn the_hosts_that_are_served_may_be_listed() {
    let app = App::new();
    let endpoint = app.builder().allowed_hosts(["localhost", "example.com:8080", "[::1]"]).build();
    let (yes, no) = (StatusCode::OK, StatusCode::MISDIRECTED_REQUEST);
    for (host, expected) in [
        ("localhost", yes),
        ("LOCALHOST:3000", yes),
        ("example.com:8080", yes),
        ("example.com", no),
        ("example.com:8081", no),
        ("[::1]:3000", yes),
        ("[0::1]", yes),
        ("attacker.example", no),
        ("localhost.attacker.example", no),
        ("127.0.0.1", no),
    ] {
        // A page that was bound to our address by its name says that it is of the same origin.
        let headers = [("host", host), ("sec-fetch-site", "same-origin")];
        assert_eq!(judge(&endpoint, &app, &headers).await, expected, "{host}");
    }
}

#[tokio::test]
async fn a_request_of_no_page_may_be_shut_out() {
    let app = App::new();
    let endpoint = app.builder().allow_absent_origin(false).build();
    for (headers, expected) in [
        (&[HOST][..], StatusCode::FORBIDDEN),
        (&[HOST, ("sec-fetch-site", "none")], StatusCode::FORBIDDEN),
        (&[HOST, ("sec-fetch-site", "same-origin")], StatusCode::OK),
        (&[HOST, ("origin", "https://example.com")], StatusCode::OK),
    ] {
        assert_eq!(judge(&endpoint, &app, headers).await, expected, "{headers:?}");
    }
}

#[tokio::test]
async fn two_endpoints_have_two_lists() {
    let app = App::new();
    let (one, other) = (app.builder().allow_origin("https://one.example").build(), app.endpoint());
    let page = [HOST, ("origin", "https://one.example")];
    assert_eq!(judge(&one, &app, &page).await, StatusCode::OK);
    assert_eq!(judge(&other, &app, &page).await, StatusCode::FORBIDDEN);
}

#[test]
fn a_list_takes_origins_only() {
    for wrong in ["*", "null", "example.com", "https://example.com/", "https://*.example.com", ""] {
        let refused = std::panic::catch_unwind(|| App::new().builder().allow_origin(wrong));
        assert!(refused.is_err(), "{wrong}");
    }
}
