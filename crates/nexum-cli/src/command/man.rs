//! `nexum man`: the command line as manual pages.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::args;
use crate::exit_code::STOPPED;
use crate::report::print::end_on_failed_write;
use crate::report::{Refusal, Refusals};

/// The name of the manual in the pages' heads.
const MANUAL: &str = "nexum manual";

/// Writes a page for each command into `directory`, which it creates if necessary, or the page of
/// `nexum` itself to stdout.
///
/// # Errors
///
/// If a page cannot be written.
pub(crate) fn man(directory: Option<&Path>) -> Result<u8, Refusals> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let mut command = args::command_line(version).disable_help_subcommand(true);
    // Gives each command the version and its full name.
    command.build();
    let Some(directory) = directory else {
        let page = page(&command).map_err(|error| Refusal::of(&error))?;
        if let Err(error) = io::stdout().write_all(&page) {
            end_on_failed_write(&error);
        }
        return Ok(STOPPED);
    };
    let refused = |error: io::Error| Refusal::new(format!("{}: {error}", directory.display()));
    fs::create_dir_all(directory).map_err(refused)?;
    write(&command, directory).map_err(refused)?;
    Ok(STOPPED)
}

/// Writes the pages of a command and of all commands below it.
fn write(command: &Command, directory: &Path) -> io::Result<()> {
    let name = Man::new(command.clone()).get_filename();
    fs::write(directory.join(name), page(command)?)?;
    let visible = command.get_subcommands().filter(|command| !command.is_hide_set());
    visible.into_iter().try_for_each(|command| write(command, directory))
}

/// The page of a command.
fn page(command: &Command) -> io::Result<Vec<u8>> {
    let source = format!("nexum {}", command.get_version().unwrap_or_default());
    let man = Man::new(command.clone()).source(source).manual(MANUAL);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.get_subcommands().any(|command| !command.is_hide_set()) {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(notes) = command.get_after_help() {
        notes_section(&notes.to_string()).to_writer(&mut page)?;
    }
    Ok(page)
}

/// The examples and notes, with the line ends and the columns of the help.
fn notes_section(notes: &str) -> Roff {
    let mut section = Roff::new();
    section.control("SH", ["NOTES"]).control("nf", []);
    for line in notes.lines() {
        section.text([roman(line)]);
    }
    section.control("fi", []);
    section
}
