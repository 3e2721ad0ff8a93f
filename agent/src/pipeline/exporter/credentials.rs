//! Authentication headers: from the settings, from the environment, files and the credential store,
//! and from an OAuth 2.0 token.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::error::ClientError;
use super::failure::Failure;
use super::oauth2::TokenCache;
use super::secrets;
use crate::config::{CollectorSettings, SecretSource};

/// The configured headers of each request.
#[derive(Debug, Clone)]
pub(super) struct Credentials {
    fixed: HeaderMap,
    from: Vec<(HeaderName, SecretSource)>,
    tokens: Option<Arc<TokenCache>>,
}

impl Credentials {
    pub(super) fn new(settings: &Arc<CollectorSettings>) -> Result<Self, ClientError> {
        let name = |name: &String| HeaderName::try_from(name.as_str()).map_err(|_| ClientError::Header(name.clone()));
        let mut fixed = HeaderMap::new();
        for (key, value) in &settings.headers {
            let mut value = HeaderValue::try_from(value.reveal()).map_err(|_| ClientError::Header(key.clone()))?;
            value.set_sensitive(true);
            fixed.insert(name(key)?, value);
        }
        let from = settings.headers_from.iter().map(|(key, source)| Ok((name(key)?, source.clone())));
        let from = from.collect::<Result<_, ClientError>>()?;
        let tokens = TokenCache::new(settings)?.map(Arc::new);
        Ok(Self { fixed, from, tokens })
    }

    /// Returns the headers with their current values. Reads external secrets for every request.
    pub(super) async fn headers(&self) -> Result<HeaderMap, Failure> {
        let mut headers = self.fixed.clone();
        for (name, source) in &self.from {
            headers.insert(name.clone(), value(name, source).await?);
        }
        if let Some(tokens) = &self.tokens {
            headers.insert(header::AUTHORIZATION, tokens.current().await?);
        }
        Ok(headers)
    }

    /// Discards the token in `headers` after a server rejected it. Returns whether a retry with a
    /// new token makes sense.
    pub(super) async fn discard_rejected(&self, headers: &HeaderMap) -> bool {
        let (Some(tokens), Some(used)) = (&self.tokens, headers.get(header::AUTHORIZATION)) else { return false };
        tokens.discard(used).await;
        true
    }
}

async fn value(name: &HeaderName, source: &SecretSource) -> Result<HeaderValue, Failure> {
    let missing = |why: String| Failure::Credential { header: name.to_string(), why };
    let secret = secrets::read_async(source).await.map_err(missing)?;
    let mut value = HeaderValue::try_from(secret.reveal())
        .ok()
        .filter(|_| secret.reveal().is_ascii())
        .ok_or_else(|| missing(format!("the value of {source} is not one line of printable ASCII")))?;
    value.set_sensitive(true);
    Ok(value)
}
