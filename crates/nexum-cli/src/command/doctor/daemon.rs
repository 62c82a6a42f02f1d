//! The control socket, and the daemon that answers on it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

use nexum_config::masked_path::MaskedPath;
use tokio::net::UnixStream;

use super::rights::{MODE_BITS, as_owner, quoted};
use crate::process;
use crate::protocol::{SOCKET, socket_in};
use crate::report::findings::{Area, Finding};

/// The mode of the socket.
const SOCKET_MODE: u32 = 0o600;

/// The process that listens on the control socket, and the findings about the socket.
pub(super) struct Daemon {
    pid: Option<u32>,
    findings: Vec<Finding>,
}

impl Daemon {
    /// The process that listens on the socket, if one does and this user may connect.
    pub(super) fn pid(&self) -> Option<u32> {
        self.pid
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        self.findings.clone()
    }
}

/// Connects to the socket in the state directory.
pub(super) fn find(state_dir: &MaskedPath) -> Daemon {
    let path = state_dir.join(SOCKET);
    let shown = path.display();
    let connected = process::block_on(async {
        let (path, _open) = socket_in(state_dir)?;
        UnixStream::connect(path).await?.peer_cred()
    });
    let area = Area::Daemon;
    let (pid, finding) = match connected {
        Ok(Ok(peer)) => {
            let pid = peer.pid().and_then(|pid| u32::try_from(pid).ok());
            let process = pid.map_or_else(String::new, |pid| format!("process {pid} of "));
            let text = format!("{process}user {} answers", peer.uid());
            (Some(pid.unwrap_or_default()), area.ok(shown, text))
        }
        Ok(Err(error)) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            let text = "no daemon runs here, so nexum does not know which components it has loaded";
            (None, area.unknown(shown, text, "start it with `nexum run`"))
        }
        Ok(Err(error)) => {
            let text = format!("cannot be opened: {error}");
            (None, area.unknown(shown, text, as_owner(state_dir)))
        }
        Err(_) => {
            let text = "the system starts no threads";
            (
                None,
                area.unknown(shown, text, "`ulimit -u` shows the limit of processes and threads"),
            )
        }
    };
    let findings = [finding].into_iter().chain(rights(&path)).collect();
    Daemon { pid, findings }
}

/// The mode and the owner of the socket. None if there is no socket.
fn rights(path: &MaskedPath) -> Option<Finding> {
    let found = fs::symlink_metadata(&**path).ok()?;
    let (area, shown) = (Area::Rights, path.display());
    let mode = found.mode() & MODE_BITS;
    Some(match found.file_type().is_socket() {
        false => area
            .failure(shown, "is not a socket, so no command reaches the daemon")
            .with_remedy(format!("rm -r {}, and restart nexum", quoted(path))),
        true if mode != SOCKET_MODE => area
            .failure(
                shown,
                format!("has the mode {mode:04o}: other users can control the daemon"),
            )
            .with_remedy(format!("chmod {SOCKET_MODE:o} {}", quoted(path))),
        true => {
            let text = format!(
                "has the mode {mode:04o}: user {} and root can control the daemon",
                found.uid()
            );
            area.ok(shown, text)
        }
    })
}
