//! The task that stores the entries of a run.

use std::fs;
use std::ops::ControlFlow;
use std::sync::Arc;

use nexum_core::clock::SystemClock;
use nexum_core::ledger::{Calls, Entry, Ledger, Lost};
use nexum_core::service::{Service as _, ServiceContext};
use nexum_core::store::MemoryStore;
use nexum_ledger::{Filter, Handle, Keep, Keeper};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::rows::{attempt, version};

const KEEP: Keep = Keep {
    days: 30,
    bytes: 64 << 20,
};

fn begin(folder: &std::path::Path, tasks: &mut JoinSet<()>) -> (Handle, CancellationToken) {
    let clock = Arc::new(SystemClock::new());
    let ledger = Ledger::new(clock.clone(), Calls::All);
    let (keeper, handle) = Keeper::new(ledger, folder.to_owned(), KEEP);
    let (context, stop) = (
        ServiceContext::new(Arc::new(MemoryStore::new()), clock),
        CancellationToken::new(),
    );
    let until = stop.clone();
    tasks.spawn(async move { keeper.run(context, until).await });
    (handle, stop)
}

/// The entries, newest first.
fn entries(handle: &Handle) -> Vec<Entry> {
    let mut entries = Vec::new();
    let visit = |row: nexum_ledger::Row| {
        entries.push(row.entry);
        ControlFlow::Continue(())
    };
    handle.reader().rows(&Filter::default(), visit).unwrap();
    entries
}

#[tokio::test]
async fn entries_are_stored_at_a_flush_and_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut tasks = JoinSet::new();
    let (handle, stop) = begin(&folder.path().join("ledger"), &mut tasks);
    let a = version("a");
    handle.ledger().push(attempt(&a, 1));
    handle.flush().await;
    assert_eq!(entries(&handle), [attempt(&a, 1)]);
    handle.ledger().push(attempt(&a, 2));
    stop.cancel();
    tasks.join_all().await;
    assert_eq!(entries(&handle), [attempt(&a, 2), attempt(&a, 1)]);
    assert_eq!(handle.trouble(), None);
}

#[tokio::test]
async fn a_folder_that_fails_costs_entries_which_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    fs::write(&path, "a file is in the way").unwrap();
    let mut tasks = JoinSet::new();
    let (handle, _stop) = begin(&path, &mut tasks);
    let a = version("a");
    handle.ledger().push(attempt(&a, 1));
    handle.ledger().push(attempt(&a, 2));
    handle.flush().await;
    let trouble = handle.trouble().unwrap();
    assert!(trouble.text.contains("ledger"), "{trouble:?}");
    fs::remove_file(&path).unwrap();
    handle.ledger().push(attempt(&a, 3));
    handle.flush().await;
    assert_eq!(handle.trouble(), None);
    let stored = entries(&handle);
    let lost = |entry: &Entry| matches!(entry, Entry::Lost(Lost { entries: 2, .. }));
    assert!(stored.len() == 2 && stored.iter().any(lost), "{stored:?}");
    assert!(stored.contains(&attempt(&a, 3)), "{stored:?}");
}
