//! The errors of a build.

mod code;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use nexum_config::component::ComponentError;
use nexum_config::document::{ConfigError, ConfigErrors};
use nexum_config::files::FilesError;
use nexum_config::hint::Hint;
use nexum_config::names::ModuleName;

pub use code::{CodeError, SECTION};

/// An error of a build, or of a tool that a build needs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program cannot be started.
    #[error("cannot start `{program}`")]
    Start {
        /// The program, as it was called.
        program: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A program failed.
    #[error("`{command}` failed: {status}{}", below(output))]
    Failed {
        /// The program and its arguments.
        command: String,
        /// The exit status.
        status: ExitStatus,
        /// The output of the program. Empty if the program wrote to the caller's own stderr.
        output: String,
    },
    /// A program printed something unexpected.
    #[error("cannot read the output of `{command}`: {reason}")]
    Output {
        /// The program and its arguments.
        command: String,
        /// The fault.
        reason: String,
    },
    /// The caller ended the operation.
    #[error("interrupted")]
    Interrupted,
    /// A file or a directory cannot be read, written or deleted.
    #[error("cannot {action} {}", path.display())]
    File {
        /// The operation, such as `read`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The machine lacks something that a tool needs.
    #[error("{subject}")]
    Unavailable {
        /// The missing thing, in a sentence without a full stop.
        subject: String,
        /// The remedy.
        hint: String,
    },
    /// No compiler on the machine has a target of guests.
    #[error("{compiler} ({version}) has no standard library for {target}")]
    Toolchain {
        /// The compiler, in words.
        compiler: &'static str,
        /// Its version.
        version: String,
        /// The target that it lacks.
        target: String,
        /// The command that adds the target.
        hint: String,
    },
    /// A compiler for guests cannot be made from Debian's packages.
    #[error("cannot make a compiler for guests from Debian's packages")]
    Make {
        /// The step that failed.
        #[source]
        source: Box<Error>,
    },
    /// A directory is not a project that can be built.
    #[error("{}: {reason}", path.display())]
    Project {
        /// The directory or the file with the fault.
        path: PathBuf,
        /// The fault.
        reason: String,
        /// The remedy.
        hint: Option<String>,
    },
    /// A compiler refuses the sources. It has written its reasons to stderr.
    #[error("cannot compile {name}: {status}")]
    Compile {
        /// The module.
        name: ModuleName,
        /// The exit status of the compiler.
        status: ExitStatus,
    },
    /// The compiler's output cannot become a component.
    #[error("cannot make a component of {name}: {reason}")]
    Encode {
        /// The module.
        name: ModuleName,
        /// The fault.
        reason: String,
    },
    /// The compiler's output is no component that nexum reads.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// The component fits no world of the contract.
    #[error(
        "{name} is no module: {}",
        if exports.is_empty() { "it exports nothing".to_owned() } else { format!("it exports {exports}") }
    )]
    NoModule {
        /// The module.
        name: ModuleName,
        /// The exports, with commas between them.
        exports: String,
    },
    /// nexum would refuse the module's read-only files.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The component imports interfaces of the contract or of WASI that nexum does not have.
    #[error("{name} imports {imports}, which nexum does not serve")]
    Unserved {
        /// The module.
        name: ModuleName,
        /// The imports, with commas between them.
        imports: String,
    },
    /// The author's manifest has faults, or contradicts the code.
    #[error(transparent)]
    Manifest(#[from] ConfigErrors),
    /// The part of the manifest in the component has a fault.
    #[error(transparent)]
    Code(#[from] CodeError),
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Manifest(error.into())
    }
}

impl Error {
    /// An error of a file operation. Use it with `map_err`.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Start { .. } => Some("install it, or add it to PATH".to_owned()),
            Self::Unavailable { hint, .. } | Self::Toolchain { hint, .. } => Some(hint.clone()),
            Self::Make { source } => source
                .hint()
                .or_else(|| Some("with rustup, `rustup target add wasm32-unknown-unknown` adds the target".to_owned())),
            Self::Project { hint, .. } => hint.clone(),
            Self::Component(error) => error.hint(),
            Self::Files(error) => error.hint(),
            Self::Code(error) => error.hint(),
            Self::Unserved { .. } => Some("build the module against nexum:host@0.2.0, without these imports".to_owned()),
            Self::NoModule { .. } => Some(
                "a module exports `init` with `on-event`, `evaluate` or `invoke`: in Rust, write `#[nexum_sdk::module]` on an `impl`"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

/// The output of a program below the line that says that it failed.
fn below(output: &str) -> String {
    match output.is_empty() {
        true => String::new(),
        false => format!("\n{output}"),
    }
}
