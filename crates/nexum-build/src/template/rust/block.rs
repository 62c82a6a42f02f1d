//! Logs the price of gas at each block, and counts the blocks.

use nexum_sdk::{Block, Result, info, module, store};

/// The number of handled blocks. nexum keeps it when the module restarts.
const BLOCKS: store::Counter = store::Counter::new("blocks");

#[derive(Default)]
struct GasWatch;

#[module]
impl GasWatch {
    #[on_block(chain_id = 31337)]
    async fn on_block(&mut self, block: Block) -> Result {
        let price = block.chain().gas_price().await?;
        let count = BLOCKS.add(1)?;
        info!(
            count = count,
            "block {}: gas costs {price} wei", block.number
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use nexum_sdk::testing::Harness;

    use super::*;

    #[test]
    fn logs_the_price_of_gas() -> Result {
        let mut watch = Harness::<GasWatch>::new(&[])?;
        watch
            .host
            .on_rpc(|_chain, method, _params| (method == "eth_gasPrice").then(|| Ok("0x7".into())));
        watch.block(5)?;
        watch.block(6)?;
        assert_eq!(
            watch.host.messages_logged(),
            [
                "block 5: gas costs 7 wei count=1",
                "block 6: gas costs 7 wei count=2"
            ]
        );
        Ok(())
    }
}
