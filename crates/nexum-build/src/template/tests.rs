use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use nexum_config::document::Environment;
use nexum_config::engine::Config;
use nexum_config::hint::Hint as _;
use nexum_config::manifest::Manifest;
use serde_json::json;
use tempfile::TempDir;

use super::*;

mod abi;

const TOKEN: &str = include_str!("../../../nexum-sdk/tests/abi/Token.json");
const VAULT: &str = include_str!("../../../nexum-sdk/tests/abi/Vault.json");

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn new(directory: PathBuf) -> New {
    New {
        directory,
        language: Language::Rust,
        kind: None,
        abi: None,
        sdk: Sdk::Version("0.1.0".into()),
    }
}

/// The paths of all files and empty directories, relative to a directory.
fn tree(directory: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        let entries: Vec<_> = fs::read_dir(&next).expect("a directory").flatten().collect();
        for entry in &entries {
            match entry.file_type().expect("a type").is_dir() {
                true => open.push(entry.path()),
                false => paths.push(entry.path()),
            }
        }
        if entries.is_empty() && next != directory {
            paths.push(next);
        }
    }
    let relative = |path: &PathBuf| path.strip_prefix(directory).expect("below").display().to_string();
    let mut paths: Vec<_> = paths.iter().map(relative).collect();
    paths.sort();
    paths
}

/// The error with its cause and its hint. The directory is `DIR`.
fn refusal(error: &NewError, directory: &Path) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    if let Some(hint) = error.hint() {
        text += &format!(" ({hint})");
    }
    text.replace(&directory.display().to_string(), "DIR")
}

fn abi_file(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, text).expect("a file");
    path
}

#[test]
fn each_template_makes_a_complete_project() {
    for template in TEMPLATES {
        let directory = directory();
        let abi = template
            .has_abi
            .then(|| abi_file(directory.path(), "Token.json", TOKEN));
        let project = directory.path().join("my-module");
        let created = create(&New {
            language: template.language,
            kind: Some(template.kind),
            abi,
            ..new(project.clone())
        })
        .expect("it is made");
        assert_eq!((created.name.as_str(), created.kind), ("my-module", template.kind));
        let mut files: Vec<_> = created.files.iter().map(|path| path.display().to_string()).collect();
        files.sort();
        assert_eq!(tree(&project), files, "{template:?}");
        for file in [
            "nexum.toml",
            "engine.toml",
            "README.md",
            ".gitignore",
            template.language.file(),
        ] {
            assert!(files.iter().any(|path| path == file), "{template:?} has no {file}");
        }
        let read = |file: &str| fs::read(project.join(file)).expect("a file");
        let manifest = Manifest::parse(Path::new("nexum.toml"), &read("nexum.toml")).expect("a manifest");
        assert_eq!(manifest.name, Some(created.name));
        let engine = Config::parse(Path::new("engine.toml"), &read("engine.toml"), &Environment::closed());
        let engine = engine.expect("a configuration");
        assert_eq!(engine.modules.len(), 1);
        assert_eq!(&*engine.modules[0].path, Path::new("build/my-module.wasm"));
    }
}

#[test]
fn no_two_templates_are_equal() {
    for (at, template) in TEMPLATES.iter().enumerate() {
        let first = TEMPLATES.iter().position(|other| {
            (other.language, other.kind, other.has_abi) == (template.language, template.kind, template.has_abi)
        });
        assert_eq!(first, Some(at), "{template:?}");
    }
}

#[test]
fn every_language_has_each_template() {
    for language in Language::ALL {
        for kind in Kind::ALL {
            assert!(find(language, kind, false).is_some(), "{language} {kind}");
        }
        assert!(find(language, Kind::Event, true).is_some(), "{language}");
    }
}

