//! Why there is no client for some settings.

/// Why there is no client for these settings.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file with certificates.
    #[error("collector.certificate: {file} {problem}")]
    Certificate {
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The certificate of this machine, or its key.
    #[error("collector.client_certificate: {0}")]
    ClientCertificate(String),
    /// A header.
    #[error("collector.headers: `{0}` is not a header that HTTP can carry")]
    Header(String),
    /// The password of the proxy.
    #[error("collector.proxy.password_from: {0}")]
    ProxyPassword(String),
    /// The HTTP client itself.
    #[error("the HTTP client cannot be made: {0}")]
    Http(#[from] reqwest::Error),
}
