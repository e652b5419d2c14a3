use std::time::Duration;

use http_body_util::BodyExt;
use hyper::http::request::Builder;
use serde_json::Value;
use socket2::SockRef;
use tokio::net::TcpStream;

use crate::clients::{Connection, Http, Traffic};

/// A relay.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    address: String,
}

impl Server {
    pub(crate) fn at(url: &str) -> Result<Self, String> {
        let address = url.strip_prefix("http://").ok_or("the URL begins with http://")?;
        Ok(Self { address: address.trim_end_matches('/').to_owned() })
    }

    pub(crate) async fn connection(&self, traffic: Traffic) -> Result<Connection, String> {
        Connection::over(self.stream().await?, Http::One, traffic).await
    }

    /// A connection that ends with a reset.
    pub(crate) async fn resetting_connection(&self) -> Result<Connection, String> {
        let stream = self.stream().await?;
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).map_err(|error| error.to_string())?;
        Connection::over(stream, Http::One, Traffic::default()).await
    }

    async fn stream(&self) -> Result<TcpStream, String> {
        TcpStream::connect(&self.address).await.map_err(|error| format!("{}: {error}", self.address))
    }

    pub(crate) async fn stats(&self) -> Result<Value, String> {
        let mut connection = self.connection(Traffic::default()).await?;
        let request = connection.request("GET", "/stats");
        answer(&mut connection, request, "").await
    }

    /// Returns the newest cursor.
    pub(crate) async fn cursor(&self) -> Result<String, String> {
        let stats = self.stats().await?;
        stats["cursor"].as_str().map(str::to_owned).ok_or_else(|| format!("no cursor in {stats}"))
    }
}

/// Sends a request and reads the JSON of its response.
pub(crate) async fn answer(
    connection: &mut Connection,
    request: Builder,
    body: impl Into<bytes::Bytes>,
) -> Result<Value, String> {
    let response = connection.send(request, body).await?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
    if !status.is_success() {
        return Err(format!("{status}: {}", body.escape_ascii()));
    }
    serde_json::from_slice(&body).map_err(|error| format!("{}: {error}", body.escape_ascii()))
}
