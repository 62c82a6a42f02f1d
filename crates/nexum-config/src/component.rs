//! Component files: reads a component within bounds and summarises it, without compiling or running
//! it.

mod needs;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use wasmparser::{ComponentExternalKind, ComponentTypeRef, Parser, Payload, TypeRef};

use crate::hint::Hint;
use crate::masked_path::MaskedPath;
use crate::names::Digest;
use crate::regular_file::{self, FileError};

use needs::Counter;

/// The largest component file, in bytes. This is several times the largest file of the common
/// toolchains: 18 MB, with a Python interpreter inside.
pub const COMPONENT_BYTES_MAX: u64 = 67_108_864;

/// How many levels of nested modules and components a component may have. Common tools nest two or
/// three levels.
pub const NESTING_MAX: usize = 100;

/// The most component instances that a component may make, nested ones included. The compiler
/// translates the content of each instance, and instances can double per level of nesting. Tools make
/// about one per library that they link, up to a few dozen.
pub const COMPONENT_INSTANCES_MAX: u32 = 1_000;

/// The most custom sections that a summary has: tools write up to a few dozen, and a hostile file can
/// have millions.
pub const CUSTOM_SECTIONS_MAX: usize = 1_000;

/// The contract's name for the world of modules that handle events.
pub const EVENT_MODULE: &str = "nexum:host/event-module@0.2.0";
/// The contract's name for the world of modules that answer queries.
pub const QUERY_MODULE: &str = "nexum:host/query-module@0.2.0";
/// The contract's name for the world of modules with functions.
pub const FUNCTION_MODULE: &str = "nexum:functions/function-module@0.1.0";
/// The name of the world of modules that handle triggers, which an adapter serves.
pub const TRIGGER_MODULE: &str = "nexum:host/trigger-module@0.1.0";
const SHEPHERD: &str = "shepherd:cow/shepherd@0.2.0";

/// The interface of WASI that sends HTTP requests, of any version.
const OUTGOING_HTTP: &str = "wasi:http/outgoing-handler@";

/// A component file and its summary.
#[derive(Clone, Debug)]
pub struct ComponentFile {
    /// The file's content.
    pub bytes: Vec<u8>,
    /// The SHA-256 of the content.
    pub digest: Digest,
    /// The interface and needs of the component.
    pub summary: Summary,
}

/// The interface of a component, and its needs at instantiation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Names of the imports, in the order of the file.
    pub imports: Vec<String>,
    /// Names of the exports, in the order of the file.
    pub exports: Vec<String>,
    /// Number of component instances that one instantiation creates, nested ones included.
    pub component_instances: u32,
    /// Number of core instances that one instantiation creates.
    pub core_instances: u32,
    /// Number of linear memories in these core instances.
    pub memories: u32,
    /// Number of tables in these core instances.
    pub tables: u32,
    /// Initial size of these linear memories together, in bytes.
    pub memory_bytes_min: u64,
    /// Whether one of its core modules defines or imports a memory that threads share.
    pub has_shared_memory: bool,
    /// Name and size in bytes of each custom section of the component and its core modules: the first
    /// [`CUSTOM_SECTIONS_MAX`].
    pub custom_sections: Vec<(String, usize)>,
    /// How many custom sections there are.
    pub custom_section_count: usize,
}

/// The parts of a module, which follow from the exports of its component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModuleKind {
    /// The component exports `on-event` or `on-trigger`: a runner gives it events.
    pub handles_events: bool,
    /// The component handles events with `on-trigger`: an adapter turns each event into triggers.
    pub takes_triggers: bool,
    /// The component exports `evaluate`: a pool of instances answers queries.
    pub answers_queries: bool,
    /// The component exports `invoke`: the pool carries out its read-only functions, and the runner
    /// the writeable ones.
    pub has_functions: bool,
}

/// An error of reading a component file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComponentError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The path is a directory.
    #[error("{} is a directory", path.display())]
    Directory {
        /// The path.
        path: PathBuf,
    },
    /// The file is larger than [`COMPONENT_BYTES_MAX`].
    #[error("{} is larger than {COMPONENT_BYTES_MAX} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The content does not start with the WebAssembly magic number.
    #[error("{} is not WebAssembly", path.display())]
    NotWasm {
        /// The file.
        path: PathBuf,
    },
    /// The content is a core module instead of a component.
    #[error("{} is a core module, not a component", path.display())]
    CoreModule {
        /// The file.
        path: PathBuf,
    },
    /// The path names a FIFO, a device or a socket.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The component makes more component instances than [`COMPONENT_INSTANCES_MAX`].
    #[error("{} makes {instances} component instances, and the limit is {COMPONENT_INSTANCES_MAX}", path.display())]
    Instances {
        /// The file.
        path: PathBuf,
        /// Component instances that it makes.
        instances: u32,
    },
    /// Modules and components are nested in more levels than [`NESTING_MAX`].
    #[error("{} nests modules and components in more than {NESTING_MAX} levels", path.display())]
    Nesting {
        /// The file.
        path: PathBuf,
    },
    /// The content starts as a core module, but is malformed.
    #[error("{} is not a valid core module", path.display())]
    InvalidModule {
        /// The file.
        path: PathBuf,
        /// The fault and its offset.
        #[source]
        source: wasmparser::BinaryReaderError,
    },
    /// The content starts as a component, but is malformed.
    #[error("{} is not a valid component", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The fault and its offset.
        #[source]
        source: wasmparser::BinaryReaderError,
    },
}

