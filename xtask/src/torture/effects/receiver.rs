//! An HTTP server whose connections break before and after it acts.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// The largest body of a request.
const BODY_BYTES_MAX: usize = 4 << 20;

/// The longest wait for a request or an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) key: Option<String>,
    pub(super) body: Vec<u8>,
}

/// A running server.
pub(super) struct Receiver {
    address: String,
    faults: Arc<AtomicBool>,
}

/// The fate of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Answered,
    /// The connection breaks before the server acts.
    CutBefore,
    /// The server acts, and the connection breaks before the answer.
    CutAfter,
    /// The server acts, and answers with this status.
    Fails(u16),
}

impl Receiver {
    /// Starts a server that acts with this function: it returns the status and the body of the answer.
    pub(super) fn start(seed: u64, act: impl Fn(&Request) -> (u16, Vec<u8>) + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
        let address = listener.local_addr()?.to_string();
        let faults = Arc::new(AtomicBool::new(true));
        let (random, act) = (Arc::new(Mutex::new(StdRng::seed_from_u64(seed))), Arc::new(act));
        let is_faulty = faults.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(io::Result::ok) {
                let (random, act, is_faulty) = (random.clone(), act.clone(), is_faulty.clone());
                // A client that leaves in mid-request is one of the faults.
                thread::spawn(move || drop(serve(stream, &random, &*act, &is_faulty)));
            }
        });
        Ok(Self { address, faults })
    }

    /// The host and the port.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Sets whether connections break.
    pub(super) fn set_faults(&self, faults: bool) {
        self.faults.store(faults, Ordering::SeqCst);
    }
}

/// Serves the requests of one connection until one of them breaks it.
fn serve(
    stream: TcpStream,
    random: &Mutex<StdRng>,
    act: &(impl Fn(&Request) -> (u16, Vec<u8>) + ?Sized),
    faults: &AtomicBool,
) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    while let Some(request) = read(&mut reader)? {
        let fate = match faults.load(Ordering::SeqCst) {
            true => fate(&mut random.lock()),
            false => Fate::Answered,
        };
        if fate == Fate::CutBefore {
            return Ok(());
        }
        let (mut status, body) = act(&request);
        match fate {
            Fate::CutAfter => return Ok(()),
            Fate::Fails(with) => status = with,
            Fate::Answered | Fate::CutBefore => {}
        }
        write!(
            writer,
            "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )?;
        writer.write_all(&body)?;
    }
    Ok(())
}

fn fate(random: &mut StdRng) -> Fate {
    match random.random_range(0..20) {
        0 => Fate::CutBefore,
        1 => Fate::CutAfter,
        2 => Fate::Fails(502),
        _ => Fate::Answered,
    }
}

/// Reads a request. `None` at the end of the connection.
fn read(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let broken = || io::Error::from(io::ErrorKind::InvalidData);
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (method, path) = (
        words.next().ok_or_else(broken)?.to_owned(),
        words.next().ok_or_else(broken)?.to_owned(),
    );
    let (mut length, mut key) = (0, None);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().map_err(|_| broken())?,
            "idempotency-key" => key = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    if length > BODY_BYTES_MAX {
        return Err(broken());
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Request {
        method,
        path,
        key,
        body,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_its_key_and_its_body() {
        let text = "POST /a/1 HTTP/1.1\r\nIdempotency-Key: k\r\nContent-Length: 2\r\n\r\nhiGET /b HTTP/1.1\r\n\r\n";
        let mut reader = text.as_bytes();
        let request = read(&mut reader).expect("a request").expect("a request");
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/a/1"));
        assert_eq!(
            (request.key.as_deref(), request.body.as_slice()),
            (Some("k"), &b"hi"[..])
        );
        assert_eq!(read(&mut reader).expect("a request").expect("a request").path, "/b");
        assert!(read(&mut reader).expect("the end").is_none());
    }
}
