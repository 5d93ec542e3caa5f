//! Exact writes: every header of the observed object is given explicitly, and as text.
//!
//! The SDK has typed setters for most of them, but `Expires` is text whatever it says, and one
//! mechanism for all leaves none out. A value that no HTTP header can carry is an error before
//! anything is sent.

use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::object::Object;

/// What a query string carries unescaped.
const UNRESERVED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What `x-amz-copy-source` carries unescaped.
const COPY_SOURCE: AsciiSet = UNRESERVED.remove(b'/');

/// The headers of an observed object, set on a request before it is signed.
#[derive(Debug, Default)]
pub(crate) struct ExactHeaders(Vec<(String, String)>);

impl ExactHeaders {
    /// User metadata, system headers and tags.
    pub(crate) fn of(object: &Object) -> Self {
        let metadata = object
            .metadata
            .iter()
            .map(|(name, value)| (format!("x-amz-meta-{name}"), value.clone()));
        let system = object
            .headers
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut headers: Vec<_> = metadata.chain(system).collect();
        if !object.tags.is_empty() {
            headers.push(("x-amz-tagging".to_owned(), tagging(object)));
        }
        Self(headers)
    }

    /// One more header.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.push((name.to_owned(), value.into()));
        self
    }
}

impl Intercept for ExactHeaders {
    fn name(&self) -> &'static str {
        "ExactHeaders"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), aws_sdk_s3::error::BoxError> {
        let headers = context.request_mut().headers_mut();
        for (name, value) in &self.0 {
            headers.try_insert(name.clone(), value.clone())?;
        }
        Ok(())
    }
}

/// The tags as a query string: the form of `x-amz-tagging`.
fn tagging(object: &Object) -> String {
    let encode = |text| utf8_percent_encode(text, &UNRESERVED);
    let pairs: Vec<String> = object
        .tags
        .iter()
        .map(|(key, value)| format!("{}={}", encode(key), encode(value)))
        .collect();
    pairs.join("&")
}

/// `bucket/key` as `x-amz-copy-source` wants it.
pub(crate) fn copy_source(bucket: &str, key: &str) -> String {
    format!("{bucket}/{}", utf8_percent_encode(key, &COPY_SOURCE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_survive_in_headers() {
        let mut object = Object::default();
        object.tags.insert("a b&c".to_owned(), "é=1".to_owned());
        object.tags.insert("z".to_owned(), String::new());
        assert_eq!(tagging(&object), "a%20b%26c=%C3%A9%3D1&z=");
        assert_eq!(
            copy_source("b", "/a+b//./c d%2B\n"),
            "b//a%2Bb//./c%20d%252B%0A"
        );
    }
}
