//! The back-end postgres: commits and reads over loopback, beside the library alone on the same server.
//!
//! Samples of both sides alternate, so that other load of the machine affects both. The least time of
//! each is the one with the least of that load.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "a measurement runs on the machine's own clock, and cannot go on after a fault"
)]

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nexum_core::state::{ModuleId, RowCache};
use nexum_core::store::{Batch, StateStore, View, wait};
use nexum_store::{PostgresConfig, PostgresStore, TlsMode, init};
use nexum_testing::Postgres;
use nexum_testing::bench::{Figure, median, publish};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, NoTls, Statement};

/// The samples of each figure, in rounds: a burst of other load does not hit all of them.
const SAMPLES: usize = 400;

/// The bytes of a value.
const BYTES: usize = 100;

/// The rows of one event: the value, the undo record and the module's cursor.
const ROWS_OF_AN_EVENT: u32 = 3;

/// The events of a commit, and the most milliseconds at p50.
const COMMITS: [(&str, u32, Option<f64>); 3] = [
    ("commit of one event", 1, Some(0.8)),
    ("commit of an event of each of 50 modules", 50, Some(4.0)),
    ("commit of an event of each of 256 modules", 256, None),
];

/// The events of each commit for the sustained rate, the time of a sample, and the least rate.
const EVENTS: u32 = 200;
const SUSTAINED: Duration = Duration::from_millis(500);
const SAMPLES_SUSTAINED: usize = 8;
const EVENTS_PER_SECOND: f64 = 15_000.0;

/// The operations of one sample of what takes less than a microsecond.
const MANY: u32 = 1_000;

/// The keys of the listed module.
const KEYS: u32 = 100;

fn main() {
    let server = Postgres::start_on_loopback(None);
    let mut config = PostgresConfig::new(server.url_on_loopback("127.0.0.1"));
    config.password_file = Some(server.password_file().into());
    config.tls = TlsMode::Disable;
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(init(&config)).expect("the tables");
    let store = Arc::new(PostgresStore::open(&config, "a bench").expect("a store"));
    let bare = Bare::open(&runtime, &config, server.password());
    let mut figures = Vec::new();
    for (name, events, most) in COMMITS {
        figures.extend(commits(&*store, &bare, name, events, most));
    }
    figures.push(sustained(&*store, &bare));
    figures.extend(reads(&store, &bare));
    publish("postgres", &figures);
}

/// The library alone, on one connection, with one statement for the rows of a commit.
struct Bare<'a> {
    runtime: &'a Runtime,
    client: Client,
    write: Statement,
    read: Statement,
    list: Statement,
}

impl<'a> Bare<'a> {
    fn open(runtime: &'a Runtime, config: &PostgresConfig, password: &str) -> Self {
        let mut settings: tokio_postgres::Config = config.url.parse().expect("an address");
        settings.password(password);
        let connected = runtime.block_on(settings.connect(NoTls));
        let (client, connection) = connected.expect("a connection");
        runtime.spawn(connection);
        let prepared = runtime.block_on(async {
            let table = "CREATE TABLE bare (key bytea PRIMARY KEY, value bytea NOT NULL)";
            client.batch_execute(table).await?;
            let write = "INSERT INTO bare SELECT * FROM unnest($1::bytea[], $2::bytea[]) \
                         ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value";
            Ok::<_, tokio_postgres::Error>((
                client.prepare(write).await?,
                client.prepare("SELECT value FROM bare WHERE key = $1").await?,
                client
                    .prepare("SELECT key FROM bare WHERE key >= $1 AND key < $2")
                    .await?,
            ))
        });
        let (write, read, list) = prepared.expect("statements");
        Self {
            runtime,
            client,
            write,
            read,
            list,
        }
    }

    fn write(&self, keys: &Vec<Vec<u8>>, values: &Vec<Vec<u8>>) {
        let written = self.runtime.block_on(self.client.execute(&self.write, &[keys, values]));
        assert_eq!(written.expect("a write"), keys.len() as u64);
    }

    fn read(&self, key: &Vec<u8>) {
        let row = self.runtime.block_on(self.client.query_opt(&self.read, &[key]));
        assert!(row.expect("a read").is_some(), "the row is not there");
    }

    fn list(&self, from: &Vec<u8>, to: &Vec<u8>) {
        let rows = self.runtime.block_on(self.client.query(&self.list, &[from, to]));
        assert_eq!(rows.expect("a read").len(), KEYS as usize);
    }
}

fn commits(store: &dyn StateStore, bare: &Bare<'_>, name: &str, events: u32, most: Option<f64>) -> [Figure; 2] {
    let rows = rows(0, events);
    pair(
        name,
        "ms",
        most,
        || timed(|| store.write(&rows.batch).expect("a write")).as_secs_f64() * 1e3,
        || timed(|| bare.write(&rows.keys, &rows.values)).as_secs_f64() * 1e3,
    )
}

