//! The complete manifest of a module, from its code and from what the author writes.
//!
//! The author's file is the base, with its comments. The code decides which events the module handles;
//! the author decides from which chains and contracts they come. A contradiction is an error that names
//! both sides.

mod capabilities;
mod code;
mod handler;
mod place;
mod subscriptions;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::Path;

use nexum_config::component::ComponentFile;
use nexum_config::document::{ConfigError, ConfigErrors, Document, Environment, Section};
use nexum_config::files::FilesName;
use nexum_config::manifest::{MANIFEST_FILE, Manifest};
use nexum_config::names::ModuleName;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, TableLike};

use self::place::Origin;
use crate::Error;

pub use code::Code;

/// A complete manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complete {
    /// The text of the file.
    pub text: String,
    /// The directory of the module's read-only files, below that of the manifest.
    pub files: Option<FilesName>,
    /// Remarks for the author that are no errors: one line each.
    pub warnings: Vec<String>,
}

/// Completes `written`, the content of the author's manifest. It is empty if there is none. The name and
/// the version are for a manifest without them; a manifest may have no other name.
///
/// # Errors
///
/// Fails if the component has a faulty section [`SECTION`](crate::error::SECTION), and with every fault of the text and every
/// contradiction between text and code.
pub fn complete(
    written: &[u8],
    name: &ModuleName,
    version: Option<&str>,
    component: &ComponentFile,
) -> Result<Complete, Error> {
    let code = Code::of(&component.bytes)?;
    let mut draft = Draft::read(written)?;
    draft.module(name, version, component);
    let capabilities = draft.capabilities(code.as_ref(), &component.summary.imports);
    let subscriptions = draft.subscriptions(code.as_ref())?;
    ConfigErrors::check(std::mem::take(&mut draft.errors))?;
    capabilities.write(&mut draft.document);
    draft.write(subscriptions);
    let text = draft.text(code.is_some());
    let manifest = draft.check(&text)?;
    let mut warnings = draft.warnings;
    warnings.extend(remark(&manifest, component));
    Ok(Complete {
        text,
        files: manifest.files,
        warnings,
    })
}

/// A manifest that is being completed.
struct Draft {
    /// The author's manifest, validated.
    manifest: Manifest,
    /// The outermost table of the author's manifest, for positions.
    root: Section,
    /// The author's manifest, to which this adds.
    document: DocumentMut,
    /// Keys that the author leaves out.
    incomplete: Vec<ConfigError>,
    /// The origin of each completed subscription.
    origins: Vec<Origin>,
    errors: Vec<ConfigError>,
    warnings: Vec<String>,
}

impl Draft {
    fn read(written: &[u8]) -> Result<Self, Error> {
        let path = Path::new(MANIFEST_FILE);
        let mut errors = Vec::new();
        let manifest = Manifest::parse_all(path, written, &mut errors)?;
        // The code may have the missing keys of a subscription.
        let can_complete = |error: &ConfigError| error.message() == "missing key" && error.is_about("subscription");
        let (incomplete, errors) = errors.into_iter().partition(can_complete);
        ConfigErrors::check(errors)?;
        let document = Document::parse(path, written, &Environment::closed())?;
        let text = String::from_utf8_lossy(written);
        let editable = text.parse::<DocumentMut>().map_err(|error| {
            // The document was parsed before, by another crate.
            document.root().error("", error.message())
        })?;
        Ok(Self {
            manifest,
            root: document.root().clone(),
            document: editable,
            incomplete,
            origins: Vec::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
        })
    }

    /// Completes `[module]`.
    fn module(&mut self, name: &ModuleName, version: Option<&str>, component: &ComponentFile) {
        if self.manifest.name.as_ref().is_some_and(|written| written != name) {
            let error = self
                .root
                .error("module.name", format!("is not the module's name, {name}"));
            self.errors.push(error);
        }
        with_table(&mut self.document, "module", |module| {
            insert_absent(module, "name", Some(name.as_str()));
            insert_absent(module, "version", version);
            module.insert("component", component.digest.to_string().into());
        });
    }

    /// Writes the subscriptions, and `[chains]` with their chains unless the author's manifest has it.
    fn write(&mut self, mut subscriptions: ArrayOfTables) {
        let chains = subscriptions
            .iter()
            .filter_map(|table| table.get("chain_id")?.as_integer());
        let chains: BTreeSet<_> = chains.collect();
        if !self.document.contains_key("chains") && !chains.is_empty() {
            let chains: Array = chains.into_iter().collect();
            with_table(&mut self.document, "chains", |table| {
                table.insert("required", Item::Value(chains.into()));
            });
        }
        if let Some(first) = subscriptions.get_mut(0) {
            // It may have been the first table of the file, without a line above it.
            let above = first
                .decor()
                .prefix()
                .and_then(|prefix| prefix.as_str())
                .unwrap_or_default();
            let above = format!("\n{}", above.trim_start_matches('\n'));
            first.decor_mut().set_prefix(above);
            self.document.insert("subscription", Item::ArrayOfTables(subscriptions));
        }
    }

    /// Validates the completed text. The errors are about the author's file and the code.
    fn check(&self, text: &str) -> Result<Manifest, ConfigErrors> {
        let mut errors = Vec::new();
        match Manifest::parse_all(Path::new(MANIFEST_FILE), text.as_bytes(), &mut errors) {
            Ok(manifest) if errors.is_empty() => return Ok(manifest),
            Ok(_) => {}
            Err(unreadable) => errors.extend(unreadable),
        }
        let errors = errors.iter().map(|error| self.of_author(error));
        match ConfigErrors::check(errors.collect()) {
            Err(errors) => Err(errors),
            Ok(()) => Err(self.root.error("", "cannot be completed").into()),
        }
    }

    fn text(&self, has_code: bool) -> String {
        let sources = match (self.root.keys().next().is_some(), has_code) {
            (true, true) => "nexum.toml and the code",
            (true, false) => "nexum.toml and the component",
            (false, _) => "the code",
        };
        let text = self.document.to_string();
        format!(
            "# `nexum build` made this file from {sources}.\n{}",
            text.trim_start_matches('\n')
        )
    }
}

/// A remark about the module as a whole.
fn remark(manifest: &Manifest, component: &ComponentFile) -> Option<String> {
    let subscribes = manifest.wants_messages || !manifest.subscriptions.is_empty();
    let is_idle = component.summary.kind().handles_events && !subscribes;
    is_idle
        .then(|| format!("the module subscribes to nothing and gets no event: add [[subscription]] to {MANIFEST_FILE}"))
}

/// Changes the table `name` of a document, which is added if it is absent.
fn with_table(document: &mut DocumentMut, name: &str, change: impl FnOnce(&mut dyn TableLike)) {
    let item = document.entry(name).or_insert_with(|| Item::Table(Table::new()));
    // The manifest is valid, so no other value stands here.
    if let Some(table) = item.as_table_like_mut() {
        change(table);
    }
}

fn insert_absent(table: &mut dyn TableLike, key: &str, value: Option<&str>) {
    if let Some(value) = value.filter(|_| !table.contains_key(key)) {
        table.insert(key, value.into());
    }
}
