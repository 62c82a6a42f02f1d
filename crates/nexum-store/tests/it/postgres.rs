//! The back-end on PostgreSQL: fences, killed servers, bounded waits, no secrets in texts.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use nexum_config::hint::Hint as _;
use nexum_core::state::admin::{Import, Row, verify};
use nexum_core::store::{MemoryStore, StateStore, StoreError};
use nexum_store::{
    Backend, Imported, OpenError, PostgresConfig, PostgresError, PostgresStore, StoreConfig, export, import, init,
};
use nexum_testing::Postgres;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rustix::process::{Pid, Signal, kill_process};

use crate::history::{self, Model};
use crate::support::{Fixture, database, rows, set, wait_for};

/// The number of faults of the server.
const FAULTS: u64 = 12;

/// A statement of the test itself, on a connection of its own.
pub(crate) fn sql(config: &PostgresConfig, password: &str, statement: &str) -> Vec<String> {
    try_sql(config, password, statement).unwrap()
}

fn try_sql(config: &PostgresConfig, password: &str, statement: &str) -> Result<Vec<String>, tokio_postgres::Error> {
    wait_for(async {
        let mut settings: tokio_postgres::Config = config.url.parse().unwrap();
        let connected = settings.password(password).connect(tokio_postgres::NoTls).await;
        let (client, connection) = connected.unwrap();
        let statements = client.simple_query(statement);
        let found = tokio::select! {
            found = statements => found?,
            ended = connection => panic!("the connection has ended: {ended:?}"),
        };
        let first = |message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        };
        Ok(found.into_iter().filter_map(first).collect())
    })
}

/// Other connections than that of the statement.
const OTHERS: &str = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND application_name LIKE 'a test%'";

#[test]
fn holds_whole_batches_when_the_server_fails() {
    let server = Postgres::start();
    let fixture = Fixture::in_database(&server);
    let store = fixture.open();
    let (acknowledged, begun, stop) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let mut random = SmallRng::seed_from_u64(15);
    let mut model = Model::default();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                let number = acknowledged.load(Ordering::SeqCst) + 1;
                begun.store(number, Ordering::SeqCst);
                // A batch that may have been made is made again, as the core does.
                if store.write(&history::batch(number)).is_ok() {
                    acknowledged.store(number, Ordering::SeqCst);
                }
            }
        });
        for fault in 0..FAULTS {
            let last = acknowledged.load(Ordering::SeqCst) + random.random_range(1..40);
            while acknowledged.load(Ordering::SeqCst) < last {
                std::thread::yield_now();
            }
            let one = |end: &str| {
                let found = sql(
                    fixture.database(),
                    server.password(),
                    &format!("SELECT {end} {OTHERS} ORDER BY random() LIMIT 1"),
                );
                found.into_iter().next()
            };
            match fault % 3 {
                0 => drop(one("pg_terminate_backend(pid)")),
                1 => {
                    // The server then ends all of its processes, and recovers.
                    let pid = one("pid").and_then(|pid| pid.parse().ok());
                    kill_process(pid.and_then(Pid::from_raw).unwrap(), Signal::KILL).unwrap();
                }
                _ => {
                    server.crash();
                    server.restart();
                }
            }
        }
        stop.store(true, Ordering::SeqCst);
    });
    let begun = begun.load(Ordering::SeqCst);
    for _ in 0..acknowledged.load(Ordering::SeqCst) {
        model.advance();
    }
    model.follow(&*store.view().unwrap(), begun);
    drop(store);
    model.follow(&*fixture.open().view().unwrap(), begun);
}

#[test]
fn an_old_writer_is_refused_for_ever() {
    let server = Postgres::start();
    let fixture = Fixture::in_database(&server);
    let old = PostgresStore::open(fixture.database(), "a test, old").unwrap();
    old.write(&set([("a", "old")])).unwrap();
    // The old writer's connection goes, and another process begins before the old one notices.
    let end = format!("SELECT pg_terminate_backend(pid, 5000) {OTHERS}");
    sql(fixture.database(), server.password(), &end);
    let new = PostgresStore::open(fixture.database(), "a test, new").unwrap();
    new.write(&set([("a", "new")])).unwrap();
    for _ in 0..3 {
        let refused = old.write(&set([("a", "late"), ("b", "late")]));
        assert!(matches!(refused, Err(StoreError::Fenced { epoch: 1 })), "{refused:?}");
    }
    assert_eq!(new.view().unwrap().get(b"a").unwrap().unwrap(), b"new");
    assert_eq!(new.view().unwrap().get(b"b").unwrap(), None);
}

