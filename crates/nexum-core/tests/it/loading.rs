//! Modules that are refused before any guest code runs, and the texts of the errors.

use std::path::{Path, PathBuf};

use nexum_config::component::{COMPONENT_BYTES_MAX, ComponentFile};
use nexum_core::LoadErrors;
use nexum_core::engine::{ChildProgram, Compiler, Engine, EngineConfig};
use nexum_core::module::Candidate;
use nexum_host_store::LocalStore;
use nexum_testing::{Records, guests};

use crate::support::{Setup, module_at};

/// A directory for this test, with a component.
pub(crate) fn module_dir(test: &str, bytes: &[u8], manifest: Option<&str>) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("loading").join(test);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("a directory");
    std::fs::write(dir.join("module.wasm"), bytes).expect("a component");
    if let Some(manifest) = manifest {
        std::fs::write(dir.join("nexum.toml"), manifest).expect("a manifest");
    }
    dir.join("module.wasm")
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(guests::component(name)).expect("a fixture")
}

/// The text of the errors, without directories of this machine.
fn render(errors: &LoadErrors) -> String {
    let guest = guests::component("noop");
    let guests = guest.ancestors().nth(2).expect("a directory");
    let text = format!("{errors}\n").replace(&format!("{}/", env!("CARGO_TARGET_TMPDIR")), "");
    text.replace(&format!("{}/", guests.display()), "")
}

/// Compares with a snapshot, except for numbers that depend on the guests' compiler.
macro_rules! assert_said {
    ($said:expr) => {
        insta::with_settings!({filters => vec![
            (r"offset 0x[0-9a-f]+", "offset <offset>"),
            (r"needs \d+ core", "needs <count> core"),
        ]}, { insta::assert_snapshot!($said) })
    };
}

/// The loader's errors for this component with this manifest.
fn refuse(test: &str, bytes: &[u8], manifest: Option<&str>, keys: &str) -> String {
    let path = module_dir(test, bytes, manifest);
    let mut setup = Setup::new();
    setup.capabilities = crate::support::with_the_contract(setup.capabilities.with(LocalStore));
    let config = setup.parse_config();
    let errors = setup
        .loader(&config)
        .inspect(&module_at(&path, keys))
        .expect_err("a refusal");
    render(&errors)
}

/// A manifest that requires these capabilities.
fn asks(required: &str) -> String {
    format!("[capabilities]\nrequired = [{required}]\n")
}

#[test]
fn an_import_that_was_not_granted_is_refused_by_name() {
    let bytes = fixture("slow-host");
    let mut said = refuse("not-requested", &bytes, Some(&asks("\"store\"")), "");
    let some = "[capabilities]\nrequired = [\"chain\"]\noptional = [\"cow\", \"store\"]\ndenied = [\"messaging\"]\n";
    said += &refuse("several", &fixture("all-imports"), Some(some), "");
    said += &refuse("present", &fixture("trap-after-writes"), Some(&asks("")), "");
    said += &refuse("denied", &bytes, Some("[capabilities]\ndenied = [\"chain\"]\n"), "");
    said += &refuse("absent", &bytes, Some(&asks("\"chain\"")), "");
    said += &refuse("no-table", &bytes, Some("[module]\nname = \"x\"\n"), "");
    said += &refuse(
        "ambient",
        &fixture("recorder"),
        Some("[capabilities]\ndenied = [\"logging\"]\n"),
        "",
    );
    insta::assert_snapshot!(said);
}

#[test]
fn a_capability_that_does_not_exist_is_refused_with_the_nearest() {
    let bytes = fixture("noop");
    let mut said = refuse("unknown", &bytes, Some(&asks("\"stor\", \"loging\"")), "");
    said += &refuse(
        "settings",
        &bytes,
        Some("[capabilities]\nrequired = [\"htp\"]\n[capabilities.htp]\nallow = []\n"),
        "",
    );
    let denied = "[capabilities]\ndenied = [\"mesaging\"]\n[module.mesaging]\n";
    said += &refuse("denied-unknown", &bytes, Some(denied), "");
    insta::assert_snapshot!(said);
}