impl Hint for ComponentError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::CoreModule { .. } => {
                "link it with `wasm-component-ld`, or convert it with `wasm-tools component new`"
            }
            Self::Read { .. } => "correct the path, or build the module with `nexum build`",
            Self::NotWasm { .. } => "give the path of the component, which `nexum build` makes",
            Self::Directory { .. } | Self::NotAFile { .. } => "give the path of the component file",
            Self::Invalid { .. } | Self::InvalidModule { .. } => "build or copy the file again: it may be incomplete",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

impl ComponentFile {
    /// Reads a component file. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// Fails if the file is unreadable, is too large, or is not a component.
    pub fn read(path: &MaskedPath) -> Result<Self, ComponentError> {
        Self::parse(path.shown(), read(path)?)
    }

    /// Parses `bytes`, the content of the file at `path`. Only errors use `path`.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are not a component.
    pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self, ComponentError> {
        let owned = || path.to_owned();
        if !bytes.starts_with(b"\0asm") {
            return Err(ComponentError::NotWasm { path: owned() });
        }
        if is_core_module(&bytes) {
            return Err(ComponentError::CoreModule { path: owned() });
        }
        let summary = Summary::of(&bytes).map_err(|source| ComponentError::Invalid { path: owned(), source })?;
        let summary = summary.ok_or_else(|| ComponentError::Nesting { path: owned() })?;
        let instances = summary.component_instances;
        if instances > COMPONENT_INSTANCES_MAX {
            return Err(ComponentError::Instances {
                path: owned(),
                instances,
            });
        }
        Ok(Self {
            digest: Digest::of(&bytes),
            bytes,
            summary,
        })
    }
}

/// Reads a WebAssembly file within [`COMPONENT_BYTES_MAX`]. Blocks on the file system.
///
/// # Errors
///
/// Fails if the file is unreadable, is not a regular file, or is too large.
pub fn read(path: &MaskedPath) -> Result<Vec<u8>, ComponentError> {
    let owned = || path.shown().to_owned();
    regular_file::read(path, COMPONENT_BYTES_MAX).map_err(|error| match error {
        FileError::Io(source) => ComponentError::Read { path: owned(), source },
        FileError::Directory => ComponentError::Directory { path: owned() },
        FileError::NotRegular => ComponentError::NotAFile { path: owned() },
        FileError::TooLarge { .. } => ComponentError::TooLarge { path: owned() },
    })
}

/// Whether the bytes start as a core module, the input of the tools that make components.
pub fn is_core_module(bytes: &[u8]) -> bool {
    Parser::is_core_wasm(bytes)
}

impl Summary {
    /// Reads the sections of a core module. An import is `module::name`.
    pub(crate) fn of_core_module(bytes: &[u8]) -> wasmparser::Result<Self> {
        // A core module nests nothing.
        let summary = Self::of(bytes)?.unwrap_or_default();
        Ok(Self {
            core_instances: 1,
            ..summary
        })
    }

