//! A connection over ws.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use alloy_pubsub::{ConnectionHandle, ConnectionInterface};
use alloy_transport::utils::Spawnable as _;
use alloy_transport::{Authorization, TransportErrorKind, TransportResult};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use nexum_net::tls_config;
use percent_encoding::percent_decode_str;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream};
use url::Url;

use super::connection::Oversize;
use super::loose;
use crate::error::RequestError;
use nexum_net::HttpHeaders;

/// The time without a message after which nexum sends a ping. Without any message for another such
/// time, nexum drops the connection. So it notices a silent peer within 20 seconds, less than two
/// blocks of Ethereum. While requests are more frequent than this, there are no pings: the requests
/// time out.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// The bytes of one read: many answers, or a part of a large one. Each read fills the whole buffer
/// with zeros, so the usual 128 kB would be slower.
const READ_BYTES: usize = 16 * 1_024;

/// The parameters of a connection. alloy's own `WsConnect` sends no headers except `Authorization`.
pub(super) struct WsDial {
    pub(super) url: Url,
    pub(super) headers: HttpHeaders,
    pub(super) response_bytes_max: usize,
    pub(super) oversize: Arc<Oversize>,
}

impl WsDial {
    /// Connects, and passes the connection to alloy.
    pub(super) async fn connect(&self) -> TransportResult<ConnectionHandle> {
        let mut request = self
            .url
            .as_str()
            .into_client_request()
            .map_err(TransportErrorKind::custom)?;
        let headers = request.headers_mut();
        if !self.url.username().is_empty() || self.url.password().is_some() {
            // A URL contains reserved characters percent-encoded (RFC 3986).
            let decoded = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
            let password = decoded(self.url.password().unwrap_or_default());
            let authorization = Authorization::basic(decoded(self.url.username()), password);
            let mut value = HeaderValue::from_str(&authorization.to_string()).map_err(TransportErrorKind::custom)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        headers.extend(self.headers.map().clone());
        let size = Some(self.response_bytes_max);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .max_message_size(size)
            .max_frame_size(size);
        // Requests are small, and `feed` writes concurrent ones together. Waiting for more data
        // would only delay them.
        let no_delay = true;
        let connector = match self.url.scheme() {
            "wss" => {
                // HTTP/2 has no upgrade, so the client offers no protocol.
                let tls = tls_config(&[]).map_err(|fault| TransportErrorKind::custom(RequestError::Tls(fault)))?;
                Connector::Rustls(Arc::new(tls))
            }
            _ => Connector::Plain,
        };
        let connecting =
            tokio_tungstenite::connect_async_tls_with_config(request, Some(config), no_delay, Some(connector));
        let (socket, _) = connecting.await.map_err(TransportErrorKind::custom)?;
        let (handle, interface) = ConnectionHandle::new();
        serve(socket, interface, KEEPALIVE, Arc::clone(&self.oversize)).spawn_task();
        Ok(handle)
    }
}

/// A transport whose peer may delay data until this side has acknowledged earlier data.
trait Acknowledge {
    /// Acknowledges received data, and the next data, without the usual delay.
    fn acknowledge(&self);
}

impl Acknowledge for MaybeTlsStream<TcpStream> {
    /// A peer with Nagle's algorithm sends the second of two small answers after the
    /// acknowledgement of the first, which Linux delays by 40 ms. The system may reset this option
    /// at any time, so it is set again for each message.
    fn acknowledge(&self) {
        let stream = match self {
            Self::Plain(stream) => stream,
            Self::Rustls(stream) => stream.get_ref().0,
            _ => return,
        };
        #[cfg(any(target_os = "linux", target_os = "android"))]
        // A failure only makes answers late.
        let _ = stream.set_quickack(true);
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let _ = stream;
    }
}

/// Carries messages until either side ends the connection. alloy's own backend sends every request
/// separately, and sets a timer for each.
async fn serve<S>(
    mut socket: WebSocketStream<S>,
    mut interface: ConnectionInterface,
    patience: Duration,
    oversize: Arc<Oversize>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Acknowledge,
{
    // The reason does not matter: the endpoint reconnects after every failure.
    let _ = carry(&mut socket, &mut interface, patience, &oversize).await;
    interface.close_with_error();
}

/// Carries messages for [`serve`]. Returns None at the end.
async fn carry<S>(
    socket: &mut WebSocketStream<S>,
    interface: &mut ConnectionInterface,
    patience: Duration,
    oversize: &Oversize,
) -> Option<Infallible>
where
    S: AsyncRead + AsyncWrite + Unpin + Acknowledge,
{
    let mut keepalive = pin!(sleep(patience));
    let mut sent_at = Instant::now();
    let mut awaits_pong = false;
    loop {
        socket.get_ref().acknowledge();
        tokio::select! {
            biased;
            request = interface.recv_from_frontend() => {
                send(socket, request?, interface).await?;
                sent_at = Instant::now();
            }
            () = &mut keepalive => {
                if sent_at.elapsed() >= patience {
                    if awaits_pong {
                        return None;
                    }
                    socket.send(Message::Ping(Bytes::new())).await.ok()?;
                    sent_at = Instant::now();
                    awaits_pong = true;
                }
                keepalive.as_mut().reset(sent_at + patience);
            }
            message = socket.next() => {
                let message = received(message?, oversize)?;
                // Every message counts: some servers do not answer pings.
                awaits_pong = false;
                match message {
                    Message::Text(text) => interface.send_to_frontend(loose::item(text.as_bytes()).ok()?).ok()?,
                    Message::Binary(bytes) => interface.send_to_frontend(loose::item(&bytes).ok()?).ok()?,
                    Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                    Message::Close(_) => return None,
                }
            },
        }
    }
}

/// The received message. None after an error, which ends the connection.
fn received(message: Result<Message, Error>, oversize: &Oversize) -> Option<Message> {
    if let Err(Error::Capacity(_)) = &message {
        oversize.found();
    }
    message.ok()
}

/// Sends a request, together with all requests that other tasks make meanwhile.
async fn send<S>(
    socket: &mut WebSocketStream<S>,
    request: Box<RawValue>,
    interface: &mut ConnectionInterface,
) -> Option<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    feed(socket, request, interface).await?;
    yield_now().await;
    if let Some(request) = interface.recv_from_frontend().now_or_never() {
        feed(socket, request?, interface).await?;
    }
    socket.flush().await.ok()
}

/// Writes a request and all waiting ones into the socket's buffer, which is sent when it is flushed
/// or full.
async fn feed<S>(
    socket: &mut WebSocketStream<S>,
    request: Box<RawValue>,
    interface: &mut ConnectionInterface,
) -> Option<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut next = Some(request);
    while let Some(request) = next {
        let text = Box::<str>::from(request).into_string();
        socket.feed(Message::Text(text.into())).await.ok()?;
        next = interface.recv_from_frontend().now_or_never().flatten();
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    impl Acknowledge for DuplexStream {
        fn acknowledge(&self) {}
    }

    /// The most bytes on the way: more than a test sends.
    const ON_THE_WAY_BYTES_MAX: usize = 65_536;

    /// The longest wait of a test's server for a message.
    const PATIENCE: Duration = Duration::from_millis(500);

    const HEAD: &[u8] = br#"{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1","result":{}}}"#;

    /// A connection whose server answers each ping with these bytes instead of a pong. Returns the
    /// number of pings.
    async fn pings(answer: &[u8]) -> usize {
        let (ours, mut theirs) = tokio::io::duplex(ON_THE_WAY_BYTES_MAX);
        let socket = WebSocketStream::from_raw_socket(ours, Role::Client, None).await;
        let (_handle, interface) = ConnectionHandle::new();
        let mut pings = 0;
        let server = async {
            // A ping of a client: type, length and mask.
            let mut ping = [0; 6];
            while pings < 3 && theirs.read_exact(&mut ping).await.is_ok() {
                assert_eq!(ping[..2], [0x89, 0x80]);
                pings += 1;
                theirs.write_all(answer).await.unwrap();
            }
            // The connection stays open.
            if pings < 3 {
                std::future::pending().await
            }
        };
        tokio::select! {
            () = serve(socket, interface, PATIENCE, Arc::new(Oversize::new(1 << 20))) => {}
            () = server => {}
        }
        pings
    }

    fn frame(kind: u8) -> Vec<u8> {
        let length = u8::try_from(HEAD.len()).unwrap();
        [&[kind, length], HEAD].concat()
    }

    #[tokio::test]
    async fn a_message_is_a_sign_of_life_as_a_pong_is() {
        let (text, binary) = (frame(0x81), frame(0x82));
        assert_eq!(pings(&[]).await, 1);
        assert_eq!(pings(&text).await, 3);
        assert_eq!(pings(&binary).await, 3);
    }
}
