//! The layer around `s3s`: gives every request its ids, and every answer the shape that S3's has
//! where the protocol crate leaves something out.
//!
//! Invariant: an answer to HEAD and a 304 have no body, and an error's body is complete.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, SERVER, TRANSFER_ENCODING};
use http::{HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use s3s::service::S3Service;
use s3s::{Body, HttpRequest, HttpResponse, S3Request};

use super::errors;
use super::events::Origin;
use super::ids;
use crate::local::http::{Hangup, Request, Response};

/// The ids of a request, for the operation that notifies of it.
#[derive(Debug, Clone)]
struct RequestIds {
    request_id: String,
    host_id: String,
}

/// Who signed a request whose signature was checked earlier.
#[derive(Debug, Clone)]
pub(super) struct AccessKey(pub(super) String);

/// The status of an answer, where `s3s` would choose another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Status(pub(super) StatusCode);

/// Marks an answer whose body has the ETag without quotes, as GetObjectAttributes alone does.
#[derive(Debug, Clone, Copy)]
pub(super) struct BareEtag;

/// Who made this request, for notifications.
pub(super) fn origin<T>(request: &S3Request<T>) -> Origin {
    let ids = request.extensions.get::<RequestIds>();
    let checked_earlier = request
        .extensions
        .get::<AccessKey>()
        .map(|AccessKey(key)| key.clone());
    let signed = request
        .credentials
        .as_ref()
        .map(|credentials| credentials.access_key.clone());
    Origin {
        request_id: ids.map(|ids| ids.request_id.clone()).unwrap_or_default(),
        host_id: ids.map(|ids| ids.host_id.clone()).unwrap_or_default(),
        access_key: signed.or(checked_earlier).unwrap_or_default(),
    }
}

/// Answers one request.
pub(super) async fn answer(
    service: S3Service,
    serial: &AtomicU64,
    request: Request,
) -> Result<Response, Hangup> {
    let serial = serial.fetch_add(1, Ordering::Relaxed);
    let ids = RequestIds {
        request_id: ids::request_id(serial),
        host_id: ids::host_id(serial),
    };
    let method = request.method().clone();
    let resource = request.uri().path().to_owned();
    let mut request: HttpRequest = request.map(Body::http_body_unsync);
    request.extensions_mut().insert(ids.clone());

    // An error here is one of the service itself, for which S3 has no answer.
    let mut response = service.call(request).await.map_err(|_| Hangup)?;
    if let Some(Status(status)) = response.extensions().get() {
        *response.status_mut() = *status;
    }
    let headers = response.headers_mut();
    headers.insert("x-amz-request-id", header(&ids.request_id));
    headers.insert("x-amz-id-2", header(&ids.host_id));
    headers.insert(SERVER, HeaderValue::from_static("AmazonS3"));
    Ok(with_body(response, &method, &resource, &ids))
}

fn with_body(
    mut response: HttpResponse,
    method: &Method,
    resource: &str,
    ids: &RequestIds,
) -> Response {
    let status = response.status();
    if method == Method::HEAD || status == StatusCode::NOT_MODIFIED {
        if !status.is_success() {
            response.headers_mut().remove(CONTENT_LENGTH);
        }
        response.headers_mut().remove(TRANSFER_ENCODING);
        *response.body_mut() = Body::empty();
    } else if status.is_client_error() || status.is_server_error() {
        rewrite(&mut response, |body| {
            errors::complete(body, resource, &ids.request_id, &ids.host_id)
        });
    } else if response.extensions().get::<BareEtag>().is_some() {
        rewrite(&mut response, |body| {
            body.replacen("<ETag>\"", "<ETag>", 1)
                .replacen("\"</ETag>", "</ETag>", 1)
        });
    }
    response.map(BodyExt::boxed_unsync)
}

/// Changes a body that is text and all here, as those that `s3s` serializes are.
fn rewrite(response: &mut HttpResponse, change: impl FnOnce(&str) -> String) {
    let Some(bytes) = response.body().bytes() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return;
    };
    let changed = change(text);
    response.headers_mut().remove(CONTENT_LENGTH);
    *response.body_mut() = Body::from(Bytes::from(changed));
}

fn header(id: &str) -> HeaderValue {
    HeaderValue::from_str(id).expect("ids are visible ASCII")
}
