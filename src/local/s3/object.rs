//! What an object is made of, apart from its name and version.
//!
//! Invariant: an [`Object`] never changes once stored; a change of anything but tags is a new one.

use std::ops::Range;

use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, EXPIRES,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use s3s::{S3Result, dto, s3_error};

use super::checksum::Checksum;
use super::content::Content;
use super::expires::ExpiresText;

/// The headers that S3 keeps with an object and gives back as they came.
const KEPT: [HeaderName; 6] = [
    CACHE_CONTROL,
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_TYPE,
    EXPIRES,
];

/// The content type of an object that came without one.
const DEFAULT_CONTENT_TYPE: HeaderValue = HeaderValue::from_static("binary/octet-stream");

const STORAGE_CLASSES: [&str; 8] = [
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "DEEP_ARCHIVE",
    "GLACIER_IR",
];

/// Everything about an object that is neither its bytes nor derived from them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Attributes {
    /// `Content-Type`, `Cache-Control` and the like, as raw text.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) metadata: dto::Metadata,
    pub(super) website_redirect: Option<String>,
    pub(super) storage_class: String,
    pub(super) encryption: Encryption,
}

/// An object as it is stored.
pub(super) struct Object {
    pub(super) content: Content,
    pub(super) etag: String,
    /// Empty if it was uploaded in one piece.
    pub(super) parts: Vec<ObjectPart>,
    pub(super) checksum: Option<Checksum>,
    pub(super) attributes: Attributes,
}

/// One part of an object that was uploaded in parts.
pub(super) struct ObjectPart {
    pub(super) size: u64,
    pub(super) checksum: Option<Checksum>,
}

impl Object {
    /// Whether the bytes can be read without being restored first.
    ///
    /// # Errors
    /// `InvalidObjectState` for an archived object.
    pub(super) fn is_readable(&self) -> S3Result<()> {
        match self.attributes.storage_class.as_str() {
            "GLACIER" | "DEEP_ARCHIVE" => Err(s3_error!(
                InvalidObjectState,
                "The operation is not valid for the object's storage class"
            )),
            _ => Ok(()),
        }
    }

    /// The bytes of part `number`, counted from 1; an object without parts is its own part 1.
    pub(super) fn part_range(&self, number: i32) -> Option<Range<u64>> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        if self.parts.is_empty() {
            return (index == 0).then_some(0..self.content.length());
        }
        let size = self.parts.get(index)?.size;
        let start = self.parts[..index].iter().map(|part| part.size).sum();
        Some(start..start + size)
    }
}

/// How an object is encrypted at rest, as far as a client can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Encryption {
    pub(super) algorithm: String,
    pub(super) key_id: Option<String>,
    /// The MD5 of the key that the client holds itself (SSE-C), in Base64.
    pub(super) client_key: Option<String>,
}

impl Default for Encryption {
    /// What S3 does where nobody asks for anything else.
    fn default() -> Encryption {
        Encryption {
            algorithm: "AES256".to_owned(),
            key_id: None,
            client_key: None,
        }
    }
}

impl Encryption {
    pub(super) fn new(algorithm: &str, key_id: Option<String>) -> S3Result<Encryption> {
        if !["AES256", "aws:kms", "aws:kms:dsse"].contains(&algorithm) {
            return Err(s3_error!(
                InvalidArgument,
                "The encryption method specified is not supported"
            ));
        }
        let key_id = if algorithm == "AES256" { None } else { key_id };
        Ok(Encryption {
            algorithm: algorithm.to_owned(),
            key_id,
            client_key: None,
        })
    }

    /// Whether ETags are derived from the content.
    pub(super) fn has_plain_etags(&self) -> bool {
        self.algorithm == "AES256" && self.client_key.is_none()
    }

