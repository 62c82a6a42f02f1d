//! An author's directory: the module's name and its language.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use nexum_config::document::{self, Document, Environment};
use nexum_config::manifest::{MANIFEST_BYTES_MAX, MANIFEST_FILE};
use nexum_config::names::ModuleName;
use serde::Deserialize;
use toml_edit::DocumentMut;

use crate::Error;

/// The directory below a project that has the results of a build.
pub const OUTPUT: &str = "build";

/// A directory with the sources of one module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// The directory.
    pub directory: PathBuf,
    /// The module's name, which its files have too: `[module] name` of `nexum.toml`, or else the name
    /// of the package, or else the name of the directory.
    pub name: ModuleName,
    /// The language of the sources.
    pub language: Language,
}

/// A language that modules are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// A crate with `nexum-sdk`, or with bindings of its own.
    Rust,
    /// An ECMAScript module.
    JavaScript,
    /// A Python module.
    Python,
    /// A C file.
    C,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 4] = [Self::Rust, Self::JavaScript, Self::Python, Self::C];

    /// The file by which a project of the language is recognised.
    pub fn file(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
            Self::JavaScript => "package.json",
            Self::Python => "requirements.txt",
            Self::C => "src/module.c",
        }
    }
}

/// The name of the language.
impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "Rust",
            Self::JavaScript => "JavaScript",
            Self::Python => "Python",
            Self::C => "C",
        })
    }
}

impl Project {
    /// Finds the project in `directory`. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// Fails if the directory has the files of no language or of several, or if it gives the module
    /// no valid name.
    pub fn find(directory: &Path) -> Result<Self, Error> {
        let directory = &fs::canonicalize(directory).map_err(Error::file("open", directory))?;
        let language = language(directory)?;
        let file = directory.join(MANIFEST_FILE);
        let (name, source) = match name_in_manifest(&file)? {
            Some(name) => (name, file),
            None => match name_of_package(directory, language)? {
                Some(name) => (name, directory.join(language.file())),
                None => {
                    let name = directory.file_name().unwrap_or_default();
                    (name.to_string_lossy().to_lowercase(), directory.clone())
                }
            },
        };
        let name = name.parse().map_err(|error| Error::Project {
            path: source,
            reason: format!("the name {name:?} of the module is not valid: {error}"),
            hint: Some(format!(
                "name the module in {MANIFEST_FILE}: `[module]` and `name = \"...\"`"
            )),
        })?;
        Ok(Self {
            directory: directory.clone(),
            name,
            language,
        })
    }

    /// The manifest that the author writes, which need not exist.
    pub fn manifest(&self) -> PathBuf {
        self.directory.join(MANIFEST_FILE)
    }

    /// The directory of the results.
    pub fn output(&self) -> PathBuf {
        self.directory.join(OUTPUT)
    }
}

fn language(directory: &Path) -> Result<Language, Error> {
    let found = Language::ALL
        .into_iter()
        .filter(|language| directory.join(language.file()).exists());
    let found: Vec<_> = found.collect();
    let files = |languages: &[Language], last: &str| {
        let files: Vec<_> = languages.iter().map(|language| language.file()).collect();
        match files.split_last() {
            Some((file, files)) if !files.is_empty() => format!("{}{last}{file}", files.join(", ")),
            _ => files.concat(),
        }
    };
    let (reason, hint) = match &found[..] {
        [language] => return Ok(*language),
        [] => (
            format!("no module here: the directory has no {}", files(&Language::ALL, " or ")),
            "go to the directory of the module, or add its path to the command".to_owned(),
        ),
        several => (
            format!(
                "the directory has the files of several languages: {}",
                files(several, " and ")
            ),
            "a module has one language: move the files of the other ones to another directory".to_owned(),
        ),
    };
    Err(Error::Project {
        path: directory.to_owned(),
        reason,
        hint: Some(hint),
    })
}

