//! Who sends: headers from the settings, from the environment and files, and a token that is fetched.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::client::ClientError;
use super::failure::Failure;
use super::oauth2::Tokens;
use crate::config::{CollectorSettings, SecretSource};

/// Longest file with a secret: tokens have some kilobytes.
const LARGEST_FILE: u64 = 64 << 10;

/// The headers of each request.
#[derive(Debug, Clone)]
pub(super) struct Credentials {
    fixed: HeaderMap,
    from: Vec<(HeaderName, SecretSource)>,
    tokens: Option<Arc<Tokens>>,
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
        let tokens = Tokens::new(settings)?.map(Arc::new);
        Ok(Self { fixed, from, tokens })
    }

    /// The headers as they are now.
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

    /// These were not good enough. Says whether others can be had at once.
    pub(super) async fn refused(&self, headers: &HeaderMap) -> bool {
        let (Some(tokens), Some(used)) = (&self.tokens, headers.get(header::AUTHORIZATION)) else { return false };
        tokens.forget(used).await;
        true
    }
}

async fn value(name: &HeaderName, source: &SecretSource) -> Result<HeaderValue, Failure> {
    let missing = |why: String| Failure::Credential { header: name.to_string(), why };
    let text = match source {
        SecretSource::Environment(variable) => {
            std::env::var(variable).map_err(|_| missing(format!("there is no variable {variable}")))?
        }
        SecretSource::File(path) => {
            let (path, shown) = (path.clone(), path.display().to_string());
            // A disk in the network may take its time.
            let read = tokio::task::spawn_blocking(move || {
                let size = std::fs::metadata(&path)?.len();
                if size > LARGEST_FILE { Ok(String::new()) } else { std::fs::read_to_string(&path) }
            });
            let read = read.await.map_err(|error| missing(error.to_string()))?;
            read.map_err(|error| missing(format!("{shown} cannot be read: {error}")))?
        }
    };
    let text = text.trim();
    let mut value = HeaderValue::try_from(text)
        .ok()
        .filter(|_| !text.is_empty() && text.is_ascii())
        .ok_or_else(|| missing(format!("what stands in {source} is no line of printable ASCII")))?;
    value.set_sensitive(true);
    Ok(value)
}
