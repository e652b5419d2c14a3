//! Every transport of an endpoint, served by hyper over loopback.

use std::net::SocketAddr;

use tidings::conformance::{AdapterUnderTest, CaseHub};
use tidings::{Endpoint, SubscribeRequest};
use tokio::net::TcpStream;

use crate::clients::{BoxFuture, Client, ClientEnd, ClientKind, Connection, Http, Seen, Traffic, connect};
use crate::support::http::{serve_http1, serve_http2};

/// Returns a row for each kind of client on each HTTP version. The servers run until the current runtime ends.
pub(super) async fn rows(hub: &CaseHub) -> Vec<Box<dyn AdapterUnderTest>> {
    let hub = hub.clone();
    let endpoint = Endpoint::new(move |request: SubscribeRequest| {
        let hub = hub.clone();
        async move { Ok(hub.subscribe(request.subscribe_to(request.topics()))?) }
    });
    let mut rows: Vec<Box<dyn AdapterUnderTest>> = Vec::new();
    for http in [Http::One, Http::Two] {
        let address = match http {
            Http::One => serve_http1(&endpoint).await,
            Http::Two => serve_http2(&endpoint).await,
        };
        rows.extend(
            ClientKind::ALL.map(|kind| Box::new(EndpointRow { kind, http, address }) as Box<dyn AdapterUnderTest>),
        );
    }
    rows
}

struct EndpointRow {
    kind: ClientKind,
    http: Http,
    address: SocketAddr,
}

impl AdapterUnderTest for EndpointRow {
    fn name(&self) -> String {
        match self.http {
            Http::One => self.kind.name().into(),
            Http::Two => format!("{} on HTTP/2", self.kind.name()),
        }
    }

    fn connect<'a>(
        &'a self,
        _: &'a CaseHub,
        topics: &'a [&'a str],
        cursor: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Box<dyn Client>, String>> {
        Box::pin(async move {
            let stream = TcpStream::connect(self.address).await.map_err(|error| error.to_string())?;
            let connection = Connection::over(stream, self.http, Traffic::default()).await?;
            connect(connection, self.kind, topics, cursor).await
        })
    }

    fn shows(&self, seen: Seen) -> Seen {
        match seen {
            // A poll reply cannot express the end, and the next poll finds no hub.
            Seen::End(ClientEnd::Finished) if !self.is_live() => Seen::End(ClientEnd::Later),
            seen => self.kind.shows(seen),
        }
    }

    fn resumes(&self) -> bool {
        self.kind.resumes()
    }

    fn is_live(&self) -> bool {
        self.kind.is_live()
    }
}