/// `[module] name` of the manifest, if the file exists.
fn name_in_manifest(path: &Path) -> Result<Option<String>, Error> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Module {
        name: Option<String>,
    }

    let bytes = match document::read(&path.into(), MANIFEST_BYTES_MAX) {
        Err(error) if error.is_not_found() => return Ok(None),
        read => read?,
    };
    let document = Document::parse(path, &bytes, &Environment::closed())?;
    let section = document.root().section("module")?;
    let module = section
        .map(|section| section.only(&["name"]).parse::<Module>())
        .transpose();
    Ok(module?.and_then(|module| module.name))
}

/// The name in the language's own file, if it has one.
fn name_of_package(directory: &Path, language: Language) -> Result<Option<String>, Error> {
    let path = directory.join(language.file());
    let read = || fs::read_to_string(&path).map_err(Error::file("read", &path));
    let malformed = |error: &dyn fmt::Display| Error::Project {
        path: path.clone(),
        reason: error.to_string().replace('\n', " "),
        hint: None,
    };
    match language {
        Language::Rust => {
            let manifest = read()?.parse::<DocumentMut>().map_err(|error| malformed(&error))?;
            let package = manifest.get("package").and_then(|package| package.get("name"));
            Ok(package.and_then(|name| name.as_str()).map(str::to_owned))
        }
        Language::JavaScript => {
            let package: serde_json::Value = serde_json::from_str(&read()?).map_err(|error| malformed(&error))?;
            Ok(package["name"].as_str().map(str::to_owned))
        }
        Language::Python | Language::C => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use nexum_config::hint::Hint;

    use super::*;

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::Builder::new()
            .prefix("my-module-")
            .tempdir()
            .expect("a directory");
        for (name, content) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, content).expect("a file");
        }
        directory
    }

    fn find(files: &[(&str, &str)]) -> Result<(String, Language), String> {
        let directory = directory(files);
        let root = fs::canonicalize(directory.path())
            .expect("a path")
            .display()
            .to_string();
        let project = Project::find(directory.path()).map_err(|error| {
            let text = format!("{error} ({})", error.hint().unwrap_or_default());
            text.replace(&root, "DIR")
        })?;
        let name = project.name.to_string();
        let base = directory
            .path()
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .to_lowercase();
        let name = if name.to_lowercase() == base {
            "DIR".to_owned()
        } else {
            name
        };
        Ok((name, project.language))
    }

    #[test]
    fn a_file_decides_the_language_and_its_name_is_the_modules() {
        let package = "[package]\nname = \"watch\"\nversion.workspace = true\n";
        for (files, expected) in [
            (&[("Cargo.toml", package)][..], ("watch", Language::Rust)),
            (
                &[
                    ("Cargo.toml", package),
                    ("nexum.toml", "[module]\nname = \"mine\"\nversion = \"1\"\n"),
                ],
                ("mine", Language::Rust),
            ),
            (
                &[("Cargo.toml", package), ("nexum.toml", "[config]\na = 1\n")],
                ("watch", Language::Rust),
            ),
            (&[("package.json", "{\"name\": \"js\"}")], ("js", Language::JavaScript)),
            (
                &[("requirements.txt", ""), ("nexum.toml", "[module]\nname = \"py\"\n")],
                ("py", Language::Python),
            ),
            (
                &[("src/module.c", ""), ("nexum.toml", "[module]\nname = \"c\"\n")],
                ("c", Language::C),
            ),
        ] {
            let (name, language) = expected;
            assert_eq!(find(files), Ok((name.to_owned(), language)), "{files:?}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_directory() {
        for (files, expected) in [
            (
                &[][..],
                "DIR: no module here: the directory has no Cargo.toml, package.json, requirements.txt or src/module.c \
                 (go to the directory of the module, or add its path to the command)",
            ),
            (
                &[("Cargo.toml", ""), ("package.json", "{}")],
                "DIR: the directory has the files of several languages: Cargo.toml and package.json (a module has one \
                 language: move the files of the other ones to another directory)",
            ),
            (
                &[("package.json", "{\"name\": \"@a/b\"}")],
                "DIR/package.json: the name \"@a/b\" of the module is not valid: a module name is 1 to 64 characters of \
                 a-z, 0-9, - and _, and begins with a letter or a digit (name the module in nexum.toml: `[module]` and `name = \"...\"`)",
            ),
        ] {
            assert_eq!(find(files), Err(expected.to_owned()), "{files:?}");
        }
    }
}
