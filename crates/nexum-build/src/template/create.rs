//! Makes a project on disk.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nexum_config::names::ModuleName;

use super::abi::{Abi, AbiEvent, ZERO_WORD};
use super::decoder::Decoder;
use super::render::{Values, render};
use super::{AbiError, File, Kind, NewError, Sdk, Template, find, name};
use crate::Language;

/// The request for a project.
#[derive(Clone, Debug)]
pub struct New {
    /// The directory. Its last part is the name of the project.
    pub directory: PathBuf,
    /// The language.
    pub language: Language,
    /// The template. The default is `block`, or with an ABI that has an event `event`.
    pub kind: Option<Kind>,
    /// A JSON file with the ABI of a contract.
    pub abi: Option<PathBuf>,
    /// The SDK of a project in Rust.
    pub sdk: Sdk,
}

/// A new project.
#[derive(Debug)]
#[non_exhaustive]
pub struct Created {
    /// The name of the project and its module.
    pub name: ModuleName,
    /// The template.
    pub kind: Kind,
    /// The task of the module: a verb with its object, for the sentence "It ...".
    pub summary: &'static str,
    /// The files, relative to the directory, in the order of the template.
    pub files: Vec<PathBuf>,
}

/// Makes a project. Its directory appears with all files, or not at all.
///
/// # Errors
///
/// A name, a template, an ABI or an SDK that does not fit, a directory that is not empty, or a failed
/// write. Nothing has changed then.
pub fn create(new: &New) -> Result<Created, NewError> {
    let name = name::of(&new.directory, new.language)?;
    let abi = new.abi.as_deref();
    let abi = abi.map(|path| Abi::read(path, new.language)).transpose()?;
    let template = template(new, abi.as_ref())?;
    let files = files(new, template, &name, abi.as_ref())?;
    write(&new.directory, &files)?;
    Ok(Created {
        name,
        kind: template.kind,
        summary: template.summary,
        files: files.into_iter().map(|(path, _)| path).collect(),
    })
}

fn template(new: &New, abi: Option<&Abi>) -> Result<&'static Template, NewError> {
    let has_event = abi.is_some_and(|abi| abi.event.is_some());
    // Only Rust has a template that reads a contract at each block. It is for an ABI without any event.
    let is_for_event = abi.is_some_and(|abi| {
        let has_none = !has_event && abi.obstacle.is_none();
        !has_none || new.language != Language::Rust
    });
    let kind = new.kind.unwrap_or(if is_for_event { Kind::Event } else { Kind::Block });
    let has_abi = abi.is_some();
    let template = find(new.language, kind, has_abi).ok_or(NewError::NoTemplate {
        language: new.language,
        kind,
        has_abi,
    })?;
    match (&new.abi, abi) {
        (Some(path), Some(abi)) if kind == Kind::Event && !has_event => Err(AbiError::NoEvent {
            path: path.clone(),
            obstacle: abi
                .obstacle
                .as_ref()
                .map(|reason| format!(": {reason}"))
                .unwrap_or_default(),
        }
        .into()),
        _ => Ok(template),
    }
}

/// The paths of the project with their texts.
fn files(
    new: &New,
    template: &Template,
    name: &ModuleName,
    abi: Option<&Abi>,
) -> Result<Vec<(PathBuf, String)>, NewError> {
    let mut values: Values = [("name", name.to_string()), ("summary", template.summary.to_owned())].into();
    if new.language == Language::Rust {
        let features: &[_] = if abi.is_some() { &["abi"] } else { &[] };
        values.insert("sdk", new.sdk.dependency(features)?);
    }
    let decoder = abi.and_then(|abi| Decoder::new(new.language, &abi.contract, &abi.events));
    if let Some(abi) = abi {
        values.extend(abi_values(abi));
    }
    if let (Some(abi), Some(decoder)) = (abi, &decoder) {
        values.extend(event_values(abi, decoder));
    }
    let mut files = Vec::new();
    for File { path, text } in template.files {
        let text = render(text, &values).map_err(|placeholder| NewError::Placeholder { path, placeholder })?;
        files.push((PathBuf::from(path), text));
    }
    files.extend(decoder.into_iter().flat_map(|decoder| decoder.files));
    if let Some(abi) = abi {
        files.push((format!("abi/{}.json", abi.contract).into(), abi.json.clone()));
    }
    Ok(files)
}

