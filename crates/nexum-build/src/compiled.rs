//! The input and the output of the builder of a language.

use std::path::PathBuf;

/// The choices of the caller.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether to make a compiler from Debian's packages if the machine has none for guests. It takes
    /// one or two minutes.
    pub make_toolchain: bool,
    /// Whether to build quickly, again and again, rather than a small component.
    pub is_quick: bool,
    /// The directory of the component and of its manifest. `None` takes the project's directory `build`.
    pub output: Option<PathBuf>,
}

/// The output of the builder of a language.
pub(crate) struct Compiled {
    /// A component. It is not checked yet.
    pub(crate) component: Vec<u8>,
    /// The compiler, and where it comes from.
    pub(crate) compiler: String,
    /// The version in the language's own files, for a manifest without one.
    pub(crate) version: Option<String>,
}
