//! A command, and its access to the host.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use nexum_config::command::{CommandError, CommandFile, CommandKind, START};
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
use crate::ready::{EntryPoint, READY, Ready};

/// The command's file in a package directory.
pub const PACKAGE_FILE: &str = "app.wasm";

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

    /// Makes every check that needs no guest code, and opens the command's directories. Then calls the
    /// `weft_ready` of a core module that exports it.
    ///
    /// # Errors
    ///
    /// The first failed check, or the failure of `weft_ready`.
    pub async fn load(self) -> Result<Ready, LoadError> {
        let mut places = BTreeSet::new();
        if let Some(dir) = self.access.dirs.iter().find(|dir| !places.insert(dir.guest.as_str())) {
            return Err(LoadError::SameDir {
                guest: dir.guest.clone(),
            });
        }
        let path = self.package.clone();
        let network = Network::resolve(&self.destinations).await?;
        // Reading and compiling block, possibly for long.
        let load = move || self.load_blocking(network);
        let ready = tokio::task::spawn_blocking(load).await.map_err(LoadError::Panicked)??;
        let called = ready.call_ready().await;
        called.map_err(|stopped| LoadError::NotReady { path, stopped })
    }

    /// Makes every check of the command's file, and ignores its access to the host. Runs no guest
    /// code.
    ///
    /// # Errors
    ///
    /// Everything for which [`load`](Self::load) refuses the file, except faults that another fault
    /// hides.
    pub async fn check(self) -> Result<CommandFile, Vec<LoadError>> {
        let check = move || self.check_blocking();
        let checked = tokio::task::spawn_blocking(check).await;
        checked.unwrap_or_else(|error| Err(vec![LoadError::Panicked(error)]))
    }

    fn load_blocking(self, network: Network) -> Result<Ready, LoadError> {
        let (path, file) = self.read()?;
        if let Some(error) = self.errors(&path, &file).into_iter().next() {
            return Err(error);
        }
        let engine = engine()?;
        let entry = compile(&engine, &path, &file)?;
        let host = Host::new(&self.access, network)?;
        Ok(Ready::new(engine, host, entry, self.access.limits))
    }

    fn check_blocking(&self) -> Result<CommandFile, Vec<LoadError>> {
        let (path, file) = self.read().map_err(|error| vec![error])?;
        let mut errors = self.errors(&path, &file);
        if errors.is_empty() {
            let compiled = engine().and_then(|engine| compile(&engine, &path, &file));
            errors.extend(compiled.err());
        }
        if errors.is_empty() { Ok(file) } else { Err(errors) }
    }

    fn read(&self) -> Result<(PathBuf, CommandFile), LoadError> {
        let path = find(&self.package)?;
        let file = CommandFile::read(&path.as_path().into())?;
        Ok((path, file))
    }

    /// Everything for which nexum refuses the file before it compiles the file.
    fn errors(&self, path: &Path, file: &CommandFile) -> Vec<LoadError> {
        let mut errors: Vec<_> = file.errors(path).into_iter().map(LoadError::from).collect();
        let limits = self.access.limits.of_store();
        let needs = [
            (Limit::Memory, file.summary.memory_bytes_min),
            (Limit::Instances, u64::from(file.summary.core_instances)),
        ];
        let exceeded = needs.into_iter().filter(|(limit, needed)| *needed > limits[*limit]);
        errors.extend(exceeded.map(|(limit, needed)| LoadError::Needs {
            path: path.to_owned(),
            limit,
            needed,
            bound: limits[limit],
        }));
        errors
    }
}

fn engine() -> Result<Engine, LoadError> {
    Ok(Engine::new(&EngineConfig {
        pooling: Pooling::Off,
        ..EngineConfig::default()
    })?)
}

/// Compiles a command, and checks the types of its exports and imports.
fn compile(engine: &Engine, path: &Path, file: &CommandFile) -> Result<EntryPoint, LoadError> {
    match file.kind {
        CommandKind::Component => component(engine, path, &file.bytes),
        CommandKind::CoreModule => module(engine, path, &file.bytes),
    }
}

fn component(engine: &Engine, path: &Path, bytes: &[u8]) -> Result<EntryPoint, LoadError> {
    let component = Component::new(engine.wasmtime(), bytes).map_err(does_not_compile(path))?;
    let link = || {
        let mut linker = wasmtime::component::Linker::new(engine.wasmtime());
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        lookup::link(&mut linker)?;
        CommandPre::new(linker.instantiate_pre(&component)?)
    };
    link().map(EntryPoint::Component).map_err(does_not_link(path))
}

fn module(engine: &Engine, path: &Path, bytes: &[u8]) -> Result<EntryPoint, LoadError> {
    let module = Module::new(engine.wasmtime(), bytes).map_err(does_not_compile(path))?;
    let is_call = |ty: ExternType| {
        let function = ty
            .func()
            .map(|function| function.params().len() + function.results().len());
        function == Some(0)
    };
    if !module.get_export(START).is_some_and(is_call) {
        return Err(CommandError::NoEntry {
            path: path.to_owned(),
            expected: START,
        }
        .into());
    }
    if module.get_export(READY).is_some_and(|ty| !is_call(ty)) {
        return Err(LoadError::ReadyType { path: path.to_owned() });
    }
    let link = || {
        let mut linker = wasmtime::Linker::new(engine.wasmtime());
        wasmtime_wasi::p1::add_to_linker_async(&mut linker, |host: &mut Host| &mut host.wasi)?;
        linker.instantiate_pre(&module)
    };
    link().map(EntryPoint::Module).map_err(does_not_link(path))
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

fn does_not_compile(path: &Path) -> impl FnOnce(wasmtime::Error) -> LoadError + '_ {
    |source| LoadError::Compile {
        path: path.to_owned(),
        source,
    }
}

fn does_not_link(path: &Path) -> impl FnOnce(wasmtime::Error) -> LoadError + '_ {
    |source| LoadError::Link {
        path: path.to_owned(),
        source,
    }
}
