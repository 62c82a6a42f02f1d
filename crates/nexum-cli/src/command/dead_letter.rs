//! `nexum dead-letter`: asks the running daemon. Without one, it reads the state itself, and changes
//! nothing: a retry needs the module.

use nexum_config::names::ModuleName;
use nexum_core::store::StateStore;

use super::state::{has_state, open_here};
use crate::args::{DeadLetter, Running};
use crate::client::{self, Client};
use crate::configure::{Configuration, configure_state_dir};
use crate::exit_code::STOPPED;
use crate::protocol::DEAD_LETTERS_PER_ANSWER_MAX;
use crate::protocol::dead_letters::Letter;
use crate::report::{Refusal, Refusals};
use crate::state::letters::{has_module, letter, letters, no_letter};
use crate::state::no_module;

/// Carries out a command.
///
/// # Errors
///
/// The reason of a failure.
pub(super) fn dead_letter(running: &Running, command: &DeadLetter) -> Result<u8, Refusals> {
    let Configuration { file, config, .. } = configure_state_dir(running.config.as_deref())?;
    let client = Client::of(&config.state_dir).configured_by(&file);
    let (module, purpose) = match command {
        DeadLetter::List { module, .. } => (module, "nexum dead-letter list"),
        DeadLetter::Show { module, .. } => (module, "nexum dead-letter show"),
        DeadLetter::Retry { .. } | DeadLetter::Skip { .. } => return client::dead_letter(&client, command),
    };
    if client.is_answered() {
        return client::dead_letter(&client, command);
    }
    // Without a state, the refusal says that no daemon runs.
    if !has_state(&config)? {
        return client::dead_letter(&client, command);
    }
    show(&*open_here(&config, purpose)?, module, command)
}

fn show(store: &dyn StateStore, module: &ModuleName, command: &DeadLetter) -> Result<u8, Refusals> {
    let failed = |error| Refusal::of(&error);
    if !has_module(store, module).map_err(failed)? {
        return Err(no_module(module).into());
    }
    match command {
        DeadLetter::List { format, .. } => {
            let found = letters(store, module, DEAD_LETTERS_PER_ANSWER_MAX).map_err(failed)?;
            let found: Vec<_> = found.into_iter().map(Letter::from).collect();
            client::show_letters(&found, *format)?;
        }
        DeadLetter::Show { event, format, .. } => {
            let found = letter(store, module, event).map_err(failed)?;
            let found = found.ok_or_else(|| no_letter(module, event))?;
            client::show_letter(&Letter::from(found), *format)?;
        }
        DeadLetter::Retry { .. } | DeadLetter::Skip { .. } => {}
    }
    Ok(STOPPED)
}
