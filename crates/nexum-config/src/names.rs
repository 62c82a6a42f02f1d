//! Names that several files use: module names, and digests of files.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{self, Deserializer};
use sha2::{Digest as _, Sha256};

use crate::hint::{Hint, Hinted};

/// The longest [`ModuleName`], in characters: enough for a readable name, and short enough for a
/// log line, a metric's label and a file name.
pub const MODULE_NAME_CHARS_MAX: usize = 64;

/// A module's name: 1 to 64 characters of `a-z`, `0-9`, `-` and `_`. The first is a letter or a
/// digit.
///
/// The alphabet needs no escaping in a log field, a metric's label or a file name, on any system.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleName(Box<str>);

/// The error for a text that is not a [`ModuleName`]. It does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a module name is 1 to 64 characters of a-z, 0-9, - and _, and begins with a letter or a digit")]
pub struct ModuleNameError;

impl ModuleName {
    /// The default name of a module: the name of its component's file, in lower case and with `-`
    /// for `_`.
    ///
    /// # Errors
    ///
    /// Fails if the result is not a module name.
    pub fn of_file(component: &Path) -> Result<Self, ModuleNameError> {
        let stem = component.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        stem.replace('_', "-").to_lowercase().parse()
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ModuleName {
    type Err = ModuleNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let letter_or_digit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = text.as_bytes();
        let begins_well = bytes.first().is_some_and(|byte| letter_or_digit(*byte));
        let consists_well = bytes
            .iter()
            .all(|byte| letter_or_digit(*byte) || matches!(byte, b'-' | b'_'));
        if begins_well && consists_well && bytes.len() <= MODULE_NAME_CHARS_MAX {
            Ok(Self(text.into()))
        } else {
            Err(ModuleNameError)
        }
    }
}

impl fmt::Display for ModuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ModuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl AsRef<str> for ModuleName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for ModuleName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The SHA-256 of a file's bytes, written as `sha256:` and 64 lower-case hexadecimal digits.
///
/// A digest has one spelling, so people and programs can compare digests as text.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// The error for a text that is not a [`Digest`]. It does not repeat the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// The text would be a digest in lower case.
    #[error("a digest is written in lower case")]
    Capitals {
        /// The digest in its correct spelling.
        lower_case: Digest,
    },
    /// The text does not have the form of a digest.
    #[error("a digest is sha256: followed by 64 hexadecimal digits in lower case")]
    Form,
}

impl Hint for DigestError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Capitals { lower_case } => Some(format!("write {lower_case}")),
            Self::Form => {
                Some("write `sha256:` and then the digits that `sha256sum FILE` prints, or omit `digest`".to_owned())
            }
        }
    }
}

impl Digest {
    /// The prefix of a digest's text.
    const PREFIX: &'static str = "sha256:";

    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Whether every digit is zero, as in a file whose author left the digest open.
    pub fn is_zero(&self) -> bool {
        self.0 == [0; 32]
    }

    /// The 32 bytes of the hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn from_lower_case(text: &str) -> Option<Self> {
        let hex = text.strip_prefix(Self::PREFIX)?.as_bytes();
        let (pairs, rest) = hex.as_chunks::<2>();
        if pairs.len() != 32 || !rest.is_empty() {
            return None;
        }
        let mut digest = [0; 32];
        for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Some(Self(digest))
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(digest) = Self::from_lower_case(text) {
            return Ok(digest);
        }
        match Self::from_lower_case(&text.to_ascii_lowercase()) {
            Some(lower_case) => Err(DigestError::Capitals { lower_case }),
            None => Err(DigestError::Form),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(|error: DigestError| de::Error::custom(Hinted(&error)))
    }
}
