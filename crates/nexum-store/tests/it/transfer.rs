//! Exports and imports, as lines.

use nexum_config::names::ModuleName;
use nexum_core::state::admin::{self, Import, Row};
use nexum_core::store::{MemoryStore, StateStore};
use nexum_store::{TransferError, export, import};
use proptest::prelude::*;

const PROGRESS_OF_NOTHING: [u8; 4] = [0, 0, 0, 0];

fn name() -> ModuleName {
    "module".parse().expect("a name")
}

/// A store with a module that has these rows.
fn store(rows: &[(Vec<u8>, Vec<u8>)]) -> MemoryStore {
    let store = MemoryStore::new();
    let mut import = Import::begin(&store, &name()).expect("a beginning");
    for (key, value) in rows.iter().cloned() {
        import.take(Row::State { key, value }).expect("a row");
    }
    import.take(Row::Progress(PROGRESS_OF_NOTHING.to_vec())).expect("a row");
    import.finish().expect("an end");
    store
}

fn lines(store: &MemoryStore) -> Vec<u8> {
    let mut lines = Vec::new();
    export(&*store.frozen().expect("a view"), &name(), &mut lines, &mut |_, _| {}).expect("an export");
    lines
}

fn take(lines: &[u8]) -> Result<MemoryStore, TransferError> {
    let store = MemoryStore::new();
    let taken = import(&store, &mut &*lines, &mut |_, _| {})?;
    assert_eq!(taken.0, name());
    Ok(store)
}

fn some() -> MemoryStore {
    store(&[
        (b"a".to_vec(), vec![1, 2]),
        (b"\0\xff".to_vec(), Vec::new()),
        ("\u{1F980}\n\"".into(), vec![0xff]),
        (Vec::new(), b"empty".to_vec()),
    ])
}

#[test]
fn an_export_is_lines_that_can_be_read() {
    let text = String::from_utf8(lines(&some())).expect("text");
    let keys: Vec<_> = text.lines().map(|line| line.get(..16).unwrap_or(line)).collect();
    assert_eq!(text.lines().count(), 7, "{keys:?}");
    assert!(text.starts_with(r#"{"begin":{"format":2,"module":"module","#), "{text}");
    assert!(text.contains(r#"{"state":{"key":"a","value":"0x0102"}}"#), "{text}");
    assert!(
        text.contains(r#"{"state":{"key":{"hex":"0x00ff"},"value":"0x"}}"#),
        "{text}"
    );
    assert!(text.ends_with("{\"end\":{\"rows\":5}}\n"), "{text}");
}

#[test]
fn what_was_imported_is_what_was_exported() {
    let before = lines(&some());
    assert_eq!(lines(&take(&before).expect("an import")), before);
}

#[test]
fn an_import_that_is_not_whole_is_refused_wherever_it_ends() {
    let whole = lines(&some());
    for end in 0..whole.len() - 1 {
        let error = take(&whole[..end]).expect_err("half an export");
        let expected = matches!(error, TransferError::Partial { .. } | TransferError::Line { .. });
        assert!(expected, "{end}: {error}");
    }
}

#[test]
fn an_import_says_which_line_is_wrong() {
    let whole = String::from_utf8(lines(&some())).expect("text");
    for (from, to, expected) in [
        ("\"format\":2", "\"format\":9", "line 1: the form 9 is not known"),
        (
            "\"module\":\"module\"",
            "\"module\":\"../x\"",
            "line 1: a module name is 1 to 64 characters",
        ),
        ("{\"begin\"", "{\"start\"", "line 1: unknown variant `start`"),
        ("0x0102", "0x010", "odd number of digits"),
        ("\"rows\":5", "\"rows\":4", "there should be 4 rows, and there are 5"),
        (
            "{\"progress\":{\"row\":\"0x00000000\"}}",
            "{\"progress\":{\"row\":\"0xff\"}}",
            "the export is damaged",
        ),
    ] {
        assert!(whole.contains(from), "{from}");
        let error = take(whole.replace(from, to).as_bytes())
            .expect_err(expected)
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_module_that_is_there_is_not_imported_over() {
    let store = some();
    let lines = lines(&store);
    let error = import(&store, &mut &*lines, &mut |_, _| {}).expect_err("a module that is there");
    assert_eq!(error.to_string(), "the store already has a module module");
}

#[test]
fn a_module_that_is_not_there_is_not_exported() {
    let store = MemoryStore::new();
    let view = store.frozen().expect("a view");
    let error = export(&*view, &name(), &mut Vec::new(), &mut |_, _| {}).expect_err("no module");
    assert_eq!(error.to_string(), "the store has no module module");
    assert_eq!(admin::list(&*view).expect("a list"), []);
}

proptest! {
    #[test]
    fn any_bytes_are_imported_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..400), place in 0..2_000_usize) {
        let _ = take(&bytes);
        let mut whole = lines(&some());
        let place = place % whole.len();
        bytes.truncate(8);
        whole.splice(place..(place + bytes.len()).min(whole.len()), bytes);
        let _ = take(&whole);
    }

    #[test]
    fn any_rows_go_there_and_back(rows in prop::collection::btree_map(prop::collection::vec(any::<u8>(), 0..20), prop::collection::vec(any::<u8>(), 0..40), 0..40)) {
        let rows: Vec<_> = rows.into_iter().collect();
        let before = lines(&store(&rows));
        prop_assert_eq!(lines(&take(&before).expect("an import")), before);
    }
}
