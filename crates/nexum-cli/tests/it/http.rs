//! HTTP, in builds with and without it.

use crate::Dir;

/// A module that fetches every day, with these capabilities in its manifest.
fn fetcher(dir: &Dir, capabilities: &str) {
    dir.guest("fetcher");
    dir.write(
        "nexum.toml",
        format!(
            "[module]\nname = \"fetcher\"\n[capabilities]\n{capabilities}\n\
             [[subscription]]\nkind = \"cron\"\nschedule = \"0 0 * * *\"\n"
        ),
    );
}

#[test]
#[cfg(not(feature = "http"))]
fn its_section_is_refused_with_the_feature() {
    let dir = Dir::new();
    dir.write("engine.toml", "[http]\nallow = [\"localhost\"]\n");
    let ran = dir.nexum(&["run"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    for part in ["http: this build lacks the capability `http`", "`--features http`"] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
}

#[test]
#[cfg(not(feature = "http"))]
fn a_module_that_can_do_without_it_is_told_unsupported() {
    let dir = Dir::new();
    fetcher(&dir, "optional = [\"http\", \"store\"]");
    let ran = dir.nexum(&["check", "--format", "json", "fetcher.wasm"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let stubs = found["modules"][0]["stubs"].to_string();
    assert!(stubs.contains("nexum:host/http@0.2.0"), "{found}");
}

#[test]
#[cfg(all(feature = "http", feature = "store"))]
fn check_tells_what_a_manifest_wants_and_the_operator_does_not_allow() {
    let dir = Dir::new();
    let wanted = r#"["api.example.com", "*.example.org", "a.b.example.net", "api.example.com:8443"]"#;
    fetcher(
        &dir,
        &format!("required = [\"http\", \"store\"]\n[capabilities.http]\nallow = {wanted}"),
    );
    dir.write(
        "engine.toml",
        "[http]\nallow = [\"API.example.com\", \"b.example.org\", \"*.example.net\"]\n",
    );
    let ran = dir.nexum(&["check", "--format", "json", "fetcher.wasm"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let warnings = found["modules"][0]["warnings"].as_array().expect("warnings");
    let about = |what: &str| {
        warnings
            .iter()
            .any(|said| said.as_str().is_some_and(|said| said.contains(what)))
    };
    assert!(about("`*.example.org`") && about("`api.example.com:8443`"), "{found}");
    assert_eq!(warnings.len(), 2, "{found}");
}

#[test]
#[cfg(feature = "http")]
fn what_is_wrong_with_the_lists_is_refused_with_its_place() {
    let dir = Dir::new();
    fetcher(
        &dir,
        "required = [\"http\", \"store\"]\n[capabilities.http]\nallow = [\"https://api.example.com/v1\"]\nports = [1]",
    );
    dir.write("engine.toml", "[http]\nallow = [\"api.example.com\"]\n");
    let ran = dir.nexum(&["check", "fetcher.wasm"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    for part in [
        "capabilities.http.allow[0]: has more than a host and a port",
        "write the host alone",
        "capabilities.http.ports: unknown key",
    ] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    dir.write(
        "engine.toml",
        "[http]\nallow = [\"0x7f.1\"]\nallow_http = [\"localhost\"]\n",
    );
    let ran = dir.nexum(&["run"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    let expected = "http.allow[0]: is an address in an unusual form";
    assert!(ran.stderr.contains(expected), "{}", ran.stderr);
}

#[test]
#[cfg(all(feature = "chain", feature = "http", feature = "store"))]
fn check_warns_of_effects_that_a_reorganisation_cannot_undo() {
    let dir = Dir::new();
    dir.guest("fetcher");
    let check = |subscription: &str, engine: &str| {
        let manifest = "[module]\nname = \"fetcher\"\n[capabilities]\nrequired = [\"http\", \"store\"]\n\
                        [capabilities.http]\nallow = [\"api.example.com\", \"b.example.org\"]\n";
        dir.write("nexum.toml", format!("{manifest}[[subscription]]\n{subscription}\n"));
        let chain = "[chains.1]\nrpc_url = \"http://localhost:8545\"\n";
        dir.write("engine.toml", format!("{chain}[http]\n{engine}"));
        let ran = dir.nexum(&["check", "--format", "json", "fetcher.wasm"]);
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        let found: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
        let warnings = found["modules"][0]["warnings"].as_array().expect("warnings");
        let said = warnings
            .iter()
            .filter_map(|warning| warning.as_str())
            .map(str::to_owned);
        said.filter(|said| said.contains("a reorganisation cannot undo"))
            .collect::<Vec<_>>()
    };
    let latest = "kind = \"block\"\nchain_id = 1";
    let both = "allow = [\"api.example.com\", \"*.example.org\"]\n";
    let expected = "the module subscribes to the latest blocks, and a reorganisation cannot undo what it posts to \
                    `api.example.com`: consider `confirmations` or `finality` in its subscriptions";
    assert_eq!(check(latest, both), [expected]);
    let other = check(latest, &format!("{both}idempotent = [\"api.example.com\"]\n"));
    assert!(
        matches!(&*other, [warning] if warning.contains("`b.example.org`")),
        "{other:?}"
    );
    for (subscription, engine) in [
        (
            latest,
            format!("{both}idempotent = [\"api.example.com\", \"*.example.org\"]\n"),
        ),
        (latest, "allow = []\n".to_owned()),
        ("kind = \"block\"\nchain_id = 1\nconfirmations = 3", both.to_owned()),
        ("kind = \"cron\"\nschedule = \"0 0 * * *\"", both.to_owned()),
    ] {
        assert_eq!(check(subscription, &engine), [""; 0], "{subscription} {engine}");
    }
}

#[test]
#[cfg(all(feature = "chain", feature = "store"))]
fn check_warns_of_methods_that_a_reorganisation_cannot_undo() {
    let dir = Dir::new();
    dir.guest("chain-caller");
    let check = |methods: &str, finality: &str| {
        let manifest = "[module]\nname = \"chain-caller\"\n[capabilities]\nrequired = [\"chain\", \"store\"]\n";
        let subscription = "[[subscription]]\nkind = \"block\"\nchain_id = 1\n";
        dir.write("nexum.toml", format!("{manifest}{subscription}{finality}"));
        dir.write(
            "engine.toml",
            format!("[chains.1]\nrpc_url = \"http://localhost:8545\"\nextra_methods = [{methods}]\n"),
        );
        let ran = dir.nexum(&["check", "--format", "json", "chain-caller.wasm"]);
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        let found: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
        found["modules"][0]["warnings"].to_string()
    };
    let warning = "a reorganisation cannot undo the calls that `extra_methods` of chain 1 allows it (`evm_mine`)";
    let methods = "\"debug_traceTransaction\", \"eth_sendRawTransaction\", \"evm_mine\"";
    assert!(check(methods, "").contains(warning), "{}", check(methods, ""));
    let reads = "\"debug_traceTransaction\", \"eth_sendRawTransaction\"";
    for (methods, finality) in [(methods, "confirmations = 3\n"), (reads, "")] {
        let warnings = check(methods, finality);
        assert!(!warnings.contains("cannot undo"), "{warnings}");
    }
}
