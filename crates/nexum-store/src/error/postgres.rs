//! The errors of opening a state in PostgreSQL.

use std::path::PathBuf;
use std::time::Duration;

use nexum_config::hint::Hint;
use nexum_config::regular_file::FileError;
use nexum_core::BoxError;

/// Why nexum cannot use a state in PostgreSQL. No text of it contains the password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// The address of the database is missing or not valid.
    #[error("`[store] url` is not the address of a PostgreSQL database")]
    Url,
    /// The password file cannot be used.
    #[error("the password file {} {source}", path.display())]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: FileError,
    },
    /// Other users can read the password file, or its group can change it.
    #[error("the password file {} has the rights {rights:03o}, so that other users can use it", path.display())]
    PasswordRights {
        /// The file.
        path: PathBuf,
        /// The rights of the file.
        rights: u32,
    },
    /// The certificates of the database's authority cannot be used.
    #[error("TLS for the database cannot be set up with the certificates in {}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: BoxError,
    },
    /// TLS cannot be set up.
    #[error("TLS for the database cannot be set up")]
    Tls(#[source] BoxError),
    /// The database does not accept the connection.
    #[error("the database {database} cannot be reached")]
    Connect {
        /// The hosts and the name of the database.
        database: String,
        /// The library's error.
        source: BoxError,
    },
    /// The database refuses the user or does not exist.
    #[error("the database {database} refuses the connection")]
    Denied {
        /// The hosts and the name of the database.
        database: String,
        /// The library's error.
        source: BoxError,
    },
    /// The database's certificate is not valid.
    #[error("the certificate of the database {database} is not valid")]
    Untrusted {
        /// The hosts and the name of the database.
        database: String,
        /// The library's error.
        source: BoxError,
    },
    /// The database does not answer in time.
    #[error("the database {database} has not answered within {} ms", after.as_millis())]
    TimedOut {
        /// The hosts and the name of the database.
        database: String,
        /// The longest wait for the answer.
        after: Duration,
    },
    /// The tables are missing, or are those of an older version.
    #[error("the database {database} does not have nexum's tables in the schema {schema}")]
    NoTables {
        /// The hosts and the name of the database.
        database: String,
        /// The schema.
        schema: String,
        /// The database's error.
        source: BoxError,
    },
    /// Another process uses the state.
    #[error("the state in the database {database}, schema {schema}, is in use by {holder}")]
    InUse {
        /// The hosts and the name of the database.
        database: String,
        /// The schema.
        schema: String,
        /// The other process.
        holder: String,
    },
    /// The leases of nodes of an installation have not ended.
    #[error("the state in the database {database}, schema {schema}, belongs to live nodes: {nodes}")]
    LiveNodes {
        /// The hosts and the name of the database.
        database: String,
        /// The schema.
        schema: String,
        /// The names of the nodes.
        nodes: String,
        /// The time until the last lease ends, if no node renews it.
        ends_in: Duration,
    },
    /// The database refuses a request.
    #[error("the database {database} refused a request")]
    Request {
        /// The hosts and the name of the database.
        database: String,
        /// The library's error.
        source: BoxError,
    },
    /// This process cannot use the network.
    #[error("nexum cannot start the thread for the database")]
    Runtime(#[source] std::io::Error),
}

impl PostgresError {
    /// Whether a later attempt can succeed without a change by the operator: the database may not have
    /// started yet.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::TimedOut { .. })
    }
}

impl Hint for PostgresError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Url => "write it as `url = \"postgres://nexum@db1,db2/nexum\"`".to_owned(),
            Self::PasswordRights { .. } => "allow only nexum's user to read it: `chmod 600`".to_owned(),
            Self::NoTables { .. } => "create them with `nexum cluster init`".to_owned(),
            Self::InUse { .. } => "stop that process, or name another `[store] schema`".to_owned(),
            Self::LiveNodes { ends_in, .. } => format!(
                "stop nexum on these nodes. After a crash, wait until the lease ends, in at most {} s",
                ends_in.as_millis().div_ceil(1_000)
            ),
            Self::Denied { .. } => "check the user, the password and the name of the database in `[store]`".to_owned(),
            Self::Untrusted { .. } => {
                "name the file with the certificates of the database's authority in `[store] tls.ca`, and in \
                 `[store] url` a host of the certificate"
                    .to_owned()
            }
            Self::Connect { .. } | Self::TimedOut { .. } => {
                "check that the database runs and accepts writes, and check `[store] url` and `tls`".to_owned()
            }
            _ => return None,
        })
    }
}
