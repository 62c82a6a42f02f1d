//! Faults of the part of a manifest that is in a component.

use nexum_config::hint::Hint;
use nexum_config::manifest::MANIFEST_BYTES_MAX;
use wasmparser::BinaryReaderError;

/// The custom section in which `nexum-sdk` writes the manifest's part that follows from the code. It is
/// in the component or in a core module inside.
pub const SECTION: &str = "nexum:manifest";

/// A fault of the section [`SECTION`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodeError {
    /// The component cannot be read.
    #[error("the component is malformed")]
    Component(#[source] BinaryReaderError),
    /// Two crates with a module are linked into one component, or two modules are in one crate.
    #[error("the component has the manifests of {count} modules in its section `{SECTION}`")]
    Several {
        /// Number of modules.
        count: usize,
    },
    /// The section is larger than a manifest.
    #[error("the section `{SECTION}` has {bytes} bytes, and the limit is {MANIFEST_BYTES_MAX}")]
    TooLarge {
        /// Size of the section.
        bytes: usize,
    },
    /// The section is not the JSON of a manifest.
    #[error("the section `{SECTION}` is no manifest in JSON")]
    Json(#[source] serde_json::Error),
    /// A subscription in the section is none.
    #[error("the section `{SECTION}` has an unknown subscription: {json}")]
    Subscription {
        /// The subscription.
        json: String,
    },
}

impl Hint for CodeError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Several { .. } => {
                "write `#[nexum_sdk::module]` once, and move the other modules to crates of their own"
            }
            Self::Json(_) | Self::Subscription { .. } => "build with a version of nexum that is as new as nexum-sdk",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
