use std::time::Duration;

use serde::Serialize;
use tidings::Topic;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::stage::Stage;

pub(crate) const MAX_RATE: u32 = 200;
pub(crate) const MAX_SIZE: usize = 16 << 10;

/// Approximate bytes of an event's JSON around its padding.
const FRAME: usize = 50;

/// The generator of the topic `load`.
#[derive(Clone)]
pub(crate) struct Load(watch::Sender<Pace>);

/// Rate and size of the events.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Pace {
    /// Events a second. 0: none.
    pub(crate) rate: u32,
    /// Approximate bytes of an event's data.
    pub(crate) size: usize,
}

#[derive(Serialize)]
struct Padded<'a> {
    pad: &'a str,
}

impl Load {
    pub(crate) fn start(stage: Stage) -> Self {
        let this = Self(watch::Sender::new(Pace { rate: 10, size: 256 }));
        tokio::spawn(generate(stage, this.0.subscribe()));
        this
    }

    pub(crate) fn pace(&self) -> Pace {
        *self.0.borrow()
    }

    /// Sets the rate, the size, or both.
    pub(crate) fn set(&self, rate: Option<u32>, size: Option<usize>) -> Result<Pace, String> {
        if rate.is_some_and(|rate| rate > MAX_RATE) {
            return Err(format!("rate is at most {MAX_RATE} events a second"));
        }
        if size.is_some_and(|size| size > MAX_SIZE) {
            return Err(format!("size is at most {MAX_SIZE} bytes"));
        }
        self.0.send_modify(|pace| {
            pace.rate = rate.unwrap_or(pace.rate);
            pace.size = size.unwrap_or(pace.size);
        });
        Ok(self.pace())
    }
}

async fn generate(stage: Stage, mut pace: watch::Receiver<Pace>) {
    let Ok(topic) = Topic::new("load") else { return };
    let padding = ".".repeat(MAX_SIZE);
    let mut due = Instant::now();
    loop {
        let Pace { rate, size } = *pace.borrow_and_update();
        let pad = &padding[..size.saturating_sub(FRAME)];
        if rate > 0 {
            due = (due + Duration::from_secs(1) / rate).max(Instant::now() - Duration::from_secs(1));
            tokio::select! {
                () = sleep_until(due) => stage.publish(&topic, Padded { pad }).await,
                Ok(()) = pace.changed() => due = Instant::now(),
            }
        } else if pace.changed().await.is_err() {
            return;
        } else {
            due = Instant::now();
        }
    }
}