/// A batch that waits in the server for a lock, while another process begins an epoch, is made before the
/// new epoch or never.
#[test]
fn an_epoch_begins_after_the_writes_of_the_old_one() {
    let server = Postgres::start();
    let fixture = Fixture::in_database(&server);
    let schema = &fixture.database().schema;
    let write = |epoch: u64, value: &str| {
        let key = "ARRAY['\\x61'::bytea]";
        format!(
            "SET search_path TO {schema}; SELECT nexum_write('single', {epoch}, {key}, ARRAY['{value}'::bytea], '{{}}')"
        )
    };
    let store = PostgresStore::open(fixture.database(), "a test").unwrap();
    drop(store);
    let begin = format!("UPDATE {schema}.nexum_fence SET epoch = epoch + 1 RETURNING epoch");
    for round in 0..10_u64 {
        let (old, new) = (2 * round + 1, 2 * round + 2);
        let mut outcomes = std::thread::scope(|scope| {
            let attempts = (0..4)
                .map(|_| scope.spawn(|| try_sql(fixture.database(), server.password(), &write(old, "old")).is_ok()));
            let attempts: Vec<_> = attempts.collect();
            let epoch = sql(fixture.database(), server.password(), &begin);
            assert_eq!(epoch, [new.to_string()]);
            sql(fixture.database(), server.password(), &write(new, "new"));
            attempts
                .into_iter()
                .map(|attempt| attempt.join().unwrap())
                .collect::<Vec<_>>()
        });
        outcomes.sort_unstable();
        let value = format!("SELECT convert_from(value, 'UTF8') FROM {schema}.nexum_rows");
        assert_eq!(
            sql(fixture.database(), server.password(), &value),
            ["new"],
            "{outcomes:?}"
        );
        sql(fixture.database(), server.password(), &begin);
    }
}

#[test]
fn a_second_process_is_refused_with_the_name_of_the_holder() {
    let server = Postgres::start();
    let fixture = Fixture::in_database(&server);
    let held = PostgresStore::open(fixture.database(), "a test of the holder").unwrap();
    let Err(error) = PostgresStore::open(fixture.database(), "a second") else {
        panic!("two writers");
    };
    let holder = format!("a test of the holder, process {}", std::process::id());
    assert!(
        error.to_string().ends_with(&format!("is in use by {holder}")),
        "{error}"
    );
    drop(held);
    PostgresStore::open(fixture.database(), "a second").unwrap();
}

#[test]
fn missing_tables_have_a_remedy() {
    let server = Postgres::start();
    let config = database(&server);
    let Err(error) = PostgresStore::open(&config, "a test") else {
        panic!("no tables");
    };
    assert!(matches!(error, PostgresError::NoTables { .. }), "{error}");
    assert_eq!(error.hint().unwrap(), "create them with `nexum cluster init`");
    wait_for(init(&config)).unwrap();
    PostgresStore::open(&config, "a test")
        .unwrap()
        .write(&set([("a", "1")]))
        .unwrap();
    // Again, over the rows.
    wait_for(init(&config)).unwrap();
    let store = PostgresStore::open(&config, "a test").unwrap();
    assert_eq!(rows(&*store.view().unwrap()).len(), 1);
}

#[test]
fn a_stalled_server_is_an_error() {
    let server = Postgres::start();
    let fixture = Fixture::in_database(&server);
    let mut config = fixture.database().clone();
    config.wait_max = Duration::from_millis(300);
    let store = PostgresStore::open(&config, "a test").unwrap();
    store.write(&set([("a", "1")])).unwrap();
    let (view, frozen) = (store.view().unwrap(), store.frozen().unwrap());
    assert_eq!(view.get(b"a").unwrap().unwrap(), b"1");
    let mut stopped = sql(&config, server.password(), &format!("SELECT pid {OTHERS}"));
    stopped.push(server.pid().to_string());
    let signal = |signal| {
        for pid in &stopped {
            kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap(), signal).unwrap();
        }
    };
    signal(Signal::STOP);
    for error in [
        store.write(&set([("a", "2")])).unwrap_err(),
        view.get(b"a").unwrap_err(),
        frozen.get(b"a").unwrap_err(),
        store.frozen().unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Backend(_)), "{error}");
    }
    drop(frozen);
    signal(Signal::CONT);
    store.write(&set([("a", "3")])).unwrap();
    assert_eq!(view.get(b"a").unwrap().unwrap(), b"3");
    assert_eq!(store.frozen().unwrap().get(b"a").unwrap().unwrap(), b"3");
}

#[test]
fn no_text_has_the_password() {
    let server = Postgres::start();
    let mut texts = String::new();
    let config = database(&server);
    let mut wrong = PostgresConfig::new(server.url().replace("nexum@", "nexum:not-the-secret@"));
    writeln!(texts, "{config:?} {wrong:?}").unwrap();
    for config in [&config, &wrong] {
        let Err(error) = PostgresStore::open(config, "a test") else {
            panic!("no tables");
        };
        writeln!(texts, "{error} {error:?}").unwrap();
    }
    wrong.url = "postgres://nexum:not-the-secret@host:port/%%".to_owned();
    let error = PostgresStore::open(&wrong, "a test").unwrap_err();
    writeln!(texts, "{error} {error:?}").unwrap();
    wait_for(init(&config)).unwrap();
    let store = PostgresStore::open(&config, "a test").unwrap();
    writeln!(texts, "{store:?} {:?} {:?}", store.view(), store.frozen()).unwrap();
    for secret in [server.password(), "not-the-secret"] {
        assert!(!texts.contains(secret), "{texts}");
    }
    assert!(texts.contains("password authentication failed"), "{texts}");
}

