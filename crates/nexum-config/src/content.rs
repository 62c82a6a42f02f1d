//! `[[content.sources]]`: places to fetch components from, in both files. Nothing uses them yet.

use crate::document::{ConfigError, Section};

/// The name of the table.
pub(crate) const TABLE: &str = "content";

/// The name of the array in it.
const SOURCES: &str = "sources";

/// The most sources: one for each kind of store that nexum 0.2 planned, several times.
const SOURCES_MAX: usize = 16;

/// Checks the shape of the table: each source has a `type`. Adds all faults to `errors`, and to
/// `notices` that the sources have no effect.
pub(crate) fn check(content: &Section, errors: &mut Vec<ConfigError>, notices: &mut Vec<ConfigError>) {
    errors.extend(content.unknown_keys(&[SOURCES]));
    let sources = content.array_of_tables(SOURCES, errors);
    if sources.len() > SOURCES_MAX {
        errors.push(content.error(SOURCES, format!("expected at most {SOURCES_MAX} sources")));
        return;
    }
    errors.extend(sources.iter().filter_map(|source| source.string("type").err()));
    if let Some(first) = sources.first() {
        notices.push(first.error("", "has no effect yet: nexum reads each component from its path"));
    }
}
