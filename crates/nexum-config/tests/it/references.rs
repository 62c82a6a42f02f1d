//! References to files and to credentials of systemd.

use std::fs;
use std::path::Path;

use nexum_config::document::{ConfigErrors, Document, Environment, INTERPOLATED_BYTES_MAX};
use nexum_config::engine::Config;
use nexum_config::hint::Hint;
use proptest::prelude::*;
use serde::Deserialize;
use tempfile::TempDir;

const SECRET: &str = "hunter2";

/// A directory with files that strings refer to.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let files = Self(directory);
        files.write("token", "hunter2\n");
        files.write("empty", "\n");
        files.write("windows", "hunter2\r\n");
        files.write("two-lines", "hunter2\nhunter3\n\n");
        files.write("latin1", b"hunter2\xe9");
        files.write("large", vec![b'x'; INTERPOLATED_BYTES_MAX + 1]);
        fs::create_dir(files.0.path().join("credentials")).unwrap();
        files.write("credentials/rpc-key", "hunter4");
        files
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.0.path().join(name), content).unwrap();
    }

    fn environment(&self, has_credentials: bool) -> Environment {
        let credentials = self.0.path().join("credentials").display().to_string();
        let credentials = has_credentials.then_some(("CREDENTIALS_DIRECTORY", credentials));
        let variables = [("file", "a variable".to_owned()), ("cred", "another".to_owned())];
        Environment::from_pairs(variables.into_iter().chain(credentials))
    }

    /// The string of a configuration in the directory.
    fn read(&self, text: &str, has_credentials: bool) -> Result<String, ConfigErrors> {
        #[derive(Deserialize)]
        struct Text {
            text: String,
        }
        let path = self.0.path().join("engine.toml");
        let document = Document::parse(
            &path,
            format!("text = '{text}'").as_bytes(),
            &self.environment(has_credentials),
        )?;
        Ok(document.root().parse::<Text>()?.text)
    }

    /// The error without the path of the directory, and its hint.
    fn error(&self, text: &str, has_credentials: bool) -> String {
        let errors = self.read(text, has_credentials).unwrap_err();
        let error = errors.iter().next().unwrap();
        let hint = error.hint().unwrap();
        format!("{error}\n  hint: {hint}").replace(&format!("{}/", self.0.path().display()), "")
    }
}

#[test]
fn a_file_and_a_credential_replace_their_references() {
    let files = Files::new();
    let absolute = files.0.path().join("token").display().to_string();
    for (text, expected) in [
        ("${file:token}", "hunter2"),
        ("${file:./token}", "hunter2"),
        (&format!("${{file:{absolute}}}"), "hunter2"),
        ("a${file:token}b${cred:rpc-key}c", "ahunter2bhunter4c"),
        ("${file:windows}", "hunter2"),
        ("${file:two-lines}", "hunter2\nhunter3\n"),
        ("${file:empty}", ""),
        ("${file:empty:-default}", "default"),
        ("${file:missing:-default}", "default"),
        ("${file:missing:-}", ""),
        ("${file:token:-default}", "hunter2"),
        ("${cred:rpc-key}", "hunter4"),
        ("${cred:missing:-default}", "default"),
        ("$${file:token}", "${file:token}"),
        // Variables with these names, as before.
        ("${file}", "a variable"),
        ("${cred}", "another"),
        ("${file:-x}", "a variable"),
        ("${FILE:-file:token}", "file:token"),
    ] {
        assert_eq!(files.read(text, true).unwrap(), expected, "{text}");
    }
    assert_eq!(files.read("${cred:rpc-key:-default}", false).unwrap(), "default");
}

#[test]
fn an_error_names_the_source_and_shows_no_content() {
    let files = Files::new();
    let with_credentials = [
        "${file:missing}",
        "${file:credentials}",
        "${file:latin1}",
        "${file:latin1:-default}",
        "${file:large}",
        "${file:}",
        "${file:${HOME}/x}",
        "${cred:missing}",
        "${cred:../token}",
        "${cred:..}",
        "${cred:}",
        "${key:rpc}",
    ];
    let mut report = with_credentials.map(|text| files.error(text, true)).join("\n");
    report.push('\n');
    report.push_str(&files.error("${cred:rpc-key}", false));
    assert!(!report.contains(SECRET) && !report.contains("hunter4"), "{report}");
    insta::assert_snapshot!(report);
}

