//! GetObject and HeadObject: one description of an object, with and without its bytes.

use std::ops::Range;

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE,
    CONTENT_RANGE, CONTENT_TYPE, ETAG, EXPIRES, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use s3s::dto::{GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, Metadata};
use s3s::dto::{PartNumber, TimestampFormat};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::super::answer::Status;
use super::super::api::Api;
use super::super::conditions::{Conditions, Unmet};
use super::super::errors::custom;
use super::super::store::Found;
use super::super::time::{format, http_date, shown_time};

/// What a read asks for.
struct Read {
    bucket: String,
    key: String,
    version_id: Option<String>,
    conditions: Conditions,
    range: Option<s3s::dto::Range>,
    part_number: Option<PartNumber>,
    wants_checksum: bool,
    overrides: Vec<(HeaderName, Option<String>)>,
    client_key: Option<String>,
}

/// What a read finds.
struct Answer {
    found: Found,
    headers: HeaderMap,
    /// The bytes that are wanted.
    bytes: Range<u64>,
    is_partial: bool,
}

/// Takes the fields that both inputs have alike.
macro_rules! read {
    ($input:expr) => {{
        let input = $input;
        Read {
            bucket: input.bucket,
            key: input.key,
            version_id: input.version_id,
            conditions: Conditions {
                if_match: input.if_match,
                if_none_match: input.if_none_match,
                if_modified_since: input.if_modified_since,
                if_unmodified_since: input.if_unmodified_since,
            },
            range: input.range,
            part_number: input.part_number,
            client_key: input.sse_customer_key_md5,
            wants_checksum: input
                .checksum_mode
                .is_some_and(|mode| mode.as_str().eq_ignore_ascii_case("enabled")),
            overrides: vec![
                (CACHE_CONTROL, input.response_cache_control),
                (CONTENT_DISPOSITION, input.response_content_disposition),
                (CONTENT_ENCODING, input.response_content_encoding),
                (CONTENT_LANGUAGE, input.response_content_language),
                (CONTENT_TYPE, input.response_content_type),
                (
                    EXPIRES,
                    input
                        .response_expires
                        .map(|time| format(&time, TimestampFormat::HttpDate)),
                ),
            ],
        }
    }};
}

pub(in super::super) fn get_object(
    api: &Api,
    request: S3Request<GetObjectInput>,
) -> S3Result<S3Response<GetObjectOutput>> {
    let Answer {
        found,
        headers,
        bytes,
        is_partial,
    } = answer(api, read!(request.input))?;
    found.object.is_readable()?;
    let length = bytes.end - bytes.start;
    let output = GetObjectOutput {
        body: Some(found.object.content.slice(bytes).into_body()),
        content_length: Some(length as i64),
        metadata: metadata(&found),
        version_id: found.version_id,
        ..Default::default()
    };
    Ok(respond(output, headers, is_partial))
}

pub(in super::super) fn head_object(
    api: &Api,
    request: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    let Answer {
        found,
        headers,
        bytes,
        is_partial,
    } = answer(api, read!(request.input))?;
    let output = HeadObjectOutput {
        content_length: Some((bytes.end - bytes.start) as i64),
        metadata: metadata(&found),
        version_id: found.version_id,
        ..Default::default()
    };
    Ok(respond(output, headers, is_partial))
}

fn respond<T>(output: T, headers: HeaderMap, is_partial: bool) -> S3Response<T> {
    let mut response = S3Response::with_headers(output, headers);
    if is_partial {
        response
            .extensions
            .insert(Status(StatusCode::PARTIAL_CONTENT));
    }
    response
}

fn metadata(found: &Found) -> Option<Metadata> {
    let metadata = &found.object.attributes.metadata;
    (!metadata.is_empty()).then(|| metadata.clone())
}

