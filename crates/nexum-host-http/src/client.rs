//! The HTTP clients, and one request through them.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nexum_config::limits::saturating_usize;
use nexum_net::{BodyReader, ReadError};
use reqwest::header::{HeaderMap, HeaderValue, USER_AGENT};
use reqwest::{Client, Response, redirect, retry};
use tokio::sync::Semaphore;

use crate::config::HttpConfig;
use crate::error::{FetchError, Phase};
use crate::request::Request;
use crate::resolver::{CheckedResolver, LOOKUPS_MAX, Lookup};
use crate::time::Time;

/// The most headers of a response. Servers send about twenty.
pub const RESPONSE_HEADERS_MAX: usize = 100;

/// The most bytes of names and values of a response's headers together: four times the amount that
/// servers accept in a request.
pub const RESPONSE_HEADER_BYTES_MAX: u32 = 64 * 1_024;

/// The most idle connections per host, and how long they stay open: as many as the events of one
/// block use concurrently, until the block after the next.
const IDLE_PER_HOST_MAX: usize = 8;
const IDLE_MAX: Duration = Duration::from_secs(30);

/// The `user-agent` of a request that has none.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("nexum/", env!("CARGO_PKG_VERSION")));

/// Two clients with separate connections, so that a request for public addresses never reuses a
/// connection to a private one. Each client is created at its first use, because loading the trust
/// roots takes a moment.
#[derive(Debug)]
pub(crate) struct Clients {
    config: HttpConfig,
    lookup: Arc<dyn Lookup>,
    lookups: Arc<Semaphore>,
    public: OnceLock<Option<Client>>,
    private: OnceLock<Option<Client>>,
}

impl Clients {
    pub(crate) fn new(config: HttpConfig, lookup: Arc<dyn Lookup>) -> Self {
        Self {
            config,
            lookup,
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
            public: OnceLock::new(),
            private: OnceLock::new(),
        }
    }

    /// Sends a permitted request once. Returns the response when its headers have arrived.
    pub(crate) async fn send(
        &self,
        request: &Request,
        may_be_private: bool,
        total: Time,
    ) -> Result<Response, FetchError> {
        let client = self.client(may_be_private)?;
        let mut headers = request.headers.clone();
        headers.entry(USER_AGENT).or_insert(AGENT);
        let sending = client
            .request(request.method.clone(), request.url.clone())
            .headers(headers);
        let sending = match &request.body {
            Some(body) => sending.body(body.clone()),
            None => sending,
        };
        let operators = Duration::from_millis(self.config.first_byte_timeout_ms);
        let first_byte = request.waits.first_byte.unwrap_or(operators).min(operators);
        let first_byte = Time::new(Phase::FirstByte, first_byte);
        let response = total.least(first_byte).bound(sending.send()).await?;
        response.map_err(|error| FetchError::of_sending(&error, self.config.connect_timeout_ms))
    }

    /// Reads the body of a response, up to `response_bytes_max`. No wait for a piece of it takes
    /// longer than `between_bytes`.
    pub(crate) async fn read(
        &self,
        response: Response,
        between_bytes: Option<Duration>,
        total: Time,
    ) -> Result<Vec<u8>, FetchError> {
        let bytes_max = self.config.response_bytes_max;
        let failed = |error: ReadError| FetchError::of_reading(&error, bytes_max);
        let mut reader = BodyReader::new(response, saturating_usize(bytes_max)).map_err(failed)?;
        loop {
            let time = match between_bytes {
                Some(wait) => total.least(Time::new(Phase::NextByte, wait)),
                None => total,
            };
            if !time.bound(reader.read_more()).await?.map_err(failed)? {
                return Ok(reader.into_body());
            }
        }
    }

    fn client(&self, may_be_private: bool) -> Result<&Client, FetchError> {
        let kept = if may_be_private { &self.private } else { &self.public };
        let client = kept.get_or_init(|| self.build(may_be_private).ok());
        client.as_ref().ok_or(FetchError::Internal)
    }

    fn build(&self, may_be_private: bool) -> reqwest::Result<Client> {
        let resolver = CheckedResolver {
            lookup: Arc::clone(&self.lookup),
            lookups: Arc::clone(&self.lookups),
            may_be_private,
        };
        let mut builder = nexum_net::http_client()
            .dns_resolver(resolver)
            // A proxy would resolve names itself, and its own address is not checked.
            .no_proxy()
            // The fetcher follows redirects, because it checks each one.
            .redirect(redirect::Policy::none())
            .referer(false)
            // The module decides about retries.
            .retry(retry::never())
            // Decompression can turn a small body into a large one. Another crate's features could
            // turn it on.
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .connect_timeout(Duration::from_millis(self.config.connect_timeout_ms))
            .http1_max_headers(RESPONSE_HEADERS_MAX)
            .http2_max_header_list_size(RESPONSE_HEADER_BYTES_MAX)
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .pool_idle_timeout(IDLE_MAX);
        if !self.config.certificates.is_empty() {
            builder = builder.tls_certs_merge(self.config.certificates.clone());
        }
        builder.build()
    }
}

/// The names and values of a response's headers. U+FFFD replaces bytes of a value that are not
/// UTF-8; no registered header has them.
///
/// # Errors
///
/// [`FetchError::TooLarge`] above [`RESPONSE_HEADER_BYTES_MAX`].
pub(crate) fn headers(headers: &HeaderMap) -> Result<Vec<(String, String)>, FetchError> {
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if bytes as u64 > u64::from(RESPONSE_HEADER_BYTES_MAX) {
        return Err(FetchError::TooLarge {
            part: "headers",
            bytes_max: RESPONSE_HEADER_BYTES_MAX.into(),
        });
    }
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let pairs = headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value)));
    Ok(pairs.collect())
}
