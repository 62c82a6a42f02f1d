//! Builds a module in Python, with `componentize-py`.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cache::{self, Cache};
use crate::compiled::Compiled;
use crate::progress::step;
use crate::tools::Wheel;
use crate::world::{Interface, WORLD, World, write_file};
use crate::{Error, Language, Options, Progress, Project, process};

/// The file with the handlers of the author.
const SOURCE: &str = "app.py";

/// The module that connects [`SOURCE`] with the contract.
const ENTRY: &str = "nexum_entry";

/// The tool. Its wheels carry Python for WebAssembly.
const TOOL: Wheel = Wheel {
    package: "componentize-py",
    version: "0.25.1",
    sha256: &[
        "8623cd8cab8453cb0cd8bf03f3c7103420d06f2f3d360186a280a70a1ca5e89f",
        "7b6a87c520358166843af0daa86d2312d7af4cbcbbf1e598951085cf7f2991ca",
        "a556991534cc496207a9d2ca733c4b0f17ed38ef56a8d6b5f1847fdf1225dd1b",
        "65fbc4a94df1de8acf7da50a1f5ed1711230188844e53e6332d99029be4e0afa",
    ],
};

/// The version of Python in the tool, which decides the packages that fit.
const PYTHON: &str = "3.14";

/// The SDK of modules in Python, which a build writes into the directory `nexum` of its output.
const SDK: [(&str, &str); 5] = [
    ("__init__.py", include_str!("python/nexum/__init__.py")),
    ("abi.py", include_str!("python/nexum/abi.py")),
    ("guest.py", include_str!("python/nexum/guest.py")),
    ("testing.py", include_str!("python/nexum/testing.py")),
    ("web.py", include_str!("python/nexum/web.py")),
];

/// Makes a component of the sources.
pub(crate) fn compile(project: &Project, _: &Options, progress: &dyn Progress) -> Result<Compiled, Error> {
    let world = World::of(project)?;
    let tool = tool(progress)?;
    let packages = prepare(project, progress)?;
    let output = project.output();
    let wit = world.write(&output, "init")?;
    let entry = output.join("entry");
    write_file(&entry.join(format!("{ENTRY}.py")), entry_point(&world).as_bytes())?;
    let mut python = Command::new("python3");
    // The tool writes the files of Python into it, and does not remove them after a signal.
    let temporary = process::temporary_directory(&mut python)?;
    let made = temporary.path().join("module.wasm");
    python.arg(tool.join("bin/componentize-py")).env("PYTHONPATH", &tool);
    // The tool would add the packages of an active environment to the module.
    python.env_remove("VIRTUAL_ENV");
    python
        .arg("--wit-path")
        .arg(&wit)
        .args(["--world", WORLD, "componentize", ENTRY]);
    // The project comes first: `guest.py` removes the name of the first directory from tracebacks.
    for directory in [Some(project.directory.clone()), Some(entry), Some(output), packages]
        .into_iter()
        .flatten()
    {
        python.arg("--python-path").arg(directory);
    }
    // WASI stays: through it, `print` and the messages of the interpreter reach the module's log.
    python.arg("--output").arg(&made).current_dir(&project.directory);
    let name = format!("compile {}", project.name);
    step(progress, &name, || process::stdout(&mut python, progress))?;
    Ok(Compiled {
        component: fs::read(&made).map_err(Error::file("read", &made))?,
        compiler: format!("componentize-py {}", TOOL.version),
        version: None,
    })
}

/// Writes the SDK, and installs the packages of the author. Returns the directory of the packages.
pub(crate) fn prepare(project: &Project, progress: &dyn Progress) -> Result<Option<PathBuf>, Error> {
    if !project.directory.join(SOURCE).exists() {
        return Err(Error::Project {
            path: project.directory.clone(),
            reason: format!("the directory has no {SOURCE}"),
            hint: Some(format!(
                "put the handlers into {SOURCE}; `nexum new --lang python` writes an example"
            )),
        });
    }
    let directory = project.output().join("nexum");
    SDK.iter()
        .try_for_each(|(name, text)| write_file(&directory.join(name), text.as_bytes()))?;
    packages(project, progress)
}

