//! nexum's directory in the user's cache, which has tools and compilers.
//!
//! You can delete it whenever no build runs: the next build creates it again.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::progress::{check, step};
use crate::{Error, Progress};

/// The pause between two attempts to lock a tool that another process makes. A tool takes seconds.
const LOCK_EVERY: Duration = Duration::from_millis(50);

/// The environment variable that overrides the directory.
pub const VARIABLE: &str = "NEXUM_CACHE_DIR";

/// A directory of tools and compilers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `$NEXUM_CACHE_DIR`, else `nexum` in `$XDG_CACHE_HOME` or `~/.cache`.
    ///
    /// # Errors
    ///
    /// Fails if the user has no cache directory, or cannot write there.
    pub fn of_user() -> Result<Self, Error> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let root = root_from(variable(VARIABLE), variable("XDG_CACHE_HOME"), std::env::home_dir());
        root.map_or_else(
            || {
                Err(Error::Unavailable {
                    subject: "the user has no cache directory that nexum can write to".to_owned(),
                    hint: format!("name a directory in the environment variable {VARIABLE}"),
                })
            },
            |root| Self::at(&root),
        )
    }

    /// The cache in this directory, which is created when something is put into it.
    ///
    /// # Errors
    ///
    /// Fails if the path is relative and the current directory is unknown.
    pub fn at(root: &Path) -> Result<Self, Error> {
        // Tools start in other directories, where a relative path would have another meaning.
        let root = std::path::absolute(root).map_err(Error::file("resolve", root))?;
        Ok(Self { root })
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of the tools, each under its name and version.
    pub fn tools(&self) -> PathBuf {
        self.root.join("tools")
    }

    /// The directory `name` of [`Cache::tools`]. If it is absent, `make` fills an empty directory,
    /// which gets this name only when it is complete. Concurrent processes wait for each other.
    ///
    /// # Errors
    ///
    /// The error of `make`, or a fault of the file system.
    pub fn once<E: From<Error>>(
        &self,
        name: &str,
        progress: &dyn Progress,
        make: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<PathBuf, E> {
        let place = self.tools().join(name);
        if place.exists() {
            return Ok(place);
        }
        let _lock = self.lock(name, progress)?;
        if place.exists() {
            return Ok(place);
        }
        let scratch = self.tools().join(format!("{name}.new"));
        remove(&scratch)?;
        fs::create_dir_all(&scratch).map_err(Error::file("make", &scratch))?;
        step(progress, name, || make(&scratch))?;
        fs::rename(&scratch, &place).map_err(Error::file("make", &place))?;
        Ok(place)
    }

    /// Waits until no other process makes the tool `name`, and reports the wait as a step. The lock is
    /// held until the file is dropped.
    ///
    /// # Errors
    ///
    /// Fails if the lock file cannot be made or locked, or if the caller interrupts the wait.
    pub fn lock(&self, name: &str, progress: &dyn Progress) -> Result<File, Error> {
        let directory = self.tools();
        fs::create_dir_all(&directory).map_err(Error::file("make", &directory))?;
        let path = directory.join(format!("{name}.lock"));
        let file = File::create(&path).map_err(Error::file("make", &path))?;
        let is_locked = || match file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(Error::file("lock", &path)(error)),
        };
        if !is_locked()? {
            // Not `File::lock`, which no interrupt ends.
            let waiting = format!("nexum waits for the cache, which another nexum uses to make {name}");
            step(progress, &waiting, || {
                while !is_locked()? {
                    check(progress)?;
                    thread::sleep(LOCK_EVERY);
                }
                Ok::<_, Error>(())
            })?;
        }
        Ok(file)
    }
}

fn root_from(
    overridden: Option<impl Into<PathBuf>>,
    xdg: Option<impl Into<PathBuf>>,
    home: Option<PathBuf>,
) -> Option<PathBuf> {
    if let Some(overridden) = overridden {
        return Some(overridden.into());
    }
    let cache = xdg.map(Into::into).or_else(|| Some(home?.join(".cache")))?;
    Some(cache.join("nexum")).filter(|root| is_writable(root))
}

