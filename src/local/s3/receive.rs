//! Receiving an uploaded body: collected, digested, and compared with everything that the client
//! said about it.
//!
//! Invariant: nothing is stored of a body that did not arrive whole and as claimed.

use futures_util::StreamExt;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, StatusCode};
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3Request, S3Result, StdError, TrailingHeaders, s3_error};

use super::checksum::{Algorithm, Checksum, Digests};
use super::claim::{self, Claim};
use super::content::Content;
use super::errors::custom;

/// The most that S3 takes in one request, and the most that it copies in one.
pub(super) const MAX_SIZE: u64 = 5 * 1024 * 1024 * 1024;

/// A body that arrived.
pub(super) struct Received {
    pub(super) content: Content,
    pub(super) md5: [u8; 16],
    pub(super) checksum: Option<Checksum>,
}

/// What a request says about its body.
pub(super) struct Expected {
    claim: Option<Claim>,
    /// The algorithm to compute, which may be there without a claim.
    algorithm: Option<Algorithm>,
    md5: Option<String>,
    length: Option<u64>,
    trailers: Option<TrailingHeaders>,
}

impl Expected {
    /// Reads the headers of a request.
    pub(super) fn from_request<T>(request: &S3Request<T>) -> S3Result<Expected> {
        let claim = claim::claimed(&request.headers)?;
        let trailers = request.trailing_headers.clone();
        Ok(Expected {
            algorithm: claim.as_ref().map(|claim| claim.algorithm),
            claim,
            md5: text(&request.headers, "content-md5"),
            length: text(&request.headers, CONTENT_LENGTH.as_str())
                .and_then(|length| length.parse().ok()),
            trailers: trailers.or_else(|| request.extensions.get().cloned()),
        })
    }

    /// The algorithm that the client chose.
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// Takes whatever length the body has.
    pub(super) fn forget_length(&mut self) {
        self.length = None;
    }

    /// Computes another checksum than the one that was claimed, if there is none.
    pub(super) fn compute(&mut self, algorithm: Option<Algorithm>) {
        self.algorithm = algorithm;
    }
}

/// Receives a body.
///
/// # Errors
/// `EntityTooLarge`, `IncompleteBody`, `BadDigest`, `InvalidDigest`, and what the signature of
/// the body's chunks amounts to.
pub(super) async fn receive(body: Option<StreamingBlob>, expected: Expected) -> S3Result<Received> {
    if expected.length.is_some_and(|length| length > MAX_SIZE) {
        return Err(s3_error!(EntityTooLarge));
    }
    let mut digests = Digests::new(expected.algorithm);
    let mut chunks = Vec::new();
    let mut received = 0;
    if let Some(mut body) = body {
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(broken_body)?;
            received += chunk.len() as u64;
            if received > MAX_SIZE {
                return Err(s3_error!(EntityTooLarge));
            }
            digests.update(&chunk);
            chunks.push(chunk);
        }
    }
    if expected.length.is_some_and(|length| length != received) {
        return Err(s3_error!(IncompleteBody));
    }
    let digested = digests.finish();
    if let Some(content_md5) = &expected.md5 {
        claim::verify_md5(digested.md5, content_md5)?;
    }
    if let (Some(claim), Some(checksum)) = (&expected.claim, &digested.checksum) {
        claim::verify(checksum, &claimed_value(claim, expected.trailers.as_ref())?)?;
    }
    Ok(Received {
        content: Content::from_chunks(chunks),
        md5: digested.md5,
        checksum: digested.checksum,
    })
}

/// The value that was claimed, be it in a header or behind the body.
fn claimed_value(claim: &Claim, trailers: Option<&TrailingHeaders>) -> S3Result<String> {
    if let Some(value) = &claim.value {
        return Ok(value.clone());
    }
    let name = claim.algorithm.header();
    let trailer = trailers.and_then(|trailers| {
        trailers
            .read(|trailers| trailers.get(&name).map(HeaderValue::to_owned))
            .flatten()
    });
    let value = trailer.as_ref().and_then(|value| value.to_str().ok());
    value.map(str::to_owned).ok_or_else(|| {
        custom(
            "MalformedTrailerError",
            StatusCode::BAD_REQUEST,
            "The request contained trailing data that was not well-formed or did not conform to \
             our published schema.",
        )
    })
}

/// `s3s` keeps the types of these errors to itself, so their text has to tell them apart.
fn broken_body(error: StdError) -> S3Error {
    let text = error.to_string();
    let mut answer = if text.contains("Sha256Mismatch") {
        custom(
            "XAmzContentSHA256Mismatch",
            StatusCode::BAD_REQUEST,
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )
    } else if text.contains("SignatureMismatch") {
        s3_error!(SignatureDoesNotMatch)
    } else {
        s3_error!(IncompleteBody)
    };
    answer.set_source(error);
    answer
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::whole(5, "")]
    #[case::cut_off(6, "IncompleteBody")]
    #[case::too_large(MAX_SIZE + 1, "EntityTooLarge")]
    #[tokio::test]
    async fn length_must_be_the_one_that_was_announced(#[case] length: u64, #[case] code: &str) {
        let expected = Expected {
            claim: None,
            algorithm: None,
            md5: None,
            length: Some(length),
            trailers: None,
        };
        let body = Content::from_chunks([bytes::Bytes::from_static(b"hello")]).into_body();
        let error = receive(Some(body), expected).await.err();
        assert_eq!(
            error
                .map(|e| e.code().as_str().to_owned())
                .unwrap_or_default(),
            code
        );
    }
}
