//! The order book, in builds with and without it.

use crate::Dir;

/// A module that uses the order book, with these capabilities in its manifest.
fn submitter(dir: &Dir, capabilities: &str) {
    dir.guest("cow-submitter");
    dir.write(
        "nexum.toml",
        format!("[module]\nname = \"submitter\"\n[capabilities]\n{capabilities}\n"),
    );
}

#[test]
#[cfg(not(feature = "cow"))]
fn its_section_is_refused_with_the_feature() {
    let dir = Dir::new();
    dir.write("engine.toml", "[cow.1]\nbase_url = \"http://user:secret@localhost\"\n");
    let ran = dir.nexum(&["run"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    for part in ["cow: this build lacks the capability `cow`", "`--features cow`"] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("secret"), "{}", ran.stderr);
}

#[test]
#[cfg(not(feature = "cow"))]
fn a_module_that_requires_it_is_refused_with_the_feature() {
    let dir = Dir::new();
    submitter(&dir, "required = [\"cow\"]");
    let ran = dir.nexum(&["check", "cow-submitter.wasm"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stdout);
    for part in ["submitter", "`cow`", "`--features cow`"] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
}

#[test]
#[cfg(not(feature = "cow"))]
fn a_module_that_can_do_without_it_is_told_unsupported() {
    let dir = Dir::new();
    submitter(&dir, "optional = [\"cow\"]");
    let ran = dir.nexum(&["check", "--format", "json", "cow-submitter.wasm"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(
        found["modules"][0]["stubs"],
        serde_json::json!(["shepherd:cow/cow-api@0.2.0"])
    );
    assert!(!found["features"].to_string().contains("cow"), "{found}");
}

#[tokio::test]
#[cfg(all(feature = "chain", not(feature = "cow")))]
async fn a_module_that_can_do_without_it_runs() {
    use crate::running::Start as _;
    let (dir, anvil) = (Dir::new(), nexum_testing::Anvil::start());
    anvil.mine(2).await;
    submitter(
        &dir,
        "optional = [\"cow\"]\n[[subscription]]\nkind = \"block\"\nchain_id = 11155111",
    );
    let config = format!(
        "[chains.11155111]\nrpc_url = {:?}\n[[modules]]\npath = \"cow-submitter.wasm\"\n\
         [modules.config]\nrequest = \"GET /api/v1/version\"\n",
        anvil.http_url()
    );
    dir.write("engine.toml", config);
    let mut command = dir.command(&["run"]);
    command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped());
    let mut child = command.start();
    let lines = crate::running::read_until(&mut child, |line| line.contains("request: unsupported"));
    crate::running::terminate(&child);
    let ended = child.wait_with_output().expect("an end");
    assert_eq!(ended.status.code(), Some(0), "{lines:#?}");
}

#[test]
#[cfg(feature = "cow")]
fn a_module_that_requires_it_is_granted_it() {
    let dir = Dir::new();
    submitter(&dir, "required = [\"cow\"]");
    dir.write(
        "engine.toml",
        "[cow]\nrequests_per_second = 1\n[cow.1]\nbase_url = \"http://localhost\"\n",
    );
    let shown = dir.nexum(&["check", "cow-submitter.wasm"]).stdout;
    let domain = "orders of chain 1 go to http://localhost, signed for the contract \
                  0x9008D19f58AAbD9eD0D60971565AA8510560ab41 (domain separator \
                  0xc078f884a2676e1345748b1feace7b0abee5d00ecadb6e574dcdd109a63e8943)";
    assert!(shown.contains(domain), "{shown}");
    let ran = dir.nexum(&["check", "--format", "json", "cow-submitter.wasm"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert!(
        found["modules"][0]["capabilities"].to_string().contains("cow"),
        "{found}"
    );
    assert!(found["features"].to_string().contains("cow"), "{found}");
}

#[test]
#[cfg(feature = "cow")]
fn its_section_is_checked() {
    let dir = Dir::new();
    dir.write("engine.toml", "[cow.1]\nurl = \"http://user:secret@localhost\"\n");
    let ran = dir.nexum(&["run"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("cow.1.url: unknown key"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("secret"), "{}", ran.stderr);
}
