//! The read-only files of a module.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nexum_config::files::FilesError;
use nexum_config::limits::Limit;
use nexum_core::LoadError;
use nexum_testing::guests;
use rustix::fs::{CWD, Mode, mkfifoat};
use tempfile::TempDir;

use crate::support::{Run, Setup, module_at, reasons};

const NAME: &str = "files-reader";

/// The directory of a module with `files = "assets"`, and a file that is not the module's.
fn directory() -> TempDir {
    let dir = TempDir::new().expect("a directory");
    let assets = dir.path().join("assets");
    fs::create_dir_all(assets.join("sub")).expect("a directory");
    fs::write(assets.join("a.txt"), "content of a").expect("a file");
    fs::write(assets.join("sub/b.txt"), "content of b").expect("a file");
    symlink("sub/b.txt", assets.join("link.txt")).expect("a link");
    fs::write(dir.path().join("secret"), "the secret").expect("a file");
    manifest(&dir, "files = \"assets\"");
    dir
}

fn manifest(dir: &TempDir, keys: &str) {
    let text = format!(
        "[module]\n{keys}\n[capabilities]\nrequired = []\n[[subscription]]\nkind = \"block\"\nchain_id = 11155111\n"
    );
    fs::write(dir.path().join("nexum.toml"), text).expect("a manifest");
}

/// A host with the fixture, its manifest in `dir`, and this key in its configuration.
fn setup(dir: &TempDir, key: &str, commands: &str) -> Setup {
    let path = dir.path().join("nexum.toml").display().to_string();
    let keys = format!("name = {NAME:?}\nmanifest = {path:?}\nconfig = {{ {key} = {commands:?} }}");
    Setup::new().module_with(NAME, &keys)
}

async fn said(run: &Run) -> String {
    run.chain.mine(1);
    run.handled(NAME, 1).await;
    run.records.of_module(NAME).join("\n")
}

