//! Reads of regular files. A read of a FIFO or a device can block forever, or never end.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// An error of [`open`] or [`read`], as the end of a sentence about the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system cannot open or read the file.
    #[error("cannot be read")]
    Io(#[from] io::Error),
    /// The path names a directory.
    #[error("is a directory, expected a file")]
    Directory,
    /// The path names a FIFO, a device or a socket.
    #[error("is not a regular file")]
    NotRegular,
    /// The file is larger than the caller accepts.
    #[error("is larger than {bytes_max} bytes")]
    TooLarge {
        /// The most bytes that the caller accepts.
        bytes_max: u64,
    },
}

/// Opens the regular file at `path` for reading, and never waits for a writer.
///
/// # Errors
///
/// Fails if the file is unreadable or is not a regular file.
pub fn open(path: &Path) -> Result<File, FileError> {
    // Before the open: opening a FIFO waits for a writer, and opening a device can change it.
    check_kind(&fs::metadata(path)?)?;
    // Another file can have taken the name meanwhile: the flags keep the open from waiting.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from)?);
    check_kind(&file.metadata()?)?;
    Ok(file)
}

/// Reads the regular file at `path`, up to `bytes_max` bytes. It reads at most one byte more, to
/// detect a larger file.
///
/// # Errors
///
/// Fails if the file is unreadable, is not a regular file, or is larger.
pub fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, FileError> {
    let file = open(path)?;
    let mut bytes = Vec::new();
    // The bound applies to the bytes read, because the file system may report another size.
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(FileError::TooLarge { bytes_max });
    }
    Ok(bytes)
}

fn check_kind(metadata: &Metadata) -> Result<(), FileError> {
    match metadata.file_type() {
        kind if kind.is_dir() => Err(FileError::Directory),
        kind if !kind.is_file() => Err(FileError::NotRegular),
        _ => Ok(()),
    }
}
