//! Reads `engine.toml`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;

use super::{Config, EntrySource, ModuleConfig, SHUTDOWN_DEADLINE_MS, STATE_DIR, raw};
use crate::content;
use crate::document::{self, ConfigError, Section};
use crate::limits::Limits;
use crate::masked_path::MaskedPath;
use crate::names::Digest;
use crate::query::QueryBounds;
use crate::restart::{Restart, RestartKeys};

/// The top-level keys that every program of nexum reads. A program reads `metrics` itself, and the
/// others through [`Config`].
const KEYS: [&str; 4] = ["engine", "chains", "metrics", "modules"];

/// The range of `shutdown_deadline_ms`, up to an hour: a larger number is a mistake in the unit.
const SHUTDOWN_DEADLINE_MS_RANGE: RangeInclusive<u64> = 0..=3_600_000;

/// The most chains. Public lists name about two thousand networks, and one daemon follows a handful.
const CHAINS_MAX: usize = 1_000;

/// The most tables at the top level for capabilities to read. All capabilities of the contract have
/// about ten.
const SECTIONS_MAX: usize = 100;

/// The most modules, far more than the memory of one machine holds.
const MODULES_MAX: usize = 10_000;

/// Validates a document and continues after an error, so that the operator sees all of them.
pub(super) struct Reader<'a> {
    /// The file.
    pub(super) path: &'a Path,
    /// The base of relative paths.
    pub(super) directory: &'a Path,
    pub(super) errors: Vec<ConfigError>,
    pub(super) notices: Vec<ConfigError>,
}

impl Reader<'_> {
    pub(super) fn config(&mut self, root: &Section) -> Config {
        let mut config = Config::default();
        let mut left_out = 0;
        self.errors.extend(root.without_tables().unknown_keys(&KEYS));
        for (key, section) in root.tables() {
            if document::enough(&self.errors) {
                break;
            }
            match (key, section) {
                ("modules", _) => config.modules = self.modules(root),
                ("engine", Ok(section)) => {
                    self.engine(&section, &mut config);
                    config.engine = Some(section);
                }
                ("chains", Ok(section)) => config.chains = self.chains(&section),
                (content::TABLE, Ok(section)) => content::check(&section, &mut self.errors, &mut self.notices),
                (_, Ok(section)) if config.sections.len() == SECTIONS_MAX => {
                    left_out += 1;
                    if left_out == 1 {
                        let message = format!("more than {SECTIONS_MAX} tables of capabilities");
                        self.errors.push(section.error("", message));
                    }
                }
                (_, Ok(section)) => {
                    config.sections.insert(key.to_owned(), section);
                }
                ("engine" | "chains" | "metrics", Err(error)) => self.errors.push(error),
                // It is among the unknown keys.
                (_, Err(_)) => {}
            }
        }
        if !root.keys().any(|key| key == "engine") {
            config.state_dir = MaskedPath::resolve(self.directory, Path::new(STATE_DIR), None);
        }
        config
    }

    fn engine(&mut self, section: &Section, config: &mut Config) {
        (config.limits, config.total_memory_bytes) = Limits::read(section, &mut self.errors);
        config.restart = Restart::default().with(RestartKeys::read(section, &mut self.errors));
        config.query = QueryBounds::read(section, &mut self.errors);
        let Some(raw) = section.parse_all::<raw::Engine>(&mut self.errors) else {
            return;
        };
        config.state_dir = self.resolve(
            section,
            "state_dir",
            raw.state_dir.as_deref().unwrap_or(Path::new(STATE_DIR)),
        );
        config.pooling = raw.pooling;
        match section.number("shutdown_deadline_ms", &SHUTDOWN_DEADLINE_MS_RANGE) {
            Ok(deadline_ms) => config.shutdown_deadline_ms = deadline_ms.unwrap_or(SHUTDOWN_DEADLINE_MS),
            Err(error) => self.errors.push(error),
        }
    }

    /// Resolves `path`, the value of `key`, against the file's directory.
    fn resolve(&self, section: &Section, key: &str, path: &Path) -> MaskedPath {
        MaskedPath::resolve(self.directory, path, section.written_with_variable(key))
    }

    fn chains(&mut self, section: &Section) -> BTreeMap<u64, Section> {
        let mut chains = BTreeMap::new();
        for (key, chain) in section.tables() {
            if document::enough(&self.errors) {
                break;
            }
            if chains.len() == CHAINS_MAX {
                self.errors
                    .push(section.error("", format!("more than {CHAINS_MAX} chains")));
                break;
            }
            match (key.parse::<u64>(), chain) {
                // A chain id has one spelling, so no two tables describe one chain.
                (Ok(id), Ok(chain)) if id.to_string() == key => {
                    chains.insert(id, chain);
                }
                (_, Ok(chain)) => self.errors.push(
                    chain
                        .error("", "expected a chain id in decimal")
                        .with_hint("use the chain id as the key, for example [chains.1] for mainnet"),
                ),
                (_, Err(error)) => {
                    self.errors
                        .push(error.with_hint("put an endpoint into the table of its chain, for example [chains.1]"));
                }
            }
        }
        chains
    }

    fn modules(&mut self, root: &Section) -> Vec<ModuleConfig> {
        let mut modules = Vec::new();
        let sections = root.array_of_tables("modules", &mut self.errors);
        if let Some(section) = sections.get(MODULES_MAX) {
            self.errors
                .push(section.error("", format!("more than {MODULES_MAX} modules")));
        }
        for section in sections.iter().take(MODULES_MAX) {
            if document::enough(&self.errors) {
                break;
            }
            modules.extend(self.module(section));
        }
        modules
    }

    /// None if the files of the module are unknown.
    fn module(&mut self, section: &Section) -> Option<ModuleConfig> {
        let before = self.errors.len();
        let raw = section.parse_all::<raw::Module>(&mut self.errors)?;
        let table = section.section("config").unwrap_or_else(|error| {
            self.errors.push(error);
            None
        });
        let shown_config = table.as_ref().map(shown).unwrap_or_default();
        let config = table.map(|table| table.texts(&mut self.errors)).unwrap_or_default();
        let path = section.required("path", raw.path, &mut self.errors);
        let errors = self.errors.get(before..).unwrap_or_default();
        let files_are_known = !section.is_faulty("path", errors) && !section.is_faulty("manifest", errors);
        Some(ModuleConfig {
            path: self.resolve(section, "path", &path?.0),
            manifest: raw.manifest.map(|path| self.resolve(section, "manifest", &path.0)),
            name: raw.name,
            digest: raw.digest,
            metering: raw.metering,
            reads: raw.reads,
            config,
            shown_config,
            enabled: raw.enabled.unwrap_or(true),
            source: EntrySource::File {
                path: self.path.to_owned(),
                table: section.location(""),
            },
            is_faulty: !errors.is_empty(),
        })
        .filter(|_| files_are_known)
    }
}

/// The digest of the settings of a table, without secrets.
fn shown(table: &Section) -> Digest {
    let lines: Vec<_> = table
        .settings()
        .iter()
        .map(|one| format!("{} = {}\n", one.key, one.value))
        .collect();
    Digest::of(lines.concat().as_bytes())
}
