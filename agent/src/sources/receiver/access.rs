//! Access control: which requests the receiver accepts, before it reads a body.
//!
//! - **Host.** The request must name this machine by a loopback name. A page whose host name was
//!   rebound to 127.0.0.1 (DNS rebinding) would otherwise have the same origin as the receiver.
//! - **Origin.** A web page may send only if `receiver.allowed_origins` allows its origin.
//! - **Token.** If `receiver.token` is set, every request must carry it, also from allowed pages:
//!   any program can claim an origin. Only the preflight request of a browser cannot carry it.

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, Method, Request, header};
use ring::digest::{Digest, SHA256, digest};

use super::cors::PageRequest;
use super::rejection::Rejection;
use crate::config::{OriginPattern, ReceiverSettings};

/// Names of this machine, as written in `Host`, that no name server can assign to another machine.
const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Checks the headers of requests.
#[derive(Debug)]
pub(super) struct Access {
    allowed_origins: Vec<OriginPattern>,
    /// Digest of the expected `Authorization` header. Digests have the same length, so comparing
    /// two of them does not reveal the length of the token.
    authorization: Option<Digest>,
}

impl Access {
    pub(super) fn new(settings: &ReceiverSettings) -> Self {
        let token = settings.token.as_ref();
        let authorization = token.map(|token| digest(&SHA256, format!("Bearer {}", token.reveal()).as_bytes()));
        Self { allowed_origins: settings.allowed_origins.clone(), authorization }
    }

    /// Checks the host and origin of a request, and returns what CORS needs for the response.
    ///
    /// # Errors
    /// When the host is not this machine, or the origin is not allowed.
    pub(super) fn check_origin<B>(&self, request: &Request<B>) -> Result<PageRequest, Rejection> {
        let headers = request.headers();
        let host = request.uri().authority().map(Authority::as_str);
        let host = host.unwrap_or_else(|| header_text(headers, &header::HOST));
        if !is_this_machine(host) {
            return Err(Rejection::Host(host.to_owned()));
        }
        let page = PageRequest::new(headers);
        if let Some(origin) = page.origin() {
            let origin = String::from_utf8_lossy(origin.as_bytes());
            if !self.allowed_origins.iter().any(|allowed| allowed.matches(&origin)) {
                return Err(Rejection::Origin(origin.into_owned()));
            }
        }
        Ok(page)
    }

    /// Checks the token of a request, if one is configured. Preflight requests are exempt.
    ///
    /// # Errors
    /// When the token is missing or wrong.
    pub(super) fn check_token<B>(&self, request: &Request<B>, page: &PageRequest) -> Result<(), Rejection> {
        let is_preflight = *request.method() == Method::OPTIONS && page.origin().is_some();
        let Some(expected) = self.authorization.as_ref().filter(|_| !is_preflight) else { return Ok(()) };
        let actual = digest(&SHA256, header_text(request.headers(), &header::AUTHORIZATION).as_bytes());
        if actual.as_ref() == expected.as_ref() { Ok(()) } else { Err(Rejection::Token) }
    }
}

/// Returns whether a `Host` value is a loopback name, with or without a port.
pub(super) fn is_this_machine(host: &str) -> bool {
    let port = LOOPBACK_NAMES.into_iter().find_map(|name| {
        let (start, rest) = host.split_at_checked(name.len())?;
        start.eq_ignore_ascii_case(name).then_some(rest)
    });
    let is_port = |port: &str| port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    port.is_some_and(|port| port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

/// Returns a header as text; empty if it is missing or not text.
pub(super) fn header_text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
