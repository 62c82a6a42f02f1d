//! A state directory has one back-end, one open process, and one format.

use std::fs;

use nexum_config::hint::Hint;
use nexum_core::state::FORMAT;
use nexum_store::{Backend, OpenError};

use crate::child::{Other, directory, say};
use crate::support::{FORMAT as FORMAT_KEY, Fixture, config, open, rows, set};

const DURABLE: [Backend; 3] = [Backend::Redb, Backend::Sled, Backend::Fjall];

fn refused(fixture: &Fixture, backend: Backend) -> OpenError {
    match config(backend).open(&fixture.path().into(), "a second test") {
        Ok(_) => panic!("{backend} was opened"),
        Err(error) => error,
    }
}

#[test]
fn a_second_opener_is_told_who_has_it() {
    for backend in DURABLE {
        let fixture = Fixture::new(backend);
        let store = fixture.open();
        for second in DURABLE {
            let error = refused(&fixture, second);
            let expected = format!(
                "the state in {} is in use by process {} (a test)",
                fixture.path().display(),
                std::process::id()
            );
            assert_eq!(error.to_string(), expected);
            assert!(error.hint().unwrap().contains("state_dir"));
        }
        drop(store);
        fixture.open();
    }
}

#[test]
fn a_second_process_is_told_who_has_it() {
    if let Some(directory) = directory() {
        let error = config(Backend::Redb)
            .open(&directory.as_path().into(), "the other process")
            .map(|_| ());
        say(error.unwrap_err());
        return;
    }
    let fixture = Fixture::new(Backend::Redb);
    let store = fixture.open();
    let test = "directory::a_second_process_is_told_who_has_it";
    let mut other = Other::start(test, &fixture.path(), None);
    let heard = other.hear().unwrap();
    assert!(
        heard.ends_with(&format!("process {} (a test)", std::process::id())),
        "{heard}"
    );
    assert!(other.wait().success());
    drop(store);
}

#[test]
fn whatever_is_in_the_lock_file_is_shown_without_harm() {
    let cases: [(&[u8], &str); 5] = [
        (b"", "another process"),
        (b"\xff\xfe\0", "another process"),
        (b"12", "process 12"),
        (b"-1 a\x1b[31m\x07test\nmore", "another process (a[31mtest)"),
        (&[b'9'; 100_000], "another process"),
    ];
    for (content, expected) in cases {
        let fixture = Fixture::new(Backend::Redb);
        fs::create_dir(fixture.path()).unwrap();
        let path = fixture.path().join("lock");
        fs::write(&path, content).unwrap();
        let held = fs::File::open(&path).unwrap();
        held.try_lock().unwrap();
        let error = refused(&fixture, Backend::Redb).to_string();
        assert!(error.ends_with(&format!("in use by {expected}")), "{error}");
    }
}

#[test]
fn another_back_end_is_refused_with_the_remedy() {
    for (found, wanted) in [
        (Backend::Redb, Backend::Sled),
        (Backend::Redb, Backend::Fjall),
        (Backend::Fjall, Backend::Redb),
        (Backend::Fjall, Backend::Memory),
        (Backend::Sled, Backend::Redb),
        (Backend::Redb, Backend::Memory),
        (Backend::Sled, Backend::Memory),
    ] {
        let fixture = Fixture::new(found);
        fixture.open().write(&set([("a", "1")])).unwrap();
        let error = refused(&fixture, wanted);
        let expected = format!("belongs to the back-end {found}, not to the requested {wanted}");
        assert!(error.to_string().ends_with(&expected), "{error}");
        let hint = error.hint().unwrap();
        let remedy = if wanted == Backend::Memory {
            "state_dir"
        } else {
            "nexum state export"
        };
        assert!(hint.contains(remedy), "{hint}");
        assert_eq!(rows(&*fixture.open().view().unwrap()).len(), 1);
        let name = wanted.file_name();
        assert!(name.is_none_or(|name| !fixture.path().join(name).exists()));
    }
}

