//! The token of the TCP port, which a file contains.

use std::fmt::Write as _;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;

use axum::http::{HeaderMap, header};
use nexum_config::masked_path::MaskedPath;
use nexum_config::names::Digest;
use nexum_config::regular_file::{self, FileError};
use parking_lot::RwLock;
use subtle::ConstantTimeEq as _;
use tokio_util::sync::CancellationToken;

use crate::report::{Refusal, count};

/// The largest token, and the largest file with one, in bytes: far more than any generator writes, and
/// within the bound on the head of a request.
const TOKEN_BYTES_MAX: u64 = 4_096;

/// The shortest token, in bytes: 128 random bits as hexadecimal digits, which are beyond guessing.
const TOKEN_BYTES_MIN: usize = 32;

/// The rights that make a file unfit for a secret: any right of others, and the right of the group to
/// write. The group may read, because a service manager passes secrets to a service in this way.
pub(crate) const RIGHTS_REFUSED: u32 = 0o027;

/// The name of the scheme in the header `Authorization` (RFC 6750).
const SCHEME: &str = "bearer";

/// The token of a file. nexum keeps its digest, so that neither the memory nor a `Debug` text has the
/// token itself.
pub(crate) struct Token(RwLock<Current>);

struct Current {
    digest: Digest,
    /// Cancelled when another token replaces this one.
    replaced: CancellationToken,
}

impl Token {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, other users can read it, or it has no token.
    pub(super) fn read(path: &MaskedPath) -> Result<Self, Refusal> {
        Ok(Self(RwLock::new(Current {
            digest: read(path)?,
            replaced: CancellationToken::new(),
        })))
    }

    /// Replaces the token by a newer one. Ends what [`Token::admit`] admitted with another token.
    pub(crate) fn replace(&self, newer: &Self) {
        let digest = newer.0.read().digest;
        let mut current = self.0.write();
        if current.digest.as_bytes() != digest.as_bytes() {
            current.digest = digest;
            std::mem::take(&mut current.replaced).cancel();
        }
    }

    /// Looks for the token in the header `Authorization`. The time that this takes does not depend on
    /// the token. The result is cancelled when another token replaces this one, and `None` if the
    /// header does not have the token.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> Option<CancellationToken> {
        let mut values = headers.get_all(header::AUTHORIZATION).into_iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        let given = Digest::of(token.trim().as_bytes());
        let current = self.0.read();
        let is_token: bool = given.as_bytes().ct_eq(current.digest.as_bytes()).into();
        (scheme.eq_ignore_ascii_case(SCHEME) && is_token).then(|| current.replaced.clone())
    }
}

/// The digest of the token in a file.
fn read(path: &MaskedPath) -> Result<Digest, Refusal> {
    let shown = path.display();
    let refuse = |error: FileError| {
        let reason = match &error {
            FileError::Io(error) => error.to_string(),
            error => error.to_string(),
        };
        Refusal::new(reason).with_hint(how_to_make(path))
    };
    let file = regular_file::open(path).map_err(refuse)?;
    let mode = file.metadata().map_err(|error| refuse(error.into()))?.mode();
    if mode & RIGHTS_REFUSED != 0 {
        let error = format!(
            "other users can read or change this file (its mode is {:04o})",
            mode & 0o7777
        );
        return Err(Refusal::new(error).with_hint(format!("make it private with `chmod g-w,o= {shown}`")));
    }
    let mut content = Vec::new();
    let read = file.take(TOKEN_BYTES_MAX + 1).read_to_end(&mut content);
    read.map_err(|error| refuse(error.into()))?;
    let token = content.trim_ascii();
    match fault(&content, token) {
        None => Ok(Digest::of(token)),
        Some(fault) => Err(Refusal::new(fault).with_hint(how_to_make(path))),
    }
}

/// Why a file's content is not a token.
fn fault(content: &[u8], token: &[u8]) -> Option<String> {
    // The characters of RFC 6750, section 2.1: others cannot be in the header.
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    if content.len() as u64 > TOKEN_BYTES_MAX {
        Some(format!(
            "the file has more than {TOKEN_BYTES_MAX} bytes, so that it is no token"
        ))
    } else if token.len() < TOKEN_BYTES_MIN {
        Some(format!(
            "the token has {}, and must have at least {TOKEN_BYTES_MIN}",
            count(token.len(), "byte")
        ))
    } else if !token.iter().all(is_part) {
        Some("the token may have only letters, digits and the characters -._~+/=".to_owned())
    } else {
        None
    }
}

