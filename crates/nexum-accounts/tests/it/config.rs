use nexum_accounts::{AccountsConfig, OnRevert, SelectorRule, SignerConfig, Target};

use crate::support::{ADDRESS, KEY, OTHER, errors_of, parse, parse_in};

const KEEPER: &str = "[accounts.keeper]\naddress = \"0x2c7536E3605D9C16a7a3D7b1898e529396a65c23\"\nsigner = { keystore = \"keeper.json\", password_file = \"keeper.password\" }\n";

#[test]
fn reads_accounts_and_rules() {
    let config = parse(&format!(
        r#"{KEEPER}
[accounts.remote]
address = "{OTHER}"
signer = {{ web3signer = "https://user:hunter2@signer.example:9000/base" }}

[identity.twap.keeper]
messages = {{ prefixes = ["nexum-login: "], max_bytes = 300 }}
typed_data = [{{ chain = 1, contract = "{OTHER}", name = "Gnosis Protocol", primary_type = "Order", fields = {{ receiver = ["{ADDRESS}"] }} }}]
send = [
  {{ chain = 1, to = "{OTHER}", selectors = ["0xa9059cbb", "approve(address,uint256)"], max_value = "0.1", max_gas = 500_000 }},
  {{ chain = 5, to = "*" }},
  {{ chain = 5, create = true }},
]
limits = {{ max_fee_gwei = 80, fee_per_day = "0.05", per_hour = 7 }}
on_revert = "cancel"
"#
    ))
    .unwrap();
    let remote = &config.accounts.values().nth(1).unwrap().signer;
    assert!(matches!(remote, SignerConfig::Web3Signer { timeout_ms: 5_000, .. }));
    let shown = format!("{config:?}");
    assert!(
        shown.contains("https://signer.example:9000") && !shown.contains("hunter2"),
        "{shown}"
    );

    let rules = config.modules.values().next().unwrap().values().next().unwrap();
    assert_eq!(rules.place, "identity.twap.keeper");
    assert_eq!(rules.summary(), "messages, typed data, transactions");
    assert_eq!(rules.messages.as_ref().unwrap().bytes_max, 300);
    assert_eq!(rules.typed_data[0].fields["receiver"], [ADDRESS]);
    assert_eq!(rules.on_revert, OnRevert::Cancel);
    let [call, transfer, create] = &*rules.send else {
        panic!("three rules")
    };
    let SelectorRule::Functions(functions) = &call.selectors else {
        panic!("functions")
    };
    let functions: Vec<_> = functions.iter().map(ToString::to_string).collect();
    assert_eq!(functions, ["0xa9059cbb", "0x095ea7b3"]);
    assert_eq!(
        (call.gas_max, call.value_max.to_string()),
        (500_000, "100000000000000000".to_owned())
    );
    assert_eq!(
        (transfer.to, &transfer.selectors),
        (Target::Any, &SelectorRule::Transfer)
    );
    assert!(transfer.value_max.is_zero());
    assert_eq!(create.to, Target::Create);
    let limits = rules.limits.as_ref().unwrap();
    assert_eq!((limits.max_fee_gwei, limits.per_hour, limits.in_flight), (80, 7, 4));
    assert!(limits.value_per_day.is_zero());
}

#[test]
fn no_section_has_no_account() {
    let config = AccountsConfig::from_sections(None, None).unwrap();
    assert!(config.accounts.is_empty() && config.modules.is_empty());
}

#[test]
fn errors_name_the_place_and_the_remedy() {
    let text = format!(
        r#"[accounts.keeper]
addr = "{ADDRESS}"
signer = {{ keystore = "keeper.json" }}
[accounts.Keeper]
[accounts.wrong]
address = "0x2C7536E3605D9C16a7a3D7b1898e529396a65c23"
signer = {{ web3signer = "ftp://signer" }}
[accounts.both]
address = "{OTHER}"
signer = {{ keystore = "k", password_file = "p", web3signer = "http://signer" }}
[accounts.late]
address = "{OTHER}"
signer = {{ web3signer = "http://signer", timeout_ms = 0 }}
[identity.m.keper]
[identity.m.keeper]
messages = {{ prefixes = [""], max_bytes = 0 }}
typed_data = [{{}}, {{ primary_typ = "Order" }}]
send = [{{ chain = 1, to = "0x12", max_value = "-1" }}, {{ chain = 1 }}]
on_revert = "panic"
"#
    );
    insta::assert_snapshot!(errors_of(&text, &[]));
}

#[test]
fn transactions_need_limits() {
    let text = format!("{KEEPER}[identity.m.keeper]\nsend = [{{ chain = 1, to = \"*\" }}]\n");
    insta::assert_snapshot!(errors_of(&text, &[]), @r#"
    engine.toml:4:1: identity.m.keeper.limits: missing key
      hint: write limits = { max_fee_gwei = 50, fee_per_day = "0.05" }
    "#);
}

#[test]
fn a_plain_private_key_is_refused_and_not_shown() {
    for signer in [
        format!("signer = {{ private_key = \"0x{KEY}\" }}"),
        format!("signer = {{ mnemonic = \"{KEY}\" }}"),
        format!("signer = {{ seed = \"{KEY}\" }}"),
        format!("signer = \"0x{KEY}\""),
        format!("private_key = \"0x{KEY}\""),
        format!("signer = {{ keystore_json = \"{KEY}\", password = \"{KEY}\" }}\nallow_env_key = true"),
        format!("signer = {{ web3signer = \"{KEY}\" }}"),
        format!("signer = {{ keystore = \"k\", pass_word = \"{KEY}\" }}"),
    ] {
        let text = format!("[accounts.keeper]\naddress = \"{ADDRESS}\"\n{signer}\n");
        let shown = errors_of(&text, &[]);
        for part in [&KEY[..8], &KEY[56..]] {
            assert!(!shown.contains(part), "{shown}");
        }
    }
    let text = format!("[accounts.keeper]\naddress = \"{ADDRESS}\"\nsigner = {{ private_key = \"0x{KEY}\" }}\n");
    insta::assert_snapshot!(errors_of(&text, &[]), @r"
    engine.toml:3:10: accounts.keeper.signer: `private_key`: a plain private key is not allowed in the file
      hint: put the key into a keystore file, as docs/accounts.md shows
    ");
}

#[test]
fn a_key_from_a_variable_needs_the_operators_consent() {
    let variables = [("KEYSTORE", "{}"), ("WORD", "hunter2")];
    let signer = "signer = { keystore_json = \"${KEYSTORE}\", password = \"${WORD}\" }";
    let text = format!("[accounts.keeper]\naddress = \"{ADDRESS}\"\n{signer}\n");
    let refused = errors_of(&text, &variables);
    assert!(
        refused.contains("a key from a variable is not allowed") && !refused.contains("hunter2"),
        "{refused}"
    );
    let text = format!("{text}allow_env_key = true\n");
    let config = parse_in("".as_ref(), &text, &variables).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    // A default is in the file.
    let text = text.replace("${WORD}", "${OTHER_WORD:-hunter2}");
    let refused = errors_of(&text, &variables);
    assert!(
        refused.contains("a secret in the file is not allowed") && !refused.contains("hunter2"),
        "{refused}"
    );
}
