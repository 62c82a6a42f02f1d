//! The keys of `[store]` for PostgreSQL.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use nexum_config::document::{ConfigError, Section};
use nexum_config::masked_path::MaskedPath;
use serde::Deserialize;

/// Default of `schema`.
pub const SCHEMA: &str = "nexum";

/// The most bytes of a schema's name in PostgreSQL.
const SCHEMA_BYTES_MAX: usize = 63;

/// The longest wait for an answer of the database: far above the time of a page or a commit, and below
/// the patience of an operator. A stalled database is an error after this time.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Where the state is in PostgreSQL. `Debug` omits the address, which may contain a password.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PostgresConfig {
    /// The address of the database: a URL with the scheme `postgres`.
    pub url: String,
    /// The file with the password. nexum reads it at each connection.
    pub password_file: Option<MaskedPath>,
    /// The schema of nexum's tables. Default [`SCHEMA`].
    pub schema: String,
    /// The encryption of connections over TCP. Default [`TlsMode::VerifyFull`].
    pub tls: TlsMode,
    /// The file with the certificates of the database's authority, for [`TlsMode::VerifyFull`]. `None`
    /// for the system's authorities.
    pub ca: Option<MaskedPath>,
    /// The longest wait for an answer of the database. Default ten seconds.
    pub wait_max: Duration,
}

/// A setting of the database with which acknowledged commits can be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurabilityWarning {
    /// The setting, and the loss.
    pub text: String,
    /// The change that prevents the loss.
    pub remedy: String,
}

/// The encryption of connections over TCP. A connection over a Unix socket has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// TLS, and the server's certificate must be valid for the host of the address.
    #[default]
    VerifyFull,
    /// TLS, with any certificate: a listener cannot read, but another machine can take the server's
    /// place.
    Require,
    /// No TLS.
    Disable,
}

/// The keys as the file has them.
pub(crate) struct RawPostgres {
    pub(crate) url: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) schema: Option<String>,
    pub(crate) tls: Option<RawTls>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawTls {
    mode: Option<TlsMode>,
    ca: Option<PathBuf>,
}

/// The keys that only this back-end has.
pub(crate) const KEYS: [&str; 4] = ["url", "password_file", "schema", "tls"];

impl PostgresConfig {
    /// The settings for the database at an address, with the defaults of the others.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            password_file: None,
            schema: SCHEMA.to_owned(),
            tls: TlsMode::default(),
            ca: None,
            wait_max: WAIT_MAX,
        }
    }

    /// Validates the keys. Adds the errors to `errors`.
    pub(crate) fn from_raw(raw: RawPostgres, section: &Section, errors: &mut Vec<ConfigError>) -> Option<Self> {
        let url = section.required("url", raw.url, errors)?;
        let mut config = Self::new(url);
        if !["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| config.url.starts_with(scheme))
        {
            let error = section.error("url", "the address of a PostgreSQL database begins with postgres://");
            errors.push(error.with_hint("for example \"postgres://nexum@db1,db2/nexum\""));
        }
        if let Some(schema) = raw.schema {
            if !is_schema(&schema) {
                let message = format!("a schema has 1 to {SCHEMA_BYTES_MAX} of the characters a-z, 0-9 and _");
                errors.push(section.error("schema", message));
            }
            config.schema = schema;
        }
        config.password_file = raw.password_file.map(|path| section.path("password_file", &path));
        let tls = raw.tls.unwrap_or_default();
        config.tls = tls.mode.unwrap_or_default();
        if let (Some(ca), Ok(Some(table))) = (tls.ca, section.section("tls")) {
            if config.tls != TlsMode::VerifyFull {
                let error = table.error("ca", "only the mode verify-full checks the server's certificate");
                errors.push(error.with_hint("set `tls.mode` to \"verify-full\", or remove `tls.ca`"));
            }
            config.ca = Some(table.path("ca", &ca));
        }
        Some(config)
    }
}

/// Whether a name needs no quotes in SQL.
fn is_schema(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=SCHEMA_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_part)
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("schema", &self.schema)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
