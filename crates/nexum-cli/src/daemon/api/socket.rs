//! The Unix socket of the API.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use tokio::net::UnixListener;

use crate::daemon::listen::{self, Bounds};
use crate::daemon::systemd::Service;
use crate::protocol::{SOCKET, socket_in};

/// The bounds of the socket, whose clients are processes of one user. There may be hundreds of commands
/// at a time, for example from a script. A stream of records lasts as long as the operator watches it.
const BOUNDS: Bounds = Bounds::new(256, Duration::MAX).with_streams();

/// Serves the API on the socket in a state directory. Reports to `service` when the socket listens. If
/// that fails, logs the error and waits forever, because modules run without the socket.
pub(super) async fn serve(state_dir: &Path, router: Router, service: &Service) -> Infallible {
    let opened = ApiSocket::open(state_dir);
    service.listens().await;
    match opened {
        Ok(socket) => socket.serve(router).await,
        Err(error) => {
            tracing::error!(%error, "commands cannot reach nexum: there is no socket in the state directory");
            std::future::pending().await
        }
    }
}

/// The socket. Dropping it removes the file.
struct ApiSocket {
    listener: Option<UnixListener>,
    path: PathBuf,
}

impl ApiSocket {
    /// Opens the socket in a state directory. Replaces the socket of a dead process.
    ///
    /// # Errors
    ///
    /// If another process listens on the socket, or the socket cannot be created.
    fn open(state_dir: &Path) -> io::Result<Self> {
        let path = state_dir.join(SOCKET);
        fs::create_dir_all(state_dir)?;
        let (short, _open) = socket_in(state_dir)?;
        if UnixStream::connect(short).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // The socket gets its name after its mode, so that no other user can open it in between.
        let hidden = tempfile::Builder::new().prefix(".socket").tempdir_in(state_dir);
        // Without the path in tempfile's error, which can contain the content of a variable.
        let hidden = hidden.map_err(|error| io::Error::from(error.kind()))?;
        let unnamed = hidden.path().join(SOCKET);
        let (short, _open) = socket_in(hidden.path())?;
        let listener = UnixListener::bind(short)?;
        fs::set_permissions(&unnamed, fs::Permissions::from_mode(0o600))?;
        fs::rename(&unnamed, &path)?;
        Ok(Self {
            listener: Some(listener),
            path,
        })
    }

    /// Answers requests until it is dropped.
    async fn serve(mut self, router: Router) -> Infallible {
        match self.listener.take() {
            Some(listener) => listen::serve(listener, router, BOUNDS).await,
            None => std::future::pending().await,
        }
    }
}

impl Drop for ApiSocket {
    fn drop(&mut self) {
        // The whole directory may have been removed.
        let _ = fs::remove_file(&self.path);
    }
}
