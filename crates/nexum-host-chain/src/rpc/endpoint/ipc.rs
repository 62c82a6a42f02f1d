//! A connection to a node's unix socket. Bounds the size of an answer while it is read.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use alloy_pubsub::{ConnectionHandle, ConnectionInterface};
use alloy_transport::utils::Spawnable as _;
use alloy_transport_ipc::ReadJsonStream;
use futures_util::StreamExt as _;
use tokio::io::{AsyncRead, AsyncWriteExt as _, ReadBuf};
use tokio::net::UnixStream;

use super::connection::Oversize;
use super::loose::Item;

/// Connects to the socket. alloy's own connection accepts an answer of any size.
pub(super) async fn connect(
    path: &Path,
    response_bytes_max: usize,
    oversize: &Arc<Oversize>,
) -> io::Result<ConnectionHandle> {
    let stream = UnixStream::connect(path).await?;
    let (handle, interface) = ConnectionHandle::new();
    serve(stream, interface, response_bytes_max, Arc::clone(oversize)).spawn_task();
    Ok(handle)
}

/// Carries messages until either side ends the connection.
async fn serve(
    stream: UnixStream,
    mut interface: ConnectionInterface,
    response_bytes_max: usize,
    oversize: Arc<Oversize>,
) {
    let (reader, mut writer) = stream.into_split();
    let unframed_bytes = Arc::new(AtomicUsize::new(0));
    let reader = Bounded {
        reader,
        unframed_bytes: Arc::clone(&unframed_bytes),
        bytes_max: response_bytes_max,
        oversize,
    };
    let mut items = ReadJsonStream::<_, Item>::from(reader);
    loop {
        tokio::select! {
            request = interface.recv_from_frontend() => {
                // All users of the connection are gone.
                let Some(request) = request else { return };
                if writer.write_all(request.get().as_bytes()).await.is_err() {
                    break;
                }
            }
            item = items.next() => {
                unframed_bytes.store(0, Ordering::Relaxed);
                let Some(Item(item)) = item else { break };
                if interface.send_to_frontend(item).is_err() {
                    return;
                }
            }
        }
    }
    interface.close_with_error();
}

/// Fails after more than `bytes_max` bytes since the last whole message.
struct Bounded<R> {
    reader: R,
    unframed_bytes: Arc<AtomicUsize>,
    bytes_max: usize,
    oversize: Arc<Oversize>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Bounded<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.reader).poll_read(cx, buffer))?;
        let read = buffer.filled().len() - before;
        let unframed = self
            .unframed_bytes
            .fetch_add(read, Ordering::Relaxed)
            .saturating_add(read);
        if unframed > self.bytes_max {
            self.oversize.found();
            return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
        }
        Poll::Ready(Ok(()))
    }
}
