//! The narrow world of a module in a language whose tools import every interface of their world: the
//! interfaces of its capabilities, and the exports of its parts.

use std::fs;
use std::path::{Path, PathBuf};

use nexum_config::interface::capability_named;
use nexum_config::manifest::{MANIFEST_FILE, Manifest};
use nexum_config::masked_path::MaskedPath;
use toml_edit::DocumentMut;

use crate::output::write_if_changed;
use crate::{Error, Project};

/// The name of the world.
pub(crate) const WORLD: &str = "contract";

/// An interface of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    /// The capability that a manifest names.
    pub(crate) capability: &'static str,
    /// The package and the name, without a version.
    path: &'static str,
    version: &'static str,
}

const fn interface(capability: &'static str, path: &'static str) -> Interface {
    Interface {
        capability,
        path,
        version: "0.2.0",
    }
}

/// The interfaces that a manifest can request.
const REQUESTED: [Interface; 7] = [
    interface("chain", "nexum:host/chain"),
    interface("cow", "shepherd:cow/cow-api"),
    interface("http", "nexum:host/http"),
    interface("identity", "nexum:host/identity"),
    interface("messaging", "nexum:host/messaging"),
    interface("remote-store", "nexum:host/remote-store"),
    interface("store", "nexum:host/local-store"),
];

/// The interfaces that every module has, as far as the files of the SDKs use them.
const AMBIENT: [Interface; 2] = [
    interface("logging", "nexum:host/logging"),
    interface("random", "nexum:host/random"),
];

impl Interface {
    /// The name with package and version, as in `nexum:host/chain@0.2.0`.
    pub(crate) fn full_name(&self) -> String {
        format!("{}@{}", self.path, self.version)
    }

    /// The name alone, as in `local-store`.
    pub(crate) fn name(&self) -> &'static str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }
}

/// The imports and exports of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct World {
    pub(crate) imports: Vec<Interface>,
    /// Whether the module handles events.
    pub(crate) events: bool,
    /// Whether the module answers queries.
    pub(crate) queries: bool,
}

impl World {
    /// The world of a project, from its `nexum.toml`: the required and optional capabilities, events
    /// if it has a subscription, and queries if it has the table `[module.query]`.
    pub(crate) fn of(project: &Project) -> Result<Self, Error> {
        let path = project.manifest();
        let manifest =
            Manifest::load(&MaskedPath::from(path.as_path())).map_err(|errors| match errors.is_not_found() {
                true => Error::Project {
                    path: project.directory.clone(),
                    reason: format!("a module in {} needs a {MANIFEST_FILE}", project.language),
                    hint: Some("`nexum new` writes one".to_owned()),
                },
                false => errors.into(),
            })?;
        let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
        // The manifest has been read before, so the file is TOML.
        let document = text.parse::<DocumentMut>().unwrap_or_default();
        let module = document.get("module").and_then(|module| module.as_table_like());
        let queries = module.is_some_and(|module| module.contains_key("query"));
        let events = !manifest.subscriptions.is_empty() || manifest.wants_messages;
        if !events && !queries {
            return Err(Error::Project {
                path,
                reason: "the module handles no event and answers no query".to_owned(),
                hint: Some("add a `[[subscription]]`, or the table `[module.query]`".to_owned()),
            });
        }
        let capabilities = manifest.capabilities.unwrap_or_default();
        let is_listed = |interface: &Interface| {
            let mut listed = capabilities.required.iter().chain(&capabilities.optional);
            listed.any(|name| capability_named(&name.value) == Some(interface.capability))
        };
        let requested = REQUESTED.into_iter().filter(is_listed);
        Ok(Self {
            imports: requested.chain(AMBIENT).collect(),
            events,
            queries,
        })
    }

    /// This world with every interface of the contract, for a compiler that removes unused imports.
    pub(crate) fn with_all_imports(self) -> Self {
        Self {
            imports: REQUESTED.into_iter().chain(AMBIENT).collect(),
            ..self
        }
    }

    /// The world in the text format, in which the export `init` is called `init`.
    fn text(&self, init: &str) -> String {
        let imports: String = self
            .imports
            .iter()
            .map(|each| format!("  import {};\n", each.full_name()))
            .collect();
        let event = if self.events { "event, " } else { "" };
        let on_event = "  export on-event: func(event: event) -> result<_, host-error>;\n";
        let evaluate = "  export evaluate: func(input: list<u8>) -> result<list<u8>, host-error>;\n";
        format!(
            "package nexum:module;\n\nworld {WORLD} {{\n  \
             use nexum:host/types@0.2.0.{{config, {event}host-error}};\n\
             {imports}  export {init}: func(config: config) -> result<_, host-error>;\n{}{}}}\n",
            if self.events { on_event } else { "" },
            if self.queries { evaluate } else { "" },
        )
    }

