//! The Rust compiler for guests: found on the machine, or made from Debian's packages.

pub mod apt;
mod debian;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nexum_config::names::Digest;

use crate::cache::{self, Cache};
use crate::{Error, Progress, process, progress};

/// The target of guests that see the host through `nexum:host` alone.
pub const BARE: &str = "wasm32-unknown-unknown";

/// The target of guests whose standard library imports WASI.
pub const WASI: &str = "wasm32-wasip2";

/// The environment variable that names the compiler for guests: the path of a `rustc`. It overrides
/// every other one.
pub const VARIABLE: &str = "NEXUM_GUEST_RUSTC";

/// The name of a made toolchain's directory begins with this.
const PREFIX: &str = "guest-toolchain-";

/// The most stored toolchains, of half a gigabyte each: the current one and the previous one.
const TOOLCHAINS_MAX: usize = 2;

/// The file that marks a toolchain's directory as complete. Its modification time is the time of the
/// last use.
const STAMP: &str = "stamp";

/// Settings for the compiler of the host, which do not suit guests.
const OF_THE_HOST: [&str; 4] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "RUSTC_WRAPPER",
];

/// A compiler with the targets of guests.
#[derive(Clone, Debug)]
pub struct Toolchain {
    origin: Origin,
    version: String,
}

#[derive(Clone, Debug)]
enum Origin {
    /// [`VARIABLE`] names this compiler.
    Named(PathBuf),
    /// The compiler that `rustc` on PATH selects for the project's directory.
    Active,
    /// The toolchain in this directory of the cache.
    Made(PathBuf),
}

impl Toolchain {
    /// Finds the compiler for a project in `directory`: the one that [`VARIABLE`] names, or else the
    /// active one if it has the `targets`, or else one that [`Toolchain::make`] has made.
    ///
    /// # Errors
    ///
    /// [`Error::Toolchain`] if no compiler has the targets, or another error if `rustc` cannot be
    /// asked.
    pub fn find(cache: &Cache, directory: &Path, targets: &[&str], progress: &dyn Progress) -> Result<Self, Error> {
        if let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
            let path = PathBuf::from(path);
            let named = Compiler::query(path.as_os_str().as_ref(), directory, progress)?;
            return match named.missing(targets) {
                None => Ok(Self::new(Origin::Named(path), named.version)),
                Some(target) => Err(Error::Toolchain {
                    compiler: VARIABLE,
                    version: named.version,
                    target: target.to_owned(),
                    hint: format!("name a rustc that has the target, or unset {VARIABLE}"),
                }),
            };
        }
        let active = Compiler::query("rustc".as_ref(), directory, progress)?;
        let Some(target) = active.missing(targets) else {
            return Ok(Self::new(Origin::Active, active.version));
        };
        let made = Made::of(cache, &active);
        match made.is_complete() {
            true => made.toolchain(directory, progress),
            false => Err(Error::Toolchain {
                compiler: "the active Rust toolchain",
                hint: match debian::has_linkers(&active) {
                    true => hint(target, debian::can_make(progress)),
                    false => without_linkers(target),
                },
                version: active.version,
                target: target.to_owned(),
            }),
        }
    }

    /// Makes a compiler with both targets from Debian's packages, in the cache, unless it is there.
    /// It takes one or two minutes and half a gigabyte. Installs nothing on the machine.
    ///
    /// # Errors
    ///
    /// [`Error::Make`] if the machine is no Debian, or if a step fails.
    pub fn make(cache: &Cache, directory: &Path, progress: &dyn Progress) -> Result<Self, Error> {
        let active = Compiler::query("rustc".as_ref(), directory, progress)?;
        let made = Made::of(cache, &active);
        let _lock = cache.lock(&made.name, progress)?;
        if !made.is_complete() {
            progress::step(progress, "guest toolchain", || made.make(cache, &active, progress)).map_err(|error| {
                match error {
                    Error::Interrupted => error,
                    error => Error::Make {
                        source: Box::new(error),
                    },
                }
            })?;
        }
        made.toolchain(directory, progress)
    }

    fn new(origin: Origin, version: String) -> Self {
        Self { origin, version }
    }

    /// The command `cargo NAME` in the directory of a project. Settings for the compiler of the host,
    /// in the environment of this process, do not reach it.
    pub fn cargo(&self, name: &str, directory: &Path) -> Command {
        let mut cargo = match &self.origin {
            Origin::Made(prefix) if name == "clippy" => Command::new(debian::cargo_clippy(prefix)),
            _ => Command::new("cargo"),
        };
        cargo.arg(name).current_dir(directory);
        for variable in OF_THE_HOST {
            cargo.env_remove(variable);
        }
        match &self.origin {
            Origin::Named(rustc) => cargo.env("RUSTC", rustc),
            Origin::Made(prefix) => cargo.env("RUSTC", debian::rustc(prefix)),
            Origin::Active => &mut cargo,
        };
        cargo
    }
}

/// The compiler and where it comes from.
impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = &self.version;
        match &self.origin {
            Origin::Named(path) => write!(f, "{version}, {VARIABLE} is {}", path.display()),
            Origin::Active => write!(f, "{version}, the active toolchain"),
            Origin::Made(prefix) => write!(f, "{version}, made from Debian's packages in {}", prefix.display()),
        }
    }
}

/// The commands that add a target to the active toolchain of rustup, or make one that has it.
fn hint(target: &str, can_make: bool) -> String {
    let add = format!("`rustup target add {target}`");
    match can_make {
        true => format!(
            "run `nexum build --make-toolchain`, which makes a compiler from Debian's packages in the user's cache, or {add}"
        ),
        false => format!("run {add}"),
    }
}

