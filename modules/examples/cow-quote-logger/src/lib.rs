//! Requests a quote for a trade from the CoW Protocol order book, every few blocks, and logs it.
//!
//! Configuration:
//! - `sell_token`, `buy_token`: the addresses of the tokens;
//! - `sell_amount`: the amount to sell, in atoms of `sell_token`;
//! - `every`: the number of blocks from one quote to the next, by default 10.

wit_bindgen::generate!({
    path: ["../../../wit/nexum-host", "../../../wit/shepherd-cow"],
    inline: "
        package nexum:cow-quote-logger;

        world cow-quote-logger {
            include nexum:host/event-module@0.2.0;
            import shepherd:cow/cow-api@0.2.0;
        }
    ",
    world: "nexum:cow-quote-logger/cow-quote-logger",
    generate_all,
});

mod order_book;
mod settings;

use std::sync::OnceLock;

use nexum::host::{
    logging::{self, Level},
    types::HostErrorKind,
};
use settings::Settings;
use shepherd::cow::cow_api;

struct CowQuoteLogger;

static SETTINGS: OnceLock<Settings> = OnceLock::new();

impl Guest for CowQuoteLogger {
    fn init(config: Config) -> Result<(), HostError> {
        let settings = Settings::parse(&config).map_err(|error| failure(HostErrorKind::InvalidInput, error))?;
        SETTINGS.get_or_init(|| settings);
        Ok(())
    }

    fn on_event(event: Event) -> Result<(), HostError> {
        // The manifest subscribes only to blocks.
        let (Event::Block(block), Some(settings)) = (event, SETTINGS.get()) else {
            return Ok(());
        };
        if block.number % settings.every != 0 {
            return Ok(());
        }
        let request = order_book::quote_request(settings);
        match cow_api::request(block.chain_id, "POST", "/api/v1/quote", Some(&request)) {
            Ok(answer) => {
                let quote = order_book::read_quote(&answer).map_err(|error| failure(HostErrorKind::Internal, error))?;
                logging::log(Level::Info, &format!("block {}: {quote}", block.number));
            }
            // The module requests a new quote at a later block, so a retry of this event gains
            // nothing.
            Err(error) => {
                let (level, reason) = order_book::reason(&error);
                logging::log(level, &format!("block {}: no quote: {reason}", block.number));
            }
        }
        Ok(())
    }
}

/// An error of this module, in contrast to an error from the host.
fn failure(kind: HostErrorKind, message: impl ToString) -> HostError {
    HostError {
        domain: "cow-quote-logger".into(),
        kind,
        code: 0,
        message: message.to_string(),
        data: None,
    }
}

export!(CowQuoteLogger);
