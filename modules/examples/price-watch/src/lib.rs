//! Logs the price of ETH at each block, from a capability that only the program in `examples/embed`
//! has.

wit_bindgen::generate!({
    path: ["../../../wit/nexum-host", "../../../examples/embed/wit"],
    inline: "
        package acme:price-watch;

        world price-watch {
            include nexum:host/event-module@0.2.0;
            import acme:prices/feed@1.0.0;
        }
    ",
    world: "acme:price-watch/price-watch",
    generate_all,
});

use acme::prices::feed::latest;
use nexum::host::chain;
use nexum::host::logging::{Level, log};
use nexum::host::types::HostErrorKind;

struct PriceWatch;

impl Guest for PriceWatch {
    fn init(_: Config) -> Result<(), HostError> {
        Ok(())
    }

    fn on_event(event: Event) -> Result<(), HostError> {
        let Event::Block(block) = event else { return Ok(()) };
        let gas_price = chain::request(block.chain_id, "eth_gasPrice", "[]")?;
        let cents = latest("ETH").ok_or_else(|| unavailable("the price of ETH is unknown"))?;
        let (euros, cents) = (cents / 100, cents % 100);
        log(
            Level::Info,
            &format!(
                "ETH costs {euros}.{cents:02} at block {}, gas {gas_price} wei",
                block.number
            ),
        );
        Ok(())
    }
}

fn unavailable(message: &str) -> HostError {
    HostError {
        domain: "price-watch".into(),
        kind: HostErrorKind::Unavailable,
        code: 0,
        message: message.into(),
        data: None,
    }
}

export!(PriceWatch);
