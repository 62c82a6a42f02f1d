//! The cache has the values of the store, whatever happens to the store.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt as _;
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::sync::Semaphore;

use super::*;
use crate::store::{MemoryStore, wait};

/// The memory of the small cache: a few rows of each shard, so that rows are evicted.
const FEW_BYTES: usize = 8 << 10;

/// A store on another machine. It counts its reads, and a write can fail.
#[derive(Debug, Default)]
struct Remote {
    rows: Arc<MemoryStore>,
    reads: Arc<AtomicU64>,
    /// How the next write ends.
    next: Mutex<Outcome>,
    /// Each read over the network takes a permit after it has found the value.
    answers: Option<Arc<Semaphore>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Outcome {
    #[default]
    Written,
    /// The write fails, and the store has not changed.
    Lost,
    /// The write fails, but the store has changed.
    Unknown,
}

impl StateStore for Remote {
    fn view(&self) -> Result<Box<dyn View>, StoreError> {
        Ok(Box::new(RemoteView {
            view: self.rows.view()?,
            reads: self.reads.clone(),
            answers: self.answers.clone(),
        }))
    }

    fn frozen(&self) -> Result<Box<dyn View>, StoreError> {
        self.rows.frozen()
    }

    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let outcome = *self.next.lock();
        if outcome != Outcome::Lost {
            self.rows.write(batch)?;
        }
        match outcome {
            Outcome::Written => Ok(()),
            Outcome::Lost | Outcome::Unknown => Err(StoreError::backend("the connection is lost")),
        }
    }
}

#[derive(Debug)]
struct RemoteView {
    view: Box<dyn View>,
    reads: Arc<AtomicU64>,
    answers: Option<Arc<Semaphore>>,
}

impl View for RemoteView {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.view.get(key)
    }

    fn get_async<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Option<Vec<u8>>> {
        let value = self.get(key);
        Either::Right(Box::pin(async move {
            if let Some(answers) = &self.answers {
                answers.acquire().await.expect("an open semaphore").forget();
            }
            value
        }))
    }

    fn scan(&self, range: Range<'_>, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.view.scan(range, visit)
    }
}

const MODULES: u32 = 2;

fn key(number: u8) -> Vec<u8> {
    rows::state(ModuleId(u32::from(number) % MODULES), &[number])
}

fn batch(changes: impl IntoIterator<Item = (u8, Option<u16>)>) -> Batch {
    let mut batch = Batch::default();
    for (number, length) in changes {
        batch.put(key(number), length.map(|length| vec![number; length.into()]));
    }
    batch
}

fn read(store: &RowCache, number: u8) -> Option<Vec<u8>> {
    let view = store.view().expect("a view");
    let later = wait(view.get_async(&key(number))).expect("a read");
    assert_eq!(view.get(&key(number)).expect("a read"), later);
    later
}

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<(u8, Option<u16>)>, Outcome),
    Read(u8),
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        8 => Just(Outcome::Written),
        1 => Just(Outcome::Lost),
        1 => Just(Outcome::Unknown),
    ];
    let changes = vec((0..40_u8, prop::option::weighted(0.7, 0..600_u16)), 0..8);
    prop_oneof![
        4 => (changes, outcome).prop_map(|(changes, outcome)| Step::Write(changes, outcome)),
        8 => (0..40_u8).prop_map(Step::Read),
        1 => Just(Step::Clear),
    ]
}

proptest! {
    #[test]
    fn every_read_has_the_value_of_the_store(bytes in prop_oneof![Just(FEW_BYTES), Just(1 << 20)], steps in vec(step(), 1..80)) {
        let remote = Arc::new(Remote::default());
        let store = RowCache::new(remote.clone(), bytes);
        for step in steps {
            match step {
                Step::Write(changes, outcome) => {
                    *remote.next.lock() = outcome;
                    prop_assert_eq!(store.write(&batch(changes)).is_ok(), outcome == Outcome::Written);
                }
                Step::Read(number) => {
                    let expected = remote.rows.view().expect("a view").get(&key(number)).expect("a read");
                    prop_assert_eq!(read(&store, number), expected);
                }
                Step::Clear => store.clear(),
            }
        }
        for number in 0..40 {
            let expected = remote.rows.view().expect("a view").get(&key(number)).expect("a read");
            prop_assert_eq!(read(&store, number), expected);
        }
    }
}

#[test]
fn a_read_or_written_key_needs_no_further_read_even_without_a_value() {
    let remote = Arc::new(Remote::default());
    let store = RowCache::new(remote.clone(), 1 << 20);
    store.write(&batch([(1, Some(10)), (2, None)])).expect("a write");
    for _ in 0..3 {
        assert_eq!(read(&store, 1), Some(vec![1; 10]));
        assert_eq!(read(&store, 2), None);
        assert_eq!(read(&store, 3), None);
    }
    assert_eq!(remote.reads.load(Ordering::Relaxed), 1);
    store.clear();
    assert_eq!(read(&store, 1), Some(vec![1; 10]));
    assert_eq!(remote.reads.load(Ordering::Relaxed), 2);
}

#[test]
fn a_read_that_began_before_a_write_does_not_fill_the_cache() {
    let answers = Arc::new(Semaphore::new(0));
    let remote = Arc::new(Remote {
        answers: Some(answers.clone()),
        ..Remote::default()
    });
    let store = RowCache::new(remote, 1 << 20);
    for clears in [false, true] {
        store.write(&batch([(1, Some(1))])).expect("a write");
        store.clear();
        let view = store.view().expect("a view");
        let key = key(1);
        let mut reading = view.get_async(&key);
        assert!((&mut reading).now_or_never().is_none());
        let change = batch([(1, Some(2))]);
        match clears {
            // Another process writes the row after it has taken the module over.
            true => {
                store.clear();
                store.inner.write(&change).expect("a write");
            }
            false => store.write(&change).expect("a write"),
        }
        answers.add_permits(1);
        assert_eq!(wait(reading).expect("a read"), Some(vec![1; 1]));
        assert_eq!(view.get(&key).expect("a read"), Some(vec![1; 2]));
    }
}

#[test]
fn rows_that_another_process_may_have_changed_are_read_again() {
    let remote = Arc::new(Remote::default());
    let store = RowCache::new(remote.clone(), 1 << 20);
    for number in [0, 1] {
        store.write(&batch([(number, Some(1))])).expect("a write");
        assert_eq!(read(&store, number).map(|value| value.len()), Some(1));
    }
    // Another process writes both modules, and this one learns of the first.
    remote
        .rows
        .write(&batch([(0, Some(2)), (1, Some(2))]))
        .expect("a write");
    store.forget(&|key| module_of(key) == Some(ModuleId(0)));
    let lengths = [0, 1].map(|number| read(&store, number).map(|value| value.len()));
    assert_eq!(lengths, [Some(2), Some(1)]);
}
