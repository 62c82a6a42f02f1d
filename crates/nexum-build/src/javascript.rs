//! Builds a module in JavaScript, with `componentize-qjs` on Node.js.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::cache::Cache;
use crate::compiled::Compiled;
use crate::progress::step;
use crate::rename::rename_exports;
use crate::tools::install_locked_from_npm;
use crate::world::{Interface, WORLD, World, write_file};
use crate::{Error, Options, Progress, Project, process};

/// The file with the handlers of the author.
const SOURCE: &str = "src/module.js";

/// The version of `componentize-qjs`, which the lock file has too.
const VERSION: &str = "0.4.5";

/// The packages to install, and the lock file that pins each by version and digest.
const PACKAGE: &str = include_str!("javascript/package.json");
const LOCK: &str = include_str!("javascript/package-lock.json");

/// The SDK of modules in JavaScript, which a build writes into the directory `nexum` of its output.
const SDK: [(&str, &str); 8] = [
    ("abi.d.ts", include_str!("javascript/abi.d.ts")),
    ("abi.js", include_str!("javascript/abi.js")),
    ("engine.js", include_str!("javascript/engine.js")),
    ("guest.js", include_str!("javascript/guest.js")),
    ("nexum.d.ts", include_str!("javascript/nexum.d.ts")),
    ("nexum.js", include_str!("javascript/nexum.js")),
    ("testing.js", include_str!("javascript/testing.js")),
    ("web.js", include_str!("javascript/web.js")),
];

/// The name of the export `init` in the world that the tool gets. The engine has an export `init` of its
/// own, and the tool panics on a second one.
const INIT: &str = "nexum-init";

/// The names of the component's exports, and the names that they get.
const NAMES: [(&str, &str); 2] = [("init", "runtime-init"), (INIT, "init")];

/// Makes a component of the sources.
pub(crate) fn compile(project: &Project, _: &Options, progress: &dyn Progress) -> Result<Compiled, Error> {
    let world = World::of(project)?;
    let tool = tool(progress)?;
    prepare(project)?;
    let output = project.output();
    let wit = world.write(&output, INIT)?;
    let entry = output.join("entry.js");
    write_file(&entry, entry_point(&world).as_bytes())?;
    let mut node = Command::new("node");
    let temporary = process::temporary_directory(&mut node)?;
    let made = temporary.path().join("module.wasm");
    node.arg(&tool)
        .arg("--wit")
        .arg(&wit)
        .args(["--world", WORLD, "--js"])
        .arg(&entry);
    // WASI stays: through it, the messages of the engine reach the module's log.
    node.arg("--module-root")
        .arg(&project.directory)
        .arg("--sync")
        .arg("--output")
        .arg(&made);
    node.current_dir(&project.directory);
    let name = format!("compile {}", project.name);
    step(progress, &name, || process::stdout(&mut node, progress))?;
    let component = fs::read(&made).map_err(Error::file("read", &made))?;
    Ok(Compiled {
        component: rename_exports(&project.name, &component, &NAMES)?,
        compiler: format!("componentize-qjs {VERSION}"),
        version: None,
    })
}

/// Writes the files that tests and editors need beside the sources.
pub(crate) fn prepare(project: &Project) -> Result<(), Error> {
    let source = project.directory.join(SOURCE);
    if !source.exists() {
        return Err(Error::Project {
            path: project.directory.clone(),
            reason: format!("the directory has no {SOURCE}"),
            hint: Some(format!(
                "put the handlers into {SOURCE}; `nexum new --lang js` writes an example"
            )),
        });
    }
    let directory = project.output().join("nexum");
    SDK.iter()
        .try_for_each(|(name, text)| write_file(&directory.join(name), text.as_bytes()))
}

/// The command that runs the native tests of a project.
pub(crate) fn test_command(project: &Project) -> Result<Command, Error> {
    require_node("runs the tests of JavaScript")?;
    prepare(project)?;
    let mut node = Command::new("node");
    node.arg("--test").current_dir(&project.directory);
    Ok(node)
}

/// The path of the tool. Installs it first if it is absent.
fn tool(progress: &dyn Progress) -> Result<std::path::PathBuf, Error> {
    require_node("makes components of JavaScript")?;
    let install = |prefix: &Path| install_locked_from_npm(PACKAGE, LOCK, prefix, progress);
    let name = format!("componentize-qjs-{VERSION}");
    let prefix = Cache::of_user()?.once(&name, progress, install)?;
    Ok(prefix.join("node_modules/componentize-qjs/bin/componentize-qjs"))
}

fn require_node(use_of_it: &str) -> Result<(), Error> {
    if process::exists("node") {
        return Ok(());
    }
    Err(Error::Unavailable {
        subject: format!("node is not on PATH, and nexum {use_of_it} with it"),
        hint: "install Node.js 20 or later with npm: on Debian, `apt install nodejs npm`".to_owned(),
    })
}

/// The file that connects the imports and exports of the world with the module of the author.
fn entry_point(world: &World) -> String {
    let import = |each: &Interface| format!("import {} from \"{}\";\n", variable(each), each.full_name());
    let imports: String = world.imports.iter().map(import).collect();
    let connected = |each: &Interface| format!("  \"{}\": {},\n", each.capability, variable(each));
    let connected: String = world.imports.iter().map(connected).collect();
    let on_event = "\nexport function onEvent(event) {\n  deliver(module, event);\n}\n";
    let evaluate = "\nexport function evaluate(input) {\n  return answer(module, input);\n}\n";
    format!(
        "import \"./nexum/engine.js\";\n\
         import {{ connect }} from \"./nexum/nexum.js\";\n\
         import {{ answer, deliver, start }} from \"./nexum/guest.js\";\n\
         {imports}import * as module from \"../{SOURCE}\";\n\n\
         connect({{\n{connected}}});\n\n\
         export function nexumInit(config) {{\n  start(module, config);\n}}\n{}{}",
        if world.events { on_event } else { "" },
        if world.queries { evaluate } else { "" },
    )
}

/// The variable of an interface, which is no word of the language.
fn variable(interface: &Interface) -> String {
    format!("host_{}", interface.name().replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_the_tool() {
        let package: serde_json::Value = serde_json::from_str(PACKAGE).expect("JSON");
        assert_eq!(package["dependencies"]["componentize-qjs"], VERSION);
        let lock: serde_json::Value = serde_json::from_str(LOCK).expect("JSON");
        let packages = lock["packages"].as_object().expect("packages");
        assert_eq!(packages["node_modules/componentize-qjs"]["version"], VERSION);
        for (path, package) in packages.iter().filter(|(path, _)| !path.is_empty()) {
            let integrity = package["integrity"].as_str().unwrap_or_default();
            assert!(integrity.starts_with("sha512-"), "{path}: {integrity}");
        }
    }

    /// The files of the SDK have tests for Node.js, whose platform they stand in for.
    #[test]
    fn the_tests_of_the_sdk_pass() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/javascript");
        let mut node = Command::new("node");
        // The default reporter depends on the version of Node.js.
        node.args(["--test", "--test-reporter=tap"])
            .args(["testing.test.js", "web.test.js"].map(|name| sources.join(name)));
        let output = process::output(&mut node, &crate::Silent).expect("the tests pass");
        assert!(output.contains("# pass 10\n"), "{output}");
    }
}
