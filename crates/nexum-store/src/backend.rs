//! The names of the back-ends.

use std::fmt;

use serde::Deserialize;

/// The name of redb's file in a state directory.
pub(crate) const REDB_FILE: &str = "state.redb";

/// A back-end of the state store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// One file. Each commit is synced.
    #[default]
    Redb,
    /// A directory of files. A commit in a large batch costs less than with redb, but a power
    /// failure can lose more.
    Sled,
    /// A directory of files. Each commit is synced, with one sync.
    Fjall,
    /// A PostgreSQL database.
    Postgres,
    /// No file: the state ends with the process.
    Memory,
}

impl Backend {
    /// The back-ends with a file in a state directory.
    pub(crate) const IN_A_DIRECTORY: [Self; 3] = [Self::Redb, Self::Sled, Self::Fjall];

    /// The name in `[store] backend`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redb => "redb",
            Self::Sled => "sled",
            Self::Fjall => "fjall",
            Self::Postgres => "postgres",
            Self::Memory => "memory",
        }
    }

    /// Whether this build has the back-end.
    pub fn is_built(self) -> bool {
        match self {
            Self::Redb => cfg!(feature = "redb"),
            Self::Sled => cfg!(feature = "sled"),
            Self::Fjall => cfg!(feature = "fjall"),
            Self::Postgres => cfg!(feature = "postgres"),
            Self::Memory => true,
        }
    }

    /// The name of the back-end's file in a state directory.
    pub fn file_name(self) -> Option<&'static str> {
        match self {
            Self::Redb => Some(REDB_FILE),
            Self::Sled => Some("state.sled"),
            Self::Fjall => Some("state.fjall"),
            Self::Postgres | Self::Memory => None,
        }
    }

    /// A hint that says which feature adds the back-end.
    pub(crate) fn feature_hint(self) -> Option<String> {
        let feature = match self {
            Self::Redb => "runtime",
            Self::Sled => "store-sled",
            Self::Fjall => "store-fjall",
            Self::Postgres => "store-postgres",
            Self::Memory => return None,
        };
        Some(format!("build nexum with `--features {feature}`"))
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
