//! The socket in the state directory through which an operator controls a running nexum: JSON over HTTP.
//!
//! The socket's mode is 0600: a process that may open it may control the daemon. [`view`], [`query`] and [`frames`] define the
//! messages. The daemon's `control` is the server, and `client` is the client of `nexum status` and the other commands.

pub(crate) mod frames;
pub(crate) mod query;
pub(crate) mod view;

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

/// The socket's name in the state directory.
pub(crate) const SOCKET: &str = "nexum.sock";

/// The longest path of a socket (`sun_path` of `unix(7)`, without its end).
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// A path of the socket in a directory that `bind` and `connect` take. The file is to stay open meanwhile: a long path begins with its
/// descriptor.
///
/// # Errors
///
/// When the path is too long and the directory cannot be opened.
pub(crate) fn socket_in(directory: &Path) -> io::Result<(PathBuf, Option<File>)> {
    let path = directory.join(SOCKET);
    if path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        return Ok((path, None));
    }
    let directory = File::open(directory)?;
    let path = format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd());
    Ok((path.into(), Some(directory)))
}

/// Where modules are listed; what is about one of them is below this and its name.
pub(crate) const MODULES: &str = "/v1/modules";

/// Where modules are asked; the module's name is below this.
pub(crate) const QUERY: &str = "/v1/query";

/// Where something is done with the state, and where what an export wrote is taken in.
pub(crate) const STATE: &str = "/v1/state";
pub(crate) const IMPORT: &str = "/v1/state/import";

/// How large an answer may be: the dead letters of a module that failed at ten thousand large events are asked for in parts.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 << 20;

/// How many dead letters an answer has at most, the oldest first.
pub(crate) const DEAD_LETTERS_PER_ANSWER_MAX: usize = 1_000;
