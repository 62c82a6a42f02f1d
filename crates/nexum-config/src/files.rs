//! The read-only files of a module: the directory that a manifest names, found and checked.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use rustix::fs::{Mode, OFlags};
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

use crate::hint::Hint;
use crate::masked_path::MaskedPath;

/// The most files, directories and links in a module's directory. One call lists a directory into
/// the host's memory, so this bounds that list to about a megabyte.
pub const ENTRIES_MAX: usize = 4_096;

/// The longest name of a directory of files, in bytes: the longest file name of common file systems.
const NAME_BYTES_MAX: usize = 255;

/// The name of a directory below the directory of a manifest: `assets`, or `data/tables`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesName(String);

/// The error for a text that is not a [`FilesName`]. It does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected the name of a directory below the manifest's own, in 1 to {NAME_BYTES_MAX} bytes, without `.`, `..` and a leading `/`"
)]
pub struct FilesNameError;

impl FromStr for FilesName {
    type Err = FilesNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // `components` ignores a `.` in the middle, and `/` at the end or twice.
        let is_name = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(char::is_control);
        let is_normal = |part| matches!(part, Component::Normal(_));
        let accepted =
            text.len() <= NAME_BYTES_MAX && text.split('/').all(is_name) && Path::new(text).components().all(is_normal);
        match accepted {
            true => Ok(Self(text.to_owned())),
            false => Err(FilesNameError),
        }
    }
}

impl fmt::Display for FilesName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for FilesName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for FilesName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A directory of read-only files, open and checked.
///
/// At the check, the directory contained only regular files, directories, and links that stay in it.
/// A user of the directory has to expect that another process changes it later.
#[derive(Debug)]
pub struct Files {
    /// The path for errors and reports.
    pub path: MaskedPath,
    /// The open directory. It stays this one if another directory takes the name.
    pub directory: File,
    /// The number of files, directories and links at the check.
    pub entries: usize,
}

/// The reason why nexum refuses a directory of files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// The system cannot read the directory or an entry.
    #[error("{}: cannot be read", path.display())]
    Io {
        /// The directory or the entry.
        path: PathBuf,
        /// The error.
        #[source]
        source: io::Error,
    },
    /// The name is a link to a place that is not below the manifest's directory.
    #[error("{}: is not below the manifest's directory", path.display())]
    NotBelow {
        /// The directory.
        path: PathBuf,
    },
    /// The directory contains, or lies in, a file or directory that belongs to the operator.
    #[error("{}: overlaps {}, which no module may read", path.display(), private.display())]
    Private {
        /// The directory.
        path: PathBuf,
        /// The operator's file or directory.
        private: PathBuf,
    },
    /// A link in the directory leads out of it or nowhere, or is absolute.
    #[error("{}: is a symbolic link that leads to none of the module's files", path.display())]
    Leaves {
        /// The link.
        path: PathBuf,
    },
    /// The directory contains a FIFO, a device or a socket.
    #[error("{}: is neither a regular file nor a directory", path.display())]
    NotRegular {
        /// The entry.
        path: PathBuf,
    },
    /// The directory contains too much.
    #[error("{}: contains more than {ENTRIES_MAX} files and directories", path.display())]
    TooMany {
        /// The directory.
        path: PathBuf,
    },
}

impl Hint for FilesError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Io { .. } => None,
            Self::NotBelow { .. } | Self::Private { .. } => {
                Some("name a directory that holds only files for the module".to_owned())
            }
            Self::Leaves { .. } => {
                Some("replace the link by a copy, or by a relative link inside the files".to_owned())
            }
            Self::NotRegular { .. } => Some("remove it from the module's files".to_owned()),
            Self::TooMany { .. } => Some("join files into archives that the module reads".to_owned()),
        }
    }
}

