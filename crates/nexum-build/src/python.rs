//! Builds a module in Python.

use crate::compiled::Compiled;
use crate::{Error, Options, Progress, Project};

/// Compiles the sources to a component.
pub(crate) fn compile(project: &Project, _: &Options, _: &dyn Progress) -> Result<Compiled, Error> {
    Err(Error::Project {
        path: project.directory.clone(),
        reason: "this version of nexum builds no modules in Python".to_owned(),
        hint: None,
    })
}
