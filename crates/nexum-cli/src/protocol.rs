//! The common parts of the daemon and its clients: the messages of the API, as JSON over HTTP, and the
//! socket in the state directory.
//!
//! The socket's mode is 0600: a process that may open it may control the daemon. The daemon's `api` is
//! the server, and `client` is the client of `nexum status` and the other commands. A file for each
//! subject has its messages; [`error`] has the body of each response that is an error.

#[cfg_attr(
    not(feature = "identity"),
    allow(dead_code, reason = "a build without accounts has no command for them")
)]
pub(crate) mod accounts;
pub(crate) mod chains;
pub(crate) mod conditions;
pub(crate) mod config;
pub(crate) mod dead_letters;
pub(crate) mod effects;
pub(crate) mod error;
pub(crate) mod event_part;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod frames;
pub(crate) mod health;
pub(crate) mod lasting;
pub(crate) mod limits;
pub(crate) mod logs;
pub(crate) mod modules;
pub(crate) mod query;
pub(crate) mod reason;
pub(crate) mod reload;
pub(crate) mod stage;

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

/// The socket's name in the state directory.
pub(crate) const SOCKET: &str = "nexum.sock";

/// The longest path of a socket, in bytes (`sun_path` of `unix(7)`, without its terminator).
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// A path of the socket in a directory that fits into `bind` and `connect`. Keep the returned file
/// open while you use the path: the path of a long directory begins with the file's descriptor.
///
/// # Errors
///
/// If the path is too long and the directory cannot be opened.
pub(crate) fn socket_in(directory: &Path) -> io::Result<(PathBuf, Option<File>)> {
    let path = directory.join(SOCKET);
    if path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        return Ok((path, None));
    }
    let directory = File::open(directory)?;
    let path = format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd());
    Ok((path.into(), Some(directory)))
}

/// The path of explanations of events.
pub(crate) const EXPLAIN: &str = "/v1/explain";

/// The path of the list of chains.
pub(crate) const CHAINS: &str = "/v1/chains";

/// The path of the daemon's health.
pub(crate) const HEALTH: &str = "/v1/health";

/// The path of the list of modules, and the prefix of each module's own paths.
pub(crate) const MODULES: &str = "/v1/modules";

/// The path of the running configuration.
pub(crate) const CONFIG: &str = "/v1/config";

/// The path of reloads of the configuration.
pub(crate) const RELOAD: &str = "/v1/reload";

/// The prefix of the paths for queries; the module's name follows, and for a function `/` and its
/// name, which is empty for the default function.
pub(crate) const QUERY: &str = "/v1/query";

/// The paths of the log, of what happens, of the log's level, and of the test of notifications.
pub(crate) const LOGS: &str = "/v1/logs";
pub(crate) const EVENTS: &str = "/v1/events";
pub(crate) const LOG_LEVEL: &str = "/v1/log-level";
pub(crate) const NOTIFY_TEST: &str = "/v1/notify/test";

/// The name of the event in a stream that reports lost messages.
pub(crate) const GAP: &str = "gap";

/// The name of the last event of a stream, before nexum stops.
pub(crate) const END: &str = "end";

/// The path for tasks on the state, and the path for imports.
pub(crate) const STATE: &str = "/v1/state";
pub(crate) const IMPORT: &str = "/v1/state/import";

/// The largest answer, in bytes. The dead letters of a module that failed at ten thousand large
/// events take several answers.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 << 20;

/// The most dead letters in an answer, oldest first.
pub(crate) const DEAD_LETTERS_PER_ANSWER_MAX: usize = 1_000;
