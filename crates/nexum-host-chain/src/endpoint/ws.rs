//! A connection over ws.

use std::time::Duration;

use alloy_pubsub::ConnectionHandle;
use alloy_transport::{Authorization, TransportErrorKind, TransportResult};
use alloy_transport_ws::{WebSocketConfig, WsBackend};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use url::Url;

use crate::headers::Headers;

/// How long nothing is sent before the other side is asked for a sign of life; if there is none within as long again, the
/// connection is given up. So a silent peer is noticed within 20 seconds, less than two blocks of Ethereum. While requests
/// are sent more often than this there are no pings, and it is the requests that time out.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// How to connect. alloy's own `WsConnect` sends no headers but `Authorization`.
pub(super) struct WsDial {
    pub(super) url: Url,
    pub(super) headers: Headers,
    pub(super) response_bytes_max: usize,
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
        let config = WebSocketConfig::default().max_message_size(size).max_frame_size(size);
        // Requests are small and must not wait for more to be sent.
        let no_delay = true;
        let connecting = tokio_tungstenite::connect_async_with_config(request, Some(config), no_delay);
        let (socket, _) = connecting.await.map_err(TransportErrorKind::custom)?;
        let (handle, interface) = ConnectionHandle::new();
        WsBackend::from_socket(socket, interface, KEEPALIVE).spawn();
        Ok(handle)
    }
}
