//! A directory that a command can access.

use std::path::PathBuf;
use std::str::FromStr;

/// The separator between the host's path and the guest's.
const SEPARATOR: &str = "::";

/// The suffix of a read-only directory.
const READ_ONLY: &str = ":ro";

/// A directory of the host with its content, and the path at which the command sees it.
///
/// The written form is `HOST::GUEST`, or `HOST::GUEST:ro` for read-only access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dir {
    /// The path on the host.
    pub host: PathBuf,
    /// The path in the command: an absolute path such as `/data`, or `.` for the base of relative
    /// paths.
    pub guest: String,
    /// Whether the directory is read-only for the command.
    pub is_read_only: bool,
}

/// Why a text is not a [`Dir`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirError {
    /// The text has no `::`.
    #[error("expected HOST::GUEST or HOST::GUEST:ro")]
    Form,
    /// One of the paths is empty.
    #[error("expected a path on the host and a path in the command, neither of them empty")]
    Empty,
    /// The path in the command contains a colon, probably from an option that does not exist.
    #[error("the path in the command cannot contain a colon; only :ro can follow it")]
    Colon,
}

impl FromStr for Dir {
    type Err = DirError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, guest) = text.split_once(SEPARATOR).ok_or(DirError::Form)?;
        let (guest, is_read_only) = match guest.strip_suffix(READ_ONLY) {
            Some(guest) => (guest, true),
            None => (guest, false),
        };
        if host.is_empty() || guest.is_empty() {
            return Err(DirError::Empty);
        }
        if guest.contains(':') {
            return Err(DirError::Colon);
        }
        Ok(Self {
            host: host.into(),
            guest: guest.to_owned(),
            is_read_only,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_from_text() {
        let dir = |host: &str, guest: &str, is_read_only| {
            Ok(Dir {
                host: host.into(),
                guest: guest.to_owned(),
                is_read_only,
            })
        };
        for (text, expected) in [
            ("/srv/a::/data", dir("/srv/a", "/data", false)),
            ("a::b:ro", dir("a", "b", true)),
            (".::.", dir(".", ".", false)),
            ("a:ro::/b", dir("a:ro", "/b", false)),
            ("/srv/a", Err(DirError::Form)),
            ("/srv/a:/data", Err(DirError::Form)),
            ("", Err(DirError::Form)),
            ("::/data", Err(DirError::Empty)),
            ("/srv::", Err(DirError::Empty)),
            ("/srv:::ro", Err(DirError::Empty)),
            ("/srv::/data:rw", Err(DirError::Colon)),
            ("/srv::/data:ro:ro", Err(DirError::Colon)),
            ("/srv::/a::/b", Err(DirError::Colon)),
        ] {
            assert_eq!(text.parse::<Dir>(), expected, "{text}");
        }
    }
}
