//! `nexum new`.

use std::env;

use nexum_build::template::{self, Sdk};

use crate::args;
use crate::exit_code::STOPPED;
use crate::report::print::outln;
use crate::report::{Refusal, Refusals};

/// Makes a project, and prints the next commands.
///
/// # Errors
///
/// An error of [`template::create`].
pub(crate) fn new(args: args::New) -> Result<u8, Refusals> {
    let args::New {
        directory,
        lang: language,
        template: kind,
        abi,
        sdk,
    } = args;
    let sdk = sdk
        .source()
        .unwrap_or_else(|| Sdk::of_program(env::current_exe().ok().as_deref()));
    let cd = shell_word(&directory.to_string_lossy());
    let request = template::New {
        directory,
        language,
        kind,
        abi,
        sdk,
    };
    let created = template::create(&request).map_err(|error| Refusal::with_hint_of(&error))?;
    outln!(
        "created {}, a module in {language}: it {}",
        created.name,
        created.summary
    );
    outln!("\nnext:\n  cd {cd}\n  nexum test\n  nexum dev");
    Ok(STOPPED)
}

/// The text as one word of a shell.
fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./+,:@%".contains(c);
    match text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_what_a_shell_would_read() {
        assert_eq!(shell_word("a/b-c_1.d"), "a/b-c_1.d");
        assert_eq!(shell_word("my dir/a"), "'my dir/a'");
        assert_eq!(shell_word("it's $HOME"), r"'it'\''s $HOME'");
    }
}
