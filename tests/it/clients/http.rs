use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response, http};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::Traffic;
use super::traffic::CountedStream;

/// One connection to a server. A drop closes it.
pub(crate) struct Connection {
    sender: Sender,
    authority: String,
    traffic: Traffic,
    task: JoinHandle<()>,
}

/// HTTP version of a connection. HTTP/2 is used with prior knowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Http {
    One,
    Two,
}

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    pub(crate) async fn over(stream: TcpStream, http: Http, traffic: Traffic) -> Result<Self, String> {
        let authority = stream.peer_addr().map_err(|error| error.to_string())?.to_string();
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let io = TokioIo::new(CountedStream { stream, traffic: traffic.clone() });
        let (sender, task) = match http {
            Http::One => {
                let (sender, connection) = http1::handshake(io).await.map_err(|error| describe(&error))?;
                (Sender::One(sender), tokio::spawn(async { drop(connection.with_upgrades().await) }))
            }
            Http::Two => {
                let (sender, connection) =
                    http2::handshake(TokioExecutor::new(), io).await.map_err(|error| describe(&error))?;
                (Sender::Two(sender), tokio::spawn(async { drop(connection.await) }))
            }
        };
        Ok(Self { sender, authority, traffic, task })
    }

    pub(crate) fn http(&self) -> Http {
        match self.sender {
            Sender::One(_) => Http::One,
            Sender::Two(_) => Http::Two,
        }
    }

    /// Returns a request for a path with a query.
    pub(crate) fn request(&self, method: &str, target: &str) -> http::request::Builder {
        let request = Request::builder().method(method);
        match self.sender {
            Sender::One(_) => request.uri(target).header("host", &self.authority),
            Sender::Two(_) => request.uri(format!("http://{}{target}", self.authority)),
        }
    }

    pub(crate) async fn send(
        &mut self,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> Result<Response<Incoming>, String> {
        let request = request.body(Full::new(body.into())).map_err(|error| error.to_string())?;
        self.traffic.request();
        match &mut self.sender {
            Sender::One(sender) => {
                sender.ready().await.map_err(|error| describe(&error))?;
                sender.send_request(request).await.map_err(|error| describe(&error))
            }
            Sender::Two(sender) => sender.send_request(request).await.map_err(|error| describe(&error)),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Returns the text of an error of hyper with its cause.
fn describe(error: &hyper::Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    format!("{error}: {cause}")
}