impl Files {
    /// Opens and checks the directory `name` beside the file `beside`. `private` has the files and
    /// directories that no module may read, which need not exist. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// The first reason to refuse the directory.
    pub fn open(beside: &MaskedPath, name: &FilesName, private: &[MaskedPath]) -> Result<Self, FilesError> {
        let path = beside.with_file_name(&name.0);
        let io = |source| FilesError::Io {
            path: path.shown().to_owned(),
            source,
        };
        let parent = beside.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = fs::canonicalize(parent.unwrap_or(Path::new("."))).map_err(io)?;
        let root = fs::canonicalize(&*path).map_err(io)?;
        if root == parent || !root.starts_with(&parent) {
            let path = path.shown().to_owned();
            return Err(FilesError::NotBelow { path });
        }
        for private in private {
            let place = place_of(private);
            if place.starts_with(&root) || root.starts_with(&place) {
                return Err(FilesError::Private {
                    path: path.shown().to_owned(),
                    private: private.shown().to_owned(),
                });
            }
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&root, flags, Mode::empty()).map_err(|errno| io(errno.into()))?;
        let entries = check_tree(&root, &|found| {
            let below = found.strip_prefix(&root).unwrap_or(found).components();
            path.shown().components().chain(below).collect()
        })?;
        Ok(Self {
            path,
            directory: directory.into(),
            entries,
        })
    }
}

/// The place of a path that need not exist: links in the part that exists are resolved.
fn place_of(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let resolved = absolute.ancestors().find_map(|ancestor| {
        let place = fs::canonicalize(ancestor).ok()?;
        Some(place.join(absolute.strip_prefix(ancestor).ok()?))
    });
    resolved.unwrap_or(absolute)
}

/// Checks everything below `root`, and returns the number of entries. `shown` makes the path for an
/// error.
fn check_tree(root: &Path, shown: &dyn Fn(&Path) -> PathBuf) -> Result<usize, FilesError> {
    let mut entries = 0;
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        let io = |source| FilesError::Io {
            path: shown(&directory),
            source,
        };
        for entry in fs::read_dir(&directory).map_err(io)? {
            let entry = entry.map_err(io)?;
            entries += 1;
            if entries > ENTRIES_MAX {
                return Err(FilesError::TooMany { path: shown(root) });
            }
            let path = entry.path();
            match entry.file_type().map_err(io)? {
                kind if kind.is_dir() => directories.push(path),
                kind if kind.is_file() => {}
                kind if kind.is_symlink() => {
                    if !stays_in(root, &path) {
                        return Err(FilesError::Leaves { path: shown(&path) });
                    }
                }
                _ => return Err(FilesError::NotRegular { path: shown(&path) }),
            }
        }
    }
    Ok(entries)
}

