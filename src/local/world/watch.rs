//! A layer that watches writes pass to a store that notifies nobody, and tells of them as S3 would.
//!
//! Invariant: no write goes unnoticed. One whose answer is lost may have taken effect, so it is
//! told of as well; an event says no more than *look at this key*. For the same reason a delete is
//! always told of, also of a key that was not there.

use std::sync::Arc;

use aws_sdk_s3::Client;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Full};
use quick_xml::events::Event as Xml;
use tokio::sync::mpsc::UnboundedSender;

use crate::local::faults::{Named, instance_of, operation_of};
use crate::local::http::{Body, Hangup, Request, Response, Service, SharedService};
use crate::local::s3::{Emitter, EventKind, Notification, Written};

/// A store seen through the watch.
#[derive(Clone)]
pub(super) struct Watch {
    pub(super) inner: SharedService,
    pub(super) emitter: Arc<Emitter>,
    pub(super) notifications: UnboundedSender<Notification>,
    /// Asks the store itself what a copy or an upload has made.
    pub(super) lookup: Client,
    /// What stands for the user in an event.
    pub(super) user: String,
    /// What stands for the function in an event.
    pub(super) function: String,
}

impl Service for Watch {
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, Hangup>> {
        let uri = request.uri();
        let named = operation_of(request.method(), uri.path(), uri.query(), request.headers());
        let notifies = named
            .bucket
            .as_ref()
            .is_some_and(|bucket| self.emitter.knows(bucket));
        let watch = self.clone();
        match named.operation.as_str() {
            "PutObject"
            | "CopyObject"
            | "CompleteMultipartUpload"
            | "DeleteObject"
            | "PutObjectTagging"
            | "DeleteObjectTagging"
                if notifies =>
            {
                Box::pin(async move { watch.one(named, request).await })
            }
            "DeleteObjects" if notifies => {
                Box::pin(async move { watch.several(named, request).await })
            }
            _ => self.inner.call(request),
        }
    }
}

impl Watch {
    /// A write of one object.
    async fn one(&self, named: Named, request: Request) -> Result<Response, Hangup> {
        let actor = self.actor(request.headers());
        let size = header(request.headers(), "x-amz-decoded-content-length")
            .or_else(|| header(request.headers(), "content-length"))
            .and_then(|length| length.parse().ok());
        let version = parameter(request.uri().query(), "versionId");
        let answer = whole(self.inner.call(request).await).await;
        if let Ok(answer) = &answer
            && !is_success(answer)
        {
            return Ok(answer.clone().map(full));
        }
        let (Some(bucket), Some(key)) = (&named.bucket, &named.key) else {
            return answer.map(|answer| answer.map(full));
        };
        let headers = answer.as_ref().map(http::Response::headers);
        let told = |name| headers.ok().and_then(|headers| header(headers, name));
        let kind = match named.operation.as_str() {
            "PutObject" => EventKind::Put,
            "CopyObject" => EventKind::Copy,
            "CompleteMultipartUpload" => EventKind::CompleteMultipartUpload,
            "PutObjectTagging" => EventKind::TagsPut,
            "DeleteObjectTagging" => EventKind::TagsDelete,
            _ if version.is_none() && told("x-amz-delete-marker").as_deref() == Some("true") => {
                EventKind::DeleteMarkerCreated
            }
            _ => EventKind::Delete,
        };
        let (size, etag) = match kind {
            EventKind::Put => (size, told("etag")),
            EventKind::Copy | EventKind::CompleteMultipartUpload => self.look(bucket, key).await,
            _ => (None, None),
        };
        let version_id = version.or_else(|| told("x-amz-version-id"));
        self.tell(
            bucket,
            &Written {
                kind,
                key,
                size,
                etag: etag.as_deref().map(|etag| etag.trim_matches('"')),
                version_id: version_id.as_deref(),
                access_key: actor,
            },
        );
        answer.map(|answer| answer.map(full))
    }

    /// A delete of several objects: all that were asked for and not refused.
    async fn several(&self, named: Named, request: Request) -> Result<Response, Hangup> {
        let (parts, body) = request.into_parts();
        let asked = body.collect().await.map_err(|_| Hangup)?.to_bytes();
        let actor = self.actor(&parts.headers);
        let keys = keys(&asked, "Object");
        let request = Request::from_parts(parts, full(asked));
        let answer = whole(self.inner.call(request).await).await;
        let refused = match &answer {
            Ok(answer) if !answer.status().is_success() => keys.clone(),
            Ok(answer) => self::keys(answer.body(), "Error"),
            Err(Hangup) => Vec::new(),
        };
        let bucket = named.bucket.unwrap_or_default();
        for key in keys.iter().filter(|key| !refused.contains(key)) {
            self.tell(
                &bucket,
                &Written {
                    kind: EventKind::Delete,
                    key,
                    size: None,
                    etag: None,
                    version_id: None,
                    access_key: actor,
                },
            );
        }
        answer.map(|answer| answer.map(full))
    }

