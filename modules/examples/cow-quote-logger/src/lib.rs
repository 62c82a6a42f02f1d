//! Requests a quote for a trade from the CoW Protocol order book, every few blocks, and logs it.

use std::num::NonZeroU64;

use nexum_cow_errors::classify;
use nexum_sdk::cow::{self, OrderBook};
use nexum_sdk::{Address, Block, Error, Level, Result, U256, address, info, log, module};
use serde::Deserialize;
use serde_json::json;

/// A placeholder for the trader.
const TRADER: Address = address!("1111111111111111111111111111111111111111");

#[derive(Deserialize)]
struct Settings {
    sell_token: Address,
    buy_token: Address,
    /// The amount to sell, in atoms of `sell_token`.
    sell_amount: U256,
    /// The number of blocks from one quote to the next.
    #[serde(default = "every_default")]
    every: NonZeroU64,
}

fn every_default() -> NonZeroU64 {
    const { NonZeroU64::new(10).unwrap() }
}

/// The logged part of the response. Amounts stay decimal strings, which are enough for a log.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Quote {
    sell_token: Address,
    buy_token: Address,
    sell_amount: String,
    buy_amount: String,
    fee_amount: String,
}

#[derive(Deserialize)]
struct Response {
    quote: Quote,
}

struct CowQuoteLogger {
    settings: Settings,
}

#[module]
impl CowQuoteLogger {
    fn init(settings: Settings) -> Self {
        Self { settings }
    }

    #[on_block(chain_id = 11155111)]
    fn log(&mut self, block: Block) -> Result {
        if block.number % self.settings.every != 0 {
            return Ok(());
        }
        match self.quote(OrderBook::new(block.chain_id)) {
            Ok(quote) => info!(
                "block {}: {} of {} and a fee of {} buy {} of {}",
                block.number, quote.sell_amount, quote.sell_token, quote.fee_amount, quote.buy_amount, quote.buy_token,
            ),
            // The module requests a new quote at a later block, so a retry of this event gains
            // nothing.
            Err(error) => {
                let (level, reason) = reason(&error);
                log!(level, "block {}: no quote: {reason}", block.number);
            }
        }
        Ok(())
    }

    fn quote(&self, order_book: OrderBook) -> Result<Quote> {
        let request = json!({
            "kind": "sell",
            "sellToken": self.settings.sell_token,
            "buyToken": self.settings.buy_token,
            "sellAmountBeforeFee": self.settings.sell_amount.to_string(),
            "from": TRADER,
            // A verified quote asks for a trader who has the tokens.
            "priceQuality": "optimal",
        });
        let response: Response = order_book.request("POST", "/api/v1/quote", Some(&request))?;
        Ok(response.quote)
    }
}

/// Why there is no quote, and the log level: an error needs the operator, a warning passes by
/// itself.
fn reason(error: &Error) -> (Level, String) {
    let (Some(refusal), Ok(status)) = (cow::refusal(error), u16::try_from(error.code())) else {
        return (Level::Warn, error.message().to_owned());
    };
    let level = match classify(status, Some(&refusal.error_type)).may_pass() {
        true => Level::Warn,
        false => Level::Error,
    };
    (level, format!("{}: {}", refusal.error_type, refusal.description))
}
