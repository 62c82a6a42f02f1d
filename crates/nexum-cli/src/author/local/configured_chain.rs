//! A chain in the files of a project.

/// A chain of the project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::author) struct ConfiguredChain {
    pub(in crate::author) id: u64,
    /// The port of its endpoint, if that is on this machine.
    pub(in crate::author) port: Option<u16>,
}
