//! What several fixtures do alike: read their configuration, and say which error they were told.
//!
//! A fixture that uses the errors has the contract's types from here, with
//! `with: { "nexum:host/types@0.2.0": support::types }` in its `generate!`.

use std::{str::FromStr, sync::OnceLock};

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/nexum-host",
        inline: "
            package nexum:support;

            world support {
                import nexum:host/types@0.2.0;
            }
        ",
        world: "nexum:support/support",
        generate_all,
    });
}

pub use bindings::nexum::host::types;

use types::{HostError, HostErrorKind};

/// The module's `[config]`, kept from `init` on.
pub struct Settings(OnceLock<Vec<(String, String)>>);

impl Settings {
    /// Nothing, until `init`.
    #[expect(clippy::new_without_default, reason = "a static has no other way to be made")]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Keeps what `init` was given.
    pub fn keep(&self, config: Vec<(String, String)>) {
        self.0.get_or_init(|| config);
    }

    /// The value of a key, if it has one.
    pub fn value(&self, key: &str) -> Option<&str> {
        let (_, value) = self.0.get()?.iter().find(|(found, _)| found == key)?;
        Some(value)
    }

    /// The same where it is a number.
    pub fn number<T: FromStr>(&self, key: &str) -> Option<T> {
        self.value(key)?.parse().ok()
    }
}

/// The kind as the contract spells it.
pub fn kind_name(kind: HostErrorKind) -> &'static str {
    match kind {
        HostErrorKind::Unsupported => "unsupported",
        HostErrorKind::Unavailable => "unavailable",
        HostErrorKind::Denied => "denied",
        HostErrorKind::RateLimited => "rate-limited",
        HostErrorKind::Timeout => "timeout",
        HostErrorKind::InvalidInput => "invalid-input",
        HostErrorKind::Internal => "internal",
    }
}

/// What a module returns that is to fail, in the domain of its name.
pub fn failure(module: &str) -> HostError {
    HostError {
        domain: module.into(),
        kind: HostErrorKind::Unavailable,
        code: 0,
        message: "as the configuration says".into(),
        data: None,
    }
}