/// The placeholders of a template with an ABI in Rust: the contract, its event with the name in the log, the statements that read the contract, and
/// the script of the test for them.
fn abi_values(abi: &Abi) -> Values {
    let Abi { contract, event, .. } = abi;
    let (read, script) = match &abi.function {
        Some(function) => (
            format!(
                "let value = contract.{function}().call().await?;\n\
                 info!(\"block {{}}: {function}() returns {{value:?}}\", block.number);"
            ),
            format!("watch.host.on_call(address, |_: {contract}::{function}Call| Default::default());"),
        ),
        None => (
            "info!(\"block {}: the contract is {}\", block.number, contract.address());".into(),
            String::new(),
        ),
    };
    [
        ("contract", contract.clone()),
        (
            "event",
            event.as_ref().map(|event| event.path.clone()).unwrap_or_default(),
        ),
        (
            "name_of_event",
            event.as_ref().map(|event| event.name.clone()).unwrap_or_default(),
        ),
        ("read", read),
        ("script", script),
    ]
    .into()
}

/// The placeholders of a template with an ABI in another language: the first event, a log of this event whose
/// values are zero or empty, and the subscriptions.
fn event_values(abi: &Abi, decoder: &Decoder) -> Values {
    let mut signatures: Vec<&str> = Vec::new();
    for event in &abi.events {
        let signature = event.subscription();
        // Two events of one signature differ in their indexed inputs.
        if !signatures.contains(&signature) {
            signatures.push(signature);
        }
    }
    let subscription = |signature: &&str| {
        format!("[[subscription]]\nkind = \"log\"\nchain_id = 31337\nevent_signature = \"{signature}\"")
    };
    let subscriptions: Vec<_> = signatures.iter().map(subscription).collect();
    let first = abi.events.first();
    let indexed = first.map_or(0, AbiEvent::indexed);
    let topic = first.map(|event| event.topic.clone()).unwrap_or_default();
    [
        ("event", decoder.first.clone()),
        ("indexed", indexed.to_string()),
        ("topics", topic + &format!(" {ZERO_WORD}").repeat(indexed)),
        ("zero", ZERO_WORD.to_owned()),
        ("data", first.map(AbiEvent::empty_data).unwrap_or_default()),
        ("subscriptions", subscriptions.join("\n\n")),
    ]
    .into()
}

/// Writes all files into a new directory beside the wanted one, and gives it the wanted name.
pub(super) fn write(directory: &Path, files: &[(PathBuf, String)]) -> Result<(), NewError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| NewError::Io { path, source }
    };
    refuse_files(directory)?;
    let parent = match directory.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let parents = Parents::create(parent).map_err(failed(parent))?;
    let new = temporary(parent).map_err(failed(directory))?;
    for (path, text) in files {
        write_file(&new.path().join(path), text).map_err(failed(&directory.join(path)))?;
    }
    // An empty directory of this name is replaced. One that is not empty any more is an error.
    fs::rename(new.path(), directory).map_err(failed(directory))?;
    // Nothing is left at the temporary name, or below the parents, to remove.
    let _ = new.keep();
    parents.keep();
    Ok(())
}

/// Refuses a directory with files, and a file.
fn refuse_files(directory: &Path) -> Result<(), NewError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !directory.is_symlink() => return Ok(()),
        Err(_) if !directory.is_dir() => return Err(NewError::IsFile { path: directory.into() }),
        Err(source) => {
            return Err(NewError::Io {
                path: directory.into(),
                source,
            });
        }
    };
    let first = entries
        .filter_map(Result::ok)
        .map(|entry| PathBuf::from(entry.file_name()))
        .min();
    match first {
        Some(first) => Err(NewError::NotEmpty {
            directory: directory.into(),
            first,
        }),
        None => Ok(()),
    }
}

fn write_file(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, text)
}

/// A new directory with the permissions of any new directory. Dropping the value removes it.
fn temporary(parent: &Path) -> io::Result<tempfile::TempDir> {
    // The process's mask applies.
    let permissions = fs::Permissions::from_mode(0o777);
    tempfile::Builder::new()
        .prefix(".nexum-new-")
        .permissions(permissions)
        .tempdir_in(parent)
}

/// Directories that were made for a project. Dropping the value removes those that are empty.
#[derive(Debug)]
struct Parents(Vec<PathBuf>);

impl Parents {
    /// Makes a directory, with all that it is in.
    fn create(directory: &Path) -> io::Result<Self> {
        let missing = directory.ancestors().take_while(|ancestor| !ancestor.exists());
        // The first one is the innermost.
        let parents = Self(
            missing
                .map(Path::to_owned)
                .filter(|path| path != Path::new(""))
                .collect(),
        );
        fs::create_dir_all(directory)?;
        Ok(parents)
    }

    fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Parents {
    fn drop(&mut self) {
        for directory in &self.0 {
            let _ = fs::remove_dir(directory);
        }
    }
}
