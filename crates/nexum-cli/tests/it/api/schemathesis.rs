//! Schemathesis sends requests that it makes of the document, and looks for faults of the server.

use std::process::Command;

use super::*;

/// The environment variable with the directory of Python's packages.
const PACKAGES: &str = "NEXUM_SCHEMATHESIS";

/// No response has a status, a media type or a body that the document does not describe, and none says
/// that the server failed.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,ignored_auth";

/// Values for the parameters of paths that exist. The other runs have random ones.
const EXISTING: &str = "[parameters]\nname = \"echo\"\nmodule = \"echo\"\n";

impl Running {
    /// Runs schemathesis with these arguments, and expects that it finds nothing.
    fn is_sound(&self, config: &str, args: &[&str]) {
        let packages = std::env::var_os(PACKAGES).unwrap_or_default();
        self.dir.write("schemathesis.toml", config);
        let mut command = Command::new("python3");
        command
            .env("PYTHONPATH", packages)
            .current_dir(self.dir.path())
            .args(["-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run"])
            .arg(format!("http://{}/v1/openapi.json", self.port))
            .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
            .args(["--checks", CHECKS, "--generation-deterministic", "--no-color"])
            // A stream of these has no end.
            .args([
                "--exclude-operation-id",
                "log_list",
                "--exclude-operation-id",
                "event_list",
            ])
            .args(args);
        let output = command.output().expect("python3");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(
            output.status.success(),
            "{text}\nWithout schemathesis: `cargo xtask test` fetches it, or set {PACKAGES}"
        );
    }
}

#[test]
fn no_random_request_finds_a_fault_of_the_server() {
    let running = Running::start("");
    running.is_sound("", &["--max-examples", "20"]);
    running.stop();
}

#[test]
fn no_random_request_to_an_existing_module_finds_a_fault_of_the_server() {
    let running = Running::start("");
    // The module must stay.
    let args = ["--max-examples", "10", "--exclude-operation-id", "module_remove"];
    running.is_sound(EXISTING, &args);
    assert_eq!(running.ask("GET /v1/modules", b"").json()[0]["stage"], "serving");
    running.stop();
}