fn answer(api: &Api, read: Read) -> S3Result<Answer> {
    let found = {
        let store = api.lock();
        store
            .bucket(&read.bucket)?
            .find(&read.key, read.version_id.as_deref())?
    };
    let encryption = &found.object.attributes.encryption;
    encryption.admits(read.client_key.as_deref())?;
    let mut headers = HeaderMap::new();
    let etag = HeaderValue::from_str(&format!("\"{}\"", found.object.etag))
        .expect("we made it of visible ASCII");
    headers.insert(ETAG, etag);
    headers.insert(LAST_MODIFIED, http_date(found.modified));
    if let Err(unmet) = read
        .conditions
        .check(&found.object.etag, &shown_time(found.modified))
    {
        return Err(unmet_error(unmet, headers));
    }

    let size = found.object.content.length();
    let wanted = wanted_bytes(&read, &found)?;
    let is_partial = wanted.is_some();
    let bytes = wanted.unwrap_or(0..size);
    if is_partial && size > 0 {
        let range = format!("bytes {}-{}/{size}", bytes.start, bytes.end - 1);
        headers.insert(
            CONTENT_RANGE,
            HeaderValue::from_str(&range).expect("digits"),
        );
    }
    describe(&found, &mut headers);
    if read.part_number.is_some() && !found.object.parts.is_empty() {
        headers.insert(
            "x-amz-mp-parts-count",
            HeaderValue::from(found.object.parts.len()),
        );
    }
    if read.wants_checksum {
        write_checksum(&read, &found, &mut headers);
    }
    for (name, value) in read.overrides {
        if let Some(value) = value {
            let value = HeaderValue::from_str(&value);
            headers.insert(
                name,
                value.map_err(|error| s3_error!(error, InvalidArgument))?,
            );
        }
    }
    Ok(Answer {
        found,
        headers,
        bytes,
        is_partial,
    })
}

/// The bytes that a range or a part number names.
fn wanted_bytes(read: &Read, found: &Found) -> S3Result<Option<Range<u64>>> {
    let size = found.object.content.length();
    match (&read.range, read.part_number) {
        (Some(_), Some(_)) => Err(s3_error!(
            InvalidRequest,
            "Cannot specify both Range header and partNumber query parameter"
        )),
        (Some(range), None) => match range.check(size) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(_) => {
                let mut error = s3_error!(InvalidRange);
                let range = format!("bytes */{size}");
                error.set_headers(HeaderMap::from_iter([
                    (
                        CONTENT_RANGE,
                        HeaderValue::from_str(&range).expect("digits"),
                    ),
                    (CONTENT_TYPE, HeaderValue::from_static("application/xml")),
                ]));
                Err(error)
            }
        },
        (None, Some(number)) if !(1..=10_000).contains(&number) => Err(s3_error!(
            InvalidArgument,
            "Part number must be an integer between 1 and 10000, inclusive"
        )),
        (None, Some(number)) => match found.object.part_range(number) {
            Some(bytes) => Ok(Some(bytes)),
            None => Err(custom(
                "InvalidPartNumber",
                StatusCode::RANGE_NOT_SATISFIABLE,
                "The requested partnumber is not satisfiable",
            )),
        },
        (None, None) => Ok(None),
    }
}

fn describe(found: &Found, headers: &mut HeaderMap) {
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    found.object.attributes.write_headers(headers);
    if !found.tags.is_empty() {
        headers.insert("x-amz-tagging-count", HeaderValue::from(found.tags.len()));
    }
}

/// A range has no checksum of its own, a part has the one that it was uploaded with.
fn write_checksum(read: &Read, found: &Found, headers: &mut HeaderMap) {
    let object = &found.object;
    let part = read
        .part_number
        .and_then(|number| object.parts.get(number as usize - 1));
    let checksum = match part {
        _ if read.range.is_some() => None,
        Some(part) => part.checksum.as_ref(),
        None => object.checksum.as_ref(),
    };
    if let Some(checksum) = checksum {
        checksum.write_headers(headers);
    }
    if let (Some(_), Some(whole)) = (part, &object.checksum) {
        let coverage = HeaderValue::from_static(whole.coverage.name());
        headers.insert("x-amz-checksum-type", coverage);
    }
}

fn unmet_error(unmet: Unmet, headers: HeaderMap) -> S3Error {
    match unmet {
        Unmet::Precondition => s3_error!(PreconditionFailed),
        Unmet::NotModified => {
            let mut error = s3_error!(NotModified);
            error.set_headers(headers);
            error
        }
    }
}