#[test]
fn words_name_languages_and_kinds() {
    for language in Language::ALL {
        assert_eq!(language.as_str().parse(), Ok(language));
    }
    for kind in Kind::ALL {
        assert_eq!(kind.as_str().parse(), Ok(kind));
    }
    assert_eq!("go".parse::<Language>(), Err("there is no language \"go\"".into()));
    assert_eq!("log".parse::<Kind>(), Err("there is no template \"log\"".into()));
}

#[test]
fn the_name_of_the_directory_is_the_name_of_the_module() {
    let directory = directory();
    for path in ["gas-watch", "a/b/gas_watch2", "./c/gas", "d/../e"] {
        let project = directory.path().join(path);
        let created = create(&new(project.clone())).expect("it is made");
        assert_eq!(Some(created.name.as_str().as_ref()), project.file_name());
        assert!(project.join("src/lib.rs").exists(), "{path}");
    }
}

#[test]
fn refuses_other_names() {
    let directory = directory();
    let rule = "a module name is 1 to 64 characters of a-z, 0-9, - and _, and begins with a letter or a digit";
    let long = "a".repeat(65);
    for (name, expected) in [
        (
            "Gas Watch",
            format!("\"Gas Watch\" cannot be the name of the module: {rule} (gas-watch can)"),
        ),
        ("-a", format!("\"-a\" cannot be the name of the module: {rule} (a can)")),
        ("\u{fc}", format!("\"\u{fc}\" cannot be the name of the module: {rule}")),
        (&long, format!("\"{long}\" cannot be the name of the module: {rule}")),
        (
            "..",
            "the path DIR/.. does not end in the name of a directory (write a name, such as my-module)".into(),
        ),
        (
            "1inch",
            "\"1inch\" cannot be the name of a Rust crate: it begins with a digit (my-1inch can)".into(),
        ),
        (
            "match",
            "\"match\" cannot be the name of a Rust crate: it is a keyword of Rust (my-match can)".into(),
        ),
        (
            "test",
            "\"test\" cannot be the name of a Rust crate: a crate or a module of Rust that the project uses has this name (my-test can)".into(),
        ),
        (
            "nexum-sdk",
            "\"nexum-sdk\" cannot be the name of a Rust crate: a crate or a module of Rust that the project uses has this name (my-nexum-sdk can)".into(),
        ),
    ] {
        let error = create(&new(directory.path().join(name))).expect_err(name);
        assert_eq!(refusal(&error, directory.path()), expected);
    }
    assert_eq!(tree(directory.path()), [""; 0]);
}

#[test]
fn never_overwrites() {
    let directory = directory();
    let project = directory.path().join("watch");
    fs::create_dir(&project).expect("a directory");
    fs::write(project.join("zeta"), "z").expect("a file");
    fs::write(project.join("notes.txt"), "mine").expect("a file");
    let hint = "(nexum new never overwrites a file: choose another name)";
    let error = create(&new(project.clone())).expect_err("not empty");
    let expected = format!("DIR/watch is not empty: it contains notes.txt {hint}");
    assert_eq!(refusal(&error, directory.path()), expected);
    assert_eq!(tree(directory.path()), ["watch/notes.txt", "watch/zeta"]);
    assert_eq!(fs::read_to_string(project.join("notes.txt")).expect("a file"), "mine");

    fs::write(directory.path().join("file"), "").expect("a file");
    symlink("nowhere", directory.path().join("link")).expect("a link");
    for name in ["file", "link"] {
        let error = create(&new(directory.path().join(name))).expect_err(name);
        assert_eq!(
            refusal(&error, directory.path()),
            format!("DIR/{name} is a file {hint}")
        );
    }
}

#[test]
fn an_empty_directory_becomes_the_project() {
    let directory = directory();
    let project = directory.path().join("watch");
    fs::create_dir(&project).expect("a directory");
    let mode = fs::metadata(&project).expect("a directory").permissions().mode();
    create(&new(project.clone())).expect("it is made");
    assert!(project.join("Cargo.toml").exists());
    // A new directory has the permissions of any other one.
    assert_eq!(fs::metadata(&project).expect("a directory").permissions().mode(), mode);
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1);
}

