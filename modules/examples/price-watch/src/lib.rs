//! Logs the price of ETH at each block, from a capability that only the program in `examples/embed`
//! has.

wit_bindgen::generate!({
    path: "../../../examples/embed/wit",
    inline: "
        package acme:price-watch;

        world price-watch {
            import acme:prices/feed@1.0.0;
        }
    ",
    world: "acme:price-watch/price-watch",
    generate_all,
});

use acme::prices::feed::latest;
use nexum_sdk::{Block, Chain, ErrorKind, Result, bail, info, module};

#[derive(Default)]
struct PriceWatch;

#[module]
impl PriceWatch {
    #[on_block(chain_id = 11155111)]
    async fn log(&mut self, block: Block) -> Result {
        let gas_price = Chain::new(block.chain_id).gas_price().await?;
        let Some(cents) = latest("ETH") else {
            bail!(ErrorKind::Unavailable; "the price of ETH is unknown");
        };
        let (euros, cents) = (cents / 100, cents % 100);
        info!(
            "ETH costs {euros}.{cents:02} at block {}, gas {gas_price} wei",
            block.number
        );
        Ok(())
    }
}
