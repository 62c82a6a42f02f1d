//! A directory that a command is given.

use std::path::PathBuf;
use std::str::FromStr;

/// Divides the host's path from the guest's.
const SEPARATOR: &str = "::";

/// What a directory ends in that may not be written to.
const READ_ONLY: &str = ":ro";

/// A directory of the host, with everything in it, and where the command sees it.
///
/// Written `HOST::GUEST`, or `HOST::GUEST:ro` to be read only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dir {
    /// On the host.
    pub host: PathBuf,
    /// In the command: an absolute path such as `/data`, or `.` for where relative paths begin.
    pub guest: String,
    /// Whether the command may change nothing in it.
    pub is_read_only: bool,
}

/// Why a text is no [`Dir`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirError {
    /// There is no `::` in it.
    #[error("a directory is given as HOST::GUEST or HOST::GUEST:ro")]
    Form,
    /// One of the paths is empty.
    #[error("a directory has a path on the host and one in the command, and neither is empty")]
    Empty,
    /// What the command is to call it has a colon in it, so that something was meant that does not exist.
    #[error("a directory's path in the command has no colon; after it there can only be :ro")]
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