#[test]
fn a_failed_write_leaves_nothing() {
    let directory = directory();
    let files = [("a", "1"), ("a/b", "2")].map(|(path, text)| (PathBuf::from(path), text.to_owned()));
    let project = directory.path().join("made/for/it");
    let error = create::write(&project, &files).expect_err("`a` is a file");
    assert!(
        refusal(&error, directory.path()).starts_with("cannot create DIR/made/for/it/a/b: "),
        "{error}"
    );
    assert_eq!(tree(directory.path()), [""; 0]);

    // Directories that were there stay.
    fs::create_dir(directory.path().join("made")).expect("a directory");
    create::write(&project, &files).expect_err("`a` is a file");
    assert_eq!(tree(directory.path()), ["made"]);
}

#[test]
fn refuses_a_template_that_does_not_exist() {
    let directory = directory();
    let abi = abi_file(directory.path(), "Token.json", TOKEN);
    let with_abi = New {
        kind: Some(Kind::Cow),
        abi: Some(abi),
        ..new(directory.path().join("watch"))
    };
    let error = create(&with_abi).expect_err("no template");
    let expected = "there is no template cow for Rust with an ABI (the templates are rust: block, event; js: event; \
                    python: event; c: event)";
    assert_eq!(refusal(&error, directory.path()), expected);
    assert!(
        list(false).starts_with("rust: block, event, cron, query, cow"),
        "{}",
        list(false)
    );
}

#[test]
fn the_sdk_is_a_path_a_repository_or_a_version() {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nexum-sdk");
    let real = sdk.canonicalize().expect("the SDK");
    for (sdk, features, expected) in [
        (
            Sdk::Version("0.1.0".into()),
            &[][..],
            "{ version = \"0.1.0\" }".to_owned(),
        ),
        (
            Sdk::Git("https://example.com/n".into()),
            &[],
            "{ git = \"https://example.com/n\" }".into(),
        ),
        (
            Sdk::Path(sdk.clone()),
            &["abi"],
            format!("{{ path = \"{}\", features = [\"abi\"] }}", real.display()),
        ),
    ] {
        assert_eq!(sdk.dependency(features).expect("a dependency"), expected);
    }
    for (sdk, expected) in [
        (Sdk::Version("bogus".into()), "\"bogus\" is not a version of nexum-sdk"),
        (Sdk::Version(String::new()), "\"\" is not a version of nexum-sdk"),
        (Sdk::Git(String::new()), "\"\" is not the URL of a git repository"),
        (
            Sdk::Git("https://".into()),
            "\"https://\" is not the URL of a git repository",
        ),
    ] {
        assert_eq!(sdk.dependency(&[]).expect_err("no dependency").to_string(), expected);
    }
    let error = Sdk::Path(sdk.join("src")).dependency(&[]).expect_err("no crate");
    assert!(
        error
            .to_string()
            .ends_with("nexum-sdk/src is not the directory of the crate nexum-sdk"),
        "{error}"
    );
}

#[test]
fn a_program_of_a_checkout_takes_its_sdk() {
    let checkout = directory();
    let program = checkout.path().join("target/release/nexum");
    assert_eq!(
        Sdk::of_program(Some(&program)),
        Sdk::Version(env!("CARGO_PKG_VERSION").into())
    );
    let sdk = checkout.path().join("crates/nexum-sdk");
    fs::create_dir_all(&sdk).expect("a directory");
    fs::write(sdk.join("Cargo.toml"), "[package]\nname = \"other\"\n").expect("a file");
    assert!(matches!(Sdk::of_program(Some(&program)), Sdk::Version(_)));
    fs::write(sdk.join("Cargo.toml"), "[package]\nname = \"nexum-sdk\"\n").expect("a file");
    assert_eq!(Sdk::of_program(Some(&program)), Sdk::Path(sdk));
    assert!(matches!(Sdk::of_program(None), Sdk::Version(_)));
}

