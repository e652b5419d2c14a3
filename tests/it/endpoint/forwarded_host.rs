use tidings::EndpointBuilder;

use crate::support::http::{App, To, request, text};

/// Sends a GET of a page at this origin, with these headers, to an endpoint behind a proxy that changes the host.
async fn send(builder: EndpointBuilder, origin: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let mut request = http::Request::builder().uri("/events").header("host", "backend:3000").header("origin", origin);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.to(&builder.build()).await;
    (response.status().as_u16(), text(response).await)
}

const APP: &str = "https://app.example";

#[tokio::test]
async fn forwarded_host_is_ignored_by_default() {
    for headers in [&[("x-forwarded-host", "app.example")][..], &[("forwarded", "host=app.example")], &[]] {
        let (status, body) = send(App::new().builder(), APP, headers).await;
        assert_eq!(status, 403, "{headers:?}");
        assert!(body.contains(r#"for host \"backend:3000\" (see allow_origin; proxies must keep Host)"#));
    }
}

#[tokio::test]
async fn trusted_forwarded_host_is_compared_with_the_origin() {
    let x = |value| ("x-forwarded-host", value);
    let standard = |value| ("forwarded", value);
    for (origin, headers, expected) in [
        (APP, &[x("app.example")][..], 200),
        (APP, &[x("APP.example:443")], 200),
        (APP, &[x("app.example:8443")], 403),
        ("https://app.example:8443", &[x("app.example:8443")], 200),
        ("https://app.example:8443", &[x("app.example")], 403),
        (APP, &[x("evil.example")], 403),
        // The nearest proxy appended the last value.
        (APP, &[x("evil.example, app.example")], 200),
        (APP, &[x("evil.example"), x("app.example")], 200),
        (APP, &[x("app.example, inner.example")], 403),
        (APP, &[x("app.example"), x("inner.example")], 403),
        (APP, &[standard("for=192.0.2.1;host=app.example;proto=https")], 200),
        (APP, &[standard("For=192.0.2.1; Host=\"app.example:443\"")], 200),
        (APP, &[standard("host=evil.example, for=192.0.2.1;host=app.example")], 200),
        (APP, &[standard("host=app.example, host=evil.example")], 403),
        (APP, &[standard("host=app.example\\")], 403),
        // One header is of the proxy, and the other one may be of the client.
        (APP, &[x("app.example"), standard("host=app.example")], 200),
        (APP, &[x("app.example"), standard("for=192.0.2.1")], 200),
        (APP, &[x("app.example"), standard("host=evil.example")], 403),
        (APP, &[x("evil.example"), standard("host=app.example")], 403),
        (APP, &[x("")], 403),
        (APP, &[x("user@app.example")], 403),
        (APP, &[x("app.example,")], 403),
        // The own host is the one of the proxy, and no longer the one of the server.
        ("http://backend:3000", &[x("app.example")], 403),
        ("http://backend:3000", &[x("")], 403),
        ("http://backend:3000", &[standard("for=192.0.2.1")], 200),
        ("http://backend:3000", &[], 200),
        (APP, &[], 403),
        // The browser compared them itself.
        (APP, &[x("evil.example"), ("sec-fetch-site", "same-origin")], 200),
    ] {
        let (status, body) = send(App::new().builder().trust_forwarded_host(), origin, headers).await;
        assert_eq!(status, expected, "{origin} {headers:?} {body}");
    }
}

#[tokio::test]
async fn refusal_names_the_forwarded_host_and_the_header_to_set() {
    for (headers, expected) in [
        (
            &[("x-forwarded-host", "[::1]:81")][..],
            r#"forwarded host \"[::1]:81\" (see allow_origin; proxies must set X-Fo"#,
        ),
        (
            &[("x-forwarded-host", "a b")],
            "an unclear forwarded host (see allow_origin; proxies must set X-Forwarded-Host or",
        ),
        (&[], r#"for host \"backend:3000\" (see allow_origin; proxies must set X-Forwarded-Host)"#),
    ] {
        let (status, body) = send(App::new().builder().trust_forwarded_host(), APP, headers).await;
        assert_eq!(status, 403);
        assert!(body.contains(expected), "{body}");
    }
}

#[tokio::test]
async fn trusted_forwarded_host_is_not_an_allowed_host() {
    let builder = || App::new().builder().allowed_hosts(["app.example"]).trust_forwarded_host();
    let (status, body) = send(builder(), APP, &[("x-forwarded-host", "app.example")]).await;
    assert_eq!(status, 421);
    assert!(body.contains("see allowed_hosts; proxies must keep Host"), "{body}");
    let missing = http::Request::builder().version(http::Version::HTTP_2).uri("/events").to(&builder().build()).await;
    assert_eq!(missing.status(), 421);
    assert!(text(missing).await.contains("host is missing (see allowed_hosts): send a Host header, also in health"));
}

#[tokio::test]
async fn preflight_does_not_list_headers_of_proxies() {
    let endpoint =
        App::new().builder().allow_any_origin().allow_request_header("X-*").allow_request_header("Forwarded");
    let asked = "x-forwarded-host, forwarded, x-trace";
    let preflight = request("OPTIONS", "/events").header("origin", APP).header("access-control-request-headers", asked);
    let answer = preflight.to(&endpoint.trust_forwarded_host().build()).await;
    let listed = answer.headers()["access-control-allow-headers"].to_str().unwrap();
    assert!(listed.ends_with("If-None-Match, x-trace"), "{listed}");
}
