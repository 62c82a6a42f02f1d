//! The node's WebSocket server.

use std::sync::Arc;

use axum::extract::ws::{Message, WebSocket};
use serde_json::json;
use tokio::sync::broadcast;

use super::super::answer::Answer;
use super::super::script::{IncomingRequest, Shared, Transport};

/// Serves one WebSocket connection until either side closes it.
pub(super) async fn serve(mut socket: WebSocket, shared: Arc<Shared>) {
    let mut heads = shared.heads();
    let mut hang_ups = shared.hang_ups();
    shared.change(|state| state.ws_connections += 1);
    let mut connection = Connection {
        shared,
        subscriptions: Vec::new(),
        subscriptions_made: 0,
    };
    loop {
        let messages = tokio::select! {
            // Sends a head first if it was announced before a request arrived.
            biased;
            _ = hang_ups.changed() => return,
            head = heads.recv() => match head {
                Ok(header) => Some(connection.notifications(&header)),
                Err(broadcast::error::RecvError::Lagged(_) | broadcast::error::RecvError::Closed) => None,
            },
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => connection.answer(&text).await,
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_))) => Some(Vec::new()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => None,
            },
        };
        let Some(messages) = messages else { return };
        let is_binary = connection.shared.with(|state| state.sends_binary);
        for message in messages {
            let message = match is_binary {
                true => Message::Binary(message.into()),
                false => Message::Text(message.into()),
            };
            if socket.send(message).await.is_err() {
                return;
            }
        }
    }
}

struct Connection {
    shared: Arc<Shared>,
    /// The ids of the subscriptions, as JSON text.
    subscriptions: Vec<String>,
    subscriptions_made: u64,
}

impl Connection {
    fn notifications(&self, header: &str) -> Vec<String> {
        let notification = |id: &String| {
            let params = format!(r#"{{"subscription":{id},"result":{header}}}"#);
            format!(r#"{{"jsonrpc":"2.0","method":"eth_subscription","params":{params}}}"#)
        };
        self.subscriptions.iter().map(notification).collect()
    }

    /// The messages that answer one text message; `None` closes the connection.
    async fn answer(&mut self, text: &str) -> Option<Vec<String>> {
        let Ok(request) = serde_json::from_str::<IncomingRequest>(text) else {
            let error = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}"#;
            return Some(vec![error.to_owned()]);
        };
        tokio::time::sleep(self.shared.with(|state| state.delay)).await;
        let answer = match self.shared.scripted(Transport::Ws, &request) {
            Answer::Default => self
                .subscription(&request)
                .unwrap_or_else(|| self.shared.by_default(&request)),
            answer => answer,
        };
        let message = match super::message(&request, answer) {
            Ok(message) => message,
            Err(Answer::Hang) => return Some(Vec::new()),
            Err(Answer::Text(text)) => text,
            Err(Answer::Truncated) => super::half(&request),
            Err(Answer::Huge { bytes }) => {
                let bytes = usize::try_from(bytes).expect("a WebSocket message fits into memory");
                self.shared.change(|state| state.huge_bytes_sent += bytes as u64);
                format!(
                    r#"{{"jsonrpc":"2.0","id":{},"result":"{}"}}"#,
                    request.id.get(),
                    "a".repeat(bytes)
                )
            }
            Err(_) => return None,
        };
        Some(vec![message])
    }

    /// Answers requests on this connection's subscriptions.
    fn subscription(&mut self, request: &IncomingRequest) -> Option<Answer> {
        let params: Vec<serde_json::Value> = serde_json::from_str(request.params.get()).unwrap_or_default();
        match request.method.as_str() {
            "eth_subscribe" if params.first() == Some(&json!("newHeads")) => {
                self.subscriptions_made += 1;
                let id = json!(format!("{:#x}", self.subscriptions_made));
                self.subscriptions.push(id.to_string());
                self.shared.change(|state| state.subscribers += 1);
                Some(Answer::Result(id))
            }
            "eth_subscribe" => Some(Answer::error(-32_602, "only newHeads can be subscribed to")),
            "eth_unsubscribe" => {
                let id = params.first().map(ToString::to_string);
                let before = self.subscriptions.len();
                self.subscriptions.retain(|held| Some(held) != id.as_ref());
                let removed = before - self.subscriptions.len();
                self.shared.change(|state| state.subscribers -= removed);
                Some(Answer::Result(json!(removed > 0)))
            }
            _ => None,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let open = self.subscriptions.len();
        self.shared.change(|state| state.subscribers -= open);
    }
}
