//! The state of one instance of a module.

use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime_wasi_http::WasiHttpCtx;

use crate::fetch::Fetcher;

/// The most requests of an instance through `wasi:http` that have no response yet or an unread one:
/// twice the default budget of fetches. Each holds a body of a request or of a response in the
/// host's memory.
pub const WASI_REQUESTS_MAX: usize = 16;

/// The most bytes of one `fields` of `wasi:http`, in which each header counts as 72 bytes more than
/// its text: as many as the headers of a response have. The guest traps above it.
pub const WASI_FIELDS_BYTES_MAX: usize = 72 * 1_024;

/// The most bytes of headers and unsent bodies that a guest of `wasi:http` holds: five hundred times
/// the headers of a request. The guest traps above it. The host counts each time when the guest has
/// added this amount, so it can hold twice as much meanwhile.
pub const WASI_HELD_BYTES_MAX: usize = 8 << 20;

/// The state of one instance of a module.
#[derive(Debug)]
pub struct HttpState {
    pub(crate) fetcher: Fetcher,
    /// wasmtime's settings for `wasi:http`.
    pub(crate) wasi: WasiHttpCtx,
    /// The bytes of headers and unsent bodies at the last count, and all that were added since.
    pub(crate) held: usize,
    /// A permit for each request through `wasi:http` without a response or with an unread one.
    pub(crate) permits: Arc<Semaphore>,
}

impl HttpState {
    pub(crate) fn new(fetcher: Fetcher) -> Self {
        let mut wasi = WasiHttpCtx::new();
        wasi.set_field_size_limit(WASI_FIELDS_BYTES_MAX);
        Self {
            fetcher,
            wasi,
            held: 0,
            permits: Arc::new(Semaphore::new(WASI_REQUESTS_MAX)),
        }
    }
}
