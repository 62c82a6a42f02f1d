//! The module author's file, `nexum.toml`, validated. Trigger modules have a `component.toml`
//! instead, which yields a [`Manifest`] too.
//!
//! The operator may not trust the author of a manifest. So a manifest cannot read the environment,
//! and its limits are only requests.

mod raw;
mod read;
mod subscription;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use crate::aliases::File;
use crate::component::ModuleKind;
use crate::document::{self, ConfigError, ConfigErrors, Document, Environment, Located, Section};
use crate::engine::ModuleConfig;
use crate::files::FilesName;
use crate::limits::RequestedLimits;
use crate::masked_path::MaskedPath;
use crate::names::{Digest, ModuleName};
use crate::query::QueryRequests;
use crate::restart::RestartKeys;
use crate::topic::ChainId;

pub use raw::event_signature;
pub use subscription::{BlockSubscription, CatchUp, CronSubscription, LogSubscription, Missed, Subscription};

/// The manifest's file name, beside the component.
pub const MANIFEST_FILE: &str = "nexum.toml";
/// The manifest's file name beside the component of a trigger module. Other tools use the name too,
/// so nexum does not read the file beside another component.
pub const COMPONENT_TOML: &str = "component.toml";
/// Every file name that a manifest beside the component may have. Two of them are an error. The last
/// one is for trigger modules.
const MANIFEST_FILES: [&str; 3] = [MANIFEST_FILE, "module.toml", COMPONENT_TOML];

/// The largest manifest, in bytes: room for [`SUBSCRIPTIONS_MAX`] subscriptions and as many
/// settings.
pub const MANIFEST_BYTES_MAX: u64 = 256 << 10;
/// The most keys and single values of a manifest: room for [`SUBSCRIPTIONS_MAX`] subscriptions with
/// twenty each.
pub const MANIFEST_ITEMS_MAX: usize = 20_000;
/// The most subscriptions of one module. nexum matches each of them against every event of its
/// chain.
pub const SUBSCRIPTIONS_MAX: usize = 1_000;
/// The most schedules of one module. The check that a schedule has a future time takes up to a
/// tenth of a second.
pub const SCHEDULES_MAX: usize = 32;
/// The most addresses of one subscription: large providers accept this many in one `eth_getLogs`.
pub const ADDRESSES_MAX: usize = 1_000;
/// The most values in one position of `topics`: as many as [`ADDRESSES_MAX`] allows addresses.
pub const TOPIC_VALUES_MAX: usize = 1_000;
/// The most confirmations: more than the recent blocks that nexum holds for waiting modules.
pub const CONFIRMATIONS_MAX: u64 = 1_000;
/// The longest version, in characters: long enough for a tag with a commit's hash.
pub const VERSION_CHARS_MAX: usize = 64;
/// The longest description, in characters: a paragraph.
pub const DESCRIPTION_CHARS_MAX: usize = 1_000;
/// The most authors: more than anyone reads in a list.
pub const AUTHORS_MAX: usize = 32;
/// The longest name of an author, in characters: room for a name with a URL or an e-mail address.
pub const AUTHOR_CHARS_MAX: usize = 200;

/// The form of a manifest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// The form of `nexum.toml`.
    #[default]
    Module,
    /// The form of `component.toml`, for trigger modules.
    Component,
}

/// A validated manifest. The default is the manifest of a module without the file.
#[derive(Clone, Default)]
pub struct Manifest {
    /// The form of the file.
    pub form: Form,
    /// The module's name. The operator can override it.
    pub name: Option<ModuleName>,
    /// The module's version, for display.
    pub version: Option<String>,
    /// The module's purpose, for display. It may have several lines, and harmful characters.
    pub description: Option<String>,
    /// The module's authors, for display. A name may have harmful characters.
    pub authors: Vec<String>,
    /// The SHA-256 of the file. `None` if there is no file.
    pub digest: Option<Digest>,
    /// The required digest of the component.
    pub component: Option<Digest>,
    /// The directory of the module's read-only files, below the manifest's directory.
    pub files: Option<FilesName>,
    /// The limits that the module requests.
    pub requested_limits: RequestedLimits,
    /// The retry policy of the author, which overrides the operator's, key by key.
    pub restart: RestartKeys,
    /// The table `[module.query]`, for a module that answers queries.
    pub query: QueryRequests,
    /// The chains that the module uses.
    pub chains: ChainRequests,
    /// The tables `[module.<name>]` of capabilities, for the capability to read.
    /// [`Self::capabilities`] need not list the capability.
    pub settings: BTreeMap<String, Section>,
    /// The capabilities that the module requests. `None` makes every import of the component
    /// required.
    pub capabilities: Option<CapabilityRequests>,
    /// The module's subscriptions.
    pub subscriptions: Vec<Subscription>,
    /// Whether the module also subscribes to messages, which no version of nexum delivers yet.
    pub wants_messages: bool,
    /// The configuration that `init` receives, in the order of the file.
    pub config: Vec<(String, String)>,
    /// Remarks for the operator that are no errors, such as old names: one line each, in the order
    /// of the file.
    pub notices: Vec<String>,
}

