use std::io::IoSlice;

use proptest::prelude::*;
use tidings::Socket;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Both ends of a connection over loopback.
async fn pair() -> (Socket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let (accepted, client) = tokio::join!(listener.accept(), client);
    (Socket::new(accepted.unwrap().0), client.unwrap())
}

/// Writes the pieces as an HTTP stack does, from where the last write ended.
async fn write(socket: &mut Socket, pieces: &[Vec<u8>]) {
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
        4 => prop::collection::vec(any::<u8>(), 0..40),
        2 => prop::collection::vec(any::<u8>(), 400..1_100),
        1 => prop::collection::vec(any::<u8>(), 20_000..40_000),
    ]
}

proptest! {
    #![proptest_config(crate::support::cases(64))]

    #[test]
    fn what_is_written_in_pieces_arrives_in_order_and_once(
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

#[tokio::test]
async fn it_is_tuned_and_can_be_had_back() {
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

/// Without it, a slow client seems to take nothing, see [`tidings::tune`].
#[cfg(any(target_os = "android", target_os = "linux"))]
#[tokio::test]
async fn kernel_holds_little_that_is_not_sent() {
    let (socket, _client) = pair().await;
    assert_eq!(socket2::SockRef::from(socket.get_ref()).tcp_notsent_lowat().unwrap(), 64 * 1024);
}
