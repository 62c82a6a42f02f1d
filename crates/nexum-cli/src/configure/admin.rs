//! `[admin]` of `engine.toml`: the TCP port of the API.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use nexum_config::document::{ConfigErrors, Defaults, Location};
use nexum_config::engine::Config;
use nexum_config::masked_path::MaskedPath;
use serde::Deserialize;

use super::token::Token;
use crate::contract::ADMIN_SECTION;
use crate::report::Refusal;

/// The TCP port of the API, in addition to the socket.
#[derive(Debug, Default)]
pub(crate) struct AdminConfig {
    /// Default: none.
    pub(crate) listen: Option<AdminListen>,
}

/// The address of the port, and the file with its token.
#[derive(Debug)]
pub(crate) struct AdminListen {
    pub(crate) address: SocketAddr,
    pub(crate) token_file: MaskedPath,
    /// The position of the file's name in the configuration.
    at: Location,
}

/// The configuration of the port, with its token.
pub(crate) struct Admin {
    pub(crate) address: SocketAddr,
    pub(crate) token: Arc<Token>,
}

impl Admin {
    /// Reads the token.
    ///
    /// # Errors
    ///
    /// If the file has no token that only nexum's user can read.
    pub(crate) fn open(listen: AdminListen) -> Result<Self, Refusal> {
        let AdminListen {
            address,
            token_file,
            at,
        } = listen;
        let located = |refusal: Refusal| Refusal {
            error: at.error(refusal.error).to_string(),
            ..refusal
        };
        let token = Arc::new(Token::read(&token_file).map_err(located)?);
        Ok(Self { address, token })
    }

    pub(crate) fn token(&self) -> &Token {
        &self.token
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    listen: Option<SocketAddr>,
    token_file: Option<PathBuf>,
    #[serde(default)]
    allow_remote: bool,
}

impl AdminConfig {
    /// The keys with their default values.
    pub(crate) fn defaults() -> Defaults {
        vec![
            ("listen", None),
            ("token_file", None),
            ("allow_remote", Some("false".to_owned())),
        ]
    }

    /// Validates the `[admin]` table, if there is one.
    ///
    /// # Errors
    ///
    /// All errors in the section, a port without a token, and an address that other machines can
    /// reach without `allow_remote`: the port has no TLS, so that a network can read the token.
    pub(crate) fn of(config: &Config) -> Result<Self, ConfigErrors> {
        let Some(section) = config.sections.get(ADMIN_SECTION) else {
            return Ok(Self::default());
        };
        let mut errors = Vec::new();
        let raw: Option<Raw> = section.parse_all(&mut errors);
        let listen = raw.as_ref().and_then(|raw| raw.listen);
        let token_file = raw.as_ref().and_then(|raw| raw.token_file.as_deref());
        let may_be_remote =
            raw.as_ref().is_some_and(|raw| raw.allow_remote) || section.is_faulty("allow_remote", &errors);
        if listen.is_some_and(|address| !address.ip().is_loopback()) && !may_be_remote {
            let error = section.error("listen", "other machines can reach this address");
            let hint = "listen on 127.0.0.1 behind a proxy with TLS, or set `allow_remote = true` in a network that \
                        you trust: the port has no TLS, and the token controls the daemon";
            errors.push(error.with_hint(hint));
        }
        if listen.is_some() && token_file.is_none() && !section.is_faulty("token_file", &errors) {
            let error = section.error("token_file", "the port needs a token");
            errors.push(error.with_hint("name a file that only nexum's user can read: token_file = \"admin.token\""));
        }
        ConfigErrors::check(errors)?;
        let listen = listen.zip(token_file).map(|(address, file)| AdminListen {
            address,
            token_file: section.path("token_file", file),
            at: section.location("token_file"),
        });
        Ok(Self { listen })
    }
}