/// The chains that a module uses. No chain is in both sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainRequests {
    /// Chains that the module needs: nexum refuses the module if one is not configured. Without a
    /// `[chains]` table, these are the subscribed chains.
    pub required: BTreeSet<u64>,
    /// Chains that the module uses if the operator configures them.
    pub optional: BTreeSet<u64>,
}

/// The capabilities that a module requests. Each name is in one list, once.
///
/// A caller that knows the build's capabilities checks the names; each has its position for an
/// error.
#[derive(Clone, Debug, Default)]
pub struct CapabilityRequests {
    /// Capabilities that the module needs: nexum refuses the module if one is missing.
    pub required: Vec<Located<String>>,
    /// Capabilities that the module uses if the build has them.
    pub optional: Vec<Located<String>>,
    /// Capabilities that nexum must not grant, even if the component imports them.
    pub denied: Vec<Located<String>>,
    /// The tables `[capabilities.<name>]` of required and optional capabilities, for the capability
    /// to read.
    pub settings: BTreeMap<String, Section>,
}

impl Manifest {
    /// Reads and validates the file at `path`.
    ///
    /// # Errors
    ///
    /// Returns all faults of the file. [`ConfigErrors::is_not_found`] recognises a missing file.
    pub fn load(path: &MaskedPath) -> Result<Self, ConfigErrors> {
        Self::parse(path.shown(), &document::read(path, MANIFEST_BYTES_MAX)?)
    }

    /// Reads and validates the manifest of a module of this kind: the file that the operator names, or
    /// else the file beside the component if it exists. Adds the faults of its content to `errors`. The
    /// result has the defaults of the faulty parts: use it only to find further errors.
    ///
    /// # Errors
    ///
    /// Fails if the file is unreadable or is not TOML, or if there are two files beside the component.
    /// A missing file is a fault only if the operator names it.
    pub fn of_module_all(
        config: &ModuleConfig,
        kind: ModuleKind,
        errors: &mut Vec<ConfigError>,
    ) -> Result<Option<Self>, ConfigErrors> {
        let mut found = Vec::new();
        for path in config.manifest_paths(kind) {
            match document::read(&path, MANIFEST_BYTES_MAX) {
                Err(error) if config.manifest.is_none() && error.is_not_found() => {}
                read => found.push((path, read)),
            }
        }
        if let [(one, _), (other, _), ..] = &found[..] {
            let message = format!("{} is a manifest too", other.display());
            let hint = "remove one of the two files, or name the manifest: `manifest` in [[modules]], or --manifest";
            return Err(ConfigError::of_file(one.shown(), message).with_hint(hint).into());
        }
        let Some((path, bytes)) = found.pop() else {
            return Ok(None);
        };
        Self::parse_all(path.shown(), &bytes?, errors).map(Some)
    }

    /// The chains that the module needs and that are not in `configured`.
    pub fn missing_chains(&self, configured: &BTreeSet<ChainId>) -> BTreeSet<ChainId> {
        let subscribed = self.subscriptions.iter().filter_map(Subscription::chain_id);
        let needed = subscribed.filter(|chain_id| !self.chains.optional.contains(chain_id));
        let needed = self.chains.required.iter().copied().chain(needed);
        needed.filter(|chain_id| !configured.contains(chain_id)).collect()
    }

    /// Validates `bytes`, the content of the file at `path`. The tables tell the [`Form`] of the file:
    /// `[component]`, `[dependencies]` or `[[trigger]]`, or else `[module]`, `[capabilities]` or
    /// `[[subscription]]`. The name of the file decides only if it has none of them.
    ///
    /// # Errors
    ///
    /// Returns all faults of the file.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let manifest = Self::parse_all(path, bytes, &mut errors)?;
        ConfigErrors::check(errors)?;
        Ok(manifest)
    }

    /// Validates `bytes` as [`Manifest::parse`] does, and adds the faults to `errors`. The result has
    /// the defaults of the faulty parts. Use it only to find further errors.
    ///
    /// # Errors
    ///
    /// Fails if the content is too large or is not TOML.
    pub fn parse_all(path: &Path, bytes: &[u8], errors: &mut Vec<ConfigError>) -> Result<Self, ConfigErrors> {
        document::check_size(path, bytes.len() as u64, MANIFEST_BYTES_MAX)?;
        let mut document = Document::parse_within(path, bytes, &Environment::closed(), MANIFEST_ITEMS_MAX)?;
        let of_name = || match path.ends_with(COMPONENT_TOML) {
            true => Form::Component,
            false => Form::Module,
        };
        let manifest = match read::form(document.root()).unwrap_or_else(of_name) {
            Form::Component => read::component_toml(document.root(), errors),
            Form::Module => {
                let notices = document.replace_old_names(File::Manifest, errors);
                read::manifest(document.root(), notices, errors)
            }
        };
        Ok(Self {
            digest: Some(Digest::of(bytes)),
            ..manifest
        })
    }
}

