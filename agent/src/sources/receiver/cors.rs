//! CORS: what a browser needs to know before a page may send, and before it may read a response.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, header};

/// Time in seconds for which a browser may cache a preflight response: Chromium's maximum.
const PREFLIGHT_MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
/// Headers by which a browser asks whether a page of another network may send to this machine, with
/// the headers that answer: Chromium's first name for it (WICG, Private Network Access) and the
/// newer one (WICG, Local Network Access).
const NETWORK_ACCESS: [(HeaderName, HeaderName); 2] = [
    (
        HeaderName::from_static("access-control-request-private-network"),
        HeaderName::from_static("access-control-allow-private-network"),
    ),
    (
        HeaderName::from_static("access-control-request-local-network"),
        HeaderName::from_static("access-control-allow-local-network"),
    ),
];

/// What a request says about the web page that sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PageRequest {
    /// The origin of the page; none if the sender is not a page.
    origin: Option<HeaderValue>,
    /// The answers of [`NETWORK_ACCESS`] that the browser asked for.
    network_answers: Vec<HeaderName>,
}

impl PageRequest {
    pub(super) fn new(headers: &HeaderMap) -> Self {
        let asked = NETWORK_ACCESS.into_iter().filter(|(question, _)| headers.contains_key(question));
        Self {
            origin: headers.get(header::ORIGIN).cloned(),
            network_answers: asked.map(|(_, answer)| answer).collect(),
        }
    }

    pub(super) const fn origin(&self) -> Option<&HeaderValue> {
        self.origin.as_ref()
    }

    /// Allows the page, whose origin must have been checked, to read the response and its retry
    /// time. Does nothing if the sender is not a page.
    pub(super) fn allow<B>(self, response: &mut Response<B>) {
        let Some(origin) = self.origin else { return };
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
        // `sendBeacon`, which pages use while they unload, always sends with credentials mode.
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        for answer in self.network_answers {
            headers.insert(answer, HeaderValue::from_static("true"));
        }
    }
}

/// Answers a preflight request: `POST` is allowed, with every header that the browser asked for.
pub(super) fn allow_preflight<B>(headers: &HeaderMap, response: &mut Response<B>) {
    let wanted = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let out = response.headers_mut();
    out.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    out.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        wanted.unwrap_or_else(|| HeaderValue::from_static("content-type")),
    );
    out.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE);
}
