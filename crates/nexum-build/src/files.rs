//! The copy of a module's read-only files beside its finished manifest.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nexum_config::files::{Files, FilesName};
use nexum_config::manifest::{MANIFEST_FILE, Manifest};

use crate::output::write_if_changed;
use crate::{Error, cache};

/// The names of the files and directories that builds write into the directory of their results,
/// besides the component. The module's files cannot have one of these names.
const RESERVED: [&str; 6] = [MANIFEST_FILE, "nexum", "wit", "packages", "entry", "entry.js"];

/// Makes `[module] files` of the directory of the results equal to that of the author: writes the
/// changed files, and removes those that the author's directory does not have. Removes the directory
/// of the build before if the manifest then had another name for it.
///
/// # Errors
///
/// Fails if nexum would refuse the author's directory, or if it overlaps the results.
pub(crate) fn copy(manifest: &Path, name: Option<&FilesName>, component: &str, output: &Path) -> Result<(), Error> {
    let before = copied_before(output);
    if let Some(stale) = before.filter(|before| Some(before) != name && !is_reserved(before, component)) {
        remove(&output.join(stale.to_string()))?;
    }
    let Some(name) = name else {
        return Ok(());
    };
    if is_reserved(name, component) {
        return Err(Error::Project {
            path: manifest.to_owned(),
            reason: format!("`files` is `{name}`, and a build writes its own results with this name"),
            hint: Some("rename the directory of the module's files".to_owned()),
        });
    }
    Files::open(&manifest.into(), name, &[output.into()])?;
    let source = manifest.with_file_name(name.to_string());
    let mut directories = vec![(source, output.join(name.to_string()))];
    while let Some((from, to)) = directories.pop() {
        directories.extend(copy_level(&from, &to)?);
    }
    Ok(())
}

/// The directory that the finished manifest of the build before names.
fn copied_before(output: &Path) -> Option<FilesName> {
    Manifest::load(&output.join(MANIFEST_FILE).as_path().into()).ok()?.files
}

fn is_reserved(name: &FilesName, component: &str) -> bool {
    let name = name.to_string();
    let first = name.split('/').next().unwrap_or(&name);
    first == component || RESERVED.contains(&first)
}

