//! Builds a module in C, with `clang` and the bindings of `wit-bindgen`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

use crate::cache::Cache;
use crate::compiled::Compiled;
use crate::component::encode;
use crate::progress::step;
use crate::tools::Wheel;
use crate::world::{World, write_file};
use crate::{Error, Options, Progress, Project, process};

/// The environment variable that names an unpacked wasi-sdk, whose `clang` then compiles modules.
const VARIABLE: &str = "WASI_SDK_PATH";

/// The compiler of a machine without [`VARIABLE`]: clang, its linker and the C library of WASI in one
/// package, as `zig cc`.
const ZIG: Wheel = Wheel {
    package: "ziglang",
    version: "0.17.1",
    sha256: &[
        "ea6cc5d87b033cf0aedfbc8f9549a908cae6c50ac31f1698188fa48a74524b54",
        "b7c5f02fccd40f89b999ee16a1f5ddced56e6182370f8affe494bcf8a28cf07e",
        "09953b6af7f64168b915180a42774f520f92d86ef6331b28e33915c7e1f0bb23",
        "4e0b4b9c02b8d0d220e9948010f860b62ff11d96abb39762eca5fa2ef3f7bc97",
    ],
};

/// The SDK of modules in C, which a build writes into the directory `nexum` of its output, beside the
/// bindings.
const SDK: [(&str, &str); 7] = [
    ("abi.c", include_str!("c/abi.c")),
    ("abi.h", include_str!("c/abi.h")),
    ("json.c", include_str!("c/json.c")),
    ("nexum.c", include_str!("c/nexum.c")),
    ("nexum.h", include_str!("c/nexum.h")),
    (FAKE, include_str!("c/testing.c")),
    ("testing.h", include_str!("c/testing.h")),
];

/// The fake of the host, which stands in for the bindings in a native test.
const FAKE: &str = "testing.c";

/// The source of the bindings.
const BINDINGS: &str = "contract.c";

/// The directory of the native test, in a project.
const TESTS: &str = "test";

/// The compiler of native tests, which is that of the machine.
const NATIVE: &str = "cc";

/// The program of a native test, in a project.
const TEST_PROGRAM: &str = "build/test";

/// The options of every compiler.
const COMMON: [&str; 5] = ["-std=c17", "-Wall", "-Wextra", "-Isrc", "-Ibuild/nexum"];

/// The options of the compiler: small code, and no entry point, because the host calls exports.
const OPTIONS: [&str; 5] = [
    "-Os",
    "-mexec-model=reactor",
    "-Wl,--gc-sections",
    "-Wl,--strip-debug",
    // 256 KiB: four times the stack of wasi-sdk. The default of zig is 16 MiB, for each instance.
    "-Wl,-z,stack-size=262144",
];

/// Compiles the sources to a component.
pub(crate) fn compile(project: &Project, _: &Options, progress: &dyn Progress) -> Result<Compiled, Error> {
    let world = World::of(project)?.with_all_imports();
    let compiler = Compiler::find(progress)?;
    let sources = sources(project, "src")?;
    let generated = prepare(project, &world)?;
    let mut clang = compiler.command();
    let temporary = process::temporary_directory(&mut clang)?;
    let made = temporary.path().join("module.wasm");
    // Relative paths, which the messages of the module have.
    clang
        .current_dir(&project.directory)
        .args(COMMON)
        .args(OPTIONS)
        .args(definitions(&world));
    let is_fake = |path: &PathBuf| path.ends_with(FAKE);
    clang
        .args(sources)
        .args(generated.into_iter().filter(|path| !is_fake(path)));
    clang.arg("-o").arg(&made);
    let name = format!("compile {}", project.name);
    step(progress, &name, || process::run(&mut clang, progress))?;
    let module = fs::read(&made).map_err(Error::file("read", &made))?;
    Ok(Compiled {
        component: encode(&project.name, module)?,
        compiler: compiler.to_string(),
        version: None,
    })
}

/// The command that runs the native test of a project: the program of the module, the files of `test/` and the
/// fake of the host, which it compiles first. `None` for a project without the directory `test`.
pub(crate) fn test_command(project: &Project, progress: &dyn Progress) -> Result<Option<Command>, Error> {
    if !project.directory.join(TESTS).exists() {
        return Ok(None);
    }
    if !process::exists(NATIVE) {
        return Err(Error::Unavailable {
            subject: format!("{NATIVE} is not on PATH, and nexum compiles the tests of C with it"),
            hint: "install a C compiler: on Debian, `apt install gcc`".to_owned(),
        });
    }
    let world = World::of(project)?.with_all_imports();
    let generated = prepare(project, &world)?;
    let is_binding = |path: &PathBuf| path.ends_with(BINDINGS) || path.extension().is_some_and(|found| found == "o");
    let mut cc = Command::new(NATIVE);
    cc.current_dir(&project.directory)
        .args(COMMON)
        .arg("-g")
        .args(definitions(&world));
    cc.args(sources(project, "src")?).args(sources(project, TESTS)?);
    cc.args(generated.into_iter().filter(|path| !is_binding(path)));
    cc.args(["-o", TEST_PROGRAM]);
    step(progress, "compile the tests", || process::run(&mut cc, progress))?;
    let mut tests = Command::new(project.directory.join(TEST_PROGRAM));
    tests.current_dir(&project.directory);
    Ok(Some(tests))
}

