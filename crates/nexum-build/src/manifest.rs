//! The manifest of a module, from its code and from what the author writes.

use nexum_config::manifest::MANIFEST_FILE;
use toml_edit::{DocumentMut, Item, Table};

use crate::component::Component;
use crate::{Error, Project};

/// A complete manifest.
pub(crate) struct Complete {
    /// The text of the file.
    pub(crate) text: String,
    /// Remarks for the author.
    pub(crate) warnings: Vec<String>,
}

/// Completes the manifest in the directory of a project, which may be absent.
pub(crate) fn complete(project: &Project, version: Option<&str>, component: &Component) -> Result<Complete, Error> {
    let path = project.directory.join(MANIFEST_FILE);
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        read => read.map_err(Error::file("read", &path))?,
    };
    let mut manifest = text.parse::<DocumentMut>().unwrap_or_default();
    let module = manifest.entry("module").or_insert_with(|| Item::Table(Table::new()));
    if let Some(module) = module.as_table_like_mut() {
        module.entry("name").or_insert_with(|| project.name.as_str().into());
        if let Some(version) = version {
            module.entry("version").or_insert_with(|| version.into());
        }
        module.insert("component", component.file.digest.to_string().into());
    }
    Ok(Complete {
        text: manifest.to_string(),
        warnings: Vec::new(),
    })
}
