//! The project's directory in the user's cache, which outlives a clone of the project. It has tools and compiled crates.
//!
//! You can delete it whenever no task runs: the next task creates it again.

pub(crate) mod builds;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context, Result};

use crate::{paths, process};

/// The environment variable that overrides the directory.
const VARIABLE: &str = "NEXUM_CACHE_DIR";

/// `$NEXUM_CACHE_DIR`, else `nexum` in `$XDG_CACHE_HOME` or `~/.cache`. If the user cannot write
/// there, the directory is in the work tree.
pub(crate) fn root() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let root = root_from(variable(VARIABLE), variable("XDG_CACHE_HOME"), std::env::home_dir());
    // Tasks start programs in other directories, where a relative path would have another meaning.
    std::path::absolute(&root).with_context(|| format!("cannot resolve {}", root.display()))
}

fn root_from(
    overridden: Option<impl Into<PathBuf>>,
    xdg: Option<impl Into<PathBuf>>,
    home: Option<PathBuf>,
) -> PathBuf {
    if let Some(overridden) = overridden {
        return overridden.into();
    }
    let cache = xdg.map(Into::into).or_else(|| Some(home?.join(".cache")));
    let of_the_user = cache.map(|cache| cache.join("nexum")).filter(|root| is_writable(root));
    of_the_user.unwrap_or_else(|| paths::root().join("target/cache"))
}

/// Creates the directory if it is absent. Returns whether it is writable.
fn is_writable(directory: &Path) -> bool {
    fs::create_dir_all(directory).is_ok() && tempfile::tempfile_in(directory).is_ok()
}

/// The directory of the tools that tasks fetch or make, each under its name and version.
pub(crate) fn tools() -> Result<PathBuf> {
    Ok(root()?.join("tools"))
}

/// The directory `name` of [`tools`]. If it is absent, `make` fills an empty directory, which gets
/// this name only when it is complete. Concurrent tasks wait for each other.
pub(crate) fn once(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let place = tools()?.join(name);
    if place.exists() {
        return Ok(place);
    }
    let _lock = lock(name)?;
    if place.exists() {
        return Ok(place);
    }
    let scratch = tools()?.join(format!("{name}.new"));
    remove(&scratch)?;
    fs::create_dir_all(&scratch)?;
    process::step(name, || make(&scratch))?;
    fs::rename(&scratch, &place).with_context(|| format!("cannot make {}", place.display()))?;
    Ok(place)
}

/// Waits until no other task makes the tool `name`. The lock is held until the file is dropped.
pub(crate) fn lock(name: &str) -> Result<File> {
    let directory = tools()?;
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let path = directory.join(format!("{name}.lock"));
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

/// Deletes a directory, which may be absent.
pub(crate) fn remove(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| format!("cannot delete {}", directory.display()))?;
    }
    Ok(())
}

/// The directories in `parent` whose name begins with `prefix`, the most recently used first. The time of use is that of
/// the file `stamp` in each.
pub(crate) fn by_use(parent: &Path, prefix: &str, stamp: &str) -> Vec<PathBuf> {
    let used = |directory: &Path| fs::metadata(directory.join(stamp)).and_then(|found| found.modified());
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut found: Vec<(SystemTime, PathBuf)> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix) && entry.path().is_dir())
        .map(|entry| (used(&entry.path()).unwrap_or(SystemTime::UNIX_EPOCH), entry.path()))
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, directory)| directory).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn is_in_the_cache_of_the_user_unless_overridden() {
        let user = tempfile::tempdir().expect("temporary directory");
        let (xdg, home) = (user.path().join("x"), user.path().join("a"));
        let root = |overridden: Option<&str>, xdg| root_from(overridden, xdg, Some(home.clone()));
        assert_eq!(root(Some("/c"), Some(&xdg)), Path::new("/c"));
        assert_eq!(root(None, Some(&xdg)), xdg.join("nexum"));
        assert_eq!(root(None, None), home.join(".cache/nexum"));
    }

    #[test]
    fn is_in_the_work_tree_for_a_user_who_cannot_write_elsewhere() {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        let of_the_work_tree = paths::root().join("target/cache");
        for home in [None, Some(file.path().to_owned())] {
            assert_eq!(root_from(None::<&str>, None::<&str>, home), of_the_work_tree);
        }
    }

    #[test]
    fn lists_the_most_recently_used_first() {
        let parent = tempfile::tempdir().expect("temporary directory");
        for (name, age) in [("a-old", 20), ("a-new", 10), ("b", 0)] {
            let directory = parent.path().join(name);
            fs::create_dir(&directory).expect("directory");
            let stamp = File::create(directory.join("stamp")).expect("stamp");
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 - age);
            stamp.set_modified(time).expect("time");
        }
        fs::create_dir(parent.path().join("a-never")).expect("directory");
        let names: Vec<_> = by_use(parent.path(), "a-", "stamp")
            .iter()
            .map(|path| path.file_name().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(names, ["a-new", "a-old", "a-never"]);
    }
}
