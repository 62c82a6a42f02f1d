//! Why a module is refused.

use nexum_config::component::{ComponentError, EVENT_MODULE, QUERY_MODULE, Summary};
use nexum_config::document::ConfigErrors;
use nexum_config::hint::Hint;
use nexum_config::names::{Digest, ModuleName, ModuleNameError};
use nexum_config::topic::ChainId;

use crate::capability::grant::GrantError;
use crate::engine::CompileError;

/// One reason to refuse a module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The manifest cannot be read, or says what makes no sense.
    #[error(transparent)]
    Manifest(#[from] ConfigErrors),
    /// The file is not a component.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// The file's name is no module name, and nobody gave another.
    #[error("the file's name is no module name")]
    Name {
        /// The rule that it breaks.
        #[source]
        source: ModuleNameError,
    },
    /// Two modules have one name.
    #[error("two modules are called `{name}`")]
    DuplicateName {
        /// The name.
        name: ModuleName,
    },
    /// The component is not the one that was pinned.
    #[error("the component's digest is {actual}, not {expected} as pinned")]
    Digest {
        /// What `engine.toml` or the manifest says.
        expected: Digest,
        /// What the file has.
        actual: Digest,
    },
    /// The component makes more core instances than it may.
    #[error("the component makes {needed} core instances, and the limit instances = {bound}")]
    Instances {
        /// Core instances of the component.
        needed: u32,
        /// The limit.
        bound: u64,
    },
    /// The component is of another world.
    #[error("the component does not fit the world {expected}: it exports {}", list(exports))]
    World {
        /// The world.
        expected: &'static str,
        /// What it exports.
        exports: Vec<String>,
    },
    /// The component answers queries, and would call what no query may.
    #[error(
        "the component does not fit the world {QUERY_MODULE}: it imports {}, and a query may call local-store and logging alone",
        list(imports)
    )]
    QueryImports {
        /// What it imports besides.
        imports: Vec<String>,
    },
    /// A module that answers queries asks for events.
    #[error("the manifest has subscriptions, and a module that answers queries hears of no events")]
    Subscribed,
    /// A chain that the module needs is not configured.
    #[error("the module needs chain {chain_id}, which is not configured")]
    Chain {
        /// The chain.
        chain_id: ChainId,
    },
    /// An import or a capability is not to be had.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The component does not compile.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The component's imports do not fit what serves them.
    #[error("the component's imports do not fit the host's")]
    Link(#[source] wasmtime::Error),
    /// The pool of instances was made for fewer modules.
    #[error("there is no room for another module until nexum is started anew")]
    Full,
    /// The modules would have more memory together than they may.
    #[error("with this module's {needed} bytes of memory there would be {wanted}, and total_memory_bytes = {bound}")]
    TotalMemory {
        /// The module's bound.
        needed: u64,
        /// The sum of all bounds with it.
        wanted: u64,
        /// The bound on that.
        bound: u64,
    },
    /// An export has another type than the contract says.
    #[error("the export `{name}` is {actual}, not {expected}")]
    Export {
        /// The export.
        name: &'static str,
        /// Its type in the contract.
        expected: String,
        /// Its type in the component.
        actual: String,
    },
}

impl Hint for LoadError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Component(error) => error.hint(),
            Self::Grant(error) => error.hint(),
            Self::Name { .. } => Some("give the module a `name` in engine.toml or in its manifest".to_owned()),
            Self::DuplicateName { .. } => Some("give one of them another `name` in engine.toml".to_owned()),
            Self::Digest { .. } => Some("pin the new digest if this is the component that you mean to run".to_owned()),
            Self::Instances { .. } => Some("raise `instances` under [engine.limits]".to_owned()),
            Self::World { .. } => {
                Some("export `init` and `on-event`, or `init` and `evaluate`, as nexum:host@0.2.0 has them".to_owned())
            }
            Self::Subscribed => Some("remove them, or export `on-event` in place of `evaluate`".to_owned()),
            Self::Chain { chain_id } => Some(format!("add [chains.{chain_id}] with an `rpc_url` to engine.toml")),
            _ => None,
        }
    }
}

/// Why a component is of no world.
pub(super) fn no_world(summary: &Summary) -> LoadError {
    let exports = |name: &str| summary.exports.iter().any(|export| export == name);
    if exports("init") && exports("evaluate") && !exports("on-event") {
        return LoadError::QueryImports {
            imports: summary.beyond_queries().cloned().collect(),
        };
    }
    LoadError::World {
        expected: EVENT_MODULE,
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
