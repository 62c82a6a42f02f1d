//! The local Ethereum node that the demo and the tests run against.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::{cache, process, tools};

/// The version that is fetched where none is installed.
const VERSION: &str = "1.7.1";

/// A chain that every part of the project knows, CoW Protocol's libraries included: Sepolia.
pub(crate) const CHAIN_ID: u64 = 11_155_111;

/// The environment variable in which tests and benches find it.
pub(crate) const VARIABLE: &str = "NEXUM_ANVIL";

/// How many lines anvil may print before the one that names its address: far more than its banner has.
const BANNER_LINES_MAX: usize = 200;

/// The anvil to run: the one on PATH, else one from npm, fetched once.
pub(crate) fn ensure() -> Result<PathBuf> {
    if process::exists("anvil") {
        return Ok("anvil".into());
    }
    let prefix = cache::once(&format!("anvil-{VERSION}"), |prefix| {
        // The package's script only copies the binary, which is used where it is.
        tools::install_from_npm(&format!("@foundry-rs/anvil@{VERSION}"), prefix)
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

/// The npm package with this machine's binary.
fn platform_package() -> String {
    let system = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let machine = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    format!("anvil-{system}-{machine}")
}

/// A running anvil, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Anvil {
    child: Child,
    address: String,
}

impl Anvil {
    /// Starts one on a free port, with these arguments.
    pub(crate) fn start(arguments: &[&str]) -> Result<Self> {
        Self::start_chain(CHAIN_ID, arguments)
    }

    /// As [`Self::start`], with another chain.
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

        // From here on nobody reads what it says, and it must not wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let anvil = Self {
            child,
            address: address.unwrap_or_default(),
        };
        ensure!(!anvil.address.is_empty(), "anvil did not say where it listens");
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
        // It may have ended by itself, which is as good.
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
