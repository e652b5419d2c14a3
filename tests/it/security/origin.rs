//! Row 1: origins of pages that may use an endpoint (RFC 6454).

use super::site::Site;
use crate::support::http::{App, To, text};

/// Response to a page that is not allowed; [`why`] returns its body.
const FOREIGN: (u16, &str) = (403, "");

/// Returns the body of the 403 to a request with these headers.
fn why(headers: &[(&str, &str)]) -> String {
    let all = |name| headers.iter().filter(move |(it, _)| *it == name).map(|(_, value)| *value);
    let one = |name| all(name).next().filter(|_| all(name).count() == 1);
    let host = one("host").unwrap_or("upstream");
    let text = match (one("origin"), one("sec-fetch-site")) {
        _ if all("sec-fetch-site").count() > 1 => "more than one Sec-Fetch-Site header: send one".to_owned(),
        _ if all("origin").count() > 1 => "more than one Origin header: send one".to_owned(),
        (Some(origin), _) => {
            format!("origin {origin:?} is not allowed for host {host:?} (see allow_origin; proxies must keep Host)")
        }
        (None, Some(site)) => {
            format!("no Origin header and Sec-Fetch-Site {site:?}: not allowed for host {host:?} (see allow_origin)")
        }
        (None, None) => format!("no Origin header: not allowed for host {host:?} (see allow_absent_origin)"),
    };
    serde_json::json!({ "error": text }).to_string()
}

/// Sends a request with these headers on every transport and method. Returns the response, which is equal for all.
async fn send(site: &Site, headers: &[(&str, &str)]) -> (u16, String) {
    let before = (site.app.subscribes(), site.app.messages().len());
    let answer = site.send_all("/events", headers).await;
    assert!(answer.headers.contains(&"vary: origin".to_owned()), "{headers:?}");
    if answer.status != 200 {
        assert_eq!(
            (site.app.subscribes(), site.app.messages().len()),
            before,
            "the publisher was not called: {headers:?}"
        );
    }
    (answer.status, answer.body)
}

