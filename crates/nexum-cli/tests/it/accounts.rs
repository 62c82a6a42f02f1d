//! Accounts on the command line.

use serde_json::json;

use crate::Dir;

const KEY: &str = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";

const ACCOUNTS: &str = r#"
[accounts.keeper]
address = "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23"
signer = { keystore = "hidden-path.json", password_file = "hidden-password" }
[accounts.remote]
address = "0x9008D19f58AAbD9eD0D60971565AA8510560ab41"
signer = { web3signer = "https://user:hidden-user@signer.example/hidden" }
[identity.signer.keeper]
messages = { prefixes = ["login: "] }
typed_data = [{ name = "Login" }]
[identity.other.keeper]
"#;

#[test]
fn lists_accounts_with_the_modules_that_may_sign() {
    let dir = Dir::new();
    dir.write("engine.toml", ACCOUNTS);
    let ran = dir.nexum(&["account", "list"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let rows: Vec<Vec<_>> = ran
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let keeper = ["keeper", "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23", "keystore"];
    let remote = ["remote", "0x9008D19f58AAbD9eD0D60971565AA8510560ab41", "web3signer"];
    assert_eq!(rows[0], ["ACCOUNT", "ADDRESS", "SIGNER", "MODULE", "MAY", "SIGN"]);
    assert_eq!(rows[1], [&keeper[..], &["other", "nothing"]].concat());
    assert_eq!(
        rows[2],
        [&keeper[..], &["signer", "messages,", "typed", "data"]].concat()
    );
    assert_eq!(rows[3], [&remote[..], &["-", "-"]].concat());
    assert_eq!(rows.len(), 4);

    let shown = dir.nexum(&["account", "list", "--format", "json"]).stdout;
    let found: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(
        found[0],
        json!({
            "name": "keeper",
            "address": "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23",
            "signer": "keystore",
            "modules": [
                {"module": "other", "may_sign": "nothing"},
                {"module": "signer", "may_sign": "messages, typed data"},
            ],
        })
    );
    assert!(!format!("{}{shown}", ran.stdout).contains("hidden"), "{shown}");

    dir.write("engine.toml", "");
    let ran = dir.nexum(&["account", "list"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "the configuration has no accounts\n")
    );
    dir.write("engine.toml", "[accounts.Keeper]\n");
    let ran = dir.nexum(&["account", "list"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert!(
        ran.stderr.contains("accounts.Keeper: an account name is"),
        "{}",
        ran.stderr
    );
}

#[test]
fn check_says_what_a_module_may_sign() {
    let dir = Dir::new();
    dir.guest("signer");
    dir.write(
        "engine.toml",
        format!("[chains.11155111]\nrpc_url = \"ws://127.0.0.1:1\"\n{ACCOUNTS}"),
    );
    let ran = dir.nexum(&["check", "signer.wasm"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let line = "\nsigner may sign with keeper (0x2c7536E3605D9C16a7a3D7b1898e529396a65c23): messages, typed data\n";
    assert!(ran.stdout.contains(line), "{}", ran.stdout);
    // Another module has no such line.
    dir.guest("noop");
    let ran = dir.nexum(&["check", "noop.wasm"]);
    assert!(!ran.stdout.contains("may sign"), "{}", ran.stdout);
}

#[test]
fn check_warns_of_rules_for_a_module_that_does_not_exist() {
    let dir = Dir::new();
    dir.guest("signer");
    let config = format!(
        "[chains.11155111]\nrpc_url = \"ws://127.0.0.1:1\"\n[[modules]]\npath = \"signer.wasm\"\nname = \"sign\"\n{ACCOUNTS}"
    );
    dir.write("engine.toml", &config);
    let ran = dir.nexum(&["check"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for line in [
        "identity.signer: no module has this name, the nearest known one is sign\n",
        "identity.other: no module has this name\n",
    ] {
        assert!(ran.stderr.contains(line), "{}", ran.stderr);
    }
    // The modules of the command line may be a part of all.
    let ran = dir.nexum(&["check", "signer.wasm"]);
    assert_eq!(
        (ran.code, ran.stderr.contains("no module has")),
        (Some(0), false),
        "{}",
        ran.stderr
    );
    dir.write(
        "engine.toml",
        config
            .replace("name = \"sign\"\n", "")
            .replace("identity.other.keeper", "identity.signer.remote"),
    );
    let ran = dir.nexum(&["check"]);
    assert_eq!(
        (ran.code, ran.stderr.contains("no module has")),
        (Some(0), false),
        "{}",
        ran.stderr
    );
}

#[test]
fn no_command_shows_a_key_that_the_operator_wrote() {
    let dir = Dir::new();
    dir.guest("signer");
    for signer in [
        format!("signer = {{ private_key = \"{KEY}\" }}"),
        format!("signer = \"{KEY}\""),
        format!("signer = {{ keystore = \"k\", password = \"{KEY}\" }}"),
        format!("signer = {{ seed = \"{KEY}\" }}"),
        format!("private_key = \"{KEY}\""),
    ] {
        let account = "[accounts.keeper]\naddress = \"0x2c7536E3605D9C16a7a3D7b1898e529396a65c23\"\n";
        dir.write("engine.toml", format!("{account}{signer}\n"));
        for args in [
            &["account", "list"][..],
            &["check", "signer.wasm"],
            &["run", "signer.wasm"],
            &["config", "show"],
        ] {
            let ran = dir.nexum(args);
            assert_eq!(ran.code, Some(2), "{args:?} {signer}: {}", ran.stdout);
            let shown = format!("{}{}", ran.stdout, ran.stderr);
            assert!(
                !shown.contains(&KEY[..8]) && !shown.contains(&KEY[56..]),
                "{args:?}: {shown}"
            );
        }
    }
}
