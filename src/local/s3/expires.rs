//! `Expires` is text, whatever it says: S3 keeps what it cannot read as a date.
//!
//! `s3s` insists on a date, and takes the header off nobody's hands before it has checked the
//! signature, which may cover it. A route comes after that check, so requests with the header
//! make a detour: the text moves aside, and a service without authentication answers the rest.

use http::header::{AUTHORIZATION, EXPIRES};
use http::{Extensions, HeaderMap, HeaderValue, Method, Uri};
use s3s::route::S3Route;
use s3s::service::S3Service;
use s3s::{Body, HttpRequest, S3Error, S3Request, S3Response, S3Result, TrailingHeaders};

use super::answer::AccessKey;

/// The value of a request's `Expires` header, which is no longer among its headers.
#[derive(Debug, Clone)]
pub(super) struct ExpiresText(pub(super) HeaderValue);

/// The detour. The request's signature was checked before it.
pub(super) struct ExpiresDetour {
    /// Answers without authentication, as there is nothing left to authenticate.
    pub(super) inner: S3Service,
}

#[async_trait::async_trait]
impl S3Route for ExpiresDetour {
    fn is_match(&self, method: &Method, _: &Uri, headers: &HeaderMap, _: &mut Extensions) -> bool {
        [Method::PUT, Method::POST].contains(method) && headers.contains_key(EXPIRES)
    }

    async fn call(&self, mut request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let mut forwarded = HttpRequest::new(request.input);
        *forwarded.method_mut() = request.method;
        *forwarded.uri_mut() = without_signature(&request.uri);
        let expires = request.headers.remove(EXPIRES);
        request.headers.remove(AUTHORIZATION);
        *forwarded.headers_mut() = request.headers;
        *forwarded.extensions_mut() = request.extensions;
        if let Some(expires) = expires {
            forwarded.extensions_mut().insert(ExpiresText(expires));
        }
        if let Some(trailers) = request.trailing_headers {
            forwarded
                .extensions_mut()
                .insert::<TrailingHeaders>(trailers);
        }
        if let Some(credentials) = request.credentials {
            forwarded
                .extensions_mut()
                .insert(AccessKey(credentials.access_key));
        }
        let answer = self.inner.call(forwarded).await;
        let (parts, body) = answer
            .map_err(|error| S3Error::with_source(s3s::S3ErrorCode::InternalError, error.into()))?
            .into_parts();
        let mut response = S3Response::with_headers(body, parts.headers);
        response.status = Some(parts.status);
        response.extensions = parts.extensions;
        Ok(response)
    }
}

/// The address of a presigned request without its signature, which the inner service could not
/// check.
fn without_signature(uri: &Uri) -> Uri {
    let Some(query) = uri
        .query()
        .filter(|query| query.contains("X-Amz-Signature="))
    else {
        return uri.clone();
    };
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| !pair.starts_with("X-Amz-"))
        .collect();
    let target = if kept.is_empty() {
        uri.path().to_owned()
    } else {
        format!("{}?{}", uri.path(), kept.join("&"))
    };
    target.parse().expect("a part of a valid address is one")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::unsigned("/b/k?partNumber=1", "/b/k?partNumber=1")]
    #[case::presigned(
        "/b/k?X-Amz-Date=1&partNumber=1&X-Amz-Signature=2",
        "/b/k?partNumber=1"
    )]
    #[case::presigned_only("/b/k%20?X-Amz-Signature=2", "/b/k%20")]
    fn signature_is_left_out(#[case] uri: &str, #[case] expected: &str) {
        assert_eq!(
            without_signature(&uri.parse().unwrap()).to_string(),
            expected
        );
    }
}
