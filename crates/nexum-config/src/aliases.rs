//! Old names of keys and values: the names of nexum 0.2 that this version still accepts.
//!
//! [`ALIASES`] is the only list of them. nexum replaces old names before it reads a file, so no
//! reader knows them. Each replaced name yields a notice. `docs/migrating.md` has a row for each
//! entry.

use std::fmt;

/// The file that a name belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// The operator's `engine.toml`.
    Engine,
    /// The author's `nexum.toml`.
    Manifest,
}

/// An old name and the name that replaces it.
///
/// In a path, `*` stands for any key and `[]` for each element of an array. A `*` of the new path
/// is the key that the `*` of the old path stands for.
#[derive(Clone, Copy, Debug)]
pub struct Alias {
    /// The file with the name.
    pub file: File,
    /// The path of the old key.
    pub old: &'static str,
    /// The path of the new key. For [`Change::Word`], it is the path of the old one.
    pub new: &'static str,
    /// The change of the value.
    pub change: Change,
}

/// The change of the value of an old key.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Change {
    /// It stays.
    Name,
    /// It is a number of seconds, and becomes a number of milliseconds.
    Seconds,
    /// It is a string, and becomes another one. The key stays.
    Word {
        /// The old string.
        old: &'static str,
        /// The new string.
        new: &'static str,
    },
    /// Nothing takes its place, and nexum ignores it. The new path is the nearest setting.
    Gone,
    /// It switches the old key `key`. `false`, or no such key, removes `key`. `true` sets the new key
    /// to `default` if `key` is missing.
    Switch {
        /// The path of the old key that is switched. It has an entry of its own after this one.
        key: &'static str,
        /// The value of a missing `key`, as nexum 0.2 defined it.
        default: &'static str,
    },
}

/// All old names, in the order in which nexum replaces them. An entry may use a path that an
/// earlier entry made.
pub const ALIASES: &[Alias] = &[
    engine("limits", "engine.limits"),
    Alias {
        change: Change::Seconds,
        ..engine("engine.limits.event_deadline_secs", "engine.limits.event_deadline_ms")
    },
    engine(
        "engine.limits.poison.max_failures",
        "engine.restart.max_consecutive_failures",
    ),
    Alias {
        change: Change::Gone,
        ..engine("engine.limits.poison.window_secs", "engine.restart")
    },
    engine("engine.limits.poison", "engine.restart"),
    Alias {
        change: Change::Switch {
            key: "engine.metrics.bind_addr",
            default: "127.0.0.1:9100",
        },
        ..engine("engine.metrics.enabled", "metrics.listen")
    },
    engine("engine.metrics.bind_addr", "metrics.listen"),
    engine("engine.metrics", "metrics"),
    engine("chains.mainnet", "chains.1"),
    engine("chains.gnosis", "chains.100"),
    engine("chains.base", "chains.8453"),
    engine("chains.arbitrum", "chains.42161"),
    engine("chains.sepolia", "chains.11155111"),
    Alias {
        change: Change::Seconds,
        ..engine("chains.*.request_timeout_secs", "chains.*.request_timeout_ms")
    },
    engine("local-store", "store"),
    engine("local_store", "store"),
    engine("cow-api", "cow"),
    engine("cow_api", "cow"),
    engine("chains.*.orderbook_url", "cow.*.base_url"),
    manifest("limits", "module.resources"),
    manifest("module.resources.fuel_per_event", "module.resources.max_fuel_per_event"),
    manifest("module.resources.memory_bytes", "module.resources.max_memory_bytes"),
    manifest("module.resources.state_bytes", "module.resources.max_state_bytes"),
    word("subscription[].kind", "chain-log", "log"),
    word("subscription[].kind", "chain_log", "log"),
    word("capabilities.*[]", "local_store", "local-store"),
    word("capabilities.*[]", "remote_store", "remote-store"),
    word("capabilities.*[]", "cow_api", "cow-api"),
];

const fn engine(old: &'static str, new: &'static str) -> Alias {
    Alias {
        file: File::Engine,
        old,
        new,
        change: Change::Name,
    }
}

const fn manifest(old: &'static str, new: &'static str) -> Alias {
    Alias {
        file: File::Manifest,
        ..engine(old, new)
    }
}

const fn word(path: &'static str, old: &'static str, new: &'static str) -> Alias {
    Alias {
        change: Change::Word { old, new },
        ..manifest(path, path)
    }
}

impl Alias {
    /// The old key, with the old value if the value changes.
    pub fn old_text(&self) -> String {
        match self.change {
            Change::Word { old, .. } => format!("{} = {old:?}", self.old),
            _ => self.old.to_owned(),
        }
    }

    /// The new key, with the new value if the value changes.
    pub fn new_text(&self) -> String {
        match self.change {
            Change::Word { new, .. } => format!("{} = {new:?}", self.new),
            _ => self.new.to_owned(),
        }
    }
}

impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Engine => "engine.toml",
            Self::Manifest => "nexum.toml",
        })
    }
}
