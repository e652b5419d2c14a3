use futures_util::StreamExt;
use tokio::time::{Duration, sleep};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::seen::Seen;

/// Reads one connection. With `stop` it is a loop that reconnects after every close but 1000.
pub(crate) async fn tokio_tungstenite(url: &str, stop: bool, seen: &Seen) {
    loop {
        let (mut socket, _) = match connect_async(url).await {
            Ok(connected) => connected,
            Err(error) => return seen.report("error", &error.to_string()).await,
        };
        let mut finished = false;
        while let Some(message) = socket.next().await {
            match message {
                Ok(Message::Text(text)) => seen.report("message", &text).await,
                Ok(Message::Close(Some(close))) => {
                    finished = close.code == CloseCode::Normal;
                    seen.report("close", &format!("{} {}", u16::from(close.code), close.reason)).await;
                }
                Ok(_) => {}
                Err(error) => seen.report("error", &error.to_string()).await,
            }
        }
        if !stop || finished {
            return;
        }
        sleep(Duration::from_secs(1)).await;
    }
}
