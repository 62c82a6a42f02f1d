//! The order book's JSON.

use std::fmt;

use alloy_primitives::{Address, address};
use nexum_cow_errors::classify;
use serde::Deserialize;
use serde_json::json;

use crate::HostError;
use crate::nexum::host::logging::Level;
use crate::settings::Settings;

/// A placeholder for the trader.
const TRADER: Address = address!("1111111111111111111111111111111111111111");

/// The body of a request for a quote.
pub fn quote_request(settings: &Settings) -> String {
    json!({
        "kind": "sell",
        "sellToken": settings.sell_token,
        "buyToken": settings.buy_token,
        "sellAmountBeforeFee": settings.sell_amount.to_string(),
        "from": TRADER,
        // A verified quote asks for a trader who has the tokens.
        "priceQuality": "optimal",
    })
    .to_string()
}

/// The logged part of the response. Amounts stay decimal strings, which are enough for a log.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quote {
    sell_token: Address,
    buy_token: Address,
    sell_amount: String,
    buy_amount: String,
    fee_amount: String,
}

/// Parses the response to a request for a quote.
pub fn read_quote(answer: &str) -> serde_json::Result<Quote> {
    #[derive(Deserialize)]
    struct Answer {
        quote: Quote,
    }
    serde_json::from_str::<Answer>(answer).map(|answer| answer.quote)
}

impl fmt::Display for Quote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sell_token,
            buy_token,
            sell_amount,
            buy_amount,
            fee_amount,
        } = self;
        write!(
            f,
            "{sell_amount} of {sell_token} and a fee of {fee_amount} buy {buy_amount} of {buy_token}"
        )
    }
}

/// Why there is no quote, and the log level: an error needs the operator, a warning passes by
/// itself.
pub fn reason(error: &HostError) -> (Level, String) {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Refusal {
        error_type: String,
        description: String,
    }
    let refusal = error.data.as_deref().and_then(|data| serde_json::from_str(data).ok());
    let (Some(refusal), Ok(status)) = (refusal, u16::try_from(error.code)) else {
        return (Level::Warn, error.message.clone());
    };
    let Refusal {
        error_type,
        description,
    } = refusal;
    let level = match classify(status, Some(&error_type)).may_pass() {
        true => Level::Warn,
        false => Level::Error,
    };
    (level, format!("{error_type}: {description}"))
}
