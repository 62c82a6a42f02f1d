//! `nexum support-bundle`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use flate2::read::GzDecoder;
use nexum_testing::{Anvil, guests};
use serde_json::Value;

use crate::Dir;
use crate::running::{Log, RUNNING, Start as _, address, terminate};

/// The content of each file in a bundle, by its name.
fn unpacked(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(path).expect("a bundle")));
    let entries = archive.entries().expect("an archive");
    entries
        .map(|entry| {
            let mut entry = entry.expect("an entry");
            assert_eq!(entry.header().mode().expect("a mode"), 0o600);
            let name = entry.path().expect("a path").display().to_string();
            let name = name.strip_prefix("nexum-support/").expect("the directory").to_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("a content");
            (name, content)
        })
        .collect()
}

fn json(files: &BTreeMap<String, Vec<u8>>, name: &str) -> Value {
    serde_json::from_slice(&files[name]).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The reason why the bundle has no file of this name.
fn missing<'a>(manifest: &'a Value, name: &str) -> Option<&'a str> {
    let files = manifest["files"].as_array().expect("files");
    let file = files.iter().find(|file| file["name"] == name).expect("an entry");
    file["missing"].as_str()
}

const STATE: [&str; 6] = [
    "build.json",
    "configuration.txt",
    "doctor.json",
    "doctor.txt",
    "files.json",
    "manifest.json",
];

