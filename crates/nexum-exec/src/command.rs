//! A command, and its access to the host.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use nexum_config::component::{self, ComponentFile};
use nexum_config::engine::Pooling;
use nexum_config::limits::Limit;
use nexum_core::Capture;
use nexum_core::engine::{Engine, EngineConfig};
use wasmtime::component::Component;
use wasmtime::{ExternType, Module};
use wasmtime_wasi::p2::bindings::CommandPre;

use crate::destination::Destination;
use crate::dir::Dir;
use crate::error::LoadError;
use crate::host::{Access, Host};
use crate::limits::Limits;
use crate::lookup;
use crate::network::Network;
use crate::ready::{EntryPoint, Ready};

/// The command's file in a package directory.
pub const PACKAGE_FILE: &str = "app.wasm";

/// The export of a preview 2 command, without the patch release.
const RUN: &str = "wasi:cli/run@0.2.";

/// The export of a preview 1 command.
const START: &str = "_start";

/// The default size of a memory page, in bytes.
const PAGE_BYTES: u64 = 65_536;

/// A command before its checks. By default it has its name as the only argument, and no variables,
/// files or network.
#[derive(Clone, Debug)]
pub struct Command {
    package: PathBuf,
    access: Access,
    destinations: Vec<Destination>,
}

impl Command {
    /// Selects the command in a file, or in the file [`PACKAGE_FILE`] of a directory. The last part
    /// of the path is the command's name and its first argument.
    pub fn new(package: impl Into<PathBuf>) -> Self {
        let package = package.into();
        let name = package
            .file_name()
            .map_or(PACKAGE_FILE.into(), |name| name.to_string_lossy());
        Self {
            access: Access {
                args: vec![name.into_owned()],
                env: Vec::new(),
                dirs: Vec::new(),
                limits: Limits::default(),
                stdout: None,
                stderr: None,
            },
            package,
            destinations: Vec::new(),
        }
    }

