//! `wasi:filesystem`: the read-only files of a module, at `/`. A module without files has no
//! directory to begin with.
//!
//! wasmtime-wasi keeps a guest inside the directory, and reads files on threads that may wait. This
//! file adds what the rest of the host expects of a host call:
//!
//! - Calls draw on the event's fuel.
//! - A guest opens only regular files and directories. The open of a FIFO would take a thread until
//!   a writer comes.
//! - A guest cannot write, wait for a disk to write, or make the system read ahead.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream, ErrorCode,
    Filesize, HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult, InputStream, Pollable, StreamResult};

use super::{Wasi, Work};
use crate::capability::module_files::ModuleFiles;
use crate::capability::{HostState, View};

/// The fuel of a call that asks the file system, beside one unit per byte: about as many
/// instructions as it takes the host to change to another thread and back.
const FILE_CALL_FUEL: usize = 20_000;

/// The fuel of one entry of a listed directory: the host reads the kind of each.
const ENTRY_FUEL: usize = 1_000;

/// The most open files, directories and streams of an instance. A Rust program has two for each open
/// file. The daemon raises the number of files that its process may open.
const OPEN_FILES_MAX: usize = 64;

/// The name of the directory for the guest.
const ROOT: &str = "/";

/// Adds the interfaces to a linker, in place of wasmtime-wasi's own.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    types::add_to_linker::<_, HasFiles>(linker, files)?;
    preopens::add_to_linker::<_, HasFiles>(linker, files)?;
    linker.allow_shadowing(false);
    Ok(())
}

struct HasFiles;

impl HasData for HasFiles {
    type Data<'a> = FilesView<'a>;
}

/// The arguments of the host functions.
struct FilesView<'a> {
    inner: WasiFilesystemCtxView<'a>,
    files: Option<&'a ModuleFiles>,
    open: &'a OpenFiles,
    work: &'a Work,
}

/// The number of open files, directories and streams of an instance.
#[derive(Clone, Default)]
pub(super) struct OpenFiles(Arc<AtomicUsize>);

impl OpenFiles {
    /// Counts one more. Fails if there are [`OPEN_FILES_MAX`].
    fn add(&self) -> wasmtime::Result<()> {
        let add = |open: usize| (open < OPEN_FILES_MAX).then_some(open + 1);
        match self.0.try_update(Ordering::Relaxed, Ordering::Relaxed, add) {
            Ok(_) => Ok(()),
            Err(_) => wasmtime::bail!("the module has more than {OPEN_FILES_MAX} open files, directories and streams"),
        }
    }

    fn remove(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn files(host: &mut HostState) -> FilesView<'_> {
    let View { state, table, meta, .. } = host.view::<Wasi>();
    FilesView {
        inner: WasiFilesystemCtxView {
            ctx: &mut state.filesystem,
            table,
        },
        files: meta.files.as_ref(),
        open: &state.open_files,
        work: &state.work,
    }
}

impl FilesView<'_> {
    /// Counts a call that asks the file system and handles this many bytes.
    fn spend(&self, bytes: usize) {
        self.work.add(FILE_CALL_FUEL.saturating_add(bytes));
    }
}

fn read_only<T>() -> FsResult<T> {
    Err(ErrorCode::ReadOnly.into())
}

impl preopens::Host for FilesView<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let Some(files) = self.files else {
            return Ok(Vec::new());
        };
        self.open.add()?;
        let directory = self.inner.table.push(Descriptor::Dir(files.directory().clone()))?;
        Ok(vec![(directory, ROOT.to_owned())])
    }
}

impl types::Host for FilesView<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        types::Host::convert_error_code(&mut self.inner, error)
    }

    fn filesystem_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        types::Host::filesystem_error_code(&mut self.inner, error)
    }
}

