//! Evaluation of a CORS policy: responses to preflights, and headers of other responses.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue, ORIGIN,
};
use http::request::Parts;
use http::{Method, Response, StatusCode};

use super::super::router::status;
use super::CorsOrigins;
use crate::connection_info::origin;
use crate::connections::ResponseBody;

/// Validated policy with prepared headers.
pub(in crate::hosting) struct CorsPolicy {
    pub(super) origins: CorsOrigins,
    pub(super) any_header: bool,
    pub(super) any_method: bool,
    /// Headers of the response to a preflight from an allowed origin, except the origin.
    pub(super) preflight: HeaderMap,
    /// Headers of the response to any other request from an allowed origin, except the origin.
    pub(super) actual: HeaderMap,
}

impl CorsPolicy {
    /// Returns the response to a preflight, `None` for other requests. The response has no CORS
    /// headers if the origin is not allowed.
    pub(in crate::hosting) fn preflight(&self, request: &Parts) -> Option<Response<ResponseBody>> {
        let request_headers = &request.headers;
        let is_preflight = request.method == Method::OPTIONS
            && request_headers.contains_key(ORIGIN)
            && request_headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        is_preflight.then(|| {
            let mut response = status(StatusCode::NO_CONTENT);
            if let Some(mut headers) = self.allow_origin(request_headers, &self.preflight) {
                if self.any_header {
                    headers.extend(echo_requested(
                        request_headers,
                        ACCESS_CONTROL_REQUEST_HEADERS,
                        ACCESS_CONTROL_ALLOW_HEADERS,
                    ));
                }
                if self.any_method {
                    headers.extend(echo_requested(
                        request_headers,
                        ACCESS_CONTROL_REQUEST_METHOD,
                        ACCESS_CONTROL_ALLOW_METHODS,
                    ));
                }
                *response.headers_mut() = headers;
            }
            response
        })
    }

    /// Returns the CORS headers of the response to a request that is not a preflight.
    pub(in crate::hosting) fn headers(&self, request: &HeaderMap) -> HeaderMap {
        self.allow_origin(request, &self.actual).unwrap_or_default()
    }

    /// Returns `headers` with the origin added, if the origin is allowed.
    fn allow_origin(&self, request: &HeaderMap, headers: &HeaderMap) -> Option<HeaderMap> {
        let request_origin = origin(request)?;
        let allowed = match &self.origins {
            CorsOrigins::Any => Some("*"),
            CorsOrigins::Listed(origins) => origins.iter().map(String::as_str).find(|origin| *origin == request_origin),
            CorsOrigins::Predicate(allowed) => allowed(&request_origin).then_some(&*request_origin),
        };
        let mut headers = headers.clone();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_bytes(allowed?.as_bytes()).ok()?);
        Some(headers)
    }
}

/// Copies the names in a header of a preflight to a header of its response; `None` without names.
fn echo_requested(request_headers: &HeaderMap, from: HeaderName, to: HeaderName) -> Option<(HeaderName, HeaderValue)> {
    let lines = request_headers.get_all(from).into_iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let names: Vec<_> = lines.map(<[u8]>::trim_ascii).filter(|name| !name.is_empty()).collect();
    let list = (!names.is_empty()).then(|| HeaderValue::from_bytes(&names.join(&b','))).and_then(Result::ok);
    list.map(|list| (to, list))
}
