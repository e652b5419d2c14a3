//! Every transport of an endpoint, served by hyper over loopback.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tidings::{Endpoint, SubscribeRequest};
use tokio::net::{TcpListener, TcpStream};

use super::row::Row;
use super::test_hub::TestHub;
use crate::clients::{BoxFuture, Client, Connection, End, Http, Seen, Speaks, Traffic, connect};

/// Returns a row for each kind of client on each HTTP version. The servers run until the current runtime ends.
pub(super) async fn rows(hub: &Arc<TestHub>) -> Vec<Box<dyn Row>> {
    let hub = hub.clone();
    let endpoint = Endpoint::new(move |request: SubscribeRequest| {
        let hub = hub.clone();
        async move { Ok(hub.subscribe(request.subscribe_to(request.topics()))?) }
    });
    let mut rows: Vec<Box<dyn Row>> = Vec::new();
    for http in [Http::One, Http::Two] {
        let address = serve(endpoint.clone(), http).await;
        rows.extend(Speaks::ALL.map(|speaks| Box::new(EndpointRow { speaks, http, address }) as Box<dyn Row>));
    }
    rows
}

struct EndpointRow {
    speaks: Speaks,
    http: Http,
    address: SocketAddr,
}

impl Row for EndpointRow {
    fn name(&self) -> String {
        match self.http {
            Http::One => self.speaks.name().into(),
            Http::Two => format!("{} on HTTP/2", self.speaks.name()),
        }
    }

    fn connect<'a>(
        &'a self,
        topics: &'a [&'a str],
        cursor: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Box<dyn Client>, String>> {
        Box::pin(async move {
            let stream = TcpStream::connect(self.address).await.map_err(|error| error.to_string())?;
            let connection = Connection::over(stream, self.http, Traffic::default()).await?;
            connect(connection, self.speaks, topics, cursor).await
        })
    }

    fn shows(&self, seen: Seen) -> Seen {
        match seen {
            // A poll reply cannot express the end, and the next poll finds no hub.
            Seen::End(End::Finished) if !self.is_live() => Seen::End(End::Later),
            seen => self.speaks.shows(seen),
        }
    }

    fn resumes(&self) -> bool {
        self.speaks.resumes()
    }

    fn is_live(&self) -> bool {
        self.speaks.is_live()
    }
}

/// Serves an endpoint on a free port until the runtime ends. Returns the address.
pub(crate) async fn serve(endpoint: Endpoint, http: Http) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tidings::server::set_tcp_options(&stream).unwrap();
            let endpoint = endpoint.clone();
            let service = service_fn(move |request| {
                let response = endpoint.handle(request);
                async move { Ok::<_, Infallible>(response.await) }
            });
            let io = TokioIo::new(stream);
            match http {
                Http::One => {
                    tokio::spawn(http1::Builder::new().serve_connection(io, service).with_upgrades());
                }
                Http::Two => {
                    let mut server = http2::Builder::new(TokioExecutor::new());
                    server.enable_connect_protocol();
                    tokio::spawn(server.serve_connection(io, service));
                }
            }
        }
    });
    address
}
