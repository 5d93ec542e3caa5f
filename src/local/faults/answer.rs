//! Error answers as S3 and the proxies before it give them.

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, Empty, Full};

use super::operation::Named;
use crate::local::http::{Body, Response};

const PROXY_PAGE: &str = "<html><body><h1>Bad gateway</h1></body></html>";

/// An answer of this status with S3's error body; of 502 and 504 with a proxy's page instead.
pub(in crate::local) fn error(status: u16, method: &Method, request: &Named) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let from_proxy = matches!(status.as_u16(), 502 | 504);
    let (kind, text) = if from_proxy {
        ("text/html", PROXY_PAGE.to_owned())
    } else {
        let (code, message) = code_of(status.as_u16(), request);
        ("application/xml", error_document(code, message))
    };
    answer(status, kind, text, method)
}

/// The 200 of an operation that failed after its answer had begun.
pub(in crate::local) fn error_in_200(method: &Method) -> Response {
    let (code, message) = INTERNAL_ERROR;
    answer(
        StatusCode::OK,
        "application/xml",
        error_document(code, message),
        method,
    )
}

const INTERNAL_ERROR: (&str, &str) = (
    "InternalError",
    "We encountered an internal error. Please try again.",
);

/// S3's code and message for a status.
fn code_of(status: u16, request: &Named) -> (&'static str, &'static str) {
    match status {
        403 => ("AccessDenied", "Access Denied"),
        404 if request.key.is_some() => ("NoSuchKey", "The specified key does not exist."),
        404 => ("NoSuchBucket", "The specified bucket does not exist"),
        405 => (
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
        ),
        409 => (
            "OperationAborted",
            "A conflicting conditional operation is currently in progress against this resource. \
             Please try again.",
        ),
        412 => (
            "PreconditionFailed",
            "At least one of the pre-conditions you specified did not hold",
        ),
        416 => ("InvalidRange", "The requested range is not satisfiable"),
        429 => ("TooManyRequests", "Please reduce your request rate."),
        501 => (
            "NotImplemented",
            "A header you provided implies functionality that is not implemented",
        ),
        503 => ("SlowDown", "Please reduce your request rate."),
        _ if status < 500 => ("InvalidRequest", "The request is not valid."),
        _ => INTERNAL_ERROR,
    }
}

fn error_document(code: &str, message: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}\
         </Message><RequestId>FAULT</RequestId><HostId>fault</HostId></Error>"
    )
}

fn answer(status: StatusCode, kind: &'static str, text: String, method: &Method) -> Response {
    // HEAD is answered without a body, so that a client reads the status alone.
    let body: Body = if method == Method::HEAD {
        Empty::new().map_err(|never| match never {}).boxed_unsync()
    } else {
        Full::new(Bytes::from(text))
            .map_err(|never| match never {})
            .boxed_unsync()
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