#[test]
fn a_password_file_of_others_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Postgres::start();
    let config = database(&server);
    std::fs::set_permissions(server.password_file(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = PostgresStore::open(&config, "a test").unwrap_err();
    assert!(
        matches!(error, PostgresError::PasswordRights { rights: 0o644, .. }),
        "{error}"
    );
}

#[test]
fn a_state_moves_from_redb_by_export_and_import() {
    let server = Postgres::start();
    let (from, to) = (Fixture::new(Backend::Redb), Fixture::in_database(&server));
    let name = "module".parse().unwrap();
    let source = from.open();
    let mut begun = Import::begin(&*source, &name).unwrap();
    let (mut keys, mut bytes) = (0_u64, 0_u64);
    for number in 0..3_000_u32 {
        let key = number.to_be_bytes().to_vec();
        let value = vec![number as u8; (number % 4_000) as usize];
        (keys, bytes) = (keys + 1, bytes + (key.len() + value.len()) as u64);
        begun.take(Row::State { key, value }).unwrap();
    }
    // No cursors, and then the usage.
    let mut progress = vec![0];
    for mut number in [keys, bytes] {
        while number >= 0x80 {
            progress.push(number as u8 | 0x80);
            number >>= 7;
        }
        progress.push(number as u8);
    }
    progress.push(0);
    begun.take(Row::Progress(progress)).unwrap();
    begun.finish().unwrap();
    let lines = |store: &dyn StateStore| {
        let mut lines = Vec::new();
        export(&*store.frozen().unwrap(), &name, &mut lines, &mut |_, _| {}).unwrap();
        lines
    };
    let moved = lines(&*source);
    let target = to.open();
    assert_eq!(
        import(&*target, &mut &moved[..], &mut |_, _| {}).unwrap(),
        (Imported::Module(name.clone()), 3_001)
    );
    assert_eq!(lines(&*target), moved);
    assert_eq!(rows(&*target.view().unwrap()), rows(&*source.view().unwrap()));
    assert_eq!(verify(&*target.frozen().unwrap(), &mut |_| {}).unwrap(), []);
    // And back, into a store that has nothing.
    let back = MemoryStore::new();
    import(&back, &mut &lines(&*target)[..], &mut |_, _| {}).unwrap();
    assert_eq!(lines(&back), moved);
}

#[test]
fn settings_that_lose_commits_have_a_warning() {
    let server = Postgres::start();
    let fixture = Fixture::in_database(&server);
    let warnings = || {
        let mut config = StoreConfig::default();
        config.postgres = Some(fixture.database().clone());
        let examined = wait_for(config.examine()).unwrap().unwrap();
        let texts = examined.into_iter().map(|warning| warning.text);
        texts
            .map(|text| text.split(':').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(warnings(), ["no standby"]);
    for setting in ["fsync", "full_page_writes", "synchronous_commit"] {
        server.configure(setting, "off");
        assert_eq!(warnings(), [&format!("{setting} = off"), "no standby"]);
        server.configure(setting, "on");
    }
    server.configure("synchronous_commit", "local");
    assert_eq!(warnings(), ["synchronous_commit = local", "no standby"]);
}

#[test]
fn a_standby_that_is_not_synchronous_has_a_warning() {
    let server = Postgres::start();
    let fixture = Fixture::in_database(&server);
    let mut config = StoreConfig::default();
    config.postgres = Some(fixture.database().clone());
    let warnings = || wait_for(config.examine()).unwrap().unwrap();
    let standby = server.standby("standby");
    while warnings()[0].text.starts_with("no standby") {
        std::thread::yield_now();
    }
    assert!(warnings()[0].text.starts_with("no synchronous standby"));
    drop(standby);
    server.configure("synchronous_standby_names", "standby");
    assert!(warnings()[0].text.starts_with("no standby"));
    let _standby = server.standby("standby");
    while !warnings().is_empty() {
        std::thread::yield_now();
    }
}

#[test]
fn another_format_is_refused() {
    let server = Postgres::start();
    let fixture = Fixture::in_database(&server);
    fixture.open().write(&set([("f", 7_u32.to_be_bytes())])).unwrap();
    let mut config = crate::support::config(Backend::Postgres);
    config.postgres = Some(fixture.database().clone());
    let error = config.open(&fixture.path().into(), "a test").unwrap_err();
    assert!(matches!(error, OpenError::State { .. }), "{error}");
}
