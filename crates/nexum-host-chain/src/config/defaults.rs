//! The values that keys have without an entry in the file.

use nexum_config::document::{Defaults, toml_string};

use super::{
    ChainConfig, HEAD_STALL_SECONDS, POLL_INTERVAL_MS, RELAY_BLOCKS, REORG_DEPTH_MAX, REQUEST_TIMEOUT_MS,
    RESPONSE_BYTES_MAX, RETRIES, STARTUP_TIMEOUT_MS,
};

impl ChainConfig {
    /// The keys of a chain, of an endpoint and of a submit place with their default values, by table. `*` is a chain id.
    pub fn defaults() -> Vec<(&'static str, Defaults)> {
        let number = |number: u64| Some(number.to_string());
        let chain = vec![
            ("rpc_url", None),
            ("extra_methods", Some("[]".to_owned())),
            ("request_timeout_ms", number(REQUEST_TIMEOUT_MS)),
            ("retries", number(RETRIES)),
            ("response_bytes_max", number(RESPONSE_BYTES_MAX)),
            ("poll_interval_ms", number(POLL_INTERVAL_MS)),
            ("reorg_depth_max", number(REORG_DEPTH_MAX)),
            ("head_stall_seconds", number(HEAD_STALL_SECONDS)),
            ("startup_timeout_ms", number(STARTUP_TIMEOUT_MS)),
            ("verify_logs", Some(toml_string("bloom"))),
            ("require_ws", Some("false".to_owned())),
            ("use_proxy", Some("false".to_owned())),
        ];
        let endpoint = vec![
            ("url", None),
            ("priority", number(0)),
            ("requests_per_second", None),
            ("max_log_range_blocks", None),
            ("max_addresses", None),
        ];
        let submit = vec![
            ("url", None),
            ("private", Some("false".to_owned())),
            ("blocks", number(RELAY_BLOCKS)),
            ("fallback", Some("false".to_owned())),
        ];
        vec![
            ("chains.*", chain),
            ("chains.*.endpoints[]", endpoint),
            ("chains.*.submit[]", submit),
        ]
    }
}
