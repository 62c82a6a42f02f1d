//! The bus between sources and runners: for each topic a bounded log, to which a source appends and
//! from which runners read.

mod history;
pub(crate) mod log;
pub(crate) mod report;
pub(crate) mod router;
pub(crate) mod source;
