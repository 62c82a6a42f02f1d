//! The encryption of connections, and the trust in the server's certificate.

use std::error::Error;
use std::io;
use std::iter::successors;
use std::sync::Arc;

use nexum_config::masked_path::MaskedPath;
use nexum_core::BoxError;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt as _;

use crate::database::TlsMode;
use crate::error::PostgresError;

/// The client of a mode. `ca` is the file with the certificates of the authority; without it, the mode
/// [`TlsMode::VerifyFull`] trusts the authorities of the system.
pub(super) fn client(mode: TlsMode, ca: Option<&MaskedPath>) -> Result<ClientConfig, PostgresError> {
    let provider = Arc::new(ring::default_provider());
    let unusable = |error: rustls::Error| PostgresError::Tls(error.into());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = match (mode, ca) {
        (TlsMode::VerifyFull, Some(ca)) => builder.with_root_certificates(authority(ca)?),
        (TlsMode::VerifyFull, None) => builder.with_platform_verifier().map_err(unusable)?,
        (TlsMode::Require, _) => {
            let verifier = Arc::new(AnyCertificate(provider));
            builder.dangerous().with_custom_certificate_verifier(verifier)
        }
        (TlsMode::Disable, _) => builder.with_root_certificates(RootCertStore::empty()),
    };
    Ok(builder.with_no_client_auth())
}

/// Whether a connection has failed because the server's certificate is not valid.
pub(super) fn is_untrusted(error: &(dyn Error + 'static)) -> bool {
    successors(Some(error), |error| source(*error)).any(|error| {
        matches!(
            error.downcast_ref(),
            Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)
        )
    })
}

/// The next error of a chain. An I/O error hides the error in it from the chain.
fn source<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// The certificates in a file.
fn authority(file: &MaskedPath) -> Result<RootCertStore, PostgresError> {
    let unusable = |source: BoxError| PostgresError::Certificates {
        path: file.shown().to_owned(),
        source,
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&**file).map_err(|error| unusable(error.into()))? {
        let certificate = certificate.map_err(|error| unusable(error.into()))?;
        roots.add(certificate).map_err(|error| unusable(error.into()))?;
    }
    if roots.is_empty() {
        return Err(unusable("the file has no certificate".into()));
    }
    Ok(roots)
}

/// Accepts every certificate. The server still has to prove that it has the certificate's key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
