//! Connections, with their settings.

use std::fmt;
use std::future::poll_fn;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::regular_file;
use nexum_core::BoxError;
use nexum_core::store::StoreError;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::{AsyncMessage, Client, Config, error::SqlState};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{ANSWER_WAIT, failed, tls};
use crate::database::{PostgresConfig, TlsMode};
use crate::error::PostgresError;

/// The largest password file: far more than any password has.
const PASSWORD_BYTES_MAX: u64 = 4_096;

/// The rights that make a file unfit for a secret: any right of others, and the right of the group to
/// write.
const RIGHTS_REFUSED: u32 = 0o027;

/// The silence after which both sides examine a TCP connection: a dead peer is noticed in half a minute.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;

/// The wait after a failed connection, which doubles with each further failure. The longest one is short,
/// so that modules continue soon after the database does.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// The most bytes of an application name in PostgreSQL.
const NAME_BYTES_MAX: usize = 63;

/// The classes of SQL states of a refused user, and of a database that does not exist.
const DENIED: [&str; 2] = ["28", "3D"];

/// Makes connections.
#[derive(Clone)]
pub(super) struct Connector {
    connection: Config,
    settings: PostgresConfig,
    tls: MakeRustlsConnect,
    /// The hosts and the name of the database.
    database: String,
    handle: Handle,
}

/// An open connection. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: Client,
    /// Receives the notifications that the session listens to.
    pub(super) heard: Arc<Notify>,
    driver: JoinHandle<()>,
}

/// The time of the next attempt to connect.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    wait: Option<Duration>,
    next: Option<Instant>,
}

impl Connector {
    pub(super) fn new(config: &PostgresConfig, purpose: &str, handle: Handle) -> Result<Self, PostgresError> {
        // The library's error may quote a part of the address, and so the password.
        let mut connection: Config = config.url.parse().map_err(|_| PostgresError::Url)?;
        let mode = if is_local(&connection) {
            TlsMode::Disable
        } else {
            config.tls
        };
        let mut name = format!("{purpose}, process {}", std::process::id());
        name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
        connection
            .application_name(name)
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .ssl_mode(match mode {
                TlsMode::VerifyFull | TlsMode::Require => SslMode::Require,
                TlsMode::Disable => SslMode::Disable,
            })
            .connect_timeout(config.wait_max)
            .tcp_user_timeout(config.wait_max + ANSWER_WAIT)
            .keepalives_idle(KEEPALIVE_IDLE)
            .keepalives_interval(KEEPALIVE_INTERVAL)
            .keepalives_retries(KEEPALIVE_RETRIES);
        Ok(Self {
            database: shown(&connection),
            connection,
            settings: config.clone(),
            tls: MakeRustlsConnect::new(tls::client(mode, config.ca.as_ref())?),
            handle,
        })
    }

