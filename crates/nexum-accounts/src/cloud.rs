//! The clouds whose key management services can sign.

use std::fmt;

/// A cloud with a key management service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cloud {
    /// Amazon Web Services, with the feature `aws`.
    Aws,
    /// Google Cloud, with the feature `gcp`.
    Gcp,
}

impl Cloud {
    /// Whether this build has the cloud.
    pub(crate) fn is_built(self) -> bool {
        match self {
            Self::Aws => cfg!(feature = "aws"),
            Self::Gcp => cfg!(feature = "gcp"),
        }
    }

    /// The key of `signer` that names a key of this cloud.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Aws => "aws_kms",
            Self::Gcp => "gcp_kms",
        }
    }

    /// The feature of nexum's binary that adds the cloud.
    pub(crate) fn feature(self) -> &'static str {
        match self {
            Self::Aws => "identity-aws",
            Self::Gcp => "identity-gcp",
        }
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aws => "AWS",
            Self::Gcp => "Google Cloud",
        })
    }
}
