//! The tarball. Equal files make equal bytes: the order, the owners and the times of the entries do not
//! depend on the machine.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder, write::GzEncoder};
use tar::{Builder, EntryType, Header};

/// The rights of directories and programs, and of other files.
const EXECUTABLE: u32 = 0o755;
const READABLE: u32 = 0o644;

/// The directory whose files are programs.
const PROGRAMS: &str = "bin";

/// Packs a directory into `NAME.tar.gz` beside it, below the path `NAME`. Every entry has the time
/// `epoch` and belongs to root.
pub(super) fn make(directory: &Path, name: &str, epoch: u64) -> Result<PathBuf> {
    let path = directory.with_file_name(format!("{name}.tar.gz"));
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut archive = Builder::new(compressing(file));
    append(&mut archive, directory, Path::new(name), epoch)?;
    archive.into_inner()?.finish()?.sync_all()?;
    Ok(path)
}

/// Compresses a text. Equal texts become equal bytes.
pub(super) fn gzip(text: &[u8]) -> Result<Vec<u8>> {
    let mut gzip = compressing(Vec::new());
    gzip.write_all(text)?;
    Ok(gzip.finish()?)
}

/// Compresses without a name and a time in the header.
fn compressing<W: Write>(to: W) -> GzEncoder<W> {
    GzBuilder::new().mtime(0).write(to, Compression::best())
}

/// Appends a file, or a directory with its entries by name.
fn append(archive: &mut Builder<impl Write>, from: &Path, to: &Path, epoch: u64) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_mtime(epoch);
    header.set_uid(0);
    header.set_gid(0);
    if from.is_dir() {
        header.set_entry_type(EntryType::Directory);
        header.set_mode(EXECUTABLE);
        header.set_size(0);
        archive.append_data(&mut header, to, std::io::empty())?;
        for name in names(from)? {
            append(archive, &from.join(&name), &to.join(&name), epoch)?;
        }
        return Ok(());
    }
    let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    let is_program = from.parent().is_some_and(|parent| parent.ends_with(PROGRAMS));
    header.set_mode(if is_program { EXECUTABLE } else { READABLE });
    header.set_size(bytes.len() as u64);
    Ok(archive.append_data(&mut header, to, bytes.as_slice())?)
}

fn names(directory: &Path) -> Result<Vec<std::ffi::OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))? {
        names.push(entry?.file_name());
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_files_make_equal_bytes_whenever_they_were_written() {
        let parents = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
        let [first, second] = parents.each_ref().map(|parent| {
            let directory = parent.path().join("files");
            for (name, text) in [("bin/nexum", "program"), ("share/b", "b"), ("a", "a")] {
                let path = directory.join(name);
                fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
                fs::write(&path, text).expect("a file");
            }
            let old = std::time::SystemTime::UNIX_EPOCH
                + std::time::Duration::from_secs(parent.path().as_os_str().len() as u64);
            File::options()
                .write(true)
                .open(directory.join("a"))
                .expect("a file")
                .set_modified(old)
                .expect("a time");
            fs::read(make(&directory, "nexum-1", 1_000).expect("a tarball")).expect("its bytes")
        });
        assert!(first == second);

        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(first.as_slice()));
        let entries: Vec<_> = archive
            .entries()
            .expect("entries")
            .map(|entry| {
                let entry = entry.expect("an entry");
                let path = entry.path().expect("a path").display().to_string();
                let header = entry.header();
                assert_eq!(header.mtime().expect("a time"), 1_000);
                (path, header.mode().expect("a mode"))
            })
            .collect();
        let expected = [
            ("nexum-1", EXECUTABLE),
            ("nexum-1/a", READABLE),
            ("nexum-1/bin", EXECUTABLE),
            ("nexum-1/bin/nexum", EXECUTABLE),
            ("nexum-1/share", EXECUTABLE),
            ("nexum-1/share/b", READABLE),
        ];
        assert_eq!(entries, expected.map(|(path, mode)| (path.to_owned(), mode)));
    }
}