impl Form {
    /// The table of an event that the module subscribes to, as the file has it.
    pub fn subscription_table(self) -> &'static str {
        match self {
            Self::Module => "[[subscription]]",
            Self::Component => "[[trigger]]",
        }
    }
}

impl ModuleConfig {
    /// The files that can be the manifest of a module of this kind: the one that the operator names, or
    /// else those beside the component, of which at most one may exist.
    pub fn manifest_paths(&self, kind: ModuleKind) -> Vec<MaskedPath> {
        if let Some(path) = &self.manifest {
            return vec![path.clone()];
        }
        let names = MANIFEST_FILES.into_iter();
        let names = names.filter(|name| kind.takes_triggers || *name != COMPONENT_TOML);
        names.map(|name| self.path.with_file_name(name)).collect()
    }

    /// The file beside which the module's read-only files are: the manifest that the operator names, or
    /// else the component.
    pub fn files_beside(&self) -> &MaskedPath {
        self.manifest.as_ref().unwrap_or(&self.path)
    }

    /// The warning for a module without a manifest that is not a trigger module, if there is a file that
    /// the author may take for one.
    pub fn unread_manifest(&self) -> Option<String> {
        let path = self.path.with_file_name(COMPONENT_TOML);
        let is_missing = document::read(&path, MANIFEST_BYTES_MAX).is_err_and(|error| error.is_not_found());
        (!is_missing).then(|| {
            format!("nexum reads {COMPONENT_TOML} only beside a trigger module: if it is the module's manifest, rename it to {MANIFEST_FILE}")
        })
    }
}

impl ModuleKind {
    /// The usual name of the manifest of a module of this kind.
    pub fn manifest_file(self) -> &'static str {
        if self.takes_triggers {
            COMPONENT_TOML
        } else {
            MANIFEST_FILE
        }
    }
}

/// The names in a manifest that no capability has, each with its position and the nearest known name.
#[derive(Debug, Default)]
pub struct UnknownCapabilities {
    /// Required and denied names: nexum refuses the module.
    pub refused: Vec<ConfigError>,
    /// Optional names: nexum warns and ignores them.
    pub ignored: Vec<ConfigError>,
}

impl CapabilityRequests {
    /// The names that `is_known` rejects, with the nearest name of `known`.
    pub fn unknown<'a>(
        &self,
        is_known: impl Fn(&str) -> bool,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) -> UnknownCapabilities {
        let error = |name: &Located<String>| {
            let error = name.location.error("there is no such capability");
            error.with_nearest(&name.value, known.clone())
        };
        let is_unknown = |name: &&Located<String>| !is_known(&name.value);
        let needed = self.required.iter().chain(&self.denied);
        UnknownCapabilities {
            refused: needed.filter(is_unknown).map(error).collect(),
            ignored: self.optional.iter().filter(is_unknown).map(error).collect(),
        }
    }

    /// Whether `optional` lists this name.
    pub fn is_optional(&self, name: &str) -> bool {
        self.optional.iter().any(|listed| listed.value == name)
    }
}

/// `Debug` omits the values of `config`: they may be long, and belong to the module.
impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            form,
            name,
            version,
            description,
            authors,
            digest,
            component,
            files,
            requested_limits,
            restart,
            query,
            chains,
            settings,
            capabilities,
            subscriptions,
            wants_messages,
            config,
            notices,
        } = self;
        let keys: Vec<_> = config.iter().map(|(key, _)| key).collect();
        f.debug_struct("Manifest")
            .field("form", form)
            .field("name", name)
            .field("version", version)
            .field("description", description)
            .field("authors", authors)
            .field("digest", digest)
            .field("component", component)
            .field("files", files)
            .field("requested_limits", requested_limits)
            .field("restart", restart)
            .field("query", query)
            .field("chains", chains)
            .field("settings", settings)
            .field("capabilities", capabilities)
            .field("subscriptions", subscriptions)
            .field("wants_messages", wants_messages)
            .field("config_keys", &keys)
            .field("notices", notices)
            .finish()
    }
}
