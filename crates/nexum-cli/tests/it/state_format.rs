//! The state's format: this nexum opens a state that nexum 0.1.0 wrote with redb 4, sled 0.34 or fjall 3, and continues from
//! its cursors.
//!
//! `tests/fixtures/state-format-2/README.md` says how the states were made. A change of the format adds a directory beside it.

use std::fs;
use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};

use nexum_core::store::Batch;
use nexum_testing::{Anvil, AnvilOptions, guests};
use serde_json::{Value, json};

use crate::Dir;
use crate::control::{json, start, until};
use crate::running::terminate;

/// The hash of block 4, at which `keeper` stopped: its subscription has two confirmations.
const BLOCK_4: &str = "0x6c822a583664c187cb460ea251a53ee220aeed4f6c46112c28b50d59b64505df";

/// The hash of block 6, at which `journal` stopped.
const BLOCK_6: &str = "0xfd88f18b782bf43907c9c04692312a2d74a954faf703e9e98c7918aa13e371e0";

/// The last block of the chain that the states follow.
const HEAD: u64 = 6;

/// The timestamp of the chain's block 0, in seconds.
const GENESIS_TIME: u64 = 1_700_000_000;

/// Seconds between two blocks of the chain.
const BLOCK_TIME: u64 = 12;

/// One of the stored states.
struct Written {
    /// The name of its back-end and of its directory.
    backend: &'static str,
    /// The time of the last tick that `journal` handled, in milliseconds since the Unix epoch.
    last_tick: u64,
    /// The time of each attempt at block 2, in milliseconds since the Unix epoch.
    attempts: [u64; 2],
}

const REDB: Written = Written {
    backend: "redb",
    last_tick: 1_795_939_051_000,
    attempts: [1_795_939_047_155, 1_795_939_047_157],
};

#[cfg(feature = "store-sled")]
const SLED: Written = Written {
    backend: "sled",
    last_tick: 1_795_939_071_000,
    attempts: [1_795_939_067_689, 1_795_939_067_691],
};

/// The rows of the state with redb.
#[cfg(feature = "store-fjall")]
const FJALL: Written = Written {
    backend: "fjall",
    ..REDB
};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/state-format-2")
}

impl Written {
    fn file(&self, name: &str) -> PathBuf {
        fixture().join(self.backend).join(name)
    }

    /// The output of `nexum state export` for a module of the state.
    fn export(&self, module: &str) -> String {
        let name = format!("{module}.jsonl");
        let of_redb = REDB.file(&name);
        // The state with fjall was imported from that with redb.
        let path = Some(self.file(&name)).filter(|path| path.exists()).unwrap_or(of_redb);
        fs::read_to_string(path).expect("an export")
    }

    /// The table of `engine.toml` that selects the back-end.
    fn table(&self) -> String {
        format!("[store]\nbackend = {:?}\n", self.backend)
    }

    /// A directory with a copy of the state, and an `engine.toml` that selects the state.
    fn copied(&self) -> Dir {
        let dir = Dir::new();
        dir.write("engine.toml", self.table());
        let data = dir.path().join("data");
        fs::create_dir(&data).expect("a directory");
        match self.backend {
            "redb" => drop(fs::copy(self.file("state.redb"), data.join("state.redb")).expect("a copy")),
            "sled" => copy_sled(&self.file(""), &data.join("state.sled")),
            _ => copy_fjall(&self.file(""), &data.join("state.fjall")),
        }
        dir
    }

    /// The output of `nexum state list --format json` for the state.
    fn listed(&self) -> Value {
        let block = |number: u64, hash: &str, finality: &str| {
            json!({
                "chain_id": 11_155_111, "finality": finality, "block": number, "hash": hash, "done": "block",
            })
        };
        let tick = json!({ "schedule": "cron 14e74e58e46b35d4", "fired_at_ms": self.last_tick });
        json!([
            {
                "module": "journal", "keys": 12, "bytes": 701, "undo_records": 10, "dead_letters": 0,
                "cursors": [tick, block(HEAD, BLOCK_6, "latest")], "wanted": null,
            },
            {
                "module": "keeper", "keys": 2, "bytes": 23, "undo_records": 2, "dead_letters": 1,
                "cursors": [block(4, BLOCK_4, "2 confirmations")], "wanted": null,
            },
        ])
    }
}