    /// Opens a connection with nexum's settings.
    pub(super) async fn connect(&self) -> Result<Session, PostgresError> {
        let mut connection = self.connection.clone();
        if let Some(password) = self.password()? {
            connection.password(password);
        }
        self.within(async {
            let connected = connection.connect(self.tls.clone()).await;
            let (client, mut connection) = connected.map_err(|error| self.refused(error))?;
            let heard = Arc::new(Notify::new());
            let hearing = heard.clone();
            let driver = self.handle.spawn(async move {
                // The requests of the connection get the error too.
                while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                    if let AsyncMessage::Notification(_) = message {
                        hearing.notify_one();
                    }
                }
            });
            let session = Session { client, heard, driver };
            let settings = session.client.batch_execute(&self.settings_of_a_session()).await;
            settings.map_err(|error| self.request(error))?;
            Ok(session)
        })
        .await
    }

    /// The result of a request, or an error if the database does not answer in time.
    pub(super) async fn within<T>(
        &self,
        request: impl Future<Output = Result<T, PostgresError>>,
    ) -> Result<T, PostgresError> {
        let after = self.settings.wait_max + ANSWER_WAIT;
        let database = || self.database.clone();
        timeout(after, request).await.unwrap_or_else(|_| {
            Err(PostgresError::TimedOut {
                database: database(),
                after,
            })
        })
    }

    /// The answer to a request, or an error if the database does not answer in time.
    pub(super) async fn ask<T>(
        &self,
        request: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, PostgresError> {
        self.within(async { request.await.map_err(|error| self.request(error)) })
            .await
    }

    /// The error of a connection that could not be opened.
    fn refused(&self, error: tokio_postgres::Error) -> PostgresError {
        let is_denied = |code: &SqlState| DENIED.iter().any(|class| code.code().starts_with(class));
        let (is_denied, is_untrusted) = (error.code().is_some_and(is_denied), tls::is_untrusted(&error));
        let (database, source) = (self.database.clone(), BoxError::from(error));
        match (is_denied, is_untrusted) {
            (true, _) => PostgresError::Denied { database, source },
            (_, true) => PostgresError::Untrusted { database, source },
            _ => PostgresError::Connect { database, source },
        }
    }

    /// A refused request, or one whose connection ended.
    pub(super) fn request(&self, error: impl Into<BoxError>) -> PostgresError {
        let (source, database) = (error.into(), self.database.clone());
        let error = source.downcast_ref::<tokio_postgres::Error>();
        let code = error.and_then(tokio_postgres::Error::code);
        let has_stopped = code.is_some_and(|code| {
            [
                SqlState::ADMIN_SHUTDOWN,
                SqlState::CRASH_SHUTDOWN,
                SqlState::CANNOT_CONNECT_NOW,
            ]
            .contains(code)
        });
        if has_stopped || error.is_some_and(tokio_postgres::Error::is_closed) {
            return PostgresError::Connect { database, source };
        }
        let is_missing = code.is_some_and(|code| {
            [
                SqlState::UNDEFINED_TABLE,
                SqlState::UNDEFINED_FUNCTION,
                SqlState::UNDEFINED_COLUMN,
                SqlState::INVALID_SCHEMA_NAME,
            ]
            .contains(code)
        });
        match is_missing {
            true => PostgresError::NoTables {
                database,
                schema: self.settings.schema.clone(),
                source,
            },
            false => PostgresError::Request { database, source },
        }
    }

    /// The hosts and the name of the database.
    pub(super) fn database(&self) -> &str {
        &self.database
    }

    pub(super) fn schema(&self) -> &str {
        &self.settings.schema
    }

    fn password(&self) -> Result<Option<Vec<u8>>, PostgresError> {
        let Some(path) = &self.settings.password_file else {
            return Ok(None);
        };
        let shown = || path.shown().to_owned();
        let unusable = |source| PostgresError::PasswordFile { path: shown(), source };
        let file = regular_file::open(path).map_err(unusable)?;
        let rights = file.metadata().map_or(0, |found| found.permissions().mode() & 0o777);
        if rights & RIGHTS_REFUSED != 0 {
            return Err(PostgresError::PasswordRights { path: shown(), rights });
        }
        let mut password = regular_file::read(path, PASSWORD_BYTES_MAX).map_err(unusable)?;
        while password.pop_if(|byte| matches!(byte, b'\n' | b'\r')).is_some() {}
        Ok(Some(password))
    }

    /// The settings do not depend on those of the server or the user. Every statement finds its rows by
    /// their key, also while the server has no statistics of a new table.
    fn settings_of_a_session(&self) -> String {
        let Self { settings, .. } = self;
        let wait_ms = settings.wait_max.as_millis();
        format!(
            "SET search_path TO {schema}; SET statement_timeout TO {wait_ms}; \
             SET idle_in_transaction_session_timeout TO 0; SET default_transaction_isolation TO 'read committed'; \
             SET tcp_keepalives_idle TO {idle}; SET tcp_keepalives_interval TO {interval}; \
             SET tcp_keepalives_count TO {KEEPALIVE_RETRIES}; SET enable_seqscan TO off; SET jit TO off",
            schema = settings.schema,
            idle = KEEPALIVE_IDLE.as_secs(),
            interval = KEEPALIVE_INTERVAL.as_secs(),
        )
    }
}

impl Backoff {
    /// Opens a connection, after the wait that earlier failures require.
    pub(super) async fn connect(&mut self, connector: &Connector) -> Result<Session, StoreError> {
        if let Some(next) = self.next {
            sleep_until(next).await;
        }
        let connected = connector.connect().await.map_err(failed);
        match &connected {
            Ok(_) => self.succeeded(),
            Err(_) => self.failed(),
        }
        connected
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    pub(super) fn failed(&mut self) {
        let wait = self.wait.map_or(BACKOFF_MIN, |wait| (wait * 2).min(BACKOFF_MAX));
        *self = Self {
            wait: Some(wait),
            next: Some(Instant::now() + wait),
        };
    }
}

impl Drop for Session {
    /// Closes the socket, also while the server does not answer.
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

/// Whether all connections are those of Unix sockets. An address by number overrides the host.
fn is_local(connection: &Config) -> bool {
    let (hosts, by_number) = (connection.get_hosts(), connection.get_hostaddrs());
    let is_unix = |host: &Host| matches!(host, Host::Unix(_));
    !hosts.is_empty() && hosts.iter().all(is_unix) && by_number.is_empty()
}

/// The hosts and the name of the database, for texts.
fn shown(connection: &Config) -> String {
    let host = |host: &Host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    };
    let hosts: Vec<_> = connection.get_hosts().iter().map(host).collect();
    let name = connection.get_dbname().or(connection.get_user()).unwrap_or_default();
    format!("{name} on {}", hosts.join(", "))
}