/// The events a second while one commit follows another.
fn sustained(store: &dyn StateStore, bare: &Bare<'_>) -> Figure {
    let rate = |write: &dyn Fn(&Rows)| {
        let start = Instant::now();
        let mut events = 0;
        while start.elapsed() < SUSTAINED {
            write(&rows(events % 10_000, EVENTS));
            events += EVENTS;
        }
        f64::from(events) / start.elapsed().as_secs_f64()
    };
    let (mut ours, mut alone) = (Vec::new(), Vec::new());
    for _ in 0..SAMPLES_SUSTAINED {
        ours.push(rate(&|rows| store.write(&rows.batch).expect("a write")));
        alone.push(rate(&|rows| bare.write(&rows.keys, &rows.values)));
    }
    let name = format!("sustained events, {EVENTS} in each commit");
    Figure::new(name, "1/s", median(ours), median(alone)).at_least(EVENTS_PER_SECOND)
}

fn reads(store: &Arc<PostgresStore>, bare: &Bare<'_>) -> Vec<Figure> {
    let module = ModuleId(1_000_000);
    let key = |number: u32| state_key(module, &number.to_be_bytes());
    let keys: Vec<_> = (0..KEYS).map(key).collect();
    let values = vec![vec![7; BYTES]; keys.len()];
    bare.write(&keys, &values);
    let mut batch = Batch::default();
    keys.iter().for_each(|key| batch.set(key.clone(), vec![7; BYTES]));
    store.write(&batch).expect("a write");
    let (one, from, to) = (key(0), state_key(module, &[]), key(KEYS));
    let get = |view: &dyn View| {
        let value = wait(view.get_async(&one)).expect("a read");
        assert!(value.is_some(), "the row is not there");
    };
    let list = |view: &dyn View| {
        let mut keys = 0;
        let mut visit = |_: &[u8], _: &[u8]| {
            keys += 1;
            ControlFlow::Continue(())
        };
        let range = (Bound::Included(&from[..]), Bound::Excluded(&to[..]));
        wait(view.scan_async(range, &mut visit)).expect("a read");
        assert_eq!(keys, KEYS);
    };
    let each = |work: &dyn Fn()| timed(|| (0..MANY).for_each(|_| work())).as_secs_f64() * 1e6 / f64::from(MANY);
    let once = |work: &dyn Fn()| timed(work).as_secs_f64() * 1e6;
    let missed = store.view().expect("a view");
    let cache = |prefetches: bool| {
        let cache = RowCache::new(store.clone(), 64 << 20);
        if prefetches {
            cache.prefetch(&from).expect("a read");
        }
        cache.view().expect("a view")
    };
    let (by_row, whole) = (cache(false), cache(true));
    get(&*by_row);
    let bare_get = || once(&|| bare.read(&one));
    let bare_list = || once(&|| bare.list(&from, &to));
    let mut figures = Vec::new();
    figures.extend(pair(
        "get of a row in the cache",
        "us",
        Some(1.0),
        || each(&|| get(&*by_row)),
        bare_get,
    ));
    figures.extend(pair(
        "get of a prefetched module",
        "us",
        Some(1.0),
        || each(&|| get(&*whole)),
        bare_get,
    ));
    figures.extend(pair(
        "get of a row not in the cache",
        "us",
        Some(200.0),
        || once(&|| get(&*missed)),
        bare_get,
    ));
    figures.extend(pair(
        "list of 100 keys of a prefetched module",
        "us",
        None,
        || each(&|| list(&*whole)),
        bare_list,
    ));
    figures.extend(pair(
        "list of 100 keys not in the cache",
        "us",
        None,
        || once(&|| list(&*missed)),
        bare_list,
    ));
    figures
}

/// The rows of a commit, for both sides.
struct Rows {
    batch: Batch,
    keys: Vec<Vec<u8>>,
    values: Vec<Vec<u8>>,
}

/// The rows of one event for each of these modules.
fn rows(first: u32, modules: u32) -> Rows {
    let mut keys: Vec<_> = (first..first + modules)
        .flat_map(|module| (0..ROWS_OF_AN_EVENT).map(move |row| state_key(ModuleId(module), &row.to_be_bytes())))
        .collect();
    keys.sort_unstable();
    let values = vec![vec![7; BYTES]; keys.len()];
    let mut batch = Batch::default();
    keys.iter()
        .zip(&values)
        .for_each(|(key, value)| batch.set(key.clone(), value.clone()));
    Rows { batch, keys, values }
}

/// The key of a row of a module's state.
fn state_key(module: ModuleId, key: &[u8]) -> Vec<u8> {
    [&b"s"[..], &module.0.to_be_bytes(), key].concat()
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// The least and the median of each side. The aim is for the median.
fn pair(
    name: &str,
    unit: &'static str,
    most: Option<f64>,
    ours: impl Fn() -> f64,
    bare: impl Fn() -> f64,
) -> [Figure; 2] {
    let (mut our_times, mut bare_times) = (Vec::new(), Vec::new());
    for _ in 0..SAMPLES {
        our_times.push(ours());
        bare_times.push(bare());
    }
    let least = |times: &[f64]| times.iter().copied().fold(f64::INFINITY, f64::min);
    let p50 = Figure::new(
        format!("{name}, p50"),
        unit,
        median(our_times.clone()),
        median(bare_times.clone()),
    );
    [
        Figure::new(format!("{name}, least"), unit, least(&our_times), least(&bare_times)),
        match most {
            Some(most) => p50.at_most(most),
            None => p50,
        },
    ]
}
