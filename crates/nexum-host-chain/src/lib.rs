//! Ethereum for modules: the `nexum:host/chain` capability, and the source of block events, over JSON-RPC.
//!
//! # How data flows
//!
//! `[chains.<id>]` of `engine.toml` configures one [`Chains`] for the whole host. Each chain has
//! one pool of [`Endpoints`]. Two parts share it: the capability [`Chain`] sends modules' requests,
//! and [`ChainSource`] follows heads, and writes each block with its logs into the core's event
//! logs. An endpoint connects at the first request, and reconnects at the first request after a
//! lost connection.
//!
//! A module's request is checked (`capability::requests`) and pinned to its event's block if its
//! manifest says so ([`pin`]). Then it is answered from the cache, shared with an equal request in
//! flight (`capability::reads`), or sent to the best endpoint ([`Endpoints`]). The outcome counts
//! for the endpoint's rate limit, metrics and health ([`Endpoint`]). Another part of the host can answer methods before
//! any endpoint: see [`Chains::with_methods`]. Such a part reads the chains, and submits signed transactions, through
//! [`ChainAccess`](nexum_core::capability::ChainAccess).
//!
//! # Code map
//!
//! | module | content |
//! |---|---|
//! | [`methods`], `error`, `redact`, [`metrics`], `modules`, `wall` | the methods that only read, the errors of a request, secrets, the names of the metrics, the counts of modules' requests, times of day |
//! | [`config`] | `[chains.<id>]`, its endpoints with their URLs and headers |
//! | `rpc` | one endpoint with its connections, limits and health; the pool of a chain's endpoints, and retries; the places where a chain takes transactions |
//! | `source` | blocks and logs: following, verifying, reorgs, replay |
//! | [`probe`] | checks of endpoints, for an operator |
//! | `capability` | modules' requests: checks, pins, shared reads, the WIT implementation |
//!
//! `rpc` refers to the rows above it, `source` and `probe` also to `rpc`, and `capability` to all.
//! `cargo xtask isolation` checks that there is no circle.
//!
//! # Errors that a guest sees
//!
//! The `domain` is `chain`. `code` is the JSON-RPC code or the HTTP status if there is one, else 0.
//!
//! | kind | when |
//! |---|---|
//! | `unsupported` | the chain is not configured; the endpoint does not have the method (-32601, -32004) |
//! | `denied` | the method is not allowed; the answer is larger than `response_bytes_max` |
//! | `invalid-input` | parameters that are not a JSON array, or exceed a bound; the endpoint says so (-32600, -32602, -32700, -32003, HTTP 413); a range that is too wide, or has too many results; a revert |
//! | `rate-limited` | HTTP 429; -32005, -32029, 429, or a text that says so |
//! | `timeout` | no answer within `request_timeout_ms`; HTTP 408 or 504 |
//! | `unavailable` | no connection, no TLS (the message names a certificate's fault), any other HTTP status, an answer that is not JSON-RPC, a wrong or missing chain id, any other code |
//! | `internal` | a fault of this host |
//!
//! A revert (code 3, or -32000 and -32015 with a text that says so) is `invalid-input`: the
//! endpoint ran the call, and another attempt would return the same result. `data` is the data of
//! the contract's revert, as `0x` and hex, or `0x` for a revert without data. No other failure has
//! `data`.
//!
//! Over ws and ipc, an answer above the bound ends the connection, because there is no other way
//! not to receive it. The only request on the connection is then `denied`. Of several requests, any
//! may be the one with the large answer, so each is `unavailable` after its retries.
//!
//! # Assumptions
//!
//! - Endpoints are hostile: the crate bounds their data before it stores it, and checks it before
//!   it uses it.
//! - The address of an endpoint is a secret beyond scheme, host and port.
//!
//! # Invariants
//!
//! - No log, error, metric or `Debug` of this crate contains more of an address than scheme, host
//!   and port, or the value of a header. A guest sees no part of an address. The libraries below do
//!   not guarantee this: see [`SILENCED_LOG_TARGETS`].
//! - The crate sends parameters and returns results as unchanged text.
//! - A request that is not known to be read-only ([`methods::READ_METHODS`]) reaches at most one
//!   endpoint, at most once. The crate retries a read after a temporary failure, up to `retries`
//!   times, within a bounded time: see [`Endpoints::request`].
//! - No request of a module can take an endpoint out of use. A JSON-RPC error counts against an
//!   endpoint only for the requested method, and only after another endpoint has answered the
//!   identical request. An HTTP status that parameters do not cause, such as 401 or 403, counts at
//!   once, also only for that method.
//! - A module receives a refusal only after every endpoint that may answer has been asked, within
//!   `retries`. It receives a revert at once.
//! - The crate uses no answer of an endpoint before the endpoint has confirmed the configured chain
//!   id. Over ws and ipc, it checks each connection. Over http, where connections are not visible,
//!   it checks at the first request and after each outage. A place of `[[chains.<id>.submit]]` confirms nothing: it gets
//!   signed transactions alone, which contain the chain id, and its answer never moves a chain.
//! - A header's bloom is a hint. The source skips a block because of it only with
//!   `verify_logs = "bloom"`, and only while the chain's blooms prove to be true. The source
//!   delivers logs that a header denies if two answers contain them, so that a wrong header cannot
//!   stop a chain.
//! - The source appends a block to a log only after it knows all logs of the block that a module
//!   subscribes to. It retries a failed request, and appends no later block before.

/// Log targets of the libraries below, as prefixes. The embedder must turn them off at every log
/// level. At `trace` they show whole requests with address and credentials, and the parts that an
/// endpoint echoes. At `error` they repeat messages of this crate.
pub const SILENCED_LOG_TARGETS: &[&str] = &[
    "alloy",
    "h2",
    "hyper",
    "reqwest",
    "rustls",
    "tokio_tungstenite",
    "tower",
    "tungstenite",
];

pub use capability::chain::{Chain, ModuleChains};
pub use capability::chains::Chains;
pub use capability::pin;
pub use capability::reads::{PINNED_BYTES_MAX, PINNED_ENTRIES_MAX};
pub use capability::replace::{ReplaceError, Replacement};
pub use capability::requests::{BATCH_REQUESTS_MAX, PARAMS_BYTES_MAX};
pub use config::endpoint_url::{EndpointUrl, EndpointUrlError};
pub use config::{ChainConfig, EndpointConfig, REORG_DEPTH_MAX, RelayConfig, SubmitConfig, VerifyLogs};
pub use error::{AnswerKind, MESSAGE_BYTES_MAX, RequestError, Retry};
pub use methods::METHOD_BYTES_MAX;
pub use nexum_net::TlsFault;
pub use nexum_net::{HEADER_VALUE_BYTES_MAX, HEADERS_MAX, HttpHeaders, HttpHeadersError};
pub use rpc::endpoint::{Answer, Endpoint, Heads, RpcRequest};
pub use rpc::endpoints::{BLOCKS_BEHIND_MAX, Endpoints, NotReady};
pub use source::ChainSource;

pub mod config;
pub mod methods;
pub mod metrics;
pub mod probe;

mod capability;
mod rpc;
mod source;

mod error;
mod modules;
mod redact;
mod wall;

mod bindings;
