//! The common parts of the fixtures: reading the configuration, and formatting errors.
//!
//! A fixture that uses errors takes the contract's types from this crate, with `with: {
//! "nexum:host/types@0.2.0": support::types }` in its `generate!`.

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

/// The module's `[config]`, stored by `init`.
pub struct Settings(OnceLock<Vec<(String, String)>>);

impl Settings {
    /// Empty settings, until [`keep`](Self::keep) sets them.
    #[expect(clippy::new_without_default, reason = "a static has no other way to be made")]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Stores the argument of `init`.
    pub fn keep(&self, config: Vec<(String, String)>) {
        self.0.get_or_init(|| config);
    }

    /// The value of a key, if any.
    pub fn value(&self, key: &str) -> Option<&str> {
        let (_, value) = self.0.get()?.iter().find(|(found, _)| found == key)?;
        Some(value)
    }

    /// The value of a key as a number, if it is one.
    pub fn number<T: FromStr>(&self, key: &str) -> Option<T> {
        self.value(key)?.parse().ok()
    }
}

/// The name of the kind in the contract.
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

/// The error of a module that fails on request. Its domain is the module's name.
pub fn failure(module: &str) -> HostError {
    HostError {
        domain: module.into(),
        kind: HostErrorKind::Unavailable,
        code: 0,
        message: "as the configuration says".into(),
        data: None,
    }
}