/// Copies the files and links of one directory. Returns the directories in it, with their copies.
fn copy_level(from: &Path, to: &Path) -> Result<Vec<(PathBuf, PathBuf)>, Error> {
    if !fs::symlink_metadata(to).is_ok_and(|found| found.is_dir()) {
        remove(to)?;
        fs::create_dir_all(to).map_err(Error::file("make", to))?;
    }
    let mut names = BTreeSet::new();
    let mut directories = Vec::new();
    for entry in fs::read_dir(from).map_err(Error::file("read", from))? {
        let entry = entry.map_err(Error::file("read", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(Error::file("read", &source))?;
        let is_of_kind = fs::symlink_metadata(&target).is_ok_and(|found| found.file_type() == kind);
        if !is_of_kind {
            remove(&target)?;
        }
        if kind.is_dir() {
            directories.push((source, target));
        } else if kind.is_symlink() {
            copy_link(&source, &target)?;
        } else {
            let content = fs::read(&source).map_err(Error::file("read", &source))?;
            write_if_changed(&target, &content)?;
        }
        names.insert(entry.file_name());
    }
    remove_others(to, &names)?;
    Ok(directories)
}

/// Copies a link, which leads to the copy of what it leads to.
fn copy_link(from: &Path, to: &Path) -> Result<(), Error> {
    let end = fs::read_link(from).map_err(Error::file("read", from))?;
    if fs::read_link(to).is_ok_and(|found| found == end) {
        return Ok(());
    }
    remove(to)?;
    symlink(&end, to).map_err(Error::file("write", to))
}

/// Removes the entries of a directory that have none of these names.
fn remove_others(directory: &Path, names: &BTreeSet<OsString>) -> Result<(), Error> {
    for entry in fs::read_dir(directory).map_err(Error::file("read", directory))? {
        let entry = entry.map_err(Error::file("read", directory))?;
        if !names.contains(&entry.file_name()) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a file, a link or a directory. It may be absent.
fn remove(path: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => cache::remove(path),
        Ok(_) => fs::remove_file(path).map_err(Error::file("delete", path)),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A project with files in `assets`.
    fn project() -> TempDir {
        let project = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(project.path().join("assets/sub")).expect("a directory");
        fs::write(project.path().join("assets/sub/a.txt"), "a").expect("a file");
        symlink("sub/a.txt", project.path().join("assets/link")).expect("a link");
        project
    }

    /// Copies as a build does, which then writes its manifest.
    fn copy_of(project: &TempDir, name: Option<&str>) -> Result<(), Error> {
        let output = project.path().join("build");
        fs::create_dir_all(&output).expect("a directory");
        let files = name.map(|name| name.parse().expect("a name"));
        copy(
            &project.path().join(MANIFEST_FILE),
            files.as_ref(),
            "watch.wasm",
            &output,
        )?;
        let line = name.map_or_else(String::new, |name| format!("files = \"{name}\"\n"));
        fs::write(
            output.join(MANIFEST_FILE),
            format!("[module]\nname = \"watch\"\n{line}"),
        )
        .expect("a manifest");
        Ok(())
    }

    #[test]
    fn a_copy_follows_its_source() {
        let project = project();
        let (source, copied) = (project.path().join("assets"), project.path().join("build/assets"));
        copy_of(&project, Some("assets")).expect("a copy");
        assert_eq!(fs::read_to_string(copied.join("sub/a.txt")).expect("a file"), "a");
        assert_eq!(
            fs::read_link(copied.join("link")).expect("a link"),
            Path::new("sub/a.txt")
        );
        let manifest = project.path().join("build").join(MANIFEST_FILE);
        let accepted = Files::open(&manifest.as_path().into(), &"assets".parse().expect("a name"), &[]);
        assert_eq!(accepted.expect("nexum accepts the copy").entries, 3);

        // A file replaces a link, a directory replaces a file, and a directory is removed.
        fs::remove_file(source.join("link")).expect("a removal");
        fs::write(source.join("link"), "b").expect("a file");
        fs::remove_dir_all(source.join("sub")).expect("a removal");
        fs::create_dir(source.join("more")).expect("a directory");
        fs::write(copied.join("more"), "left").expect("a file");
        copy_of(&project, Some("assets")).expect("a copy");
        assert!(fs::symlink_metadata(copied.join("link")).expect("an entry").is_file());
        assert_eq!(fs::read_to_string(copied.join("link")).expect("a file"), "b");
        assert!(copied.join("more").is_dir() && !copied.join("sub").exists());
    }

    #[test]
    fn an_unchanged_file_is_not_written() {
        let project = project();
        let copied = project.path().join("build/assets/sub/a.txt");
        copy_of(&project, Some("assets")).expect("a copy");
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1);
        let file = fs::File::options().append(true).open(&copied).expect("a file");
        file.set_modified(time).expect("a time");
        copy_of(&project, Some("assets")).expect("a copy");
        let found = fs::metadata(&copied).expect("a file").modified().expect("a time");
        assert_eq!(found, time);
        fs::write(project.path().join("assets/sub/a.txt"), "c").expect("a file");
        copy_of(&project, Some("assets")).expect("a copy");
        assert_eq!(fs::read_to_string(&copied).expect("a file"), "c");
    }

    #[test]
    fn a_copy_goes_with_its_name() {
        let project = project();
        copy_of(&project, Some("assets")).expect("a copy");
        fs::rename(project.path().join("assets"), project.path().join("data")).expect("a new name");
        copy_of(&project, Some("data")).expect("a copy");
        assert!(!project.path().join("build/assets").exists());
        assert!(project.path().join("build/data/sub/a.txt").exists());
        copy_of(&project, None).expect("no copy");
        assert!(!project.path().join("build/data").exists());
    }

    #[test]
    fn refuses_what_is_no_directory_of_files() {
        let project = project();
        symlink("/etc", project.path().join("assets/out")).expect("a link");
        for (name, reason) in [
            ("assets", "is a symbolic link that leads to none of the module's files"),
            (
                "nexum",
                "`files` is `nexum`, and a build writes its own results with this name",
            ),
            (
                "watch.wasm",
                "`files` is `watch.wasm`, and a build writes its own results with this name",
            ),
            ("missing", "cannot be read"),
            ("build", "which no module may read"),
        ] {
            let error = copy_of(&project, Some(name)).expect_err("a refusal").to_string();
            assert!(error.ends_with(reason), "{name}: {error}");
        }
    }
}
