//! Accounts of the operator, and what each module may sign with them.
//!
//! # How data flows
//!
//! 1. [`AccountsConfig`] reads `[accounts.<name>]` (address and signer) and
//!    `[identity.<module>.<account>]` (the rules of one module for one account).
//! 2. [`Accounts`] has an [`Account`] for each, and the [`Grant`]s of each module.
//! 3. A capability decodes what a module wants to sign: the bytes of a message, [`TypedMessage`] or
//!    [`TransactionRequest`]. The grant checks the decoded value and returns an [`Allowed`] or a
//!    [`Refusal`].
//! 4. [`Account::sign`] signs the [`Preimage`] of the checked value, and recovers the address from
//!    the signature before it returns.
//!
//! # Assumptions
//!
//! - Modules are hostile, and choose every byte that they want to sign.
//! - A signer over HTTP may be wrong or hostile.
//! - The operator's files are not hostile, but they may be broken.
//!
//! # Invariants
//!
//! - A grant allows nothing that no rule of it names.
//! - A signature leaves this crate only if it recovers to the address of its account.
//! - No log, error or `Debug` of this crate contains a key, a password, the content of a keystore, or
//!   more of a URL than its scheme and host.
//! - A key is in zeroized memory from the moment of its decryption.

/// Log targets of the libraries that this crate uses, as prefixes. They log whole requests, so the
/// embedder must turn them off at every log level.
pub const SILENCED_LOG_TARGETS: &[&str] = &["google_cloud", "h2", "hyper", "reqsign", "reqwest", "rustls", "tower"];

pub use account::Account;
pub use accounts::{Accounts, Grant};
pub use cloud::Cloud;
pub use config::kms::KmsConfig;
pub use config::rules::{
    CallLimits, DAY_COUNT_MAX, ENTRIES_MAX, IN_FLIGHT, MAX_GAS, MESSAGE_BYTES, MESSAGE_BYTES_MAX, MessageRule,
    OnRevert, PER_HOUR, Rules, SelectorRule, SendRule, Target, TypedDataRule,
};
pub use config::signer::{InlineKey, KeySource, SignerConfig, TIMEOUT_MS};
pub use config::signer_url::SignerUrl;
pub use config::{ACCOUNTS_MAX, ACCOUNTS_SECTION, AccountConfig, AccountsConfig};
pub use name::{AccountName, AccountNameError};
pub use policy::transaction::{TransactionKind, TransactionRequest};
pub use policy::{Allowed, Refusal};
pub use preimage::Preimage;
pub use signer::keystore::{KEYSTORE_BYTES_MAX, KeystoreError, PASSWORD_BYTES_MAX, SCRYPT_MEMORY_BYTES_MAX};
pub use signer::kms::KMS_BYTES_MAX;
pub use signer::web3signer::{ANSWER_BYTES_MAX, KEYS_BYTES_MAX};
pub use signer::{SignError, SignerKind};
pub use typed_data::bounds::{
    ARRAYS_MAX, EXPANDED_FIELDS_MAX, FIELDS_MAX, NAME_BYTES_MAX, TYPES_BYTES_MAX, TYPES_MAX, VALUES_MAX,
};
pub use typed_data::{TYPED_DATA_BYTES_MAX, TypedDataError, TypedMessage};

mod account;
mod accounts;

mod signer;

mod policy;
mod typed_data;

mod config;
mod secret;

mod cloud;

mod name;
mod preimage;