#[test]
fn a_file_is_a_secret_in_a_path_and_a_module_configuration() {
    let files = Files::new();
    let text = "[engine]\nstate_dir = '${file:token}-state'\n[[modules]]\npath = '${cred:rpc-key}.wasm'\n\
                [modules.config]\nkey = '${file:token}'\nlist = ['${cred:rpc-key}']\n";
    let path = files.0.path().join("engine.toml");
    let config = Config::parse(&path, text.as_bytes(), &files.environment(true)).unwrap();
    let module = &config.modules[0];
    let values = [("key", "hunter2"), ("list", "[\"hunter4\"]")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(module.config, values);
    assert_eq!(&*config.state_dir, files.0.path().join("hunter2-state"));
    let shown = format!("{config:?} {} {}", config.state_dir.display(), module.path.display());
    assert!(
        shown.contains("${file:token}-state") && shown.contains("${cred:rpc-key}.wasm"),
        "{shown}"
    );
    assert!(!shown.contains(SECRET) && !shown.contains("hunter4"), "{shown}");
}

#[test]
fn a_manifest_reads_no_file() {
    let text = b"[config]\nkey = '${file:/etc/hostname}'\n";
    let errors = nexum_config::manifest::Manifest::parse(Path::new("nexum.toml"), text).unwrap_err();
    insta::assert_snapshot!(
        errors.to_string(),
        @r#"nexum.toml:2:7: config.key: this file cannot use environment variables, files and credentials, found "${file:/etc/hostname}""#
    );
}

proptest! {
    /// Whatever a file contains, no error of a string that contains it shows the content.
    #[test]
    fn no_error_shows_the_content_of_a_file(content in "[A-Z]{12,40}") {
        let files = Files::new();
        files.write("secret", format!("{content}\n"));
        let path = files.0.path().join("engine.toml");
        for text in [
            "[engine]\npooling = '${file:secret}'",
            "[engine]\nstate_dir = ['${file:secret}']\nunknown = '${file:secret}'",
            "[[modules]]\npath = 'a.wasm'\ndigest = '${file:secret}'\nmetering = 'x${file:secret}'\nname = '${file:secret}!'",
        ] {
            let errors = Config::parse(&path, text.as_bytes(), &files.environment(true)).unwrap_err();
            let shown = format!("{errors} {errors:?}");
            prop_assert!(!shown.contains(&content), "{}", shown);
        }
    }

    /// A setting shows no content, no path of a URL, no header, and no key whose name says that it is
    /// a secret.
    #[test]
    fn no_setting_shows_a_secret(
        secret in "[A-Z]{12,20}[a-z0-9/?=&.:@ #-]{0,10}[A-Z]{4}",
        template in prop::sample::select(vec![
            "key = '${file:secret}'",
            "text = 'a ${file:secret} b ${VAR} c'",
            "text = '${MISSING:-SECRET}'",
            "text = ['x', '${VAR}', { deep = '${cred:secret}', api_key = 'SECRET' }]",
            "url = 'https://host.example/SECRET'",
            "text = 'wss://user:SECRET@host.example:8546/x'",
            "text = 'see https://SECRET.example/ and more'",
            "rpc_url = 'SECRET'",
            "headers = { X = 'SECRET', Y = 'Bearer ${file:secret}' }",
            "[[list]]\ntoken = 'SECRET'\n[list.headers]\na = 'SECRET'",
            "private_key = ['SECRET']",
        ]),
    ) {
        let files = Files::new();
        files.write("secret", &secret);
        files.write("credentials/secret", &secret);
        let environment = Environment::from_pairs([
            ("VAR", secret.clone()),
            ("CREDENTIALS_DIRECTORY", files.0.path().join("credentials").display().to_string()),
        ]);
        let text = template.replace("SECRET", &secret);
        let document = Document::parse(&files.0.path().join("engine.toml"), text.as_bytes(), &environment).unwrap();
        let settings = document.root().settings();
        prop_assert!(!settings.is_empty());
        for setting in &settings {
            let shown = format!("{setting:?} {} {:?}", setting.value, setting.references);
            prop_assert!(!shown.contains(&secret), "{}", shown);
            // The visible part is TOML.
            let line = format!("key = {}", setting.value);
            prop_assert!(toml::from_str::<toml::Table>(&line).is_ok(), "{}", line);
        }
    }
}

#[test]
fn a_setting_has_its_place_and_its_references() {
    let files = Files::new();
    let text = "top = 1_000\n[chains.1]\nrpc_url = 'https://node.example:8545/${cred:rpc-key}'\nretries = 3\n\
                [[modules]]\npath = 'a.wasm'\n[modules.config]\nlist = [1, '${VAR:-x}', { b = 2 }]\n'a key' = 1.5\n\
                [[modules]]\npath = '${VAR}/b.wasm'\nurl = 'http://[::1]:8545'\n";
    let parse = |variable: &str| {
        let credentials = files.0.path().join("credentials").display().to_string();
        let environment = Environment::from_pairs([("VAR", variable), ("CREDENTIALS_DIRECTORY", &credentials)]);
        let path = files.0.path().join("engine.toml");
        Document::parse(&path, text.as_bytes(), &environment)
            .unwrap()
            .root()
            .settings()
    };
    let (before, after) = (parse("one"), parse("two"));
    let shown: Vec<_> = before
        .iter()
        .map(|setting| format!("{setting:?} {}", setting.references.join(" ")))
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    1:top = 1000 
    3:chains.1.rpc_url = "https://node.example:8545/…" ${cred:rpc-key}
    4:chains.1.retries = 3 
    6:modules[0].path = "a.wasm" 
    8:modules[0].config.list = [1, "${VAR}", { b = 2 }] ${VAR}
    9:modules[0].config."a key" = 1.5 
    11:modules[1].path = "${VAR}/b.wasm" ${VAR}
    12:modules[1].url = "http://[::1]:8545" 
    "#);
    let changed = before
        .iter()
        .zip(&after)
        .filter(|(before, after)| !before.has_content_of(after));
    let changed: Vec<_> = changed.map(|(setting, _)| setting.path()).collect();
    assert_eq!(changed, ["modules[0].config.list", "modules[1].path"]);
}
