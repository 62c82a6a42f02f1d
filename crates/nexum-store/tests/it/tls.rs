//! Connections to a PostgreSQL server over a network: which certificates nexum accepts.

use nexum_config::hint::Hint as _;
use nexum_core::store::StateStore as _;
use nexum_store::{PostgresConfig, PostgresError, PostgresStore, TlsMode, init};
use nexum_testing::Postgres;
use nexum_testing::tls::{Authority, input, run_trusting};

use crate::support::{database, set, wait_for};

/// A server with the certificate of an authority, whose own certificate is in a file.
struct Fixture {
    server: Postgres,
    authority: tempfile::NamedTempFile,
}

impl Fixture {
    /// Starts a server with a certificate for this host.
    fn new(certificate_host: &str) -> Self {
        let authority = Authority::new("of the database");
        let file = tempfile::NamedTempFile::new().unwrap();
        authority.write(file.path());
        Self {
            server: Postgres::start_on_loopback(Some((&authority, certificate_host))),
            authority: file,
        }
    }

    /// The settings of a new schema at a host, with the mode `verify-full` and the authority.
    fn at(&self, host: &str) -> PostgresConfig {
        let mut config = at(&self.server, host);
        config.ca = Some(self.authority.path().into());
        config
    }
}

/// The settings of a new schema at a host.
fn at(server: &Postgres, host: &str) -> PostgresConfig {
    let mut config = database(server);
    config.url = server.url_on_loopback(host);
    config
}

/// Makes a schema, and writes and reads a row in it. Returns whether all connections have TLS.
fn uses(server: &Postgres, config: &PostgresConfig) -> bool {
    wait_for(init(config)).unwrap();
    let store = PostgresStore::open(config, "a test").unwrap();
    store.write(&set([("a", "1")])).unwrap();
    assert_eq!(store.view().unwrap().get(b"a").unwrap().unwrap(), b"1");
    let ours = "pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name LIKE 'a test%'";
    let question = format!("SELECT bool_and(ssl) FROM {ours} HAVING count(DISTINCT ssl) = 1");
    let local = database(server);
    match &*crate::postgres::sql(&local, server.password(), &question) {
        [all] => all == "t",
        other => panic!("{other:?}"),
    }
}

/// Opens no connection. The text of the error has no secret.
fn refused(server: &Postgres, config: &PostgresConfig) -> (PostgresError, String) {
    let error = PostgresStore::open(config, "a test").unwrap_err();
    let mut text = format!("{error} {error:?}");
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    assert!(!text.contains(server.password()), "{text}");
    (error, text)
}

#[test]
fn a_certificate_of_the_authority_for_the_host_is_valid() {
    let fixture = Fixture::new("localhost");
    assert!(uses(&fixture.server, &fixture.at("localhost")));
}

#[test]
fn a_certificate_for_another_host_is_refused() {
    let fixture = Fixture::new("db.example.org");
    let (error, text) = refused(&fixture.server, &fixture.at("localhost"));
    assert!(matches!(error, PostgresError::Untrusted { .. }), "{text}");
    assert!(text.contains("db.example.org"), "{text}");
    assert!(error.hint().unwrap().contains("tls.ca"));
}

#[test]
fn a_certificate_of_another_authority_is_refused() {
    let (fixture, other) = (Fixture::new("localhost"), tempfile::NamedTempFile::new().unwrap());
    Authority::new("of another database").write(other.path());
    let mut config = fixture.at("localhost");
    config.ca = Some(other.path().into());
    let (error, text) = refused(&fixture.server, &config);
    assert!(matches!(error, PostgresError::Untrusted { .. }), "{text}");
    // The authorities of the system do not include that of the test.
    config.ca = None;
    let (error, text) = refused(&fixture.server, &config);
    assert!(matches!(error, PostgresError::Untrusted { .. }), "{text}");
}

/// The test runs itself in a process whose system trusts the authority.
#[test]
fn the_authorities_of_the_system_are_the_default() {
    if let Some(settings) = input() {
        let (url, password_file) = settings.split_once(' ').unwrap();
        let mut config = PostgresConfig::new(url);
        config.password_file = Some(password_file.into());
        wait_for(init(&config)).unwrap();
        PostgresStore::open(&config, "a test").unwrap();
        return;
    }
    let fixture = Fixture::new("localhost");
    let url = fixture.server.url_on_loopback("localhost");
    let settings = format!("{url} {}", fixture.server.password_file().display());
    let this = "tls::the_authorities_of_the_system_are_the_default";
    wait_for(run_trusting(fixture.authority.path(), this, &settings));
}

#[test]
fn require_encrypts_with_any_certificate() {
    let fixture = Fixture::new("db.example.org");
    let mut config = at(&fixture.server, "localhost");
    config.tls = TlsMode::Require;
    assert!(uses(&fixture.server, &config));
    // With a password, the server proves over this connection that it knows the user.
    config.url += "?channel_binding=require";
    assert!(uses(&fixture.server, &config));
}

#[test]
fn disable_does_not_encrypt() {
    let fixture = Fixture::new("localhost");
    let mut config = at(&fixture.server, "localhost");
    config.tls = TlsMode::Disable;
    assert!(!uses(&fixture.server, &config));
}

#[test]
fn a_server_without_tls_is_refused_unless_tls_is_disabled() {
    let server = Postgres::start_on_loopback(None);
    let mut config = at(&server, "localhost");
    for mode in [TlsMode::VerifyFull, TlsMode::Require] {
        config.tls = mode;
        let (error, text) = refused(&server, &config);
        assert!(matches!(error, PostgresError::Connect { .. }), "{text}");
        assert!(text.contains("server does not support TLS"), "{text}");
    }
    config.tls = TlsMode::Disable;
    assert!(!uses(&server, &config));
}

/// An address by number, with a Unix socket as its host or without a host, is one of a network.
#[test]
fn an_address_by_number_has_tls() {
    let server = Postgres::start_on_loopback(None);
    let by_number = |url: String| {
        let mut config = database(&server);
        config.url = format!("{url}?hostaddr=127.0.0.1");
        let (error, text) = refused(&server, &config);
        assert!(matches!(error, PostgresError::Connect { .. }), "{text}");
        assert!(text.contains("TLS"), "{text}");
    };
    by_number(server.url());
    by_number(server.url_on_loopback(""));
}

#[test]
fn a_file_without_a_certificate_is_an_error() {
    let server = Postgres::start_on_loopback(None);
    let mut config = at(&server, "localhost");
    let empty = tempfile::NamedTempFile::new().unwrap();
    for path in [empty.path(), &empty.path().join("missing")] {
        config.ca = Some(path.into());
        let (error, text) = refused(&server, &config);
        assert!(matches!(error, PostgresError::Certificates { .. }), "{text}");
    }
}