/// The commands that install a toolchain with a target, for a machine whose compiler has no linkers for
/// wasm, as Debian's.
fn without_linkers(target: &str) -> String {
    format!("install rustup, and run `rustup default stable` and `rustup target add {target}`")
}

/// A toolchain from Debian's packages, made or to be made, for an active compiler.
struct Made {
    name: String,
    prefix: PathBuf,
    recipe: String,
}

impl Made {
    fn of(cache: &Cache, active: &Compiler) -> Self {
        let recipe = format!("{}\n{}\n", debian::RECIPE, active.version);
        let digest = Digest::of(recipe.as_bytes());
        let key: String = digest
            .as_bytes()
            .iter()
            .take(4)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let name = format!("{PREFIX}{key}");
        Self {
            prefix: cache.tools().join(&name),
            name,
            recipe,
        }
    }

    fn is_complete(&self) -> bool {
        self.prefix.join(STAMP).exists()
    }

    fn make(&self, cache: &Cache, active: &Compiler, progress: &dyn Progress) -> Result<(), Error> {
        // The toolchain has its own path in it, so it cannot be made elsewhere and moved.
        cache::remove(&self.prefix)?;
        debian::make(&self.prefix, active, progress)?;
        self.stamp()?;
        let made = cache::by_use(&cache.tools(), PREFIX, STAMP);
        made.iter().skip(TOOLCHAINS_MAX).try_for_each(|old| cache::remove(old))
    }

    /// Records the use.
    fn stamp(&self) -> Result<(), Error> {
        let stamp = self.prefix.join(STAMP);
        fs::write(&stamp, &self.recipe).map_err(Error::file("write", &stamp))
    }

    fn toolchain(self, directory: &Path, progress: &dyn Progress) -> Result<Toolchain, Error> {
        self.stamp()?;
        let made = Compiler::query(&debian::rustc(&self.prefix), directory, progress)?;
        Ok(Toolchain::new(Origin::Made(self.prefix), made.version))
    }
}

/// A `rustc`, as it describes itself.
#[derive(Debug)]
struct Compiler {
    version: String,
    host: String,
    sysroot: PathBuf,
}

impl Compiler {
    /// Asks the `rustc` that a project in `directory` gets.
    fn query(rustc: &Path, directory: &Path, progress: &dyn Progress) -> Result<Self, Error> {
        let ask = |question: [&str; 2]| {
            let mut command = Command::new(rustc);
            process::output(command.current_dir(directory).args(question), progress)
        };
        let (version, sysroot) = (ask(["--version", "--verbose"])?, ask(["--print", "sysroot"])?);
        Self::parse(&version, &sysroot).ok_or_else(|| Error::Output {
            command: format!("{} --version --verbose", rustc.display()),
            reason: "it has no host".to_owned(),
        })
    }

    fn parse(version: &str, sysroot: &str) -> Option<Self> {
        let host = version.lines().find_map(|line| line.strip_prefix("host: "))?;
        let version = version.lines().next()?;
        Some(Self {
            version: version.into(),
            host: host.into(),
            sysroot: sysroot.trim_end().into(),
        })
    }

    /// The first of the targets without a standard library.
    fn missing<'a>(&self, targets: &[&'a str]) -> Option<&'a str> {
        targets.iter().find(|target| !has_std(&self.sysroot, target)).copied()
    }

    /// The directory of the linkers for wasm, which every toolchain of rustup's has, whatever its targets.
    fn linkers(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(&self.host).join("bin")
    }
}

/// Whether a sysroot has the standard library for a target.
fn has_std(sysroot: &Path, target: &str) -> bool {
    let Ok(entries) = fs::read_dir(sysroot.join("lib/rustlib").join(target).join("lib")) else {
        return false;
    };
    entries
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: &str = "rustc 1.95.0 (abc 2026-01-01)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\n";

    #[test]
    fn reads_what_rustc_says_of_itself() {
        let compiler = Compiler::parse(VERSION, "/opt/rust\n").expect("complete");
        assert_eq!(compiler.version, "rustc 1.95.0 (abc 2026-01-01)");
        assert_eq!(
            compiler.linkers(),
            Path::new("/opt/rust/lib/rustlib/x86_64-unknown-linux-gnu/bin")
        );
        assert!(Compiler::parse("rustc 1.95.0\n", "/opt/rust\n").is_none());
    }

    #[test]
    fn finds_the_target_that_a_sysroot_lacks() {
        let sysroot = tempfile::tempdir().expect("temporary directory");
        let compiler = Compiler {
            sysroot: sysroot.path().to_owned(),
            ..Compiler::parse(VERSION, "/opt/rust\n").expect("complete")
        };
        assert_eq!(compiler.missing(&[BARE, WASI]), Some(BARE));
        let library = sysroot.path().join("lib/rustlib").join(BARE).join("lib");
        fs::create_dir_all(&library).expect("a directory");
        fs::write(library.join("libstd-1.rlib"), "").expect("a library");
        assert_eq!(compiler.missing(&[BARE, WASI]), Some(WASI));
        assert_eq!(compiler.missing(&[BARE]), None);
    }

    #[test]
    fn the_hint_is_a_command_to_type() {
        assert_eq!(hint(BARE, false), "run `rustup target add wasm32-unknown-unknown`");
        assert_eq!(
            hint(BARE, true),
            "run `nexum build --make-toolchain`, which makes a compiler from Debian's packages in the user's cache, or \
             `rustup target add wasm32-unknown-unknown`"
        );
    }
}
