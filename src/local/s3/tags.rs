//! Tag sets of buckets and objects, checked as S3 checks them.
//!
//! Invariant: a [`TagSet`] that was parsed here has unique keys within S3's limits.

use http::StatusCode;
use s3s::{S3Result, dto, s3_error};

use super::errors::custom;

/// Tags in the order in which they were given.
pub(super) type TagSet = Vec<(String, String)>;

/// What the tags belong to decides how many there may be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owner {
    Bucket,
    Object,
}

/// Tags as a request's body has them.
pub(super) fn from_dto(tags: dto::TagSet, owner: Owner) -> S3Result<TagSet> {
    let pairs = tags.into_iter().map(|tag| match (tag.key, tag.value) {
        (Some(key), Some(value)) => Ok((key, value)),
        _ => Err(s3_error!(MalformedXML)),
    });
    checked(pairs.collect::<S3Result<TagSet>>()?, owner)
}

/// Tags as `x-amz-tagging` has them: form-urlencoded pairs.
pub(super) fn from_header(header: &str) -> S3Result<TagSet> {
    let malformed = || {
        s3_error!(
            InvalidArgument,
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query \
             parameters without tag name duplicates."
        )
    };
    let pairs = header
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(key)?, decode(value)?))
        });
    let tags = pairs.collect::<Option<TagSet>>().ok_or_else(malformed)?;
    if has_duplicates(&tags) {
        return Err(malformed());
    }
    checked(tags, Owner::Object)
}

/// Tags as an answer's body has them.
pub(super) fn to_dto(tags: &TagSet) -> dto::TagSet {
    tags.iter()
        .map(|(key, value)| dto::Tag {
            key: Some(key.clone()),
            value: Some(value.clone()),
        })
        .collect()
}

fn decode(encoded: &str) -> Option<String> {
    let spaced = encoded.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced)
        .decode_utf8()
        .ok()
        .map(|text| text.into_owned())
}

fn checked(tags: TagSet, owner: Owner) -> S3Result<TagSet> {
    let (limit, message) = match owner {
        Owner::Bucket => (50, "Bucket tag count cannot be greater than 50"),
        Owner::Object => (10, "Object tags cannot be greater than 10"),
    };
    if tags.len() > limit {
        return Err(custom("BadRequest", StatusCode::BAD_REQUEST, message));
    }
    for (key, value) in &tags {
        if key.is_empty() || key.chars().count() > 128 || !key.chars().all(is_tag_character) {
            return Err(s3_error!(
                InvalidTag,
                "The TagKey you have provided is invalid"
            ));
        }
        if value.chars().count() > 256 || !value.chars().all(is_tag_character) {
            return Err(s3_error!(
                InvalidTag,
                "The TagValue you have provided is invalid"
            ));
        }
        if key.starts_with("aws:") {
            return Err(s3_error!(
                InvalidTag,
                "System tags cannot be added/updated by requester"
            ));
        }
    }
    if has_duplicates(&tags) {
        return Err(s3_error!(
            InvalidTag,
            "Cannot provide multiple Tags with the same key"
        ));
    }
    Ok(tags)
}

fn has_duplicates(tags: &TagSet) -> bool {
    tags.iter()
        .enumerate()
        .any(|(i, (key, _))| tags[..i].iter().any(|(other, _)| other == key))
}

fn is_tag_character(c: char) -> bool {
    c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[rstest]
    #[case::empty("", vec![])]
    #[case::encoded("a+b=c%2Bd&%C3%A9=", vec![pair("a b", "c+d"), pair("é", "")])]
    #[case::no_value("k", vec![pair("k", "")])]
    fn header_is_form_urlencoded(#[case] header: &str, #[case] expected: TagSet) {
        assert_eq!(from_header(header).unwrap(), expected);
    }

    #[rstest]
    #[case::duplicate("a=1&a=2", "InvalidArgument")]
    #[case::not_utf8("a=%FF", "InvalidArgument")]
    #[case::no_key("=1", "InvalidTag")]
    #[case::bad_character("a=%3C", "InvalidTag")]
    #[case::system("aws:x=1", "InvalidTag")]
    #[case::long_value(&format!("a={}", "v".repeat(257)), "InvalidTag")]
    #[case::eleven("a=&b=&c=&d=&e=&f=&g=&h=&i=&j=&k=", "BadRequest")]
    fn bad_tags_are_refused(#[case] header: &str, #[case] code: &str) {
        assert_eq!(from_header(header).unwrap_err().code().as_str(), code);
    }
}