#[test]
fn another_format_is_refused() {
    for backend in DURABLE {
        let fixture = Fixture::new(backend);
        let other = (FORMAT + 1).to_be_bytes();
        fixture.open().write(&set([(FORMAT_KEY, other)])).unwrap();
        let error = refused(&fixture, backend);
        let OpenError::State { source, .. } = &error else {
            panic!("{error}")
        };
        let expected = format!(
            "the state store has format {}, and this program reads format {FORMAT}",
            FORMAT + 1
        );
        assert_eq!(source.to_string(), expected);
        assert!(error.hint().unwrap().contains("nexum state export"));
    }
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let fixture = Fixture::new(Backend::Redb);
    fs::create_dir(fixture.path()).unwrap();
    let path = fixture.path().join("state.redb");
    fs::write(&path, [b'x'; 10_000]).unwrap();
    let error = refused(&fixture, Backend::Redb);
    assert!(matches!(error, OpenError::Database { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), [b'x'; 10_000]);
}

#[test]
fn what_was_left_when_a_new_state_was_cut_off_is_made_anew() {
    for backend in DURABLE {
        let fixture = Fixture::new(backend);
        fs::create_dir(fixture.path()).unwrap();
        let unfinished = fixture.path().join(format!("{}.new", backend.file_name().unwrap()));
        match backend {
            Backend::Sled => {
                fs::create_dir(&unfinished).unwrap();
                fs::write(unfinished.join("conf"), "segment_size: 5").unwrap();
            }
            Backend::Fjall => {
                fs::create_dir(&unfinished).unwrap();
                fs::write(unfinished.join("0.jnl"), [0; 10_000]).unwrap();
            }
            _ => fs::write(&unfinished, [0; 10_000]).unwrap(),
        }
        fixture.open().write(&set([("a", "1")])).unwrap();
        assert!(!unfinished.exists());
        assert_eq!(rows(&*fixture.open().view().unwrap()).len(), 1);
    }
}

#[test]
fn an_unfinished_snapshot_of_sleds_is_passed_over() {
    let fixture = Fixture::new(Backend::Sled);
    fixture.open().write(&set([("a", "1")])).unwrap();
    let unfinished = fixture.path().join("state.sled/snap.00000000000000FF.generating");
    for content in [&b""[..], b"half of one"] {
        fs::write(&unfinished, content).unwrap();
        assert_eq!(rows(&*fixture.open().view().unwrap()).len(), 1);
    }
}

#[test]
fn the_directory_is_made_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("a/b");
    drop(open(Backend::Redb, &path));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_directory_that_cannot_be_made_is_an_error() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("file");
    fs::write(&path, "").unwrap();
    for path in [path.clone(), path.join("below")] {
        let error = config(Backend::Redb)
            .open(&path.as_path().into(), "a test")
            .map(|_| ())
            .unwrap_err();
        assert!(matches!(error, OpenError::Directory { .. }), "{error}");
    }
}

#[test]
fn memory_keeps_no_files() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("state");
    let store = config(Backend::Memory).open(&path.as_path().into(), "a test").unwrap();
    store.write(&set([("a", "1")])).unwrap();
    assert!(!path.exists());
}

#[cfg(unix)]
#[test]
fn other_users_have_no_rights_whoever_made_the_directory() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let open_to_all =
        |path: &std::path::Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for backend in DURABLE {
        let fixture = Fixture::new(backend);
        let path = fixture.path();
        drop(fixture.open());
        fs::create_dir(path.join("cache")).unwrap();
        let entries: Vec<_> = fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        for entry in &entries {
            open_to_all(entry, if entry.is_dir() { 0o755 } else { 0o644 });
        }
        open_to_all(&path, 0o755);
        drop(fixture.open());
        assert_eq!(mode(&path), 0o700);
        for entry in &entries {
            let wanted = if entry.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode(entry), wanted, "{}", entry.display());
        }
    }
}

#[test]
fn a_file_that_was_emptied_is_refused_and_stays() {
    let fixture = Fixture::new(Backend::Redb);
    drop(fixture.open());
    let file = fixture.path().join("state.redb");
    fs::write(&file, b"").unwrap();
    let error = refused(&fixture, Backend::Redb);
    let expected = format!("the state in {} is gone: the file is empty", file.display());
    assert_eq!(error.to_string(), expected);
    assert!(error.hint().unwrap().contains("nexum state restore --replace"));
    assert_eq!(fs::metadata(&file).unwrap().len(), 0);
}

#[test]
fn damaged_files_are_refused_in_words() {
    let fixture = Fixture::new(Backend::Redb);
    let store = fixture.open();
    let all = (0..64_u8).map(|number| ([number; 16], [number; 4_096]));
    store.write(&set(all)).unwrap();
    let kept = rows(&*store.view().unwrap());
    drop(store);
    let file = fixture.path().join("state.redb");
    let whole = fs::read(&file).unwrap();
    let damages: [fn(&mut Vec<u8>); 6] = [
        |bytes| bytes.truncate(bytes.len() / 2),
        |bytes| bytes.truncate(100),
        |bytes| bytes[..512].fill(0),
        |bytes| bytes[64..192].fill(0xff),
        |bytes| bytes[8..64].fill(0xff),
        |bytes| bytes[512..].fill(0xff),
    ];
    for (number, damage) in damages.iter().enumerate() {
        let mut bytes = whole.clone();
        damage(&mut bytes);
        fs::write(&file, &bytes).unwrap();
        if let Ok(store) = config(Backend::Redb).open(&fixture.path().into(), "a test") {
            // If the damage is in an unused part, every row is there.
            assert_eq!(rows(&*store.view().unwrap()), kept, "damage {number}");
        }
    }
}

#[test]
fn a_fifo_in_place_of_a_file_of_the_state_is_refused() {
    for (backend, files) in [
        (Backend::Redb, &["state.redb"][..]),
        (Backend::Sled, &["state.sled", "state.sled/db", "state.sled/conf"]),
        (
            Backend::Fjall,
            &["state.fjall", "state.fjall/0.jnl", "state.fjall/version"],
        ),
    ] {
        for file in files {
            let fixture = Fixture::new(backend);
            let path = fixture.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
            let error = refused(&fixture, backend);
            let expected = format!("the state cannot be opened: {} is not a regular file", path.display());
            assert_eq!(error.to_string(), expected);
        }
    }
}
