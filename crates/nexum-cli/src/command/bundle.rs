//! `nexum support-bundle`: one file for a person who helps the operator.
//!
//! `collect` gathers the parts, `secrets` removes the secrets of the configuration from each of them,
//! and `archive` writes the file.

mod archive;
mod collect;
mod secrets;

use std::path::{Path, PathBuf};

use chrono::DateTime;
use nexum_core::clock::{Clock as _, SystemClock};

use self::collect::{Collected, collect};
use super::doctor::Installation;
use crate::args::Running;
use crate::exit_code::STOPPED;
use crate::report::findings::bytes;
use crate::report::print::{errln, outln};
use crate::report::{Refusals, table};

/// One part of a bundle.
struct Part {
    /// The name of its file.
    name: &'static str,
    /// One line for the reader.
    about: &'static str,
    /// The content, or why there is none.
    content: Result<Vec<u8>, String>,
}

/// Writes the bundle, and prints its parts. Returns the exit code.
///
/// # Errors
///
/// If the configuration is unreadable, or the file exists without `force` or cannot be written.
pub(crate) fn support_bundle(running: &Running, file: Option<PathBuf>, force: bool) -> Result<u8, Refusals> {
    let now_ms = SystemClock::new().now_ms();
    let file = file.unwrap_or_else(|| default_file(now_ms));
    // Before the work.
    if !force && file.exists() {
        return Err(archive::exists(&file).into());
    }
    let installation = Installation::read(running.config.as_deref())?;
    let Collected { mut parts, secrets } = collect(&installation)?;
    for part in &mut parts {
        part.content = match &part.content {
            Ok(content) => Ok(secrets.removed_from(content)),
            Err(reason) => Err(secrets.removed_from_text(reason)),
        };
    }
    archive::write(&file, force, &parts, now_ms)?;
    print(&file, &parts);
    Ok(STOPPED)
}

/// The file without a name on the command line.
fn default_file(now_ms: u64) -> PathBuf {
    let time = i64::try_from(now_ms).ok().and_then(DateTime::from_timestamp_millis);
    let time = time.unwrap_or_default().format("%Y%m%dT%H%M%SZ");
    format!("nexum-support-{time}.tar.gz").into()
}

fn print(file: &Path, parts: &[Part]) {
    let mut rows = table(&["FILE", "SIZE", "CONTENT"]);
    for part in parts {
        let (size, about) = match &part.content {
            Ok(content) => (bytes(content.len() as u64), part.about.to_owned()),
            Err(reason) => ("-".to_owned(), format!("{}: {reason}", part.about)),
        };
        rows.add_row([part.name.to_owned(), size, about]);
    }
    outln!("{rows}");
    outln!("\n{} is written", file.display());
    errln!(
        "Read the files before you send them: `tar -xzOf {} | less`. A module's log can contain secrets that nexum \
         does not know.",
        file.display()
    );
}

/// The reason of a part without content.
fn reason(refusals: &Refusals) -> String {
    let errors: Vec<_> = refusals.iter().map(|refusal| refusal.error.as_str()).collect();
    errors.join("; ")
}
