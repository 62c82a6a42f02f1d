//! A connection over ws.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use alloy_pubsub::{ConnectionHandle, ConnectionInterface};
use alloy_transport::utils::Spawnable as _;
use alloy_transport::{Authorization, TransportErrorKind, TransportResult};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use serde_json::value::RawValue;
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use url::Url;

use super::connection::Oversize;
use crate::config::http_headers::Headers;

/// How long nothing is sent before the other side is asked for a sign of life; if there is none within as long again, the
/// connection is given up. So a silent peer is noticed within 20 seconds, less than two blocks of Ethereum. While requests
/// are sent more often than this there are no pings, and it is the requests that time out.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// How many bytes are read at once: many answers, or a part of a large one. The whole buffer is filled with zeros for each read,
/// so that one of the usual 128 kB is slower.
const READ_BYTES: usize = 16 * 1_024;

/// How to connect. alloy's own `WsConnect` sends no headers but `Authorization`.
pub(super) struct WsDial {
    pub(super) url: Url,
    pub(super) headers: Headers,
    pub(super) response_bytes_max: usize,
    pub(super) oversize: Arc<Oversize>,
}

impl WsDial {
    /// Connects, and hands the connection to alloy.
    pub(super) async fn connect(&self) -> TransportResult<ConnectionHandle> {
        let mut request = self
            .url
            .as_str()
            .into_client_request()
            .map_err(TransportErrorKind::custom)?;
        let headers = request.headers_mut();
        if let Some(authorization) = Authorization::extract_from_url(&self.url) {
            let mut value = HeaderValue::from_str(&authorization.to_string()).map_err(TransportErrorKind::custom)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        headers.extend(self.headers.map().clone());
        if CryptoProvider::get_default().is_none() {
            // If another part of the program is quicker, its choice is as good.
            let _ = aws_lc_rs::default_provider().install_default();
        }
        let size = Some(self.response_bytes_max);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .max_message_size(size)
            .max_frame_size(size);
        // Requests are small, and what can go together goes together below: nothing has to wait for an answer to be sent.
        let no_delay = true;
        let connecting = tokio_tungstenite::connect_async_with_config(request, Some(config), no_delay);
        let (socket, _) = connecting.await.map_err(TransportErrorKind::custom)?;
        let (handle, interface) = ConnectionHandle::new();
        serve(socket, interface, Arc::clone(&self.oversize)).spawn_task();
        Ok(handle)
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Carries messages until either side is gone. alloy's own backend sends every request by itself, and sets a timer with each.
async fn serve(mut socket: Socket, mut interface: ConnectionInterface, oversize: Arc<Oversize>) {
    // Why it ended is of no use: the endpoint connects anew whatever it was.
    let _ = carry(&mut socket, &mut interface, &oversize).await;
    interface.close_with_error();
}

/// Does the work of [`serve`], and returns none in the end.
async fn carry(socket: &mut Socket, interface: &mut ConnectionInterface, oversize: &Oversize) -> Option<Infallible> {
    let mut keepalive = pin!(sleep(KEEPALIVE));
    let mut sent_at = Instant::now();
    let mut awaits_pong = false;
    loop {
        tokio::select! {
            biased;
            request = interface.recv_from_frontend() => {
                send(socket, request?, interface).await?;
                sent_at = Instant::now();
            }
            () = &mut keepalive => {
                if sent_at.elapsed() >= KEEPALIVE {
                    if awaits_pong {
                        return None;
                    }
                    socket.send(Message::Ping(Bytes::new())).await.ok()?;
                    sent_at = Instant::now();
                    awaits_pong = true;
                }
                keepalive.as_mut().reset(sent_at + KEEPALIVE);
            }
            message = socket.next() => match received(message?, oversize)? {
                Message::Text(text) => interface.send_to_frontend(serde_json::from_str(&text).ok()?).ok()?,
                Message::Pong(_) => awaits_pong = false,
                Message::Ping(_) | Message::Frame(_) => {}
                Message::Binary(_) | Message::Close(_) => return None,
            },
        }
    }
}

/// What came in, or none if that was an error: the connection ends.
fn received(message: Result<Message, Error>, oversize: &Oversize) -> Option<Message> {
    if let Err(Error::Capacity(_)) = &message {
        oversize.found();
    }
    message.ok()
}

/// Sends a request, and together with it all that are asked for until everybody else has had a turn.
async fn send(socket: &mut Socket, request: Box<RawValue>, interface: &mut ConnectionInterface) -> Option<()> {
    feed(socket, request, interface).await?;
    yield_now().await;
    if let Some(request) = interface.recv_from_frontend().now_or_never() {
        feed(socket, request?, interface).await?;
    }
    socket.flush().await.ok()
}

/// Writes a request, and all that wait behind it, where the socket keeps them until it is flushed, or has enough to send.
async fn feed(socket: &mut Socket, request: Box<RawValue>, interface: &mut ConnectionInterface) -> Option<()> {
    let mut next = Some(request);
    while let Some(request) = next {
        let text = Box::<str>::from(request).into_string();
        socket.feed(Message::Text(text.into())).await.ok()?;
        next = interface.recv_from_frontend().now_or_never().flatten();
    }
    Some(())
}