#[test]
fn a_bundle_without_a_daemon_says_what_it_lacks() {
    let dir = Dir::new();
    dir.guest("query-echo");
    dir.write(
        "engine.toml",
        "# a comment\n[metrics]\nlisten = \"127.0.0.1:9\"\n[[modules]]\npath = \"query-echo.wasm\"\n",
    );
    let ran = dir.nexum(&["support-bundle", "report.tar.gz"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("report.tar.gz is written"), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("Read the files before you send them"),
        "{}",
        ran.stderr
    );
    let path = dir.path().join("report.tar.gz");
    assert_eq!(
        fs::metadata(&path).expect("a bundle").permissions().mode() & 0o7777,
        0o600
    );

    let files = unpacked(&path);
    assert_eq!(files.keys().collect::<Vec<_>>(), STATE);
    let configuration = String::from_utf8(files["configuration.txt"].clone()).expect("UTF-8");
    assert_eq!(
        configuration,
        "metrics.listen = \"127.0.0.1:9\"\nmodules[0].path = \"query-echo.wasm\"\n"
    );
    let build = json(&files, "build.json");
    assert_eq!(build["version"], env!("CARGO_PKG_VERSION"));
    assert!(build["kernel"].is_string() && build["limits"].is_array(), "{build}");
    let listed = json(&files, "files.json");
    let module = &listed["modules"][0];
    assert!(
        module["digest"].as_str().expect("a digest").starts_with("sha256:"),
        "{module}"
    );
    let doctor = json(&files, "doctor.json");
    assert!(doctor["findings"].as_array().is_some_and(|findings| findings.len() > 5));

    let manifest = json(&files, "manifest.json");
    for (name, reason) in [
        ("health.json", "no nexum runs in ./data"),
        ("modules.json", "no nexum runs in ./data"),
        ("log.jsonl", "no nexum runs in ./data"),
        ("state-verify.txt", "there is no state in ./data"),
        ("metrics.txt", "error sending request"),
    ] {
        let said = missing(&manifest, name).unwrap_or_default();
        assert!(said.starts_with(reason), "{name}: {manifest:#}");
    }
    assert_eq!(missing(&manifest, "build.json"), None);
}

#[test]
fn a_bundle_replaces_no_file_without_force() {
    let dir = Dir::new();
    dir.guest("query-echo");
    dir.write("engine.toml", "[[modules]]\npath = \"query-echo.wasm\"\n");
    let path = dir.write("report.tar.gz", "mine");
    let ran = dir.nexum(&["support-bundle", "report.tar.gz"]);
    let expected = "error: report.tar.gz exists\n  hint: give another file, or replace it with --force\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(2), expected));
    assert_eq!(fs::read(&path).expect("a file"), b"mine");
    let ran = dir.nexum(&["support-bundle", "report.tar.gz", "--force"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(unpacked(&path).contains_key("manifest.json"));

    let ran = dir.nexum(&["support-bundle", "missing/report.tar.gz"]);
    let expected = "error: missing/report.tar.gz cannot be written: ";
    assert!(
        ran.code == Some(2) && ran.stderr.starts_with(expected),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("hint: name a file where"), "{}", ran.stderr);

    let ran = dir.nexum(&["support-bundle"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let names = fs::read_dir(dir.path()).expect("the directory");
    let names: Vec<_> = names.map(|entry| entry.expect("an entry").file_name()).collect();
    let made = names.iter().filter_map(|name| name.to_str());
    let made: Vec<_> = made
        .filter(|name| name.starts_with("nexum-support-2") && name.ends_with("Z.tar.gz"))
        .collect();
    assert_eq!(made.len(), 1, "{names:?}");
}

/// Secrets, each in another place of the configuration.
const SECRETS: [&str; 8] = [
    "variable-of-a-path-1f0c",
    "variable of a url/2e9d&x",
    "literal-key-3d8e",
    "password4c7f",
    "Bearer header-5b60",
    "module-key-6a51",
    "notify-hook-7942",
    "comment-8833",
];

/// The text in base64 (RFC 4648, section 4), without padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |group: u32, place: usize| char::from(DIGITS[(group >> (18 - 6 * place) & 63) as usize]);
    let group = |chunk: &[u8]| {
        let bytes = (0..3).map(|index| u32::from(chunk.get(index).copied().unwrap_or(0)));
        let group = bytes.fold(0, |group, byte| group << 8 | byte);
        (0..=chunk.len())
            .map(move |place| digit(group, place))
            .collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

/// The forms in which a text could leak: as it is, percent-encoded, as hexadecimal digits, and in base64 at each
/// alignment, without the digits that depend on the neighbours.
fn forms(secret: &str) -> Vec<String> {
    let percent = |upper: bool, all: bool| {
        secret.bytes().fold(String::new(), |mut text, byte| {
            match (byte.is_ascii_alphanumeric() || byte == b'-') && !all {
                true => text.push(char::from(byte)),
                false if upper => write!(text, "%{byte:02X}").expect("a string"),
                false => write!(text, "%{byte:02x}").expect("a string"),
            }
            text
        })
    };
    let hex = secret.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut forms = vec![secret.to_owned(), hex];
    forms.extend([(true, true), (true, false), (false, true), (false, false)].map(|(upper, all)| percent(upper, all)));
    for skipped in 0..3 {
        let shifted = [&[0; 3][..skipped], secret.as_bytes()].concat();
        let text = base64(&shifted);
        let (begin, end) = ([0, 2, 3][skipped], text.len() - text.len() % 4);
        forms.push(text[begin..end].to_owned());
    }
    forms
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn the_forms_of_a_secret_are_those_in_which_texts_contain_it() {
    assert_eq!(base64(b"Man"), "TWFu");
    assert_eq!(base64(b"Ma"), "TWE");
    for before in ["", "a", "ab", "abc"] {
        let text = base64(format!("{before}secret&more").as_bytes());
        assert!(
            forms("secret").iter().any(|form| text.contains(form.as_str())),
            "{before}: {text}"
        );
    }
    assert!(forms("a&b").contains(&"a%26b".to_owned()));
}

fn secret_config(endpoint: &str) -> String {
    let [_, _, key, password, header, module, hook, comment] = SECRETS;
    let path = guests::component("noop").display().to_string();
    format!(
        "# api = \"{comment}\"\n\
         [engine]\nstate_dir = \"${{PATH_SECRET}}/state\"\nlog_level = \"trace,cranelift=off,cranelift_codegen=off,\
         cranelift_frontend=off,regalloc2=off,wasmtime=off,wasmtime_environ=off,wasmtime_internal_cranelift=off\"\n\
         [metrics]\nlisten = \"127.0.0.1:0\"\n\
         [[chains.11155111.endpoints]]\nurl = \"{endpoint}/?key={key}&token=${{URL_SECRET}}\"\nheaders = {{ x-key = \"{header}\" }}\n\
         [[chains.11155111.endpoints]]\nurl = \"http://user:{password}@127.0.0.1:9/{hook}\"\npriority = 1\n\
         [[modules]]\npath = {path:?}\n[modules.config]\napi = \"{module}\"\n"
    )
}

#[tokio::test]
async fn a_bundle_shows_no_secret_of_the_configuration() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    dir.write("engine.toml", secret_config(&anvil.http_url()));
    let command = |args: &[&str]| {
        let mut command = dir.command(args);
        command.env("PATH_SECRET", SECRETS[0]).env("URL_SECRET", SECRETS[1]);
        command
    };
    let mut run = command(&["run"]);
    let mut child = run.stdout(Stdio::null()).stderr(Stdio::piped()).start();
    let log = Log::of(&mut child);
    let [follows, loaded] = RUNNING;
    let lines = log.until_all(&["metrics can be read", follows, loaded]);
    // The system chose the port of the metrics. The bundle needs it in the configuration.
    let address = address(&lines, "metrics can be read");
    let config = secret_config(&anvil.http_url()).replace("127.0.0.1:0", &address);
    dir.write("engine.toml", config);
    anvil.mine(1).await;
    log.until(|line| line.contains("event handled"));

    let output = command(&["support-bundle", "report.tar.gz"])
        .output()
        .expect("the binary");
    let printed = [output.stdout, output.stderr].concat();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&printed));
    let path = dir.path().join("report.tar.gz");
    let files = unpacked(&path);
    let manifest = json(&files, "manifest.json");
    let files_of = manifest["files"].as_array().expect("files").iter();
    let without: Vec<_> = files_of
        .filter(|file| !file["missing"].is_null())
        .map(|file| &file["name"])
        .collect();
    assert!(without.is_empty(), "{manifest:#}");
    let metrics = String::from_utf8(files["metrics.txt"].clone()).expect("UTF-8");
    for part in ["\n# TYPE nexum_", "module=\"noop\"", "chain=\"11155111\""] {
        assert!(metrics.contains(part), "{part}: {metrics}");
    }
    let log = String::from_utf8(files["log.jsonl"].clone()).expect("UTF-8");
    let records = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let mut messages = records.filter_map(|record| Some(record["message"].as_str()?.to_owned()));
    assert!(messages.any(|message| message == "modules are loaded"), "{log}");
    assert_eq!(files["state-verify.txt"], b"all is well\n");
    assert_eq!(json(&files, "modules.json")[0]["name"], "noop");
    let configuration = String::from_utf8(files["configuration.txt"].clone()).expect("UTF-8");
    let shown = format!("chains.11155111.endpoints[0].url = \"{}/…\"\n", anvil.http_url());
    assert!(configuration.contains(&shown), "{configuration}");
    assert!(
        configuration.contains("engine.state_dir = \"${PATH_SECRET}/state\"\n"),
        "{configuration}"
    );

    let raw = fs::read(&path).expect("a bundle");
    let texts = files.iter().map(|(name, content)| (name.as_str(), content.as_slice()));
    let texts: Vec<_> = texts
        .chain([("the bundle", raw.as_slice()), ("the output", &printed)])
        .collect();
    for secret in SECRETS {
        for form in forms(secret) {
            for (name, content) in &texts {
                assert!(!contains(content, &form), "{name} contains {form}, which is {secret}");
            }
        }
    }
    terminate(&child);
    assert_eq!(child.wait().expect("an end").code(), Some(0));
}
