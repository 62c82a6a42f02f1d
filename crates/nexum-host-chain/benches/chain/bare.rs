//! The baseline of the host: alloy, and a function that measures time.

use std::borrow::Cow;
use std::task::{Context, Poll};

use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_primitives::{Address, B256};
use alloy_provider::network::Ethereum;
use alloy_provider::{DynProvider, Provider, RootProvider};
use alloy_pubsub::RawSubscription;
use alloy_rpc_client::RpcClient;
use alloy_transport::{TransportError, TransportErrorKind, TransportFut};
use alloy_transport_ws::WsConnect;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::value::RawValue;
use tower_service::Service;

use crate::Result;

/// The most heads that a subscription buffers: all of a burst.
const HEADS_MAX: usize = 4_096;

/// alloy's provider, connected to a node over the transport in its URL.
pub(crate) async fn connect(url: &str) -> Result<DynProvider> {
    let client = if url.starts_with("ws") {
        RpcClient::connect_pubsub(WsConnect::new(url)).await?
    } else {
        let (client, url) = (nexum_net::http_client().build().expect("a client"), url.to_owned());
        RpcClient::new(Http { client, url }, true)
    };
    let provider = RootProvider::<Ethereum>::new(client).erased();
    request(&provider, "eth_chainId", "[]").await?;
    Ok(provider)
}

/// Sends one request, with the parameters' text unchanged.
pub(crate) async fn request(provider: &DynProvider, method: &'static str, params: &str) -> Result<Box<RawValue>> {
    let params = RawValue::from_string(params.to_owned())?;
    Ok(provider.raw_request_dyn(Cow::Borrowed(method), &params).await?)
}

/// The node's new heads.
pub(crate) async fn heads(provider: &DynProvider) -> Result<RawSubscription> {
    let client = provider.client();
    let frontend = client.pubsub_frontend().ok_or("a connection without subscriptions")?;
    frontend.set_channel_size(HEADS_MAX);
    let id: B256 = serde_json::from_str(request(provider, "eth_subscribe", r#"["newHeads"]"#).await?.get())?;
    Ok(frontend.get_subscription(id).await?)
}

/// The logs of a contract in the block of this header.
pub(crate) async fn logs_in(provider: &DynProvider, header: &RawValue, address: Address) -> Result<Box<RawValue>> {
    #[derive(Deserialize)]
    struct Header {
        hash: B256,
    }
    let Header { hash } = serde_json::from_str(header.get())?;
    let params = format!(r#"[{{"blockHash":"{hash}","address":["{address}"]}}]"#);
    request(provider, "eth_getLogs", &params).await
}

/// alloy's own http transport, which this build lacks, without spans.
#[derive(Clone)]
struct Http {
    client: reqwest::Client,
    url: String,
}

impl Http {
    async fn send(self, packet: RequestPacket) -> std::result::Result<ResponsePacket, TransportError> {
        let body = serde_json::to_vec(&packet).map_err(TransportError::ser_err)?;
        let request = self.client.post(&self.url).header(CONTENT_TYPE, "application/json");
        let response = request.body(body).send().await.map_err(TransportErrorKind::custom)?;
        let body = response.bytes().await.map_err(TransportErrorKind::custom)?;
        serde_json::from_slice(&body).map_err(TransportErrorKind::custom)
    }
}

impl Service<RequestPacket> for Http {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        Box::pin(self.clone().send(packet))
    }
}
