//! The SDK that a project in Rust depends on.

use std::path::{Path, PathBuf};

use nexum_config::hint::Hint;

/// The path of the SDK in a checkout of nexum.
const IN_CHECKOUT: &str = "crates/nexum-sdk";

/// Where cargo gets the crate `nexum-sdk`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sdk {
    /// A directory with the crate.
    Path(PathBuf),
    /// A git repository with the crate.
    Git(String),
    /// The registry.
    Version(String),
}

/// The reason why a directory or a URL is not a dependency.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SdkError {
    /// The directory has no crate `nexum-sdk`.
    #[error("{} is not the directory of the crate nexum-sdk", path.display())]
    NotTheSdk {
        /// The directory.
        path: PathBuf,
    },
    /// The text is no version of a crate.
    #[error("{version:?} is not a version of nexum-sdk")]
    NotAVersion {
        /// The text.
        version: String,
    },
    /// The text is no URL.
    #[error("{url:?} is not the URL of a git repository")]
    NotAUrl {
        /// The text.
        url: String,
    },
    /// The path cannot be written into a `Cargo.toml`.
    #[error("the path {} is not UTF-8", path.display())]
    NotUtf8 {
        /// The path.
        path: PathBuf,
    },
}

impl Hint for SdkError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotTheSdk { .. } => Some(format!("in a checkout of nexum, it is {IN_CHECKOUT}")),
            Self::NotAVersion { .. } => Some("write a version as cargo reads it, such as 0.1.0".into()),
            Self::NotAUrl { .. } => Some("for example https://..., ssh://git@... or file:///...".into()),
            Self::NotUtf8 { .. } => None,
        }
    }
}

impl Sdk {
    /// The SDK that fits a program: that of the checkout in which the program was built, or else the
    /// version of this release.
    pub fn of_program(program: Option<&Path>) -> Self {
        let directories = program.into_iter().flat_map(Path::ancestors).skip(1);
        let mut candidates = directories.map(|directory| directory.join(IN_CHECKOUT));
        match candidates.find(|directory| is_sdk(directory)) {
            Some(directory) => Self::Path(directory),
            None => Self::Version(env!("CARGO_PKG_VERSION").into()),
        }
    }

    /// The value of the dependency in a `Cargo.toml`.
    pub(super) fn dependency(&self, features: &[&str]) -> Result<String, SdkError> {
        let mut table = toml_edit::InlineTable::new();
        let (key, value) = match self {
            Self::Path(path) => ("path", absolute(path)?),
            Self::Git(url) if is_url(url) => ("git", url.clone()),
            Self::Git(url) => return Err(SdkError::NotAUrl { url: url.clone() }),
            Self::Version(version) if semver::VersionReq::parse(version).is_ok() => ("version", version.clone()),
            Self::Version(version) => {
                return Err(SdkError::NotAVersion {
                    version: version.clone(),
                });
            }
        };
        table.insert(key, value.into());
        if !features.is_empty() {
            table.insert(
                "features",
                features.iter().copied().collect::<toml_edit::Array>().into(),
            );
        }
        Ok(table.to_string())
    }
}

/// Whether the text has a scheme and more. cargo takes no other form.
fn is_url(text: &str) -> bool {
    let parts = text.split_once("://");
    parts.is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty())
}

/// Whether a directory has the crate `nexum-sdk`.
fn is_sdk(directory: &Path) -> bool {
    let manifest = std::fs::read_to_string(directory.join("Cargo.toml")).unwrap_or_default();
    let manifest = manifest.parse::<toml_edit::DocumentMut>().unwrap_or_default();
    let name = manifest
        .get("package")
        .and_then(|package| package.get("name")?.as_str());
    name == Some("nexum-sdk")
}

fn absolute(path: &Path) -> Result<String, SdkError> {
    let not_the_sdk = || SdkError::NotTheSdk { path: path.into() };
    let found = path.canonicalize().map_err(|_| not_the_sdk())?;
    if !is_sdk(&found) {
        return Err(not_the_sdk());
    }
    match found.into_os_string().into_string() {
        Ok(text) => Ok(text),
        Err(path) => Err(SdkError::NotUtf8 { path: path.into() }),
    }
}
