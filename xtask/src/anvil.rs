//! The local Ethereum node of the demo and the tests.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use nexum_build::tools::install_from_npm;

use crate::{
    cache,
    process::{self, Steps},
};

/// The version to download if anvil is not installed.
const VERSION: &str = "1.7.1";

/// Sepolia, a chain that every part of the project supports, including CoW Protocol's libraries.
pub(crate) const CHAIN_ID: u64 = 11_155_111;

/// The environment variable that contains the path of anvil for tests and benches.
pub(crate) const VARIABLE: &str = "NEXUM_ANVIL";

/// The most lines before anvil's address. Its banner has far fewer.
const BANNER_LINES_MAX: usize = 200;

/// Returns the path of anvil: on PATH, or from npm, downloaded once.
pub(crate) fn ensure() -> Result<PathBuf> {
    if process::exists("anvil") {
        return Ok("anvil".into());
    }
    let prefix = cache::once(&format!("anvil-{VERSION}"), |prefix| {
        // The package's script only copies the binary, which is used where it is.
        install_from_npm(&format!("@foundry-rs/anvil@{VERSION}"), prefix, &Steps)
            .map_err(process::explain)
            .context("anvil is not on PATH either; you can install Foundry")
    })?;
    let binary = prefix
        .join("node_modules/@foundry-rs")
        .join(platform_package())
        .join("bin/anvil");
    ensure!(
        binary.exists(),
        "npm has no anvil for this machine; install Foundry, so that anvil is on PATH"
    );
    Ok(binary)
}

/// The npm package with the binary for this machine.
fn platform_package() -> String {
    let system = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let machine = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    format!("anvil-{system}-{machine}")
}

/// A running anvil. Dropping the value kills it.
#[derive(Debug)]
pub(crate) struct Anvil {
    child: Child,
    address: String,
}

impl Anvil {
    /// Starts anvil on a free port with these arguments, as the chain [`CHAIN_ID`].
    pub(crate) fn start(arguments: &[&str]) -> Result<Self> {
        Self::start_chain(CHAIN_ID, arguments)
    }

    /// Starts anvil on a free port with these arguments, as the given chain.
    pub(crate) fn start_chain(chain_id: u64, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(ensure()?);
        command
            .args(["--port", "0", "--chain-id", &chain_id.to_string()])
            .args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start `{}`", process::line(&command)))?;
        let mut lines = BufReader::new(child.stdout.take().context("anvil has no output")?).lines();
        let address = lines
            .by_ref()
            .take(BANNER_LINES_MAX)
            .map_while(Result::ok)
            .find_map(|line| read_address(&line));

        // A thread reads the remaining output, so that a full pipe never blocks anvil.
        std::thread::spawn(move || lines.for_each(drop));
        let anvil = Self {
            child,
            address: address.unwrap_or_default(),
        };
        ensure!(!anvil.address.is_empty(), "anvil did not print its address");
        Ok(anvil)
    }

    pub(crate) fn http_url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn ws_url(&self) -> String {
        format!("ws://{}", self.address)
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // The process may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_address(line: &str) -> Option<String> {
    line.strip_prefix("Listening on ")
        .map(|address| address.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_where_anvil_listens() {
        assert_eq!(
            read_address("Listening on 127.0.0.1:45939").as_deref(),
            Some("127.0.0.1:45939")
        );
        assert_eq!(read_address("Block Number: 1"), None);
    }
}