fn how_to_make(path: &MaskedPath) -> String {
    let mut hint = "write 32 random bytes with ".to_owned();
    // Writing to a string cannot fail.
    let _ = write!(hint, "`(umask 077; openssl rand -hex 32 > {})`", path.display());
    hint
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use axum::http::HeaderValue;

    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    /// The outcome of a file with this content and mode.
    fn outcome(content: &[u8], mode: u32) -> Result<Token, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let opened = Token::read(&path.into());
        opened.map_err(|refusal| refusal.to_string().replace(&dir.path().display().to_string(), "<dir>"))
    }

    #[test]
    fn a_file_with_a_token_is_private() {
        for mode in [0o600, 0o400, 0o440, 0o640] {
            assert!(outcome(TOKEN.as_bytes(), mode).is_ok(), "{mode:o}");
        }
        for mode in [0o644, 0o660, 0o604, 0o602, 0o601] {
            let refused = outcome(TOKEN.as_bytes(), mode).err().unwrap();
            assert_eq!(
                refused,
                format!(
                    "other users can read or change this file (its mode is {mode:04o}) (make it private with `chmod g-w,o= <dir>/token`)"
                )
            );
        }
    }

    #[test]
    fn a_token_is_long_and_fits_into_a_header() {
        let made = "write 32 random bytes with `(umask 077; openssl rand -hex 32 > <dir>/token)`";
        for (content, expected) in [
            (&b""[..], "the token has 0 bytes, and must have at least 32"),
            (b"  secret \n", "the token has 6 bytes, and must have at least 32"),
            (
                b"0123456789abcdef 0123456789abcdef",
                "the token may have only letters, digits and the characters -._~+/=",
            ),
            (
                &[b'a'; 4_097],
                "the file has more than 4096 bytes, so that it is no token",
            ),
        ] {
            assert_eq!(outcome(content, 0o600).err().unwrap(), format!("{expected} ({made})"));
        }
        assert!(outcome(&[b'a'; 4_096], 0o600).is_ok());
        assert!(outcome(format!("\n {TOKEN}\r\n").as_bytes(), 0o600).is_ok());
    }

    fn headers(token: &str) -> HeaderMap {
        let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        HeaderMap::from_iter([(header::AUTHORIZATION, value)])
    }

    #[test]
    fn a_newer_token_replaces_the_last_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let write = |content: &str| {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        };
        write(TOKEN);
        let read = || Token::read(&path.clone().into());
        let file = read().unwrap_or_else(|error| panic!("{error}"));
        let next = TOKEN.replace('0', "9");
        write(&next);
        let admitted = file.admit(&headers(TOKEN)).unwrap();
        assert!(file.admit(&headers(&next)).is_none());
        file.replace(&read().unwrap_or_else(|error| panic!("{error}")));
        assert!(file.admit(&headers(TOKEN)).is_none());
        assert!(admitted.is_cancelled());
        let admitted = file.admit(&headers(&next)).unwrap();
        // A reload with an unchanged file.
        file.replace(&read().unwrap_or_else(|error| panic!("{error}")));
        assert!(!admitted.is_cancelled());
        write("short");
        assert!(read().is_err());
    }

    #[test]
    fn only_the_token_is_admitted() {
        let file = outcome(format!("{TOKEN}\n").as_bytes(), 0o600).unwrap_or_else(|error| panic!("{error}"));
        for (value, is_admitted) in [
            (format!("Bearer {TOKEN}"), true),
            (format!("bearer {TOKEN}"), true),
            (format!("Basic {TOKEN}"), false),
            (format!("Bearer {TOKEN}0"), false),
            (format!("Bearer {}", &TOKEN[1..]), false),
            ("Bearer ".to_owned(), false),
            (TOKEN.to_owned(), false),
        ] {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(&value).unwrap())]);
            assert_eq!(file.admit(&headers).is_some(), is_admitted, "{value}");
        }
        assert!(file.admit(&HeaderMap::new()).is_none());
        let twice = [TOKEN, TOKEN].map(|token| {
            let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
            (header::AUTHORIZATION, value)
        });
        let mut headers = HeaderMap::new();
        for (name, value) in twice {
            headers.append(name, value);
        }
        assert!(file.admit(&headers).is_none());
    }
}