impl HostDescriptor for FilesView<'_> {
    async fn open_at(
        &mut self,
        directory: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        let changes = OpenFlags::CREATE | OpenFlags::EXCLUSIVE | OpenFlags::TRUNCATE;
        if open_flags.intersects(changes)
            || flags.intersects(DescriptorFlags::WRITE | DescriptorFlags::MUTATE_DIRECTORY)
        {
            return read_only();
        }
        let same = Resource::new_borrow(directory.rep());
        let found = self.stat_at(same, path_flags, path.clone()).await?;
        match found.type_ {
            // An open that follows no link fails for a link.
            DescriptorType::RegularFile | DescriptorType::Directory | DescriptorType::SymbolicLink => {}
            _ => return Err(ErrorCode::NotPermitted.into()),
        }
        self.spend(path.len());
        self.open.add().map_err(FsError::trap)?;
        let opened = self.inner.open_at(directory, path_flags, path, open_flags, flags).await;
        opened.inspect_err(|_| self.open.remove())
    }

    async fn read(
        &mut self,
        file: Resource<Descriptor>,
        length: Filesize,
        offset: Filesize,
    ) -> FsResult<(Vec<u8>, bool)> {
        let (bytes, is_end) = self.inner.read(file, length, offset).await?;
        self.spend(bytes.len());
        Ok((bytes, is_end))
    }

    fn read_via_stream(&mut self, file: Resource<Descriptor>, offset: Filesize) -> FsResult<Resource<DynInputStream>> {
        self.spend(0);
        self.open.add().map_err(FsError::trap)?;
        let open = Open(self.open.clone());
        let stream = self.inner.read_via_stream(file, offset)?;
        let stream = self.inner.table.delete(stream)?;
        let work = self.work.clone();
        let stream: DynInputStream = Box::new(FileStream {
            stream,
            work,
            _open: open,
        });
        Ok(self.inner.table.push(stream)?)
    }

    async fn read_directory(&mut self, directory: Resource<Descriptor>) -> FsResult<Resource<DirectoryEntryStream>> {
        let entries = self.files.map_or(0, ModuleFiles::entries);
        self.spend(entries.saturating_mul(ENTRY_FUEL));
        self.open.add().map_err(FsError::trap)?;
        let entries = self.inner.read_directory(directory).await;
        entries.inspect_err(|_| self.open.remove())
    }

    async fn stat(&mut self, descriptor: Resource<Descriptor>) -> FsResult<DescriptorStat> {
        self.spend(0);
        self.inner.stat(descriptor).await
    }

    async fn stat_at(
        &mut self,
        directory: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
    ) -> FsResult<DescriptorStat> {
        self.spend(path.len());
        self.inner.stat_at(directory, path_flags, path).await
    }

    async fn readlink_at(&mut self, directory: Resource<Descriptor>, path: String) -> FsResult<String> {
        self.spend(path.len());
        self.inner.readlink_at(directory, path).await
    }

    async fn metadata_hash(&mut self, descriptor: Resource<Descriptor>) -> FsResult<MetadataHashValue> {
        self.spend(0);
        self.inner.metadata_hash(descriptor).await
    }

    async fn metadata_hash_at(
        &mut self,
        directory: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        self.spend(path.len());
        self.inner.metadata_hash_at(directory, path_flags, path).await
    }

    async fn is_same_object(
        &mut self,
        one: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        self.spend(0);
        self.inner.is_same_object(one, other).await
    }

    async fn get_flags(&mut self, descriptor: Resource<Descriptor>) -> FsResult<DescriptorFlags> {
        self.spend(0);
        self.inner.get_flags(descriptor).await
    }

    async fn get_type(&mut self, descriptor: Resource<Descriptor>) -> FsResult<DescriptorType> {
        self.spend(0);
        self.inner.get_type(descriptor).await
    }

    fn drop(&mut self, descriptor: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.open.remove();
        HostDescriptor::drop(&mut self.inner, descriptor)
    }

    /// Does nothing: advice is a hint, and reading ahead is work that no limit bounds.
    async fn advise(&mut self, _: Resource<Descriptor>, _: Filesize, _: Filesize, _: Advice) -> FsResult<()> {
        Ok(())
    }

    /// Does nothing: there is nothing that the guest could have written.
    async fn sync(&mut self, _: Resource<Descriptor>) -> FsResult<()> {
        Ok(())
    }

    /// Does nothing, as [`sync`](Self::sync).
    async fn sync_data(&mut self, _: Resource<Descriptor>) -> FsResult<()> {
        Ok(())
    }

    fn write_via_stream(&mut self, _: Resource<Descriptor>, _: Filesize) -> FsResult<Resource<DynOutputStream>> {
        read_only()
    }

    fn append_via_stream(&mut self, _: Resource<Descriptor>) -> FsResult<Resource<DynOutputStream>> {
        read_only()
    }

    async fn write(&mut self, _: Resource<Descriptor>, _: Vec<u8>, _: Filesize) -> FsResult<Filesize> {
        read_only()
    }

    async fn set_size(&mut self, _: Resource<Descriptor>, _: Filesize) -> FsResult<()> {
        read_only()
    }

    async fn set_times(&mut self, _: Resource<Descriptor>, _: NewTimestamp, _: NewTimestamp) -> FsResult<()> {
        read_only()
    }

    async fn set_times_at(
        &mut self,
        _: Resource<Descriptor>,
        _: PathFlags,
        _: String,
        _: NewTimestamp,
        _: NewTimestamp,
    ) -> FsResult<()> {
        read_only()
    }

    async fn create_directory_at(&mut self, _: Resource<Descriptor>, _: String) -> FsResult<()> {
        read_only()
    }

    async fn link_at(
        &mut self,
        _: Resource<Descriptor>,
        _: PathFlags,
        _: String,
        _: Resource<Descriptor>,
        _: String,
    ) -> FsResult<()> {
        read_only()
    }

    async fn symlink_at(&mut self, _: Resource<Descriptor>, _: String, _: String) -> FsResult<()> {
        read_only()
    }

    async fn rename_at(
        &mut self,
        _: Resource<Descriptor>,
        _: String,
        _: Resource<Descriptor>,
        _: String,
    ) -> FsResult<()> {
        read_only()
    }

    async fn remove_directory_at(&mut self, _: Resource<Descriptor>, _: String) -> FsResult<()> {
        read_only()
    }

    async fn unlink_file_at(&mut self, _: Resource<Descriptor>, _: String) -> FsResult<()> {
        read_only()
    }
}

impl HostDirectoryEntryStream for FilesView<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        self.work.add(0);
        self.inner.read_directory_entry(stream).await
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        self.open.remove();
        HostDirectoryEntryStream::drop(&mut self.inner, stream)
    }
}

/// The content of a file, whose reads draw on the fuel.
struct FileStream {
    stream: DynInputStream,
    work: Work,
    _open: Open,
}

/// An open stream, which counts until its drop.
struct Open(OpenFiles);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.remove();
    }
}

impl FileStream {
    fn spend(&self, bytes: usize) {
        self.work.add(FILE_CALL_FUEL.saturating_add(bytes));
    }
}

#[async_trait]
impl Pollable for FileStream {
    async fn ready(&mut self) {
        self.spend(0);
        self.stream.ready().await;
    }
}

#[async_trait]
impl InputStream for FileStream {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let read = self.stream.read(size);
        self.spend(read.as_ref().map_or(0, Bytes::len));
        read
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        let read = self.stream.blocking_read(size).await;
        self.spend(read.as_ref().map_or(0, Bytes::len));
        read
    }

    async fn cancel(&mut self) {
        self.stream.cancel().await;
    }
}