/// The options that select the exports of the world.
fn definitions(world: &World) -> impl Iterator<Item = &'static str> + use<> {
    let parts = [(world.events, "-DNEXUM_EVENTS"), (world.queries, "-DNEXUM_QUERIES")];
    parts.into_iter().filter(|(has, _)| *has).map(|(_, define)| define)
}

/// The author's files in a directory of the project, relative to the project.
fn sources(project: &Project, name: &str) -> Result<Vec<PathBuf>, Error> {
    let directory = project.directory.join(name);
    let entries = fs::read_dir(&directory).map_err(Error::file("read", &directory))?;
    let names = entries
        .flatten()
        .map(|entry| PathBuf::from(name).join(entry.file_name()));
    let mut sources: Vec<_> = names
        .filter(|path| path.extension().is_some_and(|found| found == "c"))
        .collect();
    sources.sort();
    Ok(sources)
}

/// Writes the SDK and the bindings. Returns the files to compile for a component or a native test, relative to the
/// project.
fn prepare(project: &Project, world: &World) -> Result<Vec<PathBuf>, Error> {
    let output = project.output();
    let wit = world.write(&output, "init")?;
    let bindings = bindings(&wit).map_err(|error| Error::Encode {
        name: project.name.clone(),
        reason: format!("the contract has no bindings in C: {error}"),
    })?;
    let sdk = SDK.iter().map(|(name, text)| (*name, text.as_bytes()));
    let mut compiled = Vec::new();
    for (name, content) in sdk.chain(bindings.iter()) {
        write_file(&output.join("nexum").join(name), content)?;
        if !name.ends_with(".h") {
            compiled.push(Path::new("build/nexum").join(name));
        }
    }
    Ok(compiled)
}

/// The bindings of the world in a directory: a header, a source, and an object with the world's
/// description.
fn bindings(wit: &Path) -> Result<Files, Box<dyn std::error::Error + Send + Sync>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit)?;
    let world = resolve.select_world(&[package], None)?;
    let mut files = Files::default();
    wit_bindgen_c::Opts::default()
        .build()
        .generate(&mut resolve, world, &mut files)?;
    Ok(files)
}

/// A compiler of C for WASI.
#[derive(Debug)]
enum Compiler {
    /// The wasi-sdk in this directory.
    WasiSdk(PathBuf),
    /// The package [`ZIG`], installed in this directory.
    Zig(PathBuf),
}

impl Compiler {
    /// The compiler that [`VARIABLE`] names, else that of the cache. Installs it first if it is absent.
    fn find(progress: &dyn Progress) -> Result<Self, Error> {
        if let Some(directory) = env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
            return Self::of_wasi_sdk(directory.into());
        }
        if !process::exists("python3") {
            return Err(Error::Unavailable {
                subject: "python3 is not on PATH, and nexum fetches a compiler of C with its pip".to_owned(),
                hint: format!(
                    "install it (on Debian, `apt install python3 python3-pip`), or name the directory of a wasi-sdk \
                     in the environment variable {VARIABLE}"
                ),
            });
        }
        let name = format!("{}-{}", ZIG.package, ZIG.version);
        let install = |prefix: &Path| ZIG.install(prefix, progress);
        Ok(Self::Zig(Cache::of_user()?.once(&name, progress, install)?))
    }

    fn of_wasi_sdk(directory: PathBuf) -> Result<Self, Error> {
        if directory.join("bin/clang").exists() {
            return Ok(Self::WasiSdk(directory));
        }
        Err(Error::Unavailable {
            subject: format!("{VARIABLE} names {}, which has no bin/clang", directory.display()),
            hint: format!("name the directory of a wasi-sdk, or unset {VARIABLE}"),
        })
    }

    fn command(&self) -> Command {
        match self {
            Self::WasiSdk(directory) => {
                let mut clang = Command::new(directory.join("bin/clang"));
                // With the stack first, an overflow traps, and does not overwrite the static data.
                // zig has this order without the option.
                clang.args(["--target=wasm32-wasip1", "-Wl,--stack-first"]);
                clang
            }
            Self::Zig(directory) => {
                let mut zig = Command::new(directory.join("ziglang/zig"));
                zig.args(["cc", "-target", "wasm32-wasi"]);
                // The compiled C library is the same for every project.
                for variable in ["ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"] {
                    zig.env(variable, directory.join("cache"));
                }
                zig
            }
        }
    }
}

/// The compiler, and where it comes from.
impl std::fmt::Display for Compiler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::WasiSdk(directory) => write!(f, "clang of {}", directory.display()),
            Self::Zig(_) => write!(f, "clang of {} {}", ZIG.package, ZIG.version),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stack_of_a_wasi_sdk_is_below_the_static_data() {
        let command = Compiler::WasiSdk("/sdk".into()).command();
        assert!(command.get_args().any(|option| option == "-Wl,--stack-first"));
    }
}
