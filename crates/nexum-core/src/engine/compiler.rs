//! Compiles components within bounds on time and memory.
//!
//! A hostile component can occupy the compiler for hours and take all memory, and nothing stops a compilation inside a
//! process. Where the embedder names a [`ChildProgram`], a child process compiles each new component into the cache, and this process
//! takes it from there.

use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

use nexum_config::engine::Metering;
use nexum_config::names::Digest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use wasmtime::component::Component;

use super::{CompileError, base_config, open_cache};

/// How long a compilation may take. A component of 18 MB takes about a minute on one slow processor.
pub const COMPILE_TIME_MAX: Duration = Duration::from_secs(120);

/// How much memory a child process may take for a compilation, in bytes: some times what the largest components of the common
/// toolchains take, and what a small server has.
pub const COMPILE_MEMORY_BYTES_MAX: u64 = 2 << 30;

/// How long a child process may compile next to others. One that takes longer is ended and starts again as the only slow one, so that
/// no number of slow components keeps a quick one waiting for [`COMPILE_TIME_MAX`]. Most components take under a second.
const QUICK_TIME_MAX: Duration = Duration::from_secs(10);

/// The most bytes of an error that a child process reports: some times the longest error of the compiler.
const ERROR_BYTES_MAX: u64 = 4_096;

/// The directory in the cache that has a file for each component that was compiled within the bounds.
const COMPILED_DIR: &str = "compiled";

/// The exit code of a child process for an invalid component.
const INVALID: u8 = 2;

/// Where an engine compiles components.
#[derive(Clone, Debug, Default)]
pub enum Compiler {
    /// In this process, which bounds neither the memory of a compilation nor the time for which it occupies a thread.
    #[default]
    InProcess,
    /// In a child process for each component. Needs a cache directory, and compiles in this process without one.
    Child(ChildProgram),
}

/// A program that calls [`compile_in_child`] with the two arguments that follow `args`.
#[derive(Clone, Debug)]
pub struct ChildProgram {
    /// The program.
    pub program: PathBuf,
    /// Its first arguments.
    pub args: Vec<OsString>,
}

/// Compiles components for one process.
pub(super) struct Compilers {
    compiler: Compiler,
    cache_dir: Option<PathBuf>,
    /// As many compilations at a time as there are processors: each takes one, and much memory.
    quick: Arc<Semaphore>,
    /// How many components a child process compiled.
    in_child: AtomicUsize,
    /// One compilation at a time that exceeded [`QUICK_TIME_MAX`].
    slow: Semaphore,
}

impl Compilers {
    pub(super) fn new(compiler: Compiler, cache_dir: Option<PathBuf>) -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self {
            compiler,
            cache_dir,
            quick: Arc::new(Semaphore::new(processors)),
            in_child: AtomicUsize::new(0),
            slow: Semaphore::new(1),
        }
    }

    /// Compiles a component for an engine with this metering, or takes it from the cache. A child process ends when the future is
    /// dropped.
    pub(super) async fn compile(
        &self,
        engine: &wasmtime::Engine,
        metering: Metering,
        digest: Digest,
        bytes: Arc<Vec<u8>>,
    ) -> Result<Component, CompileError> {
        if let (Compiler::Child(program), Some(cache_dir)) = (&self.compiler, &self.cache_dir) {
            let mark = mark(cache_dir, engine, digest);
            let is_marked = {
                let mark = mark.clone();
                spawn_blocking(move || mark.exists()).await
            };
            if !is_marked.map_err(CompileError::Panicked)? {
                let job = Job {
                    program,
                    cache_dir,
                    metering,
                    bytes: &bytes,
                };
                self.in_child(&job).await?;
                self.in_child.fetch_add(1, Ordering::Relaxed);
                // Without the mark, the next start runs a child process again.
                let _ = spawn_blocking(move || set(&mark)).await;
            }
        }
        self.in_process(engine, bytes).await
    }

    /// How many components a child process compiled for this process, which then found them in the cache.
    pub(super) fn compiled_in_child(&self) -> usize {
        self.in_child.load(Ordering::Relaxed)
    }

    async fn in_child(&self, job: &Job<'_>) -> Result<(), CompileError> {
        {
            // The semaphores are never closed.
            let _permit = self.quick.acquire().await;
            match job.run(QUICK_TIME_MAX).await {
                Err(CompileError::TimedOut) => {}
                ended => return ended,
            }
        }
        let _permit = self.slow.acquire().await;
        job.run(COMPILE_TIME_MAX).await
    }

    /// Compiles on a blocking thread. After an error of time the thread goes on, and keeps its permit.
    async fn in_process(&self, engine: &wasmtime::Engine, bytes: Arc<Vec<u8>>) -> Result<Component, CompileError> {
        let permit = self.quick.clone().acquire_owned().await;
        let engine = engine.clone();
        let compiling = spawn_blocking(move || {
            let _permit = permit;
            Component::new(&engine, &*bytes)
        });
        let compiled = timeout(COMPILE_TIME_MAX, compiling).await;
        let compiled = compiled.map_err(|_| CompileError::TimedOut)?;
        compiled.map_err(CompileError::Panicked)?.map_err(CompileError::Invalid)
    }
}

