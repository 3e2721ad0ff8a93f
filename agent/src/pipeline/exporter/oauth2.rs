//! Fetches and caches access tokens from an OAuth 2.0 authorization server (grant "client
//! credentials", RFC 6749, section 4.4).

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;
use oauth2::basic::BasicClient;
use oauth2::{ClientId, ClientSecret, HttpRequest, HttpResponse, RequestTokenError, Scope, TokenResponse, TokenUrl};
use tokio::sync::Mutex;

use super::connection::{Connection, HttpVersion};
use super::error::ClientError;
use super::failure::{Failure, address};
use super::secrets;
use crate::config::{CollectorSettings, Endpoint, OAuth2Settings, Secret};

/// Lifetime of a token for which the server does not give one.
const DEFAULT_LIFETIME: Duration = Duration::from_mins(5);
/// How long before its expiry a token is renewed, because clocks differ and requests take time.
/// Limited to half the lifetime of the token.
const RENEWAL_MARGIN: Duration = Duration::from_mins(1);
/// Maximum size of an authorization server's response.
const MAX_RESPONSE_BYTES: usize = 1 << 20;

/// Fetches tokens, and caches the last one until shortly before it expires.
#[derive(Debug)]
pub(super) struct TokenCache {
    connection: Connection,
    settings: OAuth2Settings,
    url: Endpoint,
    /// Why no token may be fetched.
    forbidden: Option<Failure>,
    current: Mutex<Option<Token>>,
}

#[derive(Debug)]
struct Token {
    header: HeaderValue,
    renew_at: Instant,
}

/// Why the HTTP exchange failed.
#[derive(Debug, thiserror::Error)]
enum ExchangeError {
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error("the response is too large")]
    TooLarge,
}

impl TokenCache {
    /// Creates the cache; none if OAuth 2.0 is not configured.
    pub(super) fn new(settings: &Arc<CollectorSettings>) -> Result<Option<Self>, ClientError> {
        let Some(url) = settings.oauth2.token_url.clone() else { return Ok(None) };
        // Proxy and certificates are those of the collector; only the server differs.
        let mut own = CollectorSettings::clone(settings);
        own.endpoint = url.clone();
        let connection = Connection::new(Arc::new(own), HttpVersion::Negotiated)?;
        let is_unencrypted = url.url().scheme() == "http" && !url.is_loopback() && !settings.allow_plain_http;
        let forbidden = if is_unencrypted {
            Some(Failure::PlainHttp { address: address(&url) })
        } else if settings.oauth2.client_id.is_empty() {
            let detail = "`collector.oauth2.client_id` is not set".to_owned();
            Some(Failure::TokenRefused { address: address(&url), detail })
        } else {
            None
        };
        Ok(Some(Self { connection, settings: settings.oauth2.clone(), url, forbidden, current: Mutex::new(None) }))
    }

    /// Returns a valid token as the value of the header `authorization`. Fetches one if necessary.
    pub(super) async fn current(&self) -> Result<HeaderValue, Failure> {
        if let Some(forbidden) = &self.forbidden {
            return Err(forbidden.clone());
        }
        let mut current = self.current.lock().await;
        if let Some(token) = current.as_ref().filter(|token| Instant::now() < token.renew_at) {
            return Ok(token.header.clone());
        }
        let token = self.fetch().await?;
        let header = token.header.clone();
        *current = Some(token);
        Ok(header)
    }

    /// Removes a rejected token from the cache. Does nothing if another lane has replaced it
    /// already.
    pub(super) async fn discard(&self, rejected: &HeaderValue) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|token| token.header == *rejected) {
            *current = None;
        }
    }

    async fn fetch(&self) -> Result<Token, Failure> {
        let settings = &self.settings;
        let refused = |detail: String| Failure::TokenRefused { address: address(&self.url), detail };
        let url = TokenUrl::new(self.url.url().to_string()).map_err(|error| refused(error.to_string()))?;
        let mut client = BasicClient::new(ClientId::new(settings.client_id.clone())).set_token_uri(url);
        let external = match &settings.client_secret_from {
            Some(source) => Some(secrets::read_async(source).await.map_err(&refused)?),
            None => None,
        };
        let secret = external.as_ref().or(settings.client_secret.as_ref()).filter(|secret| !secret.reveal().is_empty());
        if let Some(secret) = secret {
            client = client.set_client_secret(ClientSecret::new(secret.reveal().to_owned()));
        }
        let mut request = client.exchange_client_credentials();
        for scope in &settings.scopes {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        for (name, value) in &settings.parameters {
            request = request.add_extra_param(name, value);
        }
        let requested_at = Instant::now();
        let http = |request: HttpRequest| exchange(self.connection.client(), request);
        let answer = request.request_async(&http).await.map_err(|error| match error {
            RequestTokenError::Request(ExchangeError::Http(error)) => {
                self.connection.renew();
                let host = self.url.url().host_str().unwrap_or_default();
                Failure::from_error(&error, host, &address(&self.url), false)
            }
            // Some servers repeat the request in the error, including the secret.
            RequestTokenError::ServerResponse(answer) => refused(match secret {
                Some(secret) => answer.to_string().replace(secret.reveal(), Secret::MASK),
                None => answer.to_string(),
            }),
            RequestTokenError::Request(error @ ExchangeError::TooLarge) => refused(error.to_string()),
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                refused("its response contains no token; check `collector.oauth2.token_url`".to_owned())
            }
        })?;
        let lifetime = answer.expires_in().unwrap_or(DEFAULT_LIFETIME);
        let mut header = HeaderValue::try_from(format!("Bearer {}", answer.access_token().secret()))
            .map_err(|_| refused("its token is not a valid header value".to_owned()))?;
        header.set_sensitive(true);
        tracing::debug!(?lifetime, "fetched an access token");
        Ok(Token { header, renew_at: requested_at + lifetime.saturating_sub(RENEWAL_MARGIN.min(lifetime / 2)) })
    }
}

/// Sends a request of the OAuth 2.0 client.
async fn exchange(client: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, ExchangeError> {
    let mut response = client.execute(request.try_into()?).await?;
    let mut answer = http::Response::new(Vec::new());
    *answer.status_mut() = response.status();
    *answer.headers_mut() = std::mem::take(response.headers_mut());
    while let Some(chunk) = response.chunk().await? {
        if answer.body().len() + chunk.len() > MAX_RESPONSE_BYTES {
            return Err(ExchangeError::TooLarge);
        }
        answer.body_mut().extend_from_slice(&chunk);
    }
    Ok(answer)
}