pub(crate) async fn files_reader_reads_its_files_and_nothing_else() {
    let dir = directory();
    let commands = "read /a.txt; read a.txt; read sub/../a.txt; read sub/b.txt; read link.txt; list /; list sub; \
                    read missing; read ../secret; read /../secret; read sub/../../secret; read /etc/passwd; list ..";
    let run = setup(&dir, "script", commands).start().await;
    insta::assert_snapshot!(said(&run).await, @r"
    read /a.txt: content of a
    read a.txt: content of a
    read sub/../a.txt: content of a
    read sub/b.txt: content of b
    read link.txt: content of b
    list /: a.txt link.txt sub
    list sub: b.txt
    read missing: NotFound
    read ../secret: PermissionDenied
    read /../secret: PermissionDenied
    read sub/../../secret: PermissionDenied
    read /etc/passwd: NotFound
    list ..: PermissionDenied
    ");
}

#[tokio::test]
async fn nothing_is_written() {
    let dir = directory();
    let commands = "write a.txt; write new.txt; append a.txt; create new; remove a.txt; rename a.txt; times a.txt; \
                    read a.txt";
    let run = setup(&dir, "script", commands).start().await;
    insta::assert_snapshot!(said(&run).await, @r"
    write a.txt: ReadOnlyFilesystem
    write new.txt: ReadOnlyFilesystem
    append a.txt: ReadOnlyFilesystem
    create new: ReadOnlyFilesystem
    remove a.txt: ReadOnlyFilesystem
    rename a.txt: ReadOnlyFilesystem
    times a.txt: ReadOnlyFilesystem
    read a.txt: content of a
    ");
    assert_eq!(
        fs::read_to_string(dir.path().join("assets/a.txt")).expect("a file"),
        "content of a"
    );
    assert_eq!(fs::read_dir(dir.path().join("assets")).expect("a directory").count(), 3);
}

#[tokio::test]
async fn a_module_without_files_has_none() {
    let dir = directory();
    manifest(&dir, "");
    let run = setup(&dir, "script", "read /a.txt; read a.txt; list /; list .")
        .start()
        .await;
    insta::assert_snapshot!(said(&run).await, @r"
    read /a.txt: Uncategorized
    read a.txt: Uncategorized
    list /: Uncategorized
    list .: Uncategorized
    ");
}

#[tokio::test]
async fn what_appears_later_leads_nowhere_else_and_blocks_nothing() {
    let dir = directory();
    let run = setup(
        &dir,
        "script",
        "read out.txt; read absolute.txt; read fifo; read later.txt; list /",
    )
    .start()
    .await;
    let assets = dir.path().join("assets");
    symlink("../secret", assets.join("out.txt")).expect("a link");
    symlink("/etc/passwd", assets.join("absolute.txt")).expect("a link");
    mkfifoat(CWD, assets.join("fifo"), Mode::RUSR | Mode::WUSR).expect("a FIFO");
    fs::write(assets.join("later.txt"), "later").expect("a file");
    insta::assert_snapshot!(said(&run).await, @r"
    read out.txt: PermissionDenied
    read absolute.txt: PermissionDenied
    read fifo: PermissionDenied
    read later.txt: later
    list /: a.txt absolute.txt fifo later.txt link.txt out.txt sub
    ");
    // Another directory that takes the name does not count before a reload.
    fs::rename(&assets, dir.path().join("old")).expect("a rename");
    fs::create_dir(&assets).expect("a directory");
    run.chain.mine(1);
    run.handled(NAME, 2).await;
    let said = run.records.of_module(NAME);
    assert_eq!(said[..said.len() / 2], said[said.len() / 2..]);
}

#[tokio::test]
async fn the_work_of_the_host_for_files_draws_on_the_fuel() {
    for command in ["read a.txt", "list /", "read missing"] {
        let dir = directory();
        let run = setup(&dir, "repeats", command)
            .config("[engine.limits]\nfuel_per_event = 100000000\nevent_deadline_ms = 60000\n")
            .start()
            .await;
        run.chain.mine(1);
        run.failed(NAME, 1).await;
        let trip = run
            .records
            .find("a limit was exceeded")
            .expect("the record of the limit");
        assert_eq!(trip.fields["limit"], "fuel_per_event", "{command}");
        // A guest that used up its fuel alone would have used exactly that.
        let used = run.status(NAME).consumption().last()[Limit::Fuel];
        assert!(used > 100_000_000, "{command} used {used}");
    }
}

#[tokio::test]
async fn the_number_of_open_files_is_bounded() {
    let dir = directory();
    let before = open_files();
    let run = setup(&dir, "script", "hold a.txt").module("noop").start().await;
    run.chain.mine(1);
    run.failed(NAME, 1).await;
    run.handled("noop", 1).await;
    let record = run
        .records
        .find("the module has more than 64 open files, directories and streams");
    assert!(record.is_some(), "{:#?}", run.records.all());
    // The instance is gone, with its files.
    let at_most = before + 16;
    run.until("the files to be closed", || open_files() <= at_most).await;
}

/// The number of open files of this process.
fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").expect("a directory").count()
}

#[test]
fn what_no_module_may_read_is_refused_when_it_is_loaded() {
    let dir = directory();
    let path = dir.path().join("nexum.toml").display().to_string();
    let config = module_at(
        &guests::component(NAME),
        &format!("name = {NAME:?}\nmanifest = {path:?}"),
    );
    let setup = Setup::new();
    let loader = setup.loader(&setup.parse_config());
    let files = loader.inspect(&config).expect("a candidate").meta.files.clone();
    let files = files.expect("files");
    assert_eq!((&**files.path(), files.entries()), (&*dir.path().join("assets"), 4));

    symlink("../secret", dir.path().join("assets/out.txt")).expect("a link");
    let refused = loader.inspect(&config).expect_err("a refusal");
    let expected = |path: &Path| path == dir.path().join("assets/out.txt");
    assert!(
        matches!(reasons(&refused)[..], [LoadError::Files(FilesError::Leaves { path })] if expected(path)),
        "{refused:?}"
    );
}
