//! The part of a module that answers queries.

use std::ops::Deref;

use nexum_config::names::ModuleName;
use nexum_config::query::QueryBounds;

use super::candidate::Candidate;
use super::part::Part;

/// The part of a module that answers queries and carries out read-only functions. A
/// [`QueryPool`](crate::query::QueryPool) creates its instances.
#[derive(Debug)]
pub struct QueryModule {
    part: Part,
    /// The bounds on the module's calls. The engine has room for this many instances.
    pub bounds: QueryBounds,
    /// The module whose rows the queries read. `None` for their own module.
    pub reads: Option<ModuleName>,
}

impl QueryModule {
    /// `part` denies what queries may not call.
    pub(super) fn of(candidate: &Candidate, part: Part) -> Self {
        Self {
            part,
            bounds: candidate.query,
            reads: candidate.reads.clone(),
        }
    }

    /// Whether the module has functions.
    pub fn has_functions(&self) -> bool {
        self.kind.has_functions
    }
}

impl Deref for QueryModule {
    type Target = Part;

    fn deref(&self) -> &Part {
        &self.part
    }
}
