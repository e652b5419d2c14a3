use http::{HeaderValue, Request};
use tidings::SubscribeRequest;

#[test]
fn cookie_is_found_in_all_headers_as_it_was_sent() {
    let headers: [&[u8]; 4] = [b"a=1; session=x=y", b"\xff=1; b=2", b"session=later;c=\"3%20\"; ", b"lone; =unnamed"];
    let mut request = Request::get("/").header("host", "localhost");
    for value in headers {
        request = request.header("cookie", HeaderValue::from_bytes(value).unwrap());
    }
    let request = SubscribeRequest::read(&request.body(()).unwrap().into_parts().0).unwrap();
    let expected = [
        ("a", Some("1")),
        ("session", Some("x=y")),
        ("c", Some("\"3%20\"")),
        ("b", None), // its header is not UTF-8
        ("A", None),
        ("lone", None),
    ];
    for (name, value) in expected {
        assert_eq!(request.cookie(name), value, "{name}");
    }
}
