//! PostgreSQL: the tests of the store start servers of their own, and tasks start [`Server`]s.

mod server;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub(crate) use self::server::{Server, Stop, url};

/// The variable with the directory of the server's programs, for the tests.
pub(crate) const VARIABLE: &str = "NEXUM_POSTGRES";

/// The programs that the tests and the tasks start.
const PROGRAMS: [&str; 4] = ["initdb", "pg_ctl", "postgres", "psql"];

/// The oldest version that nexum supports.
const VERSION_MIN: u32 = 15;

/// Where Debian has a directory for each version. Its programs are not on PATH.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Returns the directory of the server's programs: the newest of Debian, or else one on PATH.
///
/// The server needs libraries and files of several packages at their places, and it refuses to run as
/// root, so that another user must be able to read them. So nothing is fetched.
pub(crate) fn ensure() -> Result<PathBuf> {
    let of_path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = newest().into_iter().chain(std::env::split_paths(&of_path));
    found
        .find(|directory| has_all(directory))
        .with_context(|| format!("PostgreSQL {VERSION_MIN} or newer is not installed; on Debian, install postgresql"))
}

/// The programs of the newest version in Debian's directory.
fn newest() -> Option<PathBuf> {
    let entries = std::fs::read_dir(DEBIAN).ok()?;
    let version = |name: String| name.parse::<u32>().ok().filter(|version| *version >= VERSION_MIN);
    let versions = entries
        .flatten()
        .filter_map(|entry| version(entry.file_name().into_string().ok()?));
    Some(Path::new(DEBIAN).join(versions.max()?.to_string()).join("bin"))
}

fn has_all(directory: &Path) -> bool {
    PROGRAMS.iter().all(|program| directory.join(program).is_file())
}
