use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::service::{TowerToHyperService, TowerToHyperServiceFuture};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::body::AnyBody;
use super::hosts::Hosts;
use crate::endpoint::{ConnectionHandle, PeerAddr};

/// Service of one connection. Checks the host and adds the connection's extensions.
#[derive(Debug)]
pub(super) struct App<S> {
    service: TowerToHyperService<S>,
    hosts: Arc<Option<Hosts>>,
    peer: SocketAddr,
    handle: ConnectionHandle,
}

impl<S> App<S> {
    pub(super) fn new(service: S, hosts: Arc<Option<Hosts>>, peer: SocketAddr, handle: ConnectionHandle) -> Self {
        Self { service: TowerToHyperService::new(service), hosts, peer, handle }
    }
}

impl<S, B> hyper::service::Service<Request<Incoming>> for App<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone,
{
    type Response = Response<AnyBody<B>>;
    type Error = Infallible;
    type Future = AppFuture<S>;

    fn call(&self, request: Request<Incoming>) -> AppFuture<S> {
        let (mut parts, body) = request.into_parts();
        if let Some(refusal) = self.hosts.as_ref().as_ref().and_then(|hosts| hosts.refuse(&parts)) {
            return AppFuture::Refused { refusal: Some(refusal) };
        }
        let extensions = &mut parts.extensions;
        extensions.insert(PeerAddr(self.peer));
        extensions.insert(self.handle.clone());
        #[cfg(feature = "axum")]
        extensions.insert(axum::extract::ConnectInfo(self.peer));
        let request = Request::from_parts(parts, body);
        AppFuture::Called { answer: hyper::service::Service::call(&self.service, request) }
    }
}

pin_project! {
    /// Future of a response.
    #[project = Projection]
    pub(super) enum AppFuture<S>
    where
        S: Service<Request<Incoming>>,
    {
        Called {
            #[pin]
            answer: TowerToHyperServiceFuture<S, Request<Incoming>>,
        },
        Refused {
            refusal: Option<Response<Bytes>>,
        },
    }
}

impl<S, B> Future for AppFuture<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
{
    type Output = Result<Response<AnyBody<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projection::Called { answer } => {
                answer.poll(cx).map_ok(|response| response.map(|body| AnyBody::App { body }))
            }
            Projection::Refused { refusal } => match refusal.take() {
                Some(refusal) => Poll::Ready(Ok(refusal.map(|text| AnyBody::Refusal { text }))),
                // Polled after it was ready.
                None => Poll::Pending,
            },
        }
    }
}
