//! A key in an encrypted file, as geth and foundry write it.

mod v3;

use std::fmt;
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alloy_primitives::{Address, Signature};
use k256::ecdsa::SigningKey;
use nexum_config::causes::Causes;
use nexum_config::regular_file::{self, FileError};
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::SignError;
use crate::config::signer::KeySource;
use crate::name::AccountName;
use crate::preimage::Preimage;

/// The largest keystore file, in bytes: a hundred times the usual size.
pub const KEYSTORE_BYTES_MAX: usize = 64 << 10;

/// The longest password, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 4 << 10;

/// The most memory that a keystore's key derivation may take, in bytes: four times as much as with
/// geth's standard parameters (`n = 262144, r = 8`).
pub const SCRYPT_MEMORY_BYTES_MAX: u64 = 1 << 30;

/// Why a keystore cannot be opened. No text contains a secret or a path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeystoreError {
    /// The keystore's file is not readable.
    #[error("the keystore file {}", said(.0))]
    File(FileError),
    /// The password's file is not readable.
    #[error("the password file {}", said(.0))]
    PasswordFile(FileError),
    /// The password is not UTF-8 or too long.
    #[error("the password is not text of at most {PASSWORD_BYTES_MAX} bytes")]
    Password,
    /// The keystore is not JSON of version 3.
    #[error("the keystore is not a version 3 keystore: {0}")]
    Format(&'static str),
    /// The password does not fit.
    #[error("the password does not open the keystore")]
    WrongPassword,
    /// The decrypted bytes are not a key of secp256k1.
    #[error("the keystore does not contain a key of secp256k1")]
    NotAKey,
    /// The keystore has another account's key.
    #[error("the keystore has the key of {found}, and the account's address is {expected}")]
    Address {
        /// The address of the key.
        found: Address,
        /// The address in the configuration.
        expected: Address,
    },
}

/// A keystore, and its key after the first use.
pub(crate) struct Keystore {
    name: AccountName,
    address: Address,
    source: KeySource,
    is_begun: AtomicBool,
    state: watch::Sender<Option<Opened>>,
}

/// The end of the decryption.
type Opened = Result<Arc<SigningKey>, Arc<KeystoreError>>;

impl Keystore {
    pub(crate) fn new(name: AccountName, address: Address, source: KeySource) -> Self {
        Self {
            name,
            address,
            source,
            is_begun: AtomicBool::new(false),
            state: watch::Sender::new(None),
        }
    }

    /// Begins the decryption, once. It takes about a second and 256 MiB with geth's parameters, so it
    /// runs on a blocking thread, and continues when the first caller gives up.
    pub(crate) fn open(&self) {
        if self.is_begun.swap(true, Ordering::AcqRel) {
            return;
        }
        let (name, address, source) = (self.name.clone(), self.address, self.source.clone());
        let state = self.state.clone();
        tokio::task::spawn_blocking(move || {
            let opened = key(&source, address);
            match &opened {
                Ok(_) => tracing::info!(target: "nexum::identity", account = %name, %address, "opened the keystore"),
                Err(error) => tracing::error!(
                    target: "nexum::identity",
                    account = %name,
                    error = %Causes(error),
                    hint = "mend `signer` of the account in engine.toml and restart nexum",
                    "the keystore cannot be opened: nothing is signed for this account"
                ),
            }
            state.send_replace(Some(opened.map(Arc::new).map_err(Arc::new)));
        });
    }

    pub(crate) async fn sign(&self, preimage: &Preimage) -> Result<Signature, SignError> {
        self.open();
        let mut state = self.state.subscribe();
        // The sender is in `self`, so the channel is open.
        let opened = state.wait_for(Option::is_some).await;
        let opened = opened.map_or(None, |opened| opened.clone());
        match opened {
            Some(Ok(key)) => {
                let signed = key.sign_prehash_recoverable(preimage.digest().as_slice());
                signed.map(Signature::from).map_err(|_| SignError::WrongSignature)
            }
            Some(Err(error)) => Err(SignError::Keystore(error)),
            None => Err(SignError::Lost),
        }
    }
}

/// The address and the kind of the source alone.
impl fmt::Debug for Keystore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Keystore");
        shown.field("name", &self.name).field("address", &self.address);
        shown.finish_non_exhaustive()
    }
}

/// The key of the keystore, which has this address.
fn key(source: &KeySource, expected: Address) -> Result<SigningKey, KeystoreError> {
    let (json, password) = match source {
        KeySource::Files { keystore, password } => (
            read(keystore, KEYSTORE_BYTES_MAX).map_err(KeystoreError::File)?,
            read(password, PASSWORD_BYTES_MAX).map_err(KeystoreError::PasswordFile)?,
        ),
        KeySource::Inline(inline) => (
            Zeroizing::new(inline.keystore.expose().as_bytes().to_vec()),
            Zeroizing::new(inline.password.expose().as_bytes().to_vec()),
        ),
    };
    if password.len() > PASSWORD_BYTES_MAX || std::str::from_utf8(&password).is_err() {
        return Err(KeystoreError::Password);
    }
    let secret = v3::decrypt(&json, without_line_end(&password))?;
    let key = SigningKey::from_slice(secret.as_slice()).map_err(|_| KeystoreError::NotAKey)?;
    let found = Address::from_private_key(&key);
    match found == expected {
        true => Ok(key),
        false => Err(KeystoreError::Address { found, expected }),
    }
}

/// A file's error, with the operating system's cause.
fn said(error: &FileError) -> String {
    match error {
        FileError::Io(cause) => format!("{error}: {}", cause.kind()),
        error => error.to_string(),
    }
}

/// Reads a file into memory that does not move, so that no copy of it stays behind.
fn read(path: &std::path::Path, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let file = regular_file::open(path)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(bytes_max + 1));
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    match bytes.len() > bytes_max {
        true => Err(FileError::TooLarge {
            bytes_max: bytes_max as u64,
        }),
        false => Ok(bytes),
    }
}

/// The password without the line end that an editor writes.
fn without_line_end(password: &[u8]) -> &[u8] {
    let password = password.strip_suffix(b"\n").unwrap_or(password);
    password.strip_suffix(b"\r").unwrap_or(password)
}
