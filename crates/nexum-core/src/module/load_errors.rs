//! Everything that is wrong with the modules of a host.

use std::error::Error;
use std::fmt;

use nexum_config::causes::Causes;
use nexum_config::component::ComponentError;
use nexum_config::engine::{EntrySource, ModuleConfig};
use nexum_config::hint::Hint;

use super::error::LoadError;
use crate::capability::grant::GrantError;

/// One reason to refuse one module.
#[derive(Debug)]
pub struct ModuleError {
    /// The operator's entry for the module.
    pub entry: ModuleConfig,
    /// The reason.
    pub error: LoadError,
}

/// Every reason to refuse modules, in the order of discovery. An empty list refuses no module.
///
/// The text has one line for each reason, with its causes, and a line below for its hint.
#[derive(Debug, Default)]
pub struct LoadErrors(Vec<ModuleError>);

impl LoadErrors {
    /// The errors of the module with this entry.
    pub fn of(entry: &ModuleConfig, errors: impl IntoIterator<Item = LoadError>) -> Self {
        let of_entry = |error| ModuleError {
            entry: entry.clone(),
            error,
        };
        Self(errors.into_iter().map(of_entry).collect())
    }

    /// The errors.
    pub fn iter(&self) -> std::slice::Iter<'_, ModuleError> {
        self.0.iter()
    }

    /// The number of errors.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no module is refused.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the errors of other modules.
    pub fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// Fails with the errors, if there are any.
    ///
    /// # Errors
    ///
    /// When the list is not empty.
    pub fn check(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }

    /// Each reason as one line of text, with its hint. A manifest with several faults has a line for each of them.
    pub fn lines(&self) -> impl Iterator<Item = (String, Option<String>)> + '_ {
        self.0.iter().flat_map(ModuleError::lines)
    }
}

impl ModuleError {
    /// The next step. For a missing component, it names the line of the module's entry.
    fn hint(&self) -> Option<String> {
        match (&self.error, &self.entry.source) {
            (LoadError::Component(ComponentError::Read { .. }), source @ EntrySource::File { .. }) => {
                Some(format!("correct `path` in {source}, or build the module"))
            }
            (error, _) => error.hint(),
        }
    }

    /// Each reason as one line of text, with its hint. A manifest with several faults has a line for each of them.
    pub fn lines(&self) -> Vec<(String, Option<String>)> {
        let line = |error: &(dyn Error + 'static)| Causes(error).to_string().replace('\n', " ");
        match &self.error {
            LoadError::Manifest(errors) => errors.iter().map(|error| (line(error), error.hint())).collect(),
            // The error names the file.
            error @ (LoadError::Component(_) | LoadError::Files(_) | LoadError::Grant(GrantError::Manifest(_))) => {
                vec![(line(error), self.hint())]
            }
            error => vec![(format!("{}: {}", self.entry.path.display(), line(error)), error.hint())],
        }
    }
}

impl<'a> IntoIterator for &'a LoadErrors {
    type Item = &'a ModuleError;
    type IntoIter = std::slice::Iter<'a, ModuleError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for LoadErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (text, hint)) in self.lines().enumerate() {
            let line_break = if index == 0 { "" } else { "\n" };
            write!(f, "{line_break}{text}")?;
            if let Some(hint) = hint {
                write!(f, "\n  hint: {hint}")?;
            }
        }
        Ok(())
    }
}

impl Error for LoadErrors {}

/// No hint of its own: the text has the hint of each reason.
impl Hint for LoadErrors {
    fn hint(&self) -> Option<String> {
        None
    }
}
