//! A connection between a node and the database that can be cut.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The name of a server's socket.
const SOCKET: &str = ".s.PGSQL.5432";

/// A proxy in front of the database. It forwards nothing while it is cut, and keeps the connections open.
pub(crate) struct Link {
    directory: TempDir,
    is_cut: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

impl Link {
    /// Starts a proxy to the database with this address.
    pub(crate) fn start(url: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("link").tempdir_in("/tmp").unwrap();
        let listener = UnixListener::bind(directory.path().join(SOCKET)).unwrap();
        let server = socket_directory(url).join(SOCKET);
        let is_cut = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, server, is_cut.subscribe()));
        Self {
            directory,
            is_cut,
            _tasks: tasks,
        }
    }

    /// The address of the database over this link.
    pub(crate) fn url(&self, url: &str) -> String {
        let encoded = |path: &Path| path.display().to_string().replace('/', "%2F");
        url.replace(&encoded(&socket_directory(url)), &encoded(self.directory.path()))
    }

    pub(crate) fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    pub(crate) fn heal(&self) {
        self.is_cut.send_replace(false);
    }
}

fn socket_directory(url: &str) -> PathBuf {
    let host = url.split('@').nth(1).and_then(|rest| rest.split('/').next()).unwrap();
    PathBuf::from(host.replace("%2F", "/"))
}

async fn serve(listener: UnixListener, server: PathBuf, is_cut: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (server, mut is_cut) = (server.clone(), is_cut.clone());
        connections.spawn(async move {
            if is_cut.wait_for(|is_cut| !is_cut).await.is_err() {
                return;
            }
            let Ok(server) = UnixStream::connect(server).await else {
                return;
            };
            let (client_in, client_out) = client.into_split();
            let (server_in, server_out) = server.into_split();
            tokio::select! {
                () = forward(client_in, server_out, is_cut.clone()) => {}
                () = forward(server_in, client_out, is_cut) => {}
            }
        });
    }
}

async fn forward(
    mut from: tokio::net::unix::OwnedReadHalf,
    mut to: tokio::net::unix::OwnedWriteHalf,
    mut is_cut: watch::Receiver<bool>,
) {
    let mut bytes = [0; 16_384];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if is_cut.wait_for(|is_cut| !is_cut).await.is_err() || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
