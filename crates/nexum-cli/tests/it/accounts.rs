//! Accounts on the command line.

#[cfg(all(feature = "chain", feature = "store"))]
use nexum_testing::Anvil;
use serde_json::json;

use crate::Dir;
#[cfg(all(feature = "chain", feature = "store"))]
use crate::control::{BLOCKS, start_logged};
#[cfg(all(feature = "chain", feature = "store"))]
use crate::running::terminate;

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

/// A module with `nexum:host/identity` and one with `chain.request` get the same signatures, and the same refusals.
#[cfg(all(feature = "chain", feature = "store"))]
#[tokio::test]
async fn a_module_signs_through_chain_requests_within_the_same_rules() {
    const ADDRESS: &str = "0x2c7536e3605d9c16a7a3d7b1898e529396a65c23";
    const LOGIN: &str = r#"{"types":{"Login":[{"name":"at","type":"uint256"}]},"primaryType":"Login","domain":{"name":"Login"},"message":{"at":7}}"#;
    let dir = Dir::new();
    let keystore = concat!(env!("CARGO_MANIFEST_DIR"), "/../nexum-accounts/tests/data/foundry.json");
    dir.write("key.json", std::fs::read(keystore).expect("a keystore"));
    dir.write("password", "correct horse");
    let text = serde_json::to_string(LOGIN).expect("JSON");
    let requests = [
        "eth_accounts []",
        &format!(r#"personal_sign ["0x6c6f67696e3a2037","{ADDRESS}"]"#),
        &format!(r#"eth_signTypedData_v4 ["{ADDRESS}",{LOGIN}]"#),
        &format!(r#"eth_signTypedData_v4 ["{ADDRESS}",{text}]"#),
        &format!(r#"personal_sign ["0x6c6f676f7574","{ADDRESS}"]"#),
        &format!(r#"personal_sign ["login: 7","{ADDRESS}"]"#),
        r#"personal_sign ["0x00","0x9008d19f58aabd9ed0d60971565aa8510560ab41"]"#,
        "eth_sign []",
    ]
    .join("\n");
    let account = ADDRESS.trim_start_matches("0x");
    let modules = [
        ("rpc", "chain", format!("requests = '''\n{requests}'''\n")),
        (
            "messages",
            "identity",
            format!("account = \"{account}\"\nmessage = \"login: 7\"\n"),
        ),
        (
            "typed",
            "identity",
            format!("account = \"{account}\"\ntyped_data = '{LOGIN}'\n"),
        ),
    ];
    let mut configuration = format!(
        "[accounts.keeper]\naddress = \"{ADDRESS}\"\nsigner = {{ keystore = \"key.json\", password_file = \"password\" }}\n"
    );
    dir.guest("rpc");
    dir.guest("signer");
    for (name, capability, config) in &modules {
        let manifest = format!("[capabilities]\nrequired = [\"{capability}\"]\n{BLOCKS}[config]\n{config}");
        dir.write(&format!("{name}.toml"), manifest);
        let guest = if *name == "rpc" { "rpc" } else { "signer" };
        configuration.push_str(&format!(
            "[identity.{name}.keeper]\nmessages = {{ prefixes = [\"login: \"] }}\ntyped_data = [{{ name = \"Login\" }}]\n\
             [[modules]]\npath = \"{guest}.wasm\"\nmanifest = \"{name}.toml\"\nname = \"{name}\"\n"
        ));
    }
    let anvil = Anvil::start();
    let (child, _log) = start_logged(&dir, &anvil, &configuration, &["run"]);
    let (of_rpc, of_messages, of_typed) = (
        said(&dir, "rpc", 8).await,
        said(&dir, "messages", 2).await,
        said(&dir, "typed", 2).await,
    );
    // Each signature and each refusal has its record.
    let records = dir.nexum(&["logs", "rpc", "--format", "json"]).stdout;
    let of_identity = records.lines().filter(|line| line.contains("nexum::identity")).count();
    assert_eq!(of_identity, 5, "{records}");
    terminate(&child);
    let signed = |line: &str| format!("ok \"0x{}\"", line.strip_prefix("ok ").expect("a signature"));
    assert_eq!(of_messages[0], format!("accounts: {account}"));
    assert_eq!(
        of_rpc,
        [
            format!("ok [\"{ADDRESS}\"]"),
            signed(&of_messages[1]),
            signed(&of_typed[1]),
            signed(&of_typed[1]),
            "denied 0 (identity: the message begins with none of the prefixes (identity.rpc.keeper.messages))"
                .to_owned(),
            "invalid-input 0 (identity: the parameters of personal_sign are [message, address], both as 0x and \
             hexadecimal digits)"
                .to_owned(),
            "denied 0 (identity: the operator does not allow the module to use the account \
             0x9008D19f58AAbD9eD0D60971565AA8510560ab41)"
                .to_owned(),
            "denied 0 (chain: the method eth_sign is not allowed on chain 11155111)".to_owned(),
        ]
    );
}

/// The first lines that a module logs.
#[cfg(all(feature = "chain", feature = "store"))]
async fn said(dir: &Dir, module: &str, count: usize) -> Vec<String> {
    loop {
        let ran = dir.nexum(&["logs", module, "--format", "json"]);
        let records = ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON"));
        let of_module = records.filter(|record: &serde_json::Value| record["target"] == "nexum::module");
        let lines: Vec<_> = of_module
            .filter_map(|record| Some(record["message"].as_str()?.to_owned()))
            .take(count)
            .collect();
        if lines.len() == count {
            return lines;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