/// Headers, and the status and body of the response.
type Case<'a> = (&'a [(&'a str, &'a str)], (u16, &'a str));

/// Sends the requests of each case and compares the responses.
async fn check(site: &Site, table: &[Case<'_>]) {
    for (headers, (status, body)) in table {
        let body = if (*status, *body) == FOREIGN { why(headers) } else { (*body).to_owned() };
        assert_eq!(send(site, headers).await, (*status, body), "{headers:?}");
    }
}

const HOST: (&str, &str) = ("host", "example.com");
/// Body of the response to a request with an unreadable host.
const UNREADABLE: &str = r#"{"error":"host is malformed: send `host` or `host:port`"}"#;
const PORT: (&str, &str) = ("host", "example.com:8080");

#[tokio::test]
async fn row_01_only_own_and_listed_origins_are_allowed() {
    let app = App::new();
    let listed = ["https://app.example.org", "http://localhost:5173", "capacitor://localhost"];
    let endpoint = listed.into_iter().fold(app.builder(), |builder, origin| builder.allow_origin(origin)).build();
    let site = Site::new(app, endpoint).await;
    let (yes, no) = ((200, ""), FOREIGN);
    check(
        &site,
        &[
            // Pages of the host itself, of either scheme, since a proxy may terminate TLS.
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
            (&[HOST, ("origin", "https://example.com:443.evil")], no),
            (&[HOST, ("origin", "https://evil#example.com")], no),
            (&[HOST, ("origin", "https://evil/example.com")], no),
            (&[HOST, ("origin", "https://example.com%2eevil")], no),
            (&[HOST, ("origin", "https://xn--xample-hva.com")], no),
            (&[("host", "127.0.0.1"), ("origin", "http://127.0.0.1.evil.example")], no),
            (&[("host", "127.0.0.1"), ("origin", "http://127.0.0.2")], no),
            (&[("host", "127.0.0.1"), ("origin", "http://2130706433")], no),
            (&[("host", "127.0.0.1"), ("origin", "http://0x7f.0.0.1")], no),
            (&[("host", "127.0.0.1"), ("origin", "http://[::ffff:127.0.0.1]")], no),
            (&[("host", "127.0.0.1:3000"), ("origin", "http://localhost:3000")], no),
            (&[("host", "localhost"), ("origin", "tauri://localhost")], no),
            // Values that are not an origin.
            (&[HOST, ("origin", "null")], no),
            (&[HOST, ("origin", "NULL")], no),
            (&[HOST, ("origin", "file://")], no),
            (&[HOST, ("origin", "data:text/html,hi")], no),
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
            // Listed origins.
            (&[HOST, ("origin", "https://app.example.org")], yes),
            (&[HOST, ("origin", "https://app.example.org:443")], yes),
            (&[HOST, ("origin", "http://app.example.org")], no),
            (&[HOST, ("origin", "https://app.example.org:444")], no),
            (&[HOST, ("origin", "https://app.example.org"), ("sec-fetch-site", "cross-site")], yes),
            (&[HOST, ("origin", "http://localhost:5173"), ("sec-fetch-site", "same-site")], yes),
            (&[HOST, ("origin", "http://localhost:5174")], no),
            (&[HOST, ("origin", "capacitor://localhost")], yes),
            // Sec-Fetch-Site of the browser.
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
            // Values that are not a host.
            (
                &[("origin", "https://example.com")],
                (400, r#"{"error":"Host header is missing: HTTP/1.1 requires it"}"#),
            ),
            (
                &[HOST, HOST, ("origin", "https://example.com")],
                (400, r#"{"error":"more than one Host header: send one"}"#),
            ),
            (&[("host", "a b")], (400, UNREADABLE)),
            (&[("host", "user@example.com")], (400, UNREADABLE)),
            (&[("host", "")], (400, UNREADABLE)),
        ],
    )
    .await;
}

#[tokio::test]
async fn row_01_request_without_origin_can_be_refused() {
    let app = App::new();
    let endpoint = app.builder().allow_absent_origin(false).build();
    let site = Site::new(app, endpoint).await;
    check(
        &site,
        &[
            (&[HOST], FOREIGN),
            (&[HOST, ("sec-fetch-site", "none")], FOREIGN),
            (&[HOST, ("sec-fetch-site", "same-origin")], (200, "")),
            (&[HOST, ("origin", "https://example.com")], (200, "")),
        ],
    )
    .await;
}

#[tokio::test]
async fn row_01_two_endpoints_have_two_lists() {
    let app = App::new();
    let (one, other) = (app.builder().allow_origin("https://one.example").build(), app.endpoint());
    let (one, other) = (Site::new(app.clone(), one).await, Site::new(app, other).await);
    let page = [HOST, ("origin", "https://one.example")];
    for _ in 0..2 {
        check(&one, &[(&page, (200, ""))]).await;
        check(&other, &[(&page, FOREIGN)]).await;
    }
}

#[tokio::test]
async fn row_01_other_port_of_the_host_is_foreign() {
    let site = Site::new(App::new(), App::new().endpoint()).await;
    for port in (1..u16::MAX).step_by(4_099).chain([79, 80, 81, 442, 443, 444, 8_080]) {
        let origin = format!("https://example.com:{port}");
        let expected = if port == 443 { (200, "") } else { FOREIGN };
        check(&site, &[(&[HOST, ("origin", &origin)], expected)]).await;
    }
}

/// Both texts are cut, and neither can end the JSON text or its own quotes.
#[tokio::test]
async fn row_01_refused_origin_and_host_are_cut_and_escaped() {
    let endpoint = App::new().builder().allowed_hosts(["example.com"]).build();
    let long = format!("https://{}.example", "x".repeat(300));
    let cut = &long[..128];
    let (host, foreign) = (format!("{}.example", "h".repeat(300)), r#"https://"}{\u0000.example"#);
    for (host, origin, expected) in [
        (
            "example.com",
            &*long,
            format!(
                "origin {cut:?} is not allowed for host \"example.com\" (see allow_origin; proxies must keep Host)"
            ),
        ),
        (
            "example.com",
            foreign,
            format!(
                "origin {foreign:?} is not allowed for host \"example.com\" (see allow_origin; proxies must keep Host)"
            ),
        ),
        (
            &host,
            "https://example.com",
            format!("host {:?} is not allowed (see allowed_hosts; proxies must keep Host)", &host[..128]),
        ),
    ] {
        let request = http::Request::builder().uri("/events").header("host", host).header("origin", origin);
        let error: serde_json::Value = serde_json::from_str(&text(request.to(&endpoint).await).await).unwrap();
        assert_eq!(error, serde_json::json!({ "error": expected }));
    }
}

#[test]
fn row_01_allow_origin_accepts_origins_only() {
    for wrong in ["*", "null", "example.com", "https://example.com/", "https://*.example.com", ""] {
        let refused = std::panic::catch_unwind(|| App::new().builder().allow_origin(wrong));
        assert!(refused.is_err(), "{wrong}");
    }
}
