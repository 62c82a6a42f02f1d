//! The output of a task.

use std::io::Write;

use nexum_config::names::ModuleName;

use crate::error_code::ErrorCode;
use crate::protocol::frames::Said;
use crate::report::Refusal;

/// The destinations of a task's output and of its messages.
pub(crate) struct Sinks<'a> {
    pub(crate) out: &'a mut dyn Write,
    pub(crate) say: &'a mut dyn FnMut(Said),
}

impl Sinks<'_> {
    pub(super) fn line(&mut self, line: String) {
        (self.say)(Said::Line(line));
    }
}

pub(super) fn write(sinks: &mut Sinks<'_>, text: &str) -> Result<(), Refusal> {
    let written = sinks.out.write_all(text.as_bytes());
    written.map_err(|error| Refusal::of(&error).about("the output cannot be written"))
}

/// The refusal for a module whose state the store does not have.
pub(crate) fn no_module(module: &ModuleName) -> Refusal {
    let refusal = Refusal::new(format!("the store has no module {module}")).with_code(ErrorCode::StateNotFound);
    refusal.with_hint("list its modules with `nexum state list`")
}
