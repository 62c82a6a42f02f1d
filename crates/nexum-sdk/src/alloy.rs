//! The provider of alloy, over the host's requests: for code that needs all of alloy.
//!
//! Calls that are awaited together are one batch, as those of [`Chain`]. Do not wait for
//! anything that takes time, such as the receipt of a transaction that is sent: a module has no
//! timers.
//!
//! alloy depends on `wasm-bindgen` on the target `wasm32-unknown-unknown`, which no component can
//! import. A module with this feature is built for `wasm32-wasip2`. Such a component imports
//! interfaces of WASI, which nexum serves to each module, closed.
//!
//! ```
//! # async fn example() -> nexum_sdk::Result {
//! use nexum_sdk::alloy::{Provider, provider};
//! use nexum_sdk::{Address, Chain};
//!
//! let balance = provider(Chain::new(1)).get_balance(Address::ZERO).await?;
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::task::{Context, Poll};

use alloy_json_rpc::{ErrorPayload, RequestPacket, Response, ResponsePacket, ResponsePayload, SerializedRequest};
pub use alloy_provider::{Provider, RootProvider};
use alloy_rpc_client::RpcClient;
use alloy_transport::{TransportError, TransportErrorKind, TransportFut};
use serde_json::value::{RawValue, to_raw_value};
use tower_service::Service;

use crate::{Chain, Error, executor, try_join_all};

/// A provider for a chain. Its reads describe the block that each call names, by default the latest;
/// [`Chain::at`] has no effect on them.
pub fn provider(chain: Chain) -> RootProvider {
    RootProvider::new(RpcClient::new(Transport { chain_id: chain.id() }, false))
}

/// The error of the host that made a call of the provider fail. `None` for a failure of alloy itself,
/// and for an error that the endpoint answered, which is [`TransportError::ErrorResp`].
pub fn host_error(error: &TransportError) -> Option<&Error> {
    let TransportError::Transport(TransportErrorKind::Custom(failure)) = error else {
        return None;
    };
    failure.downcast_ref::<Failure>().map(|Failure(error)| error)
}

/// The host as alloy's transport.
#[derive(Clone, Copy, Debug)]
struct Transport {
    chain_id: u64,
}

impl Service<RequestPacket> for Transport {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, requests: RequestPacket) -> TransportFut<'static> {
        let chain_id = self.chain_id;
        Box::pin(async move {
            Ok(match requests {
                RequestPacket::Single(request) => ResponsePacket::Single(answer(chain_id, request).await?),
                RequestPacket::Batch(requests) => {
                    let answers = requests.into_iter().map(|request| answer(chain_id, request));
                    ResponsePacket::Batch(try_join_all(answers).await?)
                }
            })
        })
    }
}

async fn answer(chain_id: u64, request: SerializedRequest) -> Result<Response, TransportError> {
    let params = request.params().map_or("[]", RawValue::get).to_owned();
    let answer = executor::Response::of(chain_id, request.method_clone(), params).await;
    let payload = match answer {
        Ok(json) => ResponsePayload::Success(RawValue::from_string(json).map_err(TransportError::ser_err)?),
        // The endpoint answered, so the error has the endpoint's code.
        Err(error) if error.code() != 0 => ResponsePayload::Failure(ErrorPayload {
            code: error.code().into(),
            message: error.message().to_owned().into(),
            data: error
                .data()
                .map(to_raw_value)
                .transpose()
                .map_err(TransportError::ser_err)?,
        }),
        Err(error) => return Err(TransportErrorKind::custom(Failure(error))),
    };
    Ok(Response {
        id: request.id().clone(),
        payload,
    })
}

/// An error of the host for alloy, which takes only types with [`std::error::Error`].
#[derive(Debug)]
struct Failure(Error);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failure {}
