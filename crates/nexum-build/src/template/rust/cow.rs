//! Asks the CoW Protocol order book for a price every few blocks, and logs it.

use std::num::NonZeroU64;

use nexum_sdk::cow::OrderBook;
use nexum_sdk::{Address, Block, Result, U256, address, info, module, warn};

/// The `[config]` of nexum.toml.
#[derive(serde::Deserialize)]
struct Settings {
    sell_token: Address,
    buy_token: Address,
    /// The amount to sell, in the smallest unit of the token.
    sell_amount: U256,
    /// The number of blocks from one price to the next.
    every: NonZeroU64,
}

/// The trader of a request that only asks for a price.
const TRADER: Address = address!("1111111111111111111111111111111111111111");

/// The body of a request for a price.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    kind: &'static str,
    sell_token: Address,
    buy_token: Address,
    /// In decimal.
    sell_amount_before_fee: String,
    from: Address,
    price_quality: &'static str,
}

/// The answer, as far as this module reads it. The amounts are in decimal.
#[derive(serde::Deserialize)]
struct Answer {
    quote: Quote,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Quote {
    sell_amount: String,
    buy_amount: String,
}

struct PriceWatch {
    settings: Settings,
}

#[module]
impl PriceWatch {
    fn init(settings: Settings) -> Result<Self> {
        Ok(Self { settings })
    }

    // After a pause, old blocks are of no interest.
    #[on_block(chain_id = 31337, catch_up = "latest")]
    fn on_block(&mut self, block: Block) -> Result {
        if block.number % self.settings.every != 0 {
            return Ok(());
        }
        let book = OrderBook::new(block.chain_id);
        match book.request::<Answer>("POST", "/api/v1/quote", Some(&self.request())) {
            Ok(Answer { quote }) => info!(
                "block {}: {} buy {}",
                block.number, quote.sell_amount, quote.buy_amount
            ),
            // A later block asks again, so a retry of this event gains nothing.
            Err(error) => warn!("block {}: no price: {error}", block.number),
        }
        Ok(())
    }

    fn request(&self) -> Request {
        Request {
            kind: "sell",
            sell_token: self.settings.sell_token,
            buy_token: self.settings.buy_token,
            sell_amount_before_fee: self.settings.sell_amount.to_string(),
            from: TRADER,
            price_quality: "optimal",
        }
    }
}

#[cfg(test)]
mod tests {
    use nexum_sdk::testing::Harness;

    use super::*;

    #[test]
    fn logs_a_price_every_few_blocks() -> Result {
        let token = Address::with_last_byte(1).to_string();
        let mut watch = Harness::<PriceWatch>::new(&[
            ("sell_token", &token),
            ("buy_token", &token),
            ("sell_amount", "7"),
            ("every", "10"),
        ])?;
        watch.host.on_cow(|_chain, method, path, body| {
            assert_eq!((method, path), ("POST", "/api/v1/quote"));
            assert_eq!(
                body.map(|body| &body["sellAmountBeforeFee"]),
                Some(&"7".into())
            );
            let answer = r#"{ "quote": { "sellAmount": "7", "buyAmount": "9" } }"#;
            Some(answer.parse().map_err(Into::into))
        });
        for number in 19..=21 {
            watch.block(number)?;
        }
        assert_eq!(watch.host.messages_logged(), ["block 20: 7 buy 9"]);
        Ok(())
    }
}
