//! `engine.toml`, from any bytes: never a panic, and never content of the environment in what is shown.

#![no_main]

use std::fmt::Write as _;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use nexum_config::document::Environment;
use nexum_config::engine::Config;
use nexum_config::hint::Hint as _;

/// In no input, unless it is taken from the environment.
const SECRET: &str = "\u{2603}secret\u{2603}";

fuzz_target!(|bytes: &[u8]| {
    if String::from_utf8_lossy(bytes).contains('\u{2603}') {
        return;
    }
    let environment = Environment::from_pairs([("A", SECRET), ("B", "")]);
    let mut shown = String::new();
    match Config::parse(Path::new("engine.toml"), bytes, &environment) {
        // Paths are not secrets: an operator has to see which file is missing.
        Ok(config) => {
            let _ = write!(
                shown,
                "{:?}{:?}{:?}{:?}",
                config.limits, config.chains, config.sections, config.notices
            );
        }
        Err(errors) => {
            for error in &errors {
                let _ = write!(shown, "{error}{error:?}{:?}", error.hint());
            }
        }
    }
    assert!(!shown.contains(SECRET), "{shown}");
});
