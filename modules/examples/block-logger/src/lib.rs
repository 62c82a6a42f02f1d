//! Logs one line per block: the gas used, the base fee, and the block's age.

use nexum_sdk::chain::Header;
use nexum_sdk::{Block, ErrorKind, Result, bail, clock, info, module};

#[derive(Default)]
struct BlockLogger;

#[module]
impl BlockLogger {
    #[on_block(chain_id = 11155111)]
    async fn log(&mut self, block: Block) -> Result {
        // An endpoint may not have the block yet. After `unavailable`, nexum retries the event.
        let Some(header) = block.chain().header().await? else {
            bail!(ErrorKind::Unavailable; "block {} is not known yet", block.hash);
        };
        info!("{}", describe(&block, &header, clock::now_ms()));
        Ok(())
    }
}

fn describe(block: &Block, header: &Header, now_ms: u64) -> String {
    let hash: String = block.hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let gas_used = header.gas_used;
    let base_fee = header.base_fee_per_gas.map_or("none".into(), |wei| gwei(wei.to()));
    let age_seconds = now_ms.saturating_sub(block.timestamp) as f64 / 1_000.0;
    format!(
        "block {} 0x{hash}: gas used {gas_used}, base fee {base_fee}, age {age_seconds:.1} s",
        block.number
    )
}

fn gwei(wei: u64) -> String {
    format!("{:.3} gwei", wei as f64 / 1e9)
}
