//! JSON-RPC over ws and ipc.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alloy_pubsub::{ConnectionHandle, PubSubConnect};
use alloy_transport::{TransportErrorKind, TransportResult};
use url::Url;

use super::connection::Oversize;
use super::ipc;
use super::ws::WsDial;
use nexum_net::HttpHeaders;

/// Connects once. alloy would reconnect by itself: without a check of the chain id, without a
/// report of the missed heads, and with a repetition of requests. Here a lost connection stays
/// lost, all of its users get an error, and the endpoint makes a new one.
pub(super) struct ConnectOnce {
    to: To,
    dead: Arc<AtomicBool>,
}

enum To {
    Ws(WsDial),
    Ipc {
        path: PathBuf,
        response_bytes_max: usize,
        oversize: Arc<Oversize>,
    },
}

impl ConnectOnce {
    /// A connection over ws. It sets `dead` when it is lost.
    pub(super) fn ws(
        url: &Url,
        headers: &HttpHeaders,
        response_bytes_max: usize,
        dead: &Arc<AtomicBool>,
        oversize: &Arc<Oversize>,
    ) -> Self {
        Self {
            to: To::Ws(WsDial {
                url: url.clone(),
                headers: headers.clone(),
                response_bytes_max,
                oversize: Arc::clone(oversize),
            }),
            dead: Arc::clone(dead),
        }
    }

    /// A connection over a unix socket. It sets `dead` when it is lost.
    pub(super) fn ipc(
        path: &Path,
        response_bytes_max: usize,
        dead: &Arc<AtomicBool>,
        oversize: &Arc<Oversize>,
    ) -> Self {
        Self {
            to: To::Ipc {
                path: path.to_owned(),
                response_bytes_max,
                oversize: Arc::clone(oversize),
            },
            dead: Arc::clone(dead),
        }
    }
}

impl PubSubConnect for ConnectOnce {
    fn is_local(&self) -> bool {
        matches!(self.to, To::Ipc { .. })
    }

    async fn connect(&self) -> TransportResult<ConnectionHandle> {
        match &self.to {
            To::Ws(ws) => ws.connect().await,
            To::Ipc {
                path,
                response_bytes_max,
                oversize,
            } => ipc::connect(path, *response_bytes_max, oversize)
                .await
                .map_err(TransportErrorKind::custom),
        }
    }

    /// alloy calls this once, when the connection is lost.
    async fn try_reconnect(&self) -> TransportResult<ConnectionHandle> {
        self.dead.store(true, Ordering::Relaxed);
        Err(TransportErrorKind::non_retryable_str("the connection is lost"))
    }
}
