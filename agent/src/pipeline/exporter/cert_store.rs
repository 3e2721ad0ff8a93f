//! The client certificate from the certificate store of Windows, found by its thumbprint: in the
//! store "Personal" of the user, then of the machine. The store signs with the private key, so the
//! key does not have to be exportable.

use std::sync::Arc;

use reqwest::ClientBuilder;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme, version};
use rustls_cng::signer::CngSigningKey;
use rustls_cng::store::{CertStore, CertStoreType};
use rustls_platform_verifier::Verifier;

use super::error::ClientError;
use crate::config::{CollectorSettings, Thumbprint, TlsVersion};

/// Internal name of the store that Windows shows as "Personal".
const PERSONAL: &str = "my";

/// Configures TLS with the client certificate. As this replaces the whole TLS configuration of the
/// builder, it also applies the other TLS settings.
pub(super) fn with_store_identity(
    builder: ClientBuilder,
    settings: &CollectorSettings,
    thumbprint: &Thumbprint,
    protocols: &[&[u8]],
) -> Result<ClientBuilder, ClientError> {
    let wrong = |why: String| ClientError::ClientCertificate(format!("{thumbprint} {why}"));
    let own = find(thumbprint).map_err(wrong)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions: &[_] = match settings.min_tls_version {
        TlsVersion::Tls12 => &[&version::TLS12, &version::TLS13],
        TlsVersion::Tls13 => &[&version::TLS13],
    };
    let failed = |error: rustls::Error| wrong(format!("cannot be used: {error}"));
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions);
    let config = config.map_err(failed)?;
    let config = if let Some(file) = &settings.certificate {
        let problem = |problem: String| ClientError::Certificate { file: file.display().to_string(), problem };
        let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut roots = RootCertStore::empty();
        for certificate in certificates.map_err(|error| problem(format!("cannot be used: {error}")))? {
            roots.add(certificate).map_err(|error| problem(format!("cannot be used: {error}")))?;
        }
        config.with_root_certificates(roots)
    } else {
        let verifier = Verifier::new(provider).map_err(failed)?;
        config.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
    };
    let mut config = config.with_client_cert_resolver(Arc::new(SingleCertificate(Arc::new(own))));
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(builder.tls_backend_preconfigured(config))
}

fn find(thumbprint: &Thumbprint) -> Result<CertifiedKey, String> {
    let of = |store: CertStoreType| {
        let store = CertStore::open(store, PERSONAL).ok()?;
        store.find_by_sha1(thumbprint.bytes()).ok()?.into_iter().next()
    };
    let found = of(CertStoreType::CurrentUser).or_else(|| of(CertStoreType::LocalMachine));
    let context = found.ok_or("is not in the certificate store \"Personal\" of this user or machine")?;
    let key = context.acquire_key(true).and_then(CngSigningKey::new);
    let key = key.map_err(|error| format!("has no private key that this user may use: {error}"))?;
    let chain = context.as_chain_der().map_err(|error| format!("has no certificate chain: {error}"))?;
    Ok(CertifiedKey::new(chain.into_iter().map(CertificateDer::from).collect(), Arc::new(key)))
}

/// Presents one certificate, if its key supports a signature scheme that the collector accepts.
#[derive(Debug)]
struct SingleCertificate(Arc<CertifiedKey>);

impl ResolvesClientCert for SingleCertificate {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.key.choose_scheme(schemes).map(|_| Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
