//! The configuration of the module.

use alloy_primitives::Address;

#[derive(Default)]
pub struct Settings {
    /// The token; none means ether.
    pub token: Option<Address>,
    pub accounts: Vec<Address>,
}

impl Settings {
    /// Reads the module's configuration. The error is a message for the operator.
    pub fn parse(config: &[(String, String)]) -> Result<Self, String> {
        let mut settings = Self::default();
        for (key, value) in config {
            match key.as_str() {
                "token" => settings.token = Some(parse_address(value)?),
                "accounts" => settings.accounts = value.split(',').map(parse_address).collect::<Result<_, _>>()?,
                _ => return Err(format!("unknown key `{key}`; known are `accounts` and `token`")),
            }
        }
        if settings.accounts.is_empty() {
            return Err("`accounts` is missing: addresses, separated by commas".into());
        }
        Ok(settings)
    }
}

fn parse_address(text: &str) -> Result<Address, String> {
    text.trim()
        .parse()
        .map_err(|error| format!("`{text}` is not an address: {error}"))
}
