//! The native tests of a project.

use std::process::Command;

use crate::{Error, Language, Progress, Project, javascript, python};

/// The command that runs the native tests of a project, with the directory and the environment that it
/// needs. Writes the SDK of the language first, without which the tests do not load. Returns `None` for
/// a language without native tests.
///
/// The command of a project in Rust is `cargo test`.
///
/// # Errors
///
/// Fails if the machine lacks the interpreter of the language, or if the project lacks its source file.
pub fn test_command(project: &Project, progress: &dyn Progress) -> Result<Option<Command>, Error> {
    match project.language {
        Language::Rust => {
            let mut cargo = Command::new("cargo");
            cargo.arg("test").current_dir(&project.directory);
            Ok(Some(cargo))
        }
        Language::JavaScript => javascript::test_command(project).map(Some),
        Language::Python => python::test_command(project, progress).map(Some),
        Language::C => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::template::{Kind, New, Sdk, create};
    use crate::{Options, Silent, build, process};

    /// The kinds of templates that every language has.
    const KINDS: [Kind; 4] = [Kind::Block, Kind::Event, Kind::Cron, Kind::Query];

    fn project(language: Language, kind: Kind) -> (TempDir, Project) {
        let parent = tempfile::tempdir().expect("a directory");
        let directory = parent.path().join("watch");
        create(&New {
            directory: directory.clone(),
            language,
            kind: Some(kind),
            abi: None,
            sdk: Sdk::Version("0.1.0".into()),
        })
        .expect("it is made");
        (parent, Project::find(&directory).expect("a project"))
    }

    fn passes(language: Language, options: &[&str], summary: &str) {
        for kind in KINDS {
            let (_parent, project) = project(language, kind);
            let command = test_command(&project, &Silent).expect("a command");
            let mut shell = Command::new("sh");
            // Both runners write their summary to one of the two outputs.
            let command = command.expect("tests");
            shell.args(["-c", "exec \"$@\" 2>&1", "sh"]).arg(command.get_program());
            shell
                .args(command.get_args())
                .args(options)
                .current_dir(&project.directory);
            let set = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
            let output = process::output(shell.envs(set), &Silent).expect("the tests pass");
            assert!(output.contains(summary), "{kind}: {output}");
        }
    }

    #[test]
    fn the_tests_of_each_template_in_javascript_pass() {
        // The default reporter depends on the version of Node.js.
        passes(Language::JavaScript, &["--test-reporter=tap"], "# pass 1\n");
    }

    #[test]
    fn the_tests_of_each_template_in_python_pass() {
        passes(Language::Python, &[], "Ran 1 test in ");
    }

    #[test]
    fn each_template_in_c_becomes_a_module() {
        for (kind, exports) in [
            (Kind::Block, &["init", "on-event"][..]),
            (Kind::Event, &["init", "on-event"]),
            (Kind::Cron, &["init", "on-event"]),
            (Kind::Query, &["evaluate", "init", "on-event"]),
        ] {
            let (_parent, project) = project(Language::C, kind);
            let built = build(&project, &Options::default(), &Silent).expect("a module");
            let mut found = built.exports;
            found.sort();
            assert_eq!(found, exports, "{kind}");
            let has_chain = built
                .imports
                .iter()
                .any(|import| import.starts_with("nexum:host/chain@"));
            // The compiler removes what the module does not call.
            assert_eq!(
                has_chain,
                matches!(kind, Kind::Block | Kind::Cron),
                "{kind}: {:?}",
                built.imports
            );
        }
    }

    #[test]
    fn a_template_in_javascript_becomes_a_module() {
        let (_parent, project) = project(Language::JavaScript, Kind::Query);
        let built = build(&project, &Options::default(), &Silent).expect("a module");
        let mut found = built.exports;
        found.sort();
        assert_eq!(found, ["evaluate", "init", "on-event", "runtime-init"]);
        let of_nexum: Vec<_> = built
            .imports
            .iter()
            .filter(|import| import.starts_with("nexum:"))
            .collect();
        let expected = ["local-store", "logging", "random", "types"].map(|name| format!("nexum:host/{name}@0.2.0"));
        let mut of_nexum: Vec<_> = of_nexum.into_iter().cloned().collect();
        of_nexum.sort();
        assert_eq!(of_nexum, expected);
    }
}