    /// Reads the sections of a component or core module. Returns none if they are nested in more
    /// than [`NESTING_MAX`] levels.
    fn of(bytes: &[u8]) -> wasmparser::Result<Option<Self>> {
        let mut summary = Self::default();
        // The parser reads nested modules and components in place. Only depth 0 is the component's
        // own interface.
        let mut counter = Counter::default();
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload?;
            counter.read(&payload)?;
            let depth = counter.depth();
            match payload {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } if depth > NESTING_MAX => {
                    return Ok(None);
                }
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        let import = import?;
                        // An imported type only equates two types; the host has nothing to provide
                        // for it.
                        if !matches!(import.ty, ComponentTypeRef::Type(_)) {
                            summary.imports.push(import.name.name.to_owned());
                        }
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        let export = export?;
                        if matches!(
                            export.kind,
                            ComponentExternalKind::Func | ComponentExternalKind::Instance
                        ) {
                            summary.exports.push(export.name.name.to_owned());
                        }
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        if depth == 0 {
                            summary.imports.push(format!("{}::{}", import.module, import.name));
                        }
                        if let TypeRef::Memory(memory) = import.ty {
                            summary.has_shared_memory |= memory.shared;
                        }
                    }
                }
                Payload::ExportSection(section) if depth == 0 => {
                    for export in section {
                        summary.exports.push(export?.name.to_owned());
                    }
                }
                Payload::MemorySection(section) => {
                    for memory in section {
                        summary.has_shared_memory |= memory?.shared;
                    }
                }
                Payload::CustomSection(section) => {
                    summary.custom_section_count += 1;
                    if summary.custom_sections.len() < CUSTOM_SECTIONS_MAX {
                        let section = (section.name().to_owned(), section.data().len());
                        summary.custom_sections.push(section);
                    }
                }
                _ => {}
            }
        }
        let needs = counter.needs();
        summary.component_instances = needs.component_instances;
        summary.core_instances = needs.core_instances;
        summary.memories = needs.memories;
        summary.tables = needs.tables;
        summary.memory_bytes_min = needs.memory_bytes_min;
        Ok(Some(summary))
    }

    /// The imported interfaces of the contract that are not in the world of query modules.
    pub fn beyond_queries(&self) -> impl Iterator<Item = &String> {
        self.imports.iter().filter(|import| {
            let ours = import.starts_with("nexum:host/") || import.starts_with("shepherd:cow/");
            ours && !is_one_of(import, &["types", "local-store", "logging"])
        })
    }

    /// The imported interfaces that have an effect outside nexum, or read from outside the module's
    /// state. A query may not call them.
    pub fn denied_to_queries(&self) -> impl Iterator<Item = &String> {
        let outward = |import: &&String| !is_one_of(import, &["clock", "random"]);
        let wasi = self.imports.iter().filter(|import| import.starts_with(OUTGOING_HTTP));
        self.beyond_queries().filter(outward).chain(wasi)
    }

    /// The parts of a module with this component. The loader compares the types of the exports
    /// later.
    ///
    /// A component that only answers queries and imports [more than they
    /// may](Self::beyond_queries) has no part. If it also handles events or has functions, these need
    /// the imports.
    pub fn kind(&self) -> ModuleKind {
        let exports = |name: &str| self.exports.iter().any(|export| export == name);
        let handles_events = exports("init") && exports("on-event");
        if exports("init") && exports("on-trigger") && !handles_events {
            // The world has an `init` of its own, so the component fits no other one.
            return ModuleKind {
                handles_events: true,
                takes_triggers: true,
                ..ModuleKind::default()
            };
        }
        let has_functions = exports("init") && exports("list-functions") && exports("invoke");
        let may_answer = handles_events || has_functions || self.beyond_queries().next().is_none();
        ModuleKind {
            handles_events,
            takes_triggers: false,
            answers_queries: exports("init") && exports("evaluate") && may_answer,
            has_functions,
        }
    }

    /// The smallest worlds of the contract whose names match the imports and exports, one for each
    /// part of the module. `None` if no world matches.
    ///
    /// The loader compares the types later. Imports outside the contract's packages have no effect,
    /// because an embedder can provide further ones.
    pub fn world(&self) -> Option<String> {
        let has_order_book = self
            .imports
            .iter()
            .any(|import| import.starts_with("shepherd:cow/cow-api@"));
        let kind = self.kind();
        let of_events = match has_order_book {
            _ if kind.takes_triggers => TRIGGER_MODULE,
            true => SHEPHERD,
            false => EVENT_MODULE,
        };
        let worlds = [
            (kind.handles_events, of_events),
            (kind.answers_queries, QUERY_MODULE),
            (kind.has_functions, FUNCTION_MODULE),
        ];
        let worlds: Vec<_> = worlds.iter().filter(|(has, _)| *has).map(|(_, world)| *world).collect();
        (!worlds.is_empty()).then(|| worlds.join(" and "))
    }
}

/// The name of a world for people, who learn from it whether an adapter serves the world.
pub fn shown_world(world: &str) -> String {
    match world {
        TRIGGER_MODULE => format!("{world} (served by an adapter)"),
        world => world.to_owned(),
    }
}

/// Whether an import is one of these interfaces of `nexum:host`, of any version.
fn is_one_of(import: &str, names: &[&str]) -> bool {
    let is = |name: &str| {
        let rest = import
            .strip_prefix("nexum:host/")
            .and_then(|rest| rest.strip_prefix(name));
        rest.is_some_and(|version| version.starts_with('@'))
    };
    names.iter().any(|name| is(name))
}

impl ModuleKind {
    /// Whether the component fits no world of the contract.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Whether a pool of instances answers calls.
    pub fn has_pool(self) -> bool {
        self.answers_queries || self.has_functions
    }
}

/// The kind in words, as "an event module".
impl fmt::Display for ModuleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_events = if self.takes_triggers { "trigger" } else { "event" };
        let parts = [
            (self.handles_events, of_events),
            (self.answers_queries, "query"),
            (self.has_functions, "function"),
        ];
        let parts: Vec<_> = parts.iter().filter(|(has, _)| *has).map(|(_, part)| *part).collect();
        let article = if self.handles_events && !self.takes_triggers {
            "an"
        } else {
            "a"
        };
        match parts.split_last() {
            None => f.write_str("no module"),
            Some((last, [])) => write!(f, "{article} {last} module"),
            Some((last, others)) => write!(f, "{article} {} and {last} module", others.join(", ")),
        }
    }
}
