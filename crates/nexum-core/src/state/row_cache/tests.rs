//! The cache has the values of the store, whatever happens to the store.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::sync::Semaphore;

use super::*;
use crate::state::ModuleState;
use crate::store::{MemoryStore, wait};

/// The memory of a cache that has room for all rows.
const ALL_BYTES: usize = 1 << 20;

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
        self.reads.fetch_add(1, Ordering::Relaxed);
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

/// The keys of a module that begin with a prefix, after a key, with their values. At most this many.
fn list(view: &dyn View, module: u32, prefix: &[u8], after: Option<u8>, most: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let module = ModuleId(module);
    let after = after.map(|after| rows::state(module, &[after]));
    let mut found = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        if found.len() < most {
            found.push((key.to_vec(), value.to_vec()));
        }
        match found.len() < most {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    };
    let prefix = rows::state(module, prefix);
    wait(rows::scan_async(view, &prefix, after.as_deref(), &mut visit)).expect("a scan");
    found
}

/// All rows of all modules.
fn all(view: &dyn View) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        found.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    };
    view.scan((Bound::Unbounded, Bound::Unbounded), &mut visit)
        .expect("a scan");
    found
}

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<(u8, Option<u16>)>, Outcome),
    Read(u8),
    List {
        module: u32,
        prefix: Option<u8>,
        after: Option<u8>,
        most: usize,
    },
    Prefetch(u32),
    /// Another process owns the modules, writes a row and gives them back.
    Lend(Vec<u32>, u8, u16),
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
        3 => (0..MODULES, prop::option::of(0..40_u8), prop::option::of(0..40_u8), 1..20_usize)
            .prop_map(|(module, prefix, after, most)| Step::List { module, prefix, after, most }),
        2 => (0..MODULES).prop_map(Step::Prefetch),
        1 => (vec(0..MODULES, 0..3), 0..40_u8, 0..600_u16)
            .prop_map(|(modules, number, length)| Step::Lend(modules, number, length)),
        1 => Just(Step::Clear),
    ]
}

proptest! {
    #[test]
    fn every_read_has_the_value_of_the_store(bytes in prop_oneof![Just(FEW_BYTES), Just(ALL_BYTES)], steps in vec(step(), 1..80)) {
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
                Step::List { module, prefix, after, most } => {
                    let view = |store: &dyn StateStore| {
                        let view = store.view().expect("a view");
                        let prefix: Vec<_> = prefix.into_iter().collect();
                        list(&*view, module, &prefix, after, most)
                    };
                    prop_assert_eq!(view(&store), view(&*remote.rows));
                }
                Step::Prefetch(module) => store.prefetch(&rows::states(ModuleId(module))).expect("a read"),
                Step::Lend(modules, number, length) => {
                    let modules: Vec<_> = modules.into_iter().map(ModuleId).collect();
                    let change = batch([(number, Some(length))]);
                    if modules.iter().any(|module| module_of(&key(number)) == Some(*module)) {
                        remote.rows.write(&change).expect("a write");
                    }
                    forget(&store, &modules);
                }
                Step::Clear => store.clear(),
            }
        }
        let views = [store.view(), remote.rows.view()].map(|view| view.expect("a view"));
        prop_assert_eq!(all(&*views[0]), all(&*views[1]));
        for number in 0..40 {
            let expected = remote.rows.view().expect("a view").get(&key(number)).expect("a read");
            prop_assert_eq!(read(&store, number), expected);
        }
    }
}

