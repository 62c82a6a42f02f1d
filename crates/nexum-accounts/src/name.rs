//! The name of an account.

use std::fmt;
use std::str::FromStr;

use nexum_config::names::ModuleName;

/// An account's name, as in `[accounts.<name>]`. It has the alphabet and the length of a module's
/// name, so it needs no escaping in logs and metrics.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName(Box<str>);

/// The error for a text that is not an [`AccountName`]. It does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an account name is 1 to 64 characters of a-z, 0-9, - and _, and begins with a letter or a digit")]
pub struct AccountNameError;

impl AccountName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountName {
    type Err = AccountNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<ModuleName>() {
            Ok(_) => Ok(Self(text.into())),
            Err(_) => Err(AccountNameError),
        }
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
