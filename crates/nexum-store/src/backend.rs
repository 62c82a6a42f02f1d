//! The names of the back-ends.

use std::fmt;

use serde::Deserialize;

/// A back-end of the state store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// One file, with every commit synced.
    #[default]
    Redb,
    /// A directory of files; commits in large batches are cheaper, and promise less when the power fails.
    Sled,
    /// Nothing: the state is gone with the process.
    Memory,
}

impl Backend {
    /// Those that keep a file.
    pub(crate) const DURABLE: [Self; 2] = [Self::Redb, Self::Sled];

    /// As it is written in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redb => "redb",
            Self::Sled => "sled",
            Self::Memory => "memory",
        }
    }

    /// Whether it is compiled in.
    pub fn is_built(self) -> bool {
        match self {
            Self::Redb => cfg!(feature = "redb"),
            Self::Sled => cfg!(feature = "sled"),
            Self::Memory => true,
        }
    }

    /// What its file is called in a state directory.
    pub fn file_name(self) -> Option<&'static str> {
        match self {
            Self::Redb => Some("state.redb"),
            Self::Sled => Some("state.sled"),
            Self::Memory => None,
        }
    }

    /// How to get a build that has it.
    pub(crate) fn feature_hint(self) -> Option<String> {
        let feature = match self {
            Self::Redb => "runtime",
            Self::Sled => "store-sled",
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