#[test]
fn a_read_or_written_key_needs_no_further_read_even_without_a_value() {
    let remote = Arc::new(Remote::default());
    let store = RowCache::new(remote.clone(), ALL_BYTES);
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
    let store = RowCache::new(remote, ALL_BYTES);
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
fn a_prefetched_module_needs_no_further_read_until_it_is_forgotten() {
    let remote = Arc::new(Remote::default());
    let module = module_of(&key(0)).expect("a module");
    remote
        .rows
        .write(&batch((0..40).map(|number| (number, Some(number.into())))))
        .expect("a write");
    let store = RowCache::new(remote.clone(), ALL_BYTES);
    let reads = || remote.reads.load(Ordering::Relaxed);
    store.prefetch(&rows::states(module)).expect("a read");
    assert_eq!(reads(), 1);
    store
        .write(&batch([(2, None), (4, Some(1)), (100, Some(7))]))
        .expect("a write");
    let view = store.view().expect("a view");
    assert_eq!(read(&store, 0), Some(Vec::new()));
    assert_eq!((read(&store, 2), read(&store, 4)), (None, Some(vec![4])));
    // The store has no such key.
    assert_eq!(read(&store, 200), None);
    let keys: Vec<u8> = list(&*view, module.0, &[], None, 100)
        .iter()
        .map(|(key, _)| rows::guest_key(key)[0])
        .collect();
    let expected: Vec<u8> = (0..40).step_by(2).filter(|number| *number != 2).chain([100]).collect();
    assert_eq!(keys, expected);
    assert_eq!(reads(), 1);
    forget(&store, &[module]);
    assert_eq!(read(&store, 4), Some(vec![4]));
    assert_eq!(list(&*view, module.0, &[], None, 100).len(), 20);
    assert_eq!(reads(), 3);
}

#[test]
fn a_module_that_is_forgotten_leaves_the_others_in_the_cache() {
    let remote = Arc::new(Remote::default());
    let store = RowCache::new(remote.clone(), ALL_BYTES);
    store.write(&batch([(0, Some(1)), (1, Some(1))])).expect("a write");
    forget(&store, &[ModuleId(0)]);
    assert_eq!(read(&store, 1), Some(vec![1]));
    assert_eq!(remote.reads.load(Ordering::Relaxed), 0);
    assert_eq!(read(&store, 0), Some(vec![0]));
    assert_eq!(remote.reads.load(Ordering::Relaxed), 1);
}

#[test]
fn a_runner_that_starts_has_the_rows_of_its_small_module() {
    let remote = Arc::new(Remote::default());
    remote
        .rows
        .write(&batch([(0, Some(1)), (2, Some(3))]))
        .expect("a write");
    let store = RowCache::new(remote.clone(), ALL_BYTES);
    let view = store.view().expect("a view");
    ModuleState::load_to_run(&store, &*view, ModuleId(0)).expect("a state");
    let reads = remote.reads.load(Ordering::Relaxed);
    assert_eq!(read(&store, 2), Some(vec![2; 3]));
    assert_eq!(list(&*view, 0, &[], None, 100).len(), 2);
    assert_eq!(remote.reads.load(Ordering::Relaxed), reads);
}

/// The rows of a module that has become large stay in the cache, each for itself.
#[test]
fn a_large_module_is_not_prefetched() {
    let remote = Arc::new(Remote::default());
    let store = RowCache::new(remote.clone(), 256 << 20);
    let module = ModuleId(1);
    let row = |number: u16, bytes: usize| (rows::state(module, &number.to_be_bytes()), vec![1; bytes]);
    let write = |first: u16, bytes: usize| {
        let mut batch = Batch::default();
        (first..first + 10).for_each(|number| {
            let (key, value) = row(number, bytes);
            batch.set(key, value);
        });
        store.write(&batch).expect("a write");
    };
    let listed = || list(&*store.view().expect("a view"), module.0, &[], None, 100).len();
    let reads = || remote.reads.load(Ordering::Relaxed);
    store.prefetch(&rows::states(module)).expect("a read");
    write(0, 100_000);
    assert_eq!((listed(), reads()), (10, 1));
    write(10, 10_000);
    assert_eq!((listed(), reads()), (20, 2));
    for number in 0..20 {
        let (key, _) = row(number, 0);
        assert!(store.view().expect("a view").get(&key).expect("a read").is_some());
    }
    assert_eq!(reads(), 2);
    store.prefetch(&rows::states(module)).expect("a read");
    assert_eq!((listed(), reads()), (20, 4));
}
