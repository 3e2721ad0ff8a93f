//! Errors in the settings that prevent the creation of a client.

/// Why no client can be created from the settings.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file with the trusted certificates.
    #[error("collector.certificate: {file} {problem}")]
    Certificate {
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The client certificate of this machine, or its key.
    #[error("collector.client_certificate: {0}")]
    ClientCertificate(String),
    /// A header name or value.
    #[error("collector.headers: `{0}` is not a valid HTTP header")]
    Header(String),
    /// The password of the proxy.
    #[error("collector.proxy.password_from: {0}")]
    ProxyPassword(String),
    /// The HTTP client itself.
    #[error("failed to create the HTTP client: {0}")]
    Http(#[from] reqwest::Error),
}
