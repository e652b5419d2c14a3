use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use http_body::Frame;
use serde_json::json;
use tokio::time::{Sleep, sleep};

use crate::Server;

pub(crate) fn answer(server: Arc<Server>, topic: &str, last: Option<String>, query: &str) -> Response {
    if last.as_deref() == Some("k3x9.b17") {
        return StatusCode::NO_CONTENT.into_response();
    }
    let off = query.contains("controls=off");
    let data: [&str; 2] = if query.contains("events=fragments") {
        [
            "event: datastar-merge-fragments\ndata: fragments <div id=\"seen\">first</div>\n",
            "event: datastar-merge-fragments\ndata: fragments <div id=\"seen\">second</div>\n",
        ]
    } else if query.contains("events=chunks") {
        [
            "data: {\"type\":\"text-start\",\"id\":\"first\"}\n",
            "data: {\"type\":\"text-delta\",\"id\":\"first\",\"delta\":\"first\"}\n",
        ]
    } else {
        ["data: first\n", "data: second\n"]
    };
    let mut parts = VecDeque::new();
    if last.as_deref() != Some("k3x9.b16") {
        parts.push_back((0, if off { ":\n".into() } else {
            "event: tidings.hello\nretry: 1000\ndata: {\"tidings\":\"hello\",\"cursor\":\"k3x9.b14\",\"heartbeat_ms\":15000}\nid: k3x9.b14\n\n".to_owned()
        }));
        let retry = if off { "retry: 1000\n" } else { "" };
        parts.push_back((1000, format!("{retry}{}id: k3x9.b15\n\n", data[0])));
        parts.push_back((200, format!("{}id: k3x9.b16\n\n", data[1])));
    } else {
        parts.push_back((0, ":\n".into()));
    }
    if !off {
        parts.push_back((200, "event: tidings.end\nretry: 86400000\ndata: {\"id\":\"k3x9.b17\",\"end\":{\"topic\":\"t\",\"reason\":\"done\"}}\nid: k3x9.b17\n\n".into()));
    }
    let script = Script { parts, pause: None, server, topic: topic.to_owned(), logged: last.is_some() };
    ([("content-type", "text/event-stream"), ("cache-control", "no-store, no-transform")], Body::new(script))
        .into_response()
}

struct Script {
    parts: VecDeque<(u64, String)>,
    pause: Option<Pin<Box<Sleep>>>,
    server: Arc<Server>,
    topic: String,
    logged: bool,
}

impl http_body::Body for Script {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some((wait, text)) = self.parts.front().cloned() else {
            if !std::mem::replace(&mut self.logged, true) {
                self.server.log.push("finished", &self.topic, json!("k3x9.b17"));
            }
            return Poll::Ready(None);
        };
        let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(Duration::from_millis(wait))));
        ready!(pause.as_mut().poll(cx));
        self.pause = None;
        self.parts.pop_front();
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(text)))))
    }
}
