//! Logs one line per block: the gas used, the base fee, and the block's age.

wit_bindgen::generate!({ path: "../../../wit/nexum-host", world: "event-module" });

use alloy_primitives::{B256, U64};
use nexum::host::{
    chain, clock,
    logging::{self, Level},
    types::{Block, HostErrorKind},
};
use serde::Deserialize;

struct BlockLogger;

impl Guest for BlockLogger {
    fn init(_: Config) -> Result<(), HostError> {
        Ok(())
    }

    fn on_event(event: Event) -> Result<(), HostError> {
        // The manifest subscribes only to blocks.
        let Event::Block(block) = event else { return Ok(()) };
        let header = fetch_header(&block)?;
        logging::log(Level::Info, &describe(&block, &header, clock::now_ms()));
        Ok(())
    }
}

/// The logged part of the response to `eth_getBlockByHash`, which the event does not contain.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    gas_used: U64,
    /// In wei; absent before the London fork.
    base_fee_per_gas: Option<U64>,
}

/// Requests the header by hash, not by number, so that the response describes this block even after
/// a reorganisation.
fn fetch_header(block: &Block) -> Result<Header, HostError> {
    let hash = B256::try_from(block.hash.as_slice()).map_err(|error| failure(HostErrorKind::InvalidInput, error))?;
    let answer = chain::request(block.chain_id, "eth_getBlockByHash", &format!(r#"["{hash}",false]"#))?;
    let header: Option<Header> =
        serde_json::from_str(&answer).map_err(|error| failure(HostErrorKind::Internal, error))?;
    // An endpoint may not have the block yet. After `unavailable`, nexum retries the event.
    header.ok_or_else(|| failure(HostErrorKind::Unavailable, format!("block {hash} is not known yet")))
}

fn describe(block: &Block, header: &Header, now_ms: u64) -> String {
    let hash: String = block.hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let gas_used = header.gas_used;
    let base_fee = header.base_fee_per_gas.map_or("none".into(), gwei);
    let age_seconds = now_ms.saturating_sub(block.timestamp) as f64 / 1_000.0;
    format!(
        "block {} 0x{hash}: gas used {gas_used}, base fee {base_fee}, age {age_seconds:.1} s",
        block.number
    )
}

fn gwei(wei: U64) -> String {
    format!("{:.3} gwei", wei.to::<u64>() as f64 / 1e9)
}

fn failure(kind: HostErrorKind, message: impl ToString) -> HostError {
    HostError {
        domain: "block-logger".into(),
        kind,
        code: 0,
        message: message.to_string(),
        data: None,
    }
}

export!(BlockLogger);
