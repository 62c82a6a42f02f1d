//! JSON-RPC over http. Bounds the size of an answer while it is read.

use std::task::{Context, Poll};

use alloy_json_rpc::{RequestPacket, ResponsePacket, RpcError};
use alloy_transport::{TransportError, TransportErrorKind, TransportFut};
use nexum_net::{HTTP_PROTOCOLS, ReadError, io_cause, read_bounded, retry_after, tls_config};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Response, StatusCode, redirect};
use tower_service::Service;
use url::Url;

use super::loose;
use crate::error::RequestError;
use nexum_net::HttpHeaders;

/// The most bytes of an error's body that are searched for a text: several times the bytes that
/// nexum passes on.
const BODY_TEXT_BYTES_MAX: usize = 8 * 1_024;

/// An alloy transport. alloy's own transport reads an answer of any size into memory, and writes
/// the URL into its spans.
#[derive(Clone)]
pub(super) struct BoundedHttp {
    client: Client,
    url: Url,
    response_bytes_max: usize,
}

impl BoundedHttp {
    /// `use_proxy` selects the proxy that the environment names. The proxy sees the keys in `http`
    /// URLs.
    pub(super) fn new(
        url: Url,
        headers: &HttpHeaders,
        response_bytes_max: usize,
        use_proxy: bool,
    ) -> Result<Self, RequestError> {
        // JSON-RPC has no redirects of a POST, and a redirect would let an endpoint choose the
        // destination.
        let client = nexum_net::http_client()
            .redirect(redirect::Policy::none())
            .referer(false);
        let client = if use_proxy { client } else { client.no_proxy() };
        let client = client.default_headers(headers.map().clone());
        let client = match url.scheme() {
            "https" => client.tls_backend_preconfigured(tls_config(HTTP_PROTOCOLS).map_err(RequestError::Tls)?),
            _ => client,
        };
        let client = client.build().map_err(|_| RequestError::Internal)?;
        Ok(Self {
            client,
            url,
            response_bytes_max,
        })
    }

    async fn send(self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let is_batch = packet.as_batch().is_some();
        let body = packet.serialize().map_err(TransportError::ser_err)?;
        let request = self
            .client
            .post(self.url)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let response = request
            .body(Box::<str>::from(body).into_string())
            .send()
            .await
            .map_err(|error| failed(&error))?;
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let body = read(response, self.response_bytes_max).await?;
        let packet = loose::packet(&body);
        match packet {
            Ok(packet) if status.is_success() || says_more(&packet, status) => {
                if is_batch {
                    refusal(packet)
                } else {
                    Ok(packet)
                }
            }
            packet if !status.is_success() => {
                let text = text_of(packet.ok().as_ref(), &body);
                Err(own(RequestError::from_status(status.as_u16(), retry_after, text)))
            }
            _ => Err(own(RequestError::Malformed)),
        }
    }
}

/// Whether the body of an error status is more precise than the status: some endpoints put the
/// fault of the request there.
fn says_more(packet: &ResponsePacket, status: StatusCode) -> bool {
    let Some(error) = packet.iter_errors().next() else {
        return false;
    };
    match status {
        StatusCode::UNAUTHORIZED
        | StatusCode::PAYMENT_REQUIRED
        | StatusCode::FORBIDDEN
        | StatusCode::PROXY_AUTHENTICATION_REQUIRED
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS => false,
        // The endpoint's own trouble, unless the error has a known meaning.
        status if status.is_server_error() => RequestError::is_specific(error),
        _ => true,
    }
}

/// The text in the body of an error status, still with secrets: the message of a JSON-RPC error, or
/// the first line of a body that is not markup.
fn text_of(packet: Option<&ResponsePacket>, body: &[u8]) -> Option<String> {
    if let Some(error) = packet.and_then(|packet| packet.iter_errors().next()) {
        return Some(error.message.to_string());
    }
    let is_whole = body.len() <= BODY_TEXT_BYTES_MAX;
    let text = String::from_utf8_lossy(&body[..body.len().min(BODY_TEXT_BYTES_MAX)]);
    let line = text.trim_start().lines().next()?.trim_end();
    // A part of a secret would not be recognised, so the text ends at a word boundary.
    let end = if is_whole {
        line.len()
    } else {
        line.rfind(char::is_whitespace)?
    };
    Some(line[..end].to_owned()).filter(|line| !line.is_empty() && !line.starts_with('<'))
}

/// One error in response to a batch is the answer to each of its requests. alloy would search it
/// for their ids.
fn refusal(packet: ResponsePacket) -> Result<ResponsePacket, TransportError> {
    match packet {
        ResponsePacket::Single(response) => match response.payload.as_error() {
            Some(error) => Err(RpcError::ErrorResp(error.clone())),
            None => Ok(ResponsePacket::Single(response)),
        },
        batch @ ResponsePacket::Batch(_) => Ok(batch),
    }
}

async fn read(response: Response, bytes_max: usize) -> Result<Vec<u8>, TransportError> {
    read_bounded(response, bytes_max).await.map_err(|error| match error {
        ReadError::Lost(error) => failed(&error),
        _ => own(RequestError::TooLarge { bytes_max }),
    })
}

fn own(error: RequestError) -> TransportError {
    TransportErrorKind::custom(error)
}

/// Converts an error of reqwest. Its text contains the URL, so only the cause is kept.
fn failed(error: &reqwest::Error) -> TransportError {
    own(match RequestError::from_connect(error) {
        RequestError::Unreachable { cause } if !error.is_connect() => RequestError::Lost { cause },
        // After the handshake, it means a lost connection.
        RequestError::Tls(_) if !error.is_connect() => RequestError::Lost { cause: io_cause(error) },
        failure => failure,
    })
}

impl Service<RequestPacket> for BoundedHttp {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        Box::pin(self.clone().send(packet))
    }
}
