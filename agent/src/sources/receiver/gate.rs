//! Who may ask.
//!
//! A web page may ask only if its origin is allowed, and nobody may under another name than this machine's: a page whose
//! name was bound to 127.0.0.1 would otherwise be of the same origin (DNS rebinding). With a token everybody has to say it,
//! for any program can say an origin; only a browser's question before a request cannot.

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};
use ring::digest::{Digest, SHA256, digest};

use super::refusal::Refusal;
use crate::config::{OriginPattern, ReceiverSettings};

/// Names of this machine that no name server can give to somebody else, as a `Host` has them.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
/// How long a browser may remember the answer to its first question, in seconds: as long as Chromium does at most.
const REMEMBERED: HeaderValue = HeaderValue::from_static("7200");
/// How a browser asks whether a page of another network may come here, and its answer: as Chromium has asked until now (WICG,
/// Private Network Access), and by the newer name (WICG, Local Network Access).
const OTHER_NETWORKS: [(HeaderName, HeaderName); 2] = [
    (
        HeaderName::from_static("access-control-request-private-network"),
        HeaderName::from_static("access-control-allow-private-network"),
    ),
    (
        HeaderName::from_static("access-control-request-local-network"),
        HeaderName::from_static("access-control-allow-local-network"),
    ),
];

/// Lets requests in, or not.
#[derive(Debug)]
pub(super) struct Gate {
    origins: Vec<OriginPattern>,
    /// The digest of what has to be said: two of the same length take the same time to compare.
    authorization: Option<Digest>,
}

/// What the headers of a request say of who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// The origin of a page that may ask.
    origin: Option<HeaderValue>,
    /// Of [`OTHER_NETWORKS`], the answers that are wanted.
    networks: Vec<HeaderName>,
}

impl Gate {
    pub(super) fn new(settings: &ReceiverSettings) -> Self {
        let token = settings.token.as_ref();
        let authorization = token.map(|token| digest(&SHA256, format!("Bearer {}", token.reveal()).as_bytes()));
        Self { origins: settings.allowed_origins.clone(), authorization }
    }

    /// Who asks, if from where it asks it may.
    pub(super) fn admit<B>(&self, request: &Request<B>) -> Result<Asked, Refusal> {
        let headers = request.headers();
        let host = request.uri().authority().map(Authority::as_str);
        let host = host.unwrap_or_else(|| text(headers, &header::HOST));
        if !is_this_machine(host) {
            return Err(Refusal::Host(host.to_owned()));
        }
        let origin = headers.get(header::ORIGIN).cloned();
        if let Some(origin) = &origin {
            let origin = String::from_utf8_lossy(origin.as_bytes());
            if !self.origins.iter().any(|allowed| allowed.matches(&origin)) {
                return Err(Refusal::Origin(origin.into_owned()));
            }
        }
        let wanted = OTHER_NETWORKS.into_iter().filter(|(question, _)| headers.contains_key(question));
        Ok(Asked { origin, networks: wanted.map(|(_, answer)| answer).collect() })
    }

    /// Whether it says the token, if there is one and it could.
    pub(super) fn check_token<B>(&self, request: &Request<B>, asked: &Asked) -> Result<(), Refusal> {
        let is_question = *request.method() == Method::OPTIONS && asked.origin.is_some();
        let Some(known) = self.authorization.as_ref().filter(|_| !is_question) else { return Ok(()) };
        let said = digest(&SHA256, text(request.headers(), &header::AUTHORIZATION).as_bytes());
        if said.as_ref() == known.as_ref() { Ok(()) } else { Err(Refusal::Token) }
    }
}

impl Asked {
    /// Lets the page read the answer, and when it may come again.
    pub(super) fn allow<B>(self, response: &mut Response<B>) {
        let Some(origin) = self.origin else { return };
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
        // What is sent as a page is left (sendBeacon) comes with credentials, whether there are any or not.
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        for answer in self.networks {
            headers.insert(answer, HeaderValue::from_static("true"));
        }
    }
}

/// What a browser asks before a page of an allowed origin may send: it may, with the headers that it wants.
pub(super) fn preflight<B>(headers: &HeaderMap, response: &mut Response<B>) {
    let wanted = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let out = response.headers_mut();
    out.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    out.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        wanted.unwrap_or_else(|| HeaderValue::from_static("content-type")),
    );
    out.insert(header::ACCESS_CONTROL_MAX_AGE, REMEMBERED);
}

/// Whether a `Host` names this machine as only itself does.
pub(super) fn is_this_machine(host: &str) -> bool {
    let port = NAMES.into_iter().find_map(|name| {
        let (start, rest) = host.split_at_checked(name.len())?;
        start.eq_ignore_ascii_case(name).then_some(rest)
    });
    let is_port = |port: &str| port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    port.is_some_and(|port| port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

/// A header, if it is text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