/// Copies a sled directory, and adds the parts that the fixture lacks.
fn copy_sled(from: &Path, to: &Path) {
    /// The size of the file `db`: one segment of sled.
    const DB_BYTES: u64 = 4_194_303;
    fs::create_dir_all(to.join("blobs")).expect("a directory");
    for entry in fs::read_dir(from).expect("the fixture").flatten() {
        if entry.path().extension().is_none_or(|extension| extension != "jsonl") {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
        }
    }
    let db = fs::OpenOptions::new()
        .write(true)
        .open(to.join("db"))
        .expect("the copy");
    db.set_len(DB_BYTES).expect("space");
}

/// Copies a fjall directory, and adds the empty directory that the fixture lacks.
fn copy_fjall(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("the fixture").flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_fjall(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("a copy");
        }
    }
    if to.join("current").exists() {
        fs::create_dir_all(to.join("tables")).expect("a directory");
    }
}

/// Checks that commands can read every row of the state, without a daemon.
fn check_rows(written: &Written) {
    let dir = written.copied();
    let stdout = |args: &[&str]| {
        let ran = dir.nexum(args);
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.stderr);
        ran.stdout
    };
    assert_eq!(json(&dir, &["state", "list", "--format", "json"]), written.listed());
    assert_eq!(stdout(&["state", "get", "keeper", "every", "--utf8"]), "vvvvvvvv\n");
    assert_eq!(stdout(&["state", "get", "keeper", "third", "--utf8"]), "vvvvv\n");
    assert_eq!(stdout(&["state", "get", "journal", "entries"]), "0x0b00000000000000\n");
    let tick = format!("tick {}\n", written.last_tick);
    assert_eq!(stdout(&["state", "get", "journal", "0000000010", "--utf8"]), tick);
    for module in ["journal", "keeper"] {
        assert_eq!(stdout(&["state", "export", module]), written.export(module));
    }
    assert_eq!(stdout(&["state", "verify"]), "all is well\n");
}

/// The chain that the states follow, with two more blocks.
async fn longer_chain() -> Anvil {
    let anvil = Anvil::start_with(&AnvilOptions {
        extra_args: vec!["--timestamp".into(), GENESIS_TIME.to_string()],
        ..AnvilOptions::default()
    });
    for number in 1..=HEAD + 2 {
        anvil
            .request("evm_mine", json!([GENESIS_TIME + BLOCK_TIME * number]))
            .await;
    }
    let block = anvil.request("eth_getBlockByNumber", json!(["0x6", false])).await;
    assert_eq!(
        block["hash"], BLOCK_6,
        "this anvil makes other blocks than the one that the states followed"
    );
    anvil
}

fn module(name: &str) -> String {
    let manifest = fixture().join(format!("{name}.toml"));
    format!(
        "[[modules]]\npath = {:?}\nmanifest = {:?}\n",
        guests::component(name).display().to_string(),
        manifest.display().to_string()
    )
}

/// Starts a daemon on the state, and waits until both modules have handled the two blocks after their cursors.
async fn check_daemon(written: &Written) {
    let anvil = longer_chain().await;
    let dir = written.copied();
    let tables = written.table() + &module("journal") + &module("keeper");
    let child = start(&dir, &anvil, &tables, &["run"]);

    let state = until(&dir, &["state", "list", "--format", "json"], |state| {
        state[0]["cursors"][1]["block"] == 8 && state[1]["cursors"][0]["block"] == 6
    })
    .await;
    assert_eq!(state[1]["cursors"][0]["hash"], BLOCK_6);
    assert_eq!(
        (&state[1]["keys"], &state[1]["undo_records"]),
        (&json!(3), &json!(3)),
        "`init` sets the key `begin` again, and block 5 adds an undo record for it"
    );
    let status = json(&dir, &["status", "--format", "json"]);
    assert_eq!(
        (&status[1]["name"], &status[1]["handled"]),
        (&json!("keeper"), &json!(2))
    );
    // The older nexum wrote the first entries. A tick of the schedule may come between the two new blocks.
    let scan = dir.nexum(&["state", "scan", "journal"]).stdout;
    let blocks = scan.lines().filter_map(|line| line.split_once(" block "));
    let blocks: Vec<_> = blocks.filter_map(|(_, block)| block.split(' ').next()).collect();
    assert_eq!(blocks, ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);

    let letters = json(&dir, &["dead-letter", "list", "keeper", "--format", "json"]);
    assert_eq!(letters.as_array().map(Vec::len), Some(1));
    assert_eq!(letters[0]["event"], "11155111@2:2:block");
    assert_eq!(letters[0]["content"]["Block"]["number"], 2);
    assert_eq!(letters[0]["content"]["Block"]["timestamp"], 1_700_000_024_000_u64);
    for (attempt, at) in written.attempts.iter().enumerate() {
        let attempt = &letters[0]["attempts"][attempt];
        assert_eq!(attempt["at_ms"], *at);
        assert_eq!(
            attempt["reason"],
            "the handler returned an error: keeper HostErrorKind::Internal: it was told to"
        );
        // A list has no log records.
        assert_eq!(attempt["records"], json!([]));
    }
    let shown = dir
        .nexum(&["dead-letter", "show", "keeper", "11155111@2:2:block"])
        .stdout;
    assert_eq!(
        shown.matches("  | INFO get begin: 3\n").count(),
        written.attempts.len(),
        "{shown}"
    );

    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
    assert_eq!(dir.nexum(&["state", "verify"]).stdout, "all is well\n");
}