/// The warnings about a module that loads, without directories of this machine.
fn warned(test: &str, bytes: &[u8], manifest: &str) -> String {
    let path = module_dir(test, bytes, Some(manifest));
    let mut setup = Setup::new();
    setup.capabilities = crate::support::with_the_contract(setup.capabilities.with(LocalStore));
    let config = setup.parse_config();
    let candidate = setup.loader(&config).inspect(&module_at(&path, "name = \"m\""));
    let warnings = candidate.expect("a candidate").warnings.join("\n");
    warnings.replace(&format!("{}/", env!("CARGO_TARGET_TMPDIR")), "")
}

const SUBSCRIPTION: &str = "[[subscription]]\nkind = \"cron\"\nschedule = \"* * * * *\"\n";

#[test]
fn an_import_that_no_build_serves_is_one_warning() {
    let bytes = fixture("all-imports");
    let manifest = |required: &str, optional: &str| {
        format!(
            "[capabilities]\nrequired = [{required}]\noptional = [\"chain\", \"cow\", \"http\", \"store\"{optional}]\n{SUBSCRIPTION}"
        )
    };
    let required = manifest("\"messaging\", \"remote-store\"", ", \"identity\"");
    insta::assert_snapshot!(warned("unserved", &bytes, &required), @"no version of nexum serves nexum:host/remote-store@0.2.0, nexum:host/messaging@0.2.0 yet: the calls return `unsupported`");
    let mixed = manifest("\"messaging\"", ", \"identity\", \"remote-store\"");
    insta::assert_snapshot!(warned("unserved-mixed", &bytes, &mixed), @"no version of nexum serves nexum:host/messaging@0.2.0 yet: the calls return `unsupported`");
    let optional = manifest("", ", \"identity\", \"messaging\", \"remote-store\"");
    assert_eq!(warned("unserved-optional", &bytes, &optional), "");
    // A module that does not import the interface misses nothing.
    let unused = format!("{}{SUBSCRIPTION}", asks("\"messaging\""));
    assert_eq!(warned("unserved-unused", &fixture("noop"), &unused), "");
}

#[test]
fn an_optional_capability_that_does_not_exist_is_a_warning() {
    let manifest = format!(
        "[capabilities]\noptional = [\"wasi-env\", \"store\"]\n[capabilities.wasi-env]\nkey = 1\n{SUBSCRIPTION}"
    );
    insta::assert_snapshot!(
        warned("optional-unknown", &fixture("noop"), &manifest),
        @r#"loading/optional-unknown/nexum.toml:2:13: capabilities.optional[0]: there is no such capability, found "wasi-env", the nearest known one is wasi"#
    );
}

#[test]
fn a_subscription_to_messages_is_a_warning() {
    let manifest = "[capabilities]\n[[subscription]]\nkind = \"message\"\ncontent_topic = \"/app/1/chat/proto\"\n";
    assert_eq!(
        warned("messages", &fixture("noop"), manifest),
        "no version of nexum delivers messages yet: the module gets none"
    );
}

#[test]
fn shared_memory_is_refused() {
    for memory in ["(memory 1 1 shared)", "(import \"env\" \"memory\" (memory 1 1 shared))"] {
        let text = format!("(component (core module {memory}))");
        let said = refuse("shared-memory", &wat::parse_str(text).expect("a component"), None, "");
        let expected = "loading/shared-memory/module.wasm: the component has shared memory, but a module runs in one thread\n  hint: build the module without threads";
        assert!(said.contains(expected), "{memory}: {said}");
    }
}

#[test]
fn settings_are_checked_by_their_capability_before_any_guest_code_runs() {
    let bytes = fixture("noop");
    let said = refuse("unknown-settings", &bytes, Some("[module.stroe]\nsize = 1\n"), "")
        + &refuse(
            "no-settings",
            &bytes,
            Some("[module.store]\nsize = 1\n[module.logging]\n"),
            "",
        )
        + &refuse(
            "listed-settings",
            &bytes,
            Some("[capabilities]\nrequired = [\"store\"]\n[capabilities.store]\nsize = 1\n"),
            "",
        );
    insta::assert_snapshot!(said);
}