    /// Writes the world, and the packages that it names, into a directory. Returns the directory.
    pub(crate) fn write(&self, output: &Path, init: &str) -> Result<PathBuf, Error> {
        let directory = output.join("wit");
        for (path, text) in PACKAGES {
            write_file(&directory.join("deps").join(path), text.as_bytes())?;
        }
        write_file(&directory.join("module.wit"), self.text(init).as_bytes())?;
        Ok(directory)
    }
}

/// Writes a generated file, and the directory that it is in. Leaves an unchanged file as it is.
pub(crate) fn write_file(path: &Path, content: &[u8]) -> Result<(), Error> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::file("make", parent))?;
    }
    write_if_changed(path, content)
}

/// The files of the contract.
macro_rules! packages {
    ($($path:literal,)*) => {
        &[$(($path, include_str!(concat!("../../../wit/", $path))),)*]
    };
}

/// The packages of the contract, with their paths below `wit/`.
pub(crate) const PACKAGES: &[(&str, &str)] = packages![
    "nexum-host/chain.wit",
    "nexum-host/clock.wit",
    "nexum-host/http.wit",
    "nexum-host/identity.wit",
    "nexum-host/local-store.wit",
    "nexum-host/logging.wit",
    "nexum-host/messaging.wit",
    "nexum-host/random.wit",
    "nexum-host/remote-store.wit",
    "nexum-host/types.wit",
    "nexum-host/worlds.wit",
    "shepherd-cow/cow.wit",
];

#[cfg(test)]
mod tests {
    use nexum_config::hint::Hint;

    use super::*;

    fn world(manifest: &str) -> Result<World, String> {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("package.json"), "{}").expect("a file");
        fs::write(directory.path().join(MANIFEST_FILE), manifest).expect("a file");
        let project = Project::find(directory.path()).expect("a project");
        World::of(&project).map_err(|error| format!("{error} ({})", error.hint().unwrap_or_default()))
    }

    #[test]
    fn has_the_capabilities_and_the_parts_of_the_manifest() {
        let text = "[module]\nname = \"a\"\n[capabilities]\nrequired = [\"store\"]\noptional = [\"http\"]\n\
                    [[subscription]]\nkind = \"block\"\nchain_id = 1\n";
        let world = world(text).expect("a world");
        assert_eq!(
            world.text("init"),
            "package nexum:module;\n\nworld contract {\n  use nexum:host/types@0.2.0.{config, event, host-error};\n  \
             import nexum:host/http@0.2.0;\n  import nexum:host/local-store@0.2.0;\n  \
             import nexum:host/logging@0.2.0;\n  import nexum:host/random@0.2.0;\n  \
             export init: func(config: config) -> result<_, host-error>;\n  \
             export on-event: func(event: event) -> result<_, host-error>;\n}\n"
        );
    }

    #[test]
    fn has_the_capabilities_that_the_manifest_names_by_an_interface() {
        let text = "[module]\nname = \"a\"\n[module.query]\n[capabilities]\nrequired = [\"local-store\"]\n\
                    optional = [\"cow-api\", \"outgoing-handler\"]\n";
        let names = world(text).expect("a world").imports;
        let names: Vec<_> = names.iter().map(Interface::name).collect();
        assert_eq!(names, ["cow-api", "http", "local-store", "logging", "random"]);
    }

    #[test]
    fn answers_queries_if_the_manifest_says_so() {
        let world = world("[module]\nname = \"a\"\n[module.query]\n").expect("a world");
        assert!(world.queries && !world.events);
        let text = world.text("init");
        assert!(text.contains("export evaluate") && !text.contains("event"), "{text}");
    }

    #[test]
    fn refuses_a_module_without_parts() {
        let error = world("[module]\nname = \"a\"\n").expect_err("a refusal");
        assert!(
            error.ends_with(
                "nexum.toml: the module handles no event and answers no query (add a `[[subscription]]`, or the \
                 table `[module.query]`)"
            ),
            "{error}"
        );
    }

    #[test]
    fn carries_every_file_of_the_contract() {
        let contract = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        let mut found = Vec::new();
        for package in ["nexum-host", "shepherd-cow"] {
            for entry in fs::read_dir(contract.join(package)).expect("a package") {
                let name = entry.expect("an entry").file_name();
                found.push(format!("{package}/{}", name.to_string_lossy()));
            }
        }
        found.sort();
        assert_eq!(
            found,
            PACKAGES.iter().map(|(path, _)| (*path).to_owned()).collect::<Vec<_>>()
        );
    }
}
