//! The back-end postgres: commits and reads, beside the library alone on the same server.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a measurement runs on the machine's own clock, and cannot go on after a fault"
)]

use std::time::{Duration, Instant};

use nexum_core::state::RowCache;
use nexum_core::store::{Batch, StateStore, wait};
use nexum_store::{PostgresConfig, PostgresStore, init};
use nexum_testing::Postgres;
use tokio::runtime::Builder;

/// The samples of each figure.
const SAMPLES: u32 = 400;

/// The rows of a commit: of one module, of 50 and of 256.
const ROWS: [u32; 3] = [1, 50, 256];

/// The bytes of a value.
const BYTES: usize = 100;

fn main() {
    let server = Postgres::start();
    let mut config = PostgresConfig::new(server.url());
    config.password_file = Some(server.password_file().into());
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(init(&config)).expect("the tables");
    let store = std::sync::Arc::new(PostgresStore::open(&config, "a bench").expect("a store"));
    let mut settings: tokio_postgres::Config = config.url.parse().expect("an address");
    settings.password(server.password());
    let connected = runtime.block_on(settings.connect(tokio_postgres::NoTls));
    let (bare, connection) = connected.expect("a connection");
    runtime.spawn(connection);
    let table = "CREATE TABLE bare (key bytea PRIMARY KEY, value bytea NOT NULL)";
    runtime.block_on(bare.batch_execute(table)).expect("a table");
    let write = "INSERT INTO bare SELECT * FROM unnest($1::bytea[], $2::bytea[]) \
                 ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value";
    let write = runtime.block_on(bare.prepare(write)).expect("a statement");
    let read = runtime.block_on(bare.prepare("SELECT value FROM bare WHERE key = $1"));
    let read = read.expect("a statement");
    for rows in ROWS {
        let keys: Vec<_> = (0..rows).map(key).collect();
        let values = vec![vec![7; BYTES]; keys.len()];
        let mut batch = Batch::default();
        keys.iter().for_each(|key| batch.set(key.clone(), vec![7; BYTES]));
        pair(
            &format!("commit of {rows} rows"),
            || store.write(&batch).expect("a write"),
            || {
                let written = runtime.block_on(bare.execute(&write, &[&keys, &values]));
                assert_eq!(written.expect("a write"), u64::from(rows));
            },
        );
    }
    let one = key(0);
    let view = store.view().expect("a view");
    pair(
        "get",
        || drop(wait(view.get_async(&one)).expect("a read")),
        || drop(runtime.block_on(bare.query_opt(&read, &[&one])).expect("a read")),
    );
    let cached = RowCache::new(store.clone(), 1 << 20);
    let view = cached.view().expect("a view");
    let thousand = || (0..1_000).for_each(|_| drop(wait(view.get_async(&one)).expect("a read")));
    pair("1,000 gets from the row cache", thousand, || ());
}

/// The key of a module's state.
fn key(number: u32) -> Vec<u8> {
    [&b"s"[..], &number.to_be_bytes(), b"key"].concat()
}

/// Takes samples of both sides in turn, so that other load of the machine affects both.
fn pair(name: &str, ours: impl Fn(), bare: impl Fn()) {
    let timed = |work: &dyn Fn()| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    let (mut our_times, mut bare_times) = (Vec::new(), Vec::new());
    for _ in 0..SAMPLES {
        our_times.push(timed(&ours));
        bare_times.push(timed(&bare));
    }
    let shown = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        format!("{:?} / {:?}", times[0], times[times.len() / 2])
    };
    println!(
        "{name}: min / p50 {}, bare {}",
        shown(&mut our_times),
        shown(&mut bare_times)
    );
}
