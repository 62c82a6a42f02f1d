//! TLS to servers whose certificates the system trusts, and the reason of a failed handshake.

use std::error::Error;
use std::io;
use std::sync::Arc;

use nexum_config::causes::{CAUSES_MAX, causes};
use rustls::crypto::{CryptoProvider, ring};
use rustls::{CertificateError, ClientConfig};
use rustls_platform_verifier::BuilderVerifierExt as _;

/// Why the TLS handshake failed, as the end of a sentence about the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFault {
    /// No trusted issuer signed the certificate.
    #[error("has a certificate from an untrusted issuer")]
    Issuer,
    /// The certificate is for another name.
    #[error("has a certificate for another name")]
    Name,
    /// The certificate has expired, or is not valid yet.
    #[error("has a certificate that is not valid at this time")]
    Time,
    /// Another fault of the certificate.
    #[error("has a certificate that is not valid")]
    Certificate,
    /// Another fault of the protocol.
    #[error("does not support a known version of TLS")]
    Protocol,
    /// The system has no trusted certificates to compare with.
    #[error(
        "cannot be trusted, because this system has no CA certificates: install them, or name a file in SSL_CERT_FILE"
    )]
    NoRoots,
    /// `SSL_CERT_FILE` names something that nexum could wait for without end.
    #[error("cannot be trusted, because SSL_CERT_FILE does not name a regular file")]
    RootsFile,
}

impl TlsFault {
    /// The fault of TLS among the causes of an error, if there is one.
    pub fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let error = causes(error)
            .flat_map(contents)
            .find_map(|cause| cause.downcast_ref::<rustls::Error>())?;
        Some(Self::of_rustls(error))
    }

    fn of_rustls(error: &rustls::Error) -> Self {
        use CertificateError as Bad;
        let rustls::Error::InvalidCertificate(error) = error else {
            return Self::Protocol;
        };
        match error {
            Bad::UnknownIssuer => Self::Issuer,
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => Self::Name,
            Bad::Expired | Bad::ExpiredContext { .. } | Bad::NotValidYet | Bad::NotValidYetContext { .. } => Self::Time,
            _ => Self::Certificate,
        }
    }
}

/// An error, and the errors that it wraps as an `io::Error`, whose `source` skips them.
pub fn contents<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let content = |error: &&'a (dyn Error + 'static)| -> Option<&'a (dyn Error + 'static)> {
        Some(error.downcast_ref::<io::Error>()?.get_ref()?)
    };
    std::iter::successors(Some(error), content).take(CAUSES_MAX)
}

/// A configuration that trusts the system's certificates, or the ones in `SSL_CERT_FILE` and
/// `SSL_CERT_DIR`. It offers these application protocols (ALPN). Reads the certificates from disk.
///
/// # Errors
///
/// [`TlsFault::NoRoots`] if there are no certificates, and [`TlsFault::RootsFile`] if `SSL_CERT_FILE` names a FIFO, a device or
/// a directory.
pub fn tls_config(protocols: &[&str]) -> Result<ClientConfig, TlsFault> {
    check_roots_file()?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| TlsFault::Protocol)?
        .with_platform_verifier()
        .map_err(|_| TlsFault::NoRoots)?;
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Ok(config)
}

/// A builder of HTTP clients. reqwest is built without a library of cryptography, and takes the one of
/// the process, which this sets; [`tls_config`] has the same.
pub fn http_client() -> reqwest::ClientBuilder {
    set_cryptography();
    #[expect(clippy::disallowed_methods, reason = "the process has a library of cryptography now")]
    reqwest::Client::builder()
}

/// Sets the library of cryptography for the libraries that use the process's. An earlier one stays.
pub fn set_cryptography() {
    if CryptoProvider::get_default().is_none() {
        // Another thread may have set it meanwhile.
        let _ = ring::default_provider().install_default();
    }
}

/// The library that reads the certificates would wait for the writer of a FIFO.
fn check_roots_file() -> Result<(), TlsFault> {
    let roots = std::env::var_os(ROOTS_FILE).and_then(|path| std::fs::metadata(path).ok());
    match roots {
        Some(found) if !found.is_file() => Err(TlsFault::RootsFile),
        _ => Ok(()),
    }
}

/// The variable with the path of a file of trusted certificates.
const ROOTS_FILE: &str = "SSL_CERT_FILE";

/// The application protocols of an HTTP client.
pub const HTTP_PROTOCOLS: &[&str] = &["h2", "http/1.1"];
