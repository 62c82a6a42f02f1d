//! Server-sent events of the daemon.

use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body, Bytes, Incoming};
use hyper::{Method, Request, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Client;
use crate::protocol::error::ErrorBody;
use crate::protocol::logs::Gap;
use crate::protocol::{ANSWER_BYTES_MAX, END, GAP};
use crate::report::print::errln;
use crate::report::{Refusal, Refusals};

/// The most bytes of one message: a log record with its fields several times.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// The wait before a reader connects to a daemon that has ended: it may be restarting.
pub(super) const RECONNECT_AFTER: Duration = Duration::from_secs(1);

/// A message of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
struct Message {
    id: Option<String>,
    event: Option<String>,
    data: String,
}

/// The end of a connection.
pub(super) enum End {
    /// The daemon refused the request.
    Refused(Refusals),
    /// The daemon closed the connection.
    Closed,
}

impl Client<'_> {
    /// Follows a stream, and gives each message to `show`. After the end of the daemon, waits for the
    /// next one and resumes. Returns only with an error.
    pub(super) fn read_stream<T: DeserializeOwned>(&self, path: &str, show: impl FnMut(Followed<T>)) -> Refusals {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(self.read_streams(path, show)),
            Err(error) => Refusal::of(&error).into(),
        }
    }

    async fn read_streams<T: DeserializeOwned>(&self, path: &str, mut show: impl FnMut(Followed<T>)) -> Refusals {
        let mut last_id = None;
        // The first connection has to succeed.
        let mut is_connected = match self.stream(path, &mut last_id, &mut show).await {
            Ok(End::Refused(refusals)) => return refusals,
            Err(refusal) => return refusal.into(),
            Ok(End::Closed) => true,
        };
        loop {
            if std::mem::take(&mut is_connected) {
                errln!("the daemon closed the connection; nexum waits until it runs again");
            }
            tokio::time::sleep(RECONNECT_AFTER).await;
            // An error means that no daemon runs.
            match self.stream(path, &mut last_id, &mut show).await {
                Ok(End::Refused(refusals)) => return refusals,
                Ok(End::Closed) => is_connected = true,
                Err(_) => {}
            }
        }
    }

    /// Reads a stream until its end. `last_id` is the id of the last message.
    pub(super) async fn stream<T: DeserializeOwned>(
        &self,
        path: &str,
        last_id: &mut Option<String>,
        show: &mut impl FnMut(Followed<T>),
    ) -> Result<End, Refusal> {
        let request = Request::builder().method(Method::GET).uri(path);
        let request = request.header("accept", "text/event-stream");
        let request = match last_id.as_deref() {
            Some(id) => request.header("last-event-id", id),
            None => request,
        };
        self.send(request, Empty::<Bytes>::new(), async |answer: Response<Incoming>| {
            if !answer.status().is_success() {
                return refused(answer).await;
            }
            let mut body = answer.into_body();
            let mut lines = Lines::default();
            // An error of the connection is its end.
            while let Some(Ok(frame)) = body.frame().await {
                let Ok(bytes) = frame.into_data() else { continue };
                lines.add(&bytes)?;
                while let Some(message) = lines.next() {
                    if message.id.is_some() {
                        last_id.clone_from(&message.id);
                    }
                    if let Some(followed) = Followed::of(&message)? {
                        show(followed);
                    }
                }
            }
            Ok(End::Closed)
        })
        .await
    }
}

/// The error in a response.
async fn refused(answer: Response<Incoming>) -> Result<End, Refusal> {
    let body = answer.into_body();
    debug_assert!(body.size_hint().lower() <= ANSWER_BYTES_MAX as u64);
    let body = http_body_util::Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| Refusal::of(&*error))?;
    let read = |error: serde_json::Error| Refusal::new(format!("the answer cannot be read: {error}"));
    let error: ErrorBody = serde_json::from_slice(&body.to_bytes()).map_err(read)?;
    Ok(End::Refused(error.into()))
}

/// A message for a reader.
#[derive(Debug)]
pub(super) enum Followed<T> {
    Record(T),
    /// Records are lost before the next one.
    Gap(Gap),
}

impl<T: DeserializeOwned> Followed<T> {
    fn of(message: &Message) -> Result<Option<Self>, Refusal> {
        fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Refusal> {
            serde_json::from_str(text).map_err(|error| Refusal::new(format!("a message cannot be read: {error}")))
        }
        match message.event.as_deref() {
            // A comment that keeps the connection open.
            _ if message.data.is_empty() => Ok(None),
            // The connection ends too.
            Some(END) => Ok(None),
            Some(GAP) => Ok(Some(Self::Gap(read(&message.data)?))),
            _ => Ok(Some(Self::Record(read(&message.data)?))),
        }
    }
}

/// Splits a stream into messages.
#[derive(Default)]
struct Lines {
    text: Vec<u8>,
}

impl Lines {
    fn add(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.text.extend_from_slice(bytes);
        match self.text.len() <= MESSAGE_BYTES_MAX + bytes.len() {
            true => Ok(()),
            false => Err(Refusal::new(format!(
                "a message has more than {MESSAGE_BYTES_MAX} bytes"
            ))),
        }
    }

    /// The next whole message, which ends with an empty line.
    fn next(&mut self) -> Option<Message> {
        let end = self.text.windows(2).position(|pair| pair == b"\n\n")?;
        let rest = self.text.split_off(end + 2);
        let text = std::mem::replace(&mut self.text, rest);
        let text = String::from_utf8_lossy(&text);
        let mut message = Message::default();
        for line in text.lines() {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match name {
                "id" => message.id = Some(value.to_owned()),
                "event" => message.event = Some(value.to_owned()),
                "data" => {
                    if !message.data.is_empty() {
                        message.data.push('\n');
                    }
                    message.data.push_str(value);
                }
                // A comment.
                _ => {}
            }
        }
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_split_into_messages() {
        let mut lines = Lines::default();
        let mut messages = Vec::new();
        for part in [
            "id: 7\nda",
            "ta: {\"a\":1}\n",
            "\n: comment\n\nevent: gap\ndata: 1\ndata: 2\n\nid: 8",
        ] {
            lines.add(part.as_bytes()).unwrap();
            messages.extend(std::iter::from_fn(|| lines.next()));
        }
        let message = |id: Option<&str>, event: Option<&str>, data: &str| Message {
            id: id.map(str::to_owned),
            event: event.map(str::to_owned),
            data: data.to_owned(),
        };
        let expected = [
            message(Some("7"), None, "{\"a\":1}"),
            message(None, None, ""),
            message(None, Some("gap"), "1\n2"),
        ];
        assert_eq!(messages, expected);
    }

    #[test]
    fn a_message_without_end_is_refused() {
        let mut lines = Lines::default();
        let part = vec![b'x'; 1 << 19];
        let added: Vec<_> = (0..4).map(|_| lines.add(&part).is_ok()).collect();
        assert_eq!(added, [true, true, true, false]);
    }
}