/// Creates the directory if it is absent. Returns whether it is writable.
fn is_writable(directory: &Path) -> bool {
    fs::create_dir_all(directory).is_ok() && tempfile::tempfile_in(directory).is_ok()
}

/// Deletes a directory, which may be absent.
///
/// # Errors
///
/// Fails if the directory cannot be deleted.
pub fn remove(directory: &Path) -> Result<(), Error> {
    match directory.exists() {
        true => fs::remove_dir_all(directory).map_err(Error::file("delete", directory)),
        false => Ok(()),
    }
}

/// The directories in `parent` whose name begins with `prefix`, the most recently used first. The
/// time of use is the modification time of the file `stamp` in each.
pub fn by_use(parent: &Path, prefix: &str, stamp: &str) -> Vec<PathBuf> {
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
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::Silent;

    #[test]
    fn is_in_the_cache_of_the_user_unless_overridden() {
        let user = tempfile::tempdir().expect("temporary directory");
        let (xdg, home) = (user.path().join("x"), user.path().join("a"));
        let root = |overridden: Option<&str>, xdg| root_from(overridden, xdg, Some(home.clone()));
        assert_eq!(root(Some("/c"), Some(&xdg)), Some("/c".into()));
        assert_eq!(root(None, Some(&xdg)), Some(xdg.join("nexum")));
        assert_eq!(root(None, None), Some(home.join(".cache/nexum")));
    }

    #[test]
    fn is_nowhere_for_a_user_who_cannot_write_there() {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        for home in [None, Some(file.path().to_owned())] {
            assert_eq!(root_from(None::<&str>, None::<&str>, home), None);
        }
    }

    #[test]
    fn a_tool_gets_its_name_when_it_is_complete() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let cache = Cache::at(directory.path()).expect("an absolute path");
        let failed = cache.once("a", &Silent, |scratch| {
            fs::write(scratch.join("part"), "").map_err(Error::file("write", scratch))?;
            Err(Error::Interrupted)
        });
        assert!(matches!(failed, Err(Error::Interrupted)));
        assert!(!directory.path().join("tools/a").exists());

        let made = cache.once("a", &Silent, |scratch| {
            assert_eq!(fs::read_dir(scratch).expect("a directory").count(), 0);
            Ok::<(), Error>(())
        });
        assert_eq!(made.expect("a tool"), directory.path().join("tools/a"));
        let found = cache.once("a", &Silent, |_| Err(Error::Interrupted));
        assert_eq!(found.expect("the tool"), directory.path().join("tools/a"));
    }

    /// Records the first step, and interrupts there.
    #[derive(Default)]
    struct InterruptedAtStep {
        interrupted: AtomicBool,
        step: OnceLock<String>,
    }

    impl Progress for InterruptedAtStep {
        fn begin(&self, step: &str) {
            self.step.get_or_init(|| step.to_owned());
            self.interrupted.store(true, Ordering::Relaxed);
        }

        fn end(&self, _: &str, _: Duration) {}

        fn note(&self, _: &str) {}

        fn interrupt(&self) -> Option<&AtomicBool> {
            Some(&self.interrupted)
        }
    }

    #[test]
    fn an_interrupt_ends_the_wait_for_another_process() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let cache = Cache::at(directory.path()).expect("an absolute path");
        // A second file descriptor waits for the lock as a second process does.
        let held = cache.lock("a", &Silent).expect("the lock");
        let caller = InterruptedAtStep::default();
        let waited = cache.once("a", &caller, |_| Ok::<(), Error>(()));
        assert!(matches!(waited, Err(Error::Interrupted)), "{waited:?}");
        assert_eq!(
            caller.step.get().map(String::as_str),
            Some("nexum waits for the cache, which another nexum uses to make a")
        );
        drop(held);
        cache.lock("a", &Silent).expect("the lock is free");
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
