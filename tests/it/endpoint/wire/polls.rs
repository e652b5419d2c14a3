//! Long polls over a connection in virtual time: clients that disconnect, and clients of HTTP/1.0.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::support::http::{App, pass, serve_pipe};

/// hyper reads no further than the first bytes of the next request, so it does not see an end behind them.
#[tokio::test(start_paused = true)]
async fn client_gone_behind_a_pipelined_byte_is_held_up_to_the_hold() {
    let app = App::new();
    let request = &*format!("GET /?wait=20&cursor={} HTTP/1.1\r\nhost: example.com\r\n\r\n", app.hub.cursor());
    for (long_poll_min_wait, behind, held) in [(0, "", false), (0, "G", true), (0, request, true), (60, "G", true)] {
        let endpoint = app.builder().long_poll_min_wait(Duration::from_secs(long_poll_min_wait)).build();
        let mut client = serve_pipe(&endpoint, 64 * 1024);
        client.write_all(request.as_bytes()).await.unwrap();
        client.write_all(behind.as_bytes()).await.unwrap();
        pass(Duration::from_secs(1)).await;
        assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (1, 1));
        drop(client);
        pass(Duration::from_secs(1)).await;
        assert_eq!(endpoint.session_count(), usize::from(held), "{behind:?}");
        pass(Duration::from_millis(18_010)).await;
        assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (0, 0), "{behind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn http_1_0_long_polls_are_held_and_complete() {
    let app = App::new();
    let endpoint = app.builder().long_poll_min_wait(Duration::from_secs(1)).build();
    for headers in ["", "connection: keep-alive\r\n"] {
        let mut client = serve_pipe(&endpoint, 64 * 1024);
        let (begin, cursor) = (Instant::now(), app.hub.cursor());
        let head = format!("GET /?wait=20&cursor={cursor} HTTP/1.0\r\n{headers}\r\n");
        client.write_all(head.as_bytes()).await.unwrap();
        pass(Duration::from_millis(10)).await;
        app.publish("one");
        let mut answer = String::new();
        // With keep-alive the connection stays open. Its length tells the end of the body.
        while !answer.ends_with("]}") {
            let mut some = [0; 1024];
            let read = client.read(&mut some).await.unwrap();
            assert_ne!(read, 0, "{answer}");
            answer.push_str(std::str::from_utf8(&some[..read]).unwrap());
        }
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())), "{head}");
        assert!(body.contains("one") && !head.contains("transfer-encoding"), "{answer}");
        assert!((Duration::from_secs(1)..Duration::from_millis(1_110)).contains(&begin.elapsed()));
        drop(client);
    }
}