#[test]
fn a_capability_may_be_named_by_its_interface() {
    let path = module_dir(
        "by-interface",
        &fixture("trap-after-writes"),
        Some(&asks("\"local-store\"")),
    );
    let mut setup = Setup::new();
    setup.capabilities = setup.capabilities.with(LocalStore);
    let config = setup.parse_config();
    let candidate = setup
        .loader(&config)
        .inspect(&module_at(&path, "name = \"m\""))
        .expect("a candidate");
    assert_eq!(candidate.grant.names().collect::<Vec<_>>(), ["logging", "store"]);
}

#[test]
fn a_wrong_digest_is_refused() {
    let other = "1".repeat(64);
    let bytes = fixture("noop");
    let mut said = refuse(
        "digest-manifest",
        &bytes,
        Some(&format!("[module]\ncomponent = \"sha256:{other}\"\n")),
        "",
    );
    said += &refuse(
        "digest-config",
        &bytes,
        Some("[capabilities]\n"),
        &format!("digest = \"sha256:{other}\""),
    );
    let actual = nexum_config::names::Digest::of(&bytes).to_string();
    insta::assert_snapshot!(said.replace(&actual, "sha256:<actual>"));
}

#[test]
fn a_chain_that_is_not_configured_is_refused_unless_it_is_optional() {
    let bytes = fixture("noop");
    let subscription = "[[subscription]]\nkind = \"block\"\nchain_id = 5\n";
    let mut said = refuse("chain", &bytes, Some(subscription), "");
    said += &refuse(
        "chain-required",
        &bytes,
        Some("[chains]\nrequired = [7, 11155111]\n"),
        "",
    );
    insta::assert_snapshot!(said);

    let manifest = format!("[capabilities]\n[chains]\noptional = [5]\n{subscription}");
    let path = module_dir("chain-optional", &bytes, Some(&manifest));
    let setup = Setup::new();
    let config = setup.parse_config();
    let candidate = setup
        .loader(&config)
        .inspect(&module_at(&path, ""))
        .expect("a candidate");
    assert_eq!((candidate.subscriptions.len(), candidate.warnings.len()), (0, 1));
}

#[test]
fn a_module_that_gets_no_events_is_a_warning() {
    let bytes = fixture("noop");
    let subscription = "[capabilities]\n[[subscription]]\nkind = \"cron\"\nschedule = \"* * * * *\"\n";
    let none = "there is no nexum.toml beside the component, so the module has no subscriptions";
    let empty = "the manifest has no [[subscription]], so the module gets no events";
    for (name, manifest, expected) in [
        ("silent-none", None, Some(none)),
        ("silent-empty", Some("[capabilities]\n"), Some(empty)),
        ("silent-not", Some(subscription), None),
    ] {
        let path = module_dir(name, &bytes, manifest);
        let setup = Setup::new();
        let config = setup.parse_config();
        let candidate = setup
            .loader(&config)
            .inspect(&module_at(&path, ""))
            .expect("a candidate");
        let of_events = |warning: &&str| warning.contains("subscription");
        let warnings = candidate.warnings.iter().map(String::as_str);
        assert_eq!(
            warnings.filter(of_events).collect::<Vec<_>>(),
            Vec::from_iter(expected),
            "{name}"
        );
    }
}

#[test]
fn bytes_that_are_no_event_module_are_refused() {
    let component = fixture("noop");
    let core_module = b"\0asm\x01\0\0\0";
    let other_world = b"\0asm\x0d\0\x01\0";
    let mut said = refuse("empty", b"", None, "");
    said += &refuse("text", b"(component)", None, "");
    said += &refuse("core", core_module, None, "");
    said += &refuse("world", other_world, None, "");
    said += &refuse("truncated", &component[..component.len() / 2], None, "");
    said += &refuse("header", &component[..6], None, "");
    assert_said!(said);
}

