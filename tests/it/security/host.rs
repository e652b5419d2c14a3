//! Row 2: hosts for which an endpoint answers, against DNS rebinding.

use super::site::Site;
use crate::support::http::App;

#[tokio::test]
async fn row_02_other_host_gets_421_with_any_headers() {
    let app = App::new();
    let endpoint = app.builder().allowed_hosts(["localhost", "example.com:8080", "[::1]"]).build();
    let site = Site::new(app, endpoint).await;
    let (yes, no) = ((200, ""), (421, ""));
    let unreadable = (400, r#"{"error":"host is malformed: send `host` or `host:port`"}"#);
    for (host, (status, body)) in [
        ("localhost", yes),
        ("LOCALHOST:3000", yes),
        ("example.com:8080", yes),
        ("example.com", no),
        ("example.com:8081", no),
        ("[::1]:3000", yes),
        ("[0::1]", yes),
        ("attacker.example", no),
        ("attacker.example:8080", no),
        ("localhost.attacker.example", no),
        ("localhost.", no),
        ("127.0.0.1", no),
        ("[::ffff:127.0.0.1]", no),
        ("example.com:08080", yes),
        ("EXAMPLE.com:8080", yes),
        ("localhost:", unreadable),
        ("localhost:+80", unreadable),
        ("localhost:-80", unreadable),
        ("localhost:8o", unreadable),
        ("localhost:65536", unreadable),
        ("localhost:80:80", unreadable),
        (":3000", unreadable),
        ("::1", unreadable),
        ("[::1", unreadable),
        ("[::1]3000", unreadable),
        ("[]", unreadable),
        ("[localhost]", unreadable),
    ] {
        // A page that is bound to this address by its own name claims the same origin.
        let before = site.app.subscribes();
        let answer = site.send_all("/events", &[("host", host), ("sec-fetch-site", "same-origin")]).await;
        let named =
            format!(r#"{{"error":"host \"{host}\" is not allowed (see allowed_hosts; proxies must keep Host)"}}"#);
        assert_eq!((answer.status, &*answer.body), (status, if status == 421 { &named } else { body }), "{host}");
        assert!(status == 200 || site.app.subscribes() == before, "the publisher was not called");
    }
}

#[tokio::test]
async fn row_02_host_of_an_absolute_target_is_its_authority() {
    let app = App::new();
    let endpoint = app.builder().allowed_hosts(["localhost"]).build();
    let site = Site::new(app, endpoint).await;
    for (target, host, expected) in [
        ("http://localhost/events", "localhost", 200),
        ("http://attacker.example/events", "localhost", 421),
        ("http://localhost/events", "attacker.example", 200),
    ] {
        let answer = site.send("GET", target, &[("host", host)]).await;
        assert_eq!(answer.status, expected, "{target} of {host}");
        let answer = site.send_upgrade(target, &[("host", host)]).await;
        assert_eq!(answer.status, expected, "{target} of {host}");
    }
}

#[test]
fn row_02_allowed_hosts_accepts_hosts_only() {
    for wrong in ["*", "", "http://localhost", "localhost/", "user@localhost", "*.example.com", "localhost:x"] {
        let refused = std::panic::catch_unwind(|| App::new().builder().allowed_hosts([wrong]));
        assert!(refused.is_err(), "{wrong}");
    }
}
