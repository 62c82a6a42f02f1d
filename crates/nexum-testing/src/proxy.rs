//! Tests about the proxy that the environment names.

use std::process::Command;

/// The command that runs the test `name` of this test binary in a process with `proxy` as the
/// environment's proxy. The test recognises that process by a variable that the caller adds. It
/// needs a process of its own, because all threads of a process share one environment.
///
/// # Panics
///
/// If the test binary has no path.
pub fn run_with_proxy(name: &str, proxy: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the test binary"));
    command
        .args(["--exact", name, "--nocapture"])
        .env_remove("NO_PROXY")
        .env_remove("no_proxy");
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env(variable, proxy).env(variable.to_lowercase(), proxy);
    }
    command
}
