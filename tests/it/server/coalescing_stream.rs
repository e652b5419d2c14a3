use std::io::IoSlice;
use std::time::Duration;

use proptest::prelude::*;
use tidings::server::CoalescingStream;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::http::{App, pass};

/// Returns both ends of a connection over loopback.
async fn pair() -> (CoalescingStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let (accepted, client) = tokio::join!(listener.accept(), client);
    (CoalescingStream::new(accepted.unwrap().0), client.unwrap())
}

/// Writes the pieces as an HTTP stack does, from the position at which the last write ended.
async fn write(socket: &mut CoalescingStream, pieces: &[Vec<u8>]) {
    let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut rest = slices.as_mut_slice();
    while rest.iter().any(|piece| !piece.is_empty()) {
        let written = socket.write_vectored(rest).await.unwrap();
        assert_ne!(written, 0);
        IoSlice::advance_slices(&mut rest, written);
    }
}

fn any_piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => 0..40_usize,
        2 => 400..1_100_usize,
        1 => 20_000..40_000_usize,
    ]
    .prop_perturb(|len, mut random| {
        let mut bytes = vec![0; len];
        random.fill_bytes(&mut bytes);
        bytes
    })
}

proptest! {
    #![proptest_config(crate::support::cases(64))]

    #[test]
    fn written_pieces_arrive_in_order_and_once(
        writes in prop::collection::vec(prop::collection::vec(any_piece(), 1..7), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let got = runtime.block_on(async {
            let (mut socket, mut client) = pair().await;
            let sent = async {
                for pieces in &writes {
                    write(&mut socket, pieces).await;
                }
                socket.shutdown().await.unwrap();
            };
            let mut got = Vec::new();
            let (_, read) = tokio::join!(sent, client.read_to_end(&mut got));
            read.unwrap();
            got
        });
        prop_assert_eq!(got, writes.concat().concat());
    }
}

#[tokio::test]
async fn small_pieces_are_one_write_to_the_last_byte_that_fits() {
    let (mut socket, _client) = pair().await;
    let pieces = [vec![b'a'; 1_000], vec![b'b'; 22], vec![b'c'; 2]];
    let slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    assert_eq!(socket.write_vectored(&slices).await.unwrap(), 1_024);
}

const REQUEST: &str = "GET /events HTTP/1.1\r\nhost: app.example\r\n\r\n";
/// Time for the head of a request.
const HEAD: Duration = Duration::from_secs(10);
/// Time of a connection between two requests.
const IDLE: Duration = Duration::from_secs(75);

/// Serves one connection as the relay does, with hyper over a socket and on the endpoint's time. Returns the client and
/// the task of the connection.
async fn serve(app: &App, idle: Duration) -> (TcpStream, JoinHandle<hyper::Result<()>>) {
    let (mut socket, client) = pair().await;
    let endpoint = app.builder().build();
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(socket.request_timer(endpoint.timer(), idle)).header_read_timeout(HEAD);
    let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let endpoint = endpoint.clone();
        async move { Ok::<_, std::convert::Infallible>(endpoint.handle(request).await) }
    });
    let io = hyper_util::rt::TokioIo::new(socket);
    (client, tokio::spawn(async move { builder.serve_connection(io, service).await }))
}

/// Reads the reply to a poll.
async fn answer(client: &mut TcpStream) {
    while client.read_u8().await.unwrap() != b'}' {}
}

/// Waits for the end of the connection. Returns the seconds until then.
async fn seconds_to_the_end(client: &mut TcpStream) -> u64 {
    let begun = tokio::time::Instant::now();
    assert_eq!(client.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    begun.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn request_timer_on_the_endpoints_time_ends_an_idle_connection_later_than_a_late_head() {
    for (sent_last, pause, ends) in [(&b""[..], 0, 75), (b"G", 74, 10), (b"G", 5, 10)] {
        let (mut client, connection) = serve(&App::new(), IDLE).await;
        for pause in [0, pause] {
            pass(Duration::from_secs(pause)).await;
            client.write_all(REQUEST.as_bytes()).await.unwrap();
            answer(&mut client).await;
        }
        pass(Duration::from_secs(pause)).await;
        client.write_all(sent_last).await.unwrap();
        assert_eq!(seconds_to_the_end(&mut client).await, ends, "{pause} s, and then {sent_last:?}");
        assert!(connection.await.unwrap().is_err_and(|error| error.is_timeout()));
    }
}

#[tokio::test(start_paused = true)]
async fn request_timer_with_the_longest_idle_time_keeps_an_idle_connection() {
    let (mut client, _) = serve(&App::new(), Duration::MAX).await;
    for _ in 0..2 {
        client.write_all(REQUEST.as_bytes()).await.unwrap();
        answer(&mut client).await;
        pass(Duration::from_secs(3_600)).await;
    }
    client.write_all(b"G").await.unwrap();
    assert_eq!(seconds_to_the_end(&mut client).await, 10, "a head that has begun has its own time");
}

/// hyper waits for the next head once it has answered, and finds the head's first byte then.
#[tokio::test(start_paused = true)]
async fn head_that_begins_before_the_end_of_the_previous_answer_has_the_idle_time_from_there() {
    let (mut client, _) = serve(&App::new(), IDLE).await;
    client.write_all(format!("{REQUEST}G").as_bytes()).await.unwrap();
    answer(&mut client).await;
    assert_eq!(seconds_to_the_end(&mut client).await, 75, "in the read of the previous request");

    let app = App::new();
    let (mut client, _) = serve(&app, IDLE).await;
    let held = format!("GET /events?wait=30&cursor={} HTTP/1.1\r\nhost: app.example\r\n\r\n", app.hub.cursor());
    client.write_all(held.as_bytes()).await.unwrap();
    pass(Duration::from_secs(20)).await;
    client.write_all(b"G").await.unwrap();
    pass(Duration::from_secs(1)).await;
    answer(&mut client).await;
    assert_eq!(seconds_to_the_end(&mut client).await, 75, "while the previous request was held");
}

#[tokio::test]
async fn coalescing_stream_sets_nodelay_and_returns_its_stream() {
    let (mut socket, mut client) = pair().await;
    assert!(socket.get_ref().nodelay().unwrap());
    assert!(socket.is_write_vectored());
    client.write_all(b"question").await.unwrap();
    let mut question = [0; 8];
    socket.read_exact(&mut question).await.unwrap();
    assert_eq!(&question, b"question");
    let mut stream = socket.into_inner();
    stream.write_all(b"answer").await.unwrap();
    let mut answer = [0; 6];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"answer");
}

/// Without this option, a slow client seems to take nothing, see [`tidings::server::set_tcp_options`].
#[cfg(any(target_os = "android", target_os = "linux"))]
#[tokio::test]
async fn kernel_holds_few_unsent_bytes() {
    let (socket, _client) = pair().await;
    assert_eq!(socket2::SockRef::from(socket.get_ref()).tcp_notsent_lowat().unwrap(), 64 * 1024);
}