#[test]
fn a_path_that_is_no_file_is_refused() {
    let dir = module_dir("directory", b"", None).with_file_name("");
    let setup = Setup::new();
    let config = setup.parse_config();
    let loader = setup.loader(&config);
    let mut said = render(&loader.inspect(&module_at(&dir, "")).expect_err("a refusal"));
    said += &render(
        &loader
            .inspect(&module_at(&dir.join("missing.wasm"), ""))
            .expect_err("a refusal"),
    );
    let manifest = format!("manifest = {:?}", dir.display().to_string());
    said += &render(
        &loader
            .inspect(&module_at(&guests::component("noop"), &manifest))
            .expect_err("a refusal"),
    );
    insta::assert_snapshot!(said);
}

#[test]
fn a_file_over_the_bound_is_refused_without_reading_it_all() {
    let path = module_dir("oversized", b"\0asm\x0d\0\x01\0", None);
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("the file");
    file.set_len(COMPONENT_BYTES_MAX + 1).expect("a sparse file");
    let error = ComponentFile::read(&path.as_path().into()).expect_err("a refusal");
    assert!(error.to_string().ends_with("is larger than 67108864 bytes"), "{error}");
    std::fs::remove_file(&path).expect("the file");
}

#[test]
fn more_core_instances_than_the_limit_are_refused() {
    let manifest = "[module.resources]\nmax_instances = 1\n[capabilities]\n";
    assert_said!(refuse("instances", &fixture("wasi-importer"), Some(manifest), ""));
}

#[tokio::test]
async fn a_compilation_that_takes_long_is_logged() {
    let (records, _capture) = Records::capture();
    let setup = Setup::new();
    let config = setup.parse_config();
    let loader = setup.loader(&config);
    let candidate = loader
        .inspect(&module_at(&guests::component("noop"), "name = \"large\""))
        .expect("a candidate");
    let size = std::fs::metadata(guests::component("noop")).expect("the file").len();
    let directory = tempfile::tempdir().expect("a directory");
    let engine = Engine::new(&EngineConfig {
        cache_dir: Some(directory.path().into()),
        // A compiler that takes three seconds.
        compiler: Compiler::Child(ChildProgram {
            program: "sh".into(),
            args: ["-c", "sleep 3; exit 2"].map(Into::into).into(),
        }),
        demand: Candidate::demand([&candidate]),
        ..EngineConfig::default()
    })
    .expect("an engine");
    loader.load(&engine, candidate).await.expect_err("no component");
    let record = records.find("still compiling the module").expect("a record");
    let fields = [("component_bytes", size.to_string()), ("module", "large".to_owned())];
    assert_eq!(
        record.fields,
        fields.map(|(name, value)| (name.to_owned(), value)).into()
    );
}

#[tokio::test]
async fn garbage_inside_a_component_is_refused_by_the_compiler() {
    let mut bytes = fixture("noop");
    let middle = bytes.len() / 3;
    bytes[middle..middle + 64].fill(0xff);
    let path = module_dir("garbage", &bytes, Some("[capabilities]\n"));
    let setup = Setup::new();
    let config = setup.parse_config();
    let loader = setup.loader(&config);
    let refused = match loader.inspect(&module_at(&path, "")) {
        Ok(candidate) => {
            let engine = setup.engine(Candidate::demand([&candidate]));
            loader
                .load(&engine, candidate)
                .await
                .expect_err("a refusal")
                .to_string()
        }
        Err(errors) => errors.to_string(),
    };
    assert!(
        refused.contains("not a valid component") || refused.contains("does not compile"),
        "{refused}"
    );
}

#[test]
fn no_bytes_make_the_reader_panic() {
    use proptest::prelude::*;
    let component = fixture("noop");
    let mutated = (0..component.len(), any::<u8>(), 0..component.len());
    proptest!(ProptestConfig::with_cases(512), |((at, byte, cut) in mutated, raw in prop::collection::vec(any::<u8>(), 0..256))| {
        let mut bytes = component.clone();
        bytes[at] = byte;
        let _ = ComponentFile::parse(Path::new("x.wasm"), bytes.clone());
        bytes.truncate(cut);
        let _ = ComponentFile::parse(Path::new("x.wasm"), bytes);
        let _ = ComponentFile::parse(Path::new("x.wasm"), [b"\0asm\x0d\0\x01\0".as_slice(), &raw].concat());
    });
}