fn with_abi(directory: &Path, name: &str, text: &str) -> Result<(Created, String), String> {
    let project = directory
        .join(name.to_lowercase().replace(['.', ' '], "-"))
        .join("watch");
    let request = New {
        abi: Some(abi_file(directory, name, text)),
        ..new(project.clone())
    };
    let created = create(&request).map_err(|error| refusal(&error, directory))?;
    let code = fs::read_to_string(project.join("src/lib.rs")).expect("a file");
    Ok((created, code))
}

#[test]
fn an_abi_becomes_a_handler_of_its_first_event() {
    let directory = directory();
    let (created, code) = with_abi(directory.path(), "Token.json", TOKEN).expect("it is made");
    assert_eq!(created.kind, Kind::Event);
    assert!(created.files.contains(&"abi/Token.json".into()));
    assert!(
        code.contains("#[on_event(Token::Transfer, chain_id = 31337)]"),
        "{code}"
    );
    assert!(code.contains("    Token,\n    \"abi/Token.json\"\n"), "{code}");
}

#[test]
fn an_abi_without_an_event_becomes_a_handler_of_blocks() {
    let directory = directory();
    let (created, code) = with_abi(directory.path(), "Vault.json", VAULT).expect("it is made");
    assert_eq!(created.kind, Kind::Block);
    // The only function needs an argument.
    assert!(
        code.contains("the contract is {}\", block.number, contract.address());"),
        "{code}"
    );
    let abi = fs::read_to_string(directory.path().join("vault-json/watch/abi/Vault.json")).expect("a file");
    assert!(abi.contains("\"position\"") && !abi.contains("0x6000"), "{abi}");

    let view = json!([{
        "type": "function", "name": "symbol", "inputs": [], "stateMutability": "view",
        "outputs": [{ "name": "", "type": "string" }],
    }]);
    let (_, code) = with_abi(directory.path(), "Named.json", &view.to_string()).expect("it is made");
    assert!(code.contains("let value = contract.symbol().call().await?;"), "{code}");
    assert!(code.contains("|_: Named::symbolCall| Default::default()"), "{code}");
}

#[test]
fn the_contract_has_the_name_of_the_file() {
    let directory = directory();
    for (file, contract) in [
        ("IERC20.json", "IERC20"),
        ("my-token.abi.json", "MyToken"),
        ("Block.json", "BlockContract"),
        ("erc_20 v2.json", "Erc20V2"),
    ] {
        let (created, _) = with_abi(directory.path(), file, TOKEN).expect("it is made");
        let path = format!("abi/{contract}.json").into();
        assert!(created.files.contains(&path), "{file}: {:?}", created.files);
    }
}