/// A component for a child process.
struct Job<'a> {
    program: &'a ChildProgram,
    cache_dir: &'a Path,
    metering: Metering,
    bytes: &'a [u8],
}

impl Job<'_> {
    /// Compiles into the cache, and kills the child process when the time is over.
    async fn run(&self, time: Duration) -> Result<(), CompileError> {
        let cache_dir = std::path::absolute(self.cache_dir).map_err(CompileError::Child)?;
        let mut command = Command::new(&self.program.program);
        command
            .args(&self.program.args)
            .arg(cache_dir)
            .arg(name(self.metering))
            // The child needs no variable, and some are secrets.
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // Ctrl-C in a terminal is for the parent, which then ends the child.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn().map_err(CompileError::Child)?;
        match timeout(time, self.converse(&mut child)).await {
            Ok(ended) => ended,
            Err(_) => {
                child.kill().await.map_err(CompileError::Child)?;
                Err(CompileError::TimedOut)
            }
        }
    }

    async fn converse(&self, child: &mut Child) -> Result<(), CompileError> {
        let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
        let mut said = Vec::new();
        let send = async {
            let mut stdin = stdin?;
            // A child that ends early says why with its exit code.
            let _ = stdin.write_all(&(self.bytes.len() as u64).to_be_bytes()).await;
            let _ = stdin.write_all(self.bytes).await;
            Some(stdin)
        };
        let listen = async {
            if let Some(stderr) = stderr {
                let _ = stderr.take(ERROR_BYTES_MAX).read_to_end(&mut said).await;
            }
        };
        // The child ends when its stdin is closed, so stdin stays open until then.
        let (_open, ()) = tokio::join!(send, listen);
        let status = child.wait().await.map_err(CompileError::Child)?;
        outcome(status, &said)
    }
}

fn outcome(status: ExitStatus, said: &[u8]) -> Result<(), CompileError> {
    match status.code() {
        Some(0) => Ok(()),
        Some(code) if code == i32::from(INVALID) => {
            let said = String::from_utf8_lossy(said);
            Err(CompileError::Invalid(wasmtime::Error::msg(said.trim().to_owned())))
        }
        _ => Err(CompileError::Ended(status)),
    }
}

/// Compiles the component on stdin into a cache, as the child process of an engine with [`Compiler::Child`]. Returns the exit code.
///
/// Takes the two arguments that the engine adds. The caller limits the memory of the process to [`COMPILE_MEMORY_BYTES_MAX`] first.
pub fn compile_in_child(cache_dir: &Path, metering: &str) -> u8 {
    match compile(cache_dir, metering) {
        Ok(()) => 0,
        Err(error) => {
            // The parent may have gone.
            let _ = io::Write::write_all(&mut io::stderr(), format!("{error:#}").as_bytes());
            INVALID
        }
    }
}

fn compile(cache_dir: &Path, metering: &str) -> wasmtime::Result<()> {
    let mut length = [0; size_of::<u64>()];
    io::stdin().read_exact(&mut length)?;
    let mut bytes = Vec::new();
    io::stdin().take(u64::from_be_bytes(length)).read_to_end(&mut bytes)?;
    std::thread::spawn(|| {
        // The parent closes stdin when it ends or does not want the result any more.
        let _ = io::stdin().read(&mut [0]);
        std::process::exit(i32::from(INVALID));
    });
    // Without the path: the child does not know which part of it is secret.
    let cache =
        open_cache(&cache_dir.into()).map_err(|_| wasmtime::format_err!("the compile cache cannot be opened"))?;
    let mut config = base_config();
    config.consume_fuel(metering == name(Metering::Fuel)).cache(Some(cache));
    Component::new(&wasmtime::Engine::new(&config)?, &bytes)?;
    Ok(())
}

fn name(metering: Metering) -> &'static str {
    match metering {
        Metering::Fuel => "fuel",
        Metering::Epoch => "epoch",
    }
}

/// The file that says that a component was compiled within the bounds, for engines of this kind. If wasmtime's cache no longer has the
/// component, it is safe to compile in this process. Wasmtime removes the file when it cleans the cache.
fn mark(cache_dir: &Path, engine: &wasmtime::Engine, digest: Digest) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let file = format!("{:016x}-{}", hasher.finish(), digest.to_string().replace(':', "-"));
    cache_dir.join(COMPILED_DIR).join(file)
}

fn set(mark: &Path) -> io::Result<()> {
    if let Some(directory) = mark.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(mark, [])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_compiler_that_does_not_end_in_time_is_killed() {
        let directory = tempfile::tempdir().unwrap();
        let program = ChildProgram {
            program: "sh".into(),
            args: ["-c", "exec sleep 3600"].map(Into::into).into(),
        };
        let job = Job {
            program: &program,
            cache_dir: directory.path(),
            metering: Metering::Fuel,
            bytes: &[],
        };
        let error = job.run(Duration::from_millis(10)).await.unwrap_err();
        assert_eq!(error.to_string(), "the component does not compile within 120 s");
    }
}
