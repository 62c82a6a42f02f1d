//! The errors that refuse a module.

use nexum_config::component::{ComponentError, EVENT_MODULE, QUERY_MODULE, Summary};
use nexum_config::document::ConfigErrors;
use nexum_config::files::FilesError;
use nexum_config::hint::Hint;
use nexum_config::names::{Digest, ModuleName, ModuleNameError};
use nexum_config::topic::ChainId;

use crate::capability::grant::GrantError;
use crate::engine::CompileError;
use crate::module::functions::FunctionsError;

/// One reason to refuse a module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The manifest is unreadable or invalid.
    #[error(transparent)]
    Manifest(#[from] ConfigErrors),
    /// The file is not a component.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// The file's name is not a module name, and neither the operator nor the manifest sets one.
    #[error("the file's name is not a module name")]
    Name {
        /// The violated rule.
        #[source]
        source: ModuleNameError,
    },
    /// Two modules have one name.
    #[error("two modules are called `{name}`")]
    DuplicateName {
        /// The name.
        name: ModuleName,
    },
    /// The component does not have the pinned digest.
    #[error("the component has the digest {actual}, but the pinned digest is {expected}")]
    Digest {
        /// The digest in `engine.toml` or the manifest.
        expected: Digest,
        /// The digest of the file.
        actual: Digest,
    },
    /// The component needs more core instances than the limit allows.
    #[error("the component needs {needed} core instances, more than the limit instances = {bound}")]
    Instances {
        /// Core instances of the component.
        needed: u32,
        /// The limit.
        bound: u64,
    },
    /// A core module of the component has a memory that threads share. A module has one thread.
    #[error("the component has shared memory, but a module runs in one thread")]
    SharedMemory,
    /// The component matches no world of the contract.
    #[error("the component does not fit the world {expected}: it exports {}", list(exports))]
    World {
        /// The name of the world.
        expected: &'static str,
        /// The exports of the component.
        exports: Vec<String>,
    },
    /// The component is a query module with an import that queries may not call.
    #[error(
        "the component does not fit the world {QUERY_MODULE}: it imports {}, but a query module may import only local-store and logging",
        list(imports)
    )]
    QueryImports {
        /// The imports that queries may not call.
        imports: Vec<String>,
    },
    /// A module without `on-event` has subscriptions.
    #[error("the manifest has subscriptions, but the component handles no events")]
    Subscribed,
    /// The module's queries read the rows of another module, without the operator's grant.
    #[error("the module's queries read the state of the module `{reads}`, which engine.toml does not permit")]
    Reads {
        /// The other module.
        reads: ModuleName,
        /// The modules whose rows the operator permits to read.
        permitted: Vec<ModuleName>,
    },
    /// A chain that the module needs is not configured.
    #[error("the module needs chain {chain_id}, which is not configured")]
    Chain {
        /// The chain.
        chain_id: ChainId,
    },
    /// The directory of the module's read-only files is refused.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// An import or a capability is not available.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The component does not compile.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The types of the component's imports do not match the host's interfaces.
    #[error("the component's imports do not match the host's interfaces")]
    Link(#[source] wasmtime::Error),
    /// The instance pool has no place left.
    #[error("the instance pool is full: restart nexum to make room for this module")]
    Full,
    /// The memory limits of all modules together would exceed the operator's limit.
    #[error(
        "this module's {needed} bytes of memory raise the sum of all modules to {wanted}, above total_memory_bytes = {bound}"
    )]
    TotalMemory {
        /// The module's limit, in bytes.
        needed: u64,
        /// The sum of all limits with this module, in bytes.
        wanted: u64,
        /// The operator's limit for the sum, in bytes.
        bound: u64,
    },
    /// The component's list of functions is not valid.
    #[error(transparent)]
    Functions(#[from] FunctionsError),
    /// The type of an export differs from the contract.
    #[error("the component's exports do not match the contract")]
    Export(#[source] wasmtime::Error),
}

impl Hint for LoadError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Component(error) => error.hint(),
            Self::Grant(error) => error.hint(),
            Self::Files(error) => error.hint(),
            Self::Name { .. } => Some("give the module a `name` in engine.toml or in its manifest".to_owned()),
            Self::DuplicateName { .. } => Some("give one of them another `name` in engine.toml".to_owned()),
            Self::Digest { .. } => Some("if you want to run this component, pin its digest".to_owned()),
            Self::Instances { .. } => Some("raise `instances` in [engine.limits]".to_owned()),
            Self::SharedMemory => Some("build the module without threads".to_owned()),
            Self::World { .. } | Self::Export(_) => Some(
                "export `init` with `on-event` or `evaluate`, with their types in nexum:host@0.2.0, or with \
                 `list-functions` and `invoke` of nexum:functions@0.1.0, or with `on-trigger` of nexum:host@0.1.0"
                    .to_owned(),
            ),
            Self::Subscribed => Some("remove the subscriptions, or export `on-event`".to_owned()),
            Self::Reads { reads, permitted } => {
                let names: Vec<_> = permitted.iter().chain([reads]).collect();
                Some(format!(
                    "write `reads = {names:?}` in the module's [[modules]] table of engine.toml"
                ))
            }
            Self::Chain { chain_id } => Some(format!("add [chains.{chain_id}] with an `rpc_url` to engine.toml")),
            _ => None,
        }
    }
}

/// The reason why a component matches no world.
pub(super) fn no_world(summary: &Summary) -> LoadError {
    let exports = |name: &str| summary.exports.iter().any(|export| export == name);
    if exports("init") && exports("evaluate") && !exports("on-event") {
        return LoadError::QueryImports {
            imports: summary.beyond_queries().cloned().collect(),
        };
    }
    world(EVENT_MODULE, summary)
}

/// The refusal of a component that does not fit this world.
pub(super) fn world(expected: &'static str, summary: &Summary) -> LoadError {
    LoadError::World {
        expected,
        exports: summary.exports.clone(),
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    }
}
