//! The question before a command that destroys something.

use std::io::{self, IsTerminal as _, Write as _};

use crate::report::Refusal;

/// Asks the operator on the terminal.
///
/// # Errors
///
/// If stdin is no terminal, or the answer is not yes.
pub(super) fn confirm(question: &str) -> Result<(), Refusal> {
    if !io::stdin().is_terminal() {
        let refusal = Refusal::new(format!("cannot ask, because stdin is no terminal: {question}"));
        return Err(refusal.with_hint("confirm with `--yes`"));
    }
    // Without a question on the screen, the operator's answer is no.
    let _ = write!(io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    read.map_err(|error| Refusal::of(&error))?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Refusal::new("nothing was changed")),
    }
}
