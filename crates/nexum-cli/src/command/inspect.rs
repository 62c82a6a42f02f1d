//! `nexum inspect`: what is in a component, without compiling it.

use nexum_config::component::ComponentFile;
use serde::Serialize;

use crate::args::{Format, Inspect};
use crate::exit_code::STOPPED;
use crate::report::print::outln;
use crate::report::{Refusal, Refusals, list, table};

#[derive(Serialize)]
struct Contents {
    path: String,
    bytes: usize,
    digest: String,
    world: Option<&'static str>,
    imports: Vec<String>,
    exports: Vec<String>,
    core_instances: u32,
    memories: u32,
    memory_bytes_min: u64,
    custom_sections: Vec<Section>,
}

#[derive(Serialize)]
struct Section {
    name: String,
    bytes: usize,
}

/// Reads a component and prints what is in it.
///
/// # Errors
///
/// When the file is not a component.
pub(crate) fn inspect(args: &Inspect) -> Result<u8, Refusals> {
    let file = ComponentFile::read(&args.module).map_err(|error| Refusal::with_hint_of(&error))?;
    let sections = file.summary.custom_sections.iter();
    let contents = Contents {
        path: args.module.display().to_string(),
        bytes: file.bytes.len(),
        digest: file.digest.to_string(),
        world: file.summary.world(),
        custom_sections: sections
            .map(|(name, bytes)| Section {
                name: name.clone(),
                bytes: *bytes,
            })
            .collect(),
        core_instances: file.summary.core_instances,
        memories: file.summary.memories,
        memory_bytes_min: file.summary.memory_bytes_min,
        imports: file.summary.imports,
        exports: file.summary.exports,
    };
    match args.format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&contents).map_err(|error| Refusal::of(&error))?;
            outln!("{text}");
        }
        Format::Text => print(&contents),
    }
    Ok(STOPPED)
}

fn print(contents: &Contents) {
    let lines = |items: &[String]| {
        if items.is_empty() {
            "-".to_owned()
        } else {
            items.join("\n")
        }
    };
    let mut rows = table(&[]);
    rows.add_row(["component", &contents.path]);
    rows.add_row(["size", &format!("{} bytes", contents.bytes)]);
    rows.add_row(["digest", &contents.digest]);
    rows.add_row(["world", contents.world.unwrap_or("none of the contract")]);
    rows.add_row(["imports", &lines(&contents.imports)]);
    rows.add_row(["exports", &lines(&contents.exports)]);
    rows.add_row(["core instances", &contents.core_instances.to_string()]);
    let memory = format!(
        "{} of {} bytes at the start",
        contents.memories, contents.memory_bytes_min
    );
    rows.add_row(["memories", &memory]);
    let sections = contents
        .custom_sections
        .iter()
        .map(|section| format!("{} ({} bytes)", section.name, section.bytes));
    rows.add_row(["custom sections", &list(sections)]);
    outln!("{rows}");
}
