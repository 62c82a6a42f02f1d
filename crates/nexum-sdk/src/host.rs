//! The functions of the host: on wasm the imports of the component, natively the mock of
//! [`testing`](crate::testing).
//!
//! The functions are free, not methods of a trait object: a component imports only what it calls.

#[cfg(not(target_arch = "wasm32"))]
mod mock;
#[cfg(target_arch = "wasm32")]
mod wasm;

#[cfg(not(target_arch = "wasm32"))]
pub use mock::Host;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use mock::*;
#[cfg(target_arch = "wasm32")]
pub(crate) use wasm::*;

/// The most requests of one batch: the host refuses more.
pub(crate) const BATCH_REQUESTS_MAX: usize = 100;

/// The most bytes of the parameters of a request, and of all requests of a batch: the host refuses
/// more.
pub(crate) const PARAMS_BYTES_MAX: usize = 1_024 * 1_024;
