//! The error of host calls and of modules.

use std::borrow::Cow;
use std::fmt;

use alloy_primitives::{Bytes, hex};
use alloy_sol_types::SolInterface;

/// The result of a host call or of a handler.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// The reason of an [`Error`], as far as a module can react to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The build does not have the function, or the operator has not configured it.
    Unsupported,
    /// The server is down or unreachable.
    Unavailable,
    /// A policy forbids the call: a method, a destination, a quota or a budget.
    Denied,
    /// The server or the host asks for fewer calls.
    RateLimited,
    /// A deadline passed.
    Timeout,
    /// An argument is malformed or breaks a rule.
    InvalidInput,
    /// A fault of the host, or of the module itself.
    Internal,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsupported => "unsupported",
            Self::Unavailable => "unavailable",
            Self::Denied => "denied",
            Self::RateLimited => "rate-limited",
            Self::Timeout => "timeout",
            Self::InvalidInput => "invalid-input",
            Self::Internal => "internal",
        })
    }
}

/// The failure of a host call, or of a handler.
///
/// The operator `?` turns every [`std::error::Error`] into an `Error` of the kind
/// [`ErrorKind::Internal`]. Like `anyhow::Error`, this type is therefore not a
/// [`std::error::Error`] itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Parts>);

/// The fields of the contract's `host-error`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Parts {
    /// The interface that failed. Empty for an error of the module; the SDK then sends the module's
    /// name.
    pub(crate) domain: Cow<'static, str>,
    pub(crate) kind: ErrorKind,
    pub(crate) code: i32,
    pub(crate) message: String,
    pub(crate) data: Option<String>,
}

impl Error {
    /// An error of the module itself.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::of("", kind, message.into())
    }

    /// An error of an interface.
    pub(crate) fn of(domain: &'static str, kind: ErrorKind, message: String) -> Self {
        Self::from_parts(Parts {
            domain: domain.into(),
            kind,
            code: 0,
            message,
            data: None,
        })
    }

    pub(crate) fn from_parts(parts: Parts) -> Self {
        Self(Box::new(parts))
    }

    #[cfg(target_arch = "wasm32")]
    pub(crate) fn into_parts(self) -> Parts {
        *self.0
    }

    /// Sets the server's number: a JSON-RPC code or an HTTP status.
    #[must_use]
    pub fn with_code(mut self, code: i32) -> Self {
        self.0.code = code;
        self
    }

    /// Sets the server's response body, for example revert data in hex.
    #[must_use]
    pub fn with_data(mut self, data: impl Into<String>) -> Self {
        self.0.data = Some(data.into());
        self
    }

    /// Puts a text and a colon in front of the message.
    #[must_use]
    pub fn context(mut self, text: impl fmt::Display) -> Self {
        self.0.message = format!("{text}: {}", self.0.message);
        self
    }

    /// The reason of the failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The interface that failed, for example `chain`. Empty for an error of the module.
    pub fn domain(&self) -> &str {
        &self.0.domain
    }

    /// The server's number (a JSON-RPC code or an HTTP status), else 0.
    pub fn code(&self) -> i32 {
        self.0.code
    }

    /// The description of the failure.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The server's response body, if a module can use it.
    pub fn data(&self) -> Option<&str> {
        self.0.data.as_deref()
    }

    /// Whether the call can succeed later without a change: the kind is
    /// [`Unavailable`](ErrorKind::Unavailable), [`RateLimited`](ErrorKind::RateLimited) or
    /// [`Timeout`](ErrorKind::Timeout).
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind(),
            ErrorKind::Unavailable | ErrorKind::RateLimited | ErrorKind::Timeout
        )
    }

    /// The data of the revert that ended a contract call, if a revert did.
    pub fn revert_data(&self) -> Option<Bytes> {
        let digits = self.data()?.strip_prefix("0x")?;
        hex::decode(digits).ok().map(Bytes::from)
    }

    /// The revert as one of the errors of a contract. `E` is the type that `sol!` generates for the
    /// errors of an interface, for example `IVault::IVaultErrors`.
    pub fn decode_revert<E: SolInterface>(&self) -> Option<E> {
        E::abi_decode(&self.revert_data()?).ok()
    }
}

/// `domain kind: message`, with the code if there is one.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts {
            domain,
            kind,
            code,
            message,
            ..
        } = &*self.0;
        if !domain.is_empty() {
            write!(f, "{domain} ")?;
        }
        match code {
            0 => write!(f, "{kind}: {message}"),
            code => write!(f, "{kind} ({code}): {message}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            // Some errors show the text of their source as their own.
            if !message.ends_with(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            source = cause.source();
        }
        Self::new(ErrorKind::Internal, message)
    }
}

/// Returns from the handler with an [`Error`]. The first argument can be an [`ErrorKind`]; the
/// default is [`ErrorKind::Internal`].
///
/// ```
/// # use nexum_sdk::{ErrorKind, Result, bail};
/// fn positive(amount: i64) -> Result<u64> {
///     if amount < 0 {
///         bail!(ErrorKind::InvalidInput; "{amount} is negative");
///     }
///     Ok(amount.unsigned_abs())
/// }
/// assert_eq!(positive(-1).unwrap_err().to_string(), "invalid-input: -1 is negative");
/// ```
#[macro_export]
macro_rules! bail {
    ($kind:expr; $($message:tt)+) => {
        return ::core::result::Result::Err($crate::Error::new($kind, ::std::format!($($message)+)))
    };
    ($($message:tt)+) => { $crate::bail!($crate::ErrorKind::Internal; $($message)+) };
}
