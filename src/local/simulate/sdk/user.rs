//! What users do to the master.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, Tag, Tagging};

use super::world::{World, name};
use crate::local::simulate::plan::{State, What};

/// Four parts that look equal by their ends and are not: where they begin is found out twice.
pub(super) const PARTS: [usize; 4] = [300, 200, 400, 300];

impl World {
    /// A user's operation on the master; the version it made.
    pub(super) async fn operate(
        &self,
        key: u8,
        what: What,
        made: &[(u16, String)],
    ) -> Option<String> {
        let (client, bucket, key) = (self.client(0), name(0), format!("k{key}"));
        match what {
            What::Put(state) if self.shared.plan.shape.parts => {
                self.upload(&bucket, &key, state).await
            }
            What::Put(State {
                content,
                metadata,
                header,
                tags,
            }) => {
                let mut request = client
                    .put_object()
                    .bucket(bucket)
                    .key(key)
                    .body(ByteStream::from(format!("content {content}").into_bytes()));
                if metadata > 0 {
                    request = request.metadata("k", metadata.to_string());
                }
                if header > 0 {
                    request = request.cache_control(format!("max-age={header}"));
                }
                if tags > 0 {
                    request = request.tagging(format!("k={tags}"));
                }
                request
                    .send()
                    .await
                    .expect("users meet no faults")
                    .version_id
            }
            What::Tag(0) => {
                // Nothing to tag is no mistake.
                let _ = client
                    .delete_object_tagging()
                    .bucket(bucket)
                    .key(key)
                    .send()
                    .await;
                None
            }
            What::Tag(tags) => {
                let tagging = tagging("k", &tags.to_string());
                let _ = client
                    .put_object_tagging()
                    .bucket(bucket)
                    .key(key)
                    .tagging(tagging)
                    .send()
                    .await;
                None
            }
            What::Delete => {
                let deleted = client.delete_object().bucket(bucket).key(key).send().await;
                deleted.expect("users meet no faults").version_id
            }
            What::DeleteVersion(of) => {
                let (_, version) = made.iter().find(|(id, _)| *id == of)?;
                let request = client.delete_object().bucket(bucket).key(key);
                let deleted = request.version_id(version).send().await;
                deleted.expect("users meet no faults");
                None
            }
        }
    }

    /// A user's upload in parts.
    async fn upload(&self, bucket: &str, key: &str, state: State) -> Option<String> {
        let client = self.client(0);
        let mut create = client.create_multipart_upload().bucket(bucket).key(key);
        if state.metadata > 0 {
            create = create.metadata("k", state.metadata.to_string());
        }
        if state.header > 0 {
            create = create.cache_control(format!("max-age={}", state.header));
        }
        if state.tags > 0 {
            create = create.tagging(format!("k={}", state.tags));
        }
        let created = create.send().await.expect("users meet no faults");
        let id = created.upload_id.expect("an upload has an id");
        let mut parts = Vec::new();
        for (number, size) in (1..).zip(PARTS) {
            let part = client.upload_part().bucket(bucket).key(key).upload_id(&id);
            let part = part
                .part_number(number)
                .body(vec![state.content; size].into());
            let sent = part.send().await.expect("users meet no faults");
            let part = CompletedPart::builder().part_number(number);
            parts.push(part.set_e_tag(sent.e_tag).build());
        }
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts));
        let complete = client.complete_multipart_upload().bucket(bucket).key(key);
        let complete = complete.upload_id(id).multipart_upload(parts.build());
        complete
            .send()
            .await
            .expect("users meet no faults")
            .version_id
    }
}

pub(super) fn tagging(key: &str, value: &str) -> Tagging {
    let tag = Tag::builder()
        .key(key)
        .value(value)
        .build()
        .expect("both are set");
    Tagging::builder()
        .tag_set(tag)
        .build()
        .expect("the set is set")
}
