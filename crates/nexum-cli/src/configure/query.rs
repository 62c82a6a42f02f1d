//! `[query]` of `engine.toml`: the port for queries.

use std::net::SocketAddr;

use nexum_config::document::{ConfigErrors, Defaults};
use nexum_config::engine::Config;
use serde::Deserialize;

use crate::contract::QUERY_SECTION;

/// The port for queries, in addition to the control socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueryConfig {
    /// The address and port. Default: none.
    pub(crate) listen: Option<SocketAddr>,
    /// Whether clients of the port may call functions that change a module's state. Default: no,
    /// because the port has no authentication.
    pub(crate) writeable: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    listen: Option<SocketAddr>,
    #[serde(default)]
    allow_remote: bool,
    #[serde(default)]
    writeable: bool,
}

impl QueryConfig {
    /// The keys with their default values.
    pub(crate) fn defaults() -> Defaults {
        let no = || Some("false".to_owned());
        vec![("listen", None), ("allow_remote", no()), ("writeable", no())]
    }

    /// Validates the `[query]` table, if there is one.
    ///
    /// # Errors
    ///
    /// All errors in the section, and an address that other machines can reach without
    /// `allow_remote`: every client that reaches the address may send queries, unencrypted and
    /// without a password.
    pub(crate) fn of(config: &Config) -> Result<Self, ConfigErrors> {
        let Some(section) = config.sections.get(QUERY_SECTION) else {
            return Ok(Self::default());
        };
        let mut errors = Vec::new();
        let raw: Option<Raw> = section.parse_all(&mut errors);
        let listen = raw.as_ref().and_then(|raw| raw.listen);
        let writeable = raw.as_ref().is_some_and(|raw| raw.writeable);
        let may_be_remote = raw.is_some_and(|raw| raw.allow_remote) || section.is_faulty("allow_remote", &errors);
        if listen.is_some_and(|address| !address.ip().is_loopback()) && !may_be_remote {
            let error = section.error("listen", "other machines can reach this address");
            let hint =
                "listen on 127.0.0.1, or set `allow_remote = true` if every client that reaches it may send queries";
            errors.push(error.with_hint(hint));
        }
        ConfigErrors::check(errors)?;
        Ok(Self { listen, writeable })
    }
}
