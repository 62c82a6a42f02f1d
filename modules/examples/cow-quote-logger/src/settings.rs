//! The configuration of the module.

use alloy_primitives::{Address, U256};

/// The default number of blocks from one quote to the next.
const EVERY_DEFAULT: u64 = 10;

pub struct Settings {
    pub sell_token: Address,
    pub buy_token: Address,
    /// The amount, in atoms of `sell_token`.
    pub sell_amount: U256,
    /// The number of blocks, at least 1.
    pub every: u64,
}

impl Settings {
    /// Reads the module's configuration. The error is a message for the operator.
    pub fn parse(config: &[(String, String)]) -> Result<Self, String> {
        let value = |wanted: &str| {
            config
                .iter()
                .find(|(key, _)| key == wanted)
                .map(|(_, value)| value.trim())
        };
        let needed = |key: &str| value(key).ok_or_else(|| format!("`{key}` is missing"));
        let address = |key: &str| parse::<Address>(key, needed(key)?);
        Ok(Self {
            sell_token: address("sell_token")?,
            buy_token: address("buy_token")?,
            sell_amount: parse("sell_amount", needed("sell_amount")?)?,
            every: match value("every") {
                Some(every) => parse::<u64>("every", every)?.max(1),
                None => EVERY_DEFAULT,
            },
        })
    }
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(key: &str, text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|error| format!("`{key}` cannot be `{text}`: {error}"))
}
