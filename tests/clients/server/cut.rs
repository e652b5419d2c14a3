use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use http_body::Frame;
use serde_json::json;
use tokio::time::{Sleep, sleep};

use crate::Server;
use crate::script::{self, Script};

/// Time between the greeting and the cut, in which the client reads the greeting: a body that fails drops all that a reader of
/// `fetch` has not read.
const PAUSE: Duration = Duration::from_secs(3);

/// Returns the response with a body that fails after its first frame: an HTTP/1.1 connection then breaks off, and sends no
/// last chunk.
pub(crate) fn after_greeting(response: Response, server: Arc<Server>, topic: String, script: Script) -> Response {
    response.map(|body| Body::new(Cut { body, stage: Stage::Greeting, server, topic, script }))
}

struct Cut {
    body: Body,
    stage: Stage,
    server: Arc<Server>,
    topic: String,
    script: Script,
}

enum Stage {
    Greeting,
    Pause(Pin<Box<Sleep>>),
}

impl http_body::Body for Cut {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match &mut self.stage {
            Stage::Greeting => {
                let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
                let greeting = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
                let greeting = String::from_utf8_lossy(greeting.map_or(&[], |bytes| bytes)).into_owned();
                self.server.log.push("greeting", &self.topic, json!(greeting));
                self.stage = Stage::Pause(Box::pin(sleep(PAUSE)));
                Poll::Ready(frame)
            }
            Stage::Pause(pause) => {
                ready!(pause.as_mut().poll(cx));
                tokio::spawn(script::on_cut(self.server.clone(), self.topic.clone(), self.script.clone()));
                Poll::Ready(Some(Err(axum::Error::new(io::Error::other("cut after the greeting")))))
            }
        }
    }
}