#[test]
fn reads_every_row_of_a_redb_state_of_format_2() {
    check_rows(&REDB);
}

#[tokio::test]
async fn a_daemon_continues_from_a_redb_state_of_format_2() {
    check_daemon(&REDB).await;
}

#[cfg(feature = "store-sled")]
#[test]
fn reads_every_row_of_a_sled_state_of_format_2() {
    check_rows(&SLED);
}

#[cfg(feature = "store-sled")]
#[tokio::test]
async fn a_daemon_continues_from_a_sled_state_of_format_2() {
    check_daemon(&SLED).await;
}

#[cfg(feature = "store-fjall")]
#[test]
fn reads_every_row_of_a_fjall_state_of_format_2() {
    check_rows(&FJALL);
}

#[cfg(feature = "store-fjall")]
#[tokio::test]
async fn a_daemon_continues_from_a_fjall_state_of_format_2() {
    check_daemon(&FJALL).await;
}

/// Replaces a text in the rows of a state by another of its length, as an older nexum recorded it from a guest.
fn replace_in_rows(dir: &Dir, replacements: &[(&str, &str)]) {
    let data = dir.path().join("data").into();
    let store = nexum_store::StoreConfig::default()
        .open(&data, "a test")
        .expect("the state");
    let mut batch = Batch::default();
    let view = store.view().expect("a view");
    let all = (Bound::Unbounded, Bound::Unbounded);
    let scanned = view.scan(all, &mut |key, row| {
        let mut changed = row.to_vec();
        for (from, to) in replacements {
            assert_eq!(from.len(), to.len());
            while let Some(at) = changed.windows(from.len()).position(|window| window == from.as_bytes()) {
                changed[at..at + to.len()].copy_from_slice(to.as_bytes());
            }
        }
        if changed != row {
            batch.set(key.to_vec(), changed);
        }
        ControlFlow::Continue(())
    });
    scanned.expect("the rows");
    drop(view);
    assert_eq!(batch.changes().count(), 1);
    store.write(&batch).expect("a write");
}

#[tokio::test]
async fn hostile_text_in_an_older_dead_letter_is_harmless_when_it_is_shown() {
    let anvil = longer_chain().await;
    let dir = REDB.copied();
    let hostile = [
        ("it was told to", "\u{1b}[2J\nok \u{9b}m!!!"),
        ("INFO get begin: 3", "INFO \u{1b}]0;x\u{7}\nERROR"),
    ];
    replace_in_rows(&dir, &hostile);
    let child = start(&dir, &anvil, &(REDB.table() + &module("keeper")), &["run"]);
    until(&dir, &["status", "--format", "json"], |status| {
        status[0]["dead_letters"] == 1
    })
    .await;

    let listed = dir.nexum(&["dead-letter", "list", "keeper"]).stdout;
    assert!(
        listed.contains("keeper HostErrorKind::Internal: \\u{1b}[2J"),
        "{listed}"
    );
    let shown = dir
        .nexum(&["dead-letter", "show", "keeper", "11155111@2:2:block"])
        .stdout;
    for expected in [
        "keeper HostErrorKind::Internal: \\u{1b}[2J\n  ok \\u{9b}m!!!\n",
        "\n  | INFO \\u{1b}]0;x\\u{7}\n  | ERROR\n",
    ] {
        assert_eq!(shown.matches(expected).count(), REDB.attempts.len(), "{shown}");
    }
    for text in [listed, shown] {
        let is_hostile = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(is_hostile), "{text:?}");
    }

    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
}
