//! Files and requests of `reqsign`, which reads credentials with them: bounded as all others are.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use nexum_config::regular_file;
use reqsign_core::{Error, FileRead, HttpSend, Result};

use crate::signer::remote::Remote;

/// The most bytes of a file or an answer with credentials: fifty times the size of a long session token.
const CREDENTIALS_BYTES_MAX: usize = 64 << 10;

/// Reads regular files.
#[derive(Debug)]
pub(super) struct Files;

/// Sends requests as those to the signer.
#[derive(Debug)]
pub(super) struct Transport(pub(super) Arc<Remote>);

impl FileRead for Files {
    async fn file_read(&self, path: &str) -> Result<Vec<u8>> {
        let path = PathBuf::from(path);
        let read = tokio::task::spawn_blocking(move || regular_file::read(&path, CREDENTIALS_BYTES_MAX as u64));
        match read.await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) => Err(Error::config_invalid(format!("the file {error}"))),
            Err(_) => Err(Error::unexpected("the read ended early")),
        }
    }
}

impl HttpSend for Transport {
    async fn http_send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>> {
        let unsent = |_| Error::unexpected("the request for credentials failed").set_retryable(true);
        let (head, body) = request.into_parts();
        let client = self.0.client().map_err(unsent)?;
        let request = client.request(head.method, head.uri.to_string());
        let request = request.headers(head.headers).body(body);
        let (status, body) = self
            .0
            .send(request, CREDENTIALS_BYTES_MAX, |_| Ok(()))
            .await
            .map_err(unsent)?;
        let mut response = http::Response::new(Bytes::from(body));
        *response.status_mut() = status;
        Ok(response)
    }
}
