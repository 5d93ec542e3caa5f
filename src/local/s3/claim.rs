//! What a client claims about the bytes that it sends, and whether it is true.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use s3s::{S3Result, s3_error};

use super::checksum::{Algorithm, Checksum};

/// What a client says about the checksum of the bytes that it sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) algorithm: Algorithm,
    /// `None`: it follows the bytes as a trailer.
    pub(super) value: Option<String>,
}

/// The checksum that a request's headers claim or announce.
pub(super) fn claimed(headers: &HeaderMap) -> S3Result<Option<Claim>> {
    let mut claims = Algorithm::ALL.into_iter().filter_map(|algorithm| {
        let value = headers
            .get(algorithm.header())?
            .to_str()
            .unwrap_or_default()
            .to_owned();
        Some(Claim {
            algorithm,
            value: Some(value),
        })
    });
    if let Some(claim) = claims.next() {
        if claims.next().is_some() {
            return Err(s3_error!(
                InvalidRequest,
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not \
                 allowed."
            ));
        }
        check_form(claim.algorithm, claim.value.as_deref().unwrap_or_default())?;
        return Ok(Some(claim));
    }
    let trailer = headers
        .get("x-amz-trailer")
        .and_then(|value| value.to_str().ok());
    if let Some(name) = trailer {
        let announced = Algorithm::ALL
            .into_iter()
            .find(|one| one.header().as_str() == name);
        return match announced {
            Some(algorithm) => Ok(Some(Claim {
                algorithm,
                value: None,
            })),
            None => Err(s3_error!(
                InvalidRequest,
                "The value specified in the x-amz-trailer header is not supported"
            )),
        };
    }
    if headers.contains_key("x-amz-sdk-checksum-algorithm") {
        return Err(s3_error!(
            InvalidRequest,
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or \
             x-amz-trailer headers were found."
        ));
    }
    Ok(None)
}

fn check_form(algorithm: Algorithm, value: &str) -> S3Result<()> {
    let is_well_formed = STANDARD
        .decode(value)
        .is_ok_and(|digest| digest.len() == algorithm.length());
    if is_well_formed {
        return Ok(());
    }
    Err(s3_error!(
        InvalidRequest,
        "Value for {} header is invalid.",
        algorithm.header()
    ))
}

/// Refuses bytes whose checksum is not the one that was claimed.
pub(super) fn verify(checksum: &Checksum, claimed: &str) -> S3Result<()> {
    check_form(checksum.algorithm, claimed)?;
    if checksum.value == claimed {
        return Ok(());
    }
    Err(s3_error!(
        BadDigest,
        "The {} you specified did not match the calculated checksum.",
        checksum.algorithm.name()
    ))
}

/// Refuses bytes whose MD5 is not what `Content-MD5` says.
pub(super) fn verify_md5(md5: [u8; 16], content_md5: &str) -> S3Result<()> {
    let claimed = STANDARD
        .decode(content_md5)
        .ok()
        .filter(|claimed| claimed.len() == md5.len());
    match claimed {
        None => Err(s3_error!(InvalidDigest)),
        Some(claimed) if claimed == md5 => Ok(()),
        Some(_) => Err(s3_error!(BadDigest)),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::none(&[], None)]
    #[case::header(
        &[("x-amz-checksum-crc32", "y/Q5Jg==")],
        Some((Algorithm::Crc32, Some("y/Q5Jg==")))
    )]
    #[case::trailer(&[("x-amz-trailer", "x-amz-checksum-sha1")], Some((Algorithm::Sha1, None)))]
    fn claims_are_read_from_headers(
        #[case] headers: &[(&'static str, &'static str)],
        #[case] expected: Option<(Algorithm, Option<&str>)>,
    ) {
        let claim = claimed(&map(headers)).unwrap();
        let claim = claim
            .as_ref()
            .map(|claim| (claim.algorithm, claim.value.as_deref()));
        assert_eq!(claim, expected);
    }

    #[rstest]
    #[case::two(&[("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-checksum-crc32c", "4waSgw==")])]
    #[case::not_base64(&[("x-amz-checksum-crc32", "?")])]
    #[case::wrong_length(&[("x-amz-checksum-crc32", "rosUhgp5mIg=")])]
    #[case::unknown_trailer(&[("x-amz-trailer", "x-amz-checksum-md4")])]
    #[case::promise_not_kept(&[("x-amz-sdk-checksum-algorithm", "CRC32")])]
    fn bad_claims_are_invalid_requests(#[case] headers: &[(&'static str, &'static str)]) {
        let error = claimed(&map(headers)).unwrap_err();
        assert_eq!(error.code(), &s3s::S3ErrorCode::InvalidRequest);
    }

    fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        headers
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }
}