    fn actor(&self, headers: &HeaderMap) -> &str {
        match instance_of(headers) {
            Some(_) => &self.function,
            None => &self.user,
        }
    }

    /// Size and ETag of what is there now. They are hints, so a failure leaves them out.
    async fn look(&self, bucket: &str, key: &str) -> (Option<u64>, Option<String>) {
        let answer = self.lookup.head_object().bucket(bucket).key(key).send();
        match answer.await {
            Ok(head) => (
                head.content_length.and_then(|size| size.try_into().ok()),
                head.e_tag,
            ),
            Err(_) => (None, None),
        }
    }

    fn tell(&self, bucket: &str, written: &Written<'_>) {
        for notification in self.emitter.emit(bucket, written) {
            // Nobody listens any more: the world is being taken down.
            let _ = self.notifications.send(notification);
        }
    }
}

/// An answer with all of its body, which is short for every write.
async fn whole(answer: Result<Response, Hangup>) -> Result<http::Response<Bytes>, Hangup> {
    let (parts, body) = answer?.into_parts();
    let body = body.collect().await.map_err(|_| Hangup)?.to_bytes();
    Ok(http::Response::from_parts(parts, body))
}

fn full(body: Bytes) -> Body {
    Full::new(body)
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// An error may hide in a 200.
fn is_success(answer: &http::Response<Bytes>) -> bool {
    let is_error = answer.status() == StatusCode::OK
        && String::from_utf8_lossy(answer.body()).contains("<Error>");
    answer.status().is_success() && !is_error
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.to_owned())
}

fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let value = query?
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    let value = percent_encoding::percent_decode_str(value).decode_utf8();
    value.ok().map(Into::into)
}

/// The keys inside elements of this name.
fn keys(xml: &[u8], of: &str) -> Vec<String> {
    let mut reader = quick_xml::Reader::from_reader(xml);
    let (mut inside, mut in_key, mut keys) = (false, false, Vec::new());
    loop {
        match reader.read_event() {
            Ok(Xml::Start(tag)) if tag.local_name().as_ref() == of.as_bytes() => inside = true,
            Ok(Xml::End(tag)) if tag.local_name().as_ref() == of.as_bytes() => inside = false,
            Ok(Xml::Start(tag)) if inside && tag.local_name().as_ref() == b"Key" => {
                in_key = true;
                keys.push(String::new());
            }
            Ok(Xml::End(tag)) if tag.local_name().as_ref() == b"Key" => in_key = false,
            Ok(Xml::Text(text)) if in_key => {
                if let (Some(key), Ok(text)) = (keys.last_mut(), text.decode()) {
                    key.push_str(&text);
                }
            }
            Ok(Xml::GeneralRef(reference)) if in_key => {
                let name = reference.decode().unwrap_or_default();
                let character = match reference.resolve_char_ref() {
                    Ok(Some(character)) => Some(character.to_string()),
                    _ => quick_xml::escape::resolve_predefined_entity(&name).map(str::to_owned),
                };
                if let (Some(key), Some(character)) = (keys.last_mut(), character) {
                    key.push_str(&character);
                }
            }
            Ok(Xml::Eof) | Err(_) => return keys,
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_multi_object_delete_are_read_as_they_are_meant() {
        let asked = b"<Delete xmlns=\"x\"><Object><Key>a &amp; b&#10;c</Key></Object>\
                      <Object><Key>d</Key><VersionId>v</VersionId></Object><Quiet>true</Quiet></Delete>";
        assert_eq!(keys(asked, "Object"), ["a & b\nc", "d"]);
        assert!(keys(asked, "Error").is_empty());
    }

    #[test]
    fn version_is_taken_from_the_query() {
        assert_eq!(
            parameter(Some("x-id=DeleteObject&versionId=a%2Bb"), "versionId").as_deref(),
            Some("a+b")
        );
        assert_eq!(parameter(Some("versions"), "version"), None);
    }

    #[test]
    fn error_inside_a_200_is_no_success() {
        let answer = |body: &'static str| http::Response::new(Bytes::from_static(body.as_bytes()));
        assert!(!is_success(&answer("<?xml?><Error><Code>X</Code></Error>")));
        assert!(is_success(&answer("<CopyObjectResult/>")));
    }
}