    /// Adds arguments. Default: none.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = String>) -> Self {
        self.access.args.extend(args);
        self
    }

    /// Adds environment variables, by name and value. Default: none.
    #[must_use]
    pub fn env(mut self, env: impl IntoIterator<Item = (String, String)>) -> Self {
        self.access.env.extend(env);
        self
    }

    /// Adds directories. Default: none.
    #[must_use]
    pub fn dirs(mut self, dirs: impl IntoIterator<Item = Dir>) -> Self {
        self.access.dirs.extend(dirs);
        self
    }

    /// Adds destinations for outgoing TCP connections. Default: none. A preview 1 command cannot
    /// connect at all.
    #[must_use]
    pub fn destinations(mut self, destinations: impl IntoIterator<Item = Destination>) -> Self {
        self.destinations.extend(destinations);
        self
    }

    /// Sets the limits. Default: [`Limits::default`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.access.limits = limits;
        self
    }

    /// Captures what the command writes to stdout. Default: the process's stdout.
    #[must_use]
    pub fn stdout(mut self, capture: Capture) -> Self {
        self.access.stdout = Some(capture);
        self
    }

    /// Captures what the command writes to stderr. Default: the process's stderr.
    #[must_use]
    pub fn stderr(mut self, capture: Capture) -> Self {
        self.access.stderr = Some(capture);
        self
    }

    /// Makes every check that needs no guest code, and opens the command's directories.
    ///
    /// # Errors
    ///
    /// The first failed check.
    pub async fn load(self) -> Result<Ready, LoadError> {
        let mut places = BTreeSet::new();
        if let Some(dir) = self.access.dirs.iter().find(|dir| !places.insert(dir.guest.as_str())) {
            return Err(LoadError::SameDir {
                guest: dir.guest.clone(),
            });
        }
        let network = Network::resolve(&self.destinations).await?;
        // Reading and compiling block, possibly for long.
        let load = move || self.load_blocking(network);
        tokio::task::spawn_blocking(load).await.map_err(LoadError::Panicked)?
    }

    fn load_blocking(self, network: Network) -> Result<Ready, LoadError> {
        let path = find(&self.package)?;
        let bytes = component::read(&path.as_path().into())?;
        let engine = Engine::new(&EngineConfig {
            pooling: Pooling::Off,
            ..EngineConfig::default()
        })?;
        let entry = if component::is_core_module(&bytes) {
            self.module(&engine, &path, &bytes)?
        } else {
            self.component(&engine, &path, bytes)?
        };
        let host = Host::new(&self.access, network)?;
        Ok(Ready {
            engine,
            entry,
            host,
            limits: self.access.limits,
        })
    }

    fn component(&self, engine: &Engine, path: &Path, bytes: Vec<u8>) -> Result<EntryPoint, LoadError> {
        let ComponentFile { bytes, summary, .. } = ComponentFile::parse(path, bytes)?;
        if !summary.exports.iter().any(|export| export.starts_with(RUN)) {
            return Err(no_entry(path, RUN.trim_end_matches('.')));
        }
        self.check(path, Limit::Memory, summary.memory_bytes_min)?;
        self.check(path, Limit::Instances, u64::from(summary.core_instances))?;
        let component = Component::new(engine.wasmtime(), &bytes).map_err(compile(path))?;
        let link = || {
            let mut linker = wasmtime::component::Linker::new(engine.wasmtime());
            wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
            lookup::link(&mut linker)?;
            CommandPre::new(linker.instantiate_pre(&component)?)
        };
        link().map(EntryPoint::Component).map_err(|source| LoadError::Link {
            path: path.to_owned(),
            source,
        })
    }

    fn module(&self, engine: &Engine, path: &Path, bytes: &[u8]) -> Result<EntryPoint, LoadError> {
        let module = Module::new(engine.wasmtime(), bytes).map_err(compile(path))?;
        let is_entry = |ty: ExternType| {
            let function = ty
                .func()
                .map(|function| function.params().len() + function.results().len());
            function == Some(0)
        };
        if !module.get_export(START).is_some_and(is_entry) {
            return Err(no_entry(path, START));
        }
        let pages = module.resources_required().max_initial_memory_size.unwrap_or_default();
        self.check(path, Limit::Memory, pages.saturating_mul(PAGE_BYTES))?;
        let link = || {
            let mut linker = wasmtime::Linker::new(engine.wasmtime());
            wasmtime_wasi::p1::add_to_linker_async(&mut linker, |host: &mut Host| &mut host.wasi)?;
            linker.instantiate_pre(&module)
        };
        link().map(EntryPoint::Module).map_err(|source| LoadError::Link {
            path: path.to_owned(),
            source,
        })
    }

    /// Refuses a command that exceeds a limit at its start.
    fn check(&self, path: &Path, limit: Limit, needed: u64) -> Result<(), LoadError> {
        let bound = self.access.limits.of_store()[limit];
        if needed <= bound {
            return Ok(());
        }
        Err(LoadError::Needs {
            path: path.to_owned(),
            limit,
            needed,
            bound,
        })
    }
}

/// The command's file.
fn find(package: &Path) -> Result<PathBuf, LoadError> {
    let look = |path: &Path| {
        fs::metadata(path).map_err(|source| LoadError::Read {
            path: path.to_owned(),
            source,
        })
    };
    let mut path = package.to_owned();
    let mut found = look(&path)?;
    if found.is_dir() {
        path.push(PACKAGE_FILE);
        found = look(&path)?;
    }
    if found.is_file() {
        Ok(path)
    } else {
        Err(LoadError::NotAFile { path })
    }
}

fn no_entry(path: &Path, expected: &'static str) -> LoadError {
    LoadError::NoEntry {
        path: path.to_owned(),
        expected,
    }
}

fn compile(path: &Path) -> impl FnOnce(wasmtime::Error) -> LoadError + '_ {
    |source| LoadError::Compile {
        path: path.to_owned(),
        source,
    }
}
