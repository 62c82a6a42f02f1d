//! Reads dead letters from the store, for the daemon and for a command without one.

use std::ops::ControlFlow;

use nexum_config::names::ModuleName;
use nexum_core::state::{self, DeadLetter, admin};
use nexum_core::store::{StateStore, StoreError};

use crate::error_code::ErrorCode;
use crate::report::Refusal;

/// The most bytes of dead letters in a list. As JSON they take up to four times as many, within the
/// bound of an answer.
const LIST_BYTES_MAX: usize = 8 << 20;

/// The oldest dead letters of a module, without the log records of their attempts: at most this many, and
/// as many as fit into an answer.
///
/// # Errors
///
/// If the store cannot be read.
pub(crate) fn letters(
    store: &dyn StateStore,
    module: &ModuleName,
    count_max: usize,
) -> Result<Vec<DeadLetter>, StoreError> {
    let (mut letters, mut bytes) = (Vec::new(), 0);
    admin::dead_letters(&*store.view()?, module, &mut |mut letter| {
        letter.attempts.iter_mut().for_each(|attempt| attempt.records.clear());
        bytes += letter.bytes();
        letters.push(letter);
        match letters.len() < count_max && bytes < LIST_BYTES_MAX {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    })?;
    Ok(letters)
}

/// The dead letter of a module for this event.
///
/// # Errors
///
/// If the store cannot be read.
pub(crate) fn letter(
    store: &dyn StateStore,
    module: &ModuleName,
    event: &str,
) -> Result<Option<DeadLetter>, StoreError> {
    admin::dead_letter(&*store.view()?, module, event)
}

/// Whether the store has the state of a module.
///
/// # Errors
///
/// If the store cannot be read.
pub(crate) fn has_module(store: &dyn StateStore, module: &ModuleName) -> Result<bool, StoreError> {
    let modules = state::modules(&*store.view()?)?;
    Ok(modules.iter().any(|(known, _)| known == module))
}

/// The refusal for a dead letter that the module does not have.
pub(crate) fn no_letter(module: &ModuleName, event: &str) -> Refusal {
    let refusal = Refusal::new(format!("{module} has no dead letter {event}"));
    let refusal = refusal.with_code(ErrorCode::DeadLetterNotFound);
    refusal.with_hint(format!("list its dead letters with `nexum dead-letter list {module}`"))
}
