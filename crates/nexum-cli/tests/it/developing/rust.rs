//! A project in Rust with the SDK.

use std::path::Path;

use super::{Dev, RUNS, digest_of_running};
use crate::Dir;

/// The root of the work tree.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("a root")
}

fn source(text: &str) -> String {
    format!(
        "use nexum_sdk::{{Block, Result, info, module}};\n\n#[derive(Default)]\nstruct Watch;\n\n#[module]\nimpl Watch {{\n    \
         #[on_block(chain_id = 31337)]\n    fn on_block(&mut self, block: Block) -> Result {{\n        \
         info!(\"{text} {{}}\", block.number);\n        Ok(())\n    }}\n}}\n"
    )
}

#[test]
fn an_edit_is_compiled_and_reloaded() {
    let dir = Dir::new();
    std::fs::create_dir(dir.path().join("src")).expect("a directory");
    dir.write(
        "Cargo.toml",
        format!(
            "[package]\nname = \"watch\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n\
             [lib]\ncrate-type = [\"cdylib\"]\n[dependencies]\nnexum-sdk = {{ path = {:?} }}\n",
            root().join("crates/nexum-sdk").display().to_string()
        ),
    );
    // The versions that the guests have, which are on this machine.
    std::fs::copy(root().join("modules/Cargo.lock"), dir.path().join("Cargo.lock")).expect("a file");
    dir.write("src/lib.rs", source("first"));
    // The dependencies are compiled once for all runs of this test.
    let mut dev = Dev::start_with(&dir, &[], |command| {
        command.env("CARGO_TARGET_DIR", root().join("target/author-projects"));
    });
    dev.until(RUNS);
    dev.say("mine");
    dev.until("  info first 1");
    let first = digest_of_running(&dir);

    dir.write("src/lib.rs", source("second").replace("Ok(())", "Ok(()"));
    dev.until("the build failed: the last version keeps running");
    let errors = Dev::errors(&dir);
    assert_eq!(errors.matches("unclosed delimiter").count(), 1, "{errors}");
    assert_eq!(errors.matches("cannot compile watch: ").count(), 1, "{errors}");
    assert_eq!(digest_of_running(&dir), first);
    dev.say("mine");
    dev.until("  info first 2");

    dir.write("src/lib.rs", source("second"));
    dev.until("reloaded ");
    dev.say("mine");
    dev.until("  info second 3");
    assert_ne!(digest_of_running(&dir), first);
}
