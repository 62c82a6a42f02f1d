//! Ethereum for modules: the `nexum:host/chain` capability, and the source of block events, over JSON-RPC.
//!
//! # How data flows
//!
//! [`Chains`] is made once from the `[chains.<id>]` tables of `engine.toml`. Each chain has one pool of [`Endpoints`], which two
//! share: the capability [`Chain`] carries modules' requests to it, and [`ChainSource`] follows heads, and the logs of each block,
//! into the core's event logs.
//! A connection is made at the first use, and made anew by whoever needs it after it has died.
//!
//! A module's request is checked (`capability::requests`), pinned to its event's block if its manifest says so ([`pin`]), shared
//! with an equal one in flight or answered from the cache (`capability::reads`), and sent to the best endpoint ([`Endpoints`]),
//! which is limited, measured and judged by what becomes of it ([`Endpoint`]).
//!
//! # Where to look
//!
//! | module | what it owns |
//! |---|---|
//! | [`methods`], `error`, `redact`, [`metrics`] | which methods only read, why a request failed, secrets, the names of what is measured |
//! | [`config`] | `[chains.<id>]`, its endpoints with their URLs and headers |
//! | `rpc` | one endpoint with its connections, limits and health; the pool of a chain's endpoints, and retries |
//! | `source` | blocks and logs: following, verifying, reorganisations, replay |
//! | `capability` | what modules ask: checks, pins, shared reads, the WIT implementation |
//!
//! `rpc` refers to the rows above it, `source` to `rpc`, and `capability` to all. `cargo xtask isolation` checks that there is no
//! circle.
//!
//! # What a guest sees of a failure
//!
//! The `domain` is `chain`. `code` is the JSON-RPC code or the HTTP status where the endpoint gave one, else 0.
//!
//! | kind | when |
//! |---|---|
//! | `unsupported` | the chain is not configured; the endpoint does not have the method (-32601, -32004) |
//! | `denied` | the method is not allowed; the answer is over `response_bytes_max` |
//! | `invalid-input` | parameters that are no JSON array, or over a bound; the endpoint says so (-32600, -32602, -32700, -32003, HTTP 413); a range too wide, or with too many results; a revert |
//! | `rate-limited` | HTTP 429; -32005, -32029, 429, or words that say so |
//! | `timeout` | no answer within `request_timeout_ms`; HTTP 408 or 504 |
//! | `unavailable` | no connection, no TLS (the message names a certificate's fault), any other HTTP status, an answer that is not JSON-RPC, a wrong chain id or none, any other code |
//! | `internal` | a fault of this host |
//!
//! A revert (code 3, or -32000 and -32015 with a text that says so) is `invalid-input`: the endpoint did its work, and will
//! give the same answer to the same call, so that nothing is won by calling again. `data` holds what the contract reverted
//! with, `0x` and hex; `0x` alone if it reverted with nothing. No other failure has `data`.
//!
//! Over ws and ipc, an answer over the bound ends the connection, because there is no other way not to receive it. A request
//! that was the only one on the connection is `denied`. Otherwise any of them may be the one, and each is `unavailable` after its
//! retries.
//!
//! # Assumptions
//!
//! - Endpoints are hostile: whatever they send is bounded before it is held, and checked before it is believed.
//! - The address of an endpoint is a secret beyond its scheme, host and port.
//!
//! # Invariants
//!
//! - No log, error, metric or `Debug` of this crate holds more of an address than scheme, host and port, or the value of a header;
//!   what a guest sees holds nothing.
//!   The libraries below keep no such promise: see [`SILENCED_LOG_TARGETS`].
//! - Parameters go out, and results come in, as the text that they are. They are never encoded anew.
//! - A request that is not known to read only ([`methods::READ_METHODS`]) reaches at most one endpoint, at most once. A read is
//!   sent again after a failure that may pass, up to `retries` times, within a bounded time: see [`Endpoints::request`].
//! - What a module asks cannot put an endpoint to rest: an error in words counts against an endpoint only for the method that was
//!   asked for, and only after another endpoint has answered the identical request. An HTTP status that parameters do not cause,
//!   such as 401 or 403, counts at once, for that method too.
//! - No refusal reaches a module while an endpoint that may answer has not been asked, within `retries`. A revert does at once.
//! - Nothing is taken from an endpoint before it has said the configured chain id: for each connection over ws and ipc; over
//!   http, where connections do not show, at the first request and after each outage.
//! - A header's bloom is a hint. A block is skipped for it only with `verify_logs = "bloom"`, and only while the chain's blooms are
//!   seen to be true. What a header denies and two answers have is delivered, so that a wrong header cannot stop a chain.
//! - No block is appended to a log before all of its logs that somebody wants are known: a request that fails is asked again, and
//!   nothing passes it.

/// Log targets of the libraries below, as prefixes, which whoever sets up logging must turn off whatever level an operator asks
/// for: at `trace` they show whole requests, address and credentials included, and what an endpoint echoes of them, and at
/// `error` they repeat what this crate says once.
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

pub use capability::chains::{Chain, Chains, ModuleChains};
pub use capability::pin;
pub use capability::reads::{PINNED_BYTES_MAX, PINNED_ENTRIES_MAX};
pub use capability::requests::{BATCH_REQUESTS_MAX, PARAMS_BYTES_MAX};
pub use config::endpoint_url::{EndpointUrl, EndpointUrlError};
pub use config::http_headers::{HEADER_VALUE_BYTES_MAX, HEADERS_MAX, HttpHeaders, HttpHeadersError};
pub use config::{ChainConfig, EndpointConfig, REORG_DEPTH_MAX, VerifyLogs};
pub use error::{AnswerKind, MESSAGE_BYTES_MAX, RequestError, Retry};
pub use methods::METHOD_BYTES_MAX;
pub use nexum_net::TlsFault;
pub use rpc::endpoint::{Answer, Endpoint, Heads, RpcRequest};
pub use rpc::endpoints::{BLOCKS_BEHIND_MAX, Endpoints, NotReady};
pub use source::ChainSource;

pub mod config;
pub mod methods;
pub mod metrics;

mod capability;
mod rpc;
mod source;

mod error;
mod redact;

mod bindings;
