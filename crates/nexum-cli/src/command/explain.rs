//! `nexum explain`: asks the running daemon. Without one, it reads the ledger in the state directory.

use nexum_ledger::Reader;

use crate::args::{Format, Running};
use crate::client::{self, Client};
use crate::configure::{Configuration, LEDGER_DIR, configure_state_dir};
use crate::explain::explain as answer;
use crate::explain::question::Question;
use crate::report::{Refusal, Refusals};

/// Explains an event.
///
/// # Errors
///
/// The reason of a failure.
pub(super) fn explain(running: &Running, of: &str, values: bool, format: Format) -> Result<u8, Refusals> {
    let question: Question = of.parse().map_err(|error| Refusal::of(&error))?;
    let Configuration { file, config, .. } = configure_state_dir(running.config.as_deref())?;
    let client = Client::of(&config.state_dir).configured_by(&file);
    let folder = config.state_dir.join(LEDGER_DIR);
    // Without a ledger, the refusal says that no daemon runs.
    if client.is_answered() || !folder.is_dir() {
        return client::explain::explain(&client, &question, values, format);
    }
    let mut explanation =
        answer(&Reader::new(folder.to_path_buf()), &question, values).map_err(|error| Refusal::with_hint_of(&error))?;
    if explanation.handlings.is_empty() {
        explanation.summary += ", and no nexum runs that would know more: start it with `nexum run`";
    }
    client::explain::show(&explanation, values, format)
}
