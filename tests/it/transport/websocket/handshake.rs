use tidings::transport::websocket::{Subprotocol, websocket_accept};

#[test]
fn subprotocol_is_chosen_from_the_offers() {
    let chosen = |offers: &[&str]| Subprotocol::choose(offers.iter().copied());
    for offers in [&[][..], &[""], &[" , "]] {
        assert_eq!(chosen(offers), Some(Subprotocol::Raw));
    }
    for offers in [&["tidings.v1"][..], &["mqtt, tidings.v1"], &["mqtt", "tidings.v1"], &["tidings.v1 ,mqtt"]] {
        assert_eq!(chosen(offers), Some(Subprotocol::TidingsV1));
    }
    // A client that offers subprotocols must get one of its offers (RFC 6455 §4.2.2). Names are case-sensitive.
    for offers in [&["mqtt"][..], &["tidings.v2"], &["TIDINGS.V1"], &["tidings.v1x", "x"]] {
        assert_eq!(chosen(offers), None);
    }
    assert_eq!((Subprotocol::Raw.name(), Subprotocol::TidingsV1.name()), (None, Some("tidings.v1")));
}

#[test]
fn accept_key_is_computed_only_for_base64_of_16_bytes() {
    let sample = websocket_accept(b"dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(sample.as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    for key in [
        &b""[..],
        b"AAAA",
        b"!!!!",
        b"dGhlIHNhbXBsZSBub25jZQ",
        b"dGhlIHNhbXBsZSBub25jZSE=",
        b" dGhlIHNhbXBsZSBub25jZQ==",
    ] {
        assert_eq!(websocket_accept(key), None);
    }
}