#[test]
fn refuses_files_that_are_no_abi() {
    let directory = directory();
    let form = "(an ABI is a JSON array, or the member `abi` of the JSON that Foundry or Hardhat writes)";
    let dollar = json!([{ "type": "event", "name": "A$B", "inputs": [], "anonymous": false }]).to_string();
    let many: Vec<_> = (0..10_000)
        .map(|at| json!({ "type": "error", "name": format!("E{at}"), "inputs": [{ "name": "a", "type": "uint256" }] }))
        .collect();
    let deep = "[".repeat(10_000);
    for (file, text, expected) in [
        ("A.json", "", "the ABI DIR/A.json is not JSON: ".to_owned()),
        (
            "A.json",
            &deep,
            "the ABI DIR/A.json is not JSON: recursion limit exceeded".into(),
        ),
        ("A.json", "{}", format!("DIR/A.json is not an ABI {form}")),
        ("A.json", "{ \"abi\": 7 }", format!("DIR/A.json is not an ABI {form}")),
        (
            "A.json",
            "[\"event Transfer(address indexed from)\"]",
            "the ABI DIR/A.json is a list of declarations in Solidity, not of JSON objects (use the JSON of the compiler: \
             `forge inspect CONTRACT abi --json`)"
                .into(),
        ),
        ("A.json", "[7]", "DIR/A.json is not an ABI: ".into()),
        (
            "A.json",
            "[{ \"type\": \"function\", \"name\": \"a b\" }]",
            "DIR/A.json is not an ABI: ".into(),
        ),
        (
            "A.json",
            &dollar,
            "the event A$B of the ABI DIR/A.json has a name that Rust does not permit (remove the event A$B: a module \
             does not need all of an ABI)"
                .into(),
        ),
        ("A.json", &json!(many).to_string(), "the ABI DIR/A.json has ".into()),
        (
            "1.json",
            TOKEN,
            "the name of the file DIR/1.json gives the contract no name".into(),
        ),
    ] {
        let error = with_abi(directory.path(), file, text).expect_err(&expected);
        assert!(error.starts_with(&expected), "{error}\n{expected}");
    }
    let large = directory.path().join("L.json");
    fs::File::create(&large)
        .and_then(|file| file.set_len(FILE_BYTES_MAX + 1))
        .expect("a file");
    for (path, expected) in [
        (large, "the ABI DIR/L.json: is larger than 16777216 bytes"),
        (
            directory.path().join("none.json"),
            "the ABI DIR/none.json: cannot be read",
        ),
        (
            directory.path().to_owned(),
            "the ABI DIR: is a directory, expected a file",
        ),
    ] {
        let request = New {
            abi: Some(path),
            ..new(directory.path().join("watch"))
        };
        let error = refusal(&create(&request).expect_err(expected), directory.path());
        assert!(error.starts_with(expected), "{error}");
    }
    assert!(!directory.path().join("watch").exists());
}

#[test]
fn a_handler_of_events_needs_an_event() {
    let directory = directory();
    let request = New {
        kind: Some(Kind::Event),
        abi: Some(abi_file(directory.path(), "Vault.json", VAULT)),
        ..new(directory.path().join("watch"))
    };
    let error = create(&request).expect_err("no event");
    assert_eq!(
        refusal(&error, directory.path()),
        "the ABI DIR/Vault.json has no event that a module can handle (use --lang rust --template block)"
    );
}

#[test]
fn an_abi_in_another_language_needs_an_event() {
    let directory = directory();
    let request = New {
        language: Language::JavaScript,
        abi: Some(abi_file(directory.path(), "Vault.json", VAULT)),
        ..new(directory.path().join("watch"))
    };
    let error = create(&request).expect_err("no event");
    assert!(matches!(error, NewError::Abi(AbiError::NoEvent { .. })), "{error}");
}

#[test]
fn each_event_of_an_abi_becomes_one_subscription() {
    let directory = directory();
    let event = |name: &str, indexed: bool| {
        let inputs = json!([{ "name": "a", "type": "uint256", "indexed": indexed }]);
        json!({ "type": "event", "name": name, "inputs": inputs, "anonymous": false })
    };
    // Two events of one signature have one first topic.
    let abi = json!([event("Twice", true), event("A$B", false), event("Twice", false)]);
    let project = directory.path().join("watch");
    let request = New {
        language: Language::Python,
        abi: Some(abi_file(directory.path(), "Token.json", &abi.to_string())),
        ..new(project.clone())
    };
    let created = create(&request).expect("it is made");
    assert_eq!(created.kind, Kind::Event);
    let text = fs::read_to_string(project.join("nexum.toml")).expect("a manifest");
    let signatures: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("event_signature"))
        .collect();
    let expected = ["Twice(uint256)", "A$B(uint256)"].map(|signature| format!("event_signature = \"{signature}\""));
    assert_eq!(signatures, expected);
    let manifest = Manifest::parse(Path::new("nexum.toml"), text.as_bytes()).expect("a manifest");
    assert_eq!(manifest.subscriptions.len(), 2);
}
