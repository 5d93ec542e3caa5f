//! Error answers as S3 words them.
//!
//! Operations give codes, and messages only where S3 has several for one code; what else belongs
//! into the body of an error is completed here, in one place.

use std::convert::Infallible;

use http::StatusCode;
use quick_xml::escape::escape;
use s3s::{S3Error, S3ErrorCode};

/// An error whose code `s3s` does not know.
pub(super) fn custom(code: &str, status: StatusCode, message: &'static str) -> S3Error {
    let Ok::<S3ErrorCode, Infallible>(code) = code.parse();
    let mut error = S3Error::with_message(code, message);
    error.set_status_code(status);
    error
}

/// The body of an error answer, completed: the message where there is none, the resource and the
/// request's ids.
pub(super) fn complete(body: &str, resource: &str, request_id: &str, host_id: &str) -> String {
    let Some(fields) = body.strip_suffix("</Error>") else {
        return body.to_owned();
    };
    let code = body
        .split_once("<Code>")
        .and_then(|(_, rest)| rest.split_once("</Code>"))
        .map_or("", |(code, _)| code);
    let message = if fields.contains("<Message>") {
        String::new()
    } else {
        format!("<Message>{}</Message>", message(code))
    };
    format!(
        "{fields}{message}<Resource>{}</Resource><RequestId>{request_id}</RequestId>\
         <HostId>{host_id}</HostId></Error>",
        escape(resource)
    )
}

/// What S3 says about a code, where it always says the same.
pub(super) fn message(code: &str) -> &'static str {
    match code {
        "AccessDenied" => "Access Denied",
        "BadDigest" => "The Content-MD5 you specified did not match what we received.",
        "BucketAlreadyOwnedByYou" => {
            "Your previous request to create the named bucket succeeded and you already own it."
        }
        "BucketNotEmpty" => "The bucket you tried to delete is not empty",
        "EntityTooLarge" => "Your proposed upload exceeds the maximum allowed size",
        "EntityTooSmall" => "Your proposed upload is smaller than the minimum allowed size",
        "IllegalLocationConstraintException" => {
            "The location constraint is incompatible for the region specific endpoint this request \
             was sent to."
        }
        "IncompleteBody" => "The request body terminated unexpectedly",
        "InvalidAccessKeyId" => "The AWS Access Key Id you provided does not exist in our records.",
        "InvalidBucketName" => "The specified bucket is not valid.",
        "InvalidDigest" => "The Content-MD5 you specified was invalid.",
        "InvalidLocationConstraint" => "The specified location-constraint is not valid",
        "InvalidPart" => {
            "One or more of the specified parts could not be found.  The part may not have been \
             uploaded, or the specified entity tag may not match the part's entity tag."
        }
        "InvalidPartOrder" => {
            "The list of parts was not in ascending order. Parts must be ordered by part number."
        }
        "InvalidRange" => "The requested range is not satisfiable",
        "InvalidStorageClass" => "The storage class you specified is not valid",
        "KeyTooLongError" => "Your key is too long",
        "MalformedXML" => {
            "The XML you provided was not well-formed or did not validate against our published \
             schema"
        }
        "MetadataTooLarge" => "Your metadata headers exceed the maximum allowed metadata size",
        "MethodNotAllowed" => "The specified method is not allowed against this resource.",
        "MissingRequestBodyError" => "Request Body is empty",
        "NoSuchBucket" => "The specified bucket does not exist",
        "NoSuchKey" => "The specified key does not exist.",
        "NoSuchTagSet" => "The TagSet does not exist",
        "NoSuchUpload" => {
            "The specified upload does not exist. The upload ID may be invalid, or the upload may \
             have been aborted or completed."
        }
        "NoSuchVersion" => "The specified version does not exist.",
        "NotImplemented" => "A header you provided implies functionality that is not implemented",
        "PreconditionFailed" => "At least one of the pre-conditions you specified did not hold",
        "ServerSideEncryptionConfigurationNotFoundError" => {
            "The server side encryption configuration was not found"
        }
        "SignatureDoesNotMatch" => {
            "The request signature we calculated does not match the signature you provided. Check \
             your key and signing method."
        }
        _ => "The request could not be served.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_body_gets_message_resource_and_ids() {
        let body = complete("<Error><Code>NoSuchKey</Code></Error>", "/b/a&b", "R", "H");
        assert_eq!(
            body,
            "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message>\
             <Resource>/b/a&amp;b</Resource><RequestId>R</RequestId><HostId>H</HostId></Error>"
        );
    }

    #[test]
    fn message_that_is_there_stays() {
        let given = "<Error><Code>InvalidRequest</Code><Message>why</Message></Error>";
        assert!(complete(given, "/", "R", "H").contains("<Message>why</Message><Resource>"));
    }

    #[test]
    fn other_bodies_are_left_alone() {
        assert_eq!(complete("<Result/>", "/", "R", "H"), "<Result/>");
    }
}
