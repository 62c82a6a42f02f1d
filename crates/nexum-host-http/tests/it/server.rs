//! A server that sends the exact bytes of a test.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nexum_testing::WAIT_MAX;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A received request.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Heard {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The server's reaction to a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Sends these bytes, then reads the next request.
    Bytes(Vec<u8>),
    /// Sends these bytes, then closes the connection.
    Last(Vec<u8>),
    /// Sends these bytes, then nothing more.
    Hang(Vec<u8>),
    /// Sends these bytes when it gets a permit, then reads the next request.
    When(Arc<Semaphore>, Vec<u8>),
}

/// A response with this status, these headers, and a body of known length.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Reply {
    let body = body.as_ref();
    let headers: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n", body.len());
    Reply::Bytes([head.as_bytes(), body].concat())
}

pub(crate) fn redirect(status: u16, location: &str) -> Reply {
    answer(status, &[("location", location)], "")
}

type Script = Arc<dyn Fn(&Heard) -> Reply + Send + Sync>;

pub(crate) struct Server {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
    connections: Arc<AtomicUsize>,
    given_up: Arc<Semaphore>,
    _task: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start(script: impl Fn(&Heard) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(None, script).await
    }

    pub(crate) async fn start_with(
        tls: Option<TlsAcceptor>,
        script: impl Fn(&Heard) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (heard, connections, given_up) = (Arc::default(), Arc::default(), Arc::new(Semaphore::new(0)));
        let mut task = JoinSet::new();
        let (to, count, script): (_, Arc<AtomicUsize>, Script) =
            (Arc::clone(&heard), Arc::clone(&connections), Arc::new(script));
        let gone = given_up.clone();
        task.spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let (to, script, tls) = (Arc::clone(&to), Arc::clone(&script), tls.clone());
                let gone = gone.clone();
                serving.spawn(async move {
                    match tls {
                        None => serve(stream, &to, &script, &gone).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, &to, &script, &gone).await,
                            Err(_) => None,
                        },
                    };
                });
            }
        });
        Self {
            port,
            heard,
            connections,
            given_up,
            _task: task,
        }
    }

    /// `http://127.0.0.1:PORT` with this path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The server's entry in a list of hosts.
    pub(crate) fn entry(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Waits until the client has closed a connection on which the server hangs.
    pub(crate) async fn given_up(&self) {
        let permit = tokio::time::timeout(WAIT_MAX, self.given_up.acquire()).await;
        permit.expect("a closed connection").unwrap().forget();
    }
}

/// Responds to the requests of one connection.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    heard: &Mutex<Vec<Heard>>,
    script: &Script,
    given_up: &Semaphore,
) -> Option<()> {
    let mut bytes = Vec::new();
    loop {
        let request = read(&mut stream, &mut bytes).await?;
        let reply = script(&request);
        heard.lock().push(request);
        if let Reply::When(permits, _) = &reply {
            permits.acquire().await.ok()?.forget();
        }
        let (Reply::Bytes(reply_bytes)
        | Reply::Last(reply_bytes)
        | Reply::Hang(reply_bytes)
        | Reply::When(_, reply_bytes)) = &reply;
        stream.write_all(reply_bytes).await.ok()?;
        stream.flush().await.ok()?;
        match reply {
            Reply::Bytes(_) | Reply::When(..) => {}
            Reply::Last(_) => return stream.shutdown().await.ok(),
            Reply::Hang(_) => {
                while more(&mut stream, &mut bytes).await.is_some() {}
                given_up.add_permits(1);
                return None;
            }
        }
    }
}

/// Reads one request. Later bytes stay in `bytes`.
async fn read<S: AsyncRead + Unpin>(stream: &mut S, bytes: &mut Vec<u8>) -> Option<Heard> {
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        more(stream, bytes).await?;
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let mut words = lines.next()?.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(0, |(_, length)| length.parse().unwrap());
    while bytes.len() < end + length {
        more(stream, bytes).await?;
    }
    let body = String::from_utf8_lossy(&bytes[end..end + length]).into_owned();
    bytes.drain(..end + length);
    Some(Heard {
        method,
        path,
        headers,
        body,
    })
}

async fn more<S: AsyncRead + Unpin>(stream: &mut S, bytes: &mut Vec<u8>) -> Option<()> {
    let mut chunk = [0; 16_384];
    let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
    bytes.extend_from_slice(&chunk[..read]);
    Some(())
}
