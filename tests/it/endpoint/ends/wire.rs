//! The end of a stream in bytes, on HTTP/1.0, HTTP/1.1 and HTTP/2.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use tidings::EndReason;

use super::script::{Script, id, reserved};
use crate::support::http::{RawClient, connect_http2, serve_http1, serve_http2};

const STREAMS: [&str; 3] = ["/?transport=sse", "/?transport=sse&format=object", "/?transport=chunked"];

#[tokio::test]
async fn http_1_1_stream_has_its_last_chunk_and_keeps_the_connection() {
    for target in STREAMS {
        let script = Script::new();
        let endpoint = script.endpoint();
        let mut client = RawClient::connect(serve_http1(&endpoint).await).await;
        client.send(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")).await;
        assert!(client.head().await.contains("transfer-encoding: chunked"));
        client.until("\n\r\n").await;
        script.feed.event("news", "first");
        script.feed.last_topic_end("news", EndReason::Done);
        let rest = client.until("\r\n0\r\n\r\n").await;
        assert!(
            rest.contains(&format!("{{\"id\":\"{}\",\"end\":{{\"topic\":\"news\",\"reason\":\"done\"}}}}", id(2))),
            "{rest}"
        );
        // The connection is free for the next request: the client returns.
        client.send(format!("GET {target} HTTP/1.1\r\nHost: h\r\nLast-Event-ID: {}\r\n\r\n", id(2))).await;
        let head = client.head().await;
        if target.contains("sse") {
            assert!(head.starts_with("http/1.1 204 ") && !head.contains("\r\ncontent-"), "{head}");
        } else {
            assert!(client.until("\r\n0\r\n\r\n").await.contains("\"end\":{}"), "{head}");
        }
    }
}

#[tokio::test]
async fn http_1_0_stream_ends_with_the_end_in_its_bytes() {
    for target in STREAMS {
        let script = Script::new();
        let endpoint = script.endpoint();
        let address = serve_http1(&endpoint).await;
        let mut client = RawClient::connect(address).await;
        client.send(format!("GET {target} HTTP/1.0\r\n\r\n")).await;
        assert!(client.head().await.contains("connection: close"));
        client.until("\n").await;
        script.feed.last_topic_end("news", EndReason::Done);
        let rest = client.until_end().await;
        let object = format!("{{\"id\":\"{}\",\"end\":{{\"topic\":\"news\",\"reason\":\"done\"}}}}\n", id(1));
        assert!(rest.contains(&object) && rest.ends_with('\n'), "{rest}");
        if target.contains("chunked") {
            for cursor in [id(1), reserved()] {
                let mut client = RawClient::connect(address).await;
                client.send(format!("GET {target}&cursor={cursor} HTTP/1.0\r\n\r\n")).await;
                client.head().await;
                assert!(client.until_end().await.ends_with(&format!("\n{{\"id\":\"{cursor}\",\"end\":{{}}}}\n")));
            }
        }
    }
}

#[tokio::test]
async fn http_2_stream_ends_without_a_reset() {
    for target in STREAMS {
        let script = Script::new();
        let endpoint = script.endpoint();
        let mut client = connect_http2(serve_http2(&endpoint).await).await;
        let get = |cursor: Option<String>| {
            let request = Request::get(format!("http://example.com{target}"));
            cursor.into_iter().fold(request, |request, cursor| request.header("last-event-id", cursor))
        };
        let mut body = client.send_request(get(None).body(Empty::<Bytes>::new()).unwrap()).await.unwrap().into_body();
        body.frame().await.unwrap().unwrap();
        script.feed.last_topic_end("news", EndReason::Done);
        let rest = body.collect().await.expect("no reset").to_bytes();
        assert!(String::from_utf8_lossy(&rest).contains("\"reason\":\"done\""), "{rest:?}");
        let back = client.send_request(get(Some(id(1))).body(Empty::new()).unwrap()).await.unwrap();
        let expected = if target.contains("sse") { StatusCode::NO_CONTENT } else { StatusCode::OK };
        assert_eq!(back.status(), expected);
        back.into_body().collect().await.expect("no reset");
    }
}
