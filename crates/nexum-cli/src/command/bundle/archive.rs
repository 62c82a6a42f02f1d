//! Writes a bundle: a tar archive, compressed with gzip, with one directory.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use tar::{Builder, Header};
use tempfile::NamedTempFile;

use super::Part;
use crate::report::{Refusal, time};

/// The directory in the archive.
const DIRECTORY: &str = "nexum-support";

/// The name of the list of all parts.
const MANIFEST: &str = "manifest.json";

/// The mode of each file in the archive. The archive itself has it too.
const MODE: u32 = 0o600;

/// The most bytes of a part. All parts together take less than 100 MiB, and a tenth of that when
/// compressed. Logs and metrics of a hundred modules fit.
pub(super) const PART_BYTES_MAX: usize = 8 << 20;

/// The list of the parts.
#[derive(Serialize)]
struct Manifest<'a> {
    version: &'static str,
    created: String,
    files: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    about: &'a str,
    /// The bytes in the archive. None if there is no file.
    bytes: Option<usize>,
    /// The bytes that were left out at the end.
    cut_bytes: usize,
    /// Why there is no file.
    missing: Option<&'a str>,
}

/// The refusal to overwrite a file.
pub(super) fn exists(file: &Path) -> Refusal {
    let refusal = Refusal::new(format!("{} exists", file.display()));
    refusal.with_hint("give another file, or replace it with --force")
}

/// Writes the parts to `file`, which only this user can read. The file appears when it is complete.
///
/// # Errors
///
/// If the file exists without `force`, or cannot be written.
pub(super) fn write(file: &Path, force: bool, parts: &[Part], now_ms: u64) -> Result<(), Refusal> {
    let failed = |error: &io::Error| {
        Refusal::new(format!("{} cannot be written: {error}", file.display()))
            .with_hint("name a file where this user can write: `nexum support-bundle /tmp/nexum-support.tar.gz`")
    };
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Its mode is 0600.
    let mut unnamed = NamedTempFile::new_in(directory).map_err(|error| failed(&error.kind().into()))?;
    fill(unnamed.as_file_mut(), parts, now_ms).map_err(|error| failed(&error))?;
    let named = match force {
        true => unnamed.persist(file),
        false => unnamed.persist_noclobber(file),
    };
    match named {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Err(exists(file)),
        Err(error) => Err(failed(&error.error)),
    }
}

fn fill(file: &mut File, parts: &[Part], now_ms: u64) -> io::Result<()> {
    let mut archive = Builder::new(GzEncoder::new(file, Compression::default()));
    let mut add = |name: &str, content: &[u8]| {
        let mut header = Header::new_gnu();
        header.set_mode(MODE);
        header.set_mtime(now_ms / 1_000);
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, format!("{DIRECTORY}/{name}"), content)
    };
    let manifest = serde_json::to_vec_pretty(&manifest(parts, now_ms)).map_err(io::Error::other)?;
    add(MANIFEST, &manifest)?;
    for part in parts {
        if let Ok(content) = &part.content {
            add(part.name, kept(content))?;
        }
    }
    let file = archive.into_inner()?.finish()?;
    file.flush()?;
    file.sync_all()
}

/// The start of a content that fits.
fn kept(content: &[u8]) -> &[u8] {
    content.get(..PART_BYTES_MAX).unwrap_or(content)
}

fn manifest(parts: &[Part], now_ms: u64) -> Manifest<'_> {
    Manifest {
        version: env!("CARGO_PKG_VERSION"),
        created: time(now_ms),
        files: parts.iter().map(Entry::of).collect(),
    }
}

impl<'a> Entry<'a> {
    fn of(part: &'a Part) -> Self {
        let content = part.content.as_ref();
        Self {
            name: part.name,
            about: part.about,
            bytes: content.ok().map(|content| kept(content).len()),
            cut_bytes: content.map_or(0, |content| content.len() - kept(content).len()),
            missing: content.err().map(String::as_str),
        }
    }
}
