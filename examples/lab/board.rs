use serde::{Deserialize, Serialize};
use serde_json::json;
use tidings::subscriber::BoxSubscriber;
use tidings::{Accepted, Event, Message, Publisher, Rejection, SubscribeRequest, Topic};

use crate::stage::{self, Stage};

const MAX_TEXT: usize = 500;
const MAX_NAME: usize = 24;
const MAX_ID: usize = 16;
const CELLS: u8 = 64;

/// Publisher of the lab: decides which topics a browser may follow, and publishes the messages of browsers.
pub(crate) struct Board {
    stage: Stage,
    topics: Vec<Topic>,
    board: Option<Topic>,
}

/// Message of a browser, which is published after it is checked.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum Said {
    /// Position of a person's pointer: from 0, the left or upper edge, to 1.
    Point { me: String, who: String, x: f64, y: f64 },
    /// Text that a person wrote.
    Say { me: String, who: String, text: String },
    /// Cell that a person set or removed.
    Cell { me: String, who: String, cell: u8, set: bool },
}

impl Board {
    pub(crate) fn new(stage: Stage, log: Option<Topic>) -> Self {
        let topics = stage::TOPICS.iter().filter_map(|&name| Topic::new(name).ok()).chain(log).collect();
        Self { stage, topics, board: Topic::new("board").ok() }
    }
}

impl Publisher for Board {
    type Subscriber = BoxSubscriber;

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<BoxSubscriber>, Rejection> {
        if request.topics().iter().any(|topic| !self.topics.contains(topic)) {
            return Err(Rejection::NotFound);
        }
        // Topics that the client did not follow up to its cursor: it gets their state.
        let added = request.query("added").unwrap_or_default();
        let added = self.topics.iter().filter(|topic| added.split(',').any(|name| name == topic.as_str()));
        let subscribe = request.subscribe_to(request.topics()).added(added.cloned());
        Ok(self.stage.hub().subscribe(subscribe)?.into())
    }

    async fn receive(&self, _: &SubscribeRequest, message: Message) -> Result<Option<Event>, Rejection> {
        let said: Said =
            serde_json::from_slice(message.as_bytes()).map_err(|error| Rejection::invalid(error.to_string()))?;
        said.check().map_err(Rejection::invalid)?;
        match (said, &self.board) {
            (Said::Cell { who, cell, set, .. }, _) => {
                self.stage.set_cell(cell, set.then(|| json!({ "who": who }))).await;
            }
            (said, Some(board)) => self.stage.publish(board, said).await,
            _ => {}
        }
        Ok(None)
    }
}

impl Said {
    fn check(&self) -> Result<(), &'static str> {
        let (Self::Point { me, who, .. } | Self::Say { me, who, .. } | Self::Cell { me, who, .. }) = self;
        if me.is_empty() || me.len() > MAX_ID || !me.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err("'me' is 1 to 16 letters and digits");
        }
        if !printable(who, MAX_NAME) {
            return Err("'who' is 1 to 24 characters on one line");
        }
        match self {
            Self::Point { x, y, .. } if !(0.0..=1.0).contains(x) || !(0.0..=1.0).contains(y) => {
                Err("'x' and 'y' are from 0 to 1")
            }
            Self::Say { text, .. } if !printable(text, MAX_TEXT) => Err("'text' is 1 to 500 characters on one line"),
            Self::Cell { cell, .. } if *cell >= CELLS => Err("'cell' is from 0 to 63"),
            Self::Point { .. } | Self::Say { .. } | Self::Cell { .. } => Ok(()),
        }
    }
}

fn printable(text: &str, max: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= max && !text.chars().any(char::is_control)
}
