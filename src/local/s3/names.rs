//! Which bucket names the store accepts, and how it encodes keys in answers.
//!
//! The encoder is the store's own on purpose: it stands for AWS, and must not share a mistake
//! with the decoder it is read by.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::validation::NameValidation;

use crate::targets::is_bucket_name;

/// Bytes that S3 leaves alone in an encoded key; a space becomes `+`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'.')
    .remove(b'-')
    .remove(b'_')
    .remove(b'*')
    .remove(b'/')
    .remove(b' ');

/// A key as S3 writes it in notifications and, with `encoding-type=url`, in listings.
pub(super) fn encode_key(key: &str) -> String {
    utf8_percent_encode(key, ENCODED)
        .to_string()
        .replace(' ', "+")
}

/// Lets `s3s` refuse other bucket names before an operation sees them.
pub(super) struct BucketNames;

impl NameValidation for BucketNames {
    fn validate_bucket_name(&self, name: &str) -> bool {
        is_bucket_name(name)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::space_and_plus("a b+c/é.txt", "a+b%2Bc/%C3%A9.txt")]
    #[case::percent("50%2B", "50%252B")]
    #[case::unreserved("A-z_0.9*", "A-z_0.9*")]
    #[case::tilde_and_brackets("~(x)", "%7E%28x%29")]
    #[case::slashes_and_newline("//a\n", "//a%0A")]
    fn keys_are_encoded_as_s3_does(#[case] key: &str, #[case] expected: &str) {
        assert_eq!(encode_key(key), expected);
    }
}
