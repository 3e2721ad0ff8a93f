//! A token from an authorization server: OAuth 2.0, grant "client credentials" (RFC 6749, section 4.4), by the crate oauth2.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;
use oauth2::basic::BasicClient;
use oauth2::{ClientId, ClientSecret, HttpRequest, HttpResponse, RequestTokenError, Scope, TokenResponse, TokenUrl};
use tokio::sync::Mutex;

use super::connection::{Connection, Speaks};
use super::error::ClientError;
use super::failure::{Failure, address};
use super::secrets;
use crate::config::{CollectorSettings, Endpoint, OAuth2Settings, Secret};

/// How long a token is used that does not say how long it is good for.
const USUAL_LIFE: Duration = Duration::from_mins(5);
/// A token is renewed so long before its end, for clocks differ and requests take time; at most half its life before.
const BEFORE_END: Duration = Duration::from_mins(1);
/// Largest answer of an authorization server.
const LARGEST_ANSWER: usize = 1 << 20;

/// Fetches tokens, and keeps the last one as long as it is good.
#[derive(Debug)]
pub(super) struct Tokens {
    connection: Connection,
    settings: OAuth2Settings,
    url: Endpoint,
    /// Why none is fetched.
    refused: Option<Failure>,
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
    #[error("the answer is too long")]
    TooLong,
}

impl Tokens {
    /// None if the settings want none.
    pub(super) fn new(settings: &Arc<CollectorSettings>) -> Result<Option<Self>, ClientError> {
        let Some(url) = settings.oauth2.token_url.clone() else { return Ok(None) };
        // The same machine, proxy and certificates, but another server.
        let mut own = CollectorSettings::clone(settings);
        own.endpoint = url.clone();
        let connection = Connection::new(Arc::new(own), Speaks::Http)?;
        let in_clear = url.url().scheme() == "http" && !url.is_loopback() && !settings.allow_plain_http;
        let nobody = settings.oauth2.client_id.is_empty();
        let nobody = nobody.then(|| "`collector.oauth2.client_id` says nobody who asks".to_owned());
        let refused = if in_clear {
            Some(Failure::PlainHttp { address: address(&url) })
        } else {
            nobody.map(|detail| Failure::TokenRefused { address: address(&url), detail })
        };
        Ok(Some(Self { connection, settings: settings.oauth2.clone(), url, refused, current: Mutex::new(None) }))
    }

    /// A token that is good now, as the header `authorization`.
    pub(super) async fn current(&self) -> Result<HeaderValue, Failure> {
        if let Some(refused) = &self.refused {
            return Err(refused.clone());
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

    /// Forgets a token that was not taken, unless another one has come meanwhile.
    pub(super) async fn forget(&self, refused: &HeaderValue) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|token| token.header == *refused) {
            *current = None;
        }
    }

    async fn fetch(&self) -> Result<Token, Failure> {
        let of = &self.settings;
        let wrong = |detail: String| Failure::TokenRefused { address: address(&self.url), detail };
        let url = TokenUrl::new(self.url.url().to_string()).map_err(|error| wrong(error.to_string()))?;
        let mut client = BasicClient::new(ClientId::new(of.client_id.clone())).set_token_uri(url);
        let elsewhere = match &of.client_secret_from {
            Some(source) => Some(secrets::read_soon(source).await.map_err(&wrong)?),
            None => None,
        };
        let secret = elsewhere.as_ref().or(of.client_secret.as_ref()).filter(|secret| !secret.reveal().is_empty());
        if let Some(secret) = secret {
            client = client.set_client_secret(ClientSecret::new(secret.reveal().to_owned()));
        }
        let mut request = client.exchange_client_credentials();
        for scope in &of.scopes {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        for (name, value) in &of.parameters {
            request = request.add_extra_param(name, value);
        }
        let asked = Instant::now();
        let http = |request: HttpRequest| exchange(self.connection.client(), request);
        let answer = request.request_async(&http).await.map_err(|error| match error {
            RequestTokenError::Request(ExchangeError::Http(error)) => {
                self.connection.renew();
                let host = self.url.url().host_str().unwrap_or_default();
                Failure::of(&error, host, &address(&self.url), false)
            }
            // Some repeat what they were asked with.
            RequestTokenError::ServerResponse(answer) => wrong(match secret {
                Some(secret) => answer.to_string().replace(secret.reveal(), Secret::MASK),
                None => answer.to_string(),
            }),
            RequestTokenError::Request(error @ ExchangeError::TooLong) => wrong(error.to_string()),
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                wrong("its answer is no token; check `collector.oauth2.token_url`".to_owned())
            }
        })?;
        let life = answer.expires_in().unwrap_or(USUAL_LIFE);
        let mut header = HeaderValue::try_from(format!("Bearer {}", answer.access_token().secret()))
            .map_err(|_| wrong("its token cannot be sent in a header".to_owned()))?;
        header.set_sensitive(true);
        tracing::debug!(?life, "a token was fetched");
        Ok(Token { header, renew_at: asked + life.saturating_sub(BEFORE_END.min(life / 2)) })
    }
}

async fn exchange(client: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, ExchangeError> {
    let mut response = client.execute(request.try_into()?).await?;
    let mut answer = http::Response::new(Vec::new());
    *answer.status_mut() = response.status();
    *answer.headers_mut() = std::mem::take(response.headers_mut());
    while let Some(chunk) = response.chunk().await? {
        if answer.body().len() + chunk.len() > LARGEST_ANSWER {
            return Err(ExchangeError::TooLong);
        }
        answer.body_mut().extend_from_slice(&chunk);
    }
    Ok(answer)
}
