//! The key `signer` of an account.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use nexum_config::document::{ConfigError, Section};
use nexum_config::masked_path::MaskedPath;
use serde::Deserialize;

use super::kms::{KmsConfig, KmsOptions};
use super::signer_url::SignerUrl;
use crate::cloud::Cloud;
use crate::secret::Secret;

/// Keys that other programs use for a plain private key. nexum refuses them by name.
const PLAIN: [&str; 7] = [
    "private_key",
    "privatekey",
    "key",
    "secret",
    "secret_key",
    "mnemonic",
    "seed",
];

/// Default of `timeout_ms`, for one request: half of an event's default deadline. A signer with a
/// hardware module needs a tenth of that.
pub const TIMEOUT_MS: u64 = 5_000;

/// The range of `timeout_ms`: up to an hour, the longest deadline of an event.
const TIMEOUT_MS_RANGE: RangeInclusive<u64> = 1..=3_600_000;

/// The holder of an account's key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SignerConfig {
    /// An encrypted keystore.
    Keystore(KeySource),
    /// A Web3Signer over HTTP.
    Web3Signer {
        /// The base URL.
        url: SignerUrl,
        /// The time limit of one request, in milliseconds. Default [`TIMEOUT_MS`].
        timeout_ms: u64,
    },
    /// A key in the key management service of a cloud.
    Kms(KmsConfig),
}

/// The places of a keystore and of its password.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum KeySource {
    /// Files, which nexum reads when it opens the keystore.
    Files {
        /// The keystore.
        keystore: MaskedPath,
        /// The password, perhaps with a line end.
        password: MaskedPath,
    },
    /// The contents of variables.
    Inline(InlineKey),
}

/// A keystore and its password, from variables.
#[derive(Clone, Debug)]
pub struct InlineKey {
    pub(crate) keystore: Secret,
    pub(crate) password: Secret,
}

/// The raw form of `signer`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSigner {
    keystore: Option<PathBuf>,
    password_file: Option<PathBuf>,
    keystore_json: Option<Secret>,
    password: Option<Secret>,
    web3signer: Option<SignerUrl>,
    aws_kms: Option<String>,
    gcp_kms: Option<String>,
    endpoint: Option<SignerUrl>,
    credentials_file: Option<PathBuf>,
    timeout_ms: Option<u64>,
}

impl SignerConfig {
    /// Reads the key `signer` of a table `[accounts.<name>]`. Adds all errors to `errors`.
    pub(super) fn read(account: &Section, allow_env_key: bool, errors: &mut Vec<ConfigError>) -> Option<Self> {
        let table = match account.section("signer") {
            Ok(Some(table)) => table,
            Ok(None) => {
                errors.push(account.error("signer", "missing key").with_hint(HINT));
                return None;
            }
            Err(error) => {
                errors.push(error.with_hint(HINT));
                return None;
            }
        };
        if let Some(error) = plain_key(&table) {
            errors.push(error);
            return None;
        }
        let raw = table.parse_bounded::<RawSigner>(&[("timeout_ms", TIMEOUT_MS_RANGE)], errors)?;
        let has_only = |keys: &[&str]| table.keys().all(|key| keys.contains(&key));
        let options = KmsOptions {
            endpoint: raw.endpoint.clone(),
            credentials_file: raw.credentials_file.clone(),
            timeout_ms: raw.timeout_ms.unwrap_or(TIMEOUT_MS),
        };
        match raw {
            RawSigner {
                web3signer: Some(url),
                timeout_ms,
                ..
            } if has_only(&["web3signer", "timeout_ms"]) => Some(Self::Web3Signer {
                url,
                timeout_ms: timeout_ms.unwrap_or(TIMEOUT_MS),
            }),
            RawSigner { aws_kms: Some(key), .. }
                if has_only(&["aws_kms", "endpoint", "credentials_file", "timeout_ms"]) =>
            {
                KmsConfig::read(&table, Cloud::Aws, &key, options, errors).map(Self::Kms)
            }
            RawSigner { gcp_kms: Some(key), .. }
                if has_only(&["gcp_kms", "endpoint", "credentials_file", "timeout_ms"]) =>
            {
                KmsConfig::read(&table, Cloud::Gcp, &key, options, errors).map(Self::Kms)
            }
            RawSigner {
                keystore: Some(keystore),
                password_file: Some(password),
                ..
            } if has_only(&["keystore", "password_file"]) => Some(Self::Keystore(KeySource::Files {
                keystore: table.path("keystore", &keystore),
                password: table.path("password_file", &password),
            })),
            RawSigner {
                keystore_json: Some(keystore),
                password: Some(password),
                ..
            } if has_only(&["keystore_json", "password"]) => {
                let faults = inline_faults(&table, allow_env_key);
                let is_valid = faults.is_empty();
                errors.extend(faults);
                is_valid.then_some(Self::Keystore(KeySource::Inline(InlineKey { keystore, password })))
            }
            _ if table.keys().any(|key| table.is_faulty(key, errors)) => None,
            _ => {
                errors.push(table.error("", "expected one signer").with_hint(HINT));
                None
            }
        }
    }
}

/// The error of a table with a plain private key. It does not show the value.
pub(super) fn plain_key(table: &Section) -> Option<ConfigError> {
    let key = PLAIN.into_iter().find(|plain| table.keys().any(|key| key == *plain))?;
    let error = table.error("", format!("`{key}`: a plain private key is not allowed in the file"));
    Some(error.with_hint("put the key into a keystore file, as docs/accounts.md shows"))
}

/// The forms of `signer`.
const HINT: &str = "write { keystore = \"keeper.json\", password_file = \"keeper.password\" } or { web3signer = \"https://signer:9000\" }, or a key of a cloud, as docs/accounts.md shows";

/// The errors of a keystore in variables.
fn inline_faults(table: &Section, allow_env_key: bool) -> Vec<ConfigError> {
    let keys = ["keystore_json", "password"];
    let literal = keys.into_iter().filter(|key| !table.is_reference(key));
    let mut faults: Vec<_> = literal
        .map(|key| {
            let error = table.error(key, "a secret in the file is not allowed");
            error.with_hint("write one reference without a default, such as \"${KEEPER_PASSWORD}\", or name a file")
        })
        .collect();
    if !allow_env_key {
        let error = table.error("", "a key from a variable is not allowed: other processes may read it");
        faults.push(
            error.with_hint(
                "name files with `keystore` and `password_file`, or set `allow_env_key = true` in the account",
            ),
        );
    }
    faults
}