    /// Whether a client that shows this key, by its MD5, may read.
    ///
    /// # Errors
    /// `InvalidRequest` without the right key.
    pub(super) fn admits(&self, shown: Option<&str>) -> S3Result<()> {
        match &self.client_key {
            Some(key) if shown != Some(key) => Err(s3_error!(
                InvalidRequest,
                "The object was stored using a form of Server Side Encryption. The correct \
                 parameters must be provided to retrieve the object."
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn write_headers(&self, headers: &mut HeaderMap) {
        if let Some(md5) = &self.client_key {
            insert(
                headers,
                "x-amz-server-side-encryption-customer-algorithm",
                &self.algorithm,
            );
            insert(headers, CLIENT_KEY_MD5, md5);
            return;
        }
        insert(headers, "x-amz-server-side-encryption", &self.algorithm);
        if let Some(key_id) = &self.key_id {
            insert(
                headers,
                "x-amz-server-side-encryption-aws-kms-key-id",
                key_id,
            );
        }
    }
}

impl Attributes {
    /// What a request to put, copy or begin an upload says, `default` being the bucket's
    /// encryption.
    pub(super) fn from_request(
        headers: &HeaderMap,
        extensions: &http::Extensions,
        metadata: Option<dto::Metadata>,
        default: &Encryption,
    ) -> S3Result<Attributes> {
        let metadata = metadata.unwrap_or_default();
        let metadata_size: usize = metadata
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        if metadata_size > 2048 {
            return Err(s3_error!(MetadataTooLarge));
        }
        Ok(Attributes {
            headers: kept_headers(headers, extensions),
            metadata,
            website_redirect: website_redirect(headers)?,
            storage_class: storage_class(headers)?,
            encryption: requested_encryption(headers)?.unwrap_or_else(|| default.clone()),
        })
    }

    /// The attributes as the headers of an answer, metadata excepted.
    pub(super) fn write_headers(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
        if let Some(location) = &self.website_redirect {
            insert(headers, "x-amz-website-redirect-location", location);
        }
        if self.storage_class != "STANDARD" {
            insert(headers, "x-amz-storage-class", &self.storage_class);
        }
        self.encryption.write_headers(headers);
    }
}

/// The header by which a client shows that it holds the key.
pub(super) const CLIENT_KEY_MD5: &str = "x-amz-server-side-encryption-customer-key-md5";

/// Whether a request names a storage class.
pub(super) fn names_storage_class(headers: &HeaderMap) -> bool {
    headers.contains_key("x-amz-storage-class")
}

/// The encryption that a request asks for.
///
/// # Errors
/// `InvalidArgument` for a key without its MD5; `NotImplemented` for copies of what was encrypted
/// with a key that the client holds itself.
pub(super) fn requested_encryption(headers: &HeaderMap) -> S3Result<Option<Encryption>> {
    if headers.contains_key("x-amz-copy-source-server-side-encryption-customer-algorithm") {
        return Err(s3_error!(NotImplemented));
    }
    if let Some(algorithm) = text(headers, "x-amz-server-side-encryption-customer-algorithm") {
        let Some(md5) = text(headers, CLIENT_KEY_MD5) else {
            return Err(s3_error!(
                InvalidArgument,
                "Requests specifying Server Side Encryption with Customer provided keys must \
                 provide the client calculated MD5 of the secret key."
            ));
        };
        let encryption = Encryption::new(&algorithm, None)?;
        return Ok(Some(Encryption {
            client_key: Some(md5),
            ..encryption
        }));
    }
    let Some(algorithm) = text(headers, "x-amz-server-side-encryption") else {
        return Ok(None);
    };
    let key_id = text(headers, "x-amz-server-side-encryption-aws-kms-key-id");
    Encryption::new(&algorithm, key_id).map(Some)
}

/// The redirect that a request asks for.
pub(super) fn website_redirect(headers: &HeaderMap) -> S3Result<Option<String>> {
    let location = text(headers, "x-amz-website-redirect-location");
    let is_valid = |location: &String| {
        ["/", "http://", "https://"]
            .iter()
            .any(|prefix| location.starts_with(prefix))
    };
    if location
        .as_ref()
        .is_some_and(|location| !is_valid(location))
    {
        return Err(super::errors::custom(
            "InvalidRedirectLocation",
            http::StatusCode::BAD_REQUEST,
            "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
        ));
    }
    Ok(location)
}

/// The storage class that a request asks for.
pub(super) fn storage_class(headers: &HeaderMap) -> S3Result<String> {
    let class = text(headers, "x-amz-storage-class").unwrap_or_else(|| "STANDARD".to_owned());
    if STORAGE_CLASSES.contains(&class.as_str()) {
        Ok(class)
    } else {
        Err(s3_error!(InvalidStorageClass))
    }
}

fn kept_headers(
    headers: &HeaderMap,
    extensions: &http::Extensions,
) -> Vec<(HeaderName, HeaderValue)> {
    let mut kept: Vec<_> = KEPT
        .into_iter()
        .filter_map(|name| {
            let value = headers.get(&name)?.clone();
            let value = if name == CONTENT_ENCODING {
                without_aws_chunked(value)?
            } else {
                value
            };
            Some((name, value))
        })
        .collect();
    if !headers.contains_key(CONTENT_TYPE) {
        kept.push((CONTENT_TYPE, DEFAULT_CONTENT_TYPE));
    }
    if let Some(ExpiresText(value)) = extensions.get() {
        kept.push((EXPIRES, value.clone()));
    }
    kept
}

/// `aws-chunked` says how the request was sent; it is not part of the object.
fn without_aws_chunked(value: HeaderValue) -> Option<HeaderValue> {
    let Ok(text) = value.to_str() else {
        return Some(value);
    };
    if !text.contains("aws-chunked") {
        return Some(value);
    }
    let codings: Vec<&str> = text
        .split(',')
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && *coding != "aws-chunked")
        .collect();
    if codings.is_empty() {
        None
    } else {
        HeaderValue::from_str(&codings.join(",")).ok()
    }
}

fn text(headers: &HeaderMap, name: &'static str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    (!value.is_empty()).then(|| value.to_owned())
}

/// Adds a header that was taken from a request's header, so it cannot be malformed.
fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn attributes(name: &'static str, value: &'static str) -> S3Result<Attributes> {
        let headers = HeaderMap::from_iter([(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )]);
        Attributes::from_request(
            &headers,
            &http::Extensions::new(),
            None,
            &Encryption::default(),
        )
    }

    #[rstest]
    #[case::only_chunked("aws-chunked", None)]
    #[case::chunked_gzip("aws-chunked, gzip", Some("gzip"))]
    #[case::gzip("gzip", Some("gzip"))]
    fn aws_chunked_is_not_kept(#[case] sent: &'static str, #[case] kept: Option<&str>) {
        let attributes = attributes("content-encoding", sent).unwrap();
        let found = attributes
            .headers
            .iter()
            .find(|(name, _)| name == CONTENT_ENCODING);
        assert_eq!(found.map(|(_, value)| value.to_str().unwrap()), kept);
    }

    #[rstest]
    #[case::storage_class("x-amz-storage-class", "COLD", "InvalidStorageClass")]
    #[case::encryption("x-amz-server-side-encryption", "rot13", "InvalidArgument")]
    #[case::redirect("x-amz-website-redirect-location", "x", "InvalidRedirectLocation")]
    #[case::own_key_without_its_md5(
        "x-amz-server-side-encryption-customer-algorithm",
        "AES256",
        "InvalidArgument"
    )]
    fn invalid_values_are_refused(
        #[case] name: &'static str,
        #[case] value: &'static str,
        #[case] code: &str,
    ) {
        assert_eq!(attributes(name, value).unwrap_err().code().as_str(), code);
    }

    #[rstest]
    #[case::whole_object_is_part_one(&[], 1, Some(0..10))]
    #[case::no_second_part(&[], 2, None)]
    #[case::second_part(&[4, 6], 2, Some(4..10))]
    #[case::no_part_zero(&[4, 6], 0, None)]
    fn part_ranges(
        #[case] sizes: &[u64],
        #[case] number: i32,
        #[case] expected: Option<Range<u64>>,
    ) {
        let object = Object {
            content: Content::from_chunks([bytes::Bytes::from_static(b"0123456789")]),
            etag: String::new(),
            parts: sizes
                .iter()
                .map(|&size| ObjectPart {
                    size,
                    checksum: None,
                })
                .collect(),
            checksum: None,
            attributes: attributes("x-none", "").unwrap(),
        };
        assert_eq!(object.part_range(number), expected);
    }
}