/// Whether a link is relative and ends at an entry of the tree. Absolute links cannot work, because
/// the tree is the root of what the module sees.
fn stays_in(root: &Path, link: &Path) -> bool {
    let is_relative = fs::read_link(link).is_ok_and(|target| target.is_relative());
    is_relative && fs::canonicalize(link).is_ok_and(|end| end.starts_with(root))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_name_leads_down_and_nowhere_else() {
        for (name, accepted) in [
            ("assets", true),
            ("data/tables", true),
            ("...", true),
            ("ä b", true),
            ("", false),
            (".", false),
            ("..", false),
            ("./assets", false),
            ("assets/", false),
            ("assets/..", false),
            ("assets//tables", false),
            ("a/../../b", false),
            ("/etc", false),
            ("a\nb", false),
            (&"a".repeat(256), false),
        ] {
            assert_eq!(name.parse::<FilesName>().is_ok(), accepted, "{name:?}");
        }
    }

    /// A module's directory `m` with files in `m/assets`, and a file beside it.
    fn module() -> (TempDir, MaskedPath) {
        let dir = TempDir::new().expect("a directory");
        fs::create_dir_all(dir.path().join("m/assets/sub")).expect("a directory");
        fs::write(dir.path().join("m/assets/a.txt"), "a").expect("a file");
        fs::write(dir.path().join("secret"), "s").expect("a file");
        let manifest = dir.path().join("m/nexum.toml").into();
        (dir, manifest)
    }

    fn open(manifest: &MaskedPath, name: &str, private: &[MaskedPath]) -> Result<usize, String> {
        let files = Files::open(manifest, &name.parse().expect("a name"), private);
        let directory = manifest.parent().and_then(Path::parent).expect("a directory");
        let relative = |error: FilesError| error.to_string().replace(&format!("{}/", directory.display()), "");
        files.map(|files| files.entries).map_err(relative)
    }

    #[test]
    fn regular_files_directories_and_inner_links_are_accepted() {
        let (dir, manifest) = module();
        let assets = dir.path().join("m/assets");
        // As a mounted ConfigMap of Kubernetes has them.
        symlink("sub", assets.join("..data")).expect("a link");
        fs::write(assets.join("sub/b.txt"), "b").expect("a file");
        symlink("..data/b.txt", assets.join("b.txt")).expect("a link");
        assert_eq!(open(&manifest, "assets", &[]), Ok(5));
        symlink("assets", dir.path().join("m/link")).expect("a link");
        assert_eq!(open(&manifest, "link", &[]), Ok(5));
    }

    #[test]
    fn a_directory_that_is_not_below_the_manifest_is_refused() {
        let (dir, manifest) = module();
        for (link, target) in [("m/out", "../m2"), ("m/up", "."), ("m/absolute", "/")] {
            fs::create_dir_all(dir.path().join("m2")).expect("a directory");
            symlink(target, dir.path().join(link)).expect("a link");
            let name = link.trim_start_matches("m/");
            let expected = format!("{link}: is not below the manifest's directory");
            assert_eq!(open(&manifest, name, &[]), Err(expected));
        }
        assert_eq!(
            open(&manifest, "missing", &[]),
            Err("m/missing: cannot be read".to_owned())
        );
        assert_eq!(
            open(&manifest, "assets/a.txt", &[]),
            Err("m/assets/a.txt: cannot be read".to_owned())
        );
    }

    #[test]
    fn links_that_leave_the_files_are_refused() {
        let (dir, manifest) = module();
        let link = dir.path().join("m/assets/sub/link");
        for target in ["../../../secret", "../..", "/etc/passwd", "nowhere", "link"] {
            symlink(target, &link).expect("a link");
            let expected = "m/assets/sub/link: is a symbolic link that leads to none of the module's files";
            assert_eq!(open(&manifest, "assets", &[]), Err(expected.to_owned()), "{target}");
            fs::remove_file(&link).expect("a removal");
        }
    }

    #[test]
    fn a_fifo_is_refused_and_not_opened() {
        let (dir, manifest) = module();
        let fifo = dir.path().join("m/assets/fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, Mode::RUSR).expect("a FIFO");
        let expected = "m/assets/fifo: is neither a regular file nor a directory";
        assert_eq!(open(&manifest, "assets", &[]), Err(expected.to_owned()));
    }

    #[test]
    fn private_places_are_refused_also_before_they_exist() {
        let (dir, manifest) = module();
        symlink("m/assets", dir.path().join("alias")).expect("a link");
        for (private, refused) in [
            ("m/assets", true),
            ("m/assets/a.txt", true),
            ("m/assets/state/later", true),
            ("alias/later", true),
            ("m", true),
            ("m/assets2", false),
            ("secret", false),
        ] {
            let private = [dir.path().join(private).into()];
            let opened = open(&manifest, "assets", &private);
            assert_eq!(opened.is_err(), refused, "{private:?}: {opened:?}");
            assert!(!refused || opened.is_err_and(|error| error.starts_with("m/assets: overlaps ")));
        }
    }

    #[test]
    fn the_number_of_entries_is_bounded() {
        let (dir, manifest) = module();
        // Two entries are there already.
        for number in 2..ENTRIES_MAX {
            fs::write(dir.path().join(format!("m/assets/sub/{number}")), "").expect("a file");
        }
        assert_eq!(open(&manifest, "assets", &[]), Ok(ENTRIES_MAX));
        fs::write(dir.path().join("m/assets/one-more"), "").expect("a file");
        assert_eq!(
            open(&manifest, "assets", &[]),
            Err("m/assets: contains more than 4096 files and directories".to_owned())
        );
    }
}
