//! Quotes for GoodAfterTime orders, which take the amount to buy from outside the chain.

use nexum_cow_errors::classify;
use nexum_sdk::cow::OrderBook;
use nexum_sdk::{Address, B256, ErrorKind, Result, U256, bail, clock};
use serde::{Deserialize, Serialize};

use crate::schedule::GoodAfterTime;
use crate::state::{Due, Reason};
use crate::submit::{BOOK, DOWN_SECONDS_MAX};
use crate::watch::{Round, Watched};

/// The requests of one event for quotes.
const QUOTES_MAX: usize = 10;

/// How long one event requests quotes, in nanoseconds.
const QUOTES_NS_MAX: u64 = 1_000_000_000;

/// One, in hundredths of a per cent.
const WHOLE_BPS: u16 = 10_000;

impl Round<'_> {
    /// Stores quotes for GoodAfterTime orders. A later event uses them, so that a retry of the event that
    /// posts has an identical order.
    pub fn quotes(&mut self, orders: &mut [Watched]) -> Result {
        if orders.is_empty() {
            return Ok(());
        }
        let mut book = BOOK.get()?.unwrap_or_default();
        let start = clock::monotonic_ns();
        for (number, order) in orders.iter_mut().enumerate() {
            let has_time = clock::monotonic_ns().saturating_sub(start) < QUOTES_NS_MAX;
            if self.now < book.down_until || number >= QUOTES_MAX || !has_time {
                // Far enough to let the others that are due come first.
                order
                    .state
                    .set(Reason::Quote, "other orders get quotes first", self.now);
                order.state.due = Due::Time(self.now + DOWN_SECONDS_MAX);
                continue;
            }
            match self.ask_quote(order) {
                Ok(amount) => {
                    order.state.set(Reason::Quote, "", self.now);
                    order.state.quote = Some(amount);
                    order.state.due = Due::Block(self.block.number.saturating_add(1));
                }
                Err(error) => {
                    if error.is_retryable() {
                        book.down_until = self.now + 1;
                    }
                    order.state.set(Reason::Quote, &error.to_string(), self.now);
                    order.state.repeats = order.state.repeats.saturating_add(1);
                    let wait = classify(400, Some("NoLiquidity")).wait(order.state.repeats);
                    order.state.due = Due::Time(self.now + wait.unwrap_or_default().as_secs());
                }
            }
        }
        Ok(())
    }

    fn ask_quote(&self, order: &Watched) -> Result<U256> {
        let Some(data) = GoodAfterTime::read(&order.order.input) else {
            bail!(ErrorKind::InvalidInput; "the static input is none of GoodAfterTime");
        };
        let request = QuoteRequest {
            sell_token: data.sell_token,
            buy_token: data.buy_token,
            from: order.key.0,
            kind: "sell",
            sell_amount_before_fee: data.sell_amount.to_string(),
            app_data: data.app_data,
            signing_scheme: "eip1271",
            onchain_order: false,
        };
        let book = OrderBook::new(self.block.chain_id);
        let response: QuoteResponse = book.request("POST", "/api/v1/quote", Some(&request))?;
        // No token has 128 bits of atoms.
        let amount: u128 = response.quote.buy_amount.parse()?;
        let rest = WHOLE_BPS.saturating_sub(self.settings.quote_slippage_bps);
        Ok(U256::from(
            amount / u128::from(WHOLE_BPS) * u128::from(rest)
                + amount % u128::from(WHOLE_BPS) * u128::from(rest) / u128::from(WHOLE_BPS),
        ))
    }
}

/// A request for a quote.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QuoteRequest {
    sell_token: Address,
    buy_token: Address,
    from: Address,
    kind: &'static str,
    sell_amount_before_fee: String,
    app_data: B256,
    signing_scheme: &'static str,
    onchain_order: bool,
}

#[derive(Deserialize)]
struct QuoteResponse {
    quote: Quote,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Quote {
    buy_amount: String,
}
