//! Exports and imports, as lines.

use nexum_config::names::ModuleName;
use nexum_core::state::admin::{self, CapabilityImport, CapabilityRow, Import, Row};
use nexum_core::store::{MemoryStore, StateStore};
use nexum_store::{Imported, TransferError, export, export_accounts, import};
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
    assert_eq!(taken.0, Imported::Module(name()));
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

/// A store with these rows of accounts.
fn with_accounts(rows: &[(&[u8], &[u8])]) -> MemoryStore {
    let store = MemoryStore::new();
    let mut import = CapabilityImport::default();
    for (key, value) in rows {
        let (capability, key, value) = ("tx".to_owned(), key.to_vec(), value.to_vec());
        import.take(CapabilityRow { capability, key, value }).expect("a row");
    }
    import.finish(&store).expect("an end");
    store
}

fn lines_of_accounts(store: &MemoryStore) -> Vec<u8> {
    let mut lines = Vec::new();
    export_accounts(&*store.frozen().expect("a view"), &mut lines, &mut |_, _| {}).expect("an export");
    lines
}

#[test]
fn accounts_are_what_was_exported_beside_a_module() {
    let accounts = lines_of_accounts(&with_accounts(&[(b"n\xff\0", b"7"), (b"t", b"")]));
    let text = String::from_utf8(accounts.clone()).expect("text");
    let expected = "{\"begin_accounts\":{\"format\":2}}\n\
                    {\"capability\":{\"capability\":\"tx\",\"key\":\"0x6eff00\",\"value\":\"0x37\"}}\n\
                    {\"capability\":{\"capability\":\"tx\",\"key\":\"0x74\",\"value\":\"0x\"}}\n\
                    {\"end\":{\"rows\":2}}\n";
    assert_eq!(text, expected);
    let store = some();
    let module = lines(&store);
    let imported = import(&store, &mut &*accounts, &mut |_, _| {}).expect("an import");
    assert_eq!(imported, (Imported::Accounts, 2));
    assert_eq!((lines_of_accounts(&store), lines(&store)), (accounts, module));
}

#[test]
fn accounts_that_the_store_has_stay_as_they_are() {
    let store = with_accounts(&[(b"n1", b"9")]);
    let before = lines_of_accounts(&store);
    let other = lines_of_accounts(&with_accounts(&[(b"n0", b"1"), (b"n1", b"7")]));
    let error = import(&store, &mut &*other, &mut |_, _| {}).expect_err("rows that are there");
    assert_eq!(error.to_string(), "the store already has some of these rows");
    assert_eq!(lines_of_accounts(&store), before);
    // Rows of other accounts can be added.
    let other = lines_of_accounts(&with_accounts(&[(b"n0", b"1")]));
    import(&store, &mut &*other, &mut |_, _| {}).expect("an import");
}

#[test]
fn an_import_of_accounts_that_is_not_whole_changes_nothing() {
    let whole = lines_of_accounts(&with_accounts(&[(b"n", b"7"), (b"t", b"8")]));
    for end in 0..whole.len() - 1 {
        let store = MemoryStore::new();
        let error = import(&store, &mut &whole[..end], &mut |_, _| {}).expect_err("half an export");
        let expected = matches!(error, TransferError::Partial { .. } | TransferError::Line { .. });
        assert!(expected, "{end}: {error}");
        assert_eq!(lines_of_accounts(&store), lines_of_accounts(&MemoryStore::new()));
    }
    let damaged = String::from_utf8(whole)
        .expect("text")
        .replace("\"tx\"", "\"t\\u0000x\"");
    let error = import(&MemoryStore::new(), &mut damaged.as_bytes(), &mut |_, _| {}).expect_err("no name");
    assert!(error.to_string().contains("no capability has the name"), "{error}");
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
        let mut accounts = lines_of_accounts(&with_accounts(&[(b"n", b"7")]));
        let place = place % accounts.len();
        accounts.truncate(place);
        accounts.extend_from_slice(&whole[..whole.len().min(40)]);
        let _ = import(&MemoryStore::new(), &mut &*accounts, &mut |_, _| {});
    }

    #[test]
    fn any_rows_go_there_and_back(rows in prop::collection::btree_map(prop::collection::vec(any::<u8>(), 0..20), prop::collection::vec(any::<u8>(), 0..40), 0..40)) {
        let rows: Vec<_> = rows.into_iter().collect();
        let before = lines(&store(&rows));
        prop_assert_eq!(lines(&take(&before).expect("an import")), before);
    }
}
