//! `nexum inspect`: shows the content of a component or a command. It compiles only a component with
//! functions, to read their list.

use nexum_config::command::{CommandFile, CommandKind};
use nexum_config::component::{ComponentError, shown_world};
use nexum_config::engine::ModuleConfig;
use nexum_config::files::FilesName;
use nexum_config::harmless::{harmless, harmless_lines};
use nexum_config::manifest::Manifest;
use serde::Serialize;

use super::command_files;
use super::functions::functions_of;
use crate::args::{Format, Inspect};
use crate::exit_code::STOPPED;
use crate::report::functions::Function;
use crate::report::print::{FACT_NAME_CHARS, errln, fact, facts, json_on_stdout, outln};
use crate::report::{Refusal, Refusals, count};

/// The most bytes of a custom section's name that are printed: the names that tools write have up
/// to about thirty.
const NAME_BYTES_MAX: usize = 80;

#[derive(Serialize)]
struct Contents {
    path: String,
    bytes: usize,
    digest: String,
    kind: &'static str,
    description: Option<String>,
    authors: Vec<String>,
    world: Option<String>,
    imports: Vec<String>,
    exports: Vec<String>,
    core_instances: u32,
    memories: u32,
    memory_bytes_min: u64,
    shared_memory: bool,
    custom_sections: Vec<Section>,
    custom_section_count: usize,
    /// The directory of read-only files that the manifest names.
    files: Option<FilesName>,
    /// The functions of a component that has some. None if this build or a fault of the component
    /// keeps nexum from reading them.
    #[serde(skip_serializing_if = "Option::is_none")]
    functions: Option<Vec<Function>>,
}

#[derive(Serialize)]
struct Section {
    name: String,
    bytes: usize,
}

/// Reads a component or a command, and the manifest beside it. Prints the content of the file and
/// the author's texts. A faulty manifest is a warning.
///
/// # Errors
///
/// If the file is neither, or its list of functions is not valid.
pub(crate) fn inspect(args: &Inspect) -> Result<u8, Refusals> {
    let file = read(args).map_err(|error| Refusal::with_hint_of(&error))?;
    let mut errors = Vec::new();
    let module = ModuleConfig::new(args.module.as_path());
    let manifest = Manifest::of_module_all(&module, file.summary.kind(), &mut errors);
    let manifest = manifest.unwrap_or_else(|found| {
        errors.extend(found);
        None
    });
    let Manifest {
        description,
        authors,
        files,
        notices,
        ..
    } = manifest.unwrap_or_default();
    let errors = errors.iter().map(ToString::to_string);
    for warning in errors.chain(notices) {
        errln!("warning: {}", harmless(&warning));
    }
    let (functions, refusals) = match file.summary.kind().has_functions {
        true => functions_of(&file).map_or_else(|refusals| (None, refusals), |found| (found, Refusals::default())),
        false => (None, Refusals::default()),
    };
    let sections = file.summary.custom_sections.iter();
    let contents = Contents {
        functions,
        path: args.module.display().to_string(),
        bytes: file.bytes.len(),
        digest: file.digest.to_string(),
        kind: kind(&file),
        description,
        authors,
        world: file.summary.world(),
        custom_sections: sections
            .map(|(name, bytes)| Section {
                name: name.clone(),
                bytes: *bytes,
            })
            .collect(),
        custom_section_count: file.summary.custom_section_count,
        core_instances: file.summary.core_instances,
        memories: file.summary.memories,
        memory_bytes_min: file.summary.memory_bytes_min,
        files,
        shared_memory: file.summary.has_shared_memory,
        imports: file.summary.imports,
        exports: file.summary.exports,
    };
    match args.format {
        Format::Json => json_on_stdout(&contents)?,
        Format::Text => print(&contents),
    }
    match refusals.is_empty() {
        true => Ok(STOPPED),
        false => Err(refusals),
    }
}

/// Reads a component, or a core module that is a command.
fn read(args: &Inspect) -> Result<CommandFile, ComponentError> {
    let file = CommandFile::read(&args.module.as_path().into())?;
    if file.kind == CommandKind::CoreModule && !file.is_command() {
        let path = args.module.clone();
        return Err(ComponentError::CoreModule { path });
    }
    Ok(file)
}

fn kind(file: &CommandFile) -> &'static str {
    match file.summary.world() {
        _ if file.is_command() => command_files::kind(file.kind),
        Some(_) => "module",
        None => "component",
    }
}

/// Prints a line per fact, and each list below its name.
fn print(contents: &Contents) {
    fact("file", &contents.path);
    fact("kind", contents.kind);
    fact("size", &format!("{} bytes", contents.bytes));
    fact("digest", &contents.digest);
    if let Some(description) = &contents.description {
        let text = harmless_lines(description, &" ".repeat(FACT_NAME_CHARS));
        outln!("{:<FACT_NAME_CHARS$}{text}", "description");
    }
    if !contents.authors.is_empty() {
        facts("authors", &contents.authors);
    }
    let world = contents.world.as_deref().map(shown_world);
    fact("world", world.as_deref().unwrap_or("none of the contract"));
    facts("imports", &contents.imports);
    facts("exports", &contents.exports);
    fact("core instances", &contents.core_instances.to_string());
    let memory = format!(
        "{} of {} bytes at the start{}",
        contents.memories,
        contents.memory_bytes_min,
        if contents.shared_memory { ", shared" } else { "" }
    );
    fact("memories", &memory);
    let sections = contents.custom_sections.iter();
    let mut sections: Vec<_> = sections
        .map(|section| format!("{} ({})", cut(&section.name), count(section.bytes, "byte")))
        .collect();
    match contents.custom_section_count - sections.len() {
        0 => {}
        more => sections.push(format!("and {more} more")),
    }
    facts("custom sections", &sections);
    if let Some(files) = &contents.files {
        fact("files", &files.to_string());
    }
    if let Some(functions) = &contents.functions {
        outln!("functions");
        functions.iter().for_each(|function| function.print("    "));
    }
}

/// The start of a section's name, which can be as long as the file.
fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_BYTES_MAX)]
}