/// Installs the packages that the author lists, unless they are installed.
fn packages(project: &Project, progress: &dyn Progress) -> Result<Option<PathBuf>, Error> {
    let requirements = project.directory.join(Language::Python.file());
    let text = fs::read_to_string(&requirements).map_err(Error::file("read", &requirements))?;
    let is_package = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    if !text.lines().any(is_package) {
        return Ok(None);
    }
    let directory = project.output().join("packages");
    let stamp = directory.join(Language::Python.file());
    if fs::read_to_string(&stamp).is_ok_and(|found| found == text) {
        return Ok(Some(directory));
    }
    cache::remove(&directory)?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    // Native code of the machine does not run in a component.
    pip.args([
        "--only-binary=:all:",
        "--platform",
        "any",
        "--implementation",
        "py",
        "--abi",
        "none",
    ]);
    pip.args(["--python-version", PYTHON, "--target"]).arg(&directory);
    pip.arg("--requirement").arg(&requirements);
    let _temporary = process::temporary_directory(&mut pip)?;
    step(progress, "packages of requirements.txt", || {
        process::output(&mut pip, progress)
    })?;
    write_file(&stamp, text.as_bytes())?;
    Ok(Some(directory))
}

/// The command that runs the native tests of a project: the files `tests/test_*.py`.
pub(crate) fn test_command(project: &Project, progress: &dyn Progress) -> Result<Command, Error> {
    require_python("runs the tests of Python")?;
    let packages = prepare(project, progress)?;
    let directories = [Some(project.directory.clone()), Some(project.output()), packages];
    let path = env::join_paths(directories.into_iter().flatten()).unwrap_or_else(|_| OsString::new());
    let mut python = Command::new("python3");
    python.args(["-m", "unittest", "discover", "--start-directory", "tests"]);
    python.env("PYTHONPATH", path).env("PYTHONDONTWRITEBYTECODE", "1");
    python.current_dir(&project.directory);
    Ok(python)
}

/// The directory of the tool. Installs it first if it is absent.
fn tool(progress: &dyn Progress) -> Result<PathBuf, Error> {
    require_python("makes components of Python")?;
    let name = format!("{}-{}", TOOL.package, TOOL.version);
    Cache::of_user()?.once(&name, progress, |prefix: &Path| TOOL.install(prefix, progress))
}

fn require_python(use_of_it: &str) -> Result<(), Error> {
    if process::exists("python3") {
        return Ok(());
    }
    Err(Error::Unavailable {
        subject: format!("python3 is not on PATH, and nexum {use_of_it} with it"),
        hint: "install Python 3.10 or later with pip: on Debian, `apt install python3 python3-pip`".to_owned(),
    })
}

/// The file that connects the imports and exports of the world with the module of the author.
fn entry_point(world: &World) -> String {
    let import = |each: &Interface| format!("from wit_world.imports import {} as host_{0}\n", module(each));
    let imports: String = world.imports.iter().map(import).collect();
    let connected = |each: &Interface| format!("    \"{}\": host_{},\n", each.capability, module(each));
    let connected: String = world.imports.iter().map(connected).collect();
    let has_http = world.imports.iter().any(|each| each.capability == "http");
    let web = if has_http {
        "from nexum import web\n\nweb.install()\n"
    } else {
        ""
    };
    let on_event = "\n    def on_event(self, event):\n        guest.deliver(app, event)\n";
    let evaluate = "\n    def evaluate(self, input):\n        return guest.answer(app, input)\n";
    format!(
        "import wit_world\n\
         from componentize_py_types import Err\n\
         from wit_world.imports import types\n\
         {imports}\
         from nexum import guest\n\
         {web}\
         guest.install()\n\n\
         import app\n\n\
         guest.connect({{\n{connected}}}, lambda error: Err(error.to_record(types)))\n\n\
         class WitWorld(wit_world.WitWorld):\n    \
             def init(self, config):\n        guest.start(app, config)\n{}{}",
        if world.events { on_event } else { "" },
        if world.queries { evaluate } else { "" },
    )
}

/// The name of an interface as a module of Python.
fn module(interface: &Interface) -> String {
    interface.name().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files of the SDK have tests of their own.
    #[test]
    fn the_tests_of_the_sdk_pass() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/python");
        let mut shell = Command::new("sh");
        // The runner writes its summary to stderr.
        shell.args(["-c", "exec python3 -m unittest test_nexum 2>&1"]);
        shell.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(sources);
        let output = process::output(&mut shell, &crate::Silent).expect("the tests pass");
        assert!(output.contains("Ran 9 tests in "), "{output}");
    }
}
