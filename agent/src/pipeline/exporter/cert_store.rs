//! The certificate of this machine out of Windows' certificate store, found by its thumbprint: "Personal" of the user, then of the
//! machine. Its key stays where it is, and signs there, so that it need not be exportable.

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

/// Name of the store that people know as "Personal".
const PERSONAL: &str = "my";

/// Lets a client show this machine's certificate. What else the settings say of TLS is in it, too.
pub(super) fn identify(
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
    let mut config = config.with_client_cert_resolver(Arc::new(Own(Arc::new(own))));
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(builder.tls_backend_preconfigured(config))
}

fn find(thumbprint: &Thumbprint) -> Result<CertifiedKey, String> {
    let of = |store: CertStoreType| {
        let store = CertStore::open(store, PERSONAL).ok()?;
        store.find_by_sha1(thumbprint.bytes()).ok()?.into_iter().next()
    };
    let found = of(CertStoreType::CurrentUser).or_else(|| of(CertStoreType::LocalMachine));
    let context = found.ok_or("is no certificate of the store \"Personal\" of this user or machine")?;
    let key = context.acquire_key(true).and_then(CngSigningKey::new);
    let key = key.map_err(|error| format!("has no private key that this user can use: {error}"))?;
    let chain = context.as_chain_der().map_err(|error| format!("has no chain of certificates: {error}"))?;
    Ok(CertifiedKey::new(chain.into_iter().map(CertificateDer::from).collect(), Arc::new(key)))
}

/// Shows the one certificate, if the collector takes a signature that its key can make.
#[derive(Debug)]
struct Own(Arc<CertifiedKey>);

impl ResolvesClientCert for Own {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.key.choose_scheme(schemes).map(|_| Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
